// Bonds: one link carries and the others stand by, or all carry; what happens when links die and
// heal.
#include <gtest/gtest.h>

#include "node/paths_lab.h"

namespace orrery::test {
namespace {

using control::BondPolicy;
using control::BondReselect;

class BondTest : public PathsLab {
 protected:
  void bond(BondPolicy policy, BondReselect reselect = BondReselect::kFailure,
            std::vector<std::string> primary = {}) {
    tune = [=](NodeOptions& o) { o.bonds.everybody = {policy, reselect, primary}; };
    meet({kAliceAt, kAliceToo});
  }

  /// What Alice's workers know of Bob.
  [[nodiscard]] std::shared_ptr<const fib::Spread> spread() const {
    std::shared_ptr<const fib::Spread> found;
    bool shared = false;
    for (const fib::Update& update : alice_->updates) {
      if (const auto* s = std::get_if<fib::PeerSpread>(&update)) {
        if (s->address == bob_->address()) found = s->spread;
      }
      if (const auto* p = std::get_if<fib::Peer>(&update)) {
        if (p->address == bob_->address()) shared = p->shared;
      }
    }
    EXPECT_EQ(shared, found != nullptr) << "the record says whether there is a spread";
    return found;
  }
};

TEST_F(BondTest, ABackupTakesOverWithinThreeSecondsAndKeepsIt) {
  bond(BondPolicy::kActiveBackup);
  talk(60'000);
  const Endpoint used = in_use();
  cut(between(used, kBobAt));
  const Millis since = net_.now.mono;
  talk(8'000);
  EXPECT_LE(gap(at_bob_, since), 3'000);
  EXPECT_LE(gap(at_alice_, since), 3'000);
  const Endpoint backup = in_use();
  EXPECT_NE(backup, used);
  EXPECT_EQ(at_bob_.got.back().second, 0u) << "directly";
  heal();
  talk(120'000);
  EXPECT_EQ(in_use(), backup) << "it works, so it stays";
  const auto status = alice_->peer(net_.now, bob_->address());
  ASSERT_TRUE(status->bond);
  EXPECT_EQ(status->bond->policy, BondPolicy::kActiveBackup);
  EXPECT_EQ(status->bond->links, 2u);
  EXPECT_EQ(status->bond->alive, 2u);
  EXPECT_EQ(spread(), nullptr);
}

TEST_F(BondTest, APathThatIsBetterDoesNotTempt) {
  bond(BondPolicy::kActiveBackup);
  const Endpoint used = in_use();
  // Everything over the link in use comes late.
  Millis extra = 60;
  std::vector<SimNet::Flight> late;
  net_.allow = [&](const SimNet::Flight& f) {
    if (extra == 0 || !between(used, kBobAt)(f)) return true;
    late.push_back(f);
    return false;
  };
  for (int i = 0; i < 300; ++i) {
    talk(50);
    for (const SimNet::Flight& f : std::exchange(late, {})) net_.inject(f.from, f.to, f.payload);
  }
  EXPECT_EQ(in_use(), used);
}

TEST_F(BondTest, ItGoesBackToAPrimaryLinkAsSoonAsThatWorks) {
  bond(BondPolicy::kActiveBackup, BondReselect::kAlways, {"eth1"});
  talk(20'000);
  EXPECT_EQ(in_use(), kAliceToo) << "eth1";
  cut(between(kAliceToo, kBobAt));
  talk(8'000);
  EXPECT_EQ(in_use(), kAliceAt);
  heal();
  talk(10'000);
  EXPECT_EQ(in_use(), kAliceToo);
}

TEST_F(BondTest, AnOperatorTurnsItToTheNextLink) {
  bond(BondPolicy::kActiveBackup, BondReselect::kAlways, {"eth0"});
  talk(20'000);
  ASSERT_EQ(in_use(), kAliceAt);
  ASSERT_TRUE(alice_->node->rotate_bond(net_.now, bob_->address(), alice_->effects));
  net_.settle(*alice_);
  EXPECT_EQ(in_use(), kAliceToo);
  talk(30'000);
  EXPECT_EQ(in_use(), kAliceToo) << "his word counts until that link fails";
  EXPECT_FALSE(alice_->node->rotate_bond(net_.now, wire::Address{0x1122334455}, alice_->effects));
  cut(between(kAliceAt, kBobAt));
  talk(8'000);
  EXPECT_FALSE(alice_->node->rotate_bond(net_.now, bob_->address(), alice_->effects))
      << "there is no other link that works";
}

TEST_F(BondTest, FlowsAreSharedAmongLinksThatWork) {
  bond(BondPolicy::kBalanceXor);
  talk(5'000);
  auto both = spread();
  ASSERT_NE(both, nullptr);
  ASSERT_EQ(both->paths().size(), 2u);
  EXPECT_NE(both->paths()[0].key.socket, both->paths()[1].key.socket);
  EXPECT_FALSE(alice_->node->rotate_bond(net_.now, bob_->address(), alice_->effects));

  cut(between(kAliceToo, kBobAt));
  talk(3'000);
  EXPECT_EQ(spread(), nullptr) << "one is left within three seconds";
  EXPECT_EQ(in_use(), kAliceAt);
  talk(10'000);
  heal();
  talk(10'000);
  const auto again = spread();
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->paths().size(), 2u);

  const auto status = alice_->peer(net_.now, bob_->address());
  std::size_t buckets = 0, bonded = 0;
  for (const control::PathStatus& path : status->paths) {
    buckets += path.flow_share;
    bonded += path.bonded ? 1 : 0;
  }
  EXPECT_EQ(buckets, fib::Spread::kBuckets);
  EXPECT_EQ(bonded, 2u);
}

TEST_F(BondTest, NothingFlapsWhileNothingHappens) {
  bond(BondPolicy::kBalanceXor);
  talk(30'000);
  const auto before = spread();
  talk(120'000);
  EXPECT_EQ(spread(), before) << "the very same";
}

TEST_F(BondTest, OnePeerOnly) {
  tune = [](NodeOptions& o) {
    o.bonds.peers[identity_of_vectors(2).address()].policy = BondPolicy::kBalanceXor;
  };
  meet({kAliceAt, kAliceToo});
  talk(5'000);
  EXPECT_NE(spread(), nullptr);
  EXPECT_FALSE(alice_->peer(net_.now, root_[0]->address())->bond) << "roots are not bonded";
  EXPECT_FALSE(bob_->peer(net_.now, alice_->address())->bond);
}

}  // namespace
}  // namespace orrery::test
