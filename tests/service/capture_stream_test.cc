// Captures as files: what a request may ask for, whole stories of one peer or network, blocks that
// say what they are.
#include "service/capture_stream.h"

#include <gtest/gtest.h>

#include "wire/header.h"
#include "wire/verb.h"

namespace orrery::service {
namespace {

using dataplane::Direction;
using dataplane::Fate;
using dataplane::Point;
using dataplane::Sighting;
using nlohmann::json;

const wire::Address kSelf{0x1111111111}, kPeer{0x2222222222}, kOther{0x3333333333};
const wire::NetworkId kNetwork{0x8056c2e21c000001};

TEST(CaptureOptions, WhatARequestMayAskFor) {
  const auto all = parse_capture_options(json::object());
  ASSERT_TRUE(all);
  EXPECT_EQ(all->points, 15);
  EXPECT_EQ(all->one_in, 1u);
  EXPECT_EQ(all->snap, 0xffff);
  const auto some = parse_capture_options(json::parse(
      R"({"points":["outer","host"],"peer":"2222222222","network":"8056c2e21c000001","oneIn":100,
          "count":5,"seconds":60,"snap":128})"));
  ASSERT_TRUE(some);
  EXPECT_EQ(some->points, 0b1001);
  EXPECT_EQ(some->peer, kPeer);
  EXPECT_EQ(some->network, kNetwork);
  EXPECT_EQ(some->one_in, 100u);
  EXPECT_EQ(some->count, 5u);
  EXPECT_EQ(some->seconds, 60u);
  EXPECT_EQ(some->snap, 128);
  for (const auto& [body, named] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({"points":[]})", "points"},
           {R"({"points":["inner"]})", "points"},
           {R"({"points":[1]})", "points"},
           {R"({"points":"outer"})", "points"},
           {R"({"peer":"222222222"})", "peer"},
           {R"({"peer":7})", "peer"},
           {R"({"network":"8056c2e21c00000"})", "network"},
           {R"({"oneIn":0})", "oneIn"},
           {R"({"oneIn":-1})", "oneIn"},
           {R"({"oneIn":1.5})", "oneIn"},
           {R"({"count":4294967296})", "count"},
           {R"({"seconds":"60"})", "seconds"},
           {R"({"snap":63})", "snap"},
           {R"({"snap":65536})", "snap"},
           {R"({"one_in":2})", "one_in"}}) {
    const auto refused = parse_capture_options(json::parse(body));
    ASSERT_FALSE(refused) << body;
    EXPECT_NE(refused.error().text.find(named), std::string::npos) << refused.error().text;
  }
}

ByteVector packet(wire::Address from, wire::Address to, wire::Verb verb, wire::NetworkId network) {
  ByteVector bytes(64);
  wire::PacketHeader header;
  header.id = 0x0102030405060708;
  header.source = from;
  header.destination = to;
  header.verb = static_cast<std::uint8_t>(verb);
  wire::encode_packet_header(bytes, header);
  store_be64(bytes.data() + wire::kHeaderSize, network.value);
  return bytes;
}

TEST(PacketFacts, OfEveryPoint) {
  const ByteVector frame = packet(kPeer, kSelf, wire::Verb::kFrame, kNetwork);
  PacketFacts f = facts_of(Point::kDecrypted, frame);
  EXPECT_EQ(f.id, 0x0102030405060708);
  EXPECT_EQ(f.source, kPeer);
  EXPECT_EQ(f.destination, kSelf);
  EXPECT_EQ(f.verb, static_cast<std::uint8_t>(wire::Verb::kFrame));
  EXPECT_EQ(f.network, kNetwork.value);
  f = facts_of(Point::kOuter, frame);
  EXPECT_EQ(f.source, kPeer);
  EXPECT_FALSE(f.verb) << "encrypted";
  EXPECT_EQ(f.network, 0u);
  f = facts_of(Point::kDecrypted, packet(kPeer, kSelf, wire::Verb::kEcho, kNetwork));
  EXPECT_EQ(f.network, 0u);
  f = facts_of(Point::kRules, frame);
  EXPECT_FALSE(f.id);
  ByteVector piece(40);
  wire::FragmentHeader header;
  header.id = 7;
  header.destination = kSelf;
  header.total = 2;
  header.number = 1;
  wire::encode_fragment_header(piece, header);
  f = facts_of(Point::kOuter, piece);
  EXPECT_EQ(f.id, 7u);
  EXPECT_EQ(f.destination, kSelf);
  EXPECT_FALSE(f.source);
  for (std::size_t n = 0; n < wire::kHeaderSize; ++n)
    EXPECT_FALSE(facts_of(Point::kOuter, Bytes(frame).first(n)).source) << n;
}

/// Sightings as a worker makes them, and what of them comes through.
struct Filtered {
  StoryFilter filter;
  std::vector<std::uint8_t> passed;  // the first byte of each block

  void see(std::uint64_t story, Point point, wire::Address peer, std::uint64_t network,
           const PacketFacts& facts, std::uint8_t mark) {
    Sighting s;
    s.story = story;
    s.spot.point = point;
    s.peer = peer;
    s.network = network;
    filter.add(s, facts, mark == 0 ? ByteVector{} : ByteVector(10, mark),
               [this](const ByteVector& block) { passed.push_back(block[0]); });
  }

  void see_packet(std::uint64_t story, Point point, const ByteVector& bytes, std::uint8_t mark) {
    see(story, point, {}, 0, facts_of(point, bytes), mark);
  }
};

TEST(StoryFilter, OfAPeerWholeStories) {
  Filtered f{{kPeer, {}}, {}};
  const ByteVector here = packet(kPeer, kSelf, wire::Verb::kFrame, kNetwork);
  const ByteVector there = packet(kOther, kSelf, wire::Verb::kFrame, kNetwork);
  PacketFacts piece;
  piece.destination = kSelf;
  f.see(1, Point::kOuter, {}, 0, piece, 10);  // says only for whom it is
  f.see(2, Point::kOuter, {}, 0, piece, 20);
  f.see_packet(2, Point::kOuter, there, 21);
  f.see_packet(2, Point::kDecrypted, there, 22);
  EXPECT_TRUE(f.passed.empty());
  f.see_packet(1, Point::kOuter, here, 11);
  EXPECT_EQ(f.passed, (std::vector<std::uint8_t>{10, 11}));
  f.see(1, Point::kHost, {}, kNetwork.value, {}, 12);
  f.see(2, Point::kHost, {}, kNetwork.value, {}, 23);
  EXPECT_EQ(f.passed, (std::vector<std::uint8_t>{10, 11, 12}));
}

TEST(StoryFilter, OfANetworkFromTheDatagramOn) {
  Filtered f{{{}, kNetwork}, {}};
  const ByteVector frame = packet(kPeer, kSelf, wire::Verb::kFrame, kNetwork);
  const ByteVector other =
      packet(kPeer, kSelf, wire::Verb::kFrame, wire::NetworkId{kNetwork.value + 1});
  const ByteVector echo = packet(kPeer, kSelf, wire::Verb::kEcho, kNetwork);
  for (const auto& [story, bytes] : {std::pair{1, frame}, {2, other}, {3, echo}}) {
    f.see_packet(static_cast<std::uint64_t>(story), Point::kOuter, bytes,
                 static_cast<std::uint8_t>(story * 10));
    f.see_packet(static_cast<std::uint64_t>(story), Point::kDecrypted, bytes, 0);  // not wanted
  }
  EXPECT_EQ(f.passed, (std::vector<std::uint8_t>{10}));
}

TEST(StoryFilter, OfAMulticastFrameOnlyTheCopiesForThatPeer) {
  Filtered f{{kPeer, kNetwork}, {}};
  f.see(1, Point::kHost, {}, kNetwork.value, {}, 10);
  f.see(1, Point::kRules, kOther, kNetwork.value, {}, 11);
  f.see(1, Point::kRules, kPeer, kNetwork.value, {}, 12);
  f.see_packet(1, Point::kOuter, packet(kSelf, kOther, wire::Verb::kFrame, kNetwork), 13);
  f.see_packet(1, Point::kOuter, packet(kSelf, kPeer, wire::Verb::kFrame, kNetwork), 14);
  EXPECT_EQ(f.passed, (std::vector<std::uint8_t>{10, 12, 14}));
}

TEST(StoryFilter, ForgetsTheOldestStoriesAndGrowsNoFurther) {
  Filtered f{{kPeer, {}}, {}};
  for (std::uint64_t story = 1; story <= StoryFilter::kStories + 1; ++story)
    f.see(story, Point::kHost, {}, 0, {}, 1);
  f.see(1, Point::kRules, kPeer, 0, {}, 2);
  EXPECT_EQ(f.passed.size(), 1u) << "what was held of the first is gone";
  f.see(StoryFilter::kStories + 1, Point::kRules, kPeer, 0, {}, 2);
  EXPECT_EQ(f.passed.size(), 3u);
  Sighting large;
  for (std::uint64_t story = 1; story <= StoryFilter::kBytes / 10'000 + 1; ++story) {
    large.story = story << 32;
    f.filter.add(large, {}, ByteVector(10'000), [](const ByteVector&) { FAIL(); });
  }
  large.story = std::uint64_t{1} << 32;
  large.peer = kPeer;
  std::size_t passed = 0;
  f.filter.add(large, {}, ByteVector(1), [&](const ByteVector&) { ++passed; });
  EXPECT_EQ(passed, 1u);
}

TEST(CaptureStream, WhoMayNotAndWhoIsLate) {
  EXPECT_EQ(start_capture(nullptr, "{}").status, 403);
  dataplane::Capture capture(1, {1, 2});
  for (const char* body : {"[]", "7", "{bad", R"({"snap":1})", R"({"x":1})"})
    EXPECT_EQ(start_capture(&capture, body).status, 400) << body;
  HttpResponse first = start_capture(&capture, "");
  EXPECT_EQ(first.status, 200);
  EXPECT_NE(first.stream, nullptr);
  EXPECT_EQ(start_capture(&capture, "{}").status, 409);
  first.stream.reset();
  EXPECT_EQ(start_capture(&capture, "{}").status, 200) << "the first one is over";
}

/// Types of the blocks in a part of a file, which holds whole blocks only.
std::vector<std::uint32_t> blocks_of(Bytes file) {
  std::vector<std::uint32_t> types;
  while (!file.empty()) {
    std::uint32_t type = 0, size = 0;
    if (file.size() < 12) {
      ADD_FAILURE() << "a block is cut";
      break;
    }
    std::memcpy(&type, file.data(), 4);
    std::memcpy(&size, file.data() + 4, 4);
    if (size < 12 || size > file.size()) {
      ADD_FAILURE() << "a block is cut";
      break;
    }
    types.push_back(type);
    file = file.subspan(size);
  }
  return types;
}

TEST(CaptureStream, EndsAfterSoManyPacketsWithItsStatistics) {
  dataplane::Capture capture(1, {1, 2});
  CaptureOptions options;
  options.count = 3;
  auto stream = CaptureStream::start(capture, options);
  ASSERT_NE(stream, nullptr);
  std::vector<char> room(16'000);
  std::size_t n = stream->read(room.data(), room.size()).value();
  EXPECT_EQ(blocks_of({reinterpret_cast<std::uint8_t*>(room.data()), n}),
            (std::vector<std::uint32_t>{0x0a0d0d0a, 1, 1, 1, 1}));
  EXPECT_EQ(stream->read(room.data(), room.size()), 0u) << "nothing yet";

  // A worker's part: five datagrams of control, which are sent.
  dataplane::Recorder& recorder = capture.recorder(0);
  ASSERT_TRUE(recorder.begin_turn());

  struct Buffer {
    rte_mbuf head{};
    dataplane::PacketMeta meta;
    std::array<std::uint8_t, 1'200> bytes{};
  };

  static_assert(offsetof(Buffer, meta) == sizeof(rte_mbuf), "as rte_mbuf_to_priv() finds it");
  std::vector<Buffer> buffers(5);
  for (Buffer& b : buffers) {
    b.head.buf_addr = b.bytes.data();
    b.head.data_len = static_cast<std::uint16_t>(b.bytes.size());
    b.meta.remote = wire::Endpoint::v4(0x0a000001, 9993);
    rte_mbuf* m = &b.head;
    recorder.choose_by_control(&m, 1);
    recorder.sent(&m, 1);
  }
  std::string text;
  std::vector<std::uint32_t> types;
  while (const auto more = stream->read(room.data(), 3'000)) {
    const Bytes part{reinterpret_cast<std::uint8_t*>(room.data()), *more};
    ASSERT_FALSE(part.empty());
    for (const std::uint32_t type : blocks_of(part)) types.push_back(type);
    text += text_of(part);
  }
  EXPECT_EQ(types, (std::vector<std::uint32_t>{6, 6, 6, 5, 5, 5, 5}));
  EXPECT_NE(text.find(" worker=0 "), std::string::npos);
  EXPECT_NE(text.find(" remote=10.0.0.1/9993 "), std::string::npos);
  EXPECT_NE(text.find(" from=control"), std::string::npos);
  EXPECT_EQ(text.find("drop="), std::string::npos);
  stream.reset();
  EXPECT_FALSE(recorder.begin_turn()) << "off";
}

}  // namespace
}  // namespace orrery::service
