#include "service/controller_import.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace orrery::service {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".json";

/// Names (without suffix) of the files with names of this length, sorted.
std::vector<std::string> names_in(const fs::path& directory, std::size_t length) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == length + kSuffix.size() && name.ends_with(kSuffix) &&
        entry.is_regular_file(error)) {
      names.push_back(name.substr(0, length));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

ImportedRecords import_controller_records(const std::string& directory) {
  ImportedRecords imported;
  const auto take = [&](const fs::path& file, wire::NetworkId network, wire::Address member) {
    std::ifstream in(file, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(in), {});
    if (!in || !nlohmann::json::parse(text, nullptr, false).is_object()) {
      imported.skipped.push_back(file.string());
      return false;
    }
    imported.records.push_back({network, member, std::move(text)});
    return true;
  };
  const fs::path networks = fs::path(directory) / "network";
  for (const std::string& name : names_in(networks, 16)) {
    const auto network = wire::parse_network_id(name);
    if (!network || !*network || !take(networks / (name + ".json"), *network, {})) continue;
    const fs::path members = networks / name / "member";
    for (const std::string& member_name : names_in(members, 10)) {
      const auto member = wire::parse_address(member_name);
      if (member && *member) take(members / (member_name + ".json"), *network, *member);
    }
  }
  return imported;
}

}  // namespace orrery::service
