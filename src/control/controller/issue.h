// What a member is given: what its record is completed with, the signed configuration, and
// revocations.
// Source: docs/protocol/11-controller.md section 3; docs/protocol/08-credentials.md.
#pragma once

#include <functional>
#include <span>

#include "control/controller/registry.h"
#include "control/controller/signing.h"
#include "crypto/curve.h"
#include "wire/network_config.h"

namespace orrery::control {

/// Adds to a member's record what it gets by itself: addresses from the pools and, if it has a
/// rules engine, the network's default tags and, at first contact, its default capabilities.
void complete_member(nlohmann::json& record, const NetworkEntry& net, wire::Address address,
                     bool first_contact, bool rules_engine,
                     const std::function<std::uint64_t()>& random);

/// Whether complete_member() could add anything to the record that `member` is the view of.
[[nodiscard]] bool is_complete(const MemberView& member, const NetworkView& net, bool rules_engine);

/// The configuration of one member with all its credentials. Two certificates of ownership if more
/// than 16 addresses are given. Thread-safe.
[[nodiscard]] wire::NetworkConfig issue(const crypto::SecretIdentity& controller,
                                        const ConfigDraft& draft);

/// For fast propagation: the target's certificates of membership up to and including `threshold`
/// are void.
[[nodiscard]] wire::Revocation revoke_membership(const crypto::SecretIdentity& controller,
                                                 wire::NetworkId id, wire::Address target,
                                                 std::uint32_t revocation_id, Millis threshold);

/// Payload of NETWORK_CREDENTIALS with nothing but these. REQUIRES: at most 60, so that it fits a
/// packet.
[[nodiscard]] ByteVector revocation_payload(std::span<const wire::Revocation> revocations);

/// The signed chunks of a configuration, bodies as in NETWORK_CONFIG; `update` is not 0.
[[nodiscard]] std::vector<ByteVector> sign_chunks(const crypto::SecretIdentity& controller,
                                                  wire::NetworkId id, Bytes dictionary,
                                                  std::uint64_t update);

inline constexpr std::size_t kChunkData =
    9740;  // bytes of a configuration in one packet, as stock sends

}  // namespace orrery::control
