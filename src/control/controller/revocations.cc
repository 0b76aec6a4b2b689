#include "control/controller/revocations.h"

#include <algorithm>
#include <limits>

#include "control/controller/issue.h"

namespace orrery::control {

void Revocations::add(const wire::Revocation& revocation) {
  Network& network = networks_[revocation.network];
  network.closed = false;
  std::vector<Waiting>& waiting = network.waiting;
  std::erase_if(waiting,
                [&](const Waiting& w) { return w.revocation.target == revocation.target; });
  if (waiting.size() >= kMost) {
    waiting.erase(std::max_element(waiting.begin(), waiting.end(),
                                   [](const auto& a, const auto& b) { return a.sent < b.sent; }));
  }
  waiting.push_back({revocation, 0});
}

void Revocations::close(wire::NetworkId network, std::vector<wire::Address> members) {
  const auto it = networks_.find(network);
  if (it == networks_.end()) return;
  it->second.last_members = std::move(members);
  it->second.closed = true;
}

std::vector<wire::Revocation> Revocations::take(Network& network) {
  std::vector<Waiting*> order;
  for (Waiting& w : network.waiting) order.push_back(&w);
  std::stable_sort(order.begin(), order.end(),
                   [](const Waiting* a, const Waiting* b) { return a->sent < b->sent; });
  order.resize(std::min(order.size(), kPerPacket));
  std::vector<wire::Revocation> taken;
  for (Waiting* w : order) {
    taken.push_back(w->revocation);
    ++w->sent;
  }
  return taken;
}

void Revocations::send_due(Millis now, const Members& members, const Send& send) {
  if (networks_.empty() || now < next_) return;
  next_ = now + kInterval;
  std::vector<std::vector<wire::Revocation>> batches;
  std::map<wire::Address, std::vector<std::size_t>> batches_of;  // which, for each member
  for (auto& [id, network] : networks_) {
    for (const wire::Address address : network.closed ? network.last_members : members(id)) {
      batches_of[address].push_back(batches.size());
    }
    batches.push_back(take(network));
    std::erase_if(network.waiting, [](const Waiting& w) { return w.sent >= kRounds; });
  }
  std::erase_if(networks_, [](const auto& entry) { return entry.second.waiting.empty(); });
  std::vector<std::size_t> last;  // most members get the same
  ByteVector payload;
  for (const auto& [address, which] : batches_of) {
    if (which != last) {
      std::vector<wire::Revocation> all;
      for (const std::size_t i : which) {
        const std::size_t room = std::min(batches[i].size(), kPerPacket - all.size());
        all.insert(all.end(), batches[i].begin(),
                   batches[i].begin() + static_cast<std::ptrdiff_t>(room));
      }
      payload = revocation_payload(all);
      last = which;
    }
    send(batches[which.front()].front().network, address, payload);
  }
}

Millis Revocations::next_deadline() const {
  return networks_.empty() ? std::numeric_limits<Millis>::max() : next_;
}

}  // namespace orrery::control
