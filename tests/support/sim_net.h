// A tiny deterministic network for tests with several nodes in hand: one clock, one seed, one queue
// of datagrams.
//
// Every host has some endpoints; a datagram arrives `latency` after it was sent at whoever owns its
// destination. `allow` decides what passes; `tap` sees everything. Proof of work is checked with
// the real function, `work_delay` later, results are remembered across networks. Clocks of all
// hosts agree.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "control/node.h"
#include "crypto/identity_work.h"
#include "wire/world.h"

namespace orrery::test {

/// One node with its place in the network and everything that it asked of the world.
struct SimHost {
  std::string name;
  std::vector<control::LocalEndpoint> sockets;
  std::unique_ptr<control::Node> node;
  control::Effects effects;  // of the input in hand; emptied by SimNet::settle
  std::vector<control::Notice> notices;
  std::vector<fib::Update> updates;
  std::vector<control::DeliverFrame> frames;
  std::vector<control::ConfigurePort> ports;
  std::vector<control::SaveState> saves;
  std::size_t validations = 0;
  bool collided = false;
  bool disk_full = false;  // marks of packet ids cannot be saved
  std::mt19937_64 random;

  [[nodiscard]] wire::Address address() const { return node->self().address(); }

  [[nodiscard]] std::uint64_t counter(const std::string& label) const {
    for (const auto& [name_of, value] : node->counters()) {
      if (label == name_of) return value;
    }
    throw std::runtime_error("no counter " + label);
  }

  /// What the node says of a peer, or nothing.
  [[nodiscard]] std::optional<control::PeerStatus> peer(Now now,
                                                        wire::Address address_of_peer) const {
    for (control::PeerStatus& status : node->peers(now)) {
      if (status.identity.address == address_of_peer) return std::move(status);
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_direct_path(Now now, wire::Address to) const {
    const auto status = peer(now, to);
    return status &&
           std::any_of(status->paths.begin(), status->paths.end(),
                       [](const control::PathStatus& p) { return p.active && !p.expired; });
  }
};

class SimNet {
 public:
  struct Flight {
    Millis at = 0;
    wire::Endpoint from, to;
    ByteVector payload;
  };

  Now now{1'000'000, 1'700'000'000'000};
  Millis latency = 5;
  Millis work_delay = 30;
  std::size_t work_room = SIZE_MAX;  // proofs of work under way, all hosts; more are refused
  std::function<bool(const Flight&)> allow = [](const Flight&) { return true; };
  std::function<void(const Flight&)> tap = [](const Flight&) {};

  /// A host with one socket per endpoint. Options need identity, planet and the like; entropy is
  /// given here.
  SimHost& add(std::string name, control::NodeOptions options,
               const std::vector<wire::Endpoint>& endpoints) {
    auto host = std::make_unique<SimHost>();
    SimHost* h = host.get();
    h->name = std::move(name);
    h->random.seed(hosts_.size() + 1);
    options.entropy = [h](MutableBytes bytes) {
      for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(h->random());
    };
    options.limits = small(options.limits);
    for (const wire::Endpoint& endpoint : endpoints)
      h->sockets.push_back({next_socket_++, endpoint});
    h->node = std::make_unique<control::Node>(std::move(options));
    hosts_.push_back(std::move(host));
    return *h;
  }

  /// Call after Node::attach, or at once.
  void start(SimHost& host) {
    host.node->on_local_endpoints(now, host.sockets, host.effects);
    settle(host);
  }

  /// The host is gone: its datagrams fall on the floor. The node may be taken out before.
  void remove(SimHost& host) {
    std::erase_if(hosts_, [&](const auto& h) { return h.get() == &host; });
  }

  /// Carries out what an input of the host's node asked for.
  void settle(SimHost& host) {
    control::Effects out = std::exchange(host.effects, {});
    bool ids_covered = true;
    for (const control::SaveState& save : out.saves) {
      if (save.kind == control::StateKind::kNonce && host.disk_full)
        ids_covered &= host.node->on_save_failed(now, save, host.effects);
    }
    if (host.disk_full) {
      std::erase_if(out.saves, [](const control::SaveState& save) {
        return save.kind == control::StateKind::kNonce;
      });
    }
    if (!ids_covered) {
      out.datagrams.clear();
      std::erase_if(out.updates, fib::gives_keys);
    }
    for (control::Datagram& datagram : out.datagrams) {
      for (const control::LocalEndpoint& socket : host.sockets) {
        if (datagram.via.socket != 0 && datagram.via.socket != socket.socket) continue;
        if (socket.address.family != datagram.via.remote.family) continue;
        Flight flight{now.mono + latency, socket.address, datagram.via.remote, datagram.payload};
        tap(flight);
        if (datagram.ttl == 0 && allow(flight)) flights_.push_back(std::move(flight));
      }
    }
    for (const control::ValidateIdentity& job : out.validations) {
      ++host.validations;
      if (works_.size() < work_room) {
        works_.push_back({now.mono + work_delay, &host, job.identity});
      } else {
        host.node->on_validation_refused(now, job.identity, host.effects);
      }
    }
    const auto append = [](auto& to, auto& from) {
      to.insert(to.end(), std::make_move_iterator(from.begin()),
                std::make_move_iterator(from.end()));
    };
    append(host.notices, out.notices);
    append(host.updates, out.updates);
    append(host.frames, out.frames);
    append(host.ports, out.ports);
    append(host.saves, out.saves);
    host.collided |= out.identity_collided;
  }

  /// Puts a datagram into the network, as if sent from `from` now.
  void inject(const wire::Endpoint& from, const wire::Endpoint& to, ByteVector payload) {
    flights_.push_back({now.mono + latency, from, to, std::move(payload)});
  }

  void run_for(Millis duration) {
    const Millis end = now.mono + duration;
    for (;;) {
      Millis next = end;
      for (const auto& host : hosts_)
        next = std::min(next, std::max(host->node->next_deadline(), now.mono + 1));
      for (const Flight& flight : flights_) next = std::min(next, flight.at);
      for (const Work& work : works_) next = std::min(next, work.at);
      next = std::max(next, now.mono);
      now.wall += next - now.mono;
      now.mono = next;
      step();
      if (now.mono >= end) return;
    }
  }

 private:
  struct Work {
    Millis at = 0;
    SimHost* host = nullptr;
    wire::Identity identity;
  };

  static control::Limits small(control::Limits limits) {
    limits.seen = std::min<std::size_t>(limits.seen, 4096);
    return limits;
  }

  static bool work_holds(const wire::Identity& identity) {
    static std::map<wire::Identity, bool> known;
    const auto [it, fresh] = known.try_emplace(identity, false);
    if (fresh) it->second = crypto::validate(identity);
    return it->second;
  }

  void step() {
    std::deque<Flight> due;
    std::deque<Flight> later;
    for (Flight& flight : flights_)
      (flight.at <= now.mono ? due : later).push_back(std::move(flight));
    flights_ = std::move(later);
    for (const Flight& flight : due) {
      for (const auto& host : hosts_) {
        for (const control::LocalEndpoint& socket : host->sockets) {
          if (socket.address != flight.to) continue;
          host->node->on_datagram(now, {socket.socket, flight.from}, flight.payload, host->effects);
          settle(*host);
        }
      }
    }
    std::vector<Work> works = std::exchange(works_, {});
    for (Work& work : works) {
      if (work.at > now.mono) {
        works_.push_back(std::move(work));
        continue;
      }
      const bool there = std::any_of(hosts_.begin(), hosts_.end(),
                                     [&](const auto& h) { return h.get() == work.host; });
      if (!there) continue;
      work.host->node->on_identity_validated(now, work.identity, work_holds(work.identity),
                                             work.host->effects);
      settle(*work.host);
    }
    for (const auto& host : hosts_) {
      if (host->node->next_deadline() > now.mono) continue;
      host->node->tick(now, host->effects);
      settle(*host);
    }
  }

  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::deque<Flight> flights_;
  std::vector<Work> works_;
  fib::LocalSocket next_socket_ = 1;
};

/// A world without a signature of worth: a planet from the home directory needs none.
inline ByteVector make_planet(
    std::uint64_t id, std::uint64_t timestamp,
    std::vector<std::pair<wire::Identity, std::vector<wire::Endpoint>>> roots) {
  wire::World world;
  world.type = wire::World::Type::kPlanet;
  world.id = id;
  world.timestamp = timestamp;
  for (auto& [identity, endpoints] : roots) world.roots.push_back({identity, std::move(endpoints)});
  return wire::encode_world(world);
}

}  // namespace orrery::test
