#include "control/config_assembly.h"

#include <algorithm>

namespace orrery::control {

const ConfigAssembly::Slot* ConfigAssembly::find(std::uint64_t update_id) const {
  const auto it = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.update_id == update_id; });
  return update_id != 0 && it != slots_.end() ? &*it : nullptr;
}

bool ConfigAssembly::holds(const wire::ConfigChunk& chunk) const {
  const Slot* slot = find(chunk.update_id);
  if (slot == nullptr) return false;
  const auto range = slot->ranges.find(chunk.offset);
  return range != slot->ranges.end() && range->second == chunk.offset + chunk.data.size();
}

ConfigAssembly::Outcome ConfigAssembly::add(Millis now, const wire::ConfigChunk& chunk) {
  if (!chunk.has_signature) {
    if (chunk.data.empty() || chunk.data.size() >= wire::kMaxConfigSize) return Outcome::kRefused;
    complete_.assign(chunk.data.begin(), chunk.data.end());
    return Outcome::kComplete;
  }
  const std::uint64_t end = std::uint64_t{chunk.offset} + chunk.data.size();
  if (chunk.update_id == 0 || chunk.data.empty() || end > chunk.total || chunk.total >= wire::kMaxConfigSize) {
    return Outcome::kRefused;
  }
  auto* slot = const_cast<Slot*>(find(chunk.update_id));
  if (slot != nullptr && now - slot->last > kTimeout) {
    *slot = {};
    slot = nullptr;
  }
  if (slot == nullptr) {
    // The slot that has waited longest makes room: newer updates win.
    slot = &*std::min_element(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) {
      return (a.update_id == 0 ? Millis{-1} : a.last) < (b.update_id == 0 ? Millis{-1} : b.last);
    });
    *slot = {};
    slot->update_id = chunk.update_id;
    slot->total = chunk.total;
    slot->data.resize(chunk.total);
  }
  slot->last = now;
  if (slot->total != chunk.total || slot->ranges.size() >= kMaxChunks) return Outcome::kRefused;
  if (holds(chunk)) return Outcome::kDuplicate;
  // Ranges may touch but never overlap.
  const auto after = slot->ranges.lower_bound(chunk.offset);
  if (after != slot->ranges.end() && after->first < end) return Outcome::kRefused;
  if (after != slot->ranges.begin() && std::prev(after)->second > chunk.offset) return Outcome::kRefused;
  std::copy(chunk.data.begin(), chunk.data.end(), slot->data.begin() + chunk.offset);
  slot->ranges.emplace(chunk.offset, static_cast<std::uint32_t>(end));
  std::uint64_t covered = 0;
  for (const auto& [first, last] : slot->ranges) covered += last - first;
  if (covered != slot->total) return Outcome::kParked;
  complete_ = std::move(slot->data);
  *slot = {};
  return Outcome::kComplete;
}

}  // namespace orrery::control
