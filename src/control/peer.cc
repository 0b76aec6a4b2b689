#include "control/peer.h"

#include <algorithm>

namespace orrery::control {

const PeerPath* Peer::best(Millis now, bool include_expired) const {
  const PeerPath* chosen = nullptr;
  std::int64_t chosen_value = 0;
  for (const PeerPath& entry : paths) {
    if (!include_expired && !entry.unexpired(now)) continue;
    const std::int64_t value = entry.path->quality(now) / std::max(entry.priority, 1);
    if (chosen == nullptr || value <= chosen_value) {
      chosen = &entry;
      chosen_value = value;
    }
  }
  return chosen;
}

PeerPath* Peer::best(Millis now, bool include_expired) {
  return const_cast<PeerPath*>(std::as_const(*this).best(now, include_expired));
}

PeerPath* Peer::entry_of(const fib::PathKey& key) {
  for (PeerPath& entry : paths) {
    if (entry.path->key == key) return &entry;
  }
  return nullptr;
}

bool Peer::confirmed(const fib::PathKey& key, Millis now) const {
  return std::any_of(paths.begin(), paths.end(), [&](const PeerPath& entry) {
    const fib::PathKey& known = entry.path->key;
    return known == key || (known.socket == key.socket && known.remote.same_ip(key.remote) &&
                            entry.unexpired(now) && entry.path->alive(now));
  });
}

void Peer::learn(Path* path, Millis now) {
  std::size_t slot = paths.size();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const Path& known = *paths[i].path;
    if (known.key.socket == path->key.socket && known.key.remote.same_ip(path->key.remote) &&
        !known.alive(now)) {
      slot = i;
      break;
    }
  }
  const std::size_t most = established() ? kMaxPathsPerPeer : kMaxPathsOfStranger;
  if (slot == paths.size() && paths.size() >= most) {
    const auto oldest = std::min_element(
        paths.begin(), paths.end(),
        [](const PeerPath& a, const PeerPath& b) { return a.path->last_in < b.path->last_in; });
    slot = static_cast<std::size_t>(oldest - paths.begin());
  }
  ++path->references;
  const PeerPath entry{path, now, 1};
  if (slot == paths.size()) {
    paths.push_back(entry);
  } else {
    --paths[slot].path->references;
    paths[slot] = entry;
  }
}

void Peer::drop_path(std::size_t index) {
  --paths[index].path->references;
  paths.erase(paths.begin() + static_cast<std::ptrdiff_t>(index));
}

void Peer::drop_all_paths() {
  for (PeerPath& entry : paths) --entry.path->references;
  paths.clear();
}

int Peer::latency(Millis now) const {
  const PeerPath* entry = best(now, false);
  return entry == nullptr ? kLatencyUnknown : entry->path->latency_ms;
}

std::int64_t Peer::relay_quality(Millis now) const {
  if (!alive(now)) return 4'294'967'295;
  const int known = latency(now);
  return static_cast<std::int64_t>(known == 0 ? kLatencyUnknown : known) *
         ((now - last_receive) / 61'000 + 1);
}

}  // namespace orrery::control
