// Arbitrary dictionaries as configurations.
//
// Invariants: what is accepted keeps to the limits of docs/protocol/07-network-config.md section
// 4.5, and comes back the same when written and read once more.
#include <cstdlib>

#include "wire/network_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery::wire;
  const auto config = decode_network_config(orrery::Bytes(data, size));
  if (!config) return 0;
  if (!config->network || !config->issued_to || config->version < 6 || config->mtu < kMtuMin ||
      config->mtu > kMtuMax || config->name.size() > 127 ||
      config->capabilities.size() > kMaxCapabilities || config->tags.size() > kMaxTags ||
      config->ownerships.size() > kMaxOwnerships || config->specialists.size() > kMaxSpecialists ||
      config->routes.size() > kMaxRoutes || config->static_ips.size() > kMaxStaticIps ||
      config->rules.size() > kMaxRules || config->dns_servers.size() > kMaxDnsServers) {
    std::abort();
  }
  const auto again = decode_network_config(encode_network_config(*config));
  if (!again || *again != *config) std::abort();
  return 0;
}
