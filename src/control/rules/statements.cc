#include "control/rules/statements.h"

namespace orrery::control {
namespace {

using nlohmann::json;
using Problem = std::optional<Diagnostic>;

/// Of macros within macros; one that includes itself ends here.
constexpr unsigned kDeepest = 32;

Problem problem(Position at, std::string text) {
  return Diagnostic{at, std::move(text)};
}

bool is_address(std::string_view word) {
  return wire::parse_address(word).has_value();
}

}  // namespace

Problem StatementCompiler::compile(const Statements& statements, RuleList& list) {
  const Bindings none;
  return run(statements, {none, list});
}

Problem StatementCompiler::run(const Statements& statements, const Frame& frame) {
  const Word* unopened = nullptr;  // the word before, if it is a keyword but for its case
  for (std::size_t k = 0; k < statements.size(); ++k) {
    const Word& word = source_.words[statements[k]];
    const std::string keyword = lower(word.text);
    Problem wrong;
    if (keyword == "include") {
      if (k + 1 >= statements.size())
        return problem(word.at, "expected the name of a macro after \"include\"");
      wrong = include(source_.words[statements[++k]], frame);
    } else if (!action_type(keyword).empty()) {
      const Words block =
          word.opens ? Words(source_.words).subspan(statements[k] + 1, word.end - statements[k] - 1)
                     : Words();
      wrong = action(word, block, frame);
    } else {
      std::string text = "expected drop, accept, tee, watch, redirect, break or include, got " +
                         in_quotes(word.text);
      if (unopened != nullptr)
        text += "; " + in_quotes(unopened->text) + " takes matches in lower case alone";
      return problem(word.at, std::move(text));
    }
    if (wrong) return wrong;
    unopened = word.opens || keyword == "include" ? nullptr : &word;
  }
  return std::nullopt;
}

Problem StatementCompiler::include(const Word& word, const Frame& frame) {
  const auto call = parse_call(word.text);
  if (!call) {
    return problem(word.at,
                   "expected NAME or NAME(ONE,TWO) without blanks after \"include\", got " +
                       in_quotes(word.text));
  }
  const MacroDefinition* macro = definitions_.macros.find(call->name);
  if (macro == nullptr) return problem(word.at, "there is no macro " + in_quotes(call->name));
  if (call->arguments.size() < macro->parameters.size()) {
    return problem(word.at, "the macro " + in_quotes(macro->name) + " wants " +
                                std::to_string(macro->parameters.size()) + " arguments, got " +
                                std::to_string(call->arguments.size()));
  }
  if (call->arguments.size() > macro->parameters.size()) {
    warnings_.push_back({word.at, "the macro " + in_quotes(macro->name) + " wants " +
                                      std::to_string(macro->parameters.size()) +
                                      " arguments, the others count for nothing"});
  }
  if (frame.depth == kDeepest || ++includes_ > kMostIncludes) {
    return problem(word.at, "the macro " + in_quotes(macro->name) +
                                " includes itself, or macros include too many others");
  }
  Bindings bindings;
  for (std::size_t i = 0; i < macro->parameters.size(); ++i) {
    const std::string_view argument = call->arguments[i];
    const auto outer = frame.bindings.find(argument);
    bindings[macro->parameters[i]] =
        outer != frame.bindings.end() ? outer->second : std::string(argument);
  }
  return run(macro->body, {bindings, frame.list, frame.depth + 1});
}

Problem StatementCompiler::action(const Word& word, Words block, const Frame& frame) {
  const std::string keyword = lower(word.text);
  json entry = {{"type", action_type(keyword)}};
  const bool copies = keyword == "tee" || keyword == "watch";
  if (copies || keyword == "redirect") {
    const std::size_t wanted = copies ? 2 : 1;
    if (block.size() < wanted) {
      return problem(word.at, copies ? "expected a length (-1 for all) and an address after " +
                                           in_quotes(word.text)
                                     : "expected an address after " + in_quotes(word.text));
    }
    const Word& target = block[wanted - 1];
    if (copies) {
      const auto length = parse_number(block[0].text);
      if (block[0].text != "-1" && (!length || *length > 0xffff)) {
        // Told at the address, as of the reference.
        return problem(
            block[0].at.line == target.at.line ? target.at : block[0].at,
            "expected a length from 0 to 65535, or -1 for all, before the address, got " +
                in_quotes(block[0].text));
      }
      entry["length"] = length ? json(*length) : json(-1);
    }
    if (!is_address(target.text)) {
      return problem(target.at,
                     "expected an address of 10 hexadecimal digits, got " + in_quotes(target.text));
    }
    entry["address"] = target.text;
    block = block.subspan(wanted);
  }
  if (Problem wrong = matches(block, frame)) return wrong;
  return add(std::move(entry), word.at, frame);
}

Problem StatementCompiler::arguments(const MatchKeyword& keyword, Words words, std::size_t at,
                                     const Frame& frame, std::vector<Argument>& found) const {
  for (std::size_t i = at + 1; i <= at + keyword.arguments; ++i) {
    // What is missing is told at the word before.
    if (i >= words.size()) {
      return problem(words[i - 1].at, in_quotes(keyword.word) + " wants " +
                                          std::to_string(keyword.arguments) +
                                          (keyword.arguments == 1 ? " argument" : " arguments"));
    }
    const Word& word = words[i];
    if (is_reserved(word.text)) {
      return problem(words[i - 1].at, "expected an argument of " + in_quotes(keyword.word) +
                                          " behind this, got the reserved word " +
                                          in_quotes(word.text));
    }
    if (!word.text.starts_with('$')) {
      found.push_back({word.text, word.at});
      continue;
    }
    const auto bound = frame.bindings.find(word.text);
    if (bound == frame.bindings.end())
      return problem(word.at, in_quotes(word.text) + " is no parameter of a macro here");
    found.push_back({bound->second, word.at});
  }
  return std::nullopt;
}

Problem StatementCompiler::matches(Words words, const Frame& frame) {
  const Word* negated = nullptr;
  const Word* alternative = nullptr;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Word& word = words[i];
    const std::string text = lower(word.text);
    if (text == "and") continue;
    if (text == "not") {
      negated = &word;
      continue;
    }
    if (text == "or") {
      alternative = &word;
      continue;
    }
    const MatchKeyword* keyword = match_keyword(text);
    if (keyword == nullptr)
      return problem(word.at, "expected a match such as ethertype or dport, or ';', got " +
                                  in_quotes(word.text));
    std::vector<Argument> found;
    if (Problem wrong = arguments(*keyword, words, i, frame, found)) return wrong;
    json entry = {{"not", negated != nullptr}, {"or", alternative != nullptr}};
    if (Problem wrong = compile_match(*keyword, found, definitions_.tags, entry, warnings_))
      return wrong;
    if (Problem wrong = add(std::move(entry), word.at, frame)) return wrong;
    negated = alternative = nullptr;
    i += keyword->arguments;
  }
  for (const Word* lost : {negated, alternative}) {
    if (lost != nullptr)
      warnings_.push_back({lost->at, in_quotes(lost->text) + " stands before no match"});
  }
  return std::nullopt;
}

Problem StatementCompiler::add(json entry, Position at, const Frame& frame) {
  if (frame.list.at.size() == kMostEntries)
    return problem(at, "more than " + std::to_string(kMostEntries) + " entries in one list");
  frame.list.entries.push_back(std::move(entry));
  frame.list.at.push_back(at);
  return std::nullopt;
}

}  // namespace orrery::control
