#include "dataplane/stages/stages.h"
#include "fib/flow.h"
#include "fib/nested.h"
#include "fib/path_mtu.h"

namespace orrery::dataplane {
namespace {

/// The same for all frames of an inner flow, at all workers.
std::uint32_t flow_of(const WorkerContext& w, const fib::EthernetFrame& frame) noexcept {
  return fib::parse_flow(frame.destination, frame.source, frame.ethertype, frame.payload,
                         w.flow_seed)
      .hash;
}

}  // namespace

void steer(WorkerContext& w, PacketVector& v) noexcept {
  // Frames of one superframe are of one size: what was planned last serves for the next.
  std::size_t planned_size = 0;
  std::uint16_t planned_mtu = 0;
  wire::FragmentPlan planned;
  for (unsigned i = 0; i < v.n; ++i) {
    const fib::Peer& peer = v.peer[i]->peer;
    if (!peer.path || peer.path.socket == 0) {
      v.punt_lane(i, Message::kFrame);
      continue;
    }
    const std::size_t mtu = v.network[i]->network.mtu;
    const fib::EthernetFrame& frame = v.frame[i];
    const fib::PathKey* path = &peer.path;
    std::uint16_t path_mtu = peer.mtu;
    if (peer.shared) [[unlikely]] {
      if (const fib::Spread* spread = w.tables.spreads.find({peer.address.value})) {
        const fib::SharedPath& shared = spread->of(flow_of(w, frame));
        path = &shared.key;
        path_mtu = shared.mtu;
      }
    }
    // A copy by a rule is no frame of its sender: it goes as it is, and nobody is told of it.
    const bool copy = v.ext_flags[i] != 0;
    const bool unicast = v.verb[i] != fib::Carrier::kMulticastFrame && !copy;
    if (w.refuse_nested && unicast && fib::is_own_datagram(frame.ethertype, frame.payload, w.self))
        [[unlikely]] {
      v.drop_lane(i, Drop::kNested);
      continue;
    }
    const std::size_t head = verb_head(v, i);
    const std::size_t size = wire::kHeaderSize + head + frame.payload.size();
    v.plan[i] = {};  // whole, as most are
    if (size >= fib::kFullSize && v.peer[i]->full_size_due(w.now_ms)) [[unlikely]]
      raise_full_size(w, v, i);
    if (unicast && v.peer[i]->sent_due(w.now_ms)) [[unlikely]]
      raise_sent(w, v, i);
    if (size > path_mtu) {
      if (size != planned_size || path_mtu != planned_mtu) {
        planned = wire::plan_equal_fragments(size, path_mtu);
        planned_size = size;
        planned_mtu = path_mtu;
      }
      v.plan[i] = planned;
    }
    const bool fits = v.plan[i].pieces <= wire::kMaxFragments;
    if (!fits || (unicast && fib::exceeds(frame, mtu))) [[unlikely]] {
      if (!copy) {
        answer_too_big(w, v, i,
                       std::min(mtu, wire::largest_packet(path_mtu) - wire::kHeaderSize - head -
                                         wire::behind_tag(frame.ethertype, frame.payload).tag));
      }
      v.drop_lane(i, Drop::kTooBig);
      continue;
    }
    if (w.clamp_mss && unicast && fib::may_be_syn(frame.ethertype, frame.payload)) [[unlikely]] {
      (void)fib::clamp_mss(frame.ethertype,
                           {v.data(i) + fib::EthernetFrame::kHead, frame.payload.size()},
                           {mtu, head, path_mtu});
    }
    PacketMeta& meta = meta_of(v.mbuf[i]);
    meta.remote = path->remote;
    meta.socket = path->socket;
    meta.ttl = 0;
  }
}

}  // namespace orrery::dataplane
