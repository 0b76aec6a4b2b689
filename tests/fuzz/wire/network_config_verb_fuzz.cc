// NETWORK_CONFIG_REQUEST and the chunk of NETWORK_CONFIG: what decodes is written back as it came.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/network_config.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  if (const auto q = wire::decode_network_config_request(payload)) {
    check(fuzz::within(payload, q->metadata));
    const ByteVector written =
        fuzz::encoded([&](Writer& w) { wire::encode_network_config_request(w, *q); });
    const auto again = wire::decode_network_config_request(written);
    check(again && again->network == q->network && fuzz::same(again->metadata, q->metadata) &&
          again->have_revision == q->have_revision && again->have_timestamp == q->have_timestamp);
  }
  if (const auto c = wire::decode_config_chunk(payload)) {
    check(fuzz::starts_with(payload, c->body));
    if (c->has_signature) {
      check(c->signature.size() == 96);
      check(c->body.size() == c->data.size() + wire::ConfigChunk::kOverhead);
      check(fuzz::same(fuzz::encoded([&](Writer& w) { wire::encode_config_chunk(w, *c); }),
                       c->signed_region));
      check(fuzz::same(fuzz::encoded([&](Writer& w) {
                         wire::encode_config_chunk(w, *c);
                         wire::append_config_signature(w, c->signature);
                       }),
                       c->body));
    } else {
      check(c->total == c->data.size() && c->offset == 0 && c->signed_region.empty());
    }
  }
  return 0;
}
