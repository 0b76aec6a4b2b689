// What a controller costs: signatures, configurations, calls of its API, a join storm, and how long
// a deauthorisation takes to reach everybody.
//
//   controller_bench [MEMBERS...]      sizes of the network for calls; default 100 10000 100000
//
// A real Controller with the duties of its driver (controller.h) and a store in a temporary
// directory (TMPDIR, else /tmp: put it on the disk that is to be measured); members are names and
// keys, their packets are counted and not encrypted. One row a line, as JSON: name, params, value,
// unit, baseline. Latencies are wall time until the call's record is on disk, medians, with the
// 99th percentile as a row of its own.
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "controller_scene.h"
#include "crypto/identity_work.h"

namespace orrery::bench {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void row(const std::string& name, const json& params, double value, const char* unit,
         const json& baseline = nullptr) {
  const json line = {
      {"name", name}, {"params", params}, {"value", value}, {"unit", unit}, {"baseline", baseline}};
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

/// How often a second `run` can be called, by half a second of it.
double rate_of(const std::function<void()>& run) {
  run();
  std::size_t n = 0;
  const auto begin = Clock::now();
  while (seconds_since(begin) < 0.5) {
    run();
    ++n;
  }
  return static_cast<double>(n) / seconds_since(begin);
}

double percentile(std::vector<double> values, double part) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// Signatures a second, beside libsodium's own of the same message.
double signatures() {
  const crypto::SecretIdentity& signer = identity();
  const ByteVector message(120, 7);
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> open;
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret;
  crypto_sign_keypair(open.data(), secret.data());
  const double baseline = rate_of([&] {
    std::array<std::uint8_t, crypto_sign_BYTES> signature;
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
  });
  const double rate = rate_of([&] { (void)crypto::sign(signer, message); });
  row("signatures", json::object(), rate, "1/s", baseline);
  return rate;
}

void certificates(double signatures_a_second) {
  const control::ConfigDraft draft = plain_draft();
  const double rate = rate_of([&] { (void)control::issue(identity(), draft); });
  row("certificates of membership", json::object(), rate, "1/s", signatures_a_second);
}

/// Requests of members that are known, answered on one thread.
void configurations(double signatures_a_second) {
  ControllerScene scene({.store = false, .signers = 0});
  scene.make_network(network(1), rich_network());
  for (std::uint64_t i = 1; i <= 100; ++i) scene.request(network(1), made_up(i));
  std::uint64_t i = 0;
  const double rate = rate_of([&] {
    if (i++ % 100 == 0) scene.advance(2'000);
    scene.request(network(1), made_up(i % 100 + 1));
  });
  row("full configurations", {{"signatures", kRichSignatures}}, rate, "1/s",
      signatures_a_second / kRichSignatures);
}

/// What a commit cannot be without: 8 KiB behind the others in a file, and a synchronisation.
class DiskAlone {
 public:
  DiskAlone() {
    const char* where = std::getenv("TMPDIR");
    std::string name = std::string(where == nullptr ? "/tmp" : where) + "/controller-disk.XXXXXX";
    fd_ = ::mkstemp(name.data());
    ::unlink(name.c_str());
  }

  ~DiskAlone() { ::close(fd_); }

  DiskAlone(const DiskAlone&) = delete;
  DiskAlone& operator=(const DiskAlone&) = delete;

  void commit() {
    static constexpr char kPages[8'192] = {};
    if (::write(fd_, kPages, sizeof(kPages)) != sizeof(kPages) || ::fdatasync(fd_) != 0)
      std::perror("controller_bench: disk");
  }

 private:
  int fd_;
};

void calls(std::uint64_t members) {
  ControllerScene scene({.store = true, .signers = 1});
  scene.make_network(network(1), rich_network());
  for (std::uint64_t i = 1; i <= members; ++i) {
    scene.request(network(1), made_up(i));
    if (i % 64 != 0) continue;
    scene.settle_all();
    scene.advance(15);  // newcomers are let in at 5,000 a second
  }
  scene.settle_all();
  const std::string net = "/controller/network/" + wire::to_string(network(1));
  const auto measure = [&](const std::string& name, int times,
                           const std::function<void(int)>& call) {
    std::vector<double> ms;
    for (int i = 0; i < times; ++i) {
      const auto begin = Clock::now();
      call(i);
      ms.push_back(seconds_since(begin) * 1e3);
      // What follows from it belongs to nobody's call.
      for (int turn = 0; turn < 3; ++turn) scene.pass(20);
    }
    const json params = {{"members", members}};
    row("API: " + name, params, percentile(ms, 0.5), "ms");
    row("API: " + name + ", 99 %", params, percentile(ms, 0.99), "ms");
  };
  const auto member_path = [&](int i) {
    const std::uint64_t which = static_cast<std::uint64_t>(i) * 7919 % members + 1;
    return net + "/member/" + wire::to_string(made_up(which).address);
  };
  DiskAlone disk;
  measure("disk alone", 200, [&](int) { disk.commit(); });
  measure("read a member", 200, [&](int i) { scene.call("GET", member_path(i), ""); });
  measure("name a member", 200, [&](int i) {
    scene.call("POST", member_path(i), "{\"name\":\"n" + std::to_string(i) + "\"}");
  });
  measure("deauthorise a member", 50,
          [&](int i) { scene.call("POST", member_path(i), R"({"authorized":false})"); });
  measure("authorise a member", 50,
          [&](int i) { scene.call("POST", member_path(i), R"({"authorized":true})"); });
  measure("name the network", 50,
          [&](int i) { scene.call("POST", net, "{\"name\":\"n" + std::to_string(i) + "\"}"); });
  for (const auto& [name, path] : {std::pair{"list member ids", net + "/member"},
                                   std::pair{"list members", "/unstable" + net + "/member"}}) {
    std::vector<double> turns;
    measure(name, 5, [&](int) { turns.push_back(scene.list(path) * 1e3); });
    row(std::string("API: ") + name + ", longest turn of control", {{"members", members}},
        percentile(turns, 0.5), "ms");
  }
  measure("delete the network", 1, [&](int) { scene.call("DELETE", net, ""); });
  double longest = 0;
  for (std::uint64_t i = 0; i < members / control::Controller::kClearedPerTurn + 400; ++i) {
    const auto begin = Clock::now();
    scene.pass(20);
    longest = std::max(longest, seconds_since(begin));
    scene.await();
  }
  row("API: delete the network, longest turn of control afterwards", {{"members", members}},
      longest * 1e3, "ms");
}

/// Everybody asks at the same moment, for the first time.
void join_storm(std::uint64_t members, unsigned signers, double signatures_a_second) {
  ControllerScene scene({.store = true, .signers = signers});
  scene.make_network(network(1), rich_network());
  std::vector<wire::Identity> all;
  for (std::uint64_t i = 1; i <= members; ++i) all.push_back(made_up(i));
  const auto begin = Clock::now();
  std::size_t next = 0;
  double longest = 0;
  while (scene.transport.members_answered() < members) {
    const auto turn = Clock::now();
    for (int i = 0; i < 64 && next < members; ++i) scene.request(network(1), all[next++]);
    scene.settle();
    longest = std::max(longest, seconds_since(turn));
    if (next == members) std::this_thread::yield();
    if (next == members && scene.idle() && scene.transport.members_answered() < members) {
      std::fprintf(stderr, "controller_bench: %zu of %zu members were answered\n",
                   scene.transport.members_answered(), static_cast<std::size_t>(members));
      std::exit(1);
    }
  }
  const double took = seconds_since(begin);
  const json params = {{"members", members}, {"signers", signers}};
  row("join storm", params, took, "s",
      static_cast<double>(members) * kRichSignatures / signatures_a_second);
  row("join storm: longest turn of control", params, longest * 1e3, "ms");
}

/// Time until the last member has been told, simulated but for that of the disk, and real time that
/// control was held.
void deauthorisation(std::uint64_t members) {
  ControllerScene scene({.store = true, .signers = 1});
  scene.make_network(network(1), rich_network());
  for (std::uint64_t i = 1; i <= members; ++i) {
    scene.request(network(1), made_up(i));
    if (i % 64 == 0) scene.settle();
  }
  scene.settle_all();
  scene.advance(2'000);
  std::vector<double> reached, longest;
  for (int round = 0; round < 5; ++round) {
    scene.transport.forget();
    const std::string path =
        "/controller/network/" + wire::to_string(network(1)) + "/member/" +
        wire::to_string(made_up(static_cast<std::uint64_t>(round) + 1).address);
    const Millis start = scene.now.mono;
    double turn = 0;
    const auto timed = [&](const std::function<void()>& run) {
      const auto begin = Clock::now();
      run();
      turn = std::max(turn, seconds_since(begin));
    };
    timed([&] { scene.handle("POST", path, R"({"authorized":false})"); });
    const auto handled = Clock::now();
    scene.await();
    scene.advance(static_cast<Millis>(seconds_since(handled) * 1e3) + 1);
    while (scene.transport.told() < members && scene.now.mono < start + 30'000)
      timed([&] { scene.pass(1); });
    reached.push_back(static_cast<double>(scene.now.mono - start));
    longest.push_back(turn * 1e3);
    for (int i = 0; i < 6'000; ++i) scene.pass(1);
  }
  const json params = {{"members", members}};
  row("deauthorisation reaches all", params, percentile(reached, 0.5), "ms");
  row("deauthorisation: longest turn of control", params, percentile(longest, 0.5), "ms");
}

int run(int argc, char** argv) {
  std::vector<std::uint64_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {100, 10'000, 100'000};
  const double rate = signatures();
  certificates(rate);
  configurations(rate);
  for (const std::uint64_t members : sizes) calls(members);
  for (const unsigned signers : {0U, 1U, 2U}) join_storm(10'000, signers, rate);
  for (const std::uint64_t members : {std::uint64_t{100}, std::uint64_t{10'000}})
    deauthorisation(members);
  return 0;
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  orrery::crypto::init();
  return orrery::bench::run(argc, argv);
}
