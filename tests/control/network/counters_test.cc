// Whatever ends without effect is counted, under its own name.
#include <gtest/gtest.h>

#include "control/network/lab.h"

namespace orrery::test {
namespace {

using control::NetworkCount;
using control::Way;
using wire::Verb;

/// Everything that has been counted, by label.
std::map<std::string, std::uint64_t> counted(const NetworkLab& lab) {
  std::map<std::string, std::uint64_t> rows;
  for (const auto& [label, count] : lab.networks.counters().all()) {
    if (count != 0) rows[label] = count;
  }
  return rows;
}

using Rows = std::map<std::string, std::uint64_t>;

TEST(NetworkCounters, MalformedPayloadsOfEachVerb) {
  NetworkLab lab;
  lab.join(lab.config());

  struct Row {
    Verb verb;
    std::size_t cut;  // bytes of payload, all 0x01
    const char* label;
  };

  for (const Row& row : {Row{Verb::kFrame, 9, "malformed_frame"},
                         {Verb::kExtFrame, 8, "malformed_ext_frame"},
                         {Verb::kMulticastFrame, 20, "malformed_multicast_frame"},
                         {Verb::kMulticastLike, 17, "malformed_like"},
                         {Verb::kMulticastGather, 22, "malformed_gather"},
                         {Verb::kNetworkCredentials, 5, "malformed_credentials"},
                         {Verb::kNetworkConfig, 9, "malformed_config"},
                         {Verb::kError, 3, "malformed_error"}}) {
    const Rows before = counted(lab);
    const ByteVector payload(row.cut, 1);
    (void)lab.receive(lab.alice.address(), row.verb, payload);
    (void)lab.receive(lab.alice.address(), row.verb, {});
    const Rows after = counted(lab);
    std::size_t total = 0;
    for (const auto& [label, count] : after) {
      total += count - (before.contains(label) ? before.at(label) : 0);
    }
    EXPECT_EQ(total, 2u) << row.label;
    ASSERT_TRUE(after.contains(row.label)) << row.label;
    lab.advance(1'000);
  }
}

TEST(NetworkCounters, MalformedAndUnaskedAnswers) {
  NetworkLab lab;
  lab.join(lab.config());
  const auto answer = [&](Verb verb, std::uint64_t context) {
    const control::Answered answered{verb, context};
    ByteVector ok(12, 0);
    ok[0] = static_cast<std::uint8_t>(verb);
    (void)lab.receive(lab.alice.address(), Verb::kOk, ok, &answered);
  };
  answer(Verb::kNetworkConfigRequest, lab.id.value);
  answer(Verb::kMulticastGather, lab.id.value);
  answer(Verb::kMulticastFrame, lab.id.value);
  EXPECT_EQ(counted(lab), (Rows{{"malformed_answer", 3}}));
  (void)lab.receive(lab.alice.address(), Verb::kOk, ByteVector(9, 0));
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kUnsolicited), 1u);
}

TEST(NetworkCounters, GateRulesAndNetworks) {
  NetworkLab lab;
  const ByteVector payload(20, 0);
  (void)lab.frame_from(lab.alice.address(), 0x0800, payload);
  EXPECT_EQ(counted(lab), (Rows{{"unknown_network", 1}}));

  wire::NetworkConfig config = lab.config();
  wire::Rule drop;
  drop.type = static_cast<std::uint8_t>(wire::RuleType::kActionDrop);
  config.rules = {drop};
  lab.join(config);
  (void)lab.frame_from(lab.alice.address(), 0x0800, payload);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kGate), 1u);
  (void)lab.introduce(lab.alice);
  (void)lab.frame_from(lab.alice.address(), 0x0800, payload);
  EXPECT_EQ(lab.networks.counters().get(Way::kIn, fib::Refusal::kRules), 1u);
  (void)lab.ext_from(lab.alice.address(), lab.mac(lab.bob.address()), lab.mac(lab.self()));
  EXPECT_EQ(lab.networks.counters().get(Way::kIn, fib::Refusal::kRules) +
                lab.networks.counters().get(Way::kIn, fib::Refusal::kSourceMac),
            2u);
  lab.host_frame(lab.mac(lab.self()), lab.mac(lab.alice.address()), 0x0800, payload);
  EXPECT_EQ(lab.networks.counters().get(Way::kOut, fib::Refusal::kRules), 1u);
  lab.networks.on_frame(lab.now, lab.id, ByteVector(13), lab.out);
  EXPECT_EQ(lab.networks.counters().get(Way::kOut, fib::Refusal::kLength), 1u);
}

TEST(NetworkCounters, CredentialsStaleRevokedAndForged) {
  NetworkLab lab;
  lab.join(lab.config());
  (void)lab.introduce(lab.alice);
  EXPECT_EQ(counted(lab), Rows{});
  (void)lab.introduce(lab.bob);  // another peer: no rate in the way
  (void)lab.introduce(lab.alice);
  EXPECT_EQ(counted(lab), (Rows{{"credentials_rate", 1}}));
  lab.advance(1'000);
  (void)lab.introduce(lab.alice, NetworkLab::kTs - 1);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kCredentialStale), 1u);

  lab.advance(1'000);
  auto forged = issue_com(lab.bob, lab.id, lab.alice.identity(), NetworkLab::kTs + 5, 1);
  forged.signed_by = lab.controller.address();
  ByteVector payload = written(wire::write_com, forged);
  payload.push_back(0);
  (void)lab.receive(lab.alice.address(), Verb::kNetworkCredentials, payload);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kCredentialSignature), 1u);
}

TEST(NetworkCounters, ConfigurationsStaleForeignAndRepeated) {
  NetworkLab lab;
  lab.join(lab.config());
  (void)lab.push_config(lab.controller.address(), lab.config(NetworkLab::kTs - 1));
  EXPECT_EQ(counted(lab), (Rows{{"config_stale", 1}}));

  wire::NetworkConfig foreign = lab.config(NetworkLab::kTs + 1);
  foreign.issued_to = lab.alice.address();
  (void)lab.push_config(lab.controller.address(), foreign);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kConfigRefused), 1u);

  const ByteVector dictionary = wire::encode_network_config(lab.config(NetworkLab::kTs + 2));
  ByteVector chunk = make_chunk(lab.controller, lab.id, dictionary, 0, dictionary.size(), 0x77);
  (void)lab.receive(lab.controller.address(), Verb::kNetworkConfig, chunk);
  (void)lab.receive(lab.controller.address(), Verb::kNetworkConfig, chunk);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kConfigRepeated), 1u);
  chunk.back() ^= 1;  // of the digest that ends a signature: nobody reads it
  chunk[chunk.size() - 96] ^= 1;
  (void)lab.receive(lab.controller.address(), Verb::kNetworkConfig, chunk);
  EXPECT_EQ(lab.networks.counters().get(NetworkCount::kConfigSignature), 1u);
}

TEST(NetworkCounters, LikesAndGathersOfStrangers) {
  NetworkLab lab;
  lab.join(lab.config());
  const wire::MulticastGroup group{wire::kBroadcastMac, 7};
  (void)lab.like_from(lab.alice.address(), group);
  (void)lab.receive(lab.alice.address(), Verb::kMulticastGather,
                    written(wire::encode_gather, wire::MulticastGather{lab.id, group, 8, {}}));
  EXPECT_EQ(counted(lab), (Rows{{"gather_refused", 1}, {"like_refused", 1}}));
}

/// Has configured everybody, and given each address to one of them.
struct OneOwner final : control::ControllerRole {
  wire::Address owner;

  void on_config_request(Now, const control::Incoming&, control::Effects&) override {}

  LocalAnswer on_local_request(Now, wire::NetworkId, Bytes, control::Effects&) override {
    return {};
  }

  [[nodiscard]] bool recently_configured(Now, wire::NetworkId, wire::Address) const override {
    return true;
  }

  [[nodiscard]] std::vector<wire::Address> owners_of(wire::NetworkId,
                                                     wire::MulticastGroup group) const override {
    return group.adi != 0 ? std::vector{owner} : std::vector<wire::Address>{};
  }

  void tick(Now, control::Effects&) override {}

  [[nodiscard]] Millis next_deadline() const override { return 1'000'000; }
};

TEST(NetworkCounters, GathersThatTheControllerAnswersWithAnOwner) {
  NetworkLab lab;
  OneOwner role;
  role.owner = lab.bob.address();
  control::Networks networks(lab.transport, &role);
  const wire::NetworkId ours{(lab.self().value << 24) | 1};
  const auto told = [&](wire::Address from, wire::NetworkId network, std::uint32_t adi) {
    const ByteVector payload = written(
        wire::encode_gather, wire::MulticastGather{network, {wire::kBroadcastMac, adi}, 8, {}});
    control::Incoming in;
    in.source = from;
    in.packet_id = lab.next_packet++;
    in.verb = Verb::kMulticastGather;
    in.payload = payload;
    lab.clear();
    (void)networks.on_packet(lab.now, in, nullptr, lab.out);
    const std::uint64_t count = networks.counters().get(NetworkCount::kOwnersTold);
    return std::pair(count, lab.transport.of(Verb::kOk).size());
  };
  using Told = std::pair<std::uint64_t, std::size_t>;
  EXPECT_EQ(told(lab.alice.address(), ours, 7), Told(1, 1));
  EXPECT_EQ(told(lab.alice.address(), ours, 0), Told(1, 0)) << "no address";
  EXPECT_EQ(told(lab.bob.address(), ours, 7), Told(1, 0)) << "asks for its own";
  EXPECT_EQ(told(lab.alice.address(), lab.id, 7), Told(1, 0)) << "another's network";
}

}  // namespace
}  // namespace orrery::test
