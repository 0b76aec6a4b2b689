#include "control/rules/definitions.h"

#include "control/rules/vocabulary.h"

namespace orrery::control {
namespace {

using Problem = std::optional<Diagnostic>;

constexpr std::uint64_t kMost32 = 0xffff'ffff;

Problem problem(const Word& at, std::string text) {
  return Diagnostic{at.at, std::move(text)};
}

/// The words of one definition's block, taken from the front. REQUIRES: it has one that is not
/// empty.
class Block {
 public:
  Block(const Source& source, std::uint32_t opener)
      : words_(source.words), next_(opener + 1), end_(source.words[opener].end) {}

  [[nodiscard]] bool empty() const { return next_ >= end_; }

  [[nodiscard]] std::uint32_t index() const { return next_; }

  const Word& take() {
    const Word& word = words_[next_];
    next_ = word.end;
    return word;
  }

 private:
  const std::vector<Word>& words_;
  std::uint32_t next_, end_;
};

class Collecting {
 public:
  explicit Collecting(const Source& source) : source_(source) {}

  std::expected<Definitions, Diagnostic> run() {
    const auto& words = source_.words;
    for (std::uint32_t i = 0; i < words.size(); i = words[i].end) {
      const std::string keyword = lower(words[i].text);
      Problem wrong;
      if (keyword == "macro") {
        wrong = macro(i);
      } else if (keyword == "tag") {
        wrong = tag(i);
      } else if (keyword == "cap") {
        wrong = capability(i);
      } else {
        found_.statements.push_back(i);
      }
      if (wrong) return std::unexpected(std::move(*wrong));
    }
    return std::move(found_);
  }

 private:
  /// Whether there is a block with a name in it.
  [[nodiscard]] Problem needs_name(std::uint32_t opener) const {
    const Word& word = source_.words[opener];
    if (word.opens && word.end > opener + 1) return std::nullopt;
    return problem(word, word.opens ? "expected a name after " + in_quotes(word.text)
                                    : in_quotes(word.text) + " is a keyword in lower case alone");
  }

  template <typename T>
  static Problem check_name(const Word& word, const std::string& name, const NamedList<T>& others,
                            const char* what) {
    if (!is_name(name)) {
      return problem(word, "expected a name of letters, digits and '_' for the " +
                               std::string(what) + ", got " + in_quotes(name));
    }
    if (is_reserved(name))
      return problem(word, in_quotes(name) + " is a reserved word and cannot name a " + what);
    if (others.find(name) != nullptr)
      return problem(word, "there is a " + std::string(what) + ' ' + in_quotes(name) + " already");
    return std::nullopt;
  }

  Problem macro(std::uint32_t opener) {
    if (Problem wrong = needs_name(opener)) return wrong;
    Block block(source_, opener);
    const Word& head = block.take();
    const std::string text = lower(head.text);
    const auto call = parse_call(text);
    if (!call)
      return problem(head,
                     "expected NAME or NAME($ONE,$TWO) without blanks, got " + in_quotes(text));
    MacroDefinition macro;
    macro.name = call->name;
    if (Problem wrong = check_name(head, macro.name, found_.macros, "macro")) return wrong;
    for (const std::string_view parameter : call->arguments) {
      if (!parameter.starts_with('$') || parameter.size() < 2)
        return problem(head,
                       "expected a parameter that begins with '$', got " + in_quotes(parameter));
      macro.parameters.emplace_back(parameter);
    }
    for (; !block.empty(); block.take()) macro.body.push_back(block.index());
    found_.macros.add(std::move(macro));
    return std::nullopt;
  }

  /// A number of 32 bits after `keyword`.
  static Problem id_in(const Word& word, std::uint32_t& id) {
    const auto number = parse_number(word.text);
    if (!number || *number > kMost32)
      return problem(word, "expected an id from 0 to 4294967295, got " + in_quotes(word.text));
    id = static_cast<std::uint32_t>(*number);
    return std::nullopt;
  }

  static Problem flag(Block& block, const Word& keyword, TagDefinition& tag) {
    if (block.empty()) return problem(keyword, "expected bits and a name after \"flag\"");
    const Word& bits = block.take();
    if (block.empty()) return problem(keyword, "expected bits and a name after \"flag\"");
    const Word& name_word = block.take();
    std::uint32_t mask = 0;
    std::string_view rest = bits.text;
    while (true) {
      const std::size_t comma = rest.find(',');
      const std::string bit = lower(rest.substr(0, comma));
      const auto number = parse_number(bit);
      if (const auto other = tag.flags.find(bit); other != tag.flags.end()) {
        mask |= other->second;
      } else if (number && *number <= 31) {
        mask |= std::uint32_t{1} << *number;
      } else {
        return problem(bits,
                       "expected bits from 0 to 31 or flags named before, with commas between "
                       "them, got " +
                           in_quotes(bits.text));
      }
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    const std::string name = lower(name_word.text);
    if (!is_name(name)) return problem(name_word, "expected a flag's name, got " + in_quotes(name));
    if (!tag.flags.emplace(name, mask).second)
      return problem(name_word, "the tag has a flag " + in_quotes(name) + " already");
    return std::nullopt;
  }

  static Problem enumerated(Block& block, const Word& keyword, TagDefinition& tag) {
    if (block.empty()) return problem(keyword, "expected a value and a name after \"enum\"");
    const Word& value = block.take();
    if (block.empty()) return problem(keyword, "expected a value and a name after \"enum\"");
    const Word& name_word = block.take();
    const auto number = parse_number(value.text);
    if (!number || *number > kMost32)
      return problem(value, "expected a value from 0 to 4294967295, got " + in_quotes(value.text));
    const std::string name = lower(name_word.text);
    if (!is_name(name))
      return problem(name_word, "expected an enum's name, got " + in_quotes(name));
    if (!tag.enums.emplace(name, static_cast<std::uint32_t>(*number)).second)
      return problem(name_word, "the tag has an enum " + in_quotes(name) + " already");
    return std::nullopt;
  }

  Problem tag(std::uint32_t opener) {
    if (Problem wrong = needs_name(opener)) return wrong;
    Block block(source_, opener);
    const Word& head = block.take();
    TagDefinition tag;
    tag.name = lower(head.text);
    if (Problem wrong = check_name(head, tag.name, found_.tags, "tag")) return wrong;
    bool has_id = false;
    const Word* initial = nullptr;
    while (!block.empty()) {
      const Word& word = block.take();
      const std::string keyword = lower(word.text);
      Problem wrong;
      if (keyword == "id") {
        if (has_id) return problem(word, "the tag has an id already");
        if (block.empty()) return problem(word, "expected a number after \"id\"");
        has_id = true;
        wrong = id_in(block.take(), tag.id);
      } else if (keyword == "default") {
        if (initial != nullptr) return problem(word, "the tag has a default already");
        if (block.empty()) return problem(word, "expected a value after \"default\"");
        initial = &block.take();
      } else if (keyword == "flag") {
        wrong = flag(block, word, tag);
      } else if (keyword == "enum") {
        wrong = enumerated(block, word, tag);
      } else {
        wrong =
            problem(word, "expected id, default, flag, enum or ';', got " + in_quotes(word.text));
      }
      if (wrong) return wrong;
    }
    if (!has_id) return problem(head, "the tag " + in_quotes(tag.name) + " needs an id");
    if (initial != nullptr) {
      const auto named = tag.enums.find(initial->text);
      tag.initial = named != tag.enums.end() ? named->second : tag.value_of(initial->text);
      if (!tag.initial) {
        return problem(*initial, "expected an enum or flag of this tag or a number, got " +
                                     in_quotes(initial->text));
      }
    }
    found_.tags.add(std::move(tag));
    return std::nullopt;
  }

  Problem capability(std::uint32_t opener) {
    if (Problem wrong = needs_name(opener)) return wrong;
    Block block(source_, opener);
    const Word& head = block.take();
    CapabilityDefinition capability;
    capability.name = lower(head.text);
    if (Problem wrong = check_name(head, capability.name, found_.capabilities, "capability"))
      return wrong;
    bool has_id = false;
    while (!block.empty()) {
      const std::uint32_t index = block.index();
      const Word& word = block.take();
      const std::string keyword = lower(word.text);
      if (keyword == "default") {
        capability.initial = true;
      } else if (keyword != "id") {
        capability.body.push_back(index);
      } else {
        if (has_id) return problem(word, "the capability has an id already");
        if (block.empty()) return problem(word, "expected a number after \"id\"");
        has_id = true;
        // What is wrong with the number is told at the keyword, as of the reference.
        if (Problem wrong = id_in(block.take(), capability.id))
          return problem(word, std::move(wrong->text));
        for (const CapabilityDefinition& other : found_.capabilities) {
          if (other.id == capability.id)
            return problem(word,
                           "the capability " + in_quotes(other.name) + " has this id already");
        }
      }
    }
    if (!has_id)
      return problem(head, "the capability " + in_quotes(capability.name) + " needs an id");
    found_.capabilities.add(std::move(capability));
    return std::nullopt;
  }

  const Source& source_;
  Definitions found_;
};

}  // namespace

std::optional<std::uint32_t> TagDefinition::value_of(std::string_view word) const {
  if (const auto flag = flags.find(word); flag != flags.end()) return flag->second;
  if (const auto named = enums.find(word); named != enums.end()) return named->second;
  const auto number = parse_number(word);
  if (!number || *number > kMost32) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<Call> parse_call(std::string_view word) {
  Call call;
  const std::size_t bracket = word.find('(');
  call.name = word.substr(0, bracket);
  if (bracket == std::string_view::npos) return call;
  if (!word.ends_with(')')) return std::nullopt;
  std::string_view rest = word.substr(bracket + 1, word.size() - bracket - 2);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view argument = rest.substr(0, comma);
    if (argument.empty() || argument.find_first_of("()") != std::string_view::npos)
      return std::nullopt;
    call.arguments.push_back(argument);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) return std::nullopt;
  }
  return call;
}

std::string in_quotes(std::string_view word) {
  constexpr std::size_t kMost = 60;  // bytes
  if (word.size() <= kMost) return '"' + std::string(word) + '"';
  // Not within a character, and no further back than one can be long: not all text is UTF-8.
  std::size_t end = kMost;
  while (end > kMost - 4 && (static_cast<unsigned char>(word[end]) & 0xc0) == 0x80) --end;
  return '"' + std::string(word.substr(0, end)) + "…\"";
}

std::expected<Definitions, Diagnostic> read_definitions(const Source& source) {
  return Collecting(source).run();
}

}  // namespace orrery::control
