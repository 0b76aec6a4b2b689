// dictionary.json and netconf.json, both ways.
#include <gtest/gtest.h>

#include <set>

#include "support/vectors.h"
#include "wire/dictionary.h"
#include "wire/network_config.h"

namespace orrery::wire {
namespace {

using nlohmann::json;
using test::hex_bytes;

std::uint64_t number16(const json& hex) {
  return parse_network_id(hex.get<std::string>()).value().value;
}

void only_keys(const json& c, const std::set<std::string>& known, const std::string& name) {
  for (const auto& [key, value] : c.items())
    EXPECT_TRUE(known.contains(key)) << name << ": " << key;
}

TEST(DictionaryVectors, Encode) {
  std::size_t index = 0;
  for (const json& c : test::cases("dictionary.json", "encode")) {
    const std::string name = test::label(c, index++);
    only_keys(c, {"name", "entries", "encoded"}, name);
    DictionaryWriter writer;
    for (const json& e : c["entries"]) {
      only_keys(e, {"key", "value"}, name);
      EXPECT_TRUE(writer.bytes(e["key"].get<std::string>(), hex_bytes(e["value"]))) << name;
    }
    EXPECT_EQ(to_hex(writer.encoded()), c["encoded"].get<std::string>()) << name;
    for (const json& e : c["entries"]) {
      const auto key = e["key"].get<std::string>();
      const auto& first = *std::find_if(c["entries"].begin(), c["entries"].end(),
                                        [&](const json& o) { return o["key"] == e["key"]; });
      const auto value = dictionary_bytes(writer.encoded(), key);
      ASSERT_TRUE(value) << name;
      EXPECT_EQ(*value, hex_bytes(first["value"])) << name;
    }
  }
}

TEST(DictionaryVectors, Typed) {
  for (const json& c : test::cases("dictionary.json", "typed")) {
    only_keys(c, {"kind", "value", "encoded"}, c.dump());
    const std::string kind = c["kind"];
    DictionaryWriter writer;
    if (kind == "unsigned") {
      EXPECT_TRUE(writer.u64("v", number16(c["value"])));
    } else if (kind == "signed") {
      EXPECT_TRUE(writer.i64("v", c["value"].get<std::int64_t>()));
    } else if (kind == "bool") {
      EXPECT_TRUE(writer.boolean("v", c["value"].get<bool>()));
    } else if (kind == "address") {
      // As a number it has 16 digits; configurations write it as text of 10.
      const Address address = parse_address(c["value"].get<std::string>()).value();
      EXPECT_TRUE(writer.u64("v", address.value));
      DictionaryWriter text;
      EXPECT_TRUE(text.address("v", address));
      EXPECT_EQ(dictionary_u64(text.encoded(), "v", 0), address.value);
    } else {
      FAIL() << "unknown kind " << kind;
    }
    EXPECT_EQ(to_hex(writer.encoded()), c["encoded"].get<std::string>()) << c.dump();
  }
}

TEST(DictionaryVectors, Decode) {
  std::size_t index = 0;
  for (const json& c : test::cases("dictionary.json", "decode")) {
    const std::string name = test::label(c, index++);
    only_keys(c, {"name", "encoded", "lookups"}, name);
    const ByteVector encoded = hex_bytes(c["encoded"]);
    for (const json& l : c["lookups"]) {
      only_keys(l, {"key", "found", "value", "as_unsigned", "as_signed", "as_bool"}, name);
      const std::string key = l["key"];
      const std::string at = name + ", key \"" + key + '"';
      const auto value = dictionary_bytes(encoded, key);
      ASSERT_EQ(value.has_value(), l["found"].get<bool>()) << at;
      if (!value) {
        EXPECT_EQ(dictionary_u64(encoded, key, 0x5a5a), 0x5a5au) << at;
        EXPECT_EQ(dictionary_i64(encoded, key, -77), -77) << at;
        EXPECT_TRUE(dictionary_bool(encoded, key, true)) << at;
        continue;
      }
      EXPECT_EQ(to_hex(*value), l["value"].get<std::string>()) << at;
      EXPECT_EQ(dictionary_u64(encoded, key, 0x5a5a), number16(l["as_unsigned"])) << at;
      EXPECT_EQ(dictionary_i64(encoded, key, -77), l["as_signed"].get<std::int64_t>()) << at;
      EXPECT_EQ(dictionary_bool(encoded, key, false), l["as_bool"].get<bool>()) << at;
    }
  }
}

TEST(DictionaryVectors, Capacity) {
  for (const json& c : test::cases("dictionary.json", "capacity")) {
    only_keys(c, {"capacity", "already", "key", "value_length", "fits", "size_after"}, c.dump());
    DictionaryWriter writer(c["capacity"].get<std::size_t>());
    const std::string already = c["already"];
    if (!already.empty()) {
      const std::size_t equals = already.find('=');
      ASSERT_TRUE(writer.text(already.substr(0, equals), already.substr(equals + 1)));
    }
    const bool fits = writer.text(c["key"].get<std::string>(),
                                  std::string(c["value_length"].get<std::size_t>(), 'x'));
    EXPECT_EQ(fits, c["fits"].get<bool>()) << c.dump();
    EXPECT_EQ(writer.encoded().size(), c["size_after"].get<std::size_t>()) << c.dump();
  }
}

template <typename T>
T read_whole(const json& hex, std::optional<T> (*read)(Reader&)) {
  const ByteVector bytes = hex_bytes(hex);
  Reader r(bytes);
  const auto item = read(r);
  EXPECT_TRUE(item && r.remaining() == 0) << hex;
  return item.value();
}

Endpoint endpoint(const json& text) {
  const auto s = text.get<std::string>();
  return s.empty() ? Endpoint{} : parse_endpoint(s).value();
}

/// The configuration that `fields` describe, in the form that decoding gives.
NetworkConfig config_of(const json& f, const std::string& name) {
  only_keys(f,
            {"network",
             "timestamp",
             "credential_time_max_delta",
             "revision",
             "issued_to",
             "remote_trace_target",
             "remote_trace_level",
             "flags",
             "enable_broadcast",
             "ndp_emulation",
             "mtu",
             "multicast_limit",
             "type",
             "name",
             "name_hex",
             "com",
             "capabilities",
             "tags",
             "certificates_of_ownership",
             "specialists",
             "active_bridges",
             "anchors",
             "multicast_replicators",
             "routes",
             "static_ips",
             "rule_count",
             "rules",
             "dns",
             "sso_version",
             "sso_enabled",
             "authentication_url",
             "authentication_expiry_time",
             "issuer_url",
             "central_auth_url",
             "sso_nonce",
             "sso_state",
             "sso_client_id",
             "sso_provider"},
            name);
  NetworkConfig c;
  c.network = parse_network_id(f["network"].get<std::string>()).value();
  c.timestamp = f["timestamp"];
  c.credential_max_delta = f["credential_time_max_delta"];
  c.revision = f["revision"];
  c.issued_to = parse_address(f["issued_to"].get<std::string>()).value();
  c.trace_target = parse_address(f["remote_trace_target"].get<std::string>()).value();
  c.trace_level = f["remote_trace_level"];
  c.flags = number16(f["flags"]);
  c.mtu = f["mtu"];
  c.multicast_limit = f["multicast_limit"];
  EXPECT_TRUE(f["type"] == "public" || f["type"] == "private") << name;
  c.is_public = f["type"] == "public";
  const ByteVector network_name = hex_bytes(f["name_hex"]);
  c.name = std::string(text_of(network_name));
  if (f["com"] != "") c.com = read_whole(f["com"], read_com);
  for (const json& x : f["capabilities"]) c.capabilities.push_back(read_whole(x, read_capability));
  for (const json& x : f["tags"]) c.tags.push_back(read_whole(x, read_tag));
  for (const json& x : f["certificates_of_ownership"]) {
    c.ownerships.push_back(read_whole(x, read_ownership));
  }
  for (const json& x : f["specialists"]) c.specialists.push_back({number16(x)});
  for (const json& x : f["routes"]) {
    only_keys(x, {"target", "via", "flags", "metric"}, name);
    c.routes.push_back({endpoint(x["target"]), endpoint(x["via"]), x["flags"].get<std::uint16_t>(),
                        x["metric"].get<std::uint16_t>()});
  }
  for (const json& x : f["static_ips"]) c.static_ips.push_back(endpoint(x));
  const ByteVector rules = hex_bytes(f["rules"]);
  Reader r(rules);
  EXPECT_TRUE(read_rules(r, kMaxRules, c.rules)) << name;
  c.dns_domain = f["dns"]["domain"];
  for (const json& x : f["dns"]["servers"]) {
    if (x != "") c.dns_servers.push_back(endpoint(x));
  }
  c.sso_version = f["sso_version"].get<std::uint64_t>();
  c.sso_enabled = f["sso_enabled"];
  c.authentication_url = f["authentication_url"];
  c.authentication_expiry = f["authentication_expiry_time"];
  c.issuer_url = f["issuer_url"];
  c.central_url = f["central_auth_url"];
  c.nonce = f["sso_nonce"];
  c.state = f["sso_state"];
  c.client_id = f["sso_client_id"];
  c.provider = f["sso_provider"];
  return c;
}

/// Brings what decoding gives into the form of config_of(): the producer fills in defaults.
NetworkConfig with_defaults(NetworkConfig c) {
  if (!c.sso_version) c.sso_version = 0;
  if (c.provider.empty()) c.provider = "default";
  c.version = NetworkConfig{}.version;
  return c;
}

std::set<std::string> addresses_with(const NetworkConfig& c, std::uint64_t role) {
  std::set<std::string> found;
  for (const Specialist& s : c.specialists) {
    if (s.has(role)) found.insert(to_string(s.address()));
  }
  return found;
}

void expect_derived(const NetworkConfig& c, const json& f, const std::string& name) {
  EXPECT_EQ(c.has_flag(NetworkConfig::kBroadcast), f["enable_broadcast"].get<bool>()) << name;
  EXPECT_EQ(c.has_flag(NetworkConfig::kNdpEmulation), f["ndp_emulation"].get<bool>()) << name;
  EXPECT_EQ(c.rules.size(), f["rule_count"].get<std::size_t>()) << name;
  EXPECT_EQ(addresses_with(c, Specialist::kActiveBridge),
            f["active_bridges"].get<std::set<std::string>>())
      << name;
  EXPECT_EQ(addresses_with(c, Specialist::kAnchor), f["anchors"].get<std::set<std::string>>())
      << name;
  EXPECT_EQ(addresses_with(c, Specialist::kReplicator),
            f["multicast_replicators"].get<std::set<std::string>>())
      << name;
}

TEST(NetworkConfigVectors, Configs) {
  std::size_t index = 0;
  for (const json& c : test::cases("netconf.json", "configs")) {
    const std::string name = test::label(c, index++);
    only_keys(c, {"name", "fields", "dictionary", "round_trip_same", "decoded_fields"}, name);
    const ByteVector dictionary = hex_bytes(c["dictionary"]);
    const NetworkConfig made = config_of(c["fields"], name);
    EXPECT_EQ(to_hex(encode_network_config(made)), to_hex(dictionary)) << name;

    const bool same = c["round_trip_same"];
    ASSERT_EQ(same, !c.contains("decoded_fields")) << name;
    const json& fields = same ? c["fields"] : c["decoded_fields"];
    const auto read = decode_network_config(dictionary);
    ASSERT_TRUE(read) << name;
    EXPECT_TRUE(with_defaults(*read) == config_of(fields, name)) << name;
    expect_derived(*read, fields, name);
    EXPECT_EQ(encode_network_config(*read) == dictionary, same) << name;
  }
}

TEST(NetworkConfigVectors, Decode) {
  std::size_t index = 0;
  for (const json& c : test::cases("netconf.json", "decode")) {
    const std::string name = test::label(c, index++);
    only_keys(c, {"name", "dictionary", "accepted", "fields"}, name);
    const auto read = decode_network_config(hex_bytes(c["dictionary"]));
    ASSERT_EQ(read.has_value(), c["accepted"].get<bool>()) << name;
    if (!read) continue;
    EXPECT_TRUE(with_defaults(*read) == config_of(c["fields"], name)) << name;
    expect_derived(*read, c["fields"], name);
  }
}

// Limits of docs/protocol/07-network-config.md section 4.5, beyond what the vectors hold.

NetworkConfig small_config() {
  NetworkConfig c;
  c.network = NetworkId{0x1122334455000001ULL};
  c.issued_to = Address{0x0102030405ULL};
  return c;
}

/// The small configuration with one more entry in front of everything else.
std::optional<NetworkConfig> decode_with(std::string_view key, Bytes value) {
  DictionaryWriter d;
  d.bytes(key, value);
  ByteVector all = d.encoded();
  all.push_back('\n');
  const ByteVector rest = encode_network_config(small_config());
  all.insert(all.end(), rest.begin(), rest.end());
  return decode_network_config(all);
}

ByteVector repeated(Bytes item, std::size_t n) {
  ByteVector all;
  for (std::size_t i = 0; i < n; ++i) all.insert(all.end(), item.begin(), item.end());
  return all;
}

TEST(NetworkConfigLimits, ListsStopAtTheirLimit) {
  const ByteVector ip = {4, 10, 0, 0, 1, 0, 24};
  EXPECT_EQ(decode_with("I", repeated(ip, kMaxStaticIps + 5))->static_ips.size(), kMaxStaticIps);
  const ByteVector route = {4, 10, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0};
  EXPECT_EQ(decode_with("RT", repeated(route, kMaxRoutes + 5))->routes.size(), kMaxRoutes);
  const ByteVector rule = {1, 0};
  EXPECT_EQ(decode_with("R", repeated(rule, kMaxRules + 5))->rules.size(), kMaxRules);
  const ByteVector specialist(8, 1);
  ByteVector specialists = repeated(specialist, kMaxSpecialists + 5);
  specialists.push_back(1);  // a partial entry at the end is ignored
  EXPECT_EQ(decode_with("S", specialists)->specialists.size(), kMaxSpecialists);
}

TEST(NetworkConfigLimits, MalformedListsRejectOrKeepWhatWasRead) {
  const ByteVector cut = {4, 10, 0};
  EXPECT_FALSE(decode_with("I", cut));
  EXPECT_FALSE(decode_with("RT", cut));
  EXPECT_FALSE(decode_with("R", ByteVector{0x25, 2, 8}));
  EXPECT_FALSE(decode_with("COO", cut));
  EXPECT_FALSE(decode_with("C", cut));
  EXPECT_FALSE(decode_with("I", ByteVector{9}));  // unknown type of address

  ByteVector tags(2 * 135 + 3);
  Writer w(tags);
  Tag tag;
  for (const std::uint32_t id : {9u, 4u}) {
    tag.id = id;
    write_tag(w, tag);
  }
  w.zeros(3);
  const auto read = decode_with("TAG", tags);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->tags.size(), 2u);
  EXPECT_EQ(read->tags[0].id, 4u);  // sorted
  EXPECT_TRUE(decode_with("CAP", cut)->capabilities.empty());
}

TEST(NetworkConfigLimits, OwnershipsBeyondFourAreDroppedButParsed) {
  ByteVector one(141);
  Writer w(one);
  write_ownership(w, CertificateOfOwnership{});
  ASSERT_TRUE(w.ok());
  EXPECT_EQ(decode_with("COO", repeated(one, 6))->ownerships.size(), kMaxOwnerships);
  ByteVector broken = repeated(one, 6);
  broken.pop_back();
  EXPECT_FALSE(decode_with("COO", broken));
}

TEST(NetworkConfigLimits, MtuIsClamped) {
  for (const auto& [text, mtu] : {std::pair{"0", 1280},
                                  {"4ff", 1280},
                                  {"500", 1280},
                                  {"af0", 2800},
                                  {"2710", 10000},
                                  {"2711", 10000},
                                  {"fffffffffffff", 10000}}) {
    EXPECT_EQ(decode_with("mtu", bytes_of(text))->mtu, mtu) << text;
  }
}

}  // namespace
}  // namespace orrery::wire
