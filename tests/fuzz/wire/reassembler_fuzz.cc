// The reassembler under small limits against a model that never makes room.
//
// Input: operations of [1] what, [1] id and source, [1] total and number, [1] size. Invariants: the
// limits hold after every step; a packet comes out exactly when the model says so, as long as
// nothing was pushed out or expired; it holds what was put in, in order.
#include <map>

#include "fuzz/wire/verb_fuzz.h"
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ReassemblerLimits limits;
  limits.packets = 12;
  limits.packets_per_source = 6;
  limits.bytes = 60'000;
  limits.timeout = 50;
  wire::Reassembler reassembler(limits, {1, 2});
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
    }
    const bool is_head = (op[0] & 1) != 0;
    const std::uint8_t total = op[2] >> 4;
    const std::uint8_t number = is_head ? 0 : op[2] & 15;
    ByteVector datagram((is_head ? wire::kHeaderSize : wire::kFragmentHeaderSize) + length,
                        static_cast<std::uint8_t>(at));
    wire::Reassembly verdict;
    if (is_head) {
      store_be64(datagram.data(), id);
      verdict = reassembler.add_head(now, source, datagram);
    } else {
      wire::encode_fragment_header(datagram, {id, wire::Address{1}, total, number, 0});
      verdict = reassembler.add_fragment(now, source, datagram);
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
  return 0;
}
