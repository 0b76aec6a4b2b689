#include "control/path.h"

#include <algorithm>

namespace orrery::control {

std::int64_t Path::quality(Millis now) const {
  const Millis age = last_in == 0 ? 140'000 : std::min<Millis>(now - last_in, 140'000);
  const std::int64_t base = age < kPathAlive ? latency_ms : latency_ms + 65'535 + age;
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
  if (table_.size() >= limit_) return nullptr;
  Path& path = table_[key];
  path.key = key;
  return &path;
}

void Paths::sweep(Millis now, Millis idle) {
  std::erase_if(table_, [&](const auto& entry) {
    const Path& path = entry.second;
    return path.references == 0 && now - std::max(path.last_in, path.last_out) > idle;
  });
}

}  // namespace orrery::control
