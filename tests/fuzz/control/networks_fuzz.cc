// Joined networks under a stream of operations: packets of every network verb from controller,
// member and stranger, signed configurations and credentials with values of the input's choice,
// frames of the host, events of workers, clock moves, leaving and joining.
//
// Invariants: no crash; nothing sent is larger than a packet; nothing delivered is larger than a
// frame; configurations of others are never taken.
#include <cstdlib>

#include "control/network.h"
#include "crypto/kdf.h"
#include "support/fake_transport.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"

namespace {

using namespace orrery;

// Identities A, B and C of docs/protocol/01-identity.md section 9.
constexpr const char* kSecrets[] = {
    "74139a3ce3:0:"
    "d58cf3df97ce820744ae96c090d753808d8bb2baf7eb27569fe4c12c6338362d8bb04e1c1b83dddf311f5bcddf7c50"
    "ede3c0802f47ec796e2a131cf41298d9f3:"
    "10111213141516171f191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b"
    "3c3d3e3f404142434445464748494a4b4c4d4e4f",
    "171ed924fb:0:"
    "8305daee95ec2583edc9f88c76d800957264fab44594051d9e312ac6af5ca91d4fd099ccd47d7893dfe9ec24414ecb"
    "0d9b5420232aad30d91c465be33cbe65c4:"
    "80818283848586878b898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaab"
    "acadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
    "7c80c2a5b6:0:"
    "3db1e63c0aebb24fb65384326fdb121dce5ae5c4b2daa215939766e4c680e90713d9908a70925992ed546007d27f50"
    "da68ba7217ef62ac3cca784529ff10471c:"
    "c0c1c2c3c4c5c6c705cacacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaeb"
    "ecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"};

crypto::SecretIdentity identity(std::size_t number) {
  const auto parsed = wire::parse_identity(kSecrets[number]);
  if (!parsed) std::abort();
  return {parsed->identity, parsed->private_key};
}

struct World {
  crypto::SecretIdentity controller = identity(0);
  crypto::SecretIdentity member = identity(2);
  wire::NetworkId id{(controller.address().value << 24) | 1};
  test::FakeTransport transport{identity(1)};
  control::Networks networks{transport, nullptr};
  control::Effects out;
  Now now{1'000, 1'700'000'000'000};
  std::uint64_t update = 1;

  World() {
    transport.known[controller.address()] = controller.identity();
    transport.known[member.address()] = member.identity();
    transport.root_list = {wire::Address{0x1234567890}};
    networks.join(now, id, {}, {}, out);
  }

  wire::CertificateOfMembership com(const wire::Identity& to, std::int64_t timestamp) {
    wire::CertificateOfMembership c;
    const auto hash = crypto::fingerprint(to);
    c.qualifiers[0] = {0, static_cast<std::uint64_t>(timestamp), 1'000};
    c.qualifiers[1] = {1, id.value, 0};
    c.qualifiers[2] = {2, to.address.value, ~std::uint64_t{0}};
    for (std::size_t i = 0; i < 4; ++i) {
      c.qualifiers[3 + i] = {3 + i, load_be64(hash.data() + 8 * i), ~std::uint64_t{0}};
    }
    c.count = 7;
    c.signed_by = controller.address();
    c.signature = crypto::sign(controller, wire::com_signed_bytes(c));
    return c;
  }

  void receive(wire::Address from, wire::Verb verb, Bytes payload,
               const control::Answered* answered) {
    control::Incoming in;
    in.source = from;
    in.packet_id = ++update;
    in.verb = verb;
    in.payload = payload;
    (void)networks.on_packet(now, in, answered, out);
  }

  /// A configuration whose parts the input chooses.
  void configuration(Reader& r) {
    const std::uint8_t kind = r.u8();
    const std::uint8_t flags = r.u8();
    wire::NetworkConfig c;
    c.network = id;
    c.timestamp = 1'000'000 + r.u8();
    c.credential_max_delta = 100;
    c.issued_to = (kind & 1) != 0 ? member.address() : transport.self().address();
    c.flags = flags & 0x1e;
    c.is_public = (flags & 1) != 0;
    c.multicast_limit = r.u8() & 7;
    c.com = com(transport.self().identity(), c.timestamp);
    const std::uint64_t role = std::uint64_t{r.u8()} << 40;
    c.specialists = {{member.address().value | role}};
    if ((kind & 2) != 0) c.specialists.push_back({transport.self().address().value | role});
    c.static_ips = {wire::sixplane_address(c.issued_to, id), wire::Endpoint::v4(0x0a000001, 24)};
    const Bytes rules = r.bytes(std::min<std::size_t>(r.u8(), r.remaining()));
    Reader rule_reader(rules);
    while (rule_reader.remaining() != 0) {
      const auto rule = wire::read_rule(rule_reader);
      if (!rule) break;
      c.rules.push_back(*rule);
    }
    const ByteVector dictionary = wire::encode_network_config(c);
    wire::ConfigChunk chunk;
    chunk.network = id;
    chunk.data = dictionary;
    chunk.flags = (kind & 4) != 0 ? 1 : 0;
    chunk.update_id = ++update;
    chunk.total = static_cast<std::uint32_t>(dictionary.size());
    ByteVector body(dictionary.size() + 200);
    Writer w(body);
    const bool answer = (kind & 8) != 0;
    if (answer) {
      w.u8(static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest));
      w.u64(1);
    }
    const std::size_t start = w.size();
    wire::encode_config_chunk(w, chunk);
    wire::append_config_signature(w, crypto::sign(controller, w.written().subspan(start)));
    const control::Answered answered{wire::Verb::kNetworkConfigRequest, id.value};
    receive((kind & 16) != 0 ? member.address() : controller.address(),
            answer ? wire::Verb::kOk : wire::Verb::kNetworkConfig, w.written(),
            answer ? &answered : nullptr);
  }

  void credentials(Reader& r) {
    ByteVector payload(1'024);
    Writer w(payload);
    wire::write_com(w, com(member.identity(), 1'000'000 + r.u8()));
    w.u8(0);
    w.u16(0);
    wire::Tag tag;
    tag.network = id;
    tag.timestamp = 1'000'000 + r.u8();
    tag.id = r.u8() & 3;
    tag.value = r.u8();
    tag.issued_to = member.address();
    tag.signed_by = controller.address();
    tag.signature = crypto::sign(controller, wire::tag_signed_bytes(tag));
    w.u16(1);
    wire::write_tag(w, tag);
    wire::Revocation revocation;
    revocation.network = id;
    revocation.credential_id = r.u8() & 3;
    revocation.threshold = 999'900 + r.u8();
    revocation.flags = 1;
    revocation.target = member.address();
    revocation.signed_by = controller.address();
    revocation.type = r.u8() & 7;
    revocation.signature = crypto::sign(controller, wire::revocation_signed_bytes(revocation));
    const bool revoke = (r.u8() & 1) != 0;
    w.u16(revoke ? 1 : 0);
    if (revoke) wire::write_revocation(w, revocation);
    receive(member.address(), wire::Verb::kNetworkCredentials, w.written(), nullptr);
  }

  void packet(Reader& r) {
    const std::uint8_t who = r.u8();
    const auto verb = static_cast<wire::Verb>(r.u8() & wire::kVerbMask);
    const std::uint8_t in_re = r.u8();
    const Bytes rest = r.bytes(std::min<std::size_t>(r.u16(), r.remaining()));
    ByteVector payload;
    const control::Answered answered{static_cast<wire::Verb>(in_re), id.value};
    if (verb == wire::Verb::kOk || verb == wire::Verb::kError) {
      payload.assign(9, 0);
      payload[0] = in_re;
      if (verb == wire::Verb::kError) payload.push_back(who >> 4);
    }
    if ((who & 4) != 0) {
      payload.resize(payload.size() + 8);
      store_be64(payload.data() + payload.size() - 8, id.value);
    }
    payload.insert(payload.end(), rest.begin(), rest.end());
    const wire::Address from[] = {controller.address(), member.address(),
                                  wire::Address{0x1122334455}, wire::Address{0x1234567890}};
    receive(from[who & 3], verb, payload, (who & 8) != 0 ? &answered : nullptr);
  }

  void host_frame(Reader& r) {
    const std::uint8_t kind = r.u8();
    const Bytes rest = r.bytes(std::min<std::size_t>(r.u16(), r.remaining()));
    ByteVector frame(12);
    const wire::Mac own = wire::mac_of(transport.self().address(), id);
    const wire::Mac to[] = {wire::kBroadcastMac, wire::mac_of(member.address(), id),
                            wire::Mac{0x001122334455}, wire::Mac{0x3333ff000001}};
    to[kind & 3].store(frame.data());
    ((kind & 4) != 0 ? own : wire::Mac{0x00aabbccddee}).store(frame.data() + 6);
    frame.insert(frame.end(), rest.begin(), rest.end());
    networks.on_frame(now, id, frame, out);
  }

  void event(Reader& r) {
    const std::uint8_t kind = r.u8();
    const wire::Address who = (kind & 4) != 0 ? member.address() : wire::Address{r.u40()};
    if ((kind & 3) == 0) {
      networks.on_event(now, fib::CredentialsStale{id, who}, out);
    } else if ((kind & 3) == 1) {
      networks.on_event(now, fib::BridgeLearned{id, wire::Mac{r.u40()}, who}, out);
    } else {
      fib::Received received;
      received.peer = who;
      received.network = id;
      networks.on_event(now, received, out);
    }
  }

  void step(Reader& r) {
    switch (r.u8() & 7) {
      case 0:
        return configuration(r);
      case 1:
        return credentials(r);
      case 2:
      case 3:
        return packet(r);
      case 4:
        return host_frame(r);
      case 5:
        now.mono += Millis{r.u16()} * 16;
        return networks.tick(now, out);
      case 6:
        return event(r);
      default: {
        const std::uint8_t kind = r.u8();
        if ((kind & 1) != 0) {
          networks.on_subscriptions(now, id, {{wire::Mac{0x333300000000ULL | r.u32()}, kind}}, out);
        } else {
          networks.leave(now, id, out);
          networks.join(now, id, {}, {}, out);
        }
        return;
      }
    }
  }

  void check() {
    for (const auto& sent : transport.sent) {
      if (sent.payload.size() + wire::kHeaderSize > wire::kMaxPacket + 64) std::abort();
      if (sent.to == transport.self().address()) std::abort();
    }
    for (const auto& frame : out.frames) {
      if (frame.payload.size() > wire::kMaxPacket) std::abort();
    }
    for (const auto& save : out.saves) {
      if (save.kind != control::StateKind::kNetwork || save.remove || save.bytes.size() < 2) {
        continue;
      }
      const auto config = wire::decode_network_config(save.bytes);
      if (!config || config->issued_to != transport.self().address()) std::abort();
    }
    transport.sent.clear();
    out.clear();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crypto::init();
  World world;
  Reader reader(Bytes(data, std::min<std::size_t>(size, 4'096)));
  while (reader.remaining() != 0) {
    world.step(reader);
    world.check();
  }
  return 0;
}
