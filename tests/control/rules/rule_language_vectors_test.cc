// rule_language.json: every source to the output, or to an error at the place, of the reference's
// compiler.
#include <gtest/gtest.h>

#include "control/rules/compiler.h"
#include "control/rules/vocabulary.h"
#include "support/vectors.h"

namespace orrery::control {
namespace {

using nlohmann::json;

/// The reference counts columns of the first line from 0 and those of others from 1; an error
/// without a place is one that it did not foresee.
bool same_place(const Diagnostic& ours, const json& theirs) {
  const auto line = theirs["line"].get<std::uint32_t>();
  const auto column = theirs["column"].get<std::uint32_t>();
  if (line == 0) return true;
  return ours.at == Position{line, line == 1 ? column + 1 : column};
}

/// Whether a source has what only we take as it is written: a statement without matches, whose ';'
/// the reference's compiler takes for that of the block around it, or not at all; or a parameter of
/// a macro handed on to another. Source: docs/protocol/09-rules-engine.md section 11.6;
/// docs/interop.md.
bool says_more_than_the_reference_takes(std::string_view text) {
  const Source source = read_source(text);
  for (std::size_t i = 0; i < source.words.size(); ++i) {
    if (source.words[i].opens && source.words[i].end == i + 1) return true;
    if (i == 0 || lower(source.words[i - 1].text) != "include") continue;
    const auto call = parse_call(source.words[i].text);
    for (const std::string_view argument : call ? call->arguments : std::vector<std::string_view>())
      if (argument.starts_with('$')) return true;
  }
  return false;
}

TEST(RuleLanguageVectors, EverySource) {
  std::size_t index = 0;
  for (const json& c : test::cases("rule_language.json", "cases")) {
    const std::string name = test::label(c, index++);
    const auto source = c["source"].get<std::string>();
    const auto compiled = compile_rules(source);
    if (c["ok"].get<bool>()) {
      ASSERT_TRUE(compiled) << name << ": " << compiled.error().text;
      EXPECT_EQ(to_json(*compiled), c["output"]) << name;
    } else if (compiled) {
      EXPECT_TRUE(says_more_than_the_reference_takes(source)) << name << ": taken";
    } else {
      EXPECT_TRUE(same_place(compiled.error(), c["error"]))
          << name << ": " << compiled.error().at.line << ':' << compiled.error().at.column << ' '
          << compiled.error().text << ", expected " << c["error"].dump();
    }
  }
}

}  // namespace
}  // namespace orrery::control
