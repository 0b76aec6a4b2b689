// The JSON description of a planet or moon: any text gives a signed document that reads back as it
// is, or an error, never an exception.
#include "service/world_document.h"

#include <nlohmann/json.hpp>

#include "crypto/curve.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crypto::init();
  const auto object = nlohmann::json::parse(data, data + size, nullptr, false);
  const auto world = service::world_from_json(object, 1'700'000'000'000);
  if (!world) {
    check(!world.error().text.empty());
    return 0;
  }
  check(world->id != 0 && !world->roots.empty());
  const ByteVector bytes = wire::encode_world(*world);
  Reader reader(bytes);
  check(wire::read_world(reader) == *world);
  return 0;
}
