#include "service/controller_import.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

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

Result<void> export_controller_records(const std::string& directory,
                                       const std::vector<control::StoreWrite>& records) {
  std::error_code error;
  const auto failed = [&](const fs::path& path) {
    return failure(
        Errc::kIo,
        path.string() + ": " + (error ? error.message() : std::generic_category().message(errno)));
  };
  const fs::path target = directory;
  if (fs::exists(target, error) && !fs::is_empty(target, error))
    return failure(Errc::kInvalid, directory + " is there already, and not empty");
  const fs::path unfinished = target.string() + ".unfinished";
  fs::remove_all(unfinished, error);
  if (!fs::create_directories(unfinished / "network", error)) return failed(unfinished);
  fs::permissions(unfinished, fs::perms::owner_all, error);
  for (const control::StoreWrite& record : records) {
    if (record.kind != control::RecordKind::kRecord || record.json.empty()) continue;
    const fs::path networks = unfinished / "network";
    fs::path file = networks / (wire::to_string(record.network) + kSuffix.data());
    if (record.member) {
      const fs::path members = networks / wire::to_string(record.network) / "member";
      fs::create_directories(members, error);
      if (error) return failed(members);
      file = members / (wire::to_string(record.member) + kSuffix.data());
    }
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return failed(file);
    std::string_view rest = record.json;
    while (!rest.empty()) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::close(fd) != 0 || !rest.empty()) return failed(file);
  }
  // Once for all of them: there may be a hundred thousand.
  const int fd = ::open(unfinished.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool kept = fd >= 0 && ::syncfs(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!kept) return failed(unfinished);
  fs::remove(target, error);  // an empty one
  fs::rename(unfinished, target, error);
  if (error) return failed(target);
  return {};
}

}  // namespace orrery::service
