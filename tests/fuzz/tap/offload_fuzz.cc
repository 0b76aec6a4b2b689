// The virtio_net_hdr's split and the merge: whatever the header says, nothing is read or written
// out of bounds, the parts hold the payload with lengths and checksums that are right, and what was
// merged comes apart into the frames that went in.
//
// Input: [1] mode, then
//   even: [10] virtio_net_hdr less the number of buffers, [n] frame. Bit 1 of the mode: the
//   checksum
//         field gets the sum of the pseudo-header first, as a host would have it
//   odd, bit 1: frames as they come, [2] size and bytes each
//   odd:  [1] size of a payload / 8, [1] bits: 0 IPv6, 1 no DF, [n] steps of [1] what, [1]
//   argument:
//         0 the next segment, 1 a shorter one, 2 with PSH, 3 a byte changed before, 4 after the
//         checksums are made, 5 the IPv4 id changed
#include "tap/offload.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>

#include "tap/merge.h"

using namespace orrery;

namespace {

void check(bool right) {
  if (!right) std::abort();
}

/// RFC 1071 word by word; not the code under test.
std::uint32_t sum_of(Bytes bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

std::uint32_t pseudo_of(Bytes frame, bool v6, std::uint32_t protocol, std::size_t length) {
  const Bytes addresses = v6 ? frame.subspan(14 + 8, 32) : frame.subspan(14 + 12, 8);
  return sum_of(addresses, protocol + static_cast<std::uint32_t>(length));
}

/// Memory of exact size, so that AddressSanitizer sees every byte beyond it.
struct Exact {
  explicit Exact(Bytes from)
      : bytes(new std::uint8_t[from.size()]), view(bytes.get(), from.size()) {
    std::copy(from.begin(), from.end(), bytes.get());
  }

  std::unique_ptr<std::uint8_t[]> bytes;
  MutableBytes view;
};

std::vector<ByteVector> split_again(const tap::VirtioHeader& header, Bytes frame) {
  const Exact input(frame);
  std::vector<ByteVector> parts;
  tap::Splitter splitter;
  if (!splitter.begin(header, input.view)) return parts;
  while (!splitter.done()) {
    const Exact out(ByteVector(splitter.next_size()));
    splitter.next(out.view);
    parts.emplace_back(out.view.begin(), out.view.end());
  }
  check(!parts.empty());
  return parts;
}

void split(Bytes data, bool seal) {
  tap::VirtioHeader h;
  if (data.size() < 10) return;
  std::memcpy(static_cast<void*>(&h), data.data(), 10);
  ByteVector frame(data.begin() + 10, data.end());
  const std::size_t start = h.csum_start, field = start + h.csum_offset;
  const bool inside = start <= frame.size() && field + 2 <= frame.size();
  const bool v6 = frame.size() > 14 && frame[14] >> 4 == 6;
  const std::uint32_t protocol = h.csum_offset == 6 ? 17 : 6;
  if (seal && inside && frame.size() >= 54) {
    store_be16(frame.data() + field,
               static_cast<std::uint16_t>(pseudo_of(frame, v6, protocol, frame.size() - start)));
  }
  const std::uint32_t host_sum = inside ? load_be16(frame.data() + field) : 0;
  const auto parts = split_again(h, frame);
  const int type = h.gso_type & ~tap::VirtioHeader::kGsoEcn;
  if (parts.empty()) return;
  if (type == tap::VirtioHeader::kGsoNone) {
    check(parts.size() == 1 && parts[0].size() == frame.size());
    return;
  }
  check(inside);
  const std::size_t header =
      start + (type == tap::VirtioHeader::kGsoUdp ? 8u : (frame[start + 12] >> 4) * 4u);
  std::size_t at = header;
  for (const ByteVector& part : parts) {
    check(part.size() > header && part.size() <= header + h.gso_size);
    check(std::equal(part.begin() + static_cast<long>(header), part.end(),
                     frame.begin() + static_cast<long>(at)));
    at += part.size() - header;
    // The host's sum, with this length instead of the whole's.
    const auto whole = static_cast<std::uint16_t>(frame.size() - start);
    const std::uint32_t pseudo = host_sum + static_cast<std::uint16_t>(~whole) +
                                 static_cast<std::uint32_t>(part.size() - start);
    check(sum_of(Bytes(part).subspan(start), pseudo) == 0xffff);
  }
  check(at == frame.size());
}

/// A TCP segment of a flow; checksums are left to seal().
ByteVector segment(bool v6, bool no_df, std::uint32_t sequence, std::uint16_t id,
                   std::size_t size) {
  const std::size_t tcp = v6 ? 54 : 34;
  ByteVector f(tcp + 20 + size);
  for (std::size_t i = 0; i < 12; ++i) f[i] = static_cast<std::uint8_t>(2 + i);
  store_be16(f.data() + 12, v6 ? 0x86dd : 0x0800);
  if (v6) {
    f[14] = 0x60;
    store_be16(f.data() + 18, static_cast<std::uint16_t>(20 + size));
    f[20] = 6;
    f[21] = 64;
    f[22] = f[38] = 0xfd;
  } else {
    f[14] = 0x45;
    store_be16(f.data() + 16, static_cast<std::uint16_t>(40 + size));
    store_be16(f.data() + 18, id);
    f[20] = no_df ? 0 : 0x40;
    f[22] = 64;
    f[23] = 6;
    f[26] = f[30] = 10;
  }
  store_be32(f.data() + tcp + 4, sequence);
  f[tcp + 12] = 0x50;
  f[tcp + 13] = 0x10;
  for (std::size_t i = 0; i < size; ++i) f[tcp + 20 + i] = static_cast<std::uint8_t>(sequence + i);
  return f;
}

void seal(ByteVector& f) {
  const bool v6 = load_be16(f.data() + 12) == 0x86dd;
  const std::size_t tcp = v6 ? 54 : 34;
  if (f.size() < tcp + 20) return;
  if (!v6) {
    store_be16(f.data() + 24, 0);
    store_be16(f.data() + 24, static_cast<std::uint16_t>(~sum_of(Bytes(f).subspan(14, 20), 0)));
  }
  store_be16(f.data() + tcp + 16, 0);
  const std::uint32_t pseudo = pseudo_of(f, v6, 6, f.size() - tcp);
  store_be16(f.data() + tcp + 16,
             static_cast<std::uint16_t>(~sum_of(Bytes(f).subspan(tcp), pseudo)));
}

/// What may differ after a merge: with DF the IPv4 id, and so its checksum; zero for 0xffff.
void level(ByteVector& f) {
  if (load_be16(f.data() + 12) == 0x0800) {
    if ((f[20] & 0x40) != 0) store_be16(f.data() + 18, 0);
    store_be16(f.data() + 24, 0);
  }
  const std::size_t field = load_be16(f.data() + 12) == 0x86dd ? 70 : 50;
  if (load_be16(f.data() + field) == 0xffff) store_be16(f.data() + field, 0);
}

/// Whether `part` is a frame that went in, less what stood behind its IP packet.
bool came_from(ByteVector part, ByteVector frame) {
  if (part.size() > frame.size()) return false;
  frame.resize(part.size());
  if (part == frame) return true;
  level(part);
  level(frame);
  return part == frame;
}

void merge(Bytes data) {
  if (data.size() < 2) return;
  const std::size_t full = (data[0] + 1u) * 8u;
  const bool v6 = (data[1] & 1) != 0, no_df = (data[1] & 2) != 0;
  std::vector<ByteVector> sent;
  std::deque<Exact> inputs;
  std::vector<ByteVector> parts;
  const auto write = [&](tap::Merger& whole) {
    const unsigned frames = whole.frames();
    const tap::VirtioHeader header = whole.finish();
    check(frames > 1 || header.flags == 0);
    ByteVector bytes;
    for (const Bytes piece : whole.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
    check(bytes.size() == whole.size() && bytes.size() <= tap::Merger::kMax);
    auto of_this = split_again(header, bytes);
    check(of_this.size() == frames);
    for (ByteVector& part : of_this) parts.push_back(std::move(part));
  };
  tap::FlowMerger merger(true);
  std::uint32_t sequence = 0xfffff000;
  std::uint16_t id = 0xfff0;
  for (std::size_t i = 2; i + 1 < data.size() && i < 150; i += 2) {
    const unsigned what = data[i] % 6u;
    const std::size_t size = what == 1 ? full * data[i + 1] / 256 : full;
    ByteVector frame = segment(v6, no_df, sequence, id++, size);
    sequence += static_cast<std::uint32_t>(size);
    if (what == 2) frame[v6 ? 67 : 47] |= 0x08;
    if (what == 5) store_be16(frame.data() + 18, static_cast<std::uint16_t>(data[i + 1] * 257));
    std::uint8_t& changed = frame[data[i + 1] % std::min<std::size_t>(frame.size(), 80)];
    if (what == 3) changed = static_cast<std::uint8_t>(changed + data[i] / 6 + 1);
    seal(frame);
    if (what == 4) changed = static_cast<std::uint8_t>(changed + data[i] / 6 + 1);
    merger.add(inputs.emplace_back(frame).view, write);
    sent.push_back(std::move(frame));
  }
  merger.flush(write);
  check(parts.size() == sent.size());
  for (const ByteVector& part : parts) {
    const auto it =
        std::ranges::find_if(sent, [&](const ByteVector& f) { return came_from(part, f); });
    check(it != sent.end());
    sent.erase(it);
  }
}

/// Frames as they come, in no shape at all: [2] size, little-endian, then so many bytes.
void merge_raw(Bytes data) {
  std::deque<Exact> inputs;
  std::size_t bytes_in = 0, bytes_out = 0;
  unsigned out = 0;
  const auto write = [&](tap::Merger& whole) {
    out += whole.frames();
    (void)whole.finish();
    for (const Bytes piece : whole.pieces()) bytes_out += piece.size();
  };
  tap::FlowMerger merger(true);
  while (data.size() >= 2) {
    const std::size_t size =
        std::min<std::size_t>(data[0] | (std::size_t{data[1]} << 8), data.size() - 2);
    merger.add(inputs.emplace_back(data.subspan(2, size)).view, write);
    bytes_in += size;
    data = data.subspan(2 + size);
  }
  merger.flush(write);
  check(out == inputs.size() && bytes_out <= bytes_in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    split(rest, (data[0] & 2) != 0);
  } else if ((data[0] & 2) == 0) {
    merge(rest);
  } else {
    merge_raw(rest);
  }
  return 0;
}
