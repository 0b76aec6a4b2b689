#include "wire/dictionary.h"

#include <algorithm>

namespace orrery::wire {
namespace {

bool ends_line(std::uint8_t c) {
  return c == '\n' || c == '\r' || c == 0;
}

ByteVector unescape(Bytes raw) {
  ByteVector value;
  value.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      value.push_back(raw[i]);
      continue;
    }
    if (++i == raw.size()) break;  // a lone backslash at the end yields nothing
    switch (raw[i]) {
      case 'r':
        value.push_back('\r');
        break;
      case 'n':
        value.push_back('\n');
        break;
      case '0':
        value.push_back(0);
        break;
      case 'e':
        value.push_back('=');
        break;
      default:
        value.push_back(raw[i]);
    }
  }
  return value;
}

struct Number {
  std::uint64_t magnitude = 0;
  bool negative = false;
};

/// Like strtoull(text, 16): saturates on overflow.
Number parse_number(std::string_view text) {
  Number n;
  std::size_t i = 0;
  while (i < text.size() && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))) ++i;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) n.negative = text[i++] == '-';
  if (i + 2 < text.size() && text[i] == '0' && (text[i + 1] | 0x20) == 'x' &&
      hex_digit(text[i + 2]) >= 0)
    i += 2;
  for (; i < text.size(); ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0) break;
    if (n.magnitude >> 60 != 0) return {~std::uint64_t{0}, false};
    n.magnitude = (n.magnitude << 4) | static_cast<std::uint64_t>(digit);
  }
  return n;
}

std::string digits16(std::uint64_t value) {
  return to_string(NetworkId{value});
}

}  // namespace

std::optional<Bytes> dictionary_raw(Bytes dictionary, std::string_view key) {
  if (key.empty()) return std::nullopt;
  std::size_t begin = 0;
  while (begin < dictionary.size() && dictionary[begin] != 0) {
    std::size_t end = begin;
    while (end < dictionary.size() && !ends_line(dictionary[end])) ++end;
    const Bytes line = dictionary.subspan(begin, end - begin);
    if (line.size() > key.size() && line[key.size()] == '=' &&
        std::equal(key.begin(), key.end(), line.begin(),
                   [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; })) {
      return line.subspan(key.size() + 1);
    }
    if (end < dictionary.size() && dictionary[end] == 0) break;
    begin = end + 1;
  }
  return std::nullopt;
}

std::optional<ByteVector> dictionary_bytes(Bytes dictionary, std::string_view key) {
  const auto raw = dictionary_raw(dictionary, key);
  if (!raw) return std::nullopt;
  return unescape(*raw);
}

std::optional<std::string> dictionary_text(Bytes dictionary, std::string_view key) {
  const auto value = dictionary_bytes(dictionary, key);
  if (!value) return std::nullopt;
  return std::string(text_of(*value));
}

std::uint64_t dictionary_u64(Bytes dictionary, std::string_view key, std::uint64_t missing) {
  const auto value = dictionary_bytes(dictionary, key);
  if (!value || value->empty()) return missing;
  const Number n = parse_number(text_of(*value));
  return n.negative ? 0 - n.magnitude : n.magnitude;
}

std::int64_t dictionary_i64(Bytes dictionary, std::string_view key, std::int64_t missing) {
  const auto value = dictionary_bytes(dictionary, key);
  if (!value || value->empty()) return missing;
  const Number n = parse_number(text_of(*value));
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(INT64_MAX);
  if (n.negative) return n.magnitude > kMax ? INT64_MIN : -static_cast<std::int64_t>(n.magnitude);
  return n.magnitude > kMax ? INT64_MAX : static_cast<std::int64_t>(n.magnitude);
}

bool dictionary_bool(Bytes dictionary, std::string_view key, bool missing) {
  const auto value = dictionary_bytes(dictionary, key);
  if (!value || value->empty()) return missing;
  const std::uint8_t c = (*value)[0];
  return c == '1' || c == 't' || c == 'T';
}

bool DictionaryWriter::bytes(std::string_view key, Bytes value) {
  ByteVector entry;
  if (!encoded_.empty()) entry.push_back('\n');
  entry.insert(entry.end(), key.begin(), key.end());
  entry.push_back('=');
  for (const std::uint8_t c : value) {
    switch (c) {
      case 0:
        entry.insert(entry.end(), {'\\', '0'});
        break;
      case '\r':
        entry.insert(entry.end(), {'\\', 'r'});
        break;
      case '\n':
        entry.insert(entry.end(), {'\\', 'n'});
        break;
      case '\\':
        entry.insert(entry.end(), {'\\', '\\'});
        break;
      case '=':
        entry.insert(entry.end(), {'\\', 'e'});
        break;
      default:
        entry.push_back(c);
    }
  }
  if (encoded_.size() + entry.size() + 1 > capacity_) return false;
  encoded_.insert(encoded_.end(), entry.begin(), entry.end());
  return true;
}

bool DictionaryWriter::u64(std::string_view key, std::uint64_t value) {
  return text(key, digits16(value));
}

bool DictionaryWriter::i64(std::string_view key, std::int64_t value) {
  return u64(key,
             value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value));
}

}  // namespace orrery::wire
