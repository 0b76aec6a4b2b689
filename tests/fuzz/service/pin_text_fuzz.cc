// Pins as text: one of the configuration, files of many. What is read survives being written.
#include "fuzz/wire/verb_fuzz.h"
#include "service/pin_text.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto pin = service::parse_pin(text)) {
    check(static_cast<bool>(pin->address));
    const auto again =
        service::parse_pin(wire::to_string(pin->address) + ":" + to_hex(pin->fingerprint));
    check(again && again->address == pin->address && again->fingerprint == pin->fingerprint);
  }
  if (const auto pins = service::parse_pins(text)) {
    const auto again = service::parse_pins(service::pins_text(*pins));
    check(again && *again == *pins);
  }
  return 0;
}
