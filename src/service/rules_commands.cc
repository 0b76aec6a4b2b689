#include "service/rules_commands.h"

#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "control/controller/json_text.h"
#include "control/rules/explain.h"
#include "control/rules/frame_fields.h"
#include "control/rules/rule_set.h"
#include "control/rules/vocabulary.h"
#include "service/command_files.h"

namespace orrery::service {
namespace {

using nlohmann::json;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// "-": standard input.
std::optional<std::string> text_of_file(const std::string& file) {
  if (file != "-") return file_content(file);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

void print_json(const json& value) {
  std::cout << control::json_text(value, 1) << '\n';
}

json to_json(const control::Diagnostic& d) {
  return {{"line", d.at.line}, {"column", d.at.column}, {"message", d.text}};
}

/// FILE:LINE:COLUMN: KIND: text, as editors read it.
void tell(const std::string& file, const char* kind, const control::Diagnostic& d) {
  std::cerr << (file == "-" ? "standard input" : file) << ':' << d.at.line << ':' << d.at.column
            << ": " << kind << ": " << d.text << '\n';
}

std::optional<control::CompiledRules> compiled_file(const std::string& file,
                                                    const std::string& text) {
  auto compiled = control::compile_rules(text);
  if (!compiled) {
    tell(file, "error", compiled.error());
    return std::nullopt;
  }
  for (const auto& warning : compiled->warnings) tell(file, "warning", warning);
  return std::move(*compiled);
}

/// Entries as on the wire.
std::string hex_of(const std::vector<wire::Rule>& rules) {
  ByteVector bytes(rules.size() * (2 + wire::Rule::kDataMax));
  Writer w(bytes);
  for (const wire::Rule& rule : rules) wire::write_rule(w, rule);
  return to_hex(w.written());
}

int compile(const std::string& file, bool binary) {
  const auto text = text_of_file(file);
  if (!text) return kFailed;
  const auto compiled = compiled_file(file, *text);
  if (!compiled) return kFailed;
  json output = control::to_json(*compiled);
  if (binary) {
    json& config = output["config"];
    config["rules"] = hex_of(control::binary_rules(compiled->rules));
    for (std::size_t i = 0; i < compiled->capabilities.size(); ++i)
      config["capabilities"][i]["rules"] =
          hex_of(control::binary_rules(compiled->capabilities[i].rules));
  }
  print_json(output);
  return kDone;
}

int check(const std::string& file, bool as_json) {
  const auto text = text_of_file(file);
  if (!text) return kFailed;
  if (as_json) {
    const auto compiled = control::compile_rules(*text);
    json warnings = json::array();
    if (compiled) {
      for (const auto& warning : compiled->warnings) warnings.push_back(to_json(warning));
    }
    print_json({{"ok", compiled.has_value()},
                {"error", compiled ? json(nullptr) : to_json(compiled.error())},
                {"warnings", warnings}});
    return compiled ? kDone : kFailed;
  }
  const auto compiled = compiled_file(file, *text);
  if (!compiled) return kFailed;
  std::cout << "ok: " << compiled->rules.at.size() << " entries, " << compiled->capabilities.size()
            << " capabilities, " << compiled->tags.size() << " tags, " << compiled->warnings.size()
            << " warnings\n";
  return kDone;
}

/// A source, or JSON when it begins like an object.
std::optional<control::RuleSet> rule_set_of(const std::string& file) {
  const auto text = text_of_file(file);
  if (!text) return std::nullopt;
  const std::size_t begin = text->find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || (*text)[begin] != '{') {
    const auto compiled = compiled_file(file, *text);
    if (!compiled) return std::nullopt;
    return control::rule_set(*compiled);
  }
  const auto value = control::parse_json(*text);
  auto set = value ? control::rule_set(*value) : std::nullopt;
  if (!set) {
    std::cerr << file
              << ": expected the output of \"orrery rules compile\" or a network with "
                 "\"rules\", as the controller's API shows it\n";
  }
  return set;
}

/// What an operator says of one of the two members.
struct EndArguments {
  std::string address;
  std::vector<std::string> tags, capabilities, owned;
};

struct ExplainArguments {
  std::string file, network = "8056c2e21c000001", frame;
  EndArguments sender{"1111111111", {}, {}, {}}, receiver{"2222222222", {}, {}, {}};
  std::string ethertype, from, to, protocol, flags, mac_from, mac_to;
  std::vector<std::uint16_t> icmp;
  std::uint16_t from_port = 0, to_port = 0, vlan = 0, tos = 0;
  std::size_t size = 0;
  std::uint32_t random = 0;
  bool vlan_rules = false;
};

/// Says on standard error what an argument should have been.
bool complain(const std::string& what, const std::string& value) {
  std::cerr << "orrery: expected " << what << ", got \"" << value << "\"\n";
  return false;
}

bool read_end(const EndArguments& arguments, const control::RuleSet& set, control::End& end) {
  const auto address = wire::parse_address(arguments.address);
  if (!address) return complain("an address of 10 hexadecimal digits", arguments.address);
  end.address = *address;
  for (const std::string& text : arguments.tags) {
    const auto tag = set.tag(text);
    if (!tag) return complain("NAME=VALUE of a tag that the rules define, or ID=NUMBER", text);
    end.tags.push_back(*tag);
  }
  for (const std::string& name : arguments.capabilities) {
    const auto* capability = set.capability(name);
    if (capability == nullptr) return complain("a capability that the rules define", name);
    end.capabilities.push_back(capability->rules);
  }
  for (const std::string& text : arguments.owned) {
    if (const auto ip = wire::parse_endpoint(text); ip && *ip) {
      end.ownership.ips.push_back(*ip);
    } else if (const auto mac = wire::parse_mac(text)) {
      end.ownership.macs.push_back(*mac);
    } else {
      return complain("an IP or MAC", text);
    }
  }
  return true;
}

bool read_number(std::span<const control::NamedNumber> names, const std::string& text,
                 std::uint64_t most, const char* what, std::optional<std::uint64_t>& number) {
  if (text.empty()) return true;
  if (const auto named = control::number_of(names, text)) {
    number = *named;
  } else {
    number = control::parse_number(text);
  }
  return (number && *number <= most) || complain(what, text);
}

bool read_ip(const std::string& text, std::uint16_t port, wire::Endpoint& ip) {
  const auto parsed = wire::parse_endpoint(text);
  if (!parsed) return complain("an IP", text);
  ip = parsed->with_port(port);
  return true;
}

bool read_mac(const std::string& text, wire::Mac& mac) {
  if (text.empty()) return true;
  const auto parsed = wire::parse_mac(text);
  if (!parsed) return complain("a MAC", text);
  mac = *parsed;
  return true;
}

bool read_flags(const std::string& text, std::uint8_t& flags) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const auto bit = control::number_of(control::characteristic_names(), rest.substr(0, comma));
    if (!bit || *bit > 7) return complain("names of TCP flags such as tcp_syn,tcp_ack", text);
    flags = static_cast<std::uint8_t>(flags | 1u << *bit);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return true;
}

/// The frame that is asked about; its payload is kept in `bytes`.
bool read_frame(const ExplainArguments& a, fib::EthernetFrame& frame, ByteVector& bytes) {
  if (!a.frame.empty()) {
    auto whole = from_hex(a.frame);
    if (whole) bytes = std::move(*whole);
    const auto read = fib::read_ethernet(bytes);
    if (!read) return complain("an Ethernet frame in hexadecimal digits, header included", a.frame);
    frame = *read;
    return true;
  }
  control::FrameFields fields;
  std::optional<std::uint64_t> ethertype, protocol;
  if (!read_number(control::ethertype_names(), a.ethertype, 0xffff, "an ethertype", ethertype) ||
      !read_number(control::protocol_names(), a.protocol, 0xff, "an IP protocol", protocol) ||
      !read_ip(a.from, a.from_port, fields.from) || !read_ip(a.to, a.to_port, fields.to) ||
      !read_mac(a.mac_from, frame.source) || !read_mac(a.mac_to, frame.destination) ||
      !read_flags(a.flags, fields.tcp_flags)) {
    return false;
  }
  if (ethertype) fields.ethertype = static_cast<std::uint16_t>(*ethertype);
  if (protocol) fields.protocol = static_cast<std::uint8_t>(*protocol);
  fields.tos = static_cast<std::uint8_t>(a.tos);
  fields.tag_control = a.vlan;
  fields.size = a.size;
  if (!a.icmp.empty()) {
    if (!fields.protocol) fields.protocol = fields.from.family == 6 ? 58 : 1;
    fields.icmp_type = static_cast<std::uint8_t>(a.icmp[0]);
    fields.icmp_code = static_cast<std::uint8_t>(a.icmp.size() > 1 ? a.icmp[1] : 0);
  }
  auto built = control::build_frame(fields);
  if (!built) {
    std::cerr << "orrery: the IPs are of another family than each other or the ethertype\n";
    return false;
  }
  frame.ethertype = built->ethertype;
  bytes = std::move(built->payload);
  frame.payload = bytes;
  return true;
}

int explain(const ExplainArguments& a, bool as_json) {
  const auto set = rule_set_of(a.file);
  if (!set) return kFailed;
  control::Question question;
  const auto network = wire::parse_network_id(a.network);
  if (!network) {
    (void)complain("a network of 16 hexadecimal digits", a.network);
    return kUsage;
  }
  ByteVector bytes;
  question.network = *network;
  question.rules = set->rules;
  question.random = a.random;
  question.match_tags = a.vlan_rules;
  if (!read_end(a.sender, *set, question.sender) ||
      !read_end(a.receiver, *set, question.receiver) || !read_frame(a, question.frame, bytes)) {
    return kUsage;
  }
  const json answer = control::explain(question);
  if (as_json) {
    print_json(answer);
  } else {
    std::cout << control::explanation_text(answer);
  }
  return kDone;
}

void add_end(CLI::App& command, const std::string& prefix, EndArguments& end, const char* who) {
  command.add_option("--zt" + prefix, end.address, std::string("address of the ") + who)
      ->capture_default_str();
  command.add_option("--" + prefix + "-tag", end.tags,
                     std::string("a tag of the ") + who + ", NAME=VALUE or ID=NUMBER");
  command.add_option("--" + prefix + "-cap", end.capabilities,
                     std::string("a capability of the ") + who + ", name or id");
  command.add_option("--" + prefix + "-owns", end.owned,
                     std::string("an IP or MAC that a certificate says is the ") + who + "'s");
}

void add_explain(CLI::App& group, const bool& as_json, int& exit_code) {
  auto a = std::make_shared<ExplainArguments>();
  CLI::App* command = group.add_subcommand(
      "explain", "Say which rule decides about a frame between two members, and why");
  command
      ->add_option("FILE", a->file,
                   "source, output of \"compile\", or a network as JSON; \"-\": standard input")
      ->required();
  command->add_option("--network", a->network, "id of the network")->capture_default_str();
  add_end(*command, "src", a->sender, "sender");
  add_end(*command, "dest", a->receiver, "receiver");
  CLI::Option* frame =
      command->add_option("--frame", a->frame, "the whole Ethernet frame in hexadecimal digits");
  std::vector<CLI::Option*> fields = {
      command->add_option("--ethertype", a->ethertype, "number or name"),
      command->add_option("--ipsrc", a->from, "source IP"),
      command->add_option("--ipdest", a->to, "destination IP"),
      command->add_option("--ipprotocol", a->protocol, "number or name"),
      command->add_option("--sport", a->from_port, "source port"),
      command->add_option("--dport", a->to_port, "destination port"),
      command->add_option("--icmp", a->icmp, "ICMP type and code")
          ->expected(1, 2)
          ->check(CLI::Range(0, 255)),
      command->add_option("--chr", a->flags, "TCP flags, such as tcp_syn,tcp_ack"),
      command->add_option("--iptos", a->tos, "type of service")->check(CLI::Range(0, 255)),
      command->add_option("--framesize", a->size, "bytes behind the Ethernet header, at least")
          ->check(CLI::Range(0, 10'000)),
      command->add_option("--vlan", a->vlan, "VLAN of a tag in the frame")
          ->check(CLI::Range(1, 4095)),
      command->add_option("--macsrc", a->mac_from, "source MAC (default: the sender's)"),
      command->add_option("--macdest", a->mac_to, "destination MAC (default: the receiver's)"),
  };
  for (CLI::Option* field : fields) frame->excludes(field);
  command
      ->add_option("--random", a->random, "the number that \"random\" compares with, at both ends")
      ->capture_default_str();
  command->add_flag("--vlan-rules", a->vlan_rules, "both ends match on VLAN tags (vlan_rules)");
  command->callback([a, &as_json, &exit_code] { exit_code = explain(*a, as_json); });
}

}  // namespace

CLI::App* add_rules_commands(CLI::App& app, const bool& as_json, int& exit_code) {
  CLI::App* group = app.add_subcommand("rules", "The rule language: compile, check, explain");
  group->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  auto binary = std::make_shared<bool>(false);
  CLI::App* compiling = group->add_subcommand(
      "compile", "Print a source's rules, capabilities and tags as JSON for the controller's API");
  compiling->add_option("FILE", *file, "source; \"-\": standard input")->required();
  compiling->add_flag("--binary", *binary, "lists of rules as on the wire, in hexadecimal digits");
  compiling->callback([=, &exit_code] { exit_code = compile(*file, *binary); });
  CLI::App* checking =
      group->add_subcommand("check", "Say what is wrong with a source, and what may surprise");
  checking->add_option("FILE", *file, "source; \"-\": standard input")->required();
  checking->callback([=, &as_json, &exit_code] { exit_code = check(*file, as_json); });
  add_explain(*group, as_json, exit_code);
  return group;
}

}  // namespace orrery::service
