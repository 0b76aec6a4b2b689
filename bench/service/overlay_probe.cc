// Round trips of small datagrams, for tools/bench flood: `echo` gives them back, `send` counts.
//
//   overlay_probe echo --port N
//   overlay_probe send --to IP/PORT --rate N --bytes N --seconds N
//
// `send` prints one JSON object: sent, received, lost (percent), p50 and p99 (microseconds), late
// (microseconds by which the clock woke it too late, percentile 99: what of p99 is the machine's).
// What has not come back 300 ms after the last was sent is lost.
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "wire/endpoint.h"

namespace orrery::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;  // ns
constexpr std::int64_t kAwait = kSecond * 3 / 10;

std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

int udp_socket() {
  const int s = ::socket(AF_INET, SOCK_DGRAM, 0);
  if (s < 0) {
    std::perror("socket");
    std::exit(1);
  }
  const int size = 1 << 20;
  (void)::setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  return s;
}

sockaddr_in address_of(const wire::Endpoint& endpoint) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(endpoint.port);
  std::memcpy(&at.sin_addr, endpoint.ip.data(), sizeof at.sin_addr);
  return at;
}

int echo(std::uint16_t port) {
  const int s = udp_socket();
  sockaddr_in at = address_of(wire::Endpoint::v4(0, port));
  if (::bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    std::perror("bind");
    return 1;
  }
  std::vector<std::uint8_t> buffer(10'000);
  for (;;) {
    socklen_t length = sizeof at;
    const ssize_t n =
        ::recvfrom(s, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&at), &length);
    if (n > 0)
      (void)::sendto(s, buffer.data(), static_cast<std::size_t>(n), 0,
                     reinterpret_cast<sockaddr*>(&at), length);
  }
}

/// Microseconds; sorts.
double percentile(std::vector<std::int64_t>& ns, double p) {
  if (ns.empty()) return 0;
  std::sort(ns.begin(), ns.end());
  const auto at = static_cast<std::size_t>(p / 100 * static_cast<double>(ns.size()));
  return static_cast<double>(ns[std::min(at, ns.size() - 1)]) / 1e3;
}

int send(const wire::Endpoint& to, double rate, std::size_t bytes, double seconds) {
  const int s = udp_socket();
  const sockaddr_in at = address_of(to);
  if (::connect(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    std::perror("connect");
    return 1;
  }
  ::prctl(PR_SET_TIMERSLACK, 1);
  const auto count = static_cast<std::size_t>(rate * seconds);
  std::vector<std::int64_t> trips(count, -1), late;
  late.reserve(count);
  const std::int64_t begin = now_ns() + kSecond / 100;
  const auto due = [&](std::size_t i) {
    return begin + static_cast<std::int64_t>(static_cast<double>(i) / rate * 1e9);
  };
  std::thread receiver([&] {
    const timeval wait{0, 50'000};
    (void)::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    std::vector<std::uint8_t> in(bytes);
    while (now_ns() < due(count) + kAwait) {
      if (::recv(s, in.data(), in.size(), 0) < 16) continue;
      const std::uint64_t i = load_be64(in.data());
      if (i < count && trips[i] < 0)
        trips[i] = now_ns() - static_cast<std::int64_t>(load_be64(in.data() + 8));
    }
  });
  std::vector<std::uint8_t> packet(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t t = due(i);
    const timespec until{t / kSecond, t % kSecond};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
    }
    const std::int64_t sent = now_ns();
    late.push_back(sent - t);
    store_be64(packet.data(), i);
    store_be64(packet.data() + 8, static_cast<std::uint64_t>(sent));
    (void)::send(s, packet.data(), packet.size(), 0);
  }
  receiver.join();
  std::erase(trips, -1);
  std::printf(
      "{\"sent\": %zu, \"received\": %zu, \"lost\": %.3f, \"p50\": %.0f, \"p99\": %.0f, \"late\": "
      "%.0f}\n",
      count, trips.size(),
      static_cast<double>(count - trips.size()) * 100 / static_cast<double>(count),
      percentile(trips, 50), percentile(trips, 99), percentile(late, 99));
  return 0;
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery;
  CLI::App app("Measures round trips.");
  app.require_subcommand(1);
  std::uint16_t port = 7'000;
  std::string to;
  double rate = 2'000, seconds = 5;
  std::size_t bytes = 200;
  CLI::App* echo = app.add_subcommand("echo", "gives back what comes");
  echo->add_option("--port", port);
  CLI::App* send = app.add_subcommand("send", "sends and counts");
  send->add_option("--to", to)->required()->description("IP/PORT");
  send->add_option("--rate", rate)->check(CLI::PositiveNumber)->description("datagrams a second");
  send->add_option("--bytes", bytes)->check(CLI::Range(16, 9'000))->description("of payload");
  send->add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (*echo) return bench::echo(port);
  const auto endpoint = wire::parse_endpoint(to);
  if (!endpoint || endpoint->family != 4) {
    std::fprintf(stderr, "--to: \"%s\" is no IP/PORT\n", to.c_str());
    return 2;
  }
  return bench::send(*endpoint, rate, bytes, seconds);
}
