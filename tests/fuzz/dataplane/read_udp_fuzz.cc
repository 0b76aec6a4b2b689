// Frames of a device as the underlay reads them: any bytes give one whole UDP datagram, or nothing.
// Where the payload is said to lie is inside of the frame, behind headers that say the same.
#include "dataplane/ethdev_port.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes frame(data, size);
  const auto udp = dataplane::read_udp(frame);
  if (!udp) return 0;
  check(std::size_t{udp->offset} + udp->size <= size);
  check(udp->source.family == udp->destination.family);
  check(udp->source.family == 4 || udp->source.family == 6);
  const std::size_t ip_header = udp->source.family == 4 ? (data[14] & 15u) * 4u : 40;
  check(udp->offset == 14 + ip_header + 8);
  const std::uint8_t* header = data + udp->offset - 8;
  check(udp->source.port == load_be16(header) && udp->destination.port == load_be16(header + 2));
  check(udp->size + 8u == load_be16(header + 4));
  return 0;
}
