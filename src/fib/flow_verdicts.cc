#include "fib/flow_verdicts.h"

#include <algorithm>
#include <bit>

namespace orrery::fib {
namespace {

/// Steps of a generator by Sebastiano Vigna (splitmix64): one seed to many words.
std::uint64_t next_seed(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// Whether the key has MACs or characteristics in it.
bool is_wide(const RuleNeeds& needs) {
  return (needs.fields & RuleNeeds::kMacs) != 0 || needs.characteristics != 0;
}

}  // namespace

FlowVerdicts::FlowVerdicts(std::size_t entries, std::uint64_t seed) {
  if (entries == 0) return;
  entries_.resize(std::bit_ceil(std::max(entries, kWays)));
  sets_.resize(entries_.size() / kWays);
  for (std::uint64_t& s : seeds_) s = next_seed(seed) | 1;
}

// The hash takes words as they are made, not from the key: a load that spans two stores waits for
// both. Multiply-shift: upper bits of the sum of products are universal, lower ones depend on lower
// bits of the words alone. The second product lets all of them count.
void FlowVerdicts::make_key(const Network& network, bool inbound, const RuleNeeds& needs,
                            const RuleLanes& l, unsigned i) {
  auto& key = keys_[i];
  std::uint64_t h = 0;
  const auto put = [&](std::size_t word, std::uint64_t value) {
    key[word] = value;
    h += value * seeds_[word];
  };
  const auto bit = [&](std::uint64_t mask) { return static_cast<unsigned>(mask >> i & 1); };
  const auto looks_at = [&](RuleNeeds::Field field) { return (needs.fields & field) != 0; };
  const std::uint64_t member = l.member[i] != nullptr ? l.member[i]->revision : 0;
  const unsigned v4 = bit(l.ipv4), v6 = bit(l.ipv6), upper = bit(l.upper);
  const unsigned ports = bit(l.ports), icmp = bit(l.icmp);
  put(0, network.revision);
  put(1, member * 2 + (inbound ? 1 : 0));
  std::uint64_t word =
      std::uint64_t{l.ethertype[i]} << 48 | v4 << 0 | v6 << 1 | upper << 2 | ports << 3 | icmp << 4;
  if (v4 + upper != 0) word |= std::uint64_t{l.protocol[i]} << 24;
  if (looks_at(RuleNeeds::kTos) && v4 + v6 != 0) word |= std::uint64_t{l.tos[i]} << 16;
  if (looks_at(RuleNeeds::kTag)) word |= std::uint64_t{l.tag_control[i]} << 32;
  put(2, word);
  word = 0;
  if (looks_at(RuleNeeds::kPorts) && ports != 0)
    word = std::uint64_t{l.source_port[i]} << 48 | std::uint64_t{l.destination_port[i]} << 32;
  // Beyond 65,535 no size is in a range.
  if (looks_at(RuleNeeds::kSize)) word |= std::uint64_t{std::min(l.size[i], 0x10000u)} << 15;
  if (looks_at(RuleNeeds::kIcmp) && icmp != 0)
    word |= std::uint64_t{l.icmp_type[i]} << 40 | std::uint64_t{l.icmp_code[i]} << 32;
  put(3, word);
  if (looks_at(RuleNeeds::kIps) && v6 != 0) {
    const std::uint8_t* ips = l.frame[i].payload.data() + 8;
    for (std::size_t w = 0; w < 4; ++w) put(4 + w, load_be64(ips + 8 * w));
  } else {
    const bool v4_ips = looks_at(RuleNeeds::kIps) && v4 != 0;
    put(4, v4_ips ? std::uint64_t{l.ipv4_source[i]} << 32 | l.ipv4_destination[i] : 0);
    key[5] = key[6] = key[7] = 0;
  }
  if (words_ != kNarrow) {
    const bool macs = looks_at(RuleNeeds::kMacs);
    put(8, macs ? l.frame[i].mac_source.value : 0);
    put(9, macs ? l.frame[i].mac_destination.value : 0);
    put(10, needs.characteristics != 0 ? l.characteristics[i] : 0);
  }
  h = (h ^ h >> 32) * seeds_[0];
  places_[i] = {static_cast<std::uint32_t>(h >> 32 & (sets_.size() - 1)),
                static_cast<std::uint16_t>(h >> 48 | 1)};
}

FlowVerdicts::Verdict* FlowVerdicts::find(unsigned i, std::size_t words) {
  const Place place = places_[i];
  Set& set = sets_[place.set];
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set.tags[way] != place.tag) continue;
    const Entry& entry = entries_[place.set * kWays + way];
    std::uint64_t difference = 0;
    for (std::size_t w = 0; w < words; ++w) difference |= entry.key[w] ^ keys_[i][w];
    if (difference == 0) return &set.verdicts[way];
  }
  return nullptr;
}

std::uint64_t FlowVerdicts::look(const Network& network, bool inbound, const RuleNeeds& needs,
                                 const RuleLanes& lanes, std::uint64_t wanted,
                                 RuleLanes::Lane<Verdict>& found) {
  if (!enabled()) return 0;
  // Of one revision of network and member rules always look at the same facts: where it is not at
  // the last words, entries with such a key have nothing there.
  words_ = is_wide(needs) ? kWords : kNarrow;
  return words_ == kNarrow ? look<kNarrow>(network, inbound, needs, lanes, wanted, found)
                           : look<kWords>(network, inbound, needs, lanes, wanted, found);
}

template <std::size_t kUsed>
std::uint64_t FlowVerdicts::look(const Network& network, bool inbound, const RuleNeeds& needs,
                                 const RuleLanes& lanes, std::uint64_t wanted,
                                 RuleLanes::Lane<Verdict>& found) {
  for (std::uint64_t left = wanted; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    make_key(network, inbound, needs, lanes, i);
    __builtin_prefetch(&sets_[places_[i].set]);
  }
  std::uint64_t known = 0;
  for (std::uint64_t left = wanted; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    const Verdict* verdict = find(i, kUsed);
    if (verdict == nullptr) continue;
    found[i] = *verdict;
    known |= std::uint64_t{1} << i;
  }
  return known;
}

void FlowVerdicts::remember(unsigned i, Verdict verdict) {
  if (!enabled()) return;
  if (Verdict* known = find(i, words_)) {  // by another lane of the same vector
    *known = verdict;
    return;
  }
  const Place place = places_[i];
  Set& set = sets_[place.set];
  const auto* free = std::ranges::find(set.tags, 0);
  const std::size_t way = free != set.tags.end() ? static_cast<std::size_t>(free - set.tags.begin())
                                                 : next_way_++ % kWays;
  set.tags[way] = place.tag;
  set.verdicts[way] = verdict;
  Entry& entry = entries_[place.set * kWays + way];
  std::copy_n(keys_[i].begin(), words_, entry.key.begin());
  std::fill(entry.key.begin() + static_cast<std::ptrdiff_t>(words_), entry.key.end(), 0);
}

}  // namespace orrery::fib
