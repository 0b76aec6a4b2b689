// Arbitrary Ethernet payloads through the flow parser. Input: [2] ethertype, payload.
//
// Invariants: offsets lie in the payload, ports are whole, and bytes behind the ports of an
// unfragmented packet do not change the hash.
#include <cstdlib>

#include "fib/flow.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  if (size < 2) return 0;
  const std::uint16_t ethertype = load_be16(data);
  const Bytes payload(data + 2, size - 2);
  const wire::Mac a{1};
  const wire::Mac b{2};
  const fib::Flow flow = fib::parse_flow(a, b, ethertype, payload, 42);
  const std::size_t used = std::min<std::size_t>(payload.size(), 0xffff);
  if (flow.l3 > used || flow.l4 > used || (flow.has_ports && flow.l4 + 4u > used)) std::abort();
  if (flow.has_ports && (flow.ip_version == 0 || flow.fragment)) std::abort();
  if (flow.ip_version == 0 && flow.l4 != 0) std::abort();
  if (flow.has_ports) {
    const fib::Flow cut = fib::parse_flow(a, b, ethertype, payload.first(flow.l4 + 4u), 42);
    if (cut.hash != flow.hash) std::abort();
  }
  return 0;
}
