#include "relay/impairment.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

namespace orrery::relay {

namespace {

constexpr double kMicrosInSecond = 1e6;

/// A number and what follows it directly.
std::optional<std::pair<double, std::string>> number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || !std::isfinite(value) || value < 0) return std::nullopt;
  return std::pair(value, std::string(end));
}

std::optional<double> scaled(const std::string& text, const std::map<std::string, double>& units) {
  const auto number = number_of(text);
  if (!number) return std::nullopt;
  const auto unit = units.find(number->second);
  if (unit == units.end()) return std::nullopt;
  return number->first * unit->second;
}

std::optional<double> share_of(const std::string& text) {
  const auto share = scaled(text, {{"%", 0.01}, {"", 1}});
  return share && *share <= 1 ? share : std::nullopt;
}

std::optional<Micros> time_of(const std::string& text) {
  const auto time = scaled(text, {{"us", 1}, {"ms", 1e3}, {"s", kMicrosInSecond}});
  if (!time || *time > 3'600 * kMicrosInSecond) return std::nullopt;
  return static_cast<Micros>(*time);
}

std::optional<std::uint64_t> rate_of(const std::string& text) {
  const auto rate =
      scaled(text, {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"", 1}});
  if (!rate || *rate > 1e12) return std::nullopt;
  return static_cast<std::uint64_t>(*rate);
}

}  // namespace

bool Direction::happens(double share) {
  if (share <= 0) return false;
  // Not std::uniform_real_distribution: its numbers are the library's business.
  return static_cast<double>(random_() >> 11) * 0x1p-53 < share;
}

Fate Direction::decide(Micros now, std::size_t bytes) {
  const Impairments& i = impairments;
  Fate fate;
  if (i.enter_burst > 0) {
    if (happens(in_burst_ ? i.leave_burst : i.enter_burst)) in_burst_ = !in_burst_;
  } else {
    in_burst_ = false;
  }
  if (i.cut || (i.larger_than != 0 && bytes > i.larger_than) || happens(i.loss) ||
      (in_burst_ && happens(i.burst_loss))) {
    return fate;
  }
  Micros at = now;
  if (i.rate != 0) {
    at = std::max(at, line_free_);
    if (at - now > i.queue) return fate;
    at += static_cast<Micros>(static_cast<double>(bytes) * 8 * kMicrosInSecond /
                              static_cast<double>(i.rate));
    line_free_ = at;
  }
  at += i.delay;
  if (i.jitter > 0) at += static_cast<Micros>(random_() % static_cast<std::uint64_t>(i.jitter + 1));
  if (happens(i.reorder)) {
    at += i.reorder_by;
  } else {
    at = std::max(at, last_out_);
    last_out_ = at;
  }
  fate.at = at;
  if (happens(i.duplicate)) fate.again = at;
  if (happens(i.corrupt)) fate.bit = static_cast<std::uint32_t>(random_());
  return fate;
}

std::optional<Command> parse_command(const std::string& line, std::string& error) {
  std::istringstream words(line.substr(0, line.find('#')));
  Command command;
  std::string word;
  if (!(words >> word)) return command;
  if (word == "at") {
    std::string seconds;
    const auto number = words >> seconds ? number_of(seconds) : std::nullopt;
    if (!number || !number->second.empty() || !(words >> word)) {
      error = "expected \"at SECONDS\" and a command in \"" + line + '"';
      return std::nullopt;
    }
    command.at = static_cast<Micros>(number->first * kMicrosInSecond);
  }
  if (word == "rebind") {
    command.where = Command::Where::kRelay;
    command.key = word;
  } else {
    if (word == "a>b") {
      command.where = Command::Where::kAToB;
    } else if (word == "b>a") {
      command.where = Command::Where::kBToA;
    } else if (word != "both") {
      error = "unknown command \"" + word + "\": expected a>b, b>a, both or rebind";
      return std::nullopt;
    }
    if (!(words >> command.key)) {
      error = "no impairment in \"" + line + '"';
      return std::nullopt;
    }
  }
  while (words >> word) command.values.push_back(word);
  return command;
}

bool apply(const Command& command, Impairments& to, std::string& error) {
  const std::vector<std::string>& v = command.values;
  const auto wrong = [&](const char* expected) {
    error = "\"" + command.key + "\" expects " + expected;
    return false;
  };
  const auto share = [&](double& field) {
    const auto value = v.size() == 1 ? share_of(v[0]) : std::nullopt;
    if (!value) return wrong("a share such as 5%");
    field = *value;
    return true;
  };
  const auto time = [&](Micros& field) {
    const auto value = v.size() == 1 ? time_of(v[0]) : std::nullopt;
    if (!value) return wrong("a time such as 20ms");
    field = *value;
    return true;
  };
  if (command.key == "cut" || command.key == "heal") {
    if (!v.empty()) return wrong("nothing behind it");
    to.cut = command.key == "cut";
    return true;
  }
  if (command.key == "clear") {
    if (!v.empty()) return wrong("nothing behind it");
    to = {};
    return true;
  }
  if (command.key == "delay") return time(to.delay);
  if (command.key == "jitter") return time(to.jitter);
  if (command.key == "queue") return time(to.queue);
  if (command.key == "loss") return share(to.loss);
  if (command.key == "duplicate") return share(to.duplicate);
  if (command.key == "corrupt") return share(to.corrupt);
  if (command.key == "burst") {
    const auto enter = v.size() == 3 ? share_of(v[0]) : std::nullopt;
    const auto leave = v.size() == 3 ? share_of(v[1]) : std::nullopt;
    const auto loss = v.size() == 3 ? share_of(v[2]) : std::nullopt;
    if (!enter || !leave || !loss)
      return wrong("three shares: into a burst, out of it, lost in it");
    to.enter_burst = *enter;
    to.leave_burst = *leave;
    to.burst_loss = *loss;
    return true;
  }
  if (command.key == "reorder") {
    const auto part = v.size() == 2 ? share_of(v[0]) : std::nullopt;
    const auto by = v.size() == 2 ? time_of(v[1]) : std::nullopt;
    if (!part || !by) return wrong("a share and a time");
    to.reorder = *part;
    to.reorder_by = *by;
    return true;
  }
  if (command.key == "rate") {
    const auto rate = v.size() == 1 ? rate_of(v[0]) : std::nullopt;
    if (!rate) return wrong("a rate such as 10mbit, or 0");
    to.rate = *rate;
    return true;
  }
  if (command.key == "larger_than") {
    const auto bytes = v.size() == 1 ? scaled(v[0], {{"", 1}}) : std::nullopt;
    if (!bytes || *bytes > 65'535) return wrong("bytes of IP packet, or 0");
    to.larger_than = static_cast<std::size_t>(*bytes);
    return true;
  }
  error = "unknown impairment \"" + command.key +
          "\": expected cut, heal, clear, delay, jitter, queue, loss, burst, duplicate, corrupt, "
          "reorder, rate or larger_than";
  return false;
}

}  // namespace orrery::relay
