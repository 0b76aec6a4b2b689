#include "tap/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace orrery::tap {
namespace {

constexpr std::size_t kBuffer = 8192;   // bytes; every request here is far smaller
constexpr std::size_t kAnswer = 32768;  // bytes; the kernel fills no larger part of a dump
constexpr unsigned kAttempts = 8;       // a dump of a host whose addresses keep changing
constexpr timeval kPatience{2, 0};      // the kernel answers at once or not at all
constexpr std::uint32_t kDefaultMetricV6 = 1024;  // what the kernel makes of metric 0

unsigned char family_of(const wire::Endpoint& e) {
  return e.family == 6 ? AF_INET6 : AF_INET;
}

nlmsghdr* request(char* buffer, std::uint16_t type, unsigned flags) {
  nlmsghdr* h = mnl_nlmsg_put_header(buffer);
  h->nlmsg_type = type;
  h->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  return h;
}

Result<unsigned> index_of(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return failure(Errc::kNotFound, "there is no interface " + interface);
  return index;
}

struct Dump {
  std::vector<InterfaceAddress>* addresses;
};

int on_address(const nlmsghdr* h, void* data) {
  const auto* message = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(h));
  InterfaceAddress a;
  a.index = message->ifa_index;
  std::uint32_t flags = message->ifa_flags;
  Bytes local, address;
  const auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(h, sizeof *message));
  while (mnl_attr_ok(attribute,
                     static_cast<int>(static_cast<const char*>(mnl_nlmsg_get_payload_tail(h)) -
                                      reinterpret_cast<const char*>(attribute)))) {
    const Bytes value{static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                      mnl_attr_get_payload_len(attribute)};
    switch (mnl_attr_get_type(attribute)) {
      case IFA_LOCAL:
        local = value;
        break;
      case IFA_ADDRESS:
        address = value;
        break;
      case IFA_FLAGS:
        if (value.size() == 4) std::memcpy(&flags, value.data(), 4);
        break;
      default:
        break;
    }
    attribute = mnl_attr_next(attribute);
  }
  const Bytes ip =
      local.empty() ? address : local;  // on point-to-point links IFA_ADDRESS is the peer's
  if (ip.size() == 4) {
    a.address = wire::Endpoint::v4(load_be32(ip.data()), message->ifa_prefixlen);
  } else if (ip.size() == 16) {
    a.address = wire::Endpoint::v6(ip, message->ifa_prefixlen);
  } else {
    return MNL_CB_OK;
  }
  a.usable = (flags & (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_DADFAILED)) == 0;
  char name[IF_NAMESIZE] = {};
  if (::if_indextoname(a.index, name) != nullptr) a.interface = name;
  static_cast<Dump*>(data)->addresses->push_back(std::move(a));
  return MNL_CB_OK;
}

struct RouteRecord {
  wire::Endpoint target;  // prefix length in the port field
  wire::Endpoint via;     // nil: on-link
  std::uint32_t metric = 0;
  unsigned index = 0;
  friend bool operator==(const RouteRecord&, const RouteRecord&) = default;
};

/// A plain route of the main table; nothing for multipath and other tables.
std::optional<RouteRecord> route_of(const nlmsghdr* h) {
  if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(rtmsg))
    return std::nullopt;
  const auto* message = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(h));
  if (message->rtm_table != RT_TABLE_MAIN || message->rtm_type != RTN_UNICAST ||
      (message->rtm_flags & RTM_F_CLONED) != 0) {
    return std::nullopt;
  }
  const bool v6 = message->rtm_family == AF_INET6;
  const auto endpoint = [v6](Bytes ip, std::uint16_t port) {
    if (ip.size() != (v6 ? 16u : 4u)) return wire::Endpoint{};
    return v6 ? wire::Endpoint::v6(ip, port) : wire::Endpoint::v4(load_be32(ip.data()), port);
  };
  static constexpr std::uint8_t kAny[16] = {};
  RouteRecord route;
  route.target = endpoint(Bytes(kAny).first(v6 ? 16 : 4), message->rtm_dst_len);
  const auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(h, sizeof *message));
  while (mnl_attr_ok(attribute,
                     static_cast<int>(static_cast<const char*>(mnl_nlmsg_get_payload_tail(h)) -
                                      reinterpret_cast<const char*>(attribute)))) {
    const Bytes value{static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                      mnl_attr_get_payload_len(attribute)};
    switch (mnl_attr_get_type(attribute)) {
      case RTA_DST:
        route.target = endpoint(value, message->rtm_dst_len);
        break;
      case RTA_GATEWAY:
        route.via = endpoint(value, 0);
        break;
      case RTA_PRIORITY:
        if (value.size() == 4) std::memcpy(&route.metric, value.data(), 4);
        break;
      case RTA_OIF:
        if (value.size() == 4) std::memcpy(&route.index, value.data(), 4);
        break;
      default:
        break;
    }
    attribute = mnl_attr_next(attribute);
  }
  return route;
}

/// What the kernel adds to an error number, as ": text"; empty when it says no more.
std::string extended_reason(const nlmsghdr* h) {
  // [4] error, [16] header of the request, then attributes if the flag is set (NETLINK_CAP_ACK).
  constexpr std::size_t kHead = sizeof(nlmsgerr);
  if (h->nlmsg_type != NLMSG_ERROR || (h->nlmsg_flags & NLM_F_ACK_TLVS) == 0 ||
      (h->nlmsg_flags & NLM_F_CAPPED) == 0 || mnl_nlmsg_get_payload_len(h) <= kHead) {
    return {};
  }
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(h, kHead));
  while (mnl_attr_ok(attribute,
                     static_cast<int>(static_cast<const char*>(mnl_nlmsg_get_payload_tail(h)) -
                                      reinterpret_cast<const char*>(attribute)))) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG)
      return ": " + std::string(mnl_attr_get_str(attribute));
    attribute = mnl_attr_next(attribute);
  }
  return {};
}

Result<nlmsghdr*> route_request(char* buffer, std::uint16_t type, unsigned flags,
                                const std::string& interface, const wire::Endpoint& target,
                                const wire::Endpoint& via, std::uint32_t metric) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  nlmsghdr* h = request(buffer, type, flags | NLM_F_ACK);
  auto* r = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(rtmsg)));
  r->rtm_family = family_of(target);
  r->rtm_dst_len = static_cast<unsigned char>(target.port);
  r->rtm_table = RT_TABLE_MAIN;
  r->rtm_protocol = RTPROT_STATIC;
  r->rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  r->rtm_type = RTN_UNICAST;
  mnl_attr_put(h, RTA_DST, target.ip_size(), target.ip.data());
  mnl_attr_put_u32(h, RTA_OIF, *index);
  if (via) mnl_attr_put(h, RTA_GATEWAY, via.ip_size(), via.ip.data());
  if (metric != 0) mnl_attr_put_u32(h, RTA_PRIORITY, metric);
  return h;
}

}  // namespace

Result<Netlink> Netlink::open() {
  Netlink n;
  n.socket_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (n.socket_ == nullptr || mnl_socket_bind(n.socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
    return failure(Errc::kIo, std::string("cannot open a netlink socket: ") + std::strerror(errno));
  }
  ::setsockopt(n.fd(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  int on = 1;
  mnl_socket_setsockopt(n.socket_, NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(n.socket_, NETLINK_CAP_ACK, &on, sizeof on);
  return n;
}

Netlink::Netlink(Netlink&& other) noexcept
    : socket_(std::exchange(other.socket_, nullptr)), sequence_(other.sequence_) {}

int Netlink::fd() const {
  return mnl_socket_get_fd(socket_);
}

Netlink::~Netlink() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

Result<int> Netlink::exchange(nlmsghdr* h, std::vector<ByteVector>* answers) {
  const auto system_failure = [] {
    return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
  };
  std::vector<char> buffer(kAnswer);
  const unsigned port = mnl_socket_get_portid(socket_);
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    if (answers != nullptr) answers->clear();
    // Invariant 1: a number is never used twice, so an answer that nobody waited for is known as
    // such and cannot pass for the answer to a later request.
    h->nlmsg_seq = ++sequence_;
    while (mnl_socket_sendto(socket_, h, h->nlmsg_len) < 0) {
      if (errno != EINTR) return system_failure();
    }
    // Invariant 2: a request is read to its end, whatever its answer says on the way.
    bool inconsistent = false, lost = false, done = false;
    int code = 0;
    while (!done && !lost) {
      sockaddr_nl from{};
      iovec part{buffer.data(), buffer.size()};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof from;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      const ssize_t n = ::recvmsg(fd(), &message, 0);
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return failure(Errc::kIo, "netlink: the kernel did not answer");
        if (errno != ENOBUFS) return system_failure();
        // The kernel had something for us and no room: it may have been this answer.
        lost = true;
        break;
      }
      if (from.nl_pid != 0) continue;  // not the kernel
      if ((message.msg_flags & MSG_TRUNC) != 0) inconsistent = true;
      int left = static_cast<int>(n);
      for (const auto* m = reinterpret_cast<const nlmsghdr*>(buffer.data());
           mnl_nlmsg_ok(m, left) && !done; m = mnl_nlmsg_next(m, &left)) {
        if (m->nlmsg_seq != sequence_ || m->nlmsg_pid != port) continue;
        if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) inconsistent = true;
        if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
          // Both begin with [4] minus the error number; DONE of old kernels is empty.
          int status = 0;
          if (mnl_nlmsg_get_payload_len(m) >= sizeof status)
            std::memcpy(&status, mnl_nlmsg_get_payload(m), sizeof status);
          code = status < 0 ? -status : 0;
          if (code != 0) reason_ = std::strerror(code) + extended_reason(m);
          done = true;
        } else if (answers != nullptr) {
          const auto* bytes = reinterpret_cast<const std::uint8_t*>(m);
          answers->emplace_back(bytes, bytes + m->nlmsg_len);
        }
      }
    }
    // A dump that nobody has read to its end keeps the socket busy; reading it ends it.
    if (code == EBUSY && (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) lost = true;
    if (!lost && !inconsistent && code != EINTR) return code;
    while (lost && ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
    }
  }
  return failure(Errc::kIo, "netlink: the host's state changed while it was read, again and again");
}

Result<void> Netlink::talk(nlmsghdr* h, int harmless) {
  const auto code = exchange(h, nullptr);
  if (!code) return std::unexpected(code.error());
  if (*code == 0 || *code == harmless) return {};
  return failure(*code == EPERM ? Errc::kPermission : Errc::kIo, reason_);
}

template <typename Fill>
Result<void> Netlink::change_link(const std::string& interface, Fill fill) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_NEWLINK, NLM_F_ACK);
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = static_cast<int>(*index);
  fill(h, link);
  return talk(h, 0);
}

Result<void> Netlink::set_link(const std::string& interface, std::uint16_t mtu, bool up) {
  return change_link(interface, [&](nlmsghdr* h, ifinfomsg* link) {
    link->ifi_change = IFF_UP;
    link->ifi_flags = up ? IFF_UP : 0;
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
  });
}

Result<void> Netlink::set_superframe_limit(const std::string& interface, std::uint32_t bytes) {
  return change_link(
      interface, [&](nlmsghdr* h, ifinfomsg*) { mnl_attr_put_u32(h, IFLA_GSO_MAX_SIZE, bytes); });
}

Result<void> Netlink::add_address(const std::string& interface, const wire::Endpoint& address) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  auto* a = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifaddrmsg)));
  a->ifa_family = family_of(address);
  a->ifa_prefixlen = static_cast<unsigned char>(address.port);
  a->ifa_index = *index;
  a->ifa_flags = address.family == 6 ? IFA_F_NODAD : 0;
  mnl_attr_put(h, IFA_LOCAL, address.ip_size(), address.ip.data());
  mnl_attr_put(h, IFA_ADDRESS, address.ip_size(), address.ip.data());
  if (address.family == 4 && address.port < 31) {
    const std::uint32_t host =
        address.port == 0 ? ~std::uint32_t{0} : (~std::uint32_t{0} >> address.port);
    std::uint8_t broadcast[4];
    store_be32(broadcast, load_be32(address.ip.data()) | host);
    mnl_attr_put(h, IFA_BROADCAST, 4, broadcast);
  }
  return talk(h, EEXIST);
}

Result<void> Netlink::remove_address(const std::string& interface, const wire::Endpoint& address) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_DELADDR, NLM_F_ACK);
  auto* a = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifaddrmsg)));
  a->ifa_family = family_of(address);
  a->ifa_prefixlen = static_cast<unsigned char>(address.port);
  a->ifa_index = *index;
  mnl_attr_put(h, IFA_LOCAL, address.ip_size(), address.ip.data());
  return talk(h, EADDRNOTAVAIL);
}

Result<bool> Netlink::add_route(const std::string& interface, const wire::Endpoint& target,
                                const wire::Endpoint& via, std::uint32_t metric) {
  char buffer[kBuffer];
  const auto h = route_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, interface, target,
                               via, metric);
  if (!h) return std::unexpected(h.error());
  const auto code = exchange(*h, nullptr);
  if (!code) return std::unexpected(code.error());
  if (*code == 0) return true;
  if (*code != EEXIST) return failure(*code == EPERM ? Errc::kPermission : Errc::kIo, reason_);
  const auto own = has_route(interface, target, via, metric);
  if (!own) return std::unexpected(own.error());
  if (*own) return false;
  std::string holder = holder_of(target);
  if (!holder.empty()) holder = " (on " + holder + ")";
  return failure(Errc::kExists, "the host has a route of its own to this prefix" + holder +
                                    ", which is left alone");
}

Result<void> Netlink::remove_route(const std::string& interface, const wire::Endpoint& target,
                                   const wire::Endpoint& via, std::uint32_t metric) {
  char buffer[kBuffer];
  const auto h = route_request(buffer, RTM_DELROUTE, 0, interface, target, via, metric);
  if (!h) return std::unexpected(h.error());
  return talk(*h, ESRCH);
}

Result<bool> Netlink::has_route(const std::string& interface, const wire::Endpoint& target,
                                const wire::Endpoint& via, std::uint32_t metric) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_GETROUTE, NLM_F_DUMP);
  auto* r = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(rtmsg)));
  r->rtm_family = family_of(target);
  r->rtm_table = RT_TABLE_MAIN;
  mnl_attr_put_u32(h, RTA_OIF, *index);
  // With strict checks the kernel filters by interface, so that a host with a full table does not
  // hand over all of it; without (before 4.20) the filter is ours alone.
  int strict = 1;
  mnl_socket_setsockopt(socket_, NETLINK_GET_STRICT_CHK, &strict, sizeof strict);
  std::vector<ByteVector> answers;
  const auto code = exchange(h, &answers);
  strict = 0;
  mnl_socket_setsockopt(socket_, NETLINK_GET_STRICT_CHK, &strict, sizeof strict);
  if (!code) return std::unexpected(code.error());
  if (*code != 0) return failure(Errc::kIo, reason_);
  RouteRecord wanted{target, via, metric, *index};
  wanted.via.port = 0;
  if (target.family == 6 && metric == 0) wanted.metric = kDefaultMetricV6;
  return std::any_of(answers.begin(), answers.end(), [&](const ByteVector& answer) {
    return route_of(reinterpret_cast<const nlmsghdr*>(answer.data())) == wanted;
  });
}

std::string Netlink::holder_of(const wire::Endpoint& target) {
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_GETROUTE, NLM_F_ACK);
  auto* r = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(rtmsg)));
  r->rtm_family = family_of(target);
  r->rtm_dst_len = static_cast<unsigned char>(target.ip_size() * 8);
  r->rtm_flags = RTM_F_FIB_MATCH;
  mnl_attr_put(h, RTA_DST, target.ip_size(), target.ip.data());
  std::vector<ByteVector> answers;
  const auto code = exchange(h, &answers);
  if (!code || *code != 0 || answers.empty()) return {};
  const auto found = route_of(reinterpret_cast<const nlmsghdr*>(answers.front().data()));
  char name[IF_NAMESIZE] = {};
  if (!found || found->target != target || ::if_indextoname(found->index, name) == nullptr)
    return {};
  return name;
}

Result<std::vector<InterfaceAddress>> Netlink::addresses() {
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_GETADDR, NLM_F_DUMP);
  auto* message = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifaddrmsg)));
  message->ifa_family = AF_UNSPEC;
  std::vector<ByteVector> answers;
  const auto code = exchange(h, &answers);
  if (!code) return std::unexpected(code.error());
  if (*code != 0) return failure(Errc::kIo, reason_);
  std::vector<InterfaceAddress> found;
  Dump dump{&found};
  for (const ByteVector& answer : answers)
    on_address(reinterpret_cast<const nlmsghdr*>(answer.data()), &dump);
  return found;
}

std::vector<wire::Mac> joined_multicast(const std::string& interface) {
  // index name users global-use hex-mac
  std::vector<wire::Mac> macs;
  std::ifstream file("/proc/net/dev_mcast");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string index, name, users, global, mac;
    if (!(fields >> index >> name >> users >> global >> mac) || name != interface) continue;
    if (const auto parsed = wire::parse_mac(mac)) macs.push_back(*parsed);
  }
  return macs;
}

}  // namespace orrery::tap
