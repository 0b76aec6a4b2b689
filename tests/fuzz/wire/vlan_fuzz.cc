// What lies behind the VLAN tag of a frame. Input: [2] ethertype, then the payload. Invariants: a
// tag is taken off once, and only whole; tag and rest are the bytes that were there.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/vlan.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint16_t ethertype = load_be16(data);
  const Bytes payload(data + 2, size - 2);
  const wire::BehindTag behind = wire::behind_tag(ethertype, payload);
  const bool tagged = ethertype == wire::kVlanEthertype && payload.size() >= wire::kVlanTag;
  check(behind.tag == (tagged ? wire::kVlanTag : 0));
  check(behind.payload.size() + behind.tag == payload.size());
  check(behind.payload.data() == payload.data() + behind.tag);
  check(behind.ethertype == (tagged ? load_be16(payload.data() + 2) : ethertype));
  check(behind.tag_control == (tagged ? load_be16(payload.data()) : 0));
  check(wire::vlan_of(behind.tag_control) < 4096);
  return 0;
}
