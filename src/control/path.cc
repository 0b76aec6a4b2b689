#include "control/path.h"

#include <algorithm>

namespace orrery::control {

std::int64_t Path::quality(Millis now, Millis heard) const {
  const Millis age = heard == 0 ? 140'000 : std::min<Millis>(now - heard, 140'000);
  // Between any path that is heard and measured, and one that is not.
  constexpr std::int64_t kTunnel = 30'000;
  const std::int64_t cost = measured.cost() + (is_tunnel(key.socket) ? kTunnel : 0);
  const std::int64_t base = age < kPathAlive ? cost : cost + 65'535 + age;
  return base * (8 - static_cast<int>(wire::scope_of(key.remote)));
}

bool usable_as_path(const wire::Endpoint& endpoint) {
  if (endpoint.port == 0) return false;
  switch (wire::scope_of(endpoint)) {
    case wire::IpScope::kPrivate:
    case wire::IpScope::kPseudoPrivate:
    case wire::IpScope::kShared:
    case wire::IpScope::kGlobal:
      break;
    default:
      return false;
  }
  // 2001:470::/32 is a tunnel broker: a path over it is a tunnel in a tunnel.
  static constexpr std::uint8_t kBroker[4] = {0x20, 0x01, 0x04, 0x70};
  return endpoint.family != 6 || std::memcmp(endpoint.ip.data(), kBroker, 4) != 0;
}

Path* Paths::find(const fib::PathKey& key) {
  const auto it = table_.find(key);
  return it == table_.end() ? nullptr : &it->second;
}

Path* Paths::obtain(const fib::PathKey& key) {
  if (Path* known = find(key)) return known;
  if (table_.size() >= limit_ && !make_room()) return nullptr;
  Path& path = table_[key];
  path.key = key;
  path.place = all_.size();
  all_.push_back(&path);
  return &path;
}

bool Paths::make_room() {
  constexpr std::size_t kLooks =
      64;  // of a table that is mostly in use, a few are found each round
  for (std::size_t i = 0; i < std::min(kLooks, all_.size()); ++i) {
    hand_ = hand_ + 1 < all_.size() ? hand_ + 1 : 0;
    if (all_[hand_]->references != 0) continue;
    erase(*all_[hand_]);
    return true;
  }
  return false;
}

void Paths::erase(const Path& path) {
  all_[path.place] = all_.back();
  all_[path.place]->place = path.place;
  all_.pop_back();
  table_.erase(table_.find(path.key));
}

std::size_t Paths::sweep(Millis now, Millis idle, std::size_t place, std::size_t most) {
  for (; place < all_.size() && most != 0; --most) {
    const Path& path = *all_[place];
    if (path.references == 0 && now - std::max(path.last_in, path.last_out) > idle) {
      erase(path);  // another one takes its place
    } else {
      ++place;
    }
  }
  return place < all_.size() ? place : 0;
}

}  // namespace orrery::control
