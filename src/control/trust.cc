// Whom we believe to be who: pins of first use and by hand, what two roots must agree on, alarms
// and the log of keys. Source: docs/architecture.md, "Trust"; security 2.1, 2.2.
#include "control/node_state.h"
#include "crypto/kdf.h"

namespace orrery::control {

void Node::State::alarm(Now now, AlarmKind kind, wire::Address about, wire::Address by,
                        std::string text, Effects& out) {
  count(Count::kAlarm);
  if (alarms.raise(kind, about, by, now)) notice(now, Notice::Level::kAlarm, std::move(text), out);
}

void Node::State::log_key(Now now, wire::Address address, KeyEvent event,
                          const Fingerprint& fingerprint, wire::Address by, Effects& out) {
  const std::string line = key_event_line(now.wall, address, event, fingerprint, by);
  out.saves.push_back(
      {StateKind::kIdentityLog, ++logged_keys, ByteVector(line.begin(), line.end()), false});
}

bool Node::State::pin_allows(Now now, const wire::Identity& identity, Effects& out, AlarmKind kind,
                             wire::Address by) {
  const auto pin = pins.find(identity.address);
  if (pin == pins.end()) return true;
  const Fingerprint shown = crypto::fingerprint(identity);
  if (pin->second == shown) return true;
  count(Count::kPinMismatch);
  refuse_key(now, identity, kind, by, "refused another key for pinned address ", out);
  return false;
}

void Node::State::refuse_key(Now now, const wire::Identity& identity, AlarmKind kind,
                             wire::Address by, const char* what, Effects& out) {
  alarm(now, kind, identity.address, by,
        what + wire::to_string(identity.address) + (by ? " from " + wire::to_string(by) : ""), out);
  if (refusal_log_budget.take(now.mono))
    log_key(now, identity.address, KeyEvent::kRefused, crypto::fingerprint(identity), by, out);
}

bool Node::State::pinned(const wire::Identity& identity) const {
  const auto known = pins.find(identity.address);
  return known != pins.end() && known->second == crypto::fingerprint(identity);
}

void Node::State::pin_first_use(Now now, Peer& peer, Effects& out) {
  peer.pinned = true;
  if (pins.contains(peer.address()) || pins.size() >= options.limits.peers) return;
  const Fingerprint fingerprint = crypto::fingerprint(peer.identity);
  pins.emplace(peer.address(), fingerprint);
  out.saves.push_back({StateKind::kPin, peer.address().value,
                       ByteVector(fingerprint.begin(), fingerprint.end()), false});
  // A root meets everybody: its log would be a copy of its peer store.
  if (!topology.self_is_root()) log_key(now, peer.address(), KeyEvent::kSeen, fingerprint, {}, out);
}

void Node::State::pin_by_hand(Now now, wire::Address address, const Fingerprint& fingerprint,
                              Effects& out) {
  const auto [place, fresh] = pins.try_emplace(address, fingerprint);
  if (!fresh && place->second == fingerprint) return;
  place->second = fingerprint;
  out.saves.push_back({StateKind::kPinByHand, address.value,
                       ByteVector(fingerprint.begin(), fingerprint.end()), false});
  log_key(now, address, KeyEvent::kPinned, fingerprint, {}, out);
  forget_cached_other(address);
  Peer* const peer = topology.find(address);
  if (peer == nullptr) return;
  if (pinned(peer->identity)) {
    peer->pinned = true;
    establish(now, *peer, out);
    return;
  }
  forget(now, *peer, out);
  forget_cached_other(address);
  refresh_upstreams(now, out);
}

void Node::State::forget_cached_other(wire::Address address) {
  const std::optional<CachedPeer> cached = read_cached(address);
  if (cached && !pinned(cached->identity)) cache.erase(address);
}

bool Node::State::unpin(Now now, wire::Address address, Effects& out) {
  const auto known = pins.find(address);
  if (known == pins.end()) return false;
  log_key(now, address, KeyEvent::kUnpinned, known->second, {}, out);
  pins.erase(known);
  // Wherever it stands.
  out.saves.push_back({StateKind::kPin, address.value, {}, true});
  out.saves.push_back({StateKind::kPinByHand, address.value, {}, true});
  if (Peer* peer = topology.find(address)) peer->pinned = false;
  return true;
}

bool Node::State::roots_agree(Now now, const wire::Identity& identity, wire::Address by,
                              Effects& out) {
  if (!options.strict) return true;
  const auto wanted = lookups.find(identity.address);
  if (wanted == lookups.end()) {
    count(
        Count::kWhoisUnconfirmed);  // too late: nobody waits, and nobody is asked for a second word
    return false;
  }
  Lookup& lookup = wanted->second;
  if (!lookup.claimed || lookup.claimed_by == by) {
    lookup.claimed = identity;
    lookup.claimed_by = by;
    count(Count::kWhoisUnconfirmed);
    ask_whois(now, identity.address, lookup, out);
    return false;
  }
  if (*lookup.claimed == identity) return true;
  count(Count::kWhoisDisputed);
  // Which of the two lies is not known.
  refuse_key(now, identity, AlarmKind::kRootsDisagree, {}, "two roots disagree on the key of ",
             out);
  lookup.claimed.reset();
  return false;
}

}  // namespace orrery::control
