// The command line's connection to the daemon, and what commands in several files do with it.
//
// Every function here has told on standard error what went wrong when it returns nothing; the exit
// code says which kind of failure it was.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace orrery::service {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNoDaemon = 3;

/// Where the daemon is and how to talk to it.
struct Connection {
  std::string home = "/var/lib/orrery";
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: from zerotier-one.port in the home
  std::string token;       // empty: from authtoken.secret
  bool as_json = false;

  /// Fills what was not given; a message on standard error and false when it cannot be found.
  bool complete();
};

/// Says why there is no answer; the exit code for it.
int report(const Error& error);

/// One request; nothing (and `exit_code` set) unless the answer is 200.
std::optional<std::string> ask(Connection& c, int& exit_code, const std::string& command,
                               const std::string& method, const std::string& path,
                               const std::string& body = {});

/// One request to /api/v1`path`: the answer's body, null if it has none. Nothing, and `exit_code`
/// and a line on standard error, when the daemon refuses.
std::optional<nlohmann::json> ask_v1(Connection& c, int& exit_code, const std::string& method,
                                     const std::string& path,
                                     const std::map<std::string, std::string>& query = {},
                                     const nlohmann::json& body = nullptr);

/// `text` as a value in the query of a URL.
[[nodiscard]] std::string url_encoded(const std::string& text);

/// Throws for what is no JSON: whoever answers on this port is no daemon of ours.
[[nodiscard]] nlohmann::json parse(const std::string& body);

/// Indented, to standard output.
void print_json(const nlohmann::json& value);

/// Adds a command that asks one path and prints by a function, or the JSON with -j.
void add_listing(CLI::App& app, Connection& c, int& exit_code, const std::string& name,
                 const std::string& help, const std::string& path,
                 void (*print)(const nlohmann::json&));

/// Commands that change something and print "200 <name> OK", with -j the answer as it came.
void run_change(Connection& c, int& exit_code, const std::string& name, const std::string& method,
                const std::string& path, const std::string& body);

// Checks for CLI11: empty, or what is wrong with an argument.
[[nodiscard]] std::string validated_network(const std::string& text);
[[nodiscard]] std::string validated_address(const std::string& text);
/// A world id: ten digits, or sixteen as the listings show it.
[[nodiscard]] std::string validated_moon(const std::string& text);
[[nodiscard]] std::string validated_object(const std::string& text);

}  // namespace orrery::service
