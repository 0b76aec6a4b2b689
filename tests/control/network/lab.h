// One member node under test, a controller whose key the test holds, and other members: real
// identities, real signatures, a transport that records.
#pragma once

#include <stdexcept>

#include "control/network.h"
#include "control/network/issue_com.h"
#include "support/fake_transport.h"
#include "support/vectors.h"
#include "wire/network_config.h"
#include "wire/verbs/frame.h"
#include "wire/verbs/multicast.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/ok.h"

namespace orrery::test {

inline crypto::SecretIdentity network_identity(std::size_t number) {
  static const nlohmann::json valid = load_vectors("identity.json")["valid"];
  const auto parsed = wire::parse_identity(valid.at(number)["secret_text"].get<std::string>());
  if (!parsed || !parsed->has_private) throw std::runtime_error("identity.json: no such secret");
  return {parsed->identity, parsed->private_key};
}

template <typename Write, typename Thing>
ByteVector written(Write write, const Thing& thing, std::size_t capacity = 10'024) {
  ByteVector bytes(capacity);
  Writer w(bytes);
  write(w, thing);
  bytes.resize(w.size());
  return bytes;
}

/// A signed chunk body.
inline ByteVector make_chunk(const crypto::SecretIdentity& controller, wire::NetworkId network,
                             Bytes dictionary, std::size_t offset, std::size_t length,
                             std::uint64_t update_id, std::uint8_t flags = 0,
                             std::uint32_t total = 0) {
  wire::ConfigChunk chunk;
  chunk.network = network;
  chunk.data = dictionary.subspan(offset, length);
  chunk.flags = flags;
  chunk.update_id = update_id;
  chunk.total = total != 0 ? total : static_cast<std::uint32_t>(dictionary.size());
  chunk.offset = static_cast<std::uint32_t>(offset);
  ByteVector bytes(length + wire::ConfigChunk::kOverhead);
  Writer w(bytes);
  wire::encode_config_chunk(w, chunk);
  wire::append_config_signature(w, crypto::sign(controller, w.written()));
  return bytes;
}

struct NetworkLab {
  static constexpr std::int64_t kTs = 1'700'000'000'000;
  static constexpr std::uint64_t kDelta = 1'800'000;

  crypto::SecretIdentity controller = network_identity(0);
  crypto::SecretIdentity alice = network_identity(2);
  crypto::SecretIdentity bob = network_identity(3);
  wire::NetworkId id{(controller.address().value << 24) | 0x123456};
  FakeTransport transport{network_identity(1)};
  control::Networks networks{transport, nullptr};
  control::Effects out;
  Now now{10'000, kTs};
  std::uint64_t next_packet = 1;

  NetworkLab() {
    transport.known[controller.address()] = controller.identity();
    transport.known[alice.address()] = alice.identity();
    transport.known[bob.address()] = bob.identity();
  }

  [[nodiscard]] wire::Address self() const { return transport.self().address(); }

  [[nodiscard]] wire::Mac mac(wire::Address address) const { return wire::mac_of(address, id); }

  [[nodiscard]] wire::NetworkConfig config(std::int64_t timestamp = kTs) const {
    wire::NetworkConfig c;
    c.network = id;
    c.timestamp = timestamp;
    c.credential_max_delta = kDelta;
    c.revision = 1;
    c.issued_to = self();
    c.flags = wire::NetworkConfig::kBroadcast | wire::NetworkConfig::kNdpEmulation;
    c.multicast_limit = 32;
    c.name = "lab";
    c.com = issue_com(controller, id, transport.self().identity(), timestamp, kDelta);
    wire::Rule accept;
    accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
    c.rules = {accept};
    c.static_ips = {wire::Endpoint::v4(0x0a000001, 24)};
    return c;
  }

  void clear() {
    out.clear();
    transport.sent.clear();
  }

  void advance(Millis ms) {
    now.mono += ms;
    now.wall += ms;
  }

  void join(const wire::NetworkConfig& c) {
    networks.join(now, id, {}, wire::encode_network_config(c), out);
    clear();
  }

  control::Handled receive(wire::Address from, wire::Verb verb, Bytes payload,
                           const control::Answered* answered = nullptr) {
    control::Incoming in;
    in.source = from;
    in.packet_id = next_packet++;
    in.verb = verb;
    in.payload = payload;
    return networks.on_packet(now, in, answered, out);
  }

  control::Handled answer_config(const wire::NetworkConfig& c) {
    const ByteVector dictionary = wire::encode_network_config(c);
    const ByteVector chunk =
        make_chunk(controller, id, dictionary, 0, dictionary.size(), next_packet + 0x1000);
    ByteVector ok(9);
    ok[0] = static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest);
    ok.insert(ok.end(), chunk.begin(), chunk.end());
    const control::Answered answered{wire::Verb::kNetworkConfigRequest, id.value};
    return receive(controller.address(), wire::Verb::kOk, ok, &answered);
  }

  control::Handled push_config(wire::Address from, const wire::NetworkConfig& c) {
    const ByteVector dictionary = wire::encode_network_config(c);
    return receive(
        from, wire::Verb::kNetworkConfig,
        make_chunk(controller, id, dictionary, 0, dictionary.size(), next_packet + 0x2000));
  }

  /// `member` shows its certificate.
  control::Handled introduce(const crypto::SecretIdentity& member, std::int64_t timestamp = kTs) {
    ByteVector payload =
        written(wire::write_com, issue_com(controller, id, member.identity(), timestamp, kDelta));
    payload.push_back(0);
    return receive(member.address(), wire::Verb::kNetworkCredentials, payload);
  }

  control::Handled frame_from(wire::Address from, std::uint16_t ethertype, Bytes payload) {
    return receive(from, wire::Verb::kFrame,
                   written(wire::encode_frame, wire::Frame{id, ethertype, payload}));
  }

  control::Handled ext_from(wire::Address from, wire::Mac source, wire::Mac destination,
                            std::uint8_t flags = 0) {
    static constexpr std::uint8_t kPayload[] = {1, 2, 3};
    wire::ExtFrame frame;
    frame.network = id;
    frame.flags = flags;
    frame.source = source;
    frame.destination = destination;
    frame.ethertype = 0x0800;
    frame.payload = kPayload;
    return receive(from, wire::Verb::kExtFrame, written(wire::encode_ext_frame, frame));
  }

  void host_frame(wire::Mac source, wire::Mac destination, std::uint16_t ethertype, Bytes payload) {
    ByteVector frame(14);
    destination.store(frame.data());
    source.store(frame.data() + 6);
    store_be16(frame.data() + 12, ethertype);
    frame.insert(frame.end(), payload.begin(), payload.end());
    networks.on_frame(now, id, frame, out);
  }

  control::Handled like_from(wire::Address from, wire::MulticastGroup group) {
    return receive(from, wire::Verb::kMulticastLike,
                   written(wire::write_like, wire::MulticastLike{id, group}));
  }
};

}  // namespace orrery::test
