#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Copies of these over several paths are each answered, or consume what was asked: control's, as
/// there.
bool repeats(std::uint8_t verb) {
  switch (static_cast<wire::Verb>(verb & wire::kVerbMask)) {
    case wire::Verb::kHello:
    case wire::Verb::kEcho:
    case wire::Verb::kOk:
    case wire::Verb::kError:
      return true;
    default:
      return false;
  }
}

/// Ids of one peer's lane that came one after another; the window is moved once for all.
struct Run {
  fib::ReplayWindow* window = nullptr;
  std::uint64_t highest = 0;

  void add(fib::ReplayWindow* of, std::uint64_t id, Millis now) noexcept {
    if (of == window && id >> 60 == highest >> 60) {
      highest = std::max(highest, id);
      return;
    }
    end(now);
    window = of;
    highest = id;
  }

  void end(Millis now) const noexcept {
    if (window != nullptr) window->advance(highest, now);
  }
};

}  // namespace

void replay(WorkerContext& w, PacketVector& v) noexcept {
  if (w.seen == nullptr) return;  // control judges what it is given, and nobody else does
  std::array<std::uint64_t, kVectorMax> ids, sources;
  alignas(64) std::array<std::uint64_t, kVectorMax> hash;
  std::array<std::uint8_t, kVectorMax> lane;
  unsigned n = 0;
  for (unsigned i = 0; i < v.n; ++i) {
    const std::uint8_t* d = v.data(i);
    if (repeats(d[wire::kVerbOffset])) continue;
    fib::ReplayWindow* window = v.peer[i]->peer.window.get();
    if (window != nullptr && v.sent_id[i] != 0 &&
        !window->admits(v.sent_id[i], w.now_ms, w.wall_ns)) {
      v.drop_lane(i, Drop::kReplay);
      continue;
    }
    std::memcpy(&ids[n], d, 8);
    sources[n] = v.peer[i]->peer.address.value;
    lane[n++] = static_cast<std::uint8_t>(i);
  }
  if (n == 0) return;
  // The lines were fetched before the armor. Hashing twice costs less than keeping the hashes.
  w.seen->hash(ids.data(), sources.data(), n, hash.data());
  Run run;
  for (unsigned k = 0; k < n; ++k) {
    const unsigned i = lane[k];
    if (w.seen->insert(hash[k])) {
      v.drop_lane(i, Drop::kReplay);
    } else if (v.sent_id[i] != 0 && v.peer[i]->peer.window != nullptr) {
      run.add(v.peer[i]->peer.window.get(), v.sent_id[i], w.now_ms);
    }
  }
  run.end(w.now_ms);
}

}  // namespace orrery::dataplane
