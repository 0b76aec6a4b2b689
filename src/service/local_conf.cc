// local.conf, for what comes from a home of the reference. What is not known here is a warning.
#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "service/config.h"
#include "service/config_values.h"

namespace orrery::service {

namespace {

using Warn = std::function<void(const std::string&)>;
using Policies = std::map<std::string, control::BondSettings>;

/// One of the operator's own policies; nothing, and a warning, for those that build on what is not
/// offered here.
std::optional<control::BondSettings> read_policy(const std::string& name, const nlohmann::json& v,
                                                 const Warn& warn) {
  const std::string where = "settings.policies[\"" + name + "\"]";
  control::BondSettings settings;
  const std::string base = v.is_object() && v.contains("basePolicy") && v["basePolicy"].is_string()
                               ? v["basePolicy"].get<std::string>()
                               : std::string();
  const auto policy = bond_policy(base);
  if (!policy) {
    warn(where + ": its basePolicy is not offered here, so it is ignored");
    return std::nullopt;
  }
  settings.policy = *policy;
  std::optional<control::BondReselect> reselect;
  for (const auto& [key, value] : v.items()) {
    if (key == "basePolicy") continue;
    if (key == "activeReselect" && value.is_string()) {
      reselect = bond_reselect(value.get<std::string>());
      if (!reselect) warn(where + ".activeReselect is not known and is ignored");
    } else if (key == "links" && value.is_object()) {
      for (const auto& [interface, link] : value.items()) {
        if (link.is_object() && link.contains("mode") && link["mode"] == "primary")
          settings.primary.push_back(interface);
      }
    } else {
      warn(where + "." + key + " is not known and is ignored");
    }
  }
  settings.reselect = reselect.value_or(settings.primary.empty() ? control::BondReselect::kFailure
                                                                 : control::BondReselect::kAlways);
  return settings;
}

/// A policy of the reference by name, or one of the operator's.
std::optional<control::BondSettings> policy_named(const nlohmann::json& name, const Policies& own) {
  if (!name.is_string()) return std::nullopt;
  const auto text = name.get<std::string>();
  if (const auto it = own.find(text); it != own.end()) return it->second;
  const auto policy = bond_policy(text);
  if (!policy) return std::nullopt;
  control::BondSettings settings;
  settings.policy = *policy;
  return settings;
}

/// The settings of bonds, together: peers and the default name policies that stand beside them.
void read_bonds(const nlohmann::json& settings, control::BondOptions& bonds, const Warn& warn) {
  Policies own;
  if (const auto it = settings.find("policies"); it != settings.end() && it->is_object()) {
    for (const auto& [name, value] : it->items()) {
      if (const auto policy = read_policy(name, value, warn)) own[name] = *policy;
    }
  }
  if (const auto it = settings.find("defaultBondingPolicy"); it != settings.end()) {
    if (const auto policy = policy_named(*it, own)) {
      bonds.everybody = *policy;
    } else {
      warn("settings.defaultBondingPolicy is not offered here and is ignored");
    }
  }
  if (const auto it = settings.find("peerSpecificBonds"); it != settings.end() && it->is_object()) {
    for (const auto& [peer, name] : it->items()) {
      const auto address = wire::parse_address(peer);
      const auto policy = policy_named(name, own);
      if (address && policy) {
        bonds.peers[*address] = *policy;
      } else {
        warn("settings.peerSpecificBonds[\"" + peer + "\"] is not offered here and is ignored");
      }
    }
  }
}

}  // namespace

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
      read_bonds(value, config.bonds, warn);
      for (const auto& [key, v] : value.items()) {
        if (key == "primaryPort" && v.is_number_unsigned() && v.get<std::uint64_t>() > 0 &&
            v.get<std::uint64_t>() < 65536) {
          config.port = v.get<std::uint16_t>();
        } else if (key == "lowBandwidthMode" && v.is_boolean()) {
          config.low_bandwidth = v.get<bool>();
        } else if (key == "portMappingEnabled" && v.is_boolean()) {
          config.port_mapping = v.get<bool>();
        } else if (key == "policies" || key == "defaultBondingPolicy" ||
                   key == "peerSpecificBonds") {
          // together, above
        } else if (key == "allowTcpFallbackRelay" && v.is_boolean()) {
          config.tcp_fallback.enabled = v.get<bool>();
        } else if (key == "forceTcpRelay" && v.is_boolean()) {
          config.tcp_fallback.forced = v.get<bool>();
        } else if (key == "tcpFallbackRelay" && v.is_string()) {
          if (const auto relay = address_and_port(v.get<std::string>())) {
            config.tcp_fallback.relay = *relay;
          } else {
            warn("settings.tcpFallbackRelay is not IP/port and is ignored");
          }
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

}  // namespace orrery::service
