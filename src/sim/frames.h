// Ethernet frames that tell by themselves whether they came whole, once, and to the right host, and
// which nobody may see on the way.
//
// payload: [8] the scene's mark, [8] number, [4] length, then bytes that follow from the number.
// The mark is secret: it is on no wire but that of members. Every frame is remembered for as long
// as the scene lives; scenes that send millions call forget().
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "sim/internet.h"
#include "wire/address.h"
#include "wire/mac.h"

namespace orrery::sim {

using FrameId = std::uint64_t;

inline constexpr std::uint16_t kFrameType = 0x88b5;  // for local experiments, IEEE 802
inline constexpr std::size_t kFrameMin = 20;         // bytes of payload

class Frames {
 public:
  explicit Frames(Random random) { random.fill(mark_); }

  struct Receipt {
    HostId at = kNobody;
    Micros when = 0;
    bool direct = false;  // came from its sender's own line, not over a relay
  };

  struct Sent {
    wire::NetworkId network;
    HostId from = kNobody;
    wire::Mac to;
    Micros at = 0;
    std::vector<Receipt> receipts;
  };

  /// A frame to be sent now: Ethernet header and payload of `size` bytes.
  ByteVector make(Micros now, wire::NetworkId network, HostId from, wire::Mac source, wire::Mac to,
                  std::size_t size, FrameId& id);

  struct Verdict {
    std::string wrong;           // what is wrong with it; empty: nothing
    const Sent* sent = nullptr;  // what was sent; null for what is forgotten, or not ours to judge
  };

  /// A frame came out at a host, in a datagram that came from `arrived_from`.
  Verdict received(Micros now, HostId at, wire::NetworkId network, wire::Mac destination,
                   std::uint16_t ethertype, Bytes payload, HostId arrived_from);
  /// Whether a datagram shows what only members may see.
  [[nodiscard]] bool shows(Bytes datagram) const;

  /// REQUIRES: not forgotten.
  [[nodiscard]] const Sent& sent(FrameId id) const { return sent_[id - first_]; }

  [[nodiscard]] FrameId next() const { return first_ + sent_.size(); }

  /// Those before `id` are done with: should they still come, nobody looks.
  void forget(FrameId id);

  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

 private:
  void fill(MutableBytes payload, FrameId id) const;

  std::array<std::uint8_t, 8> mark_{};
  std::deque<Sent> sent_;
  FrameId first_ = 1;
  std::uint64_t delivered_ = 0;
};

}  // namespace orrery::sim
