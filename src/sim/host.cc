#include "sim/host.h"

#include "control/controller/controller.h"
#include "control/network.h"

namespace orrery::sim {

control::Limits small_limits() {
  control::Limits limits;
  limits.peers = 4'096;
  limits.paths = 8'192;
  limits.reassembly = 64;
  limits.reassembly_bytes = 1u << 20;
  limits.waiting = 256;
  limits.outgoing = 256;
  limits.requests = 1'024;
  limits.seen = 4'096;
  limits.schedules = 256;
  limits.prefixes = 64;
  limits.echoes = 64;
  limits.introductions = 1'024;
  return limits;
}

Host::Host(std::string called, crypto::SecretIdentity who, HostOptions how, Random chance)
    : name(std::move(called)),
      identity(std::move(who)),
      options(std::move(how)),
      random(chance),
      wall_offset(options.wall_offset) {}

Host::~Host() = default;

}  // namespace orrery::sim
