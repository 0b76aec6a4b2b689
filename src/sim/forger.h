// Packets made by hand, sealed with the right keys, for what a node must refuse, and for hands of
// scenes (host.h).
#pragma once

#include "crypto/armor.h"
#include "wire/endpoint.h"
#include "wire/verbs/hello.h"
#include "wire/verbs/ok.h"

namespace orrery::sim {

/// One identity that speaks to one node.
class Forger {
 public:
  Forger(crypto::SecretIdentity self, const wire::Identity& target)
      : self_(std::move(self)), as_(self_.identity()), target_(target), keys_(secret_with(target)) {
    keys_.expand();
  }

  /// From now on under another address. The secret depends on the key alone, so where nobody checks
  /// the work one key makes any number of peers.
  void speak_as(wire::Address address) { as_.address = address; }

  /// REQUIRES: the payload fits a datagram.
  ByteVector seal(std::uint64_t id, wire::Verb verb, Bytes payload, wire::Suite suite,
                  unsigned hops = 0) {
    return seal_with(0, id, verb, payload, suite, hops);
  }

  /// A packet to be cut with wire::plan_fragments: it says that it has fragments.
  ByteVector seal_fragmented(std::uint64_t id, wire::Verb verb, Bytes payload, wire::Suite suite) {
    return seal_with(wire::kFlagFragmented, id, verb, payload, suite, 0);
  }

  ByteVector hello(std::uint64_t id, std::int64_t time, const wire::Endpoint& to,
                   const std::vector<wire::MoonEntry>& moons = {}) {
    ByteVector payload(2'048);
    Writer writer(payload);
    const std::size_t masked_at =
        wire::encode_hello(writer, {{12, 1, 14, 1}, time, as_, to, 0, 0, 0});
    writer.u16(static_cast<std::uint16_t>(moons.size()));
    for (const wire::MoonEntry& moon : moons) wire::write_moon_entry(writer, moon);
    payload.resize(writer.size());
    // The mask depends on the id and comes before the MAC.
    ByteVector packet(wire::kHeaderSize + payload.size());
    wire::encode_packet_header(packet, {id, target_.address, as_.address, 0, 0, 1});
    std::copy(payload.begin(), payload.end(), packet.begin() + wire::kHeaderSize);
    crypto::mask_hello_tail(packet, wire::kHeaderSize + masked_at, keys_.secret().bytes());
    crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()),
                         wire::Suite::kMacOnly, &keys_, 0};
    armorer_.armor({&job, 1});
    return packet;
  }

  /// Plaintext of a packet for us, or nothing when it is not from the node.
  std::optional<ByteVector> open(Bytes packet) {
    ByteVector copy(packet.begin(), packet.end());
    if (copy.size() < wire::kHeaderSize) return std::nullopt;
    crypto::DearmorJob job{copy.data(), static_cast<std::uint32_t>(copy.size()), &keys_, false};
    armorer_.dearmor({&job, 1});
    if (!job.ok) return std::nullopt;
    return copy;
  }

  [[nodiscard]] wire::Address address() const { return as_.address; }

  [[nodiscard]] const wire::Identity& identity() const { return as_; }

 private:
  ByteVector seal_with(std::uint8_t flags, std::uint64_t id, wire::Verb verb, Bytes payload,
                       wire::Suite suite, unsigned hops) {
    ByteVector packet(wire::kHeaderSize + payload.size());
    wire::encode_packet_header(
        packet, {id, target_.address, as_.address, flags, 0, static_cast<std::uint8_t>(verb)});
    std::copy(payload.begin(), payload.end(), packet.begin() + wire::kHeaderSize);
    crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), suite, &keys_,
                         0};
    armorer_.armor({&job, 1});
    packet[wire::kFlagsOffset] = static_cast<std::uint8_t>(packet[wire::kFlagsOffset] | hops);
    return packet;
  }

  crypto::PeerKeys secret_with(const wire::Identity& target) const {
    crypto::SharedSecret secret;
    if (!crypto::agree(self_.private_key(), target.public_key, secret)) std::abort();
    return crypto::PeerKeys(secret);
  }

  crypto::SecretIdentity self_;
  wire::Identity as_;
  wire::Identity target_;
  crypto::PeerKeys keys_;
  crypto::Armorer armorer_;
};

/// An identity with a key of one number and the address of another: what a thief of addresses would
/// show.
inline crypto::SecretIdentity with_address(const crypto::SecretIdentity& key,
                                           wire::Address address) {
  wire::Identity identity = key.identity();
  identity.address = address;
  return {identity, key.private_key()};
}

}  // namespace orrery::sim
