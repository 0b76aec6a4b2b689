// Two nodes' worth of data plane in one process: EAL once, tables and fast path per node, frames
// and datagrams as mbufs, and a census that finds every mbuf again.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <mutex>

#include "dataplane/fast_path.h"
#include "dataplane/worker.h"

namespace orrery::dataplane::test {

inline const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
inline const wire::Address kA{0x1111111111ULL};
inline const wire::Address kB{0x2222222222ULL};
inline const wire::Endpoint kEndA = wire::Endpoint::v4(0x0a000001, 9993);
inline const wire::Endpoint kEndB = wire::Endpoint::v4(0x0a000002, 9993);
inline constexpr fib::LocalSocket kSocket = 1;

/// Of the process; made by main().
Pools& pools();

/// Free mbufs of both pools.
unsigned free_mbufs();

rte_mbuf* mbuf_of(Bytes bytes, rte_mempool* pool);
Bytes bytes_of(rte_mbuf* m);
ByteVector ethernet(wire::Mac destination, wire::Mac source, std::uint16_t ethertype,
                    std::size_t payload);
/// The frame with a VLAN tag.
ByteVector tagged(std::uint16_t tag_control, const ByteVector& frame);

/// One end. `other` is known as a member with pushed credentials and a path.
struct End {
  End(const char* name, wire::Address self, wire::Address other, wire::Endpoint remote,
      wire::Suite suite, Recorder* recorder = nullptr);

  fib::Network network() const;
  fib::Member member() const;
  fib::Peer peer() const;

  void forget_peer() { publisher.apply(fib::RemovePeer{other}); }

  std::uint64_t dropped(Drop reason) const {
    return drops[static_cast<std::size_t>(reason)].value();
  }

  /// A frame from this host to the other member.
  ByteVector frame(std::size_t payload) const;

  wire::Address self, other;
  wire::Endpoint remote;
  wire::Suite suite;
  Tables tables;
  Publisher publisher;
  std::unique_ptr<FastPath> fast;
  Outcome out;
  DropCounters drops;
};

/// What the ends of a wire do to datagrams: the sender's address instead of the receiver's.
void cross(rte_mbuf** datagrams, unsigned n, const wire::Endpoint& from);
void release(Outcome& out);
/// What is punted, without the events that packets of full size raise beside themselves.
unsigned punts_of(const Outcome& out);

/// A census around every test: nothing leaks.
class Dataplane : public ::testing::Test {
 protected:
  void SetUp() override { before_ = free_mbufs(); }

  void TearDown() override { EXPECT_EQ(free_mbufs(), before_) << "mbufs leaked"; }

 private:
  unsigned before_ = 0;
};

/// A wire in memory: what is sent at one end arrives at the other under the sender's address.
class MemoryPort : public Port {
 public:
  explicit MemoryPort(wire::Endpoint self) : self_(self) {}

  ~MemoryPort() override {
    for (rte_mbuf* m : queue_) rte_pktmbuf_free(m);
  }

  void connect(MemoryPort* far) { far_ = far; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    const std::lock_guard lock(mutex_);
    const std::uint16_t want = most(n);
    std::uint16_t taken = 0;
    for (; taken < want && !queue_.empty(); ++taken) {
      out[taken] = queue_.front();
      queue_.pop_front();
    }
    return taken;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override {
    cross(in, n, self_);
    const std::lock_guard lock(far_->mutex_);
    far_->queue_.insert(far_->queue_.end(), in, in + n);
  }

  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override {
    return socket == kSocket;
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

 protected:
  /// Of a burst of up to n.
  virtual std::uint16_t most(std::uint16_t n) { return n; }

 private:
  wire::Endpoint self_;
  MemoryPort* far_ = nullptr;
  std::mutex mutex_;
  std::deque<rte_mbuf*> queue_;
  PortCounters counters_;
};

}  // namespace orrery::dataplane::test
