// How good a path is, by the probes that were answered and those that were not: latency, its
// variation, and loss, each smoothed.
//
// Latency and variation are those of RFC 6298 (gains of an eighth and a quarter), kept in
// sixteenths of a millisecond, since the clock of control counts milliseconds; loss has a gain of a
// sixteenth. Weak spot: an answer proves both ways together; which of them is slow or loses cannot
// be told.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/time.h"

namespace orrery::control {

inline constexpr int kLatencyUnknown = 65'535;  // ms

class PathQuality {
 public:
  // An answer later than this is not waited for. The least leaves room for a busy node, the most
  // for satellites; either side makes a dead path last longer or a slow one look dead.
  static constexpr Millis kLeastWait = 300;
  static constexpr Millis kMostWait = 2'000;
  static constexpr Millis kFirstWait = 1'000;  // while nothing was measured

  void answered(Millis round_trip) {
    const auto sample =
        static_cast<std::int32_t>(std::clamp<Millis>(round_trip, 0, kLatencyUnknown - 1) * kScale);
    if (latency_ < 0) {
      latency_ = sample;
      jitter_ = sample / 2;
    } else {
      jitter_ += (std::abs(sample - latency_) - jitter_) / 4;
      latency_ += (sample - latency_) / 8;
    }
    loss_ -= loss_ / 16;
  }

  void lost() { loss_ += (kAll - loss_) / 16; }

  [[nodiscard]] bool known() const { return latency_ >= 0; }

  /// ms; kLatencyUnknown when nothing was measured.
  [[nodiscard]] int latency_ms() const {
    return known() ? (latency_ + kScale / 2) / kScale : kLatencyUnknown;
  }

  /// Mean deviation of the latency, ms.
  [[nodiscard]] int jitter_ms() const { return (jitter_ + kScale / 2) / kScale; }

  /// Probes that found no answer in time, of a thousand.
  [[nodiscard]] int loss_permille() const {
    return static_cast<int>(std::int64_t{loss_} * 1'000 / kAll);
  }

  /// What a packet over this path costs, in milliseconds of latency; lower is better. A tenth of
  /// all packets lost weighs as much as 50 ms: about what TCP loses by it.
  [[nodiscard]] int cost() const {
    return known() ? latency_ms() + 2 * jitter_ms() + loss_permille() / 2 : kLatencyUnknown;
  }

  /// How long the answer to a probe may take, ms.
  [[nodiscard]] Millis wait() const {
    if (!known()) return kFirstWait;
    return std::clamp<Millis>((latency_ + 4 * jitter_) / kScale, kLeastWait, kMostWait);
  }

 private:
  static constexpr std::int32_t kScale = 16;
  static constexpr std::int32_t kAll = 1 << 16;

  std::int32_t latency_ = -1;  // in sixteenths of a millisecond; -1: not known
  std::int32_t jitter_ = 0;    // the same
  std::int32_t loss_ = 0;      // of kAll
};

}  // namespace orrery::control
