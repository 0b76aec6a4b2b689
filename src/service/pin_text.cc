#include "service/pin_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "control/controller/json_text.h"

namespace orrery::service {

std::optional<control::Fingerprint> parse_fingerprint(std::string_view text) {
  const auto bytes = from_hex(text);
  control::Fingerprint fingerprint{};
  if (!bytes || bytes->size() != fingerprint.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), fingerprint.begin());
  return fingerprint;
}

std::optional<Pin> parse_pin(std::string_view text) {
  constexpr std::size_t kDigits = 10;
  if (text.size() <= kDigits || text[kDigits] != ':') return std::nullopt;
  const auto address = wire::parse_address(text.substr(0, kDigits));
  const auto fingerprint = parse_fingerprint(text.substr(kDigits + 1));
  if (!address || !*address || !fingerprint) return std::nullopt;
  return Pin{*address, *fingerprint};
}

Result<Pins> parse_pins(std::string_view text) {
  const auto json = control::parse_json(text);
  if (!json || !json->is_object()) return failure(Errc::kInvalid, "is not a JSON object");
  Pins pins;
  for (const auto& [key, value] : json->items()) {
    const auto address = wire::parse_address(key);
    const auto fingerprint =
        value.is_string() ? parse_fingerprint(value.get_ref<const std::string&>()) : std::nullopt;
    if (!address || !fingerprint) {
      return failure(Errc::kInvalid,
                     "\"" + key + "\" is not an address with 96 hexadecimal digits");
    }
    pins[*address] = *fingerprint;
  }
  return pins;
}

std::string pins_text(const Pins& pins) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [address, hash] : pins) json[wire::to_string(address)] = to_hex(hash);
  return json.dump(1);
}

}  // namespace orrery::service
