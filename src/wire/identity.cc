#include "wire/identity.h"

namespace orrery::wire {
namespace {

constexpr std::size_t kMaxText = 383;  // longer texts are refused, as the reference does

bool read_key_digits(std::string_view digits, std::array<std::uint8_t, 64>& key) {
  if (digits.size() < 128) return false;
  for (std::size_t i = 0; i < 64; ++i) {
    const int high = hex_digit(digits[2 * i]);
    const int low = hex_digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    key[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

}  // namespace

std::optional<ParsedIdentity> read_identity(Reader& reader) {
  ParsedIdentity parsed;
  parsed.identity.address = Address{reader.u40()};
  if (reader.u8() != 0) reader.fail();
  const Bytes key = reader.bytes(64);
  const std::uint8_t private_size = reader.u8();
  if (private_size != 0 && private_size != 64) reader.fail();
  const Bytes secret = reader.bytes(private_size);
  if (!reader.ok()) return std::nullopt;
  std::memcpy(parsed.identity.public_key.data(), key.data(), 64);
  if (private_size == 64) {
    parsed.has_private = true;
    std::memcpy(parsed.private_key.data(), secret.data(), 64);
  }
  return parsed;
}

void write_identity(Writer& writer, const Identity& identity) {
  writer.u40(identity.address.value);
  writer.u8(0);
  writer.bytes(identity.public_key);
  writer.u8(0);
}

std::optional<ParsedIdentity> parse_identity(std::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  std::array<std::string_view, 4> fields;
  std::size_t count = 0;
  while (true) {
    const std::size_t colon = text.find(':');
    if (count == fields.size()) return std::nullopt;
    fields[count++] = text.substr(0, colon);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  if (count < 3 || fields[1] != "0") return std::nullopt;
  std::uint64_t address = 0;
  for (const char c : fields[0]) {
    const int digit = hex_digit(c);
    if (digit < 0) break;
    address = ((address << 4) | static_cast<std::uint64_t>(digit)) & 0xffffffffffULL;
  }
  ParsedIdentity parsed;
  parsed.identity.address = Address{address};
  if (parsed.identity.address.is_reserved()) return std::nullopt;
  if (!read_key_digits(fields[2], parsed.identity.public_key)) return std::nullopt;
  if (count == 4) {
    if (!read_key_digits(fields[3], parsed.private_key)) return std::nullopt;
    parsed.has_private = true;
  }
  return parsed;
}

std::string to_string(const Identity& identity) {
  return to_string(identity.address) + ":0:" + to_hex(identity.public_key);
}

std::string to_string(const Identity& identity, const PrivateKey& private_key) {
  return to_string(identity) + ":" + to_hex(private_key);
}

}  // namespace orrery::wire
