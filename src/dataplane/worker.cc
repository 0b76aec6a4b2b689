#include "dataplane/worker.h"

#include <rte_cycles.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace orrery::dataplane {
namespace {

// Of polling after the last packet before a sleep that no packet ends, or beside other workers who
// lay out work every few microseconds. By time, since an empty turn asks every port.
constexpr std::uint64_t kPollsPerSecond = 20'000;  // thus 50 us
// Of one worker in a turn of the first: what comes of a few of its turns.
constexpr unsigned kMostPassed = 256;
constexpr timespec kLongestSleep{0, 100'000'000};  // timers of reassembly run at least this often
constexpr timespec kBackOff{0, 500'000};           // for ports without descriptors

}  // namespace

Worker::Worker(const Pools& pools, ControlLink& link, FastPath* fast_path, bool idle_poll,
               Place place)
    : pools_(pools),
      link_(link),
      fast_path_(fast_path),
      idle_poll_(idle_poll),
      place_(place),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) {
    std::fputs("worker: no epoll descriptor\n", stderr);
    std::abort();
  }
  if (place_.team != nullptr) place_.team->sit(place_.worker, link_);
}

Worker::~Worker() {
  rte_pktmbuf_free_bulk(answers_, answers_waiting_);
  ::close(epoll_);
}

void Worker::hand_over(std::unique_ptr<const PortSet> set) {
  next_.store(set.get(), std::memory_order_release);
  sets_.push_back(std::move(set));
  link_.wake_worker();
}

void Worker::reap() {
  // Invariant 1: the set in use and every later one stay.
  const PortSet* used = in_use_.load(std::memory_order_acquire);
  const auto it =
      std::find_if(sets_.begin(), sets_.end(), [&](const auto& s) { return s.get() == used; });
  if (it != sets_.end()) sets_.erase(sets_.begin(), it);
}

void Worker::adopt() noexcept {
  const PortSet* next = next_.load(std::memory_order_acquire);
  if (next == set_) return;
  set_ = next;
  ::close(epoll_);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  must_poll_ = false;
  const auto watch = [this](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  };
  watch(link_.worker_fd());
  for (const auto& port : set_->ports) {
    const auto fds = port->wait_fds();
    if (fds.empty()) must_poll_ = true;
    for (const int fd : fds) watch(fd);
  }
  for (const auto& port : set_->frame_ports) {
    const auto fds = port->wait_fds();
    if (fds.empty()) must_poll_ = true;
    for (const int fd : fds) watch(fd);
  }
  in_use_.store(set_, std::memory_order_release);  // Invariant 1
}

void Worker::run() noexcept {
  const std::uint64_t poll_for = rte_get_tsc_hz() / kPollsPerSecond;
  std::uint64_t last_work = rte_rdtsc();
  if (fast_path_ != nullptr) fast_path_->online();
  while (!stop_.load(std::memory_order_relaxed)) {
    adopt();
    const unsigned work = set_ == nullptr ? 0 : turn();
    ++counters_.turns;
    if (fast_path_ != nullptr) fast_path_->quiescent();
    if (work != 0) {
      last_work = rte_rdtsc();
      continue;
    }
    ++counters_.empty_turns;
    if (idle_poll_) continue;
    // Where descriptors wake it a worker alone sleeps at once: an empty turn is a system call for
    // every socket and TAP, and a worker that polls is in the way of whoever shares its CPU, which
    // the scheduler holds against it at the next packet.
    const bool polls = must_poll_ || place_.team != nullptr;
    if (!polls || rte_rdtsc() - last_work >= poll_for) wait();
  }
  take_back_units();
  if (fast_path_ != nullptr) fast_path_->offline();
}

void Worker::stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  link_.wake_worker();
}

void Worker::wait() noexcept {
  ++counters_.sleeps;
  if (fast_path_ != nullptr) fast_path_->offline();
  if (place_.team != nullptr) place_.team->note_sleep(place_.worker, &link_);
  const bool called = place_.team != nullptr && (place_.team->has_work() ||
                                                 (place_.worker == 0 && place_.team->has_passed()));
  if (!called) {
    epoll_event events[8];
    const timespec longest = must_poll_ ? kBackOff : kLongestSleep;
    int n = ::epoll_pwait2(epoll_, events, 8, &longest, nullptr);
    // Kernels before 5.11 have no such call, and filters of old containers refuse it.
    if (n < 0 && errno != EINTR) n = ::epoll_wait(epoll_, events, 8, must_poll_ ? 1 : 100);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd == link_.worker_fd()) ControlLink::clear(link_.worker_fd());
    }
  }
  if (place_.team != nullptr) place_.team->note_sleep(place_.worker, nullptr);
  if (fast_path_ != nullptr) fast_path_->online();
}

unsigned Worker::turn() noexcept {
  punted_ = passed_ = false;
  if (fast_path_ != nullptr) fast_path_->begin_turn();
  // In turns: what comes first finds room for its units while there is little of it.
  unsigned taken = 0;
  if (counters_.turns % 2 == 0) {
    taken += from_ports();
    taken += from_hosts();
  } else {
    taken += from_hosts();
    taken += from_ports();
  }
  const unsigned work = taken + from_control() + from_team() + send_answers() + share(taken);
  if (fast_path_ != nullptr) {
    fast_path_->expire(counters_.drops);
    counters_.parked.set(fast_path_->parked());
  }
  if (punted_) link_.wake_control();
  if (passed_) place_.team->wake_first();
  return work;
}

void Worker::punt(rte_mbuf* m, Message message) noexcept {
  meta_of(m).message = message;
  if (Recorder* r = recorder()) [[unlikely]]
    r->punted(m);  // afterwards it is control's
  if (!(is_raw(message) ? link_.raw : link_.punt).push(m)) {
    drop(m, Drop::kPuntFull, spot_of(message));
    return;
  }
  ++counters_.punted;
  punted_ = true;
}

Recorder* Worker::recorder() const noexcept {
  return fast_path_ != nullptr ? fast_path_->recorder() : nullptr;
}

void Worker::drop(rte_mbuf* m, Drop reason, Spot at) noexcept {
  if (Recorder* r = recorder()) [[unlikely]]
    r->dropped(m, reason, at);
  ++counters_.drops[static_cast<std::size_t>(reason)];
  rte_pktmbuf_free(m);
}

void Worker::finish(Outcome& o) noexcept {
  transmit(o.transmit, o.transmits);
  deliver(o.deliver, o.delivers);
  for (unsigned i = 0; i < o.punts; ++i) punt(o.punt[i], meta_of(o.punt[i]).message);
  o.transmits = o.delivers = o.punts = 0;
  settle(o);
}

unsigned Worker::from_ports() noexcept {
  unsigned work = 0;
  rte_mbuf* burst[kBurst];
  for (const auto& port : set_->ports) {
    if (!make_room()) break;
    const std::uint16_t n = port->receive(burst, kBurst);
    if (n == 0) continue;
    work += n;
    counters_.datagrams_in += n;
    if (Recorder* r = recorder()) [[unlikely]]
      r->datagrams_in(burst, n);
    if (fast_path_ == nullptr) {
      for (std::uint16_t i = 0; i < n; ++i) punt(burst[i], Message::kDatagram);
    } else {
      inbound(burst, n);
    }
  }
  return work;
}

unsigned SwitchedNetwork::number_of(const FramePort& port) const noexcept {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i] == &port) return static_cast<unsigned>(i);
  }
  return kNoPort;
}

const SwitchedNetwork* PortSet::switch_of(std::uint64_t network) const noexcept {
  for (const SwitchedNetwork& net : switched) {
    if (net.lan->network().value == network) return &net;
  }
  return nullptr;
}

Millis Worker::now() const noexcept {
  return fast_path_ != nullptr ? fast_path_->now() : 1;
}

void Worker::give(FramePort& port, rte_mbuf** frames, unsigned n) noexcept {
  counters_.delivered += n;
  if (Recorder* r = recorder()) [[unlikely]]
    r->delivered(frames, n);
  port.send(frames, static_cast<std::uint16_t>(n));
}

void Worker::pass(SpscRing<rte_mbuf>& ring, rte_mbuf** packets, unsigned n, Spot at) noexcept {
  unsigned gone = 0;
  const bool first = place_.team == nullptr || place_.worker == 0;
  if (!first) {
    gone = ring.push(packets, n);
    counters_.passed += gone;
    passed_ |= gone != 0;
  }
  for (; gone < n; ++gone) drop(packets[gone], first ? Drop::kNoPort : Drop::kPassFull, at);
}

void Worker::flush(Run& run) noexcept {
  if (run.n == 0) return;
  if (run.port != nullptr) {
    give(*run.port, run.frames, run.n);
  } else {
    pass(link_.pass_frames, run.frames, run.n, kHostIn);
  }
  run.n = 0;
}

void Worker::put(Run& run, const SwitchedNetwork& net, unsigned number, rte_mbuf* frame) noexcept {
  FramePort* port = number < net.ports.size() ? net.ports[number] : nullptr;
  if (run.port != port || run.n == kBurst) flush(run);
  if (port == nullptr) {
    meta_of(frame).network = net.lan->network().value;
    meta_of(frame).side = static_cast<std::uint8_t>(number + 1);
  }
  run.port = port;
  run.frames[run.n++] = frame;
}

void Worker::put_copy(Run& run, const SwitchedNetwork& net, unsigned number,
                      const rte_mbuf* frame) noexcept {
  ++counters_.copies;  // before it exists: one that finds no buffer is a copy dropped
  rte_mbuf* copy = rte_pktmbuf_copy(frame, frame->pool, 0, UINT32_MAX);
  if (copy == nullptr) {
    ++counters_.drops[static_cast<std::size_t>(Drop::kNoMbuf)];
    return;
  }
  meta_of(copy) = *static_cast<const PacketMeta*>(rte_mbuf_to_priv(const_cast<rte_mbuf*>(frame)));
  put(run, net, number, copy);
}

void Worker::spread(Run& run, const SwitchedNetwork& net, std::uint64_t ports,
                    rte_mbuf* frame) noexcept {
  if (ports == 0) {
    drop(frame, Drop::kNoPort, kHostIn);
    return;
  }
  for (; (ports & (ports - 1)) != 0; ports &= ports - 1)
    put_copy(run, net, static_cast<unsigned>(std::countr_zero(ports)), frame);
  put(run, net, static_cast<unsigned>(std::countr_zero(ports)), frame);
}

bool Worker::answer(fib::Neighbour owner, const rte_mbuf* question) noexcept {
  if (fast_path_ == nullptr || answers_waiting_ == kBurst) return false;
  rte_mbuf* m = fast_path_->answer(
      owner, {rte_pktmbuf_mtod(question, const std::uint8_t*), rte_pktmbuf_data_len(question)});
  if (m == nullptr) return false;
  meta_of(m).network = meta_of(const_cast<rte_mbuf*>(question)).network;
  answers_[answers_waiting_++] = m;
  return true;
}

unsigned Worker::send_answers() noexcept {
  unsigned work = 0;
  while (answers_waiting_ != 0 && make_room()) {
    // Those of one network: what is sent may make more of them.
    const std::uint64_t network = meta_of(answers_[0]).network;
    rte_mbuf* burst[kBurst];
    unsigned n = 0, left = 0;
    for (unsigned i = 0; i < answers_waiting_; ++i) {
      rte_mbuf* m = answers_[i];
      (meta_of(m).network == network ? burst[n++] : answers_[left++]) = m;
    }
    answers_waiting_ = left;
    counters_.answers += n;
    outbound(wire::NetworkId{network}, burst, n);
    work += n;
  }
  return work;
}

void Worker::punt_probe(const SwitchedNetwork& net, unsigned side, rte_mbuf* frame) noexcept {
  meta_of(frame).network = net.lan->network().value;
  meta_of(frame).side = static_cast<std::uint8_t>(side + 1);
  punt(frame, Message::kProbe);
}

unsigned Worker::switch_locally(const SwitchedNetwork& net, unsigned port, rte_mbuf** frames,
                                unsigned n) noexcept {
  const Millis at = now();
  Run run;
  unsigned kept = 0;
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* m = frames[i];
    const LanSwitch::Verdict verdict = net.lan->from_local(
        port, {rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)}, at);
    if (verdict.probe) {
      punt_probe(net, port, m);
    } else if (verdict.drop != Drop::kNone) {
      drop(m, verdict.drop, kHostOut);
    } else if (!verdict.overlay) {
      spread(run, net, verdict.ports, m);
    } else {
      for (std::uint64_t to = verdict.ports; to != 0; to &= to - 1) {
        put_copy(run, net, static_cast<unsigned>(std::countr_zero(to)), m);
      }
      meta_of(m).neighbour = verdict.neighbour;
      meta_of(m).side = static_cast<std::uint8_t>(port + 1);
      frames[kept++] = m;
    }
  }
  flush(run);
  return kept;
}

unsigned Worker::from_hosts() noexcept {
  unsigned work = 0;
  rte_mbuf* burst[kBurst];
  for (const auto& frame_port : set_->frame_ports) {
    if (!make_room()) break;
    FramePort& port = *frame_port;
    unsigned n = port.receive(burst, kBurst);
    if (n == 0) continue;
    work += n;
    counters_.frames_in += n;
    if (Recorder* r = recorder()) [[unlikely]]
      r->frames_in(port.network(), burst, n);
    if (const SwitchedNetwork* net = set_->switch_of(port.network().value)) {
      n = switch_locally(*net, net->number_of(port), burst, n);
    }
    if (fast_path_ != nullptr) {
      outbound(port.network(), burst, n);
      continue;
    }
    for (unsigned i = 0; i < n; ++i) {
      meta_of(burst[i]).network = port.network().value;
      punt(burst[i], Message::kFrame);
    }
  }
  return work;
}

unsigned Worker::from_control() noexcept {
  rte_mbuf* burst[kBurst];
  Recorder* const r = recorder();
  const unsigned datagrams = link_.inject.pop(burst, kBurst);
  counters_.injected += datagrams;
  if (r != nullptr) [[unlikely]]
    r->choose_by_control(burst, datagrams);
  transmit(burst, datagrams);
  const unsigned frames = link_.deliver.pop(burst, kBurst);
  counters_.handed_frames += frames;
  if (r != nullptr) [[unlikely]]
    r->choose_by_control(burst, frames);
  deliver(burst, frames);
  return datagrams + frames;
}

unsigned Worker::from_team() noexcept {
  if (place_.team == nullptr || place_.worker != 0) return 0;
  unsigned all = 0;
  rte_mbuf* burst[kMostPassed];
  for (unsigned i = 1; i < place_.team->size(); ++i) {
    ControlLink* link = place_.team->link_of(i);
    if (link == nullptr) continue;
    const unsigned datagrams = link->pass.pop(burst, kMostPassed);
    transmit(burst, datagrams);
    const unsigned frames = link->pass_frames.pop(burst, kMostPassed);
    deliver(burst, frames);
    counters_.taken += datagrams + frames;
    all += datagrams + frames;
  }
  return all;
}

void Worker::transmit(rte_mbuf** packets, unsigned n) noexcept {
  unsigned begin = 0;
  while (begin < n) {
    const fib::LocalSocket socket = meta_of(packets[begin]).socket;
    Port* owner = nullptr;
    for (const auto& port : set_->ports) {
      if (port->owns(socket)) owner = port.get();
    }
    unsigned end = begin + 1;
    if (owner == nullptr) {
      while (end < n && meta_of(packets[end]).socket == socket) ++end;
      pass(link_.pass, packets + begin, end - begin, kOuterOut);
    } else {
      while (end < n && owner->owns(meta_of(packets[end]).socket)) ++end;
      counters_.sent += end - begin;
      if (Recorder* r = recorder()) [[unlikely]]
        r->sent(packets + begin, end - begin);
      owner->send(packets + begin, static_cast<std::uint16_t>(end - begin));
    }
    begin = end;
  }
}

void Worker::deliver_switched(const SwitchedNetwork& net, rte_mbuf** frames, unsigned n) noexcept {
  const Millis at = now();
  Run run;
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* m = frames[i];
    if (const unsigned only = meta_of(m).side; only != 0) {
      spread(run, net, std::uint64_t{1} << (only - 1), m);
      continue;
    }
    const LanSwitch::Verdict verdict = net.lan->from_overlay(
        {rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)}, at);
    if (verdict.probe) {
      punt_probe(net, LanSwitch::kOverlay, m);
    } else if (verdict.drop != Drop::kNone) {
      drop(m, verdict.drop, kHostIn);
    } else if (verdict.neighbour.mac && answer(verdict.neighbour, m)) {
      drop(m, Drop::kSuppressed, kHostIn);
    } else {
      spread(run, net, verdict.ports, m);
    }
  }
  flush(run);
}

void Worker::deliver(rte_mbuf** frames, unsigned n) noexcept {
  unsigned end = 0;
  for (unsigned begin = 0; begin < n; begin = end) {
    const std::uint64_t network = meta_of(frames[begin]).network;
    end = begin + 1;
    while (end < n && meta_of(frames[end]).network == network) ++end;
    if (const SwitchedNetwork* net = set_->switch_of(network)) {
      deliver_switched(*net, frames + begin, end - begin);
      continue;
    }
    FramePort* target = nullptr;
    for (const auto& port : set_->frame_ports) {
      if (port->network().value == network) target = port.get();
    }
    if (target == nullptr) {
      pass(link_.pass_frames, frames + begin, end - begin, kHostIn);
    } else {
      give(*target, frames + begin, end - begin);
    }
  }
}

}  // namespace orrery::dataplane
