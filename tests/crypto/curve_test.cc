// Hostile and odd cases for X25519 and Ed25519 in the manner of Project Wycheproof, made here and
// judged by OpenSSL and by the curves' definitions (curve_reference.h).
#include "crypto/curve.h"

#include <gtest/gtest.h>

#include <random>

#include "crypto/curve_reference.h"

namespace orrery::crypto {
namespace {

using test::Bytes32;
using test::Bytes64;
using test::EdwardsPoint;
using test::Field;
using test::first_of;
using test::from_hex32;
using test::Scalar;

/// The same numbers in every run.
class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}

  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }

  ByteVector bytes(std::size_t n) {
    ByteVector result(n);
    for (std::uint8_t& b : result) b = byte();
    return result;
  }

  Bytes32 bytes32() { return first_of<32>(bytes(32)); }

  wire::PrivateKey key() { return first_of<64>(bytes(64)); }

 private:
  std::mt19937_64 engine_;
};

Bytes32 last_half(const std::array<std::uint8_t, 64>& key) {
  return first_of<32>(Bytes(key).subspan(32));
}

std::array<std::uint8_t, 64> joined(const Bytes32& low, const Bytes32& high) {
  std::array<std::uint8_t, 64> result;
  std::copy_n(low.begin(), 32, result.begin());
  std::copy_n(high.begin(), 32, result.begin() + 32);
  return result;
}

/// a + b, modulo 2^256.
Bytes32 sum(const Bytes32& a, const Bytes32& b) {
  Bytes32 result;
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += a[i] + unsigned{b[i]};
    result[i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return result;
}

Bytes32 small(unsigned value) {
  Bytes32 result = {};
  result[0] = static_cast<std::uint8_t>(value);
  return result;
}

Bytes32 with_top_bit(Bytes32 value) {
  value[31] |= 0x80;
  return value;
}

const Bytes32 kPrime =
    from_hex32("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
const Bytes32 kOrder =
    from_hex32("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

// X25519 ------------------------------------------------------------------------------------------

struct Agreement {
  bool good;
  SharedSecret secret;

  friend bool operator==(const Agreement&, const Agreement&) = default;
};

void PrintTo(const Agreement& a, std::ostream* out) {
  *out << (a.good ? "good " : "refused ") << to_hex(a.secret);
}

Agreement agreement(const Bytes32& scalar, const Bytes32& u) {
  Agreement result{};
  result.good = agree(joined(scalar, {}), joined(u, {}), result.secret);
  return result;
}

/// What agree() has to give for this raw result.
Agreement expected(const Bytes32& raw) {
  return {raw != Bytes32{}, first_of<48>(test::openssl_sha512(raw))};
}

struct NamedPoint {
  const char* name;
  Bytes32 u;
};

// Every encoding below 2^255 of every u whose point has an order of at most 8, on the curve or on
// its twist. Source: https://cr.yp.to/ecdh.html, "How do I validate Curve25519 public keys?".
const NamedPoint kLowOrder[] = {
    {"0", small(0)},
    {"1", small(1)},
    {"order 8", from_hex32("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")},
    {"order 8", from_hex32("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")},
    {"p - 1", from_hex32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")},
    {"p", kPrime},
    {"p + 1", sum(kPrime, small(1))},
};

TEST(X25519, RefusesEveryLowOrderPoint) {
  Dice dice(1);
  for (const NamedPoint& point : kLowOrder) {
    for (const Bytes32& u : {point.u, with_top_bit(point.u)}) {
      for (int i = 0; i < 4; ++i) {
        const Bytes32 scalar = dice.bytes32();
        ASSERT_EQ(test::x25519_by_definition(scalar, u), Bytes32{}) << point.name;
        ASSERT_FALSE(test::openssl_x25519(scalar, u)) << point.name;
        const Agreement result = agreement(scalar, u);
        EXPECT_FALSE(result.good) << point.name;
        EXPECT_EQ(result, expected({})) << point.name;
      }
    }
  }
}

/// That the list above is whole: the points of low order of edwards25519, carried over by
/// u = (1 + y) / (1 - y), and -1, of order 4 on the twist (whose cofactor is 4).
TEST(X25519, TheListOfLowOrderPointsIsWhole) {
  std::vector<Bytes32> found = {(Field(0) - Field(1)).bytes()};
  EdwardsPoint point = EdwardsPoint::torsion();
  for (int i = 1; i < 8; ++i, point = point + EdwardsPoint::torsion())
    found.push_back(((Field(1) + point.y) * (Field(1) - point.y).inverse()).bytes());
  EXPECT_EQ(point, EdwardsPoint::identity());
  for (const Bytes32& u : found) {
    // u and, if it is below 2^255, u + p
    std::vector<Bytes32> encodings = {u};
    if (u[0] < 19 && std::all_of(u.begin() + 1, u.end(), [](auto b) { return b == 0; }))
      encodings.push_back(sum(u, kPrime));
    for (const Bytes32& e : encodings) {
      EXPECT_TRUE(std::any_of(std::begin(kLowOrder), std::end(kLowOrder),
                              [&](const NamedPoint& known) { return known.u == e; }))
          << to_hex(e);
    }
  }
  for (const NamedPoint& known : kLowOrder) {
    EXPECT_NE(std::find(found.begin(), found.end(), Field::of(known.u).bytes()), found.end())
        << known.name;
  }
}

TEST(X25519, TakesNonCanonicalCoordinatesModuloP) {
  Dice dice(2);
  for (unsigned i = 0; i < 19; ++i) {
    const Bytes32 scalar = dice.bytes32();
    const Agreement reduced = agreement(scalar, small(i));
    EXPECT_EQ(reduced, expected(test::x25519_by_definition(scalar, small(i)))) << i;
    const Bytes32 u = sum(kPrime, small(i));
    ASSERT_EQ(u[31], 0x7f);
    EXPECT_EQ(agreement(scalar, u), reduced) << i;
    EXPECT_EQ(agreement(scalar, with_top_bit(u)), reduced) << i;
  }
}

TEST(X25519, IgnoresTheTopBit) {
  Dice dice(3);
  for (int i = 0; i < 64; ++i) {
    const Bytes32 scalar = dice.bytes32();
    Bytes32 u = dice.bytes32();
    u[31] &= 0x7f;
    const Agreement clear = agreement(scalar, u);
    EXPECT_TRUE(clear.good);
    EXPECT_EQ(agreement(scalar, with_top_bit(u)), clear);
  }
}

TEST(X25519, ClampsEveryScalarAlike) {
  Dice dice(4);
  for (int i = 0; i < 8; ++i) {
    Bytes32 scalar = i == 0 ? Bytes32{} : dice.bytes32();
    if (i == 1) scalar.fill(0xff);
    const Bytes32 u = dice.bytes32();
    const Agreement by_definition = expected(test::x25519_by_definition(scalar, u));
    const Bytes32 open = test::x25519_by_definition(scalar, small(9));
    for (unsigned low = 0; low < 8; ++low) {
      for (unsigned high = 0; high < 4; ++high) {
        scalar[0] = static_cast<std::uint8_t>((scalar[0] & 0xf8) | low);
        scalar[31] = static_cast<std::uint8_t>((scalar[31] & 0x3f) | (high << 6));
        const auto second = test::openssl_x25519(scalar, u);
        ASSERT_TRUE(second);
        EXPECT_EQ(expected(*second), by_definition);
        EXPECT_EQ(agreement(scalar, u), by_definition) << low << ' ' << high;
        EXPECT_EQ(first_of<32>(public_key_of(joined(scalar, {}))), open) << low << ' ' << high;
      }
    }
  }
}

TEST(X25519, AgreesOnTheTwistToo) {
  Dice dice(5);
  int curve = 0, twist = 0;
  while (curve < 10 || twist < 10) {
    const Bytes32 scalar = dice.bytes32();
    const Bytes32 u = dice.bytes32();
    int& count = test::on_curve25519(u) ? curve : twist;
    if (++count > 10) continue;
    const Bytes32 raw = test::x25519_by_definition(scalar, u);
    EXPECT_EQ(test::openssl_x25519(scalar, u), raw);
    EXPECT_EQ(agreement(scalar, u), expected(raw));
  }
}

/// Raw results at both ends of the field, where a sloppy last reduction shows: the point is the
/// wanted one divided by the scalar.
TEST(X25519, ReducesResultsNearZeroAndNearP) {
  Dice dice(6);
  int tried = 0;
  for (unsigned i = 2; i < 40; ++i) {
    for (const Bytes32& wanted : {small(i), (Field(0) - Field(i)).bytes()}) {
      if (!test::on_curve25519(wanted)) continue;
      const Bytes32 scalar = dice.bytes32();
      const Bytes32 inverse = Scalar::of(test::clamped(scalar)).inverse().bytes();
      const Bytes32 u = test::montgomery_multiple(inverse, wanted);
      // Else the wanted point is not in the group of prime order.
      if (test::x25519_by_definition(scalar, u) != wanted) continue;
      EXPECT_EQ(agreement(scalar, u), expected(wanted)) << i;
      ++tried;
    }
  }
  EXPECT_GE(tried, 4);
}

TEST(X25519, Rfc7748Vectors) {
  struct Row {
    const char *scalar, *u, *raw;
  };

  // section 5.2, and both views of section 6.1
  const Row rows[] = {
      {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
       "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
       "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
      {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
       "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
       "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
      {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
       "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
       "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
      {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
       "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
       "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
  };
  for (const Row& row : rows) {
    const Bytes32 scalar = from_hex32(row.scalar), u = from_hex32(row.u);
    EXPECT_EQ(to_hex(test::x25519_by_definition(scalar, u)), row.raw);
    EXPECT_EQ(agreement(scalar, u), expected(from_hex32(row.raw)));
  }
  EXPECT_EQ(first_of<32>(public_key_of(joined(from_hex32(rows[2].scalar), {}))),
            from_hex32(rows[3].u));
  EXPECT_EQ(first_of<32>(public_key_of(joined(from_hex32(rows[3].scalar), {}))),
            from_hex32(rows[2].u));
}

/// Section 5.2. Our agreement shows a digest of the raw result only, so OpenSSL carries the chain
/// on and ours is held against it at every step.
TEST(X25519, Rfc7748Iterated) {
  Bytes32 k = small(9), u = small(9);
  EXPECT_EQ(to_hex(Bytes(public_key_of(joined(k, {}))).first(32)),
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  for (int i = 1; i <= 1000; ++i) {
    const auto raw = test::openssl_x25519(k, u);
    ASSERT_TRUE(raw);
    ASSERT_EQ(agreement(k, u), expected(*raw)) << i;
    u = std::exchange(k, *raw);
    if (i == 1) {
      EXPECT_EQ(to_hex(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(to_hex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519, EqualsOpenSslOnRandomPairs) {
  Dice dice(7);
  for (int i = 0; i < 500; ++i) {
    const wire::PrivateKey a = dice.key(), b = dice.key();
    const wire::PublicKey open_a = public_key_of(a), open_b = public_key_of(b);
    ASSERT_EQ(first_of<32>(open_a), test::openssl_x25519_public(first_of<32>(a)));
    const auto raw = test::openssl_x25519(first_of<32>(a), first_of<32>(open_b));
    ASSERT_TRUE(raw);
    SharedSecret at_a, at_b;
    ASSERT_TRUE(agree(a, open_b, at_a));
    ASSERT_TRUE(agree(b, open_a, at_b));
    ASSERT_EQ(at_a, at_b);
    ASSERT_EQ(at_a, expected(*raw).secret);
  }
}

TEST(X25519, AgreesOnAnyNumberOfBytes) {
  Dice dice(8);
  const wire::PrivateKey mine = dice.key();
  const wire::PublicKey theirs = public_key_of(dice.key());
  const Bytes32 raw = *test::openssl_x25519(first_of<32>(mine), first_of<32>(theirs));
  ByteVector all;
  Bytes64 digest = test::openssl_sha512(raw);
  while (all.size() < 256) {
    all.insert(all.end(), digest.begin(), digest.end());
    digest = test::openssl_sha512(digest);
  }
  for (std::size_t n = 0; n <= all.size(); ++n) {
    ByteVector out(n);
    ASSERT_TRUE(agree_bytes(mine, theirs, out));
    ASSERT_TRUE(std::equal(out.begin(), out.end(), all.begin())) << n;
  }
}

// Ed25519 -----------------------------------------------------------------------------------------

/// The first half of a message's SHA-512: what is signed.
Bytes32 digest_of(Bytes message) {
  return first_of<32>(test::openssl_sha512(message));
}

Signature with_digest(const Bytes32& r, const Bytes32& s, Bytes message) {
  Signature result;
  std::copy_n(r.begin(), 32, result.begin());
  std::copy_n(s.begin(), 32, result.begin() + 32);
  std::copy_n(digest_of(message).begin(), 32, result.begin() + 64);
  return result;
}

/// Whether the numbers of a signature are right, whatever their form.
bool equation_holds(const Bytes32& public_key, Bytes message, const Signature& signature) {
  return test::ed25519_equation_holds(public_key, digest_of(message), first_of<64>(signature));
}

bool verifies(const Bytes32& public_key, Bytes message, Bytes signature) {
  return verify(joined({}, public_key), message, signature);
}

/// A key, a message and their signature.
struct Signed {
  wire::PrivateKey key;
  wire::PublicKey open;
  ByteVector message;
  Signature signature;

  Signed(Dice& dice, std::size_t length)
      : key(dice.key()),
        open(public_key_of(key)),
        message(dice.bytes(length)),
        signature(sign(key, open, message)) {}

  [[nodiscard]] Bytes32 r() const { return first_of<32>(signature); }

  [[nodiscard]] Bytes32 s() const { return first_of<32>(Bytes(signature).subspan(32)); }

  [[nodiscard]] Bytes32 verifier() const { return last_half(open); }
};

/// Section 7.1 of RFC 8032. We sign nothing but digests, so its signatures are OpenSSL's to give
/// here, which shows that the second opinion below is one.
TEST(Ed25519, Rfc8032Vectors) {
  struct Row {
    const char *seed, *open, *message, *signature;
  };

  const Row rows[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9"
       "b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "1"
       "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
       "d"
       "c6594a7c15e9716ed28dc027beceea1ec40a"},
      {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
       "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3f"
       "e"
       "ebbd454d4423643ce80e2a9ac94fa54ca49f",
       "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6643"
       "1"
       "e0303dca179c138ac17ad9bef1177331a704"},
  };
  for (const Row& row : rows) {
    const Bytes32 seed = from_hex32(row.seed), open = from_hex32(row.open);
    const ByteVector message = *from_hex(row.message);
    EXPECT_EQ(last_half(public_key_of(joined({}, seed))), open);
    EXPECT_EQ((test::ed25519_scalar(seed).bytes() * EdwardsPoint::base()).bytes(), open);
    const Bytes64 signature = test::openssl_ed25519_sign(seed, message);
    EXPECT_EQ(to_hex(signature), row.signature);
    EXPECT_TRUE(test::openssl_ed25519_verify(open, message, signature));
    EXPECT_TRUE(test::ed25519_equation_holds(open, message, signature));
    // Ours over the message itself is another one.
    EXPECT_NE(first_of<64>(sign(joined({}, seed), joined({}, open), message)), signature);
  }
}

TEST(Ed25519, SignaturesEqualOpenSslsOverTheDigest) {
  Dice dice(20);
  for (std::size_t i = 0; i < 200; ++i) {
    const Signed made(dice, i);
    const Bytes32 seed = last_half(made.key);
    ASSERT_EQ(made.verifier(), test::openssl_ed25519_public(seed));
    const Bytes32 digest = digest_of(made.message);
    const Bytes64 second = test::openssl_ed25519_sign(seed, digest);
    ASSERT_EQ(to_hex(Bytes(made.signature).first(64)), to_hex(second));
    ASSERT_EQ(to_hex(Bytes(made.signature).subspan(64)), to_hex(digest));
    ASSERT_TRUE(verify(made.open, made.message, made.signature));
    ASSERT_TRUE(test::openssl_ed25519_verify(made.verifier(), digest, second));
  }
}

TEST(Ed25519, RefusesEveryFlippedBit) {
  Dice dice(21);
  for (const std::size_t length : {0, 1, 77}) {
    Signed made(dice, length);
    ASSERT_TRUE(verify(made.open, made.message, made.signature));
    for (std::size_t bit = 0; bit < 8 * made.signature.size(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(1 << (bit % 8));
      made.signature[bit / 8] ^= mask;
      EXPECT_FALSE(verify(made.open, made.message, made.signature)) << "signature, bit " << bit;
      made.signature[bit / 8] ^= mask;
    }
    for (std::size_t bit = 0; bit < 8 * made.open.size(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(1 << (bit % 8));
      made.open[bit / 8] ^= mask;
      // The first half is for agreements and takes no part.
      EXPECT_EQ(verify(made.open, made.message, made.signature), bit < 256) << "key, bit " << bit;
      made.open[bit / 8] ^= mask;
    }
    for (std::size_t bit = 0; bit < 8 * made.message.size(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(1 << (bit % 8));
      made.message[bit / 8] ^= mask;
      EXPECT_FALSE(verify(made.open, made.message, made.signature)) << "message, bit " << bit;
      // Nor when the digest is made to fit it.
      EXPECT_FALSE(verify(made.open, made.message, with_digest(made.r(), made.s(), made.message)));
      made.message[bit / 8] ^= mask;
    }
    EXPECT_TRUE(verify(made.open, made.message, made.signature));
  }
}

TEST(Ed25519, RefusesOtherMessages) {
  Dice dice(22);
  const Signed one(dice, 40), other(dice, 40);
  EXPECT_FALSE(verify(one.open, other.message, one.signature));
  EXPECT_FALSE(verify(other.open, one.message, one.signature));
  EXPECT_FALSE(verify(one.open, {}, one.signature));
  ByteVector message = one.message;
  message.pop_back();
  EXPECT_FALSE(verify(one.open, message, one.signature));
  message = one.message;
  message.push_back(0);
  EXPECT_FALSE(verify(one.open, message, one.signature));
  // Halves of two signatures, and a digest without one.
  EXPECT_FALSE(verify(one.open, one.message, with_digest(one.r(), other.s(), one.message)));
  EXPECT_FALSE(verify(one.open, one.message, with_digest(other.r(), one.s(), one.message)));
  EXPECT_FALSE(verify(one.open, one.message, with_digest({}, {}, one.message)));
}

TEST(Ed25519, RefusesEveryOtherLength) {
  Dice dice(23);
  const Signed made(dice, 33);
  ByteVector longer(made.signature.begin(), made.signature.end());
  longer.insert(longer.end(), made.signature.begin(), made.signature.end());
  for (std::size_t n = 0; n <= longer.size(); ++n) {
    // A copy of that very size, so that reading beyond it is seen.
    const ByteVector cut(longer.begin(), longer.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_EQ(verify(made.open, made.message, cut), n == 96) << n;
  }
}

/// S + L, S + 2 L, ... are the same scalar: only the smallest is a signature.
TEST(Ed25519, RefusesScalarsBeyondTheOrder) {
  Dice dice(24);
  for (int i = 0; i < 20; ++i) {
    const Signed made(dice, 20);
    Bytes32 s = made.s();
    for (int multiple = 1;; ++multiple) {
      const Bytes32 next = sum(s, kOrder);
      if (std::lexicographical_compare(next.rbegin(), next.rend(), s.rbegin(), s.rend())) {
        EXPECT_EQ(multiple, 16);
        break;  // beyond 2^256
      }
      s = next;
      const Signature signature = with_digest(made.r(), s, made.message);
      if (multiple == 1) {
        EXPECT_TRUE(equation_holds(made.verifier(), made.message, signature));
      }
      EXPECT_FALSE(verify(made.open, made.message, signature)) << multiple;
    }
    for (const unsigned high : {0x10, 0x20, 0x40, 0x80, 0xe0, 0xf0}) {
      s = made.s();
      s[31] = static_cast<std::uint8_t>(s[31] | high);
      if (s == made.s()) continue;
      EXPECT_FALSE(verify(made.open, made.message, with_digest(made.r(), s, made.message))) << high;
    }
  }
  Bytes32 ones;
  ones.fill(0xff);
  const Signed made(dice, 20);
  for (const Bytes32& s : {kOrder, sum(kOrder, small(1)), ones, sum(kOrder, ones)})
    EXPECT_FALSE(verify(made.open, made.message, with_digest(made.r(), s, made.message)));
}

/// All encodings of the points of an order up to 8, canonical or not.
std::vector<Bytes32> low_order_encodings() {
  std::vector<Bytes32> result;
  EdwardsPoint point = EdwardsPoint::identity();
  for (int i = 0; i < 8; ++i, point = point + EdwardsPoint::torsion()) {
    const Bytes32 y = point.y.bytes();
    const bool beyond = point.y == Field(0) || point.y == Field(1);  // y + p fits into 255 bits
    for (const Bytes32& form : {y, sum(y, kPrime)}) {
      if (form != y && !beyond) continue;
      for (const bool sign : {false, true}) {
        if (point.x == Field(0) || sign == point.x.is_odd())
          result.push_back(sign ? with_top_bit(form) : form);
      }
    }
  }
  return result;
}

/// Signs for a public key that is a B and perhaps a point of low order besides, S = r + k a, with a
/// nonce r such that the challenge k is `remainder` modulo 8. So 0 hides that point, 1 shows it.
Signature signature_with_challenge(Dice& dice, unsigned remainder, const Scalar& a,
                                   const Bytes32& public_key, Bytes message) {
  const Bytes32 first = dice.bytes32();
  Scalar r = Scalar::of(first);
  for (EdwardsPoint point = first * EdwardsPoint::base();;
       point = point + EdwardsPoint::base(), r = r + Scalar(1)) {
    const Bytes32 r_bytes = point.bytes();
    const Scalar k = test::ed25519_challenge(r_bytes, public_key, digest_of(message));
    if (k.bytes()[0] % 8 == remainder) return with_digest(r_bytes, (r + k * a).bytes(), message);
  }
}

/// Under such a key a signature can be made for any message without any secret. libsodium refuses
/// the key.
TEST(Ed25519, RefusesPublicKeysOfLowOrder) {
  Dice dice(25);
  const auto encodings = low_order_encodings();
  EXPECT_EQ(encodings.size(), 14U);
  for (const Bytes32& key : encodings) {
    const ByteVector message = dice.bytes(30);
    const Signature signature = signature_with_challenge(dice, 0, 0, key, message);
    ASSERT_TRUE(equation_holds(key, message, signature)) << to_hex(key);
    EXPECT_FALSE(verifies(key, message, signature)) << to_hex(key);
  }
}

/// With R of low order and S = k a the equation holds for R = 0, and up to the cofactor for the
/// others. libsodium refuses all of them, however encoded.
TEST(Ed25519, RefusesNoncesOfLowOrder) {
  Dice dice(26);
  const Signed made(dice, 30);
  const Scalar a = test::ed25519_scalar(last_half(made.key));
  int held = 0;
  for (const Bytes32& r : low_order_encodings()) {
    const Scalar k = test::ed25519_challenge(r, made.verifier(), digest_of(made.message));
    const Signature signature = with_digest(r, (k * a).bytes(), made.message);
    if (equation_holds(made.verifier(), made.message, signature)) ++held;
    EXPECT_FALSE(verify(made.open, made.message, signature)) << to_hex(r);
  }
  EXPECT_EQ(held, 4);  // those of R = 0
}

/// R moved by a point of low order: only a verifier that multiplies by the cofactor would take it.
TEST(Ed25519, RefusesNoncesMovedByLowOrder) {
  Dice dice(27);
  const Signed made(dice, 30);
  const Scalar a = test::ed25519_scalar(last_half(made.key));
  const Bytes32 r = test::clamped(dice.bytes32());
  EdwardsPoint point = r * EdwardsPoint::base();
  for (int i = 0; i < 8; ++i, point = point + EdwardsPoint::torsion()) {
    const Bytes32 r_bytes = point.bytes();
    const Scalar k = test::ed25519_challenge(r_bytes, made.verifier(), digest_of(made.message));
    const Signature signature = with_digest(r_bytes, (Scalar::of(r) + k * a).bytes(), made.message);
    EXPECT_EQ(verify(made.open, made.message, signature), i == 0) << i;
    EXPECT_EQ(equation_holds(made.verifier(), made.message, signature), i == 0) << i;
  }
}

/// Encodings with y from p on, or with a sign that x = 0 has not: as public key and as R.
TEST(Ed25519, RefusesNonCanonicalPoints) {
  Dice dice(28);
  const Signed made(dice, 30);
  int points = 0;
  for (unsigned i = 0; i < 19; ++i) {
    for (const bool sign : {false, true}) {
      Bytes32 encoding = sum(kPrime, small(i));
      if (sign) encoding = with_top_bit(encoding);
      if (EdwardsPoint::of(encoding)) ++points;
      EXPECT_FALSE(verifies(encoding, made.message, made.signature)) << i;
      // S = 0, R = 0: what is right if the challenge takes the key to 0
      EXPECT_FALSE(verifies(encoding, made.message, with_digest(small(1), {}, made.message))) << i;
      EXPECT_FALSE(verify(made.open, made.message, with_digest(encoding, {}, made.message))) << i;
      EXPECT_FALSE(verify(made.open, made.message, with_digest(encoding, made.s(), made.message)));
    }
  }
  EXPECT_GE(points, 4);
}

/// Half of all y belong to no point.
TEST(Ed25519, RefusesKeysThatAreNoPoint) {
  Dice dice(29);
  const Signed made(dice, 30);
  for (int refused = 0; refused < 20;) {
    const Bytes32 key = dice.bytes32();
    if (EdwardsPoint::of(key)) continue;
    ++refused;
    EXPECT_FALSE(verifies(key, made.message, made.signature)) << to_hex(key);
  }
}

/// A key with a part of low order is not refused as such: the equation without cofactor decides, as
/// in OpenSSL and zerotier-one. Its owner alone can make one, and gains an odd key.
TEST(Ed25519, JudgesKeysOfMixedOrderByTheEquation) {
  Dice dice(30);
  const Signed made(dice, 30);
  const Scalar a = test::ed25519_scalar(last_half(made.key));
  EdwardsPoint point = *EdwardsPoint::of(made.verifier());
  for (int i = 0; i < 8; ++i, point = point + EdwardsPoint::torsion()) {
    const Bytes32 key = point.bytes();
    const Signature hidden = signature_with_challenge(dice, 0, a, key, made.message);
    ASSERT_TRUE(equation_holds(key, made.message, hidden));
    EXPECT_TRUE(verifies(key, made.message, hidden)) << i;
    EXPECT_TRUE(test::openssl_ed25519_verify(key, digest_of(made.message), first_of<64>(hidden)));
    const Signature shown = signature_with_challenge(dice, 1, a, key, made.message);
    ASSERT_EQ(equation_holds(key, made.message, shown), i == 0);
    EXPECT_EQ(verifies(key, made.message, shown), i == 0) << i;
    EXPECT_EQ(test::openssl_ed25519_verify(key, digest_of(made.message), first_of<64>(shown)),
              i == 0);
  }
}

}  // namespace
}  // namespace orrery::crypto
