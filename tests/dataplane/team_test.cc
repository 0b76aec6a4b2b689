// Several workers on one peer: generator and sink are ports of the workers that own them, helpers
// are late, asleep or gone, and what leaves by the first worker's port comes from all. Every inner
// flow stays in order, nothing is lost, every ledger adds up.
#include "dataplane/team.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

constexpr unsigned kFlows = 7;  // of one generator
constexpr unsigned kMostQueues = 3;
constexpr unsigned kInFlight = 300;  // frames; pools of tests are small
/// For what takes tens of milliseconds on an idle machine.
constexpr std::chrono::seconds kPatience{60};

/// What travels in a frame behind its Ethernet header.
struct Stamp {
  std::uint32_t flow;
  std::uint32_t number;  // of its flow, from 0
};

/// Common to the generator at one end and the sink at the other.
struct Traffic {
  std::atomic<std::uint64_t> made{0}, arrived{0}, most{0};
};

/// Makes frames of random sizes in bursts of random sizes, and checks those that arrive.
class Stream final : public FramePort {
 public:
  Stream(const End& end, unsigned queue, unsigned seed, Traffic& out, Traffic& in)
      : frame_(end.frame(2800)), first_flow_(queue * kFlows), random_(seed), made_(out), got_(in) {}

  [[nodiscard]] wire::NetworkId network() const noexcept override { return kNetwork; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    const auto mood = random_() % 8;
    // Idle, a few, or as many as there is room for.
    const auto want = mood == 0 ? 0 : mood < 4 ? 1 + random_() % n : n;
    std::uint16_t count = 0;
    if (crowded()) return 0;
    while (count < want && made_.made - made_.arrived < kInFlight) {
      rte_mbuf* m = rte_pktmbuf_alloc(pools().frame);
      if (m == nullptr) break;
      if (made_.made++ >= made_.most) {  // other queues make some, too
        --made_.made;
        rte_pktmbuf_free(m);
        break;
      }
      const std::size_t size = 46 + (random_() % 4 == 0 ? random_() % 2700 : random_() % 100);
      const auto flow = static_cast<std::uint32_t>(random_() % kFlows);
      auto* p = reinterpret_cast<std::uint8_t*>(
          rte_pktmbuf_append(m, static_cast<std::uint16_t>(14 + size)));
      std::memcpy(p, frame_.data(), 14 + size);
      const Stamp stamp{first_flow_ + flow, numbers_[flow]++};
      std::memcpy(p + 14, &stamp, sizeof stamp);
      out[count++] = m;
    }
    return count;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override {
    for (unsigned i = 0; i < n; ++i) {
      Stamp stamp;
      const Bytes frame = bytes_of(in[i]);
      std::memcpy(&stamp, frame.data() + 14, sizeof stamp);
      // The rest is as it was made: the far end's pattern differs in its MACs alone.
      const bool same = std::equal(frame.begin() + 22, frame.end(), frame_.begin() + 22);
      if (stamp.flow >= expected_.size() || stamp.number != expected_[stamp.flow]++ || !same)
        ++wrong_;
      ++got_.arrived;
      rte_pktmbuf_free(in[i]);
    }
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  /// Frames that arrived out of order, damaged or twice.
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  /// Copies that rules make are no frames in flight, and may wait for a slow worker: a third of the
  /// buffers stays for those that must not be lost.
  static bool crowded() {
    const auto few = [](const rte_mempool* pool) {
      return rte_mempool_avail_count(pool) < pool->size / 3;
    };
    return few(pools().wire) || few(pools().frame);
  }

  const ByteVector frame_;
  const std::uint32_t first_flow_;
  std::mt19937 random_;
  Traffic& made_;
  Traffic& got_;
  std::array<std::uint32_t, kFlows> numbers_{};
  std::array<std::uint32_t, kFlows * kMostQueues> expected_{};  // of all queues of the far end
  std::atomic<std::uint64_t> wrong_{0};
  PortCounters counters_;
};

/// Bursts of random sizes.
class Wire final : public MemoryPort {
 public:
  Wire(wire::Endpoint self, unsigned seed) : MemoryPort(self), random_(seed) {}

 private:
  std::uint16_t most(std::uint16_t n) override {
    return random_() % 4 == 0 ? static_cast<std::uint16_t>(random_() % n) : n;
  }

  std::mt19937 random_;
};

/// A port that brings nothing and takes its time.
class Distraction final : public Port {
 public:
  explicit Distraction(unsigned seed) : random_(seed) {}

  std::uint16_t receive(rte_mbuf**, std::uint16_t) noexcept override {
    if (random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_() % 500));
    return 0;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override { rte_pktmbuf_free_bulk(in, n); }

  [[nodiscard]] bool owns(fib::LocalSocket) const noexcept override { return false; }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

 private:
  std::mt19937 random_;
  PortCounters counters_;
};

enum class Helpers : std::uint8_t {
  kReady,       // workers with nothing else to do
  kDistracted,  // workers that look up now and then
  kSlow,        // sleep in the middle of units
  kAbsent,      // never run
  kReplaced,    // stop in the middle of the work; others take their places
};

const char* name_of(Helpers helpers) {
  constexpr const char* kNames[] = {"Ready", "Distracted", "Slow", "Absent", "Replaced"};
  return kNames[static_cast<unsigned>(helpers)];
}

/// Which ports have a queue for each worker; others are the first worker's.
enum class Queues : std::uint8_t { kNone, kAll, kWires, kStreams };

const char* name_of(Queues queues) {
  constexpr const char* kNames[] = {"", "AllQueues", "WireQueues", "StreamQueues"};
  return kNames[static_cast<unsigned>(queues)];
}

struct Row {
  unsigned workers;
  Helpers helpers;
  Queues queues = Queues::kNone;
};

/// One node with a team.
class Node {
 public:
  Node(const char* name, const Row& row, wire::Address self, wire::Address other,
       wire::Endpoint own, wire::Endpoint remote, wire::Suite suite, Traffic& out, Traffic& in,
       unsigned seed)
      : end(name, self, other, remote, suite),
        helpers_(row.helpers),
        seed_(seed),
        team_(row.workers),
        links_(row.workers),
        fast_(row.workers) {
    const unsigned size = row.workers;
    const bool all = row.queues == Queues::kAll;
    for (unsigned i = 0; i < (all || row.queues == Queues::kWires ? size : 1); ++i)
      wires.push_back(std::make_shared<Wire>(own, seed + 16 * i));
    for (unsigned i = 0; i < (all || row.queues == Queues::kStreams ? size : 1); ++i)
      streams.push_back(std::make_shared<Stream>(end, i, seed + 16 * i, out, in));
    end.fast->offline();
    for (unsigned i = 0; i < size; ++i) {
      EXPECT_TRUE(links_[i].open(seed * 16 + i));
      if (i == 0) continue;
      FastPathOptions options;
      options.self = self;
      options.permutation = {self.value, 2};
      options.worker = options.nonce_lane = i;
      fast_[i] = std::make_unique<FastPath>(end.tables, pools(), options);
    }
    for (unsigned i = 0; i < size; ++i) workers.push_back(make(i));
  }

  /// What the last worker receives is what the far end's first sends.
  void connect(Node& far) {
    for (std::size_t i = 0; i < wires.size(); ++i)
      wires[i]->connect(far.wires[far.wires.size() - 1 - i].get());
  }

  /// Every worker's own queues, in sets of their own.
  void hand_over() {
    for (unsigned i = 0; i < workers.size(); ++i) {
      workers[i]->hand_over(set_of(i));
      workers[i]->reap();
    }
  }

  void start() {
    for (unsigned i = 0; i < workers.size(); ++i) {
      if (i == 0 || (helpers_ != Helpers::kAbsent && helpers_ != Helpers::kSlow)) {
        threads_.emplace_back([w = workers[i].get()] { w->run(); });
      } else if (helpers_ == Helpers::kSlow) {
        threads_.emplace_back([this, i] { help_slowly(i); });
      }
    }
  }

  /// Another worker in the place of a helper.
  void replace(unsigned i) {
    workers[i]->stop();
    threads_[i].join();
    check(*workers[i]);
    gone_.push_back(std::move(workers[i]));
    workers[i] = make(i);
    threads_[i] = std::thread([w = workers[i].get()] { w->run(); });
  }

  void stop() {
    stop_ = true;
    for (const auto& w : workers) w->stop();
    for (std::thread& t : threads_) t.join();
    for (ControlLink& link : links_) {
      rte_mbuf* m = nullptr;
      while (link.punt.pop(&m, 1) != 0) rte_pktmbuf_free(m);
      while (link.raw.pop(&m, 1) != 0) rte_pktmbuf_free(m);
      for (auto* ring : {&link.pass, &link.pass_frames}) {
        for (; ring->pop(&m, 1) != 0; ++left_) rte_pktmbuf_free(m);
      }
    }
  }

  static void check(const Worker& w) { EXPECT_TRUE(w.counters().balanced()); }

  void check_ledgers() const {
    std::uint64_t lent = 0, borrowed = 0, regained = 0, repaid = 0, passed = 0, taken = 0;
    const auto add = [&](const Worker& w) {
      check(w);
      EXPECT_EQ(w.counters().held.value(), 0u);
      lent += w.counters().lent;
      borrowed += w.counters().borrowed;
      regained += w.counters().regained;
      repaid += w.counters().repaid;
      passed += w.counters().passed;
      taken += w.counters().taken;
    };
    for (const auto& w : workers) add(*w);
    for (const auto& w : gone_) add(*w);
    EXPECT_EQ(lent, borrowed + slow_borrowed_);
    EXPECT_EQ(regained, repaid + slow_repaid_);
    EXPECT_EQ(passed, taken + left_);
    if (helpers_ == Helpers::kAbsent) {
      EXPECT_EQ(lent, 0u);
    }
  }

  /// Others than the first worker have had a part: a unit, where they have no queues, else packets
  /// of their own.
  [[nodiscard]] bool shared() const {
    if (streams.size() == 1 && wires.size() == 1) return workers[0]->counters().lent != 0;
    if (streams.size() == 1) return workers.back()->counters().datagrams_in != 0;
    return std::ranges::all_of(workers, [](const auto& w) { return w->counters().frames_in != 0; });
  }

  [[nodiscard]] std::uint64_t wrong() const {
    std::uint64_t sum = 0;
    for (const auto& s : streams) sum += s->wrong();
    return sum;
  }

  [[nodiscard]] std::uint64_t passed() const {
    std::uint64_t sum = 0;
    for (const auto& w : workers) sum += w->counters().passed;
    return sum;
  }

  [[nodiscard]] std::uint64_t drops() const {
    std::uint64_t sum = 0;
    for (const auto& w : workers) sum += total(w->counters().drops);
    for (const auto& w : gone_) sum += total(w->counters().drops);
    return sum + total(slow_drops_);
  }

  End end;
  std::vector<std::shared_ptr<Wire>> wires;
  std::vector<std::shared_ptr<Stream>> streams;
  std::vector<std::unique_ptr<Worker>> workers;

 private:
  std::unique_ptr<Worker> make(unsigned i) {
    FastPath* fast = i == 0 ? end.fast.get() : fast_[i].get();
    auto worker = std::make_unique<Worker>(pools(), links_[i], fast, false, Place{&team_, i});
    worker->hand_over(set_of(i));
    return worker;
  }

  [[nodiscard]] std::unique_ptr<PortSet> set_of(unsigned i) const {
    auto set = std::make_unique<PortSet>();
    if (i < wires.size()) set->ports.push_back(wires[i]);
    if (i < streams.size()) set->frame_ports.push_back(streams[i]);
    if (i != 0 && helpers_ == Helpers::kDistracted)
      set->ports.push_back(std::make_shared<Distraction>(seed_ + i));
    return set;
  }

  /// A worker in slow motion, which is late with units that it has begun.
  void help_slowly(unsigned i) {
    std::mt19937 random(seed_ + i);
    FastPath& fast = *fast_[i];
    fast.online();
    while (!stop_) {
      WorkUnit* unit = team_.units_of(0).take();
      if (unit == nullptr) {
        std::this_thread::yield();
      } else {
        unit->lent = true;
        slow_borrowed_ += unit->owed;
        if (random() % 2 == 0)
          std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
        const std::lock_guard lock(slow_);  // of the drop counters
        if (unit->row == WorkUnit::Row::kInbound) {
          fast.open(unit->packets, unit->n, unit->outcome, slow_drops_);
        } else {
          fast.seal(unit->network, unit->packets, unit->n, unit->outcome, slow_drops_);
        }
        Outcome& o = unit->outcome;
        slow_repaid_ += o.delivers + o.transmits + o.punts;
        o.copies = o.merged = 0;
        Team::Units::finish(*unit);
      }
      fast.quiescent();
    }
    fast.offline();
  }

  const Helpers helpers_;
  const unsigned seed_;
  Team team_;
  std::deque<ControlLink> links_;
  std::vector<std::unique_ptr<FastPath>> fast_;
  std::vector<std::unique_ptr<Worker>> gone_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::uint64_t left_ = 0;  // on rings to the first worker when all had stopped
  std::mutex slow_;
  DropCounters slow_drops_;
  std::atomic<std::uint64_t> slow_borrowed_{0}, slow_repaid_{0};
};

class TeamTest : public Dataplane, public ::testing::WithParamInterface<Row> {
 protected:
  /// Asks every millisecond whether it is so; `meanwhile` is done in between.
  template <typename Condition, typename Meanwhile>
  static void wait_until(Condition holds, Meanwhile meanwhile) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!holds() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      meanwhile();
    }
  }

  template <typename Condition>
  static void wait_until(Condition holds) {
    wait_until(holds, [] {});
  }

  void make(std::uint64_t frames) {
    there_.most = back_.most = frames;
    const Row& row = GetParam();
    a_ = std::make_unique<Node>("team_a", row, kA, kB, kEndA, kEndB, wire::Suite::kAesGmacSiv,
                                there_, back_, 1);
    b_ = std::make_unique<Node>("team_b", row, kB, kA, kEndB, kEndA, wire::Suite::kAesGmacSiv,
                                back_, there_, 2);
    a_->connect(*b_);
    b_->connect(*a_);
    a_->start();
    b_->start();
  }

  void stop() {
    a_->stop();
    b_->stop();
    a_->check_ledgers();
    b_->check_ledgers();
    EXPECT_EQ(a_->wrong(), 0u);
    EXPECT_EQ(b_->wrong(), 0u);
  }

  void TearDown() override {
    a_.reset();
    b_.reset();
    Dataplane::TearDown();
  }

  Traffic there_, back_;
  std::unique_ptr<Node> a_, b_;
};

TEST_P(TeamTest, EveryFlowStaysInOrderAndNothingIsLost) {
  constexpr std::uint64_t kFrames = 10'000;
  make(kFrames);
  const auto arrived = [&] { return there_.arrived == there_.most && back_.arrived == back_.most; };
  const auto shared = [&] {
    return GetParam().helpers != Helpers::kReady || (a_->shared() && b_->shared());
  };
  const auto done = [&] {
    if (!arrived()) return false;
    if (shared()) return true;
    // On a busy machine helpers may come late.
    there_.most = back_.most = there_.most + 1000;
    return false;
  };
  unsigned turn = 0;
  wait_until(done, [&] {
    // Records and ports are replaced by others of the same meaning while units are out.
    a_->end.publisher.apply(a_->end.peer());
    a_->end.publisher.apply(a_->end.network());
    b_->end.publisher.apply(b_->end.peer());
    b_->end.publisher.apply(b_->end.member());
    a_->end.publisher.reclaim();
    b_->end.publisher.reclaim();
    a_->hand_over();
    b_->hand_over();
    if (GetParam().helpers == Helpers::kReplaced && turn % 8 == 0)
      a_->replace(1 + turn / 8 % (GetParam().workers - 1));
    ++turn;
  });
  stop();
  EXPECT_EQ(there_.arrived, there_.most);
  EXPECT_EQ(back_.arrived, back_.most);
  if (GetParam().helpers == Helpers::kReady) {
    EXPECT_TRUE(shared());
    // What has a queue for each worker at one side only crosses to the first at the other.
    const bool crosses =
        GetParam().queues == Queues::kWires || GetParam().queues == Queues::kStreams;
    EXPECT_EQ(a_->passed() != 0, crosses);
    EXPECT_EQ(b_->passed() != 0, crosses);
  }
  EXPECT_EQ(a_->drops(), 0u);
  EXPECT_EQ(b_->drops(), 0u);
}

TEST_P(TeamTest, StopsInTheMiddleOfTheWork) {
  make(UINT64_MAX);
  wait_until([&] { return there_.arrived >= 2'000; });
  stop();
}

/// Of workers alone: the slow helpers are the test's own and send no copies.
class CopyingTeamTest : public TeamTest {};

TEST_P(CopyingTeamTest, WhatRulesCopyIsSentByWhoeverWorksOnIt) {
  make(UINT64_MAX);
  const wire::Address third{0x3333333333ULL};
  wire::Rule tee;
  tee.type = static_cast<std::uint8_t>(wire::RuleType::kActionTee);
  store_be64(tee.data.data(), third.value);
  for (Node* node : {a_.get(), b_.get()}) {
    fib::Peer peer = node->end.peer();
    peer.address = third;
    node->end.publisher.apply(peer);
    fib::Network n = node->end.network();
    n.rules.insert(n.rules.begin(), tee);
    node->end.publisher.apply(n);
  }
  const auto copied = [](const Node& node) {
    std::uint64_t frames = 0;
    for (const auto& w : node.workers) frames += w->counters().copies;
    return frames;
  };
  const std::uint64_t there = there_.arrived, back = back_.arrived;
  wait_until([&] { return there_.arrived >= there + 2'000 && back_.arrived >= back + 2'000; });
  stop();
  EXPECT_GE(copied(*a_), 1'000u);
  EXPECT_GE(copied(*b_), 1'000u);
}

const std::vector<Row> kWorkers = {Row{2, Helpers::kReady},
                                   Row{3, Helpers::kReady},
                                   Row{2, Helpers::kDistracted},
                                   Row{3, Helpers::kDistracted},
                                   Row{3, Helpers::kAbsent},
                                   Row{2, Helpers::kReplaced},
                                   Row{3, Helpers::kReplaced},
                                   Row{2, Helpers::kReady, Queues::kAll},
                                   Row{3, Helpers::kReady, Queues::kAll},
                                   Row{2, Helpers::kReady, Queues::kWires},
                                   Row{3, Helpers::kReady, Queues::kWires},
                                   Row{2, Helpers::kReady, Queues::kStreams},
                                   Row{3, Helpers::kReady, Queues::kStreams},
                                   Row{3, Helpers::kReplaced, Queues::kStreams}};

std::string name_of_row(const testing::TestParamInfo<Row>& row) {
  return std::to_string(row.param.workers) + name_of(row.param.helpers) + name_of(row.param.queues);
}

INSTANTIATE_TEST_SUITE_P(Teams, TeamTest, testing::ValuesIn(kWorkers), name_of_row);
INSTANTIATE_TEST_SUITE_P(SlowTeams, TeamTest,
                         testing::Values(Row{2, Helpers::kSlow}, Row{3, Helpers::kSlow}),
                         name_of_row);
INSTANTIATE_TEST_SUITE_P(Teams, CopyingTeamTest, testing::ValuesIn(kWorkers), name_of_row);

}  // namespace
}  // namespace orrery::dataplane::test
