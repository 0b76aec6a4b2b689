#include "base/pcapng.h"

#include <algorithm>

namespace orrery::pcapng {
namespace {

// Block types and option codes.
constexpr std::uint32_t kSection = 0x0a0d0d0a, kInterface = 1, kStatistics = 5, kPacket = 6;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kApplication = 4;                           // shb_userappl
constexpr std::uint16_t kName = 2, kDescription = 3, kTsresol = 9;  // if_
constexpr std::uint16_t kFlags = 2, kPacketId = 5;                  // epb_
constexpr std::uint16_t kReceived = 4, kDropped = 5;                // isb_if
constexpr std::uint8_t kNanoseconds = 9;                            // powers of ten

/// One block: [4] type, [4] size, body, options, [4] size; everything is a multiple of four.
class Block {
 public:
  Block(ByteVector& out, std::uint32_t type) : out_(out), begin_(out.size()) {
    put(type);
    put(std::uint32_t{0});
  }

  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  ~Block() {
    if (options_) put(std::uint32_t{0});  // opt_endofopt
    const auto size = static_cast<std::uint32_t>(out_.size() - begin_ + 4);
    put(size);
    std::memcpy(out_.data() + begin_ + 4, &size, 4);
  }

  template <typename Number>
  void put(Number n) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof n);
    std::memcpy(out_.data() + at, &n, sizeof n);  // x86-64 is little-endian
  }

  void put_bytes(Bytes bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    out_.resize(begin_ + (out_.size() - begin_ + 3) / 4 * 4);
  }

  void put_time(std::uint64_t nanoseconds) {
    put(static_cast<std::uint32_t>(nanoseconds >> 32));
    put(static_cast<std::uint32_t>(nanoseconds));
  }

  void option(std::uint16_t code, Bytes value) {
    value = value.first(std::min<std::size_t>(value.size(), 0xffff));
    options_ = true;
    put(code);
    put(static_cast<std::uint16_t>(value.size()));
    put_bytes(value);
  }

  void option(std::uint16_t code, std::string_view text) {
    if (!text.empty()) option(code, bytes_of(text));
  }

  template <typename Number>
    requires std::is_integral_v<Number>
  void option(std::uint16_t code, Number n) {
    option(code, Bytes{reinterpret_cast<const std::uint8_t*>(&n), sizeof n});
  }

 private:
  ByteVector& out_;
  const std::size_t begin_;
  bool options_ = false;
};

}  // namespace

void append_section(ByteVector& out, std::string_view application) {
  Block block(out, kSection);
  block.put(std::uint32_t{0x1a2b3c4d});
  block.put(std::uint16_t{1});  // version 1.0
  block.put(std::uint16_t{0});
  block.put(~std::uint64_t{0});  // size of the section: unknown
  block.option(kApplication, application);
}

void append(ByteVector& out, const Interface& interface) {
  Block block(out, kInterface);
  block.put(interface.link);
  block.put(std::uint16_t{0});
  block.put(interface.snap);
  block.option(kName, interface.name);
  block.option(kDescription, interface.description);
  block.option(kTsresol, kNanoseconds);
}

void append(ByteVector& out, const Packet& packet) {
  Block block(out, kPacket);
  block.put(packet.interface);
  block.put_time(packet.nanoseconds);
  block.put(static_cast<std::uint32_t>(packet.captured.size()));
  block.put(packet.original_size);
  block.put_bytes(packet.captured);
  block.option(kComment, packet.comment);
  block.option(kFlags, static_cast<std::uint32_t>(packet.direction));
  block.option(kPacketId, packet.id);
}

void append(ByteVector& out, const Statistics& statistics) {
  Block block(out, kStatistics);
  block.put(statistics.interface);
  block.put_time(statistics.nanoseconds);
  block.option(kReceived, statistics.received);
  block.option(kDropped, statistics.dropped);
}

}  // namespace orrery::pcapng
