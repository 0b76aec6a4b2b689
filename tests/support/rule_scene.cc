#include "support/rule_scene.h"

#include <algorithm>

#include "base/cursor.h"

namespace orrery::test {
namespace {

using wire::Rule;
using wire::RuleType;

constexpr std::uint64_t kAddresses[] = {
    0x1111111111, 0x2222222222, 0x3333333333, 0x4444444444, 0x5555555555, 0x6666666666, 0};
constexpr std::uint16_t kEthertypes[] = {0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x88cc};
constexpr std::uint8_t kProtocols[] = {6, 6, 17, 1, 58, 132, 47, 0, 43};
constexpr std::uint16_t kPorts[] = {0, 22, 53, 80, 443, 65535};

}  // namespace

wire::Address RuleScene::address() {
  return wire::Address{kAddresses[random(std::size(kAddresses))]};
}

wire::Mac RuleScene::mac() {
  if (random(6) == 0) return wire::kBroadcastMac;
  if (random(6) == 0) return wire::Mac{0x333300000001};
  return wire::mac_of(address(), network.id);
}

std::uint32_t RuleScene::ipv4() {
  return 0x0a000000u + (random(2) << 16) + random(3);
}

std::array<std::uint8_t, 16> RuleScene::ipv6() {
  if (random(4) == 0) return wire::rfc4193_address(address(), network.id).ip;
  std::array<std::uint8_t, 16> ip{0xfd, static_cast<std::uint8_t>(random(2))};
  ip[15] = static_cast<std::uint8_t>(random(3));
  return ip;
}

std::vector<fib::Tag> RuleScene::tags() {
  std::vector<fib::Tag> tags;
  for (std::uint32_t id = 0; id < 4; ++id) {
    if (random(2) == 0) tags.push_back({id, random(4)});
  }
  return tags;
}

std::vector<fib::CapabilityRules> RuleScene::capabilities() {
  std::vector<fib::CapabilityRules> all;
  const std::uint32_t count = random(3) == 0 ? random(3) : 0;
  for (std::uint32_t id = 0; id < count; ++id)
    all.push_back({id, std::make_shared<const std::vector<Rule>>(list(12))});
  return all;
}

fib::Ownership RuleScene::ownership() {
  fib::Ownership owned;
  if (random(2) == 0) owned.ips.push_back(wire::Endpoint::v4(ipv4(), 0));
  if (random(2) == 0) owned.ips.push_back(wire::Endpoint::v6(ipv6(), 0));
  if (random(2) == 0) owned.macs.push_back(mac());
  return owned;
}

Rule RuleScene::action() {
  Rule rule;
  Writer w(rule.data);
  const std::uint32_t dice = random(40);
  const RuleType type = dice < 13   ? RuleType::kActionDrop
                        : dice < 26 ? RuleType::kActionAccept
                        : dice < 30 ? RuleType::kActionBreak
                        : dice < 33 ? RuleType::kActionTee
                        : dice < 35 ? RuleType::kActionWatch
                        : dice < 37 ? RuleType::kActionRedirect
                        : dice < 38 ? RuleType::kActionPriority
                                    : RuleType{9};
  rule.type = static_cast<std::uint8_t>(type);
  if (type == RuleType::kActionTee || type == RuleType::kActionWatch ||
      type == RuleType::kActionRedirect) {
    w.u64(address().value);
    w.u32(0);
    w.u16(static_cast<std::uint16_t>(random(3) * 20));
  }
  if (random(8) == 0) rule.type |= static_cast<std::uint8_t>(random(4) << 6);  // means nothing
  return rule;
}

Rule RuleScene::match() {
  Rule rule;
  rule.type = static_cast<std::uint8_t>(random(30) == 0 ? 16 + random(48) : 24 + random(28));
  if (random(3) == 0) rule.type |= 0x80;
  if (random(4) == 0) rule.type |= 0x40;
  Writer w(rule.data);
  const auto range = [&](std::uint16_t a, std::uint16_t b) {
    if (random(16) != 0 && a > b) std::swap(a, b);
    w.u16(a);
    w.u16(b);
  };
  switch (static_cast<RuleType>(rule.code())) {
    case RuleType::kMatchSourceZeroTierAddress:
    case RuleType::kMatchDestZeroTierAddress:
      w.u40(address().value);
      break;
    case RuleType::kMatchVlanId:
      w.u16(static_cast<std::uint16_t>(random(3)));
      break;
    case RuleType::kMatchVlanPcp:
    case RuleType::kMatchVlanDei:
      w.u8(static_cast<std::uint8_t>(random(2)));
      break;
    case RuleType::kMatchMacSource:
    case RuleType::kMatchMacDest:
      mac().store(rule.data.data());
      break;
    case RuleType::kMatchIpv4Source:
    case RuleType::kMatchIpv4Dest:
      w.u32(ipv4());
      w.u8(static_cast<std::uint8_t>(random(4) == 0 ? random(40) : 16 + random(17)));
      break;
    case RuleType::kMatchIpv6Source:
    case RuleType::kMatchIpv6Dest: {
      auto ip = ipv6();
      const auto bits = static_cast<std::uint8_t>(random(2) == 0 ? 128 : random(140));
      if (bits < 120 && random(3) != 0) ip[15] = 0;
      w.bytes(ip);
      w.u8(bits);
      break;
    }
    case RuleType::kMatchIpTos:
      w.u8(static_cast<std::uint8_t>(random(2) == 0 ? 0xff : random(256)));
      w.u8(static_cast<std::uint8_t>(random(32)));
      w.u8(static_cast<std::uint8_t>(random(256)));
      break;
    case RuleType::kMatchIpProtocol:
      w.u8(kProtocols[random(std::size(kProtocols))]);
      break;
    case RuleType::kMatchEthertype:
      w.u16(kEthertypes[random(std::size(kEthertypes))]);
      break;
    case RuleType::kMatchIcmp:
      w.u8(static_cast<std::uint8_t>(random(2) == 0 ? 8 : 135 + random(2)));
      w.u8(static_cast<std::uint8_t>(random(2)));
      w.u8(static_cast<std::uint8_t>(random(4)));
      break;
    case RuleType::kMatchIpSourcePortRange:
    case RuleType::kMatchIpDestPortRange:
      range(kPorts[random(std::size(kPorts))], kPorts[random(std::size(kPorts))]);
      break;
    case RuleType::kMatchCharacteristics:
      w.u64(random(2) == 0 ? std::uint64_t{1} << random(12) : std::uint64_t{random(32)} << 59);
      break;
    case RuleType::kMatchFrameSizeRange:
      range(static_cast<std::uint16_t>(random(100)), static_cast<std::uint16_t>(random(100)));
      break;
    case RuleType::kMatchRandom:
      w.u32(random());
      break;
    case RuleType::kMatchIntegerRange:
      w.u64(0);
      w.u64(random(4) == 0 ? std::uint64_t{random()} << 32 : random(256));
      w.u16(static_cast<std::uint16_t>(random(60)));
      w.u8(static_cast<std::uint8_t>(random(256)));
      break;
    default:  // tags
      w.u32(random(4));
      w.u32(random(4));
      break;
  }
  return rule;
}

std::vector<Rule> RuleScene::list(std::size_t most) {
  std::vector<Rule> rules;
  const std::uint32_t length = random(static_cast<std::uint32_t>(most) + 1);
  while (rules.size() < length) rules.push_back(random(3) == 0 ? action() : match());
  // Most end with a word for all.
  if (random(4) != 0) rules.push_back({static_cast<std::uint8_t>(random(3) == 0 ? 0 : 1), {}});
  return rules;
}

void RuleScene::make() {
  network.id = wire::NetworkId{0x8056c2e21c000001ULL};
  network.self = wire::Address{kAddresses[0]};
  network.mac = wire::mac_of(network.self, network.id);
  network.unknown_match_result = random(2) == 0;
  network.ndp_emulation = random(2) == 0;
  if (random(2) == 0) network.static_ips.push_back(wire::rfc4193_address(network.self, network.id));
  network.revision = ++revision_;
  network.rules = list(random(20) == 0 ? 200 : 20);
  network.tags = tags();
  network.capabilities = capabilities();
  network.ownership = ownership();
  for (std::size_t i = 0; i < kMembers; ++i) {
    members[i].network = network.id;
    members[i].address = wire::Address{kAddresses[i + 1]};
    members[i].allowed = true;
    members[i].tags = tags();
    members[i].capabilities = capabilities();
    members[i].ownership = ownership();
    members[i].revision = ++revision_;
  }
}

void RuleScene::change() {
  fib::Member& member = members[random(kMembers)];
  switch (random(4)) {
    case 0:
      member.tags = tags();
      break;
    case 1:
      member.capabilities = capabilities();
      break;
    case 2:
      member.ownership = ownership();
      break;
    default:
      network.rules = list(20);
      network.tags = tags();
      network.revision = ++revision_;
      return;
  }
  member.revision = ++revision_;
}

ByteVector RuleScene::payload(std::uint16_t ethertype) {
  ByteVector p(20 + random(100));
  for (std::uint8_t& byte : p) byte = static_cast<std::uint8_t>(random(4) == 0 ? random(256) : 0);
  const std::uint8_t protocol = kProtocols[random(std::size(kProtocols))];
  p.resize(std::max<std::size_t>(p.size(), 80));
  std::size_t upper = 0;
  if (ethertype == 0x0800) {
    p[0] = static_cast<std::uint8_t>(0x40 | (random(8) == 0 ? random(16) : 5));
    p[1] = static_cast<std::uint8_t>(random(64));
    p[9] = protocol;
    store_be32(p.data() + 12, ipv4());
    store_be32(p.data() + 16, ipv4());
    upper = 4u * (p[0] & 15u);
  } else if (ethertype == 0x86dd) {
    p[0] = static_cast<std::uint8_t>(0x60 | random(4));
    p[1] = static_cast<std::uint8_t>(random(256));
    p[6] = protocol;
    const auto from = ipv6(), to = ipv6();
    std::copy(from.begin(), from.end(), p.begin() + 8);
    std::copy(to.begin(), to.end(), p.begin() + 24);
    upper = 40;
    while (random(4) == 0 && upper + 16 < p.size()) {  // a header between
      p[upper] = p[6];
      p[upper + 1] = random(6) == 0 ? std::uint8_t{9} : std::uint8_t{0};
      p[6] = upper == 40 ? 60 : p[6];
      upper += 8;
    }
  } else if (ethertype == 0x0806) {
    store_be32(p.data() + 14, ipv4());
  }
  if (upper != 0 && upper + 16 < p.size()) {
    store_be16(p.data() + upper, kPorts[random(std::size(kPorts))]);
    store_be16(p.data() + upper + 2, kPorts[random(std::size(kPorts))]);
    if (protocol == 1 || protocol == 58) {
      p[upper] = static_cast<std::uint8_t>(random(2) == 0 ? 8 : 135 + random(2));
      p[upper + 1] = static_cast<std::uint8_t>(random(2));
    }
  }
  if (random(4) == 0) p.resize(random(static_cast<std::uint32_t>(p.size()) + 1));
  return p;
}

RuleScene::Sample RuleScene::sample(bool inbound) {
  Sample s;
  s.frame.ethertype = kEthertypes[random(std::size(kEthertypes))];
  s.bytes = payload(s.frame.ethertype);
  s.frame.payload = s.bytes;
  if (random(8) == 0) {
    s.frame.tag_control = static_cast<std::uint16_t>(random(3) | random(2) << 12 | random(2) << 13);
    s.frame.tag = 4;
  }
  s.frame.mac_source = mac();
  s.frame.mac_destination = mac();
  s.member = &members[random(kMembers)];
  s.frame.source = inbound ? s.member->address : network.self;
  s.frame.destination = inbound ? network.self : s.member->address;
  if (!inbound && random(6) == 0) {
    s.member = nullptr;
    s.frame.destination = {};
  }
  return s;
}

}  // namespace orrery::test
