// JSON values against the schemas of an OpenAPI document: the part of JSON Schema that ours uses.
//
// Keywords: $ref (to #/components/schemas), type (one or several), enum, properties, required,
// additionalProperties (false, or a schema), items, minItems, maxItems, minLength, maxLength (bytes
// of UTF-8), minimum, maximum, format; annotations are passed over, and anything else in a schema
// is refused by the constructor, so that no rule of the document goes unchecked. The first
// complaint counts. Source: JSON Schema 2020-12; OpenAPI 3.1.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace orrery::control {

/// What is wrong, and where: "$" is the value itself, "$.routes[0].target" something inside.
struct Complaint {
  std::string path;
  std::string text;
};

class JsonSchema {
 public:
  /// What is wrong with a string of a format; empty: nothing.
  using Format = std::function<std::string(const std::string&)>;

  /// Throws std::invalid_argument for a schema with keywords or formats that are not known here.
  JsonSchema(nlohmann::json document, std::map<std::string, Format> formats);

  [[nodiscard]] const nlohmann::json& document() const { return document_; }

  /// components/schemas/`name`. REQUIRES: there is one.
  [[nodiscard]] const nlohmann::json& named(const std::string& name) const;

  [[nodiscard]] std::optional<Complaint> check(const nlohmann::json& schema,
                                               const nlohmann::json& value) const {
    return check(schema, value, "$");
  }

 private:
  using Found = std::optional<Complaint>;

  void examine(const nlohmann::json& schema, const std::string& where) const;
  [[nodiscard]] const nlohmann::json& resolved(const nlohmann::json& schema) const;
  [[nodiscard]] Found check(const nlohmann::json& schema, const nlohmann::json& value,
                            const std::string& path) const;
  [[nodiscard]] Found check_object(const nlohmann::json& schema, const nlohmann::json& value,
                                   const std::string& path) const;
  [[nodiscard]] Found check_array(const nlohmann::json& schema, const nlohmann::json& value,
                                  const std::string& path) const;
  [[nodiscard]] Found check_text(const nlohmann::json& schema, const std::string& value,
                                 const std::string& path) const;

  nlohmann::json document_;
  std::map<std::string, Format> formats_;
};

/// `path` with a field's name behind it: "$.name", or "$['odd name']".
[[nodiscard]] std::string path_to(const std::string& path, const std::string& key);
[[nodiscard]] std::string path_to(const std::string& path, std::size_t index);

}  // namespace orrery::control
