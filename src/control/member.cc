#include "control/member.h"

#include <algorithm>

namespace orrery::control {
namespace {

constexpr std::size_t kMostStored = 256;  // of each kind per member; a controller issues at most 128

Accepted outcome(fib::CredentialCheck check) {
  switch (check) {
    case fib::CredentialCheck::kValid:
      return Accepted::kNew;
    case fib::CredentialCheck::kSignerUnknown:
      return Accepted::kNeedsSigner;
    case fib::CredentialCheck::kInvalid:
      break;
  }
  return Accepted::kRejected;
}

}  // namespace

Accepted MemberRecord::add(const wire::CertificateOfMembership& com, const fib::IdentityLookup& lookup,
                           wire::Address* unknown) {
  if (com.timestamp() <= com_threshold_ || (com_ && com.timestamp() < com_.timestamp())) return Accepted::kRejected;
  if (com == com_) return Accepted::kRedundant;
  const Accepted result = outcome(fib::check(com, lookup, unknown));
  if (result == Accepted::kNew) com_ = com;
  return result;
}

template <typename T>
Accepted MemberRecord::add_to(std::map<std::uint32_t, T>& store, wire::CredentialType type, const T& credential,
                              const fib::IdentityLookup& lookup, wire::Address* unknown) {
  const auto stored = store.find(credential.id);
  if (stored != store.end()) {
    if (stored->second.timestamp > credential.timestamp) return Accepted::kRejected;
    if (stored->second == credential) return Accepted::kRedundant;
  } else if (store.size() >= kMostStored) {
    return Accepted::kRejected;
  }
  const auto threshold = thresholds_.find({static_cast<std::uint8_t>(type), credential.id});
  if (threshold != thresholds_.end() && threshold->second >= credential.timestamp) return Accepted::kRejected;
  const Accepted result = outcome(fib::check(credential, lookup, unknown));
  if (result == Accepted::kNew) store[credential.id] = credential;
  return result;
}

Accepted MemberRecord::add(const wire::Tag& tag, const fib::IdentityLookup& lookup, wire::Address* unknown) {
  return add_to(tags_, wire::CredentialType::kTag, tag, lookup, unknown);
}

Accepted MemberRecord::add(const wire::Capability& capability, const fib::IdentityLookup& lookup,
                           wire::Address* unknown) {
  return add_to(capabilities_, wire::CredentialType::kCapability, capability, lookup, unknown);
}

Accepted MemberRecord::add(const wire::CertificateOfOwnership& ownership, const fib::IdentityLookup& lookup,
                           wire::Address* unknown) {
  return add_to(ownerships_, wire::CredentialType::kOwnership, ownership, lookup, unknown);
}

Accepted MemberRecord::add(const wire::Revocation& r, const fib::IdentityLookup& lookup, wire::Address* unknown) {
  const Accepted genuine = outcome(fib::check(r, lookup, unknown));
  if (genuine != Accepted::kNew) return genuine;
  switch (static_cast<wire::CredentialType>(r.type)) {
    case wire::CredentialType::kMembership:
      if (r.threshold <= com_threshold_) return Accepted::kRedundant;
      com_threshold_ = r.threshold;
      return Accepted::kNew;
    case wire::CredentialType::kCapability:
    case wire::CredentialType::kTag:
    case wire::CredentialType::kOwnership: {
      const RevocationKey key{r.type, r.credential_id};
      const auto it = thresholds_.find(key);
      if (it != thresholds_.end() && r.threshold <= it->second) return Accepted::kRedundant;
      if (it == thresholds_.end() && (r.threshold <= 0 || thresholds_.size() >= 4 * kMostStored)) {
        return Accepted::kRedundant;
      }
      thresholds_[key] = r.threshold;
      return Accepted::kNew;
    }
    case wire::CredentialType::kRevocation:
      break;
  }
  return Accepted::kRejected;
}

bool MemberRecord::allowed(const wire::NetworkConfig& config, Bytes hash) const {
  if (config.is_public) return true;
  return com_ && config.com && com_.timestamp() > com_threshold_ && wire::agrees(*config.com, com_, hash);
}

bool MemberRecord::valid_now(const wire::NetworkConfig& config, wire::CredentialType type, std::uint32_t id,
                             std::int64_t timestamp) const {
  const std::uint64_t age = static_cast<std::uint64_t>(
      timestamp > config.timestamp ? timestamp - config.timestamp : config.timestamp - timestamp);
  if (age > config.credential_max_delta) return false;
  const auto threshold = thresholds_.find({static_cast<std::uint8_t>(type), id});
  return threshold == thresholds_.end() || timestamp > threshold->second;
}

void MemberRecord::current(const wire::NetworkConfig& config, fib::Member& out) const {
  out.tags.clear();
  out.capabilities.clear();
  out.ownership = {};
  for (const auto& [id, tag] : tags_) {
    if (valid_now(config, wire::CredentialType::kTag, id, tag.timestamp)) out.tags.push_back({id, tag.value});
  }
  for (const auto& [id, capability] : capabilities_) {
    if (valid_now(config, wire::CredentialType::kCapability, id, capability.timestamp)) {
      out.capabilities.push_back(capability_rules(capability));
    }
  }
  for (const auto& [id, ownership] : ownerships_) {
    if (valid_now(config, wire::CredentialType::kOwnership, id, ownership.timestamp)) {
      add_ownership(ownership, out.ownership);
    }
  }
}

fib::CapabilityRules capability_rules(const wire::Capability& capability) {
  return {capability.id, std::make_shared<const std::vector<wire::Rule>>(
                             capability.rules.begin(), capability.rules.begin() + capability.rule_count)};
}

void add_ownership(const wire::CertificateOfOwnership& ownership, fib::Ownership& out) {
  for (std::size_t i = 0; i < ownership.count; ++i) {
    const auto& thing = ownership.things[i];
    switch (thing.type) {
      case wire::CertificateOfOwnership::kMac:
        out.macs.push_back(wire::Mac::load(thing.value.data()));
        break;
      case wire::CertificateOfOwnership::kIpv4:
        out.ips.push_back(wire::Endpoint::v4(load_be32(thing.value.data()), 0));
        break;
      case wire::CertificateOfOwnership::kIpv6:
        out.ips.push_back(wire::Endpoint::v6(thing.value, 0));
        break;
      default:
        break;
    }
  }
}

fib::Network network_record(const wire::NetworkConfig& c) {
  fib::Network n;
  n.id = c.network;
  n.self = c.issued_to;
  n.mac = wire::mac_of(n.self, n.id);
  n.mtu = c.mtu;
  n.multicast_limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(c.multicast_limit, 65535));
  n.broadcast = c.has_flag(wire::NetworkConfig::kBroadcast);
  n.ndp_emulation = c.has_flag(wire::NetworkConfig::kNdpEmulation);
  n.unknown_match_result = c.has_flag(wire::NetworkConfig::kUnknownMatch);
  n.compress = !c.has_flag(wire::NetworkConfig::kNoCompression);
  n.is_public = c.is_public;
  for (const wire::Specialist& s : c.specialists) {
    if (s.has(wire::Specialist::kActiveBridge)) n.active_bridges.push_back(s.address());
  }
  std::sort(n.active_bridges.begin(), n.active_bridges.end());
  n.active_bridge = std::binary_search(n.active_bridges.begin(), n.active_bridges.end(), n.self);
  n.rules = c.rules;
  for (const wire::Capability& capability : c.capabilities) n.capabilities.push_back(capability_rules(capability));
  for (const wire::Tag& tag : c.tags) n.tags.push_back({tag.id, tag.value});
  for (const auto& ownership : c.ownerships) add_ownership(ownership, n.ownership);
  n.static_ips = c.static_ips;
  return n;
}

}  // namespace orrery::control
