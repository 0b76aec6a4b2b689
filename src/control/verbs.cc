// WHOIS, RENDEZVOUS, ECHO, PUSH_DIRECT_PATHS: the verbs by which nodes find each other.
// Source: docs/protocol/03-verbs.md 0x04, 0x05, 0x08, 0x10; docs/protocol/04-paths-and-roots.md
// sections 3, 6, 11, 15.
#include <algorithm>
#include <set>

#include "control/node_state.h"
#include "crypto/kdf.h"
#include "wire/verbs/push_direct_paths.h"
#include "wire/verbs/rendezvous.h"
#include "wire/verbs/whois.h"

namespace orrery::control {

namespace {

constexpr Millis kWhoisGate = 100;        // between answers of a leaf to one peer
constexpr std::size_t kMostAnswers = 16;  // identities in one answer: 1136 bytes, one datagram
// Proofs of WHOIS answers under way, half of them for strangers' sake: at 25 ms each about 2 s of
// work. What finds no room is asked again while somebody waits for it.
constexpr std::size_t kMostUnproven = 96;
constexpr Millis kEchoGate = 166;        // between answers over one path
constexpr Millis kPushDirect = 120'000;  // between pushes when packets come directly
constexpr Millis kPushRelayed = 15'000;
// One of ours has one port behind its NAT. Others of the same host that it was not heard over for
// longer than the keep-alive of any path are somebody else's by now, whose packets make the path
// look alive.
constexpr Millis kPortGone = 30'000;

bool drop_old_ports(Peer& peer, const fib::PathKey& via, Millis now) {
  bool dropped = false;
  for (std::size_t i = 0; i < peer.paths.size();) {
    const PeerPath& entry = peer.paths[i];
    const fib::PathKey& key = entry.path->key;
    const bool old = key.socket == via.socket && key.remote.same_ip(via.remote) && key != via &&
                     now - entry.last_authenticated >= kPortGone;
    if (old) peer.drop_path(i);
    dropped |= old;
    if (!old) ++i;
  }
  return dropped;
}

}  // namespace

std::optional<wire::Identity> Node::State::known_identity(wire::Address address) const {
  if (address == options.identity.address()) return options.identity.identity();
  if (const Peer* peer = topology.find(address)) {
    if (peer->established()) return peer->identity;
    return std::nullopt;
  }
  const std::optional<CachedPeer> cached = read_cached(address);
  return cached && pinned(cached->identity) ? std::optional(cached->identity) : std::nullopt;
}

Handled Node::State::on_whois(Now now, Incoming& in, Effects& out) {
  if (in.payload.size() < wire::Address::kSize) {
    count(Count::kMalformed);
    return Handled::kIgnored;
  }
  Peer& peer = *in.peer;
  if (topology.self_is_root()) {
    if (!peer.whois.take(now.mono)) {
      count(Count::kWhoisRate);
      return Handled::kIgnored;
    }
  } else {
    if (peer.last_whois != 0 && now.mono - peer.last_whois < kWhoisGate) {
      count(Count::kWhoisRate);
      return Handled::kIgnored;
    }
    peer.last_whois = now.mono;
  }
  const bool confirmed = in.hops > 0 || peer.confirmed(in.via, now.mono);
  const std::size_t most = confirmed ? kMostAnswers : 1;
  std::set<wire::Address> asked;
  std::array<std::uint8_t, 9 + kMostAnswers * wire::Identity::kWireSize> buffer;
  Writer writer(buffer);
  wire::encode_ok(writer, {static_cast<std::uint8_t>(wire::Verb::kWhois), in.packet_id, {}});
  std::size_t found = 0;
  wire::for_each_whois_address(in.payload, [&](wire::Address address) {
    if (asked.size() >= kMostAnswers || !asked.insert(address).second) return;
    const std::optional<wire::Identity> identity = known_identity(address);
    if (!identity) {
      const std::optional<CachedPeer> cached = read_cached(address);
      if (cached && !pins.contains(address)) {
        prove_later(cached->identity, true, out);  // named when it holds and he asks again
      } else {
        request_identity(now, address, true, out);
      }
    } else if (found < most) {
      wire::write_identity(writer, *identity);
      ++found;
    }
  });
  if (found != 0) reply(now, in, wire::Verb::kOk, writer.written(), out);
  return Handled::kDone;
}

void Node::State::on_whois_ok(Now now, const Expectation& asked, Bytes rest, Effects& out) {
  // Our requests name one address, so only the first identity can be the answer.
  Reader reader(rest);
  auto parsed = wire::read_identity(reader);
  if (!parsed) return count(Count::kMalformed);
  burn(parsed->private_key);
  const wire::Identity& identity = parsed->identity;
  if (identity.address.value != asked.context || identity.address.is_reserved()) {
    return count(Count::kWhoisRefused);
  }
  if (const Peer* known = topology.find(identity.address)) {
    if (known->identity == identity && asked.from == identity.address)
      root_answers[asked.from].whois = now.mono;
    if (known->identity != identity && known->established()) {
      count(Count::kWhoisRefused);
      refuse_key(now, identity, AlarmKind::kRootNamesOtherKey, asked.from,
                 "a root names another key for known peer ", out);
    }
    return;
  }
  if (!pin_allows(now, identity, out, AlarmKind::kRootNamesOtherKey, asked.from)) return;
  if (pins.contains(identity.address)) {
    // Its work was checked when it was pinned.
    if (add_peer(now, identity, Peer::Standing::kEstablished, out) == nullptr) return;
    lookups.erase(identity.address);
    if (networks != nullptr) networks->on_identity(now, identity, out);
    retry_sends(now, out);
    return;  // waiting packets are run by the caller, when this one is through
  }
  if (!roots_agree(now, identity, asked.from, out)) return;
  const auto lookup = lookups.find(identity.address);
  prove_later(identity, lookup == lookups.end() || lookup->second.stranger, out);
}

void Node::State::prove_later(const wire::Identity& identity, bool stranger, Effects& out) {
  const auto known = unproven.find(identity.address);
  if (known != unproven.end() && known->second == identity) return;
  if (known == unproven.end() &&
      unproven.size() >= (stranger ? kMostUnproven / 2 : kMostUnproven)) {
    return count(Count::kTableFull);
  }
  unproven.insert_or_assign(identity.address, identity);
  ask_proof(identity, out);
}

Handled Node::State::on_rendezvous(Now now, Incoming& in, Effects& out) {
  const auto decoded = wire::decode_rendezvous(in.payload);
  if (!decoded) {
    count(Count::kMalformed);
    return Handled::kIgnored;
  }
  Peer* peer = topology.find(decoded->with);
  if (peer == nullptr && topology.is_upstream(*in.peer) &&
      decoded->with != options.identity.address() && !decoded->with.is_reserved()) {
    // Whoever is introduced hears of it together with the other's first packet, and is about to
    // learn who that is. The root will not say it again for half a minute.
    request_identity(now, decoded->with, true, out);
    return Handled::kNotYet;
  }
  if (peer == nullptr || !topology.is_upstream(*in.peer) ||
      !offered(now, *peer, decoded->endpoint, CandidateSource::kRendezvous)) {
    count(Count::kRendezvousRefused);
    return Handled::kDone;
  }
  const fib::PathKey target{in.via.socket, decoded->endpoint};
  if (is_tunnel(target.socket) && !tunnel_reaches(target.remote)) return Handled::kDone;
  if (!is_tunnel(target.socket)) {
    ByteVector junk(4);
    node.random(junk);
    // Opens our NAT and dies on the way; IPv6 keeps its hop limit.
    emit(now, target, std::move(junk), out, decoded->endpoint.family == 4 ? 2 : 0);
  }
  contact(now, *peer, target, false, out);
  ask_again_later(now, *peer, target);
  predict_later(now, *peer, target, out);
  return Handled::kDone;
}

Handled Node::State::on_echo(Now now, Incoming& in, Effects& out) {
  in.peer->sends_echo = true;
  Path* path = paths.find(in.via);
  bool allowed = false;
  if (in.hops > 0) {
    allowed = in.peer->echoes.take(now.mono);  // the path is shared by all whom the root relays
  } else if (path != nullptr) {
    allowed = path->last_echo_answer == 0 || now.mono - path->last_echo_answer >= kEchoGate;
    if (allowed) path->last_echo_answer = path->last_in = now.mono;
  } else {
    // A peer has any number of source ports; none of them earns a record by asking.
    allowed = echoes.allow(now.mono, kEchoGate, in.via, {}) && in.peer->echoes.take(now.mono);
  }
  if (!allowed) {
    count(Count::kEchoRate);
    return Handled::kIgnored;
  }
  ByteVector payload(9 + in.payload.size());
  Writer writer(payload);
  wire::encode_ok(writer, {static_cast<std::uint8_t>(wire::Verb::kEcho), in.packet_id, in.payload});
  // Always answered, or hole punching dies; it is never larger than three times the request.
  const Budget kept = std::exchange(budget, {});
  reply(now, in, wire::Verb::kOk, payload, out);
  budget = kept;
  return Handled::kDone;
}

bool Node::State::offered(Now now, Peer& peer, const wire::Endpoint& endpoint,
                          CandidateSource source) {
  CandidateVerdict verdict = judge_path(peer, endpoint);
  // An operator may name what nobody else may, but not what is no way at all.
  if (source == CandidateSource::kHint && verdict != CandidateVerdict::kOverlay)
    verdict = CandidateVerdict::kProbed;
  if (verdict == CandidateVerdict::kProbed) {
    using enum CandidateSource;
    const bool room = source == kPush ? probes.allow(now.mono, peer, endpoint)
                                      : (source != kRendezvous || peer.introduced.take(now.mono)) &&
                                            probes.allow_target(now.mono, endpoint);
    if (!room) verdict = CandidateVerdict::kRate;
  }
  if (verdict == CandidateVerdict::kOverlay) count(Count::kOverlayRefused);
  if (verdict == CandidateVerdict::kRate && source == CandidateSource::kPush)
    count(Count::kProbeRefused);
  peer.candidates.note({endpoint, source, verdict, now.mono});
  return verdict == CandidateVerdict::kProbed;
}

Handled Node::State::on_push(Now now, Incoming& in, Effects& out) {
  Peer& peer = *in.peer;
  if (!accept_push(now.mono, peer)) {
    count(Count::kPushRefused);
    return Handled::kDone;
  }
  constexpr unsigned kPerScope = 8;
  unsigned taken[2][8] = {};
  const bool whole = wire::for_each_direct_path(in.payload, [&](const wire::DirectPath& path) {
    // A redirect is probed like the rest: no path is used before it has answered.
    if ((path.flags & wire::DirectPath::kForget) != 0) {
      peer.candidates.note(
          {path.endpoint, CandidateSource::kPush, CandidateVerdict::kForgotten, now.mono});
      return;
    }
    const bool known =
        std::any_of(peer.paths.begin(), peer.paths.end(), [&](const PeerPath& entry) {
          return entry.path->key.remote == path.endpoint && entry.unexpired(now.mono);
        });
    if (known) return;
    unsigned& count_of_scope = taken[path.endpoint.family == 6 ? 1 : 0]
                                    [static_cast<std::size_t>(wire::scope_of(path.endpoint)) & 7];
    if (count_of_scope >= kPerScope) return;
    if (!offered(now, peer, path.endpoint, CandidateSource::kPush)) return;
    ++count_of_scope;
    contact(now, peer, {0, path.endpoint}, false, out);
  });
  if (!whole) count(Count::kMalformed);
  return Handled::kDone;
}

void Node::State::push_paths(Now now, Peer& peer, const fib::PathKey& via, Effects& out) {
  std::vector<wire::Endpoint> addresses;
  const auto add = [&](const wire::Endpoint& endpoint) {
    if (usable_as_path(endpoint) &&
        std::find(addresses.begin(), addresses.end(), endpoint) == addresses.end()) {
      addresses.push_back(endpoint);
    }
  };
  for (const LocalEndpoint& local : locals) {
    if (networks == nullptr || !networks->is_managed_ip(local.address)) add(local.address);
  }
  for (const wire::Endpoint& endpoint : mapped) add(endpoint);
  for (const wire::Endpoint& endpoint : surface.endpoints()) add(endpoint);
  const wire::Suite suite = peer.suite();
  if (suite == wire::Suite::kAesGmacSiv) expand(peer);
  for (const ByteVector& payload : make_pushes(addresses)) {
    send_via(now, peer.keys, peer.address(), suite, via, wire::Verb::kPushDirectPaths, payload,
             out);
  }
}

void Node::State::probe_unknown(Now now, Peer& peer, const fib::PathKey& via, Effects& out) {
  constexpr Millis kProbeInterval = 1'001;  // more than a second
  if (!unknown_probes.allow(now.mono, kProbeInterval, via, peer.address())) return;
  contact(now, peer, via, false, out);
}

void Node::State::received_step(Now now, Peer& peer, const fib::PathKey& via, unsigned hops,
                                wire::Verb verb, bool trusted, bool confirmed, Effects& out) {
  peer.last_receive = now.mono;
  peer.traffic = true;
  if (!is_tunnel(via.socket) && wire::scope_of(via.remote) == wire::IpScope::kGlobal)
    last_global = now.mono;
  // From now on its record can be made again. Only a root has so many that it matters: others may
  // still want to know what its further paths carry.
  if (topology.self_is_root() && peer.established() && !peer.from_cache.empty())
    ByteVector().swap(peer.from_cache);
  if (!peer.pinned && peer.established()) pin_first_use(now, peer, out);
  switch (verb) {
    case wire::Verb::kFrame:
    case wire::Verb::kExtFrame:
    case wire::Verb::kNetworkConfigRequest:
    case wire::Verb::kNetworkConfig:
    case wire::Verb::kMulticastFrame:
      peer.last_nontrivial = now.mono;
      break;
    default:
      break;
  }
  Path* path = paths.find(via);
  if (path != nullptr) path->last_in = now.mono;
  if (trusted) {
    peer.last_trust = now.mono;
    if (path == nullptr) path = paths.obtain(via);
    if (path != nullptr) path->last_trust = path->last_in = now.mono;
  }
  if (hops == 0) {
    bool have = false;
    for (PeerPath& entry : peer.paths) {
      const fib::PathKey& key = entry.path->key;
      if (key == via) {
        // Only an answer brings back a path that was reset.
        if (entry.last_authenticated != 0 || confirmed) entry.last_authenticated = now.mono;
        heard_directly(now, peer, entry);
        have = true;
        break;
      }
      if (peer.keeps_port(entry, via, now.mono)) {
        have = true;
        break;
      }
    }
    if (have && peer.features && peer.paths.size() > 1 && drop_old_ports(peer, via, now.mono)) {
      peer.reconsider(now.mono);
      route_changed(now, peer, out);
    }
    const CandidateVerdict verdict =
        have ? CandidateVerdict::kProbed : judge_path(peer, via.remote);
    // A root hears of too many to remember those of whom there is nothing to say.
    if (!have && (verdict != CandidateVerdict::kProbed || !topology.self_is_root()))
      peer.candidates.note({via.remote, CandidateSource::kHeard, verdict, now.mono});
    if (!have && verdict == CandidateVerdict::kProbed) {
      if (confirmed) {
        if (Path* learned = paths.obtain(via)) {
          learned->last_in = now.mono;
          peer.learn(learned, now.mono);
          path_learned(now, peer, via, out);
          if (budget.path == via) budget = {};
        } else {
          count(Count::kTableFull);
        }
      } else {
        heard_from_port(now, peer, via);
        probe_unknown(now, peer, via, out);
      }
    }
  } else {
    heard_relayed(now, peer);
  }
  if (peer.trusted(now.mono)) {
    const Millis interval =
        (hops == 0 ? kPushDirect : kPushRelayed) * (options.low_bandwidth ? 16 : 1);
    if (peer.last_push_sent == 0 || now.mono - peer.last_push_sent >= interval) {
      peer.last_push_sent = now.mono;
      push_paths(now, peer, via, out);
    }
  }
  publish(now, peer, out);
}

}  // namespace orrery::control
