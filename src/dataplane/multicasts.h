// Multicast frames of the host that a worker sends to each member of their group, and how far it
// has come with each. One worker's; emptied within the turn in which they came, so that what it
// borrows from the tables stays valid.
#pragma once

#include <array>

#include "dataplane/publisher.h"
#include "dataplane/vector.h"

namespace orrery::dataplane {

struct PendingMulticast {
  rte_mbuf* mbuf = nullptr;  // the frame as it came; owned
  const NetworkRecord* network = nullptr;
  const GroupRecord* group = nullptr;
  fib::EthernetFrame frame;  // payload is a view into `mbuf`
  std::uint32_t adi = 0;
  std::uint32_t next = 0;   // place among the recipients
  std::uint32_t start = 0;  // where the round of the members begins, so that a limit is fair
  std::uint32_t sent = 0;   // or left to control; those who were put out are not counted
  std::uint32_t left = 0;   // recipients whom control must serve
  std::array<wire::Address, fib::kMostReplicas> rest;
};

class Multicasts {
 public:
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }

  [[nodiscard]] bool full() const noexcept { return end_ == pending_.size(); }

  [[nodiscard]] PendingMulticast& front() noexcept { return pending_[begin_]; }

  /// REQUIRES: !full(). Its fields are those of whoever stood there before.
  [[nodiscard]] PendingMulticast& add() noexcept { return pending_[end_++]; }

  void pop() noexcept {
    if (++begin_ == end_) begin_ = end_ = 0;
  }

 private:
  std::array<PendingMulticast, kVectorMax> pending_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace orrery::dataplane
