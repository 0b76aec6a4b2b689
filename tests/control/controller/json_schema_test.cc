// The part of JSON Schema that the API's document uses: what is refused, and where it says so.
#include "control/controller/json_schema.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace orrery::control {
namespace {

using nlohmann::json;

json document(const json& schemas) {
  return {{"components", {{"schemas", schemas}}}};
}

const std::map<std::string, JsonSchema::Format> kFormats = {
    {"even", [](const std::string& s) {
       return std::string(s.size() % 2 == 0 ? "" : "expected an even length");
     }}};

/// "path: text" of the complaint; empty: none.
std::string complaint(const json& schema, const json& value) {
  const JsonSchema checked(document({{"A", schema}, {"Name", {{"type", "string"}}}}), kFormats);
  const auto found = checked.check(checked.named("A"), value);
  return found ? found->path + ": " + found->text : std::string();
}

TEST(JsonSchema, Types) {
  const std::vector<std::pair<std::string, json>> values = {
      {"null", nullptr},           {"boolean", true},      {"integer", -3}, {"string", "x"},
      {"array", json::array({1})}, {"object", {{"a", 1}}}, {"number", 1.5}};
  for (const auto& [type, own] : values) {
    for (const auto& [other, value] : values) {
      const bool fits = type == other || (type == "number" && other == "integer");
      EXPECT_EQ(complaint({{"type", type}}, value).empty(), fits) << type << " of " << value;
    }
  }
  EXPECT_EQ(complaint({{"type", "integer"}}, 1.0).substr(0, 24), "$: expected an integer, ");
  EXPECT_EQ(complaint({{"type", {"string", "null"}}}, nullptr), "");
  EXPECT_EQ(complaint({{"type", {"string", "null"}}}, 7), "$: expected a string or null, not 7");
  EXPECT_EQ(complaint({{"type", "string"}}, std::string(200, 'x')), "");
  EXPECT_LT(complaint({{"type", "integer"}}, std::string(2'000, 'x')).size(), 120u);
  EXPECT_EQ(complaint({{"type", "integer"}}, "\xc3\xa4\xc3\xa4\xc3\xa4"),
            "$: expected an integer, not \"\xc3\xa4\xc3\xa4\xc3\xa4\"");
}

TEST(JsonSchema, Bounds) {
  const json u8 = {{"type", "integer"}, {"minimum", 0}, {"maximum", 255}};
  EXPECT_EQ(complaint(u8, 0), "");
  EXPECT_EQ(complaint(u8, 255), "");
  EXPECT_EQ(complaint(u8, 256), "$: expected at most 255, not 256");
  EXPECT_EQ(complaint(u8, -1), "$: expected at least 0, not -1");
  EXPECT_NE(complaint(u8, 18446744073709551615U), "");
  const json most = {{"type", "integer"}, {"maximum", 4294967295U}, {"minimum", 0}};
  EXPECT_EQ(complaint(most, 4294967295U), "");
  EXPECT_NE(complaint(most, std::numeric_limits<std::int64_t>::min()), "");
  const json text = {{"type", "string"}, {"minLength", 1}, {"maxLength", 3}};
  EXPECT_NE(complaint(text, ""), "");
  EXPECT_EQ(complaint(text, "abc"), "");
  EXPECT_NE(complaint(text, "abcd"), "");
  const json list = {{"type", "array"}, {"minItems", 1}, {"maxItems", 2}, {"items", u8}};
  EXPECT_NE(complaint(list, json::array()), "");
  EXPECT_NE(complaint(list, {1, 2, 3}), "");
  EXPECT_EQ(complaint(list, {1, 2}), "");
  EXPECT_EQ(complaint(list, {1, 700}), "$[1]: expected at most 255, not 700");
  EXPECT_EQ(complaint({{"enum", {"a", nullptr}}}, nullptr), "");
  EXPECT_EQ(complaint({{"enum", {"a", "b"}}}, "c"), R"($: expected one of ["a","b"], not "c")");
  EXPECT_EQ(complaint({{"type", "string"}, {"format", "even"}}, "abc"),
            "$: expected an even length, not \"abc\"");
}

TEST(JsonSchema, ObjectsAndPlaces) {
  const json inner = {{"type", "object"},
                      {"properties", {{"name", {{"$ref", "#/components/schemas/Name"}}}}},
                      {"required", {"name"}},
                      {"additionalProperties", false}};
  const json outer = {{"type", "object"},
                      {"properties", {{"list", {{"type", "array"}, {"items", inner}}}}},
                      {"additionalProperties", {{"type", "integer"}}}};
  EXPECT_EQ(complaint(outer, {{"list", {{{"name", "x"}}}}, {"more", 7}}), "");
  EXPECT_EQ(complaint(outer, {{"list", {{{"name", "x"}}, {{"name", 7}}}}}),
            "$.list[1].name: expected a string, not 7");
  EXPECT_EQ(complaint(outer, {{"list", {json::object()}}}), "$.list[0].name: this field is needed");
  EXPECT_EQ(complaint(outer, {{"list", {{{"nmae", "x"}}}}}),
            "$.list[0].nmae: unknown field; expected one of name");
  EXPECT_EQ(complaint(outer, {{"odd name", "x"}}), "$['odd name']: expected an integer, not \"x\"");
  EXPECT_EQ(complaint(outer, {{"it's", "x"}}), "$['it\\'s']: expected an integer, not \"x\"");
  EXPECT_EQ(complaint(outer, {{"", "x"}}), "$['']: expected an integer, not \"x\"");
}

TEST(JsonSchema, ASchemaThatCannotBeCheckedIsRefused) {
  for (const json& schema :
       {json{{"oneOf", json::array()}}, json{{"type", "object"}, {"patternProperties", {}}},
        json{{"properties", {{"a", {{"pattern", "x"}}}}}}, json{{"items", {{"not", {}}}}},
        json{{"$ref", "other.json"}}, json{{"format", "odd"}},
        json{{"additionalProperties", {{"pattern", "x"}}}}}) {
    EXPECT_THROW(JsonSchema(document({{"A", schema}}), kFormats), std::exception) << schema;
  }
}

}  // namespace
}  // namespace orrery::control
