#include "service/path_commands.h"

#include <chrono>
#include <iomanip>
#include <iostream>
#include <memory>
#include <thread>

#include "control/controller/json_text.h"
#include "wire/address.h"

namespace orrery::service {

using nlohmann::json;

namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(10);

std::string validated_peer(const std::string& text) {
  return wire::parse_address(text)
             ? std::string()
             : "invalid address \"" + text + "\": expected 10 hexadecimal digits";
}

std::string milliseconds(std::int64_t ms) {
  return ms < 0 ? std::string("-") : std::to_string(ms) + " ms";
}

void print_why(const json& route) {
  std::cout << route.value("address", "") << ": " << route.value("why", "") << '\n';
  const json& paths = route.at("paths");
  if (!paths.empty()) {
    std::cout << "  <path> <state> <latency> <jitter> <loss> <mtu> <cost>\n";
    for (const json& path : paths) {
      std::cout << (path.value("taken", false) ? "* " : "  ") << path.value("address", "") << ' '
                << path.value("state", "") << ' ' << milliseconds(path.value("latency", -1)) << ' '
                << milliseconds(path.value("jitter", -1)) << ' ' << std::fixed
                << std::setprecision(1) << path.value("loss", 0.0) * 100 << "% "
                << path.value("mtu", 0) << ' ' << path.value("cost", std::int64_t{0}) << "\n    "
                << path.value("why", "") << '\n';
    }
  }
  for (const json& candidate : route.at("candidates")) {
    std::cout << "- " << candidate.value("address", "") << "\n    " << candidate.value("why", "")
              << '\n';
  }
}

struct PingOptions {
  std::string peer;
  unsigned count = 4, interval_ms = 1'000, wait_ms = 2'000;
};

/// The answer to one ping; discarded when none came in time.
json wait_for(const AskDaemon& ask, const PingOptions& options, unsigned sequence) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.wait_ms);
  do {
    std::this_thread::sleep_for(kPollEvery);
    const auto pings = ask("ping", "GET", "/orrery/ping/" + options.peer);
    if (!pings) break;
    for (const json& ping : *pings) {
      if (ping.value("sequence", 0u) == sequence && ping.value("latency", -1) >= 0) return ping;
    }
  } while (std::chrono::steady_clock::now() < until);
  return json(json::value_t::discarded);
}

/// Whether a ping was answered. One of several may not be: nodes answer one ECHO in 166 ms for a
/// path, and watch their paths by ECHOs, too.
bool run_ping(const AskDaemon& ask, const PingOptions& options, bool as_json) {
  json all = json::array();
  unsigned answered = 0;
  for (unsigned i = 0; i < options.count; ++i) {
    if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(options.interval_ms));
    const auto sent = ask("ping", "POST", "/orrery/ping/" + options.peer);
    if (!sent) return false;
    json answer(json::value_t::discarded);
    if (sent->contains("sequence"))
      answer = wait_for(ask, options, sent->at("sequence").get<unsigned>());
    if (!answer.is_discarded()) ++answered;
    if (as_json) {
      all.push_back(answer.is_discarded() ? json(nullptr) : answer);
    } else if (!sent->contains("sequence")) {
      std::cout << options.peer << ": not sent: " << sent->value("error", "") << '\n';
    } else if (answer.is_discarded()) {
      std::cout << options.peer << ": no answer in " << options.wait_ms << " ms\n";
    } else {
      std::cout << options.peer << ": " << answer.value("latency", -1) << " ms "
                << (answer.value("relayed", false) ? "relayed by " : "directly from ")
                << answer.value("via", "") << '\n';
    }
  }
  if (as_json) {
    std::cout << control::json_text(all, 1) << '\n';
  } else {
    std::cout << answered << " of " << options.count << " answered\n";
  }
  return answered != 0;
}

void print_bonds(const json& peers) {
  std::cout << "<peer>     <policy>       <links> <alive>\n";
  for (const json& peer : peers) {
    if (!peer.value("isBonded", false)) continue;
    std::cout << peer.value("address", "") << ' ' << std::left << std::setw(14)
              << peer.value("bondingPolicyStr", "") << ' ' << std::setw(7)
              << peer.value("numTotalLinks", 0) << ' ' << peer.value("numAliveLinks", 0) << '\n';
  }
}

void print_bond(const json& peer) {
  std::cout << peer.value("address", "") << ": " << peer.value("bondingPolicyStr", "") << ", "
            << peer.value("numAliveLinks", 0) << " of " << peer.value("numTotalLinks", 0)
            << " links work\n  <interface> <path> <latency> <loss> <flows of 64>\n";
  for (const json& path : peer.at("paths")) {
    std::cout << (path.value("bonded", false) ? "* " : "  ")
              << (path.value("ifname", "").empty() ? "-" : path.value("ifname", "")) << ' '
              << path.value("address", "") << ' ' << milliseconds(path.value("latencyMean", -1))
              << ' ' << std::fixed << std::setprecision(1)
              << path.value("packetLossRatio", 0.0) * 100 << "% "
              << path.value("assignedFlowCount", 0) << '\n';
  }
}

void add_bond_commands(CLI::App& app, const AskDaemon& ask, const bool& as_json) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* bond = app.add_subcommand("bond",
                                      "Several links to one peer: \"bond list\", \"bond PEER "
                                      "show\", \"bond PEER rotate\" (the next "
                                      "link of an active-backup bond carries)");
  bond->add_option("WORDS", *words, "list, or a peer and what to do")->required()->expected(1, 2);
  const auto known = [](const std::vector<std::string>& w) {
    return w.size() == 1 ? w[0] == "list"
                         : wire::parse_address(w[0]) && (w[1] == "show" || w[1] == "rotate");
  };
  const auto print = [&as_json](const json& value, void (*text)(const json&)) {
    if (as_json) {
      std::cout << control::json_text(value, 1) << '\n';
    } else {
      text(value);
    }
  };
  bond->callback([ask, words, known, print] {
    if (!known(*words)) {
      throw CLI::ValidationError(
          "bond",
          "expected \"list\", \"PEER show\" or \"PEER rotate\", PEER being 10 hexadecimal digits");
    }
    if (words->size() == 1) {
      if (const auto peers = ask("bond", "GET", "/peer")) print(*peers, print_bonds);
    } else if ((*words)[1] == "show") {
      if (const auto peer = ask("bond", "GET", "/bond/show/" + (*words)[0]))
        print(*peer, print_bond);
    } else if (ask("bond", "POST", "/bond/rotate/" + (*words)[0])) {
      std::cout << "200 rotate OK\n";
    }
  });
}

}  // namespace

void add_path_commands(CLI::App& app, const AskDaemon& ask, const bool& as_json, int& exit_code) {
  auto peer = std::make_shared<std::string>();
  CLI::App* why = app.add_subcommand(
      "why",
      "Explain where packets to a peer go: every path with what was measured of it and why it is "
      "taken or not, and every address that did not become a path");
  why->add_option("PEER", *peer, "10 hexadecimal digits")->required()->check(validated_peer);
  why->callback([ask, &as_json, peer] {
    const auto route = ask("why", "GET", "/orrery/why/" + *peer);
    if (!route) return;
    if (as_json) {
      std::cout << control::json_text(*route, 1) << '\n';
    } else {
      print_why(*route);
    }
  });

  add_bond_commands(app, ask, as_json);

  auto options = std::make_shared<PingOptions>();
  CLI::App* ping = app.add_subcommand(
      "ping",
      "Ask a peer for answers, the way that packets take now; tells how long each took and whether "
      "it came directly. Exit code 1 when none is answered");
  ping->add_option("PEER", options->peer, "10 hexadecimal digits")
      ->required()
      ->check(validated_peer);
  ping->add_option("-c,--count", options->count, "so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  ping->add_option("-i,--interval", options->interval_ms, "milliseconds between them")
      ->check(CLI::Range(100, 3'600'000))
      ->capture_default_str();
  ping->add_option("-W,--wait", options->wait_ms, "milliseconds to wait for each answer")
      ->check(CLI::Range(100, 15'000))
      ->capture_default_str();
  ping->callback([ask, &as_json, &exit_code, options] {
    if (!run_ping(ask, *options, as_json) && exit_code == 0) exit_code = 1;
  });
}

}  // namespace orrery::service
