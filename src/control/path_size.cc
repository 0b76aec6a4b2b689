#include "control/path_size.h"

#include <algorithm>
#include <iterator>

namespace orrery::control {

namespace {

constexpr std::uint16_t kIpv6Headers = 48;

// Bytes of IP packets that links and tunnels carry.
constexpr std::uint16_t kLadder[] = {
    576,   // what every IPv4 host takes
    1024,  //
    1280,  // the least of IPv6; many tunnels
    1400,  // tunnels by habit
    1420,  // WireGuard over IPv6
    1450,  // VXLAN
    1460,  // 1432 bytes of UDP payload over IPv4, the default of a path; some clouds
    1480,  // 6in4, IPIP; the same default over IPv6
    1492,  // PPPoE
    1500,  // Ethernet
    2800,  //
    5000,  //
    8500,  // between regions of clouds
    8896,  //
    9000,  // jumbo frames
};

// A search reaches for twice what passed: it would end at a wider gap. In bytes of UDP payload.
static_assert(std::adjacent_find(std::begin(kLadder), std::end(kLadder), [](int low, int high) {
                return high - kIpv6Headers > 2 * (low - kIpv6Headers);
              }) == std::end(kLadder));

/// The first step for this address family; smaller links take IP fragments.
constexpr std::uint16_t floor_of(const SizeLimits& limits) {
  return static_cast<std::uint16_t>((limits.outer == kIpv6Headers ? 1280 : 576) - limits.outer);
}

}  // namespace

void PathSize::use(Millis now) {
  used_ = now;
  if (due_ == kNever) due_ = now;
}

void PathSize::begin(Millis now, const SizeLimits& limits) {
  searching_ = true;
  unheeded_ = 0;
  passed_ = 0;
  from_ = size(limits);
  top_ = now >= raise_at_ ? limits.most : from_;
}

std::vector<std::uint16_t> PathSize::next_round(const SizeLimits& limits) {
  reach_ = static_cast<std::uint16_t>(std::min<unsigned>(top_, 2u * std::max(passed_, from_)));
  const auto least =
      static_cast<std::uint16_t>(passed_ != 0     ? passed_ + 1
                                 : unheeded_ == 0 ? from_
                                                  : std::min(floor_of(limits), top_));
  std::vector<std::uint16_t> sizes;
  const auto add = [&](std::uint16_t size) {
    if (size >= least && size <= reach_) sizes.push_back(size);
  };
  for (const std::uint16_t link : kLadder) add(static_cast<std::uint16_t>(link - limits.outer));
  add(from_);
  add(top_);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  reach_ = sizes.back();
  asked_ = static_cast<std::uint8_t>(sizes.size());
  heard_ = 0;
  ++round_;
  return sizes;
}

bool PathSize::goes_on() {
  if (passed_ >= top_) return false;
  if (passed_ >= reach_) {
    unheeded_ = 0;
    return true;
  }
  return ++unheeded_ < kRounds;
}

void PathSize::settle(Millis now, Turn& turn) {
  searching_ = false;
  if (passed_ == 0) {
    due_ = now + kSilence;
    return;
  }
  turn.fell = passed_ < from_;
  if (turn.fell || top_ > from_ || raise_at_ == 0) raise_at_ = now + kRaise;
  size_ = passed_;
  due_ = now + kConfirm;
}

PathSize::Turn PathSize::turn(Millis now, const SizeLimits& limits, int latency_ms) {
  Turn turn;
  if (searching_) {
    turn.lost = asked_ - heard_;
    if (!goes_on()) {
      settle(now, turn);
      return turn;
    }
  } else if (now - used_ >= kInUse) {
    due_ = kNever;
    return turn;
  } else {
    begin(now, limits);
  }
  turn.ask = next_round(limits);
  due_ = now + std::clamp<Millis>(2 * latency_ms, kWait, kMostWait);
  return turn;
}

bool PathSize::answered(std::uint16_t size, std::uint32_t round) {
  if (!searching_ || round != round_) return false;
  ++heard_;
  passed_ = std::max(passed_, size);
  if (passed_ > from_) size_ = passed_;  // what is larger may be used at once
  return true;
}

void PathSizes::moved(const fib::PathKey& path, Millis before, Millis after) {
  if (before == after) return;
  due_.erase({before, path});
  if (after != PathSize::kNever) due_.emplace(after, path);
}

const PathSizes::Entry* PathSizes::find(const fib::PathKey& path) const {
  const auto it = table_.find(path);
  return it == table_.end() ? nullptr : &it->second;
}

bool PathSizes::use(Millis now, const fib::PathKey& path, wire::Address peer) {
  if (table_.size() >= limit_ && !table_.contains(path)) return false;
  Entry& used = table_[path];
  const Millis before = used.size.due();
  used.peer = peer;
  used.size.use(now);
  moved(path, before, used.size.due());
  return true;
}

void PathSizes::recall(const fib::PathKey& path, wire::Address peer, std::uint16_t size) {
  if (table_.size() >= limit_ && !table_.contains(path)) return;
  Entry& known = table_[path];
  known.peer = peer;
  known.size.recall(size);
}

PathSize::Turn PathSizes::turn(Millis now, const fib::PathKey& path, const SizeLimits& limits,
                               int latency_ms) {
  PathSize& size = table_.at(path).size;
  const Millis before = size.due();
  PathSize::Turn turn = size.turn(now, limits, latency_ms);
  moved(path, before, size.due());
  return turn;
}

bool PathSizes::answered(const fib::PathKey& path, std::uint16_t size, std::uint32_t round) {
  const auto it = table_.find(path);
  return it != table_.end() && it->second.size.answered(size, round);
}

void PathSizes::erase(const fib::PathKey& path) {
  const auto it = table_.find(path);
  if (it == table_.end()) return;
  due_.erase({it->second.size.due(), path});
  table_.erase(it);
}

}  // namespace orrery::control
