// Any datagram: its kind, its header read and written back, and a packet of it cut and rejoined.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/fragment.h"

using namespace orrery;
using fuzz::check;

namespace {

void cut_and_rejoin(Bytes packet, const wire::FragmentPlan& plan, std::size_t mtu) {
  if (plan.pieces > 15) return;
  ByteVector joined(packet.begin(), packet.begin() + plan.head_size);
  for (std::uint8_t n = 1; n < plan.pieces; ++n) {
    ByteVector out(wire::kFragmentHeaderSize + plan.data_size);
    const std::size_t size = wire::write_fragment(out, packet, plan, n);
    check(size <= mtu && size > wire::kFragmentHeaderSize);
    joined.insert(joined.end(), out.begin() + wire::kFragmentHeaderSize,
                  out.begin() + static_cast<long>(size));
  }
  check(fuzz::same(joined, packet));
}

}  // namespace

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
    for (const std::size_t mtu : {64u, 1400u}) {
      cut_and_rejoin(datagram, wire::plan_fragments(size, mtu), mtu);
      cut_and_rejoin(datagram, wire::plan_equal_fragments(size, mtu), mtu);
    }
  }
  if (fragment) {
    ByteVector back(wire::kFragmentHeaderSize);
    wire::encode_fragment_header(back, *fragment);
    back[15] = data[15];  // only three bits of it are hops
    check(fuzz::starts_with(datagram, back));
  }
  return 0;
}
