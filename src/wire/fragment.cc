#include "wire/fragment.h"

#include <algorithm>

namespace orrery::wire {
namespace {

std::uint16_t clamp16(std::size_t n) {
  return static_cast<std::uint16_t>(std::min<std::size_t>(n, 0xffff));
}

}  // namespace

FragmentPlan plan_fragments(std::size_t packet_size, std::size_t mtu) {
  if (packet_size <= mtu) return {1, clamp16(packet_size), 0};
  const std::size_t data = mtu - kFragmentHeaderSize;
  const std::size_t pieces = 1 + (packet_size - mtu + data - 1) / data;
  return {clamp16(pieces), clamp16(mtu), clamp16(data)};
}

FragmentPlan plan_equal_fragments(std::size_t packet_size, std::size_t mtu) {
  const FragmentPlan plain = plan_fragments(packet_size, mtu);
  if (plain.pieces == 1) return plain;
  // Every further datagram repeats a header, so k datagrams carry n + 16 (k - 1) bytes.
  const std::size_t k = plain.pieces;
  const std::size_t size = (packet_size + kFragmentHeaderSize * (k - 1) + k - 1) / k;
  return {plain.pieces, clamp16(size), clamp16(size - kFragmentHeaderSize)};
}

std::size_t write_fragment(MutableBytes out, Bytes packet, const FragmentPlan& plan,
                           std::uint8_t number) {
  const std::size_t begin = plan.head_size + static_cast<std::size_t>(number - 1) * plan.data_size;
  const std::size_t size = std::min<std::size_t>(plan.data_size, packet.size() - begin);
  FragmentHeader header;
  header.id = load_be64(packet.data());
  header.destination = Address{(static_cast<std::uint64_t>(packet[kDestinationOffset]) << 32) |
                               load_be32(packet.data() + kDestinationOffset + 1)};
  header.total = static_cast<std::uint8_t>(plan.pieces);
  header.number = number;
  encode_fragment_header(out, header);
  std::memcpy(out.data() + kFragmentHeaderSize, packet.data() + begin, size);
  return kFragmentHeaderSize + size;
}

std::optional<FragmentView> read_head(Bytes datagram) {
  if (datagram.size() < kHeaderSize || datagram.size() > kMaxPacket) return std::nullopt;
  return FragmentView{load_be64(datagram.data()), 0, 0, datagram};
}

std::optional<FragmentView> read_fragment(Bytes datagram) {
  const auto header = decode_fragment_header(datagram);
  if (!header || header->total < 2 || header->total > kMaxFragments || header->number < 1 ||
      header->number >= header->total) {
    return std::nullopt;
  }
  const Bytes data = datagram.subspan(kFragmentHeaderSize);
  if (data.size() > kMaxPacket) return std::nullopt;
  return FragmentView{header->id, header->number, header->total, data};
}

}  // namespace orrery::wire
