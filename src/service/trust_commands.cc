#include "service/trust_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "control/controller/json_text.h"
#include "crypto/kdf.h"
#include "service/command_files.h"
#include "service/pin_text.h"

namespace orrery::service {
namespace {

using nlohmann::json;

/// The fingerprint that an argument names: digits, or an identity of that address as text or file.
std::optional<control::Fingerprint> fingerprint_argument(wire::Address address,
                                                         const std::string& argument) {
  if (const auto digits = parse_fingerprint(argument)) return digits;
  const auto who = identity_argument(argument);
  if (!who) return std::nullopt;
  if (who->identity.address == address) return crypto::fingerprint(who->identity);
  std::cerr << "the identity is that of " << wire::to_string(who->identity.address) << ", not of "
            << wire::to_string(address) << '\n';
  return std::nullopt;
}

void add_pins(Connection& c, int& exit_code, const char* command, const Pins& pins) {
  run_change(c, exit_code, command, "POST", "/orrery/pins", pins_text(pins));
}

void export_pins(Connection& c, int& exit_code, const std::string& file) {
  const auto body = ask(c, exit_code, "pins", "GET", "/orrery/pins");
  if (!body) return;
  const auto pins = parse_pins(*body);
  if (!pins) throw std::runtime_error("the answer " + pins.error().text);
  const std::string text = pins_text(*pins) + '\n';
  if (file.empty()) {
    std::cout << text;
  } else if (write_file(file, bytes_of(text))) {
    std::cout << file << " written (" << pins->size() << " pins)\n";
  } else {
    exit_code = kFailed;
  }
}

void import_pins(Connection& c, int& exit_code, const std::string& file) {
  exit_code = kFailed;
  const auto text = file_content(file);
  if (!text) return;
  const auto pins = parse_pins(*text);
  if (!pins) {
    std::cerr << file << ": " << pins.error().text << '\n';
    return;
  }
  // A body of the API has at most 1 MiB.
  constexpr std::size_t kAtOnce = 8'000;
  Pins some;
  std::size_t done = 0;
  for (auto it = pins->begin(); it != pins->end();) {
    some.insert(*it++);
    if (some.size() < kAtOnce && it != pins->end()) continue;
    if (!ask(c, exit_code, "pins", "POST", "/orrery/pins", pins_text(some))) return;
    done += some.size();
    some.clear();
  }
  exit_code = kDone;
  if (c.as_json) {
    print_json({{"pinned", done}});
  } else {
    std::cout << "200 pins import " << done << '\n';
  }
}

std::string list_of(const json& texts) {
  std::string all;
  for (const json& text : texts) all += (all.empty() ? "" : ",") + text.get<std::string>();
  return all.empty() ? "-" : all;
}

std::string ago(const json& ms) {
  return ms.is_number() && ms.get<std::int64_t>() >= 0 ? std::to_string(ms.get<std::int64_t>())
                                                       : "-";
}

void print_roots(const json& roots) {
  std::cout << "200 roots <ztaddr> <state> <latency> <ms since HELLO answered> <since WHOIS> "
               "<worlds> <endpoints>\n";
  for (const json& root : roots) {
    std::cout << "200 roots " << root.value("address", "") << ' '
              << (root.value("excluded", false) ? "EXCLUDED"
                  : root.value("alive", false)  ? "ALIVE"
                                                : "SILENT")
              << (root.value("preferred", false) ? ",PREFERRED " : " ") << root.value("latency", -1)
              << ' ' << ago(root["answeredHello"]) << ' ' << ago(root["answeredWhois"]) << ' '
              << list_of(root["worlds"]) << ' ' << list_of(root["endpoints"]) << '\n';
  }
}

void print_trust(const json& trust) {
  std::cout << "200 trust " << trust.value("pins", 0) << " pins, "
            << (trust.value("strict", false) ? "two roots must agree" : "one root is believed")
            << ", " << trust.value("alarmsRaised", 0) << " alarms\n";
  for (const json& alarm : trust.at("alarms")) {
    std::cout << "200 trust " << alarm.value("kind", "") << ' ' << alarm.value("about", "") << ' '
              << (alarm["by"].is_string() ? alarm["by"].get<std::string>() : "-") << ' '
              << alarm.value("first", 0LL) << ' ' << alarm.value("last", 0LL) << ' '
              << alarm.value("count", 0) << '\n';
  }
}

/// Roots of one world that answered both questions since `asked` ms ago.
bool answered(const json& root, std::int64_t since) {
  const auto fresh = [&](const char* key) {
    const std::int64_t ms = root.value(key, std::int64_t{-1});
    return ms >= 0 && ms <= since;
  };
  return fresh("answeredHello") && fresh("answeredWhois");
}

void check_moon(Connection& c, int& exit_code, const std::string& moon, unsigned seconds) {
  using Clock = std::chrono::steady_clock;
  const std::string id = moon.size() == 16 ? moon : "000000" + moon;
  const auto begin = Clock::now();
  const auto passed = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
  };
  json roots;
  bool all = false;
  for (unsigned turn = 0; !all && passed() <= std::int64_t{seconds} * 1000; ++turn) {
    // Asked again every second: the first answer to HELLO is what WHOIS may need to find its way.
    if (turn % 5 == 0) {
      const auto asked = ask(c, exit_code, "moon", "POST", "/orrery/roots/check",
                             control::json_text({{"world", id}}));
      if (!asked) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(turn == 0 ? 50 : 200));
    const auto body = ask(c, exit_code, "moon", "GET", "/orrery/roots");
    if (!body) return;
    roots = json::array();
    for (const json& root : parse(*body)) {
      const json& worlds = root.at("worlds");
      if (std::find(worlds.begin(), worlds.end(), json(id)) != worlds.end()) roots.push_back(root);
    }
    if (roots.empty()) break;
    all = std::all_of(roots.begin(), roots.end(),
                      [&](const json& root) { return answered(root, passed()); });
  }
  exit_code = kFailed;
  if (roots.empty()) {
    std::cerr << "moon " << id
              << ": not known here, or this node is its only root (see \"orrery listmoons\")\n";
    return;
  }
  json results = json::array();
  for (const json& root : roots) {
    const bool good = answered(root, passed());
    if (good) exit_code = kDone;
    const bool reached =
        ago(root["answeredHello"]) != "-" && root["answeredHello"].get<std::int64_t>() <= passed();
    results.push_back({{"address", root["address"]},
                       {"endpoints", root["endpoints"]},
                       {"reachable", reached},
                       {"answersWhois", good},
                       {"latency", root["latency"]}});
    if (c.as_json) continue;
    std::cout << root.value("address", "") << ' ' << list_of(root["endpoints"]) << ": ";
    if (good) {
      std::cout << "reachable, " << root.value("latency", -1) << " ms, answers\n";
    } else if (reached) {
      std::cout << "reachable, but no answer to WHOIS within " << seconds << " s\n";
    } else {
      std::cout << "no answer within " << seconds << " s\n";
    }
  }
  if (c.as_json) print_json({{"id", id}, {"answers", exit_code == kDone}, {"roots", results}});
}

}  // namespace

void add_trust_commands(CLI::App& app, Connection& c, int& exit_code) {
  auto address = std::make_shared<std::string>();
  auto what = std::make_shared<std::string>();

  add_listing(app, c, exit_code, "roots",
              "Roots of the planet and of moons, and when each last answered", "/orrery/roots",
              print_roots);
  add_listing(app, c, exit_code, "trust", "Alarms about keys: who lied, about whom, how often",
              "/orrery/trust", print_trust);

  CLI::App* pins = app.add_subcommand("pins", "Keys that addresses are bound to");
  pins->require_subcommand(1);
  CLI::App* save = pins->add_subcommand("export", "All pins as JSON, to a file or standard output");
  save->add_option("FILE", *what, "file to write");
  save->callback([&c, &exit_code, what] { export_pins(c, exit_code, *what); });
  CLI::App* load = pins->add_subcommand(
      "import", "Pin all addresses of a file (as of export) by hand, in place of what was pinned");
  load->add_option("FILE", *what, "file to read")->required();
  load->callback([&c, &exit_code, what] { import_pins(c, exit_code, *what); });

  CLI::App* identity = app.get_subcommand("identity");
  CLI::App* pin = identity->add_subcommand(
      "pin", "Bind an address to a key at the running daemon: no other one is ever believed");
  pin->add_option("ADDRESS", *address, "10 hexadecimal digits")
      ->required()
      ->check(validated_address);
  pin->add_option("FINGERPRINT", *what,
                  "96 hexadecimal digits of \"identity fingerprint\", or the identity itself, text "
                  "or file")
      ->required();
  pin->callback([&c, &exit_code, address, what] {
    const wire::Address who = *wire::parse_address(*address);
    const auto fingerprint = fingerprint_argument(who, *what);
    exit_code = kFailed;
    if (fingerprint) add_pins(c, exit_code, "pin", {{who, *fingerprint}});
  });
  CLI::App* unpin = identity->add_subcommand(
      "unpin", "Forget the key of an address: the next one that shows itself is pinned");
  unpin->add_option("ADDRESS", *address, "10 hexadecimal digits")
      ->required()
      ->check(validated_address);
  unpin->callback([&c, &exit_code, address] {
    run_change(c, exit_code, "unpin", "DELETE", "/orrery/pins/" + *address, "");
  });

  auto seconds = std::make_shared<unsigned>(3);
  CLI::App* check = app.get_subcommand("moon")->add_subcommand(
      "check", "Ask the roots of a moon that the daemon follows whether they are there and answer");
  check->add_option("MOON", *address, "the moon's id")->required()->check(validated_moon);
  check->add_option("--seconds", *seconds, "how long to wait")
      ->check(CLI::Range(1, 60))
      ->capture_default_str();
  check->callback(
      [&c, &exit_code, address, seconds] { check_moon(c, exit_code, *address, *seconds); });
}

}  // namespace orrery::service
