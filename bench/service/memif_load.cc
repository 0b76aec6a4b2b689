// Generator, sink and wire of tools/bench memif for one daemon that encrypts.
//
//   memif_load --mac ADDRESS [EAL ARGUMENTS with --vdev LAN, --vdev NEAR, --vdev FAR]
//
// Three net_memif devices, in this order: the LAN of the daemon under test, its underlay, and the
// underlay of a member behind which ADDRESS is. Frames to ADDRESS go into the LAN in a closed
// window: each datagram of theirs that arrives at NEAR lets the next one go. Everything else
// between NEAR and FAR is carried as by a switch, so the two daemons keep each other's paths; of
// the load itself every 4,096th datagram is.
//
// Commands come on standard input, one a line: "BYTES WINDOW SECONDS" measures with frames of BYTES
// (without FCS), up to WINDOW of them under way, and prints a JSON object: received (frames in
// SECONDS), lost (sent, but not arrived 200 ms after the last was). "ready" says when all links are
// up. It ends with its input.
#include <fcntl.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace orrery::bench {
namespace {

constexpr unsigned kMbufs = 4'095;  // few, so that they stay in the cache of the core
constexpr std::uint16_t kBurst = 32;
constexpr std::uint16_t kLan = 0, kNear = 1, kFar = 2;
constexpr unsigned kSample = 4'096;
constexpr unsigned kSmallest = 60, kLargest = 1'514;
constexpr std::uint32_t kSource = RTE_IPV4(10, 0, 0, 1), kDestination = RTE_IPV4(10, 0, 0, 2);

[[noreturn]] void fail(const char* what, int code) {
  std::fprintf(stderr, "memif_load: %s: %s\n", what, rte_strerror(-code));
  std::exit(1);
}

void must(int code, const char* what) {
  if (code < 0) fail(what, code);
}

/// By how much a datagram of the load is longer than its frame: Ethernet, IP, UDP, the packet
/// header, and a FRAME (10 bytes, 66 in all) or an EXT_FRAME (23 and more) for the Ethernet header.
/// A datagram of the daemons' own that has the same length counts as one of the load: there are
/// few.
constexpr unsigned kAroundLeast = 66, kAroundMost = 96;

rte_mempool* make_pool(const char* name) {
  rte_mempool* const pool = rte_pktmbuf_pool_create(name, kMbufs, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                                    static_cast<int>(rte_socket_id()));
  if (pool == nullptr) fail("mempool", -rte_errno);
  return pool;
}

class Load {
 public:
  explicit Load(const rte_ether_addr& to) : to_(to) {
    frames_ = make_pool("frames");
    arrivals_ = make_pool("arrivals");
    if (rte_eth_dev_count_avail() != 3) fail("--vdev three times", -EINVAL);
    for (const std::uint16_t port : {kLan, kNear, kFar}) {
      const rte_eth_conf plain{};
      must(rte_eth_dev_configure(port, 1, 1, &plain), "configure");
      must(rte_eth_rx_queue_setup(port, 0, 1'024, 0, nullptr, arrivals_), "rx queue");
      must(rte_eth_tx_queue_setup(port, 0, 1'024, 0, nullptr), "tx queue");
      must(rte_eth_dev_start(port), "start");
    }
    must(rte_eth_macaddr_get(kLan, &from_), "address");
  }

  void wait_for_links() {
    for (const std::uint16_t port : {kLan, kNear, kFar}) {
      for (rte_eth_link link{};;) {
        must(rte_eth_link_get_nowait(port, &link), "link");
        if (link.link_status == RTE_ETH_LINK_UP) break;
        rte_delay_us_sleep(10'000);
      }
    }
    std::printf("ready\n");
  }

  /// Carries what the daemons say to each other; false when there was nothing.
  bool carry() {
    drain_lan();
    return forward_far() + take_near() > 0;
  }

  void measure(unsigned bytes, unsigned window, double seconds) {
    write_frames(bytes);
    const std::uint64_t hz = rte_get_tsc_hz();
    shortest_ = bytes + kAroundLeast;
    sent_ = received_ = 0;
    const std::uint64_t begin = rte_rdtsc();
    const auto end = begin + static_cast<std::uint64_t>(seconds * static_cast<double>(hz));
    std::uint64_t heard = begin;
    // A window that was lost would stop everything: it is given up, and counted in the end.
    std::uint64_t given_up = 0;
    for (std::uint64_t now = begin; now < end; now = rte_rdtsc()) {
      drain_lan();
      forward_far();
      if (take_near() > 0) {
        heard = now;
      } else if (now - heard > hz / 5) {
        given_up = sent_ - received_;
        heard = now;
      }
      const std::uint64_t under_way = sent_ - received_ - given_up;
      if (under_way < window)
        send(static_cast<std::uint16_t>(std::min<std::uint64_t>(kBurst, window - under_way)));
    }
    const std::uint64_t counted = received_;
    for (const std::uint64_t last = rte_rdtsc(); rte_rdtsc() - last < hz / 5;) carry();
    std::printf("{\"received\": %llu, \"lost\": %lld}\n", static_cast<unsigned long long>(counted),
                static_cast<long long>(sent_ - received_));
    shortest_ = UINT32_MAX;
  }

 private:
  /// Every buffer for the LAN holds the frame from here on: the generator itself writes nothing
  /// while it measures, as dpdk-testpmd does.
  void write_frames(unsigned bytes) {
    bytes_ = bytes;
    std::array<rte_mbuf*, kMbufs> all;
    unsigned n = 0;
    while (n < kMbufs && (all[n] = rte_pktmbuf_alloc(frames_)) != nullptr) {
      char* const at = rte_pktmbuf_mtod(all[n], char*);
      rte_ether_hdr ether{};
      ether.dst_addr = to_;
      ether.src_addr = from_;
      ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
      rte_ipv4_hdr ip{};
      ip.version_ihl = RTE_IPV4_VHL_DEF;
      ip.total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(bytes - sizeof ether));
      ip.time_to_live = 64;
      ip.next_proto_id = IPPROTO_UDP;
      ip.src_addr = rte_cpu_to_be_32(kSource);
      ip.dst_addr = rte_cpu_to_be_32(kDestination);
      ip.hdr_checksum = rte_ipv4_cksum(&ip);
      rte_udp_hdr udp{};
      udp.src_port = udp.dst_port = rte_cpu_to_be_16(9);
      udp.dgram_len =
          rte_cpu_to_be_16(static_cast<std::uint16_t>(bytes - sizeof ether - sizeof ip));
      std::memcpy(at, &ether, sizeof ether);
      std::memcpy(at + sizeof ether, &ip, sizeof ip);
      std::memcpy(at + sizeof ether + sizeof ip, &udp, sizeof udp);
      ++n;
    }
    rte_pktmbuf_free_bulk(all.data(), n);
  }

  void send(std::uint16_t n) {
    std::array<rte_mbuf*, kBurst> burst;
    if (rte_pktmbuf_alloc_bulk(frames_, burst.data(), n) != 0) return;
    for (std::uint16_t i = 0; i < n; ++i) {
      burst[i]->data_len = static_cast<std::uint16_t>(bytes_);
      burst[i]->pkt_len = bytes_;
    }
    sent_ += put(kLan, burst.data(), n);
  }

  static std::uint16_t put(std::uint16_t port, rte_mbuf** burst, std::uint16_t n) {
    const std::uint16_t gone = rte_eth_tx_burst(port, 0, burst, n);
    if (gone < n) rte_pktmbuf_free_bulk(burst + gone, n - gone);
    return gone;
  }

  /// What the overlay says to the LAN: multicast of the far member.
  static void drain_lan() {
    std::array<rte_mbuf*, kBurst> burst;
    const std::uint16_t n = rte_eth_rx_burst(kLan, 0, burst.data(), kBurst);
    if (n > 0) rte_pktmbuf_free_bulk(burst.data(), n);
  }

  unsigned forward_far() {
    std::array<rte_mbuf*, kBurst> burst;
    const std::uint16_t n = rte_eth_rx_burst(kFar, 0, burst.data(), kBurst);
    if (n > 0) put(kNear, burst.data(), n);
    return n;
  }

  unsigned take_near() {
    std::array<rte_mbuf*, kBurst> burst, load, rest;
    const std::uint16_t n = rte_eth_rx_burst(kNear, 0, burst.data(), kBurst);
    std::uint16_t loads = 0, rests = 0;
    for (std::uint16_t i = 0; i < n; ++i) {
      const bool of_load = burst[i]->pkt_len >= shortest_ &&
                           burst[i]->pkt_len - shortest_ <= kAroundMost - kAroundLeast;
      if (of_load && ++received_ % kSample != 0) {
        load[loads++] = burst[i];
      } else {
        rest[rests++] = burst[i];
      }
    }
    if (loads > 0) rte_pktmbuf_free_bulk(load.data(), loads);
    if (rests > 0) put(kFar, rest.data(), rests);
    return n;
  }

  rte_mempool* frames_ = nullptr;    // of the LAN alone: what is in them stays
  rte_mempool* arrivals_ = nullptr;  // of what comes in
  rte_ether_addr from_{}, to_;
  unsigned bytes_ = 0;
  std::uint32_t shortest_ = UINT32_MAX;  // shortest datagram of the load at NEAR, bytes of frame
  std::uint64_t sent_ = 0, received_ = 0;
};

int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  rte_ether_addr to{};
  if (argc < 3 || std::string_view(argv[1]) != "--mac" ||
      rte_ether_unformat_addr(argv[2], &to) != 0) {
    std::fprintf(stderr, "usage: memif_load --mac ADDRESS EAL ARGUMENTS (see its source)\n");
    return 2;
  }
  argv[2] = argv[0];
  must(rte_eal_init(argc - 2, argv + 2), "EAL");
  Load load(to);
  load.wait_for_links();
  must(::fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK), "standard input");
  std::string line;
  for (char c = 0;;) {
    const ssize_t n = ::read(STDIN_FILENO, &c, 1);
    if (n == 0) break;
    if (n < 0) {
      if (!load.carry()) ::usleep(200);
    } else if (c != '\n') {
      line.push_back(c);
    } else {
      unsigned bytes = 0, window = 0;
      double seconds = 0;
      if (std::sscanf(line.c_str(), "%u %u %lf", &bytes, &window, &seconds) != 3 ||
          bytes < kSmallest || bytes > kLargest || window == 0 || window > 1'024) {
        std::fprintf(stderr,
                     "memif_load: \"%s\": expected BYTES (%u to %u) WINDOW (1 to 1024) SECONDS\n",
                     line.c_str(), kSmallest, kLargest);
        return 2;
      }
      load.measure(bytes, window, seconds);
      line.clear();
    }
  }
  rte_eal_cleanup();
  return 0;
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  return orrery::bench::run(argc, argv);
}
