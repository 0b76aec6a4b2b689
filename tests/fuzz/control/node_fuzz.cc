// A whole node under a stream of operations: raw datagrams, packets sealed with the right keys of a
// root, a peer and a stranger, answers to what the node asked, replays of what it sent, sends,
// results of proofs of work, clock moves.
//
// Invariants: no crash, tables within their limits, no datagram larger than a packet may be.
#include <cstdlib>

#include "control/node.h"
#include "control/node/forger.h"
#include "support/sim_net.h"

namespace {

using namespace orrery;

// Identities A, B and C of docs/protocol/01-identity.md section 9.
constexpr const char* kSecrets[] = {
    "74139a3ce3:0:"
    "d58cf3df97ce820744ae96c090d753808d8bb2baf7eb27569fe4c12c6338362d8bb04e1c1b83dddf311f5bcddf7c50"
    "ede3c080"
    "2f47ec796e2a131cf41298d9f3:"
    "10111213141516171f191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b"
    "3c3d3e3f404142434445464748494a4b4c4d4e4f",
    "171ed924fb:0:"
    "8305daee95ec2583edc9f88c76d800957264fab44594051d9e312ac6af5ca91d4fd099ccd47d7893dfe9ec24414ecb"
    "0d9b5420"
    "232aad30d91c465be33cbe65c4:"
    "80818283848586878b898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaab"
    "acadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
    "7c80c2a5b6:0:"
    "3db1e63c0aebb24fb65384326fdb121dce5ae5c4b2daa215939766e4c680e90713d9908a70925992ed546007d27f50"
    "da68ba72"
    "17ef62ac3cca784529ff10471c:"
    "c0c1c2c3c4c5c6c705cacacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaeb"
    "ecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"};

crypto::SecretIdentity identity(std::size_t number) {
  const auto parsed = wire::parse_identity(kSecrets[number]);
  if (!parsed) std::abort();
  return {parsed->identity, parsed->private_key};
}

wire::Endpoint endpoint(std::uint8_t number) {
  if ((number & 0x80) != 0) {
    std::array<std::uint8_t, 16> ip{0x20, 0x01, 0x0d, 0xb8};
    ip[15] = number & 3;
    return wire::Endpoint::v6(ip, static_cast<std::uint16_t>(9993 + (number & 4)));
  }
  return wire::Endpoint::v4(0x0a000000U + (number & 7),
                            static_cast<std::uint16_t>(9993 + (number & 8)));
}

struct Role final : control::NetworkRole {
  std::uint8_t answer = 0;

  control::Handled on_packet(Now, const control::Incoming&, const control::Answered*,
                             control::Effects&) override {
    return static_cast<control::Handled>(answer & 3);
  }

  void on_frame(Now, wire::NetworkId, Bytes, control::Effects&) override {}

  void on_event(Now, const fib::Event&, control::Effects&) override {}

  void on_identity(Now, const wire::Identity&, control::Effects&) override {}

  void tick(Now, control::Effects&) override {}

  Millis next_deadline() const override { return INT64_MAX; }

  bool is_managed_ip(const wire::Endpoint& ip) const override {
    return ip.family == 4 && ip.ip[3] == 5;
  }

  std::vector<wire::Address> always_contact() const override {
    return {wire::Address{0x7c80c2a5b6}};
  }
};

struct Actor {
  Actor()
      : node(options()),
        forgers{test::Forger{identity(0), identity(1).identity()},
                test::Forger{identity(2), identity(1).identity()},
                test::Forger{test::with_address(identity(2), wire::Address{0x1122334455}),
                             identity(1).identity()}} {
    node.attach(&role, nullptr);
    node.on_local_endpoints(now, {{1, endpoint(0)}, {2, endpoint(0x80)}}, out);
    drain();
  }

  control::NodeOptions options() {
    control::NodeOptions o{.identity = identity(1)};
    o.planet = test::make_planet(7, 1, {{identity(0).identity(), {endpoint(1), endpoint(0x81)}}});
    o.limits = {4, 16, 8, 1 << 16, 8, 8, 32, 64};
    o.physical.push_back({wire::Endpoint::v4(0x0a000004, 30), false, 77, 1400});
    o.entropy = [this](MutableBytes bytes) {
      for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(entropy += 0x9e37);
    };
    return o;
  }

  void drain() {
    for (control::Datagram& datagram : out.datagrams) {
      if (datagram.payload.size() > wire::kMaxPacket) std::abort();
      last = std::move(datagram);
    }
    for (const control::ValidateIdentity& job : out.validations) works.push_back(job.identity);
    out.clear();
    if (node.peers(now).size() > 4 + 1) std::abort();
  }

  std::uint64_t entropy = 1;
  Now now{1'000, 1'700'000'000'000};
  control::Effects out;
  Role role;
  control::Node node;
  std::array<test::Forger, 3> forgers;
  control::Datagram last;
  std::vector<wire::Identity> works;
  std::uint64_t id = 8;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crypto::init();
  Actor a;
  Reader r(Bytes(data, size));
  for (int step = 0; step < 64 && r.remaining() >= 4; ++step) {
    const std::uint8_t op = r.u8();
    const std::uint8_t who = r.u8();
    const std::uint16_t number = r.u16();
    const Bytes bytes = r.bytes(std::min<std::size_t>(number & 0x3ff, r.remaining()));
    test::Forger& forger = a.forgers[(op >> 4) % a.forgers.size()];
    const fib::PathKey via{(who & 0x80) != 0 ? 2U : 1U, endpoint(who)};
    const auto suite = std::array{wire::Suite::kMacOnly, wire::Suite::kSalsaPoly,
                                  wire::Suite::kAesGmacSiv}[number % 3];
    const auto verb = static_cast<wire::Verb>((number >> 10) & 0x1f);
    a.id += 8;
    switch (op & 15) {
      case 0:
        a.node.on_datagram(a.now, via, bytes, a.out);
        break;
      case 1:
        a.node.on_datagram(a.now, via, forger.seal(a.id, verb, bytes, suite, who & 7), a.out);
        break;
      case 2:
        a.now.mono += number;
        a.now.wall += number;
        a.node.tick(a.now, a.out);
        break;
      case 3:
        a.now.mono += Millis{number} * 100;
        a.now.wall += Millis{who} * 1'000 - 50'000;
        a.node.tick(a.now, a.out);
        break;
      case 4:
        a.node.on_datagram(a.now, via, forger.hello(a.id, a.now.wall - (who & 1), endpoint(0)),
                           a.out);
        break;
      case 5: {  // what the node sent comes back, one byte changed
        ByteVector echo = a.last.payload;
        if (!echo.empty() && (who & 1) != 0) echo[number % echo.size()] ^= who;
        a.node.on_datagram(a.now, a.last.via ? a.last.via : via, echo, a.out);
        break;
      }
      case 6:
      case 7: {  // an answer to what was asked last
        if (a.last.payload.size() < wire::kHeaderSize) break;
        ByteVector payload(9 + bytes.size());
        Writer writer(payload);
        writer.u8(static_cast<std::uint8_t>(verb));
        writer.u64(load_be64(a.last.payload.data()));
        writer.bytes(bytes);
        const auto answer = (op & 1) != 0 ? wire::Verb::kError : wire::Verb::kOk;
        a.node.on_datagram(a.now, (who & 1) != 0 ? via : a.last.via,
                           forger.seal(a.id, answer, payload, suite), a.out);
        break;
      }
      case 8: {
        ByteVector packet(wire::kHeaderSize + bytes.size());
        wire::encode_packet_header(packet, {a.id, a.node.self().address(), forger.address(), 0, 0,
                                            static_cast<std::uint8_t>(verb)});
        std::copy(bytes.begin(), bytes.end(), packet.begin() + wire::kHeaderSize);
        a.node.on_authenticated(a.now, via, packet, packet.size(), a.out);
        break;
      }
      case 9:
        a.node.send(a.now, forger.address(), verb, bytes, {(who & 1) != 0, (who & 2) != 0, number},
                    a.out);
        break;
      case 10: {
        for (const wire::Identity& one : std::exchange(a.works, {})) {
          a.node.on_identity_validated(a.now, one, (who & 1) == 0, a.out);
        }
        break;
      }
      case 11:
        a.node.on_event(a.now,
                        fib::Received{forger.address(), via, static_cast<std::uint8_t>(who & 7), 6,
                                      wire::NetworkId{number}},
                        a.out);
        break;
      case 12:
        a.node.orbit(a.now, number & 3, forger.address(), a.out);
        if ((who & 1) != 0) a.node.deorbit(a.now, number & 3, a.out);
        break;
      case 13: {  // a fragment, perhaps of the last packet sealed
        ByteVector fragment(wire::kFragmentHeaderSize + 1 + bytes.size());
        wire::encode_fragment_header(
            fragment, {number, a.node.self().address(), static_cast<std::uint8_t>(who & 15),
                       static_cast<std::uint8_t>(who >> 4), 0});
        a.node.on_datagram(a.now, via, fragment, a.out);
        break;
      }
      case 14:
        a.role.answer = who;
        break;
      default:
        a.node.save_all(a.now, a.out);
        break;
    }
    a.drain();
  }
  return 0;
}
