// rule_race [PAIRS [SEED]]: so many random pairs of rules and frame (ten millions) through both
// evaluators; exit code 1 at the first difference. Run by hand.
#include "support/rule_race.h"

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  const std::uint64_t wanted = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  orrery::test::RuleRace race(1024);
  for (; race.pairs() < wanted; ++seed) {
    const std::string difference = race.run(seed);
    if (difference.empty()) continue;
    std::cerr << "rule_race: " << difference << '\n';
    return 1;
  }
  std::cout << race.pairs() << " pairs, " << race.cached()
            << " of them by the cache of flows, no difference; the next seed is " << seed << '\n';
  return 0;
}
