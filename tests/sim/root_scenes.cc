// Roots that lie: they cannot take over, silence or exhaust a node that has another root; and when
// all lie, who was known before stays who he is, and the operator is told.
// Rows I3, I4, I6, R1 to R5 of the attack matrix.
#include <map>

#include "crypto/kdf.h"
#include "sim/forger.h"
#include "sim/scenes.h"
#include "wire/verbs/push_direct_paths.h"
#include "wire/verbs/rendezvous.h"
#include "wire/verbs/whois.h"
#include "wire/world.h"

namespace orrery::test {
namespace {

using sim::Flight;
using sim::Forger;
using sim::HostId;
using sim::Place;
using sim::Scene;
using wire::Verb;

/// Answers HELLO and ECHO as a root does, and everything else as `lie` says.
class FalseRoot {
 public:
  struct Victim {
    std::unique_ptr<Forger> forger;
    wire::Endpoint at;
  };

  /// What to do with a packet: header and plaintext.
  using Lie = std::function<void(FalseRoot&, Victim&, Verb, std::uint64_t id, Bytes payload)>;

  FalseRoot(Scene& scene, const std::string& name, Lie lie) : s(scene), lie_(std::move(lie)) {
    Place near = s.on_internet();
    near.up.delay = near.down.delay = 0;  // the best root of all, to look at
    self = s.add_false_root(name, near);
    s.host(self).hand = [this](const Flight& flight) { got(flight); };
  }

  void say(Victim& to, Verb verb, Bytes payload) {
    s.send(self, to.at, to.forger->seal(next_id_ += 8, verb, payload, wire::Suite::kAesGmacSiv));
  }

  void ok(Victim& to, Verb verb, std::uint64_t id, Bytes rest) {
    ByteVector payload(16 + rest.size());
    Writer writer(payload);
    wire::encode_ok(writer, {static_cast<std::uint8_t>(verb), id, rest});
    say(to, Verb::kOk, writer.written());
  }

  void error(Victim& to, Verb verb, std::uint64_t id, wire::ErrorCode code) {
    ByteVector payload(16);
    Writer writer(payload);
    wire::encode_error(writer,
                       {static_cast<std::uint8_t>(verb), id, static_cast<std::uint8_t>(code), {}});
    say(to, Verb::kError, writer.written());
  }

  Scene& s;
  HostId self = sim::kNobody;
  std::map<wire::Address, Victim> victims;
  std::function<ByteVector()> worlds = [] { return ByteVector(); };  // in OK(HELLO)
  std::function<wire::Endpoint(const wire::Endpoint&)> seen_from = [](const wire::Endpoint& at) {
    return at;
  };
  bool collides = false;  // says that everybody's address belongs to another key
  std::uint64_t asked = 0;

 private:
  void got(const Flight& flight) {
    const auto header = wire::decode_packet_header(flight.payload);
    if (!header) return;
    const crypto::SecretIdentity& own = s.host(self).identity;
    if (header->destination != own.address()) return;  // what it should relay is gone
    Victim& victim = victims[header->source];
    if (header->cipher() == 0 && victim.forger == nullptr) {
      const auto hello = wire::decode_hello(Bytes(flight.payload).subspan(wire::kHeaderSize));
      if (!hello) return;
      victim.forger = std::make_unique<Forger>(sim::copy_of(own), hello->identity);
    }
    if (victim.forger == nullptr) return;
    victim.at = flight.from;
    const auto plain = victim.forger->open(flight.payload);
    if (!plain) return;
    const auto verb = static_cast<Verb>((*plain)[wire::kVerbOffset] & wire::kVerbMask);
    const std::uint64_t id = header->id;
    const Bytes payload = Bytes(*plain).subspan(wire::kHeaderSize);
    if (verb == Verb::kHello) {
      if (collides) return error(victim, Verb::kHello, id, wire::ErrorCode::kIdentityCollision);
      const auto hello = wire::decode_hello(payload);
      const ByteVector updates = worlds();
      ByteVector rest(64 + updates.size());
      Writer writer(rest);
      wire::encode_hello_ok(writer,
                            {hello->timestamp, {12, 1, 14, 1}, seen_from(flight.from), updates});
      ok(victim, Verb::kHello, id, writer.written());
    } else if (verb == Verb::kEcho) {
      ok(victim, Verb::kEcho, id, payload);
    } else {
      ++asked;
      if (lie_) lie_(*this, victim, verb, id, payload);
    }
  }

  Lie lie_;
  std::uint64_t next_id_ = 1'000'000;
};

/// Identities of what a WHOIS asks for, as `name` says.
FalseRoot::Lie names(std::function<const wire::Identity*(wire::Address)> name) {
  return [name = std::move(name)](FalseRoot& root, FalseRoot::Victim& victim, Verb verb,
                                  std::uint64_t id, Bytes payload) {
    if (verb != Verb::kWhois) return;
    wire::for_each_whois_address(payload, [&](wire::Address address) {
      const wire::Identity* identity = name(address);
      if (identity == nullptr) return;
      ByteVector rest(wire::Identity::kWireSize);
      Writer writer(rest);
      wire::write_identity(writer, *identity);
      root.ok(victim, Verb::kWhois, id, writer.written());
    });
  };
}

ORRERY_SCENE(silent_root_is_passed_by,
             "a root that answers HELLO, is near, and drops all else does not cut anybody off") {
  FalseRoot silent(s, "silent root", {});
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kSymmetricRandom)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle(60'000);
  s.talk(alice, bob, village.net, 250);
  s.must(60'000, "connected", [&] { return s.connected(alice, bob); });
  s.must_stay(60'000, "connected", [&] { return s.connected(alice, bob, 10'000); });
}

ORRERY_SCENE(known_peer_keeps_its_key,
             "a root names another key, with its work done, for a peer that was known before: "
             "refused, the operator is told, the other root helps") {
  wire::Identity thief;
  FalseRoot liar(s, "liar", names([&](wire::Address address) {
                   return address == thief.address ? &thief : nullptr;
                 }));
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  village.settle(60'000);
  village.meet(alice, bob, 60'000);
  thief = sim::make_identity(s.random()).identity();
  thief.address = s.host(bob).address();
  s.grant_work(thief);
  s.run_for(60'000);
  s.power_off(alice);
  s.host(alice).disk.peers.clear();  // only the pin is left
  s.power_on(alice);
  s.must(60'000, "connected", [&] { return s.connected(alice, bob, 1'000); });
  // Until it was the liar who was asked.
  for (int round = 0; round < 40 && !s.told(alice, "another key"); ++round) {
    s.power_off(alice);
    s.host(alice).disk.peers.clear();
    s.power_on(alice);
    s.run_for(100);
    s.with_node(alice, [&](control::Node& node, Now at, control::Effects& out) {
      node.request_identity(at, s.host(bob).address(), out);
    });
    s.run_for(2'000);
  }
  if (!s.told(alice, "another key")) throw sim::Breach("alice's operator was not told");
  s.must(60'000, "connected", [&] { return s.connected(alice, bob, 1'000); });
}

ORRERY_SCENE(work_that_was_not_done,
             "a root names keys that have no work done for their address: nobody believes it") {
  std::map<wire::Address, wire::Identity> made_up;
  FalseRoot liar(s, "liar", names([&](wire::Address address) {
                   wire::Identity& identity = made_up[address];
                   if (!identity) {
                     identity = sim::make_identity(s.random()).identity();
                     identity.address = address;
                   }
                   return &identity;
                 }));
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet());
  const HostId bob = village.member("bob", s.on_internet());
  village.settle(60'000);
  s.talk(alice, bob, village.net, 250);
  s.must(60'000, "connected", [&] { return s.connected(alice, bob); });
  s.must_stay(60'000, "connected", [&] { return s.connected(alice, bob); });
}

/// Two behind NATs talk directly while a root says `lies` things a second to each of them, for a
/// minute; they go on talking, and few datagrams leave. `lie`: what it says to the one about the
/// other.
static void pester(sim::Scene& s, FalseRoot& liar, unsigned lies,
                   const std::function<void(FalseRoot::Victim&, wire::Address)>& lie) {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  village.settle(60'000);
  village.meet(alice, bob, 60'000);
  const std::uint64_t before = s.host(alice).datagrams_out;
  constexpr int kSeconds = 60;
  for (int second = 0; second < kSeconds; ++second) {
    for (auto& [address, victim] : liar.victims) {
      if (victim.forger == nullptr) continue;
      const HostId other = address == s.host(alice).address() ? bob : alice;
      for (unsigned i = 0; i < lies; ++i) lie(victim, s.host(other).address());
    }
    s.run_for(1'000);
    if (!s.connected(alice, bob)) throw sim::Breach("the talk stops");
  }
  // Its own frames, 4 a second, keep-alives, and what the node lets a root make it probe.
  const std::uint64_t sent = s.host(alice).datagrams_out - before;
  if (sent > kSeconds * 40)
    throw sim::Breach("a root had alice send " + std::to_string(sent) + " datagrams");
}

ORRERY_SCENE(wrong_paths_lead_nowhere,
             "a root sends everybody to wrong addresses, and says everybody has a new one all the "
             "time; nothing stops, and few probes leave") {
  FalseRoot liar(s, "liar", {});
  std::uint32_t lies = 0;
  liar.seen_from = [&](const wire::Endpoint& at) {
    return wire::Endpoint::v4(0x2d000000 + ++lies, at.port);
  };
  pester(s, liar, 100, [&](FalseRoot::Victim& victim, wire::Address other) {
    ByteVector payload(32);
    Writer writer(payload);
    wire::encode_rendezvous(writer, {0, other, wire::Endpoint::v4(0x2e000000 + ++lies, 9'993)});
    liar.say(victim, Verb::kRendezvous, writer.written());
  });
}

ORRERY_SCENE(
    redirects_without_end,
    "a root redirects to ever new addresses and tells to forget the old: it is not followed") {
  FalseRoot liar(s, "liar", {});
  std::uint32_t lies = 0;
  pester(s, liar, 20, [&](FalseRoot::Victim& victim, wire::Address) {
    ByteVector payload(128);
    Writer writer(payload);
    writer.u16(4);
    for (unsigned n = 0; n < 4; ++n) {
      const std::uint8_t flags = n == 0 ? wire::DirectPath::kForget : wire::DirectPath::kRedirect;
      wire::write_direct_path(writer, {flags, wire::Endpoint::v4(0x2f000000 + ++lies, 9'993)});
    }
    liar.say(victim, Verb::kPushDirectPaths, writer.written());
  });
}

ORRERY_SCENE(
    old_planets_stay_old,
    "a root replays an older planet, and makes up newer ones: everybody keeps the planet") {
  FalseRoot liar(s, "liar", {});
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet());
  const HostId bob = village.member("bob", s.on_internet());
  Reader reader(s.planet());
  wire::World planet = *wire::read_world(reader);
  liar.worlds = [&] {
    wire::World changed = planet;
    changed.roots.erase(changed.roots.begin() + 1);  // without the honest root
    changed.timestamp = s.random().below(4);
    s.random().fill(changed.signature);
    if (changed.timestamp == 0) changed.timestamp = UINT64_MAX / 2;
    if (s.random().chance(sim::kMillion / 4)) changed.update_key[3] ^= 1;
    return wire::encode_world(changed);
  };
  village.settle(60'000);
  village.meet(alice, bob, 60'000);
  s.must_stay(600'000, "direct", [&] { return s.direct(alice, bob); }, 1'000);
  s.with_node(alice, [&](control::Node& node, Now at, control::Effects&) {
    if (node.status(at).planet_timestamp != static_cast<std::int64_t>(planet.timestamp) ||
        node.roots().size() != 2)
      throw sim::Breach("alice has another planet");
  });
  if (!s.host(alice).disk.planet.empty()) throw sim::Breach("alice has saved another planet");
}

ORRERY_SCENE(collision_that_is_none,
             "a root tells a new node that its address is taken: whoever else accepts it decides") {
  FalseRoot liar(s, "liar", {});
  liar.collides = true;
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet());
  const HostId bob = village.member("bob", s.on_internet());
  village.settle(60'000);
  village.meet(alice, bob, 60'000);
  s.run_for(600'000);
  if (s.host(alice).collided || s.host(bob).collided)
    throw sim::Breach("a new node gave up its identity on the word of one of two roots");
  if (!s.told(alice, "another key")) throw sim::Breach("alice's operator was not told");
}

ORRERY_SCENE(all_roots_lie,
             "every root lies: who was known stays who he is and is talked to, strangers are not "
             "believed without work, and the operator is told") {
  std::map<wire::Address, wire::Identity> thieves;
  const auto names_thieves = [&](wire::Address address) -> const wire::Identity* {
    const auto known = thieves.find(address);
    return known == thieves.end() ? nullptr : &known->second;
  };
  FalseRoot one(s, "liar 1", names(names_thieves));
  FalseRoot two(s, "liar 2", names(names_thieves));
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet());
  const HostId bob = village.member("bob", s.on_internet());
  village.settle(60'000);
  village.meet(alice, bob, 60'000);
  s.run_for(60'000);
  s.power_off(village.root);  // the honest one
  for (const HostId id : {alice, bob}) {
    wire::Identity thief = sim::make_identity(s.random()).identity();
    thief.address = s.host(id).address();
    s.grant_work(thief);
    thieves[thief.address] = thief;
  }
  s.must_stay(300'000, "direct", [&] { return s.direct(alice, bob); }, 1'000);
  // With the peer gone from memory and disk it has to be asked for: only lies come back.
  s.power_off(alice);
  s.host(alice).disk.peers.clear();
  s.power_on(alice);
  s.must(120'000, "alice is told", [&] { return s.told(alice, "another key"); });
  s.must(120'000, "bob himself is heard", [&] { return s.connected(alice, bob, 1'000); });
}

}  // namespace
}  // namespace orrery::test
