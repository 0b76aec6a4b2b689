// The page of metrics, in the text format of Prometheus: the names that zerotier-one has, and ours,
// which begin with "orrery_".
//
// MetricsText writes families one after another; Metrics is what the daemon tells, gathered on the
// control thread when somebody asks. Peers get lines of their own up to kMostPeers, busiest first:
// a root knows many. Source: docs/protocol/12-local-service.md section 9; docs/interop.md names
// what is left out, and why.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/alarms.h"
#include "control/round_trips.h"
#include "control/verb_counts.h"
#include "dataplane/publisher.h"
#include "wire/address.h"

namespace orrery::service {

class MetricsText {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  /// A family begins. `type`: "counter", "gauge" or "histogram".
  void family(std::string_view name, std::string_view type, std::string_view help);
  /// One line of the family; `suffix` behind its name ("_bucket" of a histogram).
  void value(std::initializer_list<Label> labels, std::uint64_t value,
             std::string_view suffix = {});

  /// A family of one line without labels.
  void single(std::string_view name, std::string_view type, std::string_view help,
              std::uint64_t value);

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

/// Not inside of Metrics, which has one that may be missing: clang would not know yet how it is
/// made.
struct ControllerMetrics {
  std::uint64_t networks = 0, members = 0;
  std::uint64_t network_changes = 0, member_changes = 0, authorized = 0, deauthorized = 0;
  std::uint64_t requests = 0, outstanding = 0, signers = 0;
};

struct Metrics {
  static constexpr std::size_t kMostPeers = 1'000;

  struct Peer {
    wire::Address address;
    std::uint64_t alive = 0, dead = 0;                  // paths
    std::uint64_t received = 0, sent = 0, refused = 0;  // packets of control and workers
    dataplane::Traffic traffic;                         // of workers
    std::optional<control::RoundTrips> round_trips;
  };

  struct Network {
    wire::NetworkId id;
    std::uint64_t groups = 0;  // subscribed to
    dataplane::Traffic traffic;
    dataplane::Publisher::RuleHitCounts hits;
  };

  /// "drops" of the API: part -> reason -> count.
  struct Drop {
    std::string part, reason;
    std::uint64_t count = 0;
  };

  struct Port {
    std::string name;
    std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  };

  bool online = false;
  control::VerbCounts received, sent;              // with the frames of workers
  std::uint64_t underlay_rx = 0, underlay_tx = 0;  // bytes
  std::vector<Network> networks;
  std::vector<Peer> peers;
  std::optional<ControllerMetrics> controller;
  std::vector<Drop> drops;
  std::vector<Port> ports;
  std::vector<control::Alarm> alarms;
  std::uint64_t alarms_raised = 0;
};

/// Takes `metrics`, since peers are put in order.
[[nodiscard]] std::string to_text(Metrics metrics);

}  // namespace orrery::service
