// Armor of all suites in batches: the input chooses the packets (lengths, suites, keys, addresses,
// ids, content), one bit to flip in some of them, and one packet that nobody sealed.
//
// Invariants: dearmor(armor(x)) = x; the answer is the same whatever else is in the batch; a flip
// anywhere but in the hop count is refused; hops may change; a path id in clear is no
// authentication; every instruction set seals alike; nothing beyond the packet's last byte is read
// or written (each has a buffer of its exact size).
#include <memory>
#include <vector>

#include "crypto/armor.h"
#include "fuzz/wire/verb_fuzz.h"

namespace {

using namespace orrery;
using fuzz::check;

constexpr std::size_t kKeys = 3;
constexpr std::size_t kFlags = wire::kFlagsOffset;
constexpr std::size_t kLongest = 10'100;    // bytes; beyond the largest packet
constexpr std::size_t kMostBytes = 65'536;  // of one batch

const crypto::PeerKeys& keys_of(std::size_t number, crypto::Isa level) {
  static const auto all = [] {
    std::vector<std::vector<crypto::PeerKeys>> levels(3);
    for (std::size_t k = 0; k < kKeys; ++k) {
      crypto::SharedSecret secret{};
      for (std::size_t i = 0; i < secret.size(); ++i) {
        secret[i] = static_cast<std::uint8_t>(k * 83 + i * 7 + 1);
      }
      for (std::size_t l = 0; l <= static_cast<std::size_t>(crypto::best_isa()); ++l) {
        levels[l].emplace_back(secret);
        levels[l].back().expand(static_cast<crypto::Isa>(l));
      }
    }
    return levels;
  }();
  return all[static_cast<std::size_t>(level)][number % kKeys];
}

struct Packet {
  std::unique_ptr<std::uint8_t[]> bytes;  // of exact size
  std::size_t size = 0;
  wire::Suite suite = wire::Suite::kMacOnly;
  std::size_t peer = 0;
  std::size_t flip = 0;  // bit number
  bool flipped = false;

  explicit Packet(Bytes content)
      : bytes(std::make_unique<std::uint8_t[]>(content.size())), size(content.size()) {
    std::copy(content.begin(), content.end(), bytes.get());
  }

  [[nodiscard]] Bytes view() const { return {bytes.get(), size}; }

  [[nodiscard]] crypto::DearmorJob job() const {
    return {bytes.get(), static_cast<std::uint32_t>(size), &keys_of(peer, crypto::isa()), false};
  }
};

/// A packet of the input's choice, with plaintext and header as a sender leaves them.
Packet read_packet(Reader& r, std::size_t& budget) {
  const std::uint8_t kind = r.u8();
  const std::size_t wanted = wire::kHeaderSize + r.u16() % (kLongest - wire::kHeaderSize);
  const std::size_t size = std::min(wanted, std::max(budget, wire::kHeaderSize));
  budget -= std::min(budget, size);
  const std::size_t flip = r.u32();
  ByteVector content(size);
  const Bytes given = r.bytes(std::min<std::size_t>({r.u8(), r.remaining(), size}));
  std::copy(given.begin(), given.end(), content.begin());
  for (std::size_t i = given.size(); i < size; ++i) {
    content[i] = static_cast<std::uint8_t>(i * 31 + kind);
  }
  content[kFlags] &= 0x40;  // only the fragmented bit is the sender's before armor
  Packet packet(content);
  constexpr wire::Suite kSuites[] = {wire::Suite::kMacOnly, wire::Suite::kSalsaPoly,
                                     wire::Suite::kAesGmacSiv};
  packet.suite = kSuites[kind % 3];
  packet.peer = kind >> 2;
  packet.flip = flip % (size * 8);
  packet.flipped = (kind & 0x80) != 0;
  return packet;
}

crypto::Armorer& armorer_of(crypto::Isa level) {
  static std::unique_ptr<crypto::Armorer> all[3];
  auto& armorer = all[static_cast<std::size_t>(level)];
  if (!armorer) armorer = std::make_unique<crypto::Armorer>(level);
  return *armorer;
}

void armor(crypto::Isa level, std::vector<Packet>& packets) {
  std::vector<crypto::ArmorJob> jobs;
  for (Packet& p : packets) {
    jobs.push_back(
        {p.bytes.get(), static_cast<std::uint32_t>(p.size), p.suite, &keys_of(p.peer, level), 0});
  }
  armorer_of(level).armor(jobs);
}

std::vector<bool> dearmor(std::vector<Packet>& packets) {
  std::vector<crypto::DearmorJob> jobs;
  for (const Packet& p : packets) jobs.push_back(p.job());
  armorer_of(crypto::isa()).dearmor(jobs);
  std::vector<bool> ok;
  for (const auto& job : jobs) ok.push_back(job.ok);
  return ok;
}

/// Every instruction set of this processor seals to the same bytes.
void sealed_alike(const std::vector<Packet>& packets, const std::vector<ByteVector>& plain) {
  for (std::size_t l = 0; l <= static_cast<std::size_t>(crypto::best_isa()); ++l) {
    std::vector<Packet> again;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      again.emplace_back(Bytes(plain[i]));
      again.back().suite = packets[i].suite;
      again.back().peer = packets[i].peer;
    }
    armor(static_cast<crypto::Isa>(l), again);
    for (std::size_t i = 0; i < packets.size(); ++i)
      check(fuzz::same(again[i].view(), packets[i].view()));
  }
}

/// What an attacker may send: any bytes as one packet, and a path id instead of a MAC.
void never_sealed(Bytes bytes) {
  if (bytes.size() < wire::kHeaderSize) return;
  std::vector<Packet> one;
  one.emplace_back(bytes);
  check(!dearmor(one)[0]);
  one.clear();
  one.emplace_back(bytes);
  crypto::armor_trusted({one[0].bytes.get(), one[0].size}, 0x1122334455667788);
  check(!dearmor(one)[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const std::size_t count = 1 + r.u8() % crypto::Armorer::kBatchMax;
  std::vector<Packet> packets;
  std::vector<ByteVector> plain;
  std::size_t budget = kMostBytes;
  for (std::size_t i = 0; i < count && r.remaining() != 0; ++i) {
    packets.push_back(read_packet(r, budget));
    plain.emplace_back(packets.back().view().begin(), packets.back().view().end());
  }
  armor(crypto::isa(), packets);
  sealed_alike(packets, plain);
  std::vector<ByteVector> sealed;
  for (Packet& p : packets) {
    sealed.emplace_back(p.view().begin(), p.view().end());
    if (p.flipped) {
      p.bytes[p.flip / 8] ^= static_cast<std::uint8_t>(1u << p.flip % 8);
    }
  }
  const std::vector<bool> ok = dearmor(packets);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const Packet& p = packets[i];
    const bool hops = p.flip / 8 == kFlags && p.flip % 8 < 3;
    check(ok[i] == (!p.flipped || hops));
    if (!ok[i]) continue;
    check(fuzz::same(p.view().subspan(wire::kVerbOffset),
                     Bytes(plain[i]).subspan(wire::kVerbOffset)));
    // Alone it ends as it did among the others.
    std::vector<Packet> alone;
    alone.emplace_back(Bytes(sealed[i]));
    alone[0].peer = p.peer;
    check(dearmor(alone)[0]);
    check(fuzz::same(alone[0].view().subspan(wire::kVerbOffset),
                     p.view().subspan(wire::kVerbOffset)));
  }
  never_sealed(Bytes(data, size));
  return 0;
}
