#include "control/config_assembly.h"

#include <algorithm>

namespace orrery::control {

namespace {

std::uint64_t key_of(const wire::ConfigChunk& chunk) {
  return load_be64(chunk.signature.data()) ^ load_be64(chunk.signature.data() + 8);
}

}  // namespace

bool ConfigAssembly::plausible(const wire::ConfigChunk& chunk) {
  return chunk.update_id != 0 && !chunk.data.empty() && chunk.total < wire::kMaxConfigSize &&
         std::uint64_t{chunk.offset} + chunk.data.size() <= chunk.total;
}

bool ConfigAssembly::seen(const wire::ConfigChunk& chunk) const {
  return std::find(seen_.begin(), seen_.end(), key_of(chunk)) != seen_.end();
}

ConfigAssembly::Slot* ConfigAssembly::slot_for(Millis now, const wire::ConfigChunk& chunk) {
  Slot* oldest = &slots_[0];
  for (Slot& slot : slots_) {
    if (slot.update_id != 0 && now - slot.touched > kLifetime) slot = {};
    if (slot.update_id == chunk.update_id) {
      return slot.data.size() == chunk.total ? &slot : nullptr;
    }
    if (slot.touched < oldest->touched) oldest = &slot;
  }
  *oldest = {};
  oldest->update_id = chunk.update_id;
  oldest->data.resize(chunk.total);
  oldest->covered.resize(chunk.total);
  return oldest;
}

std::optional<ConfigAssembly::Complete> ConfigAssembly::add(Millis now,
                                                            const wire::ConfigChunk& chunk,
                                                            bool fresh) {
  Slot* slot = slot_for(now, chunk);
  if (slot == nullptr) return std::nullopt;
  seen_.push_back(key_of(chunk));
  if (seen_.size() > kSeen) seen_.pop_front();
  slot->touched = now;
  slot->fresh = slot->fresh && fresh;
  std::copy(chunk.data.begin(), chunk.data.end(), slot->data.begin() + chunk.offset);
  for (std::size_t i = chunk.offset; i < chunk.offset + chunk.data.size(); ++i) {
    if (slot->covered[i]) continue;
    slot->covered[i] = true;
    ++slot->have;
  }
  if (slot->have != slot->data.size()) return std::nullopt;
  Complete complete{std::move(slot->data), slot->fresh};
  *slot = {};
  return complete;
}

}  // namespace orrery::control
