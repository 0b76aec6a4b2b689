// One SQLite file of the home directory, held for as long as the object lives: WAL, made with mode
// 0600, locked against everybody else, read through once at the start so that damage shows then.
//
// A damaged file is never repaired by guesswork: open() says so, and whoever owns it decides. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace orrery::service {

class SqliteFile {
 public:
  struct Layout {
    const char* what;  // in error texts: "controller store"
    /// Statements from each version to the next, the first ones for an empty file. How many there
    /// are is the version, in user_version; a file of a later one is refused.
    std::span<const char* const> steps;
  };

  enum class Sync : std::uint8_t {
    kCommits,      // a commit that returned outlives a loss of power
    kCheckpoints,  // kill -9, too, but a loss of power may cost the last commits; the file stays
                   // whole
  };

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  /// Opens or creates the file, and brings one of an earlier version up to date, each step in one
  /// transaction. Errors name it and tell damaged (kInvalid), locked, full, and
  /// written by a later version (kUnsupported).
  static Result<SqliteFile> open(const std::string& file, const Layout& layout, Sync sync);

  Result<void> execute(const char* sql);
  Result<Statement> prepare(const char* sql);
  /// Moves the log into the file, as far as it goes; what is committed stays so whatever happens.
  Result<void> checkpoint();
  /// Runs a statement that yields no row, and makes it ready to be bound again.
  Result<void> run(sqlite3_stmt* statement);
  /// True: a row; false: no more.
  Result<bool> step(sqlite3_stmt* statement);

  /// All of `work` in one transaction, or nothing of it.
  template <typename Work>
  Result<void> transaction(Work work) {
    Result<void> done = execute("BEGIN IMMEDIATE");
    if (done) done = work();
    if (done) done = execute("COMMIT");
    // Some failures have rolled back by themselves; a second time is an error without consequence.
    if (!done) (void)execute("ROLLBACK");
    return done;
  }

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };

  SqliteFile(sqlite3* db, std::string name) : db_(db), name_(std::move(name)) {}

  Result<void> set_up(const Layout& layout, Sync sync);
  Result<void> check_pages();
  [[nodiscard]] Error error(int code) const;
  [[nodiscard]] Error last_error() const;

  std::unique_ptr<sqlite3, Close> db_;
  std::string name_;  // "controller store /var/lib/orrery/orrery.sqlite"
};

}  // namespace orrery::service
