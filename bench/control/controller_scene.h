// A controller with the daemon's driver, for benches: records are committed by a thread of their
// own, packets are counted and not encrypted, time is the caller's.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "control/controller/controller.h"
#include "control/controller/issue.h"
#include "crypto/identity_work.h"
#include "service/controller_driver.h"
#include "service/controller_store.h"
#include "wire/dictionary.h"
#include "wire/verbs/network_config.h"

namespace orrery::bench {

/// The controller's; made once.
inline const crypto::SecretIdentity& identity() {
  static const crypto::SecretIdentity made = crypto::generate_identity();
  return made;
}

/// Enough of an identity for whoever is issued something.
inline wire::Identity made_up(std::uint64_t number) {
  wire::Identity who;
  who.address = wire::Address{0x1000000000 + number};
  for (std::size_t i = 0; i < who.public_key.size(); ++i)
    who.public_key[i] = static_cast<std::uint8_t>(number >> (i % 5 * 8) ^ i);
  return who;
}

inline wire::NetworkId network(std::uint32_t number) {
  return wire::NetworkId{(identity().address().value << 24) | number};
}

/// Addresses of a /12 and of RFC 4193, ten rules, two tags and a capability for everybody.
inline nlohmann::json rich_network() {
  using nlohmann::json;
  json rules = json::array();
  for (int port = 1; port < 10; ++port) {
    rules.push_back({{"type", "MATCH_IP_DEST_PORT_RANGE"}, {"start", port}, {"end", port}});
  }
  rules.push_back({{"type", "ACTION_ACCEPT"}});
  return {{"private", false},
          {"v4AssignMode", {{"zt", true}}},
          {"v6AssignMode", {{"rfc4193", true}}},
          {"routes", {{{"target", "10.16.0.0/12"}}}},
          {"ipAssignmentPools", {{{"ipRangeStart", "10.16.0.1"}, {"ipRangeEnd", "10.31.255.254"}}}},
          {"rules", rules},
          {"tags", {{{"id", 1}, {"default", 7}}, {{"id", 2}, {"default", 8}}}},
          {"capabilities", {{{"id", 1}, {"default", true}, {"rules", {rules.back()}}}}}};
}

/// Certificate, ownership, two tags, a capability, and the one chunk that it all fits into.
inline constexpr int kRichSignatures = 6;

/// A configuration that has nothing but a certificate of membership.
inline control::ConfigDraft plain_draft() {
  control::ConfigDraft draft;
  draft.network = network(1);
  draft.identity = made_up(1);
  draft.view = std::make_shared<control::NetworkView>();
  draft.stamp = 1;
  return draft;
}

class CountingTransport final : public control::Transport {
 public:
  [[nodiscard]] const crypto::SecretIdentity& self() const override { return identity(); }

  void send(Now, wire::Address to, wire::Verb verb, Bytes, const control::SendOptions&,
            control::Effects&) override {
    if (verb == wire::Verb::kOk) answered_.insert(to);
    if (verb == wire::Verb::kNetworkCredentials) told_.insert(to);
  }

  void reply(Now, const control::Incoming&, wire::Verb, Bytes, control::Effects&) override {}

  [[nodiscard]] const wire::Identity* identity_of(wire::Address) const override { return &asking; }

  void request_identity(Now, wire::Address, control::Effects&) override {}

  [[nodiscard]] std::optional<std::array<std::uint8_t, 16>> authenticate(wire::Address,
                                                                         Bytes) const override {
    return std::nullopt;
  }

  [[nodiscard]] std::vector<wire::Address> roots() const override { return {}; }

  [[nodiscard]] wire::Address best_root(Now) const override { return {}; }

  [[nodiscard]] bool is_root(wire::Address) const override { return false; }

  [[nodiscard]] bool self_is_root() const override { return false; }

  [[nodiscard]] int direct_latency(Now, wire::Address) const override { return -1; }

  [[nodiscard]] bool path_confirmed(const control::Incoming&) const override { return true; }

  void random(MutableBytes out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_u64());
  }

  [[nodiscard]] std::uint64_t random_u64() override {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return state_ >> 16;
  }

  [[nodiscard]] std::size_t members_answered() const { return answered_.size(); }

  [[nodiscard]] std::size_t told() const { return told_.size(); }

  void forget() {
    answered_.clear();
    told_.clear();
  }

  wire::Identity asking;

 private:
  std::set<wire::Address> answered_, told_;
  std::uint64_t state_ = 1;
};

struct SceneOptions {
  bool store = true;     // records go to a file; else nowhere
  unsigned signers = 0;  // threads; 0, or without a store: signed where it is asked for
};

class ControllerScene {
 public:
  explicit ControllerScene(SceneOptions options) {
    if (!options.store) return;
    const char* where = std::getenv("TMPDIR");
    directory_ = std::string(where == nullptr ? "/tmp" : where) + "/controller-bench.XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("mkdtemp " + directory_);
    auto opened = service::ControllerStore::open(directory_ + "/store");
    if (!opened) throw std::runtime_error(opened.error().text);
    store_.emplace(std::move(*opened));
    const auto refused = [](const Error& error) {
      std::fprintf(stderr, "%s\n", error.text.c_str());
      std::exit(1);
    };
    driver_ = std::make_unique<service::ControllerDriver>(
        controller, *store_, identity(), options.signers,
        service::ControllerDriver::Hooks{[] {}, [](const auto&) {}, refused, [] {}});
  }

  ~ControllerScene() {
    driver_.reset();
    store_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  ControllerScene(const ControllerScene&) = delete;
  ControllerScene& operator=(const ControllerScene&) = delete;

  void make_network(wire::NetworkId id, const nlohmann::json& fields) {
    call("POST", "/controller/network/" + wire::to_string(id), fields.dump());
  }

  /// Returns when the call may be answered.
  void call(const std::string& method, const std::string& path, const std::string& body) {
    handle(method, path, body);
    await();
  }

  /// A list of members: seconds of its longest turn of control.
  double list(const std::string& path) {
    double longest = 0;
    std::optional<control::MemberList> rest;
    do {
      const auto begin = std::chrono::steady_clock::now();
      const auto answer =
          rest ? controller.go_on(*rest) : controller.handle(now, "GET", path, "", out_);
      settle();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      longest = std::max(longest, took.count());
      if (answer.status != 200) throw std::runtime_error(path + ": " + answer.body);
      rest = answer.rest;
    } while (rest);
    await();
    return longest;
  }

  /// Until everything is on the disk.
  void await() {
    if (driver_) (void)driver_->wait(driver_->ticket());
  }

  /// What control has to do with a call.
  void handle(const std::string& method, const std::string& path, const std::string& body) {
    const auto answer = controller.handle(now, method, path, body, out_);
    settle();
    if (answer.status != 200) throw std::runtime_error(path + ": " + answer.body);
  }

  /// Without settle(): several may share it, as packets of one burst do.
  void request(wire::NetworkId id, const wire::Identity& who) {
    static const ByteVector metadata = [] {
      wire::DictionaryWriter d;
      for (const auto& [key, value] :
           {std::pair{"v", 7}, {"pv", 12}, {"majv", 1}, {"minv", 14}, {"revv", 1}, {"revr", 1}})
        d.u64(key, static_cast<std::uint64_t>(value));
      return d.encoded();
    }();
    std::array<std::uint8_t, 256> payload;
    Writer w(payload);
    wire::encode_network_config_request(w, {id, metadata, 0, 0});
    control::Incoming in;
    in.source = who.address;
    in.packet_id = ++packet_id_;
    in.verb = wire::Verb::kNetworkConfigRequest;
    in.payload = w.written();
    transport.asking = who;
    controller.on_config_request(now, in, out_);
  }

  /// What the driver does behind an input.
  void settle() {
    if (driver_) {
      (void)driver_->take_in(now, out_);
      driver_->settle(now.mono);
    } else {
      (void)controller.take_writes();
      controller.on_committed(now, controller.written(), out_);
    }
    out_.clear();
  }

  /// Until nothing is under way.
  void settle_all() {
    do {
      settle();
      std::this_thread::yield();
    } while (!idle());
  }

  [[nodiscard]] bool idle() const {
    return controller.outstanding() == 0 && controller.durable() == controller.written();
  }

  void advance(Millis ms) {
    now.mono += ms;
    now.wall += ms;
  }

  /// Time passes, and the controller does what is due.
  void pass(Millis ms) {
    advance(ms);
    if (controller.next_deadline() <= now.mono) controller.tick(now, out_);
    settle();
  }

  CountingTransport transport;
  control::Controller controller{transport};
  Now now{1'000'000, 1'700'000'000'000};

 private:
  std::string directory_;
  std::optional<service::ControllerStore> store_;
  std::unique_ptr<service::ControllerDriver> driver_;
  control::Effects out_;
  std::uint64_t packet_id_ = 0x1000;
};

}  // namespace orrery::bench
