// tools/relay: a link with faults. Passes Ethernet frames between two interfaces and does to them
// what a scene says, the same for the same seed.
//
//   relay A B [--seed N] [--scene FILE]
//
// Lines of the scene, and of standard input while it runs (they count at once):
//
//   [at SECONDS] a>b|b>a|both IMPAIRMENT     cut, heal, clear, delay T, jitter T, loss P,
//                                            burst P P P, duplicate P, corrupt P, reorder P T,
//                                            rate R, queue T, larger_than BYTES
//   [at SECONDS] rebind N                    UDP source ports of A are others on B from now on
//
// One thread, frames that wait in a heap. Both interfaces must deliver frames as they are on the
// wire: no offloads (ethtool -K DEV tx off gso off tso off tx-udp-segmentation off) at whoever
// sends to them. Prints the seed, then "ready"; at its end counts of each direction as JSON.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <queue>

#include "relay/impairment.h"
#include "relay/port_mapper.h"

namespace orrery::relay {
namespace {

constexpr std::size_t kLargestFrame = 65'536;
constexpr std::size_t kMostWaiting = 1 << 18;  // frames
constexpr std::size_t kEthernet = 14;
constexpr int kBurst = 64;  // frames of one side before the other has its turn

volatile std::sig_atomic_t g_stop = 0;

Micros now_us() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return Micros{t.tv_sec} * 1'000'000 + t.tv_nsec / 1'000;
}

struct Counts {
  std::uint64_t in = 0, out = 0, dropped = 0, duplicated = 0, refused = 0;
};

struct Waiting {
  Micros at = 0;
  std::uint64_t order = 0;
  int side = 0;  // where it goes
  std::vector<std::uint8_t> frame;

  bool operator>(const Waiting& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

int open_interface(const std::string& name) {
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const unsigned index = ::if_nametoindex(name.c_str());
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(index);
  const int one = 1, room = 16 << 20;
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = at.sll_ifindex;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  if (fd < 0 || index == 0 ||
      ::setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
      ::setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0 ||
      ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    std::cerr << "relay: " << name << ": " << std::strerror(errno) << '\n';
    std::exit(1);
  }
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  return fd;
}

class Relay {
 public:
  Relay(const std::string& a, const std::string& b, std::uint64_t seed)
      : fds_{open_interface(a), open_interface(b)},
        directions_{Direction(seed), Direction(seed ^ 0x9e3779b97f4a7c15ULL)},
        started_(now_us()) {}

  /// False and `error` for a line that says nothing sensible.
  bool take(const std::string& line, std::string& error) {
    const auto command = parse_command(line, error);
    if (!command) return false;
    if (command->key.empty()) return true;
    if (command->at == 0) return run(*command, error);
    Command probe = *command;  // what is wrong shows now, not in the middle of a run
    Impairments scratch;
    if (probe.where != Command::Where::kRelay && !apply(probe, scratch, error)) return false;
    const auto later =
        std::upper_bound(plan_.begin(), plan_.end(), *command,
                         [](const Command& x, const Command& y) { return x.at < y.at; });
    plan_.insert(later, *command);
    return true;
  }

  void loop() {
    std::string typed;
    bool listening = true;
    while (g_stop == 0) {
      release();
      pollfd ready[3] = {{fds_[0], POLLIN, 0}, {fds_[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      const Micros wait = std::clamp<Micros>(next_event() - now_us(), 0, 1'000'000);
      const timespec timeout{wait / 1'000'000, wait % 1'000'000 * 1'000};
      if (::ppoll(ready, listening ? 3 : 2, &timeout, nullptr) < 0 && errno != EINTR) break;
      for (int side = 0; side < 2; ++side) {
        if ((ready[side].revents & POLLIN) != 0) receive(side);
      }
      if (listening && (ready[2].revents & (POLLIN | POLLHUP)) != 0) listening = listen(typed);
    }
  }

  void report() const {
    for (int side = 0; side < 2; ++side) {
      const Counts& c = counts_[side];
      std::printf(
          "%s{\"direction\": \"%s\", \"in\": %llu, \"out\": %llu, \"dropped\": %llu, "
          "\"duplicated\": %llu, \"refused\": %llu}%s",
          side == 0 ? "[" : " ", side == 0 ? "a>b" : "b>a", static_cast<unsigned long long>(c.in),
          static_cast<unsigned long long>(c.out), static_cast<unsigned long long>(c.dropped),
          static_cast<unsigned long long>(c.duplicated), static_cast<unsigned long long>(c.refused),
          side == 0 ? ",\n" : "]\n");
    }
  }

 private:
  bool run(const Command& command, std::string& error) {
    using Where = Command::Where;
    if (command.where == Where::kRelay) {
      if (command.key != "rebind" || command.values.size() != 1) {
        error = "expected \"rebind NUMBER\"";
        return false;
      }
      mapper_.rebind(
          static_cast<std::uint16_t>(std::strtoul(command.values[0].c_str(), nullptr, 10)));
      return true;
    }
    return (command.where == Where::kBToA || apply(command, directions_[0].impairments, error)) &&
           (command.where == Where::kAToB || apply(command, directions_[1].impairments, error));
  }

  [[nodiscard]] Micros next_event() const {
    Micros next = now_us() + 1'000'000;
    if (!waiting_.empty()) next = std::min(next, waiting_.top().at);
    if (!plan_.empty()) next = std::min(next, started_ + plan_.front().at);
    return next;
  }

  void release() {
    const Micros now = now_us();
    std::string error;
    while (!plan_.empty() && started_ + plan_.front().at <= now) {
      const Command command = plan_.front();
      plan_.erase(plan_.begin());
      if (!run(command, error)) std::cerr << "relay: " << error << '\n';
    }
    while (!waiting_.empty() && waiting_.top().at <= now) {
      const Waiting& first = waiting_.top();
      Counts& counts = counts_[1 - first.side];
      if (::send(fds_[first.side], first.frame.data(), first.frame.size(), 0) < 0) {
        ++counts.refused;
      } else {
        ++counts.out;
      }
      waiting_.pop();
    }
  }

  void receive(int side) {
    std::vector<std::uint8_t>& buffer = buffer_;
    for (int i = 0; i < kBurst; ++i) {
      const ssize_t n = ::recv(fds_[side], buffer.data(), buffer.size(), MSG_TRUNC);
      if (n <= 0) return;
      Counts& counts = counts_[side];
      ++counts.in;
      const auto size = static_cast<std::size_t>(n);
      if (size < kEthernet || size > buffer.size()) {
        ++counts.refused;
        continue;
      }
      const std::span<std::uint8_t> frame(buffer.data(), size);
      const Fate fate = directions_[side].decide(now_us(), size - kEthernet);
      if (fate.at < 0 || waiting_.size() >= kMostWaiting ||
          !(side == 0 ? mapper_.to_b(frame) : mapper_.to_a(frame))) {
        ++counts.dropped;
        continue;
      }
      if (fate.bit && size > kEthernet) {
        const std::uint32_t bit = *fate.bit % static_cast<std::uint32_t>((size - kEthernet) * 8);
        buffer[kEthernet + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      }
      const std::vector<std::uint8_t> copy(frame.begin(), frame.end());
      if (fate.again) {
        ++counts.duplicated;
        waiting_.push({*fate.again, order_++, 1 - side, copy});
      }
      waiting_.push({fate.at, order_++, 1 - side, copy});
    }
  }

  /// False when there will be no more.
  bool listen(std::string& typed) {
    char chunk[1024];
    const ssize_t n = ::read(STDIN_FILENO, chunk, sizeof chunk);
    if (n <= 0) return false;
    typed.append(chunk, static_cast<std::size_t>(n));
    for (std::size_t end; (end = typed.find('\n')) != std::string::npos; typed.erase(0, end + 1)) {
      std::string error;
      if (!take(typed.substr(0, end), error)) std::cerr << "relay: " << error << '\n';
    }
    return true;
  }

  int fds_[2];
  Direction directions_[2];
  PortMapper mapper_;
  Counts counts_[2];
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
  std::uint64_t order_ = 0;
  std::vector<Command> plan_;  // by time
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(kLargestFrame);
  Micros started_;
};

int main_of(int argc, char** argv) {
  CLI::App app{"A link with faults: passes Ethernet frames between two interfaces", "relay"};
  std::string a, b, scene;
  std::uint64_t seed = 1;
  app.add_option("A", a, "interface")->required();
  app.add_option("B", b, "interface")->required();
  app.add_option("--seed", seed, "of chance")->capture_default_str();
  app.add_option("--scene", scene, "file of commands")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  Relay relay(a, b, seed);
  std::ifstream file(scene);
  std::string line, error;
  while (!scene.empty() && std::getline(file, line)) {
    if (relay.take(line, error)) continue;
    std::cerr << "relay: " << scene << ": " << error << '\n';
    return 2;
  }
  struct sigaction action{};
  action.sa_handler = [](int) { g_stop = 1; };
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
  std::cout << "seed " << seed << "\nready" << std::endl;
  relay.loop();
  relay.report();
  return 0;
}

}  // namespace
}  // namespace orrery::relay

int main(int argc, char** argv) {
  return orrery::relay::main_of(argc, argv);
}
