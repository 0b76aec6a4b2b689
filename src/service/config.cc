#include "service/config.h"

#define TOML_HEADER_ONLY 1  // the library of the package throws
#define TOML_EXCEPTIONS  0  // errors come as values, with their line
// Its assertions fail for texts such as "[[[", which its own checks then report as errors.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "dataplane/ethdev.h"
#include "dataplane/placement.h"
#include "service/home.h"

namespace orrery::service {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

/// One table of the file with the keys it may have. A handler stores the value, or says what was
/// expected.
class TableReader {
 public:
  using Handler = std::function<std::optional<std::string>(const toml::node&)>;

  TableReader(std::string file, std::string table)
      : file_(std::move(file)), table_(std::move(table)) {}

  TableReader& key(const std::string& name, Handler handler) {
    handlers_[name] = std::move(handler);
    return *this;
  }

  Result<void> read(const toml::table& table) const {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const auto it = handlers_.find(name);
      if (it == handlers_.end()) return std::unexpected(unknown(name, node));
      if (const auto expectation = it->second(node)) {
        return failure(Errc::kInvalid,
                       where(node) + ": " + full(name) + ": expected " + *expectation);
      }
    }
    return {};
  }

 private:
  [[nodiscard]] std::string where(const toml::node& node) const {
    return file_ + ":" + std::to_string(node.source().begin.line);
  }

  [[nodiscard]] std::string full(const std::string& name) const {
    return "key \"" + (table_.empty() ? name : table_ + "." + name) + "\"";
  }

  [[nodiscard]] Error unknown(const std::string& name, const toml::node& node) const {
    std::string nearest;
    std::size_t best = ~std::size_t{0};
    for (const auto& [known, handler] : handlers_) {
      const std::size_t distance = edit_distance(name, known);
      if (distance < best) {
        best = distance;
        nearest = known;
      }
    }
    return {Errc::kInvalid, where(node) + ": unknown " + full(name) +
                                "; the nearest known key is \"" + nearest + "\""};
  }

  std::string file_;
  std::string table_;
  std::map<std::string, Handler> handlers_;
};

TableReader::Handler text(std::string& target) {
  return [&target](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<std::string>();
    if (!value || value->empty()) return "a text in quotes";
    target = *value;
    return std::nullopt;
  };
}

TableReader::Handler choice(std::string& target, std::vector<std::string> choices) {
  return [&target, choices](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<std::string>();
    if (!value || std::find(choices.begin(), choices.end(), *value) == choices.end()) {
      std::string list = "one of";
      for (const std::string& c : choices) list += " \"" + c + "\"";
      return list;
    }
    target = *value;
    return std::nullopt;
  };
}

TableReader::Handler flag(bool& target) {
  return [&target](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<bool>();
    if (!value) return "true or false";
    target = *value;
    return std::nullopt;
  };
}

TableReader::Handler number(std::uint16_t& target, std::int64_t low, std::int64_t high) {
  return [&target, low, high](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < low || *value > high) {
      return "a number from " + std::to_string(low) + " to " + std::to_string(high);
    }
    target = static_cast<std::uint16_t>(*value);
    return std::nullopt;
  };
}

/// An array of texts, each turned into a T by `parse` (std::nullopt: not acceptable).
template <typename T, typename Parse>
TableReader::Handler list(std::vector<T>& target, Parse parse, const std::string& expectation) {
  return [&target, parse, expectation](const toml::node& node) -> std::optional<std::string> {
    const toml::array* array = node.as_array();
    if (array == nullptr) return "a list of " + expectation;
    target.clear();
    for (const toml::node& element : *array) {
      const auto value = element.value_exact<std::string>();
      const auto parsed = value ? parse(*value) : std::nullopt;
      if (!parsed) return "a list of " + expectation;
      target.push_back(*parsed);
    }
    return std::nullopt;
  };
}

TableReader::Handler network(wire::NetworkId& target) {
  return [&target](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<std::string>();
    const auto id = value ? wire::parse_network_id(*value) : std::nullopt;
    if (!id || !*id) return "a network id of 16 hexadecimal digits";
    target = *id;
    return std::nullopt;
  };
}

std::optional<wire::Endpoint> prefix(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || value.find('/') == std::string::npos ||
      parsed->port > parsed->ip_size() * 8) {
    return std::nullopt;
  }
  return parsed;
}

std::optional<wire::Endpoint> plain_ip(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || value.find('/') != std::string::npos) return std::nullopt;
  return parsed;
}

/// A sub-table, or an array of tables when `each` is called per element.
TableReader::Handler table(std::function<Result<void>(const toml::table&)> read,
                           std::optional<Error>& error) {
  return [read, &error](const toml::node& node) -> std::optional<std::string> {
    const toml::table* sub = node.as_table();
    if (sub == nullptr) return "a table";
    if (auto r = read(*sub); !r && !error) error = r.error();
    return std::nullopt;
  };
}

TableReader::Handler tables(std::function<Result<void>(const toml::table&)> each,
                            std::optional<Error>& error) {
  return [each, &error](const toml::node& node) -> std::optional<std::string> {
    const toml::array* array = node.as_array();
    if (array == nullptr) return "an array of tables ([[...]])";
    for (const toml::node& element : *array) {
      const toml::table* sub = element.as_table();
      if (sub == nullptr) return "an array of tables ([[...]])";
      if (auto r = each(*sub); !r && !error) error = r.error();
    }
    return std::nullopt;
  };
}

std::string line_of(const toml::table& t, const std::string& file) {
  return file + ":" + std::to_string(t.source().begin.line);
}

std::optional<Error> complain(const std::string& where, const std::string& key,
                              const std::string& expectation) {
  return Error{Errc::kInvalid, complaint(where, key, "expected " + expectation)};
}

/// An interface name as the kernel takes it: 1 to 15 characters, no space, slash or colon.
bool is_interface_name(const std::string& name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '%';
         });
}

/// Whether `ip` is on the link that `address` (with its prefix length) stands for.
bool on_link(const wire::Endpoint& address, const wire::Endpoint& ip) {
  wire::Endpoint network = address;
  for (std::size_t bit = address.port; bit < address.ip_size() * 8; ++bit)
    network.ip[bit / 8] = static_cast<std::uint8_t>(network.ip[bit / 8] & ~(0x80u >> (bit % 8)));
  return wire::contains(network, ip);
}

bool is_host_address(const wire::Endpoint& e) {
  const wire::IpScope scope = wire::scope_of(e);
  return scope != wire::IpScope::kNone && scope != wire::IpScope::kMulticast &&
         scope != wire::IpScope::kLoopback;
}

/// The same vdev or PCI device under the same name cannot be two things.
std::optional<Error> claimed(const std::string& where, const std::string& key,
                             const std::string& device, const Config& config, bool bridge) {
  const std::string device_name = dataplane::device_name_of(device);
  for (const UnderlayPortConfig& other : config.ports) {
    if (dataplane::device_name_of(other.device) != device_name) continue;
    return complain(where, key, "a device other than \"" + other.device + "\" of " + other.where);
  }
  for (const BridgeConfig& other : config.bridges) {
    if (dataplane::device_name_of(other.device) != device_name) continue;
    if (bridge && other.device == device) continue;
    return complain(where, key, "a device other than \"" + other.device + "\" of " + other.where);
  }
  return std::nullopt;
}

Result<void> check_port(const UnderlayPortConfig& port, const Config& config) {
  const auto refuse = [&](const std::string& key, const std::string& expectation) {
    return std::unexpected(*complain(port.where, "underlay.port." + key, expectation));
  };
  if (port.device.empty() || port.mirror.empty()) {
    return failure(Errc::kInvalid,
                   port.where + ": [[underlay.port]] needs the keys \"device\" and \"mirror\"");
  }
  if (!is_interface_name(port.mirror))
    return refuse("mirror", "an interface name of at most 15 characters");
  if (auto error = claimed(port.where, "underlay.port.device", port.device, config, false))
    return std::unexpected(*error);
  for (const UnderlayPortConfig& other : config.ports) {
    if (other.mirror == port.mirror)
      return refuse("mirror", "a name other than \"" + port.mirror + "\" of " + other.where);
  }
  for (const wire::Endpoint& address : port.addresses) {
    if (!is_host_address(address) || address.port == 0) {
      return refuse("addresses", "addresses of a host such as \"198.51.100.2/24\", not \"" +
                                     wire::to_string(address) + "\"");
    }
  }
  if (!port.gateway) return {};
  const bool reachable =
      std::any_of(port.addresses.begin(), port.addresses.end(), [&](const wire::Endpoint& address) {
        return on_link(address, port.gateway) && !address.same_ip(port.gateway);
      });
  if (!is_host_address(port.gateway) ||
      (!reachable &&
       !(port.gateway.family == 6 && wire::scope_of(port.gateway) == wire::IpScope::kLinkLocal))) {
    return refuse("gateway", "another host on the link of one of \"addresses\", not \"" +
                                 wire::ip_to_string(port.gateway) + "\"");
  }
  return {};
}

Result<void> check_bridge(const BridgeConfig& bridge, const Config& config) {
  if (bridge.device.empty() || !bridge.network) {
    return failure(Errc::kInvalid,
                   bridge.where + ": [[bridge]] needs the keys \"device\" and \"network\"");
  }
  if (auto error = claimed(bridge.where, "bridge.device", bridge.device, config, true))
    return std::unexpected(*error);
  for (const BridgeConfig& other : config.bridges) {
    if (other.device != bridge.device || other.vlan != bridge.vlan) continue;
    return std::unexpected(
        *complain(bridge.where, "bridge.vlan",
                  "a VLAN of \"" + bridge.device + "\" other than that of " + other.where));
  }
  return {};
}

}  // namespace

std::string complaint(const std::string& where, const std::string& key, const std::string& text) {
  return where + ": key \"" + key + "\": " + text;
}

Result<void> apply_toml(std::string_view content, const std::string& name, Config& config) {
  const toml::parse_result parsed = toml::parse(content);
  if (!parsed) {
    return failure(Errc::kInvalid, name + ":" + std::to_string(parsed.error().source().begin.line) +
                                       ": " + std::string(parsed.error().description()));
  }
  std::optional<Error> error;  // the first one of the sub-tables
  std::string idle = config.idle_poll ? "poll" : "adaptive";

  const auto node_table = [&](const toml::table& t) {
    return TableReader(name, "node")
        .key("port", number(config.port, 1, 65535))
        .key("low_bandwidth", flag(config.low_bandwidth))
        .key("log_level", choice(config.log_level, {"debug", "info", "warning", "error"}))
        .key("networks",
             list(
                 config.networks, [](const std::string& v) { return wire::parse_network_id(v); },
                 "network ids of 16 hexadecimal digits"))
        .read(t);
  };
  const auto workers_table = [&](const toml::table& t) {
    return TableReader(name, "workers")
        .key("lcores",
             [&](const toml::node& node) -> std::optional<std::string> {
               const auto value = node.value_exact<std::string>();
               if (!value || (*value != "auto" && !dataplane::parse_cpu_list(*value)))
                 return "\"auto\" or a list of CPUs such as \"2-5\"";
               config.lcores = *value;
               config.lcores_where = name + ":" + std::to_string(node.source().begin.line);
               return std::nullopt;
             })
        .key("idle", choice(idle, {"adaptive", "poll"}))
        .read(t);
  };
  const auto port_table = [&](const toml::table& t) -> Result<void> {
    UnderlayPortConfig port;
    std::vector<wire::Endpoint> gateways;
    auto r =
        TableReader(name, "underlay.port")
            .key("device", text(port.device))
            .key("mirror", text(port.mirror))
            .key("addresses", list(port.addresses, prefix, "addresses such as \"198.51.100.2/24\""))
            .key("gateway",
                 [&port](const toml::node& node) -> std::optional<std::string> {
                   const auto value = node.value_exact<std::string>();
                   const auto ip = value ? plain_ip(*value) : std::nullopt;
                   if (!ip) return "an IP address such as \"198.51.100.1\"";
                   port.gateway = *ip;
                   return std::nullopt;
                 })
            .read(t);
    if (!r) return r;
    port.where = line_of(t, name);
    if (auto checked = check_port(port, config); !checked) return checked;
    config.ports.push_back(port);
    return {};
  };
  const auto underlay_table = [&](const toml::table& t) {
    return TableReader(name, "underlay")
        .key("sockets", flag(config.sockets))
        .key("bind", list(config.bind, plain_ip, "IP addresses"))
        .key("interface_blacklist",
             list(
                 config.interface_blacklist,
                 [](const std::string& v) { return std::optional<std::string>(v); },
                 "prefixes of interface names"))
        .key("port", tables(port_table, error))
        .read(t);
  };
  const auto bridge_table = [&](const toml::table& t) -> Result<void> {
    BridgeConfig bridge;
    auto r = TableReader(name, "bridge")
                 .key("device", text(bridge.device))
                 .key("network", network(bridge.network))
                 .key("vlan", number(bridge.vlan, 1, 4094))
                 .key("tap", flag(bridge.tap))
                 .read(t);
    if (!r) return r;
    bridge.where = line_of(t, name);
    if (auto checked = check_bridge(bridge, config); !checked) return checked;
    config.bridges.push_back(bridge);
    return {};
  };
  const auto controller_table = [&](const toml::table& t) -> Result<void> {
    auto r = TableReader(name, "controller")
                 .key("enabled", flag(config.controller))
                 .key("store", text(config.store))
                 .read(t);
    if (!r) return r;
    if (!config.store.starts_with("sqlite:")) {
      return failure(
          Errc::kInvalid,
          line_of(t, name) +
              ": key \"controller.store\": expected \"sqlite:FILE\" (PostgreSQL stores are not "
              "in this version)");
    }
    return {};
  };
  const auto dpdk_table = [&](const toml::table& t) {
    return TableReader(name, "dpdk").key("pdump", flag(config.pdump)).read(t);
  };

  auto r = TableReader(name, "")
               .key("node", table(node_table, error))
               .key("workers", table(workers_table, error))
               .key("underlay", table(underlay_table, error))
               .key("bridge", tables(bridge_table, error))
               .key("controller", table(controller_table, error))
               .key("dpdk", table(dpdk_table, error))
               .read(parsed.table());
  if (!r) return r;
  if (error) return std::unexpected(*error);
  config.idle_poll = idle == "poll";
  return {};
}

Result<void> apply_local_conf(std::string_view content, const std::string& name, Config& config) {
  const auto json = nlohmann::json::parse(content, nullptr, false);
  if (!json.is_object()) return failure(Errc::kInvalid, name + ": expected a JSON object");
  const auto warn = [&](const std::string& text) { config.warnings.push_back(name + ": " + text); };
  for (const auto& [section, value] : json.items()) {
    if (!value.is_object()) {
      warn("\"" + section + "\" is not an object and is ignored");
    } else if (section == "physical") {
      for (const auto& [key, entry] : value.items()) {
        const auto network_ip = prefix(key);
        if (!network_ip || !entry.is_object()) {
          warn("physical network \"" + key + "\" is not IP/bits and is ignored");
          continue;
        }
        control::PhysicalNetwork physical;
        physical.network = *network_ip;
        for (const auto& [name_, v] : entry.items()) {
          if (name_ == "blacklist" && v.is_boolean()) {
            physical.blacklist = v.get<bool>();
          } else if (name_ == "trustedPathId" && v.is_number_unsigned()) {
            physical.trusted_path_id = v.get<std::uint64_t>();
          } else if (name_ == "mtu" && v.is_number_unsigned()) {
            physical.mtu =
                static_cast<std::uint16_t>(std::min<std::uint64_t>(v.get<std::uint64_t>(), 10324));
          } else {
            warn("physical[\"" + key + "\"]." + name_ + " is not known and is ignored");
          }
        }
        if (physical.trusted_path_id != 0) {
          warn("packets to and from " + key +
               " are neither encrypted nor authenticated (trustedPathId)");
        }
        config.physical.push_back(physical);
      }
    } else if (section == "virtual") {
      for (const auto& [key, entry] : value.items()) {
        const auto address = wire::parse_address(key);
        if (!address || !entry.is_object()) {
          warn("virtual[\"" + key + "\"] is not a node address and is ignored");
          continue;
        }
        for (const auto& [name_, v] : entry.items()) {
          if (name_ != "try" || !v.is_array()) {
            warn("virtual[\"" + key + "\"]." + name_ + " is not known and is ignored");
            continue;
          }
          for (const auto& hint : v) {
            const auto endpoint =
                hint.is_string() ? wire::parse_endpoint(hint.get<std::string>()) : std::nullopt;
            if (endpoint && *endpoint && endpoint->port != 0)
              config.hints.emplace_back(*address, *endpoint);
          }
        }
      }
    } else if (section == "settings") {
      for (const auto& [key, v] : value.items()) {
        if (key == "primaryPort" && v.is_number_unsigned() && v.get<std::uint64_t>() > 0 &&
            v.get<std::uint64_t>() < 65536) {
          config.port = v.get<std::uint16_t>();
        } else if (key == "lowBandwidthMode" && v.is_boolean()) {
          config.low_bandwidth = v.get<bool>();
        } else if (key == "interfacePrefixBlacklist" && v.is_array()) {
          for (const auto& p : v) {
            if (p.is_string()) config.interface_blacklist.push_back(p.get<std::string>());
          }
        } else if (key == "bind" && v.is_array()) {
          for (const auto& p : v) {
            const auto ip = p.is_string() ? plain_ip(p.get<std::string>()) : std::nullopt;
            if (ip) config.bind.push_back(*ip);
          }
        } else {
          warn("settings." + key + " is not known and is ignored");
        }
      }
    } else {
      warn("\"" + section + "\" is not known and is ignored");
    }
  }
  return {};
}

Result<Config> load_config(const CommandLine& command_line) {
  Config config;
  if (command_line.home) config.home = *command_line.home;
  const Home home = Home::peek(config.home);

  if (auto file = home.read("local.conf"); !file) {
    return std::unexpected(file.error());
  } else if (*file) {
    if (auto r = apply_local_conf(text_of(**file), home.path("local.conf"), config); !r)
      return std::unexpected(r.error());
  }

  std::string name = home.path("orrery.toml");
  Result<std::optional<ByteVector>> file = std::optional<ByteVector>{};
  if (command_line.config_file) {
    name = *command_line.config_file;
    const std::size_t slash = name.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : name.substr(0, slash + 1);
    file = Home::peek(directory).read(slash == std::string::npos ? name : name.substr(slash + 1));
    if (file && !*file)
      return failure(Errc::kNotFound, "configuration file " + name + " does not exist");
  } else {
    file = home.read("orrery.toml");
  }
  if (!file) return std::unexpected(file.error());
  if (*file) {
    if (auto r = apply_toml(text_of(**file), name, config); !r) return std::unexpected(r.error());
  }

  if (command_line.port) config.port = *command_line.port;
  config.eal_arguments = command_line.eal_arguments;
  return config;
}

}  // namespace orrery::service
