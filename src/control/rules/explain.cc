#include "control/rules/explain.h"

#include <algorithm>
#include <cstdio>

#include "control/rules/rule_text.h"

namespace orrery::control {
namespace {

using fib::RuleStep;
using nlohmann::json;

const char* outcome_of(RuleStep step) {
  switch (step) {
    case RuleStep::kNotLooked:
      return "not looked at";
    case RuleStep::kNo:
      return "no";
    case RuleStep::kYes:
      return "yes";
    case RuleStep::kDefiniteNo:
      return "no, whatever \"not\" says";
    case RuleStep::kDefiniteYes:
      return "yes, on trust";
    case RuleStep::kNotTaken:
      return "not taken";
    case RuleStep::kDecides:
      return "decides";
    case RuleStep::kCopies:
      return "copies";
    case RuleStep::kSpared:
      return "spared, since a tag was taken on trust";
    case RuleStep::kWithout:
      break;
  }
  return "without effect";
}

/// Collects the steps of one side.
class Steps : public fib::RuleObserver {
 public:
  explicit Steps(const std::vector<wire::Rule>& rules) : network_(rules) {}

  void on_list(const fib::CapabilityRules* capability) override {
    list_ = capability != nullptr ? capability->rules.get() : &network_;
    lists.push_back({{"list", capability != nullptr ? json(capability->id) : json("network")},
                     {"steps", json::array()}});
  }

  void on_step(std::size_t index, RuleStep step) override {
    json entry = {
        {"rule", index}, {"text", rule_text((*list_)[index])}, {"outcome", outcome_of(step)}};
    if (step == RuleStep::kDecides)
      decided_by = {{"list", lists.back()["list"]}, {"rule", index}, {"text", entry["text"]}};
    lists.back()["steps"].push_back(std::move(entry));
  }

  json lists = json::array();
  json decided_by;

 private:
  const std::vector<wire::Rule>& network_;
  const std::vector<wire::Rule>* list_ = nullptr;
};

std::vector<fib::Tag> sorted(std::vector<fib::Tag> tags) {
  std::ranges::sort(tags, {}, &fib::Tag::id);
  return tags;
}

std::vector<fib::CapabilityRules> sorted(std::vector<fib::CapabilityRules> capabilities) {
  std::ranges::sort(capabilities, {}, &fib::CapabilityRules::id);
  return capabilities;
}

/// The network as `self` sees it.
fib::Network network_of(const Question& q, const End& self) {
  fib::Network network;
  network.id = q.network;
  network.self = self.address;
  network.mac = wire::mac_of(self.address, q.network);
  network.rules = q.rules;
  network.tags = sorted(self.tags);
  network.capabilities = sorted(self.capabilities);
  network.ownership = self.ownership;
  network.match_tags = q.match_tags;
  network.unknown_match_result = q.unknown_match_result;
  return network;
}

/// What the other one knows of it.
fib::Member member_of(const Question& q, const End& other) {
  fib::Member member;
  member.network = q.network;
  member.address = other.address;
  member.allowed = true;
  member.tags = sorted(other.tags);
  member.capabilities = sorted(other.capabilities);
  member.ownership = other.ownership;
  return member;
}

const char* name_of(fib::Filter filter) {
  switch (filter) {
    case fib::Filter::kDrop:
      return "drop";
    case fib::Filter::kAccept:
      return "accept";
    case fib::Filter::kSuperAccept:
      break;
  }
  return "super_accept";
}

json side(const fib::FilterVerdict& verdict, Steps& steps) {
  json copies = json::array();
  for (std::size_t i = 0; i < verdict.emissions; ++i) {
    copies.push_back({{"to", wire::to_string(verdict.emit[i].to)},
                      {"flags", verdict.emit[i].flags},
                      {"length", verdict.emit[i].length}});
  }
  return {{"verdict", name_of(verdict.filter)},
          {"copies", std::move(copies)},
          {"decided_by", std::move(steps.decided_by)},
          {"lists", std::move(steps.lists)}};
}

std::string side_text(const std::string& who, const json& side) {
  std::string text = who + ": " + side["verdict"].get<std::string>();
  const json& by = side["decided_by"];
  const auto list_name = [](const json& list) {
    return list.is_string() ? std::string("the network's rules")
                            : "capability " + std::to_string(list.get<std::uint32_t>());
  };
  text += by.is_null() ? ", since no rule says more"
                       : ", by rule " + std::to_string(by["rule"].get<std::size_t>()) + " of " +
                             list_name(by["list"]) + ": " + by["text"].get<std::string>();
  text += '\n';
  for (const json& copy : side["copies"]) {
    text += "  " + std::to_string(copy["length"].get<std::size_t>()) + " bytes go to " +
            copy["to"].get<std::string>() + '\n';
  }
  for (const json& list : side["lists"]) {
    text += "  " + list_name(list["list"]) + '\n';
    for (const json& step : list["steps"]) {
      char line[32];
      std::snprintf(line, sizeof line, "  %5zu  ", step["rule"].get<std::size_t>());
      std::string rule = step["text"].get<std::string>();
      rule.resize(std::max<std::size_t>(rule.size(), 40), ' ');
      text += line + rule + "  " + step["outcome"].get<std::string>() + '\n';
    }
  }
  return text;
}

}  // namespace

json explain(const Question& q) {
  fib::EthernetFrame frame = q.frame;
  if (!frame.source) frame.source = wire::mac_of(q.sender.address, q.network);
  if (!frame.destination) frame.destination = wire::mac_of(q.receiver.address, q.network);

  const fib::Network there = network_of(q, q.sender);
  const fib::Member receiver = member_of(q, q.receiver);
  Steps out(q.rules);
  const fib::FilterVerdict sent = fib::filter_out(
      there, &receiver, fib::rule_frame_out(there, frame, receiver.address), false, q.random, &out);

  const fib::Network here = network_of(q, q.receiver);
  const fib::Member sender = member_of(q, q.sender);
  Steps in(q.rules);
  const fib::FilterVerdict received =
      fib::filter_in(here, sender, fib::rule_frame_in(here, frame, sender.address), q.random, &in);
  return {{"sender", side(sent, out)},
          {"receiver", side(received, in)},
          {"passes", sent.filter != fib::Filter::kDrop && received.filter != fib::Filter::kDrop}};
}

std::string explanation_text(const json& explanation) {
  return side_text("sender", explanation.at("sender")) +
         side_text("receiver", explanation.at("receiver")) +
         (explanation.at("passes").get<bool>() ? "the frame passes\n" : "the frame is dropped\n");
}

}  // namespace orrery::control
