// The local API: access, the recorded calls of zerotier-one 1.14.1 by their shape, and text from
// the network that is no UTF-8. docs/protocol/12-local-service.md section 5.
#include "service/local_api.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "fake_target.h"
#include "support/vectors.h"

namespace orrery::service {
namespace {

using nlohmann::json;
using test::FakeTarget;

constexpr const char* kToken = "abcdefghijklmnopqrstuvwx";

class LocalApiTest : public testing::Test {
 protected:
  HttpResponse ask(const std::string& method, const std::string& path, const std::string& body = {},
                   const std::string& token = kToken) {
    return api_.handle({method, path, token, false, body});
  }

  json get(const std::string& path) { return json::parse(ask("GET", path).body); }

  FakeTarget target_;
  LocalApi api_{kToken, [this](const std::function<void(ApiTarget&)>& run) {
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

TEST_F(LocalApiTest, ATokenInTheUrlIsRefusedEvenBesideARightOne) {
  EXPECT_EQ(api_.handle({"GET", "/status", kToken, true, {}}).status, 401);
  EXPECT_EQ(api_.handle({"GET", "/health", kToken, true, {}}).status, 401);
}

TEST_F(LocalApiTest, AnEmptyTokenOfOurOwnOpensNothing) {
  const LocalApi open("", [&](const std::function<void(ApiTarget&)>& run) {
    run(target_);
    return true;
  });
  EXPECT_EQ(open.handle({"GET", "/status", "", false, {}}).status, 401);
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
  const LocalApi stopping(kToken, [](const std::function<void(ApiTarget&)>&) { return false; });
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
  for (const char* path : {"/", "", "/status/", "/network/", "/network/123", "/moon/12",
                           "/peer/xyz", "/orrery/nothing", "/statusx", "/bond/list"}) {
    const HttpResponse r = ask("GET", path);
    EXPECT_EQ(r.status, 404) << path;
    EXPECT_EQ(r.body, "") << path;
  }
  EXPECT_EQ(ask("POST", "/status", "{}").status, 404);
  EXPECT_EQ(ask("PATCH", "/status").status, 405);
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
  control::NetworkStatus n;
  n.id = wire::NetworkId{0x3401ba0b9a000077};
  n.mac = wire::Mac{0x7660a6220594};
  n.name = "local api";
  n.state = control::NetworkState::kOk;
  n.broadcast = true;
  n.revision = 1;
  n.settings.allow_dns = true;
  n.addresses = {*wire::parse_endpoint("fd34:1ba:b9a:0:7799:9360:a6b8:e2e/88"),
                 *wire::parse_endpoint("10.55.0.41/24")};
  n.routes = {{*wire::parse_endpoint("10.55.0.0/24"), {}, 0},
              {*wire::parse_endpoint("10.66.0.0/16"), *wire::parse_endpoint("10.55.0.1/0"), 0}};
  for (const std::uint64_t mac : {0x01005e000001u, 0x333300000001u, 0x3333ff220594u})
    n.subscriptions.push_back({wire::Mac{mac}, 0});
  n.dns_domain = "loc.example";
  n.dns_servers = {*wire::parse_endpoint("10.55.0.53/0")};
  recorded["id"] = recorded["nwid"] = "3401ba0b9a000077";
  EXPECT_EQ(to_json(n, recorded["portDeviceName"].get<std::string>()), recorded);
}

/// Whether `ours` has everything that `recorded` has, with values of the same kind.
testing::AssertionResult covers(const json& recorded, const json& ours, const std::string& at) {
  const bool same = recorded.is_number() ? ours.is_number() : recorded.type() == ours.type();
  if (!same)
    return testing::AssertionFailure() << at << ": " << recorded << " is recorded, not " << ours;
  if (recorded.is_object()) {
    for (const auto& [key, value] : recorded.items()) {
      if (!ours.contains(key))
        return testing::AssertionFailure() << at << '.' << key << " is missing";
      if (auto r = covers(value, ours[key], at + "." + key); !r) return r;
    }
  } else if (recorded.is_array() && !recorded.empty() && !ours.empty()) {
    return covers(recorded[0], ours[0], at + "[0]");
  }
  return testing::AssertionSuccess();
}

std::string bound(std::string text, const json& bindings) {
  for (const auto& [name, value] : bindings.items()) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark))
      text.replace(at, mark.size(), value.get<std::string>());
  }
  return text;
}

TEST_F(LocalApiTest, RecordedCallsByTheirShape) {
  const json file = test::load_vectors("local_api.json");
  int compared = 0;
  for (const json& step : file["steps"]) {
    const std::string what = step.value("what", ""), path = bound(step["path"], file["bindings"]);
    if (what.starts_with("restarted")) target_.add_moon(file["identities"]["r"]);
    // Written settings and the metrics have no counterpart (docs/interop.md).
    if (test::strictness(step) != "must" || path == "/metrics" || path == "/config/settings")
      continue;
    const std::string auth = step.value("auth", "header");
    const HttpResponse r =
        ask(step["method"], path, bound(step.value("body", ""), file["bindings"]),
            auth == "none" || auth == "wrong" || auth == "metrics" ? "wrong" : kToken);
    const std::string trace = step["method"].get<std::string>() + " " + path + " (" + what + ")";
    EXPECT_EQ(r.status, step["status"]) << trace;
    const std::string recorded = step["response"];
    if (recorded.empty()) {
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
