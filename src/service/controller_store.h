// The controller's records on disk: one SQLite file in WAL mode with full synchronisation.
//
// A commit that returned is on the disk (kill -9 and loss of power included); one that failed or
// was cut short left nothing behind. The file is held exclusively while the store lives, since the
// controller's memory is authoritative: a second daemon, or a shell, finds it locked. A damaged
// file is never repaired by guesswork: open() says so and the operator puts back a copy (copy FILE
// and FILE-wal together while the daemon is stopped). Not thread-safe. Source:
// docs/protocol/11-controller.md section 6 names what is kept; the layout is our own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/controller/registry.h"

struct sqlite3;

namespace orrery::service {

class ControllerStore {
 public:
  static constexpr int kSchemaVersion = 1;

  /// Opens or creates the file (0600). Errors name the file and tell damaged, locked, full, and
  /// written by a later version.
  static Result<ControllerStore> open(const std::string& file);

  /// Every record, each network before its members.
  Result<std::vector<control::StoreWrite>> load();
  /// All or nothing, in one transaction, in order.
  Result<void> commit(const std::vector<control::StoreWrite>& writes);

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };

  ControllerStore(sqlite3* db, std::string file) : db_(db), file_(std::move(file)) {}

  Result<void> set_up();
  Result<void> check_pages();
  Result<void> write_all(const std::vector<control::StoreWrite>& writes);
  [[nodiscard]] Error error(int code) const;
  Result<void> execute(const char* sql);

  std::unique_ptr<sqlite3, Close> db_;
  std::string file_;
};

}  // namespace orrery::service
