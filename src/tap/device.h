// A kernel TAP device: opened, named, offloads negotiated. Non-blocking; gone when the object goes.
// With several queues each is an object, and the interface is gone with the last.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/mac.h"

namespace orrery::tap {

/// "zt" and eight characters of base-32 for a network; `collision` is added to the number.
/// Source: docs/protocol/12-local-service.md section 2.
[[nodiscard]] std::string device_name(wire::NetworkId network, unsigned collision = 0);

/// What an interface is like at the moment.
struct LinkState {
  std::string name;
  bool up = false;
  unsigned mtu = 0;
};

/// Nothing when this namespace has no interface of that index (any more).
[[nodiscard]] std::optional<LinkState> link_state(unsigned index);

class Device {
 public:
  struct Options {
    std::string name;
    wire::Mac mac;
  };

  /// The name must be free: an interface that exists is never attached to.
  static Result<Device> open(const Options& options);
  /// The queues of one interface; the kernel spreads flows over them, and a flow stays where it is
  /// (steering.h). One, where it cannot be had to do that, or is asked for no more.
  static Result<std::vector<Device>> open_queues(const Options& options, unsigned queues);
  Device(Device&& other) noexcept;
  Device& operator=(Device&& other) noexcept;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// The kernel's number for it, which no other interface gets while this one is there.
  [[nodiscard]] unsigned index() const { return index_; }

  /// The kernel gives and takes superframes of UDP.
  [[nodiscard]] bool udp_segments() const { return udp_segments_; }

  /// Lets go of the interface before the object goes.
  void close();

  /// Bytes of virtio_net_hdr in front of every frame read or written.
  [[nodiscard]] std::size_t header_size() const { return header_size_; }

 private:
  Device() = default;

  static Result<Device> open(const Options& options, bool multi_queue);
  /// One more queue of this interface.
  [[nodiscard]] Result<Device> another() const;
  Result<void> attach(const std::string& name, int flags);

  int fd_ = -1;
  unsigned index_ = 0;
  std::size_t header_size_ = 0;
  bool udp_segments_ = false;
  std::string name_;
};

}  // namespace orrery::tap
