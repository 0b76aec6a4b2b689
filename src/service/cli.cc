#include "service/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "service/home.h"
#include "service/http_client.h"
#include "service/identity_commands.h"
#include "wire/address.h"

namespace orrery::service {
namespace {

using nlohmann::json;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kNoDaemon = 3;

/// Where the daemon is and how to talk to it.
struct Connection {
  std::string home = "/var/lib/orrery";
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: from zerotier-one.port in the home
  std::string token;       // empty: from authtoken.secret
  bool as_json = false;

  /// Fills what was not given; a message on standard error and false when it cannot be found.
  bool complete() {
    const Home files = Home::peek(home);
    const auto text = [&](const char* name) -> std::string {
      const auto file = files.read(name);
      if (!file || !*file) return {};
      std::string content(text_of(**file));
      while (!content.empty() && std::isspace(static_cast<unsigned char>(content.back())) != 0)
        content.pop_back();
      return content;
    };
    if (port == 0)
      port =
          static_cast<std::uint16_t>(std::strtoul(text("zerotier-one.port").c_str(), nullptr, 10));
    if (token.empty()) token = text("authtoken.secret");
    if (token.empty()) {
      if (const char* user = std::getenv("HOME"); user != nullptr) {
        const auto file = Home::peek(user).read(".zeroTierOneAuthToken");
        if (file && *file) token = std::string(text_of(**file));
      }
    }
    if (port == 0 || token.empty()) {
      std::cerr
          << "cannot find the daemon: no readable "
          << (port == 0 ? "zerotier-one.port" : "authtoken.secret") << " in " << home
          << " (is orreryd running? give its home with -D, or port and token with -p and -T)\n";
      return false;
    }
    return true;
  }
};

/// One request; nothing (and `exit_code` set) unless the answer is 200.
std::optional<std::string> ask(Connection& c, int& exit_code, const std::string& command,
                               const std::string& method, const std::string& path,
                               const std::string& body = {}) {
  if (!c.complete()) {
    exit_code = kNoDaemon;
    return std::nullopt;
  }
  const auto answer = http_request(c.host, c.port, c.token, method, path, body);
  if (!answer) {
    std::cerr << answer.error().text << '\n';
    exit_code = answer.error().code == Errc::kNotFound ? kNoDaemon : kFailed;
    return std::nullopt;
  }
  if (answer->status != 200) {
    std::cout << answer->status << ' ' << command << ' ' << answer->body << '\n';
    exit_code = kFailed;
    return std::nullopt;
  }
  exit_code = kDone;
  return answer->body;
}

json parse(const std::string& body) {
  return json::parse(body, nullptr, false);
}

const json* preferred_path(const json& peer) {
  for (const json& path : peer["paths"]) {
    if (path.value("preferred", false)) return &path;
  }
  return nullptr;
}

std::string age(std::int64_t then, std::int64_t now) {
  return then <= 0 ? "-1" : std::to_string(std::max<std::int64_t>(0, now - then));
}

std::int64_t wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string joined(const json& array) {
  std::string text;
  for (const json& element : array) {
    if (!text.empty()) text += ',';
    text += element.get<std::string>();
  }
  return text.empty() ? "-" : text;
}

void print_info(const json& status) {
  std::cout << "200 info " << status.value("address", "") << ' ' << status.value("version", "")
            << ' '
            << (status.value("tcpFallbackActive", false) ? "TUNNELED"
                : status.value("online", false)          ? "ONLINE"
                                                         : "OFFLINE")
            << '\n';
}

std::string version_of(const json& peer) {
  return peer.value("versionMajor", -1) < 0 ? "-" : peer.value("version", "-");
}

void print_listpeers(const json& peers) {
  std::cout << "200 listpeers <ztaddr> <path> <latency> <version> <role>\n";
  for (const json& peer : peers) {
    const json* path = preferred_path(peer);
    std::cout << "200 listpeers " << peer.value("address", "") << ' ';
    if (path != nullptr) {
      std::cout << path->value("address", "") << ';'
                << age(path->value("lastSend", 0LL), wall_now()) << ';'
                << age(path->value("lastReceive", 0LL), wall_now());
    } else {
      std::cout << '-';
    }
    std::cout << ' ' << peer.value("latency", -1) << ' ' << version_of(peer) << ' '
              << peer.value("role", "") << '\n';
  }
}

void print_peers(const json& peers) {
  std::cout << "200 peers\n<ztaddr>   <ver>  <role> <lat> <link>   <lastTX> <lastRX> <path>\n";
  for (const json& peer : peers) {
    const json* path = preferred_path(peer);
    std::cout << peer.value("address", "") << ' ' << std::left << std::setw(6) << version_of(peer)
              << ' ' << std::setw(6) << peer.value("role", "") << ' ' << std::right << std::setw(5)
              << peer.value("latency", -1) << ' ';
    if (path != nullptr) {
      std::cout << "DIRECT   " << std::left << std::setw(8)
                << age(path->value("lastSend", 0LL), wall_now()) << ' ' << std::setw(8)
                << age(path->value("lastReceive", 0LL), wall_now()) << ' '
                << path->value("address", "");
    } else {
      std::cout << "RELAY";
    }
    std::cout << '\n';
  }
}

void print_networks(const json& networks) {
  std::cout << "200 listnetworks <nwid> <name> <mac> <status> <type> <dev> <ZT assigned ips>\n";
  for (const json& n : networks) {
    std::cout << "200 listnetworks " << n.value("nwid", "") << ' ' << n.value("name", "") << ' '
              << n.value("mac", "") << ' ' << n.value("status", "") << ' ' << n.value("type", "")
              << ' '
              << (n.value("portDeviceName", "").empty() ? "-" : n.value("portDeviceName", ""))
              << ' ' << joined(n["assignedAddresses"]) << '\n';
  }
}

/// Value of one key of a network as `get` prints it.
bool print_value(const json& network, const std::string& key) {
  if (key == "ip" || key == "ip4" || key == "ip6" || key == "ip6plane" || key == "ip6prefix") {
    for (const json& assigned : network["assignedAddresses"]) {
      const std::string text = assigned.get<std::string>();
      const std::string ip = text.substr(0, text.find('/'));
      const bool v6 = ip.find(':') != std::string::npos;
      if (key == "ip4" && v6) continue;
      if (key != "ip" && key != "ip4" && !v6) continue;
      if ((key == "ip6plane" || key == "ip6prefix") && !ip.starts_with("fc")) continue;
      std::cout << (key == "ip6prefix" ? ip.substr(0, 24) : ip) << '\n';
    }
    return true;
  }
  if (!network.contains(key)) return false;
  const json& value = network[key];
  if (value.is_boolean()) {
    std::cout << (value.get<bool>() ? "1" : "0");
  } else if (value.is_string()) {
    std::cout << value.get<std::string>();
  } else {
    std::cout << value.dump();
  }
  std::cout << '\n';
  return true;
}

/// Adds a command that asks one path and prints by a function, or the JSON with -j.
void add_listing(CLI::App& app, Connection& c, int& exit_code, const std::string& name,
                 const std::string& help, const std::string& path, void (*print)(const json&)) {
  app.add_subcommand(name, help)->callback([&c, &exit_code, name, path, print] {
    const auto body = ask(c, exit_code, name, "GET", path);
    if (!body) return;
    const json value = parse(*body);
    if (c.as_json || print == nullptr) {
      std::cout << value.dump(1) << '\n';
    } else {
      print(value);
    }
  });
}

std::string validated_network(const std::string& text) {
  return wire::parse_network_id(text)
             ? std::string()
             : "invalid network id \"" + text + "\": expected 16 hexadecimal digits";
}

std::string validated_address(const std::string& text) {
  return wire::parse_address(text)
             ? std::string()
             : "invalid address \"" + text + "\": expected 10 hexadecimal digits";
}

/// A world id: ten digits, or sixteen as the listings show it.
std::string validated_moon(const std::string& text) {
  return wire::parse_network_id(text) || wire::parse_address(text)
             ? std::string()
             : "invalid moon id \"" + text + "\": expected 10 or 16 hexadecimal digits";
}

/// Commands that change something and print "200 <name> OK".
void run_change(Connection& c, int& exit_code, const std::string& name, const std::string& method,
                const std::string& path, const std::string& body) {
  const auto answer = ask(c, exit_code, name, method, path, body);
  if (!answer) return;
  if (c.as_json) {
    std::cout << *answer << '\n';
  } else {
    std::cout << "200 " << name << " OK\n";
  }
}

void add_network_commands(CLI::App& app, Connection& c, int& exit_code) {
  auto id = std::make_shared<std::string>();
  auto argument = std::make_shared<std::string>();

  CLI::App* join = app.add_subcommand("join", "Join a network");
  join->add_option("NETWORK", *id, "16 hexadecimal digits")->required()->check(validated_network);
  join->callback(
      [&c, &exit_code, id] { run_change(c, exit_code, "join", "POST", "/network/" + *id, "{}"); });

  CLI::App* leave = app.add_subcommand("leave", "Leave a network");
  leave->add_option("NETWORK", *id, "16 hexadecimal digits")->required()->check(validated_network);
  leave->callback(
      [&c, &exit_code, id] { run_change(c, exit_code, "leave", "DELETE", "/network/" + *id, ""); });

  CLI::App* set = app.add_subcommand("set", "Set a local permission of a network");
  set->add_option("NETWORK", *id, "16 hexadecimal digits")->required()->check(validated_network);
  set->add_option("SETTING", *argument,
                  "allowManaged=, allowGlobal=, allowDefault= or allowDNS= with 1 or 0")
      ->required();
  set->callback([&c, &exit_code, id, argument] {
    const std::size_t equals = argument->find('=');
    const std::string key = argument->substr(0, equals);
    if (equals == std::string::npos || (key != "allowManaged" && key != "allowGlobal" &&
                                        key != "allowDefault" && key != "allowDNS")) {
      std::cerr
          << "unknown setting \"" << *argument
          << "\": expected allowManaged=, allowGlobal=, allowDefault= or allowDNS= with 1 or 0\n";
      exit_code = kUsage;
      return;
    }
    const std::string value = argument->substr(equals + 1);
    const bool on = !value.empty() && (value[0] == '1' || value[0] == 't' || value[0] == 'T');
    const auto body = ask(c, exit_code, "set", "POST", "/network/" + *id, json{{key, on}}.dump());
    if (body) std::cout << parse(*body).dump(1) << '\n';
  });

  CLI::App* get = app.add_subcommand("get", "Print one value of a network");
  get->add_option("NETWORK", *id, "16 hexadecimal digits")->required()->check(validated_network);
  get->add_option("KEY", *argument, "a field of the network, or ip, ip4, ip6, ip6plane, ip6prefix")
      ->required();
  get->callback([&c, &exit_code, id, argument] {
    const auto body = ask(c, exit_code, "get", "GET", "/network/" + *id);
    if (!body) return;
    if (!print_value(parse(*body), *argument)) {
      std::cerr << "the network has no value \"" << *argument << "\"\n";
      exit_code = kFailed;
    }
  });

  CLI::App* orbit = app.add_subcommand("orbit", "Follow a moon");
  orbit->add_option("MOON", *id, "the moon's id")->required()->check(validated_moon);
  orbit->add_option("SEED", *argument, "address of one of its roots")
      ->required()
      ->check(validated_address);
  orbit->callback([&c, &exit_code, id, argument] {
    const std::string short_id = id->size() == 16 ? id->substr(6) : *id;
    run_change(c, exit_code, "orbit", "POST", "/moon/" + short_id,
               json{{"seed", *argument}}.dump());
  });

  CLI::App* deorbit = app.add_subcommand("deorbit", "Stop following a moon");
  deorbit->add_option("MOON", *id, "the moon's id")->required()->check(validated_moon);
  deorbit->callback([&c, &exit_code, id] {
    run_change(c, exit_code, "deorbit", "DELETE",
               "/moon/" + (id->size() == 16 ? id->substr(6) : *id), "");
  });
}

void add_controller_commands(CLI::App& app, Connection& c, int& exit_code) {
  CLI::App* group =
      app.add_subcommand("controller", "Networks and members of this node's controller");
  group->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  auto member = std::make_shared<std::string>();
  auto body = std::make_shared<std::string>("{}");
  const auto show = [&c, &exit_code](const std::string& name, const std::string& method,
                                     const std::string& path, const std::string& content) {
    const auto answer = ask(c, exit_code, name, method, path, content);
    if (answer) std::cout << parse(*answer).dump(1) << '\n';
  };

  group->add_subcommand("networks", "List network ids")->callback([show] {
    show("networks", "GET", "/controller/network", "");
  });

  CLI::App* network = group->add_subcommand(
      "network", "Show a network; with --set create or change it; with --delete remove it");
  auto remove = std::make_shared<bool>(false);
  network->add_option("NETWORK", *id, "16 hexadecimal digits, or \"new\" for a free one")
      ->required();
  CLI::Option* set = network->add_option("--set", *body, "JSON object of fields to set");
  network->add_flag("--delete", *remove, "delete the network");
  network->callback([show, id, body, set, remove, &exit_code] {
    if (*id == "new") {
      show("network", "POST", "/controller/network", *body);
    } else if (const std::string wrong = validated_network(*id); !wrong.empty()) {
      std::cerr << wrong << '\n';
      exit_code = kUsage;
    } else if (*remove) {
      show("network", "DELETE", "/controller/network/" + *id, "");
    } else {
      show("network", set->count() != 0 ? "POST" : "GET", "/controller/network/" + *id,
           set->count() != 0 ? *body : std::string());
    }
  });

  CLI::App* members =
      group->add_subcommand("members", "List a network's members with their revisions");
  members->add_option("NETWORK", *id, "16 hexadecimal digits")
      ->required()
      ->check(validated_network);
  members->callback(
      [show, id] { show("members", "GET", "/controller/network/" + *id + "/member", ""); });

  const auto member_command = [&](const char* name, const char* help, const char* method,
                                  const char* content) {
    CLI::App* command = group->add_subcommand(name, help);
    command->add_option("NETWORK", *id, "16 hexadecimal digits")
        ->required()
        ->check(validated_network);
    command->add_option("MEMBER", *member, "10 hexadecimal digits")
        ->required()
        ->check(validated_address);
    CLI::Option* fields = std::string_view(name) == "member"
                              ? command->add_option("--set", *body, "JSON object of fields to set")
                              : nullptr;
    command->callback([=] {
      const bool change = fields != nullptr && fields->count() != 0;
      show(name, change ? "POST" : method, "/controller/network/" + *id + "/member/" + *member,
           change ? *body : std::string(content));
    });
  };
  member_command("member", "Show a member; with --set change it", "GET", "");
  member_command("authorize", "Admit a member", "POST", R"({"authorized":true})");
  member_command("deauthorize", "Cut a member off", "POST", R"({"authorized":false})");
}

/// Everything a helper wants to see, into orrery_dump.txt of the current directory.
void dump(Connection& c, int& exit_code) {
  std::ostringstream text;
  for (const char* path : {"/status", "/network", "/peer", "/moon", "/orrery/ports",
                           "/orrery/workers", "/orrery/drops"}) {
    const auto body = ask(c, exit_code, "dump", "GET", path);
    if (!body) return;
    text << path << '\n' << parse(*body).dump(1) << "\n\n";
  }
  std::ofstream out("orrery_dump.txt");
  out << text.str();
  out.close();
  if (!out) {
    std::cerr << "cannot write orrery_dump.txt in the current directory\n";
    exit_code = kFailed;
    return;
  }
  std::cout << "200 dump orrery_dump.txt written\n";
}

}  // namespace

int run_cli(int argc, char** argv) {
  CLI::App app{
      "orrery: command line of the Orrery daemon\nExit codes: 0 done, 1 failed, 2 usage, 3 no "
      "daemon reachable."};
  app.require_subcommand(1);
  app.set_version_flag("-v,--version", ORRERY_VERSION);
  Connection connection;
  int exit_code = kDone;
  if (const char* home = std::getenv("ORRERY_HOME"); home != nullptr) connection.home = home;
  app.add_option("-D,--home", connection.home, "home directory of the daemon")
      ->capture_default_str();
  app.add_option("-p,--port", connection.port,
                 "port of the daemon's API (default: from its home directory)");
  app.add_option("-T,--token", connection.token, "API token (default: from its home directory)");
  app.add_flag("-j,--json", connection.as_json, "print the daemon's JSON");

  for (const char* name : {"info", "status"}) {
    add_listing(app, connection, exit_code, name,
                "Address, version and whether a root is reachable", "/status", print_info);
  }
  add_listing(app, connection, exit_code, "listpeers", "Peers, one line each", "/peer",
              print_listpeers);
  add_listing(app, connection, exit_code, "peers", "Peers as a table", "/peer", print_peers);
  add_listing(app, connection, exit_code, "listnetworks", "Joined networks", "/network",
              print_networks);
  add_listing(app, connection, exit_code, "listmoons", "Moons (JSON)", "/moon", nullptr);
  for (const char* what : {"ports", "workers", "drops", "paths"}) {
    add_listing(app, connection, exit_code, what, std::string("The daemon's ") + what + " (JSON)",
                std::string("/orrery/") + what, nullptr);
  }
  app.add_subcommand("dump", "Write everything into orrery_dump.txt for a report")->callback([&] {
    dump(connection, exit_code);
  });
  add_network_commands(app, connection, exit_code);
  add_controller_commands(app, connection, exit_code);
  add_identity_commands(app, exit_code);
  add_world_commands(app, exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kDone : kUsage;
  }
  return exit_code;
}

}  // namespace orrery::service
