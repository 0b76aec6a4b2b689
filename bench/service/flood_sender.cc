// A flood of forged packets out of one interface, paced by the clock, for tools/bench flood. Kinds:
//
//   hello      HELLO in the name of --as (a file with a public identity), its MAC wrong
//   strangers  packets of senders that nobody knows, a new address each
//   fragments  second pieces of packets whose other pieces never come
//   macs       broadcast frames, a new source MAC each, as a LAN host sends them
//
// Datagrams go to --to, in packets for --node, every one from a source of its own. What was really
// sent is printed as one JSON object: kind, sent, seconds, rate (a second).
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "raw_datagrams.h"
#include "wire/verbs/hello.h"

namespace orrery::bench {
namespace {

enum class Kind : std::uint8_t { kHello, kStrangers, kFragments, kMacs };

const std::map<std::string, Kind> kKinds = {{"hello", Kind::kHello},
                                            {"strangers", Kind::kStrangers},
                                            {"fragments", Kind::kFragments},
                                            {"macs", Kind::kMacs}};
constexpr std::size_t kPayload = 100;  // bytes of a datagram, HELLO aside

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
  explicit Flood(const Options& options) : options_(options), port_(options.interface) {
    if (options.kind == Kind::kHello) known_ = identity_in(options.as).identity;
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
          port_.queue(write(port_.frame()));
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

  std::size_t write(std::uint8_t* frame) {
    if (options_.kind == Kind::kMacs) {
      constexpr std::size_t kSize = 60;
      std::memset(frame, 0, kSize);
      wire::kBroadcastMac.store(frame);
      wire::Mac{0x0a0000000000 | (random_() >> 24)}.store(frame + 6);
      store_be16(frame + 12, 0x88b6);  // for local experiments
      return kSize;
    }
    const std::size_t size = payload(frame + kOuterHead);
    write_outer(frame, random_.source(), options_.target, size);
    return kOuterHead + size;
  }

  std::size_t payload(std::uint8_t* p) {
    const wire::Address node = options_.target.node;
    if (options_.kind == Kind::kFragments) {
      std::memset(p, 0x5a, kPayload);
      wire::encode_fragment_header({p, kPayload}, {random_(), node, 2, 1, 0});
      return kPayload;
    }
    wire::PacketHeader header;
    header.id = random_();
    header.destination = node;
    header.mac = random_();
    if (options_.kind == Kind::kStrangers) {
      std::memset(p, 0x5a, kPayload);
      header.source = wire::Address{0x3300000000ULL | (random_() >> 32)};
      header.flags = static_cast<std::uint8_t>(wire::Suite::kAesGmacSiv) << 3;
      header.verb = static_cast<std::uint8_t>(random_());  // ciphertext, it claims
      wire::encode_packet_header({p, wire::kHeaderSize}, header);
      return kPayload;
    }
    header.source = known_.address;
    header.verb = static_cast<std::uint8_t>(wire::Verb::kHello);
    Writer w({p + wire::kHeaderSize, RawPort::kFrame - kOuterHead - wire::kHeaderSize});
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    wire::encode_hello(w, {{wire::kProtocolVersion, wire::kSoftwareMajor, wire::kSoftwareMinor,
                            wire::kSoftwareRevision},
                           t.tv_sec * 1'000 + t.tv_nsec / 1'000'000,
                           known_,
                           options_.target.to,
                           0,
                           0,
                           0});
    wire::encode_packet_header({p, wire::kHeaderSize}, header);
    return wire::kHeaderSize + w.size();
  }

  const Options options_;
  RawPort port_;
  wire::Identity known_;
  Random random_;
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
      ->description("hello, strangers, fragments or macs");
  app.add_option("--interface", options.interface)->required()->description("to send from");
  options.target.add_options(app);
  app.add_option("--as", options.as)->description("hello: file with a public identity");
  app.add_option("--rate", options.rate)
      ->check(CLI::PositiveNumber)
      ->description("frames a second");
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  Flood(options).run();
}
