// membership.json, credential_push.json, netconf_request.json, netconf_delivery.json.
#include <gtest/gtest.h>

#include "control/config_assembly.h"
#include "control/member.h"
#include "control/network.h"
#include "crypto/kdf.h"
#include "support/fake_transport.h"
#include "support/vectors.h"
#include "wire/verbs/network_credentials.h"
#include "wire/verbs/ok.h"

namespace orrery::control {
namespace {

using nlohmann::json;
using test::FakeTransport;
using test::hex_bytes;

crypto::SecretIdentity secret(const json& text) {
  auto parsed = wire::parse_identity(text.get<std::string>());
  if (!parsed || !parsed->has_private) throw std::runtime_error("no secret identity");
  return {parsed->identity, parsed->private_key};
}

AddResult add(Membership& member, const std::string& kind, Bytes bytes,
              const fib::IdentityLookup& lookup) {
  Reader r(bytes);
  const auto with = [&](auto credential) {
    if (!credential) throw std::runtime_error("does not parse: " + kind);
    return member.add(*credential, lookup);
  };
  if (kind == "com") return with(wire::read_com(r));
  if (kind == "tag") return with(wire::read_tag(r));
  if (kind == "capability") return with(wire::read_capability(r));
  if (kind == "coo") return with(wire::read_ownership(r));
  if (kind == "revocation") return with(wire::read_revocation(r));
  throw std::runtime_error("unknown kind " + kind);
}

const char* name(AddResult result) {
  switch (result) {
    case AddResult::kNew:
      return "new";
    case AddResult::kRedundant:
      return "redundant";
    case AddResult::kStale:
    case AddResult::kRevoked:
    case AddResult::kInvalid:
    case AddResult::kNotHeld:
      return "rejected";
    case AddResult::kNeedsSigner:
      return "needs_signer";
  }
  return "?";
}

TEST(MembershipVectors, Sequences) {
  const json file = test::load_vectors("membership.json");
  std::map<wire::Address, wire::Identity> identities;
  for (const auto& [who, text] : file["identities"].items()) {
    const auto parsed = wire::parse_identity(text.get<std::string>());
    ASSERT_TRUE(parsed);
    if (who != "unknown_to_verifier") identities[parsed->identity.address] = parsed->identity;
  }
  const fib::IdentityLookup lookup = [&](wire::Address a) -> const wire::Identity* {
    const auto it = identities.find(a);
    return it == identities.end() ? nullptr : &it->second;
  };
  for (const json& sequence : test::cases("membership.json", "sequences")) {
    SCOPED_TRACE(sequence["name"].get<std::string>());
    const std::string strictness = test::strictness(sequence);
    const bool apart = strictness == "may_differ_after_non_membership_revocation";
    ASSERT_TRUE(apart || strictness == "must") << strictness;
    wire::NetworkConfig mine;
    mine.timestamp = sequence["my_config_timestamp"];
    mine.credential_max_delta = sequence["my_credential_time_max_delta"];
    const ByteVector com = hex_bytes(sequence["my_com"]);
    Reader reader(com);
    mine.com = wire::read_com(reader);
    ASSERT_TRUE(mine.com);
    const auto peer = wire::parse_identity(sequence["peer_identity"].get<std::string>());
    ASSERT_TRUE(peer);
    const auto hash = crypto::fingerprint(peer->identity);
    Membership member;
    bool differs = false;  // a credential other than a membership certificate has been revoked
    for (std::size_t i = 0; i < sequence["steps"].size(); ++i) {
      const json& step = sequence["steps"][i];
      SCOPED_TRACE(i);
      const std::string kind = step["add"];
      const ByteVector bytes = hex_bytes(step["bytes"]);
      const AddResult result = add(member, kind, bytes, lookup);
      if (kind == "revocation" && result == AddResult::kNew) {
        Reader r(bytes);
        differs = differs || (apart && wire::read_revocation(r)->type != 1);
      }
      if (!differs || kind != "com") {
        EXPECT_EQ(name(result), step["result"]);
      }
      if (!differs) {
        EXPECT_EQ(member.allowed(*mine.com, hash), step["allowed_on_network"].get<bool>());
        EXPECT_EQ(member.com_timestamp(), step["com_timestamp"].get<std::int64_t>());
        EXPECT_EQ(member.com_threshold(), step["com_revocation_threshold"].get<std::int64_t>());
      } else {
        EXPECT_TRUE(member.allowed(*mine.com, hash));
        EXPECT_EQ(member.com_threshold(), 0);
      }
      json tags = json::array();
      for (const fib::Tag& tag : member.usable_tags(mine)) {
        tags.push_back({{"id", tag.id}, {"value", tag.value}});
      }
      EXPECT_EQ(tags, step["usable_tags"]);
      json capabilities = json::array();
      for (const auto& c : member.usable_capabilities(mine)) capabilities.push_back(c.id);
      EXPECT_EQ(capabilities, step["usable_capabilities"]);
      const auto owned = member.usable_ownership(mine).ips;
      const bool owns = std::any_of(owned.begin(), owned.end(), [](const wire::Endpoint& ip) {
        return ip.same_ip(wire::Endpoint::v4(0x0a000002, 0));
      });
      EXPECT_EQ(owns, step["owns_10_0_0_2"].get<bool>());
    }
  }
}

TEST(CredentialPushVectors, PacksLikeTheReference) {
  for (const json& push : test::cases("credential_push.json", "pushes")) {
    wire::NetworkConfig config;

    struct Collect {
      wire::NetworkConfig& config;

      void operator()(const wire::CertificateOfMembership& c) { config.com = c; }

      void operator()(const wire::Capability& c) { config.capabilities.push_back(c); }

      void operator()(const wire::Tag& t) { config.tags.push_back(t); }

      void operator()(const wire::Revocation&) { FAIL() << "a push carries no revocation"; }

      void operator()(const wire::CertificateOfOwnership& c) { config.ownerships.push_back(c); }
    } collect{config};

    for (const json& packet : push["packets"]) {
      ASSERT_TRUE(wire::for_each_credential(hex_bytes(packet["payload"]), collect));
    }
    ASSERT_EQ(config.com.has_value(), push["com"].get<bool>());
    ASSERT_EQ(config.capabilities.size(), push["capabilities"].get<std::size_t>());
    ASSERT_EQ(config.tags.size(), push["tags"].get<std::size_t>());
    ASSERT_EQ(config.ownerships.size(), push["ownership"].get<std::size_t>());
    const auto packets = pack_credentials(config);
    ASSERT_EQ(packets.size(), push["packets"].size());
    for (std::size_t i = 0; i < packets.size(); ++i) {
      EXPECT_EQ(to_hex(packets[i]), push["packets"][i]["payload"].get<std::string>());
    }
  }
}

TEST(NetconfRequestVectors, PayloadIsTheReferences) {
  for (const json& request : test::cases("netconf_request.json", "requests")) {
    FakeTransport transport(secret(request["member"]));
    Networks networks(transport, nullptr);
    const auto id = wire::parse_network_id(request["network"].get<std::string>());
    ASSERT_TRUE(id);
    Effects out;
    ByteVector cached;
    if (request["have_config"].get<bool>()) {
      wire::NetworkConfig config;
      config.network = *id;
      config.issued_to = transport.self().address();
      config.revision = request["have_revision"];
      config.timestamp = request["have_timestamp"];
      cached = wire::encode_network_config(config);
    }
    networks.join({1'000, 1'700'000'000'000}, *id, {}, cached, out);
    const auto sent = transport.of(wire::Verb::kNetworkConfigRequest);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(wire::to_string(sent[0].to), request["destination"].get<std::string>());
    EXPECT_EQ(sent[0].options.compress, request["compressed_on_the_wire"].get<bool>());
    EXPECT_EQ(to_hex(sent[0].payload), request["payload"].get<std::string>());
  }
}

struct Delivery {
  json file = test::load_vectors("netconf_delivery.json");
  wire::NetworkId id = *wire::parse_network_id(file["network"].get<std::string>());
  FakeTransport transport{secret(file["member"])};
  Networks networks{transport, nullptr};
  Effects out;

  Delivery() {
    const auto controller = wire::parse_identity(file["controller"].get<std::string>());
    transport.known[controller->identity.address] = controller->identity;
    networks.join({1'000, 1'700'000'000'000}, id, {}, {}, out);
    out.clear();
    transport.sent.clear();
  }

  void receive(wire::Address from, Bytes verb_and_payload) {
    Incoming in;
    in.source = from;
    in.packet_id = 0x0102030405060708;
    in.verb = static_cast<wire::Verb>(verb_and_payload[0]);
    in.payload = verb_and_payload.subspan(1);
    const Answered answered{wire::Verb::kNetworkConfigRequest, id.value};
    networks.on_packet({2'000, 1'700'000'001'000}, in,
                       in.verb == wire::Verb::kOk ? &answered : nullptr, out);
  }
};

TEST(NetconfDeliveryVectors, Received) {
  for (const json& sequence : test::cases("netconf_delivery.json", "received")) {
    SCOPED_TRACE(sequence["name"].get<std::string>());
    Delivery d;
    for (const json& step : sequence["steps"]) {
      d.out.clear();
      d.transport.sent.clear();
      const auto from = wire::parse_address(step["from"].get<std::string>());
      const ByteVector message = hex_bytes(step["verb_and_payload"]);
      d.receive(*from, message);
      const bool complete = step["update_complete"];
      EXPECT_EQ(!d.out.saves.empty(), complete);
      const NetworkStatus status = d.networks.list().front();
      EXPECT_EQ(status.state == NetworkState::kOk, step["have_config_after"].get<bool>());
      EXPECT_EQ(status.revision, step["revision_after"].get<std::uint64_t>());
      const auto ok = d.transport.of(wire::Verb::kOk);
      ASSERT_EQ(ok.size(), complete && message[0] == 0x0c ? 1u : 0u);
      for (const auto& answer : ok) EXPECT_EQ(answer.payload[0], 0x08);
    }
  }
}

TEST(NetconfDeliveryVectors, Sent) {
  for (const json& sent : test::cases("netconf_delivery.json", "sent")) {
    const json& chunks = sent["chunks"];
    ConfigAssembly assembly;
    const auto controller = wire::parse_identity(
        test::load_vectors("netconf_delivery.json")["controller"].get<std::string>());
    std::size_t size = 0;
    for (const json& c : chunks) {
      const ByteVector message = hex_bytes(c["verb_and_payload"]);
      const auto chunk = wire::decode_config_chunk(
          Bytes(message).subspan(c["chunk_offset_in_message"].get<std::size_t>()));
      ASSERT_TRUE(chunk && chunk->has_signature);
      EXPECT_EQ(chunk->data.size(), c["chunk_data_length"].get<std::size_t>());
      EXPECT_EQ(chunk->flags, c["flags"].get<unsigned>());
      EXPECT_EQ(chunk->total, c["total_length"].get<unsigned>());
      EXPECT_EQ(chunk->offset, c["chunk_index"].get<unsigned>());
      EXPECT_EQ(to_hex(chunk->signature), c["signature"].get<std::string>());
      EXPECT_TRUE(
          crypto::verify(controller->identity.public_key, chunk->signed_region, chunk->signature));
      ASSERT_TRUE(ConfigAssembly::plausible(*chunk));
      if (const auto complete = assembly.add(1'000, *chunk, true))
        size = complete->dictionary.size();
    }
    EXPECT_EQ(size, sent["dictionary_length"].get<std::size_t>());
  }
}

}  // namespace
}  // namespace orrery::control
