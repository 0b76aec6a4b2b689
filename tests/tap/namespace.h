// A network namespace of the test's own: what a test does to interfaces and routes ends with it.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "wire/endpoint.h"

namespace orrery::tap::test {

/// The calling thread gets a new, empty namespace with lo up. False: not permitted here.
inline bool enter_namespace() {
  if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0) return false;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  bool up = ::ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  up = up && ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return up;
}

/// Runs `ip` in the namespace of the calling thread.
inline bool ip(const std::string& arguments) {
  return std::system(("ip " + arguments + " >/dev/null 2>&1").c_str()) == 0;
}

/// Whether `ip` of the arguments prints the text.
inline bool ip_shows(const std::string& arguments, const std::string& text) {
  return std::system(("ip " + arguments + " 2>/dev/null | grep -qF -- '" + text + "'").c_str()) ==
         0;
}

inline wire::Endpoint at(const char* text) {
  return *wire::parse_endpoint(text);
}

#define ORRERY_NEEDS_NAMESPACE()               \
  if (!::orrery::tap::test::enter_namespace()) \
  GTEST_SKIP() << "needs root and a network namespace of its own"

}  // namespace orrery::tap::test
