#include "control/peer.h"

#include <algorithm>
#include <tuple>

namespace orrery::control {

const PeerPath* Peer::chosen(Millis now) const {
  if (steering == nullptr || !steering->chosen) return nullptr;
  for (const PeerPath& entry : paths) {
    if (entry.path->key != steering->chosen) continue;
    const bool current = steering->in_use(now) || entry.alive(now);
    return current && entry.usable(now) ? &entry : nullptr;
  }
  return nullptr;
}

const PeerPath* Peer::best(Millis now, bool include_expired) const {
  const PeerPath* chosen_before = chosen(now);
  if (chosen_before != nullptr) return chosen_before;
  const PeerPath* best = nullptr;
  std::tuple<bool, bool, std::int64_t> least;
  for (const PeerPath& entry : paths) {
    if (!include_expired && !entry.usable(now)) continue;
    const bool secondary =
        steering != nullptr && !steering->primary.empty() && !steering->prefers(entry.path->key);
    const std::tuple value(entry.failed(), secondary, entry.quality(now));
    if (best == nullptr || value <= least) {
      best = &entry;
      least = value;
    }
  }
  return best;
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
                            entry.unexpired(now) && entry.alive(now));
  });
}

void Peer::learn(Path* path, Millis now) {
  // Ours has one port behind its NAT. Where frames pass, answers decide which one it is.
  constexpr Millis kSilent = 1'500;
  const bool one_port = features && (steering == nullptr || !steering->in_use(now));
  std::size_t slot = paths.size();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const Path& known = *paths[i].path;
    const bool silent = one_port && now - paths[i].last_authenticated >= kSilent;
    if (known.key.socket == path->key.socket && known.key.remote.same_ip(path->key.remote) &&
        (!paths[i].alive(now) || paths[i].failed() || silent)) {
      slot = i;
      break;
    }
  }
  const std::size_t most = established() ? kMaxPathsPerPeer : kMaxPathsOfStranger;
  if (slot == paths.size() && paths.size() >= most) {
    const auto oldest = std::min_element(
        paths.begin(), paths.end(),
        [](const PeerPath& a, const PeerPath& b) { return a.last_in() < b.last_in(); });
    slot = static_cast<std::size_t>(oldest - paths.begin());
  }
  ++path->references;
  PeerPath entry{path, now, 1, nullptr};
  if (slot == paths.size()) {
    paths.push_back(std::move(entry));
  } else {
    --paths[slot].path->references;
    paths[slot] = std::move(entry);
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
  return entry == nullptr ? kLatencyUnknown : entry->path->measured.latency_ms();
}

std::int64_t Peer::relay_quality(Millis now) const {
  if (!alive(now)) return 4'294'967'295;
  if (best(now, false) == nullptr) return 4'294'967'294;
  return static_cast<std::int64_t>(std::max(latency(now), 1)) * ((now - last_receive) / 61'000 + 1);
}

}  // namespace orrery::control
