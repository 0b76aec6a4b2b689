// What bridges of one LAN and network tell each other on that LAN, so that one of them blocks its
// port and no frame circulates. Our own: stock nodes neither send nor understand it.
//
// An Ethernet frame to a group that every switch passes on, with an ethertype for local
// experiments:
//
//   [6] kBridgeProbeGroup, [6] source, [2] 0x88b5, then the payload:
//   [4] "OrBP", [1] version, [1] flags, [8] network, [5] node, [1] port, [8] nonce, [8] own tag,
//   [1] count, count times: [5] bridge, [8] echo, [16] tag
//
// The own tag is the sender's, over all before it, under a key that only it has: so it knows its
// own probes when they come back. Each entry is for one other bridge: the newest nonce heard from
// it on this LAN (0: none), and a tag under the secret that the two share, over all before the
// count and the entry without its tag. A tag proves who sent; an echo of a nonce of ours that we
// sent a moment ago proves that he hears us on this LAN now. Source: docs/architecture.md,
// "Bridges".
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/cursor.h"
#include "wire/mac.h"
#include "wire/vlan.h"

namespace orrery::wire {

inline constexpr Mac kBridgeProbeGroup{0x034f72726572ULL};
inline constexpr std::uint16_t kBridgeProbeEthertype = 0x88b5;

struct BridgeProbe {
  static constexpr std::uint8_t kVersion = 1;
  static constexpr std::uint8_t kForwards = 1;  // flag: frames pass between LAN and network there
  static constexpr std::size_t kSigned = 28;    // bytes before the own tag
  static constexpr std::size_t kHead = kSigned + 8 + 1;
  static constexpr std::size_t kEntrySigned = 13;
  static constexpr std::size_t kEntry = kEntrySigned + 16;
  static constexpr std::size_t kMostEntries = 40;  // fits 1,500 bytes
  static constexpr std::size_t kLargest = kHead + kMostEntries * kEntry;

  using Tag = std::array<std::uint8_t, 16>;

  struct Entry {
    Address bridge;
    std::uint64_t echo = 0;
    Tag tag{};
  };

  std::uint8_t flags = 0;
  NetworkId network;
  Address node;
  std::uint8_t port = 0;
  std::uint64_t nonce = 0;
  std::uint64_t own_tag = 0;
};

/// A decoded probe; views into the payload.
struct BridgeProbeView {
  BridgeProbe probe;
  Bytes signed_part;  // what the own tag covers
  Bytes entries;      // whole ones

  /// The entry for this bridge, if it has one.
  [[nodiscard]] std::optional<BridgeProbe::Entry> find(Address bridge) const;
};

/// The payload of an Ethernet frame that is a probe by its head, behind a VLAN tag or not; empty:
/// it is none. Reads 22 bytes at most.
[[nodiscard]] inline Bytes bridge_probe_payload(Bytes frame) {
  if (frame.size() < 18 || Mac::load(frame.data()) != kBridgeProbeGroup) return {};
  const BehindTag in = behind_tag(load_be16(frame.data() + 12), frame.subspan(14));
  const bool probe = in.ethertype == kBridgeProbeEthertype && in.payload.size() >= 4 &&
                     load_be32(in.payload.data()) == 0x4f724250;
  return probe ? in.payload : Bytes{};
}

[[nodiscard]] inline bool is_bridge_probe(Bytes frame) {
  return !bridge_probe_payload(frame).empty();
}

/// Of the payload behind the Ethernet header. Bytes behind the entries are padding.
[[nodiscard]] std::optional<BridgeProbeView> decode_bridge_probe(Bytes payload);
/// The part that the own tag covers. REQUIRES: room for kSigned bytes.
void encode_bridge_probe(Writer& w, const BridgeProbe& probe);
/// What an entry's tag covers, in one piece: the signed part and the entry without its tag.
using BridgeProbeClaim = std::array<std::uint8_t, BridgeProbe::kSigned + BridgeProbe::kEntrySigned>;
[[nodiscard]] BridgeProbeClaim bridge_probe_claim(Bytes signed_part, Address bridge,
                                                  std::uint64_t echo);

}  // namespace orrery::wire
