// com.json, tag.json, capability.json, coo.json, revocation.json: layouts, signed bytes,
// verification, agreement and ownership.
#include <gtest/gtest.h>

#include <set>

#include "crypto/kdf.h"
#include "fib/credential_check.h"
#include "support/vectors.h"

namespace orrery {
namespace {

using nlohmann::json;
using test::hex_bytes;

/// The identities a file gives; the one under "unknown_to_verifier" is not found.
class Known {
 public:
  explicit Known(const std::string& file) {
    const json identities = test::cases(file, "identities");
    EXPECT_TRUE(identities.contains("unknown_to_verifier"));
    for (const auto& [name, text] : identities.items()) {
      const auto parsed = wire::parse_identity(text.get<std::string>());
      if (name == "unknown_to_verifier") {
        unknown_ = parsed.value().identity.address;
      } else {
        identities_.push_back(parsed.value().identity);
      }
    }
  }

  template <typename Credential>
  void expect(const Credential& credential, const json& expected, const std::string& name) const {
    wire::Address asked_for;
    const auto lookup = [this](wire::Address a) -> const wire::Identity* {
      for (const wire::Identity& identity : identities_) {
        if (identity.address == a) return &identity;
      }
      return nullptr;
    };
    const fib::CredentialCheck result = fib::check(credential, lookup, &asked_for);
    const char* text = result == fib::CredentialCheck::kValid     ? "valid"
                       : result == fib::CredentialCheck::kInvalid ? "invalid"
                                                                  : "signer_unknown";
    EXPECT_EQ(text, expected.get<std::string>()) << name;
    EXPECT_EQ(asked_for,
              result == fib::CredentialCheck::kSignerUnknown ? unknown_ : wire::Address{})
        << name;
  }

 private:
  std::vector<wire::Identity> identities_;
  wire::Address unknown_;
};

/// How a kind of credential is read, written, and described in its file.
template <typename T>
struct Codec {
  std::optional<T> (*read)(Reader&);
  void (*write)(Writer&, const T&);
  ByteVector (*signed_bytes)(const T&);
  json (*describe)(const T&);
};

json hex16(std::uint64_t value) {
  return wire::to_string(wire::NetworkId{value});
}

json describe_com(const wire::CertificateOfMembership& c) {
  json qualifiers = json::array();
  for (std::size_t i = 0; i < c.count; ++i) {
    const auto& q = c.qualifiers[i];
    qualifiers.push_back(
        {{"id", hex16(q.id)}, {"value", hex16(q.value)}, {"max_delta", hex16(q.max_delta)}});
  }
  return {{"qualifiers", qualifiers},
          {"network", wire::to_string(c.network())},
          {"timestamp", c.timestamp()},
          {"issued_to", wire::to_string(c.issued_to())},
          {"signed_by", wire::to_string(c.signed_by)},
          {"signature", c.signed_by ? to_hex(c.signature) : std::string()}};
}

json describe_tag(const wire::Tag& t) {
  return {{"network", wire::to_string(t.network)},
          {"timestamp", t.timestamp},
          {"id", t.id},
          {"value", t.value},
          {"issued_to", wire::to_string(t.issued_to)},
          {"signed_by", wire::to_string(t.signed_by)},
          {"signature", to_hex(t.signature)}};
}

json describe_capability(const wire::Capability& c) {
  ByteVector rules(wire::kMaxCapabilityRules * (2 + wire::Rule::kDataMax));
  Writer w(rules);
  for (std::size_t i = 0; i < c.rule_count; ++i) wire::write_rule(w, c.rules[i]);
  json custody = json::array();
  for (std::size_t i = 0; i < c.custody_count; ++i) {
    custody.push_back({{"to", wire::to_string(c.custody[i].to)},
                       {"from", wire::to_string(c.custody[i].from)},
                       {"signature", to_hex(c.custody[i].signature)}});
  }
  return {{"network", wire::to_string(c.network)},
          {"timestamp", c.timestamp},
          {"id", c.id},
          {"max_custody_chain_length", c.max_custody},
          {"rule_count", c.rule_count},
          {"rules", to_hex(w.written())},
          {"issued_to", wire::to_string(c.issued_to())},
          {"custody", custody}};
}

json describe_ownership(const wire::CertificateOfOwnership& o) {
  json things = json::array();
  for (std::size_t i = 0; i < o.count; ++i) {
    const auto& thing = o.things[i];
    json one = {{"type", thing.type}, {"value", to_hex(thing.value)}};
    if (thing.type == wire::CertificateOfOwnership::kIpv4) {
      one["text"] = wire::ip_to_string(wire::Endpoint::v4(load_be32(thing.value.data()), 0));
    } else if (thing.type == wire::CertificateOfOwnership::kIpv6) {
      one["text"] = wire::ip_to_string(wire::Endpoint::v6(thing.value, 0));
    } else if (thing.type == wire::CertificateOfOwnership::kMac) {
      one["text"] = wire::to_string(wire::Mac::load(thing.value.data()));
    }
    things.push_back(one);
  }
  return {{"network", wire::to_string(o.network)},
          {"timestamp", o.timestamp},
          {"flags", hex16(o.flags)},
          {"id", o.id},
          {"things", things},
          {"issued_to", wire::to_string(o.issued_to)},
          {"signed_by", wire::to_string(o.signed_by)},
          {"signature", to_hex(o.signature)}};
}

json describe_revocation(const wire::Revocation& v) {
  return {{"id", v.id},
          {"network", wire::to_string(v.network)},
          {"credential_id", v.credential_id},
          {"threshold", v.threshold},
          {"flags", hex16(v.flags)},
          {"target", wire::to_string(v.target)},
          {"signed_by", wire::to_string(v.signed_by)},
          {"credential_type", v.type},
          {"signature", to_hex(v.signature)}};
}

template <typename T>
ByteVector encoded(const T& credential, void (*write)(Writer&, const T&)) {
  ByteVector bytes(4096);
  Writer w(bytes);
  write(w, credential);
  EXPECT_TRUE(w.ok());
  bytes.resize(w.size());
  return bytes;
}

/// Every field that the case names; things it does not describe in text are left out on our side.
void expect_fields(json ours, const json& c, const std::set<std::string>& beside,
                   const std::string& name) {
  json theirs = json::object();
  for (const auto& [key, value] : c.items()) {
    if (!beside.contains(key)) theirs[key] = value;
  }
  if (ours.contains("things")) {
    for (std::size_t i = 0; i < ours["things"].size() && i < theirs["things"].size(); ++i) {
      if (!theirs["things"][i].contains("text")) ours["things"][i].erase("text");
    }
  }
  EXPECT_EQ(ours, theirs) << name;
}

template <typename T>
void run(const std::string& file, const std::string& list, const Codec<T>& codec) {
  const Known known(file);
  std::size_t index = 0;
  for (const json& c : test::cases(file, list)) {
    const std::string name = file + " " + std::to_string(index) + ": " + test::label(c, index);
    ++index;
    const ByteVector bytes = hex_bytes(c["bytes"]);
    Reader r(bytes);
    const auto credential = codec.read(r);
    ASSERT_TRUE(credential) << name;
    EXPECT_EQ(r.remaining(), 0u) << name;
    expect_fields(codec.describe(*credential), c, {"name", "bytes", "signed_bytes", "verify"},
                  name);
    EXPECT_EQ(to_hex(encoded(*credential, codec.write)), to_hex(bytes)) << name;
    EXPECT_EQ(to_hex(codec.signed_bytes(*credential)), c["signed_bytes"].get<std::string>())
        << name;
    known.expect(*credential, c["verify"], name);
    // Total: no prefix parses, none crashes.
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      const ByteVector prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      Reader cut(prefix);
      EXPECT_FALSE(codec.read(cut)) << name << " cut to " << n;
    }
  }
  for (const json& c : test::cases(file, "parse")) {
    const std::string name = file + " parse: " + c["name"].get<std::string>();
    ASSERT_EQ(test::strictness(c), "must") << name;
    const ByteVector bytes = hex_bytes(c["bytes"]);
    Reader r(bytes);
    const auto credential = codec.read(r);
    ASSERT_EQ(credential.has_value(), c["parses"].get<bool>()) << name;
    if (!credential) continue;
    EXPECT_EQ(r.position(), c["consumed"].get<std::size_t>()) << name;
    expect_fields(codec.describe(*credential), c,
                  {"name", "bytes", "strictness", "parses", "consumed", "verify"}, name);
    known.expect(*credential, c["verify"], name);
  }
}

TEST(CredentialVectors, Membership) {
  run<wire::CertificateOfMembership>(
      "com.json", "certificates",
      {wire::read_com, wire::write_com, wire::com_signed_bytes, describe_com});
}

TEST(CredentialVectors, Tags) {
  run<wire::Tag>("tag.json", "tags",
                 {wire::read_tag, wire::write_tag, wire::tag_signed_bytes, describe_tag});
}

TEST(CredentialVectors, Capabilities) {
  run<wire::Capability>("capability.json", "capabilities",
                        {wire::read_capability, wire::write_capability,
                         wire::capability_signed_bytes, describe_capability});
}

TEST(CredentialVectors, Ownership) {
  run<wire::CertificateOfOwnership>("coo.json", "certificates",
                                    {wire::read_ownership, wire::write_ownership,
                                     wire::ownership_signed_bytes, describe_ownership});
}

TEST(CredentialVectors, Revocations) {
  run<wire::Revocation>("revocation.json", "revocations",
                        {wire::read_revocation, wire::write_revocation,
                         wire::revocation_signed_bytes, describe_revocation});
}

TEST(CredentialVectors, Agreement) {
  std::size_t index = 0;
  for (const json& c : test::cases("com.json", "agreement")) {
    const std::string name = std::to_string(index) + ": " + test::label(c, index);
    ++index;
    const auto read = [&](const char* key) {
      const ByteVector bytes = hex_bytes(c[key]);
      Reader r(bytes);
      return wire::read_com(r).value();
    };
    const auto identity = wire::parse_identity(c["their_identity"].get<std::string>()).value();
    EXPECT_EQ(wire::agrees(read("mine"), read("theirs"), crypto::fingerprint(identity.identity)),
              c["agrees"].get<bool>())
        << name;
  }
}

TEST(CredentialVectors, OwnershipLookups) {
  for (const json& c : test::cases("coo.json", "ownership")) {
    const ByteVector bytes = hex_bytes(c["certificate"]);
    Reader r(bytes);
    const auto certificate = wire::read_ownership(r).value();
    ASSERT_NE(c.contains("ip"), c.contains("mac")) << c.dump();
    const bool owns =
        c.contains("ip")
            ? certificate.owns(wire::parse_endpoint(c["ip"].get<std::string>()).value())
            : certificate.owns(wire::parse_mac(c["mac"].get<std::string>()).value());
    EXPECT_EQ(owns, c["owns"].get<bool>()) << c.dump();
  }
}

TEST(CertificateOfOwnership, HoldsSixteenThings) {
  wire::CertificateOfOwnership o;
  for (std::uint32_t i = 0; i < wire::kMaxThings; ++i) {
    EXPECT_TRUE(i % 2 == 0 ? o.add(wire::Endpoint::v4(0x0a000000 + i, 24)) : o.add(wire::Mac{i}));
  }
  EXPECT_FALSE(o.add(wire::Mac{99}));
  EXPECT_FALSE(o.add(wire::Endpoint::v4(1, 24)));
  EXPECT_FALSE(o.add(wire::Endpoint{}));
  EXPECT_TRUE(o.owns(wire::Mac{15}));
  EXPECT_FALSE(o.owns(wire::Mac{99}));
  const ByteVector bytes = encoded(o, wire::write_ownership);
  EXPECT_EQ(bytes.size(), 141u + 17u * wire::kMaxThings);
  Reader r(bytes);
  EXPECT_EQ(wire::read_ownership(r), o);
}

}  // namespace
}  // namespace orrery
