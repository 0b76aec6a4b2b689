// Arbitrary Ethernet payloads through the guards. Input: [2] ethertype, payload.
//
// Invariants: only IP has servers, behind one VLAN tag or none, and no router speaks IPv4; what is
// shorter than any header is no word of a server.
#include <cstdlib>

#include "fib/guard.h"
#include "wire/vlan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  if (size < 2) return 0;
  const std::uint16_t ethertype = load_be16(data);
  const ByteVector payload(data + 2, data + size);
  const fib::ServerWord word = fib::server_word(ethertype, payload);
  if (word == fib::ServerWord::kNone) return 0;
  const wire::BehindTag in = wire::behind_tag(ethertype, payload);
  if (in.ethertype != 0x0800 && in.ethertype != 0x86dd) std::abort();
  if (in.ethertype == 0x0800 && word != fib::ServerWord::kDhcp) std::abort();
  if (in.payload.size() < 24) std::abort();
  return 0;
}
