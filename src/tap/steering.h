// Which queue of a TAP the kernel puts a frame of the host into: always the same for a flow.
//
// By itself the kernel follows the flow's frames the other way (the queue that wrote the last one)
// and forgets them after three idle seconds, so that a flow moves between queues, and with them
// between workers, in the middle. So it is given a program (eBPF) that looks at the addresses, the
// protocol and the ports alone. Fragments of IP have no ports to look at: like RSS of a NIC, it
// keeps their flows together, but apart from whole datagrams of the same.
#pragma once

#include "base/result.h"

namespace orrery::tap {

/// From now on, for all queues of the interface of `fd`, also those to come. Fails where the system
/// has no eBPF or does not permit it.
Result<void> steer_by_flow(int fd);

}  // namespace orrery::tap
