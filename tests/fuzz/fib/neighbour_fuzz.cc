// Arbitrary payloads as neighbour solicitations and ARP requests.
//
// Invariants: an answer names the address that was asked for, comes from the member that owns it
// and never from ourselves, and has a sound checksum; without an address of the same form there is
// none.
// Input: [1] switches, [6] source, payload behind the Ethernet header.
#include "base/cursor.h"
#include "fib/neighbour.h"
#include "fuzz/wire/verb_fuzz.h"

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
  return 0;
}
