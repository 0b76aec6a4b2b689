// What a worker counts of its own work beside the ledger: packets, vectors and cycles of every
// stage, how long vectors take from rx to tx, and bytes by peer and network.
//
// All of it has one writer, the worker, and costs one reading of the time-stamp counter per stage
// of a vector and one addition per run of packets of a peer. Readers (control, telemetry) see
// values that are each whole, of slightly different moments.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <vector>

#include "dataplane/counters.h"

// X(stage): functions of stages/stages.h, inbound then outbound.
#define ORRERY_FOR_EACH_STAGE(X) \
  X(classify)                    \
  X(relay)                       \
  X(reassemble)                  \
  X(sender)                      \
  X(dearmor)                     \
  X(replay)                      \
  X(inflate)                     \
  X(dispatch)                    \
  X(gate)                        \
  X(filter)                      \
  X(learn)                       \
  X(deliver)                     \
  X(flow)                        \
  X(multicast)                   \
  X(replicate)                   \
  X(copies)                      \
  X(resolve)                     \
  X(filter_out)                  \
  X(credentials)                 \
  X(steer)                       \
  X(encap)                       \
  X(armor)                       \
  X(fragment)

namespace orrery::dataplane {

enum class StageId : std::uint8_t {
#define ORRERY_STAGE_ENUM(name) name,
  ORRERY_FOR_EACH_STAGE(ORRERY_STAGE_ENUM)
#undef ORRERY_STAGE_ENUM
      kCount,
};

[[nodiscard]] constexpr const char* stage_label(StageId stage) {
  constexpr const char* kLabels[] = {
#define ORRERY_STAGE_LABEL(name) #name,
      ORRERY_FOR_EACH_STAGE(ORRERY_STAGE_LABEL)
#undef ORRERY_STAGE_LABEL
  };
  return stage < StageId::kCount ? kLabels[static_cast<std::size_t>(stage)] : "unknown";
}

struct StageCount {
  Counter packets;  // lanes that came in
  Counter vectors;  // with at least one lane
  Counter cycles;   // of the time-stamp counter, partition() included
};

/// [stage]
using StageCounters = std::array<StageCount, static_cast<std::size_t>(StageId::kCount)>;

/// Vectors by the time that they took, in powers of two of time-stamp cycles.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 40;

  /// By the worker.
  void add(std::uint64_t cycles) noexcept {
    ++buckets_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(cycles)),
                                     kBuckets - 1)];
  }

  /// Vectors that took less than 2^i cycles and not less than 2^(i-1); the last one: or more.
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const noexcept { return buckets_[i]; }

 private:
  std::array<Counter, kBuckets> buckets_;
};

struct TrafficCount {
  Counter rx_packets, rx_bytes, tx_packets, tx_bytes;
};

/// What was not let pass, in a place of its own: lines that every packet counts in stay small.
struct RefusalCount {
  Counter rx;  // of a peer: not authentic; of a network or member: refused by rules, MACs, limits
  Counter tx;  // of a network or member: the same
};

/// A place in every worker's TrafficCounts. 0: nobody's, whose counts mean nothing.
using TrafficSlot = std::uint32_t;

/// One worker's counts, by slot.
class TrafficCounts {
 public:
  /// Sixteen slots more than peers, networks and members have records; 6 MiB, of which only pages
  /// of slots in use become resident.
  static constexpr TrafficSlot kSlots = 65'536 + 4'096 + 131'072 + 16;

  TrafficCounts()
      : counts_(static_cast<TrafficCount*>(std::calloc(kSlots, sizeof(TrafficCount)))),
        refusals_(static_cast<RefusalCount*>(std::calloc(kSlots, sizeof(RefusalCount)))) {
    if (!counts_ || !refusals_) std::abort();
  }

  [[nodiscard]] TrafficCount& operator[](TrafficSlot slot) noexcept { return counts_.get()[slot]; }

  [[nodiscard]] const TrafficCount& operator[](TrafficSlot slot) const noexcept {
    return counts_.get()[slot];
  }

  [[nodiscard]] RefusalCount& refusals(TrafficSlot slot) noexcept { return refusals_.get()[slot]; }

  [[nodiscard]] const RefusalCount& refusals(TrafficSlot slot) const noexcept {
    return refusals_.get()[slot];
  }

  /// Frames by the verb that carried them, [fib::Carrier].
  std::array<Counter, 3> rx_frames, tx_frames;

 private:
  struct Free {
    void operator()(void* counts) const noexcept { std::free(counts); }
  };

  // Zero bytes are counters at zero; calloc() leaves pages alone that nobody counts in.
  std::unique_ptr<TrafficCount, Free> counts_;
  std::unique_ptr<RefusalCount, Free> refusals_;
};

/// Sums over workers.
struct Traffic {
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_refused = 0, tx_refused = 0;

  void add(const TrafficCount& c, const RefusalCount& r) noexcept {
    rx_packets += c.rx_packets;
    rx_bytes += c.rx_bytes;
    tx_packets += c.tx_packets;
    tx_bytes += c.tx_bytes;
    rx_refused += r.rx;
    tx_refused += r.tx;
  }

  friend Traffic operator-(const Traffic& a, const Traffic& b) noexcept {
    return {a.rx_packets - b.rx_packets, a.rx_bytes - b.rx_bytes,     a.tx_packets - b.tx_packets,
            a.tx_bytes - b.tx_bytes,     a.rx_refused - b.rx_refused, a.tx_refused - b.tx_refused};
  }
};

/// Who has which slot; control's. Slots of those that are gone are given to others, whose counts
/// begin at zero again.
class TrafficSlots {
 public:
  explicit TrafficSlots(const std::vector<std::unique_ptr<TrafficCounts>>& workers)
      : workers_(workers) {}

  /// 0 when all are taken.
  [[nodiscard]] TrafficSlot take() {
    TrafficSlot slot = 0;
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else if (next_ < TrafficCounts::kSlots) {
      slot = next_++;
      base_.resize(next_);
    } else {
      return 0;
    }
    base_[slot] = sum(slot);
    return slot;
  }

  void give_back(TrafficSlot slot) {
    if (slot != 0) free_.push_back(slot);
  }

  /// Since the slot was taken.
  [[nodiscard]] Traffic of(TrafficSlot slot) const {
    return slot == 0 ? Traffic{} : sum(slot) - base_[slot];
  }

 private:
  [[nodiscard]] Traffic sum(TrafficSlot slot) const {
    Traffic all;
    for (const auto& counts : workers_) {
      if (counts) all.add((*counts)[slot], counts->refusals(slot));
    }
    return all;
  }

  const std::vector<std::unique_ptr<TrafficCounts>>& workers_;
  std::vector<Traffic> base_ = std::vector<Traffic>(1);
  std::vector<TrafficSlot> free_;
  TrafficSlot next_ = 1;
};

}  // namespace orrery::dataplane
