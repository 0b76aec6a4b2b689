// Packet ids that never repeat under one key: lane in the top 4 bits, then nanoseconds / 8 of the
// wall clock, strictly increasing in steps of 8 so that the masked low bits of HELLO differ too.
//
// A lane belongs to one thread. Numbers never fall below `floor`, which the owner persists ahead of
// use (state file nonce.state), so a clock that was set back cannot cause a repetition. Source:
// security 2.8 as summarised in docs/architecture.md; tests/crypto/nonce_test.cc.
#pragma once

#include <cstdint>

namespace orrery::crypto {

class NonceLane {
 public:
  static constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << 60) - 1;

  /// REQUIRES: lane < 16. `floor`: first time part that may be used.
  explicit NonceLane(unsigned lane, std::uint64_t floor = 0)
      : lane_(static_cast<std::uint64_t>(lane) << 60), next_(floor) {}

  /// The next id at `unix_ns`. Ids of one lane strictly increase by at least 8 (in time units of 1
  /// ns).
  std::uint64_t next(std::uint64_t unix_ns) {
    const std::uint64_t t = (unix_ns >> 3) & kTimeMask;
    if (t > next_) next_ = t;
    // Steps of 8 keep ids distinct when the low three bits are masked (HELLO's masked tail).
    const std::uint64_t id = (next_ + 7) & ~std::uint64_t{7};
    next_ = id + 8;
    return lane_ | (id & kTimeMask);
  }

  [[nodiscard]] std::uint64_t high_water() const { return next_; }

 private:
  std::uint64_t lane_;
  std::uint64_t next_;
};

}  // namespace orrery::crypto
