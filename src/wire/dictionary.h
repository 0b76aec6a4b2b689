// key=value blobs of network configurations and request metadata.
// Source: docs/protocol/07-network-config.md section 3; tests/vectors/dictionary.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "wire/address.h"

namespace orrery::wire {

/// Raw (still escaped) value of the first line with this key; a view into `dictionary`. A NUL ends
/// the dictionary.
[[nodiscard]] std::optional<Bytes> dictionary_raw(Bytes dictionary, std::string_view key);
/// Unescaped value; nothing when the key is absent.
[[nodiscard]] std::optional<ByteVector> dictionary_bytes(Bytes dictionary, std::string_view key);
[[nodiscard]] std::optional<std::string> dictionary_text(Bytes dictionary, std::string_view key);
/// Hexadecimal numbers with the leniency of strtoull: sign, white space, 0x prefix, stop at the
/// first foreign character.
[[nodiscard]] std::uint64_t dictionary_u64(Bytes dictionary, std::string_view key,
                                           std::uint64_t missing);
[[nodiscard]] std::int64_t dictionary_i64(Bytes dictionary, std::string_view key,
                                          std::int64_t missing);
/// True iff the first byte of the value is 1, t or T.
[[nodiscard]] bool dictionary_bool(Bytes dictionary, std::string_view key, bool missing);

/// Appends entries in order. Keys are plain ASCII and not escaped.
class DictionaryWriter {
 public:
  /// `capacity` bytes including a terminating NUL that the reference keeps; what does not fit is
  /// refused whole.
  explicit DictionaryWriter(std::size_t capacity = std::size_t{1} << 20) : capacity_(capacity) {}

  bool bytes(std::string_view key, Bytes value);

  bool text(std::string_view key, std::string_view value) { return bytes(key, bytes_of(value)); }

  /// 16 lower-case hexadecimal digits.
  bool u64(std::string_view key, std::uint64_t value);
  /// The absolute value: the reference loses the sign (dictionary.json, `typed`).
  bool i64(std::string_view key, std::int64_t value);

  bool boolean(std::string_view key, bool value) { return text(key, value ? "1" : "0"); }

  /// 10 digits.
  bool address(std::string_view key, Address value) { return text(key, to_string(value)); }

  [[nodiscard]] const ByteVector& encoded() const { return encoded_; }

 private:
  std::size_t capacity_;
  ByteVector encoded_;
};

}  // namespace orrery::wire
