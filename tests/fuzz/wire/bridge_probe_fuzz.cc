// Arbitrary payloads as probes of bridges.
//
// Invariants: views lie in the payload; what decodes encodes to the same signed part; an entry that
// is found is one that stands there.
#include <cstdlib>

#include "wire/bridge_probe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const Bytes payload(data, size);
  const auto view = wire::decode_bridge_probe(payload);
  const Bytes probe = wire::bridge_probe_payload(payload);
  if (!probe.empty() && probe.data() + probe.size() != data + size) std::abort();
  if (!view) return 0;
  if (view->signed_part.size() != wire::BridgeProbe::kSigned ||
      view->entries.size() % wire::BridgeProbe::kEntry != 0 ||
      wire::BridgeProbe::kHead + view->entries.size() > size) {
    std::abort();
  }
  std::array<std::uint8_t, wire::BridgeProbe::kSigned> again;
  Writer w(again);
  wire::encode_bridge_probe(w, view->probe);
  if (!w.ok() || !std::equal(again.begin(), again.end(), view->signed_part.begin())) std::abort();
  if (!view->entries.empty()) {
    const wire::Address first{(std::uint64_t{view->entries[0]} << 32) |
                              load_be32(view->entries.data() + 1)};
    const auto found = view->find(first);
    if (!found || found->bridge != first) std::abort();
  }
  return 0;
}
