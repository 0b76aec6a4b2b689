// loop_guard: bridges on LANs that a test wires up: who blocks, how soon, and when it opens again;
// forgeries, recordings.
#include "control/loop_guard.h"

#include <gtest/gtest.h>

#include <memory>

#include "crypto/kdf.h"

namespace orrery::control {
namespace {

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
constexpr unsigned kNowhere = 99;

/// The secret of two nodes is their addresses, so only who is meant to know it does.
wire::BridgeProbe::Tag tag_of(wire::Address a, wire::Address b, Bytes message) {
  ByteVector key(16);
  store_be64(key.data(), std::min(a, b).value);
  store_be64(key.data() + 8, std::max(a, b).value);
  const auto full = crypto::hmac_sha384(key, message);
  wire::BridgeProbe::Tag tag;
  std::copy_n(full.begin(), tag.size(), tag.begin());
  return tag;
}

struct Bridge {
  Bridge(std::uint64_t address, std::vector<unsigned> lan_ports, std::vector<unsigned> lans)
      : self{address},
        guard(kNetwork, self, {address, 7}, address * 0x9e3779b9, lan_ports),
        lan(std::move(lans)),
        ports(std::move(lan_ports)),
        authenticate([this](wire::Address other, Bytes m) {
          return knows ? std::optional(tag_of(self, other, m)) : std::nullopt;
        }) {}

  LoopGuard::Context context(Now now) { return {now, forwards, bridges, authenticate}; }

  void take(const LoopGuard::Output& out) {
    for (const auto& change : out.changes) {
      blocked[change.port] = change.blocked;
      reason = change.reason;
    }
  }

  bool is_blocked() const {
    return std::any_of(blocked.begin(), blocked.end(), [](const auto& b) { return b.second; });
  }

  wire::Address self;
  LoopGuard guard;
  std::vector<unsigned> lan;  // [place in ports] number of the LAN that it is plugged into
  std::vector<unsigned> ports;
  std::vector<wire::Address> bridges;
  LoopGuard::Authenticate authenticate;
  std::map<unsigned, bool> blocked;
  std::string reason;
  bool forwards = true, knows = true;
};

class LoopGuardTest : public ::testing::Test {
 protected:
  Bridge& add(std::uint64_t address, std::vector<unsigned> ports, std::vector<unsigned> lans) {
    all_.push_back(std::make_unique<Bridge>(address, std::move(ports), std::move(lans)));
    for (auto& b : all_) {
      b->bridges.clear();
      for (auto& other : all_) b->bridges.push_back(other->self);
    }
    return *all_.back();
  }

  /// Probes of `from` reach every port of the LAN but the one that they left by.
  void carry(Bridge& from, LoopGuard::Output out) {
    from.take(out);
    for (const auto& probe : out.probes) {
      sent_.push_back(probe);
      const auto place = std::find(from.ports.begin(), from.ports.end(), probe.port);
      const unsigned lan = from.lan[static_cast<std::size_t>(place - from.ports.begin())];
      if (lan == kNowhere) continue;
      if (stock_lan_ == lan) arrive(from, LoopGuard::kOverlay, probe.payload);
      for (auto& to : all_) {
        for (std::size_t i = 0; i < to->ports.size(); ++i) {
          if (to->lan[i] == lan && (to.get() != &from || to->ports[i] != probe.port))
            arrive(*to, to->ports[i], probe.payload);
        }
      }
    }
  }

  void arrive(Bridge& at, unsigned side, Bytes payload) {
    LoopGuard::Output out;
    at.guard.on_probe(at.context(now_), side, payload, out);
    carry(at, std::move(out));
  }

  void pass(Millis duration) {
    for (const Millis end = now_.mono + duration; now_.mono < end;) {
      now_.mono += 50;
      now_.wall += 50;
      for (auto& b : all_) {
        LoopGuard::Output out;
        b->guard.tick(b->context(now_), out);
        carry(*b, std::move(out));
      }
    }
  }

  Now now_{1'000, 1'700'000'000'000};
  unsigned stock_lan_ =
      kNowhere + 1;  // a bridge that knows no probes brings this LAN into the network
  std::vector<std::unique_ptr<Bridge>> all_;
  std::vector<LoopGuard::Probe> sent_;
};

TEST_F(LoopGuardTest, AloneNothingIsBlocked) {
  Bridge& a = add(0x11, {1, 2}, {1, 2});
  add(0x22, {1}, {3});
  pass(10'000);
  EXPECT_TRUE(a.blocked.empty());
  EXPECT_EQ(sent_.size(), 30u) << "a probe a second and port";
}

TEST_F(LoopGuardTest, TheHigherAddressBlocksWithinAProbe) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {kNowhere});
  pass(5'000);
  b.lan[0] = 1;
  pass(1'100);
  EXPECT_TRUE(b.is_blocked());
  EXPECT_FALSE(a.is_blocked());
  EXPECT_EQ(b.reason, "bridge 0000000011 of the network is on the same LAN");
  EXPECT_EQ(a.guard.status()[0].neighbours, std::vector{b.self});
  pass(60'000);
  EXPECT_TRUE(b.is_blocked()) << "it stays, and";
  EXPECT_LE(sent_.size(), 2 * 66 + 10u) << "nobody chatters";
}

TEST_F(LoopGuardTest, ItOpensWhenTheLansAreApart) {
  add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {1});
  pass(2'000);
  ASSERT_TRUE(b.is_blocked());
  b.lan[0] = 2;
  pass(2'000);
  EXPECT_TRUE(b.is_blocked()) << "a lost probe or two are no reason";
  pass(2'000);
  EXPECT_FALSE(b.is_blocked());
  b.lan[0] = 1;
  pass(1'100);
  EXPECT_TRUE(b.is_blocked());
}

TEST_F(LoopGuardTest, OfThreeOneGoesOn) {
  Bridge& a = add(0x33, {1}, {1});
  Bridge& b = add(0x22, {1}, {1});
  Bridge& c = add(0x11, {1}, {1});
  pass(2'000);
  EXPECT_TRUE(a.is_blocked() && b.is_blocked());
  EXPECT_FALSE(c.is_blocked());
  c.lan[0] = 2;
  pass(5'000);
  EXPECT_TRUE(a.is_blocked());
  EXPECT_FALSE(b.is_blocked());
}

TEST_F(LoopGuardTest, WhoDoesNotForwardIsNoReason) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {1});
  a.forwards = false;
  pass(5'000);
  EXPECT_FALSE(b.is_blocked());
  a.forwards = true;
  pass(2'000);
  EXPECT_TRUE(b.is_blocked());
}

TEST_F(LoopGuardTest, WhoIsNoBridgeOfTheNetworkIsNoReason) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {1});
  b.bridges = {b.self};
  pass(5'000);
  EXPECT_FALSE(b.is_blocked());
  EXPECT_FALSE(a.is_blocked());
}

TEST_F(LoopGuardTest, TwoPortsOfOneLan) {
  Bridge& a = add(0x11, {1, 2, 3}, {1, 2, 1});
  pass(1'100);
  EXPECT_EQ(a.blocked, (std::map<unsigned, bool>{{3, true}}));
  EXPECT_EQ(a.reason, "LAN port 1 is on the same LAN");
  a.lan[2] = 3;
  pass(5'000);
  EXPECT_FALSE(a.is_blocked());
}

TEST_F(LoopGuardTest, ABridgeThatKnowsNoProbes) {
  Bridge& a = add(0x11, {1}, {1});
  stock_lan_ = 1;
  pass(1'100);
  EXPECT_TRUE(a.is_blocked());
  EXPECT_EQ(a.reason, "another bridge brings this LAN into the network");
  pass(30'000);
  EXPECT_TRUE(a.is_blocked());
  stock_lan_ = kNowhere;
  pass(5'000);
  EXPECT_FALSE(a.is_blocked());
}

TEST_F(LoopGuardTest, ReflectionsAndTheTap) {
  Bridge& a = add(0x11, {1}, {1});
  pass(1'100);
  const ByteVector own = sent_.back().payload;
  arrive(a, 1, own);
  EXPECT_TRUE(a.is_blocked());
  EXPECT_EQ(a.reason, "its own probes come back: the LAN has a loop");
  pass(5'000);
  EXPECT_FALSE(a.is_blocked());
  arrive(a, 0, sent_.back().payload);
  EXPECT_TRUE(a.is_blocked());
  EXPECT_EQ(a.reason, "the host bridges its TAP to the same LAN");
  pass(5'000);
  arrive(a, 1, own);
  arrive(a, LoopGuard::kOverlay, own);
  EXPECT_FALSE(a.is_blocked()) << "an old one proves nothing";
}

TEST_F(LoopGuardTest, ForgeriesBlockNobody) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {2});
  pass(2'000);
  const ByteVector of_a = sent_[sent_.size() - 2].payload, of_b = sent_.back().payload;
  ASSERT_EQ(wire::decode_bridge_probe(of_a)->probe.node, a.self);
  // Every byte changed: of another's, and of our own come back.
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    ByteVector forged = of_a;
    forged[i] ^= 1;
    arrive(b, 1, forged);
  }
  for (std::size_t i = 0; i + 1 < wire::BridgeProbe::kHead; ++i) {
    ByteVector forged = of_b;
    forged[i] ^= 1;
    for (unsigned side : {0u, 1u, LoopGuard::kOverlay}) arrive(b, side, forged);
  }
  EXPECT_FALSE(b.is_blocked());
}

TEST_F(LoopGuardTest, RecordingsFromAnotherLanBlockNobody) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {2});
  // Somebody hears both LANs for a while, and plays to each what he heard on the other before.
  std::vector<ByteVector> of_a, of_b;
  for (int i = 0; i < 20; ++i) {
    sent_.clear();
    pass(1'000);
    for (const auto& probe : std::exchange(sent_, {})) {
      const auto view = wire::decode_bridge_probe(probe.payload);
      (view->probe.node == a.self ? of_a : of_b).push_back(probe.payload);
    }
    if (i < 5) continue;
    for (int k = 0; k < i - 4; ++k) {
      arrive(b, 1, of_a[static_cast<std::size_t>(k)]);
      arrive(a, 1, of_b[static_cast<std::size_t>(k)]);
    }
    EXPECT_FALSE(b.is_blocked()) << i;
  }
}

TEST_F(LoopGuardTest, WithoutASecretYetNothingIsBelieved) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {1});
  a.knows = b.knows = false;
  pass(5'000);
  EXPECT_FALSE(b.is_blocked());
  a.knows = b.knows = true;
  pass(1'100);
  EXPECT_TRUE(b.is_blocked());
}

TEST_F(LoopGuardTest, OtherNetworksOnTheLanAreNoReason) {
  Bridge& b = add(0x22, {1}, {1});
  LoopGuard other(wire::NetworkId{0x8056c2e21c000002ULL}, wire::Address{0x11}, {1, 2}, 3, {1});
  const LoopGuard::Authenticate authenticate = [&](wire::Address to, Bytes m) {
    return std::optional(tag_of(wire::Address{0x11}, to, m));
  };
  b.bridges.push_back(wire::Address{0x11});
  for (int i = 0; i < 5; ++i) {
    pass(1'000);
    LoopGuard::Output out;
    other.tick({now_, true, b.bridges, authenticate}, out);
    for (const auto& probe : out.probes) arrive(b, 1, probe.payload);
  }
  EXPECT_FALSE(b.is_blocked());
}

TEST_F(LoopGuardTest, ManyBridgesFitOneProbe) {
  Bridge& a = add(0x11, {1}, {1});
  Bridge& b = add(0x22, {1}, {kNowhere});
  for (std::uint64_t i = 0; i < 200; ++i) {
    a.bridges.push_back(wire::Address{0x1000 + i});
    b.bridges.push_back(wire::Address{0x1000 + i});
  }
  pass(3'000);
  b.lan[0] = 1;
  pass(2'000);
  EXPECT_TRUE(b.is_blocked());
  for (const auto& probe : sent_) EXPECT_LE(probe.payload.size(), 1'500u);
}

TEST_F(LoopGuardTest, TheSourceOfProbesIsNoMember) {
  for (const std::uint64_t id : {0x8056c2e21c000001ULL, 0x8056c2e21c000002ULL, 0xffULL}) {
    const LoopGuard guard(wire::NetworkId{id}, wire::Address{1}, {1, 2}, ~0ULL, {1});
    EXPECT_NE(guard.source().first_octet(), wire::mac_first_octet(wire::NetworkId{id}));
    EXPECT_FALSE(guard.source().is_multicast());
  }
}

}  // namespace
}  // namespace orrery::control
