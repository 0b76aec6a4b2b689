#include "tap/tap_port.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tap/datagram_mbuf.h"
#include "tap/merge.h"
#include "tap/socket_port.h"
#include "wire/fragment.h"
#include "wire/header.h"

namespace orrery::tap {

std::uint32_t superframe_limit(std::uint16_t mtu) {
  constexpr std::size_t kIpAndTcp = 40, kNetworkAndType = 10;
  if (mtu <= kIpAndTcp) return kLargestSuperframe;
  const auto plan = wire::plan_equal_fragments(wire::kHeaderSize + kNetworkAndType + mtu,
                                               wire::kDefaultUdpPayload);
  const std::size_t frames = std::min<std::size_t>(
      kMaxSegmented / (std::size_t{plan.pieces} * plan.head_size), kMaxSegments / plan.pieces);
  const std::size_t payload = mtu - kIpAndTcp;
  // Half a segment is enough for the headers, and not for one segment more.
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(frames * payload + payload / 2, kLargestSuperframe));
}

struct TapPort::Buffers {
  explicit Buffers(bool udp) : merger(udp) {}

  std::array<std::uint8_t, 65536 + 64> in;  // what the last read brought
  Splitter splitter;
  bool splitting = false;
  FlowMerger merger;
};

TapPort::TapPort(wire::NetworkId network, Device device, rte_mempool* small, rte_mempool* large)
    : network_(network),
      device_(std::move(device)),
      small_(small),
      large_(large),
      buffers_(std::make_unique<Buffers>(device_.udp_segments())) {}

TapPort::~TapPort() = default;

std::uint16_t TapPort::cut(rte_mbuf** out, std::uint16_t n) noexcept {
  Splitter& splitter = buffers_->splitter;
  n = static_cast<std::uint16_t>(std::min<std::size_t>(n, splitter.frames()));
  // No frame is larger than the first. In front of each is room for the headers of the overlay.
  rte_mempool* pool = splitter.next_size() <= room_of(small_) ? small_ : large_;
  if (splitter.next_size() > room_of(pool) || rte_pktmbuf_alloc_bulk(pool, out, n) != 0) {
    ++counters_.rx_dropped;
    buffers_->splitting = false;
    return 0;
  }
  for (std::uint16_t i = 0; i < n; ++i) {
    const std::size_t size = splitter.next_size();
    auto* data = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(out[i], static_cast<std::uint16_t>(size)));
    splitter.next({data, size});
    dataplane::meta_of(out[i]) = {};
    dataplane::meta_of(out[i]).network = network_.value;
    ++counters_.rx_packets;
    counters_.rx_bytes += size;
  }
  buffers_->splitting = !splitter.done();
  return n;
}

std::uint16_t TapPort::receive(rte_mbuf** out, std::uint16_t n) noexcept {
  std::uint16_t count = buffers_->splitting ? cut(out, n) : std::uint16_t{0};
  // At most n reads, so that a host that sends what must be dropped does not hold the worker.
  // None is begun where there is no room for another like the last: a superframe that is cut in two
  // costs the port that sends it, and whoever puts it together again, twice.
  for (std::uint16_t reads = 0; reads < n && (count == 0 || n - count >= last_read_) && !lost();
       ++reads) {
    const ssize_t got = ::read(device_.fd(), buffers_->in.data(), buffers_->in.size());
    if (got < 0 && errno == EBADFD) {
      device_.close();
      lost_.store(true, std::memory_order_relaxed);
      break;
    }
    if (got <= static_cast<ssize_t>(device_.header_size())) break;
    VirtioHeader header;
    std::memcpy(&header, buffers_->in.data(), std::min(sizeof header, device_.header_size()));
    const MutableBytes frame = MutableBytes(buffers_->in)
                                   .first(static_cast<std::size_t>(got))
                                   .subspan(device_.header_size());
    if (!buffers_->splitter.begin(header, frame)) {
      ++counters_.rx_dropped;
      continue;
    }
    last_read_ = static_cast<std::uint16_t>(buffers_->splitter.frames());
    count =
        static_cast<std::uint16_t>(count + cut(out + count, static_cast<std::uint16_t>(n - count)));
  }
  return count;
}

void TapPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  const auto write = [&](Merger& whole) {
    VirtioHeader header = whole.finish();
    iovec parts[1 + Merger::kFrames];
    parts[0] = {&header, device_.header_size()};
    int used = 1;
    for (const Bytes piece : whole.pieces())
      parts[used++] = {const_cast<std::uint8_t*>(piece.data()), piece.size()};
    if (::writev(device_.fd(), parts, used) >= 0) {
      counters_.tx_packets += whole.frames();
      counters_.tx_bytes += whole.size();
    } else {
      counters_.tx_dropped += whole.frames();
    }
  };
  for (std::uint16_t i = 0; i < n; ++i) {
    buffers_->merger.add({rte_pktmbuf_mtod(in[i], std::uint8_t*), rte_pktmbuf_data_len(in[i])},
                         write);
  }
  buffers_->merger.flush(write);
  rte_pktmbuf_free_bulk(in, n);
}

Result<std::shared_ptr<Tap>> Tap::open(wire::NetworkId network, const Options& options,
                                       unsigned queues, rte_mempool* small, rte_mempool* large) {
  auto devices = Device::open_queues(options, queues);
  if (!devices) return std::unexpected(devices.error());
  auto tap = std::make_shared<Tap>();
  for (Device& device : *devices)
    tap->queues_.push_back(std::make_unique<TapPort>(network, std::move(device), small, large));
  return tap;
}

std::vector<std::shared_ptr<TapPort>> Tap::queues(const std::shared_ptr<Tap>& tap) {
  std::vector<std::shared_ptr<TapPort>> all;
  for (const auto& queue : tap->queues_) all.emplace_back(tap, queue.get());
  return all;
}

bool Tap::lost() const {
  return std::ranges::any_of(queues_, [](const auto& queue) { return queue->lost(); });
}

}  // namespace orrery::tap
