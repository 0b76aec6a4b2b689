// The controller's records on disk: what any store does, and the one that every controller has by
// default, one SQLite file in WAL mode with full synchronisation.
//
// A commit that returned is on the disk (kill -9 and loss of power included); one that failed or
// was cut short left nothing behind. The file is held exclusively while the store lives, since the
// controller's memory is authoritative: a second daemon, or a shell, finds it locked. A damaged
// file is never repaired by guesswork: open() says so and the operator puts back a copy (copy FILE
// and FILE-wal together while the daemon is stopped). Not thread-safe. Source:
// docs/protocol/11-controller.md section 6 names what is kept; the layout is our own.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/controller/registry.h"
#include "service/sqlite_file.h"

namespace orrery::service {

/// A store of one controller. Not thread-safe.
class RecordStore {
 public:
  virtual ~RecordStore() = default;
  /// Every record, each network before its members.
  virtual Result<std::vector<control::StoreWrite>> load() = 0;
  /// All or nothing, in one transaction, in order. What it returned for is durable.
  virtual Result<void> commit(const std::vector<control::StoreWrite>& writes) = 0;
  /// Nothing is to be committed at the moment: time for what can wait, and to find out whether the
  /// store still is there.
  virtual Result<void> on_quiet() = 0;
};

class ControllerStore final : public RecordStore {
 public:
  /// 1: networks and members. 2: records of other kinds, too.
  static constexpr int kSchemaVersion = 2;

  /// Opens or creates the file (0600), and brings the layout of an earlier version up to date in
  /// one transaction. Errors name the file and tell damaged, locked, full, and written by a later
  /// version.
  static Result<ControllerStore> open(const std::string& file);

  Result<std::vector<control::StoreWrite>> load() override;
  Result<void> commit(const std::vector<control::StoreWrite>& writes) override;
  /// Moves the log into the file, if there is some of it.
  Result<void> on_quiet() override;

 private:
  explicit ControllerStore(SqliteFile file) : file_(std::move(file)) {}

  Result<void> write_all(const std::vector<control::StoreWrite>& writes);

  SqliteFile file_;
  std::size_t logged_ = 0;  // writes since the log was moved
};

}  // namespace orrery::service
