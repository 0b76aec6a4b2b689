// What strangers' fragments between the head and the tail of a packet do, for tools/bench flood.
//
// A node that exists only here says HELLO to --to and then sends it ECHOs in two pieces, one packet
// every 200 ms (over one path they are answered every 166 ms): the head, --between bogus fragments
// from as many sources, the tail, all on one CPU and so in this order. A packet that is answered
// was put together. Prints one JSON object: sent, answered, between.
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

#include <cstdio>

#include "control/node/forger.h"
#include "raw_datagrams.h"
#include "wire/fragment.h"

namespace orrery::bench {
namespace {

constexpr std::size_t kEcho = 2'000;     // bytes of payload
constexpr unsigned kInterval = 200;      // ms
constexpr std::size_t kBogusSize = 100;  // bytes of a datagram

struct Options {
  std::string interface;
  Target target;
  std::string secret, peer;
  unsigned between = 320;
  unsigned packets = 50;
};

std::int64_t wall_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1'000 + t.tv_nsec / 1'000'000;
}

class Splitter {
 public:
  explicit Splitter(const Options& options)
      : options_(options),
        port_(options.interface),
        forger_(self_in(options.secret), identity_in(options.peer).identity),
        socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(options.target.to.port);
    std::memcpy(&to.sin_addr, options.target.to.ip.data(), 4);
    if (socket_ < 0 || ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      fail("UDP socket");
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0) fail("affinity");
  }

  Splitter(const Splitter&) = delete;
  Splitter& operator=(const Splitter&) = delete;

  ~Splitter() { ::close(socket_); }

  void run() {
    send(forger_.hello(id_ += 8, wall_ms(), options_.target.to));
    listen(3'000);  // the proof of work of whoever is new
    unsigned answered = 0;
    for (unsigned i = 0; i < options_.packets; ++i) {
      ByteVector payload(kEcho);
      store_be64(payload.data(), i);
      const ByteVector packet =
          forger_.seal_fragmented(id_ += 8, wire::Verb::kEcho, payload, wire::Suite::kSalsaPoly);
      const wire::FragmentPlan plan = wire::plan_fragments(packet.size(), wire::kDefaultUdpPayload);
      ByteVector tail(wire::kFragmentHeaderSize + plan.data_size);
      tail.resize(wire::write_fragment(tail, packet, plan, 1));
      send(Bytes(packet).first(plan.head_size));
      for (unsigned n = 0; n < options_.between; ++n) bogus();
      port_.send();
      send(tail);
      answered += listen(kInterval) ? 1 : 0;
    }
    std::printf("{\"kind\": \"split\", \"sent\": %u, \"answered\": %u, \"between\": %u}\n",
                options_.packets, answered, options_.between);
  }

 private:
  static crypto::SecretIdentity self_in(const std::string& path) {
    const wire::ParsedIdentity parsed = identity_in(path);
    if (!parsed.has_private) fail(path + ": no private key");
    return {parsed.identity, parsed.private_key};
  }

  void send(Bytes datagram) {
    if (::send(socket_, datagram.data(), datagram.size(), 0) < 0) fail("send");
  }

  void bogus() {
    std::uint8_t* const frame = port_.frame();
    write_outer(frame, random_.source(), options_.target, kBogusSize);
    std::uint8_t* const p = frame + kOuterHead;
    std::memset(p, 0x5a, kBogusSize);
    wire::encode_fragment_header({p, kBogusSize}, {random_(), options_.target.node, 2, 1, 0});
    port_.queue(kOuterHead + kBogusSize);
    if (port_.queued() == RawPort::kBatch) port_.send();
  }

  /// Answers everything that asks for an ECHO, for so many milliseconds. True: our own was
  /// answered.
  bool listen(unsigned ms) {
    bool answered = false;
    const std::int64_t end = wall_ms() + ms;
    for (std::int64_t now = wall_ms(); now < end; now = wall_ms()) {
      pollfd p{socket_, POLLIN, 0};
      if (::poll(&p, 1, static_cast<int>(end - now)) <= 0) continue;
      ByteVector datagram(wire::kMaxPacket);
      const ssize_t size = ::recv(socket_, datagram.data(), datagram.size(), 0);
      if (size <= 0) continue;
      const auto plain = forger_.open(Bytes(datagram).first(static_cast<std::size_t>(size)));
      if (!plain) continue;
      const auto verb = static_cast<wire::Verb>((*plain)[wire::kVerbOffset] & wire::kVerbMask);
      const Bytes body = Bytes(*plain).subspan(wire::kHeaderSize);
      if (verb == wire::Verb::kOk && !body.empty() &&
          body[0] == static_cast<std::uint8_t>(wire::Verb::kEcho))
        answered = true;
      if (verb == wire::Verb::kEcho) answer(load_be64(plain->data()), body);
    }
    return answered;
  }

  void answer(std::uint64_t id, Bytes body) {
    ByteVector ok(9 + body.size());
    Writer w(ok);
    wire::encode_ok(w, {static_cast<std::uint8_t>(wire::Verb::kEcho), id, body});
    send(forger_.seal(id_ += 8, wire::Verb::kOk, ok, wire::Suite::kSalsaPoly));
  }

  const Options options_;
  RawPort port_;
  test::Forger forger_;
  int socket_;
  std::uint64_t id_ = static_cast<std::uint64_t>(wall_ms()) << 20;
  Random random_;
};

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery::bench;
  orrery::crypto::init();
  Options options;
  CLI::App app("Sends packets in two pieces, with others' fragments between them.");
  app.add_option("--interface", options.interface)->required();
  options.target.add_options(app);
  app.add_option("--secret", options.secret)->required()->description("file: whose packets");
  app.add_option("--peer", options.peer)->required()->description("file: identity of the node");
  app.add_option("--between", options.between)->description("fragments");
  app.add_option("--packets", options.packets);
  CLI11_PARSE(app, argc, argv);
  Splitter(options).run();
}
