// Honest nodes at a root, for tools/bench root: how long what they need takes, whatever else goes
// on there. They exist only here and do what a node does: HELLO, answer probes, HELLO again after
// five seconds without an answer.
//
//   whois  one node (--secret) asks for --about, --rate times a second. Prints sent, answered, and
//          p50 and p99 (microseconds).
//   join   --count new nodes, their proof of work made before, from addresses that begin at --first
//          and are 256 apart, all at once. Prints count, how many were online (the root answered)
//          and proven (it names them to others), and p50, p99 and max of both (milliseconds).
#include <arpa/inet.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>

#include "control/node/forger.h"
#include "crypto/identity_work.h"
#include "raw_datagrams.h"
#include "wire/verbs/whois.h"

namespace orrery::bench {
namespace {

struct Options {
  wire::Endpoint to, first;
  std::string secret, peer;
  wire::Address about;
  double rate = 20, seconds = 10;
  unsigned count = 100;
};

std::int64_t clock_us(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return t.tv_sec * 1'000'000 + t.tv_nsec / 1'000;
}

std::int64_t now_us() {
  return clock_us(CLOCK_MONOTONIC);
}

sockaddr_in socket_address(const wire::Endpoint& endpoint) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(endpoint.port);
  std::memcpy(&at.sin_addr, endpoint.ip.data(), 4);
  return at;
}

double at_part(std::vector<std::int64_t> values, double part) {
  if (values.empty()) return 0;
  const auto place = std::min(values.size() - 1,
                              static_cast<std::size_t>(part * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place),
                   values.end());
  return static_cast<double>(values[place]);
}

/// One node.
class Client {
 public:
  /// `from` nil: any local address.
  Client(crypto::SecretIdentity self, const wire::Identity& root, const wire::Endpoint& to,
         const wire::Endpoint& from)
      : forger_(std::move(self), root), to_(to), socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    const sockaddr_in far = socket_address(to), near = socket_address(from);
    if (socket_ < 0 ||
        (from && ::bind(socket_, reinterpret_cast<const sockaddr*>(&near), sizeof near) != 0) ||
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&far), sizeof far) != 0) {
      fail("UDP socket");
    }
  }

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  ~Client() { ::close(socket_); }

  [[nodiscard]] int fd() const { return socket_; }

  [[nodiscard]] wire::Address address() const { return forger_.address(); }

  void hello() { send(forger_.hello(id_ += 8, clock_us(CLOCK_REALTIME) / 1'000, to_)); }

  void whois(wire::Address about) {
    std::array<std::uint8_t, wire::Address::kSize> payload;
    Writer w(payload);
    w.u40(about.value);
    asked_[next_asked_++ % asked_.size()] = {id_ + 8, now_us()};
    send(forger_.seal(id_ += 8, wire::Verb::kWhois, payload, wire::Suite::kSalsaPoly));
  }

  /// Takes what has come. `answered(us)` is called for every answer to WHOIS with its age.
  template <typename Answered>
  void receive(Answered answered) {
    std::array<std::uint8_t, 2'048> datagram;
    for (;;) {
      const ssize_t size = ::recv(socket_, datagram.data(), datagram.size(), MSG_DONTWAIT);
      if (size <= 0) return;
      const Bytes bytes = Bytes(datagram).first(static_cast<std::size_t>(size));
      const auto open = forger_.open(bytes);
      if (!open) continue;
      const auto verb = static_cast<wire::Verb>((*open)[wire::kVerbOffset] & wire::kVerbMask);
      const Bytes body = Bytes(*open).subspan(wire::kHeaderSize);
      if (verb == wire::Verb::kEcho) answer(load_be64(bytes.data()), body);
      if (verb != wire::Verb::kOk || body.size() < 9) continue;
      const auto asked = static_cast<wire::Verb>(body[0]);
      if (asked == wire::Verb::kHello && online_at == 0) online_at = now_us();
      if (asked != wire::Verb::kWhois) continue;
      for (Asked& one : asked_) {
        if (one.at == 0 || one.id != load_be64(body.data() + 1)) continue;
        answered(now_us() - one.at);
        one.at = 0;
      }
    }
  }

  std::int64_t online_at = 0, proven_at = 0;    // us, 0: not yet
  std::int64_t last_hello = 0, last_whois = 0;  // us

 private:
  struct Asked {
    std::uint64_t id = 0;
    std::int64_t at = 0;
  };

  void send(Bytes datagram) { (void)::send(socket_, datagram.data(), datagram.size(), 0); }

  void answer(std::uint64_t id, Bytes body) {
    ByteVector ok(9 + body.size());
    Writer w(ok);
    wire::encode_ok(w, {static_cast<std::uint8_t>(wire::Verb::kEcho), id, body});
    send(forger_.seal(id_ += 8, wire::Verb::kOk, ok, wire::Suite::kSalsaPoly));
  }

  test::Forger forger_;
  wire::Endpoint to_;
  int socket_;
  std::uint64_t id_ = static_cast<std::uint64_t>(clock_us(CLOCK_REALTIME)) << 8;
  std::array<Asked, 1'024> asked_{};
  std::size_t next_asked_ = 0;
};

void ask_whois(const Options& options) {
  const wire::ParsedIdentity self = identity_in(options.secret);
  if (!self.has_private) fail(options.secret + ": no private key");
  Client client({self.identity, self.private_key}, identity_in(options.peer).identity, options.to,
                {});
  std::vector<std::int64_t> ages;
  const auto listen = [&](std::int64_t until) {
    for (std::int64_t now = now_us(); now < until; now = now_us()) {
      pollfd p{client.fd(), POLLIN, 0};
      (void)::poll(&p, 1, static_cast<int>((until - now) / 1'000 + 1));
      client.receive([&](std::int64_t age) { ages.push_back(age); });
    }
  };
  for (unsigned i = 0; i < 10 && client.online_at == 0; ++i) {
    client.hello();
    listen(now_us() + 1'000'000);
  }
  if (client.online_at == 0) fail("the root does not answer");
  unsigned sent = 0;
  const std::int64_t begin = now_us();
  while (static_cast<double>(now_us() - begin) < options.seconds * 1e6) {
    client.whois(options.about);
    ++sent;
    listen(begin + static_cast<std::int64_t>(sent * 1e6 / options.rate));
  }
  listen(now_us() + 500'000);
  std::printf("{\"sent\": %u, \"answered\": %zu, \"p50\": %.0f, \"p99\": %.0f}\n", sent,
              ages.size(), at_part(ages, 0.5), at_part(ages, 0.99));
}

void join(const Options& options) {
  const wire::Identity root = identity_in(options.peer).identity;
  std::deque<Client> clients;
  for (unsigned i = 0; i < options.count; ++i) {
    wire::Endpoint from = options.first;
    store_be32(from.ip.data(), load_be32(from.ip.data()) + 256 * i);
    clients.emplace_back(crypto::generate_identity(), root, options.to, from);
  }
  std::vector<pollfd> waiting;
  for (const Client& client : clients) waiting.push_back({client.fd(), POLLIN, 0});
  const std::int64_t begin = now_us(),
                     end = begin + static_cast<std::int64_t>(options.seconds * 1e6);
  for (std::int64_t now = begin; now < end; now = now_us()) {
    bool all = true;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      Client& client = clients[i];
      Client& next = clients[(i + 1) % clients.size()];
      // As long as a node waits that has no path to a root.
      if (client.online_at == 0 &&
          (client.last_hello == 0 || now - client.last_hello > 5'000'000)) {
        client.last_hello = now;
        client.hello();
      }
      if (client.online_at != 0 && next.proven_at == 0 && now - client.last_whois > 200'000) {
        client.last_whois = now;
        client.whois(next.address());
      }
      all &= client.online_at != 0 && client.proven_at != 0;
    }
    if (all) break;
    (void)::poll(waiting.data(), waiting.size(), 20);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      Client& next = clients[(i + 1) % clients.size()];
      clients[i].receive([&](std::int64_t) {
        if (next.proven_at == 0) next.proven_at = now_us();
      });
    }
  }
  std::vector<std::int64_t> online, proven;
  for (const Client& client : clients) {
    if (client.online_at != 0) online.push_back(client.online_at - begin);
    if (client.proven_at != 0) proven.push_back(client.proven_at - begin);
  }
  std::printf(
      "{\"count\": %u, \"online\": %zu, \"online_p50\": %.1f, \"online_p99\": %.1f, "
      "\"online_max\": "
      "%.1f, \"proven\": %zu, \"proven_p50\": %.1f, \"proven_p99\": %.1f, \"proven_max\": %.1f}\n",
      options.count, online.size(), at_part(online, 0.5) / 1e3, at_part(online, 0.99) / 1e3,
      at_part(online, 1) / 1e3, proven.size(), at_part(proven, 0.5) / 1e3,
      at_part(proven, 0.99) / 1e3, at_part(proven, 1) / 1e3);
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery;
  using namespace orrery::bench;
  crypto::init();
  Options options;
  CLI::App app("Honest nodes at a root.");
  app.require_subcommand(1);
  CLI::App* whois = app.add_subcommand("whois", "how long an answer to WHOIS takes");
  CLI::App* joining = app.add_subcommand("join", "how long it takes to be known");
  for (CLI::App* command : {whois, joining}) {
    option_of(*command, "--to", "IP/PORT of the root", wire::parse_endpoint, options.to);
    command->add_option("--peer", options.peer)->required()->description("file: its identity");
    command->add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  }
  whois->add_option("--secret", options.secret)->required()->description("file: who asks");
  whois->add_option("--rate", options.rate)->check(CLI::PositiveNumber);
  option_of(*whois, "--about", "address that is asked for", wire::parse_address, options.about);
  joining->add_option("--count", options.count)->check(CLI::PositiveNumber);
  option_of(*joining, "--first", "IP/PORT of the first one", wire::parse_endpoint, options.first);
  CLI11_PARSE(app, argc, argv);
  if (*whois) {
    ask_whois(options);
  } else {
    join(options);
  }
}
