#include "sim/world_report.h"

#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "sim/thread_crew.h"

namespace orrery::test {

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using Role = LargeWorld::Role;

constexpr Millis kJoinBound = 180'000;
constexpr Millis kQuiet = 5'000;      // between one thing and the next
constexpr Millis kMeasured = 20'000;  // of the quiet world
constexpr Millis kBound = 60'000;     // of every recovery
constexpr Millis kAway = 15'000;      // all roots, and half of the world
constexpr std::size_t kWeighed = 1'000;

constexpr std::pair<Role, const char*> kRoles[] = {
    {Role::kLeaf, "leaf"}, {Role::kRoot, "root"}, {Role::kController, "controller"}};

double rounded(double value) {
  return std::round(value * 1'000) / 1'000;
}

/// VmRSS or VmHWM of this process, MiB; 0: not known.
double status_mib(const char* key) {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;) {
    double kib = 0;
    if (word == key && in >> kib) return kib / 1'024;
  }
  return 0;
}

class Report {
 public:
  Report(std::size_t nodes, std::uint64_t seed) : nodes_(nodes), seed_(seed) {}

  void add(const std::string& name, const json& params, double value, const char* unit,
           const json& counters = json::object()) {
    json of = {{"nodes", nodes_}, {"seed", seed_}};
    if (!params.is_null()) of.update(params);
    json row = {{"name", name}, {"params", of},   {"value", rounded(value)},
                {"unit", unit}, {"baseline", {}}, {"ratio", {}}};
    if (!counters.empty()) row["counters"] = counters;
    rows.push_back(std::move(row));
  }

  void add(const std::string& name, const json& params, const Spread& spread) {
    add(name, params, static_cast<double>(spread.p99), "ms",
        {{"median", spread.median}, {"most", spread.most}, {"count", spread.count}});
  }

  void add(const std::string& event, const LargeWorld::Recovery& recovery) {
    add("recovery, p99", {{"event", event}}, recovery.took);
    rows.back()["counters"]["pairs"] = recovery.pairs;
    for (const double share : recovery.connected) rows.back()["curve"].push_back(rounded(share));
  }

  void add(const char* role, const LargeWorld::Rates& rates) {
    add("packets", {{"role", role}}, rates.packets_in + rates.packets_out, "packets/s",
        {{"in", rounded(rates.packets_in)}, {"out", rounded(rates.packets_out)}});
    add("bytes", {{"role", role}}, rates.bytes_in + rates.bytes_out, "B/s",
        {{"in", rounded(rates.bytes_in)}, {"out", rounded(rates.bytes_out)}});
  }

  void add(const char* role, const LargeWorld::Memory& memory) {
    add("memory", {{"role", role}}, static_cast<double>(memory.bytes), "B",
        {{"peers", rounded(memory.peers)},
         {"per_peer",
          memory.peers == 0 ? 0 : rounded(static_cast<double>(memory.bytes) / memory.peers)}});
  }

  json rows = json::array();

 private:
  std::size_t nodes_;
  std::uint64_t seed_;
};

void must(const LargeWorld::Recovery& recovery, const char* what) {
  if (recovery.complete()) return;
  throw sim::Breach(std::string(what) + ": " +
                    std::to_string(recovery.pairs - recovery.took.count) + " of " +
                    std::to_string(recovery.pairs) + " pairs are not connected after " +
                    std::to_string(kBound) + " ms");
}

}  // namespace

json world_report(std::size_t nodes, std::uint64_t seed, unsigned threads,
                  const std::function<void(const std::string&)>& say) {
  const Clock::time_point begun = Clock::now();
  Report report(nodes, seed);
  ThreadCrew crew(threads);
  sim::Scene s(seed, {.strangers = std::max<std::size_t>(64 * nodes, 1u << 20), .crew = &crew});
  const auto tell = [&](const char* what) {
    char line[160];
    std::snprintf(line, sizeof line,
                  "%7.1f s: %s; %.1f s of virtual time, %" PRIu64 " events, %.0f MiB",
                  std::chrono::duration<double>(Clock::now() - begun).count(), what,
                  static_cast<double>(s.now()) / 1e6, s.events(), status_mib("VmRSS:"));
    say(line);
  };
  const auto turn = [&](const char* what, const LargeWorld::Recovery& recovery) {
    report.add(what, recovery);
    must(recovery, what);
    tell(what);
  };
  const std::size_t empty = LargeWorld::heap();
  LargeWorld world(s, WorldSize::of(nodes));
  const auto each = [&](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(nodes);
  };
  report.add("memory of the simulation, a node that is off", {}, each(world.built() - empty), "B");
  tell("everybody is built");

  const LargeWorld::Joining joining = world.settle(kJoinBound);
  report.add("from start to configuration, p99", {}, joining.configured);
  report.add("from start to hearing a neighbour, p99", {}, joining.connected);
  report.add("from the first start until all are connected", {}, static_cast<double>(joining.all),
             "ms");
  tell("everybody is connected");

  (void)world.measure(kQuiet);
  const auto rates = world.measure(kMeasured);
  for (const auto& [role, label] : kRoles) report.add(label, rates[static_cast<std::size_t>(role)]);
  report.add("memory, all of a node", {}, each(LargeWorld::heap() - empty), "B",
             {{"peers", rounded(each(world.peers()))}});
  tell("the quiet world is measured");

  LargeWorld::Memory root;
  const LargeWorld::Recovery lost = world.lose_root(kBound, root);
  turn("a root dies", lost);
  report.add("root", root);
  world.wake_roots();
  (void)world.measure(kQuiet);
  const LargeWorld::Recovery alone = world.lose_all_roots(kAway, kBound);
  report.add("pairs with a path of their own", {},
             100.0 * static_cast<double>(alone.pairs) / static_cast<double>(lost.pairs), "%",
             {{"pairs", world.pairs()}, {"witnesses", lost.pairs}});
  turn("all roots die", alone);
  turn("all roots come back", world.return_roots(kBound));
  (void)world.measure(kQuiet);
  turn("half was cut off", world.cut_half(kAway, kBound));
  report.add("controller", world.weigh(Role::kController, kWeighed));
  report.add("leaf", world.weigh(Role::kLeaf, kWeighed));

  const std::uint64_t sent = s.internet().count(sim::Fate::kSent);
  report.add("virtual time", {}, static_cast<double>(s.now()) / 1e6, "s");
  report.add("events", {}, static_cast<double>(s.events()), "");
  report.add("datagrams", {}, static_cast<double>(sent), "");
  report.add("largest resident memory", {}, status_mib("VmHWM:"), "MiB");
  report.add("processor time", {}, static_cast<double>(std::clock()) / CLOCKS_PER_SEC, "s");
  report.add("wall time", {}, std::chrono::duration<double>(Clock::now() - begun).count(), "s",
             {{"watched_all", s.watch().sees_all()}, {"threads", threads}});
  char hash[20];
  std::snprintf(hash, sizeof hash, "%016" PRIx64, s.transcript().hash());
  report.add("transcript", {{"hash", hash}}, static_cast<double>(s.transcript().events()),
             "records");
  tell("done");
  return report.rows;
}

}  // namespace orrery::test
