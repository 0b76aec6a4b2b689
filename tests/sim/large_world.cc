#include "sim/large_world.h"

#include <malloc.h>

#include <algorithm>

#include "control/node.h"
#include "crypto/locked_memory.h"

namespace orrery::test {

using sim::HostId;
using sim::Micros;
using sim::NatBehaviour;
using sim::Place;

namespace {

constexpr Millis kCalm = 120'000;      // between frames of a pair
constexpr Millis kRetry = 1'000;       // while they are not answered, at first
constexpr Millis kMostRetry = 16'000;  // twice as long each time, up to this
constexpr Millis kAskWithin = 2'000;   // after an event
constexpr Millis kLook = 500;
constexpr Millis kStarts = 60'000;        // so what each does once a minute is spread over it
constexpr Millis kFrameMemory = 30'000;   // frames that come later than this are not looked at
constexpr std::size_t kCalendar = 2'048;  // slots; REQUIRES: more than kCalm
constexpr std::size_t kMostPeersOfLeaf = 256;

/// What somebody who only talks needs, and 20 KB instead of megabytes.
control::Limits leaf_limits() {
  control::Limits limits = sim::small_limits();
  limits.peers = kMostPeersOfLeaf;
  limits.paths = 2 * kMostPeersOfLeaf;
  limits.reassembly = 16;
  limits.reassembly_bytes = 256u << 10;
  limits.waiting = limits.outgoing = 64;
  limits.requests = 512;
  limits.seen = 512;
  limits.schedules = 64;
  limits.prefixes = limits.echoes = limits.introductions = 16;
  return limits;
}

/// What a root or controller of so many has.
control::Limits hub_limits(std::size_t nodes) {
  control::Limits limits;
  limits.peers = std::max<std::size_t>(2 * nodes, 4'096);
  limits.paths = 2 * limits.peers;
  limits.schedules = limits.peers;
  limits.introductions = 4 * limits.peers;
  limits.saves = limits.peers;
  return limits;
}

}  // namespace

WorldSize WorldSize::of(std::size_t nodes) {
  WorldSize size;
  size.nodes = nodes;
  size.networks = std::max<std::size_t>(nodes / 100, 1);
  size.controllers = (size.networks + 9) / 10;
  return size;
}

Spread Spread::of(std::vector<Millis> times) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  return {times.size(), times[times.size() / 2], times[times.size() - 1 - times.size() / 100],
          times.back()};
}

LargeWorld::LargeWorld(sim::Scene& scene, const WorldSize& size)
    : s(scene), size_(size), random_(scene.random().fork()), calendar_(kCalendar) {
  build();
  built_ = heap();
}

Place LargeWorld::home() {
  const auto lines = [&](Place place) {
    const Micros delay = random_.between(1'000, 40'000);
    place.up.delay = place.down.delay = delay;
    place.up.jitter = place.down.jitter = random_.between(0, delay / 4);
    place.up.loss = place.down.loss = 500;
    return place;
  };
  if (room_ > 0) {
    --room_;
    return s.behind(*street_);
  }
  const std::uint64_t kind = random_.below(100);
  if (kind < 25) {
    Place place = lines(s.on_internet());
    if (kind >= 10) place.firewall = sim::Firewall::kStateful;
    return place;
  }
  const NatBehaviour& behaviour = kind < 35   ? sim::kFullCone
                                  : kind < 45 ? sim::kRestrictedCone
                                  : kind < 80 ? sim::kPortRestricted
                                  : kind < 90 ? sim::kMasquerade
                                  : kind < 95 ? sim::kSymmetricSequential
                                              : sim::kSymmetricRandom;
  const bool carrier = random_.below(20) == 0;
  street_ =
      s.add_nat(behaviour, carrier ? std::optional(s.add_nat(sim::kPortRestricted)) : std::nullopt);
  const sim::AttachmentId line = s.internet().outermost(s.internet().outside_of(*street_));
  const Place outer = lines({});
  s.internet().set_line(line, outer.up, outer.down);
  room_ = static_cast<unsigned>(random_.below(3));
  return s.behind(*street_);
}

void LargeWorld::build() {
  const sim::HostOptions hub{.limits = hub_limits(size_.nodes)};
  for (std::size_t i = 0; i < size_.roots; ++i)
    roots_.push_back(s.add_root("root " + std::to_string(i), s.on_internet(), hub));
  sim::HostOptions issuer = hub;
  issuer.limits = hub_limits(size_.nodes / size_.controllers);
  issuer.controller = true;
  issuer.keep_disk = false;
  for (std::size_t i = 0; i < size_.controllers; ++i)
    controllers_.push_back(s.add("controller " + std::to_string(i), s.on_internet(), issuer));
  s.start();
  s.run_for(2'000);
  for (std::size_t i = 0; i < size_.networks; ++i)
    networks_.push_back(s.add_network(controllers_[i % controllers_.size()]));
  const sim::HostOptions plain{.limits = leaf_limits(), .keep_disk = false};
  for (std::size_t i = roots_.size() + controllers_.size(); i < size_.nodes; ++i)
    leaves_.push_back(s.add("node " + std::to_string(i), home(), plain));
  // Neighbours in a network are no neighbours in the street.
  std::vector<std::vector<HostId>> members(networks_.size());
  for (const HostId id : leaves_) members[random_.below(networks_.size())].push_back(id);
  pairs_of_.resize(s.hosts());
  on_at_.assign(s.hosts(), -1);
  far_.resize(s.hosts());
  for (std::uint32_t n = 0; n < members.size(); ++n) {
    const std::vector<HostId>& all = members[n];
    for (std::size_t i = 0; i < all.size(); ++i) {
      s.join(all[i], networks_[n]);
      if (size_.neighbours == 1 && i % 2 == 1) continue;
      for (std::size_t step = 1; step <= std::max<std::size_t>(size_.neighbours / 2, 1); ++step) {
        const HostId other = all[(i + step) % all.size()];
        if (2 * step >= all.size()) break;  // it would be the same pair twice, or nobody
        const auto number = static_cast<std::uint32_t>(pairs_.size());
        pairs_.push_back({.a = all[i], .b = other, .network = n});
        pairs_of_[all[i]].push_back(number);
        pairs_of_[other].push_back(number);
      }
    }
  }
  for (Pair& pair : pairs_)
    pair.witness = random_.below(std::max(pairs_.size(), kMostWitnesses)) < kMostWitnesses;
  // Who shares a line shares a side.
  for (const HostId id : leaves_) {
    const sim::AttachmentId line = s.internet().outermost(s.host(id).sockets.front().line);
    far_[id] = sim::Random(line).below(2) == 0;
  }
}

// --- talk

void LargeWorld::schedule(std::uint32_t number, Millis at) {
  at = (at + kSlot - 1) / kSlot * kSlot;
  pairs_[number].due = at;
  calendar_[static_cast<std::size_t>(at / kSlot) % kCalendar].push_back(number);
}

std::optional<Micros> LargeWorld::heard_since(const Pair& pair, Micros since) const {
  const sim::Scene::Heard there = s.heard(pair.a, pair.b);
  const sim::Scene::Heard back = s.heard(pair.b, pair.a);
  if (there.sent < since || back.sent < since) return std::nullopt;
  return std::max(there.when, back.when);
}

bool LargeWorld::direct(const Pair& pair) const {
  return s.heard(pair.a, pair.b).direct && s.heard(pair.b, pair.a).direct;
}

bool LargeWorld::apart(const Pair& pair) const {
  return far_[pair.a] != far_[pair.b];
}

void LargeWorld::speak(std::uint32_t number) {
  Pair& pair = pairs_[number];
  if (pair.patience != 0 && heard_since(pair, pair.said)) {
    pair.patience = 0;
    return schedule(number, ms() + kCalm);
  }
  pair.patience = std::clamp(2 * pair.patience, kRetry, kMostRetry);
  pair.said = s.now();
  const wire::NetworkId network = networks_[pair.network];
  s.say(pair.a, pair.b, network);
  s.say(pair.b, pair.a, network);
  schedule(number, ms() + pair.patience);
}

void LargeWorld::advance(Millis duration) {
  for (const Millis end = ms() + duration; ms() < end;) {
    const Millis at = ms();
    if (at % kSlot == 0) {
      std::vector<std::uint32_t>& slot =
          calendar_[static_cast<std::size_t>(at / kSlot) % kCalendar];
      for (const std::uint32_t number : std::exchange(slot, {})) {
        if (pairs_[number].due == at) speak(number);
      }
      old_.emplace_back(s.now(), s.frames().next());
      while (!old_.empty() && old_.front().first < s.now() - sim::micros(kFrameMemory)) {
        s.frames().forget(old_.front().second);
        old_.pop_front();
      }
    }
    s.run_for(std::min(end, (at / kSlot + 1) * kSlot) - at);
  }
}

// --- what happens

LargeWorld::Joining LargeWorld::settle(Millis bound) {
  Joining result;
  const Millis begun = ms();
  std::vector<Millis> configured, connected;
  std::vector<HostId> unconfigured;
  std::vector<std::uint32_t> open(pairs_.size());
  for (std::uint32_t i = 0; i < open.size(); ++i) open[i] = i;
  std::size_t started = 0;
  while (started < leaves_.size() || !unconfigured.empty() || !open.empty()) {
    if (ms() - begun >= bound) {
      throw sim::Breach(std::to_string(unconfigured.size()) + " nodes have no configuration and " +
                        std::to_string(open.size()) + " pairs are not connected after " +
                        std::to_string(bound) + " ms");
    }
    const auto passed = static_cast<std::size_t>(std::min(ms() - begun + kLook, kStarts));
    while (started < leaves_.size() * passed / static_cast<std::size_t>(kStarts)) {
      const HostId id = leaves_[started++];
      s.power_on(id);
      on_at_[id] = ms();
      unconfigured.push_back(id);
      for (const std::uint32_t number : pairs_of_[id]) {
        const Pair& pair = pairs_[number];
        if (on_at_[pair.a] >= 0 && on_at_[pair.b] >= 0) schedule(number, ms() + kSlot);
      }
    }
    advance(kLook);
    std::erase_if(unconfigured, [&](HostId id) {
      const bool done = s.configured(id, s.host(id).joined.front());
      if (done) configured.push_back(ms() - on_at_[id]);
      return done;
    });
    std::erase_if(open, [&](std::uint32_t number) {
      const Pair& pair = pairs_[number];
      const std::optional<Micros> when = heard_since(pair, 0);
      if (!when) return false;
      connected.push_back(*when / 1'000 - std::max(on_at_[pair.a], on_at_[pair.b]));
      return true;
    });
  }
  result.all = ms() - begun;
  result.configured = Spread::of(std::move(configured));
  result.connected = Spread::of(std::move(connected));
  return result;
}

LargeWorld::Recovery LargeWorld::recover(Millis bound,
                                         const std::function<bool(const Pair&)>& speaks,
                                         const std::function<bool(const Pair&)>& heard) {
  Recovery result;
  const Micros event = s.now();
  std::vector<std::uint32_t> open;
  for (std::uint32_t i = 0; i < pairs_.size(); ++i) {
    if (!speaks(pairs_[i])) continue;
    pairs_[i].patience = 0;
    schedule(i, ms() + random_.between(0, kAskWithin - kSlot));
    if (heard(pairs_[i])) open.push_back(i);
  }
  result.pairs = open.size();
  std::vector<Millis> took;
  for (Millis passed = 0; passed < bound && !open.empty(); passed += kLook) {
    advance(kLook);
    std::erase_if(open, [&](std::uint32_t number) {
      const std::optional<Micros> when = heard_since(pairs_[number], event);
      if (when) took.push_back((*when - event) / 1'000);
      return when.has_value();
    });
  }
  std::sort(took.begin(), took.end());
  for (Millis after = 0; result.pairs != 0; after += 1'000) {
    const auto there = std::upper_bound(took.begin(), took.end(), after) - took.begin();
    result.connected.push_back(static_cast<double>(there) / static_cast<double>(result.pairs));
    if (there == static_cast<std::ptrdiff_t>(took.size())) break;
  }
  result.took = Spread::of(std::move(took));
  return result;
}

std::array<LargeWorld::Rates, 3> LargeWorld::measure(Millis duration) {
  struct Sum {
    std::uint64_t in = 0, out = 0, bytes_in = 0, bytes_out = 0;
  };

  const auto sums = [&] {
    std::array<Sum, 3> all;
    for (HostId id = 0; id < s.hosts(); ++id) {
      const sim::Host& host = s.host(id);
      Sum& sum = all[static_cast<std::size_t>(role_of(id))];
      sum.in += host.datagrams_in;
      sum.out += host.datagrams_out;
      sum.bytes_in += host.bytes_in;
      sum.bytes_out += host.bytes_out;
    }
    return all;
  };
  const std::array<Sum, 3> before = sums();
  advance(duration);
  const std::array<Sum, 3> after = sums();
  std::array<Rates, 3> rates;
  for (std::size_t role = 0; role < rates.size(); ++role) {
    const double share = static_cast<double>(hosts_of(static_cast<Role>(role))) *
                         static_cast<double>(duration) / 1'000;
    const auto rate = [&](std::uint64_t Sum::* of) {
      return static_cast<double>(after[role].*of - before[role].*of) / share;
    };
    rates[role] = {rate(&Sum::in), rate(&Sum::out), rate(&Sum::bytes_in), rate(&Sum::bytes_out)};
  }
  return rates;
}

namespace {

constexpr auto everybody = [](const auto&) { return true; };
constexpr auto is_witness = [](const auto& pair) { return pair.witness; };

}  // namespace

LargeWorld::Recovery LargeWorld::lose_root(Millis bound, Memory& freed) {
  const HostId root = roots_.front();
  freed.peers = static_cast<double>(s.host(root).node->table_sizes().peers);
  const std::size_t before = heap();
  s.power_off(root);
  freed.bytes = before - heap();
  return recover(bound, is_witness, everybody);
}

LargeWorld::Recovery LargeWorld::lose_all_roots(Millis away, Millis bound) {
  std::vector<bool> established;
  for (const Pair& pair : pairs_) established.push_back(direct(pair));
  const auto was = [&](const Pair& pair) {
    return static_cast<bool>(established[static_cast<std::size_t>(&pair - pairs_.data())]);
  };
  for (const HostId root : roots_) s.power_off(root);
  advance(away);
  return recover(bound, [&](const Pair& pair) { return pair.witness && was(pair); }, everybody);
}

void LargeWorld::wake_roots() {
  for (const HostId root : roots_) {
    if (!s.host(root).on()) s.power_on(root);
  }
}

LargeWorld::Recovery LargeWorld::return_roots(Millis bound) {
  wake_roots();
  return recover(bound, everybody, everybody);
}

LargeWorld::Recovery LargeWorld::cut_half(Millis duration, Millis bound) {
  for (const HostId id : leaves_) {
    if (far_[id]) s.set_side(id, 1);
  }
  for (std::size_t i = 0; i < roots_.size() / 2; ++i) s.set_side(roots_[i], 1);
  const auto cut = [&](bool on) {
    s.internet().cut(0, 1, on);
    s.internet().cut(1, 0, on);
  };
  cut(true);
  const Millis begun = ms();
  const Recovery within =
      recover(duration, is_witness, [&](const Pair& pair) { return !apart(pair); });
  if (!within.complete()) {
    throw sim::Breach(std::to_string(within.pairs - within.took.count) +
                      " pairs of one half do not hear each other while the other half is away");
  }
  advance(std::max<Millis>(duration - (ms() - begun), 0));
  cut(false);
  return recover(bound, everybody, everybody);
}

// --- what it weighs

std::size_t LargeWorld::heap() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd + crypto::locked_memory().in_use;
}

LargeWorld::Memory LargeWorld::weigh(Role role, std::size_t most) {
  const std::vector<HostId>& all = role == Role::kLeaf   ? leaves_
                                   : role == Role::kRoot ? roots_
                                                         : controllers_;
  std::vector<HostId> some;
  for (std::size_t i = 0; i < all.size() && some.size() < most; ++i) {
    if (s.host(all[i]).on()) some.push_back(all[i]);
  }
  Memory memory;
  if (some.empty()) return memory;
  for (const HostId id : some)
    memory.peers += static_cast<double>(s.host(id).node->table_sizes().peers);
  const std::size_t before = heap();
  for (const HostId id : some) s.power_off(id);
  memory.bytes = (before - heap()) / some.size();
  memory.peers /= static_cast<double>(some.size());
  return memory;
}

LargeWorld::Role LargeWorld::role_of(HostId id) const {
  if (id < roots_.size()) return Role::kRoot;
  return id < roots_.size() + controllers_.size() ? Role::kController : Role::kLeaf;
}

std::size_t LargeWorld::hosts_of(Role role) const {
  return role == Role::kLeaf   ? leaves_.size()
         : role == Role::kRoot ? roots_.size()
                               : controllers_.size();
}

std::size_t LargeWorld::peers() const {
  std::size_t sum = 0;
  for (HostId id = 0; id < s.hosts(); ++id) {
    if (s.host(id).on()) sum += s.host(id).node->table_sizes().peers;
  }
  return sum;
}

}  // namespace orrery::test
