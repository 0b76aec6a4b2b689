// Time as control sees it. Both values come in from outside; nothing in control reads a clock.
#pragma once

#include <cstdint>

namespace orrery {

/// Milliseconds; which clock is said where it stands.
using Millis = std::int64_t;

/// One moment on two clocks. Timers and ages use `mono`; `wall` only stands in what is signed or
/// sent.
struct Now {
  Millis mono = 0;  // monotonic clock, never 0 in practice: 0 means "never" in records
  Millis wall = 0;  // since the Unix epoch, UTC
};

/// Time-stamp counter ticks, as the workers count.
using Ticks = std::uint64_t;

}  // namespace orrery
