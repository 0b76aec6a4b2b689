#include "dataplane/stages/stages.h"
#include "dataplane/vlan_tag.h"

namespace orrery::dataplane {
namespace {

bool passes(const fib::FilterVerdict& verdict) {
  return verdict.filter != fib::Filter::kDrop && verdict.emissions == 0;
}

/// Whether question and answer would pass between us and `owner`, as far as our copy of the rules
/// tells, and without a copy or redirect for anybody.
bool rules_let_pass(WorkerContext& w, const NetworkRecord& record, const fib::Member& owner,
                    const fib::EthernetFrame& question, const fib::EthernetFrame& answer) {
  const fib::Network& network = record.network;
  const auto out = [&](const fib::Member* to, wire::Address address) {
    return passes(fib::filter_out(network, to, fib::rule_frame_out(network, question, address),
                                  false, w.random()));
  };
  if (!record.accepts_all && !(out(nullptr, {}) && out(&owner, owner.address))) return false;
  const fib::InboundDecision in =
      fib::accept_inbound(network, owner, {fib::Carrier::kExtFrame, answer}, w.random());
  return in.deliver && in.verdict.emissions == 0;
}

}  // namespace

rte_mbuf* answer_in_name_of(fib::Neighbour owner, Bytes frame, const Pools& pools) noexcept {
  const auto ethernet = fib::read_ethernet(frame);
  if (!ethernet) return nullptr;
  const wire::BehindTag in = wire::behind_tag(ethernet->ethertype, ethernet->payload);
  const auto question =
      fib::read_neighbour(ethernet->destination, ethernet->source, in.ethertype, in.payload);
  if (!question || !question->target) return nullptr;
  rte_mbuf* m = rte_pktmbuf_alloc(pools.wire);
  if (m == nullptr) return nullptr;
  meta_of(m) = {};
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, fib::kNeighbourAnswer));
  const std::size_t size =
      fib::write_neighbour_answer({p, fib::kNeighbourAnswer}, *question, owner);
  rte_pktmbuf_trim(m, static_cast<std::uint16_t>(fib::kNeighbourAnswer - size));
  if (in.tag != 0 && !put_tag(m, in.tag_control)) {
    rte_pktmbuf_free(m);
    return nullptr;
  }
  return m;
}

bool suppress(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  const NetworkRecord& record = *v.network[i];
  const PacketMeta& meta = meta_of(v.mbuf[i]);
  const wire::Address holder = holder_of(w.tables, record.network, meta.neighbour.mac);
  const fib::Member* owner =
      w.tables.members.find({record.network.id.value, holder.value});  // nobody has address zero
  if (fib::gate(owner) != fib::Gate::kPass || w.out->delivers == std::size(w.out->deliver))
    return false;
  rte_mbuf* answer = answer_in_name_of(meta.neighbour, v.bytes(i), w.pools);
  if (answer == nullptr) return false;
  const auto frame = fib::read_ethernet(
      {rte_pktmbuf_mtod(answer, const std::uint8_t*), rte_pktmbuf_data_len(answer)});
  if (!rules_let_pass(w, record, *owner, v.frame[i], *frame)) {
    rte_pktmbuf_free(answer);
    return false;
  }
  meta_of(answer).network = record.network.id.value;
  meta_of(answer).side = meta.side;
  w.out->deliver[w.out->delivers++] = answer;
  ++w.out->answers;
  return true;
}

}  // namespace orrery::dataplane
