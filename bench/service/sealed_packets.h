// What somebody who holds a key may send to a node, packet by packet, for the floods of
// tools/bench:
//
//   joiners  HELLO of nodes that hold a key, their MAC right, a new address each, for which there
//   is
//            no proof of work, every one from a source of its own
//   whois    WHOIS of one node that the target knows, for made-up addresses, from one endpoint
#pragma once

#include <time.h>

#include <memory>

#include "control/node/forger.h"
#include "raw_datagrams.h"

namespace orrery::bench {

class SealedPackets {
 public:
  /// HELLOs to `node`, which is at `target`.
  static std::unique_ptr<SealedPackets> joiners(const Target& target, const wire::Identity& node) {
    Random random;
    wire::PrivateKey key{};
    for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random());
    const wire::Identity somebody{wire::Address{1}, crypto::public_key_of(key)};
    return std::make_unique<SealedPackets>(target, wire::Endpoint{},
                                           crypto::SecretIdentity(somebody, key), node);
  }

  /// WHOIS of `self` (with its private key), which the node knows to be at `from`.
  static std::unique_ptr<SealedPackets> whois(const Target& target, const wire::Identity& node,
                                              const wire::ParsedIdentity& self,
                                              const wire::Endpoint& from) {
    return std::make_unique<SealedPackets>(
        target, from, crypto::SecretIdentity(self.identity, self.private_key), node);
  }

  /// `from` nil: joiners, else whois.
  SealedPackets(const Target& target, const wire::Endpoint& from, crypto::SecretIdentity self,
                const wire::Identity& node)
      : target_(target), from_(from), forger_(std::move(self), node) {}

  /// Writes a frame; its bytes. REQUIRES: room for RawPort::kFrame.
  std::size_t write(std::uint8_t* frame) {
    const ByteVector packet = from_ ? whois() : hello();
    write_outer(frame, from_ ? from_ : random_.source(), target_, packet.size());
    std::copy(packet.begin(), packet.end(), frame + kOuterHead);
    return kOuterHead + packet.size();
  }

 private:
  ByteVector hello() {
    forger_.speak_as(wire::Address{0x4400000000ULL | (random_() >> 32)});
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return forger_.hello(random_(), t.tv_sec * 1'000 + t.tv_nsec / 1'000'000, target_.to);
  }

  ByteVector whois() {
    std::array<std::uint8_t, wire::Address::kSize> about;
    Writer w(about);
    w.u40(0x5500000000ULL | (random_() >> 32));
    return forger_.seal(random_(), wire::Verb::kWhois, about, wire::Suite::kAesGmacSiv);
  }

  Target target_;
  wire::Endpoint from_;
  test::Forger forger_;
  Random random_;
};

}  // namespace orrery::bench
