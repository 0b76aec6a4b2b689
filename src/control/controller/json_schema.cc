#include "control/controller/json_schema.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <stdexcept>

#include "control/controller/json_text.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::string_view kReference = "#/components/schemas/";
constexpr std::size_t kShown = 60;  // bytes of a wrong value in a complaint

const std::set<std::string>& checked_keywords() {
  static const std::set<std::string> kChecked = {
      "$ref",    "type",     "enum",     "properties", "required",  "additionalProperties",
      "items",   "minItems", "maxItems", "minLength",  "maxLength", "minimum",
      "maximum", "format"};
  return kChecked;
}

bool is_type(const json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

/// "an integer", or "a string or null".
std::string name_of(const json& type) {
  const auto one = [](const std::string& name) {
    if (name == "null") return name;
    return (name == "integer" || name == "array" || name == "object" ? "an " : "a ") + name;
  };
  if (type.is_string()) return one(type.get<std::string>());
  std::string all;
  for (const json& name : type) all += (all.empty() ? "" : " or ") + one(name.get<std::string>());
  return all;
}

std::string shown(const json& value) {
  std::string text = json_text(value);
  if (text.size() <= kShown) return text;
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string names_of(const json& properties) {
  std::string all;
  for (const auto& [name, schema] : properties.items()) all += (all.empty() ? "" : ", ") + name;
  return all;
}

/// Compared without loss, whatever kinds of numbers they are.
bool below(const json& a, const json& b) {
  return a < b;
}

}  // namespace

std::string path_to(const std::string& path, const std::string& key) {
  const bool plain = !key.empty() && std::isdigit(static_cast<unsigned char>(key[0])) == 0 &&
                     std::all_of(key.begin(), key.end(),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (plain) return path + "." + key;
  std::string quoted;
  for (const char c : key) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return path + "['" + quoted + "']";
}

std::string path_to(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

JsonSchema::JsonSchema(json document, std::map<std::string, Format> formats)
    : document_(std::move(document)), formats_(std::move(formats)) {
  for (const auto& [name, schema] : document_.at("components").at("schemas").items())
    examine(schema, name);
}

void JsonSchema::examine(const json& schema, const std::string& where) const {
  static const std::set<std::string> kAnnotations = {"description", "example"};
  for (const auto& [keyword, value] : schema.items()) {
    if (!checked_keywords().contains(keyword) && !kAnnotations.contains(keyword))
      throw std::invalid_argument(where + ": unknown keyword " + keyword);
  }
  if (schema.contains("$ref")) (void)resolved(schema);
  if (schema.contains("format") && !formats_.contains(schema["format"].get<std::string>()))
    throw std::invalid_argument(where + ": unknown format " + schema["format"].get<std::string>());
  if (schema.contains("properties")) {
    for (const auto& [name, inner] : schema["properties"].items())
      examine(inner, where + "." + name);
  }
  if (schema.contains("items")) examine(schema["items"], where + "[]");
  if (schema.contains("additionalProperties") && schema["additionalProperties"].is_object())
    examine(schema["additionalProperties"], where + ".*");
}

const json& JsonSchema::named(const std::string& name) const {
  return document_.at("components").at("schemas").at(name);
}

const json& JsonSchema::resolved(const json& schema) const {
  const auto reference = schema.find("$ref");
  if (reference == schema.end()) return schema;
  const auto text = reference->get<std::string>();
  if (!text.starts_with(kReference)) throw std::invalid_argument("reference to " + text);
  return named(text.substr(kReference.size()));
}

JsonSchema::Found JsonSchema::check(const json& given, const json& value,
                                    const std::string& path) const {
  const json& schema = resolved(given);
  if (const auto type = schema.find("type"); type != schema.end()) {
    const bool fits = type->is_string()
                          ? is_type(value, type->get_ref<const std::string&>())
                          : std::any_of(type->begin(), type->end(), [&](const json& one) {
                              return is_type(value, one.get_ref<const std::string&>());
                            });
    if (!fits) return Complaint{path, "expected " + name_of(*type) + ", not " + shown(value)};
  }
  if (const auto values = schema.find("enum");
      values != schema.end() && std::find(values->begin(), values->end(), value) == values->end())
    return Complaint{path, "expected one of " + json_text(*values) + ", not " + shown(value)};
  if (value.is_number()) {
    if (const auto least = schema.find("minimum"); least != schema.end() && below(value, *least))
      return Complaint{path, "expected at least " + json_text(*least) + ", not " + shown(value)};
    if (const auto most = schema.find("maximum"); most != schema.end() && below(*most, value))
      return Complaint{path, "expected at most " + json_text(*most) + ", not " + shown(value)};
  }
  if (value.is_string()) return check_text(schema, value.get_ref<const std::string&>(), path);
  if (value.is_array()) return check_array(schema, value, path);
  if (value.is_object()) return check_object(schema, value, path);
  return std::nullopt;
}

JsonSchema::Found JsonSchema::check_text(const json& schema, const std::string& value,
                                         const std::string& path) const {
  if (value.size() < schema.value("minLength", std::size_t{0}))
    return Complaint{path, "expected at least " + json_text(schema["minLength"]) + " bytes"};
  if (schema.contains("maxLength") && value.size() > schema["maxLength"].get<std::size_t>()) {
    return Complaint{path, "expected at most " + json_text(schema["maxLength"]) + " bytes, not " +
                               std::to_string(value.size())};
  }
  if (const auto format = schema.find("format"); format != schema.end()) {
    const std::string wrong = formats_.at(format->get<std::string>())(value);
    if (!wrong.empty()) return Complaint{path, wrong + ", not " + shown(value)};
  }
  return std::nullopt;
}

JsonSchema::Found JsonSchema::check_array(const json& schema, const json& value,
                                          const std::string& path) const {
  if (value.size() < schema.value("minItems", std::size_t{0}))
    return Complaint{path, "expected at least " + json_text(schema["minItems"]) + " elements"};
  if (schema.contains("maxItems") && value.size() > schema["maxItems"].get<std::size_t>()) {
    return Complaint{path, "expected at most " + json_text(schema["maxItems"]) + " elements, not " +
                               std::to_string(value.size())};
  }
  const auto items = schema.find("items");
  if (items == schema.end()) return std::nullopt;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (auto found = check(*items, value[i], path_to(path, i))) return found;
  }
  return std::nullopt;
}

JsonSchema::Found JsonSchema::check_object(const json& schema, const json& value,
                                           const std::string& path) const {
  static const json kNone = json::object();
  const auto listed = schema.find("properties");
  const json& properties = listed == schema.end() ? kNone : *listed;
  const auto others = schema.find("additionalProperties");
  for (const auto& [key, inner] : value.items()) {
    const auto property = properties.find(key);
    if (property != properties.end()) {
      if (auto found = check(*property, inner, path_to(path, key))) return found;
    } else if (others != schema.end() && others->is_object()) {
      if (auto found = check(*others, inner, path_to(path, key))) return found;
    } else if (others != schema.end() && *others == false) {
      return Complaint{path_to(path, key),
                       "unknown field; expected one of " + names_of(properties)};
    }
  }
  if (const auto required = schema.find("required"); required != schema.end()) {
    for (const json& key : *required) {
      if (!value.contains(key.get_ref<const std::string&>()))
        return Complaint{path_to(path, key.get<std::string>()), "this field is needed"};
    }
  }
  return std::nullopt;
}

}  // namespace orrery::control
