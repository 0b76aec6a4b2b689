#include "service/store_location.h"

#include "service/postgres_store.h"

namespace orrery::service {

bool is_shared(const std::string& store) {
  return store.starts_with("postgresql://") || store.starts_with("postgres://");
}

Result<std::unique_ptr<RecordStore>> open_store(const Config& config) {
  const std::string file = config.store.substr(std::string_view("sqlite:").size());
  auto opened = ControllerStore::open(file.starts_with('/') ? file : config.home + "/" + file);
  if (!opened) return std::unexpected(opened.error());
  return std::make_unique<ControllerStore>(std::move(*opened));
}

Result<std::unique_ptr<RecordStore>> open_for_import(const Config& config, wire::Address identity) {
  if (!is_shared(config.store)) return open_store(config);
  auto store = PostgresStore::open(config.store, identity);
  if (!store) return std::unexpected(store.error());
  const auto leads = (*store)->try_lead();
  if (!leads) return std::unexpected(leads.error());
  if (!*leads) return failure(Errc::kInvalid, "a controller of this identity is running");
  return std::unique_ptr<RecordStore>(std::move(*store));
}

}  // namespace orrery::service
