// What happens to packets on an impaired link, one direction: decided from a seed and the packets'
// order and times, so the same packets have the same fate again.
//
// No packets, clocks or sockets here: decide() is asked for each packet and says when it comes out,
// how often, or that it does not. Packets keep their order unless `reorder` says otherwise; jitter
// alone never changes it.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace orrery::relay {

using Micros = std::int64_t;

/// All of one direction; what is zero does nothing. Shares are from 0 to 1.
struct Impairments {
  Micros delay = 0;
  Micros jitter = 0;  // so much more at most, evenly
  double loss = 0;
  double enter_burst = 0, leave_burst = 0, burst_loss = 0;  // Gilbert-Elliott, by packet
  double duplicate = 0;
  double reorder = 0;           // this share is late
  Micros reorder_by = 0;        // by so much
  double corrupt = 0;           // one bit of this share is turned
  std::uint64_t rate = 0;       // bits a second
  Micros queue = 100'000;       // what would wait longer for the rate is dropped
  std::size_t larger_than = 0;  // bytes of IP packet; larger ones vanish
  bool cut = false;
};

struct Fate {
  Micros at = -1;                    // when it comes out; -1: never
  std::optional<Micros> again;       // when a copy does
  std::optional<std::uint32_t> bit;  // turned: of the packet, modulo its length
};

class Direction {
 public:
  explicit Direction(std::uint64_t seed) : random_(seed) {}

  /// `bytes`: of the IP packet. REQUIRES: `now` does not go back.
  Fate decide(Micros now, std::size_t bytes);

  Impairments impairments;

 private:
  /// By chance, with this share; chance is asked only where there is one.
  bool happens(double share);

  std::mt19937_64 random_;
  bool in_burst_ = false;
  Micros line_free_ = 0;  // when the rate lets the next packet begin
  Micros last_out_ = 0;
};

/// One line of a scene: what changes, where, when.
struct Command {
  Micros at = 0;  // from the start; 0: at once
  enum class Where : std::uint8_t { kAToB, kBToA, kBoth, kRelay } where = Where::kBoth;
  std::string key;
  std::vector<std::string> values;
};

/// `[at SECONDS] a>b|b>a|both KEY VALUE...` or `[at SECONDS] rebind NUMBER`. An empty command for
/// an empty line or a comment (#); `error` says what is wrong with any other.
[[nodiscard]] std::optional<Command> parse_command(const std::string& line, std::string& error);

/// Carries out a command on one direction; false and `error` for what is no impairment.
bool apply(const Command& command, Impairments& to, std::string& error);

}  // namespace orrery::relay
