#include "sim/frames.h"

#include <cstring>

namespace orrery::sim {

namespace {

constexpr std::size_t kEthernetHead = 14;

}  // namespace

void Frames::fill(MutableBytes payload, FrameId id) const {
  std::copy(mark_.begin(), mark_.end(), payload.begin());
  store_be64(payload.data() + 8, id);
  store_be32(payload.data() + 16, static_cast<std::uint32_t>(payload.size()));
  Random(id).fill(payload.subspan(kFrameMin));
}

ByteVector Frames::make(Micros now, wire::NetworkId network, HostId from, wire::Mac source,
                        wire::Mac to, std::size_t size, FrameId& id) {
  id = next();
  sent_.push_back({network, from, to, now, {}});
  ByteVector frame(kEthernetHead + std::max(size, kFrameMin));
  to.store(frame.data());
  source.store(frame.data() + 6);
  store_be16(frame.data() + 12, kFrameType);
  fill(MutableBytes(frame).subspan(kEthernetHead), id);
  return frame;
}

Frames::Verdict Frames::received(Micros now, HostId at, wire::NetworkId network,
                                 wire::Mac destination, std::uint16_t ethertype, Bytes payload,
                                 HostId arrived_from) {
  if (ethertype != kFrameType) return {};
  if (payload.size() < kFrameMin || !std::equal(mark_.begin(), mark_.end(), payload.begin()))
    return {"a frame came out that nobody sent"};
  const FrameId id = load_be64(payload.data() + 8);
  const std::string name = "frame " + std::to_string(id);
  if (id >= next()) return {name + " was never sent"};
  if (id < first_) return {};
  Sent& sent = sent_[id - first_];
  ByteVector whole(payload.size());
  fill(whole, id);
  if (!std::equal(whole.begin(), whole.end(), payload.begin())) return {name + " came altered"};
  if (network != sent.network) return {name + " came out in another network"};
  if (destination != sent.to) return {name + " came with another destination"};
  for (const Receipt& receipt : sent.receipts) {
    if (receipt.at == at) return {name + " came twice"};
  }
  if (!sent.to.is_multicast() && !sent.receipts.empty()) return {name + " came to two hosts"};
  sent.receipts.push_back({at, now, arrived_from == sent.from});
  ++delivered_;
  return {{}, &sent};
}

bool Frames::shows(Bytes datagram) const {
  return ::memmem(datagram.data(), datagram.size(), mark_.data(), mark_.size()) != nullptr;
}

void Frames::forget(FrameId id) {
  while (!sent_.empty() && first_ < id) {
    sent_.pop_front();
    ++first_;
  }
}

}  // namespace orrery::sim
