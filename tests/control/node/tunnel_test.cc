// A host whose UDP does not pass: when a TCP relay is wanted, what goes through it, and how it is
// left when UDP works again.
#include <gtest/gtest.h>

#include "control/path.h"
#include "node/identities.h"
#include "support/sim_net.h"

namespace orrery::test {
namespace {

using control::NodeOptions;
using wire::Endpoint;

const Endpoint kRootAt = Endpoint::v4(0x05050501, 9993);
const Endpoint kAliceAt = Endpoint::v4(0x05050602, 9993);
const Endpoint kBobAt = Endpoint::v4(0x05050703, 9993);
const Endpoint kLent = Endpoint::v4(0x05050809, 40'000);  // by the relay

constexpr fib::LocalSocket kTunnel = control::kTunnelSocket | 1;

class TunnelTest : public testing::Test {
 protected:
  TunnelTest() { crypto::init(); }

  SimHost& host(std::size_t number, std::vector<Endpoint> at) {
    NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = make_planet(77, 1, {{identity_of_vectors(0).identity(), {root_at_}}});
    SimHost& h = net_.add("node " + std::to_string(number), std::move(o), at);
    net_.start(h);
    return h;
  }

  void begin(const Endpoint& root_at = kRootAt) {
    root_at_ = root_at;
    root_ = &host(0, {root_at});
    alice_ = &host(1, {kAliceAt});
    net_.run_for(3'000);
    ASSERT_TRUE(alice_->has_direct_path(net_.now, root_->address()));
    net_.tap = [this](const SimNet::Flight& f) {
      if (f.from == kLent) tunneled_.push_back(f);
    };
  }

  /// Nothing passes to or from Alice by UDP.
  void block() {
    net_.allow = [](const SimNet::Flight& f) { return f.from != kAliceAt && f.to != kAliceAt; };
  }

  void heal() {
    net_.allow = [](const SimNet::Flight&) { return true; };
  }

  /// The world sees the relay's address; the node sees a socket without one.
  void open_tunnel() {
    alice_->sockets.push_back({kTunnel, kLent});
    tell();
  }

  void close_tunnel() {
    std::erase_if(alice_->sockets, [](const auto& s) { return s.socket == kTunnel; });
    tell();
  }

  void tell() {
    std::vector<control::LocalEndpoint> sockets = alice_->sockets;
    for (control::LocalEndpoint& s : sockets) {
      if (s.socket == kTunnel) s.address = {};
    }
    alice_->node->on_local_endpoints(net_.now, sockets, alice_->effects);
    net_.settle(*alice_);
  }

  /// The local socket of the path that packets to a peer take; 0: there is none.
  [[nodiscard]] fib::LocalSocket way_to(const SimHost& peer) const {
    const auto status = alice_->peer(net_.now, peer.address());
    if (!status) return 0;
    for (const control::PathStatus& p : status->paths) {
      if (p.preferred && p.active && !p.expired) return p.key.socket;
    }
    return 0;
  }

  SimNet net_;
  Endpoint root_at_;
  SimHost* root_ = nullptr;
  SimHost* alice_ = nullptr;
  std::vector<SimNet::Flight> tunneled_;
};

TEST_F(TunnelTest, IsWantedAfterAMinuteOfSilenceAndLeftWhenUdpWorks) {
  begin();
  net_.run_for(70'000);
  EXPECT_FALSE(alice_->node->wants_tunnel(net_.now, false)) << "UDP works";
  block();
  net_.run_for(30'000);
  EXPECT_FALSE(alice_->node->wants_tunnel(net_.now, false)) << "not yet";
  net_.run_for(40'000);
  EXPECT_TRUE(alice_->node->wants_tunnel(net_.now, false));

  open_tunnel();
  net_.run_for(10'000);
  EXPECT_EQ(way_to(*root_), kTunnel);
  EXPECT_TRUE(alice_->node->status(net_.now).online);
  net_.run_for(600'000);
  EXPECT_EQ(way_to(*root_), kTunnel) << "for as long as it takes";
  EXPECT_TRUE(alice_->node->wants_tunnel(net_.now, true));
  const auto surface = alice_->node->status(net_.now).surface;
  EXPECT_NE(std::find(surface.begin(), surface.end(), kLent), surface.end())
      << "that is how others reach it";

  heal();
  net_.run_for(15'000);
  EXPECT_FALSE(alice_->node->wants_tunnel(net_.now, true));
  const fib::LocalSocket back = way_to(*root_);
  EXPECT_TRUE(back != 0 && !control::is_tunnel(back)) << back;
  close_tunnel();
  net_.run_for(1'000);
  EXPECT_FALSE(alice_->node->wants_tunnel(net_.now, false));
  const auto status = alice_->peer(net_.now, root_->address());
  for (const control::PathStatus& p : status->paths) EXPECT_FALSE(control::is_tunnel(p.key.socket));
  const auto after = alice_->node->status(net_.now).surface;
  EXPECT_EQ(std::find(after.begin(), after.end(), kLent), after.end())
      << "nobody is told of an address that is gone";
}

TEST_F(TunnelTest, IsWantedAtOnceByNobodyWhoseRootsItCannotReach) {
  begin(Endpoint::v4(0x0a000001, 9993));
  net_.run_for(1'000'000);
  EXPECT_FALSE(alice_->node->wants_tunnel(net_.now, false));
}

TEST_F(TunnelTest, APeerIsReachedThroughItAndCarriesNoJunk) {
  begin();
  SimHost& bob = host(2, {kBobAt, Endpoint::v4(0x0a000207, 9993),
                          Endpoint::v6(std::array<std::uint8_t, 16>{0x2a, 1, 2}, 9993)});
  block();
  net_.run_for(65'000);
  open_tunnel();
  net_.run_for(10'000);
  for (int i = 0; i < 40; ++i) {
    alice_->node->send(net_.now, bob.address(), wire::Verb::kUserMessage, ByteVector(12), {},
                       alice_->effects);
    net_.settle(*alice_);
    bob.node->send(net_.now, alice_->address(), wire::Verb::kUserMessage, ByteVector(12), {},
                   bob.effects);
    net_.settle(bob);
    net_.run_for(1'000);
  }
  EXPECT_EQ(way_to(bob), kTunnel);
  EXPECT_GT(tunneled_.size(), 40u);
  for (const SimNet::Flight& f : tunneled_) {
    EXPECT_TRUE(control::tunnel_reaches(f.to)) << wire::to_string(f.to);
    EXPECT_GE(f.payload.size(), 28u);
  }
  heal();
  for (int i = 0; i < 40; ++i) {
    alice_->node->send(net_.now, bob.address(), wire::Verb::kUserMessage, ByteVector(12), {},
                       alice_->effects);
    net_.settle(*alice_);
    net_.run_for(1'000);
    if (!alice_->node->wants_tunnel(net_.now, true)) break;
  }
  close_tunnel();
  for (int i = 0; i < 10; ++i) {
    alice_->node->send(net_.now, bob.address(), wire::Verb::kUserMessage, ByteVector(12), {},
                       alice_->effects);
    net_.settle(*alice_);
    net_.run_for(1'000);
  }
  const fib::LocalSocket way = way_to(bob);
  EXPECT_TRUE(way != 0 && !control::is_tunnel(way)) << "directly, by UDP";
}

TEST(Tunnel, IsWorseThanAnyWayThatIsHeardAndBetterThanOneThatIsNot) {
  control::Path udp, tunnel, silent;
  udp.key = {1, kBobAt};
  silent.key = {2, kBobAt};
  tunnel.key = {kTunnel, kBobAt};
  udp.last_in = tunnel.last_in = 100'000;
  silent.last_in = 100'000 - control::kPathAlive - 1;
  udp.measured.answered(2'000);
  tunnel.measured.answered(5);
  silent.measured.answered(5);
  const auto quality = [](const control::Path& path) {
    return path.quality(100'000, path.last_in);
  };
  EXPECT_LT(quality(udp), quality(tunnel));
  EXPECT_LT(quality(tunnel), quality(silent));
  EXPECT_TRUE(control::tunnel_reaches(kBobAt));
  EXPECT_FALSE(control::tunnel_reaches(Endpoint::v4(0x0a000001, 1)));
  EXPECT_FALSE(control::tunnel_reaches(Endpoint::v4(0x0b000001, 1)));
  EXPECT_FALSE(control::tunnel_reaches(Endpoint::v6(std::array<std::uint8_t, 16>{0x2a, 1}, 1)));
}

}  // namespace
}  // namespace orrery::test
