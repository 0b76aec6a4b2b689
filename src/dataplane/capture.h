// Sampled packet stories: what a packet looked like at four points of its way through a worker, and
// where it ended.
//
//   kOuter      the UDP payload, as it came or as it goes
//   kDecrypted  the packet in clear, header included: behind dearmor, or ahead of armor
//   kRules      the Ethernet frame that the network's rules let through
//   kHost       the Ethernet frame that a TAP or LAN port gives or gets
//
// A packet is chosen where it enters a worker, and its PacketMeta::story marks it from there on, in
// copies and pieces, too: it is seen at all points that it passes or at none. Datagrams are chosen
// by a keyed hash of their packet id, which all pieces of a packet share (and a packet that comes
// twice), frames of the host and what control sends by a count. What control finishes begins a new
// story where it comes back to a worker.
//
// A Recorder is one worker's: it copies what it sees into a ring and never waits; what finds no
// room is counted. Off, it costs a worker a load a turn and a branch that is never taken for every
// stage of a vector and burst of a port. The reader is one thread at a time.
//
// Weak spots: fragments whose others never came are seen once and not when they are given up, nor
// are packets that a port could not send; copies of a multicast frame share its story.
#pragma once

#include <memory>
#include <vector>

#include "base/record_ring.h"
#include "base/siphash.h"
#include "dataplane/observe.h"
#include "dataplane/vector.h"

namespace orrery::dataplane {

enum class Point : std::uint8_t { kOuter, kDecrypted, kRules, kHost };
inline constexpr unsigned kPoints = 4;

enum class Direction : std::uint8_t {
  kInbound,   // towards the host
  kOutbound,  // from it
};

/// Of a packet at a point.
enum class Fate : std::uint8_t {
  kPassed,
  kDropped,  // beyond it, before the next one
  kPunted,   // there given to control
};

/// Where a packet is.
struct Spot {
  Point point = Point::kOuter;
  Direction direction = Direction::kInbound;
};

inline constexpr Spot kOuterIn{Point::kOuter, Direction::kInbound};
inline constexpr Spot kOuterOut{Point::kOuter, Direction::kOutbound};
inline constexpr Spot kDecryptedIn{Point::kDecrypted, Direction::kInbound};
inline constexpr Spot kDecryptedOut{Point::kDecrypted, Direction::kOutbound};
inline constexpr Spot kRulesIn{Point::kRules, Direction::kInbound};
inline constexpr Spot kRulesOut{Point::kRules, Direction::kOutbound};
inline constexpr Spot kHostIn{Point::kHost, Direction::kInbound};
inline constexpr Spot kHostOut{Point::kHost, Direction::kOutbound};

/// Where control takes a packet over. (An event is no packet, and of no story.)
[[nodiscard]] constexpr Spot spot_of(Message message) {
  switch (message) {
    case Message::kDatagram:
    case Message::kReassembled:
      return kOuterIn;
    case Message::kAuthenticated:
      return kDecryptedIn;
    default:
      return kHostOut;
  }
}

/// One record of a recorder's ring: this, and behind it the first bytes of the packet; none of a
/// packet that was punted, or that dearmor burned.
struct Sighting {
  std::uint64_t story = 0;
  std::uint64_t nanoseconds = 0;  // since 1970
  wire::Address peer;             // zero: see the packet's header, or unknown
  std::uint64_t network = 0;      // of frames; 0: unknown
  wire::Endpoint remote;          // at kOuter
  std::uint16_t size = 0;         // bytes of the packet
  Spot spot;
  Fate fate = Fate::kPassed;
  Drop drop = Drop::kNone;
};

/// Whether the story is of a packet that control made.
[[nodiscard]] constexpr bool is_of_control(std::uint64_t story) {
  return (story & 0x100) != 0;
}

/// What a capture is to take; as a whole one word of memory.
struct Sampling {
  std::uint8_t capture = 0;  // number of the capture, in its stories; 0: none is running
  std::uint8_t points = 0;   // bit 1 << Point: where packets are copied; what ends them always is
  std::uint16_t snap = 0;    // bytes of a packet at most
  std::uint32_t one_in = 1;  // packets; not 0
};

class Recorder {
 public:
  /// Of a worker's ring: 50,000 small packets, or 2,500 of 1,500 bytes.
  static constexpr std::size_t kRingBytes = std::size_t{1} << 22;

  /// `sampling`: of all workers, outlives this. `worker`: its number.
  Recorder(const std::atomic<Sampling>& sampling, SipKey key, unsigned worker);

  // --- the worker

  /// Whether to record in this turn.
  [[nodiscard]] bool begin_turn() noexcept {
    now_ = sampling_.load(std::memory_order_relaxed);
    return now_.capture != 0;
  }

  /// What came in: chooses, and sees it. `by_control`: what it sends, or delivers.
  void datagrams_in(rte_mbuf** datagrams, unsigned n) noexcept;
  void frames_in(wire::NetworkId network, rte_mbuf** frames, unsigned n) noexcept;
  void choose_by_control(rte_mbuf** packets, unsigned n) noexcept;

  /// The stages begin with packets that are there.
  void begin(Spot spot) noexcept { spot_ = spot; }

  /// The vector has left a stage: all lanes go on.
  void passed(StageId stage, const PacketVector& v) noexcept;
  /// Lanes that are about to be dropped.
  void leaving(const PacketVector& v) noexcept;

  void dropped(rte_mbuf* m, Drop reason, Spot spot, wire::Address peer = {}) noexcept;
  /// REQUIRES: PacketMeta::message is set.
  void punted(rte_mbuf* m) noexcept;
  void sent(rte_mbuf** datagrams, unsigned n) noexcept;
  void delivered(rte_mbuf** frames, unsigned n) noexcept;

  // --- the reader

  /// Gives every sighting of this capture to `take(const Sighting&, Bytes)` and forgets it.
  template <typename Take>
  void drain(std::uint8_t capture, Take take) {
    while (const auto record = ring_.front()) {
      Sighting s;
      std::memcpy(&s, record->data(), sizeof s);
      if ((s.story & 0xff) == capture) take(s, record->subspan(sizeof s));
      ring_.pop();
    }
  }

  /// Sightings since the start, and those that found no room.
  [[nodiscard]] const Counter& seen(Point p) const { return seen_[static_cast<std::size_t>(p)]; }

  [[nodiscard]] const Counter& lost(Point p) const { return lost_[static_cast<std::size_t>(p)]; }

 private:
  [[nodiscard]] std::uint64_t story_of(Bytes name, bool by_control) const noexcept;
  [[nodiscard]] std::uint64_t next_story(bool by_control) noexcept;

  [[nodiscard]] bool chosen(const rte_mbuf* m) const noexcept {
    return (meta_of(const_cast<rte_mbuf*>(m)).story & 0xff) == now_.capture;
  }

  [[nodiscard]] bool takes(Point p) const noexcept {
    return (now_.points >> static_cast<unsigned>(p) & 1u) != 0;
  }

  void see(rte_mbuf* m, Spot spot, wire::Address peer = {}) noexcept;
  void put(Sighting s, const rte_mbuf* m, Bytes head, Bytes rest) noexcept;

  const std::atomic<Sampling>& sampling_;
  const SipKey key_;
  const unsigned worker_;
  Sampling now_;
  Spot spot_;
  std::uint64_t count_ = 0;  // of stories that have no packet id
  RecordRing ring_{kRingBytes};
  std::array<Counter, kPoints> seen_, lost_;
};

/// The recorders of all workers, and the one switch. Outlives them.
class Capture {
 public:
  Capture(unsigned workers, SipKey key);

  [[nodiscard]] Recorder& recorder(unsigned worker) noexcept { return *recorders_[worker]; }

  [[nodiscard]] unsigned workers() const noexcept {
    return static_cast<unsigned>(recorders_.size());
  }

  /// The number of the capture that begins; nothing while one is running. From any thread.
  std::optional<std::uint8_t> start(Sampling sampling);
  /// REQUIRES: start() has given a number to the caller.
  void stop();

 private:
  std::atomic<Sampling> sampling_{Sampling{}};
  static_assert(std::atomic<Sampling>::is_always_lock_free);
  std::atomic<std::uint8_t> last_{0};
  std::vector<std::unique_ptr<Recorder>> recorders_;
};

}  // namespace orrery::dataplane
