// Frames onto an interface as they are: UDP datagrams with whatever source one likes, in batches.
//
// By a packet socket that goes round the queueing discipline, so what the other end of a veth
// cannot take is lost there or in its socket, never here. Needs CAP_NET_RAW.
#pragma once

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/identity.h"
#include "wire/mac.h"

namespace orrery::bench {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s%s%s\n", what.c_str(), errno == 0 ? "" : ": ",
               errno == 0 ? "" : std::strerror(errno));
  std::exit(1);
}

/// That of a file, public or secret; ends the program when there is none.
inline wire::ParsedIdentity identity_in(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto parsed = wire::parse_identity(text.substr(0, text.find('\n')));
  if (!parsed) fail(path + ": no identity");
  return *parsed;
}

/// Not secret, fast (xorshift64).
class Random {
 public:
  std::uint64_t operator()() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

  /// Unicast, anywhere in 32.0.0.0/3.
  wire::Endpoint source() {
    const std::uint64_t r = (*this)();
    return wire::Endpoint::v4(0x20000000 | static_cast<std::uint32_t>(r & 0x1fffffff),
                              static_cast<std::uint16_t>(1'024 + (r >> 32) % 60'000));
  }

 private:
  std::uint64_t state_ = 88172645463325252ULL;
};

/// An option whose text `parse` understands.
template <typename Parse, typename Value>
void option_of(CLI::App& app, const char* name, const char* what, Parse parse, Value& into) {
  app.add_option_function<std::string>(name,
                                       [&into, name, parse](const std::string& text) {
                                         const auto parsed = parse(text);
                                         if (!parsed) throw CLI::ValidationError(name, text);
                                         into = *parsed;
                                       })
      ->description(what);
}

/// A node and the way to it: options of the programs here.
struct Target {
  wire::Endpoint to;
  wire::Mac mac;
  wire::Address node;

  void add_options(CLI::App& app) {
    option_of(app, "--to", "IP/PORT of the node", wire::parse_endpoint, to);
    option_of(app, "--to-mac", "MAC of that IP", wire::parse_mac, mac);
    option_of(app, "--node", "its address", wire::parse_address, node);
  }
};

inline constexpr std::size_t kOuterHead = 14 + 20 + 8;  // Ethernet, IPv4 without options, UDP

/// Writes the three headers in front of `payload_size` bytes. Both ends are IPv4; the UDP checksum
/// is left out, as IPv4 allows. REQUIRES: out holds kOuterHead bytes.
inline void write_outer(std::uint8_t* out, const wire::Endpoint& from, const Target& target,
                        std::size_t payload_size) {
  const wire::Endpoint& to = target.to;
  target.mac.store(out);
  wire::Mac{0x020000000001}.store(out + 6);
  store_be16(out + 12, 0x0800);
  std::uint8_t* ip = out + 14;
  std::memset(ip, 0, 20);
  ip[0] = 0x45;
  store_be16(ip + 2, static_cast<std::uint16_t>(28 + payload_size));
  ip[8] = 64;
  ip[9] = 17;
  std::memcpy(ip + 12, from.ip.data(), 4);
  std::memcpy(ip + 16, to.ip.data(), 4);
  std::uint32_t sum = 0;
  for (unsigned at = 0; at < 20; at += 2) sum += load_be16(ip + at);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  store_be16(ip + 10, static_cast<std::uint16_t>(~sum));
  std::uint8_t* udp = ip + 20;
  store_be16(udp, from.port);
  store_be16(udp + 2, to.port);
  store_be16(udp + 4, static_cast<std::uint16_t>(8 + payload_size));
  store_be16(udp + 6, 0);
}

class RawPort {
 public:
  static constexpr unsigned kBatch = 64;
  static constexpr std::size_t kFrame = 1514;

  explicit RawPort(const std::string& interface)
      : socket_(::socket(AF_PACKET, SOCK_RAW, 0)), buffers_(kBatch) {
    if (socket_ < 0) fail("packet socket");
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (at.sll_ifindex == 0 || ::bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
      fail(interface);
    const int on = 1;
    if (::setsockopt(socket_, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0)
      fail("PACKET_QDISC_BYPASS");
    for (unsigned i = 0; i < kBatch; ++i) {
      vectors_[i] = {buffers_[i].data(), 0};
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  RawPort(const RawPort&) = delete;
  RawPort& operator=(const RawPort&) = delete;

  ~RawPort() { ::close(socket_); }

  /// Where the next frame is written, kFrame bytes; queue() takes it. REQUIRES: queued() < kBatch.
  [[nodiscard]] std::uint8_t* frame() { return buffers_[queued_].data(); }

  void queue(std::size_t size) { vectors_[queued_++].iov_len = size; }

  [[nodiscard]] unsigned queued() const { return queued_; }

  /// Sends what is queued; says how many frames the interface took.
  unsigned send() {
    unsigned sent = 0;
    while (sent < queued_) {
      const int n = ::sendmmsg(socket_, messages_.data() + sent, queued_ - sent, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // the other end's queue is full (ENOBUFS): the rest of the batch is lost
      sent += static_cast<unsigned>(n);
    }
    queued_ = 0;
    return sent;
  }

 private:
  int socket_;
  unsigned queued_ = 0;
  std::vector<std::array<std::uint8_t, kFrame>> buffers_;
  std::array<iovec, kBatch> vectors_{};
  std::array<mmsghdr, kBatch> messages_{};
};

}  // namespace orrery::bench
