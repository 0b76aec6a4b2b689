// Public identity of a node, and its binary and text forms. Whether the address belongs to the key
// is crypto/identity_work.h's business. Source: docs/protocol/01-identity.md sections 1, 2, 8;
// tests/vectors/identity.json.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/cursor.h"
#include "wire/address.h"

namespace orrery::wire {

/// [0..31] X25519 public key, [32..63] Ed25519 public key.
using PublicKey = std::array<std::uint8_t, 64>;
/// [0..31] X25519 scalar, unclamped; [32..63] Ed25519 seed.
using PrivateKey = std::array<std::uint8_t, 64>;

struct Identity {
  static constexpr std::size_t kWireSize = 71;  // bytes without a private key

  Address address;
  PublicKey public_key{};

  explicit operator bool() const { return static_cast<bool>(address); }

  friend auto operator<=>(const Identity&, const Identity&) = default;
};

/// What a parser found; the private key is for files alone and is burned by whoever takes it.
struct ParsedIdentity {
  Identity identity;
  bool has_private = false;
  PrivateKey private_key{};
};

/// Reads the binary form; skips (and reports) a private key. Fails the reader on any other type.
[[nodiscard]] std::optional<ParsedIdentity> read_identity(Reader& reader);
/// 71 bytes, never a private key.
void write_identity(Writer& writer, const Identity& identity);

[[nodiscard]] std::optional<ParsedIdentity> parse_identity(std::string_view text);
[[nodiscard]] std::string to_string(const Identity& identity);
[[nodiscard]] std::string to_string(const Identity& identity, const PrivateKey& private_key);

}  // namespace orrery::wire
