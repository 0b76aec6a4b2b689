// [[limit]], [bond], [tcp_fallback] and [tcp_relay]: how much goes which way.
#include "service/config_tables.h"
#include "service/config_values.h"

namespace orrery::service {
namespace {

constexpr std::int64_t kMostKbit = 1'000'000'000;

}  // namespace

Result<void> read_limit(const toml::table& t, const std::string& name, Config& config) {
  LimitConfig limit;
  const auto address = [&limit](const toml::node& node) -> std::optional<std::string> {
    const auto value = node.value_exact<std::string>();
    const auto member = value ? wire::parse_address(*value) : std::nullopt;
    if (!member) return "the address of a member, 10 hexadecimal digits";
    limit.rule.member = *member;
    return std::nullopt;
  };
  auto r = TableReader(name, "limit")
               .key("network", network(limit.network))
               .key("member", address)
               .key("from_kbit", number(limit.rule.from, 0, kMostKbit))
               .key("to_kbit", number(limit.rule.to, 0, kMostKbit))
               .key("tag", number(limit.rule.tag.emplace(), 0, 0xffffffff))
               .read(t);
  if (!r) return r;
  if (!t.contains("tag")) limit.rule.tag.reset();
  const std::string where = line_of(t, name);
  if (!limit.network)
    return failure(Errc::kInvalid, where + ": [[limit]] needs the key \"network\"");
  for (const LimitConfig& other : config.limits) {
    if (other.network == limit.network && other.rule.member == limit.rule.member) {
      return std::unexpected(*complain(where, limit.rule.member ? "limit.member" : "limit.network",
                                       "another one than that of an earlier [[limit]]"));
    }
  }
  config.limits.push_back(limit);
  return {};
}

Result<void> read_bond(const toml::table& t, const std::string& name, Config& config) {
  control::BondSettings& everybody = config.bonds.everybody;
  std::string policy = name_of(everybody.policy), reselect;
  std::vector<std::pair<wire::Address, control::BondPolicy>> peers;
  auto r = TableReader(name, "bond")
               .key("policy", choice(policy, {"none", "active-backup", "balance-xor"}))
               .key("reselect", choice(reselect, {"failure", "better", "always"}))
               .key("primary",
                    list(
                        everybody.primary, [](const std::string& v) { return std::optional(v); },
                        "names of interfaces"))
               .key("peers", list(peers, parse_bond,
                                  "\"ADDRESS=POLICY\", such as "
                                  "\"1122334455=active-backup\""))
               .read(t);
  if (!r) return r;
  everybody.policy = *bond_policy(policy);
  if (!everybody.primary.empty()) everybody.reselect = control::BondReselect::kAlways;
  if (!reselect.empty()) everybody.reselect = *bond_reselect(reselect);
  if (everybody.reselect == control::BondReselect::kAlways && everybody.primary.empty()) {
    return std::unexpected(
        *complain(line_of(t, name), "bond.reselect", "\"primary\" beside \"always\""));
  }
  for (const auto& [address, own] : peers) {
    config.bonds.peers[address] = everybody;
    config.bonds.peers[address].policy = own;
  }
  return {};
}

Result<void> read_tcp_fallback(const toml::table& t, const std::string& name, Config& config) {
  TcpFallbackConfig& fallback = config.tcp_fallback;
  fallback.where = line_of(t, name);
  auto r = TableReader(name, "tcp_fallback")
               .key("relay",
                    [&fallback](const toml::node& node) -> std::optional<std::string> {
                      const auto value = node.value_exact<std::string>();
                      const auto relay = value ? address_and_port(*value) : std::nullopt;
                      if (!relay) return "an address and a port such as \"198.51.100.1/443\"";
                      fallback.relay = *relay;
                      return std::nullopt;
                    })
               .key("enabled", flag(fallback.enabled))
               .key("force", flag(fallback.forced))
               .read(t);
  if (r && fallback.forced && !fallback.usable()) {
    return std::unexpected(*complain(fallback.where, "tcp_fallback.force",
                                     "\"relay\" beside it, and \"enabled\" not to be false"));
  }
  return r;
}

Result<void> read_tcp_relay(const toml::table& t, const std::string& name, Config& config) {
  TcpRelayConfig& relay = config.tcp_relay;
  relay.where = line_of(t, name);
  auto r =
      TableReader(name, "tcp_relay")
          .key("listen", list(relay.listen, address_and_port,
                              "addresses and ports such as \"198.51.100.1/443\""))
          .key("connections", number(relay.limits.connections, 1, 65'536))
          .key("connections_of_source", number(relay.limits.per_source, 1, 65'536))
          .key("rate", number(relay.limits.rate, 10'000, 1'000'000'000))
          .key("allow", list(relay.limits.allowed, prefix, "networks such as \"10.0.0.0/8\""))
          .key("deny", list(relay.limits.denied, prefix, "networks such as \"203.0.113.0/24\""))
          .read(t);
  if (r && relay.listen.empty()) {
    return std::unexpected(*complain(relay.where, "tcp_relay.listen",
                                     "at least one address and port to offer the relay at"));
  }
  return r;
}

}  // namespace orrery::service
