// Packets made by hand: the same as in scenes of the simulated world.
#pragma once

#include "sim/forger.h"

namespace orrery::test {

using sim::Forger;
using sim::with_address;

}  // namespace orrery::test
