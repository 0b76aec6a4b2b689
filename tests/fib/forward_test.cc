// The frame path as tables of rows: what goes in, what is decided.
// Source of the expectations: docs/protocol/06-networks-and-mac.md sections 8 to 10,
// docs/protocol/10-multicast-arp-ndp.md sections 8, 9.2.
#include "fib/forward.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace orrery::fib {
namespace {

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
const wire::Address kSelf{0x1111111111ULL};
const wire::Address kOther{0x2222222222ULL};
const wire::Address kBridge{0x3333333333ULL};
const wire::Address kFarBridge{0x4444444444ULL};
const wire::Mac kSelfMac = wire::mac_of(kSelf, kNetwork);
const wire::Mac kOtherMac = wire::mac_of(kOther, kNetwork);
const wire::Mac kBridgeMac = wire::mac_of(kBridge, kNetwork);
const wire::Mac kStation{0x525400aabbccULL};     // behind a bridge
const wire::Mac kFarStation{0x525400ddeeffULL};  // behind another
const wire::Mac kGroup{0x01005e0000fbULL};
constexpr std::uint16_t kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd;
const ByteVector kPayload(64, 7);

wire::Rule rule(wire::RuleType type) {
  wire::Rule r;
  r.type = static_cast<std::uint8_t>(type);
  return r;
}

wire::Rule tee_to(wire::Address target) {
  wire::Rule r = rule(wire::RuleType::kActionTee);
  store_be64(r.data.data(), target.value);
  return r;
}

/// Everything on, accepting all, with two bridges that are not us.
Network network() {
  Network n;
  n.id = kNetwork;
  n.self = kSelf;
  n.mac = kSelfMac;
  n.multicast_limit = 32;
  n.broadcast = true;
  n.active_bridges = {kBridge, kFarBridge};
  n.rules = {rule(wire::RuleType::kActionAccept)};
  return n;
}

Network bridge_network() {
  Network n = network();
  n.active_bridge = true;
  n.active_bridges = {kSelf, kBridge, kFarBridge};
  return n;
}

ByteVector arp(std::uint8_t operation, std::uint32_t target) {
  ByteVector p(28);
  Writer w(p);
  w.u16(1);
  w.u16(0x0800);
  w.u8(6);
  w.u8(4);
  w.u16(operation);
  w.zeros(16);
  w.u32(target);
  return p;
}

ByteVector ethernet(wire::Mac destination, wire::Mac source, std::uint16_t ethertype,
                    Bytes payload) {
  ByteVector frame(14 + payload.size());
  destination.store(frame.data());
  source.store(frame.data() + 6);
  store_be16(frame.data() + 12, ethertype);
  std::copy(payload.begin(), payload.end(), frame.begin() + 14);
  return frame;
}

TEST(Forward, ReadsEthernet) {
  const ByteVector frame = ethernet(kOtherMac, kSelfMac, kIpv4, kPayload);
  const auto read = read_ethernet(frame);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->destination, kOtherMac);
  EXPECT_EQ(read->source, kSelfMac);
  EXPECT_EQ(read->ethertype, kIpv4);
  EXPECT_EQ(read->payload.data(), frame.data() + 14);
  EXPECT_EQ(read->payload.size(), kPayload.size());
  EXPECT_TRUE(read_ethernet(Bytes(frame).first(14)));
  EXPECT_FALSE(read_ethernet(Bytes(frame).first(13)));
  EXPECT_TRUE(read_ethernet(ByteVector(14 + kLargestPayload)));
  EXPECT_FALSE(read_ethernet(ByteVector(15 + kLargestPayload)));
}

struct OutRow {
  const char* name;
  Network network;
  wire::Mac destination, source;
  std::uint16_t ethertype;
  ByteVector payload;
  Outbound to;
  Refusal refusal = Refusal::kNone;
  wire::MulticastGroup group{};
  wire::Address member{};
};

Network with(Network n, const std::function<void(Network&)>& change) {
  change(n);
  return n;
}

TEST(Forward, Resolve) {
  const auto no_broadcast = [](Network& n) { n.broadcast = false; };
  const auto no_multicast = [](Network& n) { n.multicast_limit = 0; };
  const auto no_bridges = [](Network& n) { n.active_bridges.clear(); };
  const wire::Mac reserved = wire::mac_of(wire::Address{0xff00000001ULL}, kNetwork);
  const wire::Mac nobody = wire::mac_of(wire::Address{}, kNetwork);
  const wire::MulticastGroup everyone{wire::kBroadcastMac, 0};
  const std::vector<OutRow> rows = {
      {"to a member",
       network(),
       kOtherMac,
       kSelfMac,
       kIpv4,
       kPayload,
       Outbound::kMember,
       Refusal::kNone,
       {},
       kOther},
      {"an empty frame to a member",
       network(),
       kOtherMac,
       kSelfMac,
       kIpv4,
       {},
       Outbound::kMember,
       Refusal::kNone,
       {},
       kOther},
      {"to ourselves", network(), kSelfMac, kSelfMac, kIpv4, kPayload, Outbound::kReinject},
      {"a station of ours to ourselves", bridge_network(), kSelfMac, kStation, kIpv4, kPayload,
       Outbound::kReinject},
      {"a station, but we do not bridge", network(), kOtherMac, kStation, kIpv4, kPayload,
       Outbound::kDrop, Refusal::kSourceMac},
      {"another member's MAC, and we do not bridge", network(), kBridgeMac, kOtherMac, kIpv4,
       kPayload, Outbound::kDrop, Refusal::kSourceMac},
      {"a station of ours to a member",
       bridge_network(),
       kOtherMac,
       kStation,
       kIpv4,
       kPayload,
       Outbound::kMember,
       Refusal::kNone,
       {},
       kOther},
      {"a multicast source", bridge_network(), kOtherMac, kGroup, kIpv4, kPayload, Outbound::kDrop,
       Refusal::kSourceMac},
      {"a zero source", bridge_network(), kOtherMac, wire::Mac{}, kIpv4, kPayload, Outbound::kDrop,
       Refusal::kSourceMac},
      {"a MAC that decodes to a reserved address", network(), reserved, kSelfMac, kIpv4, kPayload,
       Outbound::kDrop, Refusal::kNoMember},
      {"a MAC that decodes to no address", network(), nobody, kSelfMac, kIpv4, kPayload,
       Outbound::kDrop, Refusal::kNoMember},
      {"to a foreign station", network(), kStation, kSelfMac, kIpv4, kPayload, Outbound::kBridge},
      {"to a foreign station without bridges", with(network(), no_bridges), kStation, kSelfMac,
       kIpv4, kPayload, Outbound::kDrop, Refusal::kNoBridge},
      {"station to station", bridge_network(), kFarStation, kStation, kIpv4, kPayload,
       Outbound::kBridge},
      {"multicast",
       network(),
       kGroup,
       kSelfMac,
       kIpv4,
       kPayload,
       Outbound::kMulticast,
       Refusal::kNone,
       {kGroup, 0}},
      {"multicast of a station",
       bridge_network(),
       kGroup,
       kStation,
       kIpv4,
       kPayload,
       Outbound::kMulticast,
       Refusal::kNone,
       {kGroup, 0}},
      {"multicast, but it is off", with(network(), no_multicast), kGroup, kSelfMac, kIpv4, kPayload,
       Outbound::kDrop, Refusal::kMulticastOff},
      {"empty multicast",
       network(),
       kGroup,
       kSelfMac,
       kIpv4,
       {},
       Outbound::kDrop,
       Refusal::kLength},
      {"broadcast", network(), wire::kBroadcastMac, kSelfMac, kIpv4, kPayload, Outbound::kMulticast,
       Refusal::kNone, everyone},
      {"broadcast, but it is off", with(network(), no_broadcast), wire::kBroadcastMac, kSelfMac,
       kIpv4, kPayload, Outbound::kDrop, Refusal::kBroadcastOff},
      {"ARP request",
       network(),
       wire::kBroadcastMac,
       kSelfMac,
       kArp,
       arp(1, 0x0a010203),
       Outbound::kMulticast,
       Refusal::kNone,
       {wire::kBroadcastMac, 0x0a010203}},
      {"ARP request needs no broadcast",
       with(network(), no_broadcast),
       wire::kBroadcastMac,
       kSelfMac,
       kArp,
       arp(1, 0x0a010203),
       Outbound::kMulticast,
       Refusal::kNone,
       {wire::kBroadcastMac, 0x0a010203}},
      {"ARP request needs multicast", with(network(), no_multicast), wire::kBroadcastMac, kSelfMac,
       kArp, arp(1, 0x0a010203), Outbound::kDrop, Refusal::kMulticastOff},
      {"ARP reply to everybody", network(), wire::kBroadcastMac, kSelfMac, kArp, arp(2, 0x0a010203),
       Outbound::kMulticast, Refusal::kNone, everyone},
      {"ARP reply to everybody without broadcast", with(network(), no_broadcast),
       wire::kBroadcastMac, kSelfMac, kArp, arp(2, 0x0a010203), Outbound::kDrop,
       Refusal::kBroadcastOff},
  };
  for (const OutRow& row : rows) {
    const EthernetFrame frame{row.destination, row.source, row.ethertype, row.payload};
    const Resolution r = resolve(row.network, frame);
    EXPECT_EQ(r.to, row.to) << row.name;
    EXPECT_EQ(r.refusal, row.refusal) << row.name << ": " << refusal_label(r.refusal);
    EXPECT_EQ(r.member, row.member) << row.name;
    EXPECT_EQ(r.bridged, row.source != kSelfMac) << row.name;
    if (row.to == Outbound::kMulticast) {
      EXPECT_EQ(r.group, row.group) << row.name;
    }
  }
}

TEST(Forward, ResolveAnswersSolicitations) {
  Network n = network();
  n.ndp_emulation = true;
  n.multicast_limit = 0;  // the emulation does not need it
  n.static_ips = {wire::rfc4193_address(kSelf, kNetwork)};
  const wire::Endpoint target = wire::rfc4193_address(kOther, kNetwork);
  ByteVector solicitation(64);
  solicitation[0] = 0x60;
  solicitation[6] = 58;
  solicitation[40] = 135;
  std::copy(target.ip.begin(), target.ip.end(), solicitation.begin() + 48);
  const EthernetFrame frame{wire::resolution_group(target).mac, kSelfMac, kIpv6, solicitation};
  const Resolution r = resolve(n, frame);
  EXPECT_EQ(r.to, Outbound::kAdvertise);
  EXPECT_EQ(r.advertisement.source, kOtherMac);
  EXPECT_EQ(r.advertisement.destination, kSelfMac);
  n.ndp_emulation = false;
  EXPECT_EQ(resolve(n, frame).refusal, Refusal::kMulticastOff);
  n.multicast_limit = 1;
  EXPECT_EQ(resolve(n, frame).to, Outbound::kMulticast);
}

TEST(Forward, BridgeTargets) {
  const auto list = [](const BridgeTargets& t) {
    return std::vector<wire::Address>(t.address.begin(), t.address.begin() + t.count);
  };
  const Network n = bridge_network();
  EXPECT_EQ(list(bridge_targets(n, {}, 0)), (std::vector{kBridge, kFarBridge})) << "all but us";
  EXPECT_EQ(list(bridge_targets(n, kFarBridge, 0)), (std::vector{kFarBridge})) << "the learned one";
  EXPECT_EQ(list(bridge_targets(n, kOther, 0)), (std::vector{kBridge, kFarBridge}))
      << "learned, but no bridge any more";
  EXPECT_EQ(list(bridge_targets(n, kSelf, 0)), (std::vector{kBridge, kFarBridge})) << "ourselves";

  Network many = network();
  many.active_bridges.clear();
  for (std::uint64_t i = 0; i < 40; ++i)
    many.active_bridges.push_back(wire::Address{0x5000000000 + i});
  for (const std::uint32_t random : {0u, 7u, 39u, 4'000'000'000u}) {
    const auto chosen = list(bridge_targets(many, {}, random));
    EXPECT_EQ(chosen.size(), kBridgeFanOut);
    EXPECT_EQ(std::set<wire::Address>(chosen.begin(), chosen.end()).size(), kBridgeFanOut);
    EXPECT_EQ(chosen.front(), many.active_bridges[random % 40]);
  }
  many.active_bridges.resize(kBridgeFanOut);
  EXPECT_EQ(list(bridge_targets(many, {}, 5)), many.active_bridges) << "32 are not too many";
  EXPECT_EQ(
      bridge_targets(with(network(), [](Network& x) { x.active_bridges.clear(); }), {}, 1).count,
      0);
}

TEST(Forward, Gate) {
  Member m;
  EXPECT_EQ(gate(nullptr), Gate::kUnknown);
  EXPECT_EQ(gate(&m), Gate::kNeedsCredentials);
  m.allowed = true;
  EXPECT_EQ(gate(&m), Gate::kPass);
}

struct InRow {
  const char* name;
  Network network;
  wire::Address sender;
  Carrier carrier;
  wire::Mac destination, source;
  bool deliver;
  Refusal refusal = Refusal::kNone;
  bool learn = false;
  bool acknowledge = false;
};

TEST(Forward, AcceptInbound) {
  const auto drop_all = [](Network& n) { n.rules = {rule(wire::RuleType::kActionDrop)}; };
  const auto no_multicast = [](Network& n) { n.multicast_limit = 0; };
  // We are the target of a TEE: frames are taken whatever their MACs.
  const auto observe = [](Network& n) { n.rules = {tee_to(kSelf)}; };
  constexpr Carrier kF = Carrier::kFrame, kX = Carrier::kExtFrame, kM = Carrier::kMulticastFrame;
  const std::vector<InRow> rows = {
      {"FRAME", network(), kOther, kF, {}, {}, true},
      {"FRAME against the rules",
       with(network(), drop_all),
       kOther,
       kF,
       {},
       {},
       false,
       Refusal::kRules},
      {"EXT_FRAME with the MACs of a FRAME", network(), kOther, kX, kSelfMac, kOtherMac, true,
       Refusal::kNone, false, true},
      {"EXT_FRAME against the rules", with(network(), drop_all), kOther, kX, kSelfMac, kOtherMac,
       false, Refusal::kRules, false, true},
      {"zero source", network(), kOther, kX, kSelfMac, wire::Mac{}, false, Refusal::kSourceMac},
      {"our own source", network(), kOther, kX, kSelfMac, kSelfMac, false, Refusal::kLoop},
      {"multicast source", network(), kBridge, kX, kSelfMac, kGroup, false, Refusal::kSourceMac},
      {"foreign source of no bridge", network(), kOther, kX, kSelfMac, kStation, false,
       Refusal::kSourceMac},
      {"foreign source of a bridge", network(), kBridge, kX, kSelfMac, kStation, true,
       Refusal::kNone, true, true},
      {"a bridge in the name of a member", network(), kBridge, kX, kSelfMac, kOtherMac, false,
       Refusal::kSourceMac},
      {"a bridge with its own MAC", network(), kBridge, kX, kSelfMac, kBridgeMac, true,
       Refusal::kNone, false, true},
      {"foreign both ways, no check of the destination", network(), kBridge, kX, kFarStation,
       kStation, true, Refusal::kNone, true, true},
      {"destination another member", network(), kOther, kX, kBridgeMac, kOtherMac, false,
       Refusal::kDestinationMac},
      {"destination zero", network(), kOther, kX, wire::Mac{}, kOtherMac, false,
       Refusal::kDestinationMac},
      {"destination foreign, and we bridge", bridge_network(), kOther, kX, kStation, kOtherMac,
       true, Refusal::kNone, false, true},
      {"multicast in EXT_FRAME", network(), kOther, kX, kGroup, kOtherMac, true, Refusal::kNone,
       false, true},
      {"multicast in EXT_FRAME, but it is off", with(network(), no_multicast), kOther, kX, kGroup,
       kOtherMac, false, Refusal::kMulticastOff},
      {"observed: foreign MACs of no bridge", with(network(), observe), kOther, kX, kFarStation,
       kStation, true, Refusal::kNone, false, true},
      {"MULTICAST_FRAME", network(), kOther, kM, kGroup, kOtherMac, true},
      {"MULTICAST_FRAME of a station", network(), kBridge, kM, kGroup, kStation, true,
       Refusal::kNone, true},
      {"MULTICAST_FRAME of a member, by a replicator", network(), kBridge, kM, kGroup, kOtherMac,
       true},
      {"MULTICAST_FRAME of a station, by no bridge", network(), kOther, kM, kGroup, kStation, false,
       Refusal::kSourceMac},
      {"MULTICAST_FRAME of a station, by no bridge, observed", with(network(), observe), kOther, kM,
       kGroup, kStation, false, Refusal::kSourceMac},
      {"MULTICAST_FRAME, but it is off", with(network(), no_multicast), kOther, kM, kGroup,
       kOtherMac, false, Refusal::kMulticastOff},
      {"MULTICAST_FRAME to one station", network(), kOther, kM, kStation, kOtherMac, false,
       Refusal::kDestinationMac},
      {"MULTICAST_FRAME that comes back", network(), kBridge, kM, kGroup, kSelfMac, false,
       Refusal::kLoop},
      {"MULTICAST_FRAME against the rules", with(network(), drop_all), kOther, kM, kGroup,
       kOtherMac, false, Refusal::kRules},
  };
  for (const InRow& row : rows) {
    Member member;
    member.network = kNetwork;
    member.address = row.sender;
    member.allowed = true;
    const InboundFrame in{row.carrier, {row.destination, row.source, kIpv4, kPayload}};
    const InboundDecision d = accept_inbound(row.network, member, in, 0);
    EXPECT_EQ(d.deliver, row.deliver) << row.name;
    EXPECT_EQ(d.refusal, row.refusal) << row.name << ": " << refusal_label(d.refusal);
    EXPECT_EQ(d.learn, row.learn) << row.name;
    EXPECT_EQ(d.acknowledge, row.acknowledge) << row.name;
    const bool plain = row.carrier == Carrier::kFrame;
    EXPECT_EQ(d.frame.source, plain ? wire::mac_of(row.sender, kNetwork) : row.source) << row.name;
    EXPECT_EQ(d.frame.destination, plain ? kSelfMac : row.destination) << row.name;
  }
}

TEST(Forward, CopiesGoOutEvenWhenMacsAreRefused) {
  Network n = network();
  n.rules = {tee_to(kFarBridge), rule(wire::RuleType::kActionAccept)};
  Member member;
  member.address = kOther;
  member.allowed = true;
  const InboundFrame in{Carrier::kExtFrame, {kSelfMac, kStation, kIpv4, kPayload}};
  const InboundDecision d = accept_inbound(n, member, in, 0);
  EXPECT_EQ(d.refusal, Refusal::kSourceMac);
  ASSERT_EQ(d.verdict.emissions, 1);
  EXPECT_EQ(d.verdict.emit[0].to, kFarBridge);
}

TEST(Forward, MulticastPayloadHasBounds) {
  Member member;
  member.address = kOther;
  member.allowed = true;
  for (const auto& [size, deliver] : {std::pair<std::size_t, bool>{0, false},
                                      {1, true},
                                      {kLargestPayload, true},
                                      {kLargestPayload + 1, false}}) {
    const ByteVector payload(size, 1);
    const InboundFrame in{Carrier::kMulticastFrame, {kGroup, kOtherMac, kIpv4, payload}};
    const InboundDecision d = accept_inbound(network(), member, in, 0);
    EXPECT_EQ(d.deliver, deliver) << size;
    EXPECT_EQ(d.refusal, deliver ? Refusal::kNone : Refusal::kLength) << size;
  }
}

TEST(Forward, RuleFrameNamesBothSides) {
  const EthernetFrame frame{kOtherMac, kStation, kIpv4, kPayload};
  const RuleFrame r = rule_frame_out(network(), frame, kOther);
  EXPECT_EQ(r.source, kSelf);
  EXPECT_EQ(r.destination, kOther);
  EXPECT_EQ(r.mac_source, kStation);
  EXPECT_EQ(r.mac_destination, kOtherMac);
  EXPECT_EQ(r.ethertype, kIpv4);
  EXPECT_EQ(r.tag_control, 0);
  EXPECT_EQ(r.payload.data(), kPayload.data());
}

TEST(Forward, RulesSeeTagsWhereTheNetworkMatchesOnThem) {
  ByteVector payload = {0xb0, 100, 0x08, 0x00};  // priority 5, drop eligible, VLAN 100
  payload.insert(payload.end(), kPayload.begin(), kPayload.end());
  const EthernetFrame frame{kOtherMac, kStation, 0x8100, payload};
  Network n = network();
  RuleFrame r = rule_frame_out(n, frame, kOther);
  EXPECT_EQ(r.ethertype, 0x8100);
  EXPECT_EQ(r.payload.size(), payload.size());
  EXPECT_EQ(r.tag_control, 0);
  n.match_tags = true;
  r = rule_frame_out(n, frame, kOther);
  EXPECT_EQ(r.ethertype, kIpv4);
  EXPECT_TRUE(std::equal(r.payload.begin(), r.payload.end(), kPayload.begin(), kPayload.end()));
  EXPECT_EQ(r.tag_control, 0xb064);

  // Both directions, VLAN by VLAN: DROP unless the tag says so.
  const auto passes = [&](wire::RuleType type, std::uint16_t value, std::size_t size) {
    wire::Rule match, accept;
    match.type = static_cast<std::uint8_t>(type);
    if (size == 2) {
      store_be16(match.data.data(), value);
    } else {
      match.data[0] = static_cast<std::uint8_t>(value);
    }
    accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
    n.rules = {match, accept};
    n.active_bridge = true;
    Member member;
    member.network = n.id;
    member.address = kOther;
    member.allowed = true;
    const bool out =
        filter_out(n, &member, rule_frame_out(n, frame, kOther), false, 0).filter != Filter::kDrop;
    const bool in =
        accept_inbound(n, member, {Carrier::kExtFrame, {kStation, kOtherMac, 0x8100, payload}}, 0)
            .refusal != Refusal::kRules;
    EXPECT_EQ(in, out);
    return out;
  };
  using enum wire::RuleType;
  EXPECT_TRUE(passes(kMatchVlanId, 100, 2));
  EXPECT_FALSE(passes(kMatchVlanId, 0, 2));
  EXPECT_TRUE(passes(kMatchVlanPcp, 5, 1));
  EXPECT_FALSE(passes(kMatchVlanPcp, 0, 1));
  EXPECT_TRUE(passes(kMatchVlanDei, 1, 1));
  EXPECT_TRUE(passes(kMatchEthertype, kIpv4, 2));
  n.match_tags = false;
  EXPECT_FALSE(passes(kMatchVlanId, 100, 2));
  EXPECT_TRUE(passes(kMatchVlanId, 0, 2));
  EXPECT_TRUE(passes(kMatchVlanPcp, 0, 1));
  EXPECT_TRUE(passes(kMatchEthertype, 0x8100, 2));
}

TEST(Forward, CopiesAndRedirectsKeepTheTag) {
  ByteVector payload = {0, 100, 0x08, 0x00};
  payload.insert(payload.end(), kPayload.begin(), kPayload.end());
  Network n = network();
  n.match_tags = true;
  for (const auto& [limit, length] :
       {std::pair<std::uint16_t, std::size_t>{0, payload.size()}, {2, 2 + 4u}}) {
    wire::Rule tee, redirect;
    tee.type = static_cast<std::uint8_t>(wire::RuleType::kActionTee);
    redirect.type = static_cast<std::uint8_t>(wire::RuleType::kActionRedirect);
    for (wire::Rule* rule : {&tee, &redirect}) rule->data[7] = 9;  // whom
    store_be16(tee.data.data() + 12, limit);
    n.rules = {tee, redirect};
    const RuleFrame frame = rule_frame_out(n, {kOtherMac, kStation, 0x8100, payload}, kOther);
    const FilterVerdict v = filter_out(n, nullptr, frame, false, 0);
    ASSERT_EQ(v.emissions, 2);
    EXPECT_EQ(v.emit[0].length, length);
    EXPECT_EQ(v.emit[1].length, payload.size());
  }
}

TEST(Forward, RefusalsHaveLabels) {
  EXPECT_STREQ(refusal_label(Refusal::kNone), "none");
  EXPECT_STREQ(refusal_label(Refusal::kRules), "rules");
}

}  // namespace
}  // namespace orrery::fib
