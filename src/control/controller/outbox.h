// Packets of a controller that say what is not on disk yet: they wait here for their records.
//
// A mark is a number of writes (Registry::written()). Packets leave in the order in which they
// came.
#pragma once

#include <deque>

#include "control/transport.h"
#include "wire/mac.h"

namespace orrery::control {

class Outbox {
 public:
  struct Packet {
    std::uint64_t mark = 0;  // it says what this many writes say
    wire::NetworkId network;
    wire::Address to;
    wire::Verb verb = wire::Verb::kNop;
    ByteVector payload;
    SendOptions options;
  };

  void add(Packet packet) { waiting_.push_back(std::move(packet)); }

  /// Calls `send(packet)` for those that say no more than `mark` writes do.
  template <typename Send>
  void release(std::uint64_t mark, Send send) {
    while (!waiting_.empty() && waiting_.front().mark <= mark) {
      const Packet packet = std::move(waiting_.front());
      waiting_.pop_front();
      send(packet);
    }
  }

  /// Their records could not be kept: nobody must hear of them.
  void forget() { waiting_.clear(); }

  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  std::deque<Packet> waiting_;
};

}  // namespace orrery::control
