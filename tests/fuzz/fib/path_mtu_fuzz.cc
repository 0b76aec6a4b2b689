// Arbitrary Ethernet payloads as SYNs to clamp and as packets to complain of.
//
// Invariants: a clamp changes the MSS and the checksum only, the difference of the checksum is that
// of the MSS, and a second clamp changes nothing; an answer has sound checksums and quotes the
// packet. Input: [2] ethertype, [2] size, payload.
#include <cstdlib>

#include "fib/path_mtu.h"

namespace {

using namespace orrery;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Sum of words without the checksum itself would need to know where it is: of all bytes, folded.
std::uint16_t sum(Bytes bytes) {
  std::uint64_t s = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    s += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
  while (s >> 16 != 0) s = (s & 0xffff) + (s >> 16);
  return static_cast<std::uint16_t>(s);
}

/// Zero has two forms in one's complement.
bool same(std::uint16_t a, std::uint16_t b) {
  return a % 0xffff == b % 0xffff;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::uint16_t ethertype = load_be16(data);
  const std::uint16_t largest = load_be16(data + 2);
  const ByteVector before(data + 4, data + size);
  ByteVector after = before;
  const fib::Way way{largest, 23, 1'432};
  if (fib::clamp_mss(ethertype, after, way)) {
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) changed += before[i] != after[i] ? 1 : 0;
    require(changed >= 1 && changed <= 4 && same(sum(before), sum(after)));
    require(!fib::clamp_mss(ethertype, after, way));
  } else {
    require(before == after);
  }
  const fib::EthernetFrame frame{wire::Mac{0x020000000002}, wire::Mac{0x020000000001}, ethertype,
                                 before};
  (void)fib::exceeds(frame, largest);
  ByteVector out(fib::kTooBigAnswer);
  const std::size_t n = fib::write_too_big(out, frame, largest);
  if (n == 0) return 0;
  require(n > fib::EthernetFrame::kHead && n <= out.size());
  const wire::BehindTag asked = wire::behind_tag(ethertype, before);
  const wire::BehindTag told = wire::behind_tag(
      load_be16(out.data() + 12), Bytes(out).first(n).subspan(fib::EthernetFrame::kHead));
  require(told.ethertype == asked.ethertype && told.tag == asked.tag &&
          told.tag_control == asked.tag_control);
  const Bytes ip = told.payload;
  if (told.ethertype == 0x0800) {
    require(sum(ip.first(20)) == 0xffff && sum(ip.subspan(20)) == 0xffff);
    require(std::equal(ip.begin() + 28, ip.end(), asked.payload.begin()));
  } else {
    require(ip[0] == 0x60 && load_be16(ip.data() + 4) == ip.size() - 40);
    require(std::equal(ip.begin() + 48, ip.end(), asked.payload.begin()));
  }
  return 0;
}
