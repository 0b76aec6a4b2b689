#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void gate(WorkerContext& w, PacketVector& v) noexcept {
  std::array<MemberKey, kVectorMax> keys;
  std::array<const MemberKey*, kVectorMax> wanted;
  for (unsigned i = 0; i < v.n; ++i) {
    const std::uint64_t network = load_be64(v.data(i) + wire::kHeaderSize);
    keys[i] = {network, v.peer[i]->peer.address.value};
    wanted[i] = &keys[i];
    // Packets of one network come in runs.
    v.network[i] = i != 0 && keys[i - 1].network == network ? v.network[i - 1]
                                                            : w.tables.networks.find({network});
  }
  if (v.n == 0) return;
  w.tables.members.find_bulk(wanted.data(), v.n, v.member.data());
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.network[i] == nullptr || fib::gate(v.member[i]) != fib::Gate::kPass) {
      v.punt_lane(i, Message::kAuthenticated);
    } else {
      raise_received(w, v, i);
      if (v.verb[i] == fib::Carrier::kMulticastFrame) raise_gather(w, v, i);
      if (v.member[i]->rate_in != 0 && !v.member[i]->admits_in(w.now_ms, frame_bytes(v, i)))
          [[unlikely]] {
        v.drop_lane(i, Drop::kMemberRate);
        count_refused(w, v, i, true);
      }
    }
  }
}

}  // namespace orrery::dataplane
