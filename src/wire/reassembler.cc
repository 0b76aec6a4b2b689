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

struct Parked {
  Key key;
  Millis since = 0;
  std::uint8_t total = 0;  // 0: not known yet, only a head tells nothing of it
  std::uint8_t have = 0;   // bit per piece; bit 0 is the head
  std::size_t bytes = 0;
  std::array<ByteVector, kMaxFragments> pieces;
};

}  // namespace

struct Reassembler::State {
  using Order = std::list<Parked>;  // oldest first

  State(const ReassemblerLimits& l, SipKey sip) : limits(l), index(16, KeyHash{sip}), sources(16, SourceHash{sip}) {
    index.reserve(l.packets);
  }

  ReassemblerLimits limits;
  Order order;
  std::unordered_map<Key, Order::iterator, KeyHash> index;
  std::unordered_map<std::uint64_t, std::size_t, SourceHash> sources;  // packets in flight per source
  std::size_t bytes = 0;
  std::uint64_t evicted = 0;
  ByteVector complete;

  void erase(Order::iterator it) {
    bytes -= it->bytes;
    const auto source = sources.find(it->key.source);
    if (--source->second == 0) sources.erase(source);
    index.erase(it->key);
    order.erase(it);
  }

  void evict_oldest_of(std::uint64_t source) {
    const auto it = std::find_if(order.begin(), order.end(), [&](const Parked& p) { return p.key.source == source; });
    if (it == order.end()) return;
    ++evicted;
    erase(it);
  }

  void evict_one() {
    const auto noisiest = std::max_element(sources.begin(), sources.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
    if (noisiest != sources.end()) evict_oldest_of(noisiest->first);
  }

  Reassembly add(Millis now, const Key& key, std::uint8_t number, std::uint8_t total, Bytes data) {
    auto found = index.find(key);
    if (found == index.end()) {
      const auto mine = sources.find(key.source);
      if (mine != sources.end() && mine->second >= limits.packets_per_source) evict_oldest_of(key.source);
      if (order.size() >= limits.packets) evict_one();
      while (bytes + data.size() > limits.bytes && !order.empty()) evict_one();
      order.push_back({key, now, 0, 0, 0, {}});
      ++sources[key.source];
      found = index.emplace(key, std::prev(order.end())).first;
    }
    Parked& parked = *found->second;
    if (total != 0) {
      if (parked.total != 0 && parked.total != total) return Reassembly::kRefused;
      if (parked.have >> total != 0) return Reassembly::kRefused;  // a piece beyond the total came first
    } else if (parked.total == 0 && parked.have != 0 && (parked.have & 1) != 0) {
      return Reassembly::kDuplicate;
    }
    const auto bit = static_cast<std::uint8_t>(1u << number);
    if ((parked.have & bit) != 0) return Reassembly::kDuplicate;
    if (parked.bytes + data.size() > kMaxPacket) return Reassembly::kRefused;
    if (total != 0) parked.total = total;
    parked.have |= bit;
    parked.bytes += data.size();
    bytes += data.size();
    parked.pieces[number].assign(data.begin(), data.end());
    if (parked.total == 0 || parked.have != (1u << parked.total) - 1) return Reassembly::kParked;
    complete.clear();
    for (std::size_t i = 0; i < parked.total; ++i) {
      complete.insert(complete.end(), parked.pieces[i].begin(), parked.pieces[i].end());
    }
    erase(found->second);
    return Reassembly::kComplete;
  }
};

Reassembler::Reassembler(const ReassemblerLimits& limits, SipKey key) : state_(std::make_unique<State>(limits, key)) {}

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
  return state_->add(now, {source, header->id}, header->number, header->total, datagram.subspan(kFragmentHeaderSize));
}

Bytes Reassembler::packet() const { return state_->complete; }

std::size_t Reassembler::expire(Millis now) {
  std::size_t count = 0;
  while (!state_->order.empty() && now - state_->order.front().since > state_->limits.timeout) {
    state_->erase(state_->order.begin());
    ++count;
  }
  return count;
}

std::size_t Reassembler::in_flight() const { return state_->order.size(); }
std::size_t Reassembler::bytes_held() const { return state_->bytes; }
std::uint64_t Reassembler::evicted() const { return state_->evicted; }

}  // namespace orrery::wire
