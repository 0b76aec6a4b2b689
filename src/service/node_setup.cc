#include "service/node_setup.h"

#include <sodium.h>
#include <spdlog/spdlog.h>

#include "control/worlds.h"
#include "service/control_loop.h"

namespace orrery::service {
namespace {

/// Whether one of these worlds names the identity.
bool is_root(const control::NodeOptions& options) {
  control::Worlds worlds;
  const auto load = [&](Bytes bytes) {
    Reader reader(bytes);
    if (const auto world = wire::read_world(reader)) (void)worlds.load(*world);
  };
  if (!options.planet.empty()) load(options.planet);
  for (const ByteVector& moon : options.moons) load(moon);
  return worlds.lists(options.identity.identity());
}

/// What a root has more of than other nodes: peers, strangers, requests under way, and a store in
/// which records cost no file each.
Result<void> become_root(Home& home, const Config& config, control::NodeOptions& options) {
  const auto damaged = home.open_peer_store();
  if (!damaged) return std::unexpected(damaged.error());
  if (*damaged) {
    spdlog::error("alarm: {} is damaged and was moved aside; peers are met and proven again",
                  home.path(PeerStore::kFileName));
  }
  options.limits.peers = config.root_peers;
  options.limits.paths = config.root_peers * 2;
  options.limits.requests = 65'536;
  options.limits.strangers = 20'000;
  options.limits.saves = 20'000;
  return {};
}

Result<void> load_worlds(const Home& home, control::NodeOptions& options) {
  const auto world_of = [&](const std::string& file) -> Result<std::optional<ByteVector>> {
    auto world = home.world(file);
    if (!world) return std::unexpected(world.error());
    if (!*world) return std::optional<ByteVector>{};
    if ((*world)->damaged)
      spdlog::error("alarm: {} is damaged; the last good one is used", home.path(file));
    return std::optional(std::move((*world)->bytes));
  };
  auto planet = world_of("planet");
  if (!planet) return std::unexpected(planet.error());
  if (*planet) {
    options.planet = **planet;
  } else {
    spdlog::warn(
        "there is no planet file in {}: this node reaches nobody. Make one with \"orrery planet "
        "create\", or copy "
        "the file of an existing network's nodes.",
        home.directory());
  }
  for (const std::string& file : home.list("moons.d", ".moon")) {
    const auto moon = world_of("moons.d/" + file);
    if (!moon || !*moon) continue;
    Reader reader(**moon);
    const auto world = wire::read_world(reader);
    if (world && file != wire::to_string(wire::NetworkId{world->id}) + ".moon") {
      spdlog::warn("{} is the moon {}: it is ignored unless its name is that id",
                   home.path("moons.d/" + file), wire::to_string(wire::NetworkId{world->id}));
      continue;
    }
    options.moons.push_back(**moon);
  }
  return {};
}

}  // namespace

Result<control::NodeOptions> node_options(Home& home, const Config& config) {
  auto identity = home.identity();
  if (!identity) return std::unexpected(identity.error());
  control::NodeOptions options{.identity = std::move(*identity)};
  options.identity_accepted = home.identity_accepted(options.identity.identity());
  if (const auto nonce = home.read("nonce.state"); nonce && *nonce && (*nonce)->size() == 8) {
    options.nonce_floor = load_be64((*nonce)->data());
  }
  if (auto r = load_worlds(home, options); !r) return std::unexpected(r.error());
  if (is_root(options)) {
    if (auto r = become_root(home, config, options); !r) return std::unexpected(r.error());
  }
  auto pins = home.pins();
  if (!pins) return std::unexpected(pins.error());
  options.pins = std::move(*pins);
  for (const auto& [address, fingerprint] : config.pins) options.pins[address] = fingerprint;
  options.cached_peers = home.cached_peers(ControlLoop::now().wall / 1000, options.limits.peers);
  options.physical = config.physical;
  options.hints = config.hints;
  options.low_bandwidth = config.low_bandwidth;
  options.bonds = config.bonds;
  options.port_prediction = config.port_prediction;
  options.nested = config.nested;
  options.strict = config.strict;
  options.preferred_roots = config.preferred_roots;
  options.excluded_roots = config.excluded_roots;
  options.extended_hello = config.extended_hello;
  options.entropy = [](MutableBytes out) { randombytes_buf(out.data(), out.size()); };
  return options;
}

}  // namespace orrery::service
