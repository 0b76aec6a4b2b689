// A world of any size: homes behind NATs of all kinds, some roots, controllers with ten networks
// each; everybody is in one network and talks with neighbours there. Then what happens to worlds: a
// root dies, all of them do, half of it is cut off.
//
//   LargeWorld world(s, WorldSize::of(1'000));
//   world.settle(60'000);
//   world.cut_half(300'000, 60'000);
//
// Neighbours say something to each other every two minutes, and again after 1, 2, 4, 8, then 16 s
// while they get no answer. After every event each pair, or kMostWitnesses of them, says something
// within two seconds; a recovery is what becomes of these frames. Rates and memory are read where
// the roles differ.
#pragma once

#include <vector>

#include "sim/scene.h"

namespace orrery::test {

struct WorldSize {
  std::size_t nodes = 0;  // roots and controllers are among them
  std::size_t roots = 4;
  std::size_t controllers = 1;
  std::size_t networks = 1;
  std::size_t neighbours = 1;  // whom each talks with: one, or an even number

  /// A network for a hundred nodes, a controller for ten networks.
  static WorldSize of(std::size_t nodes);
};

/// How times are spread, ms.
struct Spread {
  std::size_t count = 0;
  Millis median = 0, p99 = 0, most = 0;

  static Spread of(std::vector<Millis> times);
};

class LargeWorld {
 public:
  enum class Role : std::uint8_t { kLeaf, kRoot, kController, kEnd };

  /// Pairs that are heard about the death of roots, and within the halves of a cut: enough to see a
  /// thousandth of them fail.
  static constexpr std::size_t kMostWitnesses = 10'000;

  /// What became of the frames that pairs sent after something had happened.
  struct Recovery {
    std::size_t pairs = 0;          // of whom an answer was expected
    Spread took;                    // of those that got one, from the event on
    std::vector<double> connected;  // share of them after 0, 1, 2... s

    [[nodiscard]] bool complete() const { return took.count == pairs; }
  };

  struct Joining {
    Spread configured;  // from the start of a node until it has its configuration
    Spread connected;   // from the start of the later of two neighbours until both heard the other
    Millis all = 0;     // from the first start until nothing is missing
  };

  struct Rates {  // of one node of a role, each second
    double packets_in = 0, packets_out = 0, bytes_in = 0, bytes_out = 0;
  };

  struct Memory {
    std::size_t bytes = 0;  // of one node, as it is given back
    double peers = 0;       // that it knew
  };

  LargeWorld(sim::Scene& scene, const WorldSize& size);

  /// Everybody starts and joins, within a minute. Throws a Breach unless all pairs are
  /// connected after the bound.
  Joining settle(Millis bound);
  /// What happens for so long while nothing special does.
  std::array<Rates, static_cast<std::size_t>(Role::kEnd)> measure(Millis duration);
  /// The first root is killed; what it held comes out of `freed`.
  Recovery lose_root(Millis bound, Memory& freed);
  /// All roots are killed, and after `away` those pairs speak that had a path of their own.
  Recovery lose_all_roots(Millis away, Millis bound);
  /// Roots that are off come back.
  void wake_roots();
  /// The same, and what comes of it.
  Recovery return_roots(Millis bound);
  /// Half of everybody, and half of the roots, is cut off for so long; how everybody comes together
  /// again. Throws a Breach if somebody within a half lost his neighbour there.
  Recovery cut_half(Millis duration, Millis bound);
  /// Of that many nodes of a role, which are killed for it.
  Memory weigh(Role role, std::size_t most);

  /// Live bytes of the process: heap, and memory for keys.
  [[nodiscard]] static std::size_t heap();

  [[nodiscard]] std::size_t hosts_of(Role role) const;

  /// As the world was built, before anybody was on.
  [[nodiscard]] std::size_t built() const { return built_; }

  /// Peers that all nodes know together.
  [[nodiscard]] std::size_t peers() const;

  [[nodiscard]] std::size_t pairs() const { return pairs_.size(); }

 private:
  static constexpr Millis kSlot = 100;  // of the calendar

  struct Pair {
    sim::HostId a = sim::kNobody, b = sim::kNobody;
    std::uint32_t network = 0;
    Millis due = -1;       // ms of the scene; -1: not yet
    sim::Micros said = 0;  // when they last did
    Millis patience = 0;   // ms until it is said again; 0: nobody waits for an answer
    bool witness = false;
  };

  void build();
  sim::Place home();
  [[nodiscard]] Role role_of(sim::HostId id) const;

  [[nodiscard]] Millis ms() const { return s.now() / 1'000; }

  void schedule(std::uint32_t pair, Millis at);
  void speak(std::uint32_t pair);
  void advance(Millis duration);
  /// Frames both ways that were sent at or after `since` have arrived; when the later one did.
  [[nodiscard]] std::optional<sim::Micros> heard_since(const Pair& pair, sim::Micros since) const;
  [[nodiscard]] bool direct(const Pair& pair) const;
  [[nodiscard]] bool apart(const Pair& pair) const;
  /// All of these speak; what becomes of it for those of them that can be heard.
  Recovery recover(Millis bound, const std::function<bool(const Pair&)>& speaks,
                   const std::function<bool(const Pair&)>& heard);

  sim::Scene& s;
  WorldSize size_;
  sim::Random random_;
  std::vector<sim::HostId> roots_, controllers_, leaves_;
  std::vector<wire::NetworkId> networks_;
  std::vector<Pair> pairs_;
  std::vector<std::vector<std::uint32_t>> pairs_of_;      // by host
  std::vector<Millis> on_at_;                             // by host; -1: not yet
  std::vector<bool> far_;                                 // by host: on the side that is cut off
  std::vector<std::vector<std::uint32_t>> calendar_;      // pairs, by slot modulo its size
  std::deque<std::pair<sim::Micros, sim::FrameId>> old_;  // to be forgotten
  std::optional<sim::NatId> street_;                      // a NAT that still has room
  unsigned room_ = 0;
  std::size_t built_ = 0;
};

}  // namespace orrery::test
