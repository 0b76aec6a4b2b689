#include "service/postgres_store.h"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

namespace orrery::service {
namespace {

/// From layout i to layout i + 1.
constexpr const char* kMigrations[PostgresStore::kSchemaVersion] = {
    "CREATE SEQUENCE orrery_revision;"
    "CREATE TABLE orrery_record ("
    " controller bigint NOT NULL,"  // the identity's address
    " kind smallint NOT NULL,"      // control::RecordKind
    " network bigint NOT NULL,"     // 0 for other kinds than networks and members
    " item bigint NOT NULL,"        // member, 0 for a network itself; id of other kinds
    " json text,"                   // null: removed
    " revision bigint NOT NULL,"
    " PRIMARY KEY (controller, kind, network, item));"
    "CREATE UNIQUE INDEX orrery_record_revision ON orrery_record (controller, revision);"};

/// Of advisory locks: the upper 16 bits of the key. The rest is the identity's address.
constexpr std::int64_t kLeaderLock = 0x4f52LL << 48;
constexpr std::int64_t kMigrationLock = 0x4f53LL << 48;

/// What libpq is to do beyond the URI.
constexpr const char* kSession =
    "SET synchronous_commit = on; SET statement_timeout = '2s'; SET lock_timeout = '2s';"
    "SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;"
    "SET tcp_user_timeout = 3000; SET client_min_messages = warning";

template <typename Integer>
Integer number(const char* text) {
  Integer value = 0;
  std::from_chars(text, text + std::char_traits<char>::length(text), value);
  return value;
}

/// Unsigned numbers as the signed ones that the tables have.
std::string signed_text(std::uint64_t value) {
  return std::to_string(static_cast<std::int64_t>(value));
}

/// The literal of an array: every element in quotes, or NULL.
class ArrayText {
 public:
  void add(std::string_view value) {
    begin();
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }

  void add_null() {
    begin();
    text_ += "NULL";
  }

  [[nodiscard]] std::string text() const { return "{" + text_ + "}"; }

 private:
  void begin() {
    if (!text_.empty()) text_ += ',';
  }

  std::string text_;
};

}  // namespace

void PostgresStore::Close::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

void PostgresStore::Close::operator()(pg_result* result) const {
  PQclear(result);
}

std::string PostgresStore::channel() const {
  return "orrery_" + wire::to_string(identity_);
}

bool PostgresStore::lost() const {
  return PQstatus(connection_.get()) != CONNECTION_OK;
}

Error PostgresStore::error(const char* what, const pg_result* result) const {
  std::string text =
      result == nullptr ? PQerrorMessage(connection_.get()) : PQresultErrorMessage(result);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view code = state == nullptr ? "" : state;
  const Errc kind = code == "53100"          ? Errc::kFull
                    : code.starts_with("42") ? Errc::kInvalid
                    : code.starts_with("28") ? Errc::kPermission
                                             : Errc::kIo;
  return {kind, std::string("controller store (PostgreSQL): ") + what + ": " + text};
}

Result<std::unique_ptr<PostgresStore>> PostgresStore::open(const std::string& uri,
                                                           wire::Address identity) {
  const char* keywords[] = {
      "dbname",           "connect_timeout",  "keepalives_idle",           "keepalives_interval",
      "keepalives_count", "tcp_user_timeout", "fallback_application_name", nullptr};
  const char* values[] = {uri.c_str(), "3", "1", "1", "3", "3000", "orrery", nullptr};
  std::unique_ptr<PostgresStore> store(
      new PostgresStore(PQconnectdbParams(keywords, values, 1), identity));
  if (store->lost()) return std::unexpected(store->error("cannot connect", nullptr));
  PQsetNoticeProcessor(store->connection_.get(), [](void*, const char*) {}, nullptr);
  if (auto r = store->set_up(); !r) return std::unexpected(r.error());
  return store;
}

Result<PostgresStore::Answer> PostgresStore::run(const std::string& sql,
                                                 const std::vector<std::string>& values) {
  std::vector<const char*> raw;
  for (const std::string& value : values) raw.push_back(value.c_str());
  // Without parameters several statements may stand in one text.
  Answer answer(values.empty()
                    ? PQexec(connection_.get(), sql.c_str())
                    : PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(raw.size()),
                                   nullptr, raw.data(), nullptr, nullptr, 0));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return answer;
  return std::unexpected(error(lost() ? "the connection has ended" : "refused", answer.get()));
}

Result<void> PostgresStore::set_up() {
  if (auto r = run(kSession); !r) return std::unexpected(r.error());
  if (auto r = run("BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(kMigrationLock) +
                   "); CREATE TABLE IF NOT EXISTS orrery_schema (version int NOT NULL)");
      !r) {
    return std::unexpected(r.error());
  }
  const auto answer = run("SELECT max(version) FROM orrery_schema");
  if (!answer) return std::unexpected(answer.error());
  const bool fresh = PQgetisnull(answer->get(), 0, 0) != 0;
  int version = fresh ? 0 : number<int>(PQgetvalue(answer->get(), 0, 0));
  if (version > kSchemaVersion) {
    return failure(Errc::kUnsupported,
                   "controller store (PostgreSQL): written by a later version (layout " +
                       std::to_string(version) + ", known is " + std::to_string(kSchemaVersion) +
                       ")");
  }
  for (; version < kSchemaVersion; ++version) {
    const std::string step = kMigrations[version];
    if (auto r =
            run(step + "INSERT INTO orrery_schema VALUES (" + std::to_string(version + 1) + ")");
        !r) {
      return std::unexpected(r.error());
    }
  }
  if (auto r = run("COMMIT; LISTEN " + channel()); !r) return std::unexpected(r.error());
  return {};
}

Result<bool> PostgresStore::try_lead() {
  const auto answer =
      run("SELECT pg_try_advisory_lock(" +
          std::to_string(kLeaderLock | static_cast<std::int64_t>(identity_.value)) + ")");
  if (!answer) return std::unexpected(answer.error());
  return PQgetvalue(answer->get(), 0, 0)[0] == 't';
}

Result<std::vector<control::StoreWrite>> PostgresStore::read(std::uint64_t behind,
                                                             bool with_removed) {
  const auto answer =
      run("SELECT kind, network, item, json, revision FROM orrery_record"
          " WHERE controller = $1::bigint AND revision > $2::bigint" +
              std::string(with_removed ? "" : " AND json IS NOT NULL") +
              " ORDER BY kind, network, item",
          {signed_text(identity_.value), signed_text(behind)});
  if (!answer) return std::unexpected(answer.error());
  std::vector<control::StoreWrite> records;
  for (int row = 0; row < PQntuples(answer->get()); ++row) {
    const auto text = [&](int column) { return PQgetvalue(answer->get(), row, column); };
    control::StoreWrite& record = records.emplace_back();
    record.kind = static_cast<control::RecordKind>(number<int>(text(0)));
    const auto item = static_cast<std::uint64_t>(number<std::int64_t>(text(2)));
    if (record.kind == control::RecordKind::kRecord) {
      record.network = wire::NetworkId{static_cast<std::uint64_t>(number<std::int64_t>(text(1)))};
      record.member = wire::Address{item};
    } else {
      record.id = item;
    }
    if (PQgetisnull(answer->get(), row, 3) == 0)
      record.json.assign(text(3), static_cast<std::size_t>(PQgetlength(answer->get(), row, 3)));
    revision_ = std::max(revision_, number<std::uint64_t>(text(4)));
  }
  return records;
}

Result<std::vector<control::StoreWrite>> PostgresStore::load() {
  return read(0, false);
}

Result<std::vector<control::StoreWrite>> PostgresStore::changed() {
  return read(revision_, true);
}

Result<void> PostgresStore::commit(const std::vector<control::StoreWrite>& writes) {
  if (writes.empty()) return {};
  // One statement may touch a row once: the last write of it counts.
  std::map<std::tuple<int, std::uint64_t, std::uint64_t>, const control::StoreWrite*> last;
  for (const control::StoreWrite& w : writes) {
    const bool record = w.kind == control::RecordKind::kRecord;
    last[{static_cast<int>(w.kind), record ? w.network.value : 0, record ? w.member.value : w.id}] =
        &w;
  }
  ArrayText kinds, networks, items, texts;
  for (const auto& [key, write] : last) {
    kinds.add(std::to_string(std::get<0>(key)));
    networks.add(signed_text(std::get<1>(key)));
    items.add(signed_text(std::get<2>(key)));
    if (write->json.empty()) {
      texts.add_null();
    } else {
      texts.add(write->json);
    }
  }
  const auto answer =
      run("WITH put AS (INSERT INTO orrery_record"
          " SELECT $1::bigint, kind, network, item, json, nextval('orrery_revision')"
          " FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::text[])"
          " AS w(kind, network, item, json)"
          " ON CONFLICT (controller, kind, network, item)"
          " DO UPDATE SET json = excluded.json, revision = excluded.revision"
          " RETURNING revision)"
          " SELECT pg_notify($6, max(revision)::text), max(revision) FROM put",
          {signed_text(identity_.value), kinds.text(), networks.text(), items.text(), texts.text(),
           channel()});
  if (!answer) return std::unexpected(answer.error());
  revision_ = std::max(revision_, number<std::uint64_t>(PQgetvalue(answer->get(), 0, 1)));
  return {};
}

bool PostgresStore::notified() {
  bool any = false;
  PQconsumeInput(connection_.get());
  while (PGnotify* notification = PQnotifies(connection_.get())) {
    PQfreemem(notification);
    any = true;
  }
  return any;
}

Result<void> PostgresStore::on_quiet() {
  const auto answer = run("SELECT 1");
  if (!answer) return std::unexpected(answer.error());
  (void)notified();  // our own
  return {};
}

}  // namespace orrery::service
