#include "wire/tunnel.h"

namespace orrery::wire {
namespace {

constexpr std::array<std::uint8_t, 3> kRecord = {0x17, 0x03, 0x03};

void write_record(Writer& w, std::size_t length) {
  w.bytes(kRecord);
  w.u16(static_cast<std::uint16_t>(length));
}

}  // namespace

std::size_t write_tunnel_hello(MutableBytes out, std::uint8_t major, std::uint8_t minor,
                               std::uint16_t revision) {
  Writer w(out);
  write_record(w, kTunnelHelloSize);
  w.u8(major);
  w.u8(minor);
  w.u16(revision);
  return w.ok() ? w.size() : 0;
}

std::size_t write_tunnel_head(MutableBytes out, const Endpoint& endpoint, std::size_t size) {
  if (!endpoint || size > kMaxPacket) return 0;
  const std::size_t around = 1 + endpoint.ip_size() + 2;
  Writer w(out);
  write_record(w, around + size);
  w.u8(endpoint.family);
  w.bytes(endpoint.ip_bytes());
  w.u16(endpoint.port);
  return w.ok() ? w.size() : 0;
}

std::optional<TunnelMessage> decode_tunnel_message(Bytes message) {
  using Kind = TunnelMessage::Kind;
  // A datagram has its endpoint before it, so nothing else is as short as this.
  if (message.size() == kTunnelHelloSize) return TunnelMessage{Kind::kHello, {}, {}};
  Reader r(message);
  const std::uint8_t family = r.u8();
  if (r.ok() && family == 0) return TunnelMessage{};
  if (family != 4 && family != 6) return std::nullopt;
  TunnelMessage decoded;
  decoded.kind = Kind::kDatagram;
  const Bytes ip = r.bytes(family == 4 ? 4 : 16);
  const std::uint16_t port = r.u16();
  if (!r.ok()) return std::nullopt;
  decoded.endpoint =
      family == 4 ? Endpoint::v4(load_be32(ip.data()), port) : Endpoint::v6(ip, port);
  decoded.datagram = r.rest();
  return decoded;
}

MutableBytes TunnelStream::room() {
  if (failed_) return {};
  if (begin_ == end_) begin_ = end_ = 0;
  // What is left of a message moves to the front: less than one, unless messages wait.
  if (begin_ > buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return MutableBytes(buffer_).subspan(end_);
}

std::optional<Bytes> TunnelStream::next() {
  if (failed_) return std::nullopt;
  const Bytes held = Bytes(buffer_).subspan(begin_, end_ - begin_);
  // A wrong first byte is told from one that is missing as soon as it is there.
  const std::size_t known = std::min(held.size(), kRecord.size());
  if (known != 0 && std::memcmp(held.data(), kRecord.data(), known) != 0) {
    failed_ = true;
    return std::nullopt;
  }
  if (held.size() < kTunnelHeadSize) return std::nullopt;
  const std::size_t length = load_be16(held.data() + kRecord.size());
  if (length == 0 || length > kMaxTunnelMessage) {
    failed_ = true;
    return std::nullopt;
  }
  if (held.size() < kTunnelHeadSize + length) return std::nullopt;
  begin_ += kTunnelHeadSize + length;
  return held.subspan(kTunnelHeadSize, length);
}

}  // namespace orrery::wire
