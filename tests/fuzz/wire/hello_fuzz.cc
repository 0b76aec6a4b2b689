// HELLO, its unmasked tail and its OK. The whole input is tried as each of the three.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/hello.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  if (const auto h = wire::decode_hello(payload)) {
    check(h->masked_at < size);
    const ByteVector written = fuzz::encoded([&](Writer& w) { (void)wire::encode_hello(w, *h); });
    const auto again = wire::decode_hello(written);
    check(again && again->identity == h->identity && again->sent_to == h->sent_to &&
          again->version == h->version && again->timestamp == h->timestamp &&
          again->planet_id == h->planet_id && again->planet_timestamp == h->planet_timestamp);
  }
  std::size_t moons = 0;
  const bool whole = wire::for_each_moon(payload, [&](const wire::MoonEntry& entry) {
    check(entry.type == wire::kWorldTypeMoon);
    ++moons;
  });
  check(whole || moons == 0);
  check(moons * 17 <= size);
  if (const auto ok = wire::decode_hello_ok(payload)) {
    check(fuzz::within(payload, ok->worlds));
    const ByteVector written = fuzz::encoded([&](Writer& w) { wire::encode_hello_ok(w, *ok); });
    const auto again = wire::decode_hello_ok(written);
    check(again && again->seen_from == ok->seen_from && again->timestamp == ok->timestamp &&
          fuzz::same(again->worlds, ok->worlds));
  }
  return 0;
}
