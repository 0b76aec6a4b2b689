#include "dataplane/capture.h"

#include <time.h>

namespace orrery::dataplane {
namespace {

std::uint64_t wall_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

Bytes bytes_of(const rte_mbuf* m) {
  return {rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)};
}

}  // namespace

Recorder::Recorder(const std::atomic<Sampling>& sampling, SipKey key, unsigned worker)
    : sampling_(sampling), key_(key), worker_(worker) {}

/// 0: not chosen. [55 bits] of a hash, [1] by control, [8] number of the capture.
std::uint64_t Recorder::story_of(Bytes name, bool by_control) const noexcept {
  const std::uint64_t hash = siphash(key_, name);
  if ((hash >> 9) % now_.one_in != 0) return 0;
  return (hash & ~std::uint64_t{0x1ff}) | (by_control ? 0x100u : 0u) | now_.capture;
}

std::uint64_t Recorder::next_story(bool by_control) noexcept {
  std::array<std::uint8_t, 12> name;  // longer than a packet id
  store_be64(name.data(), ++count_);
  store_be32(name.data() + 8, worker_);
  return story_of(name, by_control);
}

void Recorder::datagrams_in(rte_mbuf** datagrams, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) {
    const Bytes datagram = bytes_of(datagrams[i]);
    meta_of(datagrams[i]).story =
        story_of(datagram.first(std::min<std::size_t>(datagram.size(), 8)), false);
    see(datagrams[i], kOuterIn);
  }
}

void Recorder::frames_in(wire::NetworkId network, rte_mbuf** frames, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) {
    meta_of(frames[i]).network = network.value;
    meta_of(frames[i]).story = next_story(false);
    see(frames[i], kHostOut);
  }
}

void Recorder::choose_by_control(rte_mbuf** packets, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) meta_of(packets[i]).story = next_story(true);
}

void Recorder::passed(StageId stage, const PacketVector& v) noexcept {
  switch (stage) {
    case StageId::dearmor:
      spot_ = kDecryptedIn;
      break;
    case StageId::filter: {
      spot_ = kRulesIn;
      if (!takes(Point::kRules)) return;
      for (unsigned i = 0; i < v.n; ++i) {
        if (!chosen(v.mbuf[i])) continue;
        // Its header stands in front of it from the next stage on.
        const fib::EthernetFrame& frame = v.frame[i];
        std::array<std::uint8_t, fib::EthernetFrame::kHead> head;
        frame.destination.store(head.data());
        frame.source.store(head.data() + 6);
        store_be16(head.data() + 12, frame.ethertype);
        Sighting s;
        s.spot = spot_;
        s.peer = v.peer[i]->peer.address;
        s.network = v.network[i]->network.id.value;
        put(s, v.mbuf[i], head, frame.payload);
      }
      return;
    }
    case StageId::filter_out:
    case StageId::replicate:
      spot_ = kRulesOut;
      break;
    case StageId::encap:
      spot_ = kDecryptedOut;
      break;
    case StageId::armor:
      spot_ = kOuterOut;  // seen when it is sent
      return;
    default:
      return;
  }
  for (unsigned i = 0; i < v.n; ++i) see(v.mbuf[i], spot_, v.peer[i]->peer.address);
}

void Recorder::leaving(const PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.next[i] != Next::kDrop) continue;
    dropped(v.mbuf[i], v.drop[i], spot_,
            v.peer[i] != nullptr ? v.peer[i]->peer.address : wire::Address{});
  }
}

void Recorder::dropped(rte_mbuf* m, Drop reason, Spot spot, wire::Address peer) noexcept {
  if (!chosen(m)) return;
  Sighting s;
  s.spot = spot;
  s.peer = peer;
  s.fate = Fate::kDropped;
  s.drop = reason;
  // What failed under AES-GMAC-SIV has been decrypted and burned: these are not its bytes.
  put(s, m, {}, reason == Drop::kMac ? Bytes{} : bytes_of(m));
}

void Recorder::punted(rte_mbuf* m) noexcept {
  if (!chosen(m)) return;
  Sighting s;
  s.spot = spot_of(meta_of(m).message);
  s.fate = Fate::kPunted;
  put(s, m, {}, {});
}

void Recorder::sent(rte_mbuf** datagrams, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) see(datagrams[i], kOuterOut);
}

void Recorder::delivered(rte_mbuf** frames, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) see(frames[i], kHostIn);
}

void Recorder::see(rte_mbuf* m, Spot spot, wire::Address peer) noexcept {
  if (!chosen(m) || !takes(spot.point)) return;
  Sighting s;
  s.spot = spot;
  s.peer = peer;
  put(s, m, {}, bytes_of(m));
}

/// `head` and `rest`: the packet.
void Recorder::put(Sighting s, const rte_mbuf* m, Bytes head, Bytes rest) noexcept {
  const PacketMeta& meta = meta_of(const_cast<rte_mbuf*>(m));
  s.story = meta.story;
  s.nanoseconds = wall_ns();
  if (s.network == 0 && s.spot.point >= Point::kRules) s.network = meta.network;
  if (s.spot.point == Point::kOuter) s.remote = meta.remote;
  s.size = static_cast<std::uint16_t>(head.empty() ? rte_pktmbuf_data_len(m)
                                                   : head.size() + rest.size());
  head = head.first(std::min<std::size_t>(head.size(), now_.snap));
  rest = rest.first(std::min<std::size_t>(rest.size(), now_.snap - head.size()));
  const auto point = static_cast<std::size_t>(s.spot.point);
  ++seen_[point];
  std::uint8_t* room = ring_.reserve(sizeof s + head.size() + rest.size());
  if (room == nullptr) {
    ++lost_[point];
    return;
  }
  std::memcpy(room, &s, sizeof s);
  if (!head.empty()) std::memcpy(room + sizeof s, head.data(), head.size());
  if (!rest.empty()) std::memcpy(room + sizeof s + head.size(), rest.data(), rest.size());
  ring_.commit();
}

Capture::Capture(unsigned workers, SipKey key) {
  for (unsigned i = 0; i < workers; ++i)
    recorders_.push_back(std::make_unique<Recorder>(sampling_, key, i));
}

std::optional<std::uint8_t> Capture::start(Sampling sampling) {
  sampling.capture = static_cast<std::uint8_t>(last_ % 0xff + 1);
  Sampling off;
  if (!sampling_.compare_exchange_strong(off, sampling)) return std::nullopt;
  last_ = sampling.capture;
  return sampling.capture;
}

void Capture::stop() {
  sampling_.store(Sampling{});
}

}  // namespace orrery::dataplane
