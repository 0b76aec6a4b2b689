// Unicast frames of joined networks, both ways: the parts that no worker could finish.
// Source: docs/protocol/06-networks-and-mac.md sections 8 to 10.
#include <algorithm>

#include "control/network_state.h"
#include "fib/neighbour.h"
#include "wire/verbs/frame.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

namespace {

constexpr std::uint16_t kIpv6 = 0x86dd;

bool is_bridge(const Joined& net, wire::Address address) {
  const auto& bridges = net.record.active_bridges;
  return std::binary_search(bridges.begin(), bridges.end(), address);
}

bool belongs(const Joined& net, wire::Mac mac) {
  return mac.first_octet() == wire::mac_first_octet(net.id);
}

}  // namespace

void Networks::State::deliver(const Joined& net, const fib::RuleFrame& frame, Effects& out) {
  out.frames.push_back({net.id, frame.mac_destination, frame.mac_source, frame.ethertype,
                        ByteVector(frame.payload.begin(), frame.payload.end())});
}

void Networks::State::send_ext_frame(Now now, const Joined& net, wire::Address to,
                                     std::uint8_t flags, const fib::RuleFrame& frame, Bytes payload,
                                     Effects& out) {
  if (to == self() || !to) return;
  ByteVector packet(wire::kExtFrameHead + payload.size());
  Writer w(packet);
  wire::ExtFrame ext;
  ext.network = net.id;
  ext.flags = flags;
  ext.destination = frame.mac_destination;
  ext.source = frame.mac_source;
  ext.ethertype = frame.ethertype;
  ext.payload = payload;
  wire::encode_ext_frame(w, ext);
  transport.send(now, to, wire::Verb::kExtFrame, packet, {}, out);
}

void Networks::State::emit(Now now, const Joined& net, const fib::FilterVerdict& verdict,
                           const fib::RuleFrame& frame, Effects& out) {
  for (std::size_t i = 0; i < verdict.emissions; ++i) {
    const fib::Emission& emission = verdict.emit[i];
    const std::size_t length = std::min<std::size_t>(emission.length, frame.payload.size());
    send_ext_frame(now, net, emission.to, emission.flags, frame, frame.payload.first(length), out);
  }
}

fib::FilterVerdict Networks::State::filter_in(Now now, Joined& net, const Incoming& in,
                                              const fib::RuleFrame& frame, Effects& out) {
  const MemberEntry& entry = member(now, net, in.source, out);
  fib::Member unknown;
  unknown.network = net.id;
  unknown.address = in.source;
  const fib::FilterVerdict verdict =
      fib::filter_in(net.record, entry.published ? *entry.published : unknown, frame,
                     static_cast<std::uint32_t>(transport.random_u64()));
  emit(now, net, verdict, frame, out);
  return verdict;
}

Handled Networks::State::on_frame_packet(Now now, const Incoming& in, Effects& out) {
  const auto packet = wire::decode_frame(in.payload);
  if (!packet) return Handled::kDone;
  Joined* net = find(packet->network);
  if (net == nullptr || !net->config) return Handled::kDone;
  if (!gate(now, *net, in, out)) return Handled::kNotYet;
  if (packet->payload.empty()) return Handled::kDoneTrusted;
  const fib::RuleFrame frame{.source = in.source,
                             .destination = self(),
                             .mac_source = wire::mac_of(in.source, net->id),
                             .mac_destination = net->mac,
                             .ethertype = packet->ethertype,
                             .payload = packet->payload};
  if (filter_in(now, *net, in, frame, out).filter != fib::Filter::kDrop) deliver(*net, frame, out);
  return Handled::kDoneTrusted;
}

Handled Networks::State::on_ext_frame(Now now, const Incoming& in, Effects& out) {
  const auto packet = wire::decode_ext_frame(in.payload);
  if (!packet) return Handled::kDone;
  Joined* net = find(packet->network);
  if (net == nullptr || !net->config) return Handled::kDone;
  if (packet->com) accept_inline(now, *net, in, *packet->com, out);
  if (!gate(now, *net, in, out)) return Handled::kNotYet;
  if (packet->has_frame) {
    if (!packet->source || packet->source == net->mac || packet->source.is_multicast()) {
      return Handled::kDoneTrusted;
    }
    const fib::RuleFrame frame{.source = in.source,
                               .destination = self(),
                               .mac_source = packet->source,
                               .mac_destination = packet->destination,
                               .ethertype = packet->ethertype,
                               .payload = packet->payload};
    const fib::Filter filter = filter_in(now, *net, in, frame, out).filter;
    if (filter == fib::Filter::kAccept) {
      if (packet->source != wire::mac_of(in.source, net->id)) {
        // A bridge may not speak in the name of another member.
        if (!is_bridge(*net, in.source) || belongs(*net, packet->source)) {
          return Handled::kDoneTrusted;
        }
        learn(now, *net, packet->source, in.source, out);
      } else if (packet->destination != net->mac) {
        if (packet->destination.is_multicast() ? net->record.multicast_limit == 0
                                               : !net->record.active_bridge) {
          return Handled::kDoneTrusted;
        }
      }
    }
    if (filter != fib::Filter::kDrop) deliver(*net, frame, out);
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
  if (!is_bridge(net, behind) || behind == self() || mac == net.mac || mac.is_multicast() || !mac) {
    return;
  }
  if (net.bridges.learn(now.mono, mac, behind)) {
    out.updates.push_back(fib::BridgeRoute{net.id, mac, behind});
  }
}

void Networks::State::on_host_frame(Now now, Joined& net, Bytes ethernet, Effects& out) {
  constexpr std::size_t kEthernetHead = 14;  // bytes: [6] destination, [6] source, [2] ethertype
  constexpr std::size_t kLargest = 10'000;   // bytes of payload
  if (!net.config || ethernet.size() < kEthernetHead ||
      ethernet.size() > kEthernetHead + kLargest) {
    return;
  }
  fib::RuleFrame frame{.source = self(),
                       .destination = {},
                       .mac_source = wire::Mac::load(ethernet.data() + 6),
                       .mac_destination = wire::Mac::load(ethernet.data()),
                       .ethertype = load_be16(ethernet.data() + 12),
                       .payload = ethernet.subspan(kEthernetHead)};
  const wire::Mac to = frame.mac_destination;
  const bool bridged = frame.mac_source != net.mac;
  if (bridged && (!net.record.active_bridge || frame.mac_source.is_multicast())) return;
  const auto random = static_cast<std::uint32_t>(transport.random_u64());

  if (to.is_multicast()) {
    wire::MulticastGroup group{to, 0};
    if (to.is_broadcast()) {
      if (const auto target = fib::arp_request_target(frame.ethertype, frame.payload)) {
        group.adi = *target;
      } else if (!net.record.broadcast) {
        return;
      }
    } else if (net.record.ndp_emulation && frame.ethertype == kIpv6) {
      if (const auto answer =
              fib::answer_solicitation(net.record, frame.mac_source, frame.payload)) {
        out.frames.push_back({net.id, answer->destination, answer->source, kIpv6,
                              ByteVector(answer->payload.begin(), answer->payload.end())});
        return;
      }
    }
    if (net.record.multicast_limit == 0) return;
    if (bridged) learn_bridged_group(now, net, group, out);
    const auto verdict = fib::filter_out(net.record, nullptr, frame, false, random);
    emit(now, net, verdict, frame, out);
    if (verdict.filter == fib::Filter::kDrop || frame.payload.empty()) return;
    MulticastJob job;
    job.group = group;
    if (bridged) job.source = frame.mac_source;
    job.ethertype = frame.ethertype;
    job.payload.assign(frame.payload.begin(), frame.payload.end());
    send_multicast(now, net, std::move(job), {}, out);
    return;
  }
  if (to == net.mac) {
    deliver(net, frame, out);
    return;
  }
  if (belongs(net, to)) {
    const wire::Address address = wire::address_of(to, net.id);
    if (!address || address.is_reserved() || address == self()) return;
    frame.destination = address;
    const auto known = net.members.find(address);
    const fib::Member* record =
        known != net.members.end() && known->second.published ? &*known->second.published : nullptr;
    const auto verdict = fib::filter_out(net.record, record, frame, false, random);
    emit(now, net, verdict, frame, out);
    if (verdict.filter == fib::Filter::kDrop) return;
    push_credentials(now, net, address, false, out);
    if (bridged) {
      send_ext_frame(now, net, address, 0, frame, frame.payload, out);
      return;
    }
    ByteVector packet(wire::kFrameHead + frame.payload.size());
    Writer w(packet);
    wire::encode_frame(w, {net.id, frame.ethertype, frame.payload});
    transport.send(now, address, wire::Verb::kFrame, packet, {}, out);
    return;
  }
  // A station behind some other bridge.
  const auto verdict = fib::filter_out(net.record, nullptr, frame, false, random);
  emit(now, net, verdict, frame, out);
  if (verdict.filter == fib::Filter::kDrop) return;
  std::vector<wire::Address> bridges;
  const wire::Address behind = net.bridges.find(now.mono, to);
  if (behind && behind != self() && is_bridge(net, behind)) {
    bridges.push_back(behind);
  } else {
    bridges = net.record.active_bridges;
    if (bridges.size() > kFanOut) {
      shuffle(bridges);
      bridges.resize(kFanOut);
    }
  }
  for (const wire::Address bridge : bridges) {
    if (bridge == self()) continue;
    frame.destination = bridge;
    const auto known = net.members.find(bridge);
    const fib::Member* record =
        known != net.members.end() && known->second.published ? &*known->second.published : nullptr;
    if (fib::filter_out(net.record, record, frame, true, random).filter == fib::Filter::kDrop) {
      continue;
    }
    push_credentials(now, net, bridge, false, out);
    send_ext_frame(now, net, bridge, 0, frame, frame.payload, out);
  }
}

}  // namespace orrery::control
