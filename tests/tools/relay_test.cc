// The faults of tools/relay: their shares, their order in time, the same for the same seed; the
// lines of a scene; ports that a NAT changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "relay/impairment.h"
#include "relay/port_mapper.h"

namespace orrery::relay {
namespace {

constexpr int kPackets = 20'000;

/// Fates of packets of 1,000 bytes, one each millisecond.
std::vector<Fate> run(const Impairments& impairments, std::uint64_t seed = 1) {
  Direction direction(seed);
  direction.impairments = impairments;
  std::vector<Fate> fates;
  for (int i = 0; i < kPackets; ++i) fates.push_back(direction.decide(i * 1'000, 1'000));
  return fates;
}

double share(const std::vector<Fate>& fates, bool (*of)(const Fate&)) {
  return static_cast<double>(std::count_if(fates.begin(), fates.end(), of)) / kPackets;
}

TEST(Impairment, NothingHappensUnlessAskedFor) {
  const std::vector<Fate> fates = run({});
  for (int i = 0; i < kPackets; ++i) {
    ASSERT_EQ(fates[static_cast<std::size_t>(i)].at, i * 1'000);
    ASSERT_FALSE(fates[static_cast<std::size_t>(i)].again ||
                 fates[static_cast<std::size_t>(i)].bit);
  }
}

TEST(Impairment, SharesAreKept) {
  Impairments some;
  some.loss = 0.1;
  some.duplicate = 0.2;
  some.corrupt = 0.05;
  const std::vector<Fate> fates = run(some);
  EXPECT_NEAR(share(fates, [](const Fate& f) { return f.at < 0; }), 0.1, 0.01);
  EXPECT_NEAR(share(fates, [](const Fate& f) { return f.again.has_value(); }), 0.18, 0.01);
  EXPECT_NEAR(share(fates, [](const Fate& f) { return f.bit.has_value(); }), 0.045, 0.01);
}

TEST(Impairment, BurstsComeInRows) {
  Impairments bursts;
  bursts.enter_burst = 0.01;
  bursts.leave_burst = 0.1;
  bursts.burst_loss = 1;
  const std::vector<Fate> fates = run(bursts);
  int lost = 0, rows = 0;
  for (std::size_t i = 1; i < fates.size(); ++i) {
    lost += fates[i].at < 0;
    rows += fates[i].at < 0 && fates[i - 1].at >= 0;
  }
  EXPECT_NEAR(lost / double{kPackets}, 0.01 / 0.11, 0.03);
  EXPECT_NEAR(lost / double(rows), 10, 3);
}

TEST(Impairment, DelayAndJitterKeepTheOrderAndReorderingDoesNot) {
  Impairments slow;
  slow.delay = 20'000;
  slow.jitter = 5'000;
  std::vector<Fate> fates = run(slow);
  for (std::size_t i = 0; i < fates.size(); ++i) {
    const Micros took = fates[i].at - static_cast<Micros>(i) * 1'000;
    ASSERT_GE(took, 20'000);
    ASSERT_LE(took, 25'000);
    if (i != 0) {
      ASSERT_GE(fates[i].at, fates[i - 1].at);
    }
  }
  slow.reorder = 0.1;
  slow.reorder_by = 30'000;
  fates = run(slow);
  int late = 0;
  for (std::size_t i = 1; i < fates.size(); ++i) late += fates[i].at < fates[i - 1].at;
  EXPECT_NEAR(late / double{kPackets}, 0.1, 0.02);
}

TEST(Impairment, ARateIsKeptAndWhatWouldWaitTooLongIsDropped) {
  Impairments narrow;
  narrow.rate = 4'000'000;  // half of what comes
  narrow.queue = 50'000;
  const std::vector<Fate> fates = run(narrow);
  EXPECT_NEAR(share(fates, [](const Fate& f) { return f.at >= 0; }), 0.5, 0.02);
  for (std::size_t i = 0; i < fates.size(); ++i) {
    if (fates[i].at >= 0) {
      ASSERT_LE(fates[i].at - static_cast<Micros>(i) * 1'000, 53'000);
    }
  }
}

TEST(Impairment, CutsAndBlackHoles) {
  Impairments cut;
  cut.cut = true;
  EXPECT_EQ(share(run(cut), [](const Fate& f) { return f.at < 0; }), 1.0);
  Direction hole(1);
  hole.impairments.larger_than = 1'400;
  EXPECT_GE(hole.decide(0, 1'400).at, 0);
  EXPECT_LT(hole.decide(0, 1'401).at, 0);
}

TEST(Impairment, TheSameSeedIsTheSameStory) {
  Impairments all;
  all.loss = all.duplicate = all.corrupt = all.reorder = 0.1;
  all.enter_burst = all.leave_burst = all.burst_loss = 0.2;
  all.jitter = all.reorder_by = 7'000;
  const auto same = [](const std::vector<Fate>& a, const std::vector<Fate>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), [](const Fate& x, const Fate& y) {
      return x.at == y.at && x.again == y.again && x.bit == y.bit;
    });
  };
  EXPECT_TRUE(same(run(all, 5), run(all, 5)));
  EXPECT_FALSE(same(run(all, 5), run(all, 6)));
}

TEST(Scene, LinesAreReadAndWrongOnesNamed) {
  Impairments i;
  std::string error;
  const auto read = [&](const std::string& line) {
    const auto command = parse_command(line, error);
    return command && (command->key.empty() || apply(*command, i, error));
  };
  for (const char* line :
       {"", "  # nothing", "both delay 20ms", "a>b loss 5%  # some", "b>a burst 1% 30% 0.9",
        "both reorder 10% 30ms", "both rate 10mbit", "both larger_than 1400", "at 2.5 both cut"}) {
    EXPECT_TRUE(read(line)) << line << ": " << error;
  }
  EXPECT_EQ(i.delay, 20'000);
  EXPECT_DOUBLE_EQ(i.loss, 0.05);
  EXPECT_DOUBLE_EQ(i.burst_loss, 0.9);
  EXPECT_EQ(i.rate, 10'000'000u);
  EXPECT_EQ(i.larger_than, 1'400u);
  EXPECT_TRUE(i.cut);
  EXPECT_EQ(parse_command("at 2.5 both cut", error)->at, 2'500'000);
  EXPECT_EQ(parse_command("at 3 rebind 7", error)->where, Command::Where::kRelay);
  for (const char* line :
       {"c>d cut", "both", "both nosuch", "both delay", "both delay 20", "both loss 120%",
        "both loss -1%", "both burst 1%", "at x both cut", "at 3", "both cut now", "both rate 10mb",
        "both larger_than 1e9", "both delay 1e9s", "both loss nan"}) {
    error.clear();
    EXPECT_FALSE(read(line)) << line;
    EXPECT_FALSE(error.empty()) << line;
  }
}

/// IPv4 and UDP from 10.0.0.1 with a right checksum.
std::array<std::uint8_t, 50> datagram(std::uint16_t source, std::uint16_t destination) {
  std::array<std::uint8_t, 50> f{};
  f[12] = 8;
  f[14] = 0x45;
  f[23] = 17;
  f[26] = 10;
  f[30] = 10;
  const auto put = [&](std::size_t at, unsigned value) {
    f[at] = static_cast<std::uint8_t>(value >> 8);
    f[at + 1] = static_cast<std::uint8_t>(value);
  };
  put(34, source);
  put(36, destination);
  put(38, 16);
  for (std::size_t i = 42; i < f.size(); ++i) f[i] = static_cast<std::uint8_t>(i * 37);
  std::uint32_t sum = 17 + 16 + 0x0a00 + 0x0a00;
  for (std::size_t i = 34; i < f.size(); i += 2) sum += static_cast<unsigned>(f[i] << 8 | f[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  put(40, ~sum & 0xffff);
  return f;
}

TEST(PortMapper, PortsAreOthersBehindItAndForgottenOnes) {
  PortMapper nat;
  auto frame = datagram(9993, 9993);
  ASSERT_TRUE(nat.to_b(frame));
  EXPECT_EQ(frame, datagram(9993, 9993)) << "no NAT without a mask";
  nat.rebind(0x1111);
  ASSERT_TRUE(nat.to_b(frame));
  EXPECT_EQ(frame, datagram(9993 ^ 0x1111, 9993)) << "with its checksum";
  auto answer = datagram(9993, 9993 ^ 0x1111);
  ASSERT_TRUE(nat.to_a(answer));
  EXPECT_EQ(answer, datagram(9993, 9993));
  auto stranger = datagram(9993, 5000);
  EXPECT_FALSE(nat.to_a(stranger));
  nat.rebind(0x2222);
  answer = datagram(9993, 9993 ^ 0x1111);
  EXPECT_FALSE(nat.to_a(answer)) << "the old port is nobody's";
  frame = datagram(9993, 9993);
  ASSERT_TRUE(nat.to_b(frame));
  EXPECT_EQ(frame, datagram(9993 ^ 0x2222, 9993));
}

TEST(PortMapper, WhatHasNoPortsPasses) {
  PortMapper nat;
  nat.rebind(0x1111);
  std::array<std::uint8_t, 60> arp{};
  arp[12] = 8;
  arp[13] = 6;
  const auto before = arp;
  EXPECT_TRUE(nat.to_b(arp));
  EXPECT_TRUE(nat.to_a(arp));
  EXPECT_EQ(arp, before);
  auto fragment = datagram(9993, 9993);
  fragment[20] = 0x20;
  const auto whole = fragment;
  EXPECT_TRUE(nat.to_b(fragment));
  EXPECT_EQ(fragment, whole);
  std::vector<std::uint8_t> runt(20);
  EXPECT_TRUE(nat.to_b(runt));
}

}  // namespace
}  // namespace orrery::relay
