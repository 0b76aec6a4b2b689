#include "crypto/curve_reference.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace orrery::test {
namespace {

void require(bool good) {
  if (good) return;
  std::fputs("curve_reference: OpenSSL failed where it must not\n", stderr);
  std::abort();
}

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }

  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};

using Key = std::unique_ptr<EVP_PKEY, Free>;

Key private_key(int type, const Bytes32& bytes) {
  Key key(EVP_PKEY_new_raw_private_key(type, nullptr, bytes.data(), bytes.size()));
  require(key != nullptr);
  return key;
}

Bytes32 public_half(const Key& key) {
  Bytes32 result;
  std::size_t size = result.size();
  require(EVP_PKEY_get_raw_public_key(key.get(), result.data(), &size) == 1);
  return result;
}

BN_CTX* context() {
  static const std::unique_ptr<BN_CTX, Free> kContext(BN_CTX_new());
  return kContext.get();
}

const BIGNUM* from_digits(const char* hex) {
  BIGNUM* number = nullptr;
  require(BN_hex2bn(&number, hex) != 0);
  return number;
}

}  // namespace

Bytes32 from_hex32(std::string_view text) {
  const auto bytes = from_hex(text);
  require(bytes && bytes->size() == 32);
  return first_of<32>(*bytes);
}

std::optional<Bytes32> openssl_x25519(const Bytes32& scalar, const Bytes32& u) {
  const Key mine = private_key(EVP_PKEY_X25519, scalar);
  const Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, u.data(), u.size()));
  const std::unique_ptr<EVP_PKEY_CTX, Free> derive(EVP_PKEY_CTX_new(mine.get(), nullptr));
  require(theirs && derive && EVP_PKEY_derive_init(derive.get()) == 1 &&
          EVP_PKEY_derive_set_peer(derive.get(), theirs.get()) == 1);
  Bytes32 result;
  std::size_t size = result.size();
  if (EVP_PKEY_derive(derive.get(), result.data(), &size) != 1) return std::nullopt;
  return result;
}

Bytes32 openssl_x25519_public(const Bytes32& scalar) {
  return public_half(private_key(EVP_PKEY_X25519, scalar));
}

Bytes32 openssl_ed25519_public(const Bytes32& seed) {
  return public_half(private_key(EVP_PKEY_ED25519, seed));
}

Bytes64 openssl_ed25519_sign(const Bytes32& seed, Bytes message) {
  const Key key = private_key(EVP_PKEY_ED25519, seed);
  const std::unique_ptr<EVP_MD_CTX, Free> md(EVP_MD_CTX_new());
  Bytes64 signature;
  std::size_t size = signature.size();
  require(EVP_DigestSignInit(md.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
          EVP_DigestSign(md.get(), signature.data(), &size, message.data(), message.size()) == 1);
  return signature;
}

bool openssl_ed25519_verify(const Bytes32& public_key, Bytes message, Bytes signature64) {
  const Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const std::unique_ptr<EVP_MD_CTX, Free> md(EVP_MD_CTX_new());
  require(key && EVP_DigestVerifyInit(md.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  return EVP_DigestVerify(md.get(), signature64.data(), signature64.size(), message.data(),
                          message.size()) == 1;
}

Bytes64 openssl_sha512(Bytes message) {
  Bytes64 digest;
  require(EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha512(),
                     nullptr) == 1);
  return digest;
}

const BIGNUM* field_prime() {
  static const BIGNUM* const kPrime =
      from_digits("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
  return kPrime;
}

const BIGNUM* group_order() {
  static const BIGNUM* const kOrder =
      from_digits("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
  return kOrder;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus>::Residue(unsigned value) : value_(BN_new()) {
  require(value_ != nullptr && BN_set_word(value_, value) == 1);
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus>::Residue(const Residue& other) : value_(BN_dup(other.value_)) {
  require(value_ != nullptr);
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus>& Residue<kModulus>::operator=(const Residue& other) {
  require(BN_copy(value_, other.value_) != nullptr);
  return *this;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus>::~Residue() {
  BN_free(value_);
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::of(Bytes little_endian) {
  Residue result;
  require(BN_lebin2bn(little_endian.data(), static_cast<int>(little_endian.size()),
                      result.value_) != nullptr &&
          BN_nnmod(result.value_, result.value_, kModulus(), context()) == 1);
  return result;
}

template <const BIGNUM* (*kModulus)()>
Bytes32 Residue<kModulus>::bytes() const {
  Bytes32 result;
  require(BN_bn2lebinpad(value_, result.data(), result.size()) == 32);
  return result;
}

template <const BIGNUM* (*kModulus)()>
bool Residue<kModulus>::is_odd() const {
  return BN_is_odd(value_) == 1;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::plus(const Residue& other) const {
  Residue result;
  require(BN_mod_add(result.value_, value_, other.value_, kModulus(), context()) == 1);
  return result;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::minus(const Residue& other) const {
  Residue result;
  require(BN_mod_sub(result.value_, value_, other.value_, kModulus(), context()) == 1);
  return result;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::times(const Residue& other) const {
  Residue result;
  require(BN_mod_mul(result.value_, value_, other.value_, kModulus(), context()) == 1);
  return result;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::power(const BIGNUM* exponent) const {
  Residue result;
  require(BN_mod_exp(result.value_, value_, exponent, kModulus(), context()) == 1);
  return result;
}

template <const BIGNUM* (*kModulus)()>
Residue<kModulus> Residue<kModulus>::inverse() const {
  if (BN_is_zero(value_)) return {};
  Residue result;
  require(BN_mod_inverse(result.value_, value_, kModulus(), context()) != nullptr);
  return result;
}

template <const BIGNUM* (*kModulus)()>
std::optional<Residue<kModulus>> Residue<kModulus>::root() const {
  require(kModulus == field_prime);
  // p = 5 mod 8: the root is a^((p+3)/8) or that times 2^((p-1)/4). Source: RFC 8032 section 5.1.1.
  static const BIGNUM* const kEighth =
      from_digits("0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe");
  static const BIGNUM* const kQuarter =
      from_digits("1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffb");
  const Residue candidate = power(kEighth);
  if (candidate * candidate == *this) return candidate;
  const Residue other = candidate * Residue(2).power(kQuarter);
  if (other * other == *this) return other;
  return std::nullopt;
}

template class Residue<field_prime>;
template class Residue<group_order>;

Bytes32 clamped(Bytes32 scalar) {
  scalar[0] &= 0xf8;
  scalar[31] = static_cast<std::uint8_t>((scalar[31] & 0x7f) | 0x40);
  return scalar;
}

Bytes32 montgomery_multiple(const Bytes32& k, const Bytes32& u) {
  Bytes32 low = u;
  low[31] &= 0x7f;
  const Field x1 = Field::of(low);
  const Field a24(121665);
  Field x2(1), z2(0), x3 = x1, z3(1);
  for (unsigned t = 256; t-- > 0;) {
    const bool swap = ((k[t / 8] >> (t % 8)) & 1) != 0;
    if (swap) {
      std::swap(x2, x3);
      std::swap(z2, z3);
    }
    const Field a = x2 + z2, b = x2 - z2;
    const Field aa = a * a, bb = b * b, e = aa - bb;
    const Field da = (x3 - z3) * a, cb = (x3 + z3) * b;
    x3 = (da + cb) * (da + cb);
    z3 = x1 * ((da - cb) * (da - cb));
    x2 = aa * bb;
    z2 = e * (aa + a24 * e);
    if (swap) {
      std::swap(x2, x3);
      std::swap(z2, z3);
    }
  }
  return (x2 * z2.inverse()).bytes();
}

bool on_curve25519(const Bytes32& u) {
  Bytes32 low = u;
  low[31] &= 0x7f;
  const Field x = Field::of(low);
  return (x * (x * x + Field(486662) * x + Field(1))).root().has_value();
}

namespace {

/// d of edwards25519: -121665 / 121666.
const Field& curve_d() {
  static const Field kD = (Field(0) - Field(121665)) * Field(121666).inverse();
  return kD;
}

}  // namespace

EdwardsPoint EdwardsPoint::identity() {
  return {Field(0), Field(1)};
}

EdwardsPoint EdwardsPoint::base() {
  return *of((Field(4) * Field(5).inverse()).bytes());
}

std::optional<EdwardsPoint> EdwardsPoint::of(const Bytes32& encoding) {
  Bytes32 low = encoding;
  low[31] &= 0x7f;
  const bool sign = (encoding[31] & 0x80) != 0;
  const Field y = Field::of(low);
  const Field yy = y * y;
  auto x = ((yy - Field(1)) * (curve_d() * yy + Field(1)).inverse()).root();
  if (!x) return std::nullopt;
  // 0 has no other sign: RFC 8032 refuses that, this does not.
  if (x->is_odd() != sign) x = Field(0) - *x;
  return EdwardsPoint{*x, y};
}

const EdwardsPoint& EdwardsPoint::torsion() {
  static const EdwardsPoint kTorsion = [] {
    Bytes32 order;
    require(BN_bn2lebinpad(group_order(), order.data(), 32) == 32);
    const Bytes32 four = {4};
    for (unsigned y = 2;; ++y) {
      const auto point = of(Field(y).bytes());
      if (!point) continue;
      const EdwardsPoint t = order * *point;
      if (!(four * t == identity())) return t;
    }
  }();
  return kTorsion;
}

Bytes32 EdwardsPoint::bytes() const {
  Bytes32 result = y.bytes();
  if (x.is_odd()) result[31] |= 0x80;
  return result;
}

EdwardsPoint EdwardsPoint::negative() const {
  return {Field(0) - x, y};
}

EdwardsPoint operator+(const EdwardsPoint& a, const EdwardsPoint& b) {
  // Source: RFC 8032 section 5.1, the affine law before projective coordinates.
  const Field xy = a.x * b.y, yx = a.y * b.x;
  const Field d = curve_d() * xy * yx;
  return {(xy + yx) * (Field(1) + d).inverse(), (a.y * b.y + a.x * b.x) * (Field(1) - d).inverse()};
}

EdwardsPoint operator*(const Bytes32& scalar, const EdwardsPoint& point) {
  EdwardsPoint result = EdwardsPoint::identity();
  for (unsigned t = 256; t-- > 0;) {
    result = result + result;
    if ((scalar[t / 8] >> (t % 8)) & 1) result = result + point;
  }
  return result;
}

Scalar ed25519_challenge(const Bytes32& r, const Bytes32& public_key, Bytes message) {
  ByteVector input(r.begin(), r.end());
  input.insert(input.end(), public_key.begin(), public_key.end());
  input.insert(input.end(), message.begin(), message.end());
  return Scalar::of(openssl_sha512(input));
}

Scalar ed25519_scalar(const Bytes32& seed) {
  return Scalar::of(clamped(first_of<32>(openssl_sha512(seed))));
}

bool ed25519_equation_holds(const Bytes32& public_key, Bytes message, const Bytes64& signature) {
  const Bytes32 r_bytes = first_of<32>(signature);
  const Bytes32 s = first_of<32>(Bytes(signature).subspan(32));
  const auto a = EdwardsPoint::of(public_key);
  const auto r = EdwardsPoint::of(r_bytes);
  if (!a || !r) return false;
  const Bytes32 k = ed25519_challenge(r_bytes, public_key, message).bytes();
  return s * EdwardsPoint::base() == *r + k * *a;
}

}  // namespace orrery::test
