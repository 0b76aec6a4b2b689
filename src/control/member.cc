// Accepting, refusing and judging credentials; packing our own.
#include "control/member.h"

#include <algorithm>

#include "wire/header.h"

namespace orrery::control {

namespace {

using fib::CredentialCheck;
using wire::CredentialType;

AddResult refusal(CredentialCheck check) {
  return check == CredentialCheck::kSignerUnknown ? AddResult::kNeedsSigner : AddResult::kInvalid;
}

std::int64_t timestamp_of(const wire::Tag& tag) {
  return tag.timestamp;
}

std::int64_t timestamp_of(const wire::CertificateOfOwnership& coo) {
  return coo.timestamp;
}

template <typename Held>
std::int64_t timestamp_of(const Held& held) {
  return held.capability.timestamp;
}

/// Makes room by dropping the oldest; false if everything held is newer than `timestamp`.
template <typename Map>
bool make_room(Map& map, std::uint32_t id, std::size_t limit, std::int64_t timestamp) {
  if (map.size() < limit || map.contains(id)) return true;
  const auto oldest = std::min_element(map.begin(), map.end(), [](const auto& a, const auto& b) {
    return timestamp_of(a.second) < timestamp_of(b.second);
  });
  if (timestamp_of(oldest->second) >= timestamp) return false;
  map.erase(oldest);
  return true;
}

/// The common course of tags, capabilities and ownership (section 9.2). Null: verify and store.
template <typename Credential>
std::optional<AddResult> before_verification(const Credential* held, const Credential& offered,
                                             std::int64_t threshold) {
  if (held != nullptr && held->timestamp > offered.timestamp) return AddResult::kStale;
  if (threshold != 0 && threshold >= offered.timestamp) return AddResult::kRevoked;
  if (held != nullptr && *held == offered) return AddResult::kRedundant;
  return std::nullopt;
}

}  // namespace

AddResult Membership::add(const wire::CertificateOfMembership& com,
                          const fib::IdentityLookup& lookup) {
  if (!com) return AddResult::kInvalid;
  if (com.timestamp() <= com_threshold_) return AddResult::kRevoked;
  if (com_ && com.timestamp() < com_.timestamp()) return AddResult::kStale;
  if (com_ == com) return AddResult::kRedundant;
  const CredentialCheck checked = fib::check(com, lookup);
  if (checked != CredentialCheck::kValid) return refusal(checked);
  com_ = com;
  return AddResult::kNew;
}

AddResult Membership::add(const wire::Tag& tag, const fib::IdentityLookup& lookup) {
  const auto held = tags_.find(tag.id);
  if (const auto early = before_verification(held == tags_.end() ? nullptr : &held->second, tag,
                                             threshold(CredentialType::kTag, tag.id))) {
    return *early;
  }
  const CredentialCheck checked = fib::check(tag, lookup);
  if (checked != CredentialCheck::kValid) return refusal(checked);
  if (!make_room(tags_, tag.id, wire::kMaxTags, tag.timestamp)) return AddResult::kNotHeld;
  tags_[tag.id] = tag;
  return AddResult::kNew;
}

AddResult Membership::add(const wire::Capability& capability, const fib::IdentityLookup& lookup) {
  const auto held = capabilities_.find(capability.id);
  if (const auto early =
          before_verification(held == capabilities_.end() ? nullptr : &held->second.capability,
                              capability, threshold(CredentialType::kCapability, capability.id))) {
    return *early;
  }
  const CredentialCheck checked = fib::check(capability, lookup);
  if (checked != CredentialCheck::kValid) return refusal(checked);
  if (!make_room(capabilities_, capability.id, wire::kMaxCapabilities, capability.timestamp)) {
    return AddResult::kNotHeld;
  }
  capabilities_[capability.id] = {capability, shared_rules(capability)};
  return AddResult::kNew;
}

AddResult Membership::add(const wire::CertificateOfOwnership& ownership,
                          const fib::IdentityLookup& lookup) {
  const auto held = ownerships_.find(ownership.id);
  if (const auto early =
          before_verification(held == ownerships_.end() ? nullptr : &held->second, ownership,
                              threshold(CredentialType::kOwnership, ownership.id))) {
    return *early;
  }
  const CredentialCheck checked = fib::check(ownership, lookup);
  if (checked != CredentialCheck::kValid) return refusal(checked);
  constexpr std::size_t kMaxHeld = 4 * wire::kMaxOwnerships;
  if (!make_room(ownerships_, ownership.id, kMaxHeld, ownership.timestamp)) {
    return AddResult::kNotHeld;
  }
  ownerships_[ownership.id] = ownership;
  return AddResult::kNew;
}

AddResult Membership::add(const wire::Revocation& revocation, const fib::IdentityLookup& lookup) {
  const CredentialCheck checked = fib::check(revocation, lookup);
  if (checked != CredentialCheck::kValid) return refusal(checked);
  switch (static_cast<CredentialType>(revocation.type)) {
    case CredentialType::kMembership:
      if (revocation.threshold <= com_threshold_) return AddResult::kRedundant;
      com_threshold_ = revocation.threshold;
      return AddResult::kNew;
    case CredentialType::kCapability:
    case CredentialType::kTag:
    case CredentialType::kOwnership: {
      const ThresholdKey key{revocation.type, revocation.credential_id};
      if (!thresholds_.contains(key) && thresholds_.size() >= kMaxThresholds) {
        return AddResult::kNotHeld;
      }
      std::int64_t& held = thresholds_[key];
      if (revocation.threshold <= held) return AddResult::kRedundant;
      held = revocation.threshold;
      return AddResult::kNew;
    }
    default:
      return AddResult::kInvalid;
  }
}

bool Membership::allowed(const wire::CertificateOfMembership& mine, Bytes their_hash) const {
  return com_ && com_.timestamp() > com_threshold_ && wire::agrees(mine, com_, their_hash);
}

std::int64_t Membership::threshold(CredentialType type, std::uint32_t id) const {
  const auto it = thresholds_.find({static_cast<std::uint8_t>(type), id});
  return it == thresholds_.end() ? 0 : it->second;
}

bool Membership::usable(const wire::NetworkConfig& config, std::int64_t timestamp,
                        CredentialType type, std::uint32_t id) const {
  const auto a = static_cast<std::uint64_t>(timestamp);
  const auto b = static_cast<std::uint64_t>(config.timestamp);
  const std::uint64_t delta = timestamp > config.timestamp ? a - b : b - a;
  return delta <= config.credential_max_delta && timestamp > threshold(type, id);
}

std::vector<fib::Tag> Membership::usable_tags(const wire::NetworkConfig& config) const {
  std::vector<fib::Tag> tags;
  for (const auto& [id, tag] : tags_) {
    if (usable(config, tag.timestamp, CredentialType::kTag, id)) tags.push_back({id, tag.value});
  }
  return tags;
}

std::vector<fib::CapabilityRules> Membership::usable_capabilities(
    const wire::NetworkConfig& config) const {
  std::vector<fib::CapabilityRules> capabilities;
  for (const auto& [id, held] : capabilities_) {
    if (usable(config, held.capability.timestamp, CredentialType::kCapability, id)) {
      capabilities.push_back({id, held.rules});
    }
  }
  return capabilities;
}

fib::Ownership Membership::usable_ownership(const wire::NetworkConfig& config) const {
  fib::Ownership all;
  for (const auto& [id, coo] : ownerships_) {
    if (usable(config, coo.timestamp, CredentialType::kOwnership, id)) append_ownership(all, coo);
  }
  return all;
}

void append_ownership(fib::Ownership& to, const wire::CertificateOfOwnership& from) {
  const std::size_t count = std::min<std::size_t>(from.count, wire::kMaxThings);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& thing = from.things[i];
    switch (thing.type) {
      case wire::CertificateOfOwnership::kMac:
        to.macs.push_back(wire::Mac::load(thing.value.data()));
        break;
      case wire::CertificateOfOwnership::kIpv4:
        to.ips.push_back(wire::Endpoint::v4(load_be32(thing.value.data()), 0));
        break;
      case wire::CertificateOfOwnership::kIpv6:
        to.ips.push_back(wire::Endpoint::v6(thing.value, 0));
        break;
      default:
        break;
    }
  }
}

std::shared_ptr<const std::vector<wire::Rule>> shared_rules(const wire::Capability& capability) {
  const auto begin = capability.rules.begin();
  return std::make_shared<const std::vector<wire::Rule>>(begin, begin + capability.rule_count);
}

std::vector<ByteVector> pack_credentials(const wire::NetworkConfig& config) {
  constexpr std::size_t kPacket = 10024;         // bytes, header included
  constexpr std::size_t kCapabilityRoom = 2880;  // what the reference reserves for one item
  constexpr std::size_t kTagRoom = 152;
  constexpr std::size_t kOwnershipRoom = 432;
  std::vector<ByteVector> packets;
  bool com = config.com && *config.com;
  std::size_t capability = 0, tag = 0, ownership = 0;
  while (com || capability < config.capabilities.size() || tag < config.tags.size() ||
         ownership < config.ownerships.size()) {
    ByteVector payload(kPacket);
    Writer w(payload);
    const auto fits = [&](std::size_t room) {
      return wire::kHeaderSize + w.size() + room < kPacket;
    };
    const auto list = [&](const auto& items, std::size_t& next, std::size_t room, auto write) {
      const std::size_t count_at = w.size();
      w.u16(0);
      std::uint16_t count = 0;
      for (; next < items.size() && fits(room); ++next, ++count) write(w, items[next]);
      w.patch_u16(count_at, count);
    };
    if (com) wire::write_com(w, *config.com);
    com = false;
    w.u8(0);
    list(config.capabilities, capability, kCapabilityRoom, wire::write_capability);
    list(config.tags, tag, kTagRoom, wire::write_tag);
    w.u16(0);  // revocations
    list(config.ownerships, ownership, kOwnershipRoom, wire::write_ownership);
    payload.resize(w.size());
    packets.push_back(std::move(payload));
  }
  return packets;
}

ByteVector pack_revocation(const wire::Revocation& revocation) {
  std::array<std::uint8_t, 256> buffer;
  Writer w(buffer);
  w.u8(0);
  w.u16(0);
  w.u16(0);
  w.u16(1);
  wire::write_revocation(w, revocation);
  w.u16(0);
  const Bytes written = w.written();
  return {written.begin(), written.end()};
}

}  // namespace orrery::control
