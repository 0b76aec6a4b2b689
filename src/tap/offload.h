// Superframes of the TAP: split on the way out, merged on the way in. Pure functions over bytes; no
// I/O.
//
// Split: a superframe of TCP or UDP becomes frames of at most gso_size bytes of payload, each with
// its own lengths, IPv4 id, sequence number, flags and complete checksums. Everything in front of
// the transport header (VLAN tags, IPv4 options, IPv6 extension headers) is copied; where that
// header begins is what the virtio_net_hdr says, not what a parser makes of the bytes. A plain
// frame with a partial checksum gets it completed.
//
// Merge: consecutive frames of one TCP flow become one frame with a header that tells the kernel
// the segment size and that no checksum needs to be looked at. So every frame's checksums are
// verified here first, in software: what the overlay authenticates is the sender, not the frame. A
// frame that is not merged goes to the kernel as it came, and the kernel verifies it. Frames are
// not merged when
//   - they are not TCP over IPv4 or IPv6, or carry a VLAN tag, IPv4 options or IPv6 extension
//     headers;
//   - they are IP fragments;
//   - there is no payload (a pure acknowledgement), or lengths do not add up;
//   - the IPv4 header checksum or the TCP checksum is wrong;
//   - a flag other than ACK and PSH is set (SYN, FIN, RST, URG, ECE, CWR, the reserved ones), or
//   ACK
//     is not;
//   - Ethernet or IP addresses, ports, TTL, TOS or traffic class, flow label or the IPv4 flags
//     differ;
//   - DF is clear and the IPv4 ids do not count up by one (with DF they mean nothing: RFC 6864);
//   - acknowledgement number, window, urgent pointer or TCP options differ;
//   - the sequence number does not continue the flow;
//   - a frame has more payload than the first, or the one before had less or had PSH set;
//   - the whole would exceed 64 KB.
// Source: virtio 1.1 section 5.1.6; RFC 791, 793, 1071, 6864, 8200.
#pragma once

#include "base/bytes.h"

namespace orrery::tap {

/// virtio_net_hdr_v1, which the kernel puts in front of frames of a TAP with IFF_VNET_HDR. Host
/// byte order. (The kernel's own header does not compile as C++.)
struct VirtioHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // flags
  static constexpr std::uint8_t kGsoNone = 0;        // gso_type
  static constexpr std::uint8_t kGsoTcp4 = 1;
  static constexpr std::uint8_t kGsoTcp6 = 4;
  static constexpr std::uint8_t kGsoUdp = 5;  // UDP segmentation; not fragmentation, which is 3
  static constexpr std::uint8_t kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
  std::uint16_t num_buffers = 0;
};

static_assert(sizeof(VirtioHeader) == 12);

/// Where the parts of a TCP frame are; only made for frames that may be merged.
struct TcpFrame {
  bool v6 = false;
  std::uint16_t ip = 14;      // offset of the IP header
  std::uint16_t tcp = 0;      // offset of the TCP header
  std::uint16_t payload = 0;  // offset of the TCP payload
  std::uint16_t size = 0;     // bytes of frame used, without Ethernet padding
};

/// One's-complement sum over bytes, as RFC 1071; `sum` is a running value.
[[nodiscard]] std::uint32_t checksum_add(Bytes bytes, std::uint32_t sum);
[[nodiscard]] std::uint16_t checksum_fold(std::uint32_t sum);

/// Completes the partial checksum that the header describes. False when the header points outside
/// of the frame.
[[nodiscard]] bool complete_checksum(const VirtioHeader& header, MutableBytes frame);

/// Cuts one superframe.
class Splitter {
 public:
  /// False when header and frame do not fit together; the frame is then to be dropped. `frame` must
  /// outlive the splitter's use.
  [[nodiscard]] bool begin(const VirtioHeader& header, MutableBytes frame);

  [[nodiscard]] bool done() const { return at_ >= frame_.size(); }

  /// Bytes of the next frame. REQUIRES: !done().
  [[nodiscard]] std::size_t next_size() const;
  /// Writes the next frame. REQUIRES: !done() and out.size() == next_size().
  void next(MutableBytes out);

 private:
  [[nodiscard]] bool find_headers(const VirtioHeader& header);

  MutableBytes frame_;
  bool segmented_ = false;
  bool v6_ = false;
  bool udp_ = false;
  std::size_t ip_ = 0;         // offset of the IP header
  std::size_t transport_ = 0;  // offset of the TCP or UDP header
  std::size_t payload_ = 0;    // offset of the payload
  std::size_t checksum_ = 0;   // offset of the transport checksum
  std::uint32_t pseudo_ = 0;   // sum of the pseudo-header without its length
  std::size_t segment_ = 0;    // payload bytes per frame
  std::size_t at_ = 0;         // next payload byte
  std::uint16_t index_ = 0;
};

/// Collects frames of one flow into one.
class Merger {
 public:
  static constexpr std::size_t kMax = 65535;  // bytes of frame

  Merger() : bytes_(kMax + 1) {}

  /// Adds the frame if it continues what is held, or if nothing is held. False: flush first, then
  /// add again. A frame of more than kMax bytes is not added to anything.
  [[nodiscard]] bool add(Bytes frame);

  [[nodiscard]] bool empty() const { return size_ == 0; }

  [[nodiscard]] unsigned frames() const { return frames_; }

  /// The header for what is held; writes final lengths and checksums into it. The frame is valid
  /// until the next add().
  [[nodiscard]] VirtioHeader finish();

  [[nodiscard]] Bytes frame() const { return Bytes(bytes_).first(size_); }

  void clear() {
    size_ = 0;
    frames_ = 0;
  }

 private:
  void take(Bytes frame);
  [[nodiscard]] bool continues(Bytes frame, const TcpFrame& tcp) const;

  ByteVector bytes_;
  std::size_t size_ = 0;
  unsigned frames_ = 0;
  bool mergeable_ = false;  // what is held is TCP and still open
  TcpFrame tcp_;
  std::size_t segment_ = 0;  // payload of the first frame
  std::uint32_t next_sequence_ = 0;
};

}  // namespace orrery::tap
