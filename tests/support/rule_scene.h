// Random networks, members and frames for rules: of few addresses, ports and tags, so that matches
// often hold, with headers that are cut short, odd or chained, so that they sometimes cannot.
//
// The same seed makes the same scene.
#pragma once

#include "fib/rules.h"

namespace orrery::test {

class RuleScene {
 public:
  static constexpr std::size_t kMembers = 4;

  explicit RuleScene(std::uint64_t seed) : state_(seed * 2 + 1) { make(); }

  [[nodiscard]] std::uint32_t random() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto x = static_cast<std::uint32_t>(((state_ >> 18) ^ state_) >> 27);
    const auto by = static_cast<unsigned>(state_ >> 59);
    return (x >> by) | (x << (-by & 31u));
  }

  /// Below `n`.
  [[nodiscard]] std::uint32_t random(std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{random()} * n) >> 32);
  }

  /// A frame between us and a member, or of a first pass out (member null).
  struct Sample {
    ByteVector bytes;
    fib::RuleFrame frame;  // payload is a view of `bytes`
    const fib::Member* member = nullptr;
  };

  [[nodiscard]] Sample sample(bool inbound);

  /// Other tags, capabilities or ownership of a member, or other rules of the network, as a new
  /// revision.
  void change();

  fib::Network network;
  std::array<fib::Member, kMembers> members;

 private:
  void make();
  [[nodiscard]] std::vector<wire::Rule> list(std::size_t most);
  [[nodiscard]] wire::Rule match();
  [[nodiscard]] wire::Rule action();
  [[nodiscard]] ByteVector payload(std::uint16_t ethertype);
  [[nodiscard]] wire::Address address();
  [[nodiscard]] wire::Mac mac();
  [[nodiscard]] std::uint32_t ipv4();
  [[nodiscard]] std::array<std::uint8_t, 16> ipv6();
  [[nodiscard]] std::vector<fib::Tag> tags();
  [[nodiscard]] std::vector<fib::CapabilityRules> capabilities();
  [[nodiscard]] fib::Ownership ownership();

  std::uint64_t state_;
  std::uint64_t revision_ = 0;
};

}  // namespace orrery::test
