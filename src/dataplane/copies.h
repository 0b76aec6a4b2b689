// Copies of frames that rules send elsewhere (TEE, WATCH, REDIRECT), until they are sealed. One
// worker's; emptied within the turn in which they came up, so that what it borrows from the tables
// stays valid.
#pragma once

#include <array>

#include "dataplane/publisher.h"
#include "dataplane/vector.h"

namespace orrery::dataplane {

struct PendingCopy {
  rte_mbuf* mbuf = nullptr;  // an Ethernet frame of its own; owned
  const NetworkRecord* network = nullptr;
  const PeerRecord* peer = nullptr;  // who gets it; has a path and schedules
  std::uint8_t flags = 0;            // of EXT_FRAME
};

class Copies {
 public:
  /// As many as the lanes of a vector can ask for: a list and a capability's copy, and a redirect.
  static constexpr unsigned kMost = 3 * kVectorMax;

  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }

  /// Whether all that a frame can ask for fits.
  [[nodiscard]] bool has_room() const noexcept { return end_ + 3 <= kMost; }

  void add(const PendingCopy& copy) noexcept { pending_[end_++] = copy; }

  /// REQUIRES: !empty().
  [[nodiscard]] PendingCopy take() noexcept {
    const PendingCopy copy = pending_[begin_++];
    if (begin_ == end_) begin_ = end_ = 0;
    return copy;
  }

 private:
  std::array<PendingCopy, kMost> pending_;
  unsigned begin_ = 0, end_ = 0;
};

}  // namespace orrery::dataplane
