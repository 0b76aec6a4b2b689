// Arbitrary rule lists over arbitrary frames, both ways.
//
// Invariants: the same input gives the same verdict, from the evaluator of many frames as well, by
// the list and by the cache of flows; nothing is copied or redirected to ourselves, to the sender
// or in a length beyond the frame; DROP emits nothing.
// Input: [1] switches, [2] ethertype, [2] length of the list, list, [2] length of the capability's
// list, list, [3 x (id, value)] tags, payload.
#include <cstdlib>

#include "base/cursor.h"
#include "fib/rule_judge.h"

namespace {

using namespace orrery;
using namespace orrery::fib;

std::vector<wire::Rule> list(Reader& r) {
  Reader part(r.bytes(std::min<std::size_t>(r.u16(), r.remaining())));
  std::vector<wire::Rule> rules;
  (void)wire::read_rules(part, wire::kMaxRules, rules);
  return rules;
}

bool same(const FilterVerdict& a, const FilterVerdict& b) {
  if (a.filter != b.filter || a.emissions != b.emissions || a.bucket != b.bucket) return false;
  for (std::size_t i = 0; i < a.emissions; ++i) {
    if (a.emit[i].to != b.emit[i].to || a.emit[i].flags != b.emit[i].flags ||
        a.emit[i].length != b.emit[i].length) {
      return false;
    }
  }
  return true;
}

/// The same by the evaluator of many frames, twice.
void check_judged(const FilterVerdict& expected, const Network& network, const Member* remote,
                  const RuleFrame& frame, bool inbound, bool copies, std::uint32_t random) {
  static RuleJudge judge(64, 1, 0);
  static RuleLanes lanes{};
  static Judged said;
  const ReadyRules ready(network);
  for (int round = 0; round < 2; ++round) {
    RuleLanes::Filling(lanes).add(frame, remote);
    RuleHits hits;
    judge.judge(network, ready, inbound, copies, lanes, said, hits, [&] { return random; });
    FilterVerdict verdict;
    if (said.asked != 0) {
      verdict = said.verdict[0];
    } else if ((said.accept | said.super_accept) != 0) {
      verdict.filter = said.accept != 0 ? Filter::kAccept : Filter::kSuperAccept;
    }
    verdict.bucket = expected.bucket;  // nothing looks at it
    if (!same(expected, verdict)) std::abort();
  }
}

void check(const FilterVerdict& v, const Network& network, const RuleFrame& frame) {
  if (v.emissions > v.emit.size()) std::abort();
  for (std::size_t i = 0; i < v.emissions; ++i) {
    if (v.emit[i].to == network.self || v.emit[i].to == frame.source ||
        v.emit[i].length > frame.payload.size()) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const std::uint8_t switches = r.u8();
  RuleFrame frame;
  frame.ethertype = r.u16();
  Network network;
  network.id = wire::NetworkId{0x8056c2e21c000001ULL};
  network.self = wire::Address{0x1111111111ULL};
  network.mac = wire::mac_of(network.self, network.id);
  network.unknown_match_result = (switches & 1) != 0;
  network.ndp_emulation = (switches & 2) != 0;
  network.static_ips = {wire::rfc4193_address(network.self, network.id),
                        wire::sixplane_address(network.self, network.id)};
  network.rules = list(r);
  const auto capability = std::make_shared<const std::vector<wire::Rule>>(list(r));
  network.capabilities = {{1, capability}, {2, capability}};
  Member member;
  member.network = network.id;
  member.address = wire::Address{0x2222222222ULL};
  member.allowed = true;
  member.capabilities = network.capabilities;
  for (std::uint32_t id = 0; id < 3; ++id) {
    const std::uint8_t value = r.u8();
    if ((value & 0x80) != 0) network.tags.push_back({id, value & 7u});
    if ((value & 0x40) != 0) member.tags.push_back({id, (value >> 3) & 7u});
  }
  if (!r.ok()) return 0;
  frame.payload = r.rest();
  static std::uint64_t revision = 0;
  network.revision = ++revision;
  member.revision = ++revision;
  frame.mac_destination = (switches & 4) != 0 ? wire::kBroadcastMac : network.mac;
  frame.mac_source = wire::mac_of(member.address, network.id);
  network.ownership.ips = {wire::Endpoint::v4(0x0a000001, 24)};
  member.ownership = network.ownership;
  member.ownership.macs = {frame.mac_source};

  frame.source = member.address;
  frame.destination = network.self;
  const FilterVerdict in = filter_in(network, member, frame, switches);
  check(in, network, frame);
  if (!same(in, filter_in(network, member, frame, switches))) std::abort();
  check_judged(in, network, &member, frame, true, true, switches);

  frame.source = network.self;
  frame.destination = (switches & 8) != 0 ? wire::Address{} : member.address;
  const Member* remote = (switches & 24) != 0 ? nullptr : &member;
  const FilterVerdict out = filter_out(network, remote, frame, false, switches);
  check(out, network, frame);
  if (out.filter == Filter::kSuperAccept) std::abort();
  check_judged(out, network, remote, frame, false, true, switches);
  const FilterVerdict no_tee = filter_out(network, remote, frame, true, switches);
  if (no_tee.filter != out.filter || no_tee.emissions > out.emissions) std::abort();
  check_judged(no_tee, network, remote, frame, false, false, switches);
  return 0;
}
