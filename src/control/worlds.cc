#include "control/worlds.h"

#include <algorithm>

#include "crypto/curve.h"

namespace orrery::control {

namespace {

constexpr std::int64_t kMaxAhead =
    86'400'000;  // ms; further ahead would shut out honest successors

}  // namespace

bool signs_itself(const wire::World& world) {
  return crypto::verify(world.update_key, wire::world_signed_bytes(world), world.signature);
}

bool Worlds::replaces(const wire::World& held, const wire::World& world) const {
  return held.type == world.type && held.id == world.id && world.timestamp > held.timestamp &&
         crypto::verify(held.update_key, wire::world_signed_bytes(world), world.signature);
}

Worlds::Verdict Worlds::load(const wire::World& world) {
  if (world.type == wire::World::Type::kPlanet) {
    if (planet_.type != wire::World::Type::kNull && !replaces(planet_, world))
      return Verdict::kRejected;
    planet_ = world;
    return Verdict::kAccepted;
  }
  if (world.type != wire::World::Type::kMoon) return Verdict::kRejected;
  const auto held = moons_.find(world.id);
  if (held != moons_.end() && !replaces(held->second, world)) return Verdict::kRejected;
  settle(world);
  return Verdict::kAccepted;
}

Worlds::Verdict Worlds::offer(const wire::World& world, Millis wall) {
  if (static_cast<std::int64_t>(world.timestamp) > wall + kMaxAhead ||
      static_cast<std::int64_t>(world.timestamp) < 0) {
    return Verdict::kRejected;
  }
  if (world.type == wire::World::Type::kPlanet) {
    // Without a planet there is nothing that could be updated: the first one is the operator's.
    if (planet_.type == wire::World::Type::kNull || !replaces(planet_, world))
      return Verdict::kRejected;
    planet_ = world;
    return Verdict::kAccepted;
  }
  if (world.type != wire::World::Type::kMoon) return Verdict::kRejected;
  const auto held = moons_.find(world.id);
  if (held != moons_.end()) {
    if (!replaces(held->second, world)) return Verdict::kRejected;
    held->second = world;
    return Verdict::kAccepted;
  }
  const bool wished = std::any_of(wishes_.begin(), wishes_.end(), [&](const Wish& wish) {
    return wish.id == world.id &&
           std::any_of(world.roots.begin(), world.roots.end(), [&](const wire::WorldRoot& root) {
             return root.identity.address == wish.seed;
           });
  });
  const bool waiting = std::any_of(unproven_.begin(), unproven_.end(),
                                   [&](const Unproven& u) { return u.moon.id == world.id; });
  if (!wished || waiting) return Verdict::kRejected;
  Unproven unproven{world, {}};
  for (const wire::WorldRoot& root : world.roots) unproven.missing.push_back(root.identity);
  unproven_.push_back(std::move(unproven));
  return Verdict::kUnproven;
}

std::vector<wire::World> Worlds::prove(const wire::Identity& identity, bool valid) {
  std::vector<wire::World> complete;
  for (auto it = unproven_.begin(); it != unproven_.end();) {
    const bool named = std::erase(it->missing, identity) != 0;
    if (named && !valid) {
      it = unproven_.erase(it);
    } else if (named && it->missing.empty()) {
      complete.push_back(std::move(it->moon));
      it = unproven_.erase(it);
    } else {
      ++it;
    }
  }
  for (const wire::World& moon : complete) settle(moon);
  return complete;
}

void Worlds::forget_unproven(const wire::Identity& identity) {
  std::erase_if(unproven_, [&](const Unproven& u) {
    return std::find(u.missing.begin(), u.missing.end(), identity) != u.missing.end();
  });
}

void Worlds::settle(const wire::World& moon) {
  moons_[moon.id] = moon;
  std::erase_if(wishes_, [&](const Wish& wish) {
    return wish.id == moon.id &&
           std::any_of(moon.roots.begin(), moon.roots.end(),
                       [&](const auto& root) { return root.identity.address == wish.seed; });
  });
}

void Worlds::wish(const Wish& wish) {
  if (std::find(wishes_.begin(), wishes_.end(), wish) == wishes_.end()) wishes_.push_back(wish);
}

bool Worlds::deorbit(std::uint64_t id) {
  std::erase_if(unproven_, [&](const Unproven& u) { return u.moon.id == id; });
  const bool wished = std::erase_if(wishes_, [&](const Wish& w) { return w.id == id; }) != 0;
  return moons_.erase(id) != 0 || wished;
}

bool Worlds::is_seed(wire::Address address) const {
  return std::any_of(wishes_.begin(), wishes_.end(),
                     [&](const Wish& wish) { return wish.seed == address; });
}

std::vector<wire::MoonEntry> Worlds::entries() const {
  std::vector<wire::MoonEntry> entries;
  for (const auto& [id, moon] : moons_)
    entries.push_back({wire::kWorldTypeMoon, id, moon.timestamp});
  for (const Wish& wish : wishes_) {
    const bool named = std::any_of(entries.begin(), entries.end(),
                                   [&](const wire::MoonEntry& e) { return e.id == wish.id; });
    if (!named) entries.push_back({wire::kWorldTypeMoon, wish.id, 0});
  }
  return entries;
}

ByteVector Worlds::planet_update(std::uint64_t id, std::uint64_t timestamp) const {
  if (planet_.type == wire::World::Type::kNull || id == 0 || planet_.id != id ||
      planet_.timestamp <= timestamp) {
    return {};
  }
  return wire::encode_world(planet_);
}

ByteVector Worlds::moon_update(const wire::MoonEntry& entry) const {
  const auto held = moons_.find(entry.id);
  if (held == moons_.end() || held->second.timestamp <= entry.timestamp) return {};
  return wire::encode_world(held->second);
}

std::vector<Upstream> Worlds::upstreams(const wire::Identity& self) const {
  std::map<wire::Address, Upstream> by_address;
  const auto take = [&](const wire::World& world) {
    for (const wire::WorldRoot& root : world.roots) {
      if (root.identity == self) continue;
      Upstream& upstream = by_address[root.identity.address];
      // The first world that names an address decides its key.
      if (!upstream.identity) upstream.identity = root.identity;
      if (upstream.identity != root.identity) continue;
      upstream.anywhere |= root.endpoints.empty();
      upstream.planet |= world.type == wire::World::Type::kPlanet;
      for (const wire::Endpoint& endpoint : root.endpoints) {
        if (std::find(upstream.endpoints.begin(), upstream.endpoints.end(), endpoint) ==
            upstream.endpoints.end()) {
          upstream.endpoints.push_back(endpoint);
        }
      }
    }
  };
  take(planet_);
  for (const auto& [id, moon] : moons_) take(moon);
  std::vector<Upstream> upstreams;
  for (auto& [address, upstream] : by_address) upstreams.push_back(std::move(upstream));
  return upstreams;
}

std::vector<std::uint64_t> Worlds::naming(const wire::Identity& identity) const {
  std::vector<std::uint64_t> ids;
  const auto look = [&](const wire::World& world) {
    if (std::any_of(world.roots.begin(), world.roots.end(),
                    [&](const wire::WorldRoot& root) { return root.identity == identity; })) {
      ids.push_back(world.id);
    }
  };
  look(planet_);
  for (const auto& [id, moon] : moons_) look(moon);
  return ids;
}

bool Worlds::names(std::uint64_t world, const wire::Identity& identity) const {
  const std::vector<std::uint64_t> ids = naming(identity);
  return std::find(ids.begin(), ids.end(), world) != ids.end();
}

bool Worlds::lists(const wire::Identity& identity) const {
  return !naming(identity).empty();
}

}  // namespace orrery::control
