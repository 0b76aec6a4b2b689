// Arbitrary payloads as neighbour solicitations, advertisements and ARP.
//
// Invariants: an answer names the address that was asked for, comes from the member that owns it
// and never from ourselves, and has a sound checksum; without an address of the same form there is
// none. What a bridge reads claims an address only of a station and asks only for another's; its
// answer reads as the owner's sound claim and as no question.
// Input: [1] switches, [6] source, payload behind the Ethernet header. Switch 16: the checksum of
// ICMPv6 is put right first.
#include "base/cursor.h"
#include "fib/neighbour.h"
#include "fuzz/wire/verb_fuzz.h"
#include "support/neighbour_frames.h"

using namespace orrery;
using fuzz::check;

namespace {

// As in the vectors of addresses.json, so that a corpus file can hold addresses of the network.
const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
const wire::Address kSelf{0x1122334455ULL};

/// RFC 4443 section 2.3: the sum over pseudo-header and message is all ones.
bool checksum_holds(Bytes p) {
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 8; i < p.size(); i += 2) sum += load_be16(p.data() + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

const wire::Mac kOwner{0x525400000009ULL};

void as_bridge(wire::Mac destination, wire::Mac source, std::uint16_t ethertype, Bytes payload) {
  const auto m = fib::read_neighbour(destination, source, ethertype, payload);
  if (!m) return;
  check((m->claim != fib::Claim::kNone) == static_cast<bool>(m->sender));
  if (m->sender) check(m->mac && !m->mac.is_multicast());
  if (m->claim == fib::Claim::kSound) check(m->mac == source);
  if (!m->target) return;
  check(m->sender && m->target != m->sender && m->mac == source && destination.is_multicast());
  for (const bool router : {false, true}) {
    std::array<std::uint8_t, fib::kNeighbourAnswer> out;
    const std::size_t size = fib::write_neighbour_answer(out, *m, {kOwner, router});
    const Bytes frame = Bytes(out).first(size);
    check(wire::Mac::load(frame.data()) == source);
    const auto answer = fib::read_neighbour(source, wire::Mac::load(frame.data() + 6),
                                            load_be16(frame.data() + 12), frame.subspan(14));
    check(answer && answer->claim == fib::Claim::kSound && answer->mac == kOwner);
    check(answer->sender == m->target && !answer->target);
    check(answer->router == (router && !m->target.is_v4()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const std::uint8_t switches = r.u8();
  const Bytes source_bytes = r.bytes(6);
  if (!r.ok()) return 0;
  const wire::Mac source = wire::Mac::load(source_bytes.data());
  const Bytes payload = Bytes(data, size).subspan(7);

  fib::Network network;
  network.id = kNetwork;
  network.self = kSelf;
  network.mac = wire::mac_of(kSelf, kNetwork);
  network.ndp_emulation = (switches & 1) != 0;
  if ((switches & 2) != 0) network.static_ips.push_back(wire::rfc4193_address(kSelf, kNetwork));
  if ((switches & 4) != 0) network.static_ips.push_back(wire::sixplane_address(kSelf, kNetwork));
  if ((switches & 8) != 0) network.static_ips.push_back(wire::Endpoint::v4(0x0a000001, 24));

  const auto answer = fib::answer_solicitation(network, source, payload);
  if (answer) {
    check(network.ndp_emulation && (switches & 6) != 0 && payload.size() >= 64);
    const Bytes p(answer->payload);
    check(answer->destination == source);
    check(answer->source != network.mac && !answer->source.is_multicast());
    const wire::Address owner = wire::address_of(answer->source, kNetwork);
    check(owner && owner != kSelf);
    check(fuzz::same(p.subspan(8, 16), payload.subspan(48, 16)));
    check(fuzz::same(p.subspan(48, 16), payload.subspan(48, 16)));
    check(wire::Mac::load(p.data() + 66) == answer->source);
    check(checksum_holds(p));
  }

  const auto target = fib::arp_request_target(0x0806, payload);
  if (target) check(payload.size() >= 28 && *target == load_be32(payload.data() + 24));
  check(!fib::arp_request_target(0x0800, payload));

  ByteVector frame(data, data + size);
  frame.insert(frame.begin(), 7, 0);  // the switches and the source stand where a header would
  if ((switches & 16) != 0 && payload.size() >= 44 && payload.size() % 2 == 0)
    test::seal_icmpv6(frame);
  for (const wire::Mac destination : {wire::kBroadcastMac, wire::Mac{0x3333ff000001ULL}, kOwner}) {
    for (const int ethertype : {0x0806, 0x86dd, 0x0800})
      as_bridge(destination, source, static_cast<std::uint16_t>(ethertype),
                Bytes(frame).subspan(14));
  }
  return 0;
}
