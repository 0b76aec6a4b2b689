// How large the datagrams of a path may be, found out by asking: packetization layer path MTU
// discovery (RFC 8899) for paths that carry packets of full size.
//
// A search is a few rounds. Each asks with one probe per size, of a ladder of sizes that links are
// known to have, and waits for the answers: so one round finds a size that needs one, and three
// rounds are enough to believe that a larger one does not pass. The first round asks for the size
// in use and for larger ones, further rounds for smaller ones, too: a size falls only when it went
// unanswered three times while a smaller one was answered. Silence alone says nothing of sizes.
// Sizes beyond twice what is known to pass are left for later rounds: a path of 1,500 bytes is not
// asked for 9,000.
//
// While packets of full size are sent the size in use is asked for every five seconds (a black hole
// shows within nine), and larger ones every ten minutes. An idle path is asked for nothing.
//
// ICMP is not listened to. It could only make a search shorter, and anybody can send it.
// Weak spot: whoever can drop what he likes makes datagrams as small as the ladder's first step;
// he could drop all of them as well.
#pragma once

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "control/keyed_hash.h"
#include "fib/path_key.h"
#include "wire/address.h"

namespace orrery::control {

/// What bounds the datagrams of a path, bytes of UDP payload but for `outer`.
struct SizeLimits {
  std::uint16_t outer = 28;  // bytes of IP and UDP header in front
  std::uint16_t start = 0;   // what is sent before anything is known; at most `most`
  std::uint16_t most = 0;    // an operator's word, or what the local link carries
};

/// The search of one path.
class PathSize {
 public:
  static constexpr Millis kNever = INT64_MAX;
  static constexpr unsigned kRounds = 3;  // without an answer to what is asked for
  static constexpr Millis kWait = 1'000;  // for the answers of a round, at least
  static constexpr Millis kMostWait = 5'000;
  static constexpr Millis kConfirm = 4'000;             // from the end of a search to the next
  static constexpr Millis kRaise = 600'000;             // until larger sizes are asked for again
  static constexpr Millis kSilence = 60'000;            // after a search that nothing answered
  static constexpr Millis kInUse = 30'000;              // so long after a packet of full size
  static constexpr std::uint16_t kLeastRecalled = 528;  // bytes; no search ends below

  /// What follows from a turn.
  struct Turn {
    std::vector<std::uint16_t> ask;  // sizes, ascending: a probe for each
    unsigned lost = 0;               // probes of the round before that were not answered
    bool fell = false;               // the size in use does not pass
  };

  /// A packet of full size is sent.
  void use(Millis now);

  /// When turn() is to be called, mono; kNever while the path is idle.
  [[nodiscard]] Millis due() const { return due_; }

  /// Ends the round before and begins the next, if there is one. `latency_ms` of the path.
  /// REQUIRES: now >= due().
  Turn turn(Millis now, const SizeLimits& limits, int latency_ms);

  /// What was known of the path before this node began. It is used at once, and asked for again
  /// like any size in use as soon as packets of full size go there.
  void recall(std::uint16_t size) {
    if (size_ == 0 && size >= kLeastRecalled) size_ = size;
  }

  /// Names the round that probes sent now belong to.
  [[nodiscard]] std::uint32_t round() const { return round_; }

  /// A probe of this size and round was answered. False when that round is over: then it counted as
  /// lost, and is.
  bool answered(std::uint16_t size, std::uint32_t round);

  /// The most that may be sent now.
  [[nodiscard]] std::uint16_t size(const SizeLimits& limits) const {
    return size_ == 0 ? limits.start : std::min(size_, limits.most);
  }

  [[nodiscard]] bool known() const { return size_ != 0; }

  [[nodiscard]] bool searching() const { return searching_; }

 private:
  void begin(Millis now, const SizeLimits& limits);
  void settle(Millis now, Turn& turn);
  [[nodiscard]] bool goes_on();
  [[nodiscard]] std::vector<std::uint16_t> next_round(const SizeLimits& limits);

  Millis due_ = kNever;
  Millis used_ = 0;
  Millis raise_at_ = 0;                 // 0: never searched
  std::uint32_t round_ = 0;             // of all searches
  std::uint16_t size_ = 0;              // 0: not known
  std::uint16_t from_ = 0;              // of the search: the size in use when it began
  std::uint16_t top_ = 0;               // the largest size that is wanted
  std::uint16_t reach_ = 0;             // the largest asked for in this round
  std::uint16_t passed_ = 0;            // the largest answered; 0: none
  std::uint8_t unheeded_ = 0;           // rounds in a row that reached for no more
  std::uint8_t asked_ = 0, heard_ = 0;  // probes of this round, answers
  bool searching_ = false;
};

/// The searches of all paths that carry or carried packets of full size, in the order in which they
/// are due. Of fixed size; further paths keep the size that they start with.
class PathSizes {
 public:
  struct Entry {
    PathSize size;
    wire::Address peer;  // who answers there
  };

  PathSizes(std::size_t limit, SipKey key) : limit_(limit), table_(16, KeyedHash{key}) {}

  /// Null when unknown. Valid until the next call that is not const.
  [[nodiscard]] const Entry* find(const fib::PathKey& path) const;
  /// A packet of full size goes over this path. False: the table is full.
  bool use(Millis now, const fib::PathKey& path, wire::Address peer);

  /// When the first is due, mono; kNever: none is.
  [[nodiscard]] Millis next() const {
    return due_.empty() ? PathSize::kNever : due_.begin()->first;
  }

  /// REQUIRES: next() is not kNever.
  [[nodiscard]] const fib::PathKey& first() const { return due_.begin()->second; }

  /// See PathSize::recall. Nothing happens when the table is full.
  void recall(const fib::PathKey& path, wire::Address peer, std::uint16_t size);
  /// REQUIRES: find(path).
  PathSize::Turn turn(Millis now, const fib::PathKey& path, const SizeLimits& limits,
                      int latency_ms);
  bool answered(const fib::PathKey& path, std::uint16_t size, std::uint32_t round);
  void erase(const fib::PathKey& path);

  template <typename Gone>
  void erase_if(Gone gone) {
    std::erase_if(table_, [&](const auto& known) {
      if (!gone(known.first, known.second)) return false;
      due_.erase({known.second.size.due(), known.first});
      return true;
    });
  }

 private:
  // Invariant 1: a path stands in `due_` once, under its due(), unless that is kNever.
  void moved(const fib::PathKey& path, Millis before, Millis after);

  std::size_t limit_;
  std::unordered_map<fib::PathKey, Entry, KeyedHash> table_;
  std::set<std::pair<Millis, fib::PathKey>> due_;
};

}  // namespace orrery::control
