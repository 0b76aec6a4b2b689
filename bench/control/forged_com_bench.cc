// What somebody who is no member of a network costs control with forged certificates of membership,
// 10,000 packets a second; and beside it what he pays at least, and what a member costs.
//
// A real node with a joined private network whose controller it knows, so that every signature
// could be checked; the attacker has a session with it, and its packets come as workers give them
// to control: authenticated. A round is a simulated millisecond: ten packets and what the node's
// own deadlines ask for. Rows, by name:
//
//   forged_ext_frame    EXT_FRAME with a forged certificate, never the same twice
//   forged_credentials  NETWORK_CREDENTIALS with one
//   member              EXT_FRAME of a member, as many
//   attacker            sealing a forged packet (AES-GMAC-SIV), without sending it
//
// Counters: cycles/packet (median), share (percent of a core, all rounds), longest (microseconds of
// a round, percentile 99.9: what other work of control waits), signatures (refused, a second).
#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "control/network.h"
#include "control/network/issue_com.h"
#include "control/node.h"
#include "control/node/forger.h"
#include "crypto/identity_work.h"
#include "rounds.h"
#include "sim/identities.h"
#include "wire/network_config.h"
#include "wire/verbs/frame.h"
#include "wire/world.h"

namespace orrery {
namespace {

constexpr unsigned kPerMs = 10;  // 10,000 a second
constexpr std::int64_t kRounds = 5'000;
constexpr std::uint64_t kMaxDelta = 1'800'000;
const wire::Endpoint kControllerAt = wire::Endpoint::v4(0x0a000001, 9993);
const wire::Endpoint kAttackerAt = wire::Endpoint::v4(0x0a000009, 9993);
const wire::Endpoint kMemberAt = wire::Endpoint::v4(0x0a000008, 9993);

ByteVector written(std::size_t capacity, const auto& write) {
  ByteVector bytes(capacity);
  Writer w(bytes);
  write(w);
  bytes.resize(w.size());
  return bytes;
}

/// Identities take a quarter of a second each, so all scenes have the same.
struct Identities {
  crypto::SecretIdentity controller = crypto::generate_identity();
  crypto::SecretIdentity victim = crypto::generate_identity();
  crypto::SecretIdentity attacker = crypto::generate_identity();
  crypto::SecretIdentity member = crypto::generate_identity();
};

const Identities& identities() {
  static const Identities all;
  return all;
}

class Scene {
 public:
  Scene()
      : attacker(sim::copy_of(identities().attacker), identities().victim.identity()),
        member(sim::copy_of(identities().member), identities().victim.identity()) {
    wire::World planet;
    planet.type = wire::World::Type::kPlanet;
    planet.id = 1;
    planet.timestamp = 1;
    planet.roots.push_back({identities().controller.identity(), {kControllerAt}});
    control::NodeOptions options{.identity = sim::copy_of(identities().victim)};
    options.planet = wire::encode_world(planet);
    options.entropy = [this](MutableBytes bytes) {
      for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random_ = random_ * 5 + 1);
    };
    node_ = std::make_unique<control::Node>(std::move(options));
    networks_ = std::make_unique<control::Networks>(*node_, nullptr);
    node_->attach(networks_.get(), nullptr);
    node_->on_local_endpoints(now, {{1, wire::Endpoint::v4(0x0a000002, 9993)}}, out_);
    wire::NetworkConfig config;
    config.network = network;
    config.timestamp = now.wall;
    config.credential_max_delta = kMaxDelta;
    config.revision = 1;
    config.issued_to = node_->self().address();
    config.com = com_of(identities().victim.identity(), identities().controller);
    wire::Rule accept;
    accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
    config.rules = {accept};
    networks_->join(now, network, {}, wire::encode_network_config(config), out_);
    meet(attacker, kAttackerAt);
    meet(member, kMemberAt);
    give(member, kMemberAt, wire::Verb::kNetworkCredentials,
         credentials(com_of(member.identity(), identities().controller)));
  }

  /// Not the controller's signature, so never genuine; another one each.
  wire::CertificateOfMembership forged_com() {
    if (!forged_) forged_ = com_of(attacker.identity(), identities().attacker);
    forged_.signed_by = identities().controller.address();
    store_be64(forged_.signature.data(), ++serial_);
    return forged_;
  }

  static ByteVector credentials(const wire::CertificateOfMembership& com) {
    return written(2'048, [&](Writer& w) {
      wire::write_com(w, com);
      w.u8(0);
    });
  }

  /// `com` null: none inside.
  ByteVector ext_frame(wire::Address from, const wire::CertificateOfMembership* com) const {
    return written(2'048, [&](Writer& w) {
      w.u64(network.value);
      w.u8(com != nullptr ? wire::kExtFrameCom : 0);
      if (com != nullptr) wire::write_com(w, *com);
      wire::write_mac(w, wire::mac_of(node_->self().address(), network));
      wire::write_mac(w, wire::mac_of(from, network));
      w.u16(0x0800);
      w.bytes(ByteVector(64));
    });
  }

  /// Header and plaintext, as a worker hands it over.
  [[nodiscard]] ByteVector opened(const test::Forger& from, wire::Verb verb, Bytes payload) {
    ByteVector packet(wire::kHeaderSize);
    wire::encode_packet_header(packet, {id_ += 8, node_->self().address(), from.address(),
                                        static_cast<std::uint8_t>(wire::Suite::kAesGmacSiv) << 3, 0,
                                        static_cast<std::uint8_t>(verb)});
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
  }

  void take(const wire::Endpoint& at, Bytes packet) {
    node_->on_authenticated(now, {1, at}, packet, packet.size(), out_);
  }

  void give(const test::Forger& from, const wire::Endpoint& at, wire::Verb verb, Bytes payload) {
    take(at, opened(from, verb, payload));
  }

  /// A millisecond passes.
  void pass() {
    ++now.mono;
    ++now.wall;
    if (node_->next_deadline() <= now.mono) node_->tick(now, out_);
  }

  /// Frames that came out since the last call; what else was asked of the world is forgotten.
  std::size_t settle() {
    for (const control::ValidateIdentity& job : out_.validations) valid_.push_back(job.identity);
    const std::size_t frames = out_.frames.size();
    out_.clear();
    for (const wire::Identity& identity : std::exchange(valid_, {}))
      node_->on_identity_validated(now, identity, true, out_);
    return frames;
  }

  [[nodiscard]] std::uint64_t counted(control::NetworkCount reason) const {
    return networks_->counters().get(reason);
  }

  const wire::NetworkId network{identities().controller.address().value << 24 | 1};
  Now now{1'000'000, 1'700'000'000'000};
  test::Forger attacker, member;

 private:
  void meet(test::Forger& who, const wire::Endpoint& at) {
    node_->on_datagram(now, {1, at}, who.hello(id_ += 8, now.wall, kMemberAt), out_);
    settle();
    if (node_->identity_of(who.address()) == nullptr) std::abort();
  }

  wire::CertificateOfMembership com_of(const wire::Identity& to,
                                       const crypto::SecretIdentity& signer) const {
    return test::issue_com(signer, network, to, now.wall, kMaxDelta);
  }

  std::uint64_t random_ = 1, id_ = 0, serial_ = 0;
  wire::CertificateOfMembership forged_;
  control::Effects out_;
  std::vector<wire::Identity> valid_;
  std::unique_ptr<control::Node> node_;
  std::unique_ptr<control::Networks> networks_;
};

/// `make` gives the next packet, `at` says where from.
void flood(benchmark::State& state, const wire::Endpoint& at, bool member, const auto& make) {
  Scene scene;
  bench::Rounds rounds(state);
  std::vector<std::uint64_t> all;
  std::size_t frames = 0;
  const auto signatures = [&] {
    return scene.counted(control::NetworkCount::kCredentialSignature);
  };
  const std::uint64_t before = signatures();
  const Millis begin = scene.now.mono;
  for ([[maybe_unused]] auto _ : state) {
    std::array<ByteVector, kPerMs> packets;
    for (ByteVector& packet : packets) packet = make(scene);
    const std::uint64_t start = __rdtsc();
    rounds.time([&] {
      for (const ByteVector& packet : packets) scene.take(at, packet);
      scene.pass();
    });
    all.push_back(__rdtsc() - start);
    frames += scene.settle();
  }
  rounds.report("packet", kPerMs, 0);
  if (member != (frames == kPerMs * all.size()) || (!member && frames != 0))
    state.SkipWithError("frames passed that should not, or did not that should");
  std::uint64_t sum = 0;
  for (const std::uint64_t cycles : all) sum += cycles;
  const double seconds = static_cast<double>(scene.now.mono - begin) / 1e3;
  const double hz = bench::tsc_ghz() * 1e9;
  const auto late = all.begin() + static_cast<std::ptrdiff_t>(all.size() * 999 / 1'000);
  std::nth_element(all.begin(), late, all.end());
  state.counters["share"] = static_cast<double>(sum) / hz / seconds * 100;
  state.counters["longest"] = static_cast<double>(*late) / hz * 1e6;
  state.counters["signatures"] = static_cast<double>(signatures() - before) / seconds;
}

void forged_ext_frame(benchmark::State& state) {
  flood(state, kAttackerAt, false, [](Scene& scene) {
    const wire::CertificateOfMembership com = scene.forged_com();
    return scene.opened(scene.attacker, wire::Verb::kExtFrame,
                        scene.ext_frame(scene.attacker.address(), &com));
  });
}

void forged_credentials(benchmark::State& state) {
  flood(state, kAttackerAt, false, [](Scene& scene) {
    return scene.opened(scene.attacker, wire::Verb::kNetworkCredentials,
                        Scene::credentials(scene.forged_com()));
  });
}

void member(benchmark::State& state) {
  flood(state, kMemberAt, true, [](Scene& scene) {
    return scene.opened(scene.member, wire::Verb::kExtFrame,
                        scene.ext_frame(scene.member.address(), nullptr));
  });
}

void attacker(benchmark::State& state) {
  Scene scene;
  bench::Rounds rounds(state);
  std::uint64_t id = 1 << 20;
  for ([[maybe_unused]] auto _ : state) {
    const wire::CertificateOfMembership com = scene.forged_com();
    const ByteVector payload = scene.ext_frame(scene.attacker.address(), &com);
    rounds.time([&] {
      for (unsigned i = 0; i < kPerMs; ++i)
        benchmark::DoNotOptimize(
            scene.attacker.seal(id += 8, wire::Verb::kExtFrame, payload, wire::Suite::kAesGmacSiv));
    });
  }
  rounds.report("packet", kPerMs, 0);
}

BENCHMARK(forged_ext_frame)->UseManualTime()->Iterations(kRounds);
BENCHMARK(forged_credentials)->UseManualTime()->Iterations(kRounds);
BENCHMARK(member)->UseManualTime()->Iterations(kRounds);
BENCHMARK(attacker)->UseManualTime()->Iterations(kRounds);

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  orrery::crypto::init();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
