// TEE, WATCH and REDIRECT by workers: what is copied arrives, what cannot be copied by a worker is
// control's, and hits of rules are counted.
#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

using wire::RuleType;

const wire::Address kC{0x3333333333ULL};
const wire::Endpoint kEndC = wire::Endpoint::v4(0x0a000003, 9993);

wire::Rule rule(RuleType type) {
  wire::Rule r;
  r.type = static_cast<std::uint8_t>(type);
  return r;
}

/// TEE, WATCH or REDIRECT to C; of copies `length` bytes.
wire::Rule to_c(RuleType type, std::uint16_t length = 0) {
  wire::Rule r = rule(type);
  store_be64(r.data.data(), kC.value);
  store_be16(r.data.data() + 12, length);
  return r;
}

class RuleCopies : public Dataplane {
 protected:
  RuleCopies()
      : a_("copies_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv),
        c_("copies_c", kC, kA, kEndA, wire::Suite::kAesGmacSiv) {
    fib::Peer third = a_.peer();
    third.address = kC;
    third.path = {kSocket, kEndC};
    a_.publisher.apply(third);
  }

  void rules(std::vector<wire::Rule> list) {
    for (End* end : {&a_, &c_}) {
      fib::Network n = end->network();
      n.rules = list;
      end->publisher.apply(n);
    }
  }

  /// One frame of the host of A to B, and all that becomes of it: datagrams by recipient.
  void send(std::size_t payload) {
    rte_mbuf* m = mbuf_of(a_.frame(payload), pools().frame);
    a_.fast->outbound(kNetwork, &m, 1, a_.out, a_.drops);
    while (a_.fast->replicate(a_.out, a_.drops)) {
    }
  }

  unsigned sent_to(const wire::Endpoint& end) const {
    unsigned n = 0;
    for (unsigned i = 0; i < a_.out.transmits; ++i)
      n += meta_of(a_.out.transmit[i]).remote == end ? 1 : 0;
    return n;
  }

  /// What was sent to C arrives there.
  void arrive_at_c() {
    for (unsigned i = 0; i < a_.out.transmits; ++i) {
      rte_mbuf* m = a_.out.transmit[i];
      if (meta_of(m).remote != kEndC) {
        rte_pktmbuf_free(m);
        continue;
      }
      cross(&m, 1, kEndA);
      c_.fast->inbound(&m, 1, c_.out, c_.drops);
    }
    a_.out.transmits = 0;
  }

  End a_, c_;
};

TEST_F(RuleCopies, ATeeSendsTheBeginningElsewhere) {
  rules({to_c(RuleType::kActionTee, 20), rule(RuleType::kActionAccept)});
  send(100);
  EXPECT_EQ(punts_of(a_.out), 0u);
  EXPECT_EQ(sent_to(kEndB), 1u);
  ASSERT_EQ(sent_to(kEndC), 1u);
  EXPECT_EQ(a_.out.copies, 2u) << "and an event: frames go to B";
  arrive_at_c();
  ASSERT_EQ(c_.out.delivers, 1u) << "an observer that the rules name gets it";
  const Bytes copy = bytes_of(c_.out.deliver[0]);
  const ByteVector whole = a_.frame(100);
  ASSERT_EQ(copy.size(), 14u + 20u);
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), whole.begin()));
  release(a_.out);
  release(c_.out);
}

TEST_F(RuleCopies, ARedirectSendsAllOfItThereAlone) {
  rules({to_c(RuleType::kActionRedirect), rule(RuleType::kActionAccept)});
  send(100);
  EXPECT_EQ(sent_to(kEndB), 0u);
  ASSERT_EQ(sent_to(kEndC), 1u);
  EXPECT_EQ(a_.dropped(Drop::kRedirected), 1u);
  EXPECT_EQ(a_.dropped(Drop::kRules), 0u);
  arrive_at_c();
  ASSERT_EQ(c_.out.delivers, 1u);
  EXPECT_EQ(bytes_of(c_.out.deliver[0]).size(), 114u);
  release(a_.out);
  release(c_.out);
}

TEST_F(RuleCopies, TheReceiverCopiesToo) {
  rules({rule(RuleType::kActionAccept)});
  send(100);
  rte_mbuf* m = a_.out.transmit[0];
  a_.out.transmits = 0;
  End b("copies_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
  fib::Peer third = b.peer();
  third.address = kC;
  third.path = {kSocket, kEndC};
  b.publisher.apply(third);
  fib::Network n = b.network();
  n.rules = {to_c(RuleType::kActionTee), rule(RuleType::kActionAccept)};
  b.publisher.apply(n);
  cross(&m, 1, kEndA);
  b.fast->inbound(&m, 1, b.out, b.drops);
  EXPECT_EQ(b.out.delivers, 1u);
  EXPECT_TRUE(b.fast->replicate(b.out, b.drops));
  EXPECT_FALSE(b.fast->replicate(b.out, b.drops));
  ASSERT_EQ(b.out.transmits, 1u);
  EXPECT_EQ(meta_of(b.out.transmit[0]).remote, kEndC);
  EXPECT_EQ(punts_of(b.out), 1u) << "only that A was heard";
  release(a_.out);
  release(b.out);
}

TEST_F(RuleCopies, WhomAWorkerCannotServeIsControls) {
  rules({to_c(RuleType::kActionTee), rule(RuleType::kActionAccept)});
  a_.publisher.apply(fib::RemovePeer{kC});
  send(100);
  EXPECT_EQ(a_.out.transmits, 0u) << "the whole frame, so that it goes out once";
  ASSERT_EQ(a_.out.punts, 1u);
  EXPECT_EQ(meta_of(a_.out.punt[0]).message, Message::kFrame);
  release(a_.out);
}

TEST_F(RuleCopies, HitsAreCountedByRule) {
  wire::Rule arp = rule(RuleType::kMatchEthertype);
  store_be16(arp.data.data(), 0x0806);
  wire::Rule ipv4 = rule(RuleType::kMatchEthertype);
  store_be16(ipv4.data.data(), 0x0800);
  rules({arp, rule(RuleType::kActionDrop), ipv4, rule(RuleType::kActionAccept)});
  for (int i = 0; i < 3; ++i) {
    send(100);
    release(a_.out);
  }
  auto hits = a_.publisher.hits_of(kNetwork);
  EXPECT_EQ(hits.frames, (std::vector<std::uint64_t>{0, 0, 0, 3}));
  a_.publisher.apply(a_.member());
  fib::Network same = a_.network();
  same.rules = hits.rules;
  same.mtu = 2'800;
  a_.publisher.apply(same);
  EXPECT_EQ(a_.publisher.hits_of(kNetwork).frames[3], 3u) << "the same rules go on counting";
  rules({arp, rule(RuleType::kActionAccept)});
  send(100);
  release(a_.out);
  hits = a_.publisher.hits_of(kNetwork);
  EXPECT_EQ(hits.frames, (std::vector<std::uint64_t>{0, 0}));
  EXPECT_EQ(hits.nobody, 1u);
  EXPECT_TRUE(a_.publisher.hits_of(wire::NetworkId{5}).frames.empty());
}

TEST(RuleCountSlots, RangesAreGivenAgain) {
  std::vector<std::unique_ptr<RuleCounts>> workers(1);
  workers[0] = std::make_unique<RuleCounts>();
  RuleCountSlots slots(workers);
  const RuleCountSlot one = slots.take(10), two = slots.take(20), three = slots.take(30);
  (*workers[0])[two + 3] += 5;
  EXPECT_EQ(slots.of(two, 20)[3], 5u);
  EXPECT_EQ(slots.of(0, 2), (std::vector<std::uint64_t>{0, 0}));
  slots.give_back(two, 20);
  slots.give_back(one, 10);
  const RuleCountSlot again = slots.take(30);
  EXPECT_EQ(again, one) << "neighbours are one range";
  EXPECT_EQ(slots.of(again, 30)[13], 0u) << "counts begin at zero";
  slots.give_back(three, 30);
  slots.give_back(again, 30);
  EXPECT_EQ(slots.take(RuleCounts::kSlots), 0u);
  EXPECT_EQ(slots.take(RuleCounts::kSlots - RuleCounts::kNobody), one);
}

}  // namespace
}  // namespace orrery::dataplane::test
