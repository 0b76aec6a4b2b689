#include "service/controller_store.h"

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

struct Finalize {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};

using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

/// Null when it cannot be prepared; the connection then has the error.
Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* s = nullptr;
  sqlite3_prepare_v2(db, sql, -1, &s, nullptr);
  return Statement(s);
}

/// So that the name of a new file outlives a loss of power, too.
void sync_directory_of(const std::string& file) {
  const std::filesystem::path parent = std::filesystem::path(file).parent_path();
  const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

void ControllerStore::Close::operator()(sqlite3* db) const {
  sqlite3_close(db);
}

Error ControllerStore::error(int code) const {
  const std::string name = "controller store " + file_ + ": ";
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

Result<void> ControllerStore::execute(const char* sql) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<ControllerStore> ControllerStore::open(const std::string& file) {
  // Made here and not by SQLite, so that nobody else can ever read it.
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return failure(errno == ENOSPC ? Errc::kFull : Errc::kIo,
                   "controller store " + file + ": " + std::generic_category().message(errno));
  }
  ::close(fd);
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
  ControllerStore store(db, file);
  if (code != SQLITE_OK) return std::unexpected(store.error(code));
  if (auto r = store.set_up(); !r) return std::unexpected(r.error());
  sync_directory_of(file);
  return store;
}

Result<void> ControllerStore::set_up() {
  sqlite3_busy_timeout(db_.get(), kLockPatienceMs);
  // The empty transaction takes the lock; it stays with the connection.
  for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",
                          "PRAGMA synchronous=FULL", "BEGIN IMMEDIATE", "COMMIT"}) {
    if (auto r = execute(sql); !r) return r;
  }
  int version = 0;
  {
    const Statement s = prepare(db_.get(), "PRAGMA user_version");
    if (!s || sqlite3_step(s.get()) != SQLITE_ROW) {
      return std::unexpected(error(sqlite3_errcode(db_.get())));
    }
    version = sqlite3_column_int(s.get(), 0);
  }
  if (version > kSchemaVersion) {
    return failure(Errc::kUnsupported, "controller store " + file_ +
                                           ": written by a later version (layout " +
                                           std::to_string(version) + ", known is " +
                                           std::to_string(kSchemaVersion) + ")");
  }
  if (version == kSchemaVersion) return check_pages();
  return execute(
      "BEGIN;"
      "CREATE TABLE record (network INTEGER NOT NULL, member INTEGER NOT NULL, json TEXT NOT NULL,"
      " PRIMARY KEY (network, member)) WITHOUT ROWID;"
      "PRAGMA user_version = 1;"
      "COMMIT");
}

/// Reads the whole file once: damage shows at start and not in the middle of a day.
Result<void> ControllerStore::check_pages() {
  const Statement s = prepare(db_.get(), "PRAGMA quick_check(1)");
  const int step = s ? sqlite3_step(s.get()) : sqlite3_errcode(db_.get());
  if (step != SQLITE_ROW) return std::unexpected(error(step));
  const auto* verdict = reinterpret_cast<const char*>(sqlite3_column_text(s.get(), 0));
  if (verdict != nullptr && std::string_view(verdict) == "ok") return {};
  return failure(Errc::kInvalid, "controller store " + file_ + ": the file is damaged (" +
                                     (verdict == nullptr ? "unreadable" : verdict) +
                                     "); put back a copy of it");
}

Result<std::vector<control::StoreWrite>> ControllerStore::load() {
  std::vector<control::StoreWrite> records;
  const Statement s =
      prepare(db_.get(), "SELECT network, member, json FROM record ORDER BY network, member");
  if (!s) return std::unexpected(error(sqlite3_errcode(db_.get())));
  int step = 0;
  while ((step = sqlite3_step(s.get())) == SQLITE_ROW) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s.get(), 2));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(s.get(), 2));
    records.push_back(
        {wire::NetworkId{static_cast<std::uint64_t>(sqlite3_column_int64(s.get(), 0))},
         wire::Address{static_cast<std::uint64_t>(sqlite3_column_int64(s.get(), 1))},
         text == nullptr ? std::string() : std::string(text, size)});
  }
  if (step != SQLITE_DONE) return std::unexpected(error(step));
  return records;
}

Result<void> ControllerStore::commit(const std::vector<control::StoreWrite>& writes) {
  if (writes.empty()) return {};
  Result<void> done = execute("BEGIN IMMEDIATE");
  if (done) done = write_all(writes);
  if (done) done = execute("COMMIT");
  // Some failures have rolled back by themselves; a second time is an error without consequence.
  if (!done) (void)execute("ROLLBACK");
  return done;
}

Result<void> ControllerStore::write_all(const std::vector<control::StoreWrite>& writes) {
  const Statement put = prepare(db_.get(), "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3)");
  const Statement drop =
      prepare(db_.get(), "DELETE FROM record WHERE network = ?1 AND member = ?2");
  if (!put || !drop) return std::unexpected(error(sqlite3_errcode(db_.get())));
  for (const control::StoreWrite& w : writes) {
    sqlite3_stmt* s = w.json.empty() ? drop.get() : put.get();
    sqlite3_bind_int64(s, 1, static_cast<sqlite3_int64>(w.network.value));
    sqlite3_bind_int64(s, 2, static_cast<sqlite3_int64>(w.member.value));
    if (!w.json.empty()) {
      sqlite3_bind_text(s, 3, w.json.data(), static_cast<int>(w.json.size()), SQLITE_STATIC);
    }
    const int step = sqlite3_step(s);
    const Error failed = step == SQLITE_DONE ? Error{} : error(step);
    sqlite3_reset(s);
    if (step != SQLITE_DONE) return std::unexpected(failed);
  }
  return {};
}

}  // namespace orrery::service
