// MULTICAST_LIKE, MULTICAST_GATHER, MULTICAST_FRAME and both answers; the whole input is tried as
// each of them.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/multicast.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  ByteVector likes;
  wire::for_each_like(payload, [&](const wire::MulticastLike& like) {
    const ByteVector one = fuzz::encoded([&](Writer& w) { wire::write_like(w, like); });
    likes.insert(likes.end(), one.begin(), one.end());
  });
  check(likes.size() == size / wire::MulticastLike::kSize * wire::MulticastLike::kSize);
  check(fuzz::starts_with(payload, likes));

  if (const auto g = wire::decode_gather(payload)) {
    const auto again =
        wire::decode_gather(fuzz::encoded([&](Writer& w) { wire::encode_gather(w, *g); }));
    check(again && again->group == g->group && again->limit == g->limit && again->com == g->com);
  }
  if (const auto g = wire::decode_gather_ok(payload)) {
    check(fuzz::starts_with(payload,
                            fuzz::encoded([&](Writer& w) { wire::encode_gather_ok(w, *g); })));
    std::size_t members = 0;
    wire::for_each_gathered(*g, [&](wire::Address) { ++members; });
    check(members * wire::Address::kSize == g->addresses.size());
  }
  if (const auto ok = wire::decode_multicast_frame_ok(payload)) {
    check(fuzz::within(payload, ok->gathered.addresses));
  }
  if (const auto f = wire::decode_multicast_frame(payload)) {
    check(fuzz::within(payload, f->payload));
    const ByteVector written =
        fuzz::encoded([&](Writer& w) { wire::encode_multicast_frame(w, *f); });
    const auto again = wire::decode_multicast_frame(written);
    check(again && again->group == f->group && again->source == f->source &&
          again->gather_limit == f->gather_limit && again->replicate == f->replicate &&
          fuzz::same(again->payload, f->payload));
  }
  return 0;
}
