// DPDK's log as lines of ours. What libxdp and libbpf say goes to standard error by itself.
#pragma once

namespace orrery::service {

/// From now on; before EAL starts, so that its own complaints come along.
void take_dpdk_log();

}  // namespace orrery::service
