#include "crypto/armor.h"

#include <algorithm>
#include <utility>

#include "crypto/aes_gmac_siv.h"
#include "crypto/extended_armor.h"
#include "crypto/poly1305.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kMacSize = 8;  // of Poly1305's 16 bytes

void set_suite(std::uint8_t* packet, wire::Suite suite) {
  const unsigned kept = wire::kFlagFragmented | wire::kHopsMask |
                        (suite == wire::Suite::kMacOnly ? kFlagExtended : 0u);
  auto flags = static_cast<std::uint8_t>(packet[wire::kFlagsOffset] & kept);
  flags = static_cast<std::uint8_t>(flags | (static_cast<unsigned>(suite) << 3));
  if (suite == wire::Suite::kSalsaPoly) flags |= wire::kFlagEncrypted;
  packet[wire::kFlagsOffset] = flags;
}

/// The key of a packet in little-endian words. Whole words throughout: bytes written and read again
/// as a wider value would stall the processor for longer than all of this takes.
using MixedKey = std::array<std::uint64_t, 4>;

/// REQUIRES: 24 bytes of packet.
MixedKey mixed_key(const SharedSecret& secret, const std::uint8_t* packet, std::size_t length) {
  // [8] id, [5] destination, [5] source, [1] flags without hops, [2] length, little-endian
  constexpr std::uint64_t kKept = 0xffff | (std::uint64_t{0xff & ~wire::kHopsMask} << 16);
  MixedKey key;
  std::memcpy(key.data(), secret.data(), sizeof key);
  key[0] ^= load_le64(packet);
  key[1] ^= load_le64(packet + 8);
  key[2] ^= (load_le64(packet + 16) & kKept) | (std::uint64_t{length & 0xffff} << 24);
  return key;
}

/// The packets of ciphers 0 and 1 of a batch: add() them, then armor() or dearmor() once.
class SalsaBatch {
 public:
  SalsaBatch(Isa level, IMB_MGR* manager)
      : level_(level),
        rides_(level == Isa::kAvx512 && has_separate_vector_units()),
        manager_(manager) {}

  void add(std::uint8_t* packet, std::uint32_t length, const PeerKeys& keys, bool encrypted) {
    SalsaJob& stream = streams_[n_];
    PolyJob& mac = macs_[n_];
    stream.state = salsa_state(mixed_key(keys.secret().bytes(), packet, length), load_le64(packet));
    const auto payload = static_cast<std::uint32_t>(length - wire::kVerbOffset);
    stream.block = 1;
    stream.data = packet + wire::kVerbOffset;
    stream.length = encrypted ? payload : 0;
    stream.one_time = one_time_[n_];
    mac.data = stream.data;
    mac.length = payload;
    mac.key = one_time_[n_];
    packets_[n_++] = packet;
  }

  /// Encrypts, and writes the MACs.
  void armor() noexcept {
    for (std::size_t at = 0; at < n_;) {
      std::size_t n = std::min(kChunk, n_ - at), done = 0;
      if (worth_riding(at)) {
        n = kRideChunk;
        done = salsa2012_poly1305_avx512({streams_ + at, n}, macs_ + at, kRiders);
      } else {
        salsa2012_batch(level_, {streams_ + at, n});
      }
      poly1305_batch(level_, manager_, {macs_ + at + done, n - done});
      for (const std::size_t end = at + n; at < end; ++at)
        std::memcpy(packets_[at] + wire::kMacOffset, macs_[at].mac.data(), kMacSize);
    }
    clear();
  }

  /// Checks the MACs, then decrypts what is authentic: `done(i, ok)` in the order of add().
  template <typename Done>
  void dearmor(Done done) noexcept {
    for (std::size_t at = 0; at < n_; at += kChunk) {
      // Block 0 of every stream first; the rest only of packets that are worth it.
      const std::size_t n = std::min(kChunk, n_ - at);
      std::uint32_t lengths[kChunk];
      for (std::size_t i = 0; i < n; ++i) {
        lengths[i] = std::exchange(streams_[at + i].length, 0);
      }
      salsa2012_batch(level_, {streams_ + at, n});
      poly1305_batch(level_, manager_, {macs_ + at, n});
      for (std::size_t i = 0; i < n; ++i) {
        const bool ok = constant_time_equal(Bytes(macs_[at + i].mac).first(kMacSize),
                                            {packets_[at + i] + wire::kMacOffset, kMacSize});
        streams_[at + i].one_time = nullptr;
        if (ok) streams_[at + i].length = lengths[i];
        done(at + i, ok);
      }
      salsa2012_batch(level_, {streams_ + at, n});
    }
    clear();
  }

  [[nodiscard]] bool empty() const { return n_ == 0; }

 private:
  /// Whether the next packets are many and long enough for some MACs to be made between the rounds
  /// of the stream cipher: the beginning and the end of one costs there as much as 500 bytes.
  [[nodiscard]] bool worth_riding(std::size_t at) const noexcept {
    return rides_ && n_ - at >= kRideChunk &&
           std::all_of(streams_ + at, streams_ + at + kRideChunk,
                       [](const SalsaJob& stream) { return stream.length >= kRideLength; });
  }

  void clear() noexcept {
    burn({reinterpret_cast<std::uint8_t*>(streams_), n_ * sizeof(SalsaJob)});
    burn({one_time_[0], n_ * sizeof one_time_[0]});
    n_ = 0;
  }

  /// Packets from one pass to the next: what the stream cipher wrote is still in the first-level
  /// cache when it is authenticated, and two groups of eight fill Poly1305's lanes.
  static constexpr std::size_t kChunk = 16;
  /// Packets of one pass with riders, of which three groups of eight are left for the lanes: 0.28
  /// of the MACs are done when the stream is.
  static constexpr std::size_t kRideChunk = 32, kRiders = 8;
  static constexpr std::uint32_t kRideLength = 1024;  // bytes

  // What is secret of a batch is burned at its end, which also leaves one_time_ zero.
  Isa level_;
  bool rides_;  // MACs may be made between the rounds of the stream cipher
  IMB_MGR* manager_;
  std::size_t n_ = 0;
  SalsaJob streams_[Armorer::kBatchMax];
  PolyJob macs_[Armorer::kBatchMax];
  std::uint8_t* packets_[Armorer::kBatchMax];
  alignas(64) std::uint8_t one_time_[Armorer::kBatchMax][64] = {};
};

}  // namespace

/// The room of a batch is kept from one to the next: clearing it anew would cost more than a
/// packet.
struct Armorer::State {
  explicit State(Isa level)
      : siv(siv_kernel(level)), manager(make_manager(level)), salsa(level, manager.get()) {}

  const SivKernel& siv;
  Manager manager;
  SalsaBatch salsa;
  SivJob siv_jobs[kBatchMax];
  std::uint8_t siv_origin[kBatchMax];  // index in the batch
  std::uint8_t salsa_origin[kBatchMax];
};

Armorer::Armorer(Isa level) {
  init();
  state_ = std::make_unique<State>(level);
}

Armorer::~Armorer() = default;

void Armorer::armor(std::span<ArmorJob> jobs) noexcept {
  State& state = *state_;
  std::size_t n = 0;
  // In a pass of its own: a header that is read right after a byte of it was written stalls.
  for (const ArmorJob& job : jobs) set_suite(job.packet, job.suite);
  for (const ArmorJob& job : jobs) {
    switch (job.suite) {
      case wire::Suite::kMacOnly:
      case wire::Suite::kSalsaPoly:
        state.salsa.add(job.packet, job.length, *job.keys, job.suite == wire::Suite::kSalsaPoly);
        break;
      case wire::Suite::kTrustedPath:
        store_be64(job.packet + wire::kMacOffset, job.trusted_path_id);
        break;
      case wire::Suite::kAesGmacSiv:
        state.siv_jobs[n++] = {job.packet, job.length, &job.keys->aes(), false};
        break;
    }
  }
  if (!state.salsa.empty()) state.salsa.armor();
  if (n != 0) state.siv.seal(state.manager.get(), {state.siv_jobs, n});
}

void Armorer::dearmor(std::span<DearmorJob> jobs) noexcept {
  State& state = *state_;
  std::size_t n = 0, m = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    DearmorJob& job = jobs[i];
    job.ok = false;
    if (job.length < wire::kHeaderSize) continue;
    const unsigned cipher = (job.packet[wire::kFlagsOffset] >> 3) & 7;
    if (cipher <= 1) {
      state.salsa_origin[m++] = static_cast<std::uint8_t>(i);
      state.salsa.add(job.packet, job.length, *job.keys, cipher == 1);
    } else if (cipher == 3 && job.keys->expanded()) {  // else it never showed protocol 12
      state.siv_origin[n] = static_cast<std::uint8_t>(i);
      state.siv_jobs[n++] = {job.packet, job.length, &job.keys->aes(), false};
    }
  }
  if (m != 0) {
    state.salsa.dearmor([&](std::size_t k, bool ok) { jobs[state.salsa_origin[k]].ok = ok; });
  }
  if (n == 0) return;
  state.siv.open(state.manager.get(), {state.siv_jobs, n});
  for (std::size_t k = 0; k < n; ++k) {
    DearmorJob& job = jobs[state.siv_origin[k]];
    job.ok = state.siv_jobs[k].ok;
    job.id = state.siv_jobs[k].id;
  }
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
  std::uint8_t header[24] = {};
  std::copy_n(packet.begin(), std::min(packet.size(), sizeof header), header);
  const MixedKey words = mixed_key(secret, header, length);
  std::array<std::uint8_t, 32> key;
  std::memcpy(key.data(), words.data(), key.size());
  return key;
}

}  // namespace orrery::crypto
