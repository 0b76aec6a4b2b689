#include "dataplane/neighbour_table.h"

namespace orrery::dataplane {
namespace {

// Invariant 1: an odd version is visible before any word that was written under it, and all those
// words before the next even one.
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

constexpr std::uint64_t owner_of(std::uint16_t vlan, wire::Mac mac, bool router) {
  return (std::uint64_t{vlan} << 49) | (mac.value << 1) | (router ? 1 : 0);
}

constexpr std::uint16_t vlan_of(std::uint64_t owner) {
  return static_cast<std::uint16_t>(owner >> 49);
}

constexpr wire::Mac mac_of(std::uint64_t owner) {
  return wire::Mac{(owner >> 1) & 0xffffffffffffULL};
}

}  // namespace

NeighbourTable::NeighbourTable(SipKey key)
    : key_(key), buckets_(std::make_unique<Bucket[]>(kBuckets)) {}

NeighbourTable::Bucket& NeighbourTable::bucket_of(fib::NeighbourAddress address,
                                                  std::uint16_t vlan) const noexcept {
  std::array<std::uint8_t, 18> bytes;
  store_be64(bytes.data(), address.high);
  store_be64(bytes.data() + 8, address.low);
  store_be16(bytes.data() + 16, vlan);
  return buckets_[siphash(key_, bytes) % kBuckets];
}

NeighbourTable::Claimed NeighbourTable::claim(const fib::NeighbourMessage& message,
                                              std::uint16_t vlan, Millis now) noexcept {
  Bucket& bucket = bucket_of(message.sender, vlan);
  const bool sound = message.claim == fib::Claim::kSound;
  std::uint32_t version = bucket.version.load(kAcquire);
  if (version % 2 != 0) return Claimed::kKnown;
  // Most claims change nothing: they are read like a question, and write nothing.
  Entry* place = nullptr;
  bool known = false;
  for (Entry& e : bucket.entries) {
    const fib::NeighbourAddress address{e.high.load(kAcquire), e.low.load(kAcquire)};
    if (address == message.sender && vlan_of(e.owner.load(kAcquire)) == vlan) {
      place = &e;
      known = now - e.since.load(kAcquire) <= kAge;
      break;
    }
    if (place == nullptr && (!address || now - e.since.load(kAcquire) > kAge)) place = &e;
  }
  Claimed result = Claimed::kNew;
  std::uint64_t owner = owner_of(vlan, message.mac, message.router);
  if (known) {
    const std::uint64_t before = place->owner.load(kAcquire);
    if (!mac_of(before)) return Claimed::kKnown;  // contested, for its time
    if (mac_of(before) != message.mac) {
      result = Claimed::kContested;
      owner = owner_of(vlan, {}, false);
    } else {
      result = Claimed::kKnown;
      if (!sound) owner = before;  // it does not say who is a router
      if (owner == before && now - place->since.load(kAcquire) < kRefresh) return Claimed::kKnown;
    }
  } else if (!sound) {
    return Claimed::kKnown;
  } else if (place == nullptr) {
    return Claimed::kFull;
  }
  // Whoever was faster has changed what was read above: this claim is as if it had not been heard.
  if (!bucket.version.compare_exchange_strong(version, version + 1, kAcquire, kRelaxed))
    return Claimed::kKnown;
  place->high.store(message.sender.high, kRelease);  // Invariant 1
  place->low.store(message.sender.low, kRelease);
  place->owner.store(owner, kRelease);
  place->since.store(now, kRelease);
  bucket.version.store(version + 2, kRelease);
  return result;
}

std::optional<fib::Neighbour> NeighbourTable::find(fib::NeighbourAddress address,
                                                   std::uint16_t vlan, Millis now) const noexcept {
  const Bucket& bucket = bucket_of(address, vlan);
  const std::uint32_t version = bucket.version.load(kAcquire);
  if (version % 2 != 0) return {};
  std::optional<fib::Neighbour> found;
  for (const Entry& e : bucket.entries) {
    if (e.low.load(kAcquire) != address.low || e.high.load(kAcquire) != address.high) continue;
    const std::uint64_t owner = e.owner.load(kAcquire);
    if (vlan_of(owner) != vlan) continue;
    if (mac_of(owner) && now - e.since.load(kAcquire) <= kAge)
      found = fib::Neighbour{mac_of(owner), (owner & 1) != 0};
    break;
  }
  if (bucket.version.load(kRelaxed) != version) return {};  // Invariant 1: after acquired words
  return found;
}

}  // namespace orrery::dataplane
