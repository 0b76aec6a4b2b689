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

/// By the verbs of all lanes.
void count_verbs(const PacketVector& v, std::array<Counter, 3>& frames) noexcept {
  std::array<std::uint32_t, 3> verbs{};
  for (unsigned i = 0; i < v.n; ++i) ++verbs[static_cast<std::size_t>(v.verb[i])];
  for (std::size_t verb = 0; verb < verbs.size(); ++verb) {
    if (verbs[verb] != 0) frames[verb] += verbs[verb];
  }
}

}  // namespace

void count_refused(WorkerContext& w, const PacketVector& v, unsigned i, bool inbound) noexcept {
  for (const TrafficSlot slot : {v.network[i]->traffic, v.member[i]->traffic}) {
    RefusalCount& count = w.traffic.refusals(slot);
    ++(inbound ? count.rx : count.tx);
  }
}

void account_in(WorkerContext& w, const PacketVector& v) noexcept {
  Runs peers(w.traffic), networks(w.traffic), members(w.traffic);
  for (unsigned i = 0; i < v.n; ++i) {
    peers.add(v.peer[i]->traffic, meta_of(v.mbuf[i]).wire_size);
    networks.add(v.network[i]->traffic, frame_bytes(v, i));
    members.add(v.member[i]->traffic, frame_bytes(v, i));
  }
  const auto count = [](TrafficCount& c, const Run& run) {
    c.rx_packets += run.packets;
    c.rx_bytes += run.bytes;
  };
  peers.each(count);
  networks.each(count);
  members.each(count);
  count_verbs(v, w.traffic.rx_frames);
}

void account_out(WorkerContext& w, const PacketVector& v) noexcept {
  Runs peers(w.traffic), networks(w.traffic), members(w.traffic);
  for (unsigned i = 0; i < v.n; ++i) {
    peers.add(v.peer[i]->traffic, rte_pktmbuf_data_len(v.mbuf[i]));
    networks.add(v.network[i]->traffic, frame_bytes(v, i));
    // What a rule sends elsewhere goes to nobody as a member.
    if (v.member[i] != nullptr) members.add(v.member[i]->traffic, frame_bytes(v, i));
  }
  const auto count = [](TrafficCount& c, const Run& run) {
    c.tx_packets += run.packets;
    c.tx_bytes += run.bytes;
  };
  peers.each(count);
  networks.each(count);
  members.each(count);
  count_verbs(v, w.traffic.tx_frames);
}

}  // namespace orrery::dataplane
