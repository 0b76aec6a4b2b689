// A directory for the life of the process, for targets that read files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

namespace orrery::fuzz {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    char name[] = "/tmp/orrery-fuzz.XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    path_ = name;
  }

  ~ScratchDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  /// In place; makes the folders above it.
  void put(const std::string& name, Bytes content) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
  }

 private:
  std::string path_;
};

}  // namespace orrery::fuzz
