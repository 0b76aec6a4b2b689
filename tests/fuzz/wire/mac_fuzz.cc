// MACs as text, and the way from a member to its MAC and back.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/mac.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(Bytes(data, size));
  if (const auto mac = wire::parse_mac(text)) check(wire::parse_mac(wire::to_string(*mac)) == mac);
  Reader r(Bytes(data, size));
  const wire::Address address{r.u40()};
  const wire::NetworkId network{r.u64()};
  if (!r.ok()) return 0;
  const wire::Mac mac = wire::mac_of(address, network);
  check(wire::address_of(mac, network) == address && !mac.is_multicast());
  check(wire::rfc4193_address(address, network).family == 6);
  check(wire::sixplane_address(address, network).family == 6);
  return 0;
}
