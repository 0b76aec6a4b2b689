// The fields of network and member records: defaults, and what the body of an API call may set.
//
// All of these work on a copy that the caller stores whole or not at all. A value of a type that
// the reference cannot take either throws nlohmann::json::type_error.
// Source: docs/protocol/11-controller.md sections 4, 7.1, 7.2; tests/vectors/controller_api.json.
#pragma once

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "wire/address.h"

namespace orrery::control {

/// Fills in what is missing; `wall` is the time of creation.
void fill_network(nlohmann::json& record, wire::NetworkId id, Millis wall);
void fill_member(nlohmann::json& record, wire::NetworkId network, wire::Address address,
                 Millis wall);

/// Changes only fields that the body has. REQUIRES: both are objects.
void apply_network_body(nlohmann::json& record, const nlohmann::json& body);
void apply_member_body(nlohmann::json& record, const nlohmann::json& body, Millis wall);

}  // namespace orrery::control
