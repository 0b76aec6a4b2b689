// Planets and moons: what is read is written back to what reads as the same.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/world.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const auto world = wire::read_world(r);
  if (!world) {
    check(!r.ok());
    return 0;
  }
  check(world->roots.size() <= wire::kMaxRootsPerWorld);
  const ByteVector written = wire::encode_world(*world);
  check(!written.empty() && written.size() <= wire::kMaxWorldSize);
  Reader back(written);
  check(wire::read_world(back) == world && back.remaining() == 0);
  check(!wire::world_signed_bytes(*world).empty());
  return 0;
}
