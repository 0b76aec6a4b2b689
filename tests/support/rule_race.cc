#include "support/rule_race.h"

#include "support/rule_scene.h"

namespace orrery::test {
namespace {

constexpr unsigned kVectors = 8;  // of a scene

bool is_copy(const fib::Network& network, std::size_t rule) {
  if (rule >= network.rules.size()) return false;
  const wire::Rule& r = network.rules[rule];
  const auto type = static_cast<wire::RuleType>(r.code());
  // One to ourselves decides.
  const bool ours = (load_be64(r.data.data()) & 0xffffffffffULL) == network.self.value;
  return (type == wire::RuleType::kActionTee || type == wire::RuleType::kActionWatch) && !ours;
}

}  // namespace

bool same(const fib::FilterVerdict& a, const fib::FilterVerdict& b) {
  if (a.filter != b.filter || a.emissions != b.emissions) return false;
  for (std::size_t i = 0; i < a.emissions; ++i) {
    if (a.emit[i].to != b.emit[i].to || a.emit[i].flags != b.emit[i].flags ||
        a.emit[i].length != b.emit[i].length) {
      return false;
    }
  }
  return true;
}

fib::FilterVerdict verdict_of(const fib::Judged& judged, unsigned i) {
  const std::uint64_t bit = std::uint64_t{1} << i;
  if ((judged.asked & bit) != 0) return judged.verdict[i];
  fib::FilterVerdict verdict;
  if ((judged.accept & bit) != 0) verdict.filter = fib::Filter::kAccept;
  if ((judged.super_accept & bit) != 0) verdict.filter = fib::Filter::kSuperAccept;
  return verdict;
}

// From the first entry on, so that also short lists are cached.
RuleRace::RuleRace(std::size_t flows) : judge_(flows, 7, 0) {}

std::string RuleRace::run(std::uint64_t seed) {
  RuleScene scene(seed);
  // Revisions of one judge are never used again.
  const auto renew = [&] {
    scene.network.revision = ++revisions_;
    for (fib::Member& m : scene.members) m.revision = ++revisions_;
  };
  renew();
  auto rules = std::make_unique<fib::ReadyRules>(scene.network);
  for (unsigned v = 0; v < kVectors; ++v) {
    const bool inbound = scene.random(2) == 0;
    const bool copies = inbound || scene.random(3) != 0;
    const unsigned n = 1 + scene.random(fib::kRuleLanes);
    std::vector<RuleScene::Sample> samples;
    for (unsigned i = 0; i < n; ++i) samples.push_back(scene.sample(inbound));
    for (unsigned round = 0; round < 2; ++round) {
      {
        fib::RuleLanes::Filling filling(lanes_);
        for (const auto& s : samples) filling.add(s.frame, s.member);
      }
      fib::RuleHits hits;
      // Another number in each round: what looks at chance must not be remembered.
      const std::uint32_t chance = scene.random();
      std::vector<std::uint32_t> chances;
      judge_.judge(scene.network, *rules, inbound, copies, lanes_, judged_, hits, [&] {
        chances.push_back(chance * static_cast<std::uint32_t>(chances.size() + 1));
        return chances.back();
      });
      std::size_t decided = 0;
      for (std::size_t h = 0; h < hits.count; ++h) {
        if (!is_copy(scene.network, hits.hit[h].rule)) decided += hits.hit[h].frames;
      }
      if (decided != n && hits.count < fib::RuleHits::kMost) {
        return "seed " + std::to_string(seed) + ": " + std::to_string(decided) +
               " decisions about " + std::to_string(n) + " frames";
      }
      for (unsigned i = 0; i < n; ++i) {
        const std::uint32_t random = chances.empty() ? chance : chances[i];
        const auto& s = samples[i];
        const auto expected =
            inbound ? fib::filter_in(scene.network, *s.member, s.frame, random)
                    : fib::filter_out(scene.network, s.member, s.frame, !copies, random);
        ++pairs_;
        if (same(expected, verdict_of(judged_, i))) continue;
        return "seed " + std::to_string(seed) + ", vector " + std::to_string(v) + ", round " +
               std::to_string(round) + ", lane " + std::to_string(i) +
               (inbound ? ", inbound" : ", outbound") + (copies ? "" : ", no copies");
      }
    }
    if (scene.random(2) == 0) {
      scene.change();
      renew();
      rules = std::make_unique<fib::ReadyRules>(scene.network);
    }
  }
  return {};
}

}  // namespace orrery::test
