#include "crypto/armor.h"

#include <sodium.h>

#include "crypto/aes_gmac_siv.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kMacSize = 8;  // of Poly1305's 16 bytes

void set_suite(std::uint8_t* packet, wire::Suite suite) {
  auto flags = static_cast<std::uint8_t>(packet[wire::kFlagsOffset] &
                                         (wire::kFlagFragmented | wire::kHopsMask));
  flags = static_cast<std::uint8_t>(flags | (static_cast<unsigned>(suite) << 3));
  if (suite == wire::Suite::kSalsaPoly) flags |= wire::kFlagEncrypted;
  packet[wire::kFlagsOffset] = flags;
}

/// Poly1305 of the payload under the one-time key in block 0 of the packet's stream.
std::array<std::uint8_t, 16> poly_mac(const SalsaKey& key, const std::uint8_t* packet,
                                      std::uint32_t length) {
  std::array<std::uint8_t, 64> block;
  salsa_block(salsa_state(key, packet, 0), 12, block.data());
  std::array<std::uint8_t, 16> mac;
  crypto_onetimeauth(mac.data(), packet + wire::kVerbOffset, length - wire::kVerbOffset,
                     block.data());
  burn(block);
  return mac;
}

MutableBytes payload_of(std::uint8_t* packet, std::uint32_t length) {
  return {packet + wire::kVerbOffset, length - wire::kVerbOffset};
}

void armor_salsa(const ArmorJob& job) {
  SalsaKey key = mix_key(job.keys->secret(), {job.packet, job.length}, job.length);
  if (job.suite == wire::Suite::kSalsaPoly)
    salsa2012_xor(key, job.packet, 1, payload_of(job.packet, job.length));
  const auto mac = poly_mac(key, job.packet, job.length);
  std::memcpy(job.packet + wire::kMacOffset, mac.data(), kMacSize);
  burn(key);
}

bool dearmor_salsa(const DearmorJob& job, bool encrypted) {
  SalsaKey key = mix_key(job.keys->secret(), {job.packet, job.length}, job.length);
  const auto mac = poly_mac(key, job.packet, job.length);
  const bool ok =
      constant_time_equal(Bytes(mac).first(kMacSize), {job.packet + wire::kMacOffset, kMacSize});
  if (ok && encrypted) salsa2012_xor(key, job.packet, 1, payload_of(job.packet, job.length));
  burn(key);
  return ok;
}

}  // namespace

struct Armorer::State {
  Manager manager = make_manager();
};

Armorer::Armorer() : state_(std::make_unique<State>()) {
  init();
}

Armorer::~Armorer() = default;

void Armorer::armor(std::span<ArmorJob> jobs) noexcept {
  SivJob siv[kBatchMax];
  std::size_t n = 0;
  for (const ArmorJob& job : jobs) {
    set_suite(job.packet, job.suite);
    switch (job.suite) {
      case wire::Suite::kMacOnly:
      case wire::Suite::kSalsaPoly:
        armor_salsa(job);
        break;
      case wire::Suite::kTrustedPath:
        store_be64(job.packet + wire::kMacOffset, job.trusted_path_id);
        break;
      case wire::Suite::kAesGmacSiv:
        siv[n++] = {job.packet, job.length, &job.keys->aes(), false};
        break;
    }
  }
  if (n != 0) siv_seal(state_->manager.get(), {siv, n});
}

void Armorer::dearmor(std::span<DearmorJob> jobs) noexcept {
  SivJob siv[kBatchMax];
  std::size_t origin[kBatchMax];
  std::size_t n = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    DearmorJob& job = jobs[i];
    job.ok = false;
    if (job.length < wire::kHeaderSize) continue;
    switch ((job.packet[wire::kFlagsOffset] >> 3) & 7) {
      case 0:
        job.ok = dearmor_salsa(job, false);
        break;
      case 1:
        job.ok = dearmor_salsa(job, true);
        break;
      case 3:
        if (!job.keys->expanded()) break;  // a peer that never showed protocol 12
        origin[n] = i;
        siv[n++] = {job.packet, job.length, &job.keys->aes(), false};
        break;
      default:
        break;
    }
  }
  if (n == 0) return;
  siv_open(state_->manager.get(), {siv, n});
  for (std::size_t k = 0; k < n; ++k) jobs[origin[k]].ok = siv[k].ok;
}

void armor_trusted(MutableBytes packet, std::uint64_t path_id) {
  set_suite(packet.data(), wire::Suite::kTrustedPath);
  store_be64(packet.data() + wire::kMacOffset, path_id);
}

void mask_hello_tail(MutableBytes packet, std::size_t start, const SharedSecret& secret) {
  if (start >= packet.size()) return;
  SalsaKey key;
  std::copy_n(secret.begin(), key.size(), key.begin());
  std::uint8_t nonce[8];
  std::memcpy(nonce, packet.data(), 8);
  nonce[7] &= 0xf8;
  salsa2012_xor(key, nonce, 0, packet.subspan(start));
  burn(key);
}

std::array<std::uint8_t, 32> mix_key(const SharedSecret& secret, Bytes packet, std::size_t length) {
  std::array<std::uint8_t, 32> key;
  std::copy_n(secret.begin(), key.size(), key.begin());
  for (std::size_t i = 0; i < 18; ++i) key[i] ^= packet[i];
  key[18] ^= static_cast<std::uint8_t>(packet[18] & ~wire::kHopsMask);
  key[19] ^= static_cast<std::uint8_t>(length);
  key[20] ^= static_cast<std::uint8_t>(length >> 8);
  return key;
}

}  // namespace orrery::crypto
