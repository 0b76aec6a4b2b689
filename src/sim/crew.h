// Where several things are computed at the same time: given to a scene from outside, since src/sim
// has no threads of its own.
#pragma once

#include <functional>

namespace orrery::sim {

class Crew {
 public:
  virtual ~Crew() = default;

  /// At least one.
  [[nodiscard]] virtual unsigned members() const = 0;

  /// Calls work(member) once for every member, 0 to members() - 1, and returns when all are
  /// through. What was written before is seen by all, and what they write is seen after. `work`
  /// does not throw.
  virtual void run(const std::function<void(unsigned)>& work) = 0;
};

}  // namespace orrery::sim
