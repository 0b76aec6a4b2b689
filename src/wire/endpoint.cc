#include "wire/endpoint.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace orrery::wire {
namespace {

bool all_zero(Bytes b) {
  for (const std::uint8_t x : b) {
    if (x != 0) return false;
  }
  return true;
}

IpScope scope_v4(std::uint32_t ip) {
  switch (ip >> 24) {
    case 0x00:
    case 0xff:
      return IpScope::kNone;
    case 6:
    case 11:
    case 21:
    case 22:
    case 25:
    case 26:
    case 28:
    case 29:
    case 30:
    case 51:
    case 55:
    case 56:
      break;
    case 10:
      return IpScope::kPrivate;
    case 127:
      return IpScope::kLoopback;
    default:
      if ((ip & 0xffc00000) == 0x64400000) return IpScope::kPrivate;    // 100.64.0.0/10
      if ((ip & 0xffff0000) == 0xa9fe0000) return IpScope::kLinkLocal;  // 169.254.0.0/16
      if ((ip & 0xfff00000) == 0xac100000) return IpScope::kPrivate;    // 172.16.0.0/12
      if ((ip & 0xffff0000) == 0xc0a80000) return IpScope::kPrivate;    // 192.168.0.0/16
      if ((ip & 0xffffff00) == 0xc0000200) return IpScope::kPrivate;    // 192.0.2.0/24
      if ((ip & 0xfffe0000) == 0xc6120000) return IpScope::kPrivate;    // 198.18.0.0/15
      if ((ip & 0xffffff00) == 0xc6336400) return IpScope::kPrivate;    // 198.51.100.0/24
      if ((ip & 0xffffff00) == 0xcb007100) return IpScope::kPrivate;    // 203.0.113.0/24
      if ((ip >> 28) == 0xe) return IpScope::kMulticast;
      if ((ip >> 28) == 0xf) return IpScope::kPseudoPrivate;
      return IpScope::kGlobal;
  }
  return IpScope::kPseudoPrivate;
}

IpScope scope_v6(Bytes ip) {
  if (ip[0] == 0xff) return IpScope::kMulticast;
  if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) {
    return all_zero(ip.subspan(2, 13)) && ip[1] == 0x80 && ip[15] == 1 ? IpScope::kLoopback
                                                                       : IpScope::kLinkLocal;
  }
  if ((ip[0] & 0xfe) == 0xfc) return IpScope::kPrivate;
  if (all_zero(ip.first(15)))
    return ip[15] == 1 ? IpScope::kLoopback : ip[15] == 0 ? IpScope::kNone : IpScope::kGlobal;
  if (all_zero(ip.first(9)) && ip[10] == 0xff && ip[11] == 0xff && ip[12] == 0x7f)
    return IpScope::kLoopback;
  return IpScope::kGlobal;
}

bool has_host_bits(const Endpoint& network) {
  const std::size_t whole = network.port / 8;
  const std::size_t rest = network.port % 8;
  if (rest != 0 && (network.ip[whole] & (0xff >> rest)) != 0) return true;
  return !all_zero(network.ip_bytes().subspan(whole + (rest != 0 ? 1 : 0)));
}

}  // namespace

Endpoint Endpoint::v4(std::uint32_t number, std::uint16_t p) {
  Endpoint e;
  e.family = 4;
  store_be32(e.ip.data(), number);
  e.port = p;
  return e;
}

Endpoint Endpoint::v6(Bytes ip16, std::uint16_t p) {
  Endpoint e;
  e.family = 6;
  std::memcpy(e.ip.data(), ip16.data(), 16);
  e.port = p;
  return e;
}

Endpoint Endpoint::with_port(std::uint16_t p) const {
  Endpoint e = *this;
  e.port = p;
  return e;
}

IpScope scope_of(const Endpoint& endpoint) {
  if (endpoint.family == 4) return scope_v4(load_be32(endpoint.ip.data()));
  if (endpoint.family == 6) return scope_v6(endpoint.ip);
  return IpScope::kNone;
}

bool contains(const Endpoint& network, const Endpoint& ip) {
  if (network.family == 0 || network.family != ip.family) return false;
  const std::size_t bits = network.port;
  if (bits > network.ip_size() * 8) return false;
  if (network.family == 6 && has_host_bits(network)) return false;
  const std::size_t whole = bits / 8;
  if (std::memcmp(network.ip.data(), ip.ip.data(), whole) != 0) return false;
  const std::size_t rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff00 >> rest);
  return (network.ip[whole] & mask) == (ip.ip[whole] & mask);
}

std::string ip_to_string(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = {};
  if (endpoint.family == 4) {
    ::inet_ntop(AF_INET, endpoint.ip.data(), text, sizeof text);
  } else if (endpoint.family == 6) {
    ::inet_ntop(AF_INET6, endpoint.ip.data(), text, sizeof text);
  }
  return text;
}

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.family == 0) return {};
  return ip_to_string(endpoint) + "/" + std::to_string(endpoint.port);
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  if (text.empty()) return Endpoint{};
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::size_t slash = text.find('/');
  const std::string ip(text.substr(0, slash));
  Endpoint e;
  if (ip.find(':') != std::string::npos) {
    if (::inet_pton(AF_INET6, ip.c_str(), e.ip.data()) != 1) return std::nullopt;
    e.family = 6;
  } else if (ip.find('.') != std::string::npos) {
    if (::inet_pton(AF_INET, ip.c_str(), e.ip.data()) != 1) return std::nullopt;
    e.family = 4;
  } else {
    return std::nullopt;
  }
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    unsigned value = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() || value > 0xffff)
      return std::nullopt;
    e.port = static_cast<std::uint16_t>(value);
  }
  return e;
}

Endpoint read_endpoint(Reader& reader) {
  switch (reader.u8()) {
    case 0x00:
      return {};
    case 0x01:
    case 0x02:
      reader.skip(6);
      return {};
    case 0x03:
      reader.skip(reader.u16());
      return {};
    case 0x04: {
      const std::uint32_t ip = reader.u32();
      const std::uint16_t port = reader.u16();
      return reader.ok() ? Endpoint::v4(ip, port) : Endpoint{};
    }
    case 0x06: {
      const Bytes ip = reader.bytes(16);
      const std::uint16_t port = reader.u16();
      return reader.ok() ? Endpoint::v6(ip, port) : Endpoint{};
    }
    default:
      reader.fail();
      return {};
  }
}

void write_endpoint(Writer& writer, const Endpoint& endpoint) {
  writer.u8(endpoint.family);
  if (endpoint.family == 0) return;
  writer.bytes(endpoint.ip_bytes());
  writer.u16(endpoint.port);
}

}  // namespace orrery::wire
