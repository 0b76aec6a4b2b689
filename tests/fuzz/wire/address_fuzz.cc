// Addresses and network ids as text and as bytes: what parses prints as the digits that were given,
// what is printed parses to the same value, and their parts agree.
#include <algorithm>

#include "base/cursor.h"
#include "fuzz/wire/verb_fuzz.h"
#include "wire/address.h"

using namespace orrery;
using fuzz::check;

namespace {

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits &&
         std::ranges::all_of(text, [](char c) { return hex_digit(c) >= 0; });
}

std::string lower(std::string_view text) {
  std::string all(text);
  for (char& c : all) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  return all;
}

void check_address(wire::Address address) {
  const std::string text = wire::to_string(address);
  check(wire::parse_address(text) == address);
  check(address.is_reserved() == (text.starts_with("ff") || text == "0000000000"));
  check(static_cast<bool>(address) == (text != "0000000000"));
}

void check_network(wire::NetworkId id) {
  const std::string text = wire::to_string(id);
  check(wire::parse_network_id(text) == id);
  check(wire::to_string(id.controller()) == text.substr(0, 10));
  check(id.is_adhoc() == text.starts_with("ff"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const std::string_view text = text_of(bytes);
  const auto address = wire::parse_address(text);
  check(address.has_value() == is_hex(text, 10));
  if (address) {
    check(wire::to_string(*address) == lower(text));
    check_address(*address);
  }
  const auto network = wire::parse_network_id(text);
  check(network.has_value() == is_hex(text, 16));
  if (network) {
    check(wire::to_string(*network) == lower(text));
    check_network(*network);
  }

  Reader r(bytes);
  const wire::Address from_bytes{r.u40()};
  if (!r.ok()) return 0;
  check_address(from_bytes);
  check(wire::to_string(from_bytes) == to_hex(bytes.first(wire::Address::kSize)));
  check(fuzz::same(fuzz::encoded([&](Writer& w) { w.u40(from_bytes.value); }),
                   bytes.first(wire::Address::kSize)));
  Reader again(bytes);
  const wire::NetworkId id{again.u64()};
  if (again.ok()) check_network(id);
  return 0;
}
