// Alice and Bob, members of one network behind one or two roots, who talk while paths between them
// are cut and healed.
#pragma once

#include <gtest/gtest.h>

#include "node/identities.h"
#include "support/sim_net.h"

namespace orrery::test {

using control::NodeOptions;
using wire::Endpoint;

inline const Endpoint kRootAt = Endpoint::v4(0xc6336401, 9993);
inline const Endpoint kOtherRootAt = Endpoint::v4(0xc6336501, 9993);
inline const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
inline const Endpoint kAliceToo = Endpoint::v4(0x0a010102, 9993);
inline const Endpoint kBobAt = Endpoint::v4(0x0a000203, 9993);

/// A network of which everybody is a member; remembers when frames came.
struct Member : control::NetworkRole {
  std::vector<std::pair<Millis, unsigned>> got;  // when, over how many hops
  Endpoint managed;                              // an address of the overlay

  control::Handled on_packet(Now now, const control::Incoming& in, const control::Answered*,
                             control::Effects&) override {
    if (in.verb != wire::Verb::kFrame) return control::Handled::kDone;
    got.emplace_back(now.mono, in.hops);
    return control::Handled::kDoneTrusted;
  }

  void on_frame(Now, wire::NetworkId, Bytes, control::Effects&) override {}

  void on_event(Now, const fib::Event&, control::Effects&) override {}

  void on_identity(Now, const wire::Identity&, control::Effects&) override {}

  void tick(Now, control::Effects&) override {}

  [[nodiscard]] Millis next_deadline() const override { return INT64_MAX; }

  [[nodiscard]] bool is_managed_ip(const Endpoint& ip) const override {
    return managed && managed.same_ip(ip);
  }

  [[nodiscard]] std::vector<wire::Address> always_contact() const override { return {}; }
};

class PathsLab : public testing::Test {
 protected:
  PathsLab() { crypto::init(); }

  SimHost& host(std::size_t number, std::vector<Endpoint> at, Member* member = nullptr) {
    NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = make_planet(77, 1, roots_);
    if (member != nullptr && tune) tune(o);
    SimHost& h = net_.add("node " + std::to_string(number), std::move(o), at);
    // As many interfaces as addresses.
    for (std::size_t i = 0; i < h.sockets.size(); ++i)
      h.sockets[i].interface = "eth" + std::to_string(i);
    h.node->attach(member, nullptr);
    net_.start(h);
    return h;
  }

  /// Alice and Bob, who have met, behind the roots.
  void meet(std::vector<Endpoint> alice_at = {kAliceAt}) {
    for (std::size_t i = 0; i < roots_.size(); ++i)
      root_.push_back(&host(root_numbers_[i], roots_[i].second));
    alice_ = &host(1, std::move(alice_at), &at_alice_);
    bob_ = &host(2, {kBobAt}, &at_bob_);
    net_.run_for(2'000);
    talk(20'000);
    ASSERT_TRUE(direct(*alice_, *bob_));
    ASSERT_TRUE(direct(*bob_, *alice_));
  }

  /// Both send a frame every 50 ms.
  void talk(Millis duration) {
    for (Millis i = 0; i < duration / 50; ++i) {
      alice_->node->send(net_.now, bob_->address(), wire::Verb::kFrame, ByteVector{1}, {},
                         alice_->effects);
      net_.settle(*alice_);
      bob_->node->send(net_.now, alice_->address(), wire::Verb::kFrame, ByteVector{1}, {},
                       bob_->effects);
      net_.settle(*bob_);
      net_.run_for(50);
    }
  }

  [[nodiscard]] static bool direct(const SimHost& from, const SimHost& to) {
    bool is = false;
    for (const fib::Update& update : from.updates) {
      const auto* peer = std::get_if<fib::Peer>(&update);
      if (peer != nullptr && peer->address == to.address()) is = peer->direct && peer->path;
    }
    return is;
  }

  /// Alice's address that her packets to Bob leave by, of two.
  [[nodiscard]] Endpoint in_use() const {
    const auto status = alice_->peer(net_.now, bob_->address());
    for (const control::PathStatus& path : status->paths) {
      if (path.preferred)
        return path.key.socket == alice_->sockets[0].socket ? kAliceAt : kAliceToo;
    }
    return {};
  }

  /// The longest time without a frame since `since`.
  [[nodiscard]] Millis gap(const Member& at, Millis since) const {
    Millis last = since, longest = 0;
    for (const auto& [when, hops] : at.got) {
      if (when < since) continue;
      longest = std::max(longest, when - last);
      last = when;
    }
    return std::max(longest, net_.now.mono - last);
  }

  void cut(std::function<bool(const SimNet::Flight&)> drops) {
    net_.allow = [drops = std::move(drops)](const SimNet::Flight& f) { return !drops(f); };
  }

  void heal() {
    net_.allow = [](const SimNet::Flight&) { return true; };
  }

  static std::function<bool(const SimNet::Flight&)> between(Endpoint a, Endpoint b) {
    return [=](const SimNet::Flight& f) {
      return (f.from == a && f.to == b) || (f.from == b && f.to == a);
    };
  }

  std::function<void(NodeOptions&)> tune{};  // options of Alice and Bob
  SimNet net_;
  std::vector<std::pair<wire::Identity, std::vector<Endpoint>>> roots_ = {
      {identity_of_vectors(0).identity(), {kRootAt}}};
  std::vector<std::size_t> root_numbers_ = {0, 3};
  Member at_alice_, at_bob_;
  std::vector<SimHost*> root_;
  SimHost* alice_ = nullptr;
  SimHost* bob_ = nullptr;
};

}  // namespace orrery::test
