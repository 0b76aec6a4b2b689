// The local switch of one bridged network: its TAP, its LAN ports, and the overlay as one more
// side. It decides where a frame goes; whoever asks sends it.
//
// Split horizon: what came from the overlay goes to local ports only, and never back to the port
// that it came from. One instance per network, made by control and shared with the workers that
// have ports of it; ports have numbers, given by control and kept as long as the instance.
#pragma once

#include <atomic>

#include "dataplane/drop.h"
#include "dataplane/lan_table.h"

namespace orrery::dataplane {

class LanSwitch {
 public:
  static constexpr unsigned kMaxPorts = 64;

  /// Where a frame goes. Nobody gets it: `drop` says why.
  struct Verdict {
    std::uint64_t ports = 0;  // bit n: local port n
    bool overlay = false;
    Drop drop = Drop::kNone;
  };

  LanSwitch(wire::NetworkId network, SipKey key)
      : network_(network), member_octet_(wire::mac_first_octet(network)), table_(key) {}

  [[nodiscard]] wire::NetworkId network() const { return network_; }

  /// Control's: which ports there are now. Bit n: port n.
  void set_ports(std::uint64_t ports) noexcept { ports_.store(ports, std::memory_order_relaxed); }

  /// A frame that local port `port` received. REQUIRES: port < kMaxPorts.
  [[nodiscard]] Verdict from_local(unsigned port, Bytes frame, Millis now) noexcept;
  /// A frame that came from the overlay.
  [[nodiscard]] Verdict from_overlay(Bytes frame, Millis now) noexcept;

 private:
  const wire::NetworkId network_;
  const std::uint8_t member_octet_;  // of the MACs of members: they are not on the LAN
  std::atomic<std::uint64_t> ports_{0};
  LanTable table_;
};

}  // namespace orrery::dataplane
