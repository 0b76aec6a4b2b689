// guard: what only servers and routers say, in all the forms in which it is hidden.
#include "fib/guard.h"

#include <gtest/gtest.h>

namespace orrery::fib {
namespace {

ByteVector ipv4_udp(std::uint16_t source, std::uint8_t words = 5, std::uint16_t fragment = 0) {
  ByteVector p(4u * words + 8);
  p[0] = static_cast<std::uint8_t>(0x40 | words);
  store_be16(p.data() + 6, fragment);
  p[9] = 17;
  store_be16(p.data() + 4u * words, source);
  return p;
}

/// Headers in a row: {next header, bytes}; the first 40 bytes are IPv6.
ByteVector ipv6(std::uint8_t next, const std::vector<ByteVector>& parts) {
  ByteVector p(40);
  p[0] = 0x60;
  p[6] = next;
  for (const ByteVector& part : parts) p.insert(p.end(), part.begin(), part.end());
  return p;
}

ByteVector extension(std::uint8_t next, std::size_t bytes = 8) {
  ByteVector e(bytes);
  e[0] = next;
  e[1] = static_cast<std::uint8_t>(bytes / 8 - 1);
  return e;
}

ByteVector fragment(std::uint8_t next, std::uint16_t offset_and_more) {
  ByteVector e(8);
  e[0] = next;
  store_be16(e.data() + 2, offset_and_more);
  return e;
}

/// What ethertype 0x8100 carries.
ByteVector tagged(std::uint16_t ethertype, ByteVector payload) {
  const std::uint8_t tag[] = {0xa0, 5, static_cast<std::uint8_t>(ethertype >> 8),
                              static_cast<std::uint8_t>(ethertype)};
  payload.insert(payload.begin(), tag, tag + 4);
  return payload;
}

TEST(Guard, Rows) {
  const ByteVector advertisement = {134, 0, 0, 0}, solicitation = {133, 0, 0, 0},
                   redirect = {137, 0, 0, 0}, server = {0x02, 0x23, 0, 0},
                   client = {0x02, 0x22, 0, 0};

  struct Row {
    const char* what;
    std::uint16_t ethertype;
    ByteVector payload;
    ServerWord expected;
  };

  const Row rows[] = {
      {"DHCP offer", 0x0800, ipv4_udp(67), ServerWord::kDhcp},
      {"behind IP options", 0x0800, ipv4_udp(67, 8), ServerWord::kDhcp},
      {"its first fragment", 0x0800, ipv4_udp(67, 5, 0x2000), ServerWord::kDhcp},
      {"a later fragment", 0x0800, ipv4_udp(67, 5, 7), ServerWord::kNone},
      {"DHCP request", 0x0800, ipv4_udp(68), ServerWord::kNone},
      {"no IP", 0x0806, ipv4_udp(67), ServerWord::kNone},
      {"DHCPv6 from a server", 0x86dd, ipv6(17, {server}), ServerWord::kDhcp},
      {"DHCPv6 from a client", 0x86dd, ipv6(17, {client}), ServerWord::kNone},
      {"router advertisement", 0x86dd, ipv6(58, {advertisement}), ServerWord::kRouter},
      {"redirect", 0x86dd, ipv6(58, {redirect}), ServerWord::kRouter},
      {"router solicitation", 0x86dd, ipv6(58, {solicitation}), ServerWord::kNone},
      {"behind hop-by-hop and destination options", 0x86dd,
       ipv6(0, {extension(60), extension(58, 24), advertisement}), ServerWord::kRouter},
      {"in a first fragment", 0x86dd, ipv6(44, {fragment(58, 1), advertisement}),
       ServerWord::kRouter},
      {"hidden behind the end of a first fragment", 0x86dd, ipv6(44, {fragment(60, 1)}),
       ServerWord::kRouter},
      {"likewise", 0x86dd, ipv6(44, {fragment(58, 1)}), ServerWord::kRouter},
      {"a later fragment of IPv6", 0x86dd, ipv6(44, {fragment(58, 8), advertisement}),
       ServerWord::kNone},
      {"TCP", 0x86dd, ipv6(6, {server}), ServerWord::kNone},
      {"endless options", 0x86dd, ipv6(60, std::vector<ByteVector>(40, extension(60))),
       ServerWord::kRouter},
      {"nothing", 0x86dd, {}, ServerWord::kNone},
      {"DHCP offer behind a tag", 0x8100, tagged(0x0800, ipv4_udp(67)), ServerWord::kDhcp},
      {"router advertisement behind a tag", 0x8100, tagged(0x86dd, ipv6(58, {advertisement})),
       ServerWord::kRouter},
      {"behind two tags", 0x8100, tagged(0x8100, tagged(0x0800, ipv4_udp(67))), ServerWord::kNone},
      {"half a tag", 0x8100, {0, 5}, ServerWord::kNone},
  };
  for (const Row& row : rows)
    EXPECT_EQ(server_word(row.ethertype, row.payload), row.expected) << row.what;
}

TEST(Guard, EveryTruncationIsSafe) {
  const ByteVector p = ipv6(0, {extension(60), extension(58, 24), {134, 0, 0, 0}});
  for (std::size_t n = 0; n <= p.size(); ++n) {
    const ByteVector part(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(n));
    (void)server_word(0x86dd, part);
    (void)server_word(0x0800, part);
  }
}

}  // namespace
}  // namespace orrery::fib
