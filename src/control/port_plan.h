// What of a configuration reaches the host: addresses and routes that the local settings allow; and
// the settings as a file. Source: docs/protocol/12-local-service.md section 3.
#pragma once

#include "control/effects.h"
#include "control/network.h"
#include "wire/network_config.h"

namespace orrery::control {

/// Whether the settings let an address or the target of a route be applied.
[[nodiscard]] bool managed_allowed(const NetworkSettings& settings, const wire::Endpoint& item);
/// `config` null: a bare port.
[[nodiscard]] ConfigurePort plan_port(wire::NetworkId id, wire::Mac mac,
                                      const wire::NetworkConfig* config,
                                      const NetworkSettings& settings);
/// networks.d/<id>.local.conf
[[nodiscard]] ByteVector encode_settings(const NetworkSettings& settings);

/// The configuration an ad-hoc network's members make themselves; nothing for an id of no known
/// form, or with an empty port range. Source: docs/protocol/06-networks-and-mac.md section 6.
[[nodiscard]] std::optional<wire::NetworkConfig> adhoc_config(wire::NetworkId id,
                                                              wire::Address self, Millis wall);
/// Form ffSSSSEEEE000000 with EEEE before SSSS: reported as not found.
[[nodiscard]] bool adhoc_range_empty(wire::NetworkId id);

}  // namespace orrery::control
