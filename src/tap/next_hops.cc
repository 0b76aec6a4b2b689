#include "tap/next_hops.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace orrery::tap {
namespace {

constexpr std::size_t kBuffer = 32768;  // bytes; what the kernel puts into one part of a dump
constexpr std::uint16_t kValid =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

Error netlink_error(const std::string& what) {
  return {errno == EPERM ? Errc::kPermission : Errc::kIo, what + ": " + std::strerror(errno)};
}

wire::Endpoint endpoint_of(Bytes ip, std::uint16_t port) {
  if (ip.size() == 4) return wire::Endpoint::v4(load_be32(ip.data()), port);
  if (ip.size() == 16) return wire::Endpoint::v6(ip, port);
  return {};
}

Bytes value_of(const nlattr* a) {
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(a)), mnl_attr_get_payload_len(a)};
}

std::uint32_t number_of(const nlattr* a) {
  std::uint32_t value = 0;
  if (mnl_attr_get_payload_len(a) == sizeof value)
    std::memcpy(&value, mnl_attr_get_payload(a), sizeof value);
  return value;
}

/// Calls `each(type, attribute)` for the attributes behind a header of `size` bytes.
template <typename Each>
void for_each_attribute(const nlmsghdr* h, std::size_t size, Each each) {
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(h));
  const auto* a = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(h, size));
  while (mnl_attr_ok(a, static_cast<int>(end - reinterpret_cast<const char*>(a)))) {
    each(mnl_attr_get_type(a), a);
    a = mnl_attr_next(a);
  }
}

/// [2] family, [..] address: a gateway of the other family.
wire::Endpoint via_of(const nlattr* a) {
  const Bytes value = value_of(a);
  return value.size() < 2 ? wire::Endpoint{} : endpoint_of(value.subspan(2), 0);
}

/// The gateway of the first hop over `index` in a multipath route; nothing: none goes over it.
std::optional<wire::Endpoint> hop_over(const nlattr* multipath, unsigned index) {
  const Bytes all = value_of(multipath);
  std::size_t at = 0;
  while (at + sizeof(rtnexthop) <= all.size()) {
    rtnexthop hop;
    std::memcpy(&hop, all.data() + at, sizeof hop);
    if (hop.rtnh_len < sizeof hop || at + hop.rtnh_len > all.size()) return std::nullopt;
    if (static_cast<unsigned>(hop.rtnh_ifindex) == index &&
        (hop.rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) == 0) {
      wire::Endpoint gateway;
      const auto* a = reinterpret_cast<const nlattr*>(all.data() + at + sizeof hop);
      const std::uint8_t* end = all.data() + at + hop.rtnh_len;
      while (mnl_attr_ok(a, static_cast<int>(end - reinterpret_cast<const std::uint8_t*>(a)))) {
        if (mnl_attr_get_type(a) == RTA_GATEWAY) gateway = endpoint_of(value_of(a), 0);
        if (mnl_attr_get_type(a) == RTA_VIA) gateway = via_of(a);
        a = mnl_attr_next(a);
      }
      return gateway;
    }
    at += (hop.rtnh_len + 3u) & ~3u;
  }
  return std::nullopt;
}

std::optional<NextHops::Route> read_route(const nlmsghdr* h, unsigned index) {
  const auto& r = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(h));
  if (r.rtm_type != RTN_UNICAST || (r.rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD | RTNH_F_LINKDOWN)))
    return std::nullopt;
  NextHops::Route route;
  const std::array<std::uint8_t, 16> zero{};
  route.target = endpoint_of(Bytes(zero).first(r.rtm_family == AF_INET6 ? 16 : 4), r.rtm_dst_len);
  std::uint32_t table = r.rtm_table, out = 0;
  bool over = false;
  for_each_attribute(h, sizeof r, [&](int type, const nlattr* a) {
    switch (type) {
      case RTA_DST:
        route.target = endpoint_of(value_of(a), r.rtm_dst_len);
        break;
      case RTA_GATEWAY:
        route.gateway = endpoint_of(value_of(a), 0);
        break;
      case RTA_VIA:
        route.gateway = via_of(a);
        break;
      case RTA_OIF:
        out = number_of(a);
        break;
      case RTA_TABLE:
        table = number_of(a);
        break;
      case RTA_PRIORITY:
        route.metric = number_of(a);
        break;
      case RTA_MULTIPATH:
        if (const auto gateway = hop_over(a, index)) {
          route.gateway = *gateway;
          over = true;
        }
        break;
      default:
        break;
    }
  });
  if (table != RT_TABLE_MAIN || (out != index && !over) || !route.target) return std::nullopt;
  return route;
}

std::optional<NextHops::Neighbour> read_neighbour(const nlmsghdr* h, unsigned index) {
  const auto& n = *static_cast<const ndmsg*>(mnl_nlmsg_get_payload(h));
  if (static_cast<unsigned>(n.ndm_ifindex) != index || (n.ndm_state & kValid) == 0 ||
      (n.ndm_family != AF_INET && n.ndm_family != AF_INET6)) {
    return std::nullopt;
  }
  NextHops::Neighbour neighbour;
  for_each_attribute(h, sizeof n, [&](int type, const nlattr* a) {
    const Bytes value = value_of(a);
    if (type == NDA_DST) neighbour.ip = endpoint_of(value, 0);
    if (type == NDA_LLADDR && value.size() == wire::Mac::kSize)
      neighbour.mac = wire::Mac::load(value.data());
  });
  if (!neighbour.ip || !neighbour.mac || neighbour.mac.is_multicast()) return std::nullopt;
  return neighbour;
}

nlmsghdr* request(char* buffer, std::uint16_t type, unsigned flags) {
  nlmsghdr* h = mnl_nlmsg_put_header(buffer);
  h->nlmsg_type = type;
  h->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  return h;
}

}  // namespace

Result<NextHops> NextHops::open(const std::string& interface) {
  NextHops n;
  n.index_ = ::if_nametoindex(interface.c_str());
  if (n.index_ == 0) return failure(Errc::kNotFound, "there is no interface " + interface);
  n.socket_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  n.monitor_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (n.socket_ == nullptr || n.monitor_ == nullptr ||
      mnl_socket_bind(n.socket_, 0, MNL_SOCKET_AUTOPID) < 0 ||
      mnl_socket_bind(n.monitor_,
                      RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
                          RTMGRP_IPV6_IFADDR,
                      MNL_SOCKET_AUTOPID) < 0) {
    return std::unexpected(netlink_error("cannot open a netlink socket"));
  }
  // The kernel then filters by interface; an older one sends all, and what is not ours is skipped.
  int on = 1;
  (void)mnl_socket_setsockopt(n.socket_, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return n;
}

NextHops::NextHops(NextHops&& other) noexcept
    : index_(other.index_),
      monitor_(std::exchange(other.monitor_, nullptr)),
      socket_(std::exchange(other.socket_, nullptr)),
      sequence_(other.sequence_) {}

NextHops::~NextHops() {
  if (monitor_ != nullptr) mnl_socket_close(monitor_);
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

int NextHops::fd() const {
  return mnl_socket_get_fd(monitor_);
}

NextHops::Changes NextHops::changes() {
  Changes c;
  alignas(nlmsghdr) char buffer[kBuffer];
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(monitor_, buffer, sizeof buffer);
    if (n < 0 && errno == ENOBUFS) {
      c.hops = c.addresses = true;  // some were lost
      continue;
    }
    if (n <= 0) return c;
    int left = static_cast<int>(n);
    for (const auto* h = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(h, left);
         h = mnl_nlmsg_next(h, &left)) {
      switch (h->nlmsg_type) {
        case RTM_NEWADDR:
        case RTM_DELADDR:
          c.addresses = true;
          break;
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
          c.hops |= static_cast<unsigned>(
                        static_cast<const ndmsg*>(mnl_nlmsg_get_payload(h))->ndm_ifindex) == index_;
          break;
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
          for_each_attribute(h, sizeof(rtmsg), [&](int type, const nlattr* a) {
            c.hops |= (type == RTA_OIF && number_of(a) == index_) || type == RTA_MULTIPATH;
          });
          break;
        default:
          break;
      }
    }
  }
}

template <typename OnMessage>
Result<void> NextHops::dump(nlmsghdr* h, OnMessage on_message) {
  h->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, h, h->nlmsg_len) < 0)
    return std::unexpected(netlink_error("netlink"));
  alignas(nlmsghdr) char buffer[kBuffer];
  const auto call = [](const nlmsghdr* message, void* data) {
    (*static_cast<OnMessage*>(data))(message);
    return MNL_CB_OK;
  };
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
    if (n < 0) return std::unexpected(netlink_error("netlink"));
    const int result = mnl_cb_run(buffer, static_cast<std::size_t>(n), sequence_,
                                  mnl_socket_get_portid(socket_), call, &on_message);
    if (result > 0) continue;
    if (result == 0) return {};
    // A change during the dump is announced, a table or family that is not there has nothing.
    if (errno == EINTR) continue;
    if (errno == ENOENT || errno == EOPNOTSUPP || errno == EAFNOSUPPORT) return {};
    return std::unexpected(netlink_error("netlink"));
  }
}

Result<std::vector<NextHops::Route>> NextHops::routes() {
  std::vector<Route> found;
  for (const int family : {AF_INET, AF_INET6}) {
    alignas(nlmsghdr) char buffer[256];
    nlmsghdr* h = request(buffer, RTM_GETROUTE, NLM_F_DUMP);
    auto* r = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(rtmsg)));
    r->rtm_family = static_cast<unsigned char>(family);
    r->rtm_table = RT_TABLE_MAIN;
    mnl_attr_put_u32(h, RTA_OIF, index_);
    auto read = dump(h, [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWROUTE) return;
      if (auto route = read_route(message, index_)) found.push_back(*route);
    });
    if (!read) return std::unexpected(read.error());
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Route& a, const Route& b) { return a.metric < b.metric; });
  return found;
}

Result<std::vector<NextHops::Neighbour>> NextHops::neighbours() {
  std::vector<Neighbour> found;
  alignas(nlmsghdr) char buffer[256];
  nlmsghdr* h = request(buffer, RTM_GETNEIGH, NLM_F_DUMP);
  mnl_nlmsg_put_extra_header(h, sizeof(ndmsg));
  mnl_attr_put_u32(h, NDA_IFINDEX, index_);
  auto read = dump(h, [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNEIGH) return;
    if (auto neighbour = read_neighbour(message, index_)) found.push_back(*neighbour);
  });
  if (!read) return std::unexpected(read.error());
  return found;
}

Result<void> NextHops::resolve(const wire::Endpoint& ip) {
  alignas(nlmsghdr) char buffer[256];
  nlmsghdr* h = request(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
  auto* n = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ndmsg)));
  n->ndm_family = ip.family == 6 ? AF_INET6 : AF_INET;
  n->ndm_ifindex = static_cast<int>(index_);
  n->ndm_state = NUD_NONE;
  n->ndm_flags = NTF_USE;
  mnl_attr_put(h, NDA_DST, ip.ip_size(), ip.ip.data());
  return dump(h, [](const nlmsghdr*) {});
}

}  // namespace orrery::tap
