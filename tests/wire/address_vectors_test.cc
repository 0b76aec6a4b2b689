// addresses.json and inetaddress.json: MACs, derived IPv6 addresses, groups, endpoints as text and
// as bytes, scopes, and which network contains which IP.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "support/vectors.h"
#include "wire/mac.h"

namespace orrery::wire {
namespace {

using nlohmann::json;
using test::hex_bytes;

Address address_of_text(const json& text) {
  return parse_address(text.get<std::string>()).value();
}

NetworkId network_of_text(const json& text) {
  return parse_network_id(text.get<std::string>()).value();
}

Mac mac_of_text(const json& text) {
  return parse_mac(text.get<std::string>()).value();
}

Endpoint endpoint_of_text(const json& text) {
  return parse_endpoint(text.get<std::string>()).value();
}

TEST(AddressVectors, Members) {
  for (const json& c : test::cases("addresses.json", "members")) {
    const Address address = address_of_text(c["address"]);
    const NetworkId network = network_of_text(c["network"]);
    const std::string name = c.dump();
    EXPECT_EQ(to_string(address), c["address"].get<std::string>()) << name;
    EXPECT_EQ(to_string(network), c["network"].get<std::string>()) << name;
    EXPECT_EQ(to_string(mac_of(address, network)), c["mac"].get<std::string>()) << name;
    EXPECT_EQ(address_of(mac_of(address, network), network), address) << name;
    EXPECT_EQ(mac_first_octet(network), c["mac_first_octet"].get<int>()) << name;
    EXPECT_EQ(to_string(network.controller()), c["controller"].get<std::string>()) << name;
    const Endpoint sixplane = sixplane_address(address, network);
    EXPECT_EQ(to_string(sixplane), c["ip6_6plane"].get<std::string>()) << name;
    EXPECT_EQ(to_hex(sixplane.ip_bytes()), c["ip6_6plane_bytes"].get<std::string>()) << name;
    const Endpoint rfc4193 = rfc4193_address(address, network);
    EXPECT_EQ(to_string(rfc4193), c["ip6_rfc4193"].get<std::string>()) << name;
    EXPECT_EQ(to_hex(rfc4193.ip_bytes()), c["ip6_rfc4193_bytes"].get<std::string>()) << name;
    // The link-local address is the kernel's work (EUI-64 of the MAC); here it only has to be text.
    const Endpoint link_local = endpoint_of_text(c["ip6_link_local"]);
    EXPECT_EQ(to_hex(link_local.ip_bytes()), c["ip6_link_local_bytes"].get<std::string>()) << name;
    EXPECT_EQ(scope_of(link_local), IpScope::kLinkLocal) << name;
  }
}

TEST(AddressVectors, MacToAddress) {
  for (const json& c : test::cases("addresses.json", "mac_to_address")) {
    const Mac mac = mac_of_text(c["mac"]);
    const NetworkId network = network_of_text(c["network"]);
    const std::string name = c.dump();
    EXPECT_EQ(to_string(mac), c["mac"].get<std::string>()) << name;
    EXPECT_EQ(to_string(address_of(mac, network)), c["address"].get<std::string>()) << name;
    EXPECT_EQ(mac.first_octet() == mac_first_octet(network), c["first_octet_fits"].get<bool>())
        << name;
    EXPECT_EQ(mac.is_multicast(), c["multicast"].get<bool>()) << name;
    EXPECT_EQ(mac.is_broadcast(), c["broadcast"].get<bool>()) << name;
    EXPECT_EQ((mac.first_octet() & 2) != 0, c["locally_administered"].get<bool>()) << name;
  }
}

TEST(AddressVectors, ResolutionGroups) {
  for (const json& c : test::cases("addresses.json", "resolution_groups")) {
    const MulticastGroup group = resolution_group(endpoint_of_text(c["ip"]));
    EXPECT_EQ(to_string(group.mac), c["group_mac"].get<std::string>()) << c.dump();
    std::array<std::uint8_t, 4> adi;
    store_be32(adi.data(), group.adi);
    EXPECT_EQ(to_hex(adi), c["adi"].get<std::string>()) << c.dump();
  }
}

std::vector<MulticastGroup> groups_of(const json& list) {
  std::vector<MulticastGroup> groups;
  for (const json& item : list) {
    const auto text = item.get<std::string>();
    const std::size_t slash = text.find('/');
    const ByteVector adi = from_hex(text.substr(slash + 1)).value();
    groups.push_back({parse_mac(text.substr(0, slash)).value(), load_be32(adi.data())});
  }
  return groups;
}

TEST(AddressVectors, GroupOrder) {
  const json c = test::cases("addresses.json", "group_order");
  std::vector<MulticastGroup> groups = groups_of(c["unsorted"]);
  ASSERT_FALSE(groups.empty());
  std::sort(groups.begin(), groups.end());
  EXPECT_EQ(groups, groups_of(c["sorted"]));
}

TEST(EndpointVectors, Text) {
  for (const json& c : test::cases("inetaddress.json", "text")) {
    const auto text = c["text"].get<std::string>();
    const auto parsed = parse_endpoint(text);
    if (!parsed && test::strictness(c) == "may_reject") continue;
    ASSERT_EQ(parsed.has_value(), c["ok"].get<bool>()) << text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->family, c["family"].get<int>()) << text;
    EXPECT_EQ(parsed->port, c["port"].get<int>()) << text;
    EXPECT_EQ(to_string(*parsed), c["rendered"].get<std::string>()) << text;
    EXPECT_EQ(ip_to_string(*parsed), c["rendered_ip"].get<std::string>()) << text;
    std::array<std::uint8_t, 19> room;
    Writer w(room);
    write_endpoint(w, *parsed);
    EXPECT_EQ(to_hex(w.written()), c["bytes"].get<std::string>()) << text;
  }
}

TEST(EndpointVectors, Binary) {
  for (const json& c : test::cases("inetaddress.json", "binary")) {
    const auto name = c["name"].get<std::string>();
    ASSERT_EQ(test::strictness(c), "must");
    const ByteVector bytes = hex_bytes(c["bytes"]);
    Reader r(bytes);
    const Endpoint endpoint = read_endpoint(r);
    ASSERT_EQ(r.ok(), c["ok"].get<bool>()) << name;
    if (!r.ok()) continue;
    EXPECT_EQ(r.position(), c["consumed"].get<std::size_t>()) << name;
    EXPECT_EQ(endpoint.family, c["family"].get<int>()) << name;
    EXPECT_EQ(to_string(endpoint), c["text"].get<std::string>()) << name;
  }
}

IpScope scope_named(const std::string& name) {
  static const std::map<std::string, IpScope> kNames = {
      {"none", IpScope::kNone},         {"multicast", IpScope::kMulticast},
      {"loopback", IpScope::kLoopback}, {"pseudoprivate", IpScope::kPseudoPrivate},
      {"global", IpScope::kGlobal},     {"link_local", IpScope::kLinkLocal},
      {"shared", IpScope::kShared},     {"private", IpScope::kPrivate},
  };
  return kNames.at(name);
}

TEST(EndpointVectors, Scope) {
  for (const json& c : test::cases("inetaddress.json", "scope")) {
    const IpScope scope = scope_of(endpoint_of_text(c["ip"]));
    EXPECT_EQ(scope, scope_named(c["scope"].get<std::string>())) << c["ip"];
    EXPECT_EQ(static_cast<int>(scope), c["rank"].get<int>()) << c["ip"];
  }
}

TEST(EndpointVectors, Contains) {
  // network_part, netmask, broadcast and the like of a case describe functions that nothing here
  // needs.
  for (const json& c : test::cases("inetaddress.json", "contains")) {
    EXPECT_EQ(contains(endpoint_of_text(c["network"]), endpoint_of_text(c["ip"])),
              c["contains"].get<bool>())
        << c["network"] << " and " << c["ip"];
  }
}

TEST(Endpoint, TextThatIsNoEndpoint) {
  using namespace std::string_literals;
  for (const std::string& text : {"1.2.3.4\0"s, "1.2.3.4\0/9993"s, "/9993"s, "1.2.3.4/"s, ":/1"s,
                                  "1.2.3.4/1/2"s, " 1.2.3.4"s, "[::1]/1"s, "::1%lo/1"s}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

TEST(Endpoint, ContainsAtPrefixEdges) {
  const auto at = [](const char* text) { return parse_endpoint(text).value(); };
  EXPECT_TRUE(contains(at("10.0.0.128/25"), at("10.0.0.129")));
  EXPECT_FALSE(contains(at("10.0.0.128/25"), at("10.0.0.127")));
  EXPECT_FALSE(contains(at("10.0.0.0/33"), at("10.0.0.0")));
  EXPECT_FALSE(contains(at("::/129"), at("::")));
  EXPECT_TRUE(contains(at("fd00:8000::/17"), at("fd00:ffff::1")));
  EXPECT_FALSE(contains(at("fd00:8000::/17"), at("fd00:7fff::1")));
  EXPECT_FALSE(contains(Endpoint{}, at("10.0.0.0")));
  EXPECT_FALSE(contains(Endpoint{}, Endpoint{}));
}

TEST(Address, TextOfWrongLengthOrDigits) {
  EXPECT_TRUE(parse_address("FF0000000a"));
  for (const char* text : {"", "123456789", "123456789ab", "123456789g", " 123456789"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  for (const char* text : {"", "123456789abcdef", "0123456789abcdef0", "0x23456789abcdef"}) {
    EXPECT_FALSE(parse_network_id(text)) << text;
  }
  EXPECT_TRUE(parse_address("0000000000")->is_reserved());
  EXPECT_TRUE(parse_address("ff12345678")->is_reserved());
  EXPECT_FALSE(parse_address("fe12345678")->is_reserved());
}

TEST(Mac, TextWithAndWithoutSeparators) {
  const Mac mac{0x327292383a8dULL};
  for (const char* text : {"32:72:92:38:3a:8d", "32-72-92-38-3A-8D", "327292383a8d"}) {
    EXPECT_EQ(parse_mac(text), mac) << text;
  }
  for (const char* text : {"", "32:72:92:38:3a", "32:72:92:38:3a:8d:00", "32:72:92:38:3a:8g"}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
}

}  // namespace
}  // namespace orrery::wire
