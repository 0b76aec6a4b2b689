// The table of fragments under small limits, as control has it (pieces are copied bytes) and as a
// worker has it (pieces are buffers, each freed once, and there are few of them), against a model
// that never makes room.
//
// Input: operations of [1] what, [1] id and source, [1] total and number, [1] size. Invariants: the
// limits hold after every step; both tables say the same, as long as buffers last; a packet comes
// out exactly when the model says so, as long as nothing was pushed out or expired; it holds what
// was put in, in order; every buffer is parked, in a whole packet, or counted as lost.
#include <deque>
#include <map>
#include <memory>

#include "fuzz/wire/verb_fuzz.h"
#include "wire/fragment_table.h"
#include "wire/reassembler.h"

using namespace orrery;
using fuzz::check;

namespace {

struct Model {
  std::uint8_t total = 0;
  std::map<std::uint8_t, ByteVector> pieces;

  wire::Reassembly add(std::uint8_t number, std::uint8_t of, Bytes data, ByteVector& whole) {
    if (of != 0 && total != 0 && of != total) return wire::Reassembly::kRefused;
    if (pieces.contains(number)) return wire::Reassembly::kDuplicate;
    std::size_t sum = data.size();
    for (const auto& [n, piece] : pieces) sum += piece.size();
    if (sum > wire::kMaxPacket) return wire::Reassembly::kRefused;
    pieces.emplace(number, ByteVector(data.begin(), data.end()));
    if (of != 0) total = of;
    if (total == 0 || pieces.size() != total) return wire::Reassembly::kParked;
    whole.clear();
    for (const auto& [n, piece] : pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    return wire::Reassembly::kComplete;
  }
};

/// A buffer of a small pool: what an mbuf is to a worker.
struct Buffer {
  explicit Buffer(Bytes bytes) : data(bytes) { ++live; }

  ~Buffer() { --live; }

  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Bytes data;
  static std::size_t live;
};

std::size_t Buffer::live = 0;

/// The worker's side: the table with buffers, and what the ledger counts of it.
class Worker {
 public:
  explicit Worker(const wire::ReassemblerLimits& limits)
      : limits_(limits), table_(limits, {3, 4}) {}

  wire::Reassembly add(Millis now, std::uint64_t source, const wire::FragmentView& what) {
    Table::Pieces pieces;
    const auto take = [&] {
      // The bytes are kept for as long as the packet may be in flight: that is for this input.
      kept_.emplace_back(what.data.begin(), what.data.end());
      return std::make_unique<Buffer>(kept_.back());
    };
    const wire::Reassembly verdict = table_.add(now, source, what, take, pieces);
    if (verdict == wire::Reassembly::kParked || verdict == wire::Reassembly::kComplete) ++taken_;
    whole_.clear();
    bool ended = false;
    for (const auto& piece : pieces) {
      check((piece == nullptr) >= ended &&
            (piece == nullptr || verdict == wire::Reassembly::kComplete));
      ended = piece == nullptr;
      if (ended) continue;
      ++joined_;
      whole_.insert(whole_.end(), piece->data.begin(), piece->data.end());
    }
    pieces = {};
    check_ledger();
    return verdict;
  }

  void expire(Millis now) {
    table_.expire(now);
    check_ledger();
  }

  [[nodiscard]] Bytes whole() const { return whole_; }

  [[nodiscard]] std::uint64_t evicted() const { return table_.evicted(); }

  [[nodiscard]] std::size_t in_flight() const { return table_.in_flight(); }

 private:
  using Table = wire::FragmentTable<std::unique_ptr<Buffer>>;

  void check_ledger() const {
    check(table_.in_flight() <= limits_.packets && table_.bytes_held() <= limits_.bytes);
    check(table_.datagrams_held() <= limits_.datagrams);
    check(Buffer::live == table_.datagrams_held());
    check(taken_ == joined_ + table_.datagrams_held() + table_.datagrams_lost());
  }

  wire::ReassemblerLimits limits_;
  Table table_;
  std::deque<ByteVector> kept_;
  ByteVector whole_;
  std::size_t taken_ = 0, joined_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ReassemblerLimits limits;
  limits.packets = 12;
  limits.packets_per_source = 6;
  limits.bytes = 60'000;
  limits.timeout = 50;
  wire::Reassembler reassembler(limits, {1, 2});
  limits.datagrams = 20;
  Worker worker(limits);
  std::map<std::pair<std::uint64_t, std::uint64_t>, Model> models;
  bool complete_model = true;  // false once something was pushed out: only the limits count then
  Millis now = 1;
  for (std::size_t at = 0; at + 4 <= size; at += 4) {
    const std::uint8_t* op = data + at;
    const std::uint64_t source = op[1] & 3;
    const std::uint64_t id = op[1] >> 2 & 7;
    const std::size_t length = std::size_t{op[3]} * 41;
    if (op[0] % 16 == 15) {
      now += op[3];
      if (reassembler.expire(now) != 0) complete_model = false;
      worker.expire(now);
    }
    const bool is_head = (op[0] & 1) != 0;
    const std::uint8_t total = op[2] >> 4;
    const std::uint8_t number = is_head ? 0 : op[2] & 15;
    ByteVector datagram((is_head ? wire::kHeaderSize : wire::kFragmentHeaderSize) + length,
                        static_cast<std::uint8_t>(at));
    wire::Reassembly verdict;
    std::optional<wire::FragmentView> what;
    if (is_head) {
      store_be64(datagram.data(), id);
      verdict = reassembler.add_head(now, source, datagram);
      what = wire::read_head(datagram);
    } else {
      wire::encode_fragment_header(datagram, {id, wire::Address{1}, total, number, 0});
      verdict = reassembler.add_fragment(now, source, datagram);
      what = wire::read_fragment(datagram);
    }
    const auto at_worker = what ? worker.add(now, source, *what) : wire::Reassembly::kRefused;
    // Buffers are scarcer than bytes: from the first that made room on, the two differ.
    if (worker.evicted() == 0 && reassembler.evicted() == 0) {
      check(at_worker == verdict && worker.in_flight() == reassembler.in_flight());
      if (verdict == wire::Reassembly::kComplete)
        check(fuzz::same(worker.whole(), reassembler.packet()));
    }
    check(reassembler.in_flight() <= limits.packets);
    check(reassembler.bytes_held() <= limits.bytes);
    if (verdict == wire::Reassembly::kComplete) {
      check(reassembler.packet().size() <= wire::kMaxPacket);
    }
    complete_model = complete_model && reassembler.evicted() == 0;
    if (!complete_model) continue;
    wire::Reassembly expected = wire::Reassembly::kRefused;
    ByteVector whole;
    const bool judged = is_head ? datagram.size() <= wire::kMaxPacket
                                : length > 0 && length <= wire::kMaxPacket && total >= 2 &&
                                      total <= wire::kMaxFragments && number >= 1 && number < total;
    if (judged) {
      const Bytes piece = Bytes(datagram).subspan(is_head ? 0 : wire::kFragmentHeaderSize);
      expected = models[{source, id}].add(number, is_head ? std::uint8_t{0} : total, piece, whole);
    }
    check(verdict == expected);
    if (verdict == wire::Reassembly::kComplete) {
      check(fuzz::same(reassembler.packet(), whole));
      models.erase({source, id});
    }
  }
  (void)reassembler.expire(now + limits.timeout + 1);
  check(reassembler.in_flight() == 0 && reassembler.bytes_held() == 0);
  worker.expire(now + limits.timeout + 1);
  check(worker.in_flight() == 0 && Buffer::live == 0);
  return 0;
}
