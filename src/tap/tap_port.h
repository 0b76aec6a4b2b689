// The host's side of one network: a TAP device as a frame port, in superframes where the kernel
// gives and takes them.
//
// One worker owns a port, which is one queue of the interface. When the interface is deleted under
// it, the port notices at its next read, closes the descriptor (which would be ready forever) and
// stays silent; whoever made it looks at lost() and makes another.
#pragma once

#include <atomic>
#include <memory>

#include "dataplane/port.h"
#include "tap/device.h"

struct rte_mempool;

namespace orrery::tap {

/// Bytes of the superframes that the host should make on an interface of this MTU: what becomes of
/// one then leaves in one UDP_SEGMENT call. For the kernel, which takes what it needs for headers
/// off it and makes whole segments of the rest.
inline constexpr std::uint32_t kLargestSuperframe = 65'536;
[[nodiscard]] std::uint32_t superframe_limit(std::uint16_t mtu);

class TapPort final : public dataplane::FramePort {
 public:
  TapPort(wire::NetworkId network, Device device, rte_mempool* small, rte_mempool* large);
  ~TapPort() override;

  [[nodiscard]] wire::NetworkId network() const noexcept override { return network_; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override;
  void send(rte_mbuf** in, std::uint16_t n) noexcept override;

  [[nodiscard]] std::vector<int> wait_fds() const override {
    return lost() ? std::vector<int>{} : std::vector<int>{device_.fd()};
  }

  [[nodiscard]] const dataplane::PortCounters& counters() const noexcept override {
    return counters_;
  }

  [[nodiscard]] const std::string& name() const { return device_.name(); }

  [[nodiscard]] unsigned index() const { return device_.index(); }

  /// From any thread: the interface is gone.
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  struct Buffers;

  std::uint16_t cut(rte_mbuf** out, std::uint16_t n) noexcept;

  wire::NetworkId network_;
  Device device_;
  std::atomic<bool> lost_{false};
  rte_mempool* small_;
  rte_mempool* large_;
  std::unique_ptr<Buffers> buffers_;
  std::uint16_t last_read_ = 1;  // frames of the last superframe
  dataplane::PortCounters counters_;
};

/// The interface of one network, with a queue for each of several workers or one for the first.
class Tap {
 public:
  using Options = Device::Options;

  static Result<std::shared_ptr<Tap>> open(wire::NetworkId network, const Options& options,
                                           unsigned queues, rte_mempool* small, rte_mempool* large);

  /// One a worker, or one. Each holds the whole, so that its queues go together.
  [[nodiscard]] static std::vector<std::shared_ptr<TapPort>> queues(
      const std::shared_ptr<Tap>& tap);

  [[nodiscard]] const std::string& name() const { return queues_.front()->name(); }

  [[nodiscard]] unsigned index() const { return queues_.front()->index(); }

  /// From any thread: the interface is gone.
  [[nodiscard]] bool lost() const;

 private:
  std::vector<std::unique_ptr<TapPort>> queues_;
};

}  // namespace orrery::tap
