// Groups of joined networks: announced, asked for and answered; multicast frames both ways.
// Source: docs/protocol/10-multicast-arp-ndp.md.
#include <algorithm>

#include "control/network_state.h"
#include "control/peer.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

namespace {

bool contains(const std::vector<wire::Address>& list, wire::Address address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

}  // namespace

std::vector<wire::Address> Networks::State::specialists(const Joined& net,
                                                        std::uint64_t role) const {
  std::vector<wire::Address> found;
  if (!net.config) return found;
  for (const wire::Specialist& specialist : net.config->specialists) {
    const wire::Address address = specialist.address();
    if (specialist.has(role) && address && address != self() && !contains(found, address)) {
      found.push_back(address);
    }
  }
  return found;
}

void Networks::State::shuffle(std::vector<wire::Address>& addresses) {
  for (std::size_t i = addresses.size(); i > 1; --i) {
    std::swap(addresses[i - 1], addresses[transport.random_u64() % i]);
  }
}

std::vector<wire::MulticastGroup> Networks::State::all_groups(const Joined& net) const {
  std::vector<wire::MulticastGroup> all = net.subscriptions;
  for (const auto& [group, seen] : net.bridged_groups) all.push_back(group);
  if (net.config && net.record.broadcast) all.push_back({wire::kBroadcastMac, 0});
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool Networks::State::subscribed(const Joined& net, wire::MulticastGroup group) const {
  return std::binary_search(net.subscriptions.begin(), net.subscriptions.end(), group) ||
         net.bridged_groups.contains(group) ||
         (net.config && net.record.broadcast && group.mac.is_broadcast() && group.adi == 0);
}

std::vector<wire::Address> Networks::State::always_list(const Joined& net) const {
  std::vector<wire::Address> list =
      specialists(net, wire::Specialist::kAnchor | wire::Specialist::kReplicator);
  const auto add = [&](wire::Address address) {
    if (address && address != self() && !contains(list, address)) list.push_back(address);
  };
  if (!net.id.is_adhoc()) add(net.id.controller());
  for (const wire::Address root : transport.roots()) add(root);
  return list;
}

void Networks::State::announce(Now now, const Joined& net, wire::Address to,
                               const std::vector<wire::MulticastGroup>& list, Effects& out) {
  constexpr std::size_t kPerPacket = 9'990 / wire::MulticastLike::kSize;
  for (std::size_t begin = 0; begin < list.size(); begin += kPerPacket) {
    const std::size_t count = std::min(kPerPacket, list.size() - begin);
    ByteVector payload(count * wire::MulticastLike::kSize);
    Writer w(payload);
    for (std::size_t i = 0; i < count; ++i) wire::write_like(w, {net.id, list[begin + i]});
    transport.send(now, to, wire::Verb::kMulticastLike, payload, {.compress = true}, out);
  }
}

void Networks::State::announce_new(Now now, Joined& net,
                                   const std::vector<wire::MulticastGroup>& list, Effects& out) {
  if (list.empty() || !net.config) return;
  const std::vector<wire::Address> always = always_list(net);
  for (const wire::Address to : always) announce(now, net, to, list, out);
  for (const auto& [address, entry] : net.members) {
    if (entry.allowed && !contains(always, address) && transport.identity_of(address) != nullptr) {
      announce(now, net, address, list, out);
    }
  }
}

void Networks::State::announce_periodically(Now now, Joined& net, Effects& out) {
  const std::vector<wire::MulticastGroup> list = all_groups(net);
  const std::vector<wire::Address> always = always_list(net);
  if (net.last_announce == 0 || now.mono - net.last_announce >= kAnnounce) {
    net.last_announce = now.mono;
    for (const wire::Address to : always) announce(now, net, to, list, out);
  }
  for (auto& [address, entry] : net.members) {
    if (!entry.allowed || contains(always, address) ||
        (entry.last_announce != 0 && now.mono - entry.last_announce < kAnnounce) ||
        transport.identity_of(address) == nullptr) {
      continue;
    }
    entry.last_announce = now.mono;
    announce(now, net, address, list, out);
  }
}

void Networks::State::learn_bridged_group(Now now, Joined& net, wire::MulticastGroup group,
                                          Effects& out) {
  const auto known = net.bridged_groups.find(group);
  if (known != net.bridged_groups.end()) {
    known->second = now.mono;
    return;
  }
  if (net.bridged_groups.size() >= kMaxBridgedGroups) {
    return counters.add(NetworkCount::kBridgedGroupsFull);
  }
  const bool fresh = !subscribed(net, group);
  net.bridged_groups[group] = now.mono;
  if (fresh) announce_new(now, net, {group}, out);
}

Handled Networks::State::on_like(Now now, const Incoming& in, Effects& out) {
  if (in.payload.empty() || in.payload.size() % wire::MulticastLike::kSize != 0) {
    counters.add(NetworkCount::kMalformedLike);  // whole records before the rest still count
  }
  bool trusted = false;
  std::map<wire::NetworkId, bool> decided;  // evaluated once for each network of the packet
  wire::for_each_like(in.payload, [&](const wire::MulticastLike& like) {
    const auto [it, first] = decided.try_emplace(like.network, false);
    if (first) {
      Joined* net = find(like.network);
      const bool member = net != nullptr && passes(now, *net, in.source, out);
      trusted = trusted || member;
      it->second =
          member || transport.self_is_root() ||
          (controller != nullptr && controller->recently_configured(now, like.network, in.source));
    }
    if (!it->second) return counters.add(NetworkCount::kLikeRefused);
    // Keys cost nothing, so many quiet peers are no sign of honesty: when it gets crowded there is
    // room for those only whose identity is proven.
    if (groups.crowded() && in.peer != nullptr && !in.peer->established()) {
      return counters.add(NetworkCount::kLikeRefused);
    }
    add_group_member(now, like.network, like.group, in.source, out);
  });
  return trusted ? Handled::kDoneTrusted : Handled::kDone;
}

Networks::State::Gathered Networks::State::gather(Now now, wire::NetworkId id, const Joined* net,
                                                  wire::MulticastGroup group,
                                                  wire::Address requester, std::uint32_t limit,
                                                  bool ask_assignments) {
  // An answer over the arrival path is one datagram of the smallest usual size.
  constexpr std::size_t kRoom = (wire::kMinUdpPayload - wire::kHeaderSize - 34) / 5;
  const std::size_t most = std::min<std::size_t>(limit, kRoom);
  std::vector<wire::Address> result;
  std::vector<wire::Address> stored = groups.members(now.mono, id, group);
  std::size_t total = stored.size();
  if (ask_assignments && controller != nullptr && id.controller() == self()) {
    const std::vector<wire::Address> owners = controller->owners_of(id, group);
    if (!contains(owners, requester)) {
      for (const wire::Address owner : owners) {
        if (contains(result, owner)) continue;
        result.push_back(owner);
        if (!std::binary_search(stored.begin(), stored.end(), owner)) ++total;
      }
      if (!result.empty()) counters.add(NetworkCount::kOwnersTold);
    }
  }
  if (net != nullptr && subscribed(*net, group) && !contains(result, self())) {
    result.push_back(self());
    ++total;
  }
  shuffle(stored);
  for (const wire::Address address : stored) {
    if (result.size() >= most) break;
    if (address != requester && !contains(result, address)) result.push_back(address);
  }
  if (result.size() > most) result.resize(most);
  Gathered gathered;
  gathered.total = static_cast<std::uint32_t>(total);
  gathered.addresses.resize(result.size() * wire::Address::kSize);
  Writer w(gathered.addresses);
  for (const wire::Address address : result) w.u40(address.value);
  return gathered;
}

Handled Networks::State::on_gather(Now now, const Incoming& in, Effects& out) {
  const auto request = wire::decode_gather(in.payload);
  if (!request) return refuse(NetworkCount::kMalformedGather);
  Joined* net = find(request->network);
  if (net != nullptr && request->com) accept_inline(now, *net, in, *request->com, out);
  const bool member = net != nullptr && passes(now, *net, in.source, out);
  const Handled handled = member ? Handled::kDoneTrusted : Handled::kDone;
  const bool configured =
      controller != nullptr && controller->recently_configured(now, request->network, in.source);
  if (request->limit == 0 || !(member || configured || transport.self_is_root()) ||
      !transport.path_confirmed(in)) {
    return refuse(NetworkCount::kGatherRefused, handled);
  }
  const Gathered found = gather(now, request->network, net, request->group, in.source,
                                request->limit, member || configured);
  if (found.addresses.empty()) return handled;
  ByteVector payload(64 + found.addresses.size());
  Writer w(payload);
  wire::encode_ok(w, {static_cast<std::uint8_t>(wire::Verb::kMulticastGather), in.packet_id, {}});
  wire::encode_gather_ok(w, {request->network, request->group, found.total, found.addresses});
  transport.reply(now, in, wire::Verb::kOk, w.written(), out);
  return handled;
}

Handled Networks::State::on_gathered(Now now, const wire::GatherResult& result,
                                     const Answered& answered, Effects& out) {
  if (result.network.value != answered.context) return refuse(NetworkCount::kUnsolicited);
  if (find(result.network) == nullptr) return refuse(NetworkCount::kUnknownNetwork);
  wire::for_each_gathered(result, [&](wire::Address address) {
    if (address != self() && !address.is_reserved()) {
      add_group_member(now, result.network, result.group, address, out);
    }
  });
  return Handled::kDone;
}

void Networks::State::add_group_member(Now now, wire::NetworkId id, wire::MulticastGroup group,
                                       wire::Address address, Effects& out) {
  switch (groups.add(now.mono, id, group, address)) {
    case MulticastTable::Added::kKnown:
      return;
    case MulticastTable::Added::kRefused:
      return counters.add(NetworkCount::kGroupsFull);
    case MulticastTable::Added::kNewInPlace:
      counters.add(NetworkCount::kGroupsDisplaced);
      break;
    case MulticastTable::Added::kNew:
      break;
  }
  Joined* net = find(id);
  if (net == nullptr || !net->config) return;
  if (net->served_groups.contains(group)) serve_group(now, *net, group, out);
  for (QueuedMulticast& queued : net->queue) {
    if (queued.job.group != group || now.mono >= queued.until ||
        queued.sent >= net->record.multicast_limit || !queued.served.insert(address).second) {
      continue;
    }
    if (send_multicast_to(now, *net, queued.job, address, false, out)) ++queued.sent;
  }
}

Handled Networks::State::on_multicast_frame(Now now, const Incoming& in, Effects& out) {
  const auto packet = wire::decode_multicast_frame(in.payload);
  if (!packet) return refuse(NetworkCount::kMalformedMulticastFrame, Handled::kIgnored);
  Joined* net = find_configured(packet->network);
  if (net == nullptr) return Handled::kIgnored;
  if (packet->com) accept_inline(now, *net, in, *packet->com, out);
  if (!gate(now, *net, in, out)) return Handled::kNotYet;
  if (!within_limit(now, *net, in.source, Way::kIn, packet->payload.size()))
    return Handled::kDoneTrusted;
  const wire::Mac source = packet->source ? packet->source : wire::mac_of(in.source, net->id);
  const fib::InboundFrame frame{fib::Carrier::kMulticastFrame,
                                {packet->group.mac, source, packet->ethertype, packet->payload}};
  const fib::Refusal refusal = accept(now, *net, in, frame, out).refusal;
  // Rules are for what we deliver; a frame of wrong length is no frame, but it may still ask.
  if (refusal != fib::Refusal::kNone && refusal != fib::Refusal::kRules &&
      refusal != fib::Refusal::kLength) {
    return Handled::kDoneTrusted;
  }
  if (packet->replicate && refusal != fib::Refusal::kLength) {
    const auto& specialists = net->config->specialists;
    if (std::any_of(specialists.begin(), specialists.end(), [&](const wire::Specialist& s) {
          return s.address() == self() && s.has(wire::Specialist::kReplicator);
        })) {
      MulticastJob job{packet->group, source, packet->ethertype,
                       ByteVector(packet->payload.begin(), packet->payload.end()), 0};
      replicate(now, *net, std::move(job), in.source, out);
    }
  }
  if (packet->gather_limit != 0 && transport.path_confirmed(in)) {
    const Gathered found =
        gather(now, net->id, net, packet->group, in.source, packet->gather_limit, true);
    if (!found.addresses.empty()) {
      ByteVector payload(64 + found.addresses.size());
      Writer w(payload);
      wire::encode_ok(w,
                      {static_cast<std::uint8_t>(wire::Verb::kMulticastFrame), in.packet_id, {}});
      wire::encode_multicast_frame_ok(w, {net->id, packet->group, found.total, found.addresses});
      transport.reply(now, in, wire::Verb::kOk, w.written(), out);
    }
  }
  return Handled::kDoneTrusted;
}

bool Networks::State::send_multicast_to(Now now, Joined& net, const MulticastJob& job,
                                        wire::Address to, bool ask_replication, Effects& out) {
  const fib::EthernetFrame frame{job.group.mac, job.source ? job.source : net.mac, job.ethertype,
                                 job.payload};
  if (!filter_out(now, net, frame, to, false, out)) return false;
  push_credentials(now, net, to, false, out);
  if (!may_send(now, net, to, job.payload.size())) return !put_out(net, to);
  wire::MulticastFrame packet;
  packet.network = net.id;
  packet.gather_limit = ask_replication ? 0 : job.gather_limit;
  packet.source = ask_replication && !job.source ? net.mac : job.source;
  packet.replicate = ask_replication;
  packet.group = job.group;
  packet.ethertype = job.ethertype;
  packet.payload = job.payload;
  ByteVector payload(48 + job.payload.size());
  Writer w(payload);
  wire::encode_multicast_frame(w, packet);
  account(net, to, Way::kOut, job.payload.size());
  transport.send(now, to, wire::Verb::kMulticastFrame, w.written(),
                 {.compress = net.record.compress,
                  .expect_reply = packet.gather_limit != 0,
                  .context = net.id.value,
                  // All multicast hangs on it: when it has gone we have to know soon.
                  .watch = ask_replication},
                 out);
  return true;
}

void Networks::State::send_multicast(Now now, Joined& net, MulticastJob job, wire::Address origin,
                                     Effects& out) {
  if (leaves_replication(net)) {
    wire::Address best;
    int best_latency = 0;
    for (const wire::Address address : specialists(net, wire::Specialist::kReplicator)) {
      const int latency = transport.direct_latency(now, address);
      if (latency >= 0 && (!best || latency < best_latency)) {
        best = address;
        best_latency = latency;
      }
    }
    if (best) {
      (void)send_multicast_to(now, net, job, best, true, out);
      return;
    }
  }
  const wire::MulticastGroup group = job.group;
  replicate(now, net, std::move(job), origin, out);
  serve_group(now, net, group, out);
  if (const auto served = net.served_groups.find(group); served != net.served_groups.end())
    served->second.used = now.mono;
}

bool Networks::State::leaves_replication(const Joined& net) const {
  const auto& listed = net.config->specialists;
  return !net.record.active_bridge &&
         std::none_of(listed.begin(), listed.end(), [&](const auto& s) {
           return s.address() == self() && s.has(wire::Specialist::kReplicator);
         });
}

void Networks::State::withdraw_group(Joined& net, wire::MulticastGroup group, Effects& out) {
  if (net.served_groups.erase(group) != 0) out.updates.push_back(fib::RemoveGroup{net.id, group});
}

void Networks::State::serve_group(Now now, Joined& net, wire::MulticastGroup group, Effects& out) {
  fib::Group record{net.id, group, net.record.multicast_limit, 0, {}};
  const auto add = [&](wire::Address address) {
    if (address != self() && !contains(record.recipients, address))
      record.recipients.push_back(address);
  };
  const std::vector<wire::Address> members = groups.members(now.mono, net.id, group);
  const bool replicators =
      leaves_replication(net) && !specialists(net, wire::Specialist::kReplicator).empty();
  const bool known = net.served_groups.contains(group);
  // Without members every frame makes us gather.
  if (members.empty() || replicators || record.limit == 0 ||
      members.size() + net.record.active_bridges.size() > fib::kMostReplicas ||
      (!known && net.served_groups.size() >= kMostServedGroups)) {
    return withdraw_group(net, group, out);
  }
  for (const wire::Address bridge : net.record.active_bridges) add(bridge);
  record.bridges = static_cast<std::uint32_t>(record.recipients.size());
  for (const wire::Address member : members) add(member);
  if (record.recipients.empty()) return withdraw_group(net, group, out);
  ServedGroup& served = net.served_groups[group];
  if (served.record == record) return;
  served.record = record;
  if (served.used == 0) served.used = now.mono;
  out.updates.push_back(std::move(record));
}

void Networks::State::refresh_groups(Now now, Joined& net, Effects& out) {
  std::vector<wire::MulticastGroup> all;
  for (const auto& [group, served] : net.served_groups) all.push_back(group);
  for (const wire::MulticastGroup& group : all) {
    if (!net.config || now.mono - net.served_groups[group].used >= kGroupIdle) {
      withdraw_group(net, group, out);
    } else {
      serve_group(now, net, group, out);
    }
  }
}

void Networks::State::on_group_used(Now now, Joined& net, const fib::GroupUsed& used,
                                    Effects& out) {
  if (used.bridged) learn_bridged_group(now, net, used.group, out);
  const auto served = net.served_groups.find(used.group);
  if (served == net.served_groups.end()) return;
  served->second.used = now.mono;
  std::vector<wire::Address> members = groups.members(now.mono, net.id, used.group);
  std::erase(members, self());
  const std::size_t limit = net.record.multicast_limit;
  const std::size_t known = hearing(net, members, limit);
  if (known == limit || !net.last_gather.due(now.mono, used.group, kAnnounce)) return;
  net.last_gather.asked(now.mono, used.group);
  gather_explicitly(now, net, used.group,
                    static_cast<std::uint32_t>(std::min<std::size_t>(limit - known + 1, 0xffff)),
                    out);
}

void Networks::State::on_multicast_rest(Now now, Joined& net, const fib::MulticastRest& rest,
                                        Effects& out) {
  const auto frame = fib::read_ethernet(rest.frame);
  if (!frame) return counters.add(Way::kOut, fib::Refusal::kLength);
  const fib::Resolution where = fib::resolve(net.record, *frame);
  if (where.to != fib::Outbound::kMulticast) return counters.add(Way::kOut, where.refusal);
  MulticastJob job;
  job.group = where.group;
  if (where.bridged) job.source = frame->source;
  job.ethertype = frame->ethertype;
  job.payload.assign(frame->payload.begin(), frame->payload.end());
  Reader r(rest.recipients);
  while (r.remaining() >= wire::Address::kSize)
    (void)send_multicast_to(now, net, job, wire::Address{r.u40()}, false, out);
}

std::size_t Networks::State::hearing(const Joined& net, const std::vector<wire::Address>& members,
                                     std::size_t most) const {
  std::size_t count = 0;
  for (auto it = members.begin(); it != members.end() && count < most; ++it) {
    if (!put_out(net, *it)) ++count;
  }
  return count;
}

void Networks::State::replicate(Now now, Joined& net, MulticastJob job, wire::Address origin,
                                Effects& out) {
  std::vector<wire::Address> members = groups.members(now.mono, net.id, job.group);
  std::erase_if(members, [&](wire::Address a) { return a == self() || a == origin; });
  shuffle(members);
  const std::size_t limit = net.record.multicast_limit;
  const std::size_t known = hearing(net, members, limit);
  const bool enough = known == limit;
  job.gather_limit =
      enough ? 1u : static_cast<std::uint32_t>(std::min<std::size_t>(limit - known + 1, 0xffff));
  if (!enough) {
    if (members.empty() || net.last_gather.due(now.mono, job.group, kAnnounce)) {
      net.last_gather.asked(now.mono, job.group);
      gather_explicitly(now, net, job.group, job.gather_limit, out);
    }
  }
  QueuedMulticast queued{std::move(job), {}, 0, now.mono + 5'000};
  if (origin) queued.served.insert(origin);
  const auto serve = [&](wire::Address to) {
    if (queued.sent >= limit || to == self() || !queued.served.insert(to).second) return;
    if (send_multicast_to(now, net, queued.job, to, false, out)) ++queued.sent;
  };
  const std::vector<wire::Address> bridges = net.record.active_bridges;
  for (const wire::Address bridge : bridges) serve(bridge);
  for (const wire::Address address : members) serve(address);
  if (enough) return;
  std::size_t same = 0;
  for (const QueuedMulticast& q : net.queue) same += q.job.group == queued.job.group ? 1 : 0;
  for (auto it = net.queue.begin(); it != net.queue.end() && same >= kQueuedPerGroup;) {
    if (it->job.group != queued.job.group) {
      ++it;
      continue;
    }
    it = net.queue.erase(it);
    --same;
    counters.add(NetworkCount::kMulticastQueueFull);
  }
  if (net.queue.size() >= kMaxQueuedMulticasts) {
    net.queue.pop_front();
    counters.add(NetworkCount::kMulticastQueueFull);
  }
  net.queue.push_back(std::move(queued));
}

void Networks::State::gather_explicitly(Now now, Joined& net, wire::MulticastGroup group,
                                        std::uint32_t want, Effects& out) {
  constexpr std::size_t kMostAsked = 16;
  std::vector<wire::Address> targets;
  const auto add = [&](wire::Address address) {
    if (address && address != self() && targets.size() < kMostAsked &&
        !contains(targets, address)) {
      targets.push_back(address);
    }
  };
  add(transport.best_root(now));
  if (!net.id.is_adhoc()) add(net.id.controller());
  std::vector<wire::Address> helpers =
      specialists(net, wire::Specialist::kAnchor | wire::Specialist::kReplicator);
  shuffle(helpers);
  for (const wire::Address helper : helpers) add(helper);
  wire::MulticastGather request{net.id, group, want, std::nullopt};
  if (net.config->com && *net.config->com) request.com = net.config->com;
  ByteVector payload(512);
  Writer w(payload);
  wire::encode_gather(w, request);
  for (const wire::Address to : targets) {
    transport.send(now, to, wire::Verb::kMulticastGather, w.written(),
                   {.compress = false, .expect_reply = true, .context = net.id.value}, out);
  }
}

}  // namespace orrery::control
