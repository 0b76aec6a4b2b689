// Ports without a wire: a source prepares what is received, a sink frees what is sent. Receiving
// and sending are thus in a measurement; preparing is not: the clock of a round stops when a worker
// asks for packets and starts when it has them.
#pragma once

#include <x86intrin.h>

#include <functional>

#include "dataplane/port.h"

namespace orrery::bench {

/// Fills `out` with mbufs for one round, at most `n`; none ends the measurement.
using Source = std::function<unsigned(rte_mbuf** out, unsigned n)>;

/// Time-stamp cycles of each round: from the moment that a burst was handed out until more are
/// wanted.
class RoundClock {
 public:
  /// The next `source` burst, outside of the time that counts.
  unsigned next(const Source& source, rte_mbuf** out, unsigned n) {
    const std::uint64_t end = __rdtsc();
    if (begin_ != 0) last_ = end - begin_;
    const unsigned got = source(out, n);
    begin_ = __rdtsc();
    return got;
  }

  /// Cycles of the round before; 0 before the first.
  [[nodiscard]] std::uint64_t last() const { return last_; }

 private:
  std::uint64_t begin_ = 0;
  std::uint64_t last_ = 0;
};

/// What both kinds do: count and free.
struct Sink {
  std::uint64_t packets = 0;

  void take(rte_mbuf** in, unsigned n) {
    packets += n;
    rte_pktmbuf_free_bulk(in, n);
  }
};

/// The underlay. Owns every socket number but 0. Without a source it only sends.
class MemoryPort final : public dataplane::Port {
 public:
  explicit MemoryPort(RoundClock& clock, Source source = {})
      : clock_(clock), source_(std::move(source)) {}

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    return source_ ? static_cast<std::uint16_t>(clock_.next(source_, out, n)) : std::uint16_t{0};
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override { sink.take(in, n); }

  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override { return socket != 0; }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const dataplane::PortCounters& counters() const noexcept override {
    return counters_;
  }

  Sink sink;

 private:
  RoundClock& clock_;
  Source source_;
  dataplane::PortCounters counters_;
};

/// The host's side of one network.
class MemoryFrames final : public dataplane::FramePort {
 public:
  MemoryFrames(wire::NetworkId network, RoundClock& clock, Source source = {})
      : network_(network), clock_(clock), source_(std::move(source)) {}

  [[nodiscard]] wire::NetworkId network() const noexcept override { return network_; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    return source_ ? static_cast<std::uint16_t>(clock_.next(source_, out, n)) : std::uint16_t{0};
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override { sink.take(in, n); }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const dataplane::PortCounters& counters() const noexcept override {
    return counters_;
  }

  Sink sink;

 private:
  wire::NetworkId network_;
  RoundClock& clock_;
  Source source_;
  dataplane::PortCounters counters_;
};

}  // namespace orrery::bench
