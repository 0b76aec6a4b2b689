// Which managed addresses and routes the host gets: the configuration under the local permissions of a network.
// Source: docs/protocol/12-local-service.md section 3.
#pragma once

#include "control/effects.h"
#include "control/network.h"
#include "wire/network_config.h"

namespace orrery::control {

[[nodiscard]] ConfigurePort host_port(const wire::NetworkConfig& config, const NetworkSettings& settings);

}  // namespace orrery::control
