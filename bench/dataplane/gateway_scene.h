// The node and the packets of benchmarks of a whole worker: a gateway with many peers, and frames
// for them or sealed packets of theirs.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "crypto/curve.h"
#include "dataplane/fast_path.h"
#include "dataplane/stages/stages.h"
#include "dataplane/worker.h"
#include "memory_ports.h"
#include "wire/verbs/frame.h"

namespace orrery::dataplane {

inline const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
inline const wire::Address kSelf{0x1111111111ULL};
inline constexpr unsigned kBurst = Worker::kBurst;
inline constexpr std::size_t kImix = 0;
inline constexpr std::size_t kVariety = 1u << 16;  // packets until their flows begin anew

inline Pools g_pools;

inline wire::Address address_of(std::size_t peer) {
  return wire::Address{0x2200000000ULL + peer * 977};
}

inline wire::Endpoint endpoint_of(std::size_t peer) {
  return wire::Endpoint::v4(static_cast<std::uint32_t>(0x0a010000 + peer), 9993);
}

inline crypto::SharedSecret secret_of(std::size_t peer) {
  crypto::SharedSecret secret{};
  store_be64(secret.data(), peer);
  return secret;
}

/// A rule that copies or sends all frames to the last peer; none: everything is accepted.
using CopyRule = std::optional<wire::RuleType>;

/// One node with `count` peers, and what these peers need to talk to it.
struct Gateway {
  Gateway(const std::string& name, wire::Suite suite, std::size_t count, CopyRule copies = {})
      : publisher(tables, count + 1) {
    if (!tables.open(name)) std::abort();
    fib::Network network;
    network.id = kNetwork;
    network.self = kSelf;
    network.mac = wire::mac_of(kSelf, kNetwork);
    wire::Rule accept;
    accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
    network.rules = {accept};
    if (copies) {
      wire::Rule copy;
      copy.type = static_cast<std::uint8_t>(*copies);
      // [8] address, [4] flags, [2] length
      store_be64(copy.data.data(), address_of(count - 1).value);
      store_be16(copy.data.data() + 12, 0xffff);
      network.rules.insert(network.rules.begin(), copy);
    }
    publisher.apply(network);
    for (std::size_t i = 0; i < count; ++i) {
      fib::Peer peer;
      peer.address = address_of(i);
      peer.secret = crypto::Secret(secret_of(i));
      peer.suite = suite;
      peer.path = {1, endpoint_of(i)};
      publisher.apply(peer);
      fib::Member member;
      member.network = kNetwork;
      member.address = peer.address;
      member.allowed = member.credentials_pushed = true;
      publisher.apply(member);
      // Copies of their own: what the peers touch is not warm for the gateway.
      keys.emplace_back(peer.secret);
      keys.back().expand();
    }
    FastPathOptions options;
    options.self = kSelf;
    fast = std::make_unique<FastPath>(tables, g_pools, options);
  }

  Tables tables;
  Publisher publisher;
  std::vector<crypto::PeerKeys> keys;  // [peer]
  std::unique_ptr<FastPath> fast;
};

/// Kept from row to row: 10,000 peers take a second to make.
inline Gateway& gateway(wire::Suite suite, std::size_t peers, CopyRule copies = {}) {
  static std::map<std::tuple<int, std::size_t, CopyRule>, std::unique_ptr<Gateway>> made;
  auto& g = made[{static_cast<int>(suite), peers, copies}];
  if (!g) {
    g = std::make_unique<Gateway>("bench" + std::to_string(made.size()), suite, peers, copies);
  }
  return *g;
}

struct Row {
  bool encrypt;
  std::size_t bytes;  // kImix, or of every frame
  wire::Suite suite;
  std::size_t peers, flows;
  CopyRule copies{};
};

/// Makes the packets of a row, one after the other.
class Maker {
 public:
  Maker(const Row& row, const Gateway& gateway) : row_(row), gateway_(gateway), order_(kVariety) {
    // Flows in an order that no prefetcher of the processor foresees.
    std::uint64_t random = 1;
    for (std::size_t i = 0; i < kVariety; ++i) {
      random = random * 6364136223846793005ull + 1442695040888963407ull;
      order_[i] = static_cast<std::uint32_t>((random >> 33) % row.flows);
    }
  }

  /// Frames of a round: whose datagrams fill a burst at most.
  [[nodiscard]] unsigned frames() const {
    if (row_.bytes == kImix) return 48;
    return packet_size(row_.bytes) > wire::kDefaultUdpPayload ? kBurst / 2 : kBurst;
  }

  /// Bytes of frames that one round of frames() carries.
  [[nodiscard]] std::size_t round_bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < frames(); ++i) sum += size_of(i);
    return sum;
  }

  /// Frames of the LAN for the peers.
  unsigned frames_out(rte_mbuf** out) {
    const unsigned n = frames();
    take_mbufs(out, n);
    for (unsigned i = 0; i < n; ++i) {
      const std::size_t flow = next_flow();
      auto* p = append(out[i], size_of(i));
      wire::mac_of(address_of(flow % row_.peers), kNetwork).store(p);
      wire::mac_of(kSelf, kNetwork).store(p + 6);
      store_be16(p + 12, 0x0800);
      write_ip(p + 14, size_of(i) - 14, flow);
    }
    return n;
  }

  /// Sealed packets of the peers, not yet cut.
  unsigned packets_in(rte_mbuf** out) {
    const unsigned n = frames();
    crypto::ArmorJob jobs[kBurst];
    take_mbufs(out, n);
    for (unsigned i = 0; i < n; ++i) {
      const std::size_t flow = next_flow();
      const std::size_t peer = flow % row_.peers;
      const std::size_t size = packet_size(size_of(i));
      auto* p = append(out[i], size);
      wire::PacketHeader header;
      header.id = next_id_ += 8;
      header.destination = kSelf;
      header.source = address_of(peer);
      header.flags = size > wire::kDefaultUdpPayload ? wire::kFlagFragmented : std::uint8_t{0};
      header.verb = static_cast<std::uint8_t>(wire::Verb::kFrame);
      wire::encode_packet_header({p, wire::kHeaderSize}, header);
      store_be64(p + wire::kHeaderSize, kNetwork.value);
      store_be16(p + wire::kHeaderSize + 8, 0x0800);
      write_ip(p + wire::kHeaderSize + wire::kFrameHead, size_of(i) - 14, flow);
      meta_of(out[i]).remote = endpoint_of(peer);
      meta_of(out[i]).socket = 1;
      jobs[i] = {p, static_cast<std::uint32_t>(size), row_.suite, &gateway_.keys[peer], 0};
    }
    armorer.armor({jobs, n});
    return n;
  }

  /// The same as datagrams; what is longer than one is cut.
  unsigned datagrams_in(rte_mbuf** out) {
    rte_mbuf* packets[kBurst];
    const unsigned n = packets_in(packets);
    unsigned made = 0;
    for (unsigned i = 0; i < n; ++i) {
      rte_mbuf* m = packets[i];
      out[made++] = m;
      const Bytes packet{rte_pktmbuf_mtod(m, std::uint8_t*), rte_pktmbuf_data_len(m)};
      const wire::FragmentPlan plan =
          wire::plan_equal_fragments(packet.size(), wire::kDefaultUdpPayload);
      for (std::uint8_t number = 1; number < plan.pieces; ++number) {
        rte_mbuf* piece = nullptr;
        take_mbufs(&piece, 1);
        const std::size_t most = wire::kFragmentHeaderSize + plan.data_size;
        auto* room = append(piece, most);
        const std::size_t size = wire::write_fragment({room, most}, packet, plan, number);
        rte_pktmbuf_trim(piece, static_cast<std::uint16_t>(most - size));
        meta_of(piece) = meta_of(m);
        out[made++] = piece;
      }
      if (plan.pieces > 1)
        rte_pktmbuf_trim(m, static_cast<std::uint16_t>(packet.size() - plan.head_size));
    }
    return made;
  }

  crypto::Armorer armorer;

 private:
  static std::size_t packet_size(std::size_t frame) {
    return wire::kHeaderSize + wire::kFrameHead + frame - 14;
  }

  [[nodiscard]] std::size_t size_of(std::size_t i) const {
    if (row_.bytes != kImix) return row_.bytes;
    static constexpr std::size_t kMix[12] = {64, 590, 64, 64, 590, 64, 1514, 64, 590, 64, 64, 590};
    return kMix[i % 12];
  }

  std::size_t next_flow() { return order_[at_++ % kVariety]; }

  static void take_mbufs(rte_mbuf** out, unsigned n) {
    if (rte_pktmbuf_alloc_bulk(g_pools.wire, out, n) != 0) std::abort();
    for (unsigned i = 0; i < n; ++i) meta_of(out[i]) = {};
  }

  static std::uint8_t* append(rte_mbuf* m, std::size_t size) {
    return reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, static_cast<std::uint16_t>(size)));
  }

  /// IPv4 and UDP headers of a flow; the checksums are nobody's business here.
  static void write_ip(std::uint8_t* p, std::size_t size, std::size_t flow) {
    std::memset(p, 0, 28);
    p[0] = 0x45;
    store_be16(p + 2, static_cast<std::uint16_t>(size));
    p[8] = 64;
    p[9] = 17;
    store_be32(p + 12, static_cast<std::uint32_t>(0xc0a80000 + flow));
    store_be32(p + 16, 0xc0a90001);
    store_be16(p + 20, static_cast<std::uint16_t>(1024 + flow % 50'000));
    store_be16(p + 22, 5001);
    store_be16(p + 24, static_cast<std::uint16_t>(size - 20));
  }

  Row row_;
  const Gateway& gateway_;
  std::vector<std::uint32_t> order_;  // flows, drawn evenly
  std::size_t at_ = 0;
  static inline std::uint64_t next_id_ = 1u << 20;  // never twice under one key
};

}  // namespace orrery::dataplane
