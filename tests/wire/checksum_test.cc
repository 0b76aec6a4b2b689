#include "wire/checksum.h"

#include <gtest/gtest.h>

#include "support/checksum.h"

namespace orrery::wire {
namespace {

TEST(Checksum, EqualsTheReferenceAtEveryLength) {
  ByteVector bytes(200);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(13 + 31 * i);
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const Bytes part = Bytes(bytes).first(n);
    EXPECT_EQ(static_cast<std::uint16_t>(~checksum_fold(checksum_add(part, 0x1234))),
              reference_checksum(part, 0x1234))
        << n;
    ByteVector copy(n + 1, 0xee);
    EXPECT_EQ(checksum_fold(checksum_copy(copy, part, 0x1234)),
              checksum_fold(checksum_add(part, 0x1234)))
        << n;
    EXPECT_EQ(copy.back(), 0xee);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), copy.begin())) << n;
  }
  const ByteVector ones(70000, 0xff);
  EXPECT_EQ(static_cast<std::uint16_t>(~checksum_fold(checksum_add(ones, 0))),
            reference_checksum(ones, 0));
}

}  // namespace
}  // namespace orrery::wire
