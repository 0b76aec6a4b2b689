// Requests that a controller did not answer with a configuration, and configurations that it did
// not send, by reason, once.
#pragma once

#include <array>
#include <cstdint>

// X(enumerator, label)
#define ORRERY_FOR_EACH_CONTROLLER_COUNTER(X) \
  X(kMalformed, "malformed_request")          \
  X(kSuspended, "store_takes_no_writes")      \
  X(kNotOurs, "not_our_network")              \
  X(kUnknownSender, "unknown_sender")         \
  X(kTooSoon, "too_soon")                     \
  X(kStrangers, "strangers_rate")             \
  X(kBehind, "signatures_behind")             \
  X(kOvertaken, "overtaken")                  \
  X(kRefused, "refused")

namespace orrery::control {

enum class ControllerCount : std::uint8_t {
#define ORRERY_CONTROLLER_COUNTER_ENUM(name, label) name,
  ORRERY_FOR_EACH_CONTROLLER_COUNTER(ORRERY_CONTROLLER_COUNTER_ENUM)
#undef ORRERY_CONTROLLER_COUNTER_ENUM
      kEnd
};

class ControllerCounters {
 public:
  void add(ControllerCount reason) { ++values_[static_cast<std::size_t>(reason)]; }

  [[nodiscard]] std::uint64_t get(ControllerCount reason) const {
    return values_[static_cast<std::size_t>(reason)];
  }

  /// Calls `each(label, count)` for every reason.
  template <typename Each>
  void for_each(Each each) const {
#define ORRERY_CONTROLLER_COUNTER_ROW(name, label) each(label, get(ControllerCount::name));
    ORRERY_FOR_EACH_CONTROLLER_COUNTER(ORRERY_CONTROLLER_COUNTER_ROW)
#undef ORRERY_CONTROLLER_COUNTER_ROW
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(ControllerCount::kEnd)> values_{};
};

}  // namespace orrery::control
