// Two nodes' worth of data plane in one process: EAL once, tables and fast path per node, frames
// and datagrams as mbufs, and a census that finds every mbuf again.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>

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

/// One end. `other` is known as a member with pushed credentials and a path.
struct End {
  End(const char* name, wire::Address self, wire::Address other, wire::Endpoint remote,
      wire::Suite suite);

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

/// A census around every test: nothing leaks.
class Dataplane : public ::testing::Test {
 protected:
  void SetUp() override { before_ = free_mbufs(); }

  void TearDown() override { EXPECT_EQ(free_mbufs(), before_) << "mbufs leaked"; }

 private:
  unsigned before_ = 0;
};

}  // namespace orrery::dataplane::test
