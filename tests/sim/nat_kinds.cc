#include "sim/nat_kinds.h"

#include <algorithm>
#include <array>

namespace orrery::test {

namespace {

using sim::Place;
using sim::Scene;

Place open_host(Scene& s) {
  return s.on_internet();
}

Place firewalled(Scene& s) {
  Place place = s.on_internet();
  place.firewall = sim::Firewall::kStateful;
  return place;
}

template <const sim::NatBehaviour& kBehaviour>
Place behind(Scene& s) {
  return s.behind(s.add_nat(kBehaviour));
}

Place behind_carrier(Scene& s) {
  return s.behind(s.add_nat(sim::kPortRestricted, s.add_nat(sim::kPortRestricted)));
}

/// What matters of a kind for who gets through to whom.
enum class Reach : std::uint8_t {
  kAnybody,       // lets in everybody, or everybody at an address it wrote to
  kSameEndpoint,  // lets in exactly whom it wrote to, from one port for all
  kOtherPort,     // the same, from another port for each
};

Reach reach_of(const NatKind& kind) {
  const std::string_view name = kind.name;
  if (name.starts_with("symmetric")) return Reach::kOtherPort;
  const bool anybody = name == "open" || name == "full-cone" || name == "restricted";
  return anybody ? Reach::kAnybody : Reach::kSameEndpoint;
}

}  // namespace

const std::vector<NatKind>& nat_kinds() {
  static const std::vector<NatKind> kKinds = {
      {"open", nullptr, open_host},
      {"firewall", nullptr, firewalled},
      {"full-cone", nullptr, behind<sim::kFullCone>},
      {"restricted", nullptr, behind<sim::kRestrictedCone>},
      {"port-restricted", nullptr, behind<sim::kPortRestricted>},
      {"masquerade",
       "Linux: a mapping for each remote endpoint, with the inside port if it is free",
       behind<sim::kMasquerade>},
      {"carrier", nullptr, behind_carrier},
      {"symmetric, in order", "an outside port for each remote endpoint, one after the other",
       behind<sim::kSymmetricSequential>},
      {"symmetric, random", "an outside port for each remote endpoint, by chance",
       behind<sim::kSymmetricRandom>},
  };
  return kKinds;
}

bool should_be_direct(const NatKind& a, const NatKind& b, bool predicting) {
  const auto guessed = [&](const NatKind& kind) {
    return predicting && std::string_view(kind.name) == "symmetric, in order" ? Reach::kSameEndpoint
                                                                              : reach_of(kind);
  };
  const auto [less, more] = std::minmax({guessed(a), guessed(b)});
  return less == Reach::kAnybody || more == Reach::kSameEndpoint;
}

Meeting meet(Scene& s, const NatKind& a, const NatKind& b, Millis patience, bool predicting) {
  sim::HostOptions options;
  options.port_prediction = predicting;
  Village village(s);
  const sim::HostId alice = village.member("alice", a.place(s), options);
  const sim::HostId bob = village.member("bob", b.place(s), options);
  village.settle();
  s.run_for(2'000);
  const sim::Micros begun = s.now();
  s.talk(alice, bob, village.net, 250);
  Meeting meeting;
  for (Millis passed = 0; passed < patience; passed += 10) {
    s.run_for(10);
    const Millis took = (s.now() - begun) / 1'000;
    if (!meeting.connected && s.connected(alice, bob)) meeting.connected = took;
    if (!meeting.direct && s.direct(alice, bob)) meeting.direct = took;
    if (meeting.direct && !s.direct(alice, bob)) meeting.stayed = false;
    // What is direct must be so for ten seconds more; what is not has the whole time.
    if (meeting.direct && took > *meeting.direct + 10'000) break;
  }
  return meeting;
}

namespace {

constexpr std::string_view kBegin = "## In the simulated world\n";

/// The outcome of one pair, over some seeds, as a cell of the table.
std::string cell(const NatKind& row, const NatKind& column, std::uint64_t seed,
                 bool predicting = false) {
  constexpr Millis kPatience = 60'000;
  constexpr unsigned kSeeds = 2;
  constexpr std::array<Millis, 6> kBounds = {500, 1'000, 2'000, 5'000, 20'000, kPatience};
  bool all_direct = true;
  bool all_connected = true;
  Millis longest = 0;
  for (unsigned i = 0; i < kSeeds; ++i) {
    Scene s(seed + i);
    const Meeting meeting = meet(s, row, column, kPatience, predicting);
    all_direct &= meeting.direct.has_value() && meeting.stayed;
    all_connected &= meeting.connected.has_value();
    longest = std::max(longest, meeting.direct.value_or(0));
  }
  std::string text = all_connected ? "relayed" : "nothing";
  if (all_direct) {
    const Millis ms = *std::lower_bound(kBounds.begin(), kBounds.end() - 1, longest);
    text = ms < 1'000 ? "0." + std::to_string(ms / 100) : std::to_string(ms / 1'000);
  }
  if (all_direct != should_be_direct(row, column, predicting))
    text += all_direct ? " (!)" : " (not direct!)";
  return text;
}

}  // namespace

std::string nat_document(std::string document, std::uint64_t seed) {
  const std::vector<NatKind>& kinds = nat_kinds();
  std::string text(kBegin);
  text +=
      "`tools/sim matrix --write docs/nat.md` writes this part; the test `sim_nat` fails when the "
      "simulated world says anything else. Seconds within which frames of both\n"
      "ends come directly, after two members of one network that never met began to talk; by the "
      "root they come at once. What is relayed is so after a minute, too. Of the kinds\nabove, and "
      "of these:\n\n| Kind | What it is |\n|---|---|\n";
  for (const NatKind& kind : kinds) {
    if (kind.description != nullptr)
      text += std::string("| ") + kind.name + " | " + kind.description + " |\n";
  }
  std::string rule = "\n|---";
  text += "\n| ";
  for (const NatKind& kind : kinds) {
    text += std::string(" | ") + kind.name;
    rule += "|---";
  }
  text += " |" + rule + "|\n";
  for (const NatKind& row : kinds) {
    text += std::string("| ") + row.name;
    for (const NatKind& column : kinds)
      text += " | " + (&column < &row ? std::string() : cell(row, column, seed));
    text += " |\n";
  }
  const auto guessed = [](const NatKind& kind) {
    return std::string_view(kind.name).starts_with("symmetric");
  };
  text +=
      "\nWith `node.port_prediction` at both ends, and a symmetric NAT at one of them; what is not "
      "in the table is as above:\n";
  rule = "\n|---";
  text += "\n| ";
  for (const NatKind& kind : kinds) {
    if (!guessed(kind)) continue;
    text += std::string(" | ") + kind.name;
    rule += "|---";
  }
  text += " |" + rule + "|\n";
  for (const NatKind& row : kinds) {
    text += std::string("| ") + row.name;
    for (const NatKind& column : kinds) {
      if (!guessed(column)) continue;
      text += " | " + (&column < &row ? std::string() : cell(row, column, seed, true));
    }
    text += " |\n";
  }
  const std::size_t begin = std::min(document.find(kBegin), document.size());
  const std::size_t end = std::min(document.find("\n## ", begin), document.size());
  return document.replace(begin, end - begin, text);
}

}  // namespace orrery::test
