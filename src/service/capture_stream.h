// A capture as its client gets it: sightings of all workers (dataplane/capture.h) as a pcapng file
// that goes on until the client has enough or is gone.
//
// One interface block for each point, in the order of dataplane::Point. Ethernet frames have their
// own link type; datagrams and packets in clear have none, so theirs are USER0 and USER1 and begin
// with the ZeroTier header: nothing is put in front of them that was not there. Each packet has its
// story as epb_packetid, its direction, and a comment of words "key=value": story, worker, peer,
// network, remote (endpoint), id (of the packet on the wire), verb, from or to control, and drop
// with the reason of drop.h. Counts of what was seen and of what found no room come once a second.
//
// Who wants the packets of one peer or network only gets whole stories: what does not say yet whom
// it belongs to is held until a later sighting of the story does (StoryFilter).
#pragma once

#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/pcapng.h"
#include "base/result.h"
#include "dataplane/capture.h"
#include "service/http_server.h"

namespace orrery::service {

struct CaptureOptions {
  std::uint8_t points = (1u << dataplane::kPoints) - 1;  // bit 1 << dataplane::Point
  wire::Address peer;                                    // zero: any
  wire::NetworkId network;                               // zero: any
  std::uint32_t one_in = 1;
  std::uint64_t count = 0;    // of packets in the file; 0: no limit
  std::uint64_t seconds = 0;  // 0: no limit
  std::uint16_t snap = 0xffff;
};

/// From the body of a request: {"points": [], "peer", "network", "oneIn", "count", "seconds",
/// "snap"}, each of them optional. Errc::kInvalid names the key and what was expected.
[[nodiscard]] Result<CaptureOptions> parse_capture_options(const nlohmann::json& body);

/// What the header of a packet in clear or of a datagram tells. Zero: it does not.
struct PacketFacts {
  std::optional<std::uint64_t> id;
  wire::Address source, destination;
  std::optional<std::uint8_t> verb;  // at kDecrypted
  std::uint64_t network = 0;         // of a frame, at kDecrypted
};

[[nodiscard]] PacketFacts facts_of(dataplane::Point point, Bytes packet);

/// Lets whole stories of one peer or network through. Sightings are of any type.
class StoryFilter {
 public:
  // What may be held or remembered; the oldest story is forgotten first.
  static constexpr std::size_t kStories = 16'384;
  static constexpr std::size_t kBytes = std::size_t{8} << 20;

  StoryFilter(wire::Address peer, wire::NetworkId network) : peer_(peer), network_(network) {}

  [[nodiscard]] bool takes_all() const { return !peer_ && !network_; }

  /// `block`: the packet of sighting `s` in the file, which is empty when only its facts matter.
  /// What is let through, perhaps with earlier ones of its story, is given to `out`.
  void add(const dataplane::Sighting& s, const PacketFacts& facts, ByteVector block,
           const std::function<void(ByteVector)>& out);

 private:
  struct Story {
    bool has_peer = false, has_network = false;
    std::vector<ByteVector> held;
  };

  void forget_oldest();

  const wire::Address peer_;
  const wire::NetworkId network_;
  std::unordered_map<std::uint64_t, Story> stories_;
  std::deque<std::uint64_t> order_;  // the oldest first
  std::size_t bytes_ = 0;            // held
};

class CaptureStream final : public HttpStream {
 public:
  /// Begins. Null while another capture is running. `capture`: outlives the stream.
  static std::shared_ptr<CaptureStream> start(dataplane::Capture& capture,
                                              const CaptureOptions& options);
  ~CaptureStream() override;
  CaptureStream(const CaptureStream&) = delete;
  CaptureStream& operator=(const CaptureStream&) = delete;

  std::optional<std::size_t> read(char* out, std::size_t room) override;

 private:
  using Clock = std::chrono::steady_clock;
  using Counts = std::array<std::uint64_t, dataplane::kPoints>;

  CaptureStream(dataplane::Capture& capture, const CaptureOptions& options, std::uint8_t number);

  void drain();
  void add_statistics();
  /// Packets seen at each point since the capture began, and those lost.
  [[nodiscard]] std::pair<Counts, Counts> counts() const;

  dataplane::Capture& capture_;
  const CaptureOptions options_;
  const std::uint8_t number_;
  StoryFilter filter_;
  std::pair<Counts, Counts> before_;
  Clock::time_point begun_, next_statistics_;
  std::uint64_t packets_ = 0;  // written
  bool over_ = false;
  std::deque<ByteVector> blocks_;  // to be read, whole
};

/// The answer to a request with this body: the stream; 403 when `capture` is null, since nobody has
/// allowed captures; 400 for what the body should not say; 409 while another capture is running.
[[nodiscard]] HttpResponse start_capture(dataplane::Capture* capture, const std::string& body);

}  // namespace orrery::service
