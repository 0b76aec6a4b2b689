// Any datagram: its kind, and its header read and written back.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/header.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes datagram(data, size);
  const wire::DatagramKind kind = wire::kind_of(datagram);
  const auto packet = wire::decode_packet_header(datagram);
  const auto fragment = wire::decode_fragment_header(datagram);
  check(packet.has_value() == (size >= wire::kHeaderSize));
  check(fragment.has_value() == (kind == wire::DatagramKind::kFragment));
  check(kind != wire::DatagramKind::kPacket || packet);
  if (packet) {
    ByteVector back(wire::kHeaderSize);
    wire::encode_packet_header(back, *packet);
    check(fuzz::starts_with(datagram, back));
  }
  if (fragment) {
    ByteVector back(wire::kFragmentHeaderSize);
    wire::encode_fragment_header(back, *fragment);
    back[15] = data[15];  // only three bits of it are hops
    check(fuzz::starts_with(datagram, back));
  }
  return 0;
}
