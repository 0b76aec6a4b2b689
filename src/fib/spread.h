// How the frames of one peer are shared among several paths to it: by inner flow, so that each flow
// keeps to one path and none overtakes itself.
//
// Flows fall into 64 buckets by their hash, and each bucket has its path by rendezvous hashing: a
// path that goes takes only its own buckets with it, one that comes takes its share of all others.
// Only then does a flow change its path. Made by control, read by any number of workers.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "base/siphash.h"
#include "fib/path_key.h"

namespace orrery::fib {

struct SharedPath {
  PathKey key;
  std::uint16_t mtu = 0;  // largest datagram, bytes
  friend bool operator==(const SharedPath&, const SharedPath&) = default;
};

class Spread {
 public:
  static constexpr std::size_t kBuckets = 64;
  static constexpr std::size_t kMostPaths = 8;

  /// REQUIRES: one path at least, kMostPaths at most, none twice.
  explicit Spread(std::vector<SharedPath> paths) : paths_(std::move(paths)) {
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < paths_.size(); ++i) {
        if (weight(paths_[i].key, bucket) > weight(paths_[best].key, bucket)) best = i;
      }
      table_[bucket] = static_cast<std::uint8_t>(best);
    }
  }

  /// The path of a flow, by its hash.
  [[nodiscard]] const SharedPath& of(std::uint32_t flow) const noexcept {
    return paths_[table_[flow % kBuckets]];
  }

  [[nodiscard]] const std::vector<SharedPath>& paths() const noexcept { return paths_; }

  /// How many buckets a path has.
  [[nodiscard]] std::size_t buckets_of(const PathKey& key) const {
    return static_cast<std::size_t>(std::count_if(
        table_.begin(), table_.end(), [&](std::uint8_t i) { return paths_[i].key == key; }));
  }

 private:
  static std::uint64_t weight(const PathKey& key, std::size_t bucket) {
    // [4] socket, [1] family, [16] IP, [2] port, [8] bucket
    std::array<std::uint8_t, 31> bytes;
    store_be32(bytes.data(), key.socket);
    bytes[4] = key.remote.family;
    std::copy(key.remote.ip.begin(), key.remote.ip.end(), bytes.begin() + 5);
    store_be16(bytes.data() + 21, key.remote.port);
    store_be64(bytes.data() + 23, bucket);
    return siphash({0x6f72, 0x7872}, bytes);
  }

  std::vector<SharedPath> paths_;
  std::array<std::uint8_t, kBuckets> table_{};  // bucket to index in paths_
};

}  // namespace orrery::fib
