#include "control/nonces.h"

#include <algorithm>

#include "crypto/kdf.h"

namespace orrery::control {

namespace {

// In units of 8 ns. A restart skips at most a stride, so the lane runs ahead of the clock for at
// most two minutes.
constexpr std::uint64_t kMinute = 60ULL * 1'000'000'000 / 8;
constexpr std::uint64_t kStride = 2 * kMinute;
constexpr std::uint64_t kPerMilli = 1'000'000 / 8;
constexpr Millis kRetry = 250;         // between writes that fail
constexpr Millis kConfirm = 100;       // a failure is reported at once, well within this
constexpr std::size_t kMarksKept = 4;  // one is asked for a minute; failures come at once

std::uint64_t units(Now now) {
  return static_cast<std::uint64_t>(now.wall) * kPerMilli;
}

}  // namespace

void Nonces::advance(Now now) {
  if (front_at_ != 0 && now.mono > front_at_)
    front_ += static_cast<std::uint64_t>(now.mono - front_at_) * kPerMilli;
  front_at_ = now.mono;
  front_ = std::max({front_, units(now), lane_.high_water()});
}

bool Nonces::keep_ahead(Now now, Effects& out) {
  advance(now);
  const auto ask = [&](std::uint64_t mark) {
    ByteVector bytes(8);
    store_be64(bytes.data(), mark);
    out.saves.push_back({StateKind::kNonce, 0, std::move(bytes), false});
  };
  const bool due = retry_at_ != 0 && now.mono >= retry_at_;
  if (due && pending_ != 0) {
    marks_ = {pending_};
    pending_ = retry_at_ = 0;
  } else if (due) {
    pending_ = front_ + kStride;
    retry_at_ = now.mono + kConfirm;
    ask(pending_);
  }
  if (retry_at_ == 0 && front_ + kMinute > marks_.back()) {
    if (marks_.size() >= kMarksKept) marks_.erase(marks_.begin());
    marks_.push_back(front_ + kStride);
    ask(marks_.back());
  }
  return front_ < marks_.back();
}

bool Nonces::save_failed(Now now, std::uint64_t mark) {
  // Later ones are in doubt, too.
  while (marks_.size() > 1 && marks_.back() >= mark) marks_.pop_back();
  pending_ = 0;
  retry_at_ = now.mono + kRetry;
  return front_ < marks_.back();
}

std::optional<std::uint64_t> Nonces::plain(Now now, Effects& out) {
  keep_ahead(now, out);
  const std::uint64_t next = std::max(lane_.high_water(), units(now));
  if (next + 16 > marks_.back()) return std::nullopt;
  return lane_.next(static_cast<std::uint64_t>(now.wall) * 1'000'000);
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
