// How one interface reaches others: the kernel's routes and neighbours for it, notice of their
// changes, and a way to have a neighbour resolved by ARP or ND. For ports that build their own
// Ethernet headers beside a kernel mirror.
//
// Reads are dumps that the kernel filters by interface. Only unicast routes of the main table
// count: policy routing is not followed. Lives on the control thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/endpoint.h"
#include "wire/mac.h"

struct nlmsghdr;
struct mnl_socket;

namespace orrery::tap {

class NextHops {
 public:
  struct Route {
    wire::Endpoint target;   // prefix length in the port field
    wire::Endpoint gateway;  // port 0; nil: on the link; may be of the other family
    std::uint32_t metric = 0;
    friend bool operator==(const Route&, const Route&) = default;
  };

  struct Neighbour {
    wire::Endpoint ip;  // port 0
    wire::Mac mac;
    friend bool operator==(const Neighbour&, const Neighbour&) = default;
  };

  /// What the kernel has announced.
  struct Changes {
    bool hops = false;       // routes or neighbours of the interface
    bool addresses = false;  // of any interface
  };

  static Result<NextHops> open(const std::string& interface);
  NextHops(NextHops&& other) noexcept;
  NextHops(const NextHops&) = delete;
  NextHops& operator=(const NextHops&) = delete;
  NextHops& operator=(NextHops&&) = delete;
  ~NextHops();

  /// Readable when there are announcements; changes() takes them.
  [[nodiscard]] int fd() const;
  Changes changes();

  /// Ascending by metric.
  Result<std::vector<Route>> routes();
  /// Those with a known MAC.
  Result<std::vector<Neighbour>> neighbours();
  /// As if the kernel had something to send there: it looks for an unknown neighbour and asks one
  /// that it has not heard of for long whether it is still there. Does not wait for the answer.
  Result<void> resolve(const wire::Endpoint& ip);

 private:
  NextHops() = default;

  template <typename OnMessage>
  Result<void> dump(nlmsghdr* request, OnMessage on_message);

  unsigned index_ = 0;
  mnl_socket* monitor_ = nullptr;  // in the multicast groups
  mnl_socket* socket_ = nullptr;   // requests
  unsigned sequence_ = 0;
};

}  // namespace orrery::tap
