#include "control/nonces.h"

#include <algorithm>

#include "crypto/kdf.h"

namespace orrery::control {

namespace {

// In units of 8 ns. A restart skips at most a stride, so the lane runs ahead of the clock for at
// most two minutes.
constexpr std::uint64_t kMinute = 60ULL * 1'000'000'000 / 8;
constexpr std::uint64_t kStride = 2 * kMinute;

}  // namespace

std::uint64_t Nonces::plain(Now now, Effects& out) {
  const std::uint64_t id = lane_.next(static_cast<std::uint64_t>(now.wall) * 1'000'000);
  const std::uint64_t used = lane_.high_water();
  if (used + kMinute > saved_) {
    saved_ = used + kStride;
    ByteVector mark(8);
    store_be64(mark.data(), saved_);
    out.saves.push_back({StateKind::kNonce, 0, std::move(mark), false});
  }
  return id;
}

SipKey permutation_key(const crypto::SecretIdentity& self) {
  static constexpr std::string_view kLabel = "orrery packet id permutation";
  std::array<std::uint8_t, kLabel.size() + sizeof(wire::PrivateKey)> message;
  std::copy(kLabel.begin(), kLabel.end(), message.begin());
  std::copy(self.private_key().begin(), self.private_key().end(), message.begin() + kLabel.size());
  crypto::Sha512 hash = crypto::sha512(message);
  const SipKey key{load_be64(hash.data()), load_be64(hash.data() + 8)};
  burn(message);
  burn(hash);
  return key;
}

}  // namespace orrery::control
