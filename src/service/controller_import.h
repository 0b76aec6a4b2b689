// The records of a controller as the files of a zerotier-one home: for one that moves here with its
// identity, read once, when our own store is still empty, and for one that moves back. The files
// are left as they are; what changes here does not go back to them by itself. Source:
// docs/protocol/11-controller.md section 6.1; tests/vectors/state_files.json `controller`.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/controller/registry.h"

namespace orrery::service {

struct ImportedRecords {
  std::vector<control::StoreWrite> records;  // each network before its members
  std::vector<std::string> skipped;          // files that hold no JSON object
};

/// `directory`: controller.d of a home. Empty when it does not exist. Files with other names are
/// not looked at.
[[nodiscard]] ImportedRecords import_controller_records(const std::string& directory);

/// Writes networks and members as the files of a new `directory`, durable and complete, or not at
/// all: its name appears when everything is in it. Records of other kinds are left out.
Result<void> export_controller_records(const std::string& directory,
                                       const std::vector<control::StoreWrite>& records);

}  // namespace orrery::service
