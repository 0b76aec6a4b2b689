// Several workers on one peer: generator and sink are ports of the worker that owns them, helpers
// are late, asleep or gone. Every inner flow stays in order, nothing is lost, every ledger adds up.
#include "dataplane/team.h"

#include <chrono>
#include <random>
#include <thread>

#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

constexpr unsigned kFlows = 7;
constexpr unsigned kInFlight = 300;  // frames; pools of tests are small

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
  Stream(const End& end, unsigned seed, Traffic& out, Traffic& in)
      : frame_(end.frame(2800)), random_(seed), made_(out), got_(in) {}

  [[nodiscard]] wire::NetworkId network() const noexcept override { return kNetwork; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    const auto mood = random_() % 8;
    // Idle, a few, or as many as there is room for.
    const auto want = mood == 0 ? 0 : mood < 4 ? 1 + random_() % n : n;
    std::uint16_t count = 0;
    while (count < want && made_.made < made_.most && made_.made - made_.arrived < kInFlight) {
      rte_mbuf* m = rte_pktmbuf_alloc(pools().frame);
      if (m == nullptr) break;
      const std::size_t size = 46 + (random_() % 4 == 0 ? random_() % 2700 : random_() % 100);
      const Stamp stamp{static_cast<std::uint32_t>(random_() % kFlows), 0};
      auto* p = reinterpret_cast<std::uint8_t*>(
          rte_pktmbuf_append(m, static_cast<std::uint16_t>(14 + size)));
      std::memcpy(p, frame_.data(), 14 + size);
      const Stamp filled{stamp.flow, numbers_[stamp.flow]++};
      std::memcpy(p + 14, &filled, sizeof filled);
      out[count++] = m;
      ++made_.made;
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
      if (stamp.flow >= kFlows || stamp.number != expected_[stamp.flow]++ || !same) ++wrong_;
      ++got_.arrived;
      rte_pktmbuf_free(in[i]);
    }
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  /// Frames that arrived out of order, damaged or twice.
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  const ByteVector frame_;
  std::mt19937 random_;
  Traffic& made_;
  Traffic& got_;
  std::array<std::uint32_t, kFlows> numbers_{}, expected_{};
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

/// One node with a team; worker 0 owns the ports.
class Node {
 public:
  Node(const char* name, unsigned size, Helpers helpers, wire::Address self, wire::Address other,
       wire::Endpoint own, wire::Endpoint remote, wire::Suite suite, Traffic& out, Traffic& in,
       unsigned seed)
      : end(name, self, other, remote, suite),
        wire_port(std::make_shared<Wire>(own, seed)),
        stream(std::make_shared<Stream>(end, seed, out, in)),
        helpers_(helpers),
        seed_(seed),
        team_(size),
        links_(size),
        fast_(size) {
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
    hand_over();
  }

  /// The owner's ports, in a set of their own.
  void hand_over() {
    auto set = std::make_unique<PortSet>();
    set->ports = {wire_port};
    set->frame_ports = {stream};
    workers[0]->hand_over(std::move(set));
    workers[0]->reap();
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
    }
  }

  static void check(const Worker& w) { EXPECT_TRUE(w.counters().balanced()); }

  void check_ledgers() const {
    std::uint64_t lent = 0, borrowed = 0, regained = 0, repaid = 0;
    const auto add = [&](const Worker& w) {
      check(w);
      EXPECT_EQ(w.counters().held.value(), 0u);
      lent += w.counters().lent;
      borrowed += w.counters().borrowed;
      regained += w.counters().regained;
      repaid += w.counters().repaid;
    };
    for (const auto& w : workers) add(*w);
    for (const auto& w : gone_) add(*w);
    EXPECT_EQ(lent, borrowed + slow_borrowed_);
    EXPECT_EQ(regained, repaid + slow_repaid_);
    if (helpers_ == Helpers::kAbsent) {
      EXPECT_EQ(lent, 0u);
    }
  }

  /// A helper has had a unit.
  [[nodiscard]] bool shared() const { return workers[0]->counters().lent != 0; }

  [[nodiscard]] std::uint64_t drops() const {
    std::uint64_t sum = 0;
    for (const auto& w : workers) sum += total(w->counters().drops);
    for (const auto& w : gone_) sum += total(w->counters().drops);
    return sum + total(slow_drops_);
  }

  End end;
  std::shared_ptr<Wire> wire_port;
  std::shared_ptr<Stream> stream;
  std::vector<std::unique_ptr<Worker>> workers;

 private:
  std::unique_ptr<Worker> make(unsigned i) {
    FastPath* fast = i == 0 ? end.fast.get() : fast_[i].get();
    auto worker = std::make_unique<Worker>(pools(), links_[i], fast, false, Place{&team_, i});
    auto set = std::make_unique<PortSet>();
    if (helpers_ == Helpers::kDistracted)
      set->ports.push_back(std::make_shared<Distraction>(seed_ + i));
    worker->hand_over(std::move(set));
    return worker;
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
  std::mutex slow_;
  DropCounters slow_drops_;
  std::atomic<std::uint64_t> slow_borrowed_{0}, slow_repaid_{0};
};

struct Row {
  unsigned workers;
  Helpers helpers;
};

class TeamTest : public Dataplane, public ::testing::WithParamInterface<Row> {
 protected:
  void make(std::uint64_t frames) {
    there_.most = back_.most = frames;
    const Row& row = GetParam();
    a_ = std::make_unique<Node>("team_a", row.workers, row.helpers, kA, kB, kEndA, kEndB,
                                wire::Suite::kAesGmacSiv, there_, back_, 1);
    b_ = std::make_unique<Node>("team_b", row.workers, row.helpers, kB, kA, kEndB, kEndA,
                                wire::Suite::kAesGmacSiv, back_, there_, 2);
    a_->wire_port->connect(b_->wire_port.get());
    b_->wire_port->connect(a_->wire_port.get());
    a_->start();
    b_->start();
  }

  void stop() {
    a_->stop();
    b_->stop();
    a_->check_ledgers();
    b_->check_ledgers();
    EXPECT_EQ(a_->stream->wrong(), 0u);
    EXPECT_EQ(b_->stream->wrong(), 0u);
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
  const auto done = [&] { return there_.arrived == there_.most && back_.arrived == back_.most; };
  for (unsigned i = 0; i < 20'000 && !done(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // Records and ports are replaced by others of the same meaning while units are out.
    a_->end.publisher.apply(a_->end.peer());
    a_->end.publisher.apply(a_->end.network());
    b_->end.publisher.apply(b_->end.peer());
    b_->end.publisher.apply(b_->end.member());
    a_->end.publisher.reclaim();
    b_->end.publisher.reclaim();
    a_->hand_over();
    b_->hand_over();
    if (GetParam().helpers == Helpers::kReplaced && i % 8 == 0)
      a_->replace(1 + i / 8 % (GetParam().workers - 1));
    // On a busy machine helpers may come late.
    if (GetParam().helpers == Helpers::kReady && done() && !(a_->shared() && b_->shared()))
      there_.most = back_.most = there_.most + 1000;
  }
  stop();
  EXPECT_EQ(there_.arrived, there_.most);
  EXPECT_EQ(back_.arrived, back_.most);
  if (GetParam().helpers == Helpers::kReady) {
    EXPECT_TRUE(a_->shared() && b_->shared());
  }
  EXPECT_EQ(a_->drops(), 0u);
  EXPECT_EQ(b_->drops(), 0u);
}

TEST_P(TeamTest, StopsInTheMiddleOfTheWork) {
  make(UINT64_MAX);
  for (unsigned i = 0; i < 5'000 && there_.arrived < 2'000; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop();
}

INSTANTIATE_TEST_SUITE_P(Teams, TeamTest,
                         ::testing::Values(Row{2, Helpers::kReady}, Row{3, Helpers::kReady},
                                           Row{2, Helpers::kDistracted},
                                           Row{3, Helpers::kDistracted}, Row{2, Helpers::kSlow},
                                           Row{3, Helpers::kSlow}, Row{3, Helpers::kAbsent},
                                           Row{2, Helpers::kReplaced}, Row{3, Helpers::kReplaced}),
                         [](const auto& row) {
                           return std::to_string(row.param.workers) + name_of(row.param.helpers);
                         });

}  // namespace
}  // namespace orrery::dataplane::test
