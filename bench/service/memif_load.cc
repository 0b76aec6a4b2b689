// Generator, sink and wire of tools/bench memif and flood for one daemon between two memif ports.
//
//   memif_load --mac ADDRESS [--to IP/PORT --to-mac MAC --node ADDRESS --as FILE] -- EAL ARGUMENTS
//
// Three net_memif devices (--vdev, in this order): the LAN of the daemon under test, its underlay
// (NEAR), and the underlay of a member behind which --mac is (FAR). Frames to --mac go into the
// LAN; the daemon's datagrams with them are counted at NEAR. Everything else between NEAR and FAR
// is carried as by a switch, so the two daemons keep each other's paths; of the load itself every
// 4,096th datagram is. What the daemon drops can be told from what it says of itself.
//
// Commands come on standard input, one a line:
//
//   BYTES WINDOW SECONDS                  frames of BYTES (without FCS), the next as soon as less
//                                         than WINDOW are under way
//   BYTES WINDOW SECONDS RATE KIND FLOOD  RATE frames a second, no more than WINDOW under way, and
//                                         FLOOD forged datagrams a second out of NEAR to --to
//                                         (forged_packets.h has the kinds)
//
// Each prints one JSON object: sent, received (in SECONDS), lost (sent, but not arrived 200 ms
// after the last was), forged (sent), refused (forged, but the daemon's ring was full). "ready"
// says when all links are up. It ends with its input.
#include <fcntl.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "forged_packets.h"

namespace orrery::bench {
namespace {

constexpr unsigned kMbufs = 4'095;  // few, so that they stay in the cache of the core
constexpr std::uint16_t kBurst = 32;
constexpr std::uint16_t kLan = 0, kNear = 1, kFar = 2;
constexpr unsigned kSample = 4'096;
constexpr unsigned kSmallest = 60, kLargest = 1'514;
constexpr std::uint32_t kSource = RTE_IPV4(10, 0, 0, 1), kDestination = RTE_IPV4(10, 0, 0, 2);

void must(int code, const char* what) {
  if (code >= 0) return;
  std::fprintf(stderr, "memif_load: %s: %s\n", what, rte_strerror(-code));
  std::exit(1);
}

/// By how much a datagram of the load is longer than its frame: Ethernet, IP, UDP, the packet
/// header, and a FRAME (10 bytes, 66 in all) or an EXT_FRAME (23 and more) for the Ethernet header.
/// A datagram of the daemons' own that has the same length counts as one of the load: there are
/// few.
constexpr unsigned kAroundLeast = 66, kAroundMost = 96;

rte_mempool* make_pool(const char* name) {
  rte_mempool* const pool = rte_pktmbuf_pool_create(name, kMbufs, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                                    static_cast<int>(rte_socket_id()));
  must(pool == nullptr ? -rte_errno : 0, "mempool");
  return pool;
}

struct Options {
  wire::Mac mac;
  Target target;
  std::string as;
  std::vector<std::string> eal;
};

/// One command.
struct Plan {
  unsigned bytes = 0, window = 0;
  double seconds = 0;
  double rate = 0;  // frames a second; 0: as the window allows
  Kind kind = Kind::kStrangers;
  double flood = 0;  // datagrams a second
};

/// What is due at a rate, and after a pause of the scheduler no more than ten milliseconds of it.
class Pace {
 public:
  Pace(double rate, std::uint64_t begin)
      : per_tick_(rate / static_cast<double>(rte_get_tsc_hz())), most_(rate / 100), last_(begin) {}

  std::uint64_t take(std::uint64_t now, std::uint64_t most) {
    due_ = std::min(due_ + static_cast<double>(now - last_) * per_tick_, most_);
    last_ = now;
    const std::uint64_t n = std::min(static_cast<std::uint64_t>(due_), most);
    due_ -= static_cast<double>(n);
    return n;
  }

 private:
  double per_tick_, most_, due_ = 0;
  std::uint64_t last_;
};

class Load {
 public:
  explicit Load(const Options& options)
      : forger_(options.target,
                options.as.empty() ? wire::Identity{} : identity_in(options.as).identity) {
    options.mac.store(to_.addr_bytes);
    frames_ = make_pool("frames");
    forged_ = make_pool("forged");
    arrivals_ = make_pool("arrivals");
    must(rte_eth_dev_count_avail() == 3 ? 0 : -EINVAL, "--vdev three times");
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

  void measure(const Plan& plan) {
    write_frames(plan.bytes);
    const std::uint64_t hz = rte_get_tsc_hz();
    shortest_ = plan.bytes + kAroundLeast;
    sent_ = received_ = 0;
    const std::uint64_t begin = rte_rdtsc();
    const auto end = begin + static_cast<std::uint64_t>(plan.seconds * static_cast<double>(hz));
    Pace frames(plan.rate, begin), flood(plan.flood, begin);
    std::uint64_t forged = 0, refused = 0;
    // Frames arrive in the order in which they went: what has not after 200 ms never will, and must
    // not fill the window.
    std::uint64_t lost = 0, sent_before = 0, looked = begin;
    for (std::uint64_t now = begin; now < end; now = rte_rdtsc()) {
      carry();
      if (now - looked > hz / 5) {
        if (sent_before > received_ + lost) lost = sent_before - received_;
        sent_before = sent_;
        looked = now;
      }
      const std::uint64_t under_way = sent_ - received_ - lost;
      const std::uint64_t room = std::min<std::uint64_t>(
          plan.window - std::min<std::uint64_t>(under_way, plan.window), kBurst);
      send(static_cast<std::uint16_t>(plan.rate > 0 ? frames.take(now, room) : room));
      const auto n = static_cast<std::uint16_t>(flood.take(now, kBurst));
      const std::uint16_t gone = forge(plan.kind, n);
      forged += gone;
      refused += n - gone;
    }
    const std::uint64_t counted = received_;
    for (const std::uint64_t last = rte_rdtsc(); rte_rdtsc() - last < hz / 5;) carry();
    const auto n = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
    std::printf(
        "{\"sent\": %llu, \"received\": %llu, \"lost\": %lld, \"forged\": %llu, \"refused\": "
        "%llu}\n",
        n(sent_), n(counted), static_cast<long long>(sent_ - received_), n(forged), n(refused));
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
    if (n == 0 || rte_pktmbuf_alloc_bulk(frames_, burst.data(), n) != 0) return;
    for (std::uint16_t i = 0; i < n; ++i) {
      burst[i]->data_len = static_cast<std::uint16_t>(bytes_);
      burst[i]->pkt_len = bytes_;
    }
    sent_ += put(kLan, burst.data(), n);
  }

  std::uint16_t forge(Kind kind, std::uint16_t n) {
    std::array<rte_mbuf*, kBurst> burst;
    if (n == 0 || rte_pktmbuf_alloc_bulk(forged_, burst.data(), n) != 0) return 0;
    for (std::uint16_t i = 0; i < n; ++i) {
      const std::size_t size = forger_.write(kind, rte_pktmbuf_mtod(burst[i], std::uint8_t*));
      burst[i]->data_len = static_cast<std::uint16_t>(size);
      burst[i]->pkt_len = static_cast<std::uint32_t>(size);
    }
    return put(kNear, burst.data(), n);
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

  rte_mempool* frames_ = nullptr;  // of the LAN alone: what is in them stays
  rte_mempool* forged_ = nullptr;
  rte_mempool* arrivals_ = nullptr;  // of what comes in
  ForgedPackets forger_;
  rte_ether_addr from_{}, to_{};
  unsigned bytes_ = 0;
  std::uint32_t shortest_ = UINT32_MAX;  // shortest datagram of the load at NEAR, bytes of frame
  std::uint64_t sent_ = 0, received_ = 0;
};

std::optional<Plan> read_plan(const std::string& line) {
  Plan p;
  char kind[16] = "";
  const int n = std::sscanf(line.c_str(), "%u %u %lf %lf %15s %lf", &p.bytes, &p.window, &p.seconds,
                            &p.rate, kind, &p.flood);
  const auto known = kKinds.find(kind);
  if ((n != 3 && (n != 6 || known == kKinds.end())) || p.bytes < kSmallest || p.bytes > kLargest ||
      p.window == 0 || p.window > 1'024) {
    return std::nullopt;
  }
  if (n == 6) p.kind = known->second;
  return p;
}

int run(const Options& options, char* name) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::vector<char*> eal{name};
  for (const std::string& a : options.eal) eal.push_back(const_cast<char*>(a.c_str()));
  must(rte_eal_init(static_cast<int>(eal.size()), eal.data()), "EAL");
  Load load(options);
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
      const std::optional<Plan> plan = read_plan(line);
      if (!plan) {
        std::fprintf(stderr,
                     "memif_load: \"%s\": expected BYTES (%u to %u) WINDOW (1 to 1024) SECONDS "
                     "[RATE KIND FLOOD]\n",
                     line.c_str(), kSmallest, kLargest);
        return 2;
      }
      load.measure(*plan);
      line.clear();
    }
  }
  rte_eal_cleanup();
  return 0;
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery::bench;
  Options options;
  CLI::App app("Generator, sink and wire for one daemon between two memif ports.");
  app.add_option_function<std::string>("--mac",
                                       [&](const std::string& text) {
                                         const auto mac = orrery::wire::parse_mac(text);
                                         if (!mac) throw CLI::ValidationError("--mac", text);
                                         options.mac = *mac;
                                       })
      ->required()
      ->description("whom frames go to");
  options.target.add_options(app);
  app.add_option("--as", options.as)->description("hello, forged: file with a public identity");
  app.add_option("eal", options.eal)->description("behind --: arguments of the EAL");
  CLI11_PARSE(app, argc, argv);
  return run(options, argv[0]);
}
