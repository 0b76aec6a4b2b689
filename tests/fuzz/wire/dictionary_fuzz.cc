// Look-ups in arbitrary dictionaries, and values through the writer and back.
//
// Invariants: the first line of a key is found whatever else there is (model: lines split by hand);
// any value written is read back byte for byte; numbers survive the same way.
// Input: [1] length of the key, key, dictionary; the dictionary also serves as a value.
#include <algorithm>
#include <cstdlib>

#include "base/cursor.h"
#include "wire/dictionary.h"

namespace {

using namespace orrery;

/// Raw value of the first line that begins with the key and '='.
std::optional<ByteVector> model(Bytes d, std::string_view key) {
  const std::string text(text_of(d.first(
      static_cast<std::size_t>(std::find(d.begin(), d.end(), std::uint8_t{0}) - d.begin()))));
  const std::string start = std::string(key) + '=';
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (line.starts_with(start)) {
      const std::string value = line.substr(start.size());
      return ByteVector(value.begin(), value.end());
    }
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const Bytes key_bytes = r.bytes(r.u8() & 15);
  if (!r.ok()) return 0;
  const std::string_view key = text_of(key_bytes);
  const Bytes d = r.rest();
  const bool sane = !key.empty() && key.find_first_of(std::string_view("\0\r\n", 3)) == key.npos;

  const auto raw = wire::dictionary_raw(d, key);
  if (sane) {
    const auto expected = model(d, key);
    if (raw.has_value() != expected.has_value()) std::abort();
    if (raw && !std::equal(raw->begin(), raw->end(), expected->begin(), expected->end())) {
      std::abort();
    }
  }
  if (wire::dictionary_bytes(d, key).has_value() != raw.has_value()) std::abort();
  const std::uint64_t number = wire::dictionary_u64(d, key, 1);
  (void)wire::dictionary_i64(d, key, -1);
  (void)wire::dictionary_bool(d, key, true);

  if (sane && key.find('=') == key.npos) {
    wire::DictionaryWriter w;
    if (!w.text("before", "x") || !w.bytes(key, d) || !w.u64("number", number)) std::abort();
    const auto value = wire::dictionary_bytes(w.encoded(), key);
    if (!value) std::abort();
    if (key == "before" || key == "number") return 0;
    if (!std::equal(value->begin(), value->end(), d.begin(), d.end())) std::abort();
    if (wire::dictionary_u64(w.encoded(), "number", 0) != number) std::abort();
    wire::DictionaryWriter small(64);
    const bool fits = small.bytes(key, d);
    if (small.encoded().size() >= 64 || fits == small.encoded().empty()) std::abort();
  }
  return 0;
}
