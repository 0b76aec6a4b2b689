// The HTTP API: the recorded calls of zerotier-one 1.14.1, and hostile bodies.
// docs/protocol/11-controller.md section 7.
#include <gtest/gtest.h>

#include "lab.h"
#include "support/json_shape.h"

namespace orrery::test {
namespace {

using nlohmann::json;

/// Sets fields that change from run to run to 0, at any depth; sorts lists of records, whose order
/// is not kept.
json comparable(json value, const std::set<std::string>& volatile_fields) {
  if (value.is_object()) {
    for (auto& [key, member] : value.items()) {
      member = volatile_fields.contains(key) && member != 0 ? json("volatile")
                                                            : comparable(member, volatile_fields);
    }
    if (value.contains("data") && value["data"].is_array())
      std::sort(value["data"].begin(), value["data"].end());
  } else if (value.is_array()) {
    for (auto& member : value) member = comparable(member, volatile_fields);
  }
  return value;
}

/// The status text with another time.
std::string with_clock(std::string text, Millis clock) {
  const std::string key = "\"clock\": ";
  const std::size_t begin = text.find(key) + key.size();
  return text.replace(begin, text.find(',', begin) - begin, std::to_string(clock));
}

TEST(Api, RecordedCalls) {
  const json file = load_vectors("controller_api.json");
  std::set<std::string> volatile_fields;
  for (const json& name : file["volatile_fields"]) volatile_fields.insert(name.get<std::string>());
  json bindings = file["bindings"];
  // The recording node's secret is not ours: every text that has its address has ours instead.
  ControllerLab lab;
  const std::string recorded = bindings["controller"], own = wire::to_string(lab.self());
  for (auto& [name, value] : bindings.items()) {
    std::string text = value;
    if (text.starts_with(recorded)) text.replace(0, recorded.size(), own);
    value = text;
  }
  const auto a = wire::parse_identity(bindings["identity_of_a"].get<std::string>());
  ASSERT_TRUE(a);

  std::size_t compared = 0;
  const json steps = file["steps"];
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const json& step = steps[i];
    const std::string auth = step.value("auth", "");
    const std::string what = step.value("what", "");
    std::string path = step["path"];
    // Access and query parameters are the service's business (tests/service); so is JSONP, which we
    // refuse.
    if (auth == "none" || auth == "wrong" || auth == "param" || path.find('?') != std::string::npos)
      continue;
    SCOPED_TRACE("step " + std::to_string(i) + " " + what + " " + path);
    lab.advance(10);
    // What the recording's node did in between: it asked, and asked again once authorised.
    if (what == "the node has asked to join") {
      EXPECT_EQ(lab.request(lab.network(0x0a0002), a->identity).error,
                wire::ErrorCode::kNetworkAccessDenied);
    }
    if (what == "authorised and configured") {
      lab.advance(5'000);
      EXPECT_TRUE(lab.request(lab.network(0x0a0002), a->identity).config);
    }
    const std::string body = step.contains("body") ? bound(step["body"], bindings) : "";
    const control::HttpAnswer answer = lab.controller.handle(
        lab.now, step["method"].get<std::string>(), bound(path, bindings), body, lab.out);
    EXPECT_EQ(answer.status, step["status"].get<int>());
    const std::string expected = bound(step.value("response", ""), bindings);
    if (answer.status == 200) {
      const json got = json::parse(answer.body);
      json want = json::parse(bound(step["response"], bindings));
      // Ids that the recording's node made up: ours are learnt from the answers.
      if (step["method"] != "GET" && got.contains("id") &&
          (path == "/controller/network" || path.ends_with("______"))) {
        for (const char* name : {"created1", "created2", "created3"}) {
          if (bindings[name] == want["id"]) bindings[name] = got["id"];
        }
        want = json::parse(bound(step["response"], bindings));
      }
      if (want.is_array()) {
        auto sorted = got;
        std::sort(sorted.begin(), sorted.end());
        std::sort(want.begin(), want.end());
        EXPECT_EQ(comparable(sorted, volatile_fields), comparable(want, volatile_fields));
      } else {
        EXPECT_EQ(comparable(got, volatile_fields), comparable(want, volatile_fields));
      }
      // The exact form: compact with sorted keys, or with tabs for the status.
      EXPECT_EQ(answer.body,
                path == "/controller" ? with_clock(expected, lab.now.wall) : got.dump());
      ++compared;
    } else if (answer.status == 500) {
      // The recorded descriptions are not to be compared (and not even escaped).
      const json got = json::parse(answer.body);
      EXPECT_EQ(got["error"], 500);
      EXPECT_TRUE(got["description"].is_string());
      EXPECT_TRUE(expected.starts_with("{\"error\": 500, "));
      ++compared;
    } else {
      EXPECT_EQ(answer.body, expected);
      ++compared;
    }
  }
  EXPECT_GE(compared, steps.size() - 5);
}

TEST(Api, OldFormNeedsOurAddress) {
  ControllerLab lab;
  EXPECT_EQ(
      lab.controller.handle(lab.now, "POST", "/controller/network/1122334455______", "{}", lab.out)
          .status,
      400);
  EXPECT_EQ(
      lab.controller.handle(lab.now, "GET", "/controller/network/1122334455______", "", lab.out)
          .status,
      404);
  const auto made = lab.call(
      "POST", "/controller/network/" + wire::to_string(lab.self()) + "______", json::object());
  EXPECT_TRUE(made["id"].get<std::string>().starts_with(wire::to_string(lab.self())));
}

TEST(Api, EmptyAddressesAreNone) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const json network =
      lab.set_network(id, {{"routes", {{{"target", ""}}, {{"target", "10.0.0.0/8"}, {"via", ""}}}},
                           {"ipAssignmentPools", {{{"ipRangeStart", ""}, {"ipRangeEnd", ""}}}},
                           {"dns", {{"domain", "x"}, {"servers", {""}}}}});
  EXPECT_EQ(network["routes"], json::array({{{"target", "10.0.0.0/8"}, {"via", nullptr}}}));
  EXPECT_EQ(network["ipAssignmentPools"], json::array());
  EXPECT_EQ(
      lab.set_member(id, wire::Address{0x1122334455}, {{"ipAssignments", {""}}})["ipAssignments"],
      json::array());
  EXPECT_TRUE(lab.controller.registry().find(id)->view->dns_servers.empty());
}

TEST(Api, UpperCaseIsTheSameRecord) {
  ControllerLab lab;
  lab.set_network(wire::NetworkId{0xabcdef0123456789}, {{"name", "x"}});
  EXPECT_EQ(lab.call("GET", "/controller/network/ABCDEF0123456789", nullptr)["id"],
            "abcdef0123456789");
}

TEST(Api, HostileBodiesChangeNothing) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(id, {{"name", "before"}});
  lab.set_member(id, wire::Address{0x1122334455}, {{"name", "before"}});
  const auto disk = lab.disk;
  const std::string deep =
      "{\"dns\":{\"domain\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}}";
  const std::vector<std::string> bodies = {"",
                                           "{",
                                           "{\"name\":NaN}",
                                           "{\"name\":\"\xff\xfe\"}",
                                           "{\"name\":1e999}",
                                           deep,
                                           "{\"name\":\"\\ud800\"}",
                                           std::string(1 << 20, '{'),
                                           std::string("{\"name\":\"x\0\"}", 13)};
  for (const std::string& network_path : {"/controller/network/" + wire::to_string(id)}) {
    for (const std::string& path : {network_path, network_path + "/member/1122334455"}) {
      for (const std::string& body : bodies) {
        EXPECT_EQ(lab.controller.handle(lab.now, "POST", path, body, lab.out).status, 500)
            << body.substr(0, 40);
        lab.commit();
        EXPECT_EQ(lab.disk, disk);
      }
    }
    // Half of it is fine, the other half cannot be taken.
    EXPECT_EQ(
        lab.controller
            .handle(lab.now, "POST", network_path,
                    R"({"name":"after","rules":[{"type":"MATCH_CHARACTERISTICS","mask":true}]})",
                    lab.out)
            .status,
        500);
    EXPECT_EQ(lab.controller
                  .handle(lab.now, "POST", network_path + "/member/1122334455",
                          R"({"name":"after","ipAssignments":["10.0.0.1",{}]})", lab.out)
                  .status,
              500);
    lab.commit();
    EXPECT_EQ(lab.disk, disk);
  }
}

TEST(Api, LongListsComeInPieces) {
  ControllerLab lab;
  const wire::NetworkId id = lab.network(1);
  lab.set_network(id, json::object());
  const std::size_t members = 2 * control::Controller::kRecordsPerTurn + 3;
  for (std::size_t i = 1; i <= members; ++i)
    lab.set_member(id, wire::Address{0x1000000000 + i}, {{"name", i}});
  const std::string path = "/controller/network/" + wire::to_string(id) + "/member";
  const json ids = lab.call("GET", path, nullptr);
  ASSERT_EQ(ids.size(), members);
  EXPECT_EQ(ids["1000000001"], 1);

  auto piece = lab.controller.handle(lab.now, "GET", "/unstable" + path, "", lab.out);
  std::string text = piece.body;
  std::size_t pieces = 1;
  // What goes in between is not told of; what changes is, once.
  lab.call("DELETE", path + "/1000000001", nullptr);
  lab.call("DELETE", path + "/" + wire::to_string(wire::Address{0x1000000000 + members}), nullptr);
  lab.set_member(id, wire::Address{0x1000000002}, {{"name", "changed"}});
  for (; piece.rest; ++pieces) {
    piece = lab.controller.go_on(*piece.rest);
    text += piece.body;
  }
  EXPECT_EQ(pieces, 3);
  const json all = json::parse(text);
  EXPECT_EQ(all["data"].size(), members - 1);
  EXPECT_EQ(all["meta"], json({{"totalCount", members - 2}, {"authorizedCount", 0}}));
  std::set<std::string> seen;
  for (const json& member : all["data"]) seen.insert(member["id"]);
  EXPECT_EQ(seen.size(), members - 1);

  // A network that goes meanwhile: what there was, and an end.
  piece = lab.controller.handle(lab.now, "GET", "/unstable" + path, "", lab.out);
  text = piece.body;
  lab.call("DELETE", "/controller/network/" + wire::to_string(id), nullptr);
  while (piece.rest) {
    piece = lab.controller.go_on(*piece.rest);
    text += piece.body;
  }
  EXPECT_EQ(json::parse(text)["data"].size(), control::Controller::kRecordsPerTurn);
}

TEST(Api, PathsThatDoNotExist) {
  ControllerLab lab;
  lab.set_network(lab.network(1), json::object());
  const std::string id = wire::to_string(lab.network(1));
  for (const std::string path :
       {"", "/", "/controllers", "/controller/", "/controller/network/",
        "/controller/network/../network", "/controller/network/0000000000000000",
        "/unstable/controller", "/unstable/controller/network/x", "/unstable",
        "/controller/network/8056c2e21c00000z", "/controller/network/%2e%2e%2f%2e%2e%2fetc"}) {
    EXPECT_EQ(lab.controller.handle(lab.now, "GET", path, "", lab.out).status, 404) << path;
  }
  for (const std::string tail :
       {"/members", "/member/", "/member/0000000000", "/member/ff00000000", "/member/112233445",
        "/member/11223344556", "/member/1122334455/", "/member/11223344 5"}) {
    EXPECT_EQ(
        lab.controller.handle(lab.now, "POST", "/controller/network/" + id + tail, "{}", lab.out)
            .status,
        404)
        << tail;
  }
  EXPECT_EQ(
      lab.controller.handle(lab.now, "POST", "/unstable/controller/network", "{}", lab.out).status,
      404);
  EXPECT_EQ(lab.controller.handle(lab.now, "DELETE", "/controller/network", "", lab.out).status,
            404);
}

}  // namespace
}  // namespace orrery::test
