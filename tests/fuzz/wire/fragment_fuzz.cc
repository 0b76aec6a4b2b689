// Pieces of packets. Any datagram as a head and as a fragment: what is taken lies inside of it and
// is written back as it came. Any packet cut for any MTU: every piece is read as what it is, and
// together they are the packet.
//
// Input: [1] MTU, datagram.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/fragment.h"

using namespace orrery;
using fuzz::check;

namespace {

void as_it_came(Bytes datagram) {
  if (const auto head = wire::read_head(datagram)) {
    check(wire::decode_packet_header(datagram).has_value() && datagram.size() <= wire::kMaxPacket);
    check(head->number == 0 && head->total == 0 && head->data.data() == datagram.data() &&
          head->data.size() == datagram.size());
    check(head->id == load_be64(datagram.data()));
  } else {
    check(datagram.size() < wire::kHeaderSize || datagram.size() > wire::kMaxPacket);
  }
  const auto piece = wire::read_fragment(datagram);
  if (!piece) return;
  check(wire::kind_of(datagram) == wire::DatagramKind::kFragment);
  check(piece->total >= 2 && piece->total <= wire::kMaxFragments);
  check(piece->number >= 1 && piece->number < piece->total);
  check(!piece->data.empty() && piece->data.size() <= wire::kMaxPacket);
  ByteVector back(datagram.size());
  const auto header = wire::decode_fragment_header(datagram);
  wire::encode_fragment_header(
      back, {piece->id, header->destination, piece->total, piece->number, header->hops});
  back[15] = datagram[15];  // only three bits of it are hops
  std::memcpy(back.data() + wire::kFragmentHeaderSize, piece->data.data(), piece->data.size());
  check(fuzz::same(back, datagram));
}

void cut_and_rejoin(Bytes packet, const wire::FragmentPlan& plan, std::size_t mtu) {
  check(plan.head_size <= mtu && plan.head_size <= packet.size());
  if (plan.pieces > 15) return;  // more than the header can say; never sent
  ByteVector joined(packet.begin(), packet.begin() + plan.head_size);
  for (std::uint8_t n = 1; n < plan.pieces; ++n) {
    ByteVector out(wire::kFragmentHeaderSize + plan.data_size);
    out.resize(wire::write_fragment(out, packet, plan, n));
    check(out.size() <= mtu && out.size() > wire::kFragmentHeaderSize);
    const auto piece = wire::read_fragment(out);
    check(piece.has_value() == (plan.pieces <= wire::kMaxFragments));
    if (piece) {
      check(piece->id == load_be64(packet.data()) && piece->number == n);
      check(piece->total == plan.pieces);
    }
    joined.insert(joined.end(), out.begin() + wire::kFragmentHeaderSize, out.end());
  }
  check(fuzz::same(joined, packet));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes datagram = Bytes(data, size).subspan(1);
  as_it_came(datagram);
  if (datagram.size() < wire::kHeaderSize) return 0;
  const std::size_t mtu = 32 + std::size_t{data[0]} * 8;
  const wire::FragmentPlan plain = wire::plan_fragments(datagram.size(), mtu);
  const wire::FragmentPlan equal = wire::plan_equal_fragments(datagram.size(), mtu);
  check(plain.pieces == equal.pieces);
  cut_and_rejoin(datagram, plain, mtu);
  cut_and_rejoin(datagram, equal, mtu);
  return 0;
}
