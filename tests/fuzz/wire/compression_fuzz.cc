// Foreign blocks never write beyond their room; what we compress comes back.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/compression.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  for (const std::size_t room : {std::size_t{64}, wire::kMaxPacket - wire::kHeaderSize}) {
    ByteVector out(room);
    check(wire::inflate(bytes, out) <= room);
  }
  ByteVector smaller(size);
  if (const std::size_t n = wire::deflate(bytes, smaller)) {
    check(n < size && size >= wire::kCompressMin);
    ByteVector back(size);
    const std::size_t inflated = wire::inflate(Bytes(smaller).first(n), back);
    check(n > wire::kMaxPacket ? inflated == 0 : inflated == size && fuzz::same(back, bytes));
  }
  return 0;
}
