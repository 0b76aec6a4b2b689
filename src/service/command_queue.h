// Commands for the control thread: any other thread hands one in and waits until it has run.
//
// A command that throws harms nobody but its caller: the exception is handed back to the thread
// that waits.
#pragma once

#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <vector>

#include "base/time.h"
#include "control/effects.h"

namespace orrery::service {

class CommandQueue {
 public:
  using Command = std::function<void(Now, control::Effects&)>;

  /// From any thread but the one that drains: hands `command` in, calls `wake`, waits until it has
  /// run. False when the queue is closed. Throws what the command threw.
  bool invoke(const Command& command, const std::function<void()>& wake);

  /// On the control thread: `run` is given one command after another.
  void drain(const std::function<void(const Command&)>& run);

  /// Nothing runs any more; those who wait are told.
  void close();

 private:
  struct Waiting {
    const Command* command;
    std::promise<bool> done;
  };

  std::mutex mutex_;
  std::vector<Waiting*> waiting_;  // each lives on the stack of the thread that waits for it
  bool closed_ = false;
};

}  // namespace orrery::service
