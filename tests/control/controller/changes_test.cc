// What follows from a change: pushes, revocations, who may gather, who owns an address.
// docs/protocol/11-controller.md section 5; docs/protocol/10-multicast-arp-ndp.md section 11.
#include <gtest/gtest.h>

#include "lab.h"

namespace orrery::test {
namespace {

using control::Controller;
using control::Revocations;
using nlohmann::json;
using wire::Verb;

/// A public network with three members that have asked.
struct Changes : testing::Test {
  Changes() {
    lab.set_network(id, {{"private", false},
                         {"v4AssignMode", "zt"},
                         {"routes", {{{"target", "10.147.17.0/24"}}}},
                         {"ipAssignmentPools",
                          {{{"ipRangeStart", "10.147.17.1"}, {"ipRangeEnd", "10.147.17.254"}}}}});
    for (const auto& m : members) EXPECT_TRUE(lab.request(id, m).config);
    lab.controller.tick(lab.now, lab.out);
    lab.advance(2'000);
    lab.transport.sent.clear();
  }

  std::vector<wire::Revocation> revocations_to(wire::Address to) {
    std::vector<wire::Revocation> found;
    for (const auto& sent : lab.transport.of(Verb::kNetworkCredentials, to)) {
      EXPECT_TRUE(wire::for_each_credential(sent.payload, [&](const auto& credential) {
        if constexpr (std::is_same_v<std::decay_t<decltype(credential)>, wire::Revocation>) {
          found.push_back(credential);
        } else {
          ADD_FAILURE() << "only revocations are sent";
        }
      }));
    }
    return found;
  }

  /// Whose certificates `to` has been told are void.
  std::set<wire::Address> targets_told(wire::Address to) {
    std::set<wire::Address> targets;
    for (const wire::Revocation& r : revocations_to(to)) targets.insert(r.target);
    return targets;
  }

  void run(Millis duration) {
    for (Millis t = 0; t < duration; t += 50) {
      lab.advance(50);
      lab.controller.tick(lab.now, lab.out);
    }
  }

  ControllerLab lab;
  wire::NetworkId id = lab.network(1);
  std::vector<wire::Identity> members{made_up_identity(0x1100000001),
                                      made_up_identity(0x1100000002),
                                      made_up_identity(0x1100000003)};
};

TEST_F(Changes, NetworkChangeIsPushedToAllOnline) {
  lab.advance(50'000);
  lab.request(id, members[0]);
  lab.request(id, members[1]);
  lab.advance(80'000);  // the third asked 132 s ago
  lab.transport.sent.clear();
  lab.set_network(id, {{"name", "changed"}});
  for (std::size_t i = 0; i < 3; ++i) {
    const auto answer = lab.collect(0, members[i].address, 0);
    EXPECT_EQ(answer.packets, i < 2 ? 1u : 0u);
    if (answer.config) {
      EXPECT_EQ(answer.config->name, "changed");
    }
  }
  lab.transport.sent.clear();
  lab.advance(1'000);
  lab.set_network(id, {{"name", "changed"}});
  EXPECT_TRUE(lab.transport.sent.empty()) << "nothing changed";
}

TEST_F(Changes, MemberChangeIsPushedToThatMember) {
  lab.set_member(id, members[1].address, {{"tags", {{3, 4}}}});
  EXPECT_EQ(lab.transport.sent.size(), 1u);
  const auto answer = lab.collect(0, members[1].address, 0);
  ASSERT_TRUE(answer.config);
  ASSERT_EQ(answer.config->tags.size(), 1u);
  EXPECT_EQ(answer.config->tags[0].value, 4u);
}

TEST_F(Changes, AMemberAuthorisedAgainIsConfiguredAtOnce) {
  lab.set_member(id, members[1].address, {{"authorized", false}});
  lab.advance(3'000);
  EXPECT_EQ(lab.request(id, members[1]).error, wire::ErrorCode::kNone) << "public: admitted again";
  lab.set_network(id, {{"private", true}});
  lab.set_member(id, members[1].address, {{"authorized", false}});
  lab.advance(3'000);
  EXPECT_EQ(lab.request(id, members[1]).error, wire::ErrorCode::kNetworkAccessDenied);
  lab.advance(1'000);
  lab.transport.sent.clear();
  lab.set_member(id, members[1].address, {{"authorized", true}});
  EXPECT_TRUE(lab.collect(0, members[1].address, 0).config) << "pushed, not waited for";
}

TEST_F(Changes, WhileTheStoreRefusesNothingIsSaid) {
  lab.controller.suspend(true);
  EXPECT_EQ(lab.controller
                .handle(lab.now, "POST", lab.member_path(id, members[1].address),
                        R"({"authorized":false})", lab.out)
                .status,
            503);
  EXPECT_EQ(lab.request(id, members[0]).packets, 0u);
  EXPECT_TRUE(lab.transport.sent.empty());
  EXPECT_EQ(lab.member(id, members[1].address)["authorized"], true) << "reading goes on";
  lab.controller.suspend(false);
  lab.advance(2'000);
  EXPECT_TRUE(lab.request(id, members[0]).config);
}

TEST_F(Changes, BridgesAreToldToAll) {
  lab.set_member(id, members[1].address, {{"activeBridge", true}});
  for (const auto& m : members) {
    const auto answer = lab.collect(0, m.address, 0);
    ASSERT_TRUE(answer.config);
    ASSERT_EQ(answer.config->specialists.size(), 1u);
    EXPECT_EQ(answer.config->specialists[0].address(), members[1].address);
    EXPECT_TRUE(answer.config->specialists[0].has(wire::Specialist::kActiveBridge));
  }
  // A bridge that is not authorised is not named.
  lab.transport.sent.clear();
  lab.advance(1'000);
  lab.set_member(id, members[1].address, {{"authorized", false}});
  const auto answer = lab.collect(0, members[0].address, 0);
  ASSERT_TRUE(answer.config);
  EXPECT_TRUE(answer.config->specialists.empty());
  EXPECT_FALSE(lab.collect(0, members[1].address, 0).config);
}

TEST_F(Changes, ReplicatorsComeAndGoWithTheirMembership) {
  nlohmann::json record = lab.controller.registry().find(id)->record;
  record["replicators"] = {wire::to_string(members[1].address)};
  lab.controller.put_network(lab.now, id, record, "test");
  const auto bridges = [&] { return lab.controller.registry().find(id)->bridges; };
  EXPECT_EQ(bridges(), std::set{members[1].address});
  run(100);
  lab.transport.sent.clear();
  lab.set_member(id, members[1].address, {{"authorized", false}});
  EXPECT_TRUE(bridges().empty());
  const auto answer = lab.collect(0, members[0].address, 0);
  ASSERT_TRUE(answer.config) << "all are told";
  EXPECT_TRUE(answer.config->specialists.empty());
}

TEST_F(Changes, ManyPushesAreSpread) {
  const std::size_t many = 3 * control::Controller::kPushesPerTurn;
  for (std::size_t i = 0; i < many; ++i) lab.request(id, made_up_identity(0x4400000000 + i));
  lab.transport.sent.clear();
  lab.advance(1'000);
  lab.set_network(id, {{"name", "changed"}});
  EXPECT_EQ(lab.transport.sent.size(), control::Controller::kPushesPerTurn);
  std::set<wire::Address> reached;
  for (int turn = 0; turn < 4; ++turn) {
    const Millis due = lab.controller.next_deadline();
    ASSERT_GE(due, lab.now.mono);
    if (due > lab.now.mono + 1'000) break;
    lab.advance(due - lab.now.mono);
    lab.controller.tick(lab.now, lab.out);
  }
  for (const auto& sent : lab.transport.sent) reached.insert(sent.to);
  EXPECT_EQ(reached.size(), many + members.size());
  EXPECT_EQ(lab.transport.sent.size(), reached.size()) << "each once";
  EXPECT_EQ(lab.controller.next_deadline(), std::numeric_limits<Millis>::max());
}

TEST_F(Changes, DeauthorisationIsRevokedEverywhere) {
  const auto before = lab.request(id, members[0]);
  lab.transport.sent.clear();
  lab.set_member(id, members[0].address, {{"authorized", false}});
  for (const auto& m : members) {
    const auto revoked = revocations_to(m.address);
    ASSERT_EQ(revoked.size(), 1u);
    EXPECT_EQ(fib::check(revoked[0], lab.lookup()), fib::CredentialCheck::kValid);
    EXPECT_EQ(revoked[0].target, members[0].address);
    EXPECT_EQ(revoked[0].network, id);
    EXPECT_EQ(revoked[0].type, 1);
    EXPECT_EQ(revoked[0].flags, wire::Revocation::kFastPropagation);
    EXPECT_GE(revoked[0].threshold, before.config->com->timestamp()) << "same millisecond";
  }
  const Millis threshold = revocations_to(members[0].address)[0].threshold;
  EXPECT_FALSE(lab.controller.recently_configured(lab.now, id, members[0].address));

  // Authorised again within the same millisecond: the new certificate is later than the revocation.
  lab.set_member(id, members[0].address, {{"authorized", true}});
  lab.now.mono += 2'000;
  const auto again = lab.request(id, members[0]);
  ASSERT_TRUE(again.config);
  EXPECT_GT(again.config->com->timestamp(), threshold);
}

TEST_F(Changes, ARestartedControllerTellsThoseWhoHadNoTimeToAsk) {
  const auto told_after = [&](Millis of_running) {
    ControllerLab again;
    const wire::NetworkId net = again.network(1);
    again.set_network(net, {{"private", true}});
    for (const auto& m : members) again.set_member(net, m.address, {{"authorized", true}});
    again.controller.tick(again.now, again.out);
    again.advance(of_running);
    again.transport.sent.clear();
    again.set_member(net, members[0].address, {{"authorized", false}});
    std::set<wire::Address> told;
    for (const auto& sent : again.transport.of(Verb::kNetworkCredentials)) told.insert(sent.to);
    return told;
  };
  std::set<wire::Address> all;
  for (const auto& m : members) all.insert(m.address);
  EXPECT_EQ(told_after(1'000), all) << "the member itself, and whoever may talk with it";
  EXPECT_TRUE(told_after(Controller::kFirstRound).empty()) << "who is there has asked by then";
}

TEST_F(Changes, TheMemberThatIsPutOutHearsItAtOnce) {
  lab.set_network(id, {{"private", true}});
  lab.transport.sent.clear();
  lab.set_member(id, members[1].address, {{"authorized", false}});
  EXPECT_EQ(lab.transport.sent.at(0).to, members[1].address) << "before all others";
  const auto errors = lab.transport.of(Verb::kError);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].to, members[1].address);
  const auto error = wire::decode_error(errors[0].payload);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, static_cast<std::uint8_t>(wire::ErrorCode::kNetworkAccessDenied));
  EXPECT_EQ(error->in_re_verb, 0x0b);
  EXPECT_EQ(error->in_re_id, lab.last_packet_id - 1) << "its last request";
  lab.call("DELETE", ControllerLab::member_path(id, members[2].address), nullptr);
  EXPECT_EQ(lab.transport.of(Verb::kError, members[2].address).size(), 1u);
  // Who is not there is not told.
  lab.advance(control::Controller::kOnline + 1);
  lab.set_member(id, members[0].address, {{"authorized", false}});
  EXPECT_TRUE(lab.transport.of(Verb::kError, members[0].address).empty());
}

TEST_F(Changes, RevocationsToManyAreSpreadOverLessThanASecond) {
  constexpr std::uint64_t kMany = 10'000;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    lab.request(id, made_up_identity(0x4400000000 + i));
    if (i % 4'000 == 3'999) lab.advance(1'000);
    if (i % 100 == 0) lab.transport.sent.clear();
  }
  lab.advance(2'000);
  lab.transport.sent.clear();
  lab.set_member(id, wire::Address{0x4400000777}, {{"authorized", false}});
  std::size_t told = 0, most = 0;
  const auto count = [&] {
    const std::size_t now = lab.transport.sent.size() - 1;  // all but the one error
    most = std::max(most, now - told);
    told = now;
  };
  count();
  EXPECT_EQ(revocations_to(wire::Address{0x4400000777}).size(), 1u) << "first of all";
  const Millis begin = lab.now.mono;
  while (told < kMany + members.size() && lab.now.mono < begin + 2'000) {
    lab.advance(1);
    if (lab.controller.next_deadline() <= lab.now.mono) lab.controller.tick(lab.now, lab.out);
    count();
  }
  EXPECT_LT(lab.now.mono - begin, 1'000);
  EXPECT_LE(most, Revocations::kMostPerTurn);
  EXPECT_EQ(revocations_to(members[2].address).size(), 1u);
}

TEST_F(Changes, ASecondDeauthorisationJoinsTheRoundThatIsUnderWay) {
  for (std::uint64_t i = 0; i < 1'000; ++i) lab.request(id, made_up_identity(0x4400000000 + i));
  lab.advance(2'000);
  lab.transport.sent.clear();
  lab.set_member(id, members[0].address, {{"authorized", false}});
  const wire::Address last{0x4400000000 + 999};
  EXPECT_TRUE(targets_told(last).empty());
  lab.advance(5);
  lab.set_member(id, members[1].address, {{"authorized", false}});
  run(800);
  EXPECT_EQ(targets_told(last), (std::set{members[0].address, members[1].address}));
  EXPECT_EQ(lab.transport.of(Verb::kNetworkCredentials, last).size(), 1u) << "in one packet";
  EXPECT_FALSE(targets_told(members[1].address).empty());
  run(3 * Revocations::kInterval);
  EXPECT_EQ(targets_told(members[2].address), (std::set{members[0].address, members[1].address}))
      << "who had been told before";
}

TEST_F(Changes, AMemberOfTwoNetworksIsToldInOnePacket) {
  const wire::NetworkId second = lab.network(2);
  lab.set_network(second, {{"private", false}});
  for (const auto& m : members) ASSERT_TRUE(lab.request(second, m).config);
  lab.advance(2'000);
  lab.set_member(id, members[0].address, {{"authorized", false}});
  lab.set_member(second, members[1].address, {{"authorized", false}});
  lab.transport.sent.clear();
  run(Revocations::kInterval + 50);
  EXPECT_EQ(targets_told(members[2].address), (std::set{members[0].address, members[1].address}));
  EXPECT_EQ(lab.transport.of(Verb::kNetworkCredentials, members[2].address).size(), 1u);
}

TEST_F(Changes, SignaturesElsewhere) {
  lab.controller.defer_signatures();
  const auto sign_all = [&] {
    std::vector<control::SignedConfig> ready;
    for (const control::ConfigJob& job : lab.controller.take_jobs())
      ready.push_back(control::sign(lab.transport.self(), job));
    lab.controller.on_signed(lab.now, ready, lab.out);
  };
  // A request: nothing at once, the answer when it is signed.
  EXPECT_EQ(lab.request(id, members[0]).packets, 0u);
  EXPECT_EQ(lab.controller.outstanding(), 1u);
  const std::uint64_t asked = lab.last_packet_id;
  sign_all();
  EXPECT_TRUE(lab.collect(0, members[0].address, asked).config);
  EXPECT_EQ(lab.controller.outstanding(), 0u);
  EXPECT_TRUE(lab.controller.recently_configured(lab.now, id, members[0].address));

  // What was decided before it was put out, and authorised again, is not sent any more.
  lab.advance(2'000);
  lab.transport.sent.clear();
  lab.request(id, members[1]);
  lab.set_member(id, members[1].address, {{"authorized", false}});
  const auto overtaken = lab.controller.take_jobs();
  lab.set_member(id, members[1].address, {{"authorized", true}});
  const auto fresh = lab.controller.take_jobs();
  ASSERT_EQ(overtaken.size(), 1u);
  lab.controller.on_signed(lab.now, {control::sign(lab.transport.self(), overtaken[0])}, lab.out);
  EXPECT_TRUE(lab.transport.of(Verb::kOk).empty());
  EXPECT_EQ(lab.controller.counters().get(control::ControllerCount::kOvertaken), 1u);
  for (const auto& job : fresh)
    lab.controller.on_signed(lab.now, {control::sign(lab.transport.self(), job)}, lab.out);
  sign_all();
  EXPECT_EQ(lab.controller.outstanding(), 0u);

  // What comes back while the store refuses is not sent.
  lab.advance(2'000);
  lab.transport.sent.clear();
  lab.request(id, members[0]);
  lab.controller.suspend(true);
  sign_all();
  EXPECT_TRUE(lab.transport.sent.empty());
}

TEST_F(Changes, PushesWaitForSignaturesRequestsDoNot) {
  const std::size_t many = 2 * control::Controller::kPushJobsMost;
  for (std::size_t i = 0; i < many; ++i) lab.request(id, made_up_identity(0x4400000000 + i));
  lab.controller.defer_signatures();
  lab.advance(2'000);
  lab.set_network(id, {{"name", "changed"}});
  run(1'000);
  EXPECT_EQ(lab.controller.outstanding(), control::Controller::kPushJobsMost);
  lab.request(id, members[0]);
  EXPECT_EQ(lab.controller.outstanding(), control::Controller::kPushJobsMost + 1);
  // Changed again while the first half is under way: everybody gets the last name.
  lab.set_network(id, {{"name", "again"}});
  lab.transport.sent.clear();
  for (int i = 0; i < 100; ++i) {
    std::vector<control::SignedConfig> ready;
    for (const control::ConfigJob& job : lab.controller.take_jobs())
      ready.push_back(control::sign(lab.transport.self(), job));
    lab.controller.on_signed(lab.now, ready, lab.out);
    run(50);
  }
  EXPECT_EQ(lab.controller.next_deadline(), std::numeric_limits<Millis>::max());
  std::map<wire::Address, std::string> names;
  for (const auto& sent : lab.transport.of(Verb::kNetworkConfig)) {
    const auto chunk = wire::decode_config_chunk(sent.payload);
    ASSERT_TRUE(chunk);
    names[sent.to] = wire::decode_network_config(chunk->data)->name;
  }
  EXPECT_EQ(names.size(), many + members.size());
  for (const auto& [address, name] : names) ASSERT_EQ(name, "again") << wire::to_string(address);
}

TEST_F(Changes, RevocationsOfTheSameSecondAllArrive) {
  // What a member acts upon: one packet of credentials a second from a peer.
  std::map<wire::Address, Millis> last;
  std::map<wire::Address, std::set<wire::Address>> known;
  const auto deliver = [&] {
    for (const auto& sent : lab.transport.of(Verb::kNetworkCredentials)) {
      const auto it = last.find(sent.to);
      if (it != last.end() && lab.now.mono - it->second < 1'000) continue;
      last[sent.to] = lab.now.mono;
      (void)wire::for_each_credential(sent.payload, [&](const auto& credential) {
        if constexpr (std::is_same_v<std::decay_t<decltype(credential)>, wire::Revocation>)
          known[sent.to].insert(credential.target);
      });
    }
    lab.transport.sent.clear();
  };
  const wire::NetworkId second = lab.network(2);
  lab.set_network(second, {{"private", false}});
  for (const auto& m : members) ASSERT_TRUE(lab.request(second, m).config);
  lab.transport.sent.clear();
  lab.set_member(id, members[0].address, {{"authorized", false}});
  deliver();
  EXPECT_EQ(known[members[2].address].size(), 1u) << "the first one at once";
  lab.advance(300);
  lab.set_member(id, members[1].address, {{"authorized", false}});
  deliver();
  lab.set_member(second, members[2].address, {{"authorized", false}});
  deliver();
  for (int i = 0; i < 40; ++i) {
    lab.advance(50);
    lab.controller.tick(lab.now, lab.out);
    deliver();
  }
  for (const auto& m : members) EXPECT_EQ(known[m.address].size(), 3u);
}

TEST_F(Changes, ALostRevocationIsRepeatedAndThenLeftAlone) {
  lab.set_member(id, members[0].address, {{"authorized", false}});
  std::size_t packets = lab.transport.of(Verb::kNetworkCredentials, members[1].address).size();
  EXPECT_EQ(packets, 1u);
  run(20'000);
  const auto all = revocations_to(members[1].address);
  ASSERT_EQ(all.size(), Revocations::kRounds);
  EXPECT_EQ(all[0], all[1]) << "word for word: the receiver finds it redundant";
  EXPECT_EQ(lab.controller.next_deadline(), std::numeric_limits<Millis>::max());
}

TEST_F(Changes, StampsNeverGoBack) {
  const auto first = lab.request(id, members[0]);
  lab.now.mono += 2'000;
  lab.now.wall -= 3'600'000;
  const auto second = lab.request(id, members[0]);
  ASSERT_TRUE(second.config);
  EXPECT_GE(second.config->timestamp, first.config->timestamp);
}

TEST_F(Changes, DeletionRevokes) {
  const auto path = ControllerLab::member_path(id, members[2].address);
  lab.call("DELETE", path, nullptr);
  EXPECT_EQ(revocations_to(members[0].address).size(), 1u);
  EXPECT_EQ(revocations_to(members[2].address).size(), 1u) << "the target is told, too";
  EXPECT_FALSE(lab.disk.contains({id, members[2].address}));
  lab.call("GET", path, nullptr, 404);

  lab.transport.sent.clear();
  lab.call("DELETE", "/controller/network/" + wire::to_string(id), nullptr);
  run(Revocations::kInterval);
  EXPECT_EQ(targets_told(members[0].address),
            (std::set{members[0].address, members[1].address, members[2].address}));
  EXPECT_FALSE(lab.disk.contains({id, {}}));
  EXPECT_EQ(lab.request(id, members[0]).error, wire::ErrorCode::kObjectNotFound);
  run(Controller::kDeparting + Revocations::kInterval);
  lab.commit();
  EXPECT_TRUE(lab.disk.empty()) << "its members go by and by";
}

TEST_F(Changes, ADeletedNetworkLeavesNothingToAnotherOfItsId) {
  const std::string path = "/controller/network/" + wire::to_string(id);
  const auto networks_alone = [&] {
    EXPECT_EQ(lab.disk.size(), 1u);
    EXPECT_TRUE(lab.disk.contains({id, {}}));
    EXPECT_EQ(lab.call("GET", path + "/member", nullptr), json::object());
  };
  lab.call("DELETE", path, nullptr);
  const auto gone = lab.disk;
  EXPECT_EQ(gone.size(), 3u) << "members of nothing";
  lab.set_network(id, {{"private", true}});
  networks_alone();

  // The same where the process ended in between.
  for (const bool at_once : {true, false}) {
    ControllerLab after;
    for (const auto& [key, text] : gone) {
      EXPECT_TRUE(after.controller.load({key.first, key.second, text}));
      after.disk[key] = text;
    }
    if (at_once) {
      after.set_network(id, {{"private", true}});
      EXPECT_EQ(after.disk.size(), 1u);
    } else {
      after.controller.tick(after.now, after.out);
      after.controller.tick({after.now.mono + 100, after.now.wall}, after.out);
      after.commit();
      EXPECT_TRUE(after.disk.empty());
      EXPECT_TRUE(after.controller.registry().networks().empty());
    }
  }
}

TEST_F(Changes, ALargeNetworkGoesInFullPackets) {
  for (std::uint64_t i = 0; i < 400; ++i) lab.request(id, made_up_identity(0x4400000000 + i));
  lab.transport.sent.clear();
  lab.call("DELETE", "/controller/network/" + wire::to_string(id), nullptr);
  run(4 * Revocations::kInterval);
  EXPECT_EQ(targets_told(members[0].address).size(), Revocations::kMost);
  for (const auto& sent : lab.transport.of(Verb::kNetworkCredentials)) {
    EXPECT_LE(sent.payload.size(), wire::kMaxPacket - wire::kHeaderSize);
  }
}

TEST_F(Changes, GatherRightLastsThreeMinutes) {
  EXPECT_TRUE(lab.controller.recently_configured(lab.now, id, members[0].address));
  EXPECT_FALSE(lab.controller.recently_configured(lab.now, lab.network(2), members[0].address));
  EXPECT_FALSE(lab.controller.recently_configured(lab.now, id, wire::Address{0x5500000000}));
  lab.advance(178'000);
  EXPECT_TRUE(lab.controller.recently_configured(lab.now, id, members[0].address));
  lab.advance(1);
  EXPECT_FALSE(lab.controller.recently_configured(lab.now, id, members[0].address));
}

TEST_F(Changes, OwnersOfAddresses) {
  const auto owner = members[0].address;
  const auto ip4 = *wire::parse_endpoint("10.147.17.77");
  const auto ip6 = *wire::parse_endpoint("fd00:9::12:3456");
  lab.set_member(id, owner,
                 {{"ipAssignments", {"10.147.17.77", "fd00:9::12:3456", "192.168.1.1"}}});
  EXPECT_EQ(lab.controller.owners_of(id, wire::resolution_group(ip4)), std::vector{owner});
  EXPECT_EQ(lab.controller.owners_of(id, wire::resolution_group(ip6)), std::vector{owner});
  EXPECT_TRUE(
      lab.controller.owners_of(id, wire::resolution_group(*wire::parse_endpoint("10.147.17.78")))
          .empty());
  EXPECT_TRUE(
      lab.controller.owners_of(id, wire::resolution_group(*wire::parse_endpoint("192.168.1.1")))
          .empty())
      << "outside of all routes: the member was never given it";
  EXPECT_TRUE(lab.controller.owners_of(id, {wire::kBroadcastMac, 0}).empty());
  EXPECT_TRUE(lab.controller.owners_of(lab.network(2), wire::resolution_group(ip4)).empty());

  // A link-local address ends like the member's MAC.
  const std::uint64_t mac = wire::mac_of(members[1].address, id).value;
  const wire::MulticastGroup link_local{wire::Mac{0x3333ff000000 | (mac & 0xffffff)}, 0};
  EXPECT_EQ(lab.controller.owners_of(id, link_local), std::vector{members[1].address});

  // Two owners by hand, then one of them goes.
  lab.set_member(id, members[1].address, {{"ipAssignments", {"10.147.17.77"}}});
  EXPECT_EQ(lab.controller.owners_of(id, wire::resolution_group(ip4)).size(), 2u);
  lab.set_member(id, owner, {{"authorized", false}});
  EXPECT_EQ(lab.controller.owners_of(id, wire::resolution_group(ip4)),
            std::vector{members[1].address});
  lab.call("DELETE", ControllerLab::member_path(id, members[1].address), nullptr);
  EXPECT_TRUE(lab.controller.owners_of(id, wire::resolution_group(ip4)).empty());
}

}  // namespace
}  // namespace orrery::test
