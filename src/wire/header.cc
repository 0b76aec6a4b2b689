#include "wire/header.h"

namespace orrery::wire {

std::optional<PacketHeader> decode_packet_header(Bytes packet) {
  if (packet.size() < kHeaderSize) return std::nullopt;
  Reader reader(packet);
  PacketHeader h;
  h.id = reader.u64();
  h.destination = Address{reader.u40()};
  h.source = Address{reader.u40()};
  h.flags = reader.u8();
  h.mac = reader.u64();
  h.verb = reader.u8();
  return h;
}

std::optional<FragmentHeader> decode_fragment_header(Bytes datagram) {
  if (datagram.size() <= kFragmentHeaderSize || datagram[kSourceOffset] != 0xff)
    return std::nullopt;
  Reader reader(datagram);
  FragmentHeader h;
  h.id = reader.u64();
  h.destination = Address{reader.u40()};
  reader.skip(1);
  const std::uint8_t counts = reader.u8();
  h.total = counts >> 4;
  h.number = counts & 15;
  h.hops = reader.u8() & kHopsMask;
  return h;
}

void encode_fragment_header(MutableBytes datagram, const FragmentHeader& header) {
  Writer writer(datagram);
  writer.u64(header.id);
  writer.u40(header.destination.value);
  writer.u8(0xff);
  writer.u8(static_cast<std::uint8_t>((header.total << 4) | (header.number & 15)));
  writer.u8(header.hops & kHopsMask);
}

}  // namespace orrery::wire
