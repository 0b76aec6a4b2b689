// Big-endian Reader and Writer over borrowed bytes. Failure sticks: after a read past the end every
// further read yields zero or an empty view and ok() stays false, so a parser checks once, at its
// end.
#pragma once

#include "base/bytes.h"

namespace orrery {

class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }

  [[nodiscard]] std::size_t position() const { return position_; }

  [[nodiscard]] std::size_t remaining() const { return ok_ ? bytes_.size() - position_ : 0; }

  void fail() { ok_ = false; }

  std::uint8_t u8() {
    const Bytes b = bytes(1);
    return b.empty() ? std::uint8_t{0} : b[0];
  }

  std::uint16_t u16() {
    const Bytes b = bytes(2);
    return b.empty() ? std::uint16_t{0} : load_be16(b.data());
  }

  std::uint32_t u32() {
    const Bytes b = bytes(4);
    return b.empty() ? 0 : load_be32(b.data());
  }

  /// A 40-bit number, the form of a node address.
  std::uint64_t u40() {
    const Bytes b = bytes(5);
    return b.empty() ? 0 : (std::uint64_t{b[0]} << 32) | load_be32(b.data() + 1);
  }

  std::uint64_t u64() {
    const Bytes b = bytes(8);
    return b.empty() ? 0 : load_be64(b.data());
  }

  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }

  /// The next n bytes; a view into the source. Empty after failure.
  Bytes bytes(std::size_t n) {
    if (!ok_ || n > bytes_.size() - position_) {
      ok_ = false;
      return {};
    }
    const Bytes b = bytes_.subspan(position_, n);
    position_ += n;
    return b;
  }

  void skip(std::size_t n) { (void)bytes(n); }

  /// All that is left; position moves to the end.
  Bytes rest() { return bytes(remaining()); }

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(MutableBytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }

  [[nodiscard]] std::size_t size() const { return size_; }

  [[nodiscard]] std::size_t remaining() const { return ok_ ? bytes_.size() - size_ : 0; }

  /// What has been written so far; valid as long as the target.
  [[nodiscard]] Bytes written() const { return bytes_.first(size_); }

  void fail() { ok_ = false; }

  void u8(std::uint8_t v) {
    if (std::uint8_t* p = claim(1)) *p = v;
  }

  void u16(std::uint16_t v) {
    if (std::uint8_t* p = claim(2)) store_be16(p, v);
  }

  void u32(std::uint32_t v) {
    if (std::uint8_t* p = claim(4)) store_be32(p, v);
  }

  void u40(std::uint64_t v) {
    if (std::uint8_t* p = claim(5)) {
      p[0] = static_cast<std::uint8_t>(v >> 32);
      store_be32(p + 1, static_cast<std::uint32_t>(v));
    }
  }

  void u64(std::uint64_t v) {
    if (std::uint8_t* p = claim(8)) store_be64(p, v);
  }

  void i64(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }

  void bytes(Bytes b) {
    std::uint8_t* p = claim(b.size());
    if (p != nullptr && !b.empty()) std::memcpy(p, b.data(), b.size());
  }

  void zeros(std::size_t n) {
    std::uint8_t* p = claim(n);
    if (p != nullptr && n > 0) std::memset(p, 0, n);
  }

  /// Overwrites two bytes written earlier. REQUIRES: at + 2 <= size().
  void patch_u16(std::size_t at, std::uint16_t v) {
    if (ok_) store_be16(bytes_.data() + at, v);
  }

 private:
  std::uint8_t* claim(std::size_t n) {
    if (!ok_ || n > bytes_.size() - size_) {
      ok_ = false;
      return nullptr;
    }
    std::uint8_t* p = bytes_.data() + size_;
    size_ += n;
    return p;
  }

  MutableBytes bytes_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace orrery
