// A controller that shares its store and does not lead: it keeps what the leader writes, and waits.
//
// Nothing of the node runs meanwhile, for two nodes of one identity would take each other's
// packets; only the API's addresses answer, that this one stands by. It takes over with the records
// in memory, within a second of the store giving it the lead.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "service/config.h"
#include "service/home.h"
#include "service/postgres_store.h"

namespace orrery::service {

/// What is known of the records while others write them.
class RecordCopy {
 public:
  /// Replaces all.
  void set(std::vector<control::StoreWrite> records);
  /// Newer ones; those without content are gone.
  void update(std::vector<control::StoreWrite> records);
  /// Each network before its members.
  [[nodiscard]] std::vector<control::StoreWrite> all() const;

 private:
  using Key = std::tuple<control::RecordKind, wire::NetworkId, std::uint64_t>;
  std::map<Key, control::StoreWrite> records_;
};

/// Waits until `store` leads, through losses of its connection; then its records. Nothing: SIGTERM
/// or SIGINT came first, which must be blocked. An error: the API cannot be served.
Result<std::optional<std::vector<control::StoreWrite>>> wait_for_lead(
    std::unique_ptr<PostgresStore>& store, const Config& config, Home& home,
    wire::Address identity);

}  // namespace orrery::service
