// Events as streams: who hears what, from where on, and what a slow one misses.
#include "service/event_hub.h"

#include <gtest/gtest.h>

#include <array>

namespace orrery::service {
namespace {

constexpr wire::NetworkId kOne{0x1122334455000001}, kTwo{0x1122334455000002};
constexpr std::uint64_t kBegin = 1'000;

control::ControllerEvent event(std::uint64_t id, const char* type, wire::NetworkId network) {
  return {id, 5, type, "local", network, {}, nullptr};
}

/// What a stream has at present; "(end)" behind the last of it.
std::string read_all(HttpStream& stream, std::size_t room = 16'384) {
  std::string text;
  std::string chunk(room, ' ');
  for (;;) {
    const auto n = stream.read(chunk.data(), chunk.size());
    if (!n) return text + "(end)";
    if (*n == 0) return text;
    text.append(chunk, 0, *n);
  }
}

/// The ids in it.
std::vector<std::uint64_t> ids_in(const std::string& text) {
  std::vector<std::uint64_t> ids;
  for (std::size_t at = text.find("id: "); at != std::string::npos; at = text.find("\nid: ", at)) {
    at += text[at] == '\n' ? 5 : 4;
    ids.push_back(std::stoull(text.substr(at)));
  }
  return ids;
}

TEST(EventHub, EveryListenerHearsWhatItWants) {
  EventHub hub(kBegin);
  hub.publish({event(kBegin, "network.created", kOne)});
  const auto all = hub.open({}, 0);
  const auto one = hub.open({{}, std::set{kOne}}, 0);
  const auto types = hub.open({{"member.changed"}, std::nullopt}, 0);
  hub.publish({event(kBegin + 1, "member.changed", kTwo),
               event(kBegin + 2, "network.changed", kOne), event(kBegin + 3, "token.created", {})});
  const std::string text = read_all(*all);
  EXPECT_EQ(ids_in(text), (std::vector<std::uint64_t>{kBegin + 1, kBegin + 2, kBegin + 3}))
      << "nothing from before";
  EXPECT_NE(text.find("\nevent: network.changed\ndata: {\"actor\":\"local\","), std::string::npos);
  EXPECT_EQ(ids_in(read_all(*one)), std::vector<std::uint64_t>{kBegin + 2});
  EXPECT_EQ(ids_in(read_all(*types)), std::vector<std::uint64_t>{kBegin + 1});
  EXPECT_EQ(read_all(*all), "");
}

TEST(EventHub, GoesOnBehindTheLastOneAndTellsGaps) {
  EventHub hub(kBegin);
  std::uint64_t id = kBegin;
  for (int i = 0; i < 10; ++i) hub.publish({event(id++, "member.changed", kOne)});
  EXPECT_EQ(ids_in(read_all(*hub.open({}, kBegin + 6))),
            (std::vector<std::uint64_t>{kBegin + 7, kBegin + 8, kBegin + 9}));
  const auto from_before = hub.open({}, kBegin - 5);
  EXPECT_NE(read_all(*from_before).find("event: gap"), std::string::npos)
      << "of another life of the daemon";
  const auto slow = hub.open({}, 0);
  for (std::size_t i = 0; i < EventHub::kKept + 7; ++i)
    hub.publish({event(id++, "member.changed", kOne)});
  const std::string text = read_all(*slow, 64);
  EXPECT_NE(text.find("event: gap"), std::string::npos);
  EXPECT_EQ(text.find("event: gap"), text.rfind("event: gap")) << "once";
  EXPECT_EQ(ids_in(text).size(), EventHub::kKept);
  EXPECT_EQ(ids_in(text).back(), id - 1);
}

TEST(EventHub, OnlySoManyListenAndAllEnd) {
  EventHub hub(kBegin);
  std::vector<std::shared_ptr<HttpStream>> streams;
  for (std::size_t i = 0; i < EventHub::kStreams; ++i) streams.push_back(hub.open({}, 0));
  EXPECT_EQ(hub.open({}, 0), nullptr);
  streams.pop_back();
  EXPECT_NE(hub.open({}, 0), nullptr) << "and is gone again";
  hub.close();
  EXPECT_TRUE(read_all(*streams[0]).ends_with("(end)"));
  EXPECT_EQ(hub.open({}, 0), nullptr);
}

}  // namespace
}  // namespace orrery::service
