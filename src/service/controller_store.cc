#include "service/controller_store.h"

#include <sqlite3.h>

namespace orrery::service {
namespace {

// Pages of the log with which a commit moves it into the file, which takes two more
// synchronisations of the disk: 64 MiB, which a reader of the log is through with in a second. It
// rarely comes to that, since quiet moments are used.
constexpr const char* kCheckpointInCommit = "PRAGMA wal_autocheckpoint=16000";
constexpr std::size_t kWorthMoving = 256;  // writes: about as many pages

constexpr const char* kSteps[ControllerStore::kSchemaVersion] = {
    "CREATE TABLE record (network INTEGER NOT NULL, member INTEGER NOT NULL, json TEXT NOT NULL,"
    " PRIMARY KEY (network, member)) WITHOUT ROWID;",
    "CREATE TABLE other (kind INTEGER NOT NULL, id INTEGER NOT NULL, json TEXT NOT NULL,"
    " PRIMARY KEY (kind, id)) WITHOUT ROWID;"};

std::uint64_t number_in(sqlite3_stmt* row, int column) {
  return static_cast<std::uint64_t>(sqlite3_column_int64(row, column));
}

std::string text_in(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
  return text == nullptr ? std::string() : std::string(text, size);
}

}  // namespace

Result<ControllerStore> ControllerStore::open(const std::string& file) {
  auto opened = SqliteFile::open(file, {"controller store", kSteps}, SqliteFile::Sync::kCommits);
  if (!opened) return std::unexpected(opened.error());
  if (auto r = opened->execute(kCheckpointInCommit); !r) return std::unexpected(r.error());
  return ControllerStore(std::move(*opened));
}

Result<std::vector<control::StoreWrite>> ControllerStore::load() {
  std::vector<control::StoreWrite> records;
  const auto all = [&](const char* sql, auto record_of) -> Result<void> {
    const auto read = file_.prepare(sql);
    if (!read) return std::unexpected(read.error());
    for (;;) {
      const auto row = file_.step(read->get());
      if (!row) return std::unexpected(row.error());
      if (!*row) return {};
      records.push_back(record_of(read->get()));
    }
  };
  Result<void> done = all("SELECT network, member, json FROM record ORDER BY network, member",
                          [](sqlite3_stmt* row) -> control::StoreWrite {
                            return {wire::NetworkId{number_in(row, 0)},
                                    wire::Address{number_in(row, 1)}, text_in(row, 2)};
                          });
  if (done) {
    done = all("SELECT kind, id, json FROM other ORDER BY kind, id",
               [](sqlite3_stmt* row) -> control::StoreWrite {
                 return {{},
                         {},
                         text_in(row, 2),
                         static_cast<control::RecordKind>(sqlite3_column_int(row, 0)),
                         number_in(row, 1)};
               });
  }
  if (!done) return std::unexpected(done.error());
  return records;
}

Result<void> ControllerStore::commit(const std::vector<control::StoreWrite>& writes) {
  if (writes.empty()) return {};
  logged_ += writes.size();
  return file_.transaction([&] { return write_all(writes); });
}

Result<void> ControllerStore::on_quiet() {
  if (logged_ < kWorthMoving) return {};
  logged_ = 0;
  return file_.checkpoint();
}

Result<void> ControllerStore::write_all(const std::vector<control::StoreWrite>& writes) {
  const auto put = file_.prepare("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3)");
  if (!put) return std::unexpected(put.error());
  const auto drop = file_.prepare("DELETE FROM record WHERE network = ?1 AND member = ?2");
  if (!drop) return std::unexpected(drop.error());
  const auto put_other = file_.prepare("INSERT OR REPLACE INTO other VALUES (?1, ?2, ?3)");
  if (!put_other) return std::unexpected(put_other.error());
  const auto drop_other = file_.prepare("DELETE FROM other WHERE kind = ?1 AND id = ?2");
  if (!drop_other) return std::unexpected(drop_other.error());
  for (const control::StoreWrite& w : writes) {
    const bool other = w.kind != control::RecordKind::kRecord;
    sqlite3_stmt* s =
        (w.json.empty() ? (other ? drop_other : drop) : (other ? put_other : put))->get();
    sqlite3_bind_int64(
        s, 1,
        other ? static_cast<sqlite3_int64>(w.kind) : static_cast<sqlite3_int64>(w.network.value));
    sqlite3_bind_int64(s, 2, static_cast<sqlite3_int64>(other ? w.id : w.member.value));
    if (!w.json.empty()) {
      sqlite3_bind_text(s, 3, w.json.data(), static_cast<int>(w.json.size()), SQLITE_STATIC);
    }
    if (auto done = file_.run(s); !done) return done;
  }
  return {};
}

}  // namespace orrery::service
