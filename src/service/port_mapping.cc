#include "service/port_mapping.h"

#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <natpmp.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "control/path.h"
#include "service/background.h"

namespace orrery::service {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kLifetime = 3'600;  // s, of a mapping
constexpr seconds kRenew{kLifetime / 2};
constexpr seconds kLookAgain{60};  // without a router, or when it refused; at first
constexpr milliseconds kPatienceAtEnd{1'000};
constexpr milliseconds kNatPmpPatience{1'000};  // of eight tries in 64 s that RFC 6886 asks for
constexpr int kDiscovery = 1'000;               // ms for answers to the search for UPnP
constexpr const char* kName = "orrery";

/// A NAT-PMP conversation with the default gateway.
class NatPmp {
 public:
  NatPmp() : open_(::initnatpmp(&socket_, 0, 0) == 0) {}

  ~NatPmp() {
    if (open_) ::closenatpmp(&socket_);
  }

  NatPmp(const NatPmp&) = delete;
  NatPmp& operator=(const NatPmp&) = delete;

  /// There is a default gateway to ask.
  [[nodiscard]] bool has_gateway() const { return open_; }

  /// The external endpoint; `lifetime` 0 takes the mapping back.
  std::optional<wire::Endpoint> map(std::uint16_t port, unsigned lifetime) {
    natpmpresp_t answer;
    if (!open_ || ::sendpublicaddressrequest(&socket_) < 0 || !wait(answer)) return std::nullopt;
    const std::uint32_t ip = ntohl(answer.pnu.publicaddress.addr.s_addr);
    // The external port is asked to be the same; 0 belongs to a mapping that goes.
    const std::uint16_t wanted = lifetime == 0 ? 0 : port;
    if (::sendnewportmappingrequest(&socket_, NATPMP_PROTOCOL_UDP, port, wanted, lifetime) < 0 ||
        !wait(answer)) {
      return std::nullopt;
    }
    return wire::Endpoint::v4(ip, answer.pnu.newportmapping.mappedpublicport);
  }

 private:
  bool wait(natpmpresp_t& answer) {
    const auto until = Clock::now() + kNatPmpPatience;
    for (;;) {
      const int result = ::readnatpmpresponseorretry(&socket_, &answer);
      if (result != NATPMP_TRYAGAIN) return result == 0;
      const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
      if (left <= 0) return false;
      timeval again{};
      ::getnatpmprequesttimeout(&socket_, &again);
      const auto next = again.tv_sec * 1'000 + again.tv_usec / 1'000 + 1;
      pollfd ready{socket_.s, POLLIN, 0};
      ::poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(next, 1, left)));
    }
  }

  natpmp_t socket_{};
  bool open_;
};

/// The first Internet gateway that answers a search.
class Upnp {
 public:
  Upnp() {
    int error = 0;
    UPNPDev* found = ::upnpDiscover(kDiscovery, nullptr, nullptr, 0, 0, 2, &error);
    if (found == nullptr) return;
    // 1: a gateway that is connected
    valid_ = ::UPNP_GetValidIGD(found, &urls_, &data_, local_, sizeof local_) == 1;
    ::freeUPNPDevlist(found);
  }

  ~Upnp() { ::FreeUPNPUrls(&urls_); }

  Upnp(const Upnp&) = delete;
  Upnp& operator=(const Upnp&) = delete;

  std::optional<wire::Endpoint> map(std::uint16_t port) {
    char external[64] = {};
    in_addr ip{};
    if (!valid_ ||
        ::UPNP_GetExternalIPAddress(urls_.controlURL, data_.first.servicetype, external) != 0 ||
        ::inet_pton(AF_INET, external, &ip) != 1) {
      return std::nullopt;
    }
    const std::string text = std::to_string(port);
    const auto add = [&](const std::string& lifetime) {
      return ::UPNP_AddPortMapping(urls_.controlURL, data_.first.servicetype, text.c_str(),
                                   text.c_str(), local_, kName, "UDP", nullptr, lifetime.c_str());
    };
    constexpr int kOnlyPermanent = 725;
    int result = add(std::to_string(kLifetime));
    if (result == kOnlyPermanent) result = add("0");
    if (result != 0) return std::nullopt;
    return wire::Endpoint::v4(ntohl(ip.s_addr), port);
  }

  void take_back(std::uint16_t port) {
    if (!valid_) return;
    (void)::UPNP_DeletePortMapping(urls_.controlURL, data_.first.servicetype,
                                   std::to_string(port).c_str(), "UDP", nullptr);
  }

 private:
  UPNPUrls urls_{};
  IGDdatas data_{};
  char local_[64] = {};  // our address on the way to it
  bool valid_ = false;
};

}  // namespace

struct PortMapping::State {
  std::uint16_t port = 0;
  Changed tell;
  Say say;
  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false, ended = false, holds = false;  // a mapping
  std::mutex telling;                               // held while `tell` runs
  std::vector<wire::Endpoint> mapped;               // of the thread

  void run() {
    reset_affinity();
    bool by_nat_pmp = false, by_upnp = false;
    std::unique_ptr<Upnp> upnp;
    seconds again = kLookAgain;
    for (;;) {
      std::vector<wire::Endpoint> now_mapped;
      const auto add = [&](const std::optional<wire::Endpoint>& endpoint) {
        const bool sound = endpoint && control::usable_as_path(*endpoint);
        if (sound && std::find(now_mapped.begin(), now_mapped.end(), *endpoint) == now_mapped.end())
          now_mapped.push_back(*endpoint);
        return sound;
      };
      NatPmp nat_pmp;
      by_nat_pmp = add(nat_pmp.map(port, kLifetime));
      // A router that speaks both would hold two mappings for one. Where no route leads out the
      // search would go nowhere, and its library says so on standard error.
      by_upnp = !by_nat_pmp && nat_pmp.has_gateway() && !stopping();
      if (by_upnp) {
        // Kept: at the end there is no time for another search.
        upnp = std::make_unique<Upnp>();
        by_upnp = add(upnp->map(port));
      }
      report(now_mapped, by_nat_pmp ? "NAT-PMP" : "UPnP");
      // Where there is no such router none is likely to come: the search becomes rare.
      again = mapped.empty() ? std::min(2 * again, kRenew) : kLookAgain;
      if (wait(mapped.empty() ? again / 2 : kRenew)) break;
    }
    if (by_nat_pmp) (void)NatPmp().map(port, 0);
    if (by_upnp) upnp->take_back(port);
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  }

 private:
  bool stopping() {
    const std::lock_guard lock(mutex);
    return stop;
  }

  /// True when it is over.
  bool wait(seconds time) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, time, [&] { return stop; });
  }

  void report(const std::vector<wire::Endpoint>& now_mapped, const char* by) {
    if (now_mapped == mapped) return;
    const std::lock_guard no_end(telling);
    {
      const std::lock_guard lock(mutex);
      holds = !now_mapped.empty();
      if (stop) return;
    }
    mapped = now_mapped;
    say(mapped.empty()
            ? std::string("no router lets the node's port through any more")
            : "the router lets " + wire::to_string(mapped.front()) + " through (" + by + ")");
    tell(mapped);
  }
};

PortMapping::PortMapping(std::uint16_t udp_port, Changed changed, Say say)
    : state_(std::make_shared<State>()) {
  state_->port = udp_port;
  state_->tell = std::move(changed);
  state_->say = std::move(say);
  std::thread([state = state_] { state->run(); }).detach();
}

PortMapping::~PortMapping() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
  }
  const std::lock_guard told(state_->telling);
  std::unique_lock lock(state_->mutex);
  // Without a mapping there is nothing to wait for.
  state_->changed.wait_for(lock, kPatienceAtEnd, [&] { return state_->ended || !state_->holds; });
}

}  // namespace orrery::service
