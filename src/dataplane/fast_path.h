// The part of a worker that finishes frames between known members by itself.
#pragma once

namespace orrery::dataplane {

class FastPath {
 public:
  virtual ~FastPath() = default;
  /// RCU: the worker may hold references from here on.
  virtual void online() noexcept = 0;
  /// Between two turns: no reference of the last turn is held.
  virtual void quiescent() noexcept = 0;
  virtual void offline() noexcept = 0;
};

}  // namespace orrery::dataplane
