#include "wire/address.h"

namespace orrery::wire {
namespace {

std::string hex_digits(std::uint64_t value, int digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(static_cast<std::size_t>(digits), '0');
  for (int i = digits - 1; i >= 0; --i, value >>= 4)
    text[static_cast<std::size_t>(i)] = kDigits[value & 15];
  return text;
}

std::optional<std::uint64_t> parse_digits(std::string_view text, std::size_t digits) {
  if (text.size() != digits) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    value = (value << 4) | static_cast<std::uint64_t>(digit);
  }
  return value;
}

}  // namespace

std::string to_string(Address address) {
  return hex_digits(address.value, 10);
}

std::string to_string(NetworkId id) {
  return hex_digits(id.value, 16);
}

std::optional<Address> parse_address(std::string_view text) {
  const auto value = parse_digits(text, 10);
  if (!value) return std::nullopt;
  return Address{*value};
}

std::optional<NetworkId> parse_network_id(std::string_view text) {
  const auto value = parse_digits(text, 16);
  if (!value) return std::nullopt;
  return NetworkId{*value};
}

}  // namespace orrery::wire
