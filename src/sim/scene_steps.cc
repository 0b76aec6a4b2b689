// What follows when a node has answered an event with effects: they are carried out as the daemon
// does it, and the watch looks at all of it.
#include "control/controller/controller.h"
#include "control/network.h"
#include "sim/scene.h"

namespace orrery::sim {

namespace {

std::uint64_t pair_of(HostId from, HostId at) {
  return std::uint64_t{from} << 32 | at;
}

/// Keeps the room: most inputs have effects of the same few kinds.
void empty(control::Effects& effects) {
  effects.datagrams.clear();
  effects.frames.clear();
  effects.updates.clear();
  effects.saves.clear();
  effects.validations.clear();
  effects.ports.clear();
  effects.blocks.clear();
  effects.notices.clear();
  effects.identity_collided = false;
}

constexpr std::size_t kMostNotices = 256;  // kept of one host; later ones count in the transcript

}  // namespace

void Scene::with_node(HostId id,
                      const std::function<void(control::Node&, Now, control::Effects&)>& act) {
  act(*hosts_[id].node, now_of(id), effects_);
  settle(id, {});
}

void Scene::settle(HostId id, const Watch::Cause& cause, const After* after) {
  Host& h = hosts_[id];
  bool asked_again = after == nullptr || h.controller != nullptr;
  try {
    // What is refused asks for more at once.
    for (unsigned turns = 0;; ++turns) {
      if (h.controller != nullptr) commit(id);
      if (effects_.empty()) break;
      if (turns > 16) throw Breach("one input has effects without end");
      std::swap(effects_, carried_out_);
      asked_again |= carry_out(id, carried_out_, cause);
      empty(carried_out_);
    }
    const After now = asked_again ? After{h.node->next_deadline(), h.node->table_sizes()} : *after;
    if (options_.watched) watch_.tables(now.tables, h.options.limits, h.given_pins);
    arm(id, now.deadline);
  } catch (const Breach& breach) {
    throw Breach("at " + std::to_string(now_ / 1'000) + " ms, " + h.name + ": " + breach.what());
  }
}

bool Scene::carry_out(HostId id, control::Effects& out, const Watch::Cause& cause) {
  Host& h = hosts_[id];
  bool asked_again = false;
  bool ids_covered = true;
  for (const control::SaveState& state : out.saves) {
    if (state.kind == control::StateKind::kNonce && h.disk_full) {
      ids_covered &= h.node->on_save_failed(now_of(id), state, effects_);
      asked_again = true;
    } else {
      save(id, state);
    }
  }
  if (ids_covered) {
    for (control::Datagram& datagram : out.datagrams) emit(id, datagram, cause);
  }
  for (const control::DeliverFrame& frame : out.frames) deliver(id, frame, cause);
  for (const control::ValidateIdentity& job : out.validations) {
    if (h.proofs >= options_.proof_room) {
      h.node->on_validation_refused(now_of(id), job.identity, effects_);
      asked_again = true;
      continue;
    }
    ++h.proofs;
    queue_.push(now_ + micros(options_.proof_delay), Event::Kind::kProof,
                proofs_.put({id, h.run, job.identity}));
  }
  for (control::Notice& notice : out.notices) {
    transcript_.event(now_, id, notice.text);
    if (h.notices.size() < kMostNotices) h.notices.push_back(std::move(notice));
  }
  if (out.identity_collided) {
    transcript_.event(now_, id, "gives up its identity");
    h.collided = true;
  }
  return asked_again;
}

void Scene::commit(HostId id) {
  Host& h = hosts_[id];
  std::vector<control::StoreWrite> writes = h.controller->take_writes();
  if (writes.empty()) return;
  if (h.disk_full) return h.controller->on_refused(std::move(writes));
  h.controller->on_committed(now_of(id), h.controller->written(), effects_);
  if (!h.options.keep_disk) return;
  for (control::StoreWrite& write : writes) {
    if (write.json.empty()) {
      h.disk.records.erase({write.network, write.member});
    } else {
      h.disk.records[{write.network, write.member}] = std::move(write.json);
    }
  }
}

void Scene::save(HostId id, const control::SaveState& state) {
  Host& h = hosts_[id];
  Disk& disk = h.disk;
  const auto keep = [&](auto& files, auto key) {
    if (state.remove) {
      files.erase(key);
    } else {
      files[key] = state.bytes;
    }
  };
  switch (state.kind) {
    case control::StateKind::kNonce:
      disk.nonce = load_be64(state.bytes.data());
      return;
    case control::StateKind::kAccepted:
      disk.accepted = true;
      return;
    case control::StateKind::kPlanet:
      disk.planet = state.bytes;
      return;
    case control::StateKind::kMoon:
      return keep(disk.moons, state.id);
    case control::StateKind::kPin: {
      if (!h.options.keep_disk) return;
      const auto known = disk.pins.find(wire::Address{state.id});
      if (known != disk.pins.end()) {
        watch_.pinned(known->first, known->second, state.bytes);
        return;
      }
      std::copy_n(state.bytes.begin(), 48, disk.pins[wire::Address{state.id}].begin());
      return;
    }
    case control::StateKind::kPeer:
      if (h.options.keep_disk) keep(disk.peers, wire::Address{state.id});
      return;
    case control::StateKind::kNetwork:
      if (h.options.keep_disk) keep(disk.networks, wire::NetworkId{state.id});
      return;
    case control::StateKind::kIdentity:
    case control::StateKind::kNetworkLocal:
    case control::StateKind::kPinByHand:
      return;  // the scene itself knows them
    case control::StateKind::kIdentityLog:
      return;  // nobody reads it
  }
}

void Scene::emit(HostId id, control::Datagram& datagram, const Watch::Cause& cause) {
  Host& h = hosts_[id];
  for (const Host::Socket& socket : h.sockets) {
    if (datagram.via.socket != 0 && datagram.via.socket != socket.local.socket) continue;
    if (socket.local.address.family != datagram.via.remote.family) continue;
    if (options_.watched)
      watch_.spoke(id, h.address(), cause, datagram.via.remote, datagram.payload, frames_);
    ++h.datagrams_out;
    h.bytes_out += datagram.payload.size();
    Flight flight;
    flight.from = socket.local.address;
    flight.to = datagram.via.remote;
    if (datagram.via.socket != 0) {
      flight.payload = std::move(datagram.payload);
    } else {
      flight.payload = datagram.payload;
    }
    flight.origin = id;
    flight.ttl = datagram.ttl;
    flight.whole = datagram.whole;
    internet_.send(now_, socket.line, std::move(flight));
  }
}

void Scene::deliver(HostId id, const control::DeliverFrame& frame, const Watch::Cause& cause) {
  const Frames::Verdict verdict =
      frames_.received(now_, id, frame.network, frame.destination, frame.ethertype, frame.payload,
                       cause.datagram == nullptr ? kNobody : cause.datagram->origin);
  if (!verdict.wrong.empty()) throw Breach(verdict.wrong);
  if (verdict.sent == nullptr) return;
  if (!is_member(id, frame.network)) throw Breach("a frame comes out at a host that is no member");
  if (!verdict.sent->to.is_multicast() &&
      frame.destination != wire::mac_of(hosts_[id].address(), frame.network))
    throw Breach("a frame comes out at another host than its own");
  transcript_.event(now_, id, "gets a frame of " + std::to_string(frame.payload.size()) + " bytes");
  Heard& newest = heard_[pair_of(verdict.sent->from, id)];
  if (verdict.sent->at < newest.sent) return;
  newest = {verdict.sent->at, now_, verdict.sent->receipts.back().direct};
}

void Scene::arm(HostId id, Millis deadline) {
  Host& h = hosts_[id];
  if (deadline == INT64_MAX) return;
  const Micros at = std::max(micros(deadline - h.mono_offset), now_);
  if (h.timer_at != 0 && h.timer_at <= at) return;
  h.timer_at = at;
  queue_.push(at, Event::Kind::kTimer, id);
}

void Scene::send(HostId from, const wire::Endpoint& to, ByteVector payload) {
  Flight flight;
  flight.from = hosts_[from].sockets.front().local.address;
  flight.to = to;
  flight.payload = std::move(payload);
  flight.origin = from;
  internet_.send(now_, hosts_[from].sockets.front().line, std::move(flight));
}

void Scene::send_spoofed(HostId by, const wire::Endpoint& from, const wire::Endpoint& to,
                         ByteVector payload) {
  const HostId target = internet_.whose(to);
  if (target != kNobody) watch_.lies(target, from);
  Flight flight;
  flight.from = from;
  flight.to = to;
  flight.payload = std::move(payload);
  flight.origin = by;
  internet_.send(now_, hosts_[by].sockets.front().line, std::move(flight));
}

}  // namespace orrery::sim
