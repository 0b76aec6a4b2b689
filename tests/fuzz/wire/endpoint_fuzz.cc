// Endpoints as bytes and as text: what is read is written back the same, and its text parses.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/endpoint.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  Reader r(bytes);
  const wire::Endpoint endpoint = wire::read_endpoint(r);
  if (!r.ok()) check(!endpoint);
  if (endpoint) {
    check(fuzz::same(fuzz::encoded([&](Writer& w) { wire::write_endpoint(w, endpoint); }),
                     bytes.first(r.position())));
  }
  check(wire::parse_endpoint(wire::to_string(endpoint)) == endpoint);
  (void)wire::scope_of(endpoint);
  const wire::Endpoint other = wire::read_endpoint(r);
  if (wire::contains(endpoint, other)) check(endpoint.family == other.family);

  const auto parsed = wire::parse_endpoint(text_of(bytes));
  if (parsed) {
    check(wire::parse_endpoint(wire::to_string(*parsed)) == *parsed);
    if (parsed->family == 4) {
      for (std::size_t i = 4; i < parsed->ip.size(); ++i) check(parsed->ip[i] == 0);
    }
  }
  return 0;
}
