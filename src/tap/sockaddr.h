// Endpoints as the system's socket calls take and give them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "wire/endpoint.h"

namespace orrery::tap {

/// REQUIRES: the endpoint is not nil. Returns the size of what it wrote.
inline socklen_t to_sockaddr(const wire::Endpoint& e, sockaddr_storage& storage) {
  std::memset(&storage, 0, sizeof storage);
  if (e.family == 4) {
    auto& a = reinterpret_cast<sockaddr_in&>(storage);
    a.sin_family = AF_INET;
    a.sin_port = htons(e.port);
    std::memcpy(&a.sin_addr, e.ip.data(), 4);
    return sizeof a;
  }
  auto& a = reinterpret_cast<sockaddr_in6&>(storage);
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(e.port);
  std::memcpy(&a.sin6_addr, e.ip.data(), 16);
  return sizeof a;
}

/// Nil for other families than IPv4 and IPv6.
inline wire::Endpoint to_endpoint(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    const auto& a = reinterpret_cast<const sockaddr_in&>(storage);
    return wire::Endpoint::v4(ntohl(a.sin_addr.s_addr), ntohs(a.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto& a = reinterpret_cast<const sockaddr_in6&>(storage);
    return wire::Endpoint::v6({reinterpret_cast<const std::uint8_t*>(&a.sin6_addr), 16},
                              ntohs(a.sin6_port));
  }
  return {};
}

/// The local end of a socket; nil where it has none.
inline wire::Endpoint local_endpoint(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_endpoint(storage);
}

inline void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace orrery::tap
