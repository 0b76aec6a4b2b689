#include "service/metrics.h"

#include <algorithm>
#include <map>

#include "control/rules/rule_text.h"

namespace orrery::service {
namespace {

using Label = MetricsText::Label;

/// Between quotes.
void append_escaped(std::string& text, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
}

// X(enumerator, metric label)
#define ORRERY_FOR_EACH_ERROR(X)                               \
  X(kObjectNotFound, "obj_not_found")                          \
  X(kIdentityCollision, "identity_collision")                  \
  X(kUnsupportedOperation, "unsupported_operation")            \
  X(kNeedMembershipCertificate, "need_membership_certificate") \
  X(kNetworkAccessDenied, "network_access_denied")             \
  X(kUnwantedMulticast, "unwanted_multicast")                  \
  X(kNetworkAuthenticationRequired, "authentication_required")

void packets(MetricsText& text, const Metrics& m) {
  text.family("zt_packet", "counter", "packets by verb");
  for (const auto& [direction, counts] : {std::pair("rx", &m.received), std::pair("tx", &m.sent)}) {
#define ORRERY_VERB_METRIC(name, code, label) \
  text.value({{"direction", direction}, {"packet_type", label}}, counts->packets[code]);
    ORRERY_FOR_EACH_VERB(ORRERY_VERB_METRIC)
#undef ORRERY_VERB_METRIC
  }
  text.family("zt_packet_error", "counter", "ERROR packets by code");
  for (const auto& [direction, counts] : {std::pair("rx", &m.received), std::pair("tx", &m.sent)}) {
#define ORRERY_ERROR_METRIC(name, label)                        \
  text.value({{"direction", direction}, {"error_type", label}}, \
             counts->errors[static_cast<std::size_t>(wire::ErrorCode::name)]);
    ORRERY_FOR_EACH_ERROR(ORRERY_ERROR_METRIC)
#undef ORRERY_ERROR_METRIC
    // No code says it.
    text.value({{"direction", direction}, {"error_type", "internal_server_error"}}, 0);
  }
  text.family("zt_data", "counter", "bytes of datagrams");
  text.value({{"direction", "rx"}, {"protocol", "udp"}}, m.underlay_rx);
  text.value({{"direction", "tx"}, {"protocol", "udp"}}, m.underlay_tx);
  // There is no relay over TCP.
  text.value({{"direction", "rx"}, {"protocol", "tcp"}}, 0);
  text.value({{"direction", "tx"}, {"protocol", "tcp"}}, 0);
}

void networks(MetricsText& text, const Metrics& m) {
  text.single("zt_num_networks", "gauge", "joined networks", m.networks.size());
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        auto lines) {
    text.family(name, type, help);
    for (const Metrics::Network& n : m.networks) lines(n, wire::to_string(n.id));
  };
  each("zt_network_multicast_groups_subscribed", "gauge", "multicast groups that the host is in",
       [&](const auto& n, const std::string& id) { text.value({{"network_id", id}}, n.groups); });
  each("zt_network_packets", "counter",
       "frames carried by workers, and those that rules, addresses or limits stopped",
       [&](const auto& n, const std::string& id) {
         const auto line = [&](const char* accepted, const char* direction, std::uint64_t count) {
           text.value({{"accepted", accepted}, {"direction", direction}, {"network_id", id}},
                      count);
         };
         line("yes", "rx", n.traffic.rx_packets);
         line("yes", "tx", n.traffic.tx_packets);
         line("no", "rx", n.traffic.rx_refused);
         line("no", "tx", n.traffic.tx_refused);
       });
  each("orrery_network_bytes", "counter", "bytes of Ethernet frames carried by workers",
       [&](const auto& n, const std::string& id) {
         text.value({{"direction", "rx"}, {"network_id", id}}, n.traffic.rx_bytes);
         text.value({{"direction", "tx"}, {"network_id", id}}, n.traffic.tx_bytes);
       });
  each("orrery_rule_frames", "counter",
       "frames that a rule decided about, by its number; \"none\": no rule accepted them; "
       "\"capability\": one let them through",
       [&](const auto& n, const std::string& id) {
         for (std::size_t rule = 0; rule < n.hits.rules.size(); ++rule) {
           const std::string what = control::rule_text(n.hits.rules[rule]);
           text.value({{"network_id", id}, {"rule", std::to_string(rule)}, {"text", what}},
                      n.hits.frames[rule]);
         }
         text.value({{"network_id", id}, {"rule", "none"}, {"text", ""}}, n.hits.nobody);
         text.value({{"network_id", id}, {"rule", "capability"}, {"text", ""}},
                    n.hits.by_capability);
       });
}

void peers(MetricsText& text, const Metrics& m) {
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        auto lines) {
    text.family(name, type, help);
    for (const Metrics::Peer& p : m.peers) lines(p, wire::to_string(p.address));
  };
  each("zt_peer_latency", "histogram", "round trips of probes (ms)",
       [&](const auto& p, const std::string& id) {
         const control::RoundTrips trips = p.round_trips.value_or(control::RoundTrips());
         text.value({{"node_id", id}}, trips.count(), "_count");
         text.value({{"node_id", id}}, trips.sum(), "_sum");
         for (std::size_t i = 0; i < trips.kBounds.size(); ++i) {
           const std::string bound = std::to_string(trips.kBounds[i]);
           text.value({{"node_id", id}, {"le", bound}}, trips.within(i), "_bucket");
         }
         text.value({{"node_id", id}, {"le", "+Inf"}}, trips.count(), "_bucket");
       });
  each("zt_peer_path_count", "gauge", "direct paths", [&](const auto& p, const std::string& id) {
    text.value({{"node_id", id}, {"status", "alive"}}, p.alive);
    text.value({{"node_id", id}, {"status", "dead"}}, p.dead);
  });
  each("zt_peer_packets", "counter", "packets", [&](const auto& p, const std::string& id) {
    text.value({{"direction", "rx"}, {"node_id", id}}, p.received + p.traffic.rx_packets);
    text.value({{"direction", "tx"}, {"node_id", id}}, p.sent + p.traffic.tx_packets);
  });
  each("zt_peer_packet_errors", "counter", "packets in its name that were not authentic",
       [&](const auto& p, const std::string& id) {
         text.value({{"node_id", id}}, p.refused + p.traffic.rx_refused);
       });
  each("orrery_peer_bytes", "counter", "bytes of packets with frames, by workers",
       [&](const auto& p, const std::string& id) {
         text.value({{"direction", "rx"}, {"node_id", id}}, p.traffic.rx_bytes);
         text.value({{"direction", "tx"}, {"node_id", id}}, p.traffic.tx_bytes);
       });
}

void controller(MetricsText& text, const ControllerMetrics& c) {
  text.single("controller_network_count", "gauge", "networks", c.networks);
  text.single("controller_member_count", "gauge", "members, authorised or not", c.members);
  text.single("controller_network_change_count", "counter", "changes of networks",
              c.network_changes);
  text.single("controller_member_change_count", "counter", "changes of members", c.member_changes);
  text.single("controller_member_auth_count", "counter", "authorisations", c.authorized);
  text.single("controller_member_deauth_count", "counter", "deauthorisations", c.deauthorized);
  text.single("controller_network_config_request", "counter", "requests for configurations",
              c.requests);
  text.single("controller_network_config_request_queue", "gauge",
              "configurations that are being signed", c.outstanding);
  text.single("controller_network_config_request_threads", "gauge", "threads that sign", c.signers);
}

void own(MetricsText& text, const Metrics& m) {
  text.single("orrery_online", "gauge", "1: a root is reachable", m.online ? 1 : 0);
  text.family("orrery_dropped", "counter",
              "packets that were dropped, and other counts of each part, by reason");
  for (const Metrics::Drop& d : m.drops)
    text.value({{"part", d.part}, {"reason", d.reason}}, d.count);
  text.family("orrery_port_packets", "counter", "packets by port");
  for (const Metrics::Port& p : m.ports) {
    text.value({{"direction", "rx"}, {"port", p.name}}, p.rx_packets);
    text.value({{"direction", "tx"}, {"port", p.name}}, p.tx_packets);
  }
  text.family("orrery_port_bytes", "counter", "bytes by port");
  for (const Metrics::Port& p : m.ports) {
    text.value({{"direction", "rx"}, {"port", p.name}}, p.rx_bytes);
    text.value({{"direction", "tx"}, {"port", p.name}}, p.tx_bytes);
  }
  std::map<std::string_view, std::uint64_t> alarms;
#define ORRERY_ALARM_METRIC(name, label) alarms[label] = 0;
  ORRERY_FOR_EACH_ALARM(ORRERY_ALARM_METRIC)
#undef ORRERY_ALARM_METRIC
  for (const control::Alarm& alarm : m.alarms) ++alarms[control::label_of(alarm.kind)];
  text.family("orrery_alarms", "gauge", "alarms that stand, by kind");
  for (const auto& [kind, count] : alarms) text.value({{"kind", kind}}, count);
  text.single("orrery_alarms_raised", "counter", "alarms since the start", m.alarms_raised);
}

}  // namespace

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  text_.append(name).append(" ").append(type).append("\n");
}

void MetricsText::value(std::initializer_list<Label> labels, std::uint64_t value,
                        std::string_view suffix) {
  text_.append(name_).append(suffix);
  const char* before = "{";
  for (const auto& [label, content] : labels) {
    text_.append(before).append(label).append("=\"");
    append_escaped(text_, content);
    text_ += '"';
    before = ",";
  }
  if (labels.size() != 0) text_ += '}';
  text_.append(" ").append(std::to_string(value)).append("\n");
}

void MetricsText::single(std::string_view name, std::string_view type, std::string_view help,
                         std::uint64_t content) {
  family(name, type, help);
  value({}, content);
}

std::string to_text(Metrics metrics) {
  if (metrics.peers.size() > Metrics::kMostPeers) {
    std::ranges::sort(metrics.peers, std::ranges::greater{}, [](const Metrics::Peer& p) {
      return p.traffic.rx_packets + p.traffic.tx_packets + p.received + p.sent;
    });
    metrics.peers.resize(Metrics::kMostPeers);
  }
  MetricsText text;
  packets(text, metrics);
  networks(text, metrics);
  peers(text, metrics);
  if (metrics.controller) controller(text, *metrics.controller);
  own(text, metrics);
  return text.take();
}

}  // namespace orrery::service
