// The JSON description of a planet or moon, as `orrery planet create` and `moon init` write it and
// an operator edits it: roots, keys, and from it the signed document.
// Source: docs/protocol/05-planet-and-moons.md; zerotier-idtool's format.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "wire/world.h"

namespace orrery::service {

/// Signs the world that `object` describes with the key in it; `wall` (ms since 1970) becomes its
/// timestamp. The error names the field. Never throws for what `object` holds.
[[nodiscard]] Result<wire::World> world_from_json(const nlohmann::json& object, std::uint64_t wall);

}  // namespace orrery::service
