// The gate, credentials pushed and accepted, rollback, chunks, ad-hoc networks, the host port.
#include <gtest/gtest.h>

#include "control/bridge_table.h"
#include "control/config_assembly.h"
#include "control/member.h"
#include "control/network/lab.h"
#include "control/port_plan.h"

namespace orrery::control {
namespace {

using test::NetworkLab;

constexpr std::uint8_t kPayload[] = {0x45, 0, 0, 20};

TEST(Networks, JoinsAsksAndExchangesFrames) {
  NetworkLab lab;
  lab.networks.join(lab.now, lab.id, {}, {}, lab.out);
  ASSERT_EQ(lab.out.ports.size(), 1u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkConfigRequest).size(), 1u);
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kRequestingConfiguration);
  ASSERT_EQ(lab.out.saves.size(), 2u);
  EXPECT_EQ(text_of(lab.out.saves[1].bytes), "\n");
  lab.clear();
  EXPECT_EQ(lab.answer_config(lab.config()), Handled::kDone);
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kOk);
  EXPECT_EQ(lab.out.ports.back().addresses.size(), 1u);
  EXPECT_TRUE(lab.networks.is_managed_ip(wire::Endpoint::v4(0x0a000001, 0)));
  EXPECT_TRUE(lab.networks.is_managed_ip(wire::Endpoint::v4(0x0a0000fe, 0))) << "in its subnet";
  EXPECT_FALSE(lab.networks.is_managed_ip(wire::Endpoint::v4(0x0a000101, 0)));

  lab.clear();
  EXPECT_EQ(lab.introduce(lab.alice), Handled::kDoneTrusted);
  EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kDoneTrusted);
  ASSERT_EQ(lab.out.frames.size(), 1u);
  EXPECT_EQ(lab.out.frames[0].source, lab.mac(lab.alice.address()));
  EXPECT_EQ(lab.out.frames[0].destination, lab.mac(lab.self()));

  lab.clear();
  lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
  ASSERT_EQ(lab.transport.sent.size(), 2u);
  EXPECT_EQ(lab.transport.sent[0].verb, wire::Verb::kNetworkCredentials);
  EXPECT_EQ(lab.transport.sent[1].verb, wire::Verb::kFrame);
  lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkCredentials).size(), 1u);  // not stale yet

  lab.clear();
  lab.networks.leave(lab.now, lab.id, lab.out);
  EXPECT_TRUE(lab.out.ports.at(0).remove);
  EXPECT_EQ(lab.out.saves.size(), 2u);
  EXPECT_TRUE(lab.out.saves[0].remove && lab.out.saves[1].remove);
  EXPECT_TRUE(std::holds_alternative<fib::RemoveNetwork>(lab.out.updates.at(0)));
  EXPECT_TRUE(lab.networks.list().empty());
}

TEST(Networks, FramesToUnknownMembersGoOutBehindCredentials) {
  NetworkLab lab;
  lab.join(lab.config());
  const wire::Address stranger{0x1122334455};
  lab.host_frame(lab.mac(lab.self()), lab.mac(stranger), 0x0800, kPayload);
  ASSERT_EQ(lab.transport.sent.size(), 2u);
  EXPECT_EQ(lab.transport.sent[0].verb, wire::Verb::kNetworkCredentials);
  EXPECT_EQ(lab.transport.sent[1].to, stranger);
  ASSERT_FALSE(lab.out.updates.empty());
  const auto* member = std::get_if<fib::Member>(&lab.out.updates.back());
  ASSERT_NE(member, nullptr);
  EXPECT_TRUE(member->credentials_pushed);
  EXPECT_FALSE(member->allowed);
}

TEST(Networks, GateTellsOnceASecond) {
  NetworkLab lab;
  lab.join(lab.config());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kNotYet);
  }
  ASSERT_EQ(lab.transport.of(wire::Verb::kError).size(), 1u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kError)[0].payload[9], 0x06);
  lab.advance(1'000);
  EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kNotYet);
  EXPECT_EQ(lab.transport.of(wire::Verb::kError).size(), 2u);
  EXPECT_TRUE(lab.out.frames.empty());
}

TEST(Networks, CertificateAtTheEdgeOfTheDelta) {
  const auto delta = static_cast<std::int64_t>(NetworkLab::kDelta);
  for (const auto& [offset, passes] :
       {std::pair{-delta, true}, {-delta - 1, false}, {delta, true}, {delta + 1, false}}) {
    NetworkLab lab;
    lab.join(lab.config());
    lab.introduce(lab.alice, NetworkLab::kTs + offset);
    EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload) == Handled::kDoneTrusted,
              passes)
        << offset;
  }
}

TEST(Networks, ForgedCredentialsLeaveNothingAndCostLittle) {
  NetworkLab lab;
  lab.join(lab.config());
  const auto forger = test::network_identity(3);
  for (std::uint64_t i = 0; i < 50; ++i) {
    auto com = test::issue_com(forger, lab.id, lab.alice.identity(), NetworkLab::kTs, 1);
    com.signed_by = lab.controller.address();
    com.qualifiers[2].value = 0x1000000000 + i;
    ByteVector payload = test::written(wire::write_com, com);
    payload.push_back(0);
    lab.advance(1'000);
    EXPECT_EQ(lab.receive(lab.bob.address(), wire::Verb::kNetworkCredentials, payload),
              Handled::kDone);
  }
  EXPECT_TRUE(lab.out.updates.empty());
}

TEST(Networks, OneCredentialsPacketASecond) {
  NetworkLab lab;
  lab.join(lab.config());
  EXPECT_EQ(lab.introduce(lab.alice), Handled::kDoneTrusted);
  EXPECT_EQ(lab.introduce(lab.alice, NetworkLab::kTs + 1), Handled::kIgnored);
  lab.advance(1'000);
  EXPECT_EQ(lab.introduce(lab.alice, NetworkLab::kTs + 1), Handled::kDoneTrusted);
}

TEST(Networks, PushesWhenConfigurationChangesAndOnErrorAsOftenAsTheyAreTaken) {
  NetworkLab lab;
  lab.join(lab.config());
  const auto send = [&] {
    lab.clear();
    lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
    return lab.transport.of(wire::Verb::kNetworkCredentials).size();
  };
  const auto pushed = [&] {
    const auto* member = std::get_if<fib::Member>(&lab.out.updates.back());
    return member != nullptr && member->credentials_pushed;
  };
  EXPECT_EQ(send(), 1u);
  EXPECT_TRUE(pushed());
  EXPECT_EQ(send(), 0u);
  // The receiver would drop a packet of credentials that follows the first within a second.
  lab.answer_config(lab.config(NetworkLab::kTs + 60'000));
  EXPECT_FALSE(pushed());
  EXPECT_EQ(send(), 0u);
  lab.advance(1'249);
  EXPECT_EQ(send(), 0u);
  lab.advance(1);
  EXPECT_EQ(send(), 1u);
  EXPECT_TRUE(pushed());
  lab.advance(500'000);
  EXPECT_EQ(send(), 0u);
  lab.advance(1);
  EXPECT_EQ(send(), 1u);
  ByteVector error(18);
  error[0] = 0x06;
  error[9] = 0x06;
  store_be64(error.data() + 10, lab.id.value);
  const auto complain = [&] {
    lab.clear();
    lab.receive(lab.alice.address(), wire::Verb::kError, error);
    return lab.transport.of(wire::Verb::kNetworkCredentials).size();
  };
  lab.advance(1'249);
  EXPECT_EQ(complain(), 0u);
  lab.advance(1);
  EXPECT_EQ(complain(), 1u);
  EXPECT_EQ(complain(), 0u);
}

TEST(Networks, AStrangersErrorIsAnsweredButLeavesNoRecord) {
  NetworkLab lab;
  lab.join(lab.config());
  const wire::Address stranger{0x0102030405};
  const auto complain = [&](wire::Address from) {
    ByteVector error(18);
    error[0] = static_cast<std::uint8_t>(wire::Verb::kExtFrame);
    error[9] = static_cast<std::uint8_t>(wire::ErrorCode::kNeedMembershipCertificate);
    store_be64(error.data() + 10, lab.id.value);
    (void)lab.receive(from, wire::Verb::kError, error);
  };
  complain(stranger);
  complain(stranger);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkCredentials, stranger).size(), 1u);
  EXPECT_TRUE(lab.out.updates.empty()) << "nothing is published for a stranger";
  lab.advance(1'250);
  complain(stranger);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkCredentials, stranger).size(), 2u);
}

TEST(Networks, TheMemberUnusedForLongestMakesRoom) {
  NetworkLab lab;
  wire::NetworkConfig config = lab.config();
  config.is_public = true;
  config.com.reset();
  lab.join(config);
  constexpr std::uint64_t kFirst = 0x1000000000;
  constexpr std::uint64_t kMembers = 65'536;
  const auto frame = [&](std::uint64_t n) {
    (void)lab.frame_from(wire::Address{kFirst + n}, 0x0800, ByteVector(20));
  };
  for (std::uint64_t n = 0; n < kMembers; ++n) {
    frame(n);
    if (n % 1'000 == 0) lab.clear();
  }
  frame(0);
  lab.clear();
  frame(kMembers);
  std::vector<wire::Address> removed;
  for (const fib::Update& update : lab.out.updates) {
    if (const auto* gone = std::get_if<fib::RemoveMember>(&update))
      removed.push_back(gone->address);
  }
  EXPECT_EQ(removed, std::vector{wire::Address{kFirst + 1}});
}

/// Of a membership as it is in the configurations of the laboratory.
wire::Revocation revocation_of(NetworkLab& lab, wire::Address member) {
  wire::Revocation revocation;
  revocation.network = lab.id;
  revocation.threshold = NetworkLab::kTs;
  revocation.flags = wire::Revocation::kFastPropagation;
  revocation.target = member;
  revocation.signed_by = lab.controller.address();
  revocation.type = 1;
  revocation.signature = crypto::sign(lab.controller, wire::revocation_signed_bytes(revocation));
  return revocation;
}

TEST(Networks, RevocationSpreadsOnceAndShutsTheGate) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  lab.introduce(lab.bob);
  ASSERT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kDoneTrusted);
  const ByteVector packet = pack_revocation(revocation_of(lab, lab.alice.address()));
  lab.clear();
  EXPECT_EQ(lab.receive(lab.controller.address(), wire::Verb::kNetworkCredentials, packet),
            Handled::kDoneTrusted);
  const auto passed_on = lab.transport.of(wire::Verb::kNetworkCredentials);
  ASSERT_EQ(passed_on.size(), 2u);  // to both members, not to the controller
  EXPECT_EQ(passed_on[0].payload, packet);
  EXPECT_EQ(lab.frame_from(lab.alice.address(), 0x0800, kPayload), Handled::kNotYet);
  lab.clear();
  lab.advance(1'000);
  lab.receive(lab.bob.address(), wire::Verb::kNetworkCredentials, packet);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kNetworkCredentials).empty());
}

TEST(Networks, WhoIsPutOutHearsNothingUntilHeIsInAgain) {
  NetworkLab lab;
  lab.join(lab.config());
  lab.introduce(lab.alice);
  lab.introduce(lab.bob);
  lab.like_from(lab.alice.address(), {wire::kBroadcastMac, 0});
  lab.like_from(lab.bob.address(), {wire::kBroadcastMac, 0});
  const auto say = [&] {
    lab.clear();
    lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, kPayload);
    lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0800, kPayload);
    return std::pair(lab.transport.of(wire::Verb::kFrame, lab.alice.address()).size(),
                     lab.transport.of(wire::Verb::kMulticastFrame, lab.alice.address()).size());
  };
  EXPECT_EQ(say(), std::pair(std::size_t{1}, std::size_t{1}));
  lab.advance(2'000);
  lab.clear();
  lab.receive(lab.controller.address(), wire::Verb::kNetworkCredentials,
              pack_revocation(revocation_of(lab, lab.alice.address())));
  bool told = false;
  for (const fib::Update& update : lab.out.updates) {
    const auto* record = std::get_if<fib::Member>(&update);
    told |= record != nullptr && record->address == lab.alice.address() && record->revoked;
  }
  EXPECT_TRUE(told) << "workers, too";
  EXPECT_EQ(say(), std::pair(std::size_t{0}, std::size_t{0}));
  EXPECT_EQ(lab.transport.of(wire::Verb::kMulticastFrame, lab.bob.address()).size(), 1u);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kRevoked), 2u);
  EXPECT_EQ(lab.transport.of(wire::Verb::kError, lab.alice.address()).size(), 1u)
      << "asked for a newer certificate";
  say();
  EXPECT_EQ(lab.transport.of(wire::Verb::kError, lab.alice.address()).size(), 0u)
      << "not more than once a second";
  lab.advance(1'000);
  say();
  EXPECT_EQ(lab.transport.of(wire::Verb::kError, lab.alice.address()).size(), 1u);

  lab.introduce(lab.alice, NetworkLab::kTs + 1);
  EXPECT_EQ(say(), std::pair(std::size_t{1}, std::size_t{1}));
}

TEST(Networks, WhoIsPutOutTakesNobodysPlaceInAGroup) {
  for (const std::uint32_t limit : {1u, 2u}) {
    NetworkLab lab;
    auto config = lab.config();
    config.multicast_limit = limit;
    lab.join(config);
    for (const auto* member : {&lab.alice, &lab.bob}) {
      lab.introduce(*member);
      lab.like_from(member->address(), {wire::kBroadcastMac, 0});
    }
    lab.receive(lab.controller.address(), wire::Verb::kNetworkCredentials,
                pack_revocation(revocation_of(lab, lab.alice.address())));
    for (int i = 0; i < 20; ++i) {  // whose turn is first is by chance
      lab.clear();
      lab.host_frame(lab.mac(lab.self()), wire::kBroadcastMac, 0x0800, kPayload);
      const auto sent = lab.transport.of(wire::Verb::kMulticastFrame);
      ASSERT_EQ(sent.size(), 1u);
      EXPECT_EQ(sent[0].to, lab.bob.address());
      EXPECT_EQ(wire::decode_multicast_frame(sent[0].payload)->gather_limit, limit)
          << "more are wanted where there is room for two";
    }
  }
}

TEST(Networks, ConfigurationsMoveForwardExceptInAnswers) {
  NetworkLab lab;
  lab.join(lab.config(NetworkLab::kTs));
  auto older = lab.config(NetworkLab::kTs - 1);
  older.name = "older";
  lab.push_config(lab.alice.address(), older);
  EXPECT_EQ(lab.networks.list()[0].name, "lab");
  EXPECT_EQ(lab.out.notices.size(), 1u);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kOk).empty());
  auto newer = lab.config(NetworkLab::kTs + 1);
  newer.name = "newer";
  lab.push_config(lab.alice.address(), newer);
  EXPECT_EQ(lab.networks.list()[0].name, "newer");
  EXPECT_EQ(lab.transport.of(wire::Verb::kOk).size(), 1u);
  lab.answer_config(older);
  EXPECT_EQ(lab.networks.list()[0].name, "older");
  auto foreign = lab.config(NetworkLab::kTs + 9);
  foreign.issued_to = lab.alice.address();
  foreign.name = "foreign";
  lab.push_config(lab.controller.address(), foreign);
  EXPECT_EQ(lab.networks.list()[0].name, "older");
}

TEST(Networks, ErrorsNeedAnOutstandingRequestOfTheController) {
  NetworkLab lab;
  lab.join(lab.config());
  ByteVector error(18);
  error[0] = 0x0b;
  error[9] = 0x07;
  store_be64(error.data() + 10, lab.id.value);
  const Answered answered{wire::Verb::kNetworkConfigRequest, lab.id.value};
  lab.receive(lab.controller.address(), wire::Verb::kError, error);
  lab.receive(lab.alice.address(), wire::Verb::kError, error, &answered);
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kOk);
  lab.receive(lab.controller.address(), wire::Verb::kError, error, &answered);
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kAccessDenied);
  EXPECT_EQ(lab.networks.list()[0].addresses.size(), 1u);  // the configuration stays in force
  lab.networks.on_port_error(lab.now, lab.id, 13, lab.out);
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kPortError);
}

TEST(Networks, ARevocationOfOurOwnMembershipIsBelieved) {
  NetworkLab lab;
  lab.join(lab.config());
  wire::Revocation revocation = revocation_of(lab, lab.self());
  revocation.signature = {};
  const auto state_after = [&](const wire::Revocation& r) {
    lab.advance(2'000);
    lab.receive(lab.alice.address(), wire::Verb::kNetworkCredentials, pack_revocation(r));
    return lab.networks.list()[0].state;
  };
  EXPECT_EQ(state_after(revocation), NetworkState::kOk) << "not signed";
  wire::Revocation earlier = revocation;
  --earlier.threshold;
  earlier.signature = crypto::sign(lab.controller, wire::revocation_signed_bytes(earlier));
  EXPECT_EQ(state_after(earlier), NetworkState::kOk) << "of a certificate before this one";
  wire::Revocation tag = revocation;
  tag.type = static_cast<std::uint8_t>(wire::CredentialType::kTag);
  tag.signature = crypto::sign(lab.controller, wire::revocation_signed_bytes(tag));
  EXPECT_EQ(state_after(tag), NetworkState::kOk);
  lab.clear();
  revocation.signature = crypto::sign(lab.controller, wire::revocation_signed_bytes(revocation));
  EXPECT_EQ(state_after(revocation), NetworkState::kAccessDenied);
  EXPECT_TRUE(lab.transport.of(wire::Verb::kNetworkCredentials).empty());
  EXPECT_EQ(lab.networks.list()[0].addresses.size(), 1u) << "the configuration stays in force";
  lab.push_config(lab.controller.address(), lab.config(NetworkLab::kTs + 5));
  EXPECT_EQ(lab.networks.list()[0].state, NetworkState::kOk);
}

TEST(Networks, MembersGetTheLimitsThatRulesHaveForThem) {
  NetworkLab lab;
  lab.networks.set_rate_rules(lab.id, {{{}, 100, 200}, {lab.alice.address(), 5, 6}});
  lab.join(lab.config());
  std::map<wire::Address, std::pair<std::uint32_t, std::uint32_t>> rates;
  for (const auto* member : {&lab.alice, &lab.bob}) {
    lab.introduce(*member);
    for (const fib::Update& update : lab.out.updates) {
      if (const auto* record = std::get_if<fib::Member>(&update))
        rates[record->address] = {record->rate_in, record->rate_out};
    }
  }
  EXPECT_EQ(rates[lab.alice.address()], std::pair(5U, 6U));
  EXPECT_EQ(rates[lab.bob.address()], std::pair(100U, 200U));
}

TEST(RateRules, ATagStandsInThePlaceOfBoth) {
  const auto limits = [](const std::vector<RateRule>& rules, std::vector<fib::Tag> tags) {
    fib::Member member;
    member.address = wire::Address{0x1122334455};
    member.tags = std::move(tags);
    apply_rates(rules, member);
    return std::pair(member.rate_in, member.rate_out);
  };
  const RateRule all{{}, 10, 20, 7}, another{wire::Address{0x99aabbccdd}, 1, 1};
  EXPECT_EQ(limits({}, {{7, 3}}), std::pair(0U, 0U));
  EXPECT_EQ(limits({another}, {{7, 3}}), std::pair(0U, 0U));
  EXPECT_EQ(limits({all, another}, {}), std::pair(10U, 20U));
  EXPECT_EQ(limits({all, another}, {{6, 9}, {7, 3}}), std::pair(3U, 3U));
  EXPECT_EQ(limits({all}, {{7, 0}}), std::pair(0U, 0U)) << "the controller lifts it";
  EXPECT_EQ(limits({all, {wire::Address{0x1122334455}, 0, 5}}, {{7, 3}}), std::pair(0U, 5U))
      << "a table of its own goes first, whole";
}

TEST(Networks, RefreshesAfterAMinuteAndRetriesEveryFiveSeconds) {
  NetworkLab lab;
  lab.networks.join(lab.now, lab.id, {}, {}, lab.out);
  lab.clear();
  lab.advance(5'000);
  lab.networks.tick(lab.now, lab.out);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkConfigRequest).size(), 1u);
  lab.answer_config(lab.config());
  lab.clear();
  for (int i = 0; i < 11; ++i) {
    lab.advance(5'000);
    lab.networks.tick(lab.now, lab.out);
  }
  EXPECT_TRUE(lab.transport.of(wire::Verb::kNetworkConfigRequest).empty());
  lab.advance(5'000);
  lab.networks.tick(lab.now, lab.out);
  EXPECT_EQ(lab.transport.of(wire::Verb::kNetworkConfigRequest).size(), 1u);
}

TEST(Networks, AdhocNeedsNoController) {
  NetworkLab lab;
  const wire::NetworkId id{0xff00160050000000};
  lab.networks.join(lab.now, id, {}, {}, lab.out);
  EXPECT_TRUE(lab.transport.sent.empty());
  const NetworkStatus status = lab.networks.list()[0];
  EXPECT_EQ(status.state, NetworkState::kOk);
  EXPECT_EQ(status.name, "adhoc-0016-0050");
  EXPECT_EQ(status.addresses.at(0), wire::sixplane_address(lab.self(), id));
  for (const SaveState& save : lab.out.saves) EXPECT_NE(save.kind, StateKind::kNetwork);
  const wire::NetworkId reversed{0xff00500016000000};
  lab.networks.join(lab.now, reversed, {}, {}, lab.out);
  EXPECT_EQ(lab.networks.list()[1].state, NetworkState::kNotFound);
  EXPECT_EQ(adhoc_config(id, lab.self(), 1)->rules.size(), 14u);
  const auto v4 = adhoc_config(wire::NetworkId{0xff1c000000000001}, lab.self(), 1);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->name, "adhoc-28.0.0.0");
  EXPECT_EQ(v4->static_ips.at(1).port, 8);
}

wire::ConfigChunk view(Bytes body) {
  return *wire::decode_config_chunk(body);
}

TEST(ConfigAssembly, OnlyFullCoverageCompletes) {
  NetworkLab lab;
  const ByteVector text(1'000, 'x');
  const auto chunk = [&](std::size_t offset, std::size_t length, std::uint64_t update,
                         std::uint32_t total = 0) {
    return test::make_chunk(lab.controller, lab.id, text, offset, length, update, 0, total);
  };
  ConfigAssembly assembly;
  // The bytes add up, but the middle is missing: overlaps do not count twice.
  EXPECT_FALSE(assembly.add(1, view(chunk(0, 400, 7)), true));
  EXPECT_FALSE(assembly.add(1, view(chunk(100, 300, 7)), true));
  EXPECT_FALSE(assembly.add(1, view(chunk(700, 300, 7)), true));
  EXPECT_FALSE(assembly.add(1, view(chunk(500, 300, 7, 1'001)), true));  // another total
  const auto complete = assembly.add(1, view(chunk(400, 300, 7)), true);
  ASSERT_TRUE(complete);
  EXPECT_EQ(complete->dictionary, text);
  wire::ConfigChunk beyond = view(chunk(0, 10, 8));
  const ByteVector kept = chunk(0, 10, 8);
  beyond = view(kept);
  beyond.offset = 0xfffffff0;
  EXPECT_FALSE(ConfigAssembly::plausible(beyond));
}

TEST(ConfigAssembly, FourthUpdateTakesTheOldestSlot) {
  NetworkLab lab;
  const ByteVector text(100, 'y');
  ConfigAssembly assembly;
  const auto add = [&](Millis at, std::uint64_t update, std::size_t offset) {
    const ByteVector body = test::make_chunk(lab.controller, lab.id, text, offset, 50, update);
    return assembly.add(at, view(body), true).has_value();
  };
  for (std::uint64_t update = 1; update <= 4; ++update) {
    EXPECT_FALSE(add(static_cast<Millis>(update), update, 0));
  }
  EXPECT_TRUE(add(10, 4, 50));
  EXPECT_TRUE(add(10, 2, 50));
  EXPECT_FALSE(add(11, 1, 50));                              // its first half is gone
  EXPECT_FALSE(add(11 + ConfigAssembly::kLifetime, 3, 50));  // too late
}

TEST(BridgeTable, LimitsAgeingAndHold) {
  BridgeTable table;
  const BridgeTable::Limits limits;
  const wire::Address a{1}, b{2};
  using Learned = BridgeTable::Learned;
  for (std::uint64_t i = 0; i < limits.per_bridge; ++i) {
    ASSERT_EQ(table.learn(1'000, wire::Mac{0x100000 + i}, a).learned, Learned::kNew);
  }
  EXPECT_EQ(table.learn(1'000, wire::Mac{0x900000}, a).learned, Learned::kFull);
  EXPECT_EQ(table.learn(1'000, wire::Mac{0x900000}, b).learned, Learned::kNew);
  EXPECT_EQ(table.learn(1'500, wire::Mac{0x100000}, b).learned, Learned::kHeld);
  EXPECT_EQ(table.learn(2'000, wire::Mac{0x100000}, b).learned, Learned::kMoved);
  EXPECT_EQ(table.find(2'000, wire::Mac{0x100000}), b);
  EXPECT_EQ(table.find(2'001 + BridgeTable::kAge, wire::Mac{0x100000}), wire::Address{});
  EXPECT_EQ(table.expire(2'001 + BridgeTable::kAge, [](wire::Address) { return true; }).size(),
            limits.per_bridge + 1);
  for (std::uint64_t i = 0; i < limits.total + 10; ++i) {
    (void)table.learn(400'000, wire::Mac{i + 1}, wire::Address{100 + i / 4'000});
  }
  EXPECT_EQ(table.size(), limits.total);
}

TEST(BridgeTable, AMoveToABridgeWithoutRoomForgetsTheStation) {
  BridgeTable table({.per_bridge = 2, .total = 10});
  const wire::Address a{1}, b{2};
  (void)table.learn(1'000, wire::Mac{1}, a);
  (void)table.learn(1'000, wire::Mac{2}, b);
  (void)table.learn(1'000, wire::Mac{3}, b);
  const auto change = table.learn(5'000, wire::Mac{1}, b);
  EXPECT_EQ(change.learned, BridgeTable::Learned::kFull);
  EXPECT_EQ(change.gone, wire::Mac{1});
  EXPECT_EQ(table.find(5'000, wire::Mac{1}), wire::Address{});
}

TEST(BridgeTable, AHundredThousandFromOneBridgeTakeNobodysPlace) {
  BridgeTable table;
  const wire::Address flooding{1}, other{2};
  const auto busy = [](std::uint64_t i) { return wire::Mac{0x525400000000 + i}; };
  const auto hear = [&](Millis now) {
    for (std::uint64_t i = 0; i < 1'000; ++i) {
      (void)table.learn(now, busy(i), flooding);
      (void)table.learn(now, busy(10'000 + i), other);
    }
  };
  hear(1'000);
  hear(3'000);  // as workers tell of stations that they know
  std::uint64_t next = 0;
  for (Millis now = 4'000; now < 900'000; now += 55'000) {
    for (int i = 0; i < 100'000; ++i)
      (void)table.learn(now, wire::Mac{0x0a0000000000 + next++}, flooding);
    hear(now);
    (void)table.expire(now, [](wire::Address) { return true; });
    for (std::uint64_t i = 0; i < 1'000; ++i) {
      ASSERT_EQ(table.find(now, busy(i)), flooding) << now;
      ASSERT_EQ(table.find(now, busy(10'000 + i)), other) << now;
    }
    ASSERT_LE(table.size(), BridgeTable::Limits{}.per_bridge + 1'000);
  }
}

TEST(BridgeTable, WhoWasHeardOnceGivesWayToNewcomersAfterAWhile) {
  BridgeTable table({.per_bridge = 3, .total = 10});
  const wire::Address a{1};
  for (std::uint64_t i = 1; i <= 3; ++i) (void)table.learn(1'000, wire::Mac{i}, a);
  (void)table.learn(3'000, wire::Mac{1}, a);
  EXPECT_EQ(table.learn(5'000, wire::Mac{9}, a).learned, BridgeTable::Learned::kFull);
  const auto change = table.learn(12'000, wire::Mac{9}, a);
  EXPECT_EQ(change.learned, BridgeTable::Learned::kNew);
  EXPECT_EQ(change.gone, wire::Mac{2}) << "the first was heard again";
}

TEST(PortPlan, SettingsDecide) {
  const auto v4 = [](std::uint32_t ip, std::uint16_t bits) { return wire::Endpoint::v4(ip, bits); };
  wire::NetworkConfig config;
  config.static_ips = {v4(0x0a000005, 24), v4(0x08080808, 24)};
  config.routes = {{v4(0x0a000000, 24), {}, 0, 0},                 // implied by the address
                   {v4(0x0a010000, 16), v4(0x0a000001, 0), 0, 0},  // goes in
                   {v4(0x0a020000, 16), v4(0x0a000005, 0), 0, 0},  // via ourselves
                   {v4(0, 0), v4(0x0a000001, 0), 0, 0},            // default
                   {v4(0x7f000000, 8), v4(0x0a000001, 0), 0, 0},   // loopback
                   {v4(0x08000000, 8), v4(0x0a000001, 0), 0, 0}};  // global
  NetworkSettings settings;
  const wire::NetworkId id{1};
  ConfigurePort port = plan_port(id, {}, &config, settings);
  EXPECT_EQ(port.addresses.size(), 1u);
  ASSERT_EQ(port.routes.size(), 1u);
  EXPECT_EQ(port.routes[0].target, v4(0x0a010000, 16));
  settings.allow_default = true;
  port = plan_port(id, {}, &config, settings);
  ASSERT_EQ(port.routes.size(), 3u);
  EXPECT_EQ(port.routes[1].target, v4(0, 1));
  EXPECT_EQ(port.routes[2].target, v4(0x80000000, 1));
  settings.allow_global = true;
  port = plan_port(id, {}, &config, settings);
  EXPECT_EQ(port.addresses.size(), 2u);
  EXPECT_EQ(port.routes.size(), 4u);
  settings.allow_managed_within = {v4(0x0a010000, 16)};
  port = plan_port(id, {}, &config, settings);
  EXPECT_TRUE(port.addresses.empty());
  EXPECT_TRUE(port.routes.empty());  // no address of the family
  settings.allow_managed = false;
  EXPECT_EQ(text_of(encode_settings(settings)),
            "allowManaged=0\nallowGlobal=1\nallowDefault=1\nallowDNS=0\n");
}

}  // namespace
}  // namespace orrery::control
