// What a stranger may send to a node, packet by packet, for the floods of tools/bench.
//
//   hello      HELLO in the name of `as`, its MAC wrong
//   strangers  packets of senders that nobody knows, a new address each
//   forged     packets in the name of `as` with a wrong MAC: they cost a verification
//   fragments  second pieces of packets whose other pieces never come
//   macs       broadcast frames, a new source MAC each, as a LAN host sends them
//
// Datagrams go to `target`, every one from a source of its own.
#pragma once

#include <time.h>

#include <map>

#include "raw_datagrams.h"
#include "wire/verbs/hello.h"

namespace orrery::bench {

enum class Kind : std::uint8_t { kHello, kStrangers, kForged, kFragments, kMacs };

inline const std::map<std::string, Kind> kKinds = {{"hello", Kind::kHello},
                                                   {"strangers", Kind::kStrangers},
                                                   {"forged", Kind::kForged},
                                                   {"fragments", Kind::kFragments},
                                                   {"macs", Kind::kMacs}};

class ForgedPackets {
 public:
  static constexpr std::size_t kFrame = RawPort::kFrame;  // bytes, none is longer

  /// `as`: whose name `hello` and `forged` use.
  ForgedPackets(const Target& target, const wire::Identity& as) : target_(target), as_(as) {}

  /// Writes a frame; its bytes. REQUIRES: room for kFrame.
  std::size_t write(Kind kind, std::uint8_t* frame) {
    if (kind == Kind::kMacs) {
      constexpr std::size_t kSize = 60;
      std::memset(frame, 0, kSize);
      wire::kBroadcastMac.store(frame);
      wire::Mac{0x0a0000000000 | (random_() >> 24)}.store(frame + 6);
      store_be16(frame + 12, 0x88b6);  // for local experiments
      return kSize;
    }
    const std::size_t size = payload(kind, frame + kOuterHead);
    write_outer(frame, random_.source(), target_, size);
    return kOuterHead + size;
  }

 private:
  static constexpr std::size_t kPayload = 100;  // bytes of a datagram, HELLO aside

  std::size_t payload(Kind kind, std::uint8_t* p) {
    if (kind == Kind::kFragments) {
      std::memset(p, 0x5a, kPayload);
      wire::encode_fragment_header({p, kPayload}, {random_(), target_.node, 2, 1, 0});
      return kPayload;
    }
    wire::PacketHeader header;
    header.id = random_();
    header.destination = target_.node;
    header.mac = random_();
    if (kind == Kind::kHello) {
      header.source = as_.address;
      header.verb = static_cast<std::uint8_t>(wire::Verb::kHello);
      Writer w({p + wire::kHeaderSize, kFrame - kOuterHead - wire::kHeaderSize});
      timespec t{};
      ::clock_gettime(CLOCK_REALTIME, &t);
      wire::encode_hello(w, {{wire::kProtocolVersion, wire::kSoftwareMajor, wire::kSoftwareMinor,
                              wire::kSoftwareRevision},
                             t.tv_sec * 1'000 + t.tv_nsec / 1'000'000,
                             as_,
                             target_.to,
                             0,
                             0,
                             0});
      wire::encode_packet_header({p, wire::kHeaderSize}, header);
      return wire::kHeaderSize + w.size();
    }
    std::memset(p, 0x5a, kPayload);
    header.source =
        kind == Kind::kForged ? as_.address : wire::Address{0x3300000000ULL | (random_() >> 32)};
    header.flags = static_cast<std::uint8_t>(wire::Suite::kAesGmacSiv) << 3;
    header.verb = static_cast<std::uint8_t>(random_());  // ciphertext, it claims
    wire::encode_packet_header({p, wire::kHeaderSize}, header);
    return kPayload;
  }

  Target target_;
  wire::Identity as_;
  Random random_;
};

}  // namespace orrery::bench
