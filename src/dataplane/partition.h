// The only mover of packets between stages: takes every lane that does not go on out of the vector
// and closes the gaps.
//
//   kPunt                        the same, after limit_punts()
//   kDeliver, kTransmit          to their list of the running burst's Outcome
//   kTaken                       nowhere: its stage gave it away
//   kDrop                        counted under its reason; freed in bulk
//
// Afterwards every lane of the vector goes on. Order is kept within each list.
#pragma once

#include "dataplane/context.h"

namespace orrery::dataplane {

void partition(WorkerContext& w, PacketVector& v) noexcept;

}  // namespace orrery::dataplane
