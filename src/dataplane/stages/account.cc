#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Packets of one peer (or network) behind each other.
struct Run {
  TrafficSlot slot;
  std::uint32_t packets;
  std::uint32_t bytes;
};

class Runs {
 public:
  explicit Runs(TrafficCounts& counts) : counts_(counts) {}

  void add(TrafficSlot slot, std::uint32_t bytes) noexcept {
    if (n_ == 0 || runs_[n_ - 1].slot != slot) {
      rte_prefetch0(&counts_[slot]);
      runs_[n_++] = {slot, 0, 0};
    }
    ++runs_[n_ - 1].packets;
    runs_[n_ - 1].bytes += bytes;
  }

  template <typename Count>
  void each(Count count) const noexcept {
    for (unsigned i = 0; i < n_; ++i) count(counts_[runs_[i].slot], runs_[i]);
  }

 private:
  TrafficCounts& counts_;
  std::array<Run, kVectorMax> runs_;
  unsigned n_ = 0;
};

std::uint32_t frame_bytes(const PacketVector& v, unsigned i) {
  return static_cast<std::uint32_t>(fib::EthernetFrame::kHead + v.frame[i].payload.size());
}

}  // namespace

void account_in(WorkerContext& w, const PacketVector& v) noexcept {
  Runs peers(w.traffic), networks(w.traffic);
  for (unsigned i = 0; i < v.n; ++i) {
    peers.add(v.peer[i]->traffic, meta_of(v.mbuf[i]).wire_size);
    networks.add(v.network[i]->traffic, frame_bytes(v, i));
  }
  const auto count = [](TrafficCount& c, const Run& run) {
    c.rx_packets += run.packets;
    c.rx_bytes += run.bytes;
  };
  peers.each(count);
  networks.each(count);
}

void account_out(WorkerContext& w, const PacketVector& v) noexcept {
  Runs peers(w.traffic), networks(w.traffic);
  for (unsigned i = 0; i < v.n; ++i) {
    peers.add(v.peer[i]->traffic, rte_pktmbuf_data_len(v.mbuf[i]));
    networks.add(v.network[i]->traffic, frame_bytes(v, i));
  }
  const auto count = [](TrafficCount& c, const Run& run) {
    c.tx_packets += run.packets;
    c.tx_bytes += run.bytes;
  };
  peers.each(count);
  networks.each(count);
}

}  // namespace orrery::dataplane
