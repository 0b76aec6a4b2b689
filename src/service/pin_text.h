// A pin as people write it: "ADDRESS:FINGERPRINT", and files of many as JSON objects.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/node.h"

namespace orrery::service {

struct Pin {
  wire::Address address;
  control::Fingerprint fingerprint{};
};

using Pins = std::map<wire::Address, control::Fingerprint>;

/// 96 hexadecimal digits, as `orrery identity fingerprint` prints them.
[[nodiscard]] std::optional<control::Fingerprint> parse_fingerprint(std::string_view text);
/// "ADDRESS:FINGERPRINT".
[[nodiscard]] std::optional<Pin> parse_pin(std::string_view text);
/// {"ADDRESS": "FINGERPRINT", ...}, the form of pins.json. The error names the entry.
[[nodiscard]] Result<Pins> parse_pins(std::string_view json);
/// The same as text.
[[nodiscard]] std::string pins_text(const Pins& pins);

}  // namespace orrery::service
