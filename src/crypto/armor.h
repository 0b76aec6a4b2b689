// Armor and dearmor batches of packets in place, all suites.
//
// An Armorer belongs to one thread (it holds an ipsec-mb manager). A job's packet is one contiguous
// segment of header and payload; after armoring it is ready for the wire, its id and MAC field
// final. Weak spot: dearmor decrypts suite 3 before it can verify; on failure the payload is
// burned. Source: docs/protocol/02-packet.md sections 5 to 8; tests/vectors/armor.json,
// armor_sweep.json, hello.json.
#pragma once

#include <memory>
#include <span>

#include "crypto/peer_keys.h"
#include "wire/header.h"

namespace orrery::crypto {

struct ArmorJob {
  std::uint8_t* packet =
      nullptr;  // header with id, addresses, hops 0 and fragmented bit final; MAC undefined
  std::uint32_t length = 0;  // bytes, at least wire::kHeaderSize
  wire::Suite suite = wire::Suite::kAesGmacSiv;
  const PeerKeys* keys = nullptr;     // expanded for suite 3; unused for suite 2
  std::uint64_t trusted_path_id = 0;  // suite 2 only
};

struct DearmorJob {
  std::uint8_t* packet = nullptr;
  std::uint32_t length = 0;
  const PeerKeys* keys = nullptr;
  bool ok = false;  // out: authenticated; the payload is plaintext. False: payload burned (suite 3)
                    // or untouched
  std::uint64_t id = 0;  // out, of an authentic packet of suite 3: as its sender chose it
};

class Armorer {
 public:
  static constexpr std::size_t kBatchMax = 64;

  /// REQUIRES: level <= best_isa(), and keys expanded for the same level.
  explicit Armorer(Isa level = isa());
  ~Armorer();
  Armorer(const Armorer&) = delete;
  Armorer& operator=(const Armorer&) = delete;

  /// REQUIRES: jobs.size() <= kBatchMax. Sets cipher bits, bit 7 of the flags (under suite 0 it
  /// stays: extended_armor.h), MAC and (suite 3) id.
  void armor(std::span<ArmorJob> jobs) noexcept;
  /// Suite by each packet's own flags: 0, 1 and 3; any other fails the job. The header is left as
  /// received.
  void dearmor(std::span<DearmorJob> jobs) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Armors with suite 2: clear payload and the path id in the MAC field.
void armor_trusted(MutableBytes packet, std::uint64_t path_id);
/// XORs the masked tail of HELLO from `start` to the end (its own inverse). Not authenticated by
/// itself.
void mask_hello_tail(MutableBytes packet, std::size_t start, const SharedSecret& secret);
/// Per-packet key of suites 0 and 1; of the packet its header counts.
/// Source: 02-packet.md section 5.
[[nodiscard]] std::array<std::uint8_t, 32> mix_key(const SharedSecret& secret, Bytes packet,
                                                   std::size_t length);

}  // namespace orrery::crypto
