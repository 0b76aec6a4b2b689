// Which ports behind a peer's NAT are worth a probe, when that NAT gives each destination another
// port, one after the other, and the plain way has failed.
//
// A root tells the port that the peer has for the root; what the peer sends to us will leave by one
// that comes soon after. Both ends send a burst of probes to the ports behind the told one, and
// each probe opens the next port of the sender's own NAT. One end goes through the ports one by
// one, the other by every second: if the first probes of the two leave by ports that are `a` and
// `b` behind the expected ones, number a + b of the stepping end and number 2a + b of the other
// meet, as long as a + b < kBurst / 2. Who has one port for everybody is met by the probe that hits
// it.
//
// Pure arithmetic; who, when and how often is control/introductions.cc's. Weak spot: NATs that
// choose ports by chance, or for so many hosts that more than kBurst / 2 are taken in between.
#pragma once

#include <array>
#include <cstdint>

namespace orrery::control {

class PortPrediction {
 public:
  static constexpr unsigned kBurst = 32;  // probes of one end

  /// `told`: the port that a root names; `steps`: this end takes every second port first.
  [[nodiscard]] static std::array<std::uint16_t, kBurst> ports(std::uint16_t told, bool steps) {
    std::array<std::uint16_t, kBurst> all{};
    for (unsigned i = 0; i < kBurst; ++i) {
      const unsigned behind = !steps           ? i + 1
                              : i < kBurst / 2 ? 2 * i + 1
                                               : 2 * (i - kBurst / 2) + 2;
      all[i] = later(told, behind);
    }
    return all;
  }

 private:
  static constexpr unsigned kFirst = 1'024;  // below are ports that NATs do not give away

  static std::uint16_t later(std::uint16_t port, unsigned by) {
    const unsigned next = port + by;
    return static_cast<std::uint16_t>(next <= 65'535 ? next : kFirst + (next - 65'536));
  }
};

}  // namespace orrery::control
