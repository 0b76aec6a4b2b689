#include "tap/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace orrery::tap {
namespace {

constexpr std::size_t kBuffer = 8192;  // bytes; every request here is far smaller

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
  return n;
}

Netlink::Netlink(Netlink&& other) noexcept
    : socket_(std::exchange(other.socket_, nullptr)), sequence_(other.sequence_) {}

Netlink::~Netlink() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

Result<void> Netlink::talk(nlmsghdr* h, int harmless) {
  h->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, h, h->nlmsg_len) < 0) {
    return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
  }
  char buffer[kBuffer];
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
    if (n < 0) return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
    const int result = mnl_cb_run(buffer, static_cast<std::size_t>(n), sequence_,
                                  mnl_socket_get_portid(socket_), nullptr, nullptr);
    if (result > 0) continue;
    if (result < 0 && errno != harmless) {
      return failure(errno == EPERM ? Errc::kPermission : Errc::kIo,
                     std::string("netlink: ") + std::strerror(errno));
    }
    return {};
  }
}

Result<void> Netlink::set_link(const std::string& interface, std::uint16_t mtu, bool up) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  char buffer[kBuffer];
  nlmsghdr* h = request(buffer, RTM_NEWLINK, NLM_F_ACK);
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = static_cast<int>(*index);
  link->ifi_change = IFF_UP;
  link->ifi_flags = up ? IFF_UP : 0;
  mnl_attr_put_u32(h, IFLA_MTU, mtu);
  return talk(h, 0);
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

Result<void> Netlink::add_route(const std::string& interface, const wire::Endpoint& target,
                                const wire::Endpoint& via, std::uint32_t metric) {
  char buffer[kBuffer];
  const auto h = route_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, interface,
                               target, via, metric);
  if (!h) return std::unexpected(h.error());
  return talk(*h, EEXIST);
}

Result<void> Netlink::remove_route(const std::string& interface, const wire::Endpoint& target,
                                   const wire::Endpoint& via, std::uint32_t metric) {
  char buffer[kBuffer];
  const auto h = route_request(buffer, RTM_DELROUTE, 0, interface, target, via, metric);
  if (!h) return std::unexpected(h.error());
  return talk(*h, ESRCH);
}

Result<std::vector<InterfaceAddress>> Netlink::addresses() {
  std::vector<InterfaceAddress> found;
  char buffer[32768];
  nlmsghdr* h = request(buffer, RTM_GETADDR, NLM_F_DUMP);
  h->nlmsg_seq = ++sequence_;
  auto* message = static_cast<rtgenmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(rtgenmsg)));
  message->rtgen_family = AF_UNSPEC;
  if (mnl_socket_sendto(socket_, h, h->nlmsg_len) < 0) {
    return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
  }
  Dump dump{&found};
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
    if (n < 0) return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
    const int result = mnl_cb_run(buffer, static_cast<std::size_t>(n), sequence_,
                                  mnl_socket_get_portid(socket_), on_address, &dump);
    if (result < 0) return failure(Errc::kIo, std::string("netlink: ") + std::strerror(errno));
    if (result == 0) return found;
  }
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
