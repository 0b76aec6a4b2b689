#include "wire/reassembler.h"

#include <algorithm>
#include <list>
#include <unordered_map>

namespace orrery::wire {
namespace {

struct Key {
  std::uint64_t source = 0;
  std::uint64_t id = 0;
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  SipKey sip;

  std::size_t operator()(const Key& key) const {
    std::array<std::uint8_t, 16> bytes;
    store_be64(bytes.data(), key.source);
    store_be64(bytes.data() + 8, key.id);
    return siphash(sip, bytes);
  }
};

struct SourceHash {
  SipKey sip;

  std::size_t operator()(std::uint64_t source) const {
    std::array<std::uint8_t, 8> bytes;
    store_be64(bytes.data(), source);
    return siphash(sip, bytes);
  }
};

struct Source;

struct Parked {
  Key key;
  Millis since = 0;
  std::uint8_t total = 0;  // 0: not known yet, a head tells nothing of it
  std::uint8_t have = 0;   // bit per piece; bit 0 is the head
  std::size_t bytes = 0;
  std::array<ByteVector, kMaxFragments> pieces;
  Source* source = nullptr;
  std::list<std::list<Parked>::iterator>::iterator in_source;
};

using Order = std::list<Parked>;  // oldest first

struct Source {
  std::uint64_t id = 0;
  std::list<Order::iterator> parked;      // oldest first
  std::list<Source*>::iterator in_level;  // place among the sources that hold as many
};

}  // namespace

// Invariants:
// 1. Every packet of `order` is in `index` once and in the list of its source once.
// 2. A source exists while it holds packets, and stands in levels[packets it holds].
// 3. levels above `noisiest` are empty, so room is made without looking through all sources.
// 4. bytes is the sum over all packets and never exceeds limits.bytes.
struct Reassembler::State {
  State(const ReassemblerLimits& l, SipKey sip)
      : limits(l), index(16, KeyHash{sip}), sources(16, SourceHash{sip}) {
    limits.packets = std::max<std::size_t>(limits.packets, 1);
    limits.packets_per_source = std::max<std::size_t>(limits.packets_per_source, 1);
    levels.resize(limits.packets_per_source + 1);
    index.reserve(limits.packets);
  }

  ReassemblerLimits limits;
  Order order;
  std::unordered_map<Key, Order::iterator, KeyHash> index;
  std::unordered_map<std::uint64_t, Source, SourceHash> sources;
  std::vector<std::list<Source*>> levels;
  std::size_t noisiest = 0;
  std::size_t bytes = 0;
  std::uint64_t evicted = 0;
  ByteVector complete;

  void move_level(Source& source, std::size_t from, std::size_t to) {
    levels[to].splice(levels[to].end(), levels[from], source.in_level);
    noisiest = std::max(noisiest, to);
    while (noisiest > 0 && levels[noisiest].empty()) --noisiest;
  }

  void erase(Order::iterator it) {
    Source& source = *it->source;
    bytes -= it->bytes;
    const std::size_t held = source.parked.size();
    source.parked.erase(it->in_source);
    move_level(source, held, held - 1);
    if (held == 1) {
      levels[0].erase(source.in_level);
      sources.erase(source.id);
    }
    index.erase(it->key);
    order.erase(it);
  }

  void evict_oldest_of(const Source& source) {
    ++evicted;
    erase(source.parked.front());
  }

  void evict_one() { evict_oldest_of(*levels[noisiest].front()); }

  Order::iterator insert(Millis now, const Key& key) {
    const auto mine = sources.find(key.source);
    if (mine != sources.end() && mine->second.parked.size() >= limits.packets_per_source) {
      evict_oldest_of(mine->second);
    }
    if (order.size() >= limits.packets) evict_one();
    const auto [place, fresh] = sources.try_emplace(key.source);
    Source& source = place->second;
    if (fresh) {
      source.id = key.source;
      source.in_level = levels[0].insert(levels[0].end(), &source);
    }
    const auto it = order.insert(order.end(), {key, now, 0, 0, 0, {}, &source, {}});
    it->in_source = source.parked.insert(source.parked.end(), it);
    move_level(source, source.parked.size() - 1, source.parked.size());
    index.emplace(key, it);
    return it;
  }

  /// What stands against one more piece of a packet in flight; kParked: nothing.
  static Reassembly judge(const Parked& parked, std::uint8_t number, std::uint8_t total,
                          std::size_t size) {
    if (total != 0 && parked.total != 0 && parked.total != total) return Reassembly::kRefused;
    if ((parked.have >> number & 1) != 0) return Reassembly::kDuplicate;
    if (parked.bytes + size > kMaxPacket) return Reassembly::kRefused;
    return Reassembly::kParked;
  }

  /// `total` 0: a head.
  Reassembly add(Millis now, const Key& key, std::uint8_t number, std::uint8_t total, Bytes data) {
    if (data.size() > std::min(kMaxPacket, limits.bytes)) return Reassembly::kRefused;
    if (const auto known = index.find(key); known != index.end()) {
      const Reassembly verdict = judge(*known->second, number, total, data.size());
      if (verdict != Reassembly::kParked) return verdict;
    }
    while (bytes + data.size() > limits.bytes) evict_one();
    const auto found = index.find(key);  // looked up again: it may have made room itself
    Parked& parked = found != index.end() ? *found->second : *insert(now, key);
    if (total != 0) parked.total = total;
    parked.have = static_cast<std::uint8_t>(parked.have | (1u << number));
    parked.bytes += data.size();
    bytes += data.size();
    parked.pieces[number].assign(data.begin(), data.end());
    if (parked.total == 0 || parked.have != (1u << parked.total) - 1) return Reassembly::kParked;
    complete.clear();
    for (std::size_t i = 0; i < parked.total; ++i) {
      complete.insert(complete.end(), parked.pieces[i].begin(), parked.pieces[i].end());
    }
    erase(index.find(key)->second);
    return Reassembly::kComplete;
  }
};

Reassembler::Reassembler(const ReassemblerLimits& limits, SipKey key)
    : state_(std::make_unique<State>(limits, key)) {}

Reassembler::~Reassembler() = default;
Reassembler::Reassembler(Reassembler&&) noexcept = default;
Reassembler& Reassembler::operator=(Reassembler&&) noexcept = default;

Reassembly Reassembler::add_head(Millis now, std::uint64_t source, Bytes datagram) {
  if (datagram.size() < kHeaderSize || datagram.size() > kMaxPacket) return Reassembly::kRefused;
  return state_->add(now, {source, load_be64(datagram.data())}, 0, 0, datagram);
}

Reassembly Reassembler::add_fragment(Millis now, std::uint64_t source, Bytes datagram) {
  const auto header = decode_fragment_header(datagram);
  if (!header || header->total < 2 || header->total > kMaxFragments || header->number < 1 ||
      header->number >= header->total) {
    return Reassembly::kRefused;
  }
  return state_->add(now, {source, header->id}, header->number, header->total,
                     datagram.subspan(kFragmentHeaderSize));
}

Bytes Reassembler::packet() const {
  return state_->complete;
}

std::size_t Reassembler::expire(Millis now) {
  std::size_t count = 0;
  while (!state_->order.empty() && now - state_->order.front().since > state_->limits.timeout) {
    state_->erase(state_->order.begin());
    ++count;
  }
  return count;
}

std::size_t Reassembler::in_flight() const {
  return state_->order.size();
}

std::size_t Reassembler::bytes_held() const {
  return state_->bytes;
}

std::uint64_t Reassembler::evicted() const {
  return state_->evicted;
}

}  // namespace orrery::wire
