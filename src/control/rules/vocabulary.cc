#include "control/rules/vocabulary.h"

#include <algorithm>
#include <charconv>

namespace orrery::control {
namespace {

constexpr NamedNumber kEthertypes[] = {
    {"ipv4", 0x0800},  {"arp", 0x0806},  {"wol", 0x0842},   {"rarp", 0x8035},  {"ipv6", 0x86dd},
    {"atalk", 0x809b}, {"aarp", 0x80f3}, {"ipx_a", 0x8137}, {"ipx_b", 0x8138},
};

constexpr NamedNumber kProtocols[] = {
    {"icmp4", 1},   {"icmpv4", 1}, {"igmp", 2},   {"ipip", 4},      {"tcp", 6}, {"egp", 8},
    {"igp", 9},     {"udp", 17},   {"rdp", 27},   {"esp", 50},      {"ah", 51}, {"icmp6", 58},
    {"icmpv6", 58}, {"l2tp", 115}, {"sctp", 132}, {"udplite", 136},
};

constexpr NamedNumber kCharacteristics[] = {
    {"inbound", 63}, {"multicast", 62}, {"broadcast", 61}, {"ipauth", 60}, {"macauth", 59},
    {"tcp_rs0", 11}, {"tcp_rs1", 10},   {"tcp_rs2", 9},    {"tcp_ns", 8},  {"tcp_cwr", 7},
    {"tcp_ece", 6},  {"tcp_urg", 5},    {"tcp_ack", 4},    {"tcp_psh", 3}, {"tcp_rst", 2},
    {"tcp_syn", 1},  {"tcp_fin", 0},
};

constexpr MatchKeyword kMatches[] = {
    {"ztsrc", "MATCH_SOURCE_ZEROTIER_ADDRESS", "zt", MatchForm::kAddress, 1, 40},
    {"ztdest", "MATCH_DEST_ZEROTIER_ADDRESS", "zt", MatchForm::kAddress, 1, 40},
    {"vlan", "MATCH_VLAN_ID", "vlanId", MatchForm::kNumber, 1, 16},
    {"vlanpcp", "MATCH_VLAN_PCP", "vlanPcp", MatchForm::kNumber, 1, 8},
    {"vlandei", "MATCH_VLAN_DEI", "vlanDei", MatchForm::kNumber, 1, 8},
    {"ethertype", "MATCH_ETHERTYPE", "etherType", MatchForm::kEthertype, 1, 16},
    {"macsrc", "MATCH_MAC_SOURCE", "mac", MatchForm::kMac, 1, 48},
    {"macdest", "MATCH_MAC_DEST", "mac", MatchForm::kMac, 1, 48},
    {"ipsrc", "SOURCE", "ip", MatchForm::kIp, 1, 0},
    {"ipdest", "DEST", "ip", MatchForm::kIp, 1, 0},
    {"iptos", "MATCH_IP_TOS", "", MatchForm::kTos, 2, 8},
    {"ipprotocol", "MATCH_IP_PROTOCOL", "ipProtocol", MatchForm::kProtocol, 1, 8},
    {"icmp", "MATCH_ICMP", "", MatchForm::kIcmp, 2, 8},
    {"sport", "MATCH_IP_SOURCE_PORT_RANGE", "", MatchForm::kRange, 1, 16},
    {"dport", "MATCH_IP_DEST_PORT_RANGE", "", MatchForm::kRange, 1, 16},
    {"chr", "MATCH_CHARACTERISTICS", "mask", MatchForm::kCharacteristics, 1, 64},
    {"framesize", "MATCH_FRAME_SIZE_RANGE", "", MatchForm::kRange, 1, 16},
    {"random", "MATCH_RANDOM", "probability", MatchForm::kRandom, 1, 32},
    {"tand", "MATCH_TAGS_BITWISE_AND", "", MatchForm::kTag, 2, 32},
    {"tor", "MATCH_TAGS_BITWISE_OR", "", MatchForm::kTag, 2, 32},
    {"txor", "MATCH_TAGS_BITWISE_XOR", "", MatchForm::kTag, 2, 32},
    {"tdiff", "MATCH_TAGS_DIFFERENCE", "", MatchForm::kTag, 2, 32},
    {"teq", "MATCH_TAGS_EQUAL", "", MatchForm::kTag, 2, 32},
    {"tseq", "MATCH_TAG_SENDER", "", MatchForm::kTag, 2, 32},
    {"treq", "MATCH_TAG_RECEIVER", "", MatchForm::kTag, 2, 32},
};

struct ActionWord {
  std::string_view word, type;
};

constexpr ActionWord kActions[] = {
    {"drop", "ACTION_DROP"}, {"accept", "ACTION_ACCEPT"}, {"break", "ACTION_BREAK"},
    {"tee", "ACTION_TEE"},   {"watch", "ACTION_WATCH"},   {"redirect", "ACTION_REDIRECT"},
};

constexpr std::string_view kOpeners[] = {"macro", "tag",   "cap",      "drop",  "accept",
                                         "tee",   "watch", "redirect", "break", "priority"};

// Beside the openers and the matches.
constexpr std::string_view kReserved[] = {"default", "type",    "enum", "class", "define",
                                          "import",  "include", "log",  "not",   "xor",
                                          "or",      "and",     "set",  "var",   "let"};

/// Blocks of Unicode's first plane that have signs rather than letters; beyond that plane there are
/// no names.
struct Signs {
  char32_t first, last;
};

constexpr Signs kSigns[] = {
    {0x80, 0xa9},     {0xab, 0xb4},       {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},
    {0xf7, 0xf7},     {0x2000, 0x2070},   {0x20a0, 0x2101}, {0x2190, 0x2bff}, {0x2e00, 0x2e2e},
    {0x3000, 0x3004}, {0x3007, 0x3030},   {0xd800, 0xf8ff}, {0xfd3e, 0xfd4f}, {0xfe00, 0xfe6f},
    {0xff00, 0xff20}, {0xfff0, 0x10ffff},
};

/// The next character of UTF-8, taken off `text`; nothing if it is none.
std::optional<char32_t> take_character(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || text.size() < length) return std::nullopt;
  char32_t c = length == 1 ? first : first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    c = c << 6 | (byte & 0x3f);
  }
  text.remove_prefix(length);
  return c;
}

bool is_letter(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return std::ranges::none_of(kSigns, [&](const Signs& s) { return c >= s.first && c <= s.last; });
}

}  // namespace

std::span<const NamedNumber> ethertype_names() {
  return kEthertypes;
}

std::span<const NamedNumber> protocol_names() {
  return kProtocols;
}

std::span<const NamedNumber> characteristic_names() {
  return kCharacteristics;
}

std::optional<std::uint32_t> number_of(std::span<const NamedNumber> names, std::string_view name) {
  const auto it = std::ranges::find(names, name, &NamedNumber::name);
  return it == names.end() ? std::nullopt : std::optional(it->number);
}

std::string_view name_of(std::span<const NamedNumber> names, std::uint32_t number) {
  const auto it = std::ranges::find(names, number, &NamedNumber::number);
  return it == names.end() ? std::string_view{} : it->name;
}

std::span<const MatchKeyword> match_keywords() {
  return kMatches;
}

const MatchKeyword* match_keyword(std::string_view word) {
  const auto* it = std::ranges::find(kMatches, word, &MatchKeyword::word);
  return it == std::end(kMatches) ? nullptr : it;
}

std::string_view action_type(std::string_view word) {
  const auto* it = std::ranges::find(kActions, word, &ActionWord::word);
  return it == std::end(kActions) ? std::string_view{} : it->type;
}

bool opens_block(std::string_view word) {
  return std::ranges::find(kOpeners, word) != std::end(kOpeners);
}

bool is_reserved(std::string_view word) {
  return opens_block(word) || match_keyword(word) != nullptr ||
         std::ranges::find(kReserved, word) != std::end(kReserved);
}

bool is_name(std::string_view word) {
  if (word.empty() || (word.front() >= '0' && word.front() <= '9')) return false;
  while (!word.empty()) {
    const auto c = take_character(word);
    if (!c || (*c != '_' && (*c < '0' || *c > '9') && !is_letter(*c))) return false;
  }
  return true;
}

std::string lower(std::string_view word) {
  std::string text(word);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::optional<std::uint64_t> parse_number(std::string_view word) {
  const bool hex = word.starts_with("0x") || word.starts_with("0X");
  if (hex) word.remove_prefix(2);
  std::uint64_t number = 0;
  const char* end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, number, hex ? 16 : 10);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace orrery::control
