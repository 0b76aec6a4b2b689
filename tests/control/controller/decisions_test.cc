// Who is admitted, and what is remembered of whom. docs/protocol/11-controller.md section 2.
#include <gtest/gtest.h>

#include "lab.h"

namespace orrery::test {
namespace {

using nlohmann::json;
using wire::ErrorCode;

TEST(Decisions, UnknownNetworkIsNotFoundAndForeignNetworkIsSilent) {
  ControllerLab lab;
  const auto member = made_up_identity(0x1122334455);
  EXPECT_EQ(lab.request(lab.network(1), member).error, ErrorCode::kObjectNotFound);
  const wire::NetworkId foreign{0x8056c2e21c000001};
  EXPECT_EQ(lab.request(foreign, member).packets, 0u);
  // A record of a foreign network can be stored, but is never served.
  lab.set_network(foreign, {{"private", false}});
  EXPECT_EQ(lab.request(foreign, member).packets, 0u);
}

TEST(Decisions, RefusedUntilAuthorised) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = vector_identity(1).identity();
  lab.set_network(id, json::object());
  EXPECT_EQ(lab.request(id, member).error, ErrorCode::kNetworkAccessDenied);
  const json candidate = lab.member(id, member.address);
  EXPECT_EQ(candidate["authorized"], false);
  EXPECT_EQ(candidate["identity"], wire::to_string(member));
  EXPECT_EQ(candidate["vMajor"], -1);

  lab.set_member(id, member.address, {{"authorized", true}});
  lab.advance(1'001);
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  EXPECT_EQ(answer.config->issued_to, member.address);
  EXPECT_EQ(answer.config->network, id);
  EXPECT_EQ(answer.config->timestamp, lab.now.wall);
  const json record = lab.member(id, member.address);
  EXPECT_EQ(record["vMajor"], 1);
  EXPECT_EQ(record["vMinor"], 14);
  EXPECT_EQ(record["vProto"], 12);
}

TEST(Decisions, OneRequestASecond) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x1122334455);
  lab.set_network(id, {{"private", false}});
  EXPECT_EQ(lab.request(id, member).packets, 1u);
  lab.advance(1'000);
  EXPECT_EQ(lab.request(id, member).packets, 0u);
  lab.advance(1);
  EXPECT_EQ(lab.request(id, member).packets, 1u);
  // Unknown networks have the same gate.
  EXPECT_EQ(lab.request(lab.network(9), member).packets, 1u);
  lab.advance(500);
  EXPECT_EQ(lab.request(lab.network(9), member).packets, 0u);
}

TEST(Decisions, IdentityIsPinnedAtFirstContact) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x1122334455);
  auto impostor = member;
  impostor.public_key[7] ^= 1;
  lab.set_network(id, {{"private", false}});
  ASSERT_TRUE(lab.request(id, member).config);
  lab.advance(2'000);
  EXPECT_EQ(lab.request(id, impostor).error, ErrorCode::kNetworkAccessDenied);
  // An impostor does not use up the member's turn.
  EXPECT_TRUE(lab.request(id, member).config);
  lab.call("DELETE", ControllerLab::member_path(id, member.address), nullptr);
  lab.advance(2'000);
  EXPECT_TRUE(lab.request(id, impostor).config);
}

TEST(Decisions, PublicNetworkAuthorisesForGood) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x1122334455);
  lab.set_network(id, {{"private", false}});
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  EXPECT_TRUE(answer.config->is_public);
  EXPECT_TRUE(answer.config->com) << "also on public networks";
  EXPECT_EQ(lab.member(id, member.address)["lastAuthorizedCredentialType"], "public");
  lab.set_network(id, {{"private", true}});
  lab.advance(2'000);
  EXPECT_TRUE(lab.request(id, member).config);
}

TEST(Decisions, Tokens) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const Millis later = lab.now.wall + 60'000;
  lab.set_network(id, {{"authTokens", {{"for ever", 0}, {"soon over", later}, {"over", 5}}}});
  const auto ask = [&](std::uint64_t who, std::string_view presented) {
    return lab.request(id, made_up_identity(who), ControllerLab::metadata(presented));
  };
  EXPECT_TRUE(ask(0x1100000001, "token:for ever").config);
  EXPECT_TRUE(ask(0x1100000002, "token:soon over").config);
  EXPECT_EQ(ask(0x1100000003, "token:over").error, ErrorCode::kNetworkAccessDenied);
  EXPECT_EQ(ask(0x1100000004, "token:").error, ErrorCode::kNetworkAccessDenied);
  EXPECT_EQ(ask(0x1100000005, "for ever").error, ErrorCode::kNetworkAccessDenied);
  const json record = lab.member(id, wire::Address{0x1100000001});
  EXPECT_EQ(record["lastAuthorizedCredentialType"], "token");
  EXPECT_EQ(record["lastAuthorizedCredential"], "for ever");
  lab.advance(60'000);
  EXPECT_EQ(ask(0x1100000006, "token:soon over").error, ErrorCode::kNetworkAccessDenied);
  // The default of the field is an array: a token must not upset it.
  const auto plain = lab.network(2);
  lab.set_network(plain, json::object());
  EXPECT_EQ(
      lab.request(plain, made_up_identity(0x1100000001), ControllerLab::metadata("token:x")).error,
      ErrorCode::kNetworkAccessDenied);
}

TEST(Decisions, AStormOfNewcomersIsLetInWhereAnybodyIs) {
  ControllerLab lab;
  lab.set_network(lab.network(1), {{"private", false}});
  lab.set_network(lab.network(2), json::object());
  std::size_t in = 0, heard = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i)
    in += lab.request(lab.network(1), made_up_identity(0x2200000000 + i)).config ? 1 : 0;
  for (std::uint64_t i = 0; i < 10'000; ++i)
    heard += lab.request(lab.network(2), made_up_identity(0x3300000000 + i)).packets;
  EXPECT_EQ(in, 10'000u);
  EXPECT_EQ(heard, 2'000u) << "strangers who are only refused have a small share";
}

TEST(Decisions, CandidatesAreBoundedAndNotOnDisk) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(id, json::object());
  const std::size_t records = lab.disk.size();
  const std::uint64_t first = 0x2200000000;
  const std::size_t strangers = control::Registry::kMaxCandidates + 100;
  for (std::size_t i = 0; i < strangers; ++i) {
    lab.advance(10);
    EXPECT_EQ(lab.request(id, made_up_identity(first + i)).error, ErrorCode::kNetworkAccessDenied);
  }
  EXPECT_EQ(lab.disk.size(), records);
  const auto* net = lab.controller.registry().find(id);
  EXPECT_EQ(net->members.size(), control::Registry::kMaxCandidates);
  EXPECT_FALSE(net->members.contains(wire::Address{first})) << "who asked longest ago makes room";
  EXPECT_TRUE(net->members.contains(wire::Address{first + strangers - 1}));

  // Looked at: kept, and still bounded, on disk too.
  const json list =
      lab.call("GET", "/controller/network/" + wire::to_string(id) + "/member", nullptr);
  EXPECT_EQ(list.size(), control::Registry::kMaxCandidates);
  EXPECT_EQ(lab.disk.size(), records + control::Registry::kMaxCandidates);
  for (std::size_t i = 0; i < 50; ++i) {
    lab.advance(10);
    lab.request(id, made_up_identity(0x3300000000 + i));
  }
  EXPECT_EQ(lab.disk.size(), records + control::Registry::kMaxCandidates - 50);
  // Authorised members never make room.
  EXPECT_EQ(lab.set_member(id, wire::Address{0x3300000000}, {{"authorized", true}})["authorized"],
            true);
  EXPECT_TRUE(lab.disk.contains({id, wire::Address{0x3300000000}}));
}

TEST(Decisions, StrangersShareABudget) {
  ControllerLab lab;
  std::size_t answered = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    answered += lab.request(lab.network(1), made_up_identity(0x2200000000 + i)).packets;
  }
  EXPECT_EQ(answered, 2'000u);
  lab.advance(1'500);
  EXPECT_EQ(lab.request(lab.network(1), made_up_identity(0x2200000000)).packets, 1u);
}

TEST(Decisions, RecordsOutliveARestart) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x130a5aeaef);
  lab.set_network(id, {{"private", false},
                       {"v4AssignMode", "zt"},
                       {"routes", {{{"target", "10.147.17.0/24"}}}},
                       {"ipAssignmentPools",
                        {{{"ipRangeStart", "10.147.17.1"}, {"ipRangeEnd", "10.147.17.254"}}}}});
  const auto before = lab.request(id, member);
  ASSERT_TRUE(before.config);

  ControllerLab again;
  for (const auto& [key, text] : lab.disk)
    EXPECT_TRUE(again.controller.load({key.first, key.second, text}));
  again.now = lab.now;
  again.advance(10'000);
  // The address is taken, though its owner has not been heard of yet.
  const auto other = again.request(id, made_up_identity(0x230a5aeaef));
  ASSERT_TRUE(other.config);
  ASSERT_EQ(other.config->static_ips.size(), 1u);
  EXPECT_NE(other.config->static_ips, before.config->static_ips);
  const auto after = again.request(id, member);
  ASSERT_TRUE(after.config);
  EXPECT_EQ(after.config->static_ips, before.config->static_ips);

  EXPECT_FALSE(again.controller.load({id, wire::Address{1}, "no json"}));
  EXPECT_FALSE(again.controller.load({id, wire::Address{1}, "[]"}));
}

TEST(Decisions, TenThousandAskAtOnce) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(id, {{"v4AssignMode", "zt"},
                       {"routes", {{{"target", "10.0.0.0/16"}}}},
                       {"ipAssignmentPools",
                        {{{"ipRangeStart", "10.0.0.1"}, {"ipRangeEnd", "10.0.255.254"}}}}});
  const std::size_t many = 10'000;
  std::set<wire::Endpoint> given;
  for (std::size_t i = 0; i < many; ++i) {
    lab.set_member(id, wire::Address{0x2200000000 + i * 7}, {{"authorized", true}});
  }
  for (std::size_t i = 0; i < many; ++i) {
    const auto answer = lab.request(id, made_up_identity(0x2200000000 + i * 7));
    ASSERT_TRUE(answer.config);
    ASSERT_EQ(answer.config->static_ips.size(), 1u);
    EXPECT_TRUE(given.insert(answer.config->static_ips[0]).second);
    lab.transport.sent.clear();
  }
  EXPECT_EQ(lab.disk.size(), many + 1);
}

TEST(Decisions, FailedCommitIsQueuedAgain) {
  ControllerLab lab;
  const auto post = [&](std::uint32_t number, const std::string& body) {
    const std::string path = "/controller/network/" + wire::to_string(lab.network(number));
    return lab.controller.handle(lab.now, "POST", path, body, lab.out).status;
  };
  EXPECT_EQ(post(1, "{}"), 200);
  auto writes = lab.controller.take_writes();
  ASSERT_EQ(writes.size(), 2u) << "the record, and an entry of the audit log";
  EXPECT_EQ(post(2, "{}"), 200);
  EXPECT_EQ(post(1, R"({"name":"later"})"), 200);
  lab.controller.on_refused(std::move(writes));
  const auto all = lab.controller.take_writes();
  ASSERT_EQ(all.size(), 5u) << "two records, three entries";
  EXPECT_EQ(all[0].network, lab.network(1));
  EXPECT_EQ(json::parse(all[0].json)["name"], "later") << "the last one counts";
  EXPECT_EQ(all[1].network, lab.network(2));
  EXPECT_TRUE(lab.controller.take_writes().empty());
}

TEST(Decisions, WhatIsNotDurableIsNotSaid) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(
      id, {{"private", false},
           {"v4AssignMode", {{"zt", true}}},
           {"routes", {{{"target", "10.1.0.0/24"}}}},
           {"ipAssignmentPools", {{{"ipRangeStart", "10.1.0.1"}, {"ipRangeEnd", "10.1.0.1"}}}}});
  const wire::MulticastGroup arp{wire::Mac{0xffffffffffff}, 0x0a010001};
  const auto member = made_up_identity(0x1122334455);
  const auto ask = [&] {
    lab.advance(2'000);
    lab.transport.known[member.address] = member;
    const ByteVector meta = ControllerLab::metadata();
    ByteVector payload(meta.size() + 64);
    Writer w(payload);
    wire::encode_network_config_request(w, {id, meta, 0, 0});
    control::Incoming in;
    in.source = member.address;
    in.packet_id = ++lab.last_packet_id;
    in.verb = wire::Verb::kNetworkConfigRequest;
    in.payload = w.written();
    lab.controller.on_config_request(lab.now, in, lab.out);
    return in.packet_id;
  };
  // The store refuses: nobody has heard of the address, and what was decided stays.
  ask();
  EXPECT_TRUE(lab.transport.sent.empty());
  EXPECT_TRUE(lab.controller.owners_of(id, arp).empty());
  EXPECT_LT(lab.controller.durable(), lab.controller.written());
  lab.controller.on_refused(lab.controller.take_writes());
  EXPECT_TRUE(lab.controller.suspended());
  ask();
  EXPECT_TRUE(lab.transport.sent.empty());
  lab.commit();
  EXPECT_FALSE(lab.controller.suspended());
  EXPECT_TRUE(lab.transport.sent.empty()) << "what was refused is forgotten";
  EXPECT_EQ(lab.controller.owners_of(id, arp), std::vector{member.address});
  const auto again = ask();
  EXPECT_TRUE(lab.collect(0, member.address, again).config) << "nothing new: at once";
  // A change that is on its way holds up what follows, in order.
  lab.transport.sent.clear();
  const auto post = [&](const char* body) {
    return lab.controller
        .handle(lab.now, "POST", lab.member_path(id, member.address), body, lab.out)
        .status;
  };
  EXPECT_EQ(post(R"({"authorized":false})"), 200);
  const std::uint64_t first = lab.controller.written();
  EXPECT_TRUE(lab.transport.sent.empty());
  EXPECT_EQ(post(R"({"authorized":true})"), 200);
  (void)lab.controller.take_writes();
  lab.controller.on_committed(lab.now, first, lab.out);
  ASSERT_EQ(lab.transport.sent.size(), 2u) << "what the first change says, and not yet the second";
  EXPECT_EQ(lab.transport.sent[0].verb, wire::Verb::kError);
  EXPECT_EQ(lab.transport.sent[1].verb, wire::Verb::kNetworkCredentials);
  lab.controller.on_committed(lab.now, lab.controller.written(), lab.out);
  ASSERT_EQ(lab.transport.sent.size(), 3u);
  EXPECT_EQ(lab.transport.sent[2].verb, wire::Verb::kNetworkConfig);
}

TEST(Decisions, OwnNodeHearsWhatIsDurable) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(id, {{"private", false}});
  ByteVector delivered;
  lab.controller.set_local_delivery(
      [&](Now, wire::NetworkId network, wire::Verb verb, Bytes payload, control::Effects&) {
        EXPECT_EQ(network, id);
        EXPECT_EQ(verb, wire::Verb::kNetworkConfig);
        delivered.assign(payload.begin(), payload.end());
      });
  const auto answer =
      lab.controller.on_local_request(lab.now, id, ControllerLab::metadata(), lab.out);
  EXPECT_EQ(answer.error, ErrorCode::kNone);
  EXPECT_TRUE(answer.dictionary.empty());
  EXPECT_TRUE(delivered.empty());
  lab.commit();
  ASSERT_TRUE(wire::decode_network_config(delivered));
  // Nothing to keep: it is answered at once.
  lab.advance(2'000);
  delivered.clear();
  EXPECT_FALSE(lab.controller.on_local_request(lab.now, id, ControllerLab::metadata(), lab.out)
                   .dictionary.empty());
  EXPECT_TRUE(delivered.empty());
}

TEST(Decisions, OwnNodeAsksLocally) {
  ControllerLab lab;
  const auto id = lab.network(1);
  EXPECT_EQ(lab.controller.on_local_request(lab.now, id, ControllerLab::metadata(), lab.out).error,
            ErrorCode::kObjectNotFound);
  lab.set_network(id, {{"private", false}});
  const auto answer =
      lab.controller.on_local_request(lab.now, id, ControllerLab::metadata(), lab.out);
  EXPECT_EQ(answer.error, ErrorCode::kNone);
  const auto config = wire::decode_network_config(answer.dictionary);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->issued_to, lab.self());
  EXPECT_TRUE(lab.transport.sent.empty());

  std::vector<wire::Verb> delivered;
  lab.controller.set_local_delivery([&](Now, wire::NetworkId, wire::Verb verb, Bytes,
                                        control::Effects&) { delivered.push_back(verb); });
  lab.advance(100);
  lab.set_network(id, {{"name", "new"}});
  lab.advance(100);
  lab.set_member(id, lab.self(), {{"authorized", false}});
  EXPECT_EQ(delivered, (std::vector{wire::Verb::kNetworkConfig, wire::Verb::kNetworkCredentials}));
}

TEST(Decisions, TruncatedRequestsAreIgnored) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x1122334455);
  lab.set_network(id, {{"private", false}});
  lab.transport.known[member.address] = member;
  ByteVector payload(64);
  Writer w(payload);
  const ByteVector meta = ControllerLab::metadata({}, false);
  wire::encode_network_config_request(w, {id, Bytes(meta).first(20), 0, 0});
  for (std::size_t n = 0; n < w.size(); ++n) {
    control::Incoming in;
    in.source = member.address;
    in.payload = w.written().first(n);
    lab.controller.on_config_request(lab.now, in, lab.out);
    lab.commit();
    lab.advance(1'001);
  }
  // Complete without the revision fields, and with the network alone, are requests.
  const auto answers = lab.transport.of(wire::Verb::kOk);
  EXPECT_EQ(answers.size(), 1u + 16u)
      << "8 bytes alone, and all lengths from the end of the meta-data";
}

}  // namespace
}  // namespace orrery::test
