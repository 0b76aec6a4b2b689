// Statements of the rule language to lists of entries, macros expanded.
// Source: docs/protocol/09-rules-engine.md sections 11.2, 11.4.
#pragma once

#include <map>
#include <span>

#include "control/rules/compiler.h"
#include "control/rules/match.h"

namespace orrery::control {

class StatementCompiler {
 public:
  /// All of these outlive it.
  StatementCompiler(const Source& source, const Definitions& definitions,
                    std::vector<Diagnostic>& warnings)
      : source_(source), definitions_(definitions), warnings_(warnings) {}

  /// Appends to `list`; what is wrong with the first statement that has an error.
  [[nodiscard]] std::optional<Diagnostic> compile(const Statements& statements, RuleList& list);

 private:
  /// What stands for the parameters of a macro.
  using Bindings = std::map<std::string, std::string, std::less<>>;
  using Words = std::span<const Word>;

  struct Frame {
    const Bindings& bindings;
    RuleList& list;
    unsigned depth = 0;  // of macros
  };

  [[nodiscard]] std::optional<Diagnostic> run(const Statements& statements, const Frame& frame);
  [[nodiscard]] std::optional<Diagnostic> include(const Word& word, const Frame& frame);
  [[nodiscard]] std::optional<Diagnostic> action(const Word& word, Words block, const Frame& frame);
  [[nodiscard]] std::optional<Diagnostic> matches(Words words, const Frame& frame);
  [[nodiscard]] std::optional<Diagnostic> arguments(const MatchKeyword& keyword, Words words,
                                                    std::size_t at, const Frame& frame,
                                                    std::vector<Argument>& found) const;
  [[nodiscard]] std::optional<Diagnostic> add(nlohmann::json entry, Position at,
                                              const Frame& frame);

  const Source& source_;
  const Definitions& definitions_;
  std::vector<Diagnostic>& warnings_;
  std::size_t includes_ = 0;
};

}  // namespace orrery::control
