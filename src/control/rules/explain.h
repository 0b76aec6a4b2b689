// Why a frame passes between two members of a network, or does not: both ends judge it with the
// same rules, and every entry that they look at is told.
//
// It runs the evaluator of the frame path itself (fib/rules.h), so it cannot say anything else than
// members do. Weak spot: it knows of the members what it is told; whether credentials are valid,
// and have arrived, is not looked at.
#pragma once

#include <nlohmann/json.hpp>

#include "fib/forward.h"

namespace orrery::control {

/// A member's part in the question.
struct End {
  wire::Address address;
  std::vector<fib::Tag> tags;  // any order
  std::vector<fib::CapabilityRules> capabilities;
  fib::Ownership ownership;
};

struct Question {
  wire::NetworkId network;
  std::vector<wire::Rule> rules;  // of the network
  End sender, receiver;
  fib::EthernetFrame frame;  // zero MACs are those of the two members
  bool match_tags = false;   // rules see what is behind a VLAN tag, and the tag
  bool unknown_match_result = false;
  std::uint32_t random = 0;  // for MATCH_RANDOM, at both ends
};

/// {"sender": side, "receiver": side, "passes": bool}. A side has "verdict" (drop, accept,
/// super_accept), "copies" (to, flags, length), "decided_by" (list, rule, text; null: no entry did,
/// so it is dropped), and "lists": what was asked in this order, each with "list" ("network" or a
/// capability's id) and "steps" (rule, text, outcome).
[[nodiscard]] nlohmann::json explain(const Question& question);

/// The same as lines of text.
[[nodiscard]] std::string explanation_text(const nlohmann::json& explanation);

}  // namespace orrery::control
