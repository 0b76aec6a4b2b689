// armor.json, armor_sweep.json, hello.json, fragments.json.
#include <gtest/gtest.h>

#include "crypto/armor.h"
#include "crypto/kdf.h"
#include "support/vectors.h"
#include "wire/fragment.h"
#include "wire/reassembler.h"
#include "wire/verbs/hello.h"
#include "wire/verbs/user_message.h"

namespace orrery::crypto {
namespace {

using nlohmann::json;
using test::hex_bytes;
using test::label;

SharedSecret secret_of(const json& value) {
  const ByteVector bytes = hex_bytes(value);
  SharedSecret secret{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), secret.size()), secret.begin());
  return secret;
}

PeerKeys keys_of(const json& value, bool expand = true) {
  PeerKeys keys(secret_of(value));
  if (expand) keys.expand();
  return keys;
}

ByteVector armored(Armorer& armorer, ByteVector packet, const PeerKeys& keys, int suite) {
  ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()),
               static_cast<wire::Suite>(suite), &keys, 0};
  armorer.armor({&job, 1});
  return packet;
}

bool dearmored(Armorer& armorer, ByteVector& packet, const PeerKeys& keys) {
  DearmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), &keys, false};
  armorer.dearmor({&job, 1});
  return job.ok;
}

TEST(ArmorVectors, Armor) {
  const json all = test::load_vectors("armor.json");
  Armorer armorer;
  std::size_t i = 0;
  for (const json& c : all["armor"]) {
    const PeerKeys keys = keys_of(all["keys"][c["key_index"].get<std::size_t>()]["key"]);
    EXPECT_EQ(to_hex(armored(armorer, hex_bytes(c["plain"]), keys, c["cipher"].get<int>())),
              c["armored"])
        << i;
    ++i;
  }
}

TEST(ArmorVectors, KeyMangling) {
  for (const json& c : test::cases("armor.json", "key_mangling")) {
    EXPECT_EQ(to_hex(mix_key(secret_of(c["key"]), hex_bytes(c["header"]),
                             c["packet_size"].get<std::size_t>())),
              c["mangled"]);
  }
}

TEST(ArmorVectors, Receive) {
  const json all = test::load_vectors("armor.json");
  Armorer armorer;
  std::size_t i = 0;
  for (const json& c : all["receive"]) {
    const std::string name = label(c, i++);
    const PeerKeys keys = keys_of(all["keys"][c["key_index"].get<std::size_t>()]["key"],
                                  c["have_aes_keys"].get<bool>());
    ByteVector packet = hex_bytes(c["wire"]);
    const bool ok = dearmored(armorer, packet, keys);
    ASSERT_EQ(ok, c["accept"].get<bool>()) << name;
    if (ok) {
      EXPECT_EQ(to_hex(Bytes(packet).subspan(wire::kVerbOffset)), c["plain_payload"]) << name;
    }
  }
}

TEST(ArmorVectors, TrustedPath) {
  for (const json& c : test::cases("armor.json", "trusted_path")) {
    ByteVector packet = hex_bytes(c["plain"]);
    armor_trusted(packet, load_be64(hex_bytes(c["path_id"]).data()));
    EXPECT_EQ(to_hex(packet), c["wire"]);
  }
}

TEST(ArmorVectors, Sweep) {
  Armorer armorer;
  for (const json& sweep : test::cases("armor_sweep.json", "sweeps")) {
    const PeerKeys keys = keys_of(sweep["key"]);
    const std::uint64_t first_id = load_be64(hex_bytes(sweep["first_packet_id"]).data());
    const auto count = sweep["count"].get<std::size_t>();
    ASSERT_EQ(sweep["sha512_first8"].size(), count);
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t l =
          sweep["first_length"].get<std::size_t>() + k * sweep["length_step"].get<std::size_t>();
      ByteVector packet(wire::kHeaderSize + l);
      wire::PacketHeader header;
      header.id = first_id + 8 * l;
      header.destination = *wire::parse_address(sweep["destination"].get<std::string>());
      header.source = *wire::parse_address(sweep["source"].get<std::string>());
      header.verb = sweep["verb"].get<std::uint8_t>();
      wire::encode_packet_header(packet, header);
      for (std::size_t i = 0; i < l; ++i) {
        packet[wire::kHeaderSize + i] = static_cast<std::uint8_t>(
            i * sweep["mul"].get<std::size_t>() + sweep["add"].get<std::size_t>() + l);
      }
      const Sha512 digest = sha512(armored(armorer, packet, keys, sweep["cipher"].get<int>()));
      ASSERT_EQ(to_hex(Bytes(digest).first(8)), sweep["sha512_first8"][k]) << "length " << l;
    }
  }
}

TEST(HelloVectors, Hello) {
  std::size_t i = 0;
  Armorer armorer;
  for (const json& c : test::cases("hello.json", "hello")) {
    const std::string name = label(c, i++);
    const auto sender = wire::parse_identity(c["sender_secret"].get<std::string>());
    const auto receiver = wire::parse_identity(c["receiver_secret"].get<std::string>());
    ASSERT_TRUE(sender && receiver) << name;
    SharedSecret secret{};
    ASSERT_TRUE(agree(receiver->private_key, sender->identity.public_key, secret));
    const PeerKeys keys(secret);
    ByteVector packet = hex_bytes(c["wire"]);
    ASSERT_TRUE(dearmored(armorer, packet, keys)) << name;
    const auto hello = wire::decode_hello(Bytes(packet).subspan(wire::kHeaderSize));
    ASSERT_TRUE(hello) << name;
    EXPECT_EQ(hello->identity, sender->identity) << name;
    EXPECT_EQ(hello->version.protocol, c["protocol_version"].get<int>()) << name;
    EXPECT_EQ((json{hello->version.major, hello->version.minor, hello->version.revision}),
              c["version"])
        << name;
    EXPECT_EQ(hello->timestamp, c["timestamp"].get<std::int64_t>()) << name;
    EXPECT_EQ(wire::to_string(hello->sent_to), c["sent_to"]) << name;
    EXPECT_EQ(wire::to_string(wire::NetworkId{hello->planet_id}), c["world_id"]) << name;
    EXPECT_EQ(wire::to_string(wire::NetworkId{hello->planet_timestamp}), c["world_timestamp"])
        << name;
    const std::size_t start = c["encrypted_tail_start"].get<std::size_t>();
    EXPECT_EQ(hello->masked_at + wire::kHeaderSize, start) << name;
    EXPECT_EQ(to_hex(Bytes(packet).subspan(start)), c["encrypted_tail"]) << name;
    const auto id = wire::decode_packet_header(packet)->id;
    EXPECT_EQ(wire::to_string(wire::NetworkId{id}), c["packet_id"]) << name;
    mask_hello_tail(packet, start, secret);
    EXPECT_EQ(to_hex(Bytes(packet).subspan(start)), c["tail"]) << name;
    std::vector<wire::MoonEntry> moons;
    EXPECT_TRUE(wire::for_each_moon(Bytes(packet).subspan(start),
                                    [&](const wire::MoonEntry& m) { moons.push_back(m); }));
    EXPECT_EQ(moons.size(), c["moons"].size()) << name;

    // and back: the same HELLO from its fields, to the byte
    ByteVector again(packet.size());
    wire::encode_packet_header(again,
                               {id, receiver->identity.address, sender->identity.address, 0, 0, 1});
    Writer writer(MutableBytes(again).subspan(wire::kHeaderSize));
    const std::size_t masked = wire::kHeaderSize + wire::encode_hello(writer, *hello);
    writer.bytes(Bytes(packet).subspan(start));
    ASSERT_TRUE(writer.ok());
    mask_hello_tail(again, masked, secret);
    EXPECT_EQ(to_hex(armored(armorer, again, keys, 0)), c["wire"]) << name;
  }
}

TEST(HelloVectors, CryptField) {
  for (const json& c : test::cases("hello.json", "crypt_field")) {
    ByteVector packet = hex_bytes(c["packet"]);
    const auto start = c["start"].get<std::size_t>();
    const auto length = c["length"].get<std::size_t>();
    mask_hello_tail(MutableBytes(packet).first(start + length), start, secret_of(c["key"]));
    EXPECT_EQ(to_hex(packet), c["after"]);
  }
}

struct Pair {
  explicit Pair(const json& all) : keys(keys_of(all["shared_key"])) {}

  PeerKeys keys;
  Armorer armorer;
};

TEST(FragmentVectors, Fragmentation) {
  const json all = test::load_vectors("fragments.json");
  Pair pair(all);
  std::size_t i = 0;
  for (const json& c : all["fragmentation"]) {
    const std::string name = label(c, i++);
    ByteVector packet = hex_bytes(c["plain"]);
    const auto mtu = c["udp_payload_mtu"].get<std::size_t>();
    const wire::FragmentPlan plan = wire::plan_fragments(packet.size(), mtu);
    if (plan.pieces > 1) packet[wire::kFlagsOffset] |= wire::kFlagFragmented;
    packet = armored(pair.armorer, packet, pair.keys, c["cipher"].get<int>());
    std::vector<ByteVector> datagrams = {
        ByteVector(packet.begin(), packet.begin() + plan.head_size)};
    for (std::uint8_t n = 1; n < plan.pieces; ++n) {
      ByteVector out(wire::kFragmentHeaderSize + plan.data_size);
      out.resize(wire::write_fragment(out, packet, plan, n));
      datagrams.push_back(out);
    }
    ASSERT_EQ(datagrams.size(), c["datagrams"].size()) << name;
    for (std::size_t k = 0; k < datagrams.size(); ++k)
      EXPECT_EQ(to_hex(datagrams[k]), c["datagrams"][k]) << name;

    // what the receiver makes of it
    wire::Reassembler reassembler({}, {1, 2});
    bool received = datagrams.size() == 1;
    for (std::size_t k = 0; k < datagrams.size() && datagrams.size() > 1; ++k) {
      const auto r = k == 0 ? reassembler.add_head(1, 7, datagrams[k])
                            : reassembler.add_fragment(1, 7, datagrams[k]);
      if (r == wire::Reassembly::kComplete) {
        received = true;
        EXPECT_EQ(to_hex(reassembler.packet()), to_hex(packet)) << name;
      }
    }
    EXPECT_EQ(received, c["received"].get<bool>()) << name;
  }
}

TEST(FragmentVectors, Reassembly) {
  const json all = test::load_vectors("fragments.json");
  Pair pair(all);
  std::size_t i = 0;
  for (const json& c : all["reassembly"]) {
    const std::string name = label(c, i++);
    wire::Reassembler reassembler({}, {3, 4});
    std::size_t delivered = 0;
    for (std::size_t k = 0; k < c["datagrams"].size(); ++k) {
      const ByteVector datagram = hex_bytes(c["datagrams"][k]);
      ByteVector packet;
      switch (wire::kind_of(datagram)) {
        case wire::DatagramKind::kFragment:
          if (reassembler.add_fragment(1, 7, datagram) != wire::Reassembly::kComplete) continue;
          packet.assign(reassembler.packet().begin(), reassembler.packet().end());
          break;
        case wire::DatagramKind::kPacket:
          if ((datagram[wire::kFlagsOffset] & wire::kFlagFragmented) == 0) {
            packet = datagram;
          } else if (reassembler.add_head(1, 7, datagram) == wire::Reassembly::kComplete) {
            packet.assign(reassembler.packet().begin(), reassembler.packet().end());
          } else {
            continue;
          }
          break;
        default:
          continue;
      }
      if (!dearmored(pair.armorer, packet, pair.keys)) continue;
      const auto message = wire::decode_user_message(Bytes(packet).subspan(wire::kHeaderSize));
      ASSERT_TRUE(message) << name;
      ASSERT_LT(delivered, c["delivered"].size()) << name;
      const json& expected = c["delivered"][delivered++];
      EXPECT_EQ(wire::to_string(wire::NetworkId{message->type}), expected["type"]) << name;
      EXPECT_EQ(message->data.size(), expected["size"].get<std::size_t>()) << name;
      EXPECT_EQ(to_hex(sha384(message->data)), expected["data_sha384"]) << name;
      EXPECT_EQ(k, expected["after_datagram"].get<std::size_t>()) << name;
    }
    EXPECT_EQ(delivered, c["delivered"].size()) << name;
  }
}

}  // namespace
}  // namespace orrery::crypto
