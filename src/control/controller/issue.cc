#include "control/controller/issue.h"

#include <algorithm>
#include <map>

#include "control/controller/assignment.h"
#include "crypto/kdf.h"
#include "wire/verbs/network_config.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPayload = wire::kMaxPacket - wire::kHeaderSize;
constexpr std::size_t kMostBridges = 256;           // 1.14 members read no more specialists
constexpr std::uint64_t kManyBridgesProtocol = 13;  // members of 1.16 read kMaxSpecialists

json& array_in(json& record, const char* key) {
  json& value = record[key];
  if (!value.is_array()) value = json::array();
  return value;
}

/// What is common to everything signed in one configuration.
struct Issuer {
  const crypto::SecretIdentity& controller;
  wire::NetworkId network;
  const wire::Identity& member;
  Millis stamp;

  wire::CertificateOfMembership membership(std::uint64_t max_delta) const {
    using Com = wire::CertificateOfMembership;
    Com com;
    const auto add = [&](std::uint64_t key, std::uint64_t value, std::uint64_t delta) {
      com.qualifiers[com.count++] = {key, value, delta};
    };
    add(Com::kTimestamp, static_cast<std::uint64_t>(stamp), max_delta);
    add(Com::kNetwork, network.value, 0);
    add(Com::kIssuedTo, member.address.value, Com::kAnyDelta);
    const crypto::Sha384 hash = crypto::fingerprint(member);
    for (std::size_t k = 0; k < 4; ++k)
      add(Com::kHash0 + k, load_be64(hash.data() + 8 * k), Com::kAnyDelta);
    com.signed_by = controller.address();
    com.signature = crypto::sign(controller, wire::com_signed_bytes(com));
    return com;
  }

  wire::Tag tag(std::uint32_t id, std::uint32_t value) const {
    wire::Tag tag{network, stamp, id, value, member.address, controller.address(), {}};
    tag.signature = crypto::sign(controller, wire::tag_signed_bytes(tag));
    return tag;
  }

  wire::Capability capability(std::uint32_t id, const std::vector<wire::Rule>& rules) const {
    wire::Capability capability;
    capability.network = network;
    capability.timestamp = stamp;
    capability.id = id;
    capability.rule_count = static_cast<std::uint16_t>(rules.size());
    std::copy(rules.begin(), rules.end(), capability.rules.begin());
    capability.custody_count = 1;
    capability.custody[0] = {member.address, controller.address(), {}};
    capability.custody[0].signature =
        crypto::sign(controller, wire::capability_signed_bytes(capability));
    return capability;
  }

  /// A certificate holds 16 addresses: the second one, with id 2, has the rest.
  std::vector<wire::CertificateOfOwnership> ownerships(
      const std::vector<wire::Endpoint>& ips) const {
    std::vector<wire::CertificateOfOwnership> certificates;
    for (const wire::Endpoint& ip : ips) {
      if (certificates.empty() || certificates.back().count == wire::kMaxThings) {
        auto& fresh = certificates.emplace_back();
        fresh.network = network;
        fresh.timestamp = stamp;
        fresh.id = static_cast<std::uint32_t>(certificates.size());
        fresh.issued_to = member.address;
        fresh.signed_by = controller.address();
      }
      certificates.back().add(ip);
    }
    for (auto& c : certificates)
      c.signature = crypto::sign(controller, wire::ownership_signed_bytes(c));
    return certificates;
  }
};

void add_addresses(wire::NetworkConfig& config, const NetworkView& view, const MemberView& member) {
  if (!member.no_auto_assign && view.rfc4193) {
    config.static_ips.push_back(wire::rfc4193_address(config.issued_to, config.network));
  }
  if (!member.no_auto_assign && view.sixplane) {
    config.static_ips.push_back(wire::sixplane_address(config.issued_to, config.network));
  }
  if (!config.static_ips.empty()) config.flags |= wire::NetworkConfig::kNdpEmulation;
  for (const wire::Endpoint& ip : member.ips) {
    if (config.static_ips.size() >= wire::kMaxStaticIps) break;
    if (const auto bits = view.prefix_of(ip)) config.static_ips.push_back(ip.with_port(*bits));
  }
}

void add_rules(wire::NetworkConfig& config, const Issuer& issuer, const NetworkView& view,
               const MemberView& member, bool rules_engine) {
  if (!rules_engine) {
    config.rules = {wire::Rule{static_cast<std::uint8_t>(wire::RuleType::kActionAccept), {}}};
    return;
  }
  config.rules = view.rules;
  for (const std::uint32_t id : member.capabilities) {
    const auto it = view.capabilities.find(id);
    if (it == view.capabilities.end() || config.capabilities.size() >= wire::kMaxCapabilities)
      continue;
    config.capabilities.push_back(issuer.capability(id, it->second.rules));
  }
  for (const auto& [id, value] : member.tags) {
    if (config.tags.size() < wire::kMaxTags) config.tags.push_back(issuer.tag(id, value));
  }
}

/// One that a route covers.
bool has_address(const MemberView& member, const NetworkView& net, int family) {
  return std::any_of(member.ips.begin(), member.ips.end(), [&](const wire::Endpoint& ip) {
    return ip.family == family && net.prefix_of(ip).has_value();
  });
}

}  // namespace

bool is_complete(const MemberView& member, const NetworkView& net, bool rules_engine) {
  const auto has_tag = [&](const auto& tag) { return member.tags.contains(tag.first); };
  if (rules_engine && !std::all_of(net.default_tags.begin(), net.default_tags.end(), has_tag))
    return false;
  return member.no_auto_assign || ((!net.assign_v6 || has_address(member, net, 6)) &&
                                   (!net.assign_v4 || has_address(member, net, 4)));
}

void complete_member(json& record, const NetworkEntry& net, wire::Address address,
                     bool first_contact, bool rules_engine,
                     const std::function<std::uint64_t()>& random) {
  const MemberView before = view_member(record);
  if (rules_engine) {
    for (const auto& [id, capability] : net.view->capabilities) {
      const bool has = std::find(before.capabilities.begin(), before.capabilities.end(), id) !=
                       before.capabilities.end();
      if (first_contact && capability.by_default && !has)
        array_in(record, "capabilities").push_back(id);
    }
    for (const auto& [id, value] : net.view->default_tags) {
      if (!before.tags.contains(id)) array_in(record, "tags").push_back(json::array({id, value}));
    }
  }
  if (before.no_auto_assign) return;
  const auto give = [&](const std::optional<wire::Endpoint>& ip) {
    if (ip) array_in(record, "ipAssignments").push_back(wire::ip_to_string(*ip));
  };
  const NetworkView& view = *net.view;
  if (view.assign_v6 && !has_address(before, view, 6)) give(free_ipv6(net, address, random));
  if (view.assign_v4 && !has_address(before, view, 4)) give(free_ipv4(net, address));
}

wire::NetworkConfig issue(const crypto::SecretIdentity& controller, const ConfigDraft& draft) {
  const NetworkView& view = *draft.view;
  const MemberView& member = draft.member;
  const Issuer issuer{controller, draft.network, draft.identity, draft.stamp};
  wire::NetworkConfig config;
  config.network = draft.network;
  config.timestamp = draft.stamp;
  config.credential_max_delta = view.max_delta;
  config.revision = view.revision;
  config.issued_to = draft.identity.address;
  config.trace_target = member.trace_target ? member.trace_target : view.trace_target;
  config.trace_level = member.trace_target ? member.trace_level : view.trace_level;
  if (view.broadcast) config.flags |= wire::NetworkConfig::kBroadcast;
  config.multicast_limit = view.multicast_limit;
  config.is_public = !view.is_private;
  config.name = view.name;
  config.mtu = view.mtu;
  config.sso_version = 0;
  const std::size_t most =
      member.protocol >= kManyBridgesProtocol ? wire::kMaxSpecialists : kMostBridges;
  // Who is not authorised is sent no multicast. Members take what others have sent from active
  // bridges only, so replicators are such. Source: docs/protocol/10-multicast-arp-ndp.md
  // section 7.1.
  std::map<wire::Address, std::uint64_t> roles = view.roles;
  for (auto& [address, role] : roles) {
    if (!std::binary_search(draft.bridges.begin(), draft.bridges.end(), address))
      role &= ~wire::Specialist::kReplicator;
  }
  std::erase_if(roles, [](const auto& entry) { return entry.second == 0; });
  for (const wire::Address bridge : draft.bridges) {
    if (roles.size() < most || roles.contains(bridge))
      roles[bridge] |= wire::Specialist::kActiveBridge;
  }
  for (const auto& [address, role] : roles) config.specialists.push_back({address.value | role});
  config.routes.assign(view.routes.begin(),
                       view.routes.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min(view.routes.size(), wire::kMaxRoutes)));
  config.dns_domain = view.dns_domain;
  config.dns_servers = view.dns_servers;
  add_addresses(config, view, member);
  add_rules(config, issuer, view, member, draft.rules_engine);
  config.ownerships = issuer.ownerships(config.static_ips);
  config.com = issuer.membership(view.max_delta);
  return config;
}

wire::Revocation revoke_membership(const crypto::SecretIdentity& controller, wire::NetworkId id,
                                   wire::Address target, std::uint32_t revocation_id,
                                   Millis threshold) {
  wire::Revocation revocation;
  revocation.id = revocation_id;
  revocation.network = id;
  revocation.threshold = threshold;
  revocation.flags = wire::Revocation::kFastPropagation;
  revocation.target = target;
  revocation.signed_by = controller.address();
  revocation.type = static_cast<std::uint8_t>(wire::CredentialType::kMembership);
  revocation.signature = crypto::sign(controller, wire::revocation_signed_bytes(revocation));
  return revocation;
}

ByteVector revocation_payload(std::span<const wire::Revocation> revocations) {
  ByteVector payload(kMaxPayload);
  Writer w(payload);
  w.u8(0);   // no certificate of membership
  w.u16(0);  // capabilities
  w.u16(0);  // tags
  w.u16(static_cast<std::uint16_t>(revocations.size()));
  for (const wire::Revocation& revocation : revocations) wire::write_revocation(w, revocation);
  w.u16(0);  // certificates of ownership
  payload.resize(w.size());
  return payload;
}

std::vector<ByteVector> sign_chunks(const crypto::SecretIdentity& controller, wire::NetworkId id,
                                    Bytes dictionary, std::uint64_t update) {
  std::vector<ByteVector> chunks;
  for (std::size_t offset = 0; offset < dictionary.size(); offset += kChunkData) {
    wire::ConfigChunk chunk;
    chunk.network = id;
    chunk.data = dictionary.subspan(offset, std::min(kChunkData, dictionary.size() - offset));
    chunk.update_id = update;
    chunk.total = static_cast<std::uint32_t>(dictionary.size());
    chunk.offset = static_cast<std::uint32_t>(offset);
    ByteVector& body = chunks.emplace_back(chunk.data.size() + wire::ConfigChunk::kOverhead);
    Writer w(body);
    wire::encode_config_chunk(w, chunk);
    wire::append_config_signature(w, crypto::sign(controller, w.written()));
  }
  return chunks;
}

}  // namespace orrery::control
