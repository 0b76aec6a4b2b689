#include "tap/device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tap/offload.h"
#include "tap/steering.h"

namespace orrery::tap {
namespace {

constexpr int kQueueFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
constexpr unsigned kUdpSegments = 0x20 | 0x40;  // TUN_F_USO4, TUN_F_USO6; only both together

Error system_error(const std::string& what) {
  return {Errc::kIo, what + ": " + std::strerror(errno)};
}

}  // namespace

std::string device_name(wire::NetworkId network, unsigned collision) {
  static constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::uint64_t number = (network.value ^ (network.value >> 24)) + collision;
  std::string name = "zt";
  for (int shift = 35; shift >= 0; shift -= 5) name.push_back(kDigits[(number >> shift) & 31]);
  return name;
}

std::optional<LinkState> link_state(unsigned index) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  LinkState state;
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index);
  bool there = ::ioctl(fd, SIOCGIFNAME, &request) == 0;
  state.name = request.ifr_name;
  there = there && ::ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  state.up = (request.ifr_flags & IFF_UP) != 0;
  there = there && ::ioctl(fd, SIOCGIFMTU, &request) == 0;
  state.mtu = static_cast<unsigned>(request.ifr_mtu);
  ::close(fd);
  return there ? std::optional(state) : std::nullopt;
}

Result<void> Device::attach(const std::string& name, int flags) {
  fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) return std::unexpected(system_error("cannot open /dev/net/tun"));
  ifreq request{};
  request.ifr_flags = static_cast<short>(flags);
  if (name.size() >= sizeof request.ifr_name)
    return failure(Errc::kInvalid, "interface name " + name + " is longer than 15 characters");
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (::ioctl(fd_, TUNSETIFF, &request) != 0)
    return std::unexpected(system_error("cannot make TAP device " + name));
  name_ = request.ifr_name;
  index_ = ::if_nametoindex(request.ifr_name);
  return {};
}

Result<Device> Device::open(const Options& options) {
  return open(options, false);
}

Result<std::vector<Device>> Device::open_queues(const Options& options, unsigned queues) {
  std::vector<Device> all;
  if (queues > 1) {
    auto first = open(options, true);
    if (!first) return std::unexpected(first.error());
    if (steer_by_flow(first->fd_)) {
      all.push_back(std::move(*first));
      while (all.size() < queues) {
        auto next = all.front().another();
        if (!next) return std::unexpected(next.error());
        all.push_back(std::move(*next));
      }
      return all;
    }
  }
  auto only = open(options, false);
  if (!only) return std::unexpected(only.error());
  all.push_back(std::move(*only));
  return all;
}

Result<Device> Device::another() const {
  Device device;
  if (auto r = device.attach(name_, kQueueFlags | IFF_MULTI_QUEUE); !r)
    return std::unexpected(r.error());
  // By name alone it can be had: not when somebody took or deleted it just now.
  if (device.index_ != index_) return failure(Errc::kIo, "the interface " + name_ + " was removed");
  device.header_size_ = header_size_;
  device.udp_segments_ = udp_segments_;
  return device;
}

Result<Device> Device::open(const Options& options, bool multi_queue) {
  Device device;
  const int flags = kQueueFlags | IFF_TUN_EXCL | (multi_queue ? IFF_MULTI_QUEUE : 0);
  if (auto r = device.attach(options.name, flags); !r) return std::unexpected(r.error());
  int size = sizeof(VirtioHeader);
  if (::ioctl(device.fd_, TUNSETVNETHDRSZ, &size) != 0) {
    return std::unexpected(system_error("cannot set the header size of " + device.name_));
  }
  device.header_size_ = static_cast<std::size_t>(size);
  // Congestion marks ride in the flags of a superframe. UDP is an offer of Linux 6.2 and later.
  const unsigned features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  device.udp_segments_ = ::ioctl(device.fd_, TUNSETOFFLOAD, features | kUdpSegments) == 0;
  if (!device.udp_segments_ && ::ioctl(device.fd_, TUNSETOFFLOAD, features) != 0) {
    return std::unexpected(system_error("cannot set the offloads of " + device.name_));
  }
  ifreq request{};
  std::memcpy(request.ifr_name, device.name_.data(), device.name_.size());
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  options.mac.store(reinterpret_cast<std::uint8_t*>(request.ifr_hwaddr.sa_data));
  if (::ioctl(device.fd_, SIOCSIFHWADDR, &request) != 0) {
    return std::unexpected(system_error("cannot set the MAC of " + device.name_));
  }
  return device;
}

Device::Device(Device&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      index_(other.index_),
      header_size_(other.header_size_),
      udp_segments_(other.udp_segments_),
      name_(std::move(other.name_)) {}

Device& Device::operator=(Device&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(index_, other.index_);
  std::swap(header_size_, other.header_size_);
  std::swap(udp_segments_, other.udp_segments_);
  std::swap(name_, other.name_);
  return *this;
}

void Device::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Device::~Device() {
  close();
}

}  // namespace orrery::tap
