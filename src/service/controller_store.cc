#include "service/controller_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <memory>

namespace orrery::service {
namespace {

constexpr int kSchemaVersion = 1;

struct Finalize {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};

using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* s = nullptr;
  sqlite3_prepare_v2(db, sql, -1, &s, nullptr);
  return Statement(s);
}

}  // namespace

Error ControllerStore::error(const std::string& what) const {
  const int code = sqlite3_errcode(db_);
  return {code == SQLITE_FULL ? Errc::kFull : Errc::kIo,
          what + " " + file_ + ": " + sqlite3_errmsg(db_)};
}

Result<void> ControllerStore::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return std::unexpected(error("controller store"));
  return {};
}

Result<ControllerStore> ControllerStore::open(const std::string& file) {
  const mode_t before = ::umask(077);
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  ControllerStore store(db, file);
  if (opened != SQLITE_OK) {
    ::umask(before);
    return std::unexpected(store.error("cannot open the controller store"));
  }
  sqlite3_busy_timeout(db, 2000);
  const auto setup = [&]() -> Result<void> {
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}) {
      if (auto r = store.execute(sql); !r) return r;
    }
    int version = 0;
    {
      const Statement s = prepare(db, "PRAGMA user_version");
      if (!s || sqlite3_step(s.get()) != SQLITE_ROW)
        return std::unexpected(store.error("controller store"));
      version = sqlite3_column_int(s.get(), 0);
    }
    if (version > kSchemaVersion) {
      return failure(Errc::kUnsupported,
                     "controller store " + file + " was written by a later version");
    }
    if (version == kSchemaVersion) return {};
    return store.execute(
        "BEGIN;"
        "CREATE TABLE record (network INTEGER NOT NULL, member INTEGER NOT NULL, json TEXT NOT "
        "NULL,"
        " PRIMARY KEY (network, member)) WITHOUT ROWID;"
        "PRAGMA user_version = 1;"
        "COMMIT");
  }();
  ::umask(before);
  if (!setup) return std::unexpected(setup.error());
  return store;
}

ControllerStore::ControllerStore(ControllerStore&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), file_(std::move(other.file_)) {}

ControllerStore::~ControllerStore() {
  sqlite3_close(db_);
}

Result<std::vector<control::StoreWrite>> ControllerStore::load() {
  std::vector<control::StoreWrite> records;
  const Statement s =
      prepare(db_, "SELECT network, member, json FROM record ORDER BY network, member");
  if (!s) return std::unexpected(error("cannot read the controller store"));
  int step = 0;
  while ((step = sqlite3_step(s.get())) == SQLITE_ROW) {
    records.push_back(
        {wire::NetworkId{static_cast<std::uint64_t>(sqlite3_column_int64(s.get(), 0))},
         wire::Address{static_cast<std::uint64_t>(sqlite3_column_int64(s.get(), 1))},
         reinterpret_cast<const char*>(sqlite3_column_text(s.get(), 2))});
  }
  if (step != SQLITE_DONE) return std::unexpected(error("cannot read the controller store"));
  return records;
}

Result<void> ControllerStore::commit(const std::vector<control::StoreWrite>& writes) {
  if (writes.empty()) return {};
  if (auto r = execute("BEGIN IMMEDIATE"); !r) return r;
  const Statement put = prepare(db_, "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3)");
  const Statement drop = prepare(db_, "DELETE FROM record WHERE network = ?1 AND member = ?2");
  for (const control::StoreWrite& w : writes) {
    sqlite3_stmt* s = w.json.empty() ? drop.get() : put.get();
    sqlite3_bind_int64(s, 1, static_cast<sqlite3_int64>(w.network.value));
    sqlite3_bind_int64(s, 2, static_cast<sqlite3_int64>(w.member.value));
    if (!w.json.empty())
      sqlite3_bind_text(s, 3, w.json.data(), static_cast<int>(w.json.size()), SQLITE_STATIC);
    const int step = sqlite3_step(s);
    if (step != SQLITE_DONE) {
      const Error failed = error("cannot write the controller store");
      sqlite3_reset(s);
      (void)execute("ROLLBACK");
      return std::unexpected(failed);
    }
    sqlite3_reset(s);
  }
  if (auto r = execute("COMMIT"); !r) {
    const Error failed = r.error();
    (void)execute("ROLLBACK");
    return std::unexpected(failed);
  }
  return {};
}

}  // namespace orrery::service
