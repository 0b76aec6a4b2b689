// The controller's records in PostgreSQL, for several controllers of one identity: one of them
// leads, which is to say answers, and the others follow and take over when it is gone.
//
// Who leads holds an advisory lock of the session by which it also writes. So a leader that has
// lost its connection has lost the lock and can write nothing, whatever it believes; the server
// gives the lock to another as soon as it sees the connection end, at once when the leader's
// process dies, and within four seconds (TCP keep-alives of the session) when its host does. A
// leader finds out by on_quiet() and must stop answering.
//
// Every row has a revision from one sequence, which rises with each change, and a deleted record
// leaves a row without content; so a follower asks for what is newer than what it has, when a
// notification says that there is something. Rows of several identities may share a database. What
// is committed is as durable as the server makes it (synchronous_commit is set on). Statements end
// after two seconds, so that a server that hangs is noticed.
//
// Not thread-safe. Nothing here encrypts by itself: "?sslmode=verify-full" in the URI does.
#pragma once

#include <memory>
#include <string>

#include "service/controller_store.h"
#include "wire/address.h"

struct pg_conn;
struct pg_result;

namespace orrery::service {

class PostgresStore final : public RecordStore {
 public:
  static constexpr int kSchemaVersion = 1;

  /// Connects and brings the tables up to date. `uri`: "postgresql://…", as libpq takes it.
  static Result<std::unique_ptr<PostgresStore>> open(const std::string& uri,
                                                     wire::Address identity);

  /// True: we lead from now on, until the connection ends. False: somebody else does.
  Result<bool> try_lead();

  /// Everything; what changed() gives is newer.
  Result<std::vector<control::StoreWrite>> load() override;
  /// REQUIRES: we lead.
  Result<void> commit(const std::vector<control::StoreWrite>& writes) override;

  /// Records that others have written since load() or the last call, removed ones without content.
  Result<std::vector<control::StoreWrite>> changed();

  /// Whether anything may have changed: a notification has come. Does not wait.
  [[nodiscard]] bool notified();

  /// The server is there, and so is our lock.
  Result<void> on_quiet() override;

  /// The connection has ended: nothing works any more.
  [[nodiscard]] bool lost() const;

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
    void operator()(pg_result* result) const;
  };

  using Answer = std::unique_ptr<pg_result, Close>;

  PostgresStore(pg_conn* connection, wire::Address identity)
      : connection_(connection), identity_(identity) {}

  Result<void> set_up();
  Result<Answer> run(const std::string& sql, const std::vector<std::string>& values = {});
  Result<std::vector<control::StoreWrite>> read(std::uint64_t behind, bool with_removed);
  [[nodiscard]] Error error(const char* what, const pg_result* result) const;
  [[nodiscard]] std::string channel() const;

  std::unique_ptr<pg_conn, Close> connection_;
  wire::Address identity_;
  std::uint64_t revision_ = 0;  // of the newest row that we have seen
};

}  // namespace orrery::service
