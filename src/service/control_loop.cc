#include "service/control_loop.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace orrery::service {
namespace {

constexpr Millis kSocketInterval = 5'000;        // re-scan of local addresses
constexpr Millis kSubscriptionInterval = 5'000;  // re-scan of what the host has joined
constexpr Millis kStationInterval = 1'000;       // stations of LANs that have aged are cleared
constexpr Millis kLongestWait = 1'000;
constexpr std::size_t kEthernetHead = 14;

Millis clock_ms(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return static_cast<Millis>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

}  // namespace

Now ControlLoop::now() {
  return {clock_ms(CLOCK_MONOTONIC) + 1, clock_ms(CLOCK_REALTIME)};
}

ControlLoop::ControlLoop(const Config& config, Home& home, const dataplane::Pools& pools,
                         WorkerTeam& workers, dataplane::Publisher& publisher,
                         tap::Netlink& netlink, control::Node& node, control::Networks& networks)
    : config_(config),
      home_(home),
      pools_(pools),
      workers_(workers),
      publisher_(publisher),
      node_(node),
      networks_(networks),
      hosts_(netlink, pools, workers.size()),
      underlay_(config, netlink, pools, workers.size()),
      fallback_(config.tcp_fallback, pools),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  saver_ = std::make_unique<Saver>([this](auto states) { return home_.save(states); },
                                   [](const Error& error) { spdlog::error("{}", error.text); },
                                   home_.shared_kinds());
  validator_ = std::make_unique<Validator>([this](const wire::Identity& identity, bool valid) {
    {
      const std::lock_guard lock(mutex_);
      validated_.emplace_back(identity, valid);
    }
    dataplane::ControlLink::signal(wake_fd_);
  });
  watch(wake_fd_);
  for (unsigned i = 0; i < workers_.size(); ++i) watch(workers_.link(i).control_fd());
}

bool ControlLoop::is_link(int fd) const {
  for (unsigned i = 0; i < workers_.size(); ++i) {
    if (fd == workers_.link(i).control_fd()) return true;
  }
  return false;
}

void ControlLoop::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

ControlLoop::~ControlLoop() {
  validator_.reset();
  saver_.reset();
  ::close(wake_fd_);
  ::close(epoll_);
}

void ControlLoop::stop() {
  stop_ = true;
  dataplane::ControlLink::signal(wake_fd_);
}

bool ControlLoop::invoke(const CommandQueue::Command& command) {
  return commands_.invoke(command, [this] { dataplane::ControlLink::signal(wake_fd_); });
}

void ControlLoop::take_commands() {
  std::vector<std::pair<wire::Identity, bool>> validated;
  {
    const std::lock_guard lock(mutex_);
    validated.swap(validated_);
  }
  for (const auto& [identity, valid] : validated)
    node_.on_identity_validated(now(), identity, valid, effects_);
  if (take_in_ && take_in_(now(), effects_)) wake();
  commands_.drain([this](const CommandQueue::Command& command) {
    try {
      command(now(), effects_);
    } catch (...) {
      carry_out();  // what it had asked for by then
      throw;
    }
    // An answer never precedes its effects.
    if (!carry_out(Saves::kOnDisk))
      throw std::runtime_error("the change is in force, but could not be written to disk yet");
  });
}

void ControlLoop::send_from(fib::LocalSocket socket, const control::Datagram& datagram) {
  const std::size_t small_room = dataplane::kWireRoom - RTE_PKTMBUF_HEADROOM;
  rte_mbuf* m =
      rte_pktmbuf_alloc(datagram.payload.size() <= small_room ? pools_.wire : pools_.frame);
  char* room = m == nullptr
                   ? nullptr
                   : rte_pktmbuf_append(m, static_cast<std::uint16_t>(datagram.payload.size()));
  if (room == nullptr) {
    rte_pktmbuf_free(m);
    ++ring_drops_;
    return;
  }
  std::copy(datagram.payload.begin(), datagram.payload.end(), room);
  dataplane::PacketMeta& meta = dataplane::meta_of(m);
  meta = {};
  meta.remote = datagram.via.remote;
  meta.socket = socket;
  meta.ttl = datagram.ttl;
  meta.whole = datagram.whole;
  if (workers_.port_link().inject.push(m)) {
    pushed_ = true;
  } else {
    rte_pktmbuf_free(m);
    ++ring_drops_;
  }
}

void ControlLoop::send(const control::Datagram& datagram) {
  if (datagram.via.socket != 0) {
    send_from(datagram.via.socket, datagram);
    return;
  }
  for (const fib::LocalSocket socket : underlay_.sockets_of(datagram.via.remote.family))
    send_from(socket, datagram);
}

void ControlLoop::deliver(const control::DeliverFrame& frame) {
  const std::size_t size = kEthernetHead + frame.payload.size();
  const std::size_t small_room = dataplane::kWireRoom - RTE_PKTMBUF_HEADROOM;
  rte_mbuf* m = rte_pktmbuf_alloc(size <= small_room ? pools_.wire : pools_.frame);
  auto* room = m == nullptr ? nullptr
                            : reinterpret_cast<std::uint8_t*>(
                                  rte_pktmbuf_append(m, static_cast<std::uint16_t>(size)));
  if (room == nullptr) {
    rte_pktmbuf_free(m);
    ++ring_drops_;
    return;
  }
  frame.destination.store(room);
  frame.source.store(room + 6);
  store_be16(room + 12, frame.ethertype);
  std::copy(frame.payload.begin(), frame.payload.end(), room + kEthernetHead);
  dataplane::PacketMeta& meta = dataplane::meta_of(m);
  meta = {};
  meta.network = frame.network.value;
  meta.side = static_cast<std::uint8_t>(frame.port ? *frame.port + 1 : 0);
  if (workers_.port_link().deliver.push(m)) {
    pushed_ = true;
  } else {
    rte_pktmbuf_free(m);
    ++ring_drops_;
  }
}

bool ControlLoop::save(std::vector<control::SaveState>& states, Saves saves) {
  using control::StateKind;
  // A file that holds several of them is written once. All others stay in their order, which is
  // what a crash in the middle makes sense by: a network's settings are there before it is joined.
  const auto place_of = [this](const control::SaveState& s) {
    return saver_->shares(s.kind) ? 1 + static_cast<int>(s.kind) : 0;
  };
  std::ranges::stable_sort(states, {}, place_of);
  bool saved = true;
  for (std::size_t i = 0; i < states.size();) {
    const StateKind kind = states[i].kind;
    std::size_t end = i + 1;
    while (saver_->shares(kind) && end < states.size() && states[end].kind == kind) ++end;
    const std::span<const control::SaveState> some(&states[i], end - i);
    i = end;
    const bool asked_for = kind != StateKind::kPeer && kind != StateKind::kPin;
    if (saves == Saves::kOnDisk && asked_for) {
      saved &= saver_->save_now(some).has_value();
    } else {
      for (const control::SaveState& state : some) saver_->submit(state);
    }
  }
  return saved;
}

bool ControlLoop::carry_out(Saves saves) {
  bool saved = true;
  // Inputs below (a port that cannot be made) may add effects; they are carried out in the next
  // round.
  // A request may leave records to keep and nothing to send.
  if (effects_.empty() && settle_) settle_();
  while (!effects_.empty()) {
    control::Effects out;
    std::swap(out, effects_);
    if (settle_) settle_();
    bool ids_covered = true;
    for (const control::SaveState& s : out.saves) {
      if (s.kind != control::StateKind::kNonce) continue;
      // Written ahead: no id beyond the old mark may leave before the new one is on disk.
      if (const auto written = home_.save(s); !written) {
        spdlog::error("{}", written.error().text);
        ids_covered &= node_.on_save_failed(now(), s, effects_);
      }
    }
    std::erase_if(out.saves,
                  [](const control::SaveState& s) { return s.kind == control::StateKind::kNonce; });
    saved &= save(out.saves, saves);
    if (!ids_covered) {
      out.datagrams.clear();
      std::erase_if(out.updates, fib::gives_keys);
    }
    for (const fib::Update& u : out.updates) {
      publisher_.apply(u);
      if (!bridged_.empty()) tell_switch(u);
    }
    for (const control::ValidateIdentity& v : out.validations) {
      if (!validator_->submit(v.identity)) node_.on_validation_refused(now(), v.identity, effects_);
    }
    for (const control::ConfigurePort& p : out.ports) on_hosts_changed(now(), hosts_.configure(p));
    for (const control::BlockPort& b : out.blocks) block(b);
    for (const control::Datagram& d : out.datagrams) send(d);
    for (const control::DeliverFrame& f : out.frames) deliver(f);
    for (const control::Notice& n : out.notices) {
      switch (n.level) {
        case control::Notice::Level::kDebug:
          spdlog::debug("{}", n.text);
          break;
        case control::Notice::Level::kInfo:
          spdlog::info("{}", n.text);
          break;
        case control::Notice::Level::kWarning:
          spdlog::warn("{}", n.text);
          break;
        case control::Notice::Level::kAlarm:
          spdlog::error("alarm: {}", n.text);
          break;
      }
    }
    if (out.identity_collided) {
      identity_collided_ = true;
      stop_ = true;
    }
  }
  if (pushed_) workers_.port_link().wake_worker();
  pushed_ = false;
  return saved;
}

void ControlLoop::on_hosts_changed(Now at, const HostInterfaces::Change& change) {
  for (const HostInterfaces::Report& r : change.reports) {
    if (!r.text.empty()) spdlog::warn("network {}: {}", wire::to_string(r.network), r.text);
    networks_.on_port_error(at, r.network, r.interface ? 0 : EIO, effects_);
  }
  if (!change.ports_changed) return;
  hand_over_ports();
  next_subscriptions_ = 0;
}

void ControlLoop::refresh_host(Now at) {
  if (underlay_.serve(at.mono)) next_sockets_ = at.mono;
  if (at.mono >= next_sockets_) {
    next_sockets_ = at.mono + kSocketInterval;
    const auto changed = underlay_.refresh();
    (void)underlay_.serve(at.mono);  // new local sockets work before they are announced
    if (!changed) spdlog::error("local addresses: {}", changed.error().text);
    for (const std::string& text : underlay_.failures()) spdlog::warn("{}", text);
    if (changed && *changed) {
      for (const auto& e : underlay_.endpoints())
        spdlog::info("bound {}", wire::to_string(e.address));
      sockets_changed_ = true;
      hand_over_ports();
      node_.on_local_endpoints(at, endpoints(), effects_);
    }
  }
  serve_fallback(at);
  on_hosts_changed(at, hosts_.resync(at.mono));
  if (at.mono >= next_subscriptions_) {
    next_subscriptions_ = at.mono + kSubscriptionInterval;
    for (const control::NetworkStatus& n : networks_.list()) {
      networks_.on_subscriptions(at, n.id, hosts_.subscriptions(n.id), effects_);
    }
  }
  if (at.mono >= next_stations_) {
    next_stations_ = at.mono + kStationInterval;
    for (const BridgedNetwork& net : bridged_) net.lan->expire(at.mono);
  }
  workers_.reap();
  publisher_.tick(at.mono);
  publisher_.reclaim();
}

std::vector<control::LocalEndpoint> ControlLoop::endpoints() const {
  std::vector<control::LocalEndpoint> all = underlay_.endpoints();
  if (fallback_.endpoint()) all.push_back(*fallback_.endpoint());
  return all;
}

void ControlLoop::serve_fallback(Now at) {
  const bool wanted = config_.tcp_fallback.usable() &&
                      (config_.tcp_fallback.forced || node_.wants_tunnel(at, fallback_.active()));
  const TcpFallback::Change change =
      fallback_.serve(at.mono, wanted, [this](const wire::Endpoint& local) {
        return !config_.nested && networks_.is_managed_ip(local);
      });
  if (!change.text.empty()) spdlog::info("{}", change.text);
  if (change.ports) hand_over_ports();
  if (change.sockets) node_.on_local_endpoints(at, endpoints(), effects_);
}

void ControlLoop::start_networks() {
  const Now at = now();
  const auto join = [&](wire::NetworkId id) {
    const auto cached = home_.read("networks.d/" + wire::to_string(id) + ".conf");
    const Bytes dictionary = cached && *cached ? Bytes(**cached) : Bytes();
    networks_.join(at, id, home_.network_settings(id), dictionary.size() > 1 ? dictionary : Bytes(),
                   effects_);
  };
  for (const std::string& file : home_.list("networks.d", ".conf")) {
    if (const auto id = wire::parse_network_id(std::string_view(file).substr(0, file.size() - 5)))
      join(*id);
  }
  for (const wire::NetworkId id : config_.networks) join(id);
  for (const BridgeConfig& bridge : config_.bridges) {
    if (!bridge.tap) hosts_.set_without_tap(bridge.network);
    join(bridge.network);
  }
}

void ControlLoop::run() {
  hand_over_ports();
  refresh_host(now());
  start_networks();
  carry_out();
  while (!stop_) {
    take_commands();
    const bool more = take_punts();
    Now at = now();
    if (at.mono >= node_.next_deadline()) node_.tick(at, effects_);
    refresh_host(at);
    carry_out();
    if (more || stop_) continue;
    at = now();
    const Millis due =
        std::min({node_.next_deadline(), next_sockets_, next_subscriptions_,
                  underlay_.next_deadline(at.mono + kLongestWait),
                  fallback_.next_deadline(at.mono + kLongestWait), at.mono + kLongestWait});
    epoll_event events[4];
    const int n = ::epoll_wait(
        epoll_, events, 4, static_cast<int>(std::clamp<Millis>(due - at.mono, 0, kLongestWait)));
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd == wake_fd_ || is_link(events[i].data.fd))
        dataplane::ControlLink::clear(events[i].data.fd);
    }
  }
  node_.save_all(now(), effects_);
  carry_out();
  commands_.close();
}

}  // namespace orrery::service
