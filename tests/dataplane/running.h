// A worker that runs in a thread of its own, between ports in memory.
#pragma once

#include <chrono>
#include <mutex>
#include <thread>

#include "fixture.h"

namespace orrery::dataplane::test {

/// The host's side of a network in memory.
class MemoryFrames final : public FramePort {
 public:
  explicit MemoryFrames(bool lan = false) : lan_(lan) {}

  [[nodiscard]] bool is_lan() const noexcept override { return lan_; }

  [[nodiscard]] wire::NetworkId network() const noexcept override { return kNetwork; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    const std::lock_guard lock(mutex_);
    std::uint16_t taken = 0;
    for (; taken < n && !in_.empty(); ++taken) {
      out[taken] = mbuf_of(in_.front(), pools().frame);
      in_.pop_front();
    }
    return taken;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override {
    const std::lock_guard lock(mutex_);
    for (std::uint16_t i = 0; i < n; ++i) {
      out_.emplace_back(bytes_of(in[i]).begin(), bytes_of(in[i]).end());
      rte_pktmbuf_free(in[i]);
    }
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  void offer(const ByteVector& frame) {
    const std::lock_guard lock(mutex_);
    in_.push_back(frame);
  }

  std::vector<ByteVector> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(out_, {});
  }

 private:
  bool lan_;
  std::mutex mutex_;
  std::deque<ByteVector> in_;
  std::vector<ByteVector> out_;
  PortCounters counters_;
};

/// One node: tables, worker, ports, thread.
struct Running {
  Running(const char* name, unsigned index, wire::Address self, wire::Address other,
          wire::Endpoint own, wire::Endpoint remote, Recorder* recorder = nullptr)
      : end(name, self, other, remote, wire::Suite::kAesGmacSiv, recorder),
        wire_port(std::make_shared<MemoryPort>(own)),
        frames(std::make_shared<MemoryFrames>()) {
    end.fast->offline();
    EXPECT_TRUE(link.open(index));
    worker = std::make_unique<Worker>(pools(), link, end.fast.get(), false);
    auto set = std::make_unique<PortSet>();
    set->ports = {wire_port};
    set->frame_ports = {frames};
    worker->hand_over(std::move(set));
  }

  void start() {
    thread = std::thread([this] { worker->run(); });
  }

  void stop() {
    worker->stop();
    thread.join();
    rte_mbuf* m = nullptr;
    while (link.punt.pop(&m, 1) != 0) rte_pktmbuf_free(m);
    while (link.raw.pop(&m, 1) != 0) rte_pktmbuf_free(m);
  }

  /// What came in equals what went out, waits or was dropped.
  void check_ledger() const { EXPECT_TRUE(worker->counters().balanced()); }

  End end;
  std::shared_ptr<MemoryPort> wire_port;
  std::shared_ptr<MemoryFrames> frames;
  ControlLink link;
  std::unique_ptr<Worker> worker;
  std::thread thread;
};

/// Frames that arrive at `at` until there are `n` or five seconds are over.
inline std::vector<ByteVector> await(Running& at, std::size_t n) {
  std::vector<ByteVector> all;
  for (int i = 0; i < 5000 && all.size() < n; ++i) {
    for (ByteVector& f : at.frames->take()) all.push_back(std::move(f));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return all;
}

}  // namespace orrery::dataplane::test
