// Packets of the node by verb and errors by code, each way: what control itself sent and received.
// What workers carry they count themselves (dataplane/observe.h).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "wire/header.h"
#include "wire/verb.h"

namespace orrery::control {

struct VerbCounts {
  static constexpr std::size_t kVerbs = wire::kVerbMask + 1;
  static constexpr std::size_t kErrors = 16;  // codes; higher ones count as the last

  /// `payload`: what follows the verb, in clear.
  void add(wire::Verb verb, Bytes payload) {
    ++packets[static_cast<std::size_t>(verb) % kVerbs];
    constexpr std::size_t kCodeAt = 9;  // behind the verb and id that it answers
    if (verb == wire::Verb::kError && payload.size() > kCodeAt)
      ++errors[std::min<std::size_t>(payload[kCodeAt], kErrors - 1)];
  }

  std::array<std::uint64_t, kVerbs> packets{};  // [verb]
  std::array<std::uint64_t, kErrors> errors{};  // [code]
};

}  // namespace orrery::control
