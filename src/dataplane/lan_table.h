// Which MAC lives behind which local frame port of a bridged network. One worker's own; fixed size,
// keyed, ageing.
//
// Two places per MAC under SipHash with a secret; when both are taken by others that are still
// young, the MAC is not learned and its frames are flooded to the network's local ports. Source:
// security bounds of docs/architecture.md, "Strangers".
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/mac.h"

namespace orrery::dataplane {

class LanTable {
 public:
  static constexpr std::size_t kSize = 65'536;
  static constexpr Millis kAge = 300'000;
  static constexpr int kUnknown = -1;

  explicit LanTable(SipKey key) : key_(key), entries_(kSize) {}

  void learn(std::uint64_t network, wire::Mac mac, int port, Millis now) noexcept {
    Entry* free_place = nullptr;
    for (const std::size_t at : places(network, mac)) {
      Entry& e = entries_[at];
      if (e.network == network && e.mac == mac.value) {
        e.port = port;
        e.seen = now;
        return;
      }
      if (free_place == nullptr && (e.seen == 0 || now - e.seen > kAge)) free_place = &e;
    }
    if (free_place != nullptr) *free_place = {network, mac.value, now, port};
  }

  /// The station is elsewhere now: it was heard from the overlay.
  void forget(std::uint64_t network, wire::Mac mac) noexcept {
    for (const std::size_t at : places(network, mac)) {
      Entry& e = entries_[at];
      if (e.network == network && e.mac == mac.value) e = {};
    }
  }

  /// Forgets everything, as when the ports get other numbers.
  void clear() noexcept { std::fill(entries_.begin(), entries_.end(), Entry{}); }

  [[nodiscard]] int find(std::uint64_t network, wire::Mac mac, Millis now) const noexcept {
    for (const std::size_t at : places(network, mac)) {
      const Entry& e = entries_[at];
      if (e.network == network && e.mac == mac.value && e.seen != 0 && now - e.seen <= kAge)
        return e.port;
    }
    return kUnknown;
  }

 private:
  struct Entry {
    std::uint64_t network = 0;
    std::uint64_t mac = 0;
    Millis seen = 0;
    int port = kUnknown;
  };

  [[nodiscard]] std::array<std::size_t, 2> places(std::uint64_t network,
                                                  wire::Mac mac) const noexcept {
    std::array<std::uint8_t, 16> bytes;
    store_be64(bytes.data(), network);
    store_be64(bytes.data() + 8, mac.value);
    const std::uint64_t h = siphash(key_, bytes);
    return {static_cast<std::size_t>(h % kSize), static_cast<std::size_t>((h >> 32) % kSize)};
  }

  SipKey key_;
  std::vector<Entry> entries_;
};

}  // namespace orrery::dataplane
