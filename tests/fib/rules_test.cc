// What the vectors of the rule evaluator leave out: chance, where we are stricter than the
// reference, and the largest lists.
#include "fib/rules.h"

#include <gtest/gtest.h>

namespace orrery::fib {
namespace {

using wire::Rule;
using wire::RuleType;

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
const wire::Address kSelf{0x1111111111ULL};
const wire::Address kOther{0x2222222222ULL};
const wire::Address kThird{0x3333333333ULL};

Rule rule(RuleType type, std::initializer_list<std::uint8_t> data = {}) {
  Rule r;
  r.type = static_cast<std::uint8_t>(type);
  std::copy(data.begin(), data.end(), r.data.begin());
  return r;
}

Network network(std::vector<Rule> rules) {
  Network n;
  n.id = kNetwork;
  n.self = kSelf;
  n.mac = wire::mac_of(kSelf, kNetwork);
  n.rules = std::move(rules);
  return n;
}

Member member(wire::Address address) {
  Member m;
  m.network = kNetwork;
  m.address = address;
  m.allowed = true;
  return m;
}

RuleFrame frame_from(wire::Address sender, std::uint16_t ethertype, Bytes payload) {
  RuleFrame f;
  f.source = sender;
  f.destination = kSelf;
  f.mac_source = wire::mac_of(sender, kNetwork);
  f.mac_destination = wire::mac_of(kSelf, kNetwork);
  f.ethertype = ethertype;
  f.payload = payload;
  return f;
}

TEST(Rules, RandomMatchesUpToItsProbability) {
  const ByteVector payload(40);
  const RuleFrame frame = frame_from(kOther, 0x0800, payload);
  const Network half =
      network({rule(RuleType::kMatchRandom, {0x80, 0, 0, 0}), rule(RuleType::kActionAccept)});
  const auto passes = [&](const Network& n, std::uint32_t random) {
    return filter_in(n, member(kOther), frame, random).filter == Filter::kAccept;
  };
  EXPECT_TRUE(passes(half, 0));
  EXPECT_TRUE(passes(half, 0x80000000));
  EXPECT_FALSE(passes(half, 0x80000001));
  const Network never = network({rule(RuleType::kMatchRandom), rule(RuleType::kActionAccept)});
  EXPECT_TRUE(passes(never, 0)) << "the comparison includes zero";
  EXPECT_FALSE(passes(never, 1));
}

/// A derived IPv6 address authenticates its owner only: docs/protocol/08-credentials.md 10.2.
TEST(Rules, DerivedAddressesBelongToTheirOwner) {
  Network n = network({rule(RuleType::kMatchCharacteristics, {0x10, 0, 0, 0, 0, 0, 0, 0}),
                       rule(RuleType::kActionAccept)});
  n.ndp_emulation = true;
  n.static_ips = {wire::sixplane_address(kSelf, kNetwork), wire::rfc4193_address(kSelf, kNetwork)};
  const auto authenticated = [&](wire::Address sender, const wire::Endpoint& ip) {
    ByteVector payload(60);
    payload[0] = 0x60;
    payload[6] = 17;
    std::copy(ip.ip.begin(), ip.ip.end(), payload.begin() + 8);
    return filter_in(n, member(sender), frame_from(sender, 0x86dd, payload), 0).filter ==
           Filter::kAccept;
  };
  for (const auto derive : {wire::sixplane_address, wire::rfc4193_address}) {
    EXPECT_TRUE(authenticated(kOther, derive(kOther, kNetwork)));
    EXPECT_FALSE(authenticated(kOther, derive(kThird, kNetwork)));
  }
  wire::Endpoint inside = wire::sixplane_address(kOther, kNetwork);
  inside.ip[12] = 9;  // anywhere in the owner's /80
  EXPECT_TRUE(authenticated(kOther, inside));
  n.ndp_emulation = false;
  EXPECT_FALSE(authenticated(kOther, wire::sixplane_address(kOther, kNetwork)));
}

TEST(Rules, RedirectsCountInEveryPassCopiesOnlyInTheFirst) {
  const ByteVector payload(100);
  RuleFrame frame = frame_from(kSelf, 0x0800, payload);
  frame.destination = kOther;
  Rule tee = rule(RuleType::kActionTee);
  store_be64(tee.data.data(), kThird.value);
  store_be16(tee.data.data() + 12, 10);
  const Network copying = network({tee, rule(RuleType::kActionAccept)});
  const FilterVerdict first = filter_out(copying, nullptr, frame, false, 0);
  ASSERT_EQ(first.emissions, 1);
  EXPECT_EQ(first.emit[0].to, kThird);
  EXPECT_EQ(first.emit[0].length, 10u);
  EXPECT_EQ(filter_out(copying, nullptr, frame, true, 0).emissions, 0);

  Rule redirect = rule(RuleType::kActionRedirect);
  store_be64(redirect.data.data(), kThird.value);
  const FilterVerdict again = filter_out(network({redirect}), nullptr, frame, true, 0);
  EXPECT_EQ(again.filter, Filter::kDrop);
  ASSERT_EQ(again.emissions, 1);
  EXPECT_EQ(again.emit[0].length, 100u);
}

/// The most that a controller can ask for: 1024 rules, 128 capabilities of 64. Every entry is
/// judged, and the verdict is that of the last one.
TEST(Rules, LargestListsAreJudgedToTheEnd) {
  Rule never = rule(RuleType::kMatchCharacteristics);
  std::vector<Rule> base(wire::kMaxRules - 1, never);
  base.push_back(rule(RuleType::kActionDrop));
  Network n = network(base);
  Member m = member(kOther);
  const auto refusing = std::make_shared<const std::vector<Rule>>([&] {
    std::vector<Rule> list(wire::kMaxCapabilityRules - 1, never);
    list.push_back(rule(RuleType::kActionAccept));
    return list;
  }());
  for (std::uint32_t id = 0; id < 127; ++id) m.capabilities.push_back({id, refusing});
  const ByteVector payload(1400, 7);
  const RuleFrame frame = frame_from(kOther, 0x86dd, payload);
  EXPECT_EQ(filter_in(n, m, frame, 0).filter, Filter::kDrop);
  const auto accepting =
      std::make_shared<const std::vector<Rule>>(1, rule(RuleType::kActionAccept));
  m.capabilities.push_back({127, accepting});
  EXPECT_EQ(filter_in(n, m, frame, 0).filter, Filter::kAccept);
}

}  // namespace
}  // namespace orrery::fib
