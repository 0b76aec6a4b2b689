// Unicast frames of joined networks, both ways: the parts that no worker could finish. What is
// decided stands in fib/forward.h; here it is done.
// Source: docs/protocol/06-networks-and-mac.md sections 8 to 10.
#include <algorithm>

#include "control/network_state.h"
#include "fib/nested.h"
#include "fib/path_mtu.h"
#include "wire/verbs/frame.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

void Networks::State::deliver(const Joined& net, const fib::EthernetFrame& frame, Effects& out) {
  out.frames.push_back({net.id, frame.destination, frame.source, frame.ethertype,
                        ByteVector(frame.payload.begin(), frame.payload.end())});
}

void Networks::State::account(Joined& net, wire::Address member, Way way, std::size_t payload) {
  const std::size_t bytes = fib::EthernetFrame::kHead + payload;
  net.carried.of(way).carry(bytes);
  if (const auto known = net.members.find(member); known != net.members.end())
    known->second.carried.of(way).carry(bytes);
}

void Networks::State::account_refused(Joined& net, wire::Address member, Way way) {
  ++net.carried.of(way).refused;
  if (const auto known = net.members.find(member); known != net.members.end())
    ++known->second.carried.of(way).refused;
}

bool Networks::State::within_limit(Now now, Joined& net, wire::Address member, Way way,
                                   std::size_t payload) {
  const auto known = net.members.find(member);
  if (known == net.members.end() || !known->second.published) return true;
  MemberEntry& entry = known->second;
  const bool in = way == Way::kIn;
  const std::uint32_t kbit = in ? entry.published->rate_in : entry.published->rate_out;
  if ((in ? entry.rate_in : entry.rate_out)
          .take(now.mono, fib::EthernetFrame::kHead + payload, kbit)) {
    return true;
  }
  counters.add(NetworkCount::kMemberRate);
  account_refused(net, member, way);
  return false;
}

bool Networks::State::may_send(Now now, Joined& net, wire::Address to, std::size_t payload) {
  if (!put_out(net, to)) return within_limit(now, net, to, Way::kOut, payload);
  counters.add(NetworkCount::kRevoked);
  account_refused(net, to, Way::kOut);
  return false;
}

void Networks::State::send_ext_frame(Now now, Joined& net, wire::Address to, std::uint8_t flags,
                                     const fib::EthernetFrame& frame, Bytes payload, Effects& out) {
  if (to == self() || !to || !may_send(now, net, to, payload.size())) return;
  ByteVector packet(wire::kExtFrameHead + payload.size());
  Writer w(packet);
  wire::ExtFrame ext;
  ext.network = net.id;
  ext.flags = flags;
  ext.destination = frame.destination;
  ext.source = frame.source;
  ext.ethertype = frame.ethertype;
  ext.payload = payload;
  wire::encode_ext_frame(w, ext);
  account(net, to, Way::kOut, payload.size());
  transport.send(now, to, wire::Verb::kExtFrame, packet, {}, out);
}

void Networks::State::emit(Now now, Joined& net, const fib::FilterVerdict& verdict,
                           const fib::EthernetFrame& frame, Effects& out) {
  for (std::size_t i = 0; i < verdict.emissions; ++i) {
    const fib::Emission& emission = verdict.emit[i];
    const std::size_t length = std::min<std::size_t>(emission.length, frame.payload.size());
    send_ext_frame(now, net, emission.to, emission.flags, frame, frame.payload.first(length), out);
  }
}

const fib::Member* Networks::State::record_of(const Joined& net, wire::Address address) const {
  const auto known = net.members.find(address);
  if (known == net.members.end() || !known->second.published) return nullptr;
  return &*known->second.published;
}

bool Networks::State::put_out(const Joined& net, wire::Address address) const {
  const fib::Member* record = record_of(net, address);
  return record != nullptr && record->revoked;
}

bool Networks::State::filter_out(Now now, Joined& net, const fib::EthernetFrame& frame,
                                 wire::Address to, bool copies, Effects& out) {
  const fib::Member* record = to ? record_of(net, to) : nullptr;
  const auto verdict =
      fib::filter_out(net.record, record, fib::rule_frame_out(net.record, frame, to), !copies,
                      static_cast<std::uint32_t>(transport.random_u64()));
  emit(now, net, verdict, frame, out);
  if (verdict.filter != fib::Filter::kDrop) return true;
  counters.add(Way::kOut, fib::Refusal::kRules);
  account_refused(net, to, Way::kOut);
  return false;
}

fib::InboundDecision Networks::State::accept(Now now, Joined& net, const Incoming& in,
                                             const fib::InboundFrame& frame, Effects& out) {
  const MemberEntry& entry = member(now, net, in.source, out);
  fib::Member bare;
  bare.network = net.id;
  bare.address = in.source;
  const fib::InboundDecision decision =
      fib::accept_inbound(net.record, entry.published ? *entry.published : bare, frame,
                          static_cast<std::uint32_t>(transport.random_u64()));
  counters.add(Way::kIn, decision.refusal);
  emit(now, net, decision.verdict, decision.frame, out);
  if (decision.learn) learn(now, net, decision.frame.source, in.source, out);
  if (decision.deliver) {
    account(net, in.source, Way::kIn, decision.frame.payload.size());
    deliver(net, decision.frame, out);
  } else if (decision.refusal != fib::Refusal::kNone) {
    account_refused(net, in.source, Way::kIn);
  }
  return decision;
}

Handled Networks::State::on_frame_packet(Now now, const Incoming& in, Effects& out) {
  const auto packet = wire::decode_frame(in.payload);
  if (!packet) return refuse(NetworkCount::kMalformedFrame);
  Joined* net = find_configured(packet->network);
  if (net == nullptr) return Handled::kDone;
  if (!gate(now, *net, in, out)) return Handled::kNotYet;
  if (!within_limit(now, *net, in.source, Way::kIn, packet->payload.size()))
    return Handled::kDoneTrusted;
  (void)accept(now, *net, in, {fib::Carrier::kFrame, {{}, {}, packet->ethertype, packet->payload}},
               out);
  return Handled::kDoneTrusted;
}

Handled Networks::State::on_ext_frame(Now now, const Incoming& in, Effects& out) {
  const auto packet = wire::decode_ext_frame(in.payload);
  if (!packet) return refuse(NetworkCount::kMalformedExtFrame);
  Joined* net = find_configured(packet->network);
  if (net == nullptr) return Handled::kDone;
  if (packet->com) accept_inline(now, *net, in, *packet->com, out);
  if (!gate(now, *net, in, out)) return Handled::kNotYet;
  if (packet->has_frame) {
    if (!within_limit(now, *net, in.source, Way::kIn, packet->payload.size()))
      return Handled::kDoneTrusted;
    const fib::InboundFrame frame{
        fib::Carrier::kExtFrame,
        {packet->destination, packet->source, packet->ethertype, packet->payload}};
    if (!accept(now, *net, in, frame, out).acknowledge) return Handled::kDoneTrusted;
  }
  if ((packet->flags & wire::kExtFrameWantsOk) != 0) {
    std::array<std::uint8_t, 17> ok;
    std::array<std::uint8_t, 8> network;
    store_be64(network.data(), net->id.value);
    Writer w(ok);
    wire::encode_ok(w, {static_cast<std::uint8_t>(wire::Verb::kExtFrame), in.packet_id, network});
    transport.reply(now, in, wire::Verb::kOk, w.written(), out);
  }
  return Handled::kDoneTrusted;
}

void Networks::State::learn(Now now, Joined& net, wire::Mac mac, wire::Address behind,
                            Effects& out) {
  if (!fib::is_active_bridge(net.record, behind) || behind == self() || mac == net.mac ||
      mac.is_multicast() || !mac) {
    return;
  }
  const BridgeTable::Change change = net.bridges.learn(now.mono, mac, behind);
  if (change.gone) out.updates.push_back(fib::RemoveBridgeRoute{net.id, change.gone});
  if (change.changed()) out.updates.push_back(fib::BridgeRoute{net.id, mac, behind});
  switch (change.learned) {
    case BridgeTable::Learned::kMoved:
      return counters.add(NetworkCount::kStationsMoved);
    case BridgeTable::Learned::kFull:
      return counters.add(NetworkCount::kStationsRefused);
    case BridgeTable::Learned::kHeld:
      counters.add(NetworkCount::kStationsHeld);
      if (net.last_flapping == 0 || now.mono - net.last_flapping >= kFlappingInterval) {
        net.last_flapping = now.mono;
        out.notices.push_back(
            {Notice::Level::kAlarm,
             "network " + wire::to_string(net.id) + ": station " + wire::to_string(mac) +
                 " is heard behind several bridges at once, " + wire::to_string(behind) +
                 " among them: is one LAN bridged twice?"});
      }
      return;
    default:
      return;
  }
}

void Networks::State::answer_too_big(Now now, const Joined& net, const fib::EthernetFrame& frame,
                                     Effects& out) {
  std::array<std::uint8_t, fib::kTooBigAnswer> answer;
  const std::size_t size = fib::write_too_big(answer, frame, net.record.mtu);
  if (size == 0 || !too_big_answers.take(now.mono)) return;
  if (const auto told = fib::read_ethernet(Bytes(answer).first(size))) deliver(net, *told, out);
}

void Networks::State::on_host_frame(Now now, Joined& net, Bytes ethernet, Effects& out) {
  auto frame = fib::read_ethernet(ethernet);
  if (!frame) return counters.add(Way::kOut, fib::Refusal::kLength);
  if (!net.config) return counters.add(NetworkCount::kNotConfigured);
  const fib::Resolution where = fib::resolve(net.record, *frame);
  ByteVector clamped;  // holds the payload of a SYN that is changed
  if (where.to == fib::Outbound::kMember || where.to == fib::Outbound::kBridge) {
    if (refuse_nested && fib::is_own_datagram(frame->ethertype, frame->payload, net.record.self))
      return counters.add(Way::kOut, fib::Refusal::kNested);
    if (fib::exceeds(*frame, net.record.mtu)) {
      answer_too_big(now, net, *frame, out);
      return counters.add(Way::kOut, fib::Refusal::kLength);
    }
    if (clamp_mss && fib::may_be_syn(frame->ethertype, frame->payload)) {
      clamped.assign(frame->payload.begin(), frame->payload.end());
      (void)fib::clamp_mss(frame->ethertype, clamped,
                           {net.record.mtu, wire::kExtFrameHead, wire::kDefaultUdpPayload});
      frame->payload = clamped;
    }
  }
  switch (where.to) {
    case fib::Outbound::kDrop:
      return counters.add(Way::kOut, where.refusal);
    case fib::Outbound::kReinject:
      deliver(net, *frame, out);
      return;
    case fib::Outbound::kAdvertise:
      deliver(net,
              {where.advertisement.destination, where.advertisement.source, frame->ethertype,
               where.advertisement.payload},
              out);
      return;
    case fib::Outbound::kMulticast: {
      if (where.bridged) learn_bridged_group(now, net, where.group, out);
      if (!filter_out(now, net, *frame, {}, true, out)) return;
      MulticastJob job;
      job.group = where.group;
      if (where.bridged) job.source = frame->source;
      job.ethertype = frame->ethertype;
      job.payload.assign(frame->payload.begin(), frame->payload.end());
      send_multicast(now, net, std::move(job), {}, out);
      return;
    }
    case fib::Outbound::kMember: {
      if (!filter_out(now, net, *frame, where.member, true, out)) return;
      push_credentials(now, net, where.member, false, out);
      if (where.bridged) {
        send_ext_frame(now, net, where.member, 0, *frame, frame->payload, out);
        return;
      }
      if (!may_send(now, net, where.member, frame->payload.size())) return;
      ByteVector packet(wire::kFrameHead + frame->payload.size());
      Writer w(packet);
      wire::encode_frame(w, {net.id, frame->ethertype, frame->payload});
      account(net, where.member, Way::kOut, frame->payload.size());
      transport.send(now, where.member, wire::Verb::kFrame, packet, {}, out);
      return;
    }
    case fib::Outbound::kBridge: {
      if (!filter_out(now, net, *frame, {}, true, out)) return;
      const fib::BridgeTargets bridges =
          fib::bridge_targets(net.record, net.bridges.find(now.mono, frame->destination),
                              static_cast<std::uint32_t>(transport.random_u64()));
      for (std::size_t i = 0; i < bridges.count; ++i) {
        const wire::Address bridge = bridges.address[i];
        if (!filter_out(now, net, *frame, bridge, false, out)) continue;
        push_credentials(now, net, bridge, false, out);
        send_ext_frame(now, net, bridge, 0, *frame, frame->payload, out);
      }
      return;
    }
  }
}

}  // namespace orrery::control
