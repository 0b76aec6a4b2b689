// The local API: access, the recorded calls of zerotier-one 1.14.1 by their shape, and text from
// the network that is no UTF-8. docs/protocol/12-local-service.md section 5.
#include "service/local_api.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "fake_target.h"
#include "support/json_shape.h"
#include "support/vectors.h"

namespace orrery::service {
namespace {

using nlohmann::json;
using test::bound;
using test::covers;
using test::FakeTarget;

constexpr const char* kToken = "abcdefghijklmnopqrstuvwx";
constexpr const char* kMetricsToken = "xwvutsrqponmlkjihgfedcba";

class LocalApiTest : public testing::Test {
 protected:
  HttpResponse ask(const std::string& method, const std::string& path, const std::string& body = {},
                   const std::string& token = kToken) {
    return api_.handle({method, path, token, false, body});
  }

  json get(const std::string& path) { return json::parse(ask("GET", path).body); }

  FakeTarget target_;
  LocalApi api_{{kToken, kMetricsToken}, [this](const std::function<void(ApiTarget&)>& run) {
                  run(target_);
                  return true;
                }};
};

TEST_F(LocalApiTest, EveryPathButHealthNeedsTheToken) {
  for (const char* path :
       {"/status", "/network", "/peer", "/moon", "/config", "/controller", "/orrery/drops", "/x"}) {
    for (const std::string& token :
         {std::string(), std::string("wrong"), std::string(kToken).substr(1),
          std::string(kToken) + "x", std::string(kToken).replace(23, 1, "y")}) {
      const HttpResponse r = ask("GET", path, {}, token);
      EXPECT_EQ(r.status, 401) << path << " with \"" << token << '"';
      EXPECT_EQ(r.body, "{}");
    }
    EXPECT_NE(ask("GET", path).status, 401) << path;
  }
  EXPECT_EQ(ask("GET", "/health", {}, "").status, 200);
}

TEST_F(LocalApiTest, ALongListIsPutTogether) {
  const HttpResponse r = ask("GET", "/controller/long");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "0123");
}

TEST_F(LocalApiTest, BondsAreShownAndTurned) {
  const std::string root = target_.root_text();
  EXPECT_EQ(ask("GET", "/bond/show/" + root).status, 400) << "not bonded";
  EXPECT_EQ(ask("POST", "/bond/rotate/" + root).status, 400);
  target_.bonded = true;
  const HttpResponse shown = ask("GET", "/bond/show/" + root);
  ASSERT_EQ(shown.status, 200);
  const json peer = json::parse(shown.body);
  EXPECT_EQ(peer["isBonded"], true);
  EXPECT_EQ(peer["bondingPolicyCode"], 1);
  EXPECT_EQ(peer["bondingPolicyStr"], "active-backup");
  EXPECT_EQ(peer["numTotalLinks"], 2);
  EXPECT_EQ(peer["numAliveLinks"], 1);
  EXPECT_TRUE(peer["paths"][0].contains("latencyMean"));
  EXPECT_EQ(ask("POST", "/bond/rotate/" + root).status, 200);
  EXPECT_EQ(ask("POST", "/bond/rotate/1122334455").status, 400);
  EXPECT_EQ(ask("POST", "/bond/rotate/nobody").status, 400);
  EXPECT_EQ(ask("POST", "/bond/setmtu/1400/eth0/10.0.0.1").status, 400) << "probes find it out";
}

TEST_F(LocalApiTest, ThePageIsServedToAnybodyAndReachesNobodyElse) {
  EXPECT_EQ(ask("GET", "/", {}, "").headers.at("Location"), "/ui/");
  const HttpResponse page = ask("GET", "/ui/", {}, "");
  ASSERT_EQ(page.status, 200);
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  EXPECT_NE(page.headers.at("Content-Security-Policy").find("default-src 'none'"),
            std::string::npos);
  // What it loads is there, and no file names another host.
  std::vector<std::string> files{"/ui/"};
  for (const char* attribute : {"src=\"", "rel=\"stylesheet\" href=\""}) {
    for (std::size_t at = page.body.find(attribute); at != std::string::npos;
         at = page.body.find(attribute, at + 1)) {
      const std::size_t begin = at + std::string_view(attribute).size();
      files.push_back("/ui/" + page.body.substr(begin, page.body.find('"', begin) - begin));
    }
  }
  EXPECT_EQ(files.size(), 6u);
  for (const std::string& file : files) {
    const HttpResponse r = ask("GET", file, {}, "");
    EXPECT_EQ(r.status, 200) << file;
    EXPECT_FALSE(r.body.empty()) << file;
    EXPECT_EQ(r.body.find("src=\"http"), std::string::npos) << file;
    EXPECT_EQ(r.body.find("url(http"), std::string::npos) << file;
  }
  EXPECT_EQ(ask("GET", "/ui/../authtoken.secret", {}, "").status, 404);
  EXPECT_EQ(ask("POST", "/ui/", {}, "").status, 401);
}

TEST_F(LocalApiTest, ScopedTokensReachTheirOwnPathsAlone) {
  EXPECT_EQ(ask("GET", "/api/v1/status").status, 200);
  EXPECT_EQ(target_.last_v1.path, "/api/v1/status");
  EXPECT_EQ(ask("GET", "/api/v1/status", {}, "orr_of_somebody").status, 401)
      << "the target decides";
  EXPECT_EQ(target_.last_v1.token, "orr_of_somebody");
  for (const char* path : {"/status", "/controller", "/peer", "/api/v2/status", "/api/v1x"})
    EXPECT_EQ(ask("GET", path, {}, "orr_of_somebody").status, 401) << path;
  HttpRequest in_url{"GET", "/api/v1/status", kToken, true, {}};
  EXPECT_EQ(api_.handle(in_url).status, 401);
}

TEST_F(LocalApiTest, ATokenInTheUrlIsRefusedEvenBesideARightOne) {
  EXPECT_EQ(api_.handle({"GET", "/status", kToken, true, {}}).status, 401);
  EXPECT_EQ(api_.handle({"GET", "/health", kToken, true, {}}).status, 401);
}

TEST_F(LocalApiTest, AnEmptyTokenOfOurOwnOpensNothing) {
  const LocalApi open({}, [&](const std::function<void(ApiTarget&)>& run) {
    run(target_);
    return true;
  });
  EXPECT_EQ(open.handle({"GET", "/status", "", false, {}}).status, 401);
  EXPECT_EQ(open.handle({"GET", "/metrics", "", false, {}}).status, 401);
}

TEST_F(LocalApiTest, NamesAndDomainsThatAreNoUtf8AreShownWithReplacements) {
  control::NetworkStatus network;
  network.id = wire::NetworkId{0x8056c2e21c000001};
  network.name = "caf\xe9 \xff\xfe";
  network.dns_domain = std::string("\xc3", 1);  // a letter that was cut
  target_.joined.push_back(network);
  for (const char* path : {"/network", "/network/8056c2e21c000001"}) {
    const HttpResponse r = ask("GET", path);
    ASSERT_EQ(r.status, 200) << r.body;
    ASSERT_FALSE(json::parse(r.body, nullptr, false).is_discarded()) << r.body;
  }
  EXPECT_EQ(get("/network")[0]["dns"]["domain"], "\uFFFD");
  EXPECT_EQ(ask("POST", "/network/8056c2e21c000001", "{}").status, 200);
}

TEST_F(LocalApiTest, WhatTheNodeThrowsBecomes500) {
  target_.failure = "status cannot \xff be had";
  const HttpResponse r = ask("GET", "/status");
  EXPECT_EQ(r.status, 500);
  const json error = json::parse(r.body);
  EXPECT_EQ(error["error"], 500);
  EXPECT_NE(error["description"].get<std::string>().find("cannot"), std::string::npos);
  target_.failure.clear();
  EXPECT_EQ(ask("GET", "/status").status, 200);
}

TEST_F(LocalApiTest, AStoppingDaemonAnswers503) {
  const LocalApi stopping({kToken, {}},
                          [](const std::function<void(ApiTarget&)>&) { return false; });
  EXPECT_EQ(stopping.handle({"GET", "/status", kToken, false, {}}).status, 503);
}

TEST_F(LocalApiTest, BodiesThatAreNoObjectCountAsEmpty) {
  const std::string deep(500'000, '[');
  const std::string deep_object =
      "{\"allowGlobal\":true,\"x\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  for (const std::string& body :
       {std::string(), std::string("{bad"), std::string("[1]"), std::string("null"),
        std::string("\"text\""), std::string("{\"a\":\"\xff\"}"), deep, deep_object,
        std::string("{\"allowGlobal\":\"yes\",\"seed\":7}")}) {
    EXPECT_EQ(ask("POST", "/network/8056c2e21c000001", body).status, 200);
    EXPECT_EQ(ask("POST", "/moon/1122334455", body).status, 200);
  }
  EXPECT_FALSE(target_.joined.at(0).settings.allow_global);
  EXPECT_TRUE(target_.orbited.empty());
}

TEST_F(LocalApiTest, PathsThatDoNotExist) {
  for (const char* path : {"", "/status/", "/network/", "/network/123", "/moon/12", "/peer/xyz",
                           "/orrery/nothing", "/statusx", "/bond/list"}) {
    const HttpResponse r = ask("GET", path);
    EXPECT_EQ(r.status, 404) << path;
    EXPECT_EQ(r.body, "") << path;
  }
  EXPECT_EQ(ask("POST", "/status", "{}").status, 404);
  EXPECT_EQ(ask("PATCH", "/status").status, 405);
}

TEST_F(LocalApiTest, PinsComeAndGo) {
  const std::string one(96, 'a'), two(96, '0');
  const HttpResponse put =
      ask("POST", "/orrery/pins", R"({"1122334455":")" + one + R"(","99aabbccdd":")" + two + "\"}");
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(json::parse(put.body)["pinned"], 2);
  EXPECT_EQ(get("/orrery/pins"), (json{{"1122334455", one}, {"99aabbccdd", two}}));
  EXPECT_EQ(ask("DELETE", "/orrery/pins/1122334455").status, 200);
  EXPECT_EQ(ask("DELETE", "/orrery/pins/1122334455").status, 404);
  EXPECT_EQ(ask("DELETE", "/orrery/pins/nobody").status, 404);
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string(R"({"1122334455":"ab"})"),
        R"({"11":")" + one + "\"}", R"({"1122334455":")" + one + R"(","x":1})"}) {
    const HttpResponse refused = ask("POST", "/orrery/pins", bad);
    EXPECT_EQ(refused.status, 400) << bad;
    EXPECT_TRUE(json::parse(refused.body).contains("error"));
  }
  EXPECT_EQ(target_.pins.size(), 1U) << "all of a body or nothing";
}

TEST_F(LocalApiTest, ASeedMayComeWithItsFingerprint) {
  const std::string hash(96, 'b');
  EXPECT_EQ(
      ask("POST", "/moon/1122334455", R"({"seed":"99aabbccdd","fingerprint":")" + hash + "\"}")
          .status,
      200);
  EXPECT_EQ(target_.pins.at(wire::Address{0x99aabbccdd})[0], 0xbb);
  EXPECT_EQ(ask("POST", "/moon/1122334456", R"({"seed":"99aabbccdd","fingerprint":"bb"})").status,
            400);
  EXPECT_EQ(ask("POST", "/moon/1122334456", R"({"seed":"99aabbccdd","fingerprint":7})").status,
            400);
  EXPECT_EQ(target_.orbited.size(), 1U) << "never without it, if it was asked for";
  EXPECT_EQ(ask("POST", "/moon/1122334455667788", R"({"seed":"99aabbccdd"})").status, 200);
  EXPECT_EQ(target_.orbited.at(1).id, 0x1122334455667788U);
}

TEST_F(LocalApiTest, RootsAreAskedOnRequest) {
  EXPECT_EQ(json::parse(ask("POST", "/orrery/roots/check", "{}").body)["asked"], 1);
  EXPECT_EQ(ask("POST", "/orrery/roots/check", R"({"world":"0000001122334455"})").status, 200);
  EXPECT_EQ(ask("POST", "/orrery/roots/check", R"({"world":"nonsense"})").status, 400);
  EXPECT_EQ(target_.checked, (std::vector<std::uint64_t>{0, 0x1122334455}));
}

TEST_F(LocalApiTest, PeerAddressesInEitherCase) {
  EXPECT_EQ(get("/peer/" + target_.root_text())["address"], target_.root_text());
  std::string upper = target_.root_text();
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(get("/peer/" + upper)["address"], target_.root_text());
}

TEST_F(LocalApiTest, ANetworkAsRecorded) {
  json recorded;
  for (const json& step : test::cases("local_api.json", "steps")) {
    if (step.value("what", "") == "joined and configured")
      recorded = json::parse(step["response"].get<std::string>())[0];
  }
  ASSERT_TRUE(recorded.is_object());
  recorded["id"] = recorded["nwid"] = "3401ba0b9a000077";
  EXPECT_EQ(to_json(test::recorded_network(), recorded["portDeviceName"].get<std::string>()),
            recorded);
}

TEST_F(LocalApiTest, RecordedCallsByTheirShape) {
  const json file = test::load_vectors("local_api.json");
  int compared = 0;
  for (const json& step : file["steps"]) {
    const std::string what = step.value("what", ""), path = bound(step["path"], file["bindings"]);
    if (what.starts_with("restarted")) target_.add_moon(file["identities"]["r"]);
    // Written settings have no counterpart (docs/interop.md).
    if (test::strictness(step) != "must" || path == "/config/settings") continue;
    const std::string auth = step.value("auth", "header");
    const HttpResponse r =
        ask(step["method"], path, bound(step.value("body", ""), file["bindings"]),
            auth == "metrics"                   ? kMetricsToken
            : auth == "none" || auth == "wrong" ? "wrong"
                                                : kToken);
    const std::string trace = step["method"].get<std::string>() + " " + path + " (" + what + ")";
    EXPECT_EQ(r.status, step["status"]) << trace;
    const std::string recorded = step["response"];
    if (step.value("response_type", "") == "text/plain") {
      EXPECT_EQ(r.type, "text/plain") << trace;
      EXPECT_NE(r.body.find("\nzt_num_networks "), std::string::npos) << "metrics_test.cc has more";
    } else if (recorded.empty()) {
      EXPECT_EQ(r.body, "") << trace;
    } else {
      json expected = json::parse(recorded);
      if (path == "/config") expected["settings"].erase("vectorSetting");
      if (expected.contains("config")) expected["config"]["settings"].erase("vectorSetting");
      EXPECT_TRUE(covers(expected, json::parse(r.body), trace));
    }
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

}  // namespace
}  // namespace orrery::service
