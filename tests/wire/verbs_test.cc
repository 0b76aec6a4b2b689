// Every verb's payload: exact bytes both ways, cut at every byte, and with bytes behind.
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "wire/verbs/frame.h"
#include "wire/verbs/hello.h"
#include "wire/verbs/multicast.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/network_credentials.h"
#include "wire/verbs/ok.h"
#include "wire/verbs/push_direct_paths.h"
#include "wire/verbs/rendezvous.h"
#include "wire/verbs/user_message.h"
#include "wire/verbs/whois.h"

namespace orrery::wire {
namespace {

using namespace std::string_literals;

/// Kept to the end of the program, since decoded structs are views.
const ByteVector& bytes(const std::string& hex) {
  static std::deque<ByteVector> kept;
  return kept.emplace_back(from_hex(hex).value());
}

std::string encoded(const std::function<void(Writer&)>& encode) {
  ByteVector room(kMaxPacket);
  Writer w(room);
  encode(w);
  EXPECT_TRUE(w.ok());
  return to_hex(w.written());
}

/// The lengths up to that of `whole` at which `decodes` holds, each tried on a copy of exact size.
std::vector<std::size_t> good_lengths(const ByteVector& whole,
                                      const std::function<bool(Bytes)>& decodes) {
  std::vector<std::size_t> good;
  for (std::size_t n = 0; n <= whole.size(); ++n) {
    const ByteVector cut(whole.begin(), whole.begin() + static_cast<long>(n));
    if (decodes(cut)) good.push_back(n);
  }
  return good;
}

std::vector<std::size_t> from_to(std::size_t first, std::size_t last) {
  std::vector<std::size_t> all;
  for (std::size_t n = first; n <= last; ++n) all.push_back(n);
  return all;
}

Identity some_identity(std::uint8_t fill = 0x5a) {
  Identity identity;
  identity.address = Address{0x1122334455};
  identity.public_key.fill(fill);
  return identity;
}

const std::string kIdentityHex = "112233445500" + [] {
  std::string key;
  for (int i = 0; i < 64; ++i) key += "5a";
  return key;
}() + "00";

Endpoint v4(std::uint32_t ip, std::uint16_t port) {
  return Endpoint::v4(ip, port);
}

Endpoint v6() {
  return Endpoint::v6(bytes("fd000000000000000000000000000001"), 9993);
}

CertificateOfMembership some_com() {
  CertificateOfMembership com;
  com.count = 3;
  com.qualifiers[0] = {0, 1'700'000'000'000, 1'800'000};
  com.qualifiers[1] = {1, 0xf15b2ce6dd0000a1, 0};
  com.qualifiers[2] = {2, 0x1122334455, CertificateOfMembership::kAnyDelta};
  com.signed_by = Address{0xf15b2ce6dd};
  com.signature.fill(0x77);
  return com;
}

std::string com_hex() {
  return encoded([](Writer& w) { write_com(w, some_com()); });
}

// HELLO

Hello some_hello() {
  Hello h;
  h.version = {12, 1, 14, 1};
  h.timestamp = 1'700'000'000'000;
  h.identity = some_identity();
  h.sent_to = v4(0xc0a80102, 9993);
  h.planet_id = 149604618;
  h.planet_timestamp = 1644592324813;
  return h;
}

const std::string kHelloHex = "0c010e00010000018bcfe56800" + kIdentityHex + "04c0a801022709" +
                              "0000000008eac90a0000017ee95760cd";

TEST(Hello, Encodes) {
  std::size_t masked_at = 0;
  EXPECT_EQ(encoded([&](Writer& w) { masked_at = encode_hello(w, some_hello()); }), kHelloHex);
  EXPECT_EQ(masked_at, 107u);  // protocol page 03, 0x01
  Hello to_v6 = some_hello();
  to_v6.sent_to = v6();
  encoded([&](Writer& w) { masked_at = encode_hello(w, to_v6); });
  EXPECT_EQ(masked_at, 119u);
}

TEST(Hello, Decodes) {
  const auto h = decode_hello(bytes(kHelloHex + "0000"));
  ASSERT_TRUE(h);
  EXPECT_EQ(h->version, (SoftwareVersion{12, 1, 14, 1}));
  EXPECT_EQ(h->timestamp, 1'700'000'000'000);
  EXPECT_EQ(h->identity, some_identity());
  EXPECT_EQ(h->sent_to, v4(0xc0a80102, 9993));
  EXPECT_EQ(h->planet_id, 149604618u);
  EXPECT_EQ(h->planet_timestamp, 1644592324813u);
  EXPECT_EQ(h->masked_at, 107u);
}

TEST(Hello, MayEndAfterIdentityOrAddress) {
  const auto whole = bytes(kHelloHex + "0000");
  std::vector<std::size_t> expected = {84};
  for (const std::size_t n : from_to(91, whole.size())) expected.push_back(n);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_hello(b).has_value(); }), expected);
  const Bytes all(whole);
  EXPECT_FALSE(decode_hello(all.first(84))->sent_to);
  EXPECT_EQ(decode_hello(all.first(106))->planet_id, 0u) << "worlds only from 16 bytes on";
  EXPECT_EQ(decode_hello(all.first(107))->planet_id, 149604618u);
  EXPECT_EQ(decode_hello(all.first(107))->masked_at, 0u);
}

TEST(Hello, UnknownEndpointTypeIsMalformed) {
  auto whole = bytes(kHelloHex);
  whole[84] = 0x05;
  EXPECT_FALSE(decode_hello(whole));
  whole[84] = 0x00;  // nil: what follows are the worlds
  const auto h = decode_hello(whole);
  ASSERT_TRUE(h);
  EXPECT_FALSE(h->sent_to);
  EXPECT_EQ(h->planet_id >> 56, 0xc0u);
}

TEST(Hello, Moons) {
  const std::string moon = "7f00000000000000aa000000000000000b";
  const std::string planet = "0100000000000000bb000000000000000c";
  std::vector<std::uint64_t> ids;
  const auto collect = [&](const MoonEntry& entry) {
    ids.push_back(entry.id);
    EXPECT_EQ(entry.timestamp, 11u);
    EXPECT_EQ(encoded([&](Writer& w) { write_moon_entry(w, entry); }), moon);
  };
  EXPECT_TRUE(for_each_moon(bytes("0002" + planet + moon + "ffff"), collect));
  EXPECT_EQ(ids, std::vector<std::uint64_t>{0xaa}) << "other types are skipped";
  ids.clear();
  const auto whole = bytes("0002" + moon + moon);
  EXPECT_EQ(good_lengths(whole, [&](Bytes b) { return for_each_moon(b, [](const auto&) {}); }),
            std::vector<std::size_t>{whole.size()});
  EXPECT_TRUE(for_each_moon(bytes("0000"), collect));
  EXPECT_TRUE(ids.empty());
}

TEST(HelloOk, BothWays) {
  const std::string hex = "0000018bcfe568000c010e000104c6124602270900031a2b3c";
  const auto ok = decode_hello_ok(bytes(hex + "99"));
  ASSERT_TRUE(ok);
  EXPECT_EQ(ok->timestamp, 1'700'000'000'000);
  EXPECT_EQ(ok->version, (SoftwareVersion{12, 1, 14, 1}));
  EXPECT_EQ(ok->seen_from, v4(0xc6124602, 9993));
  EXPECT_EQ(to_hex(ok->worlds), "1a2b3c");
  EXPECT_EQ(encoded([&](Writer& w) { encode_hello_ok(w, *ok); }), hex);
  const auto whole = bytes(hex);
  // after the version; after the endpoint, also with one stray byte; whole
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_hello_ok(b).has_value(); }),
            (std::vector<std::size_t>{13, 20, 21, whole.size()}));
}

// OK and ERROR

TEST(Ok, BothWays) {
  const std::string hex = "0401020304050607081a2b";
  const auto ok = decode_ok(bytes(hex));
  ASSERT_TRUE(ok);
  EXPECT_EQ(ok->in_re_verb, 0x04);
  EXPECT_EQ(ok->in_re_id, 0x0102030405060708u);
  EXPECT_EQ(to_hex(ok->rest), "1a2b");
  EXPECT_EQ(encoded([&](Writer& w) { encode_ok(w, *ok); }), hex);
  EXPECT_EQ(good_lengths(bytes(hex), [](Bytes b) { return decode_ok(b).has_value(); }),
            from_to(9, 11));
}

TEST(Error, BothWays) {
  const std::string hex = "0b010203040506070807f15b2ce6dd0000a10002aabb";
  const auto e = decode_error(bytes(hex));
  ASSERT_TRUE(e);
  EXPECT_EQ(e->in_re_verb, 0x0b);
  EXPECT_EQ(e->in_re_id, 0x0102030405060708u);
  EXPECT_EQ(static_cast<ErrorCode>(e->code), ErrorCode::kNetworkAccessDenied);
  EXPECT_EQ(encoded([&](Writer& w) { encode_error(w, *e); }), hex);
  EXPECT_EQ(good_lengths(bytes(hex), [](Bytes b) { return decode_error(b).has_value(); }),
            from_to(10, 22));
  const auto network = decode_network_error(e->rest);
  ASSERT_TRUE(network);
  EXPECT_EQ(network->network.value, 0xf15b2ce6dd0000a1u);
  EXPECT_EQ(to_hex(network->dictionary), "aabb");
}

TEST(Error, NetworkMayComeWithoutDictionary) {
  const auto rest = bytes("f15b2ce6dd0000a10002aabb");
  EXPECT_EQ(good_lengths(rest, [](Bytes b) { return decode_network_error(b).has_value(); }),
            (std::vector<std::size_t>{8, 9, 10, 12}));
  EXPECT_TRUE(decode_network_error(Bytes(rest).first(10))->dictionary.empty());
}

// WHOIS

TEST(Whois, AddressesBackToBack) {
  const auto payload = bytes("11223344556677889900aabbccdd");
  std::vector<std::uint64_t> addresses;
  for_each_whois_address(payload, [&](Address a) { addresses.push_back(a.value); });
  EXPECT_EQ(addresses, (std::vector<std::uint64_t>{0x1122334455, 0x6677889900}));
  for_each_whois_address({}, [&](Address) { FAIL(); });
}

TEST(Whois, IdentitiesBackToBack) {
  const auto payload = bytes(kIdentityHex + kIdentityHex);
  std::size_t seen = 0;
  EXPECT_TRUE(for_each_whois_identity(payload, [&](const Identity& identity) {
    EXPECT_EQ(identity, some_identity());
    ++seen;
  }));
  EXPECT_EQ(seen, 2u);
  const auto walk = [](Bytes b) { return for_each_whois_identity(b, [](const Identity&) {}); };
  EXPECT_EQ(good_lengths(payload, walk), (std::vector<std::size_t>{0, 71, 142}));
}

// RENDEZVOUS

TEST(Rendezvous, BothWays) {
  for (const std::string& hex : {"001122334455270904c6124603"s,
                                 "0011223344552709"
                                 "10fd000000000000000000000000000001"s}) {
    const auto v = decode_rendezvous(bytes(hex + "1234"));
    ASSERT_TRUE(v) << hex;
    EXPECT_EQ(v->with.value, 0x1122334455u);
    EXPECT_EQ(v->endpoint, hex.size() == 26 ? v4(0xc6124603, 9993) : v6());
    EXPECT_EQ(encoded([&](Writer& w) { encode_rendezvous(w, *v); }), hex);
    const auto whole = bytes(hex);
    EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_rendezvous(b).has_value(); }),
              std::vector<std::size_t>{whole.size()});
  }
}

TEST(Rendezvous, RefusesPortZeroAndOtherLengths) {
  EXPECT_FALSE(decode_rendezvous(bytes("001122334455000004c6124603")));
  EXPECT_FALSE(decode_rendezvous(bytes("001122334455270900")));
  EXPECT_FALSE(decode_rendezvous(bytes("001122334455270905c612460300")));
}

// FRAME, EXT_FRAME

TEST(Frame, BothWays) {
  const std::string hex = "f15b2ce6dd0000a1080045000054";
  const auto f = decode_frame(bytes(hex));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->network.value, 0xf15b2ce6dd0000a1u);
  EXPECT_EQ(f->ethertype, 0x0800);
  EXPECT_EQ(to_hex(f->payload), "45000054");
  EXPECT_EQ(encoded([&](Writer& w) { encode_frame(w, *f); }), hex);
  EXPECT_EQ(good_lengths(bytes(hex), [](Bytes b) { return decode_frame(b).has_value(); }),
            from_to(kFrameHead, 14));
}

TEST(ExtFrame, BothWays) {
  const std::string hex = "f15b2ce6dd0000a110a2d31edaa7bea231723d3413080045";
  const auto f = decode_ext_frame(bytes(hex));
  ASSERT_TRUE(f);
  EXPECT_TRUE(f->has_frame);
  EXPECT_FALSE(f->com);
  EXPECT_EQ(f->flags, kExtFrameWantsOk);
  EXPECT_EQ(f->destination.value, 0xa2d31edaa7beu);
  EXPECT_EQ(f->source.value, 0xa231723d3413u);
  EXPECT_EQ(f->ethertype, 0x0800);
  EXPECT_EQ(to_hex(f->payload), "45");
  EXPECT_EQ(encoded([&](Writer& w) { encode_ext_frame(w, *f); }), hex);
  const auto whole = bytes(hex);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_ext_frame(b).has_value(); }),
            from_to(9, whole.size()));
  EXPECT_EQ(good_lengths(whole,
                         [](Bytes b) {
                           const auto decoded = decode_ext_frame(b);
                           return decoded && decoded->has_frame;
                         }),
            from_to(kExtFrameHead, whole.size()));
}

TEST(ExtFrame, WithCertificate) {
  const std::string head = "f15b2ce6dd0000a101";
  const auto whole = bytes(head + com_hex() + "a2d31edaa7bea231723d3413080045");
  const auto f = decode_ext_frame(whole);
  ASSERT_TRUE(f);
  EXPECT_EQ(f->com, some_com());
  EXPECT_EQ(f->source.value, 0xa231723d3413u);
  EXPECT_EQ(to_hex(f->payload), "45");
  const std::size_t com_end = 9 + com_hex().size() / 2;
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_ext_frame(b).has_value(); }),
            from_to(com_end, whole.size()));
}

// Multicast

TEST(MulticastLike, WholeRecordsOnly) {
  const std::string record = "f15b2ce6dd0000a1333300000016000000aa";
  const auto payload = bytes(record + record + "f15b2ce6dd0000a13333000000160000");
  std::size_t seen = 0;
  for_each_like(payload, [&](const MulticastLike& like) {
    EXPECT_EQ(encoded([&](Writer& w) { write_like(w, like); }), record);
    EXPECT_EQ(like.network.value, 0xf15b2ce6dd0000a1u);
    EXPECT_EQ(like.group, (MulticastGroup{Mac{0x333300000016}, 0xaa}));
    ++seen;
  });
  EXPECT_EQ(seen, 2u);
}

TEST(MulticastGather, BothWays) {
  const std::string bare =
      "f15b2ce6dd0000a10033330000001600000000"
      "00000021";
  const auto g = decode_gather(bytes(bare + "aa"));
  ASSERT_TRUE(g);
  EXPECT_EQ(g->limit, 33u);
  EXPECT_FALSE(g->com);
  EXPECT_EQ(encoded([&](Writer& w) { encode_gather(w, *g); }), bare);
  EXPECT_EQ(good_lengths(bytes(bare), [](Bytes b) { return decode_gather(b).has_value(); }),
            std::vector<std::size_t>{23});

  std::string with_com = bare + com_hex();
  with_com[17] = '1';
  const auto whole = bytes(with_com);
  const auto c = decode_gather(whole);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->com, some_com());
  EXPECT_EQ(encoded([&](Writer& w) { encode_gather(w, *c); }), with_com);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_gather(b).has_value(); }),
            from_to(23, whole.size()))
      << "a malformed certificate counts as absent";
}

TEST(MulticastGather, Answer) {
  const std::string hex = "f15b2ce6dd0000a1ffffffffffff0a4600bc0000000500021122334455d31e074192";
  const auto g = decode_gather_ok(bytes(hex + "01"));
  ASSERT_TRUE(g);
  EXPECT_EQ(g->total, 5u);
  EXPECT_EQ(g->group, (MulticastGroup{kBroadcastMac, 0x0a4600bc}));
  std::vector<std::uint64_t> members;
  for_each_gathered(*g, [&](Address a) { members.push_back(a.value); });
  EXPECT_EQ(members, (std::vector<std::uint64_t>{0x1122334455, 0xd31e074192}));
  EXPECT_EQ(encoded([&](Writer& w) { encode_gather_ok(w, *g); }), hex);
  const auto whole = bytes(hex);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_gather_ok(b).has_value(); }),
            std::vector<std::size_t>{whole.size()});
}

TEST(MulticastFrame, BothWaysForAllFlags) {
  for (unsigned flags = 0; flags < 16; flags += 2) {
    const bool limit = (flags & 2) != 0;
    const bool source = (flags & 4) != 0;
    std::string hex = "f15b2ce6dd0000a1" + to_hex(std::array{static_cast<std::uint8_t>(flags)});
    if (limit) hex += "00000021";
    if (source) hex += "a231723d3413";
    hex += "ffffffffffff0a4600bc0806aabb";
    const auto whole = bytes(hex);
    const auto f = decode_multicast_frame(whole);
    ASSERT_TRUE(f) << flags;
    EXPECT_EQ(f->gather_limit, limit ? 33u : 0u);
    EXPECT_EQ(f->source.value, source ? 0xa231723d3413u : 0u);
    EXPECT_EQ(f->replicate, (flags & 8) != 0);
    EXPECT_EQ(f->group, (MulticastGroup{kBroadcastMac, 0x0a4600bc}));
    EXPECT_EQ(f->ethertype, 0x0806);
    EXPECT_EQ(to_hex(f->payload), "aabb");
    EXPECT_EQ(encoded([&](Writer& w) { encode_multicast_frame(w, *f); }), hex);
    EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_multicast_frame(b).has_value(); }),
              from_to(whole.size() - 2, whole.size()));
  }
}

TEST(MulticastFrame, WithCertificate) {
  const auto whole =
      bytes("f15b2ce6dd0000a103" + com_hex() + "00000021ffffffffffff0a4600bc0806aabb");
  const auto f = decode_multicast_frame(whole);
  ASSERT_TRUE(f);
  EXPECT_EQ(f->com, some_com());
  EXPECT_EQ(f->gather_limit, 33u);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_multicast_frame(b).has_value(); }),
            from_to(whole.size() - 2, whole.size()));
}

TEST(MulticastFrame, Answer) {
  const std::string hex =
      "f15b2ce6dd0000a1ffffffffffff0a4600bc02"
      "000000010001d31e074192";
  const auto ok = decode_multicast_frame_ok(bytes(hex + "00"));
  ASSERT_TRUE(ok);
  EXPECT_FALSE(ok->com);
  EXPECT_EQ(ok->gathered.total, 1u);
  EXPECT_EQ(to_hex(ok->gathered.addresses), "d31e074192");
  EXPECT_EQ(encoded([&](Writer& w) { encode_multicast_frame_ok(w, ok->gathered); }), hex);
  const auto whole = bytes(hex);
  const auto decodes = [](Bytes b) { return decode_multicast_frame_ok(b).has_value(); };
  EXPECT_EQ(good_lengths(whole, decodes), std::vector<std::size_t>{whole.size()});

  const std::string group = "f15b2ce6dd0000a1ffffffffffff0a4600bc";
  const auto with_com = decode_multicast_frame_ok(bytes(group + "01" + com_hex()));
  ASSERT_TRUE(with_com);
  EXPECT_EQ(with_com->com, some_com());
  EXPECT_TRUE(with_com->gathered.addresses.empty());
  EXPECT_TRUE(decode_multicast_frame_ok(bytes(group + "00")));
}

// PUSH_DIRECT_PATHS

TEST(PushDirectPaths, StepsOverWhatItDoesNotKnow) {
  std::vector<DirectPath> paths;
  const auto collect = [&](const DirectPath& path) { paths.push_back(path); };
  EXPECT_TRUE(for_each_direct_path(bytes("0004"
                                         "0000000406c61246032709"        // IPv4
                                         "020003ffffff0406c61246045a7c"  // extension, redirect
                                         "00000001070102030405"
                                         "0607"  // type 1
                                         "0000000612fd0000000000000000000000000000012709"
                                         "99"),
                                   collect));
  ASSERT_EQ(paths.size(), 3u);
  EXPECT_EQ(paths[0].endpoint, v4(0xc6124603, 9993));
  EXPECT_EQ(paths[1].flags, DirectPath::kRedirect);
  EXPECT_EQ(paths[1].endpoint, v4(0xc6124604, 0x5a7c));
  EXPECT_EQ(paths[2].endpoint, v6());
}

TEST(PushDirectPaths, EncodesAndRefusesCuts) {
  const std::string hex =
      "0000000406c61246032709"
      "0000000612fd0000000000000000000000000000012709";
  EXPECT_EQ(encoded([](Writer& w) {
              write_direct_path(w, {0, v4(0xc6124603, 9993)});
              write_direct_path(w, {0, v6()});
            }),
            hex);
  const auto whole = bytes("0002" + hex);
  EXPECT_EQ(
      good_lengths(whole, [](Bytes b) { return for_each_direct_path(b, [](const auto&) {}); }),
      std::vector<std::size_t>{whole.size()});
  EXPECT_FALSE(for_each_direct_path(bytes("00010000000405c612460327"), [](const auto&) {}))
      << "wrong address length";
}

// NETWORK_CONFIG_REQUEST, NETWORK_CONFIG

TEST(NetworkConfigRequest, BothWays) {
  const std::string hex =
      "f15b2ce6dd0000a10003763d37"
      "0000000000000009"
      "000000000000000a";
  const auto q = decode_network_config_request(bytes(hex + "ff"));
  ASSERT_TRUE(q);
  EXPECT_EQ(q->network.value, 0xf15b2ce6dd0000a1u);
  EXPECT_EQ(text_of(q->metadata), "v=7");
  EXPECT_EQ(q->have_revision, 9u);
  EXPECT_EQ(q->have_timestamp, 10u);
  EXPECT_EQ(encoded([&](Writer& w) { encode_network_config_request(w, *q); }), hex);
  const auto whole = bytes(hex);
  std::vector<std::size_t> expected = {8};
  for (const std::size_t n : from_to(13, whole.size())) expected.push_back(n);
  EXPECT_EQ(
      good_lengths(whole, [](Bytes b) { return decode_network_config_request(b).has_value(); }),
      expected);
}

TEST(ConfigChunk, BothWays) {
  const std::string region =
      "f15b2ce6dd0000a1"
      "0003763d37"
      "01"
      "00000000000000aa"
      "00000100"
      "00000020";
  const std::string signature(192, 'c');
  const std::string hex = region + "010060" + signature;
  const auto whole = bytes(hex + "ee");
  const auto c = decode_config_chunk(whole);
  ASSERT_TRUE(c);
  EXPECT_TRUE(c->has_signature);
  EXPECT_EQ(text_of(c->data), "v=7");
  EXPECT_EQ(c->flags, ConfigChunk::kPropagate);
  EXPECT_EQ(c->update_id, 0xaau);
  EXPECT_EQ(c->total, 0x100u);
  EXPECT_EQ(c->offset, 0x20u);
  EXPECT_EQ(to_hex(c->signed_region), region);
  EXPECT_EQ(to_hex(c->signature), signature);
  EXPECT_EQ(to_hex(c->body), hex);
  EXPECT_EQ(c->body.size(), c->data.size() + ConfigChunk::kOverhead);
  EXPECT_EQ(encoded([&](Writer& w) {
              encode_config_chunk(w, *c);
              append_config_signature(w, c->signature);
            }),
            hex);
}

TEST(ConfigChunk, CutsOtherSignaturesAndTheOldForm) {
  const std::string hex =
      "f15b2ce6dd0000a1"
      "0003763d37"
      "00"
      "00000000000000aa"
      "00000100"
      "00000020"
      "010060" +
      std::string(192, '1');
  auto whole = bytes(hex);
  EXPECT_EQ(good_lengths(whole, [](Bytes b) { return decode_config_chunk(b).has_value(); }),
            (std::vector<std::size_t>{13, whole.size()}));
  const auto old_form = decode_config_chunk(Bytes(whole).first(13));
  EXPECT_FALSE(old_form->has_signature);
  EXPECT_EQ(old_form->total, 3u);
  EXPECT_TRUE(old_form->signed_region.empty());
  whole[30] = 2;
  EXPECT_FALSE(decode_config_chunk(whole)) << "signature type";
  whole[30] = 1;
  whole[32] = 95;
  EXPECT_FALSE(decode_config_chunk(whole)) << "signature length";
}

// NETWORK_CREDENTIALS

struct Visits {
  std::size_t coms = 0, capabilities = 0, tags = 0, revocations = 0, ownerships = 0;

  void operator()(const CertificateOfMembership&) { ++coms; }

  void operator()(const Capability&) { ++capabilities; }

  void operator()(const Tag&) { ++tags; }

  void operator()(const Revocation&) { ++revocations; }

  void operator()(const CertificateOfOwnership&) { ++ownerships; }

  [[nodiscard]] std::vector<std::size_t> all() const {
    return {coms, capabilities, tags, revocations, ownerships};
  }
};

TEST(NetworkCredentials, EveryKindAndEndsAfterAnyList) {
  Tag tag;
  tag.signed_by = Address{5};
  Capability capability;
  capability.custody_count = 1;
  capability.custody[0].to = Address{6};
  CertificateOfOwnership ownership;
  ownership.add(Mac{1});
  std::vector<std::size_t> ends;
  ByteVector room(kMaxPacket);
  Writer w(room);
  const auto end_of_list = [&] { ends.push_back(w.size()); };
  end_of_list();
  write_com(w, some_com());
  end_of_list();
  write_com(w, some_com());
  end_of_list();
  w.u8(0);
  end_of_list();
  w.u16(1);
  write_capability(w, capability);
  end_of_list();
  w.u16(3);
  for (int i = 0; i < 3; ++i) write_tag(w, tag);
  end_of_list();
  w.u16(0);
  end_of_list();
  w.u16(1);
  write_ownership(w, ownership);
  end_of_list();
  ASSERT_TRUE(w.ok());
  const ByteVector whole(w.written().begin(), w.written().end());
  Visits visits;
  EXPECT_TRUE(for_each_credential(whole, visits));
  EXPECT_EQ(visits.all(), (std::vector<std::size_t>{2, 1, 3, 0, 1}));
  EXPECT_EQ(good_lengths(whole,
                         [](Bytes b) {
                           Visits some;
                           return for_each_credential(b, some);
                         }),
            ends);
}

TEST(NetworkCredentials, WhatCameBeforeTheDamageIsVisited) {
  Revocation revocation;
  revocation.type = 1;
  const std::string one = encoded([&](Writer& w) { write_revocation(w, revocation); });
  Visits visits;
  EXPECT_FALSE(for_each_credential(bytes(com_hex() +
                                         "0000000000"
                                         "0002" +
                                         one),
                                   visits));
  EXPECT_EQ(visits.all(), (std::vector<std::size_t>{1, 0, 0, 1, 0}));
  EXPECT_FALSE(for_each_credential(bytes("02"), visits)) << "neither a certificate nor the end";
}

// The small ones

TEST(UserMessage, TypeAndData) {
  const auto m = decode_user_message(bytes("0000000000000064aabb"));
  ASSERT_TRUE(m);
  EXPECT_EQ(m->type, 100u);
  EXPECT_EQ(to_hex(m->data), "aabb");
  EXPECT_TRUE(decode_user_message(bytes("0000000000000064")));
  EXPECT_FALSE(decode_user_message(bytes("00000000000000")));
}

TEST(RemoteTrace, TerminatedDictionaries) {
  std::vector<std::string> traces;
  const auto collect = [&](Bytes b) { traces.emplace_back(text_of(b)); };
  for_each_trace(bytes_of("a=1\0\0b=2\0tail"s), collect);
  EXPECT_EQ(traces, (std::vector<std::string>{"a=1", "b=2"}));
  traces.clear();
  for_each_trace(bytes_of(std::string(10001, 'x') + "\0"s + std::string(10000, 'y') + "\0"s),
                 collect);
  ASSERT_EQ(traces.size(), 1u);
  EXPECT_EQ(traces[0].size(), 10000u);
}

TEST(Qos, RecordsOfTenBytesInLittleEndian) {
  std::vector<std::pair<std::uint64_t, std::uint16_t>> records;
  const auto collect = [&](std::uint64_t id, std::uint16_t held) {
    records.emplace_back(id, held);
  };
  EXPECT_TRUE(for_each_qos_record(bytes("08070605040302010a00"), collect));
  ASSERT_EQ(records.size(), 1u);
  // host order on the sender's side reverses the id: its first byte on the wire comes last
  EXPECT_EQ(records[0].first, 0x0807060504030201u);
  EXPECT_EQ(records[0].second, 10);
  for (const std::size_t n : {0u, 1u, 9u, 11u, 1399u, 1401u, 1410u}) {
    EXPECT_FALSE(for_each_qos_record(ByteVector(n), collect)) << n;
  }
  EXPECT_TRUE(for_each_qos_record(ByteVector(1400), collect));
  EXPECT_EQ(records.size(), 141u);
}

TEST(PathNegotiation, ExactlyTwoBytes) {
  EXPECT_EQ(decode_path_negotiation(bytes("fffe")), -2);
  EXPECT_EQ(decode_path_negotiation(bytes("7fff")), 32767);
  EXPECT_FALSE(decode_path_negotiation(bytes("ff")));
  EXPECT_FALSE(decode_path_negotiation(bytes("ffff00")));
}

// Encoders into too little room

TEST(Encoders, FailWhenTheRoomIsTooSmall) {
  const std::vector<std::function<void(Writer&)>> encoders = {
      [](Writer& w) { encode_hello(w, some_hello()); },
      [](Writer& w) { encode_hello_ok(w, {}); },
      [](Writer& w) { encode_ok(w, {}); },
      [](Writer& w) { encode_error(w, {}); },
      [](Writer& w) { encode_rendezvous(w, {}); },
      [](Writer& w) { encode_frame(w, {}); },
      [](Writer& w) { encode_ext_frame(w, {}); },
      [](Writer& w) { encode_gather(w, {}); },
      [](Writer& w) { encode_gather_ok(w, {}); },
      [](Writer& w) { encode_multicast_frame(w, {}); },
      [](Writer& w) { encode_multicast_frame_ok(w, {}); },
      [](Writer& w) { encode_network_config_request(w, {}); },
      [](Writer& w) { encode_config_chunk(w, {}); },
      [](Writer& w) { write_direct_path(w, {}); },
      [](Writer& w) { write_like(w, {}); },
  };
  for (std::size_t i = 0; i < encoders.size(); ++i) {
    const std::size_t size = encoded(encoders[i]).size() / 2;
    ASSERT_GT(size, 0u);
    for (std::size_t n = 0; n < size; ++n) {
      ByteVector room(n);
      Writer w(room);
      encoders[i](w);
      EXPECT_FALSE(w.ok()) << i << " in " << n;
    }
  }
}

}  // namespace
}  // namespace orrery::wire
