// The local switch of one bridged network: its TAP, its LAN ports, and the overlay as one more
// side. It decides where a frame goes; whoever asks sends it.
//
// Split horizon: what came from the overlay goes to local ports only, and nothing goes back to the
// port that it came from. A blocked port (control found that somebody else bridges the same LAN)
// passes nothing but probes. Broadcast, multicast and frames for stations that nobody knows have a
// rate per LAN port. Sources that no station of a LAN can have are refused, as are those that are
// fixed to another port. Who asks for an IP address whose owner is known hears the owner, or, where
// the overlay lies between, is answered in its name.
//
// One instance per network, made by control and shared by the workers that have ports of it; all
// may call it at once. Ports have numbers, given by control and kept as long as the instance; 0 is
// the host's TAP. Which stations are in the overlay is control's to say (it knows them by bridge,
// with limits); frames from there only move those that were known here.
// Source: docs/architecture.md, "Bridges".
#pragma once

#include <atomic>
#include <vector>

#include "dataplane/drop.h"
#include "dataplane/lan_table.h"
#include "dataplane/neighbour_table.h"
#include "dataplane/rate_limit.h"

namespace orrery::dataplane {

/// What an operator says of one LAN port. Rates are frames per second, 0 is no limit; the defaults
/// are some times what ARP, DHCP, mDNS and routing protocols of a LAN of 4,000 hosts make.
struct LanPortOptions {
  std::uint32_t broadcast = 2'000;
  std::uint32_t multicast = 10'000;
  std::uint32_t unknown = 2'000;  // unicast whose destination nobody knows
  std::vector<wire::Mac> fixed;   // stations that are there and nowhere else
  bool dhcp_guard = false;        // what DHCP servers say does not cross the port, either way
  bool ra_guard = false;          // the same for IPv6 router advertisements and redirects
  bool loop_guard = true;         // control looks for other bridges of the same LAN and network
  // ARP and neighbour discovery between the port and the overlay are answered from what is known
  bool arp_nd_suppression = false;
};

class LanSwitch {
 public:
  static constexpr unsigned kMaxPorts = 64;
  static constexpr unsigned kTap = 0;
  static constexpr unsigned kOverlay = LanTable::kOverlay;

  /// Where a frame goes. Nobody gets it: `drop` says why. With a `neighbour`, the frame may be
  /// answered in its name instead of going to the other side of the overlay.
  struct Verdict {
    std::uint64_t ports = 0;  // bit n: local port n
    bool overlay = false;
    bool probe = false;  // it is control's, and nobody else's
    Drop drop = Drop::kNone;
    fib::Neighbour neighbour{};
  };

  /// Of one side.
  struct Counts {
    std::uint64_t moved = 0;      // stations that came from another side
    std::uint64_t held = 0;       // frames of stations that moved too fast
    std::uint64_t refused = 0;    // frames of stations that found no place
    std::uint64_t fixed = 0;      // frames that used the address of a fixed station of another side
    std::uint64_t contested = 0;  // claims of IP addresses that another station had claimed
  };

  LanSwitch(wire::NetworkId network, wire::Address self, SipKey key,
            const LanTable::Limits& limits = {});

  [[nodiscard]] wire::NetworkId network() const { return network_; }

  // --- control's
  /// Before anybody else uses the switch. False when a fixed station found no place.
  [[nodiscard]] bool add_lan_port(unsigned port, const LanPortOptions& options) noexcept;

  /// Which ports there are now. Bit n: port n.
  void set_ports(std::uint64_t ports) noexcept { ports_.store(ports, std::memory_order_relaxed); }

  void block(unsigned port, bool blocked) noexcept;

  [[nodiscard]] bool blocked(unsigned port) const noexcept {
    return port < kMaxPorts && (blocked_.load(std::memory_order_relaxed) >> port & 1) != 0;
  }

  /// A station behind a remote bridge, or no longer.
  void add_remote(wire::Mac mac, Millis now) noexcept { table_.introduce(mac, kOverlay, now); }

  void remove_remote(wire::Mac mac) noexcept { table_.forget(mac, kOverlay); }

  void expire(Millis now) noexcept { table_.expire(now); }

  [[nodiscard]] std::size_t stations(unsigned side) const noexcept { return table_.stations(side); }

  [[nodiscard]] Counts counts(unsigned side) const noexcept;

  // --- the workers'
  /// A frame that local port `port` received. REQUIRES: port < kMaxPorts.
  [[nodiscard]] Verdict from_local(unsigned port, Bytes frame, Millis now) noexcept;
  /// A frame that came from the overlay.
  [[nodiscard]] Verdict from_overlay(Bytes frame, Millis now) noexcept;

 private:
  struct Side {
    RateLimit broadcast, multicast, unknown;  // of LAN ports
    RateLimit probes{kProbesPerSecond};
    std::atomic<std::uint64_t> moved{0}, held{0}, refused{0}, fixed{0}, contested{0};
  };

  // Bridges of one LAN send one a second each and answer newcomers; the rest is a flood.
  static constexpr std::uint32_t kProbesPerSecond = 256;

  [[nodiscard]] bool is_member_mac(wire::Mac mac) const noexcept {
    return mac.first_octet() == member_octet_;
  }

  /// Ports that keep the frame on their side.
  [[nodiscard]] std::uint64_t guarded(Bytes frame) const noexcept;
  /// False: its source is fixed elsewhere.
  bool learn(wire::Mac source, unsigned side, Millis now) noexcept;

  /// What the frame says of IP addresses is noted. Returns who has the one that it asks for.
  std::optional<fib::Neighbour> heed(Bytes frame, unsigned side, Millis now) noexcept;
  /// Where the station is; kUnknown when nobody knows, or it is at no port that there is now.
  [[nodiscard]] unsigned whereabouts(wire::Mac mac, Millis now) const noexcept;

  /// Ports that frames may leave by.
  [[nodiscard]] std::uint64_t open_ports() const noexcept {
    return ports_.load(std::memory_order_relaxed) & ~blocked_.load(std::memory_order_relaxed);
  }

  const wire::NetworkId network_;
  const SipKey key_;
  const wire::Mac own_mac_;          // of the TAP
  const std::uint8_t member_octet_;  // of the MACs of members: they are not on the LAN
  std::uint64_t dhcp_guarded_ = 0, ra_guarded_ = 0;  // constant once in use
  std::uint64_t lan_ports_ = 0;                      // constant once in use
  std::uint64_t suppressing_ = 0;                    // constant once in use
  std::atomic<std::uint64_t> ports_{0};
  std::atomic<std::uint64_t> blocked_{0};
  LanTable table_;
  std::unique_ptr<NeighbourTable> neighbours_;  // null unless some port is suppressing
  std::array<Side, LanTable::kSides> sides_;
};

}  // namespace orrery::dataplane
