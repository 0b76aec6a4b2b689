#include "dataplane/lan_switch.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;

constexpr std::uint64_t bit(unsigned port) {
  return std::uint64_t{1} << port;
}

}  // namespace

LanSwitch::Verdict LanSwitch::from_local(unsigned port, Bytes frame, Millis now) noexcept {
  if (frame.size() < kEthernet) return {.drop = Drop::kShort};
  const wire::Mac destination = wire::Mac::load(frame.data());
  const wire::Mac source = wire::Mac::load(frame.data() + 6);
  if (source && !source.is_multicast())
    table_.learn(network_.value, source, static_cast<int>(port), now);
  const int at = destination.is_multicast() ? LanTable::kUnknown
                                            : table_.find(network_.value, destination, now);
  if (at == static_cast<int>(port)) return {.drop = Drop::kLocal};
  if (at != LanTable::kUnknown) return {.ports = bit(static_cast<unsigned>(at))};
  // A station nobody has heard may be behind any other port, local or remote; a member's own MAC
  // tells where it is.
  if (destination.first_octet() == member_octet_) return {.overlay = true};
  return {.ports = ports_.load(std::memory_order_relaxed) & ~bit(port), .overlay = true};
}

LanSwitch::Verdict LanSwitch::from_overlay(Bytes frame, Millis now) noexcept {
  if (frame.size() < kEthernet) return {.drop = Drop::kShort};
  const wire::Mac destination = wire::Mac::load(frame.data());
  table_.forget(network_.value, wire::Mac::load(frame.data() + 6));  // it is not here any more
  const int at = destination.is_multicast() ? LanTable::kUnknown
                                            : table_.find(network_.value, destination, now);
  const std::uint64_t ports = at != LanTable::kUnknown ? bit(static_cast<unsigned>(at))
                                                       : ports_.load(std::memory_order_relaxed);
  if (ports == 0) return {.drop = Drop::kNoPort};
  return {.ports = ports};
}

}  // namespace orrery::dataplane
