// Whom the TCP relay serves and what it refuses: destinations, rates, what it remembers.
#include "control/tcp_relay.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::control {
namespace {

wire::Endpoint at(const char* text) {
  return *wire::parse_endpoint(text);
}

constexpr std::size_t kSize = 100;

TEST(TcpRelayRules, OnlyTheInternetUnlessToldOtherwise) {
  TcpRelayLimits limits;
  limits.allowed = {at("10.9.0.0/16"), at("127.0.0.2/32")};
  limits.denied = {at("10.9.7.0/24"), at("9.9.9.0/24")};
  TcpRelayRules rules(limits);
  rules.set_own({at("5.5.5.1/24"), at("10.9.0.1/24")}, 9993);

  struct Row {
    const char* destination;
    std::optional<TcpRelayDrop> expected;
  };

  const auto refused = std::optional(TcpRelayDrop::kRefused);
  const Row rows[] = {
      {"8.8.8.8/9993", std::nullopt},
      {"8.8.8.8/0", refused},
      {"127.0.0.1/9993", refused},
      {"127.0.0.2/9993", std::nullopt},  // allowed by name
      {"0.0.0.0/9993", refused},
      {"255.255.255.255/9993", refused},
      {"224.0.0.1/9993", refused},
      {"239.255.255.250/1900", refused},
      {"169.254.169.254/80", refused},
      {"192.168.1.1/53", refused},
      {"172.16.0.1/9993", refused},
      {"100.64.0.1/9993", refused},
      {"198.18.0.1/9993", refused},
      {"11.0.0.1/9993", refused},
      {"240.0.0.1/9993", refused},
      {"10.0.0.1/9993", refused},
      {"10.9.0.2/9993", std::nullopt},  // allowed by name
      {"10.9.7.2/9993", refused},       // denied within
      {"9.9.9.9/9993", refused},
      {"5.5.5.1/9993", std::nullopt},  // this host: the node
      {"5.5.5.1/53", refused},
      {"5.5.5.2/53", std::nullopt},
      {"10.9.0.1/161", refused},
      {"2001:db8::1/9993", TcpRelayDrop::kNotIpv4},
      {"::1/9993", TcpRelayDrop::kNotIpv4},
  };
  for (const Row& row : rows)
    EXPECT_EQ(rules.refuse(at(row.destination)), row.expected) << row.destination;
  EXPECT_EQ(rules.refuse(wire::Endpoint{}), TcpRelayDrop::kNotIpv4);
}

class TcpRelayClientTest : public ::testing::Test {
 protected:
  unsigned sent(Millis now, const wire::Endpoint& to, unsigned n, std::size_t size = kSize) {
    unsigned taken = 0;
    for (unsigned i = 0; i < n; ++i) taken += client.send(now, to, size) ? 0 : 1;
    return taken;
  }

  TcpRelayLimits limits{.rate = 10'000};
  TcpRelayClient client{1'000, limits, {1, 2}};
  const wire::Endpoint peer = at("5.5.5.2/9993");
};

TEST_F(TcpRelayClientTest, WhoDoesNotAnswerGetsATrickle) {
  EXPECT_EQ(sent(1'000, peer, 60), 32u);
  EXPECT_EQ(client.send(1'000, peer, kSize), TcpRelayDrop::kUnanswered);
  EXPECT_EQ(sent(11'000, peer, 60), 20u);  // two a second
  EXPECT_FALSE(client.receive(11'000, peer, kSize));
  EXPECT_EQ(sent(12'000, peer, 60), 60u);
  // an answer counts for a while
  EXPECT_EQ(sent(11'000 + TcpRelayClient::kAnswered, peer, 60), 32u);
}

TEST_F(TcpRelayClientTest, AnswersOfAnotherPortOrHostDoNotCount) {
  EXPECT_EQ(sent(1'000, peer, 60), 32u);
  EXPECT_FALSE(client.receive(1'000, peer.with_port(9994), kSize));
  EXPECT_FALSE(client.receive(1'000, at("5.5.5.3/9993"), kSize));
  EXPECT_EQ(client.send(1'000, peer, kSize), TcpRelayDrop::kUnanswered);
  EXPECT_EQ(client.destinations(), 1u);  // strangers are not remembered
}

TEST_F(TcpRelayClientTest, RatesHoldEachWay) {
  ASSERT_EQ(sent(1'000, peer, 1), 1u);
  ASSERT_FALSE(client.receive(1'000, peer, kSize));
  // bytes of one second beforehand, then as many each second
  EXPECT_EQ(sent(1'000, peer, 1'000), 99u);
  EXPECT_EQ(client.send(1'000, peer, kSize), TcpRelayDrop::kRateOut);
  EXPECT_EQ(sent(3'000, peer, 1'000), 100u);
  unsigned taken = 0;
  for (unsigned i = 0; i < 1'000; ++i) taken += client.receive(3'000, peer, kSize) ? 0 : 1;
  EXPECT_EQ(taken, 100u);
  EXPECT_EQ(client.receive(3'000, peer, kSize), TcpRelayDrop::kRateIn);
}

TEST_F(TcpRelayClientTest, WhatIsNoPacketDoesNotPass) {
  EXPECT_EQ(client.send(1'000, peer, 0), TcpRelayDrop::kNoPacket);
  EXPECT_EQ(client.send(1'000, peer, 16), TcpRelayDrop::kNoPacket);
  EXPECT_FALSE(client.send(1'000, peer, 17));
  EXPECT_EQ(client.receive(1'000, peer, 16), TcpRelayDrop::kNoPacket);
}

TEST_F(TcpRelayClientTest, NewDestinationsAreLimitedAndOldOnesGiveWay) {
  unsigned taken = 0;
  const auto nth = [](unsigned i) { return wire::Endpoint::v4(0x05060000 + i, 9993); };
  for (unsigned i = 0; i < 400; ++i) taken += client.send(1'000, nth(i), 20) ? 0 : 1;
  EXPECT_EQ(taken, 256u);
  EXPECT_EQ(client.send(1'000, nth(5'000), 20), TcpRelayDrop::kTooMany);
  // up to as many as are remembered, whatever the time it takes
  for (unsigned i = 0; i < 4'000; ++i)
    (void)client.send(1'000 + Millis{i} * 29, nth(1'000 + i), 20);
  EXPECT_EQ(client.destinations(), TcpRelayClient::kDestinations);
  EXPECT_FALSE(client.send(1'000 + 4'000 * 29 + TcpRelayClient::kAnswered, nth(9'000), 20));
  EXPECT_LT(client.destinations(), TcpRelayClient::kDestinations);
}

TEST_F(TcpRelayClientTest, TimesOut) {
  EXPECT_FALSE(client.overdue(1'000 + TcpRelayClient::kHelloWait - 1));
  EXPECT_EQ(client.overdue(1'000 + TcpRelayClient::kHelloWait), TcpRelayDrop::kNoHello);
  client.hello(5'000);
  EXPECT_FALSE(client.overdue(5'000 + TcpRelayClient::kIdle - 1));
  EXPECT_EQ(client.overdue(5'000 + TcpRelayClient::kIdle), TcpRelayDrop::kIdle);
  (void)client.send(200'000, peer, kSize);
  EXPECT_FALSE(client.overdue(200'000 + TcpRelayClient::kIdle - 1));
  // what strangers send does not keep it open
  (void)client.receive(400'000, peer, kSize);
  EXPECT_EQ(client.overdue(200'000 + TcpRelayClient::kIdle), TcpRelayDrop::kIdle);
}

TEST(TcpRelayDrop, EveryOneHasALabelOfItsOwn) {
  std::vector<std::string> labels;
  for (unsigned i = 0; i < static_cast<unsigned>(TcpRelayDrop::kCount); ++i)
    labels.emplace_back(label_of(static_cast<TcpRelayDrop>(i)));
  std::sort(labels.begin(), labels.end());
  EXPECT_EQ(std::unique(labels.begin(), labels.end()), labels.end());
  EXPECT_EQ(std::count(labels.begin(), labels.end(), "unknown"), 0);
}

}  // namespace
}  // namespace orrery::control
