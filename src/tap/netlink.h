// Addresses, MTU, state and routes of interfaces by rtnetlink, and what the host has joined on
// them.
//
// Synchronous: every change waits for the kernel's acknowledgement, two seconds at most. An answer
// is known by its request's number, a dump that the kernel calls inconsistent is asked again. Used
// by control's driver, never by a worker.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
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
  /// Bytes of the superframes that the host makes for an interface (GSO), up to 65,536.
  Result<void> set_superframe_limit(const std::string& interface, std::uint32_t bytes);
  /// Idempotent; an address that is there already is no error, nor is the removal of one that is
  /// not.
  Result<void> add_address(const std::string& interface, const wire::Endpoint& address);
  Result<void> remove_address(const std::string& interface, const wire::Endpoint& address);
  /// True when the route was added, false when this very route was there. A route of the host's own
  /// to the same prefix with the same metric is never replaced: kExists, and the text says on which
  /// interface it is.
  Result<bool> add_route(const std::string& interface, const wire::Endpoint& target,
                         const wire::Endpoint& via, std::uint32_t metric);
  /// A route that is gone is no error.
  Result<void> remove_route(const std::string& interface, const wire::Endpoint& target,
                            const wire::Endpoint& via, std::uint32_t metric);
  /// All addresses of all interfaces of this network namespace.
  Result<std::vector<InterfaceAddress>> addresses();
  [[nodiscard]] int fd() const;

 private:
  Netlink() = default;
  /// Sends a request and reads its answer to the end; messages that are neither acknowledgement nor
  /// error go to `answers`, whole. Returns the kernel's error number (0: done), with its text in
  /// reason_. The error is for no answer at all.
  Result<int> exchange(nlmsghdr* request, std::vector<ByteVector>* answers);
  Result<void> talk(nlmsghdr* request, int harmless);
  /// fill(nlmsghdr*, ifinfomsg*) says what is to be changed.
  template <typename Fill>
  Result<void> change_link(const std::string& interface, Fill fill);
  Result<bool> has_route(const std::string& interface, const wire::Endpoint& target,
                         const wire::Endpoint& via, std::uint32_t metric);
  /// Interface of the host's route to exactly this prefix; empty when not known.
  std::string holder_of(const wire::Endpoint& target);

  mnl_socket* socket_ = nullptr;
  unsigned sequence_ = 0;
  std::string reason_;  // of the last request that the kernel refused
};

/// Multicast MACs that the host has joined on an interface.
[[nodiscard]] std::vector<wire::Mac> joined_multicast(const std::string& interface);

}  // namespace orrery::tap
