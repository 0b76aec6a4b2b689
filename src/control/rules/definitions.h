// The macros, tags and capabilities of a rule source. They are collected before any statement is
// compiled, so their order does not matter.
// Source: docs/protocol/09-rules-engine.md sections 11.2, 11.4.
#pragma once

#include <expected>
#include <map>
#include <optional>

#include "control/rules/source.h"

namespace orrery::control {

/// Things with a `name`, each name once, in the order in which they were defined.
template <typename T>
class NamedList {
 public:
  /// REQUIRES: no other of this name.
  void add(T thing) {
    places_.emplace(thing.name, things_.size());
    things_.push_back(std::move(thing));
  }

  [[nodiscard]] const T* find(std::string_view name) const {
    const auto it = places_.find(name);
    return it == places_.end() ? nullptr : &things_[it->second];
  }

  [[nodiscard]] auto begin() const { return things_.begin(); }

  [[nodiscard]] auto end() const { return things_.end(); }

  [[nodiscard]] std::size_t size() const { return things_.size(); }

 private:
  std::vector<T> things_;
  std::map<std::string, std::size_t, std::less<>> places_;
};

/// Indices of words of the source that begin a statement or belong to one, without the words in
/// their blocks.
using Statements = std::vector<std::uint32_t>;

struct MacroDefinition {
  std::string name;
  std::vector<std::string> parameters;  // each begins with '$'
  Statements body;
};

struct TagDefinition {
  std::string name;
  std::uint32_t id = 0;
  std::optional<std::uint32_t> initial;  // of new members: "default"
  std::map<std::string, std::uint32_t, std::less<>> enums, flags;

  /// A flag's or else an enum's value, or a number's of 32 bits.
  [[nodiscard]] std::optional<std::uint32_t> value_of(std::string_view word) const;
};

struct CapabilityDefinition {
  std::string name;
  std::uint32_t id = 0;
  bool initial = false;  // given to new members: "default"
  Statements body;
};

struct Definitions {
  NamedList<MacroDefinition> macros;
  NamedList<TagDefinition> tags;
  NamedList<CapabilityDefinition> capabilities;
  Statements statements;  // what is in no definition
};

/// The first thing that is wrong, else all of them.
[[nodiscard]] std::expected<Definitions, Diagnostic> read_definitions(const Source& source);

/// NAME or NAME(ONE,TWO,…), one word. Nothing if brackets or commas are not where they belong.
struct Call {
  std::string_view name;
  std::vector<std::string_view> arguments;
};

[[nodiscard]] std::optional<Call> parse_call(std::string_view word);

/// "\"word\"", cut short if it is long.
[[nodiscard]] std::string in_quotes(std::string_view word);

}  // namespace orrery::control
