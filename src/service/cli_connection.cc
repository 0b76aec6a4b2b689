#include "service/cli_connection.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "control/controller/json_text.h"
#include "service/home.h"
#include "service/http_client.h"
#include "wire/address.h"

namespace orrery::service {

using nlohmann::json;

bool Connection::complete() {
  const Home files = Home::peek(home);
  const auto text = [&](const char* name) -> std::string {
    const auto file = files.read(name);
    if (!file || !*file) return {};
    std::string content(text_of(**file));
    while (!content.empty() && std::isspace(static_cast<unsigned char>(content.back())) != 0)
      content.pop_back();
    return content;
  };
  if (port == 0) {
    const unsigned long number = std::strtoul(text("zerotier-one.port").c_str(), nullptr, 10);
    if (number < 65536) port = static_cast<std::uint16_t>(number);
  }
  if (token.empty()) token = text("authtoken.secret");
  if (token.empty()) {
    if (const char* user = std::getenv("HOME"); user != nullptr) {
      const auto file = Home::peek(user).read(".zeroTierOneAuthToken");
      if (file && *file) token = std::string(text_of(**file));
    }
  }
  if (port == 0 || token.empty()) {
    std::cerr << "cannot find the daemon: no readable "
              << (port == 0 ? "zerotier-one.port" : "authtoken.secret") << " in " << home
              << " (is orreryd running? give its home with -D, or port and token with -p and -T)\n";
    return false;
  }
  return true;
}

int report(const Error& error) {
  std::cerr << error.text << '\n';
  return error.code == Errc::kNotFound ? kNoDaemon : kFailed;
}

std::optional<std::string> ask(Connection& c, int& exit_code, const std::string& command,
                               const std::string& method, const std::string& path,
                               const std::string& body) {
  if (!c.complete()) {
    exit_code = kNoDaemon;
    return std::nullopt;
  }
  const auto answer = http_request({c.host, c.port, c.token, method, path, body});
  if (!answer) {
    exit_code = report(answer.error());
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

std::string url_encoded(const std::string& text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::optional<json> ask_v1(Connection& c, int& exit_code, const std::string& method,
                           const std::string& path, const std::map<std::string, std::string>& query,
                           const json& body) {
  if (!c.complete()) {
    exit_code = kNoDaemon;
    return std::nullopt;
  }
  std::string target = "/api/v1" + path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    target += separator + name + "=" + url_encoded(value);
    separator = '&';
  }
  const auto answer = http_request(
      {c.host, c.port, c.token, method, target, body.is_null() ? "" : control::json_text(body)});
  if (!answer) {
    exit_code = report(answer.error());
    return std::nullopt;
  }
  const auto value = control::parse_json(answer->body);
  if (answer->status < 300) {
    exit_code = kDone;
    if (answer->body.empty()) return json();
    if (!value) throw std::runtime_error("the answer is not JSON");
    return value;
  }
  exit_code = kFailed;
  std::cerr << "orrery: the daemon answers " << answer->status;
  const json error = value && value->is_object() ? value->value("error", json()) : json();
  if (error.is_object()) {
    std::cerr << ": ";
    if (error.value("path", json()).is_string()) std::cerr << error.value("path", "") << ": ";
    std::cerr << error.value("message", "");
  }
  std::cerr << '\n';
  return std::nullopt;
}

json parse(const std::string& body) {
  auto value = control::parse_json(body);
  if (!value) throw std::runtime_error("the answer is not JSON");
  return std::move(*value);
}

void print_json(const json& value) {
  std::cout << control::json_text(value, 1) << '\n';
}

void add_listing(CLI::App& app, Connection& c, int& exit_code, const std::string& name,
                 const std::string& help, const std::string& path, void (*print)(const json&)) {
  app.add_subcommand(name, help)->callback([&c, &exit_code, name, path, print] {
    const auto body = ask(c, exit_code, name, "GET", path);
    if (!body) return;
    const json value = parse(*body);
    if (c.as_json || print == nullptr) {
      print_json(value);
    } else {
      print(value);
    }
  });
}

void run_change(Connection& c, int& exit_code, const std::string& name, const std::string& method,
                const std::string& path, const std::string& body) {
  const auto answer = ask(c, exit_code, name, method, path, body);
  if (!answer) return;
  if (c.as_json) {
    std::cout << *answer;
  } else {
    std::cout << "200 " << name << " OK\n";
  }
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

std::string validated_moon(const std::string& text) {
  return wire::parse_network_id(text) || wire::parse_address(text)
             ? std::string()
             : "invalid moon id \"" + text + "\": expected 10 or 16 hexadecimal digits";
}

std::string validated_object(const std::string& text) {
  const auto value = control::parse_json(text);
  return value && value->is_object() ? std::string() : "expected a JSON object, not " + text;
}

}  // namespace orrery::service
