// What a node begins with: identity, worlds, pins, peers and marks of the home directory, and what
// the configuration says.
#pragma once

#include "control/node.h"
#include "service/config.h"
#include "service/home.h"

namespace orrery::service {

/// Reads them once, before anything runs. A root (who the worlds name) gets larger tables, and its
/// store of peers is opened in `home`. Damaged files are told of, and the last good ones are used.
[[nodiscard]] Result<control::NodeOptions> node_options(Home& home, const Config& config);

}  // namespace orrery::service
