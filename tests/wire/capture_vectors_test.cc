// capture.pcapng, capture.json, capture_decoded.json: traffic of real nodes, from the datagrams on
// the switch to the fields of every packet.
#include <gtest/gtest.h>

#include <cctype>
#include <map>

#include "crypto/armor.h"
#include "crypto/curve.h"
#include "support/vectors.h"
#include "wire/compression.h"
#include "wire/reassembler.h"
#include "wire/verbs/frame.h"
#include "wire/verbs/hello.h"
#include "wire/verbs/multicast.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/network_credentials.h"
#include "wire/verbs/ok.h"
#include "wire/verbs/push_direct_paths.h"
#include "wire/verbs/rendezvous.h"
#include "wire/verbs/whois.h"
#include "wire/world.h"

namespace orrery::wire {
namespace {

using nlohmann::json;
using test::hex_bytes;

std::string verb_name(std::uint8_t code) {
  std::string name = verb_label(code);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string hex64(std::uint64_t value) {
  return to_string(NetworkId{value});
}

std::string text_of_group(const MulticastGroup& group) {
  std::array<std::uint8_t, 4> adi;
  store_be32(adi.data(), group.adi);
  return to_string(group.mac) + "/" + to_hex(adi);
}

json text_of_version(const SoftwareVersion& v) {
  return {v.major, v.minor, v.revision};
}

/// The nodes of the capture with their secrets.
class Nodes {
 public:
  Nodes() {
    const json nodes = test::cases("capture.json", "nodes");
    for (const auto& [name, node] : nodes.items()) {
      const auto parsed = parse_identity(node["secret"].get<std::string>());
      if (!parsed || !parsed->has_private) throw std::runtime_error("node without a secret");
      EXPECT_EQ(to_string(parsed->identity.address), node["address"].get<std::string>()) << name;
      nodes_.emplace(parsed->identity.address, *parsed);
    }
  }

  [[nodiscard]] const ParsedIdentity& at(Address address) const { return nodes_.at(address); }

  /// Keys of a pair, agreed on by the receiver.
  const crypto::PeerKeys& keys(Address sender, Address receiver) {
    const auto found = keys_.find({sender, receiver});
    if (found != keys_.end()) return found->second;
    crypto::SharedSecret secret{};
    EXPECT_TRUE(crypto::agree(at(receiver).private_key, at(sender).identity.public_key, secret));
    auto& keys = keys_.emplace(std::pair{sender, receiver}, secret).first->second;
    keys.expand();
    return keys;
  }

 private:
  std::map<Address, ParsedIdentity> nodes_;
  std::map<std::pair<Address, Address>, crypto::PeerKeys> keys_;
};

json fields_of_worlds(Bytes bytes) {
  json worlds = json::array();
  Reader r(bytes);
  while (r.remaining() != 0) {
    const auto world = read_world(r);
    if (!world) return "malformed";
    json roots = json::array();
    for (const WorldRoot& root : world->roots) {
      json endpoints = json::array();
      for (const Endpoint& e : root.endpoints) endpoints.push_back(to_string(e));
      roots.push_back(
          {{"address", to_string(root.identity.address)}, {"stable_endpoints", endpoints}});
    }
    worlds.push_back({{"type", static_cast<int>(world->type)},
                      {"id", hex64(world->id)},
                      {"timestamp", world->timestamp},
                      {"roots", roots}});
  }
  return worlds;
}

json fields_of_chunk(Bytes body, const Nodes& nodes) {
  const ConfigChunk c = decode_config_chunk(body).value();
  EXPECT_TRUE(c.has_signature);
  const PublicKey& key = nodes.at(c.network.controller()).identity.public_key;
  return {{"network", to_string(c.network)},
          {"chunk_length", c.data.size()},
          {"flags", c.flags},
          {"update_id", hex64(c.update_id)},
          {"total_length", c.total},
          {"chunk_index", c.offset},
          {"signature_type", 1},
          {"signature_valid", crypto::verify(key, c.signed_region, c.signature)}};
}

json fields_of_gathered(const GatherResult& g) {
  json members = json::array();
  for_each_gathered(g, [&](Address a) { members.push_back(to_string(a)); });
  return {{"network", to_string(g.network)},
          {"group", text_of_group(g.group)},
          {"total_known", g.total},
          {"members", members}};
}

json fields_of_hello(Bytes payload, Bytes tail) {
  const Hello h = decode_hello(payload).value();
  json moons = json::array();
  EXPECT_TRUE(for_each_moon(tail, [&](const MoonEntry& m) {
    moons.push_back({{"type", m.type}, {"id", hex64(m.id)}, {"timestamp", m.timestamp}});
  }));
  return {{"protocol", h.version.protocol},
          {"version", text_of_version(h.version)},
          {"timestamp", h.timestamp},
          {"identity", to_string(h.identity.address)},
          {"sent_to", to_string(h.sent_to)},
          {"planet_id", hex64(h.planet_id)},
          {"planet_timestamp", h.planet_timestamp},
          {"encrypted_from", kHeaderSize + h.masked_at},
          {"decrypted_tail", to_hex(tail)},
          {"moons", moons}};
}

json fields_of_ok(Bytes payload, const Nodes& nodes) {
  const Ok ok = decode_ok(payload).value();
  json fields = json::object();
  switch (static_cast<Verb>(ok.in_re_verb)) {
    case Verb::kHello: {
      const HelloOk h = decode_hello_ok(ok.rest).value();
      fields = {{"timestamp_echo", h.timestamp},
                {"protocol", h.version.protocol},
                {"version", text_of_version(h.version)},
                {"seen_as", to_string(h.seen_from)},
                {"worlds", fields_of_worlds(h.worlds)}};
      break;
    }
    case Verb::kWhois: {
      json identities = json::array();
      EXPECT_TRUE(for_each_whois_identity(ok.rest, [&](const Identity& identity) {
        EXPECT_EQ(identity, nodes.at(identity.address).identity);
        identities.push_back(to_string(identity.address));
      }));
      fields = {{"identities", identities}};
      break;
    }
    case Verb::kEcho:
      fields = {{"echo", to_hex(ok.rest)}};
      break;
    case Verb::kNetworkConfigRequest:
      fields = {{"config", fields_of_chunk(ok.rest, nodes)}};
      break;
    case Verb::kMulticastGather:
      fields = fields_of_gathered(decode_gather_ok(ok.rest).value());
      break;
    case Verb::kMulticastFrame: {
      const MulticastFrameOk m = decode_multicast_frame_ok(ok.rest).value();
      EXPECT_FALSE(m.com);
      fields = fields_of_gathered(m.gathered);
      fields["flags"] = 2;
      break;
    }
    default:
      ADD_FAILURE() << "OK to verb " << int{ok.in_re_verb};
  }
  fields["in_re_verb"] = verb_name(ok.in_re_verb);
  fields["in_re_packet_id"] = hex64(ok.in_re_id);
  return fields;
}

/// Collects the five kinds as the vectors describe them.
struct CredentialFields {
  json fields = {{"coms", json::array()},
                 {"capabilities", json::array()},
                 {"tags", json::array()},
                 {"revocations", json::array()},
                 {"ownership", json::array()}};

  void operator()(const CertificateOfMembership& c) {
    fields["coms"].push_back({{"network", to_string(c.network())},
                              {"timestamp", c.timestamp()},
                              {"issued_to", to_string(c.issued_to())},
                              {"signed_by", to_string(c.signed_by)}});
  }

  void operator()(const Capability& c) {
    fields["capabilities"].push_back(
        {{"id", c.id}, {"timestamp", c.timestamp}, {"issued_to", to_string(c.issued_to())}});
  }

  void operator()(const Tag& t) {
    fields["tags"].push_back({{"id", t.id},
                              {"value", t.value},
                              {"timestamp", t.timestamp},
                              {"issued_to", to_string(t.issued_to)}});
  }

  void operator()(const Revocation& r) {
    fields["revocations"].push_back(
        {{"id", r.id},
         {"target", to_string(r.target)},
         {"credential_type", r.type},
         {"credential_id", r.credential_id},
         {"threshold", r.threshold},
         {"fast_propagate", (r.flags & Revocation::kFastPropagation) != 0},
         {"signed_by", to_string(r.signed_by)}});
  }

  void operator()(const CertificateOfOwnership& c) {
    fields["ownership"].push_back({{"id", c.id},
                                   {"timestamp", c.timestamp},
                                   {"issued_to", to_string(c.issued_to)},
                                   {"thing_count", c.count}});
  }
};

json fields_of_multicast_frame(Bytes payload) {
  const MulticastFrame f = decode_multicast_frame(payload).value();
  json fields = {{"network", to_string(f.network)},
                 {"flags", (f.com ? 1 : 0) | (f.gather_limit != 0 ? 2 : 0) | (f.source ? 4 : 0) |
                               (f.replicate ? 8 : 0)},
                 {"group", text_of_group(f.group)},
                 {"ether_type", f.ethertype},
                 {"frame_length", f.payload.size()}};
  if (f.gather_limit != 0) fields["gather_limit"] = f.gather_limit;
  return fields;
}

json fields_of_multicast_gather(Bytes payload) {
  const MulticastGather g = decode_gather(payload).value();
  json fields = {{"network", to_string(g.network)},
                 {"flags", g.com ? 1 : 0},
                 {"group", text_of_group(g.group)},
                 {"limit", g.limit}};
  if (g.com) fields["com_issued_to"] = to_string(g.com->issued_to());
  return fields;
}

json fields_of_paths(Bytes payload) {
  json paths = json::array();
  EXPECT_TRUE(for_each_direct_path(payload, [&](const DirectPath& path) {
    paths.push_back({{"flags", path.flags},
                     {"type", path.endpoint.family},
                     {"length", path.endpoint.ip_size() + 2},
                     {"address", to_string(path.endpoint)}});
  }));
  return {{"paths", paths}};
}

json fields_of_likes(Bytes payload) {
  json likes = json::array();
  for_each_like(payload, [&](const MulticastLike& like) {
    likes.push_back({{"network", to_string(like.network)}, {"group", text_of_group(like.group)}});
  });
  return {{"likes", likes}};
}

/// `tail`: the unmasked end of a HELLO.
json fields_of(std::uint8_t verb, Bytes payload, Bytes tail, const Nodes& nodes) {
  switch (static_cast<Verb>(verb)) {
    case Verb::kHello:
      return fields_of_hello(payload, tail);
    case Verb::kError: {
      const ErrorPacket e = decode_error(payload).value();
      return {{"in_re_verb", verb_name(e.in_re_verb)},
              {"in_re_packet_id", hex64(e.in_re_id)},
              {"error_code", e.code},
              {"error_payload", to_hex(e.rest)}};
    }
    case Verb::kOk:
      return fields_of_ok(payload, nodes);
    case Verb::kWhois: {
      json addresses = json::array();
      for_each_whois_address(payload, [&](Address a) { addresses.push_back(to_string(a)); });
      return {{"addresses", addresses}};
    }
    case Verb::kRendezvous: {
      const Rendezvous v = decode_rendezvous(payload).value();
      return {{"flags", v.flags}, {"with", to_string(v.with)}, {"at", to_string(v.endpoint)}};
    }
    case Verb::kFrame: {
      const Frame f = decode_frame(payload).value();
      return {{"network", to_string(f.network)},
              {"ether_type", f.ethertype},
              {"frame_length", f.payload.size()}};
    }
    case Verb::kExtFrame: {
      const ExtFrame f = decode_ext_frame(payload).value();
      EXPECT_TRUE(f.has_frame);
      return {{"network", to_string(f.network)},
              {"flags", f.flags},
              {"dest_mac", to_string(f.destination)},
              {"source_mac", to_string(f.source)},
              {"ether_type", f.ethertype},
              {"frame_length", f.payload.size()}};
    }
    case Verb::kEcho:
      return {{"echo", to_hex(payload)}};
    case Verb::kMulticastLike:
      return fields_of_likes(payload);
    case Verb::kNetworkCredentials: {
      CredentialFields visitor;
      EXPECT_TRUE(for_each_credential(payload, visitor));
      return visitor.fields;
    }
    case Verb::kNetworkConfigRequest: {
      const NetworkConfigRequest q = decode_network_config_request(payload).value();
      return {{"network", to_string(q.network)},
              {"metadata", text_of(q.metadata)},
              {"have_revision", q.have_revision},
              {"have_timestamp", q.have_timestamp}};
    }
    case Verb::kNetworkConfig:
      return {{"config", fields_of_chunk(payload, nodes)}};
    case Verb::kMulticastGather:
      return fields_of_multicast_gather(payload);
    case Verb::kMulticastFrame:
      return fields_of_multicast_frame(payload);
    case Verb::kPushDirectPaths:
      return fields_of_paths(payload);
    default:
      ADD_FAILURE() << "no decoder for verb " << int{verb};
      return nullptr;
  }
}

/// One UDP datagram of the capture.
struct Seen {
  Endpoint from, to;
  Bytes payload;  // view into the file
};

std::optional<Seen> udp_of_frame(Bytes frame) {
  Reader r(frame);
  r.skip(12);
  const std::uint16_t ethertype = r.u16();
  Bytes source, destination;
  if (ethertype == 0x0800) {
    const Bytes ip = r.bytes(20);
    if (!r.ok() || ip[0] != 0x45 || ip[9] != 17) return std::nullopt;
    source = ip.subspan(12, 4);
    destination = ip.subspan(16, 4);
  } else if (ethertype == 0x86dd) {
    const Bytes ip = r.bytes(40);
    if (!r.ok() || ip[6] != 17) return std::nullopt;
    source = ip.subspan(8, 16);
    destination = ip.subspan(24, 16);
  } else {
    return std::nullopt;
  }
  const std::uint16_t from_port = r.u16();
  const std::uint16_t to_port = r.u16();
  const std::uint16_t length = r.u16();
  r.skip(2);
  const Bytes payload = r.bytes(length - 8u);
  if (!r.ok()) return std::nullopt;
  const auto endpoint = [](Bytes ip, std::uint16_t port) {
    return ip.size() == 4 ? Endpoint::v4(load_be32(ip.data()), port) : Endpoint::v6(ip, port);
  };
  return Seen{endpoint(source, from_port), endpoint(destination, to_port), payload};
}

/// The frames of a little-endian pcapng file: enhanced packet blocks in order.
std::vector<Bytes> frames_of(Bytes file) {
  std::vector<Bytes> frames;
  const auto u32 = [&](std::size_t at) { return __builtin_bswap32(load_be32(&file[at])); };
  for (std::size_t at = 0; at + 12 <= file.size();) {
    const std::size_t size = u32(at + 4);
    if (size < 12 || size > file.size() - at) throw std::runtime_error("capture.pcapng is cut");
    if (u32(at) == 6) frames.push_back(file.subspan(at + 28, u32(at + 20)));
    at += size;
  }
  return frames;
}

TEST(CaptureVectors, FieldsOfEveryPacket) {
  const Nodes nodes;
  for (const json& c : test::cases("capture_decoded.json", "packets")) {
    const ByteVector payload = hex_bytes(c["payload"]);
    const auto verb = c["verb"].get<std::uint8_t>();
    EXPECT_EQ(verb_name(verb), c["verb_name"].get<std::string>());
    const json& fields = c["fields"];
    const ByteVector tail =
        fields.contains("decrypted_tail") ? hex_bytes(fields["decrypted_tail"]) : ByteVector{};
    EXPECT_EQ(fields_of(verb, payload, tail, nodes), fields) << c["packet_id"];
  }
}

class Replay {
 public:
  Replay() : packets_(test::cases("capture_decoded.json", "packets")) {}

  /// A whole packet, as it came; it must be the next of the list.
  void packet(std::size_t frame, ByteVector bytes) {
    ASSERT_LT(next_, packets_.size());
    const json& c = packets_[next_++];
    const PacketHeader h = decode_packet_header(bytes).value();
    const std::string name = "frame " + std::to_string(frame);
    EXPECT_EQ(c["frames"].back().get<std::size_t>(), frame);
    EXPECT_EQ(hex64(h.id), c["packet_id"].get<std::string>()) << name;
    EXPECT_EQ(to_string(h.source), c["source"].get<std::string>()) << name;
    EXPECT_EQ(to_string(h.destination), c["dest"].get<std::string>()) << name;
    EXPECT_EQ(h.hops(), c["hops"].get<int>()) << name;
    EXPECT_EQ(h.cipher(), c["cipher"].get<int>()) << name;
    EXPECT_EQ(h.flags & (kFlagEncrypted | kFlagFragmented), c["flags"].get<int>()) << name;
    EXPECT_EQ(h.fragmented(), c["fragmented"].get<bool>()) << name;
    EXPECT_EQ(bytes.size(), c["size"].get<std::size_t>()) << name;

    const crypto::PeerKeys& keys = nodes_.keys(h.source, h.destination);
    crypto::DearmorJob job{bytes.data(), static_cast<std::uint32_t>(bytes.size()), &keys, false};
    armorer_.dearmor({&job, 1});
    ASSERT_EQ(job.ok, c["opened"].get<bool>()) << name;
    const std::uint8_t verb = bytes[kVerbOffset];
    EXPECT_EQ(verb & kVerbMask, c["verb"].get<int>()) << name;
    ASSERT_EQ((verb & kVerbCompressed) != 0, c["compressed"].get<bool>()) << name;
    ByteVector payload(bytes.begin() + kHeaderSize, bytes.end());
    if ((verb & kVerbCompressed) != 0) {
      ByteVector room(kMaxPacket - kHeaderSize);
      room.resize(inflate(payload, room));
      payload = room;
    }
    EXPECT_EQ(to_hex(payload), c["payload"].get<std::string>()) << name;
    if (static_cast<Verb>(verb) == Verb::kHello) {
      const std::size_t tail = kHeaderSize + decode_hello(payload).value().masked_at;
      crypto::mask_hello_tail(bytes, tail, keys.secret().bytes());
      EXPECT_EQ(to_hex(Bytes(bytes).subspan(tail)),
                c["fields"]["decrypted_tail"].get<std::string>())
          << name;
    }
  }

  [[nodiscard]] bool at_end() const { return next_ == packets_.size(); }

 private:
  Nodes nodes_;
  crypto::Armorer armorer_;
  json packets_;
  std::size_t next_ = 0;
};

TEST(CaptureVectors, EveryDatagramOnTheSwitch) {
  const ByteVector file = test::load_vector_bytes("capture.pcapng");
  const std::vector<Bytes> frames = frames_of(file);
  const json datagrams = test::cases("capture_decoded.json", "datagrams");
  ASSERT_FALSE(datagrams.empty());
  Replay replay;
  Reassembler reassembler({}, {1, 2});
  for (const json& d : datagrams) {
    const auto number = d["frame"].get<std::size_t>();
    const std::string name = d.dump();
    ASSERT_LE(number, frames.size());
    const auto seen = udp_of_frame(frames[number - 1]);
    ASSERT_TRUE(seen) << name;
    EXPECT_EQ(to_string(seen->from), d["from"].get<std::string>()) << name;
    EXPECT_EQ(to_string(seen->to), d["to"].get<std::string>()) << name;
    EXPECT_EQ(seen->payload.size(), d["length"].get<std::size_t>()) << name;
    const DatagramKind kind = kind_of(seen->payload);
    const auto expected = d["kind"].get<std::string>();
    const std::uint64_t source = siphash({3, 4}, bytes_of(to_string(seen->from)));
    if (expected == "fragment") {
      ASSERT_EQ(kind, DatagramKind::kFragment) << name;
      const FragmentHeader h = decode_fragment_header(seen->payload).value();
      EXPECT_EQ(hex64(h.id), d["packet_id"].get<std::string>()) << name;
      EXPECT_EQ(to_string(h.destination), d["dest"].get<std::string>()) << name;
      EXPECT_EQ(h.number, d["number"].get<int>()) << name;
      EXPECT_EQ(h.total, d["total"].get<int>()) << name;
      EXPECT_EQ(h.hops, d["hops"].get<int>()) << name;
      if (reassembler.add_fragment(1, source, seen->payload) == Reassembly::kComplete) {
        replay.packet(number, {reassembler.packet().begin(), reassembler.packet().end()});
      }
    } else if (expected == "packet" || expected == "head") {
      ASSERT_EQ(kind, DatagramKind::kPacket) << name;
      const PacketHeader h = decode_packet_header(seen->payload).value();
      EXPECT_EQ(hex64(h.id), d["packet_id"].get<std::string>()) << name;
      ASSERT_EQ(h.fragmented(), expected == "head") << name;
      if (!h.fragmented()) {
        replay.packet(number, {seen->payload.begin(), seen->payload.end()});
      } else if (reassembler.add_head(1, source, seen->payload) == Reassembly::kComplete) {
        replay.packet(number, {reassembler.packet().begin(), reassembler.packet().end()});
      }
    } else {
      ASSERT_EQ(expected, "other") << name;
      EXPECT_EQ(kind, DatagramKind::kTooShort) << name;
    }
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_TRUE(replay.at_end());
  EXPECT_EQ(reassembler.in_flight(), 0u);
}

TEST(CaptureVectors, SceneOfTheCapture) {
  const json scene = test::load_vectors("capture.json");
  const NetworkId network = parse_network_id(scene["network"].get<std::string>()).value();
  const Nodes nodes;
  EXPECT_EQ(network.controller(), nodes.at(network.controller()).identity.address);
  for (const char* key : {"planet_old", "planet_new", "moon_old", "moon_new"}) {
    if (scene[key].is_null()) continue;
    const ByteVector bytes = hex_bytes(scene[key]);
    Reader r(bytes);
    const auto world = read_world(r);
    ASSERT_TRUE(world) << key;
    EXPECT_EQ(encode_world(*world), bytes) << key;
    for (const WorldRoot& root : world->roots) {
      EXPECT_EQ(root.identity, nodes.at(root.identity.address).identity) << key;
    }
  }
  const json assigned = scene["assigned"];
  for (const auto& [name, ips] : assigned.items()) {
    const Address address =
        parse_address(scene["nodes"][name]["address"].get<std::string>()).value();
    bool derived = false;
    for (const json& ip : ips)
      derived |= ip.get<std::string>() == to_string(rfc4193_address(address, network));
    EXPECT_TRUE(derived) << name;
  }
}

}  // namespace
}  // namespace orrery::wire
