// A DPDK device whose ends are rings (net_ring), two for each queue: what a test writes the device
// receives, what it sends the test reads. No NIC and no root is needed.
#pragma once

#include <rte_eth_ring.h>
#include <rte_ring.h>

#include <string>
#include <vector>

#include "fixture.h"

namespace orrery::dataplane::test {

/// Outlives the ports that are opened on it.
class RingDevice {
 public:
  /// Sizes of the rings, powers of two: each holds one less.
  RingDevice(unsigned in, unsigned out, unsigned queues = 1) {
    for (unsigned q = 0; q < queues; ++q) {
      in_.push_back(ring("i" + std::to_string(q), in));
      out_.push_back(ring("o" + std::to_string(q), out));
    }
    EXPECT_GE(rte_eth_from_rings(name_.c_str(), in_.data(), queues, out_.data(), queues, 0), 0);
  }

  RingDevice(const RingDevice&) = delete;
  RingDevice& operator=(const RingDevice&) = delete;

  ~RingDevice() {
    for (rte_ring* r : in_) rte_ring_free(r);
    for (rte_ring* r : out_) rte_ring_free(r);
  }

  /// As DPDK knows the device.
  [[nodiscard]] std::string name() const { return "net_ring_" + name_; }

  void arrive(rte_mbuf* m, unsigned queue = 0) { ASSERT_EQ(rte_ring_enqueue(in_[queue], m), 0); }

  void arrive(const ByteVector& frame, unsigned queue = 0) {
    arrive(mbuf_of(frame, pools().wire), queue);
  }

  /// Frames that arrived and were not received yet.
  [[nodiscard]] unsigned waiting() const { return rte_ring_count(in_[0]); }

  void forget_waiting() { (void)drained(in_[0]); }

  /// What left the device since the last call.
  std::vector<ByteVector> left(unsigned queue = 0) { return drained(out_[queue]); }

 private:
  rte_ring* ring(const std::string& end, unsigned size) const {
    return rte_ring_create((name_ + end).c_str(), size, SOCKET_ID_ANY, 0);
  }

  static std::string fresh_name() {
    static int number = 0;  // a name is not used again in a process
    return "test" + std::to_string(number++);
  }

  static std::vector<ByteVector> drained(rte_ring* ring) {
    std::vector<ByteVector> frames;
    void* m = nullptr;
    while (rte_ring_dequeue(ring, &m) == 0) {
      const Bytes b = bytes_of(static_cast<rte_mbuf*>(m));
      frames.emplace_back(b.begin(), b.end());
      rte_pktmbuf_free(static_cast<rte_mbuf*>(m));
    }
    return frames;
  }

  std::string name_ = fresh_name();
  std::vector<rte_ring*> in_;
  std::vector<rte_ring*> out_;
};

}  // namespace orrery::dataplane::test
