// Superframes that a TAP hands out, split into frames. Pure functions over bytes; no I/O. The way
// back is in merge.h.
//
// A superframe of TCP or UDP becomes frames of at most gso_size bytes of payload, each with
// its own lengths, IPv4 id, sequence number, flags and complete checksums. Everything in front of
// the transport header (VLAN tags, IPv4 options, IPv6 extension headers) is copied; where that
// header begins is what the virtio_net_hdr says, not what a parser makes of the bytes. A plain
// frame with a partial checksum gets it completed.
//
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

/// Writes the lengths that follow from an IP packet of `size` bytes, and the IPv4 header checksum.
void set_ip_length(std::uint8_t* ip, bool v6, std::size_t size);

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

  /// Frames that are left.
  [[nodiscard]] std::size_t frames() const {
    if (done()) return 0;
    return segmented_ ? (frame_.size() - at_ + segment_ - 1) / segment_ : 1;
  }

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
  // Sums of what is the same in all frames: of the IPv4 header; of pseudo- and transport header.
  std::uint32_t ip_sum_ = 0;
  std::uint32_t transport_sum_ = 0;
  std::size_t segment_ = 0;  // payload bytes per frame
  std::size_t at_ = 0;       // next payload byte
  std::uint16_t index_ = 0;
};

}  // namespace orrery::tap
