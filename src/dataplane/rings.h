// Typed single-producer single-consumer rings of pointers over rte_ring. A full ring refuses;
// nobody waits.
#pragma once

#include <rte_ring.h>

#include <string>

#include "base/result.h"

namespace orrery::dataplane {

template <typename T>
class SpscRing {
 public:
  SpscRing() = default;
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  ~SpscRing() { rte_ring_free(ring_); }

  /// `size`: a power of two; size - 1 entries fit.
  Result<void> open(const std::string& name, unsigned size) {
    ring_ = rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring_ == nullptr) return failure(Errc::kFull, "no memory for ring " + name);
    return {};
  }

  [[nodiscard]] bool push(T* item) { return rte_ring_sp_enqueue(ring_, item) == 0; }

  /// How many of the first went in.
  [[nodiscard]] unsigned push(T** items, unsigned n) {
    return rte_ring_sp_enqueue_burst(ring_, reinterpret_cast<void**>(items), n, nullptr);
  }

  unsigned pop(T** items, unsigned n) {
    return rte_ring_sc_dequeue_burst(ring_, reinterpret_cast<void**>(items), n, nullptr);
  }

  [[nodiscard]] bool empty() const { return rte_ring_empty(ring_) != 0; }

 private:
  rte_ring* ring_ = nullptr;
};

}  // namespace orrery::dataplane
