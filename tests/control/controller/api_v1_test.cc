// /api/v1 against its own document: what it promises is there, what it does not allow is refused
// with its place, and nobody sees what his token does not permit.
#include <gtest/gtest.h>

#include "api_v1_lab.h"

namespace orrery::test {
namespace {

using nlohmann::json;

struct ApiV1 : testing::Test {
  std::string make_network(const json& fields = json::object()) {
    const auto made = lab.ask("POST", "/networks", fields);
    EXPECT_EQ(made.status, 201) << made.body;
    return made.body["id"];
  }

  [[nodiscard]] static std::string at(const std::string& network, const std::string& rest = {}) {
    return "/networks/" + network + rest;
  }

  /// The text of a new token, which is used from now on.
  std::string use_token(const json& fields) {
    lab.token.clear();
    const auto made = lab.ask("POST", "/tokens", fields);
    EXPECT_EQ(made.status, 201) << made.body;
    return lab.token = made.body["token"];
  }

  ApiV1Lab lab;
};

TEST_F(ApiV1, TheDocumentIsWholeAndServedAsItIs) {
  const auto served = lab.ask("GET", "/openapi.json");
  EXPECT_EQ(served.body, lab.document());
  EXPECT_EQ(served.body["openapi"], "3.1.0");
  std::set<std::string> ids;
  for (const auto& [path, operations] : lab.document()["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      SCOPED_TRACE(method + " " + path);
      EXPECT_TRUE(ids.insert(operation["operationId"]).second);
      EXPECT_FALSE(operation["summary"].get<std::string>().empty());
      EXPECT_TRUE(operation["responses"].contains("401") || path.ends_with("openapi.json"));
      // Every name in the path is a parameter, and the other way round.
      std::set<std::string> named;
      for (std::size_t i = path.find('{'); i != std::string::npos; i = path.find('{', i + 1))
        named.insert(path.substr(i + 1, path.find('}', i) - i - 1));
      for (const json& p : operation.value("parameters", json::array())) {
        EXPECT_TRUE(p["in"] != "path" || named.erase(p["name"]) == 1) << p;
        EXPECT_TRUE(p["in"] == "path" || p["in"] == "query" || p["in"] == "header");
      }
      EXPECT_TRUE(named.empty());
      // It is served: whatever comes, it is not "no such path".
      std::string concrete = path.substr(std::string("/api/v1").size());
      for (const auto& [name, value] : {std::pair{"{network}", wire::to_string(lab.network(9))},
                                        {"{member}", std::string("1122334455")},
                                        {"{id}", std::string("0011223344556677")}}) {
        if (const auto i = concrete.find(name); i != std::string::npos)
          concrete.replace(i, std::string(name).size(), value);
      }
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      const auto reply =
          lab.ask(upper, concrete, operation.contains("requestBody") ? json::object() : json());
      EXPECT_NE(reply.status, 405);
      if (reply.status == 404) {
        EXPECT_EQ(reply.body.dump().find("no such path"), std::string::npos);
      }
    }
  }
  EXPECT_EQ(lab.ask("GET", "/nothing").status, 404);
  EXPECT_EQ(lab.ask("PUT", "/networks").status, 405);
  EXPECT_EQ(lab.ask("GET", "/networks/").status, 404);
}

TEST_F(ApiV1, ANetworkFromBeginningToEnd) {
  const auto made =
      lab.ask("POST", "/networks",
              {{"name", "office"},
               {"v4AssignMode", {{"zt", true}}},
               {"v6AssignMode", {{"rfc4193", true}}},
               {"routes", {{{"target", "10.0.0.0/24"}}}},
               {"ipAssignmentPools", {{{"ipRangeStart", "10.0.0.1"}, {"ipRangeEnd", "10.0.0.9"}}}},
               {"dns", {{"domain", "x.example"}, {"servers", {"10.0.0.53"}}}},
               {"certificateTimeoutWindowSize", 600'000},
               {"rulesSource", "accept;"},
               {"authTokens", {{"secret", 0}}},
               {"remoteTraceLevel", 3}});
  ASSERT_EQ(made.status, 201);
  const std::string id = made.body["id"];
  EXPECT_EQ(made.location, "/api/v1/networks/" + id);
  const auto read = lab.ask("GET", at(id));
  EXPECT_EQ(read.body, made.body);
  EXPECT_EQ(read.etag, made.etag);
  EXPECT_EQ(read.body["v6AssignMode"], (json{{"rfc4193", true}, {"zt", false}, {"6plane", false}}));
  EXPECT_EQ(read.body["certificateTimeoutWindowSize"], 600'000);
  EXPECT_EQ(lab.ask("GET", at(id), nullptr, {}, {}, read.etag).status, 304);
  EXPECT_EQ(lab.ask("GET", at(id), nullptr, {}, {}, "\"0-0\", " + read.etag).status, 304);
  EXPECT_EQ(lab.ask("GET", at(id), nullptr, {}, {}, "\"0-0\"").status, 200);

  const auto changed = lab.ask("PATCH", at(id), {{"name", "lab"}}, {}, read.etag);
  EXPECT_EQ(changed.status, 200);
  EXPECT_NE(changed.etag, read.etag);
  EXPECT_EQ(changed.body["remoteTraceLevel"], 3) << "what is not mentioned stays";
  EXPECT_EQ(changed.body["dns"]["domain"], "x.example");
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "other"}}, {}, read.etag).status, 412);
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "lab"}}).etag, changed.etag) << "nothing changed";
  // The stock paths see the same record.
  EXPECT_EQ(lab.call("GET", "/controller/network/" + id, nullptr)["name"], "lab");
  EXPECT_EQ(lab.ask("DELETE", at(id), nullptr, {}, read.etag).status, 412);
  EXPECT_EQ(lab.ask("DELETE", at(id), nullptr, {}, changed.etag).status, 204);
  EXPECT_EQ(lab.ask("GET", at(id)).status, 404);
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "x"}}).status, 404);
  // With an id of one's choice.
  lab.advance(1);
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "x"}}, {}, {}, "*").status, 201);
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "x"}}, {}, {}, "*").status, 412);
  EXPECT_NE(lab.ask("GET", at(id)).etag, made.etag) << "another record of the same id";
  EXPECT_EQ(lab.ask("PATCH", "/networks/1122334455000001", {{"name", "x"}}, {}, {}, "*").path(),
            "network");
}

TEST_F(ApiV1, SourcesAreCompiledForThoseWhoAsk) {
  const auto compile = [&](const std::string& source) {
    return lab.ask("POST", "/rules/compile", {{"source", source}});
  };
  const auto good =
      compile("tag team id 7 enum 1 red default red;\ndrop not ethertype ipv4;\naccept;\n");
  ASSERT_EQ(good.status, 200);
  EXPECT_EQ(good.body["rules"].size(), 3u);
  EXPECT_EQ(good.body["tags"], json::parse(R"([{"id":7,"default":1}])"));
  EXPECT_TRUE(good.body["capabilities"].empty());
  EXPECT_FALSE(good.body.contains("error"));
  const auto made =
      lab.ask("POST", "/networks", {{"rules", good.body["rules"]}, {"tags", good.body["tags"]}});
  EXPECT_EQ(made.status, 201) << "what comes out is what goes in";
  const auto bad = compile("accept;\ndrop not ethertype nonsense;\n");
  ASSERT_EQ(bad.status, 200);
  EXPECT_EQ(bad.body.size(), 1u);
  EXPECT_EQ(bad.body["error"]["line"], 2);
  EXPECT_EQ(bad.body["error"]["column"], 20);
  EXPECT_NE(bad.body["error"]["message"].get<std::string>().find("nonsense"), std::string::npos);
  EXPECT_EQ(compile("").status, 200);
  EXPECT_EQ(lab.ask("POST", "/rules/compile", {{"source", 7}}).path(), "$.source");
}

TEST_F(ApiV1, WhatIsReadCanBeSetAgain) {
  const std::string id = make_network(
      {{"rules",
        {{{"type", "MATCH_ETHERTYPE"}, {"etherType", 2048}, {"not", true}},
         {{"type", "ACTION_DROP"}},
         {{"type", "MATCH_ICMP"}, {"icmpType", 8}},
         {{"type", "MATCH_CHARACTERISTICS"}, {"mask", "0000000000000002"}},
         {{"type", "MATCH_IPV6_DEST"}, {"ip", "fd00::/8"}},
         {{"type", "ACTION_TEE"}, {"address", "1122334455"}},
         {{"type", "ACTION_ACCEPT"}}}},
       {"capabilities", {{{"id", 1}, {"default", true}, {"rules", {{{"type", "ACTION_ACCEPT"}}}}}}},
       {"tags", {{{"id", 5}, {"default", nullptr}}}},
       {"anchors", {"1122334455"}},
       {"dns", {{"domain", "x"}}}});
  json body = lab.ask("GET", at(id)).body;
  EXPECT_EQ(body["rules"].size(), 7u);
  json fields;
  for (const auto& [key, schema] : lab.api.schema().named("NetworkFields")["properties"].items()) {
    if (body.contains(key) && !body[key].is_null()) fields[key] = body[key];
  }
  const auto again = lab.ask("PATCH", at(id), fields);
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.body, body);
  // A network as it is made, too, whose default rule has fields that a rule needs not.
  const std::string plain = make_network();
  body = lab.ask("GET", at(plain)).body;
  EXPECT_EQ(lab.ask("PATCH", at(plain), {{"rules", body["rules"]}}).status, 200);
}

TEST_F(ApiV1, SingleSignOnIsPassedThrough) {
  const json fields = {{"ssoEnabled", true},
                       {"clientId", "of the provider"},
                       {"authorizationEndpoint", "https://login.example/"}};
  json network = fields;
  network["private"] = false;
  const std::string id = make_network(network);
  const json stock = lab.call("GET", "/controller/network/" + id, nullptr);
  const json read = lab.ask("GET", at(id)).body;
  for (const auto& [key, value] : fields.items()) {
    EXPECT_EQ(read[key], value);
    EXPECT_EQ(stock[key], value);
  }
  // Who has to sign on elsewhere is told so until somebody says that he has, or need not.
  const wire::Identity who = made_up_identity(0x1100000001);
  const std::string member = at(id, "/members/" + wire::to_string(who.address));
  const auto asks = [&] {
    lab.advance(2'000);
    return lab.request(*wire::parse_network_id(id), who);
  };
  EXPECT_EQ(asks().error, wire::ErrorCode::kNetworkAuthenticationRequired);
  EXPECT_EQ(lab.ask("PATCH", member, {{"authenticationExpiryTime", lab.now.wall + 10'000}}).status,
            200);
  EXPECT_TRUE(asks().config);
  lab.advance(10'000);
  EXPECT_EQ(asks().error, wire::ErrorCode::kNetworkAuthenticationRequired);
  EXPECT_EQ(lab.ask("PATCH", member, {{"ssoExempt", true}}).status, 200);
  EXPECT_TRUE(asks().config);
}

TEST_F(ApiV1, WhatTheDocumentDoesNotAllowIsRefusedWithItsPlace) {
  const std::string id = make_network({{"name", "before"}});
  const std::string member = at(id, "/members/1122334455");
  lab.ask("PATCH", member, {{"name", "before"}});
  const auto disk = lab.disk;

  struct Row {
    std::string path;
    json body;
    std::string place;
  };

  const json rule = {{"type", "MATCH_IP_DEST_PORT_RANGE"}, {"start", 1}, {"end", 2}};
  const std::vector<Row> rows = {
      {at(id), json::array(), "$"},
      {at(id), nullptr, "$"},
      {at(id), {{"nmae", "x"}}, "$.nmae"},
      {at(id), {{"name", 7}}, "$.name"},
      {at(id), {{"name", std::string(128, 'x')}}, "$.name"},
      {at(id), {{"private", 1}}, "$.private"},
      {at(id), {{"private", "true"}}, "$.private"},
      {at(id), {{"mtu", 1279}}, "$.mtu"},
      {at(id), {{"mtu", "2800"}}, "$.mtu"},
      {at(id), {{"mtu", 2800.0}}, "$.mtu"},
      {at(id), {{"id", id}}, "$.id"},
      {at(id), {{"revision", 7}}, "$.revision"},
      {at(id), {{"v4AssignMode", "zt"}}, "$.v4AssignMode"},
      {at(id), {{"v6AssignMode", {{"6Plane", true}}}}, "$.v6AssignMode['6Plane']"},
      {at(id),
       {{"routes", {{{"target", "10.0.0.0/24"}, {"via", "10.0.0.1"}}, {{"via", "x"}}}}},
       "$.routes[1].via"},
      {at(id), {{"routes", {{{"via", nullptr}}}}}, "$.routes[0].target"},
      {at(id), {{"routes", {{{"target", "10.0.0.0"}}}}}, "$.routes[0].target"},
      {at(id), {{"routes", {{{"target", "10.0.0.0/33"}}}}}, "$.routes[0].target"},
      {at(id), {{"routes", {{{"target", "10.0.0.1/24"}}}}}, "$.routes[0].target"},
      {at(id), {{"routes", {{{"target", "10.0.0.0/24"}, {"via", "fd00::1"}}}}}, "$.routes[0].via"},
      {at(id),
       {{"ipAssignmentPools", {{{"ipRangeStart", "10.0.0.1"}}}}},
       "$.ipAssignmentPools[0].ipRangeEnd"},
      {at(id),
       {{"ipAssignmentPools", {{{"ipRangeStart", "10.0.0.2"}, {"ipRangeEnd", "10.0.0.1"}}}}},
       "$.ipAssignmentPools[0].ipRangeEnd"},
      {at(id),
       {{"ipAssignmentPools", {{{"ipRangeStart", "10.0.0.2"}, {"ipRangeEnd", "fd00::1"}}}}},
       "$.ipAssignmentPools[0].ipRangeEnd"},
      {at(id), {{"rules", {{{"type", "ACTION_ACCPET"}}}}}, "$.rules[0].type"},
      {at(id), {{"rules", {rule, {{"type", "ACTION_ACCEPT"}, {"start", 1}}}}}, "$.rules[1].start"},
      {at(id), {{"rules", {{{"type", "ACTION_ACCEPT"}, {"not", true}}}}}, "$.rules[0].not"},
      {at(id), {{"rules", {{{"type", "MATCH_ETHERTYPE"}}}}}, "$.rules[0].etherType"},
      {at(id),
       {{"rules", {{{"type", "MATCH_ETHERTYPE"}, {"etherType", 65536}}}}},
       "$.rules[0].etherType"},
      {at(id), {{"rules", {{{"type", "MATCH_IPV4_DEST"}, {"ip", "fd00::/8"}}}}}, "$.rules[0].ip"},
      {at(id),
       {{"rules", {{{"type", "MATCH_CHARACTERISTICS"}, {"mask", "xyz"}}}}},
       "$.rules[0].mask"},
      {at(id),
       {{"rules", {{{"type", "MATCH_CHARACTERISTICS"}, {"mask", true}}}}},
       "$.rules[0].mask"},
      {at(id),
       {{"capabilities", {{{"id", 1}, {"rules", {{{"type", "x"}}}}}}}},
       "$.capabilities[0].rules[0].type"},
      {at(id),
       {{"capabilities",
         {{{"id", 1}, {"rules", json::array()}}, {{"id", 1}, {"rules", json::array()}}}}},
       "$.capabilities[1].id"},
      {at(id), {{"tags", {{{"id", -1}}}}}, "$.tags[0].id"},
      {at(id), {{"tags", {{{"id", 1}}, {{"id", 1}}}}}, "$.tags[1].id"},
      {at(id), {{"dns", {{"servers", {"10.0.0.1"}}}}}, "$.dns.domain"},
      {at(id), {{"dns", {{"domain", "x"}, {"servers", {"10.0.0.1/24"}}}}}, "$.dns.servers[0]"},
      {at(id), {{"authTokens", {{"a b", -1}}}}, "$.authTokens['a b']"},
      {at(id), {{"remoteTraceTarget", "12345"}}, "$.remoteTraceTarget"},
      {member, {{"authorized", "yes"}}, "$.authorized"},
      {member, {{"authorised", true}}, "$.authorised"},
      {member, {{"ipAssignments", {"10.0.0.1", "10.0.0"}}}, "$.ipAssignments[1]"},
      {member, {{"tags", {{1, 2}, {1}}}}, "$.tags[1]"},
      {member, {{"tags", {{{"id", 1}}}}}, "$.tags[0]"},
      {member, {{"capabilities", {4294967296}}}, "$.capabilities[0]"},
      {member, {{"identity", "x"}}, "$.identity"},
      {at("12"), json::object(), "network"},
      {at("0000000000000000"), json::object(), "network"},
      {at(id, "/members/ff00000001"), json::object(), "member"},
      {at(id, "/members/11223344"), json::object(), "member"},
  };
  for (const Row& row : rows) {
    const auto reply = lab.ask("PATCH", row.path, row.body);
    EXPECT_EQ(reply.status, 400) << row.path << row.body << reply.body;
    EXPECT_EQ(reply.path(), row.place) << row.path << row.body << reply.body;
    EXPECT_EQ(lab.disk, disk);
  }
  for (const std::string& text : {std::string("{"), std::string("{\"name\":\"\xff\"}"),
                                  "{\"dns\":" + std::string(100'000, '[')}) {
    const auto reply = lab.send({"PATCH", "/api/v1" + at(id), {}, text, {}, {}, {}, true});
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.path(), "$");
  }
  for (const auto& [name, value, path] : {std::tuple{"limit", "0", at(id, "/members")},
                                          {"limit", "1001", at(id, "/members")},
                                          {"limit", "x", at(id, "/members")},
                                          {"limit", "", std::string("/networks")},
                                          {"authorized", "1", at(id, "/members")},
                                          {"nothing", "1", at(id, "/members")},
                                          {"ip", "10", at(id, "/members")},
                                          {"after", "zz", at(id, "/members")},
                                          {"after", "zz", at(id, "/addresses")},
                                          {"after", "zz", std::string("/networks")},
                                          {"after", "zz", std::string("/audit")},
                                          {"network", "zz", std::string("/audit")},
                                          {"types", "member.gone", std::string("/events")},
                                          {"x", "y", std::string("/status")}}) {
    const auto reply = lab.ask("GET", path, nullptr, {{name, value}});
    EXPECT_EQ(reply.status, 400) << path << " " << name << "=" << value;
    EXPECT_EQ(reply.path(), name);
  }
}

TEST_F(ApiV1, MembersInPagesAndByFilter) {
  const std::string id = make_network({{"name", "n"}});
  const wire::NetworkId net = *wire::parse_network_id(id);
  for (std::uint64_t i = 1; i <= 25; ++i) {
    const std::string address = wire::to_string(wire::Address{0x1100000000 + i});
    lab.ask("PATCH", at(id, "/members/" + address),
            {{"name", i % 5 == 0 ? "Printer " + std::to_string(i) : "host"},
             {"authorized", i % 2 == 0},
             {"activeBridge", i == 7},
             {"ipAssignments", {"10.0.0." + std::to_string(i)}}});
  }
  lab.request(net, made_up_identity(0x1100000002));
  const auto all = [&](ApiV1Lab::Query query) {
    std::vector<std::string> found;
    for (int pages = 0; pages < 40; ++pages) {
      const auto page = lab.ask("GET", at(id, "/members"), nullptr, query);
      EXPECT_EQ(page.body["total"], 25);
      for (const json& m : page.body["data"]) found.push_back(m["id"]);
      if (page.body["next"].is_null()) return found;
      query["after"] = page.body["next"];
    }
    ADD_FAILURE() << "no end";
    return found;
  };
  EXPECT_EQ(all({}).size(), 25u);
  const auto in_fours = all({{"limit", "4"}});
  EXPECT_EQ(in_fours, all({}));
  EXPECT_TRUE(std::is_sorted(in_fours.begin(), in_fours.end()));
  EXPECT_EQ(all({{"authorized", "true"}}).size(), 12u);
  EXPECT_EQ(all({{"authorized", "false"}, {"limit", "1"}}).size(), 13u);
  EXPECT_EQ(all({{"name", "printer"}}).size(), 5u);
  EXPECT_EQ(all({{"name", "printer"}, {"authorized", "true"}}).size(), 2u);
  EXPECT_EQ(all({{"activeBridge", "true"}}), std::vector<std::string>{"1100000007"});
  EXPECT_EQ(all({{"online", "true"}}), std::vector<std::string>{"1100000002"});
  EXPECT_EQ(all({{"ip", "10.0.0.9"}}), std::vector<std::string>{"1100000009"});
  EXPECT_TRUE(all({{"ip", "10.0.0.99"}}).empty());

  const auto live = lab.ask("GET", at(id, "/members/1100000002")).body;
  EXPECT_EQ(live["version"], "1.14.1");
  EXPECT_EQ(live["live"]["online"], true);
  EXPECT_EQ(live["live"]["lastSeen"], lab.now.wall);

  auto page = lab.ask("GET", at(id, "/addresses"), nullptr, {{"limit", "20"}});
  EXPECT_EQ(page.body["data"].size(), 20u);
  EXPECT_EQ(page.body["data"][0], (json{{"ip", "10.0.0.1"}, {"members", {"1100000001"}}}));
  page = lab.ask("GET", at(id, "/addresses"), nullptr,
                 {{"limit", "20"}, {"after", page.body["next"]}});
  EXPECT_EQ(page.body["data"].size(), 5u);
  EXPECT_TRUE(page.body["next"].is_null());

  const auto taken = lab.ask("PATCH", at(id, "/members/1100000001"),
                             {{"ipAssignments", {"10.0.0.1", "10.0.0.2"}}});
  EXPECT_EQ(taken.status, 409);
  EXPECT_EQ(taken.path(), "$.ipAssignments[1]");
  EXPECT_EQ(lab.ask("DELETE", at(id, "/members/1100000001")).status, 204);
  EXPECT_EQ(lab.ask("DELETE", at(id, "/members/1100000001")).status, 404);
}

TEST_F(ApiV1, NetworksInPagesAndByFilter) {
  for (int i = 0; i < 12; ++i)
    make_network({{"name", i < 3 ? "Lab" : "Office"}, {"private", i % 2 == 0}});
  std::size_t seen = 0;
  ApiV1Lab::Query query{{"limit", "5"}};
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = lab.ask("GET", "/networks", nullptr, query);
    EXPECT_EQ(page.body["total"], 12);
    seen += page.body["data"].size();
    EXPECT_EQ(page.body["next"].is_null(), pages == 2);
    if (!page.body["next"].is_null()) query["after"] = page.body["next"];
  }
  EXPECT_EQ(seen, 12u);
  EXPECT_EQ(lab.ask("GET", "/networks", nullptr, {{"name", "lab"}}).body["data"].size(), 3u);
  EXPECT_EQ(lab.ask("GET", "/networks", nullptr, {{"private", "false"}}).body["data"].size(), 6u);
}

TEST_F(ApiV1, ManyAtOnce) {
  const std::string id = make_network({{"private", false}});
  const wire::NetworkId net = *wire::parse_network_id(id);
  const auto member = made_up_identity(0x1100000001);
  ASSERT_TRUE(lab.request(net, member).config);
  lab.advance(2'000);
  const auto etag = lab.ask("GET", at(id, "/members/1100000001")).etag;
  lab.transport.sent.clear();
  const auto done =
      lab.ask("POST", at(id, "/members/bulk"),
              {{"operations",
                {{{"member", "1100000001"}, {"set", {{"authorized", false}}}, {"ifMatch", etag}},
                 {{"member", "1100000002"},
                  {"set", {{"authorized", true}, {"ipAssignments", {"10.0.0.1"}}}}},
                 {{"member", "1100000003"}, {"set", {{"ipAssignments", {"10.0.0.1"}}}}},
                 {{"member", "1100000004"}, {"delete", true}},
                 {{"member", "1100000002"}, {"set", {{"name", "x"}}}, {"ifMatch", "\"0-0\""}}}}});
  ASSERT_EQ(done.status, 200) << done.body;
  std::vector<int> statuses;
  for (const json& result : done.body["results"]) statuses.push_back(result["status"]);
  EXPECT_EQ(statuses, (std::vector{200, 200, 409, 404, 412}));
  EXPECT_EQ(done.body["failed"], 3);
  EXPECT_EQ(lab.transport.of(wire::Verb::kError, member.address).size(), 1u) << "put out, and told";
  EXPECT_FALSE(lab.controller.registry().find(net)->members.contains(wire::Address{0x1100000003}));
  for (const json& wrong :
       {json{{"operations", json::array()}}, json{{"operations", {{{"member", "1100000001"}}}}},
        json{{"operations", {{{"member", "1100000001"}, {"delete", false}}}}},
        json{{"operations",
              {{{"member", "1100000001"}, {"delete", true}, {"set", json::object()}}}}}}) {
    EXPECT_EQ(lab.ask("POST", at(id, "/members/bulk"), wrong).status, 400) << wrong;
  }
  const auto placed = lab.ask("POST", at(id, "/members/bulk"),
                              {{"operations",
                                {{{"member", "1100000009"}, {"set", {{"authorized", true}}}},
                                 {{"member", "1100000001"}, {"set", {{"mtu", 1}}}}}}});
  EXPECT_EQ(placed.path(), "$.operations[1].set.mtu");
  EXPECT_FALSE(lab.controller.registry().find(net)->members.contains(wire::Address{0x1100000009}))
      << "a body that is not whole changes nothing";
}

TEST_F(ApiV1, TokensReachAsFarAsTheyAreMade) {
  const std::string mine = make_network({{"name", "mine"}, {"authTokens", {{"door", 0}}}});
  const std::string other = make_network({{"name", "other"}});
  EXPECT_EQ(lab.send({"GET", "/api/v1/status", {}, {}, {}, {}, "", false}).status, 401);
  EXPECT_EQ(lab.send({"GET", "/api/v1/status", {}, {}, {}, {}, "orr_0_0", false}).status, 401);

  const std::string reader = use_token({{"name", "reader"}, {"role", "read"}});
  EXPECT_EQ(lab.ask("GET", "/status").body["caller"]["name"], "reader");
  EXPECT_EQ(lab.ask("GET", "/networks").body["data"].size(), 2u);
  EXPECT_TRUE(lab.ask("GET", at(mine)).body["authTokens"].is_null()) << "these admit";
  EXPECT_EQ(lab.ask("PATCH", at(mine), {{"name", "x"}}).status, 403);
  EXPECT_EQ(lab.ask("POST", "/networks", json::object()).status, 403);
  EXPECT_EQ(lab.ask("GET", "/audit").status, 200);

  use_token({{"name", "one network"}, {"role", "write"}, {"networks", {mine}}});
  EXPECT_EQ(lab.ask("GET", "/networks").body["data"].size(), 1u);
  EXPECT_EQ(lab.ask("GET", "/networks").body["total"], 1);
  EXPECT_EQ(lab.ask("GET", "/status").body["networks"], 1);
  EXPECT_EQ(lab.ask("PATCH", at(mine), {{"name", "changed"}}).status, 200);
  EXPECT_EQ(lab.ask("PATCH", at(mine, "/members/1122334455"), {{"authorized", true}}).status, 200);
  for (const auto& [method, path] : {std::pair{"GET", at(other)},
                                     {"PATCH", at(other)},
                                     {"DELETE", at(other)},
                                     {"GET", at(other, "/members")},
                                     {"GET", at(other, "/addresses")},
                                     {"PATCH", at(other, "/members/1122334455")}}) {
    EXPECT_EQ(lab.ask(method, path, json::object()).status, 404) << method << path;
  }
  EXPECT_EQ(lab.ask("POST", "/networks", json::object()).status, 403);
  EXPECT_EQ(lab.ask("GET", "/audit").status, 403);
  EXPECT_EQ(lab.ask("GET", "/audit", nullptr, {{"network", mine}}).body["data"].size(), 3u);
  EXPECT_EQ(lab.ask("GET", "/audit", nullptr, {{"network", other}}).status, 404);
  EXPECT_EQ(lab.ask("GET", "/tokens").status, 403);
  EXPECT_EQ(lab.ask("GET", "/webhooks").status, 403);
  lab.ask("GET", "/events");
  ASSERT_TRUE(lab.last_events);
  EXPECT_TRUE(lab.last_events->wants("member.changed", *wire::parse_network_id(mine)));
  EXPECT_FALSE(lab.last_events->wants("member.changed", *wire::parse_network_id(other)));
  EXPECT_FALSE(lab.last_events->wants("token.created", {}));
  EXPECT_EQ(lab.ask("GET", "/events", nullptr, {{"network", other}}).status, 404);

  use_token({{"name", "for an hour"}, {"role", "admin"}, {"expires", lab.now.wall + 3'600'000}});
  EXPECT_EQ(lab.ask("GET", "/tokens").body["data"].size(), 3u);
  EXPECT_EQ(lab.ask("GET", "/tokens").body.dump().find("hash"), std::string::npos);
  lab.advance(3'600'000);
  EXPECT_EQ(lab.ask("GET", "/status").status, 401);

  // Taken back, and not usable with another's id or another's secret.
  lab.token.clear();
  const json tokens = lab.ask("GET", "/tokens").body["data"];
  for (const json& one : tokens) {
    if (one["name"] == "reader") {
      EXPECT_EQ(lab.ask("DELETE", "/tokens/" + one["id"].get<std::string>()).status, 204);
    }
  }
  EXPECT_EQ(lab.ask("DELETE", "/tokens/0011223344556677").status, 404);
  lab.token = reader;
  EXPECT_EQ(lab.ask("GET", "/status").status, 401);
  lab.token.clear();
  EXPECT_EQ(
      lab.ask("POST", "/tokens", {{"name", "x"}, {"role", "admin"}, {"networks", {mine}}}).path(),
      "$.networks");
  EXPECT_EQ(lab.ask("POST", "/tokens", {{"name", "x"}, {"role", "root"}}).path(), "$.role");
}

TEST_F(ApiV1, TheAuditLogSaysWhoChangedWhat) {
  const std::string id = make_network({{"name", "a"}, {"authTokens", {{"door", 0}}}});
  use_token({{"name", "ops"}, {"role", "write"}});
  lab.ask("PATCH", at(id), {{"name", "b"}});
  lab.ask("PATCH", at(id), {{"name", "b"}});
  lab.ask("PATCH", at(id), {{"authTokens", {{"other door", 0}}}});
  lab.ask("PATCH", at(id, "/members/1122334455"), {{"authorized", true}});
  lab.ask("PATCH", at(id, "/members/1122334455"), {{"authorized", false}});
  lab.ask("DELETE", at(id, "/members/1122334455"));
  lab.token.clear();
  lab.set_member(*wire::parse_network_id(id), wire::Address{0x1122334455}, {{"name", "stock"}});
  const json log = lab.ask("GET", "/audit").body["data"];
  std::vector<std::string> said;
  for (const json& entry : log)
    said.push_back(entry["actor"].get<std::string>() + " " + entry["type"].get<std::string>());
  EXPECT_EQ(said, (std::vector<std::string>{"local member.created", "ops member.deleted",
                                            "ops member.deauthorized", "ops member.authorized",
                                            "ops network.changed", "ops network.changed",
                                            "local token.created", "local network.created"}));
  EXPECT_EQ(log[5]["changes"], (json{{"name", {{"from", "a"}, {"to", "b"}}}}));
  EXPECT_EQ(log[4]["changes"], (json{{"authTokens", json::object()}})) << "a secret";
  EXPECT_EQ(log.dump().find("door"), std::string::npos);
  EXPECT_EQ(log[3]["changes"]["authorized"]["to"], true);
  // In pages; and what a restart finds.
  std::size_t count = 0;
  ApiV1Lab::Query query{{"limit", "3"}};
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = lab.ask("GET", "/audit", nullptr, query);
    count += page.body["data"].size();
    if (!page.body["next"].is_null()) query["after"] = page.body["next"];
  }
  EXPECT_EQ(count, log.size());
  control::Controller again(lab.transport);
  control::ApiV1 api(again);
  for (const auto& [key, record] : lab.all_on_disk) {
    EXPECT_TRUE(again.load(record) || api.load(record)) << record.json;
  }
  const auto after =
      api.handle(lab.now, {"GET", "/api/v1/audit", {}, {}, {}, {}, {}, true}, lab.out);
  EXPECT_EQ(json::parse(after.body)["data"], log);
  EXPECT_GE(again.events().next_id(lab.now.wall), log[0]["id"].get<std::uint64_t>() + 1);
}

TEST_F(ApiV1, TheAuditLogIsBounded) {
  const std::string id = make_network();
  for (std::size_t i = 0; i < control::EventLog::kAuditMost + 50; ++i) {
    auto record = lab.controller.registry().find(*wire::parse_network_id(id))->record;
    record["name"] = std::to_string(i);
    lab.controller.put_network(lab.now, *wire::parse_network_id(id), std::move(record), "local");
    if (i % 100 == 0) lab.commit();
  }
  lab.commit();
  EXPECT_EQ(lab.controller.events().audit_size(), control::EventLog::kAuditMost);
  std::size_t kept = 0;
  for (const auto& [key, record] : lab.all_on_disk)
    kept += record.kind == control::RecordKind::kAudit ? 1 : 0;
  EXPECT_EQ(kept, control::EventLog::kAuditMost);
}

TEST_F(ApiV1, EventsOfOperatorsAndMembers) {
  const std::string id = make_network();
  const auto network = *wire::parse_network_id(id);
  const auto member = made_up_identity(0x1122334455);
  (void)lab.controller.events().take();
  lab.request(network, member);
  lab.advance(2'000);
  lab.request(network, member);
  lab.ask("PATCH", at(id, "/members/1122334455"), {{"authorized", true}});
  lab.advance(2'000);
  lab.request(network, member);
  lab.ask("PATCH", at(id), {{"private", false}});
  lab.request(network, made_up_identity(0x1122334456));
  std::vector<std::string> said;
  std::uint64_t last = 0;
  for (const control::ControllerEvent& event : lab.controller.events().take()) {
    const json shown = to_json(event);
    const auto wrong = lab.api.schema().check(lab.api.schema().named("Event"), shown);
    EXPECT_FALSE(wrong) << wrong->path << " " << wrong->text;
    EXPECT_GT(event.id, last);
    last = event.id;
    said.push_back(event.actor + " " + event.type);
  }
  EXPECT_EQ(said, (std::vector<std::string>{"member member.candidate", "local member.authorized",
                                            "local network.changed", "member member.authorized"}));
  EXPECT_TRUE(lab.controller.events().take().empty());
}

TEST_F(ApiV1, Webhooks) {
  const auto made = lab.ask(
      "POST", "/webhooks",
      {{"name", "chat"}, {"url", "https://chat.example/x"}, {"types", {"member.candidate"}}});
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["secret"].get<std::string>().size(), 64u);
  const std::string path = "/webhooks/" + made.body["id"].get<std::string>();
  EXPECT_FALSE(lab.ask("GET", "/webhooks").body["data"][0].contains("secret"));
  const auto before = lab.api.webhooks().generation();
  EXPECT_EQ(lab.ask("PATCH", path, {{"enabled", false}, {"url", "http://127.0.0.1:9/"}}).status,
            200);
  EXPECT_NE(lab.api.webhooks().generation(), before);
  const control::Webhook hook = lab.api.webhooks().all().at(0);
  EXPECT_EQ(hook.url, "http://127.0.0.1:9/");
  EXPECT_EQ(hook.secret, made.body["secret"]);
  EXPECT_FALSE(hook.enabled);
  EXPECT_TRUE(hook.filter.wants("member.candidate", lab.network(1)));
  EXPECT_FALSE(hook.filter.wants("member.changed", lab.network(1)));
  lab.api.set_deliveries(
      [](const std::string&) { return json{{"delivered", 7}, {"lastError", nullptr}}; });
  EXPECT_EQ(lab.ask("GET", "/webhooks").body["data"][0]["delivered"], 7);
  for (const char* url :
       {"", "ftp://x", "http://", "https:///x", "file:///etc/passwd", "http://a b"}) {
    EXPECT_EQ(lab.ask("POST", "/webhooks", {{"name", "x"}, {"url", url}}).path(), "$.url") << url;
  }
  control::Controller again(lab.transport);
  control::ApiV1 api(again);
  for (const auto& [key, record] : lab.all_on_disk)
    EXPECT_TRUE(again.load(record) || api.load(record)) << record.json;
  EXPECT_EQ(api.webhooks().all().at(0).url, hook.url);
  EXPECT_EQ(lab.ask("DELETE", path).status, 204);
  EXPECT_EQ(lab.ask("DELETE", path).status, 404);
  EXPECT_EQ(lab.ask("PATCH", path, {{"enabled", true}}).status, 404);
}

TEST_F(ApiV1, WhileTheStoreRefusesReadingGoesOn) {
  const std::string id = make_network({{"name", "x"}});
  lab.controller.suspend(true);
  EXPECT_EQ(lab.ask("PATCH", at(id), {{"name", "y"}}).status, 503);
  EXPECT_EQ(lab.ask("DELETE", at(id)).status, 503);
  EXPECT_EQ(lab.ask("GET", at(id)).body["name"], "x");
  EXPECT_EQ(lab.ask("GET", "/status").body["writable"], false);
}

/// Runs last of this file: what the tests above have answered is all that there is.
TEST_F(ApiV1, ZEveryOperationWasAnswered) {
  for (const auto& [path, operations] : lab.document()["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      const bool streams = path.ends_with("/events");
      EXPECT_TRUE(streams || ApiV1Lab::covered.contains(method + " " + path) ||
                  operation["responses"].contains("204"))
          << method << " " << path;
    }
  }
}

}  // namespace
}  // namespace orrery::test
