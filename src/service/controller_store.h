// The controller's records on disk: SQLite in WAL mode with full synchronisation. A commit that
// returned is durable.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/controller/registry.h"

struct sqlite3;

namespace orrery::service {

class ControllerStore {
 public:
  /// Opens or creates the file (0600). A damaged file, or one of a later version, is an error that
  /// says so.
  static Result<ControllerStore> open(const std::string& file);
  ControllerStore(ControllerStore&& other) noexcept;
  ControllerStore(const ControllerStore&) = delete;
  ControllerStore& operator=(const ControllerStore&) = delete;
  ControllerStore& operator=(ControllerStore&&) = delete;
  ~ControllerStore();

  Result<std::vector<control::StoreWrite>> load();
  /// All or nothing, in one transaction.
  Result<void> commit(const std::vector<control::StoreWrite>& writes);

 private:
  ControllerStore(sqlite3* db, std::string file) : db_(db), file_(std::move(file)) {}

  [[nodiscard]] Error error(const std::string& what) const;
  Result<void> execute(const char* sql);

  sqlite3* db_;
  std::string file_;
};

}  // namespace orrery::service
