// Frames for the host, merged into superframes: a write into a TAP costs as much for 64 KB as for
// one frame. Pure functions over bytes; no I/O.
//
// Frames of one TCP connection that follow each other, or equal datagrams of one UDP flow, become
// one frame with a header that tells the kernel the segment size and that no checksum needs to be
// looked at. So every frame's checksums are verified here first, in software: what the overlay
// authenticates is the sender, not the frame. A frame that is not merged goes to the kernel as it
// came, and the kernel verifies it. Nothing is copied: a superframe is a list of pieces of the
// frames it is made of. Frames are not merged when
//   - they are not TCP or UDP over IPv4 or IPv6, or carry a VLAN tag, IPv4 options or IPv6
//     extension headers;
//   - they are IP fragments;
//   - there is no payload (a pure acknowledgement), or lengths do not add up;
//   - the IPv4 header checksum or that of TCP or UDP is wrong, or a datagram has none;
//   - a TCP flag other than ACK and PSH is set (SYN, FIN, RST, URG, ECE, CWR, the reserved ones),
//     or ACK is not;
//   - Ethernet or IP addresses, ports, TTL, TOS or traffic class, flow label or the IPv4 flags
//     differ;
//   - DF is clear and the IPv4 ids do not count up by one (with DF they mean nothing: RFC 6864);
//   - acknowledgement number, window, urgent pointer or TCP options differ;
//   - the TCP sequence number does not continue the flow;
//   - a frame has more payload than the first, or the one before had less or had PSH set;
//   - the whole would exceed 64 KB or 64 frames;
//   - the kernel takes no UDP superframes (before Linux 6.2).
// Source: virtio 1.1 section 5.1.6; RFC 768, 791, 793, 1071, 6864, 8200.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "tap/offload.h"

namespace orrery::tap {

/// What a frame is, as far as merging goes, and where its parts are.
struct FrameParts {
  enum class Kind : std::uint8_t {
    kOther,  // not plain IP
    kIp,     // IP, never merged; only its addresses are known
    kTcp,    // headers and lengths add up; there may be no payload
    kUdp,
  };

  Kind kind = Kind::kOther;
  bool v6 = false;
  std::uint16_t ip = 14;        // offset of the IP header
  std::uint16_t transport = 0;  // offset of the TCP or UDP header
  std::uint16_t payload = 0;    // offset of its payload
  std::uint16_t size = 0;       // bytes of frame used, without Ethernet padding
};

[[nodiscard]] FrameParts parts_of(Bytes frame);

/// Frames of one flow on their way into one.
class Merger {
 public:
  static constexpr std::size_t kMax = 65535;  // bytes of frame
  static constexpr unsigned kFrames = 64;     // as many as the kernel takes of a UDP flow

  /// Adds the frame if it continues what is held, or if nothing is held. False: flush first, then
  /// add again. The frame must stay where it is until clear(); finish() writes into the first.
  [[nodiscard]] bool add(MutableBytes frame, const FrameParts& parts);

  [[nodiscard]] bool empty() const { return frames_ == 0; }

  /// Whether another frame may continue what is held.
  [[nodiscard]] bool open() const { return open_; }

  /// Whether the frame belongs behind what is held: it is of the same flow, or may be.
  /// REQUIRES: !empty()
  [[nodiscard]] bool concerns(Bytes frame, const FrameParts& parts) const;

  [[nodiscard]] unsigned frames() const { return frames_; }

  /// Bytes of the whole.
  [[nodiscard]] std::size_t size() const { return size_; }

  /// The header for what is held; writes final lengths and checksums into it.
  [[nodiscard]] VirtioHeader finish();

  /// The whole, in order.
  [[nodiscard]] std::span<const Bytes> pieces() const { return {pieces_.data(), frames_}; }

  void clear() {
    frames_ = 0;
    open_ = false;
  }

 private:
  void take(MutableBytes frame, const FrameParts& parts);
  [[nodiscard]] bool same_flow(Bytes frame, const FrameParts& parts) const;
  [[nodiscard]] bool continues(Bytes frame, const FrameParts& parts) const;
  [[nodiscard]] bool continues_ip(Bytes frame) const;

  MutableBytes first_;
  std::array<Bytes, kFrames> pieces_;
  unsigned frames_ = 0;
  std::size_t size_ = 0;
  bool open_ = false;
  bool verified_ = false;    // the first frame's checksums were looked at
  FrameParts parts_;         // of the first frame
  std::size_t segment_ = 0;  // its payload
  std::uint32_t next_sequence_ = 0;
};

/// The flows of a burst side by side. Frames of one flow leave in the order in which they came.
class FlowMerger {
 public:
  static constexpr unsigned kFlows = 8;

  /// `udp`: the kernel takes superframes of UDP.
  explicit FlowMerger(bool udp) : udp_(udp) {}

  /// Takes the frame; write(Merger&) is called for what is complete. The frame must stay where it
  /// is until flush().
  template <typename Write>
  void add(MutableBytes frame, Write write) {
    FrameParts parts = parts_of(frame);
    if (parts.kind == FrameParts::Kind::kUdp && !udp_) parts.kind = FrameParts::Kind::kIp;
    Merger* room = nullptr;
    for (Merger& flow : flows_) {
      if (flow.empty()) {
        room = &flow;
        continue;
      }
      if (flow.add(frame, parts)) {
        if (!flow.open()) end(flow, write);
        return;
      }
      if (flow.concerns(frame, parts)) {
        end(flow, write);
        room = &flow;
      }
    }
    if (room == nullptr) {
      room = &flows_[next_++ % kFlows];
      end(*room, write);
    }
    (void)room->add(frame, parts);
    if (!room->open()) end(*room, write);
  }

  /// Writes what is held.
  template <typename Write>
  void flush(Write write) {
    for (Merger& flow : flows_) {
      if (!flow.empty()) end(flow, write);
    }
  }

 private:
  template <typename Write>
  static void end(Merger& flow, Write write) {
    write(flow);
    flow.clear();
  }

  bool udp_;
  unsigned next_ = 0;  // flow that gives way when all are in use
  std::array<Merger, kFlows> flows_;
};

}  // namespace orrery::tap
