// The definition, composed from ipsec-mb: GMAC piece by piece, ECB and CTR in bursts.
#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kBlock = 16;

using Block = std::array<std::uint8_t, kBlock>;

/// First 8 bytes of the GMAC tag XOR the last 8, over AAD padded to 16 bytes and the payload.
std::uint64_t folded_gmac(IMB_MGR* manager, const SivJob& job, const std::uint8_t iv8[8]) {
  alignas(16) Block aad{};
  std::memcpy(aad.data(), job.packet + wire::kDestinationOffset, 11);
  aad[10] &= static_cast<std::uint8_t>(~wire::kHopsMask);
  alignas(16) std::uint8_t nonce[12] = {};
  std::memcpy(nonce, iv8, 8);
  gcm_context_data context;
  IMB_AES256_GMAC_INIT(manager, &job.keys->ipsec, &context, nonce, 12);
  IMB_AES256_GMAC_UPDATE(manager, &job.keys->ipsec, &context, aad.data(), kBlock);
  IMB_AES256_GMAC_UPDATE(manager, &job.keys->ipsec, &context, job.packet + wire::kVerbOffset,
                         job.length - wire::kVerbOffset);
  std::uint64_t tag[2];
  IMB_AES256_GMAC_FINALIZE(manager, &job.keys->ipsec, &context,
                           reinterpret_cast<std::uint8_t*>(tag), kBlock);
  return tag[0] ^ tag[1];
}

/// One AES block per job, in place.
void ecb(IMB_MGR* manager, std::span<SivJob> jobs, Block* blocks, IMB_CIPHER_DIRECTION direction) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    IMB_JOB* next = IMB_GET_NEXT_JOB(manager);
    next->enc_keys = jobs[i].keys->encrypt;
    next->dec_keys = jobs[i].keys->decrypt;
    next->key_len_in_bytes = IMB_KEY_256_BYTES;
    next->cipher_mode = IMB_CIPHER_ECB;
    next->cipher_direction = direction;
    next->hash_alg = IMB_AUTH_NULL;
    next->chain_order =
        direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    next->src = next->dst = blocks[i].data();
    next->cipher_start_src_offset_in_bytes = 0;
    next->msg_len_to_cipher_in_bytes = kBlock;
    next->iv_len_in_bytes = 0;
    IMB_SUBMIT_JOB_NOCHECK(manager);
  }
  while (IMB_FLUSH_JOB(manager) != nullptr) {
  }
}

/// CTR over every job's payload with its own counter block, one synchronous burst.
void ctr(IMB_MGR* manager, std::span<SivJob> jobs, const Block* counters) {
  IMB_JOB burst[Armorer::kBatchMax];
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    IMB_JOB& j = burst[i];
    j.enc_keys = jobs[i].keys->encrypt;
    j.dec_keys = jobs[i].keys->encrypt;
    j.iv = counters[i].data();
    j.iv_len_in_bytes = kBlock;
    j.key_len_in_bytes = IMB_KEY_256_BYTES;
    j.src = jobs[i].packet;
    j.dst = jobs[i].packet + wire::kVerbOffset;
    j.cipher_start_src_offset_in_bytes = wire::kVerbOffset;
    j.msg_len_to_cipher_in_bytes = jobs[i].length - wire::kVerbOffset;
  }
  IMB_SUBMIT_CIPHER_BURST_NOCHECK(manager, burst, static_cast<std::uint32_t>(jobs.size()),
                                  IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_256_BYTES);
}

/// The counter block: the encrypted id/MAC block with bit 7 of byte 12 clear.
Block counter_of(const Block& block) {
  Block c = block;
  c[12] &= 0x7f;
  return c;
}

void expand(IMB_MGR* manager, const std::uint8_t k0[32], const std::uint8_t k1[32], AesKeys& keys) {
  IMB_AES256_GCM_PRE(manager, k0, &keys.ipsec);
  IMB_AES_KEYEXP_256(manager, k1, keys.encrypt, keys.decrypt);
}

void seal(IMB_MGR* manager, std::span<SivJob> jobs) noexcept {
  alignas(64) Block blocks[Armorer::kBatchMax];
  alignas(64) Block counters[Armorer::kBatchMax];
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const std::uint64_t fold = folded_gmac(manager, jobs[i], jobs[i].packet);
    std::memcpy(blocks[i].data(), jobs[i].packet, 8);
    std::memcpy(blocks[i].data() + 8, &fold, 8);
  }
  ecb(manager, jobs, blocks, IMB_DIR_ENCRYPT);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    counters[i] = counter_of(blocks[i]);
    std::memcpy(jobs[i].packet, blocks[i].data(), 8);
    std::memcpy(jobs[i].packet + wire::kMacOffset, blocks[i].data() + 8, 8);
  }
  ctr(manager, jobs, counters);
}

void open(IMB_MGR* manager, std::span<SivJob> jobs) noexcept {
  alignas(64) Block blocks[Armorer::kBatchMax];
  alignas(64) Block counters[Armorer::kBatchMax];
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::memcpy(blocks[i].data(), jobs[i].packet, 8);
    std::memcpy(blocks[i].data() + 8, jobs[i].packet + wire::kMacOffset, 8);
    counters[i] = counter_of(blocks[i]);
  }
  ctr(manager, jobs, counters);
  ecb(manager, jobs, blocks, IMB_DIR_DECRYPT);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const std::uint64_t fold = folded_gmac(manager, jobs[i], blocks[i].data());
    jobs[i].ok = constant_time_equal(Bytes(blocks[i]).subspan(8),
                                     {reinterpret_cast<const std::uint8_t*>(&fold), 8});
    jobs[i].id = load_be64(blocks[i].data());
    if (!jobs[i].ok) burn({jobs[i].packet + wire::kVerbOffset, jobs[i].length - wire::kVerbOffset});
  }
}

}  // namespace

const SivKernel kSivRef = {"ref", expand, seal, open};

}  // namespace orrery::crypto
