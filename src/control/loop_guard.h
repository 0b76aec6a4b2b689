// Finds out that frames of one bridged network could go round, and which LAN port must be blocked.
//
// Every LAN port sends a probe a second (wire/bridge_probe.h) and one at once to who is new there.
// A port is blocked while, within the last kSilence,
//
//   - another bridge of the network with a lower address was heard on it that also hears us there
//   and
//     passes frames: it goes on, we do not;
//   - or one of our own probes came back: over the network (somebody who does not understand probes
//     bridges the same LAN), on another LAN port of ours (the one with the lower number goes on),
//     on the same port (the LAN has a loop of its own), or from the host's TAP.
//
// A blocked port goes on sending probes and listening, so it is opened again once the reason is
// gone. What proves what: another's probe carries a tag under the secret that the two nodes share
// and the echo of a nonce that we sent there a moment ago, so neither a stranger on the LAN nor a
// recording blocks a port; our own carry a tag under a key that only we have and a nonce of the
// last seconds. Weak spots: who can pass frames between two LANs in real time makes them one LAN,
// and is taken for that; a stock bridge is only found where the network's rules let the probe's
// ethertype pass.
//
// A pure state machine of one network; control calls it. Source: docs/architecture.md, "Bridges".
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/bridge_probe.h"

namespace orrery::control {

class LoopGuard {
 public:
  static constexpr Millis kInterval = 1'000;  // between probes of a port
  static constexpr Millis kAnswer = 50;       // least time between answers to who is new
  static constexpr Millis kRecent = 3'000;    // a nonce of ours proves presence for so long
  static constexpr Millis kSilence =
      3'500;  // without the reason a port is opened: three lost probes
  static constexpr std::size_t kMostNeighbours = 64;  // heard on one port
  static constexpr unsigned kOverlay = 64;            // the side that is no port

  /// The tag of this message to or from that node under the secret shared with it; nothing when
  /// there is none (yet).
  using Authenticate =
      std::function<std::optional<wire::BridgeProbe::Tag>(wire::Address, Bytes message)>;

  /// What control knows besides.
  struct Context {
    Now now;
    bool forwards = false;                   // configured, and an active bridge
    std::span<const wire::Address> bridges;  // of the network
    const Authenticate& authenticate;
  };

  struct Probe {
    unsigned port = 0;
    ByteVector payload;  // behind the Ethernet header
  };

  struct Change {
    unsigned port = 0;
    bool blocked = false;
    std::string reason;  // why, or why no longer
  };

  struct Output {
    std::vector<Probe> probes;
    std::vector<Change> changes;
  };

  /// What the API shows of one port.
  struct Status {
    unsigned port = 0;
    bool blocked = false;
    std::string reason;                     // while blocked
    std::vector<wire::Address> neighbours;  // other bridges of the network on this LAN
  };

  /// `key` and `source` are random: of our own tags, and of the MAC that probes come from.
  LoopGuard(wire::NetworkId network, wire::Address self, SipKey key, std::uint64_t source,
            std::vector<unsigned> ports);

  /// MAC of our probes: not a member's, or others would not pass it on.
  [[nodiscard]] wire::Mac source() const { return source_; }

  void tick(const Context& context, Output& out);
  /// A probe that came in on a port, kTap or kOverlay.
  void on_probe(const Context& context, unsigned side, Bytes payload, Output& out);

  /// mono, of tick().
  [[nodiscard]] Millis next_deadline() const { return next_; }

  [[nodiscard]] std::vector<Status> status() const;

 private:
  struct Nonce {
    std::uint64_t value = 0;
    Millis sent = 0;
  };

  struct Neighbour {
    std::uint64_t nonce = 0;  // the newest proven one
    Millis heard = 0;
    Millis present = 0;  // heard, and it had heard us; 0: never
    bool forwards = false;
  };

  struct Port {
    unsigned number = 0;
    std::array<Nonce, 32> sent{};  // the last ones, in a ring
    std::size_t next = 0;
    Millis answered = 0;
    std::map<wire::Address, Neighbour> neighbours;
    Millis own_until = 0;  // blocked till then because our own probe came back
    std::string own_reason;
    bool blocked = false;
    std::string reason;
  };

  /// `first`: a bridge that the probe must be for; zero: none in particular.
  void send(const Context& context, Port& port, wire::Address first, Output& out);
  void own_returned(const Context& context, unsigned side, const wire::BridgeProbe& probe,
                    Output& out);
  void judge(const Context& context, Port& port, Output& out);
  [[nodiscard]] static bool recent(const Port& port, std::uint64_t nonce, Millis now);
  [[nodiscard]] Port* find(unsigned number);
  [[nodiscard]] std::uint64_t own_tag(Bytes signed_part) const;

  wire::NetworkId network_;
  wire::Address self_;
  SipKey key_;
  wire::Mac source_;
  std::vector<Port> ports_;
  std::uint64_t last_nonce_ = 0;
  Millis next_ = 0;
  Millis now_ = 0;  // of the last input
};

}  // namespace orrery::control
