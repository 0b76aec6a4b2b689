// RENDEZVOUS: what decodes is written back as it came.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/rendezvous.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  if (const auto v = wire::decode_rendezvous(payload)) {
    check(v->endpoint && v->endpoint.port != 0);
    check(fuzz::starts_with(payload,
                            fuzz::encoded([&](Writer& w) { wire::encode_rendezvous(w, *v); })));
  }
  return 0;
}
