// Identities as bytes and as text: what parses is written back to what parses to the same.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/identity.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  Reader r(bytes);
  if (const auto read = wire::read_identity(r)) {
    const ByteVector written =
        fuzz::encoded([&](Writer& w) { wire::write_identity(w, read->identity); });
    check(written.size() == wire::Identity::kWireSize);
    check(fuzz::starts_with(bytes, Bytes(written).first(written.size() - 1)));
    check(r.position() == wire::Identity::kWireSize + (read->has_private ? 64u : 0u));
  } else {
    check(!r.ok());
  }
  if (const auto parsed = wire::parse_identity(text_of(bytes))) {
    check(!parsed->identity.address.is_reserved());
    const std::string text = parsed->has_private
                                 ? wire::to_string(parsed->identity, parsed->private_key)
                                 : wire::to_string(parsed->identity);
    const auto again = wire::parse_identity(text);
    check(again && again->identity == parsed->identity &&
          again->has_private == parsed->has_private && again->private_key == parsed->private_key);
  }
  return 0;
}
