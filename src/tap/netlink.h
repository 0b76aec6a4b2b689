// Addresses, MTU, state and routes of interfaces by rtnetlink, and what the host has joined on
// them.
//
// Synchronous: every change waits for the kernel's acknowledgement. Used by control's driver, never
// by a worker.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/endpoint.h"
#include "wire/mac.h"

struct nlmsghdr;
struct mnl_socket;

namespace orrery::tap {

struct InterfaceAddress {
  std::string interface;
  unsigned index = 0;
  wire::Endpoint address;  // prefix length in the port field
  bool up = false;
  bool usable = true;  // neither tentative nor deprecated nor failed duplicate detection
};

class Netlink {
 public:
  static Result<Netlink> open();
  Netlink(Netlink&& other) noexcept;
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  Netlink& operator=(Netlink&&) = delete;
  ~Netlink();

  Result<void> set_link(const std::string& interface, std::uint16_t mtu, bool up);
  /// Idempotent; an address that is there already is no error, nor is the removal of one that is
  /// not.
  Result<void> add_address(const std::string& interface, const wire::Endpoint& address);
  Result<void> remove_address(const std::string& interface, const wire::Endpoint& address);
  Result<void> add_route(const std::string& interface, const wire::Endpoint& target,
                         const wire::Endpoint& via, std::uint32_t metric);
  Result<void> remove_route(const std::string& interface, const wire::Endpoint& target,
                            const wire::Endpoint& via, std::uint32_t metric);
  /// All addresses of all interfaces of this network namespace.
  Result<std::vector<InterfaceAddress>> addresses();

 private:
  Netlink() = default;
  Result<void> talk(nlmsghdr* request, int harmless);

  mnl_socket* socket_ = nullptr;
  unsigned sequence_ = 0;
};

/// Multicast MACs that the host has joined on an interface.
[[nodiscard]] std::vector<wire::Mac> joined_multicast(const std::string& interface);

}  // namespace orrery::tap
