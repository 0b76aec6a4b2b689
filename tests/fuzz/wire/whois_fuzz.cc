// WHOIS and its OK.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/whois.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  std::size_t addresses = 0;
  wire::for_each_whois_address(payload, [&](wire::Address a) {
    check(a.value >> 40 == 0);
    ++addresses;
  });
  check(addresses == size / 5);
  std::size_t identities = 0;
  const bool whole =
      wire::for_each_whois_identity(payload, [&](const wire::Identity&) { ++identities; });
  check(identities * wire::Identity::kWireSize <= size);
  check(!whole || size == 0 || identities > 0);
  return 0;
}
