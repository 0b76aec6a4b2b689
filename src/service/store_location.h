// Which store `controller.store` names, and how it is opened.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "service/config.h"
#include "service/controller_store.h"
#include "wire/address.h"

namespace orrery::service {

/// Several controllers may share the store: "postgresql://…".
[[nodiscard]] bool is_shared(const std::string& store);

/// "sqlite:FILE" (relative to the home directory), held by us alone. REQUIRES: not shared.
Result<std::unique_ptr<RecordStore>> open_store(const Config& config);

/// A store of either kind, for one who does not answer members: nobody else may lead.
Result<std::unique_ptr<RecordStore>> open_for_import(const Config& config, wire::Address identity);

}  // namespace orrery::service
