#include "control/replies.h"

#include <algorithm>

namespace orrery::control {

Millis reply_window(wire::Verb verb) {
  switch (verb) {
    case wire::Verb::kNetworkConfigRequest:
      return 60'000;
    case wire::Verb::kMulticastGather:
    case wire::Verb::kMulticastFrame:
      return 10'000;
    default:
      // A root that has to be reached through another one may take seconds; an id is guessed never.
      return 15'000;
  }
}

void Replies::expect(std::uint64_t id, const Expectation& expectation) {
  if (table_.size() >= limit_) {
    expire(expectation.sent);
    if (table_.size() >= limit_) {
      const auto first = std::min_element(
          table_.begin(), table_.end(),
          [](const auto& a, const auto& b) { return a.second.until < b.second.until; });
      table_.erase(first);
    }
  }
  table_[id] = expectation;
}

std::optional<Expectation> Replies::match(std::uint64_t id, wire::Verb verb, const Incoming& answer,
                                          Millis now) {
  const auto it = table_.find(id);
  if (it == table_.end()) return std::nullopt;
  const Expectation& asked = it->second;
  if (now >= asked.until || asked.verb != verb) return std::nullopt;
  if (asked.from && asked.from != answer.source) return std::nullopt;
  if (asked.path && answer.hops == 0) {
    if (asked.path.remote != answer.via.remote) return std::nullopt;
    if (asked.path.socket != 0 && asked.path.socket != answer.via.socket) return std::nullopt;
  }
  const Expectation found = asked;
  if (found.once) table_.erase(it);
  return found;
}

void Replies::expire(Millis now) {
  std::erase_if(table_, [&](const auto& entry) { return now >= entry.second.until; });
}

}  // namespace orrery::control
