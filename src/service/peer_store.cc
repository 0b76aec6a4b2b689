#include "service/peer_store.h"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

namespace orrery::service {
namespace {

constexpr const char* kSteps[PeerStore::kSchemaVersion] = {
    "CREATE TABLE peer (address INTEGER PRIMARY KEY, record BLOB NOT NULL,"
    " written INTEGER NOT NULL);"
    "CREATE TABLE pin (address INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL);"};

Bytes blob(sqlite3_stmt* s, int column) {
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(s, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(s, column))};
}

void bind_blob(sqlite3_stmt* s, int place, Bytes bytes) {
  sqlite3_bind_blob(s, place, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
}

wire::Address address(sqlite3_stmt* s) {
  return wire::Address{static_cast<std::uint64_t>(sqlite3_column_int64(s, 0))};
}

}  // namespace

Result<PeerStore> PeerStore::open(const std::string& file, bool& damaged) {
  damaged = false;
  auto opened = SqliteFile::open(file, {"peer store", kSteps}, SqliteFile::Sync::kCheckpoints);
  if (!opened && opened.error().code == Errc::kInvalid) {
    damaged = true;
    std::error_code moved;
    for (const char* part : {"", "-wal", "-shm"}) {
      const std::string from = file + part;
      if (std::filesystem::exists(from, moved))
        std::filesystem::rename(from, file + ".damaged" + part, moved);
    }
    opened = SqliteFile::open(file, {"peer store", kSteps}, SqliteFile::Sync::kCheckpoints);
  }
  if (!opened) return std::unexpected(opened.error());
  return PeerStore(std::move(*opened));
}

Result<std::vector<std::pair<wire::Address, ByteVector>>> PeerStore::peers(std::int64_t oldest,
                                                                           std::size_t most) {
  const auto drop = file_.prepare("DELETE FROM peer WHERE written < ?1");
  if (!drop) return std::unexpected(drop.error());
  sqlite3_bind_int64(drop->get(), 1, oldest);
  if (auto done = file_.run(drop->get()); !done) return std::unexpected(done.error());

  // In the order of the table, which is read once; only a cut needs a second look at all of it.
  struct Row {
    std::int64_t written;
    std::pair<wire::Address, ByteVector> record;
  };

  std::vector<Row> rows;
  const auto read = file_.prepare("SELECT address, record, written FROM peer");
  if (!read) return std::unexpected(read.error());
  for (;;) {
    const auto row = file_.step(read->get());
    if (!row) return std::unexpected(row.error());
    if (!*row) break;
    const Bytes record = blob(read->get(), 1);
    rows.push_back({sqlite3_column_int64(read->get(), 2),
                    {address(read->get()), {record.begin(), record.end()}}});
  }
  if (rows.size() > most) {
    std::nth_element(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(most), rows.end(),
                     [](const Row& a, const Row& b) { return a.written > b.written; });
    rows.resize(most);
  }
  std::vector<std::pair<wire::Address, ByteVector>> records;
  records.reserve(rows.size());
  for (Row& row : rows) records.push_back(std::move(row.record));
  return records;
}

Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> PeerStore::pins() {
  std::map<wire::Address, std::array<std::uint8_t, 48>> pins;
  const auto read = file_.prepare("SELECT address, fingerprint FROM pin ORDER BY address");
  if (!read) return std::unexpected(read.error());
  for (;;) {
    const auto row = file_.step(read->get());
    if (!row) return std::unexpected(row.error());
    if (!*row) return pins;
    const Bytes hash = blob(read->get(), 1);
    if (hash.size() != 48) continue;
    const auto place =
        pins.emplace_hint(pins.end(), address(read->get()), std::array<std::uint8_t, 48>{});
    std::copy(hash.begin(), hash.end(), place->second.begin());
  }
}

Result<void> PeerStore::save(std::span<const control::SaveState> states, std::int64_t now) {
  if (states.empty()) return {};
  return file_.transaction([&] { return write_all(states, now); });
}

Result<void> PeerStore::write_all(std::span<const control::SaveState> states, std::int64_t now) {
  const char* const kStatements[] = {
      "INSERT OR REPLACE INTO peer VALUES (?1, ?2, ?3)", "DELETE FROM peer WHERE address = ?1",
      "INSERT OR REPLACE INTO pin VALUES (?1, ?2)", "DELETE FROM pin WHERE address = ?1"};
  SqliteFile::Statement statements[std::size(kStatements)];
  for (std::size_t i = 0; i < std::size(kStatements); ++i) {
    auto prepared = file_.prepare(kStatements[i]);
    if (!prepared) return std::unexpected(prepared.error());
    statements[i] = std::move(*prepared);
  }
  for (const control::SaveState& state : states) {
    const bool pin = state.kind == control::StateKind::kPin;
    if (!pin && state.kind != control::StateKind::kPeer)
      return failure(Errc::kInvalid, "the peer store keeps peers and pins");
    if (pin && !state.remove && state.bytes.size() != 48)
      return failure(Errc::kInvalid, "a pin is a hash of 48 bytes");
    sqlite3_stmt* s = statements[(pin ? 2 : 0) + (state.remove ? 1 : 0)].get();
    sqlite3_bind_int64(s, 1, static_cast<sqlite3_int64>(state.id));
    if (!state.remove) {
      bind_blob(s, 2, state.bytes);
      if (!pin) sqlite3_bind_int64(s, 3, now);
    }
    if (auto done = file_.run(s); !done) return done;
  }
  return {};
}

}  // namespace orrery::service
