// From a datagram to a verb: relaying, reassembly, armor, replay, dispatch; and packets that have
// to wait. Source: docs/protocol/00-overview.md sections 3.2 to 3.4,
// docs/protocol/04-paths-and-roots.md sections 3, 5, 8.
#include <algorithm>

#include "control/node_state.h"
#include "crypto/extended_armor.h"
#include "wire/compression.h"
#include "wire/verbs/rendezvous.h"

namespace orrery::control {

namespace {

bool may_be_clear(wire::Verb verb) {
  return verb == wire::Verb::kAck || verb == wire::Verb::kQosMeasurement ||
         verb == wire::Verb::kPathNegotiationRequest;
}

/// Copies of these over several paths are each answered, or consume what was asked.
bool repeats(wire::Verb verb) {
  return verb == wire::Verb::kHello || verb == wire::Verb::kEcho || verb == wire::Verb::kOk ||
         verb == wire::Verb::kError;
}

}  // namespace

void Node::State::limit_answer(const fib::PathKey& via, std::size_t wire_size) {
  budget = {via, 3 * static_cast<std::int64_t>(wire_size + outer_size(via.remote))};
}

wire::Reassembler& Node::State::reassembler_of(const fib::PathKey& via) {
  const Path* path = paths.find(via);
  return path != nullptr && path->references != 0 ? reassembler : stranger_reassembler;
}

void Node::State::datagram(Now now, const fib::PathKey& via, Bytes bytes, Effects& out) {
  if (Path* path = paths.find(via)) path->last_in = now.mono;
  if (bytes.size() > wire::kMaxPacket) return count(Count::kLong);
  const wire::Address self = options.identity.address();
  switch (wire::kind_of(bytes)) {
    case wire::DatagramKind::kTooShort:
      return count(Count::kShort);
    case wire::DatagramKind::kBeacon:
      return count(Count::kBeacon);
    case wire::DatagramKind::kFragment: {
      const auto header = wire::decode_fragment_header(bytes);
      if (!header || header->destination.is_reserved()) return count(Count::kAddress);
      if (header->destination != self) return relay(now, via, bytes, out);
      const KeyedHash hash{reassembly_key};
      wire::Reassembler& pieces = reassembler_of(via);
      switch (pieces.add_fragment(now.mono, hash(via), bytes)) {
        case wire::Reassembly::kComplete: {
          ByteVector whole(pieces.packet().begin(), pieces.packet().end());
          return packet(now, via, whole, whole.size(), false, out);
        }
        case wire::Reassembly::kRefused:
          return count(Count::kFragment);
        default:
          return count(Count::kParked);
      }
    }
    case wire::DatagramKind::kPacket: {
      const auto header = wire::decode_packet_header(bytes);
      if (!header || header->source.is_reserved() || header->source == self ||
          header->destination.is_reserved()) {
        return count(Count::kAddress);
      }
      if (header->destination != self) return relay(now, via, bytes, out);
      if (!header->fragmented()) {
        ByteVector copy(bytes.begin(), bytes.end());
        return packet(now, via, copy, copy.size(), false, out);
      }
      const KeyedHash hash{reassembly_key};
      wire::Reassembler& pieces = reassembler_of(via);
      switch (pieces.add_head(now.mono, hash(via), bytes)) {
        case wire::Reassembly::kComplete: {
          ByteVector whole(pieces.packet().begin(), pieces.packet().end());
          return packet(now, via, whole, whole.size(), false, out);
        }
        case wire::Reassembly::kRefused:
          return count(Count::kFragment);
        default:
          return count(Count::kParked);
      }
    }
  }
}

void Node::State::relay(Now now, const fib::PathKey& via, Bytes bytes, Effects& out) {
  if (!topology.self_is_root()) {
    const Path* path = paths.find(via);
    if (path == nullptr || !path->trusted(now.mono)) return count(Count::kRelayRefused);
  }
  ByteVector copy(bytes.begin(), bytes.end());
  if (!bump_hops(copy)) return count(Count::kHops);
  const bool head = wire::kind_of(bytes) == wire::DatagramKind::kPacket;
  const unsigned hops = head ? bytes[wire::kFlagsOffset] & wire::kHopsMask : 0;
  Reader reader(bytes);
  reader.skip(wire::kDestinationOffset);
  const wire::Address to{reader.u40()};
  Peer* source = head ? topology.find(wire::Address{reader.u40()}) : nullptr;

  Peer* destination = topology.find(to);
  if (destination != nullptr) {
    if (const PeerPath* entry = destination->best(now.mono, false)) {
      if (entry->path->key == via) return count(Count::kNoRoute);  // back to where it came from
      count(Count::kRelayed);
      emit(now, entry->path->key, std::move(copy), out);
      if (source != nullptr && source->established() && destination->established() &&
          comes_from(now, *source, via, hops)) {
        introduce(now, *source, *destination, out);
      }
      return;
    }
  }
  Peer* root = topology.best_root(now.mono);
  const PeerPath* entry = root == nullptr ? nullptr : root->best(now.mono, true);
  if (entry == nullptr || (head && root == source) || root == destination ||
      entry->path->key == via) {
    return count(Count::kNoRoute);  // back to where it came from, or round in circles
  }
  count(Count::kRelayed);
  emit(now, entry->path->key, std::move(copy), out);
  if (source != nullptr && source->established() && comes_from(now, *source, via, hops))
    introduce(now, *source, *root, out);
}

void Node::State::relayed(Now now, const fib::Relayed& event, Effects& out) {
  if (Path* path = paths.find(event.via)) path->last_in = now.mono;
  Peer* source = topology.find(event.source);
  Peer* destination = topology.find(event.destination);
  if (source == nullptr || destination == nullptr || !source->established() ||
      !destination->established() || !comes_from(now, *source, event.via, event.hops)) {
    return;
  }
  introduce(now, *source, *destination, out);
}

bool Node::State::comes_from(Now now, const Peer& source, const fib::PathKey& via,
                             unsigned hops) const {
  if (hops == 0) return source.confirmed(via, now.mono);
  // Over another root: its path is what we can know.
  return std::any_of(topology.upstreams().begin(), topology.upstreams().end(),
                     [&](const Upstream& listed) {
                       const Peer* root = topology.find(listed.identity.address);
                       return root != nullptr && root->confirmed(via, now.mono);
                     });
}

void Node::State::introduce(Now now, Peer& a, Peer& b, Effects& out) {
  const std::optional<unsigned> before = introductions.due(now.mono, a.address(), b.address());
  if (!before) return;
  const auto point = meeting_point(a, b, now.mono, *before);
  if (!point || !introduce_budget.take(now.mono)) return;
  const auto tell = [&](Peer& whom, const Path& over, const Peer& about, const Path& where) {
    std::array<std::uint8_t, 32> payload;
    Writer writer(payload);
    wire::encode_rendezvous(writer, {0, about.address(), where.key.remote});
    const wire::Suite suite = whom.suite();
    if (suite == wire::Suite::kAesGmacSiv) expand(whom);
    send_via(now, whom.keys, whom.address(), suite, over.key, wire::Verb::kRendezvous,
             writer.written(), out);
  };
  if (random_u64() % 2 == 0) {
    tell(b, *point->second, a, *point->first);
    tell(a, *point->first, b, *point->second);
  } else {
    tell(a, *point->first, b, *point->second);
    tell(b, *point->second, a, *point->first);
  }
}

void Node::State::packet(Now now, const fib::PathKey& via, MutableBytes bytes,
                         std::size_t wire_size, bool authenticated, Effects& out) {
  struct KeepBudget {
    Budget& budget;
    Budget kept;

    ~KeepBudget() { budget = kept; }
  } keep{budget, std::exchange(budget, {})};

  const auto header = wire::decode_packet_header(bytes);
  if (!header) return count(Count::kShort);
  const auto verb_on_wire = static_cast<wire::Verb>(header->verb & wire::kVerbMask);
  const unsigned cipher = header->cipher();
  if (!authenticated) {
    if (crypto::has_extended_armor(*header)) return on_extended_hello(now, via, bytes, out);
    if (cipher == 0 && verb_on_wire == wire::Verb::kHello)
      return on_hello(now, via, bytes, false, out);
    const bool known_cipher = cipher == 1 || cipher == 2 || cipher == 3;
    if (!known_cipher && !(cipher == 0 && may_be_clear(verb_on_wire))) return count(Count::kCipher);
  }
  // What workers opened they have judged, where they share our set; else it is done here, once: not
  // when it comes back from the waiting room.
  if (authenticated && options.seen == nullptr && retry_until == 0 && !repeats(verb_on_wire) &&
      seen_before(header->id, header->source)) {
    return count(Count::kReplay);
  }
  Peer* peer = topology.find(header->source);
  std::unique_ptr<Peer> candidate;
  if (peer == nullptr && cache.contains(header->source)) {
    if (authenticated) {
      peer = load_cached(now, header->source, out);
    } else {
      // Anybody can name an address of our disk: gate before the key agreement, and nothing is
      // taken from the cache before the MAC holds.
      if (!strangers.allow(now.mono, via.remote)) return count(Count::kCacheRate);
      candidate = cached_candidate(now, header->source, out);
      peer = candidate.get();
    }
  }
  if (peer == nullptr) {
    count(Count::kUnknownSender);
    request_identity(now, header->source, true, out);
    if (!waiting_budget.take(now.mono) ||
        !receives.add({via, ByteVector(bytes.begin(), bytes.end()), authenticated, wire_size,
                       header->source, now.mono + kQueueLifetime})) {
      count(Count::kReceiveExpired);
    }
    return;
  }
  if (!authenticated) {
    std::uint64_t sent_id = 0;  // as the sender chose it; 0: not known
    if (cipher == static_cast<unsigned>(wire::Suite::kTrustedPath)) {
      const std::uint64_t id = trusted_id_of(via.remote);
      if (id == 0 || id != header->mac) return count(Count::kTrustedPath);
    } else {
      if (cipher == static_cast<unsigned>(wire::Suite::kAesGmacSiv)) expand(*peer);
      crypto::DearmorJob job{bytes.data(), static_cast<std::uint32_t>(bytes.size()), &peer->keys,
                             false};
      armorer.dearmor({&job, 1});
      if (!job.ok) {
        ++peer->counts.refused;
        return count(Count::kMac);
      }
      sent_id = job.id;
    }
    if (candidate != nullptr) peer = adopt(now, std::move(candidate), out);
    if (peer == nullptr) return count(Count::kIgnored);
    const auto verb = static_cast<wire::Verb>(bytes[wire::kVerbOffset] & wire::kVerbMask);
    if (!repeats(verb)) {
      fib::ReplayWindow* window = sent_id == 0 ? nullptr : peer->window.get();
      const auto wall_ns = static_cast<std::uint64_t>(now.wall) * 1'000'000;
      if ((window != nullptr && !window->admits(sent_id, now.mono, wall_ns)) ||
          seen_before(header->id, header->source)) {
        return count(Count::kReplay);
      }
      if (window != nullptr) window->advance(sent_id, now.mono);
    }
    if (verb == wire::Verb::kHello && (bytes[wire::kVerbOffset] & wire::kVerbCompressed) == 0) {
      return on_hello(now, via, bytes, true, out);
    }
    if ((bytes[wire::kVerbOffset] & wire::kVerbCompressed) != 0 &&
        bytes.size() > wire::kHeaderSize) {
      ByteVector inflated(wire::kMaxPacket);
      const std::size_t size = wire::inflate(Bytes(bytes).subspan(wire::kHeaderSize),
                                             MutableBytes(inflated).subspan(wire::kHeaderSize));
      if (size == 0) return count(Count::kCompression);
      std::copy_n(bytes.begin(), wire::kHeaderSize, inflated.begin());
      inflated[wire::kVerbOffset] &= wire::kVerbMask;
      inflated.resize(wire::kHeaderSize + size);
      return plaintext(now, via, inflated, *peer, wire_size, out);
    }
  } else if (verb_on_wire == wire::Verb::kHello) {
    return on_hello(now, via, bytes, true, out);
  }
  plaintext(now, via, bytes, *peer, wire_size, out);
}

void Node::State::plaintext(Now now, const fib::PathKey& via, Bytes packet_bytes, Peer& peer,
                            std::size_t wire_size, Effects& out) {
  const auto header = wire::decode_packet_header(packet_bytes);
  if (!header) return;
  if (header->hops() == 0 && !peer.confirmed(via, now.mono)) limit_answer(via, wire_size);
  Incoming in{via,
              header->source,
              header->id,
              static_cast<std::uint8_t>(header->hops()),
              static_cast<wire::Verb>(header->verb & wire::kVerbMask),
              wire_size,
              packet_bytes.subspan(wire::kHeaderSize),
              &peer};
  if (retry_until == 0) {
    verbs_received.add(in.verb, in.payload);
    ++peer.counts.received;
  }
  probe_answered = false;
  woke = false;
  const Handled handled = dispatch(now, in, out);
  switch (handled) {
    case Handled::kDone:
    case Handled::kDoneTrusted:
      // Fresh credentials are what packets of this sender may have waited for.
      woke |= handled == Handled::kDoneTrusted && in.verb == wire::Verb::kNetworkCredentials;
      received_step(now, peer, via, in.hops, in.verb, handled == Handled::kDoneTrusted,
                    probe_answered, out);
      if (handled == Handled::kDoneTrusted && wire::is_frame(in.verb)) {
        in_use(now, peer, out);
        frame_passed(now, peer);
      }
      break;
    case Handled::kIgnored:
      if (counters.open()) count(Count::kIgnored);
      break;
    case Handled::kNotYet: {
      if (retry_until == 0 && !may_wait(now, peer)) return count(Count::kWaitingRate);
      if (retry_until == 0) count(Count::kWaiting);
      const Millis until = retry_until != 0 ? retry_until : now.mono + kQueueLifetime;
      if (now.mono >= until) {
        count(Count::kReceiveExpired);
      } else if (!receives.add({via, ByteVector(packet_bytes.begin(), packet_bytes.end()), true,
                                wire_size, in.source, until})) {
        count(Count::kReceiveExpired);
      }
      if (next_queue == 0 || next_queue > now.mono + kQueueRetry)
        next_queue = now.mono + kQueueRetry;
      break;
    }
  }
  if (std::exchange(woke, false) && retry_until == 0) retry_waiting(now, out);
}

bool Node::State::may_wait(Now now, Peer& peer) {
  return (peer.established() || waiting_budget.take(now.mono)) && peer.waits.take(now.mono);
}

Handled Node::State::dispatch(Now now, Incoming& in, Effects& out) {
  switch (in.verb) {
    case wire::Verb::kNop:
      return Handled::kDone;
    case wire::Verb::kHello:
      count(Count::kHelloMalformed);  // the sound ones were handled before: this was compressed
      return Handled::kIgnored;
    case wire::Verb::kOk:
      return on_ok(now, in, out);
    case wire::Verb::kError:
      return on_error(now, in, out);
    case wire::Verb::kWhois:
      return on_whois(now, in, out);
    case wire::Verb::kRendezvous:
      return on_rendezvous(now, in, out);
    case wire::Verb::kEcho:
      return on_echo(now, in, out);
    case wire::Verb::kPushDirectPaths:
      return on_push(now, in, out);
    case wire::Verb::kFrame:
    case wire::Verb::kExtFrame:
    case wire::Verb::kMulticastLike:
    case wire::Verb::kNetworkCredentials:
    case wire::Verb::kNetworkConfig:
    case wire::Verb::kMulticastGather:
    case wire::Verb::kMulticastFrame:
      if (networks != nullptr) return networks->on_packet(now, in, nullptr, out);
      count(Count::kNotHandled);
      return in.verb == wire::Verb::kMulticastFrame ? Handled::kIgnored : Handled::kDone;
    case wire::Verb::kNetworkConfigRequest: {
      if (controller != nullptr) {
        if (!in.peer->established()) {
          // The controller speaks with proven members only; the proof is a matter of milliseconds.
          check_work(*in.peer, out);
          return Handled::kNotYet;
        }
        controller->on_config_request(now, in, out);
        return Handled::kDone;
      }
      if (in.payload.size() < 8) {
        count(Count::kMalformed);
        return Handled::kIgnored;
      }
      std::array<std::uint8_t, 18> payload;
      Writer writer(payload);
      wire::encode_error(
          writer,
          {static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest), in.packet_id,
           static_cast<std::uint8_t>(wire::ErrorCode::kUnsupportedOperation), in.payload.first(8)});
      reply(now, in, wire::Verb::kError, payload, out);
      return Handled::kDone;
    }
    case wire::Verb::kAck:
    case wire::Verb::kQosMeasurement:
    case wire::Verb::kPathNegotiationRequest:
      count(Count::kNotHandled);  // bonding measurements: without a bond they mean nothing
      return Handled::kIgnored;
    case wire::Verb::kUserMessage:
    case wire::Verb::kRemoteTrace:
      count(Count::kNotHandled);
      return Handled::kDone;
  }
  count(Count::kNotHandled);
  return Handled::kDone;  // unknown verbs count as received
}

Handled Node::State::on_ok(Now now, Incoming& in, Effects& out) {
  const auto ok = wire::decode_ok(in.payload);
  if (!ok) {
    count(Count::kMalformed);
    return Handled::kIgnored;
  }
  const auto verb = static_cast<wire::Verb>(ok->in_re_verb);
  const std::optional<Expectation> asked = replies.match(ok->in_re_id, verb, in, now.mono);
  if (!asked) {
    count(Count::kUnsolicited);
    return Handled::kIgnored;
  }
  switch (verb) {
    case wire::Verb::kHello:
      probe_answered = in.hops == 0 && asked->path;
      probe_succeeded(now, in, *asked, out);
      if (probe_answered && asked->context != 0) size_answered(now, in, asked->context, out);
      return on_hello_ok(now, in, *ok, out);
    case wire::Verb::kEcho:
      probe_answered = in.hops == 0 && asked->path;
      probe_succeeded(now, in, *asked, out);
      if (asked->context != 0) ping_answered(now, in, asked->context);
      return Handled::kDone;
    case wire::Verb::kWhois:
      on_whois_ok(now, *asked, ok->rest, out);
      woke = true;
      return Handled::kDone;
    default: {
      if (networks == nullptr) return Handled::kDone;
      const Answered answered{verb, asked->context};
      return networks->on_packet(now, in, &answered, out);
    }
  }
}

Handled Node::State::on_error(Now now, Incoming& in, Effects& out) {
  const auto error = wire::decode_error(in.payload);
  if (!error) {
    count(Count::kMalformed);
    return Handled::kIgnored;
  }
  const auto verb = static_cast<wire::Verb>(error->in_re_verb);
  const std::optional<Expectation> asked = replies.match(error->in_re_id, verb, in, now.mono);
  if (error->code == static_cast<std::uint8_t>(wire::ErrorCode::kIdentityCollision)) {
    if (asked) {
      on_collision(now, in, *asked, out);
    } else {
      count(Count::kUnsolicited);
    }
    return Handled::kDone;
  }
  if (networks == nullptr) return Handled::kDone;
  const Answered answered{verb, asked ? asked->context : 0};
  return networks->on_packet(now, in, asked ? &answered : nullptr, out);
}

void Node::State::retry_waiting(Now now, Effects& out) {
  if (receives.empty() || retry_until != 0) return;
  const bool open = counters.suspend();
  for (WaitingReceive& waiting : receives.take()) {
    if (topology.find(waiting.from) == nullptr) {
      if (now.mono >= waiting.until) {
        count(Count::kReceiveExpired);
      } else {
        request_identity(now, waiting.from, true, out);
        receives.put_back(std::move(waiting));
      }
      continue;
    }
    // A handler that is still not content puts the packet back, with the time it had.
    retry_until = waiting.until;
    packet(now, waiting.via, waiting.packet, waiting.wire_size, waiting.authenticated, out);
    counters.suspend();
    retry_until = 0;
  }
  counters.resume(open);
}

}  // namespace orrery::control
