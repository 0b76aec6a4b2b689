// A DPDK device whose ends are two rings (net_ring): what a test writes the device receives, what
// it sends the test reads. No NIC and no root is needed.
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
  RingDevice(unsigned in, unsigned out) : in_(ring("i", in)), out_(ring("o", out)) {
    EXPECT_GE(rte_eth_from_rings(name_.c_str(), &in_, 1, &out_, 1, 0), 0);
  }

  RingDevice(const RingDevice&) = delete;
  RingDevice& operator=(const RingDevice&) = delete;

  ~RingDevice() {
    rte_ring_free(in_);
    rte_ring_free(out_);
  }

  /// As DPDK knows the device.
  [[nodiscard]] std::string name() const { return "net_ring_" + name_; }

  void arrive(rte_mbuf* m) { ASSERT_EQ(rte_ring_enqueue(in_, m), 0); }

  void arrive(const ByteVector& frame) { arrive(mbuf_of(frame, pools().wire)); }

  /// Frames that arrived and were not received yet.
  [[nodiscard]] unsigned waiting() const { return rte_ring_count(in_); }

  void forget_waiting() { (void)drained(in_); }

  /// What left the device since the last call.
  std::vector<ByteVector> left() { return drained(out_); }

 private:
  rte_ring* ring(const char* end, unsigned size) const {
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
  rte_ring* in_;
  rte_ring* out_;
};

}  // namespace orrery::dataplane::test
