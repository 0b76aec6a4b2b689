// A flood of packets out of one interface, paced by the clock, for tools/bench flood and root;
// forged_packets.h and sealed_packets.h have the kinds. What was really sent is printed as one JSON
// object: kind, sent, seconds, rate (a second).
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "forged_packets.h"
#include "sealed_packets.h"

namespace orrery::bench {
namespace {

struct Options {
  std::string kind;
  std::string interface;
  Target target;
  std::string as, secret, peer;
  wire::Endpoint from;
  double rate = 100'000;
  double seconds = 5;
};

class Flood {
 public:
  explicit Flood(const Options& options) : options_(options), port_(options.interface) {
    if (const auto forged = kKinds.find(options.kind); forged != kKinds.end()) {
      kind_ = forged->second;
      forged_.emplace(options.target,
                      options.as.empty() ? wire::Identity{} : identity_in(options.as).identity);
    } else if (options.kind == "joiners") {
      sealed_ = SealedPackets::joiners(options.target, identity_in(options.peer).identity);
    } else {
      const wire::ParsedIdentity self = identity_in(options.secret);
      if (!self.has_private) fail(options.secret + ": no private key");
      if (!options.from) fail("whois needs --from");
      sealed_ = SealedPackets::whois(options.target, identity_in(options.peer).identity, self,
                                     options.from);
    }
  }

  /// Until the seconds are over: what is due every millisecond, and no more at once than ten of
  /// them after a pause of the scheduler. Prints what it sent.
  void run() {
    const double begin = now();
    double due = 0, last = begin;
    std::uint64_t sent = 0;
    for (double t = begin; t < begin + options_.seconds; t = now()) {
      due = std::min(due + (t - last) * options_.rate, options_.rate / 100);
      last = t;
      while (due >= 1) {
        while (due >= 1 && port_.queued() < RawPort::kBatch) {
          std::uint8_t* const frame = port_.frame();
          port_.queue(forged_ ? forged_->write(kind_, frame) : sealed_->write(frame));
          --due;
        }
        sent += port_.send();
      }
      const timespec pause{0, 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
    const double seconds = now() - begin;
    std::printf("{\"kind\": \"%s\", \"sent\": %llu, \"seconds\": %.3f, \"rate\": %.0f}\n",
                options_.kind.c_str(), static_cast<unsigned long long>(sent), seconds,
                static_cast<double>(sent) / seconds);
  }

 private:
  static double now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  }

  const Options options_;
  RawPort port_;
  Kind kind_ = Kind::kStrangers;
  std::optional<ForgedPackets> forged_;  // one of the two
  std::unique_ptr<SealedPackets> sealed_;
};

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery::bench;
  orrery::crypto::init();
  Options options;
  CLI::App app("Sends a flood of forged packets.");
  app.add_option("kind", options.kind)
      ->required()
      ->check(
          CLI::IsMember({"hello", "strangers", "forged", "fragments", "macs", "joiners", "whois"}));
  app.add_option("--interface", options.interface)->required()->description("to send from");
  options.target.add_options(app);
  app.add_option("--as", options.as)->description("hello, forged: file with a public identity");
  app.add_option("--secret", options.secret)->description("whois: file with a secret identity");
  app.add_option("--peer", options.peer)
      ->description("joiners, whois: file with the node's identity");
  option_of(app, "--from", "whois: IP/PORT of --secret", orrery::wire::parse_endpoint,
            options.from);
  app.add_option("--rate", options.rate)
      ->check(CLI::PositiveNumber)
      ->description("frames a second");
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  Flood(options).run();
}
