// Each kind of credential. Input: [1] kind, the credential.
//
// Invariants: what parses is written back in a form that parses to the same value; the bytes to be
// signed exist; a certificate agrees with itself unless it names another identity.
#include <cstdlib>

#include "wire/credential.h"

namespace {

using namespace orrery;

template <typename T>
std::optional<T> round_trip(Bytes bytes, std::optional<T> (*read)(Reader&),
                            void (*write)(Writer&, const T&),
                            ByteVector (*signed_bytes)(const T&)) {
  Reader r(bytes);
  const auto value = read(r);
  if (!value) {
    if (r.ok()) std::abort();
    return value;
  }
  ByteVector written(4096);
  Writer w(written);
  write(w, *value);
  Reader back(w.written());
  const auto again = read(back);
  if (!w.ok() || !again || *again != *value || back.remaining() != 0) std::abort();
  (void)signed_bytes(*value);
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      const auto com = round_trip(bytes, wire::read_com, wire::write_com, wire::com_signed_bytes);
      if (!com) break;
      const std::array<std::uint8_t, 48> hash{};
      const bool names_identity = com->value(wire::CertificateOfMembership::kHash0) ||
                                  com->value(wire::CertificateOfMembership::kHash0 + 1) ||
                                  com->value(wire::CertificateOfMembership::kHash0 + 2) ||
                                  com->value(wire::CertificateOfMembership::kHash0 + 3);
      bool duplicate = false;
      for (std::size_t i = 1; i < com->count; ++i) {
        duplicate |= com->qualifiers[i].id == com->qualifiers[i - 1].id;
      }
      const bool agrees = wire::agrees(*com, *com, hash);
      if (!names_identity && !duplicate && agrees != static_cast<bool>(*com)) std::abort();
      break;
    }
    case 1:
      round_trip(bytes, wire::read_tag, wire::write_tag, wire::tag_signed_bytes);
      break;
    case 2: {
      const auto c = round_trip(bytes, wire::read_capability, wire::write_capability,
                                wire::capability_signed_bytes);
      if (c && (c->custody_count > c->max_custody || c->max_custody > wire::kMaxCustody)) {
        std::abort();
      }
      break;
    }
    case 3: {
      const auto o = round_trip(bytes, wire::read_ownership, wire::write_ownership,
                                wire::ownership_signed_bytes);
      if (o) (void)o->owns(wire::Mac{1});
      break;
    }
    default:
      round_trip(bytes, wire::read_revocation, wire::write_revocation,
                 wire::revocation_signed_bytes);
  }
  return 0;
}
