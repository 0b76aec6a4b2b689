// The encryption around a HELLO that protocol 13 calls extended armor: an observer sees who is
// addressed, and of the sender no more than the address.
//
// [0..18] header as ever, flags with kFlagExtended under cipher 0
// [19..n) MAC, verb and payload, AES-256-CTR under SHA-512(X25519(ephemeral, recipient))[0..31]
// [n..n+31] the ephemeral X25519 public key
//
// What is inside is a HELLO sealed by cipher 0, with the flag under its MAC; this layer alone
// authenticates nothing. Opening costs a key agreement before anything is known of the sender: put
// it behind a rate gate. Not yet tried against a node of 1.16: how the counter block is made is one
// function of extended_armor.cc. Source: docs/protocol/13-after-1.14.md.
#pragma once

#include "crypto/curve.h"
#include "wire/header.h"

namespace orrery::crypto {

/// The bit of the flags that says so; the same one accompanies cipher 1 in all versions.
inline constexpr std::uint8_t kFlagExtended = wire::kFlagEncrypted;
/// Nodes that announce this protocol read it.
inline constexpr int kExtendedArmorProtocol = 13;
/// Bytes that it appends.
inline constexpr std::size_t kExtendedArmorSize = 32;

/// Whether these are the flags of a HELLO in extended armor.
[[nodiscard]] inline bool has_extended_armor(const wire::PacketHeader& header) {
  return header.cipher() == 0 && (header.flags & kFlagExtended) != 0;
}

/// Around a sealed packet, in place; `ephemeral`: 32 random bytes, used once. REQUIRES:
/// kFlagExtended was set before it was sealed. False: the recipient's key is of no use, and the
/// packet unchanged.
[[nodiscard]] bool add_extended_armor(ByteVector& packet, const wire::PublicKey& recipient,
                                      Bytes ephemeral);

/// Takes it off in place. The size of the packet inside; 0 when it is too short or the key is of
/// low order.
[[nodiscard]] std::size_t open_extended_armor(MutableBytes packet, const wire::PrivateKey& own);

}  // namespace orrery::crypto
