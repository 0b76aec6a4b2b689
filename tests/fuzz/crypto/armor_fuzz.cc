// Armor of all suites in batches: the input chooses the packets (lengths, suites, keys, addresses,
// ids, content), one bit to flip in some of them, and one packet that nobody sealed.
//
// Invariants: dearmor(armor(x)) = x; the answer is the same whatever else is in the batch; a flip
// anywhere but in the hop count is refused; hops may change; a path id in clear is no
// authentication; nothing beyond the packet's last byte is read or written (each has a buffer of
// its exact size).
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

const crypto::PeerKeys& keys_of(std::size_t number) {
  static const auto all = [] {
    std::vector<crypto::PeerKeys> keys;
    for (std::size_t k = 0; k < kKeys; ++k) {
      crypto::SharedSecret secret{};
      for (std::size_t i = 0; i < secret.size(); ++i) {
        secret[i] = static_cast<std::uint8_t>(k * 83 + i * 7 + 1);
      }
      keys.emplace_back(secret);
      keys.back().expand();
    }
    return keys;
  }();
  return all[number % kKeys];
}

struct Packet {
  std::unique_ptr<std::uint8_t[]> bytes;  // of exact size
  std::size_t size = 0;
  wire::Suite suite = wire::Suite::kMacOnly;
  const crypto::PeerKeys* keys = nullptr;
  std::size_t flip = 0;  // bit number
  bool flipped = false;

  explicit Packet(Bytes content)
      : bytes(std::make_unique<std::uint8_t[]>(content.size())), size(content.size()) {
    std::copy(content.begin(), content.end(), bytes.get());
  }

  [[nodiscard]] Bytes view() const { return {bytes.get(), size}; }

  [[nodiscard]] crypto::DearmorJob job() const {
    return {bytes.get(), static_cast<std::uint32_t>(size), keys, false};
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
  packet.keys = &keys_of(kind >> 2);
  packet.flip = flip % (size * 8);
  packet.flipped = (kind & 0x80) != 0;
  return packet;
}

void armor(crypto::Armorer& armorer, std::vector<Packet>& packets) {
  std::vector<crypto::ArmorJob> jobs;
  for (Packet& p : packets) {
    jobs.push_back({p.bytes.get(), static_cast<std::uint32_t>(p.size), p.suite, p.keys, 0});
  }
  armorer.armor(jobs);
}

std::vector<bool> dearmor(crypto::Armorer& armorer, std::vector<Packet>& packets) {
  std::vector<crypto::DearmorJob> jobs;
  for (const Packet& p : packets) jobs.push_back(p.job());
  armorer.dearmor(jobs);
  std::vector<bool> ok;
  for (const auto& job : jobs) ok.push_back(job.ok);
  return ok;
}

/// What an attacker may send: any bytes as one packet, and a path id instead of a MAC.
void never_sealed(crypto::Armorer& armorer, Bytes bytes) {
  if (bytes.size() < wire::kHeaderSize) return;
  std::vector<Packet> one;
  one.emplace_back(bytes);
  one[0].keys = &keys_of(0);
  check(!dearmor(armorer, one)[0]);
  one.clear();
  one.emplace_back(bytes);
  one[0].keys = &keys_of(0);
  crypto::armor_trusted({one[0].bytes.get(), one[0].size}, 0x1122334455667788);
  check(!dearmor(armorer, one)[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static crypto::Armorer armorer;
  Reader r(Bytes(data, size));
  const std::size_t count = 1 + r.u8() % crypto::Armorer::kBatchMax;
  std::vector<Packet> packets;
  std::vector<ByteVector> plain;
  std::size_t budget = kMostBytes;
  for (std::size_t i = 0; i < count && r.remaining() != 0; ++i) {
    packets.push_back(read_packet(r, budget));
    plain.emplace_back(packets.back().view().begin(), packets.back().view().end());
  }
  armor(armorer, packets);
  std::vector<ByteVector> sealed;
  for (Packet& p : packets) {
    sealed.emplace_back(p.view().begin(), p.view().end());
    if (p.flipped) {
      p.bytes[p.flip / 8] ^= static_cast<std::uint8_t>(1u << p.flip % 8);
    }
  }
  const std::vector<bool> ok = dearmor(armorer, packets);
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
    alone[0].keys = p.keys;
    check(dearmor(armorer, alone)[0]);
    check(fuzz::same(alone[0].view().subspan(wire::kVerbOffset),
                     p.view().subspan(wire::kVerbOffset)));
  }
  never_sealed(armorer, Bytes(data, size));
  return 0;
}
