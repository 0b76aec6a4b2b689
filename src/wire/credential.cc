#include "wire/credential.h"

#include <algorithm>

namespace orrery::wire {
namespace {

constexpr std::uint64_t kFrame =
    0x7f7f7f7f7f7f7f7fULL;  // opens and closes every signed message but the COM's

/// [1] type, [2] length, signature. Another type is skipped and leaves the signature zero.
void read_signature(Reader& r, Signature96& signature) {
  const std::uint8_t type = r.u8();
  const Bytes bytes = r.bytes(r.u16());
  if (type != 1) return;
  if (bytes.size() != signature.size()) {
    r.fail();
    return;
  }
  std::copy(bytes.begin(), bytes.end(), signature.begin());
}

void write_signature(Writer& w, const Signature96& signature) {
  w.u8(1);
  w.u16(96);
  w.bytes(signature);
}

void skip_extra(Reader& r) {
  r.skip(r.u16());
}

/// `body` between the framing, with the empty extra field before the close.
template <typename Body>
ByteVector framed(std::size_t capacity, Body body) {
  ByteVector bytes(capacity + 18);
  Writer w(bytes);
  w.u64(kFrame);
  body(w);
  w.u16(0);
  w.u64(kFrame);
  bytes.resize(w.ok() ? w.size() : 0);
  return bytes;
}

void write_tag_body(Writer& w, const Tag& t) {
  w.u64(t.network.value);
  w.i64(t.timestamp);
  w.u32(t.id);
  w.u32(t.value);
  w.u40(t.issued_to.value);
  w.u40(t.signed_by.value);
}

void write_capability_body(Writer& w, const Capability& c) {
  w.u64(c.network.value);
  w.i64(c.timestamp);
  w.u32(c.id);
  w.u16(c.rule_count);
  for (std::size_t i = 0; i < c.rule_count; ++i) write_rule(w, c.rules[i]);
  w.u8(c.max_custody);
}

void write_ownership_body(Writer& w, const CertificateOfOwnership& o) {
  w.u64(o.network.value);
  w.i64(o.timestamp);
  w.u64(o.flags);
  w.u32(o.id);
  w.u16(o.count);
  for (std::size_t i = 0; i < o.count; ++i) {
    w.u8(o.things[i].type);
    w.bytes(o.things[i].value);
  }
  w.u40(o.issued_to.value);
  w.u40(o.signed_by.value);
}

void write_revocation_body(Writer& w, const Revocation& v) {
  w.u32(0);
  w.u32(v.id);
  w.u64(v.network.value);
  w.u32(0);
  w.u32(v.credential_id);
  w.i64(v.threshold);
  w.u64(v.flags);
  w.u40(v.target.value);
  w.u40(v.signed_by.value);
  w.u8(v.type);
}

}  // namespace

std::optional<std::uint64_t> CertificateOfMembership::value(std::uint64_t id) const {
  for (std::size_t i = 0; i < count; ++i) {
    if (qualifiers[i].id == id) return qualifiers[i].value;
  }
  return std::nullopt;
}

std::optional<CertificateOfMembership> read_com(Reader& r) {
  CertificateOfMembership com;
  if (r.u8() != 1) r.fail();
  const std::uint16_t count = r.u16();
  if (count > kMaxQualifiers) r.fail();
  if (!r.ok()) return std::nullopt;
  com.count = static_cast<std::uint8_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto& q = com.qualifiers[i];
    q = {r.u64(), r.u64(), r.u64()};
    if (i > 0 && q.id < com.qualifiers[i - 1].id) r.fail();
  }
  com.signed_by = Address{r.u40()};
  if (com.signed_by) {
    const Bytes signature = r.bytes(96);
    if (r.ok()) std::copy(signature.begin(), signature.end(), com.signature.begin());
  }
  if (!r.ok()) return std::nullopt;
  return com;
}

void write_com(Writer& w, const CertificateOfMembership& com) {
  w.u8(1);
  w.u16(com.count);
  for (std::size_t i = 0; i < com.count; ++i) {
    w.u64(com.qualifiers[i].id);
    w.u64(com.qualifiers[i].value);
    w.u64(com.qualifiers[i].max_delta);
  }
  w.u40(com.signed_by.value);
  if (com.signed_by) w.bytes(com.signature);
}

ByteVector com_signed_bytes(const CertificateOfMembership& com) {
  ByteVector bytes(24u * com.count);
  Writer w(bytes);
  for (std::size_t i = 0; i < com.count; ++i) {
    w.u64(com.qualifiers[i].id);
    w.u64(com.qualifiers[i].value);
    w.u64(com.qualifiers[i].max_delta);
  }
  return bytes;
}

bool agrees(const CertificateOfMembership& mine, const CertificateOfMembership& theirs,
            Bytes their_hash) {
  if (!mine || !theirs) return false;
  bool full = false;
  for (std::size_t i = 0; i < mine.count; ++i) {
    const auto& q = mine.qualifiers[i];
    if (q.id >= CertificateOfMembership::kHash0 && q.id < CertificateOfMembership::kHash0 + 4)
      full = true;
    const auto value = theirs.value(q.id);
    if (!value) return false;
    const std::uint64_t delta = q.value > *value ? q.value - *value : *value - q.value;
    if (delta > q.max_delta) return false;
  }
  if (!full) return true;
  if (their_hash.size() < 32) return false;
  for (std::size_t k = 0; k < 4; ++k) {
    const auto value = theirs.value(CertificateOfMembership::kHash0 + k);
    if (!value || *value != load_be64(their_hash.data() + 8 * k)) return false;
  }
  return true;
}

std::optional<Tag> read_tag(Reader& r) {
  Tag t;
  t.network = NetworkId{r.u64()};
  t.timestamp = r.i64();
  t.id = r.u32();
  t.value = r.u32();
  t.issued_to = Address{r.u40()};
  t.signed_by = Address{r.u40()};
  read_signature(r, t.signature);
  skip_extra(r);
  if (!r.ok()) return std::nullopt;
  return t;
}

void write_tag(Writer& w, const Tag& t) {
  write_tag_body(w, t);
  write_signature(w, t.signature);
  w.u16(0);
}

ByteVector tag_signed_bytes(const Tag& t) {
  return framed(64, [&](Writer& w) { write_tag_body(w, t); });
}

std::optional<Capability> read_capability(Reader& r) {
  Capability c;
  c.network = NetworkId{r.u64()};
  c.timestamp = r.i64();
  c.id = r.u32();
  c.rule_count = r.u16();
  if (c.rule_count > kMaxCapabilityRules) r.fail();
  for (std::size_t i = 0; i < c.rule_count && r.ok(); ++i) {
    if (const auto rule = read_rule(r)) c.rules[i] = *rule;
  }
  c.max_custody = r.u8();
  if (c.max_custody < 1 || c.max_custody > kMaxCustody) r.fail();
  while (r.ok()) {
    const Address to{r.u40()};
    if (!to) break;
    if (c.custody_count >= c.max_custody) {
      r.fail();
      break;
    }
    auto& custody = c.custody[c.custody_count++];
    custody.to = to;
    custody.from = Address{r.u40()};
    read_signature(r, custody.signature);
  }
  skip_extra(r);
  if (!r.ok()) return std::nullopt;
  return c;
}

void write_capability(Writer& w, const Capability& c) {
  write_capability_body(w, c);
  for (std::size_t i = 0; i < c.custody_count; ++i) {
    w.u40(c.custody[i].to.value);
    w.u40(c.custody[i].from.value);
    write_signature(w, c.custody[i].signature);
  }
  w.u40(0);
  w.u16(0);
}

ByteVector capability_signed_bytes(const Capability& c) {
  return framed(32 + kMaxCapabilityRules * (2 + Rule::kDataMax),
                [&](Writer& w) { write_capability_body(w, c); });
}

bool CertificateOfOwnership::owns(const Endpoint& ip) const {
  const std::uint8_t type = ip.family == 4 ? kIpv4 : kIpv6;
  return ip.family != 0 && std::any_of(things.begin(), things.begin() + count, [&](const Thing& t) {
           return t.type == type &&
                  std::equal(t.value.begin(), t.value.begin() + static_cast<long>(ip.ip_size()),
                             ip.ip.begin());
         });
}

bool CertificateOfOwnership::owns(Mac mac) const {
  return std::any_of(things.begin(), things.begin() + count, [&](const Thing& t) {
    return t.type == kMac && Mac::load(t.value.data()) == mac;
  });
}

bool CertificateOfOwnership::add(const Endpoint& ip) {
  if (count >= kMaxThings || ip.family == 0) return false;
  things[count].type = ip.family == 4 ? kIpv4 : kIpv6;
  things[count++].value = ip.ip;
  return true;
}

bool CertificateOfOwnership::add(Mac mac) {
  if (count >= kMaxThings) return false;
  things[count].type = kMac;
  mac.store(things[count++].value.data());
  return true;
}

std::optional<CertificateOfOwnership> read_ownership(Reader& r) {
  CertificateOfOwnership o;
  o.network = NetworkId{r.u64()};
  o.timestamp = r.i64();
  o.flags = r.u64();
  o.id = r.u32();
  o.count = r.u16();
  if (o.count > kMaxThings) r.fail();
  for (std::size_t i = 0; i < o.count && r.ok(); ++i) {
    o.things[i].type = r.u8();
    const Bytes value = r.bytes(16);
    if (r.ok()) std::copy(value.begin(), value.end(), o.things[i].value.begin());
  }
  o.issued_to = Address{r.u40()};
  o.signed_by = Address{r.u40()};
  read_signature(r, o.signature);
  skip_extra(r);
  if (!r.ok()) return std::nullopt;
  return o;
}

void write_ownership(Writer& w, const CertificateOfOwnership& o) {
  write_ownership_body(w, o);
  write_signature(w, o.signature);
  w.u16(0);
}

ByteVector ownership_signed_bytes(const CertificateOfOwnership& o) {
  return framed(64 + kMaxThings * 17, [&](Writer& w) { write_ownership_body(w, o); });
}

std::optional<Revocation> read_revocation(Reader& r) {
  Revocation v;
  r.skip(4);
  v.id = r.u32();
  v.network = NetworkId{r.u64()};
  r.skip(4);
  v.credential_id = r.u32();
  v.threshold = r.i64();
  v.flags = r.u64();
  v.target = Address{r.u40()};
  v.signed_by = Address{r.u40()};
  v.type = r.u8();
  read_signature(r, v.signature);
  skip_extra(r);
  if (!r.ok()) return std::nullopt;
  return v;
}

void write_revocation(Writer& w, const Revocation& v) {
  write_revocation_body(w, v);
  write_signature(w, v.signature);
  w.u16(0);
}

ByteVector revocation_signed_bytes(const Revocation& v) {
  return framed(64, [&](Writer& w) { write_revocation_body(w, v); });
}

}  // namespace orrery::wire
