// How much of what a worker does not finish control is given: by class, so that strangers leave
// room for those who are known; by the network of its source, so that one of them leaves room for
// others; and by sender, where one is known, so that a peer leaves room for its neighbours. Tables
// of fixed size, 256 KiB for each worker.
//
// Source: security 2.14, L2 as summarised in docs/architecture.md.
#pragma once

#include <algorithm>
#include <array>

#include "base/siphash.h"
#include "dataplane/drop.h"
#include "dataplane/packet_meta.h"
#include "dataplane/tables/token_table.h"

namespace orrery::dataplane {

enum class PuntClass : std::uint8_t {
  kStranger,  // raw datagrams whose sender no table knows, and those to relay
  kKnown,     // raw datagrams in the name of a published peer: HELLO, no schedules, trusted path
  kAuthenticated,  // what a worker opened and control must answer
  kFrame,          // of the host
  kEvent,
  kCount,
};

inline constexpr std::size_t kPuntClasses = static_cast<std::size_t>(PuntClass::kCount);

/// Whether it goes by the ring of raw datagrams, which nobody has authenticated.
[[nodiscard]] constexpr bool is_raw(Message message) {
  return message == Message::kDatagram || message == Message::kReassembled;
}

struct PuntOptions {
  /// Of `workers`, whose ports bring all of them packets: together they give control no more.
  void share_among(std::uint32_t workers) {
    for (Rate& rate : all) rate.per_second = std::max(rate.per_second / workers, 1u);
    for (Rate& rate : per_prefix) rate.per_second = std::max(rate.per_second / workers, 1u);
    per_sender.per_second = std::max(per_sender.per_second / workers, 1u);
  }

  SipKey key;
  /// By class, of one worker. Bursts of the raw ones together and of the others together fit their
  /// ring (ControlLink::kRingSize), so a ring is full only when control does not come to it.
  std::array<Rate, kPuntClasses> all{{
      {20'000, 1'024},   // a packet of a stranger costs control some 5 us
      {100'000, 2'048},  // more peers than have schedules, or a trusted path
      {200'000, 1'024},
      {200'000, 1'024},
      {20'000, 1'024},
  }};
  /// By class, for one /24 (IPv6: /48); frames and events have no source.
  std::array<Rate, 3> per_prefix{{{2'000, 256}, {50'000, 1'024}, {50'000, 512}}};
  /// For a peer from one such network (elsewhere others may use its name), of both classes that
  /// have one. A fifth of what control does in a second where it does nothing else.
  Rate per_sender{20'000, 512};
};

class PuntLimits {
 public:
  explicit PuntLimits(const PuntOptions& options)
      : key_(options.key),
        all_(options.all),
        prefixes_{TokenTable(8'192, options.per_prefix[0]),
                  TokenTable(8'192, options.per_prefix[1]),
                  TokenTable(8'192, options.per_prefix[2])},
        senders_(8'192, options.per_sender) {}

  /// Of the hash that take() wants.
  [[nodiscard]] const SipKey& key() const noexcept { return key_; }

  /// Whether the class has something left; else there is no need to ask who it is.
  [[nodiscard]] bool open(PuntClass c, Millis now) noexcept {
    return classes_[index(c)].has(all_[index(c)], now);
  }

  /// The drop that it becomes, or kNone. `prefix`: hash of its source's network; `sender`: of that
  /// and its sender, not looked at for strangers. REQUIRES: a class up to kAuthenticated.
  [[nodiscard]] Drop take(PuntClass c, std::uint64_t prefix, std::uint64_t sender,
                          Millis now) noexcept {
    if (!open(c, now)) return drop_of(c);
    if (c != PuntClass::kStranger && !senders_.take(sender, now)) return Drop::kPuntSource;
    if (!prefixes_[index(c)].take(prefix, now)) return Drop::kPuntSource;
    return take(c, now);
  }

  /// The same for what has no source.
  [[nodiscard]] Drop take(PuntClass c, Millis now) noexcept {
    return classes_[index(c)].take(all_[index(c)], now) ? Drop::kNone : drop_of(c);
  }

  [[nodiscard]] static constexpr Drop drop_of(PuntClass c) noexcept {
    constexpr std::array<Drop, kPuntClasses> kDrops = {Drop::kPuntStranger, Drop::kPuntKnown,
                                                       Drop::kPuntAuthenticated, Drop::kPuntFrame,
                                                       Drop::kPuntEvent};
    return kDrops[index(c)];
  }

 private:
  static constexpr std::size_t index(PuntClass c) noexcept { return static_cast<std::size_t>(c); }

  SipKey key_;
  std::array<Rate, kPuntClasses> all_;
  std::array<TokenBucket, kPuntClasses> classes_{};
  std::array<TokenTable, 3> prefixes_;
  TokenTable senders_;
};

}  // namespace orrery::dataplane
