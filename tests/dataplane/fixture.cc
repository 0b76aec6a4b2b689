#include "fixture.h"

#include <rte_malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "crypto/curve.h"

namespace orrery::dataplane::test {

Pools& pools() {
  static Pools all;
  return all;
}

unsigned free_mbufs() {
  return rte_mempool_avail_count(pools().wire) + rte_mempool_avail_count(pools().frame);
}

rte_mbuf* mbuf_of(Bytes bytes, rte_mempool* pool) {
  rte_mbuf* m = rte_pktmbuf_alloc(pool);
  meta_of(m) = {};
  std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(bytes.size())), bytes.data(),
              bytes.size());
  return m;
}

Bytes bytes_of(rte_mbuf* m) {
  return {rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)};
}

ByteVector ethernet(wire::Mac destination, wire::Mac source, std::uint16_t ethertype,
                    std::size_t payload) {
  ByteVector frame(14 + payload);
  destination.store(frame.data());
  source.store(frame.data() + 6);
  store_be16(frame.data() + 12, ethertype);
  for (std::size_t i = 0; i < payload; ++i)
    frame[14 + i] = static_cast<std::uint8_t>(i * 7 + payload);
  return frame;
}

ByteVector tagged(std::uint16_t tag_control, const ByteVector& frame) {
  ByteVector f = frame;
  const std::uint8_t tag[4] = {0x81, 0x00, static_cast<std::uint8_t>(tag_control >> 8),
                               static_cast<std::uint8_t>(tag_control)};
  f.insert(f.begin() + 12, tag, tag + 4);
  return f;
}

End::End(const char* name, wire::Address me, wire::Address them, wire::Endpoint where,
         wire::Suite with, Recorder* recorder)
    : self(me), other(them), remote(where), suite(with), publisher(tables) {
  EXPECT_TRUE(tables.open(name));
  FastPathOptions options;
  options.self = self;
  options.permutation = {self.value, 2};
  options.reassembly_key = {3, self.value};
  options.recorder = recorder;
  fast = std::make_unique<FastPath>(tables, pools(), options);
  fast->online();
  publisher.apply(network());
  publisher.apply(peer());
  publisher.apply(member());
}

fib::Network End::network() const {
  fib::Network n;
  n.id = kNetwork;
  n.self = self;
  n.mac = wire::mac_of(self, kNetwork);
  n.mtu = 9'900;
  n.broadcast = true;
  wire::Rule accept;
  accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
  n.rules = {accept};
  return n;
}

fib::Member End::member() const {
  fib::Member m;
  m.network = kNetwork;
  m.address = other;
  m.allowed = true;
  m.credentials_pushed = true;
  return m;
}

fib::Peer End::peer() const {
  fib::Peer p;
  p.address = other;
  crypto::SharedSecret secret;
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i + 5);
  p.secret = crypto::Secret(secret);
  p.suite = suite;
  p.path = {kSocket, remote};
  p.direct = true;
  return p;
}

ByteVector End::frame(std::size_t payload) const {
  return ethernet(wire::mac_of(other, kNetwork), wire::mac_of(self, kNetwork), 0x0800, payload);
}

void cross(rte_mbuf** datagrams, unsigned n, const wire::Endpoint& from) {
  for (unsigned i = 0; i < n; ++i) {
    meta_of(datagrams[i]) = {};
    meta_of(datagrams[i]).remote = from;
    meta_of(datagrams[i]).socket = kSocket;
  }
}

unsigned punts_of(const Outcome& out) {
  return static_cast<unsigned>(std::count_if(out.punt, out.punt + out.punts, [](rte_mbuf* m) {
    const Message message = meta_of(m).message;
    return message != Message::kFullSize && message != Message::kSent;
  }));
}

void release(Outcome& out) {
  rte_pktmbuf_free_bulk(out.deliver, out.delivers);
  rte_pktmbuf_free_bulk(out.transmit, out.transmits);
  rte_pktmbuf_free_bulk(out.punt, out.punts);
  out.delivers = out.transmits = out.punts = 0;
  out.merged = out.copies = out.answers = out.relayed = 0;
}

}  // namespace orrery::dataplane::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  orrery::crypto::init();
  orrery::dataplane::EalOptions options;
  options.program = "dataplane_test";
  options.file_prefix = "orrery_dataplane_test_" + std::to_string(::getpid());
  options.wire_mbufs = 4096;
  options.frame_mbufs = 1024;
  options.memory_mib = 192;  // tables of several ends at a time
  // Tests have more workers than there are CPUs, on threads without a cache of buffers. In the
  // usual ring each that takes or gives a buffer waits, spinning, for all before it; once one of
  // them was suspended there they get on by one step in a time slice, and may never get out of it.
  options.arguments = {"--mbuf-pool-ops-name", "ring_mt_rts"};
  auto started = orrery::dataplane::start_eal(options);
  if (!started) {
    std::fprintf(stderr, "%s\n", started.error().text.c_str());
    return 1;
  }
  orrery::dataplane::test::pools() = *started;
  orrery::dataplane::table_hash_key() = {1, 2};
  const int result = RUN_ALL_TESTS();
  orrery::dataplane::stop_eal(orrery::dataplane::test::pools());
  return result;
}
