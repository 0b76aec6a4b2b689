// The records of a zerotier-one home, for a controller that moves here with its identity: read
// once, when our own store is still empty. The files are left as they are; what changes here does
// not go back to them. Source: docs/protocol/11-controller.md section 6.1;
// tests/vectors/state_files.json `controller`.
#pragma once

#include <string>
#include <vector>

#include "control/controller/registry.h"

namespace orrery::service {

struct ImportedRecords {
  std::vector<control::StoreWrite> records;  // each network before its members
  std::vector<std::string> skipped;          // files that hold no JSON object
};

/// `directory`: controller.d of a home. Empty when it does not exist. Files with other names are
/// not looked at.
[[nodiscard]] ImportedRecords import_controller_records(const std::string& directory);

}  // namespace orrery::service
