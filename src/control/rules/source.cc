#include "control/rules/source.h"

#include "control/rules/vocabulary.h"

namespace orrery::control {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Whether a byte begins a character of UTF-8.
bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

class Reading {
 public:
  explicit Reading(std::string_view text) : text_(text) {}

  Source run() {
    while (place_ < text_.size()) {
      if (is_blank(text_[place_])) {
        advance();
      } else if (text_[place_] == '#') {
        while (place_ < text_.size() && text_[place_] != '\n') advance();
      } else {
        word();
      }
    }
    while (!open_.empty()) {
      source_.unclosed.push_back(open_.back());
      close();
    }
    return std::move(source_);
  }

 private:
  void advance() {
    const char c = text_[place_++];
    if (c == '\n') {
      ++at_.line;
      at_.column = 1;
    } else if (begins_character(c)) {
      ++at_.column;
    }
  }

  void word() {
    const std::size_t begin = place_;
    const Position at = at_;
    while (place_ < text_.size() && !is_blank(text_[place_])) advance();
    std::string_view text = text_.substr(begin, place_ - begin);
    unsigned closes = 0;
    for (; text.ends_with(';'); ++closes) text.remove_suffix(1);
    if (!text.empty()) {
      const auto index = static_cast<std::uint32_t>(source_.words.size());
      source_.words.push_back({text, at, opens_block(text), index + 1});
      if (source_.words.back().opens) open_.push_back(index);
    }
    for (; closes != 0 && !open_.empty(); --closes) close();
  }

  void close() {
    source_.words[open_.back()].end = static_cast<std::uint32_t>(source_.words.size());
    open_.pop_back();
  }

  std::string_view text_;
  std::size_t place_ = 0;
  Position at_;
  Source source_;
  std::vector<std::uint32_t> open_;  // words whose blocks are open, innermost last
};

}  // namespace

Source read_source(std::string_view text) {
  return Reading(text).run();
}

}  // namespace orrery::control
