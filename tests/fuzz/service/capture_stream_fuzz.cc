// What a request for a capture says, and packets of any bytes at any point: options or an error,
// and facts; a filter gives each block once at most, and only what it was given.
//   [1] bit 0: the rest is the body of a request; else sightings:
//   [1] story, [1] bits 0-1 point, 2-3 peer, 4-5 network, [1] size, packet
#include <set>

#include "base/cursor.h"
#include "control/controller/json_text.h"
#include "fuzz/wire/verb_fuzz.h"
#include "service/capture_stream.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r({data, size});
  const std::uint8_t bits = r.u8();
  if (!r.ok()) return 0;
  if ((bits & 1) != 0) {
    const auto body = control::parse_json(text_of(r.rest()));
    if (!body || !body->is_object()) return 0;
    const auto options = service::parse_capture_options(*body);
    check(!options || (options->points != 0 && options->one_in != 0 && options->snap >= 64));
    return 0;
  }
  service::StoryFilter filter(wire::Address{std::uint64_t{bits} >> 1 & 3},
                              wire::NetworkId{std::uint64_t{bits} >> 3 & 3});
  std::set<std::uint32_t> given, taken;
  for (std::uint32_t number = 1; r.remaining() >= 3; ++number) {
    dataplane::Sighting s;
    s.story = r.u8();
    const std::uint8_t what = r.u8();
    s.spot.point = static_cast<dataplane::Point>(what & 3);
    s.peer = wire::Address{std::uint64_t{what} >> 2 & 3};
    s.network = what >> 4 & 3;
    const Bytes packet = r.bytes(std::min<std::size_t>(r.u8(), r.remaining()));
    const service::PacketFacts facts = service::facts_of(s.spot.point, packet);
    check(!facts.verb || s.spot.point == dataplane::Point::kDecrypted);
    check(facts.id || (!facts.source && !facts.destination && facts.network == 0));
    ByteVector block(4);
    store_be32(block.data(), number);
    given.insert(number);
    filter.add(s, facts, std::move(block), [&](const ByteVector& b) {
      const std::uint32_t n = load_be32(b.data());
      check(given.contains(n) && taken.insert(n).second);
    });
  }
  if (filter.takes_all()) check(taken == given);
  return 0;
}
