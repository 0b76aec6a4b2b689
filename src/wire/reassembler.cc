#include "wire/reassembler.h"

namespace orrery::wire {

struct Reassembler::State {
  using Table = FragmentTable<ByteVector>;

  State(const ReassemblerLimits& limits, SipKey key) : table(limits, key) {}

  Reassembly add(Millis now, std::uint64_t source, const std::optional<FragmentView>& piece) {
    if (!piece) return Reassembly::kRefused;
    Table::Pieces pieces;
    const auto copy = [&] { return ByteVector(piece->data.begin(), piece->data.end()); };
    const Reassembly verdict = table.add(now, source, *piece, copy, pieces);
    if (verdict != Reassembly::kComplete) return verdict;
    complete.clear();
    for (const ByteVector& p : pieces) complete.insert(complete.end(), p.begin(), p.end());
    return verdict;
  }

  Table table;
  ByteVector complete;
};

Reassembler::Reassembler(const ReassemblerLimits& limits, SipKey key)
    : state_(std::make_unique<State>(limits, key)) {}

Reassembler::~Reassembler() = default;
Reassembler::Reassembler(Reassembler&&) noexcept = default;
Reassembler& Reassembler::operator=(Reassembler&&) noexcept = default;

Reassembly Reassembler::add_head(Millis now, std::uint64_t source, Bytes datagram) {
  return state_->add(now, source, read_head(datagram));
}

Reassembly Reassembler::add_fragment(Millis now, std::uint64_t source, Bytes datagram) {
  return state_->add(now, source, read_fragment(datagram));
}

Bytes Reassembler::packet() const {
  return state_->complete;
}

std::size_t Reassembler::expire(Millis now) {
  return state_->table.expire(now);
}

std::size_t Reassembler::in_flight() const {
  return state_->table.in_flight();
}

std::size_t Reassembler::bytes_held() const {
  return state_->table.bytes_held();
}

std::uint64_t Reassembler::evicted() const {
  return state_->table.evicted();
}

}  // namespace orrery::wire
