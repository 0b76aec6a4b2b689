#include "service/config.h"

#include "dataplane/placement.h"
#include "dataplane/tables/seen_set.h"
#include "service/config_tables.h"
#include "service/config_values.h"
#include "service/home.h"
#include "service/pin_text.h"
#include "service/store_location.h"

namespace orrery::service {
namespace {

constexpr std::int64_t kMostStations = 131'072;  // as many as the workers' table of routes holds
constexpr std::int64_t kMostPeers = 16'000'000;  // of a root: 16 GB

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
  std::string encrypted_hello;

  const auto reader = [&](auto* read) {
    return [&name, &config, read](const toml::table& t) { return read(t, name, config); };
  };
  const auto node_table = [&](const toml::table& t) {
    return TableReader(name, "node")
        .key("port", number(config.port, 1, 65535))
        .key("low_bandwidth", flag(config.low_bandwidth))
        .key("clamp_mss", flag(config.clamp_mss))
        .key("overlay_in_overlay", flag(config.nested))
        .key("port_prediction", flag(config.port_prediction))
        .key("encrypted_hello", choice(encrypted_hello, {"off", "able", "always"}))
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
        .key("replay_ids", count(config.replay_ids, std::int64_t{dataplane::SeenSet::kMost}))
        .key("relay_rate", count(config.relay_rate, 100'000'000))
        .read(t);
  };
  const auto underlay_table = [&](const toml::table& t) {
    return TableReader(name, "underlay")
        .key("sockets", flag(config.sockets))
        .key("port_mapping", flag(config.port_mapping))
        .key("bind", list(config.bind, plain_ip, "IP addresses"))
        .key("interface_blacklist",
             list(
                 config.interface_blacklist,
                 [](const std::string& v) { return std::optional<std::string>(v); },
                 "prefixes of interface names"))
        .key("port", tables(reader(read_port), error))
        .read(t);
  };
  const auto stations_table = [&](const toml::table& t) {
    return TableReader(name, "stations")
        .key("per_bridge", number(config.stations.per_port, 1, kMostStations))
        .key("per_network", number(config.stations.total, 1, kMostStations))
        .read(t);
  };
  const auto root_table = [&](const toml::table& t) {
    return TableReader(name, "root")
        .key("peers", number(config.root_peers, 1'024, kMostPeers))
        .read(t);
  };
  const auto upstreams_table = [&](const toml::table& t) {
    const auto address = [](const std::string& v) { return wire::parse_address(v); };
    return TableReader(name, "upstreams")
        .key("prefer", list(config.preferred_roots, address,
                            "addresses of roots, 10 hexadecimal digits each"))
        .key("exclude",
             list(config.excluded_roots, address, "addresses of roots, 10 hexadecimal digits each"))
        .read(t);
  };
  const auto trust_table = [&](const toml::table& t) {
    std::vector<Pin> pins;
    auto r = TableReader(name, "trust")
                 .key("strict", flag(config.strict))
                 .key("pins", list(pins, parse_pin,
                                   "\"ADDRESS:FINGERPRINT\", 10 and 96 hexadecimal digits (orrery "
                                   "identity fingerprint)"))
                 .read(t);
    for (const Pin& pin : pins) config.pins[pin.address] = pin.fingerprint;
    return r;
  };
  const auto controller_table = [&](const toml::table& t) -> Result<void> {
    auto r = TableReader(name, "controller")
                 .key("enabled", flag(config.controller))
                 .key("store", text(config.store))
                 .read(t);
    if (!r) return r;
    if (!config.store.starts_with("sqlite:") && !is_shared(config.store)) {
      return failure(Errc::kInvalid, line_of(t, name) +
                                         ": key \"controller.store\": expected \"sqlite:FILE\" or "
                                         "\"postgresql://USER@HOST/DATABASE\"");
    }
    return {};
  };
  const auto dpdk_table = [&](const toml::table& t) {
    return TableReader(name, "dpdk")
        .key("pdump", flag(config.pdump))
        .key("telemetry", flag(config.telemetry))
        .read(t);
  };

  const auto capture_table = [&](const toml::table& t) {
    return TableReader(name, "capture").key("enabled", flag(config.capture)).read(t);
  };

  auto r = TableReader(name, "")
               .key("node", table(node_table, error))
               .key("workers", table(workers_table, error))
               .key("underlay", table(underlay_table, error))
               .key("bridge", tables(reader(read_bridge), error))
               .key("limit", tables(reader(read_limit), error))
               .key("stations", table(stations_table, error))
               .key("bond", table(reader(read_bond), error))
               .key("tcp_fallback", table(reader(read_tcp_fallback), error))
               .key("tcp_relay", table(reader(read_tcp_relay), error))
               .key("root", table(root_table, error))
               .key("upstreams", table(upstreams_table, error))
               .key("trust", table(trust_table, error))
               .key("controller", table(controller_table, error))
               .key("dpdk", table(dpdk_table, error))
               .key("capture", table(capture_table, error))
               .read(parsed.table());
  if (!r) return r;
  if (error) return std::unexpected(*error);
  config.idle_poll = idle == "poll";
  using control::ExtendedHello;
  if (encrypted_hello == "off") config.extended_hello = ExtendedHello::kOff;
  if (encrypted_hello == "able") config.extended_hello = ExtendedHello::kAble;
  if (encrypted_hello == "always") config.extended_hello = ExtendedHello::kAlways;
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
  if (config.tcp_fallback.forced && !config.tcp_fallback.usable()) {
    config.warnings.push_back(
        "the TCP relay is to be used always, but none is named or it is not allowed: UDP is used");
  }
  if (config.tcp_fallback.replaces_udp() && !config.ports.empty()) {
    return std::unexpected(*complain(config.ports.front().where, "underlay.port",
                                     "no such table where TCP replaces UDP"));
  }
  config.eal_arguments = command_line.eal_arguments;
  return config;
}

}  // namespace orrery::service
