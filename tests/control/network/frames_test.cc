// Frames, bridges, rules, neighbour discovery, groups and multicast.
#include <gtest/gtest.h>

#include <algorithm>

#include "control/gather_times.h"
#include "control/multicast.h"
#include "control/network/lab.h"

namespace orrery::control {
namespace {

using test::NetworkLab;

constexpr std::uint8_t kPayload[] = {1, 2, 3, 4};
const wire::Mac kStation{0x001122334455};

wire::Rule rule(wire::RuleType type) {
  wire::Rule r;
  r.type = static_cast<std::uint8_t>(type);
  return r;
}

wire::NetworkConfig with_role(const NetworkLab& lab, wire::Address who, std::uint64_t role) {
  auto config = lab.config();
  config.specialists.push_back({who.value | role});
  return config;
}

TEST(Frames, RulesBothWays) {
  NetworkLab lab;
  auto config = lab.config();
  config.rules = {rule(wire::RuleType::kActionDrop)};
  lab.join(config);
  lab.introduce(lab.alice);
  lab.clear();
  EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kDoneTrusted);
  EXPECT_TRUE(lab.out.frames.empty());
  lab.transport.sent.clear();
  lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
  EXPECT_TRUE(lab.transport.sent.empty());
}

TEST(Frames, TeeSendsACopy) {
  NetworkLab lab;
  auto config = lab.config();
  wire::Rule tee = rule(wire::RuleType::kActionTee);
  // [8] address, [4] flags, [2] length: docs/protocol/09-rules-engine.md section 2
  Writer w(tee.data);
  w.u64(lab.bob.address().value);
  w.u32(0);
  w.u16(2);
  config.rules = {tee, rule(wire::RuleType::kActionAccept)};
  lab.join(config);
  lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
  const auto copies = lab.transport.of(wire::Verb::kExtFrame, lab.bob.address());
  ASSERT_EQ(copies.size(), 1u);
  const auto copy = wire::decode_ext_frame(copies[0].payload);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->flags, wire::kExtFrameTeeOut);
  EXPECT_EQ(copy->payload.size(), 2u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kFrame, lab.alice.address()).size(), 1u);
}

TEST(Frames, MembersKeepToTheirLimits) {
  // Four frames of a full bucket at 8 kbit/s: 12,000 bytes; 1,000 more every second.
  constexpr std::size_t kFrames = 20, kFit = 12'000 / 1'014;
  const ByteVector payload(1'000, 7);
  NetworkLab lab;
  lab.networks.set_rate_rules(lab.id, {{{}, 8, 8}, {lab.bob.address(), 0, 0}});
  lab.join(lab.config());
  lab.introduce(lab.alice);
  lab.introduce(lab.bob);
  const auto limited = [&] { return lab.networks.counters().get(NetworkCount::kMemberRate); };
  lab.clear();
  for (std::size_t i = 0; i < kFrames; ++i) {
    EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, payload), Handled::kDoneTrusted);
    lab.frame_from(lab.bob.address(), 0x0800, payload);
  }
  EXPECT_EQ(lab.out.frames.size(), kFit + kFrames)
      << "of one who is limited, and of one who is not";
  EXPECT_EQ(limited(), kFrames - kFit);
  for (std::size_t i = 0; i < kFrames; ++i) {
    lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, payload);
    lab.host_frame(lab.mac(lab.self()), lab.mac(lab.bob.address()), 0x0800, payload);
  }
  EXPECT_EQ(lab.transport.of(wire::Verb::kFrame, lab.alice.address()).size(), kFit);
  EXPECT_EQ(lab.transport.of(wire::Verb::kFrame, lab.bob.address()).size(), kFrames);
  EXPECT_EQ(limited(), 2 * (kFrames - kFit));

  lab.advance(20'000);
  lab.like_from(lab.alice.address(), {wire::kBroadcastMac, 0});
  lab.like_from(lab.bob.address(), {wire::kBroadcastMac, 0});
  lab.clear();
  for (std::size_t i = 0; i < kFrames; ++i)
    lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0800, payload);
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastFrame, lab.alice.address()).size(), kFit);
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastFrame, lab.bob.address()).size(), kFrames);
  EXPECT_EQ(limited(), 3 * (kFrames - kFit));

  const FrameCounts alice = lab.networks.carried(lab.id, lab.alice.address());
  EXPECT_EQ(alice.in.packets, kFit);
  EXPECT_EQ(alice.in.bytes, kFit * 1'014);
  EXPECT_EQ(alice.in.refused, kFrames - kFit);
  EXPECT_EQ(alice.out.packets, 2 * kFit) << "to it alone, and to everybody";
  EXPECT_EQ(alice.out.refused, 2 * (kFrames - kFit));
  EXPECT_EQ(lab.networks.carried(lab.id).out.packets, 2 * (kFit + kFrames));
}

TEST(Frames, OnlyBridgesMaySpeakForOthers) {
  NetworkLab lab;
  lab.join(with_role(lab, lab.alice.address(), wire::Specialist::kActiveBridge));
  lab.introduce(lab.alice);
  lab.introduce(lab.bob);
  lab.clear();
  lab.ext_from(lab.bob.address(), kStation, lab.mac(lab.self()));
  EXPECT_TRUE(lab.out.frames.empty());
  // zero, multicast, our own and another member's MAC
  for (const wire::Mac source :
       {wire::Mac{}, wire::Mac{0x010000000001}, lab.mac(lab.self()), lab.mac(lab.bob.address())}) {
    lab.ext_from(lab.alice.address(), source, lab.mac(lab.self()));
  }
  EXPECT_TRUE(lab.out.frames.empty());
  lab.ext_from(lab.alice.address(), kStation, lab.mac(lab.self()), wire::kExtFrameWantsOk);
  EXPECT_EQ(lab.out.frames.size(), 1u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kOk).size(), 1u);
  ASSERT_FALSE(lab.out.updates.empty());
  const auto* route = std::get_if<fib::BridgeRoute>(&lab.out.updates.back());
  ASSERT_NE(route, nullptr);
  EXPECT_EQ(route->behind, lab.alice.address());
  // what is foreign to us goes to the bridge that was learned
  lab.clear();
  lab.host_frame(lab.mac(lab.self()), kStation, 0x0800, kPayload);
  ASSERT_EQ(lab.transport.of(wire::Verb::kExtFrame).size(), 1u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kExtFrame)[0].to, lab.alice.address());
  // and a route that aged is withdrawn
  lab.clear();
  lab.advance(301'000);
  lab.networks.tick(lab.now, lab.out);
  EXPECT_TRUE(std::any_of(lab.out.updates.begin(), lab.out.updates.end(), [](const auto& u) {
    return std::holds_alternative<fib::RemoveBridgeRoute>(u);
  }));
}

TEST(Frames, ForeignSourceOfOurHostNeedsABridge) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.host_frame(kStation, lab.mac(lab.alice.address()), 0x0800, kPayload);
  EXPECT_TRUE(lab.transport.sent.empty());
  NetworkLab bridge;
  bridge.join(with_role(bridge, bridge.self(), wire::Specialist::kActiveBridge));
  bridge.host_frame(kStation, bridge.mac(bridge.alice.address()), 0x0800, kPayload);
  EXPECT_EQ(bridge.transport.of(wire::Verb::kExtFrame).size(), 1u);
}

/// The payload of a SYN with an MSS of 1460, or of a datagram that may not be fragmented.
ByteVector ipv4(bool syn, std::size_t size) {
  ByteVector p(size);
  p[0] = 0x45;
  store_be16(p.data() + 2, static_cast<std::uint16_t>(size));
  p[6] = 0x40;
  p[9] = syn ? 6 : 17;
  store_be32(p.data() + 12, 0x0a000001);
  store_be32(p.data() + 16, 0x0a000002);
  if (syn) {
    p[32] = 0x60;
    p[33] = 2;
    store_be32(p.data() + 40, 0x020405b4);
  }
  return p;
}

TEST(Frames, SynsGetTheMssThatIsWorthSending) {
  for (const bool clamp : {true, false}) {
    NetworkLab lab;
    lab.networks.set_clamp_mss(clamp);
    lab.join(with_role(lab, lab.self(), wire::Specialist::kActiveBridge));
    lab.host_frame(kStation, lab.mac(lab.alice.address()), 0x0800, ipv4(true, 44));
    const auto sent = lab.transport.of(wire::Verb::kExtFrame);
    ASSERT_EQ(sent.size(), 1u);
    const auto frame = wire::decode_ext_frame(sent[0].payload);
    ASSERT_TRUE(frame);
    EXPECT_EQ(load_be16(frame->payload.data() + 42), clamp ? 1'341 : 1'460);
  }
}

TEST(Frames, RulesMatchOnTagsWhereTheyAreToldTo) {
  for (const bool on : {false, true}) {
    NetworkLab lab;
    auto config = lab.config();
    wire::Rule vlan = rule(wire::RuleType::kMatchVlanId);
    vlan.data[1] = 100;
    config.rules = {vlan, rule(wire::RuleType::kActionAccept)};
    if (on) lab.networks.set_match_tags(config.network);
    lab.join(config);
    lab.introduce(lab.alice);
    lab.clear();
    for (const std::uint8_t id : {std::uint8_t{100}, std::uint8_t{101}}) {
      lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x8100,
                     ByteVector{0, id, 8, 0, 1, 2, 3});
    }
    EXPECT_EQ(lab.transport.of(wire::Verb::kFrame).size(), on ? 1u : 0u);
  }
}

TEST(Frames, WhoSendsTooMuchIsTold) {
  NetworkLab lab;
  lab.join(with_role(lab, lab.self(), wire::Specialist::kActiveBridge));
  lab.clear();
  const std::uint16_t mtu = lab.config().mtu;
  for (int i = 0; i < 100; ++i)
    lab.host_frame(kStation, lab.mac(lab.alice.address()), 0x0800, ipv4(false, mtu + 1u));
  EXPECT_TRUE(lab.transport.of(wire::Verb::kExtFrame).empty());
  ASSERT_EQ(lab.out.frames.size(), 32u) << "not for each";
  EXPECT_EQ(lab.out.frames[0].destination, kStation);
  EXPECT_EQ(lab.out.frames[0].source, lab.mac(lab.alice.address()));
  EXPECT_EQ(lab.out.frames[0].payload[20], 3);
  EXPECT_EQ(load_be16(lab.out.frames[0].payload.data() + 26), mtu);
}

TEST(Frames, LanPortsProbeAndAreBlocked) {
  NetworkLab lab;
  lab.networks.set_lan_ports(lab.id, {1, 2});
  auto config = with_role(lab, lab.self(), wire::Specialist::kActiveBridge);
  lab.join(config);
  lab.clear();
  lab.advance(1'000);
  EXPECT_LE(lab.networks.next_deadline(), lab.now.mono);
  lab.networks.tick(lab.now, lab.out);
  ASSERT_EQ(lab.out.frames.size(), 2u);
  const DeliverFrame probe = lab.out.frames[0];
  EXPECT_EQ(probe.destination, wire::kBridgeProbeGroup);
  EXPECT_EQ(probe.ethertype, wire::kBridgeProbeEthertype);
  EXPECT_EQ(probe.port, 1u);
  EXPECT_EQ(lab.out.frames[1].port, 2u);
  // What left by one port comes in on the other: they are on one LAN.
  lab.networks.on_bridge_probe(lab.now, lab.id, 2, probe.payload, lab.out);
  ASSERT_EQ(lab.out.blocks.size(), 1u);
  EXPECT_EQ(lab.out.blocks[0].port, 2u);
  EXPECT_TRUE(lab.out.blocks[0].blocked);
  const auto status = lab.networks.list().at(0).lan_ports;
  ASSERT_EQ(status.size(), 2u);
  EXPECT_FALSE(status[0].blocked);
  EXPECT_TRUE(status[1].blocked);
  EXPECT_EQ(status[1].reason, "LAN port 1 is on the same LAN");
  lab.clear();
  lab.advance(5'000);
  lab.networks.tick(lab.now, lab.out);
  ASSERT_EQ(lab.out.blocks.size(), 1u);
  EXPECT_FALSE(lab.out.blocks[0].blocked);
}

TEST(Frames, AFloodOfStationsBehindABridgeIsCountedAndLimited) {
  NetworkLab lab;
  lab.networks.set_station_limits(100, 150);
  auto config = with_role(lab, lab.alice.address(), wire::Specialist::kActiveBridge);
  lab.join(config);
  lab.introduce(lab.alice);
  lab.clear();
  for (std::uint64_t i = 0; i < 1'000; ++i)
    lab.ext_from(lab.alice.address(), wire::Mac{0x520000000000 + i}, lab.mac(lab.self()));
  EXPECT_EQ(lab.networks.list().at(0).remote_stations, 100u);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kStationsRefused), 900u);
  EXPECT_EQ(lab.out.frames.size(), 1'000u) << "their frames are delivered nevertheless";
}

TEST(Frames, BridgesCountUpToTheLimitOfSpecialists) {
  NetworkLab lab;
  auto config = lab.config();
  const auto bridge = [&](std::uint64_t address) {
    config.specialists.push_back({address | wire::Specialist::kActiveBridge});
  };
  for (std::uint64_t i = 1; i < wire::kMaxSpecialists; ++i) bridge(0x1000000000 + i);
  bridge(lab.alice.address().value);
  bridge(lab.bob.address().value);
  lab.join(config);
  lab.introduce(lab.alice);
  lab.introduce(lab.bob);
  lab.ext_from(lab.bob.address(), wire::Mac{0x520000000001}, lab.mac(lab.self()));
  EXPECT_EQ(lab.networks.list().at(0).remote_stations, 0u) << "number 513 is nobody";
  lab.ext_from(lab.alice.address(), wire::Mac{0x520000000002}, lab.mac(lab.self()));
  EXPECT_EQ(lab.networks.list().at(0).remote_stations, 1u);
}

TEST(Frames, FanOutIsBounded) {
  NetworkLab lab;
  auto config = lab.config();
  for (std::uint64_t i = 0; i < 40; ++i) {
    config.specialists.push_back({(0x1000000000 + i) | wire::Specialist::kActiveBridge});
  }
  lab.join(config);
  lab.host_frame(lab.mac(lab.self()), kStation, 0x0800, kPayload);
  EXPECT_EQ(lab.transport.of(wire::Verb::kExtFrame).size(), 32u);
}

TEST(Frames, SolicitationForADerivedAddressIsAnsweredHere) {
  NetworkLab lab;
  auto config = lab.config();
  config.multicast_limit = 0;
  config.static_ips.push_back(wire::sixplane_address(lab.self(), lab.id));
  lab.join(config);
  ByteVector solicitation(64);
  solicitation[0] = 0x60;
  solicitation[6] = 58;
  solicitation[40] = 135;
  const auto target = wire::sixplane_address(lab.alice.address(), lab.id);
  std::copy(target.ip.begin(), target.ip.end(), solicitation.begin() + 48);
  lab.host_frame(lab.mac(lab.self()), wire::Mac{0x3333ff000001}, 0x86dd, solicitation);
  ASSERT_EQ(lab.out.frames.size(), 1u);
  EXPECT_EQ(lab.out.frames[0].source, lab.mac(lab.alice.address()));
  EXPECT_EQ(lab.out.frames[0].payload.size(), 72u);
  EXPECT_TRUE(lab.transport.sent.empty());
}

ByteVector arp_request(std::uint32_t target) {
  ByteVector arp = {0, 1, 8, 0, 6, 4, 0, 1};
  arp.resize(28);
  store_be32(arp.data() + 24, target);
  return arp;
}

TEST(Multicast, ArpGathersQueuesAndServesWhoIsFound) {
  NetworkLab lab;
  lab.transport.root_list = {wire::Address{0x7700000001}};
  lab.join(lab.config());
  const wire::MulticastGroup group{wire::kBroadcastMac, 0x0a000002};
  lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0806, arp_request(0x0a000002));
  const auto asked = lab.transport.of(wire::Verb::kMulticastGather);
  ASSERT_EQ(asked.size(), 2u);  // root and controller
  const auto request = wire::decode_gather(asked[0].payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->group, group);
  EXPECT_EQ(request->limit, 33u);
  EXPECT_TRUE(request->com);
  EXPECT_TRUE(asked[0].options.expect_reply);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kMulticastFrame).empty());

  lab.clear();
  ByteVector addresses(5);
  Writer w(addresses);
  w.u40(lab.alice.address().value);
  ByteVector ok(9);
  ok[0] = static_cast<std::uint8_t>(wire::Verb::kMulticastGather);
  const ByteVector rest =
      test::written(wire::encode_gather_ok, wire::GatherResult{lab.id, group, 1, addresses});
  ok.insert(ok.end(), rest.begin(), rest.end());
  const Answered answered{wire::Verb::kMulticastGather, lab.id.value};
  lab.receive(lab.controller.address(), wire::Verb::kOk, ok, &answered);
  ASSERT_EQ(lab.transport.sent.size(), 2u);
  EXPECT_EQ(lab.transport.sent[0].verb, wire::Verb::kNetworkCredentials);
  const auto frame = wire::decode_multicast_frame(lab.transport.sent[1].payload);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->group, group);
  EXPECT_EQ(frame->gather_limit, 33u);
  EXPECT_FALSE(frame->source);
  // told again: served once only
  lab.clear();
  lab.receive(lab.controller.address(), wire::Verb::kOk, ok, &answered);
  EXPECT_TRUE(lab.transport.sent.empty());
  // the next request goes straight to the owner, without asking
  lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0806, arp_request(0x0a000002));
  EXPECT_TRUE(lab.transport.of(wire::Verb::kMulticastGather).empty());
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastFrame).size(), 1u);
}

TEST(Multicast, QueuedFramesExpireAndAreBounded) {
  NetworkLab lab;
  lab.join(lab.config());
  for (int i = 0; i < 40; ++i) {
    lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0806, arp_request(0x0a000002));
  }
  lab.introduce(lab.alice);
  lab.clear();
  lab.like_from(lab.alice.address(), {wire::kBroadcastMac, 0x0a000002});
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastFrame).size(), 32u);
  lab.introduce(lab.bob);
  lab.advance(5'000);
  lab.clear();
  lab.like_from(lab.bob.address(), {wire::kBroadcastMac, 0x0a000002});
  EXPECT_TRUE(lab.transport.of(wire::Verb::kMulticastFrame).empty());
}

TEST(Multicast, LimitCountsBridgesFirst) {
  NetworkLab lab;
  auto config = with_role(lab, lab.bob.address(), wire::Specialist::kActiveBridge);
  config.multicast_limit = 1;
  lab.join(config);
  lab.introduce(lab.alice);
  lab.like_from(lab.alice.address(), {wire::kBroadcastMac, 0});
  lab.clear();
  lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0800, kPayload);
  const auto sent = lab.transport.of(wire::Verb::kMulticastFrame);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, lab.bob.address());
  EXPECT_EQ(wire::decode_multicast_frame(sent[0].payload)->gather_limit, 1u);
}

TEST(Multicast, ReplicatorIsPreferred) {
  NetworkLab lab;
  lab.join(with_role(lab, lab.bob.address(), wire::Specialist::kReplicator));
  lab.transport.latency[lab.bob.address()] = 5;
  lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0800, kPayload);
  const auto sent = lab.transport.of(wire::Verb::kMulticastFrame);
  ASSERT_EQ(sent.size(), 1u);
  const auto frame = wire::decode_multicast_frame(sent[0].payload);
  EXPECT_TRUE(frame->replicate);
  EXPECT_TRUE(sent[0].options.watch);
  EXPECT_EQ(frame->source, lab.mac(lab.self()));
  EXPECT_EQ(lab.networks.always_contact(), std::vector{lab.bob.address()});
}

TEST(Multicast, LikesAreJudgedPerNetworkAndBounded) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  // a joined network and one we have nothing to do with, in one packet
  ByteVector payload = test::written(wire::write_like, wire::MulticastLike{lab.id, {kStation, 7}});
  const wire::NetworkId other{0x1234567890abcdef};
  const ByteVector second =
      test::written(wire::write_like, wire::MulticastLike{other, {kStation, 7}});
  payload.insert(payload.end(), second.begin(), second.end());
  payload.push_back(0);  // a trailing byte is ignored
  EXPECT_EQ(lab.receive(lab.alice.address(), wire::Verb::kMulticastLike, payload),
            Handled::kDoneTrusted);
  lab.introduce(lab.bob);
  const auto gather = [&](wire::NetworkId id) {
    lab.transport.sent.clear();
    lab.receive(lab.bob.address(), wire::Verb::kMulticastGather,
                test::written(wire::encode_gather,
                              wire::MulticastGather{id, {kStation, 7}, 0xffffffff, {}}));
    return lab.transport.of(wire::Verb::kOk).size();
  };
  EXPECT_EQ(gather(lab.id), 1u);
  EXPECT_EQ(gather(other), 0u);
  lab.transport.is_self_root = true;
  EXPECT_EQ(gather(other), 0u);  // nothing was stored for it
  lab.transport.confirmed = false;
  EXPECT_EQ(gather(lab.id), 0u);
}

TEST(MulticastTable, ThePeersNewestPushOutItsOldest) {
  MulticastTable table(SipKey{1, 2});
  const wire::NetworkId id{0x8056c2e21c000001};
  const wire::Address bob{0x1122334455};
  for (std::uint32_t i = 0; i < MulticastTable::kPerPeer + 5; ++i) {
    EXPECT_EQ(table.add(1 + i, id, {kStation, i}, bob), i < MulticastTable::kPerPeer
                                                            ? MulticastTable::Added::kNew
                                                            : MulticastTable::Added::kNewInPlace);
  }
  EXPECT_EQ(table.size(), MulticastTable::kPerPeer);
  EXPECT_TRUE(table.members(2'000, id, {kStation, 4}).empty());
  EXPECT_EQ(table.members(2'000, id, {kStation, 5}), std::vector{bob});
  EXPECT_EQ(table.add(2'000, id, {kStation, 5}, bob), MulticastTable::Added::kKnown);
  EXPECT_EQ(table.add(2'001, id, {kStation, 9'999}, bob), MulticastTable::Added::kNewInPlace);
  EXPECT_EQ(table.members(2'001, id, {kStation, 5}), std::vector{bob}) << "heard of again";
  EXPECT_TRUE(table.members(2'001, id, {kStation, 6}).empty());
  table.expire(2'000 + MulticastTable::kLifetime);
  EXPECT_EQ(table.size(), 2u);
  table.expire(2'002 + MulticastTable::kLifetime);
  EXPECT_EQ(table.size(), 0u);
}

TEST(MulticastTable, AFullNetworkStillTakesQuietPeers) {
  MulticastTable table(SipKey{1, 2});
  const wire::NetworkId id{0x8056c2e21c000001};
  const wire::Address alice{1};
  const wire::Address bob{2};
  EXPECT_EQ(table.add(1, id, {kStation, 7}, alice), MulticastTable::Added::kNew);
  std::uint64_t next = 0x1000000000;
  while (table.size() < MulticastTable::kPerNetwork) {
    for (std::uint32_t i = 0; i < 1'000; ++i) table.add(2, id, {kStation, i}, {next});
    ++next;
  }
  EXPECT_EQ(table.size(), MulticastTable::kPerNetwork);
  for (std::uint32_t i = 0; i < 500; ++i) {
    EXPECT_EQ(table.add(3, id, {kStation, i}, bob), MulticastTable::Added::kNewInPlace);
  }
  EXPECT_EQ(table.size(), MulticastTable::kPerNetwork);
  const auto seventh = table.members(3, id, {kStation, 7});
  EXPECT_TRUE(std::binary_search(seventh.begin(), seventh.end(), alice));
  EXPECT_TRUE(std::binary_search(seventh.begin(), seventh.end(), bob));
  table.remove_network(id);
  EXPECT_EQ(table.size(), 0u);
}

TEST(MulticastTable, AFullTableStillTakesQuietPeers) {
  MulticastTable table(SipKey{3, 4});
  const wire::NetworkId own{0x8056c2e21c000001};
  const wire::Address alice{1};
  table.add(1, own, {kStation, 7}, alice);
  for (std::uint64_t peer = 0; !table.crowded() || table.size() < MulticastTable::kTotal; ++peer) {
    for (std::uint32_t i = 0; i < MulticastTable::kPerPeer; ++i) {
      table.add(2, wire::NetworkId{0x1000 + peer / 32}, {kStation, i}, {0x1000000000 + peer});
    }
  }
  for (std::uint64_t peer = 0; peer < 1'000; ++peer) {
    EXPECT_EQ(table.add(3, own, {kStation, 8}, {0x2000000000 + peer}),
              MulticastTable::Added::kNewInPlace);
  }
  EXPECT_EQ(table.size(), MulticastTable::kTotal);
  EXPECT_EQ(table.members(3, own, {kStation, 7}), std::vector{alice});
  EXPECT_EQ(table.members(3, own, {kStation, 8}).size(), 1'000u);
  table.expire(4 + MulticastTable::kLifetime);
  EXPECT_EQ(table.size(), 0u);
}

TEST(MulticastTable, AnyOrderOfOperationsAgreesWithAPlainModel) {
  MulticastTable table(SipKey{5, 6});
  std::map<std::pair<std::uint32_t, std::uint64_t>, Millis> model;
  std::uint64_t random = 1;
  const wire::NetworkId id{7};
  for (Millis now = 1; now < 200'000; now += 7) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto group = static_cast<std::uint32_t>(random >> 33) % 20;
    const std::uint64_t peer = 1 + (random >> 40) % 30;
    if ((random >> 50) % 5 == 0) {
      table.remove(id, {kStation, group}, {peer});
      model.erase({group, peer});
    } else {
      table.add(now, id, {kStation, group}, {peer});
      model[{group, peer}] = now;
    }
    ASSERT_EQ(table.size(), model.size());
  }
  for (std::uint32_t group = 0; group < 20; ++group) {
    std::vector<wire::Address> expected;
    for (const auto& [key, heard] : model) {
      if (key.first == group) expected.push_back({key.second});
    }
    EXPECT_EQ(table.members(200'000, id, {kStation, group}), expected);
  }
}

TEST(GatherTimes, RemembersRecentGroupsWithinAFixedSize) {
  control::GatherTimes times(SipKey{1, 2});
  EXPECT_TRUE(times.due(5, {kStation, 1}, 60'000));
  times.asked(5, {kStation, 1});
  EXPECT_FALSE(times.due(60'004, {kStation, 1}, 60'000));
  EXPECT_TRUE(times.due(60'005, {kStation, 1}, 60'000));
  for (std::uint32_t i = 0; i < 100'000; ++i) times.asked(10 + i, {kStation, i});
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i)
    known += times.due(100'010, {kStation, i}, 200'000) ? 0 : 1;
  EXPECT_EQ(known, control::GatherTimes::kSets * control::GatherTimes::kWays);
  EXPECT_FALSE(times.due(100'010, {kStation, 99'999}, 200'000));
}

TEST(Multicast, StrangersNeitherLikeNorGather) {
  NetworkLab lab;
  lab.join(lab.config());
  EXPECT_EQ(lab.like_from(lab.bob.address(), {kStation, 0}), Handled::kDone);
  lab.receive(lab.bob.address(), wire::Verb::kMulticastGather,
              test::written(wire::encode_gather,
                            wire::MulticastGather{lab.id, {wire::kBroadcastMac, 0}, 10, {}}));
  EXPECT_TRUE(lab.transport.sent.empty());
}

TEST(Multicast, FramesFromMembersAreCheckedAndAnswered) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  lab.clear();
  wire::MulticastFrame frame;
  frame.network = lab.id;
  frame.gather_limit = 10;
  frame.group = {wire::kBroadcastMac, 0};
  frame.ethertype = 0x0800;
  frame.payload = kPayload;
  const auto receive = [&] {
    lab.out.clear();
    lab.receive(lab.alice.address(), wire::Verb::kMulticastFrame,
                test::written(wire::encode_multicast_frame, frame));
    return lab.out.frames.size();
  };
  EXPECT_EQ(receive(), 1u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kOk).size(), 1u);  // we are in the group ourselves
  frame.source = kStation;                                  // alice is no bridge
  EXPECT_EQ(receive(), 0u);
  frame.source = lab.mac(lab.self());
  EXPECT_EQ(receive(), 0u);
  frame.source = {};
  frame.group.mac = kStation;  // not multicast
  EXPECT_EQ(receive(), 0u);
}

TEST(Multicast, AnnouncesEveryMinuteAndWhatIsNewAtOnce) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  lab.frame_from(lab.alice.address(), 0x0800, kPayload);
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastLike, lab.alice.address()).size(), 1u);
  lab.clear();
  const wire::MulticastGroup group{wire::Mac{0x3333ff000005}, 0};
  lab.networks.on_subscriptions(lab.now, lab.id, {group}, lab.out);
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastLike).size(), 2u);  // controller and alice
  lab.clear();
  lab.networks.on_subscriptions(lab.now, lab.id, {group}, lab.out);
  EXPECT_TRUE(lab.transport.sent.empty());
  lab.advance(60'000);
  lab.networks.tick(lab.now, lab.out);
  const auto likes = lab.transport.of(wire::Verb::kMulticastLike, lab.controller.address());
  ASSERT_EQ(likes.size(), 1u);
  EXPECT_EQ(likes[0].payload.size(), 36u);  // the group and broadcast
}

/// Records of groups among the effects, newest last.
std::vector<fib::Group> served(const NetworkLab& lab) {
  std::vector<fib::Group> all;
  for (const fib::Update& update : lab.out.updates) {
    if (const auto* group = std::get_if<fib::Group>(&update)) all.push_back(*group);
  }
  return all;
}

bool withdrawn(const NetworkLab& lab) {
  return std::ranges::any_of(lab.out.updates, [](const fib::Update& update) {
    return std::holds_alternative<fib::RemoveGroup>(update);
  });
}

TEST(Multicast, WorkersServeGroupsThatAreUsedAndKnown) {
  NetworkLab lab;
  lab.join(with_role(lab, lab.bob.address(), wire::Specialist::kActiveBridge));
  lab.introduce(lab.alice);
  const wire::MulticastGroup group{wire::Mac{0x01005e000001}, 0};
  const auto send = [&] { lab.host_frame(lab.mac(lab.self()), group.mac, 0x0800, kPayload); };
  send();
  EXPECT_TRUE(served(lab).empty()) << "nobody has announced it: every frame makes us gather";
  lab.clear();
  lab.like_from(lab.alice.address(), group);
  EXPECT_TRUE(served(lab).empty()) << "not used yet";
  lab.clear();
  send();
  ASSERT_EQ(served(lab).size(), 1u);
  EXPECT_EQ(served(lab)[0].group, group);
  EXPECT_EQ(served(lab)[0].limit, 32u);
  EXPECT_EQ(served(lab)[0].bridges, 1u);
  EXPECT_EQ(served(lab)[0].recipients, (std::vector{lab.bob.address(), lab.alice.address()}));
  lab.clear();
  send();
  EXPECT_TRUE(served(lab).empty()) << "nothing has changed";
  // one more member
  lab.introduce(lab.controller);
  lab.like_from(lab.controller.address(), group);
  ASSERT_EQ(served(lab).size(), 1u);
  EXPECT_EQ(served(lab)[0].recipients.size(), 3u);
  // a worker says that it is used: control gathers, now and then
  lab.clear();
  lab.advance(50'000);
  lab.networks.on_event(lab.now, fib::GroupUsed{lab.id, group, false}, lab.out);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kMulticastGather).empty());
  lab.advance(10'000);
  lab.networks.on_event(lab.now, fib::GroupUsed{lab.id, group, false}, lab.out);
  EXPECT_FALSE(lab.transport.of(wire::Verb::kMulticastGather).empty());
  lab.networks.tick(lab.now, lab.out);
  EXPECT_FALSE(withdrawn(lab));
  lab.advance(60'000);
  lab.networks.tick(lab.now, lab.out);
  EXPECT_TRUE(withdrawn(lab)) << "a minute of silence";
}

TEST(Multicast, GroupsOfReplicatorsAndLargeOnesAreControls) {
  NetworkLab lab;
  lab.join(with_role(lab, lab.bob.address(), wire::Specialist::kReplicator));
  const wire::MulticastGroup group{wire::Mac{0x01005e000001}, 0};
  lab.introduce(lab.alice);
  lab.like_from(lab.alice.address(), group);
  lab.host_frame(lab.mac(lab.self()), group.mac, 0x0800, kPayload);
  EXPECT_TRUE(served(lab).empty()) << "a replicator may come back";
  NetworkLab named;
  named.join(named.config());
  named.introduce(named.alice);
  named.like_from(named.alice.address(), group);
  named.host_frame(named.mac(named.self()), group.mac, 0x0800, kPayload);
  EXPECT_FALSE(served(named).empty());
  named.clear();
  auto config = with_role(named, named.bob.address(), wire::Specialist::kReplicator);
  ++config.timestamp;
  named.answer_config(config);
  EXPECT_TRUE(withdrawn(named)) << "a replicator was named";
  NetworkLab other;
  other.join(other.config());
  ByteVector addresses((fib::kMostReplicas + 1) * wire::Address::kSize);
  Writer w(addresses);
  for (std::uint64_t i = 0; i <= fib::kMostReplicas; ++i) w.u40(0x1000000000 + i);
  ByteVector ok = test::written(
      [](Writer& to, const wire::GatherResult& g) {
        wire::encode_ok(to, {static_cast<std::uint8_t>(wire::Verb::kMulticastGather), 1, {}});
        wire::encode_gather_ok(to, g);
      },
      wire::GatherResult{other.id, group, 65, addresses});
  const Answered answered{wire::Verb::kMulticastGather, other.id.value};
  other.receive(other.controller.address(), wire::Verb::kOk, ok, &answered);
  other.host_frame(other.mac(other.self()), group.mac, 0x0800, kPayload);
  EXPECT_FALSE(other.transport.of(wire::Verb::kMulticastFrame).empty());
  EXPECT_TRUE(served(other).empty());
}

TEST(Multicast, WhomWorkersCannotServeControlDoes) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  ByteVector frame(14 + sizeof kPayload);
  wire::Mac{0x01005e000001}.store(frame.data());
  lab.mac(lab.self()).store(frame.data() + 6);
  store_be16(frame.data() + 12, 0x0800);
  std::copy(std::begin(kPayload), std::end(kPayload), frame.begin() + 14);
  ByteVector to(10);
  Writer w(to);
  w.u40(lab.alice.address().value);
  w.u40(lab.bob.address().value);
  lab.clear();
  lab.networks.on_event(lab.now, fib::MulticastRest{lab.id, frame, to}, lab.out);
  const auto sent = lab.transport.of(wire::Verb::kMulticastFrame);
  ASSERT_EQ(sent.size(), 2u);
  const auto decoded = wire::decode_multicast_frame(sent[0].payload);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->gather_limit, 0u) << "as the workers' own";
  EXPECT_TRUE(std::ranges::equal(decoded->payload, Bytes(kPayload)));
  lab.clear();
  frame[0] = 0;
  lab.networks.on_event(lab.now, fib::MulticastRest{lab.id, frame, to}, lab.out);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kMulticastFrame).empty()) << "not multicast";
}

}  // namespace
}  // namespace orrery::control
