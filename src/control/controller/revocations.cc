#include "control/controller/revocations.h"

#include <algorithm>
#include <limits>

#include "control/controller/issue.h"

namespace orrery::control {

void Revocations::add(const wire::Revocation& revocation, bool listens) {
  std::vector<Waiting>& waiting = networks_[revocation.network];
  std::erase_if(waiting,
                [&](const Waiting& w) { return w.revocation.target == revocation.target; });
  if (waiting.size() >= kMost) {
    waiting.erase(std::max_element(waiting.begin(), waiting.end(),
                                   [](const auto& a, const auto& b) { return a.sent < b.sent; }));
  }
  waiting.push_back({revocation, listens, 0});
  for (Batch& batch : round_) {
    if (batch.network != revocation.network || batch.revocations.size() >= kPerPacket) continue;
    batch.revocations.push_back(revocation);
    payload_of_.clear();
    if (!listens) continue;
    batch.expelled.push_back(revocation.target);
    first_.emplace_back(static_cast<std::size_t>(&batch - round_.data()), revocation.target);
  }
}

void Revocations::take(std::vector<Waiting>& waiting, Batch& batch) {
  std::vector<Waiting*> order;
  for (Waiting& w : waiting) order.push_back(&w);
  std::stable_sort(order.begin(), order.end(),
                   [](const Waiting* a, const Waiting* b) { return a->sent < b->sent; });
  order.resize(std::min(order.size(), kPerPacket));
  for (Waiting* w : order) {
    batch.revocations.push_back(w->revocation);
    if (w->listens) batch.expelled.push_back(w->revocation.target);
    ++w->sent;
  }
}

void Revocations::begin_round(Millis now, const Audience& audience) {
  next_round_ = now + kInterval;
  std::size_t members = 0;
  for (auto& [id, waiting] : networks_) {
    Batch& batch = round_.emplace_back();
    batch.network = id;
    take(waiting, batch);
    members += audience.size(id);
    std::erase_if(waiting, [](const Waiting& w) { return w.sent >= kRounds; });
  }
  std::erase_if(networks_, [](const auto& entry) { return entry.second.empty(); });
  for (std::size_t i = round_.size(); i-- > 0;) {
    for (const wire::Address member : round_[i].expelled) first_.emplace_back(i, member);
  }
  at_ = 0;
  cursor_ = {};
  per_turn_ = std::clamp((members + kTurns - 1) / kTurns, kLeastPerTurn, kMostPerTurn);
  payload_of_.clear();
}

bool Revocations::told(const Audience& audience, std::size_t batch, wire::Address member) const {
  for (std::size_t i = 0; i < round_.size(); ++i) {
    const auto& expelled = round_[i].expelled;
    if (std::find(expelled.begin(), expelled.end(), member) != expelled.end()) return true;
    if (i < batch && audience.has(round_[i].network, member)) return true;
  }
  return false;
}

void Revocations::tell(const Audience& audience, std::size_t first, wire::Address member,
                       const Send& send) {
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < round_.size(); ++i) {
    if (i == first || audience.has(round_[i].network, member)) which.push_back(i);
  }
  if (which != payload_of_) {
    std::vector<wire::Revocation> all;
    for (const std::size_t i : which) {
      const auto& more = round_[i].revocations;
      const std::size_t room = std::min(more.size(), kPerPacket - all.size());
      all.insert(all.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(room));
    }
    payload_ = revocation_payload(all);
    payload_of_ = std::move(which);
  }
  send(round_[payload_of_.front()].network, member, payload_);
}

void Revocations::send_due(Millis now, const Audience& audience, const Send& send,
                           std::size_t most) {
  if (round_.empty()) {
    if (networks_.empty() || now < next_round_) return;
    begin_round(now, audience);
  } else if (now < next_turn_) {
    return;
  }
  next_turn_ = now + kTurn;
  std::size_t left = std::min(per_turn_, most), looks = kLooksPerTurn;
  std::vector<wire::Address> expelled;  // may be so from several networks
  for (; left > 0 && !first_.empty(); first_.pop_back()) {
    const auto [batch, member] = first_.back();
    if (std::find(expelled.begin(), expelled.end(), member) != expelled.end()) continue;
    expelled.push_back(member);
    tell(audience, batch, member, send);
    --left;
  }
  while (left > 0 && looks > 0 && at_ < round_.size()) {
    const wire::Address member = audience.next(round_[at_].network, cursor_, looks);
    if (member) {
      if (told(audience, at_, member)) continue;
      tell(audience, at_, member, send);
      --left;
    } else if (looks > 0) {
      ++at_;
      cursor_ = {};
    }
  }
  if (at_ == round_.size()) round_.clear();
}

Millis Revocations::next_deadline() const {
  if (!round_.empty()) return next_turn_;
  return networks_.empty() ? std::numeric_limits<Millis>::max() : next_round_;
}

}  // namespace orrery::control
