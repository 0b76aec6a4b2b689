#include "service/capture_stream.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "control/controller/json_text.h"
#include "wire/header.h"
#include "wire/verb.h"

namespace orrery::service {
namespace {

using dataplane::Fate;
using dataplane::Point;
using dataplane::Sighting;
using nlohmann::json;

struct PointText {
  const char* name;
  std::uint16_t link;
  const char* description;
};

/// [dataplane::Point]
constexpr PointText kPointTexts[dataplane::kPoints] = {
    {"outer", pcapng::kLinkUser0, "UDP payload of the underlay: ZeroTier V1 datagrams"},
    {"decrypted", pcapng::kLinkUser0 + 1, "ZeroTier V1 packets in clear, with their header"},
    {"rules", pcapng::kLinkEthernet, "Ethernet frames that the network's rules let through"},
    {"host", pcapng::kLinkEthernet, "Ethernet frames at TAP and LAN ports"}};

constexpr std::chrono::seconds kStatisticsEvery{1};  // the client is never silent for longer

std::uint64_t wall_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::string comment_of(const Sighting& s, const PacketFacts& facts, unsigned worker) {
  std::string text = "story=" + wire::to_string(wire::NetworkId{s.story});
  const auto add = [&text](const char* key, const std::string& value) {
    text += ' ';
    text += key;
    text += '=' + value;
  };
  add("worker", std::to_string(worker));
  if (facts.source) add("source", wire::to_string(facts.source));
  if (facts.destination) add("destination", wire::to_string(facts.destination));
  if (s.peer) add("peer", wire::to_string(s.peer));
  if (const std::uint64_t network = s.network != 0 ? s.network : facts.network; network != 0)
    add("network", wire::to_string(wire::NetworkId{network}));
  if (s.remote) add("remote", wire::to_string(s.remote));
  if (facts.id) add("id", wire::to_string(wire::NetworkId{*facts.id}));
  if (facts.verb) add("verb", wire::verb_label(*facts.verb));
  if (dataplane::is_of_control(s.story)) add("from", "control");
  if (s.fate == Fate::kPunted) add("to", "control");
  if (s.fate == Fate::kDropped) add("drop", dataplane::drop_label(s.drop));
  return text;
}

/// A whole number of the body, from `low` to `high`.
template <typename Number>
Result<void> take_number(const json& body, const char* key, std::uint64_t low, std::uint64_t high,
                         Number& value) {
  const auto found = body.find(key);
  if (found == body.end()) return {};
  if (!found->is_number_unsigned() || *found < low || *found > high) {
    return failure(Errc::kInvalid, std::string("\"") + key + "\": expected a number from " +
                                       std::to_string(low) + " to " + std::to_string(high));
  }
  value = found->template get<Number>();
  return {};
}

Result<void> take_points(const json& body, std::uint8_t& points) {
  const auto found = body.find("points");
  if (found == body.end()) return {};
  const Error error{Errc::kInvalid,
                    "\"points\": expected a list of outer, decrypted, rules and host"};
  if (!found->is_array() || found->empty()) return std::unexpected(error);
  points = 0;
  for (const json& name : *found) {
    const auto* text = std::ranges::find_if(
        kPointTexts, [&](const PointText& t) { return name.is_string() && name == t.name; });
    if (text == std::end(kPointTexts)) return std::unexpected(error);
    points = static_cast<std::uint8_t>(points | 1u << (text - kPointTexts));
  }
  return {};
}

template <typename Value, typename Parse>
Result<void> take_text(const json& body, const char* key, const char* expected, Parse parse,
                       Value& value) {
  const auto found = body.find(key);
  if (found == body.end()) return {};
  const auto parsed = found->is_string() ? parse(found->get<std::string>()) : std::nullopt;
  if (!parsed) return failure(Errc::kInvalid, std::string("\"") + key + "\": expected " + expected);
  value = *parsed;
  return {};
}

}  // namespace

Result<CaptureOptions> parse_capture_options(const json& body) {
  static constexpr const char* kKeys[] = {"points", "peer",    "network", "oneIn",
                                          "count",  "seconds", "snap"};
  CaptureOptions options;
  for (const auto& [key, ignored] : body.items()) {
    if (std::ranges::find(kKeys, key) == std::end(kKeys))
      return failure(Errc::kInvalid, "unknown key \"" + key + '"');
  }
  constexpr std::uint64_t kMost = 0xffff'ffff;
  for (const Result<void>& taken :
       {take_points(body, options.points),
        take_text(
            body, "peer", "10 hexadecimal digits",
            [](const std::string& t) { return wire::parse_address(t); }, options.peer),
        take_text(
            body, "network", "16 hexadecimal digits",
            [](const std::string& t) { return wire::parse_network_id(t); }, options.network),
        take_number(body, "oneIn", 1, kMost, options.one_in),
        take_number(body, "count", 1, kMost, options.count),
        take_number(body, "seconds", 1, kMost, options.seconds),
        // Less would not show whom a packet belongs to.
        take_number(body, "snap", 64, 0xffff, options.snap)}) {
    if (!taken) return std::unexpected(taken.error());
  }
  return options;
}

PacketFacts facts_of(Point point, Bytes packet) {
  PacketFacts facts;
  if (point != Point::kOuter && point != Point::kDecrypted) return facts;
  if (const auto fragment = wire::decode_fragment_header(packet)) {
    facts.id = fragment->id;
    facts.destination = fragment->destination;
    return facts;
  }
  const auto header = wire::decode_packet_header(packet);
  if (!header) return facts;
  facts.id = header->id;
  facts.source = header->source;
  facts.destination = header->destination;
  if (point == Point::kOuter) return facts;
  facts.verb = header->verb & wire::kVerbMask;
  const auto verb = static_cast<wire::Verb>(*facts.verb);
  // [8] network, in clear only where nothing is compressed
  if ((wire::is_frame(verb) || verb == wire::Verb::kMulticastFrame) &&
      (header->verb & wire::kVerbCompressed) == 0 && packet.size() >= wire::kHeaderSize + 8)
    facts.network = load_be64(packet.data() + wire::kHeaderSize);
  return facts;
}

void StoryFilter::add(const Sighting& s, const PacketFacts& facts, ByteVector block,
                      const std::function<void(ByteVector)>& out) {
  // Of whom it is; nothing: it does not say. At a relay it is of two.
  std::optional<bool> of_peer, of_network;
  if (facts.source == peer_ || facts.destination == peer_ || s.peer == peer_) {
    of_peer = true;
  } else if (facts.source || s.peer) {
    of_peer = false;
  }
  if (const std::uint64_t network = s.network != 0 ? s.network : facts.network; network != 0) {
    of_network = network == network_.value;
  } else if (facts.verb) {
    of_network = false;  // no frame
  }
  if (!peer_) of_peer = true;
  if (!network_) of_network = true;
  if (of_peer == false || of_network == false) return;  // copies for others may be of one story

  const auto [at, is_new] = stories_.try_emplace(s.story);
  if (is_new) order_.push_back(s.story);
  Story& story = at->second;
  story.has_peer |= of_peer.has_value();
  story.has_network |= of_network.has_value();
  if (story.has_peer && story.has_network) {
    for (ByteVector& earlier : story.held) {
      bytes_ -= earlier.size();
      out(std::move(earlier));
    }
    story.held.clear();
    if (!block.empty()) out(std::move(block));
  } else if (!block.empty()) {
    bytes_ += block.size();
    story.held.push_back(std::move(block));
  }
  while (stories_.size() > kStories || bytes_ > kBytes) forget_oldest();
}

void StoryFilter::forget_oldest() {
  const auto oldest = stories_.find(order_.front());
  for (const ByteVector& block : oldest->second.held) bytes_ -= block.size();
  stories_.erase(oldest);
  order_.pop_front();
}

std::shared_ptr<CaptureStream> CaptureStream::start(dataplane::Capture& capture,
                                                    const CaptureOptions& options) {
  dataplane::Sampling sampling;
  const StoryFilter filter(options.peer, options.network);
  // Whose a story is shows at points that nobody may have asked for.
  sampling.points = filter.takes_all() ? options.points : CaptureOptions{}.points;
  sampling.snap = options.snap;
  sampling.one_in = options.one_in;
  const auto number = capture.start(sampling);
  if (!number) return nullptr;
  return std::shared_ptr<CaptureStream>(new CaptureStream(capture, options, *number));
}

CaptureStream::CaptureStream(dataplane::Capture& capture, const CaptureOptions& options,
                             std::uint8_t number)
    : capture_(capture),
      options_(options),
      number_(number),
      filter_(options.peer, options.network),
      before_(counts()),
      begun_(Clock::now()),
      next_statistics_(begun_ + kStatisticsEvery) {
  spdlog::info("a capture begins");
  ByteVector head;
  pcapng::append_section(head, "orrery " ORRERY_VERSION);
  for (const PointText& point : kPointTexts)
    pcapng::append(head,
                   pcapng::Interface{point.link, options.snap, point.name, point.description});
  blocks_.push_back(std::move(head));
}

CaptureStream::~CaptureStream() {
  capture_.stop();
  std::uint64_t lost = 0;
  for (const std::uint64_t n : counts().second) lost += n;
  for (const std::uint64_t n : before_.second) lost -= n;
  spdlog::info("the capture ends: {} packets written, {} lost for lack of room", packets_, lost);
}

std::pair<CaptureStream::Counts, CaptureStream::Counts> CaptureStream::counts() const {
  std::pair<Counts, Counts> sums{};
  for (unsigned w = 0; w < capture_.workers(); ++w) {
    for (unsigned p = 0; p < dataplane::kPoints; ++p) {
      sums.first[p] += capture_.recorder(w).seen(static_cast<Point>(p));
      sums.second[p] += capture_.recorder(w).lost(static_cast<Point>(p));
    }
  }
  return sums;
}

void CaptureStream::add_statistics() {
  const auto [seen, lost] = counts();
  ByteVector block;
  for (std::uint32_t p = 0; p < dataplane::kPoints; ++p) {
    pcapng::append(block, pcapng::Statistics{p, wall_ns(), seen[p] - before_.first[p],
                                             lost[p] - before_.second[p]});
  }
  blocks_.push_back(std::move(block));
}

void CaptureStream::drain() {
  // By time over all workers; what was held for its story comes late.
  std::multimap<std::uint64_t, ByteVector> batch;
  for (unsigned worker = 0; worker < capture_.workers(); ++worker) {
    capture_.recorder(worker).drain(number_, [&](const Sighting& s, Bytes bytes) {
      const PacketFacts facts = facts_of(s.spot.point, bytes);
      const auto point = static_cast<std::uint32_t>(s.spot.point);
      ByteVector block;
      if (s.fate != Fate::kPassed || (options_.points >> point & 1u) != 0) {
        const std::string comment = comment_of(s, facts, worker);
        pcapng::Packet packet;
        packet.interface = point;
        packet.nanoseconds = s.nanoseconds;
        packet.captured = bytes;
        packet.original_size = s.size;
        packet.direction = s.spot.direction == dataplane::Direction::kInbound
                               ? pcapng::Direction::kInbound
                               : pcapng::Direction::kOutbound;
        packet.id = s.story;
        packet.comment = comment;
        pcapng::append(block, packet);
      }
      const auto take = [&](ByteVector b) { batch.emplace(s.nanoseconds, std::move(b)); };
      if (!filter_.takes_all()) {
        filter_.add(s, facts, std::move(block), take);
      } else if (!block.empty()) {
        take(std::move(block));
      }
    });
  }
  for (auto& [ns, block] : batch) {
    if (options_.count != 0 && packets_ == options_.count) break;
    ++packets_;
    blocks_.push_back(std::move(block));
  }
}

std::optional<std::size_t> CaptureStream::read(char* out, std::size_t room) {
  if (blocks_.empty()) {
    if (over_) return std::nullopt;
    drain();
    const Clock::time_point now = Clock::now();
    over_ = (options_.count != 0 && packets_ == options_.count) ||
            (options_.seconds != 0 && now - begun_ >= std::chrono::seconds(options_.seconds));
    if (over_ || now >= next_statistics_) {
      add_statistics();
      next_statistics_ = now + kStatisticsEvery;
    }
  }
  // Whole blocks only: whoever stops reading between two chunks has a whole file.
  std::size_t n = 0;
  while (!blocks_.empty() && blocks_.front().size() <= room - n) {
    const ByteVector& block = blocks_.front();
    std::memcpy(out + n, block.data(), block.size());
    n += block.size();
    blocks_.pop_front();
  }
  return n;
}

HttpResponse start_capture(dataplane::Capture* capture, const std::string& body) {
  const auto refuse = [](int status, const std::string& text) {
    return HttpResponse{status, control::json_text({{"error", text}})};
  };
  if (capture == nullptr) {
    return refuse(
        403,
        "captures show what users send; to allow them, set enabled = true under [capture] "
        "in orrery.toml and start the daemon again");
  }
  const auto wanted = body.empty() ? json::object() : control::parse_json(body);
  if (!wanted || !wanted->is_object()) return refuse(400, "the body is no JSON object");
  const auto options = parse_capture_options(*wanted);
  if (!options) return refuse(400, options.error().text);
  HttpResponse response{200, {}, "application/x-pcapng"};
  response.stream = CaptureStream::start(*capture, *options);
  if (response.stream == nullptr) return refuse(409, "another capture is running");
  return response;
}

}  // namespace orrery::service
