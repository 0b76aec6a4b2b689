// Extended armor of HELLO around anything: [32] ephemeral key, then the packet.
//
// Invariants: opening reads and writes nothing beyond the packet and touches no more than what is
// encrypted; what was put around a packet comes off; nobody else's key opens it to the same bytes.
#include "crypto/extended_armor.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;

namespace {

const crypto::SecretIdentity& own() {
  static const crypto::SecretIdentity identity = [] {
    crypto::init();
    wire::PrivateKey key{};
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 5 + 3);
    return crypto::SecretIdentity({wire::Address{1}, crypto::public_key_of(key)}, key);
  }();
  return identity;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  if (size < 32 || size > 32 + wire::kMaxPacket) return 0;
  const Bytes ephemeral = input.first(32), packet = input.subspan(32);

  ByteVector strange(packet.begin(), packet.end());
  const std::size_t opened = crypto::open_extended_armor(strange, own().private_key());
  check(opened == 0 || opened + crypto::kExtendedArmorSize == packet.size());
  const std::size_t untouched = opened == 0 ? packet.size() : wire::kMacOffset;
  check(fuzz::same(Bytes(strange).first(untouched), packet.first(untouched)));

  if (packet.size() < wire::kHeaderSize) return 0;
  ByteVector sealed(packet.begin(), packet.end());
  check(crypto::add_extended_armor(sealed, own().identity().public_key, ephemeral));
  check(crypto::open_extended_armor(sealed, own().private_key()) == packet.size());
  check(fuzz::same(Bytes(sealed).first(packet.size()), packet));
  return 0;
}
