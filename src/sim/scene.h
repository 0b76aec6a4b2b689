// A world that touches nothing: hosts with the real control::Node (and networks, and controller),
// between them an Internet (internet.h), one virtual clock, one seed. The same calls and the same
// seed give the same transcript, byte for byte.
//
//   Scene s(seed);
//   s.add_root("root", s.on_internet());
//   const HostId ctl = s.add("ctl", s.on_internet(), {.controller = true});
//   const HostId alice = s.add("alice", s.behind(s.add_nat(kPortRestricted)));
//   const HostId bob = s.add("bob", s.behind(s.add_nat(kRestrictedCone)));
//   s.start();
//   const wire::NetworkId net = s.add_network(ctl);
//   s.join(alice, net), s.join(bob, net);
//   s.talk(alice, bob, net, 500);
//   s.must(20'000, "alice and bob talk directly", [&] { return s.direct(alice, bob); });
//
// Every step is watched (watch.h); a breach, and a bound that is not kept, throw Breach with the
// time and the host. What differs from the daemon: proof of work is the reduced one, after a delay
// (identities.h), and secrets are computed once for both ends. No worker runs: control does all.
//
// Not for real time, and for one thread, though nodes may compute in several (scene_turns.cc). An
// event costs what its node costs and the logarithm of how many there are; a scene has no limit but
// memory.
#pragma once

#include <deque>

#include "sim/crew.h"
#include "sim/host.h"
#include "sim/identities.h"
#include "sim/transcript.h"
#include "sim/watch.h"

namespace orrery::sim {

struct SceneOptions {
  Millis proof_delay = 30;         // of one proof of work
  std::uint32_t proof_room = 256;  // under way at one host; more are refused
  bool watched = true;             // false: scenes so large that watching counts
  /// Pairs of host and remote endpoint that the watch remembers; further ones are not looked at.
  std::size_t strangers = 1u << 20;
  /// Where nodes compute; outlives the scene. Null: one after the other. What happens does not
  /// depend on it; it is worth it where hundreds of nodes are busy at any time.
  Crew* crew = nullptr;
};

class Scene {
 public:
  explicit Scene(std::uint64_t seed, const SceneOptions& options = {});
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  // --- places
  /// The next public address, each in a /24 of its own; 5 ms each way.
  Place on_internet();
  /// The next address of the LAN behind a NAT: 192.168.1.10 and up, the same in every LAN.
  Place behind(NatId nat);
  /// A NAT with the next public address, or inside another one (100.64.0.1 and up).
  NatId add_nat(const NatBehaviour& behaviour, std::optional<NatId> outer = std::nullopt);
  /// An address that nobody has yet, for boxes and hosts that move.
  [[nodiscard]] wire::Endpoint fresh_address();

  // --- hosts; off until start() or power_on()
  HostId add(std::string name, const Place& place, const HostOptions& options = {});
  /// The planet lists it, with its address. REQUIRES: before anything is powered on.
  HostId add_root(std::string name, const Place& place, const HostOptions& options = {});
  /// No node: `hand` gets what comes. Its identity is at your disposal.
  HostId add_hand(std::string name, const Place& place, Host::Hand hand = {});
  /// As add_hand(), and the planet lists it.
  HostId add_false_root(std::string name, const Place& place);
  /// One more line, with an address of its own.
  void add_line(HostId host, const Place& place);

  [[nodiscard]] Host& host(HostId id) { return hosts_[id]; }

  [[nodiscard]] const Host& host(HostId id) const { return hosts_[id]; }

  [[nodiscard]] std::size_t hosts() const { return hosts_.size(); }

  [[nodiscard]] const ByteVector& planet();

  /// Instead of the one that add_root() makes; before anything is powered on.
  void set_planet(ByteVector planet) { planet_ = std::move(planet); }

  /// Everybody who is not on, one each `apart`.
  void start(Millis apart = 0);
  void power_on(HostId id);
  /// As by kill -9: what was not saved is gone.
  void power_off(HostId id);
  /// As by a clean exit.
  void shut_down(HostId id);
  /// Leaves all its places for this one.
  void move(HostId id, const Place& place);
  /// The box gets a fresh outside address.
  void readdress(NatId nat);

  /// The host's wall clock jumps.
  void jump(HostId id, Millis by) { hosts_[id].wall_offset += by; }

  /// Puts a host, or the NAT that it is behind, on a side of cuts (Internet::cut).
  void set_side(HostId id, std::uint8_t side);

  // --- networks
  /// A network of this controller that lets in whoever asks. REQUIRES: it is on.
  wire::NetworkId add_network(HostId controller,
                              std::string_view settings = R"({"private":false})");
  void join(HostId id, wire::NetworkId network);
  void leave(HostId id, wire::NetworkId network);
  [[nodiscard]] bool is_member(HostId id, wire::NetworkId network) const;
  /// The host has the network's configuration.
  [[nodiscard]] bool configured(HostId id, wire::NetworkId network) const;

  // --- frames
  /// One frame to that host's MAC. REQUIRES: `from` has joined.
  FrameId say(HostId from, HostId to, wire::NetworkId network, std::size_t size = 100);
  /// Both say something to each other every `every` ms until further notice.
  void talk(HostId a, HostId b, wire::NetworkId network, Millis every, std::size_t size = 100);

  void hush() { ++talk_; }

  [[nodiscard]] Frames& frames() { return frames_; }

  /// How the newest frame of one to the other got there.
  struct Heard {
    Micros sent = -1, when = -1;  // -1: none yet
    bool direct = false;
  };

  [[nodiscard]] Heard heard(HostId from, HostId at) const;
  /// The newest frames both ways came directly, and were sent within the last `within` ms.
  [[nodiscard]] bool direct(HostId a, HostId b, Millis within = 2'000) const;
  /// The newest frames both ways, whichever way they came.
  [[nodiscard]] bool connected(HostId a, HostId b, Millis within = 2'000) const;

  // --- time
  [[nodiscard]] Micros now() const { return now_; }

  [[nodiscard]] Now now_of(HostId id) const { return now_of(id, now_); }

  void run_for(Millis duration);
  /// Looks every `step` ms whether it is so. How long it took, or nothing after `bound` ms.
  std::optional<Millis> run_until(Millis bound, const std::function<bool()>& so, Millis step = 10);
  /// As run_until(); throws a Breach that names `what` when the bound is not kept.
  Millis must(Millis bound, const std::string& what, const std::function<bool()>& so,
              Millis step = 10);
  /// It must be so at every look for `duration` ms.
  void must_stay(Millis duration, const std::string& what, const std::function<bool()>& so,
                 Millis step = 100);
  /// In `delay` ms.
  void after(Millis delay, std::function<void()> action);

  // --- by hand
  /// A datagram from this host's first line, as it is.
  void send(HostId from, const wire::Endpoint& to, ByteVector payload);
  /// A datagram that says it comes from `from`; the watch knows that it does not.
  void send_spoofed(HostId by, const wire::Endpoint& from, const wire::Endpoint& to,
                    ByteVector payload);
  /// Inputs to a node by the scene; what they ask for is carried out.
  void with_node(HostId id, const std::function<void(control::Node&, Now, control::Effects&)>& act);

  // --- what there is
  [[nodiscard]] Internet& internet() { return internet_; }

  [[nodiscard]] Transcript& transcript() { return transcript_; }

  [[nodiscard]] Watch& watch() { return watch_; }

  [[nodiscard]] Agreements& agreements() { return agreements_; }

  /// From now on the work of this identity holds, as if somebody had searched for such a key.
  void grant_work(const wire::Identity& identity) { granted_.push_back(identity); }

  [[nodiscard]] Random& random() { return random_; }

  [[nodiscard]] std::uint64_t events() const { return events_; }

  /// Whether the operator of this host was told something that has these words in it.
  [[nodiscard]] bool told(HostId id, std::string_view words) const;

  void note(HostId id, const std::string& what) { transcript_.event(now_, id, what); }

 private:
  struct Proof {
    HostId host = kNobody;
    std::uint32_t run = 0;
    wire::Identity identity;
  };

  /// What a node says of itself after an input.
  struct After {
    Millis deadline = 0;
    control::TableSizes tables{};
  };

  /// One event, and what its node makes of it.
  struct Step {
    Event event;
    Micros at = 0;                 // now
    AttachmentId group = kNobody;  // of its lines
    HostId host = kNobody;         // whose node has something to do; known after compute()
    Internet::Arrival arrival{};   // of kArrival
    Proof proof{};                 // of kProof
    bool ticks = false;            // of kTimer: its time has come
    control::Effects effects{};
    After after{};
  };

  HostId place_host(std::string name, const Place& place, const HostOptions& options);
  [[nodiscard]] Now now_of(HostId id, Micros at) const;

  // --- scene_turns.cc
  /// Which of the threads computes for this group.
  [[nodiscard]] std::size_t member_of(AttachmentId group) const;
  /// The next event, or several. REQUIRES: there is one.
  void take_turn(Micros end);
  /// Fills `steps_` from the queue; `group` of its first event.
  void gather(AttachmentId group, Micros end);
  /// kNobody: it must be alone in its turn.
  [[nodiscard]] AttachmentId group_of(const Event& event) const;
  /// One event by itself.
  void dispatch(const Event& event);
  void prepare(const Event& event, Step& step);
  /// In any thread; nothing of it is seen by other groups.
  void compute(Step& step);
  void conclude(Step& step);
  void arrived(Step& step);
  void ticked(Step& step);

  // --- scene_steps.cc
  /// Carries out what the node asked for, and arms its timer. `after` that; null: ask it.
  void settle(HostId id, const Watch::Cause& cause, const After* after = nullptr);
  /// True when the node had something more to say.
  bool carry_out(HostId id, control::Effects& out, const Watch::Cause& cause);
  /// False: what the controller wants to keep cannot be kept.
  void commit(HostId id);
  void save(HostId id, const control::SaveState& save);
  /// Takes the payload.
  void emit(HostId id, control::Datagram& datagram, const Watch::Cause& cause);
  void deliver(HostId id, const control::DeliverFrame& frame, const Watch::Cause& cause);
  void arm(HostId id, Millis deadline);
  void announce_sockets(HostId id);
  void chatter(HostId a, HostId b, wire::NetworkId network, Millis every, std::size_t size,
               std::uint32_t talk);

  SceneOptions options_;
  Random random_;
  EventQueue queue_;
  Internet internet_;
  Frames frames_;
  Watch watch_;
  Agreements agreements_;
  std::vector<std::unique_ptr<crypto::Armorer>> armorers_;  // of each member of the crew
  std::deque<Host> hosts_;
  Crew* crew_;                  // null: nodes compute one after the other
  bool alone_ = false;          // no two events share a turn
  std::vector<Step> steps_;     // of the turn in hand
  std::size_t turn_steps_ = 0;  // of them
  Step alone_step_;             // of an event by itself
  std::vector<Event> held_;     // empty but in gather()
  std::uint64_t turn_ = 0;
  std::vector<std::uint64_t> turn_of_;  // by group: the last one that it had an event in
  control::Effects effects_;            // of the input in hand
  control::Effects carried_out_;        // those that are being carried out
  std::unordered_map<std::uint64_t, HostId> by_address_;
  std::vector<std::pair<HostId, wire::Endpoint>> roots_;
  ByteVector planet_;
  Pool<Proof> proofs_;
  Pool<std::function<void()>> actions_;
  std::unordered_map<std::uint64_t, std::vector<HostId>> members_;  // by network, ascending
  std::unordered_map<std::uint64_t, Heard> heard_;                  // by from << 32 | at
  std::vector<std::uint32_t> in_lan_;  // addresses given away behind each NAT
  std::vector<wire::Identity> granted_;
  std::uint32_t next_public_ = 0;
  std::uint32_t next_network_ = 1;
  std::uint32_t talk_ = 0;
  Micros now_ = 0;
  std::uint64_t events_ = 0;
  Transcript transcript_;
};

}  // namespace orrery::sim
