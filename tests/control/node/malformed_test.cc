// Packets that are sealed as they should be and say nonsense: of every verb, at every length, in
// answer to nothing, with wrong counts, and random bytes. Whatever it is, the node counts it under
// a reason or as handled, exactly once, and answers nobody more than it must.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "control/network.h"
#include "node/forger.h"
#include "node/identities.h"
#include "support/sim_net.h"
#include "wire/verbs/push_direct_paths.h"
#include "wire/verbs/rendezvous.h"

namespace orrery::test {
namespace {

using wire::Endpoint;
using wire::Suite;
using wire::Verb;

const Endpoint kRootAt = Endpoint::v4(0x0a000001, 9993);
const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
const Endpoint kStrangerAt = Endpoint::v4(0x0a000909, 9993);

/// Reasons that say what happened on the way and end no packet.
const std::set<std::string> kNotes = {
    "packets",       "handled",        "table_full",   "proof_refused",     "probe_refused",
    "amplification", "world_refused",  "send_expired", "receive_expired",   "too_big",
    "pin_mismatch",  "relay_turned",   "no_packet_id", "lookup_rate",       "cache_refused",
    "proofs_asked",  "hello_extended", "alarms",       "whois_unconfirmed", "whois_disputed"};

constexpr Verb kVerbs[] = {
#define ORRERY_TEST_VERB(name, code, label) Verb::name,
    ORRERY_FOR_EACH_VERB(ORRERY_TEST_VERB)
#undef ORRERY_TEST_VERB
};

class Malformed : public testing::Test {
 protected:
  Malformed()
      : root_(identity_of_vectors(0), identity_of_vectors(1).identity()),
        stranger_(identity_of_vectors(3), identity_of_vectors(1).identity()) {
    crypto::init();
    control::NodeOptions o{.identity = identity_of_vectors(1)};
    o.planet = make_planet(77, 1, {{identity_of_vectors(0).identity(), {kRootAt}}});
    alice_ = &net_.add("alice", std::move(o), {kAliceAt});
    networks_ = std::make_unique<control::Networks>(*alice_->node, nullptr);
    alice_->node->attach(networks_.get(), nullptr);
    net_.tap = [this](const SimNet::Flight& flight) { flights_.push_back(flight); };
    net_.start(*alice_);
    networks_->join(net_.now, wire::NetworkId{kNetwork}, {}, {}, alice_->effects);
    net_.settle(*alice_);
    // both are known; the stranger's work is checked
    give(kRootAt, root_.hello(next_id(), net_.now.wall, kAliceAt));
    give(kStrangerAt, stranger_.hello(next_id(), net_.now.wall, kAliceAt));
    net_.run_for(1'000);
    flights_.clear();
  }

  std::uint64_t next_id() { return id_ += 8; }

  /// Reasons that end packets, all together.
  [[nodiscard]] std::uint64_t ended() const {
    std::uint64_t sum = 0;
    for (const auto& [label, value] : alice_->node->counters()) {
      if (!kNotes.contains(label)) sum += value;
    }
    return sum;
  }

  /// One datagram into the node; says how it ended.
  std::string give(const Endpoint& from, Bytes datagram) {
    std::map<std::string, std::uint64_t> before;
    for (const auto& [label, value] : alice_->node->counters()) before[label] = value;
    // A little time between packets, so that rates and probes get their turn.
    net_.now.mono += 7;
    net_.now.wall += 7;
    bytes_in_ += datagram.size() + 28;
    alice_->node->on_datagram(net_.now, {alice_->sockets[0].socket, from}, datagram,
                              alice_->effects);
    net_.settle(*alice_);
    std::string how;
    for (const auto& [label, value] : alice_->node->counters()) {
      if (label != std::string("handled") && kNotes.contains(label)) continue;
      if (value == before[label]) continue;
      EXPECT_EQ(value, before[label] + 1) << label;
      EXPECT_TRUE(how.empty()) << how << " and " << label;
      how = label;
    }
    EXPECT_FALSE(how.empty()) << "a packet ended in no way";
    return how;
  }

  /// packets in = handled + reasons
  void expect_ledger() const {
    EXPECT_EQ(alice_->counter("packets"), alice_->counter("handled") + ended());
  }

  /// Verbs of what went to an endpoint since the flights were forgotten; requests that stand in an
  /// OK or ERROR as well.
  std::multiset<std::pair<Verb, Verb>> answers(Forger& who, const Endpoint& at) {
    std::multiset<std::pair<Verb, Verb>> verbs;
    for (const SimNet::Flight& flight : flights_) {
      if (flight.to != at) continue;
      const auto plain = who.open(flight.payload);
      if (!plain) {
        ADD_FAILURE() << "something that is not for him";
        continue;
      }
      const auto verb = static_cast<Verb>((*plain)[wire::kVerbOffset] & wire::kVerbMask);
      const bool answer = verb == Verb::kOk || verb == Verb::kError;
      verbs.emplace(verb, answer ? static_cast<Verb>((*plain)[wire::kHeaderSize]) : Verb::kNop);
    }
    return verbs;
  }

  std::size_t bytes_to(const Endpoint& at) const {
    std::size_t bytes = 0;
    for (const SimNet::Flight& flight : flights_) {
      if (flight.to == at) bytes += flight.payload.size() + 28;
    }
    return bytes;
  }

  /// A sound payload of each verb, as far as one without a network goes.
  ByteVector sound(Verb verb) {
    ByteVector payload(400);
    Writer w(payload);
    switch (verb) {
      case Verb::kOk:
        wire::encode_ok(w, {static_cast<std::uint8_t>(Verb::kWhois), 77, {}});
        wire::write_identity(w, identity_of_vectors(5).identity());
        break;
      case Verb::kError:
        wire::encode_error(w, {static_cast<std::uint8_t>(Verb::kNetworkConfigRequest),
                               77,
                               static_cast<std::uint8_t>(wire::ErrorCode::kObjectNotFound),
                               {}});
        w.u64(kNetwork);
        break;
      case Verb::kWhois:
        for (std::size_t number : {2U, 5U, 1U}) w.u40(identity_of_vectors(number).address().value);
        break;
      case Verb::kRendezvous:
        wire::encode_rendezvous(w, {0, stranger_.address(), Endpoint::v4(0x0a000a0a, 1)});
        break;
      case Verb::kPushDirectPaths:
        w.u16(3);
        for (std::uint32_t i = 0; i < 3; ++i)
          wire::write_direct_path(w, {0, Endpoint::v4(0x0a000b00 + i, 9993)});
        break;
      case Verb::kHello:
        wire::encode_hello(
            w, {{12, 1, 14, 1}, net_.now.wall, stranger_.identity(), kAliceAt, 0, 0, 0});
        break;
      default:
        w.u64(kNetwork);
        w.u16(0x0800);
        for (int i = 0; i < 120; ++i) w.u8(static_cast<std::uint8_t>(i * 3));
        break;
    }
    payload.resize(w.size());
    return payload;
  }

  static constexpr std::uint64_t kNetwork = 0x1122334455000001;
  SimNet net_;
  SimHost* alice_ = nullptr;
  std::unique_ptr<control::Networks> networks_;
  std::vector<SimNet::Flight> flights_;
  Forger root_;
  Forger stranger_;
  std::uint64_t id_ = 1'000;
  std::size_t bytes_in_ = 0;
};

TEST_F(Malformed, EveryVerbAtEveryLength) {  // W1, W2
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    const ByteVector whole = sound(verb);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const Bytes part = Bytes(whole).first(size);
      for (const Suite suite : {Suite::kAesGmacSiv, Suite::kSalsaPoly}) {
        const std::string how = give(kStrangerAt, stranger_.seal(next_id(), verb, part, suite));
        give(kRootAt, root_.seal(next_id(), verb, part, suite));
        // what is too short for its fixed fields is never handled
        const bool headless =
            (verb == Verb::kOk && size < 9) || (verb == Verb::kError && size < 10) ||
            (verb == Verb::kWhois && size < 5) || (verb == Verb::kRendezvous && size < 9) ||
            (verb == Verb::kNetworkConfigRequest && size < 8);
        if (headless) {
          EXPECT_EQ(how, "malformed") << size;
        }
      }
    }
  }
  expect_ledger();
  for (const auto& [verb, in_re] : answers(stranger_, kStrangerAt)) {
    const bool answer = (verb == Verb::kOk && (in_re == Verb::kEcho || in_re == Verb::kWhois ||
                                               in_re == Verb::kHello)) ||
                        (verb == Verb::kError && in_re == Verb::kNetworkConfigRequest);
    const bool probe = verb == Verb::kEcho || verb == Verb::kHello || verb == Verb::kWhois;
    EXPECT_TRUE(answer || probe) << wire::verb_label(static_cast<std::uint8_t>(verb)) << " of "
                                 << wire::verb_label(static_cast<std::uint8_t>(in_re));
  }
  EXPECT_LE(bytes_to(kStrangerAt), 3 * bytes_in_);
}

TEST_F(Malformed, VerbsThatDoNotExist) {
  for (unsigned verb = 0; verb < 32; ++verb) {
    if (wire::verb_label(static_cast<std::uint8_t>(verb)) != std::string("unknown")) continue;
    EXPECT_EQ(give(kStrangerAt, stranger_.seal(next_id(), static_cast<Verb>(verb), ByteVector(40),
                                               Suite::kAesGmacSiv)),
              "not_handled");
  }
  expect_ledger();
}

TEST_F(Malformed, GarbageOfEveryVerb) {
  std::mt19937_64 random(7);
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    for (int round = 0; round < 100; ++round) {
      ByteVector payload(random() % 300);
      for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random());
      const auto flags = static_cast<std::uint8_t>(random() % 4 == 0 ? wire::kVerbCompressed : 0);
      const auto marked = static_cast<Verb>(static_cast<std::uint8_t>(verb) | flags);
      give(kStrangerAt, stranger_.seal(next_id(), marked, payload, Suite::kAesGmacSiv));
      give(kRootAt, root_.seal(next_id(), marked, payload, Suite::kSalsaPoly));
      if (round % 10 == 0) net_.run_for(50);
    }
  }
  net_.run_for(10'000);
  expect_ledger();
}

TEST_F(Malformed, CountsThatPromiseMoreThanThereIs) {
  for (const std::uint16_t count : {std::uint16_t{4}, std::uint16_t{255}, std::uint16_t{65'535}}) {
    ByteVector push = sound(Verb::kPushDirectPaths);
    store_be16(push.data(), count);
    net_.run_for(31'000);  // else the limit of pushes speaks first
    EXPECT_EQ(give(kStrangerAt,
                   stranger_.seal(next_id(), Verb::kPushDirectPaths, push, Suite::kAesGmacSiv)),
              "malformed");
  }
  ByteVector rendezvous = sound(Verb::kRendezvous);
  for (unsigned size = 0; size < 256; ++size) {
    rendezvous[8] = static_cast<std::uint8_t>(size);
    const std::string how =
        give(kRootAt, root_.seal(next_id(), Verb::kRendezvous, rendezvous, Suite::kAesGmacSiv));
    EXPECT_EQ(how, size == 4 ? "handled" : "malformed") << size;
  }
  // a HELLO whose list of moons is longer than the packet
  EXPECT_EQ(give(kStrangerAt,
                 [&] {
                   ByteVector hello = stranger_.hello(next_id(), net_.now.wall, kAliceAt);
                   hello.resize(hello.size() - 1);
                   return hello;
                 }()),
            "mac");
  expect_ledger();
}

TEST_F(Malformed, AnswersToNothing) {
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{60}}) {
      const ByteVector rest(size, 0x5a);
      ByteVector ok(9 + size);
      Writer w(ok);
      wire::encode_ok(w, {static_cast<std::uint8_t>(verb), next_id(), rest});
      EXPECT_EQ(give(kRootAt, root_.seal(next_id(), Verb::kOk, ok, Suite::kAesGmacSiv)),
                "unsolicited");
      for (unsigned code = 0; code < 12; ++code) {
        ByteVector error(10 + size);
        Writer e(error);
        wire::encode_error(
            e, {static_cast<std::uint8_t>(verb), next_id(), static_cast<std::uint8_t>(code), rest});
        const std::string how =
            give(kRootAt, root_.seal(next_id(), Verb::kError, error, Suite::kAesGmacSiv));
        if (code == static_cast<unsigned>(wire::ErrorCode::kIdentityCollision)) {
          EXPECT_EQ(how, "unsolicited");
        }
      }
    }
  }
  EXPECT_FALSE(alice_->collided);
  for (const auto& [verb, in_re] : answers(root_, kRootAt))
    EXPECT_TRUE(verb == Verb::kEcho || verb == Verb::kHello);  // a probe of the path
  expect_ledger();
}

TEST_F(Malformed, WrongMacsOfEveryVerbAreSilence) {  // A1
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    for (const Suite suite : {Suite::kAesGmacSiv, Suite::kSalsaPoly}) {
      const ByteVector good = stranger_.seal(next_id(), verb, sound(verb), suite);
      for (std::size_t at = 0; at < good.size(); at += at < 30 ? 1 : 17) {
        const bool addresses = at >= wire::kDestinationOffset && at < wire::kFlagsOffset;
        if (addresses || at == wire::kFlagsOffset) continue;
        ByteVector bad = good;
        bad[at] ^= 0x01;
        EXPECT_EQ(give(kStrangerAt, bad), "mac") << at;
      }
    }
  }
  EXPECT_EQ(bytes_to(kStrangerAt), 0U);
  expect_ledger();
}

TEST_F(Malformed, ClearTextOfEveryVerb) {  // A5
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    const std::string how =
        give(kStrangerAt, stranger_.seal(next_id(), verb, sound(verb), Suite::kMacOnly));
    switch (verb) {
      case Verb::kHello:  // masked tail and all: sound enough, or malformed
        EXPECT_NE(how, "cipher");
        break;
      case Verb::kAck:
      case Verb::kQosMeasurement:
      case Verb::kPathNegotiationRequest:
        EXPECT_EQ(how, "not_handled");
        break;
      default:
        EXPECT_EQ(how, "cipher");
        break;
    }
  }
  expect_ledger();
}

TEST_F(Malformed, UnknownSendersOfEveryVerbAreNotAnswered) {
  Forger nobody(identity_of_vectors(6), identity_of_vectors(1).identity());
  for (const Verb verb : kVerbs) {
    SCOPED_TRACE(wire::verb_label(static_cast<std::uint8_t>(verb)));
    for (const Suite suite : {Suite::kAesGmacSiv, Suite::kSalsaPoly}) {
      EXPECT_EQ(
          give(Endpoint::v4(0x0a00060b, 9993), nobody.seal(next_id(), verb, sound(verb), suite)),
          "unknown_sender");
    }
  }
  net_.run_for(10'000);
  EXPECT_EQ(bytes_to(Endpoint::v4(0x0a00060b, 9993)), 0U);
  expect_ledger();
}

TEST_F(Malformed, DatagramsThatAreNoPackets) {
  EXPECT_EQ(give(kStrangerAt, {}), "short");
  const ByteVector good =
      stranger_.seal(next_id(), Verb::kEcho, ByteVector(30), Suite::kAesGmacSiv);
  for (std::size_t size = 1; size < wire::kHeaderSize; ++size) {
    const std::string how = give(kStrangerAt, Bytes(good).first(size));
    EXPECT_TRUE(how == "short" || how == "beacon") << how << " at " << size;
  }
  EXPECT_EQ(give(kStrangerAt, ByteVector(wire::kMaxPacket + 1, 1)), "long");
  ByteVector to_reserved = good;
  to_reserved[wire::kDestinationOffset] = 0xff;
  EXPECT_EQ(give(kStrangerAt, to_reserved), "address");
  ByteVector to_other = good;
  to_other[wire::kDestinationOffset] ^= 1;
  EXPECT_EQ(give(kStrangerAt, to_other), "relay_refused");
  ByteVector head = good;
  head[wire::kFlagsOffset] |= wire::kFlagFragmented;
  EXPECT_EQ(give(kStrangerAt, head), "parked");
  EXPECT_EQ(bytes_to(kStrangerAt), 0U);
  expect_ledger();
}

TEST_F(Malformed, HelloAtEveryLength) {
  // Cut before it was sealed: the MAC holds, the fields end too early.
  const ByteVector whole = sound(Verb::kHello);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string how =
        give(kStrangerAt,
             stranger_.seal(next_id(), Verb::kHello, Bytes(whole).first(size), Suite::kMacOnly));
    EXPECT_TRUE(how == "hello_malformed" || how == "hello_version" || how == "address" ||
                how == "handled" || how == "hello_stale" || how == "hello_rate")
        << how << " at " << size;
    if (size < 13 + 71) {
      EXPECT_NE(how, "handled") << size;
    }
  }
  expect_ledger();
}

}  // namespace
}  // namespace orrery::test
