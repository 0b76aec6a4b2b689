#include "wire/bridge_probe.h"

#include <algorithm>

namespace orrery::wire {
namespace {

constexpr std::uint32_t kMagic = 0x4f724250;  // "OrBP"

}  // namespace

std::optional<BridgeProbe::Entry> BridgeProbeView::find(Address bridge) const {
  Reader r(entries);
  while (r.remaining() >= BridgeProbe::kEntry) {
    BridgeProbe::Entry entry;
    entry.bridge = Address{r.u40()};
    entry.echo = r.u64();
    const Bytes tag = r.bytes(entry.tag.size());
    if (entry.bridge != bridge) continue;
    std::copy(tag.begin(), tag.end(), entry.tag.begin());
    return entry;
  }
  return std::nullopt;
}

std::optional<BridgeProbeView> decode_bridge_probe(Bytes payload) {
  Reader r(payload);
  BridgeProbeView view;
  const std::uint32_t magic = r.u32();
  const std::uint8_t version = r.u8();
  view.probe.flags = r.u8();
  view.probe.network = NetworkId{r.u64()};
  view.probe.node = Address{r.u40()};
  view.probe.port = r.u8();
  view.probe.nonce = r.u64();
  view.probe.own_tag = r.u64();
  const std::size_t count = r.u8();
  view.entries = r.bytes(count * BridgeProbe::kEntry);
  if (!r.ok() || magic != kMagic || version != BridgeProbe::kVersion ||
      count > BridgeProbe::kMostEntries) {
    return std::nullopt;
  }
  view.signed_part = payload.first(BridgeProbe::kSigned);
  return view;
}

void encode_bridge_probe(Writer& w, const BridgeProbe& probe) {
  w.u32(kMagic);
  w.u8(BridgeProbe::kVersion);
  w.u8(probe.flags);
  w.u64(probe.network.value);
  w.u40(probe.node.value);
  w.u8(probe.port);
  w.u64(probe.nonce);
}

BridgeProbeClaim bridge_probe_claim(Bytes signed_part, Address bridge, std::uint64_t echo) {
  BridgeProbeClaim claim;
  Writer w(claim);
  w.bytes(signed_part);
  w.u40(bridge.value);
  w.u64(echo);
  return claim;
}

}  // namespace orrery::wire
