// The prefix of every OK, ERROR, and what errors say of a network.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/ok.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  const auto ok = wire::decode_ok(payload);
  check(ok.has_value() == (size >= 9));
  if (ok) check(fuzz::same(fuzz::encoded([&](Writer& w) { wire::encode_ok(w, *ok); }), payload));
  const auto error = wire::decode_error(payload);
  check(error.has_value() == (size >= 10));
  if (!error) return 0;
  check(fuzz::same(fuzz::encoded([&](Writer& w) { wire::encode_error(w, *error); }), payload));
  if (const auto network = wire::decode_network_error(error->rest)) {
    check(fuzz::within(error->rest, network->dictionary));
  }
  return 0;
}
