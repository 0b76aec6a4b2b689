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

Replies::Kind Replies::kind_of(wire::Verb verb) {
  switch (verb) {
    case wire::Verb::kHello:
    case wire::Verb::kEcho:
      return kProbe;
    case wire::Verb::kNetworkConfigRequest:
      return kConfiguration;
    case wire::Verb::kMulticastGather:
    case wire::Verb::kMulticastFrame:
      return kGather;
    default:
      return kOther;
  }
}

void Replies::erase(Table::iterator it) {
  by_age_[kind_of(it->second.asked.verb)].erase(it->second.place);
  table_.erase(it);
}

void Replies::expect(std::uint64_t id, const Expectation& expectation) {
  if (limit_ == 0) return;
  if (const auto same = table_.find(id); same != table_.end()) erase(same);
  if (table_.size() >= limit_) {
    const auto most =
        std::max_element(by_age_.begin(), by_age_.end(),
                         [](const auto& a, const auto& b) { return a.size() < b.size(); });
    erase(table_.find(most->front()));
  }
  std::list<std::uint64_t>& order = by_age_[kind_of(expectation.verb)];
  table_.emplace(id, Entry{expectation, order.insert(order.end(), id)});
}

std::optional<Expectation> Replies::match(std::uint64_t id, wire::Verb verb, const Incoming& answer,
                                          Millis now) {
  const auto it = table_.find(id);
  if (it == table_.end()) return std::nullopt;
  const Expectation& asked = it->second.asked;
  if (now >= asked.until || asked.verb != verb) return std::nullopt;
  if (asked.from && asked.from != answer.source) return std::nullopt;
  if (asked.path && answer.hops == 0) {
    if (asked.path.remote != answer.via.remote) return std::nullopt;
    if (asked.path.socket != 0 && asked.path.socket != answer.via.socket) return std::nullopt;
  }
  const Expectation found = asked;
  if (found.once) erase(it);
  return found;
}

void Replies::expire(Millis now) {
  for (std::list<std::uint64_t>& order : by_age_) {
    while (!order.empty()) {
      const auto oldest = table_.find(order.front());
      if (now < oldest->second.asked.until) break;
      erase(oldest);
    }
  }
}

}  // namespace orrery::control
