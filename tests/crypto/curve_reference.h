// Second opinions for curve_test.cc: OpenSSL's X25519 and Ed25519, and the two curves as the RFCs
// define them, in affine coordinates over OpenSSL's big numbers. Slow and not in constant time; for
// tests only.
//
// The definition is more permissive than any library: it takes every encoding modulo p and every
// scalar modulo the group's order, and asks only whether the equation holds. So a test can show
// that a case was refused for its form, and not because its numbers were wrong.
// Source: RFC 7748 sections 4.1, 5; RFC 8032 section 5.1.
#pragma once

#include <openssl/bn.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace orrery::test {

/// Number, scalar or point, little-endian.
using Bytes32 = std::array<std::uint8_t, 32>;
using Bytes64 = std::array<std::uint8_t, 64>;

/// The first N of hexadecimal digits or bytes. REQUIRES: there are that many.
template <std::size_t N>
std::array<std::uint8_t, N> first_of(Bytes bytes) {
  std::array<std::uint8_t, N> result;
  std::copy_n(bytes.begin(), N, result.begin());
  return result;
}

Bytes32 from_hex32(std::string_view text);

/// OpenSSL's. Nothing: it refuses the point (all-zero result).
std::optional<Bytes32> openssl_x25519(const Bytes32& scalar, const Bytes32& u);
Bytes32 openssl_x25519_public(const Bytes32& scalar);
Bytes32 openssl_ed25519_public(const Bytes32& seed);
Bytes64 openssl_ed25519_sign(const Bytes32& seed, Bytes message);
bool openssl_ed25519_verify(const Bytes32& public_key, Bytes message, Bytes signature64);
Bytes64 openssl_sha512(Bytes message);

/// 2^255 - 19.
const BIGNUM* field_prime();
/// Order of the base point: 2^252 + 27742317777372353535851937790883648493.
const BIGNUM* group_order();

/// A number modulo one of them.
template <const BIGNUM* (*kModulus)()>
class Residue {
 public:
  Residue(unsigned value = 0);
  Residue(const Residue& other);
  Residue& operator=(const Residue& other);
  ~Residue();

  /// Any length, reduced.
  static Residue of(Bytes little_endian);

  [[nodiscard]] Bytes32 bytes() const;
  [[nodiscard]] bool is_odd() const;

  friend Residue operator+(const Residue& a, const Residue& b) { return a.plus(b); }

  friend Residue operator-(const Residue& a, const Residue& b) { return a.minus(b); }

  friend Residue operator*(const Residue& a, const Residue& b) { return a.times(b); }

  friend bool operator==(const Residue& a, const Residue& b) {
    return BN_cmp(a.value_, b.value_) == 0;
  }

  /// 1/a; 0 of 0.
  [[nodiscard]] Residue inverse() const;
  /// REQUIRES: kModulus is field_prime. A root, if there is one.
  [[nodiscard]] std::optional<Residue> root() const;

 private:
  [[nodiscard]] Residue plus(const Residue& other) const;
  [[nodiscard]] Residue minus(const Residue& other) const;
  [[nodiscard]] Residue times(const Residue& other) const;
  [[nodiscard]] Residue power(const BIGNUM* exponent) const;

  BIGNUM* value_;
};

using Field = Residue<field_prime>;
using Scalar = Residue<group_order>;

/// The clamped form of a private scalar: a multiple of 8 between 2^254 and 2^255.
Bytes32 clamped(Bytes32 scalar);
/// u of the scalar's multiple of a point with this u, top bit of u ignored, scalar not clamped; 0
/// for infinity.
Bytes32 montgomery_multiple(const Bytes32& scalar, const Bytes32& u);

/// X25519 as RFC 7748 section 5 defines it; all zero for a point of low order.
inline Bytes32 x25519_by_definition(const Bytes32& scalar, const Bytes32& u) {
  return montgomery_multiple(clamped(scalar), u);
}

/// Whether u belongs to a point of Curve25519 itself; else it belongs to its twist.
bool on_curve25519(const Bytes32& u);

/// A point of edwards25519.
struct EdwardsPoint {
  Field x, y;

  static EdwardsPoint identity();
  static EdwardsPoint base();
  /// y of 255 bits and the sign of x, y taken modulo p. Nothing if there is no such point.
  static std::optional<EdwardsPoint> of(const Bytes32& encoding);
  /// A point of order 8.
  static const EdwardsPoint& torsion();

  /// The canonical encoding.
  [[nodiscard]] Bytes32 bytes() const;
  [[nodiscard]] EdwardsPoint negative() const;

  friend EdwardsPoint operator+(const EdwardsPoint& a, const EdwardsPoint& b);
  /// A scalar of 256 bits, not reduced.
  friend EdwardsPoint operator*(const Bytes32& scalar, const EdwardsPoint& point);
  friend bool operator==(const EdwardsPoint& a, const EdwardsPoint& b) = default;
};

/// SHA-512(R || A || message) modulo the order.
Scalar ed25519_challenge(const Bytes32& r, const Bytes32& public_key, Bytes message);
/// Secret scalar of a seed.
Scalar ed25519_scalar(const Bytes32& seed);
/// Whether S B = R + k A, whatever the form of the numbers.
bool ed25519_equation_holds(const Bytes32& public_key, Bytes message, const Bytes64& signature);

}  // namespace orrery::test
