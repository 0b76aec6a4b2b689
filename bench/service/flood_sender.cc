// A flood of forged packets out of one interface, paced by the clock, for tools/bench flood;
// forged_packets.h has the kinds. What was really sent is printed as one JSON object: kind, sent,
// seconds, rate (a second).
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "forged_packets.h"

namespace orrery::bench {
namespace {

struct Options {
  Kind kind = Kind::kStrangers;
  std::string interface;
  Target target;
  std::string as;
  double rate = 100'000;
  double seconds = 5;
};

class Flood {
 public:
  explicit Flood(const Options& options)
      : options_(options),
        port_(options.interface),
        packets_(options.target,
                 options.as.empty() ? wire::Identity{} : identity_in(options.as).identity) {}

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
          port_.queue(packets_.write(options_.kind, port_.frame()));
          --due;
        }
        sent += port_.send();
      }
      const timespec pause{0, 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
    const double seconds = now() - begin;
    for (const auto& [name, kind] : kKinds) {
      if (kind != options_.kind) continue;
      std::printf("{\"kind\": \"%s\", \"sent\": %llu, \"seconds\": %.3f, \"rate\": %.0f}\n",
                  name.c_str(), static_cast<unsigned long long>(sent), seconds,
                  static_cast<double>(sent) / seconds);
    }
  }

 private:
  static double now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  }

  const Options options_;
  RawPort port_;
  ForgedPackets packets_;
};

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery::bench;
  Options options;
  CLI::App app("Sends a flood of forged packets.");
  app.add_option("kind", options.kind)
      ->required()
      ->transform(CLI::CheckedTransformer(kKinds))
      ->description("hello, strangers, forged, fragments or macs");
  app.add_option("--interface", options.interface)->required()->description("to send from");
  options.target.add_options(app);
  app.add_option("--as", options.as)->description("hello, forged: file with a public identity");
  app.add_option("--rate", options.rate)
      ->check(CLI::PositiveNumber)
      ->description("frames a second");
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  Flood(options).run();
}
