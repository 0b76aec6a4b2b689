#include "service/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "control/controller/json_text.h"
#include "service/cli_connection.h"
#include "service/controller_commands.h"
#include "service/http_client.h"
#include "service/identity_commands.h"
#include "service/path_commands.h"
#include "service/pin_text.h"
#include "service/rules_commands.h"
#include "service/trust_commands.h"
#include "wire/address.h"

namespace orrery::service {
namespace {

using nlohmann::json;

const json* preferred_path(const json& peer) {
  for (const json& path : peer.at("paths")) {
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
  const auto tunneled = [](const json& peer) { return peer.value("tunneled", false); };
  if (std::any_of(peers.begin(), peers.end(), tunneled)) {
    std::cout << "\nUDP does not pass here: a TCP relay carries the traffic, which is slower. "
                 "Let UDP out if you can.\n";
  }
}

void print_networks(const json& networks) {
  std::cout << "200 listnetworks <nwid> <name> <mac> <status> <type> <dev> <ZT assigned ips>\n";
  for (const json& n : networks) {
    std::cout << "200 listnetworks " << n.value("nwid", "") << ' ' << n.value("name", "") << ' '
              << n.value("mac", "") << ' ' << n.value("status", "") << ' ' << n.value("type", "")
              << ' '
              << (n.value("portDeviceName", "").empty() ? "-" : n.value("portDeviceName", ""))
              << ' ' << joined(n.at("assignedAddresses")) << '\n';
  }
}

/// One value of a network, or the addresses that a name such as ip4 stands for; discarded for an
/// unknown key.
json value_of(const json& network, const std::string& key) {
  const bool prefix = key == "ip6prefix", plane = key == "ip6plane";
  if (key != "ip" && key != "ip4" && key != "ip6" && !plane && !prefix)
    return network.contains(key) ? network[key] : json(json::value_t::discarded);
  json ips = json::array();
  for (const json& assigned : network.at("assignedAddresses")) {
    const std::string text = assigned.get<std::string>();
    const std::string ip = text.substr(0, text.find('/'));
    const bool v6 = ip.find(':') != std::string::npos;
    if ((key == "ip4" && v6) || (key != "ip" && key != "ip4" && !v6)) continue;
    if ((plane || prefix) && !ip.starts_with("fc")) continue;
    ips.push_back(prefix ? ip.substr(0, 24) : ip);
  }
  return ips;
}

/// The same as `get` prints it without -j.
void print_value(const json& value, const std::string& key) {
  if (value.is_array() && key.starts_with("ip")) {
    for (const json& ip : value) std::cout << ip.get<std::string>() << '\n';
    if (value.empty() && key.size() > 3)
      std::cout << '\n';  // stock's habit for ip6plane, ip6prefix
  } else if (value.is_boolean()) {
    std::cout << (value.get<bool>() ? "1" : "0") << '\n';
  } else if (value.is_string()) {
    std::cout << value.get<std::string>() << '\n';
  } else {
    std::cout << control::json_text(value) << '\n';
  }
}

/// "ADDRESS" or "ADDRESS:FINGERPRINT".
std::string validated_seed(const std::string& text) {
  return wire::parse_address(text) || parse_pin(text)
             ? std::string()
             : "invalid seed \"" + text +
                   "\": expected 10 hexadecimal digits, and behind a colon 96 more or nothing";
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
    const auto body =
        ask(c, exit_code, "set", "POST", "/network/" + *id, control::json_text({{key, on}}));
    if (body) std::cout << *body;
  });

  CLI::App* get = app.add_subcommand("get", "Print one value of a network");
  get->add_option("NETWORK", *id, "16 hexadecimal digits")->required()->check(validated_network);
  get->add_option("KEY", *argument, "a field of the network, or ip, ip4, ip6, ip6plane, ip6prefix")
      ->required();
  get->callback([&c, &exit_code, id, argument] {
    const auto body = ask(c, exit_code, "get", "GET", "/network");
    if (!body) return;
    exit_code = kFailed;
    for (const json& network : parse(*body)) {
      if (network.value("id", "") != wire::to_string(*wire::parse_network_id(*id))) continue;
      const json value = value_of(network, *argument);
      if (value.is_discarded()) {
        std::cerr << "unknown property \"" << *argument << "\": a network has";
        for (const auto& [key, ignored] : network.items()) std::cerr << ' ' << key;
        std::cerr << ", and ip ip4 ip6 ip6plane ip6prefix\n";
        return;
      }
      if (c.as_json) {
        print_json(value);
      } else {
        print_value(value, *argument);
      }
      exit_code = kDone;
      return;
    }
    std::cerr << "unknown network ID, check that you are a member of the network\n";
  });

  CLI::App* orbit = app.add_subcommand("orbit", "Follow a moon");
  orbit->add_option("MOON", *id, "the moon's id")->required()->check(validated_moon);
  orbit
      ->add_option("SEED", *argument,
                   "address of one of its roots; with its fingerprint behind a colon the seed is "
                   "pinned and no other key believed")
      ->required()
      ->check(validated_seed);
  orbit->callback([&c, &exit_code, id, argument] {
    json body = {{"seed", argument->substr(0, 10)}};
    if (argument->size() > 10) body["fingerprint"] = argument->substr(11);
    run_change(c, exit_code, "orbit", "POST", "/moon/" + *id, control::json_text(body));
  });

  CLI::App* deorbit = app.add_subcommand("deorbit", "Stop following a moon");
  deorbit->add_option("MOON", *id, "the moon's id")->required()->check(validated_moon);
  deorbit->callback(
      [&c, &exit_code, id] { run_change(c, exit_code, "deorbit", "DELETE", "/moon/" + *id, ""); });
}

void add_traffic_command(CLI::App& app, Connection& c, int& exit_code) {
  auto network = std::make_shared<std::string>();
  CLI::App* traffic = app.add_subcommand(
      "traffic", "Packets and bytes by peer and network, or by member of one network (JSON)");
  traffic->add_option("NETWORK", *network, "16 hexadecimal digits")->check(validated_network);
  traffic->callback([&c, &exit_code, network] {
    const std::string path = network->empty() ? "/orrery/traffic" : "/orrery/traffic/" + *network;
    if (const auto body = ask(c, exit_code, "traffic", "GET", path)) print_json(parse(*body));
  });
}

/// Everything a helper wants to see, into orrery_dump.txt of the current directory; with -j as one
/// JSON object to standard output.
void dump(Connection& c, int& exit_code) {
  std::ostringstream text;
  json all = json::object();
  for (const std::string name :
       {"status", "network", "peer", "moon", "ports", "workers", "drops", "traffic"}) {
    const bool own = name == "ports" || name == "workers" || name == "drops" || name == "traffic";
    const std::string path = (own ? "/orrery/" : "/") + name;
    const auto body = ask(c, exit_code, "dump", "GET", path);
    if (!body) return;
    all[name] = parse(*body);
    text << path << '\n' << control::json_text(all[name], 1) << "\n\n";
  }
  if (c.as_json) {
    print_json(all);
    return;
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

void add_request_command(CLI::App& app, Connection& c, int& exit_code) {
  auto path = std::make_shared<std::string>();
  CLI::App* request = app.add_subcommand(
      "request", "Print what the API answers to GET; \"orrery /PATH\" is short for it");
  request->add_option("PATH", *path, "such as /status")
      ->required()
      ->check([](const std::string& text) {
        const bool plain = std::all_of(text.begin(), text.end(), [](char ch) {
          return ch > ' ' && static_cast<unsigned char>(ch) < 0x7f;
        });
        return plain && text.starts_with('/')
                   ? std::string()
                   : "invalid path \"" + text + "\": expected one that starts with /";
      });
  request->callback([&c, &exit_code, path] {
    const auto body = ask(c, exit_code, *path, "GET", *path);
    if (!body) return;
    if (c.as_json) {
      print_json(parse(*body));
    } else {
      std::cout << *body;
    }
  });
}

/// Set by the signals that end a capture.
volatile std::sig_atomic_t g_enough = 0;

/// Those signals end a system call that waits, and nothing else.
void end_on_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { g_enough = 1; };
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// The exit code. `file`: "-" is standard output.
int capture(Connection& c, const std::string& file, const json& wanted) {
  if (file == "-" && ::isatty(STDOUT_FILENO) != 0) {
    std::cerr
        << "orrery: a capture is no text for a terminal: give a file with -o, or pipe it into "
           "\"tshark -r -\"\n";
    return kUsage;
  }
  if (!c.complete()) return kNoDaemon;
  int out = file == "-" ? STDOUT_FILENO : -1;
  end_on_signals();
  int failed_with = 0;
  const auto answer =
      http_stream({c.host, c.port, c.token, "POST", "/orrery/capture", control::json_text(wanted)},
                  [&](std::string_view chunk) {
                    if (g_enough != 0) return false;
                    // Not before there is something to put into it.
                    if (out < 0)
                      out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                    if (out >= 0 && write_all(out, chunk)) return true;
                    failed_with = errno;
                    return false;
                  });
  if (!answer && g_enough == 0) return report(answer.error());
  if (answer && answer->status != 200 && answer->status != 0) {
    const auto body = control::parse_json(answer->body);
    std::cerr << "orrery: the daemon answers " << answer->status << ": "
              << (body && body->is_object() ? body->value("error", answer->body) : answer->body)
              << '\n';
    return kFailed;
  }
  if (failed_with == 0 || failed_with == EPIPE) return kDone;  // who has read enough closes a pipe
  std::cerr << "orrery: cannot write " << file << ": " << std::strerror(failed_with) << '\n';
  return kFailed;
}

void add_capture_command(CLI::App& app, Connection& c, int& exit_code) {
  struct Wanted {
    std::string file = "-", peer, network;
    std::vector<std::string> points;
    std::uint32_t one_in = 0, count = 0, seconds = 0, snap = 0;
  };

  auto wanted = std::make_shared<Wanted>();
  CLI::App* command = app.add_subcommand(
      "capture",
      "Write packets as pcapng, at up to four points of their way: outer (datagrams of the "
      "underlay), decrypted (packets in clear), rules (frames that the network's rules let "
      "through) and host (frames at TAP and LAN ports). The comment of each packet has its story: "
      "the same one at all points, and why it was dropped. The daemon must allow it: enabled = "
      "true under [capture] in orrery.toml. Ends with --count, --seconds or Ctrl-C.");
  command->add_option("-o,--output", wanted->file, "file; \"-\": standard output")
      ->capture_default_str();
  command->add_option("--peer", wanted->peer, "only packets from and to this address")
      ->check(validated_address);
  command->add_option("--network", wanted->network, "only frames of this network")
      ->check(validated_network);
  command
      ->add_option("--point", wanted->points,
                   "only here; may be given several times (default: all)")
      ->check(CLI::IsMember({"outer", "decrypted", "rules", "host"}))
      ->take_all();
  const auto number = [&](const char* name, std::uint32_t& value, std::uint32_t low,
                          std::uint32_t high, const char* help) {
    command->add_option(name, value, help)->check(CLI::Range(low, high));
  };
  constexpr std::uint32_t kMost = 0xffff'ffff;
  number("--one-in", wanted->one_in, 1, kMost,
         "take one packet of so many, by chance (default: 1)");
  number("--count", wanted->count, 1, kMost, "end after so many packets in the file");
  number("--seconds", wanted->seconds, 1, kMost, "end after so long");
  number("--snap", wanted->snap, 64, 65535, "bytes of each packet (default: all)");
  command->callback([&c, &exit_code, wanted] {
    json body = json::object();
    if (!wanted->points.empty()) body["points"] = wanted->points;
    if (!wanted->peer.empty()) body["peer"] = wanted->peer;
    if (!wanted->network.empty()) body["network"] = wanted->network;
    for (const auto& [key, value] : {std::pair{"oneIn", wanted->one_in},
                                     {"count", wanted->count},
                                     {"seconds", wanted->seconds},
                                     {"snap", wanted->snap}}) {
      if (value != 0) body[key] = value;
    }
    exit_code = capture(c, wanted->file, body);
  });
}

/// The arguments behind the program's name, with "request" before a path that stands where a
/// command is expected.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& one = arguments[i];
    if (one == "-D" || one == "-p" || one == "-T" || one == "--home" || one == "--port" ||
        one == "--token") {
      ++i;
    } else if (!one.starts_with('-')) {
      if (one.starts_with('/'))
        arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(i), "request");
      break;
    }
  }
  return arguments;
}

/// The words that lead to a command, and what may follow them.
std::string usage_of(const CLI::App& command) {
  std::string text = command.get_name();
  for (const CLI::App* up = command.get_parent(); up != nullptr; up = up->get_parent())
    text = up->get_name() + ' ' + text;
  std::string names;
  for (const CLI::App* sub : command.get_subcommands({})) {
    if (!names.empty()) names += ", ";
    names += sub->get_name();
  }
  if (!names.empty()) return text + " COMMAND, where COMMAND is one of " + names;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name(true);
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  return text;
}

/// One line that names what is wrong, and one that says what was expected.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const std::vector<std::string> extra = app.remaining(true);
  const bool lacks_command = at->get_require_subcommand_min() != 0 && at->get_subcommands().empty();
  std::cerr << "orrery: ";
  if (!extra.empty() && extra.front().starts_with('-')) {
    std::cerr << "unknown option \"" << extra.front() << '"';
  } else if (lacks_command && !extra.empty()) {
    std::cerr << "unknown command \"" << extra.front() << '"';
  } else if (lacks_command) {
    std::cerr << "no command given";
  } else if (!extra.empty()) {
    std::cerr << "unexpected argument \"" << extra.front() << '"';
  } else {
    std::cerr << error.what();
  }
  std::cerr << "\nexpected: " << usage_of(*at) << " (--help says more)\n";
  return kUsage;
}

}  // namespace

int run_cli(int argc, char** argv) {
  CLI::App app{"orrery: command line of the Orrery daemon", "orrery"};
  app.footer(
      "Options of orrery itself (-D, -p, -T, -j) may stand before or behind the command.\n"
      "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 no daemon reachable.");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("-v,--version", ORRERY_VERSION);
  Connection connection;
  int exit_code = kDone;
  if (const char* home = std::getenv("ORRERY_HOME"); home != nullptr) connection.home = home;
  app.add_option("-D,--home", connection.home, "home directory of the daemon")
      ->capture_default_str();
  app.add_option("-p,--port", connection.port,
                 "port of the daemon's API (default: from its home directory)")
      ->check(CLI::Range(1, 65535));
  app.add_option("-T,--token", connection.token, "API token (default: from its home directory)");
  app.add_flag("-j,--json", connection.as_json, "print JSON");

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
  add_traffic_command(app, connection, exit_code);
  app.add_subcommand("dump", "Write everything into orrery_dump.txt for a report")->callback([&] {
    dump(connection, exit_code);
  });
  add_request_command(app, connection, exit_code);
  add_network_commands(app, connection, exit_code);
  add_controller_commands(app, connection, exit_code);
  add_capture_command(app, connection, exit_code);
  add_path_commands(
      app,
      [&](const std::string& command, const std::string& method,
          const std::string& path) -> std::optional<json> {
        const auto body = ask(connection, exit_code, command, method, path);
        return body ? std::optional(parse(*body)) : std::nullopt;
      },
      connection.as_json, exit_code);
  add_identity_commands(app, connection.as_json, exit_code);
  add_world_commands(app, connection.as_json, exit_code);
  CLI::App* rules = add_rules_commands(app, connection.as_json, exit_code);
  add_listing(*rules, connection, exit_code, "hits",
              "How many frames each rule of the joined networks decided (JSON; asks the daemon)",
              "/orrery/rules", nullptr);
  add_trust_commands(app, connection, exit_code);

  try {
    std::vector<std::string> arguments = arguments_of(argc, argv);
    std::reverse(arguments.begin(), arguments.end());  // as parse() wants them
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report_usage(app, error);
  } catch (const std::exception& error) {
    std::cerr << "orrery: " << error.what() << '\n';
    return kFailed;
  }
  return exit_code;
}

}  // namespace orrery::service
