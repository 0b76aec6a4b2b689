#include "control/rules/match.h"

#include <charconv>
#include <cmath>

#include "wire/mac.h"

namespace orrery::control {
namespace {

using nlohmann::json;
using Problem = std::optional<Diagnostic>;

constexpr std::uint64_t kMost32 = 0xffff'ffff;

Problem expected(const Argument& argument, const std::string& what) {
  return Diagnostic{argument.at, "expected " + what + ", got " + in_quotes(argument.text)};
}

std::string hex_digits_of(std::string_view text) {
  std::string digits;
  for (const char c : lower(text)) {
    if (hex_digit(c) >= 0) digits += c;
  }
  return digits;
}

struct Range {
  std::uint64_t first, last;
};

/// "n" or "n-m", up to `most`.
std::optional<Range> parse_range(std::string_view text, std::uint64_t most) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *last < *first || *last > most) return std::nullopt;
  return Range{*first, *last};
}

Problem address(const Argument& argument, json& entry) {
  const std::string digits = hex_digits_of(argument.text);
  if (digits.size() != 10) return expected(argument, "an address of 10 hexadecimal digits");
  entry["zt"] = digits;
  return std::nullopt;
}

Problem number(const MatchKeyword& keyword, const Argument& argument, json& entry,
               std::vector<Diagnostic>& warnings) {
  std::span<const NamedNumber> names;
  if (keyword.form == MatchForm::kEthertype) names = ethertype_names();
  if (keyword.form == MatchForm::kProtocol) names = protocol_names();
  const auto named = number_of(names, argument.text);
  const auto value = named ? std::optional<std::uint64_t>(*named) : parse_number(argument.text);
  if (!value || *value > kMost32)
    return expected(argument, names.empty() ? "a number" : "a number or one of the known names");
  if ((*value >> keyword.bits) != 0) {
    warnings.push_back({argument.at, in_quotes(argument.text) + " has more than " +
                                         std::to_string(keyword.bits) +
                                         " bits, controllers cut it off"});
  }
  entry[keyword.field] = *value;
  return std::nullopt;
}

Problem mac(const Argument& argument, json& entry) {
  const std::string digits = hex_digits_of(argument.text);
  if (digits.size() != 12) return expected(argument, "a MAC of 12 hexadecimal digits");
  const auto octets = from_hex(digits);
  entry["mac"] = wire::to_string(wire::Mac::load(octets->data()));
  return std::nullopt;
}

/// Sets all but the direction, which the type's end says.
Problem ip(const MatchKeyword& keyword, const Argument& argument, json& entry,
           std::vector<Diagnostic>& warnings) {
  const std::size_t slash = argument.text.find('/');
  if (slash == std::string_view::npos || slash == 0)
    return expected(argument, "an IP with its prefix length, such as 10.0.0.0/8");
  const auto address = wire::parse_endpoint(argument.text.substr(0, slash));
  const auto bits = parse_number(argument.text.substr(slash + 1));
  if (!address || !*address || !bits)
    return expected(argument, "an IPv4 or IPv6 address and its prefix length");
  const bool v6 = address->family == 6;
  const unsigned most = v6 ? 128 : 32;
  if (*bits > most) {
    warnings.push_back({argument.at, "a prefix of " + std::to_string(*bits) + " bits counts as " +
                                         std::to_string(most)});
  } else if (v6 &&
             !wire::contains(address->with_port(static_cast<std::uint16_t>(*bits)), *address)) {
    warnings.push_back({argument.at, in_quotes(argument.text) +
                                         " has bits beyond its prefix and matches nothing"});
  }
  entry["type"] = std::string(v6 ? "MATCH_IPV6_" : "MATCH_IPV4_").append(keyword.type);
  entry["ip"] = argument.text;
  return std::nullopt;
}

Problem tos(std::span<const Argument> arguments, json& entry) {
  const auto mask = parse_number(arguments[0].text);
  if (!mask || *mask > 0xff) return expected(arguments[0], "a mask from 0 to 255");
  const auto range = parse_range(arguments[1].text, 0xff);
  if (!range) return expected(arguments[1], "a value or range (low-high) from 0 to 255");
  entry["mask"] = *mask;
  entry["start"] = range->first;
  entry["end"] = range->last;
  return std::nullopt;
}

Problem icmp(std::span<const Argument> arguments, json& entry) {
  const auto type = parse_number(arguments[0].text);
  if (!type || *type > 0xff) return expected(arguments[0], "an ICMP type from 0 to 255");
  const bool any = arguments[1].text == "-1" || arguments[1].text == "any";
  const auto code = parse_number(arguments[1].text);
  if (!any && (!code || *code > 0xff))
    return expected(arguments[1], "an ICMP code from 0 to 255, or -1 for any");
  entry["icmpType"] = *type;
  entry["icmpCode"] = any ? json(nullptr) : json(*code);
  return std::nullopt;
}

Problem range(const Argument& argument, json& entry) {
  const auto both = parse_range(argument.text, 0xffff);
  if (!both) return expected(argument, "a number or range (low-high) from 0 to 65535");
  entry["start"] = both->first;
  entry["end"] = both->last;
  return std::nullopt;
}

Problem characteristics(const Argument& argument, json& entry) {
  std::uint64_t mask = 0;
  std::string_view rest = argument.text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view bit = rest.substr(0, comma);
    const auto named = number_of(characteristic_names(), bit);
    const auto value = named ? std::optional<std::uint64_t>(*named) : parse_number(bit);
    if (!bit.empty()) {
      if (!value || *value > 63)
        return expected(argument, "bits from 0 to 63 or their names, with commas between them");
      mask |= std::uint64_t{1} << *value;
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  entry["mask"] = wire::to_string(wire::NetworkId{mask});  // 16 digits
  return std::nullopt;
}

Problem random(const Argument& argument, json& entry, std::vector<Diagnostic>& warnings) {
  double share = 0;
  const char* end = argument.text.data() + argument.text.size();
  const auto parsed = std::from_chars(argument.text.data(), end, share);
  if (parsed.ec != std::errc{} || parsed.ptr != end || !std::isfinite(share))
    return expected(argument, "a share from 0.0 to 1.0");
  if (share < 0 || share > 1) {
    warnings.push_back(
        {argument.at, in_quotes(argument.text) + " counts as " + (share < 0 ? '0' : '1')});
    share = share < 0 ? 0 : 1;
  }
  entry["probability"] = static_cast<std::uint64_t>(std::floor(4294967295.0 * share));
  return std::nullopt;
}

Problem tag(std::span<const Argument> arguments, const NamedList<TagDefinition>& tags,
            json& entry) {
  const TagDefinition* defined = tags.find(arguments[0].text);
  const auto id = defined != nullptr ? std::optional<std::uint64_t>(defined->id)
                                     : parse_number(arguments[0].text);
  if (!id || *id > kMost32) return expected(arguments[0], "a tag's name or number");
  const auto value = defined != nullptr ? defined->value_of(arguments[1].text)
                                        : TagDefinition{}.value_of(arguments[1].text);
  if (!value) {
    return expected(arguments[1], defined != nullptr ? "a flag or enum of this tag, or a number"
                                                     : "a number, since the tag has no names");
  }
  entry["id"] = *id;
  entry["value"] = *value;
  return std::nullopt;
}

}  // namespace

Problem compile_match(const MatchKeyword& keyword, std::span<const Argument> arguments,
                      const NamedList<TagDefinition>& tags, json& entry,
                      std::vector<Diagnostic>& warnings) {
  entry["type"] = keyword.type;
  switch (keyword.form) {
    case MatchForm::kAddress:
      return address(arguments[0], entry);
    case MatchForm::kNumber:
    case MatchForm::kEthertype:
    case MatchForm::kProtocol:
      return number(keyword, arguments[0], entry, warnings);
    case MatchForm::kMac:
      return mac(arguments[0], entry);
    case MatchForm::kIp:
      return ip(keyword, arguments[0], entry, warnings);
    case MatchForm::kTos:
      return tos(arguments, entry);
    case MatchForm::kIcmp:
      return icmp(arguments, entry);
    case MatchForm::kRange:
      return range(arguments[0], entry);
    case MatchForm::kCharacteristics:
      return characteristics(arguments[0], entry);
    case MatchForm::kRandom:
      return random(arguments[0], entry, warnings);
    case MatchForm::kTag:
      return tag(arguments, tags, entry);
  }
  return std::nullopt;
}

}  // namespace orrery::control
