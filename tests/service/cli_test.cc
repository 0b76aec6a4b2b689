// The programs as a user runs them: what they print, what they refuse, and their exit codes. The
// daemon behind the command line is the real API with a node made of lists.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "fake_target.h"
#include "http_probe.h"
#include "service/http_server.h"
#include "support/json_shape.h"
#include "support/vectors.h"

namespace orrery::service {
namespace {

using nlohmann::json;

constexpr const char* kNetwork = "3401ba0b9a000077";

struct Outcome {
  int exit = -1;  // -1: ended by a signal
  std::string out, err;
};

std::string read_all(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string program(const char* variable) {
  const char* path = std::getenv(variable);
  return path == nullptr ? std::string() : path;
}

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    if (program("ORRERY_CLI").empty()) GTEST_SKIP() << "ORRERY_CLI names no program";
    char name[] = "/tmp/orrery-cli-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    home_ = directory_ + "/home";
    std::filesystem::create_directory(home_);
  }

  void TearDown() override {
    server_.stop();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  /// Runs a program in the test's directory, without the caller's settings.
  Outcome run_program(const std::string& file, std::vector<std::string> arguments) {
    const std::string out = directory_ + "/.out", err = directory_ + "/.err";
    const pid_t child = ::fork();
    if (child == 0) {
      if (::chdir(directory_.c_str()) != 0 || std::freopen(out.c_str(), "w", stdout) == nullptr ||
          std::freopen(err.c_str(), "w", stderr) == nullptr) {
        ::_exit(99);
      }
      ::setenv("ORRERY_HOME", home_.c_str(), 1);
      ::setenv("HOME", directory_.c_str(), 1);
      std::vector<char*> raw = {const_cast<char*>(file.c_str())};
      for (std::string& a : arguments) raw.push_back(a.data());
      raw.push_back(nullptr);
      ::execv(file.c_str(), raw.data());
      ::_exit(99);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_all(out), read_all(err)};
  }

  Outcome run(std::vector<std::string> arguments) {
    return run_program(program("ORRERY_CLI"), std::move(arguments));
  }

  /// Words of a line without quotes.
  Outcome run(const std::string& line) {
    std::istringstream words(line);
    return run(std::vector<std::string>(std::istream_iterator<std::string>(words), {}));
  }

  json run_json(const std::string& line) {
    const Outcome o = run(line);
    EXPECT_EQ(o.exit, 0) << line << '\n' << o.err;
    json value = json::parse(o.out, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << line << '\n' << o.out;
    return value;
  }

  void put(const std::string& name, const std::string& content) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << content;
  }

  /// The API with our own target.
  void start_daemon() {
    start([this](const HttpRequest& request) { return api_.handle(request); });
  }

  void start(HttpServer::Handler handler) {
    const std::uint16_t port = test::free_port();
    ASSERT_TRUE(server_.start(port, home_ + "/orrery.sock", std::move(handler)));
    put("home/zerotier-one.port", std::to_string(port));
    put("home/authtoken.secret", "secret\n");
  }

  std::string directory_, home_;
  test::FakeTarget target_;
  LocalApi api_{{"secret", {}}, [this](const std::function<void(ApiTarget&)>& run_on) {
                  run_on(target_);
                  return true;
                }};
  HttpServer server_;
};

/// What failed must be told in a few lines, not by a signal.
void expect_refusal(const Outcome& o, int code, const std::string& named,
                    const std::string& expected) {
  EXPECT_EQ(o.exit, code) << o.out << o.err;
  EXPECT_NE(o.err.find(named), std::string::npos) << "names " << named << ":\n" << o.err;
  EXPECT_NE(o.err.find(expected), std::string::npos) << "expects " << expected << ":\n" << o.err;
  EXPECT_EQ(o.out, "");
}

TEST_F(CliTest, UnknownInputIsNamedAndWhatWasExpected) {
  expect_refusal(run(""), 2, "no command", "listpeers");
  expect_refusal(run("nonsense"), 2, "\"nonsense\"", "listpeers");
  expect_refusal(run("nonsense -j"), 2, "\"nonsense\"", "listpeers");
  expect_refusal(run("info extra"), 2, "\"extra\"", "orrery info");
  expect_refusal(run("--nonsense info"), 2, "\"--nonsense\"", "orrery");
  expect_refusal(run("info --nonsense"), 2, "\"--nonsense\"", "orrery info");
  expect_refusal(run("controller nonsense"), 2, "\"nonsense\"", "authorize");
  expect_refusal(run("identity"), 2, "no command", "getpublic");
  expect_refusal(run("join"), 2, "NETWORK", "orrery join NETWORK");
  expect_refusal(run("join 123"), 2, "\"123\"", "16 hexadecimal digits");
  expect_refusal(run("leave 8056c2e21c00000g"), 2, "8056c2e21c00000g", "16 hexadecimal digits");
  expect_refusal(run("orbit 12 1122334455"), 2, "\"12\"", "10 or 16");
  expect_refusal(run("orbit 1122334455 12"), 2, "\"12\"", "10 hexadecimal digits");
  expect_refusal(run("set 8056c2e21c000001 nosuch=1"), 2, "nosuch", "allowManaged");
  expect_refusal(run("capture --point inner"), 2, "inner", "decrypted");
  expect_refusal(run("why 12"), 2, "\"12\"", "10 hexadecimal digits");
  expect_refusal(run("ping 12"), 2, "\"12\"", "10 hexadecimal digits");
  expect_refusal(run("ping 3401ba0b9a -c 0"), 2, "0", "1");
  expect_refusal(run("capture --peer 12"), 2, "\"12\"", "10 hexadecimal digits");
  expect_refusal(run("capture --network 12"), 2, "\"12\"", "16 hexadecimal digits");
  expect_refusal(run("capture --snap 10"), 2, "10", "64");
  expect_refusal(run("-p 70000 info"), 2, "70000", "65535");
  expect_refusal(run("-p abc info"), 2, "abc", "orrery");
  expect_refusal(run("request status"), 2, "\"status\"", "starts with /");
  expect_refusal(run("controller network 8056c2e21c000001 --set {bad"), 2, "{bad", "JSON object");
  expect_refusal(run("controller network zz"), 2, "\"zz\"", "16 hexadecimal digits");
  expect_refusal(run("identity generate a b xyz"), 2, "\"xyz\"", "hexadecimal");
}

TEST_F(CliTest, NoDaemonIsExitCode3) {
  expect_refusal(run("info"), 3, "zerotier-one.port", "-D");
  expect_refusal(run("-D /nowhere info"), 3, "/nowhere", "orreryd");
  const std::string port = std::to_string(test::free_port());
  expect_refusal(run("-T secret info -p " + port), 3, port, "no daemon");
  put("home/zerotier-one.port", "99999999");
  put("home/authtoken.secret", "secret");
  expect_refusal(run("info"), 3, "zerotier-one.port", "-D");
}

TEST_F(CliTest, HelpEverywhereWithTheExitCodes) {
  const Outcome top = run("--help");
  EXPECT_EQ(top.exit, 0);
  EXPECT_NE(top.out.find("3 no daemon reachable"), std::string::npos) << top.out;
  for (const char* command : {"info",
                              "status",
                              "listpeers",
                              "peers",
                              "listnetworks",
                              "listmoons",
                              "ports",
                              "workers",
                              "drops",
                              "traffic",
                              "paths",
                              "why",
                              "bond",
                              "ping",
                              "dump",
                              "request",
                              "join",
                              "leave",
                              "set",
                              "get",
                              "orbit",
                              "deorbit",
                              "controller",
                              "controller status",
                              "controller addresses",
                              "controller bulk",
                              "controller tokens",
                              "controller token",
                              "controller token create",
                              "controller token delete",
                              "controller webhooks",
                              "controller webhook create",
                              "controller webhook change",
                              "controller webhook delete",
                              "controller audit",
                              "controller events",
                              "controller export",
                              "controller import",
                              "controller networks",
                              "controller network",
                              "controller members",
                              "controller member",
                              "controller authorize",
                              "controller deauthorize",
                              "identity",
                              "identity generate",
                              "identity validate",
                              "identity getpublic",
                              "identity fingerprint",
                              "identity sign",
                              "identity verify",
                              "planet",
                              "planet create",
                              "planet sign",
                              "planet rotate",
                              "planet inspect",
                              "moon",
                              "moon init",
                              "moon create",
                              "moon inspect",
                              "rules",
                              "rules compile",
                              "rules check",
                              "rules explain",
                              "rules hits"}) {
    const Outcome o = run(std::string(command) + " --help");
    EXPECT_EQ(o.exit, 0) << command;
    EXPECT_NE(o.out.find("Exit codes: 0 done, 1 failed"), std::string::npos) << command;
  }
  EXPECT_EQ(run("--version").exit, 0);
}

TEST_F(CliTest, LinesOfTheStockTool) {
  start_daemon();
  target_.online = true;
  EXPECT_EQ(run("info").out, "200 info 60a6b80e2e 1.14.1 ONLINE\n");
  target_.online = false;
  EXPECT_EQ(run("status").out, "200 info 60a6b80e2e 1.14.1 OFFLINE\n");
  EXPECT_EQ(run("listpeers").out,
            "200 listpeers <ztaddr> <path> <latency> <version> <role>\n"
            "200 listpeers 3401ba0b9a 198.51.100.1/9993;-1;-1 23 1.14.1 PLANET\n");
  EXPECT_EQ(run("peers").out,
            "200 peers\n<ztaddr>   <ver>  <role> <lat> <link>   <lastTX> <lastRX> <path>\n"
            "3401ba0b9a 1.14.1 PLANET    23 DIRECT   -1       -1       198.51.100.1/9993\n");
  EXPECT_EQ(run(std::string("join ") + kNetwork).out, "200 join OK\n");
  target_.joined[0].name = "a name";
  EXPECT_EQ(run("listnetworks").out,
            "200 listnetworks <nwid> <name> <mac> <status> <type> <dev> <ZT assigned ips>\n"
            "200 listnetworks 3401ba0b9a000077 a name 00:00:00:00:00:00 REQUESTING_CONFIGURATION "
            "PRIVATE zttest -\n");
  EXPECT_EQ(run("orbit 3401ba0b9a 3401ba0b9a").out, "200 orbit OK\n");
  EXPECT_EQ(run("deorbit 0000003401ba0b9a").out, "200 deorbit OK\n");
  EXPECT_EQ(run("listmoons").out, "[]\n");
  EXPECT_EQ(run(std::string("leave ") + kNetwork + " -j").out, R"({"result":true})");
  EXPECT_EQ(run(std::string("leave ") + kNetwork).out, "200 leave OK\n");
  EXPECT_EQ(run("/network").out, "[]");
  const Outcome missing = run("/nosuch");
  EXPECT_EQ(missing.exit, 1);
  EXPECT_EQ(missing.out, "404 /nosuch \n");
  const Outcome refused = run("-T wrong info");
  EXPECT_EQ(refused.exit, 1);
  EXPECT_EQ(refused.out, "401 info {}\n");
}

/// Ages and latencies, which depend on the moment, and paths become their names.
std::string settled(std::string text) {
  static const std::regex kPath("[0-9a-f.:]+/9993"), kAges(";-?[0-9]+;-?[0-9]+ +[0-9]+ "),
      kColumns(" +[0-9]+ DIRECT +-?[0-9]+ +-?[0-9]+ +");
  text = std::regex_replace(text, kAges, ";AGE;AGE LATENCY ");
  text = std::regex_replace(text, kColumns, " LATENCY DIRECT AGE AGE ");
  return std::regex_replace(text, kPath, "PATH");
}

/// Commands that ours answers otherwise, beside those marked so; docs/interop.md says why.
bool differs(const std::string& command) {
  return command == "bond list" ||                              // another table
         command == "-p1 info" ||                               // no daemon: exit code 3
         command == "orbit 123 456" || command == "deorbit" ||  // refused before it is sent
         command.starts_with("get 8056c2e21c000001");           // exit code 1: scripts see it
}

TEST_F(CliTest, RecordedCommands) {
  const json file = test::load_vectors("cli.json");
  json bindings = file["bindings"];
  bindings["moon"] = bindings["root"];
  start_daemon();
  target_.online = false;
  target_.device = "zth6n3uc7n";
  int compared = 0, refused = 0;
  for (const json& command : file["commands"]) {
    const std::string args = command["args"];
    const bool first_round = compared < 11;
    if (!first_round && target_.joined.empty()) {
      target_.online = true;
      target_.joined.push_back(test::recorded_network());
    }
    if (command.value("what", "") == "with a moon" && target_.orbited.empty())
      target_.add_moon(file["identities"]["r"]);
    if (test::strictness(command) != "must" || differs(args)) continue;
    SCOPED_TRACE(args);
    const Outcome o = run(test::bound(args, bindings));
    EXPECT_EQ(o.exit, command["exit"]) << o.err;
    ++compared;
    if (o.exit == 2) {  // the wording is ours, and goes to standard error
      EXPECT_EQ(o.out, "");
      EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 2) << o.err;
      ++refused;
      continue;
    }
    const std::string expected = test::bound(command.value("stdout", ""), bindings);
    const json recorded = json::parse(expected, nullptr, false);
    const bool listing = args.starts_with("get ") || recorded.is_discarded();
    if (!listing && recorded.is_structured()) {
      json ours = json::parse(o.out, nullptr, false);
      json want = recorded;
      if (want.contains("config")) want["config"]["settings"].erase("vectorSetting");
      EXPECT_TRUE(test::covers(want, ours, args));
    } else if (args == "listnetworks") {
      // The second network of the recording has no MAC and device of ours.
      EXPECT_EQ(o.out.substr(0, o.out.find(" 8056")), expected.substr(0, expected.find(" 8056")));
      EXPECT_EQ(std::count(o.out.begin(), o.out.end(), '\n'),
                std::count(expected.begin(), expected.end(), '\n'));
    } else {
      EXPECT_EQ(settled(o.out), settled(expected));
    }
  }
  EXPECT_EQ(compared, 55);
  EXPECT_EQ(refused, 7);
}

TEST_F(CliTest, OptionsBehindTheCommandCountToo) {
  start_daemon();
  const std::string port = read_all(home_ + "/zerotier-one.port");
  for (const std::string& line :
       {std::string("-j info"), std::string("info -j"), std::string("info --json"),
        "info -j -p " + port + " -T secret -D /nowhere", "-p" + port + " -Tsecret info -j",
        "info -j -D " + home_, std::string("request /status -j"), std::string("-j /status"),
        std::string("/status -j")}) {
    EXPECT_EQ(run_json(line)["address"], "60a6b80e2e") << line;
  }
}

TEST_F(CliTest, EveryListingAsJson) {
  start_daemon();
  run(std::string("join ") + kNetwork);
  for (const char* command : {"listpeers", "peers", "listnetworks", "listmoons"}) {
    EXPECT_TRUE(run_json(std::string(command) + " -j").is_array()) << command;
  }
  for (const char* command : {"ports", "workers", "drops", "traffic", "paths"}) {
    EXPECT_EQ(run_json(std::string(command) + " -j")["what"], command);
  }
  EXPECT_EQ(run_json("traffic 3401ba0b9a000077")["what"], "traffic/3401ba0b9a000077");
  EXPECT_EQ(run("traffic nonsense").exit, 2);
  EXPECT_EQ(run_json("rules hits -j")["what"], "rules");
  EXPECT_EQ(run_json(std::string("join -j ") + kNetwork)["id"], kNetwork);
  EXPECT_EQ(run_json(std::string("set -j ") + kNetwork + " allowGlobal=1")["allowGlobal"], true);
  EXPECT_TRUE(run_json("orbit -j 3401ba0b9a 3401ba0b9a")["waiting"]);
  EXPECT_TRUE(run_json("deorbit -j 3401ba0b9a")["result"]);
  EXPECT_TRUE(run_json("controller networks -j").is_array());
  const json all = run_json("dump -j");
  for (const char* key :
       {"status", "network", "peer", "moon", "ports", "workers", "drops", "traffic"})
    EXPECT_TRUE(all.contains(key)) << key;
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/orrery_dump.txt"));
  EXPECT_EQ(run("dump").exit, 0);
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/orrery_dump.txt"));
}

TEST_F(CliTest, RulesAreCompiledCheckedAndExplained) {
  const auto file = [&](const char* name, const std::string& text) {
    std::ofstream(directory_ + '/' + name) << text;
    return directory_ + '/' + name;
  };
  const std::string source = file("a.rules",
                                  "tag role id 7 enum 1 admin enum 2 guest;\n"
                                  "cap web id 3 accept ipprotocol tcp dport 80;;\n"
                                  "drop teq role guest;\nbreak ipprotocol tcp;\naccept;\n");
  const json compiled = run_json("rules compile " + source);
  EXPECT_EQ(compiled["config"]["rules"].size(), 5u);
  EXPECT_EQ(compiled["capabilitiesByName"]["web"], 3);
  EXPECT_EQ(run_json("rules compile --binary " + source)["config"]["rules"],
            "30080000000700000002"
            "0000"
            "240106"
            "0500"
            "0100");
  EXPECT_EQ(run("rules check " + source).out,
            "ok: 5 entries, 1 capabilities, 1 tags, 0 warnings\n");

  const std::string bad = file("bad.rules", "accept;\ndrop dport 70000;\n");
  const Outcome refused = run("rules check " + bad);
  EXPECT_EQ(refused.exit, 1);
  EXPECT_EQ(refused.err, bad +
                             ":2:12: error: expected a number or range (low-high) from 0 to "
                             "65535, got \"70000\"\n");
  EXPECT_EQ(run("rules compile " + bad).exit, 1);
  const json told = json::parse(run("rules check -j " + bad).out);
  EXPECT_EQ(told["ok"], false);
  EXPECT_EQ(told["error"]["line"], 2);
  EXPECT_EQ(told["error"]["column"], 12);

  const std::string web = "rules explain " + source + " --ipsrc 10.0.0.1 --ipdest 10.0.0.2 ";
  EXPECT_FALSE(run_json(web + "--dport 80 -j")["passes"]);
  const json passes = run_json(web + "--dport 80 --src-cap web -j");
  EXPECT_TRUE(passes["passes"]);
  EXPECT_EQ(passes["receiver"]["decided_by"]["list"], 3);
  // The same of what was compiled before.
  const std::string json_file = file("a.json", compiled.dump());
  EXPECT_TRUE(
      run_json("rules explain " + json_file +
               " --ipsrc 10.0.0.1 --ipdest 10.0.0.2 --dport 80 --src-cap web -j")["passes"]);
  const Outcome guests = run("rules explain " + source + " --ethertype arp --src-tag role=guest " +
                             "--dest-tag role=guest");
  EXPECT_EQ(guests.exit, 0);
  EXPECT_NE(guests.out.find("sender: drop, by rule 1 of the network's rules: drop"),
            std::string::npos)
      << guests.out;
  EXPECT_EQ(run("rules explain " + source + " --src-tag role=king").exit, 2);
  EXPECT_EQ(run("rules explain " + source + " --ipsrc 10.0.0.1 --ipdest fd00::1").exit, 2);
  EXPECT_EQ(run("rules explain " + source + " --frame 00").exit, 2);
  EXPECT_EQ(run("rules check /nowhere").exit, 1);
}

TEST_F(CliTest, WhyExplainsEveryPathAndAddress) {
  start_daemon();
  control::RouteStatus& route = target_.route;
  route.kind = control::RouteStatus::Kind::kDirect;
  route.peer.identity = target_.root;
  route.reason = control::ChoiceReason::kDoubt;
  control::PathStatus taken, failed, dearer;
  taken.key = {1, *wire::parse_endpoint("10.0.0.1/9993")};
  taken.preferred = true;
  taken.latency_ms = 4;
  taken.cost = 4;
  taken.mtu = 1472;
  failed.key = {1, *wire::parse_endpoint("10.0.1.1/9993")};
  failed.state = control::PathStatus::State::kFailed;
  failed.loss_permille = 875;
  failed.trial_ms = 800;
  dearer.key = {1, *wire::parse_endpoint("198.51.100.1/9993")};
  dearer.cost = 90;
  route.peer.paths = {failed, taken, dearer};
  route.candidates = {
      {*wire::parse_endpoint("10.9.0.1/9993"), control::CandidateSource::kPush,
       control::CandidateVerdict::kOverlay, 5},
      {*wire::parse_endpoint("10.8.0.1/9993"), control::CandidateSource::kRendezvous,
       control::CandidateVerdict::kProbed, 5}};
  const Outcome o = run("why 3401ba0b9a");
  EXPECT_EQ(o.exit, 0) << o.err;
  EXPECT_EQ(o.out,
            "3401ba0b9a: packets go directly\n"
            "  <path> <state> <latency> <jitter> <loss> <mtu> <cost>\n"
            "  10.0.1.1/9993 failed - 0 ms 87.5% 0 0\n"
            "    it does not answer; used again when it answers for 0.8 s\n"
            "* 10.0.0.1/9993 works 4 ms 0 ms 0.0% 1472 4\n"
            "    the path before it did not answer, this one did\n"
            "  198.51.100.1/9993 works - 0 ms 0.0% 0 90\n"
            "    it costs more than the one that is taken\n"
            "- 10.9.0.1/9993\n"
            "    the peer named it; refused: it leads into a joined network, an overlay inside the "
            "overlay\n"
            "- 10.8.0.1/9993\n"
            "    a root named it; asked, and no answer came\n");
  const json value = run_json("why -j 3401ba0b9a");
  EXPECT_EQ(value["route"], "direct");
  EXPECT_EQ(value["paths"][1]["taken"], true);
  EXPECT_EQ(value["candidates"][0]["verdict"], "overlay");
  route.kind = control::RouteStatus::Kind::kRelayed;
  route.relay = wire::Address{0x1122334455};
  route.peer.paths.clear();
  route.candidates.clear();
  EXPECT_EQ(run("why 3401ba0b9a").out,
            "3401ba0b9a: packets go through root 1122334455, since no path is known\n");
  const Outcome unknown = run("why 1122334455");
  EXPECT_EQ(unknown.exit, 1);
  EXPECT_EQ(unknown.out, "404 why \n");
}

TEST_F(CliTest, BondsAreListedShownAndTurned) {
  start_daemon();
  const std::string root = target_.root_text();
  const Outcome none = run("bond " + root + " rotate");
  EXPECT_EQ(none.exit, 1);
  target_.bonded = true;
  EXPECT_EQ(run("bond list").out,
            "<peer>     <policy>       <links> <alive>\n" + root + " active-backup  2       1\n");
  const Outcome shown = run("bond " + root + " show");
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_NE(shown.out.find(root + ": active-backup, 1 of 2 links work\n"), std::string::npos)
      << shown.out;
  EXPECT_EQ(json::parse(run("-j bond " + root + " show").out)["bondingPolicyCode"], 1);
  EXPECT_EQ(run("bond " + root + " rotate").out, "200 rotate OK\n");
  for (const char* wrong :
       {"bond", "bond all", "bond list now", "bond 123 show", "bond setmtu 1 e"}) {
    const Outcome o = run(wrong);
    EXPECT_EQ(o.exit, 2) << wrong;
    EXPECT_EQ(o.out, "") << wrong;
  }
}

TEST_F(CliTest, PingTellsTimeAndWay) {
  start_daemon();
  const Outcome two = run("ping 3401ba0b9a -c 2 -i 100");
  EXPECT_EQ(two.exit, 0) << two.err;
  EXPECT_EQ(two.out,
            "3401ba0b9a: 12 ms directly from 198.51.100.1/9993\n"
            "3401ba0b9a: 12 ms directly from 198.51.100.1/9993\n"
            "2 of 2 answered\n");
  EXPECT_EQ(run_json("ping -j 3401ba0b9a -c 1")[0]["latency"], 12);
  target_.answers = false;
  const Outcome silent = run("ping 3401ba0b9a -c 1 -W 100");
  EXPECT_EQ(silent.exit, 1);
  EXPECT_EQ(silent.out, "3401ba0b9a: no answer in 100 ms\n0 of 1 answered\n");
  const Outcome unknown = run("ping 1122334455 -c 1");
  EXPECT_EQ(unknown.exit, 1);
  EXPECT_EQ(unknown.out, "1122334455: not sent: no such peer\n0 of 1 answered\n");
}

TEST_F(CliTest, ControllerCommandsSpeakV1) {
  start_daemon();
  const auto asked = [&] {
    const HttpRequest& r = target_.last_v1;
    std::string text = r.method + " " + r.path;
    for (const auto& [name, value] : r.query) text += " " + name + "=" + value;
    return text + (r.body.empty() ? "" : " " + r.body);
  };
  target_.v1 = {200, R"({"data":[],"next":null})"};
  EXPECT_EQ(run("controller networks --name a&b").exit, 0);
  EXPECT_EQ(asked(), "GET /api/v1/networks limit=1000 name=a&b");
  const std::string network = kNetwork;
  EXPECT_EQ(
      run_json("controller members " + network + " --authorized false --online true --ip 10.0.0.1"),
      json::array());
  EXPECT_EQ(asked(), "GET /api/v1/networks/" + network +
                         "/members authorized=false ip=10.0.0.1 limit=1000 online=true");
  EXPECT_EQ(run("controller addresses " + network).exit, 0);
  EXPECT_EQ(run("controller audit --count 5 --network " + network).exit, 0);
  EXPECT_EQ(asked(), "GET /api/v1/audit limit=5 network=" + network);
  target_.v1 = {200, R"({"name":"x"})"};
  EXPECT_EQ(run("controller status").exit, 0);
  EXPECT_EQ(asked(), "GET /api/v1/status");
  target_.v1 = {201, R"({"token":"orr_x"})"};
  EXPECT_EQ(run_json("controller token create ops --role write --network " + network)["token"],
            "orr_x");
  EXPECT_EQ(asked(), R"(POST /api/v1/tokens {"name":"ops","networks":[")" + network +
                         R"("],"role":"write"})");
  EXPECT_EQ(run("controller webhook create chat http://x/ --type member.candidate").exit, 0);
  EXPECT_EQ(
      asked(),
      R"(POST /api/v1/webhooks {"name":"chat","types":["member.candidate"],"url":"http://x/"})");
  target_.v1 = {204, ""};
  EXPECT_EQ(run("controller token delete 00/11").out, "");
  EXPECT_EQ(asked(), "DELETE /api/v1/tokens/00/11");
  EXPECT_EQ(run_json("controller webhook delete 0011 -j"), (json{{"done", true}}));
  target_.v1 = {200, "{}"};
  EXPECT_EQ(run({"controller", "webhook", "change", "0011", "--set", R"({"enabled":false})"}).exit,
            0);
  EXPECT_EQ(asked(), R"(PATCH /api/v1/webhooks/0011 {"enabled":false})");

  put("ops.json", R"([{"member":"1122334455","set":{"authorized":true}}])");
  target_.v1 = {200, R"({"results":[{"member":"1122334455","status":409}],"failed":1})"};
  const Outcome bulk = run("controller bulk " + network + " ops.json");
  EXPECT_EQ(bulk.exit, 1) << "one of them failed";
  EXPECT_EQ(json::parse(bulk.out)[0]["status"], 409);
  expect_refusal(run("controller bulk " + network + " missing.json"), 1, "missing.json",
                 "JSON array");

  target_.v1 = {400, R"({"error":{"status":400,"message":"expected a string","path":"$.name"}})"};
  expect_refusal(run("controller status"), 1, "400", "$.name: expected a string");
  expect_refusal(run("controller token create x --role root"), 2, "root", "admin");
  expect_refusal(run("controller token"), 2, "no command", "create");
  expect_refusal(run("controller events --network " + network + " --network " + network), 2,
                 "--network", "one");
}

TEST_F(CliTest, ControllerFilesGoInWhileTheDaemonIsOff) {
  put("home/orrery.toml", "[controller]\nenabled = true\n");
  ASSERT_EQ(run("identity generate home/identity.secret home/identity.public").exit, 0);
  const json files = test::load_vectors("state_files.json")["controller"];
  for (const auto& [path, text] : files.items()) {
    std::filesystem::create_directories(
        std::filesystem::path(directory_ + "/stock/" + path).parent_path());
    put("stock/" + path, text.get<std::string>());
  }
  EXPECT_EQ(run("controller import stock/controller.d").out, "3 records imported\n");
  expect_refusal(run("controller import stock/controller.d"), 1, "not empty", "--replace");
  EXPECT_EQ(run_json("controller import stock/controller.d --replace -j")["records"], 3);
  expect_refusal(run("controller import nowhere"), 1, "nowhere", "no networks");
}

TEST_F(CliTest, GetPrintsOneValue) {
  start_daemon();
  const std::string get = std::string("get ") + kNetwork;
  const Outcome before = run(get + " ip");
  EXPECT_EQ(before.exit, 1);
  EXPECT_EQ(before.err, "unknown network ID, check that you are a member of the network\n");
  run(std::string("join ") + kNetwork);
  target_.joined[0].addresses = {*wire::parse_endpoint("fd34:1ba:b9a:0:7799:9360:a6b8:e2e/88"),
                                 *wire::parse_endpoint("10.55.0.41/24")};
  EXPECT_EQ(run(get + " ip").out, "fd34:1ba:b9a:0:7799:9360:a6b8:e2e\n10.55.0.41\n");
  EXPECT_EQ(run(get + " ip4").out, "10.55.0.41\n");
  EXPECT_EQ(run(get + " ip6").out, "fd34:1ba:b9a:0:7799:9360:a6b8:e2e\n");
  EXPECT_EQ(run(get + " ip6plane").out, "\n");
  EXPECT_EQ(run(get + " ip6prefix").out, "\n");
  EXPECT_EQ(run(get + " status").out, "REQUESTING_CONFIGURATION\n");
  EXPECT_EQ(run(get + " allowManaged").out, "1\n");
  EXPECT_EQ(run(get + " mtu").out, "2800\n");
  EXPECT_EQ(run_json(get + " ip4 -j"), json::array({"10.55.0.41"}));
  EXPECT_EQ(run_json(get + " allowManaged -j"), true);
  expect_refusal(run(get + " nosuch"), 1, "\"nosuch\"", "netconfRevision");
}

TEST_F(CliTest, AnswersThatAreNotThoseOfADaemon) {
  std::string body;
  start([&](const HttpRequest&) { return HttpResponse{200, body}; });
  for (const char* odd : {"", "{", "[1]", "{\"paths\":1}", "[{\"paths\":1}]", "[{}]", "null",
                          "[{\"address\":7,\"id\":7,\"assignedAddresses\":[7],\"paths\":[7]}]",
                          "{\"address\":7}", "\"\xff\""}) {
    body = odd;
    for (const std::string& line :
         {std::string("info"), std::string("listpeers"), std::string("peers"),
          std::string("listnetworks"), std::string("get ") + kNetwork + " ip", std::string("dump"),
          std::string("why 3401ba0b9a"), std::string("ping 3401ba0b9a -c 1 -W 100")}) {
      const Outcome o = run(line);
      EXPECT_TRUE(o.exit == 0 || o.exit == 1) << line << " of " << odd << '\n' << o.err;
      EXPECT_LE(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    }
  }
}

TEST_F(CliTest, IdentitiesAsTextAndJson) {
  const Outcome made = run("identity generate a.secret a.public");
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(made.out, "a.secret written\na.public written\n");
  const std::string open = read_all(directory_ + "/a.public");
  const std::string address = open.substr(0, 10);
  EXPECT_EQ(run("identity getpublic a.secret").out, open);
  EXPECT_EQ(run_json("identity getpublic a.secret -j")["publicIdentity"], open);
  EXPECT_EQ(run("identity validate a.public").out, "a.public is a valid identity\n");
  EXPECT_EQ(run_json("-j identity validate a.public"),
            (json{{"address", address}, {"publicIdentity", open}, {"valid", true}}));
  EXPECT_EQ(run_json("identity fingerprint a.public -j")["fingerprint"].get<std::string>() + "\n",
            run("identity fingerprint a.public").out);
  put("text", "to be signed");
  const std::string signature = run("identity sign a.secret text").out;
  EXPECT_EQ(signature.size(), 192u);
  EXPECT_EQ(run_json("identity sign a.secret text -j")["signature"].get<std::string>().size(),
            192u);
  EXPECT_EQ(run("identity verify a.public text " + signature).out, "text signature valid\n");
  EXPECT_EQ(run_json("identity verify a.public text -j " + signature)["valid"], true);
  put("text", "something else");
  const Outcome forged = run("identity verify a.public text " + signature);
  EXPECT_EQ(forged.exit, 1);
  EXPECT_EQ(forged.err, "text signature check FAILED\n");
  EXPECT_EQ(run("identity verify -j a.public text " + signature).exit, 1);

  put("bad", "0123456789:0:zz");
  std::filesystem::create_directory(directory_ + "/folder");
  for (const char* line :
       {"identity validate bad", "identity validate missing", "identity getpublic folder",
        "identity fingerprint bad", "identity sign a.public text", "identity sign a.secret missing",
        "identity verify bad text 00", "identity verify a.public missing 00",
        "identity verify a.public text 00", "identity generate folder", "moon init bad",
        "moon init missing"}) {
    const Outcome o = run(line);
    EXPECT_EQ(o.exit, 1) << line << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << line << '\n' << o.err;
  }
  const json printed = run_json("identity generate -j");
  EXPECT_TRUE(printed["secretIdentity"].get<std::string>().starts_with(
      printed["publicIdentity"].get<std::string>()));

  // Worlds from this identity.
  const json planet = run_json("planet create -j p a.public=198.51.100.7/9993 --id abc");
  EXPECT_EQ(planet["keyFile"], "p.json");
  EXPECT_EQ(run_json("planet inspect p")["id"], "0000000000000abc");
  EXPECT_EQ(run_json("planet inspect p -j")["signedByOwnKey"], true);
  EXPECT_EQ(run_json("planet sign p.json q -j")["file"], "q");
  EXPECT_EQ(run_json("planet rotate p.json -j")["file"], "p");
  EXPECT_EQ(run("planet rotate p.json").exit, 0);
  json moon = run_json("moon init a.public");
  put("m.json", moon.dump());
  EXPECT_EQ(run_json("moon create m.json -j")["file"], "000000" + address + ".moon");
  EXPECT_EQ(run_json("moon inspect 000000" + address + ".moon")["worldType"], "moon");

  // Every field with every wrong type: one line and exit code 1, never a signal.
  for (const char* field :
       {"worldType", "id", "signingKey", "signingKey_SECRET", "updatesMustBeSignedBy", "roots"}) {
    for (const json& wrong : {json(7), json(nullptr), json(json::array()), json(json::object()),
                              json("zz"), json({{{"identity", 7}}}), json(1.5)}) {
      json broken = moon;
      broken[field] = wrong;
      put("broken.json", broken.dump());
      const Outcome o = run("moon create broken.json");
      EXPECT_EQ(o.exit, 1) << broken;
      EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    }
  }
  for (const json& wrong :
       {json(7), json({7}), json({"198.51.100.7"}), json({"x/1"}), json({{{"a", 1}}})}) {
    json broken = moon;
    broken["roots"][0]["stableEndpoints"] = wrong;
    put("broken.json", broken.dump());
    EXPECT_EQ(run("moon create broken.json").exit, 1) << broken;
  }
  put("deep.json", "{\"worldType\":" + std::string(1'000'000, '['));
  put("deep2.json", "{\"roots\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}");
  put("text.json", "no json");
  put("array.json", "[]");
  put("latin.json", "{\"id\":\"\xe9\"}");
  for (const char* file : {"deep.json", "deep2.json", "text.json", "array.json", "latin.json",
                           "missing.json", "folder", "p"}) {
    for (const std::string& command : {std::string("moon create "), std::string("planet rotate "),
                                       std::string("planet sign ")}) {
      const Outcome o = run(command + file + (command == "planet sign " ? " out" : ""));
      EXPECT_EQ(o.exit, 1) << command << file;
      EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    }
  }
  for (const char* file : {"text.json", "missing", "folder"}) {
    EXPECT_EQ(run(std::string("moon inspect ") + file).exit, 1) << file;
  }
  expect_refusal(run("planet create x a.public=nowhere"), 2, "nowhere", "IP/port");
  expect_refusal(run("planet create x a.public=198.51.100.7/9993 --id zz"), 1, "\"id\"",
                 "hexadecimal");
}

TEST_F(CliTest, TheManPageHasEveryCommand) {
  const char* source = std::getenv("ORRERY_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "ORRERY_SOURCE names no tree";
  std::string page = read_all(std::string(source) + "/docs/man/orrery.1");
  ASSERT_FALSE(page.empty());
  std::erase_if(page, [](char c) { return c == '"' || c == '\\'; });
  const auto commands_in = [&](const std::string& words) {
    std::set<std::string> names;
    std::istringstream lines(run(words + " --help").out);
    bool listing = false;
    for (std::string line; std::getline(lines, line);) {
      if (line == "Subcommands:") {
        listing = true;
      } else if (listing && line.starts_with("  ") && line[2] != ' ') {
        names.insert(line.substr(2, line.find(' ', 2) - 2));
      } else if (listing && !line.starts_with(" ")) {
        listing = false;
      }
    }
    return names;
  };
  const auto expect_line = [&](const std::string& words) {
    // ".B listpeers", ".BI join NETWORK", ".BR info , status"
    std::istringstream lines(page);
    bool found = false;
    for (std::string line; !found && std::getline(lines, line);) {
      if (!line.starts_with(".B")) continue;
      const std::size_t space = line.find(' ');
      if (space == std::string::npos) continue;
      const std::string rest = line.substr(space + 1) + " ";
      found = rest.starts_with(words + " ") || rest.find(" " + words + " ") != std::string::npos;
    }
    EXPECT_TRUE(found) << "docs/man/orrery.1 lacks " << words;
  };
  const std::set<std::string> top = commands_in("");
  EXPECT_GT(top.size(), 15u);
  for (const std::string& name : top) {
    const std::set<std::string> inner = commands_in(name);
    if (inner.empty()) expect_line(name);
    for (const std::string& sub : inner) expect_line(name + " " + sub);
  }
}

TEST_F(CliTest, TheDaemonRefusesBadArgumentsAndConfigurations) {
  const std::string daemon = program("ORRERY_DAEMON");
  if (daemon.empty()) GTEST_SKIP() << "ORRERY_DAEMON names no program";
  EXPECT_EQ(run_program(daemon, {"--help"}).exit, 0);
  EXPECT_EQ(run_program(daemon, {"--version"}).exit, 0);
  EXPECT_EQ(run_program(daemon, {"--nonsense"}).exit, 2);
  EXPECT_EQ(run_program(daemon, {"extra"}).exit, 2);
  EXPECT_EQ(run_program(daemon, {"--port", "0"}).exit, 2);
  EXPECT_EQ(run_program(daemon, {"--home", home_, "--config", "missing.toml"}).exit, 2);
  for (const char* bad : {"[node]\nport = \"x\"\n", "nonsense = 1\n", "[[[", "\xff\xfe"}) {
    put("home/orrery.toml", bad);
    const Outcome o = run_program(daemon, {"--home", home_});
    EXPECT_EQ(o.exit, 2) << bad;
    EXPECT_NE(o.err.find("orrery.toml"), std::string::npos) << o.err;
  }
  std::filesystem::remove(home_ + "/orrery.toml");
  for (const char* bad : {"{", "[]", "7", "\"\xff\""}) {
    put("home/local.conf", bad);
    EXPECT_EQ(run_program(daemon, {"--home", home_}).exit, 2) << bad;
  }
}

}  // namespace
}  // namespace orrery::service
