#include "service/sqlite_file.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace orrery::service {
namespace {

constexpr int kLockPatienceMs = 2'000;  // a predecessor that is just stopping

/// So that the name of a new file outlives a loss of power, too.
void sync_directory_of(const std::string& file) {
  const std::filesystem::path parent = std::filesystem::path(file).parent_path();
  const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

void SqliteFile::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteFile::Close::operator()(sqlite3* db) const {
  sqlite3_close(db);
}

Error SqliteFile::error(int code) const {
  const std::string name = name_ + ": ";
  const std::string detail = db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_.get());
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {Errc::kFull, name + "no room on the disk (" + detail + ")"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::kIo, name + "another process has it open (" + detail + ")"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Errc::kInvalid, name + "the file is damaged (" + detail + "); put back a copy of it"};
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return {Errc::kPermission, name + "it cannot be written (" + detail + ")"};
    default:
      return {Errc::kIo, name + detail};
  }
}

Error SqliteFile::last_error() const {
  return error(sqlite3_errcode(db_.get()));
}

Result<void> SqliteFile::execute(const char* sql) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<void> SqliteFile::checkpoint() {
  const int code =
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<SqliteFile::Statement> SqliteFile::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(db_.get(), sql, -1, &statement, nullptr);
  if (statement == nullptr) return std::unexpected(last_error());
  return Statement(statement);
}

Result<bool> SqliteFile::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(error(code));
}

Result<void> SqliteFile::run(sqlite3_stmt* statement) {
  const auto done = step(statement);
  sqlite3_reset(statement);
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<SqliteFile> SqliteFile::open(const std::string& file, const Layout& layout, Sync sync) {
  const std::string name = std::string(layout.what) + " " + file;
  // Made here and not by SQLite, so that nobody else can ever read it.
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return failure(errno == ENOSPC ? Errc::kFull : Errc::kIo,
                   name + ": " + std::generic_category().message(errno));
  }
  ::close(fd);
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
  SqliteFile made(db, name);
  if (code != SQLITE_OK) return std::unexpected(made.error(code));
  if (auto r = made.set_up(layout, sync); !r) return std::unexpected(r.error());
  sync_directory_of(file);
  return made;
}

Result<void> SqliteFile::set_up(const Layout& layout, Sync sync) {
  sqlite3_busy_timeout(db_.get(), kLockPatienceMs);
  // The empty transaction takes the lock; it stays with the connection.
  for (const char* sql :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",
        sync == Sync::kCommits ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
        "BEGIN IMMEDIATE", "COMMIT"}) {
    if (auto r = execute(sql); !r) return r;
  }
  int version = 0;
  {
    const auto read = prepare("PRAGMA user_version");
    const auto row = read ? step(read->get()) : Result<bool>(std::unexpected(read.error()));
    if (!row) return std::unexpected(row.error());
    version = sqlite3_column_int(read->get(), 0);
  }
  const int known = static_cast<int>(layout.steps.size());
  if (version > known) {
    return failure(Errc::kUnsupported, name_ + ": written by a later version (layout " +
                                           std::to_string(version) + ", known is " +
                                           std::to_string(known) + ")");
  }
  if (version != 0) {
    if (auto r = check_pages(); !r) return r;
  }
  for (; version < known; ++version) {
    const std::string next = layout.steps[static_cast<std::size_t>(version)] +
                             ("PRAGMA user_version = " + std::to_string(version + 1));
    if (auto r = transaction([&] { return execute(next.c_str()); }); !r) return r;
  }
  return {};
}

/// Reads the whole file once: damage shows at start and not in the middle of a day.
Result<void> SqliteFile::check_pages() {
  const auto check = prepare("PRAGMA quick_check(1)");
  if (!check) return std::unexpected(check.error());
  const auto row = step(check->get());
  if (!row) return std::unexpected(row.error());
  const auto* verdict = reinterpret_cast<const char*>(sqlite3_column_text(check->get(), 0));
  if (verdict != nullptr && std::string_view(verdict) == "ok") return {};
  return failure(Errc::kInvalid, name_ + ": the file is damaged (" +
                                     (verdict == nullptr ? "unreadable" : verdict) +
                                     "); put back a copy of it");
}

}  // namespace orrery::service
