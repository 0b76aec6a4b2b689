// Twenty nodes and whatever the seed brings down on them (swarm testing: each seed has its own set
// of faults, so that common ones do not hide what rare ones do alone).
//
// While faults last, only what must always hold is watched. When they have ended and everybody is
// up, all who talk to each other are connected within kHealed.
#include "sim/nat_kinds.h"
#include "sim/scenes.h"

namespace orrery::test {
namespace {

using sim::HostId;
using sim::Micros;
using sim::NatId;
using sim::Place;
using sim::Scene;

constexpr std::size_t kNodes = 20;
constexpr Millis kChaos = 120'000;
constexpr Millis kHealed = 60'000;

class Swarm {
 public:
  explicit Swarm(Scene& scene) : s(scene), random_(scene.random().fork()) {
    faults_ = random_.next();
    roots_ = 1 + random_.below(3);
    for (std::size_t i = 0; i < roots_; ++i)
      everybody_.push_back(s.add_root("root " + std::to_string(i), s.on_internet()));
    controller_ = s.add("controller", s.on_internet(), {.controller = true});
    everybody_.push_back(controller_);
    s.start();
    network_ = s.add_network(controller_);
    for (std::size_t i = 0; i < kNodes; ++i) add_node(i);
    for (std::size_t i = 0; i < kNodes; ++i) {
      s.talk(nodes_[i], nodes_[(i + 1) % kNodes], network_, 1'000, 20 + random_.below(2'600));
      if (random_.chance(sim::kMillion / 2)) {
        const HostId other = nodes_[random_.below(kNodes)];
        if (other == nodes_[i]) continue;
        s.talk(nodes_[i], other, network_, 1'000);
        pairs_.emplace_back(nodes_[i], other);
      }
      pairs_.emplace_back(nodes_[i], nodes_[(i + 1) % kNodes]);
    }
  }

  void run() {
    for (Millis passed = 0; passed < kChaos;) {
      const Millis step = random_.between(100, 4'000);
      s.run_for(step);
      passed += step;
      fault();
    }
    heal();
    std::string missing;
    const auto all = [&] {
      missing.clear();
      for (const auto& [a, b] : pairs_) {
        if (s.connected(a, b, 2'500)) continue;
        missing += " " + s.host(a).name + "/" + s.host(b).name;
      }
      return missing.empty();
    };
    if (!s.run_until(kHealed, all, 500))
      throw sim::Breach("long after all faults were over these are not connected:" + missing);
    s.hush();
    s.run_for(20'000);
  }

 private:
  enum Fault : unsigned {
    kCrash,
    kCleanRestart,
    kLossy,
    kSlow,
    kCut,
    kOneWayCut,
    kNatRestart,
    kNewLease,
    kMove,
    kClock,
    kFullDisk,
    kLostDisk,
    kRootCrash,
    kFaults
  };

  void add_node(std::size_t i) {
    Place place;
    const auto& kinds = nat_kinds();
    if (!nats_.empty() && random_.chance(sim::kMillion / 5)) {
      place = s.behind(nats_[random_.below(nats_.size())]);
    } else if (random_.chance(sim::kMillion / 2)) {
      static constexpr sim::NatBehaviour kBoxes[] = {
          sim::kFullCone,   sim::kRestrictedCone,      sim::kPortRestricted,
          sim::kMasquerade, sim::kSymmetricSequential, sim::kSymmetricRandom};
      sim::NatBehaviour behaviour = kBoxes[random_.below(std::size(kBoxes))];
      behaviour.hairpin = random_.chance(sim::kMillion / 2);
      behaviour.lifetime = sim::micros(random_.between(30'000, 300'000));
      nats_.push_back(s.add_nat(behaviour));
      place = s.behind(nats_.back());
    } else {
      place = kinds[random_.below(kinds.size())].place(s);
    }
    sim::HostOptions options;
    if (random_.chance(sim::kMillion / 4))
      options.wall_offset = random_.between(-86'400'000, 86'400'000);
    options.port_prediction = random_.chance(sim::kMillion / 2);
    const HostId id = s.add("node " + std::to_string(i), place, options);
    nodes_.push_back(id);
    everybody_.push_back(id);
    s.power_on(id);
    s.join(id, network_);
  }

  HostId any() { return nodes_[random_.below(nodes_.size())]; }

  void bad_line(HostId id, bool slow) {
    for (const sim::Host::Socket& socket : s.host(id).sockets) {
      sim::LinkProfile up = s.internet().up(socket.line);
      sim::LinkProfile down = s.internet().down(socket.line);
      for (sim::LinkProfile* line : {&up, &down}) {
        if (slow) {
          line->jitter = random_.between(0, 200'000);
          line->bits_per_second = 100'000 + random_.below(10'000'000);
        } else {
          line->loss = static_cast<std::uint32_t>(random_.below(300'000));
          line->duplicate = static_cast<std::uint32_t>(random_.below(200'000));
          line->reorder = static_cast<std::uint32_t>(random_.below(300'000));
        }
      }
      s.internet().set_line(socket.line, up, down);
    }
  }

  void fault() {
    const auto kind = static_cast<Fault>(random_.below(kFaults));
    if ((faults_ >> kind & 1) == 0) return;
    const HostId id = any();
    switch (kind) {
      case kCrash:
        s.power_off(id);
        back_later(id);
        break;
      case kCleanRestart:
        s.shut_down(id);
        back_later(id);
        break;
      case kLossy:
      case kSlow:
        bad_line(id, kind == kSlow);
        break;
      case kCut:
      case kOneWayCut:
        for (const HostId other : everybody_)
          s.set_side(other, static_cast<std::uint8_t>(random_.below(3)));
        for (std::uint8_t from = 0; from < 3; ++from) {
          for (std::uint8_t to = 0; to < 3; ++to) {
            if (from == to) continue;
            const bool on = random_.chance(sim::kMillion / 3);
            s.internet().cut(from, to, on);
            if (kind == kCut) s.internet().cut(to, from, on);
          }
        }
        break;
      case kNatRestart:
        if (!nats_.empty()) s.internet().nat(nats_[random_.below(nats_.size())]).forget();
        break;
      case kNewLease:
        if (!nats_.empty()) s.readdress(nats_[random_.below(nats_.size())]);
        break;
      case kMove:
        s.move(id, random_.chance(sim::kMillion / 2) || nats_.empty()
                       ? s.on_internet()
                       : s.behind(nats_[random_.below(nats_.size())]));
        break;
      case kClock:
        s.jump(id, random_.between(-7'200'000, 7'200'000));
        break;
      case kFullDisk:
        s.host(id).disk_full = !s.host(id).disk_full;
        break;
      case kLostDisk:
        if (!s.host(id).on()) s.host(id).disk.peers.clear();
        break;
      case kRootCrash: {
        const HostId root = everybody_[random_.below(roots_)];
        s.power_off(root);
        back_later(root);
        break;
      }
      case kFaults:
        break;
    }
  }

  void back_later(HostId id) {
    s.after(random_.between(0, 30'000), [this, id] {
      if (!s.host(id).on()) s.power_on(id);
    });
  }

  void heal() {
    for (std::uint8_t from = 0; from < 3; ++from) {
      for (std::uint8_t to = 0; to < 3; ++to) s.internet().cut(from, to, false);
    }
    for (const HostId id : everybody_) {
      s.host(id).disk_full = false;
      for (const sim::Host::Socket& socket : s.host(id).sockets) {
        sim::LinkProfile up = s.internet().up(socket.line);
        sim::LinkProfile down = s.internet().down(socket.line);
        for (sim::LinkProfile* line : {&up, &down}) {
          line->loss = line->duplicate = line->reorder = 0;
          line->jitter = 0;
          line->bits_per_second = 0;
        }
        s.internet().set_line(socket.line, up, down);
      }
      if (!s.host(id).on()) s.power_on(id);
    }
  }

  Scene& s;
  sim::Random random_;
  std::uint64_t faults_ = 0;  // bit per Fault: those of this seed
  std::size_t roots_ = 0;
  HostId controller_ = sim::kNobody;
  wire::NetworkId network_;
  std::vector<HostId> nodes_, everybody_;
  std::vector<NatId> nats_;
  std::vector<std::pair<HostId, HostId>> pairs_;
};

ORRERY_SCENE(
    swarm,
    "twenty nodes under random faults: nothing that must hold breaks, and after the last one "
    "everybody is connected again") {
  Swarm(s).run();
}

}  // namespace
}  // namespace orrery::test
