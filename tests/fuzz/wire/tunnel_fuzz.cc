// The stream of a TCP fallback: however it is cut, the same messages come out; none is larger than
// it may be; what decodes is written back as it came.
//
// Input: [1] bytes that come at a time (0: all at once), then the stream.
#include <vector>

#include "fuzz/wire/verb_fuzz.h"
#include "wire/tunnel.h"

using namespace orrery;
using fuzz::check;

namespace {

struct Cut {
  std::vector<ByteVector> messages;
  bool failed = false;
};

Cut cut(Bytes bytes, std::size_t piece) {
  Cut result;
  wire::TunnelStream stream;
  while (!bytes.empty() && !stream.failed()) {
    const MutableBytes room = stream.room();
    check(!room.empty());
    const std::size_t n = std::min({piece, room.size(), bytes.size()});
    std::copy_n(bytes.begin(), n, room.begin());
    stream.filled(n);
    bytes = bytes.subspan(n);
    while (const auto message = stream.next()) {
      check(!message->empty() && message->size() <= wire::kMaxTunnelMessage);
      result.messages.emplace_back(message->begin(), message->end());
    }
  }
  result.failed = stream.failed();
  check(!result.failed || (stream.room().empty() && !stream.next()));
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes(data + 1, size - 1);
  const Cut whole = cut(bytes, SIZE_MAX);
  const Cut pieces = cut(bytes, data[0] == 0 ? SIZE_MAX : data[0]);
  check(whole.failed == pieces.failed && whole.messages == pieces.messages);
  for (const ByteVector& message : whole.messages) {
    const auto decoded = wire::decode_tunnel_message(message);
    if (!decoded || decoded->kind != wire::TunnelMessage::Kind::kDatagram) continue;
    check(fuzz::within(message, decoded->datagram));
    ByteVector again(wire::kTunnelHeadSize + wire::kTunnelEndpointSize);
    const std::size_t head =
        wire::write_tunnel_head(again, decoded->endpoint, decoded->datagram.size());
    if (decoded->datagram.size() > wire::kMaxPacket) {
      check(head == 0);
      continue;
    }
    check(head == wire::kTunnelHeadSize + message.size() - decoded->datagram.size());
    check(load_be16(again.data() + 3) == message.size());
    check(fuzz::starts_with(
        message, Bytes(again).subspan(wire::kTunnelHeadSize, head - wire::kTunnelHeadSize)));
  }
  return 0;
}
