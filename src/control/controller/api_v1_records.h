// Between the records of networks and members and their form in /api/v1; what no schema can say of
// their fields; answers and ETags.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "control/controller/api_v1.h"
#include "control/controller/json_schema.h"
#include "control/controller/registry.h"

namespace orrery::control {

/// The texts that openapi.json names as formats.
[[nodiscard]] std::map<std::string, JsonSchema::Format> api_formats();

[[nodiscard]] ApiAnswer api_answer(int status, const nlohmann::json& body,
                                   const std::string& etag = {});
/// `path`: place in the body, or name of a parameter; empty: none.
[[nodiscard]] ApiAnswer api_error(int status, const std::string& message,
                                  const std::string& path = {});

/// Another one for each revision of a record, and for each record of the same name.
[[nodiscard]] std::string etag_of(const nlohmann::json& record);
/// Whether a header field names this ETag, or is "*".
[[nodiscard]] bool names_etag(std::string_view field, const std::string& etag);

/// `secrets`: with the tokens of the network.
[[nodiscard]] nlohmann::json api_network(const NetworkEntry& net, bool secrets);
[[nodiscard]] nlohmann::json api_member(wire::NetworkId network, const RegisteredMember& member,
                                        Now now);

/// Whether the name of a record has this part, in any letter case.
[[nodiscard]] bool has_name_part(const nlohmann::json& record, const std::string& part);

/// What is wrong with fields that fit the schema.
[[nodiscard]] std::optional<Complaint> complaint_about_network(const nlohmann::json& fields);
/// Sets fields of a complete record. REQUIRES: no complaint.
void apply_network_fields(nlohmann::json& record, const nlohmann::json& fields);
void apply_member_fields(nlohmann::json& record, const nlohmann::json& fields, Millis wall);

}  // namespace orrery::control
