// Does for a controller what it asks of its driver (control/controller/controller.h): commits its
// records, has its configurations signed, and tells its events, each when it may be seen.
//
// All calls are on the control thread but those that say otherwise. A store that refuses is tried
// again every kRetry; the controller is suspended meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/controller/controller.h"
#include "service/committer.h"
#include "service/signer_pool.h"

namespace orrery::service {

class ControllerDriver {
 public:
  static constexpr Millis kRetry = 1'000;
  static constexpr std::size_t kSignedPerTurn = 64;  // as many as packets come in one

  using Tell = std::function<void(const std::vector<control::ControllerEvent>&)>;

  struct Hooks {
    std::function<void()> wake;                 // from any thread: take_in() has something
    Tell tell;                                  // events whose records are durable
    std::function<void(const Error&)> refused;  // once, when the store begins to refuse
    std::function<void()> resumed;
  };

  /// `signers`: threads; 0: signed where it is asked for. All outlive this.
  ControllerDriver(control::Controller& controller, RecordStore& store,
                   const crypto::SecretIdentity& identity, unsigned signers, Hooks hooks);

  /// After every input, and every second.
  void settle(Millis mono);
  /// What threads have done since. True: there is more.
  bool take_in(Now now, control::Effects& out);

  [[nodiscard]] unsigned signers() const { return signer_count_; }

  /// An answer given now is true when this has come in.
  [[nodiscard]] Committer::Ticket ticket() { return committer_.ticket(controller_.written()); }

  /// From any thread.
  bool wait(const Committer::Ticket& ticket) { return committer_.wait(ticket); }

  /// From any thread: the store has answered so recently, and was there.
  [[nodiscard]] bool confirmed_within(Committer::Clock::duration time) {
    return committer_.confirmed_within(time);
  }

  /// Before the end: commits what there is, and nothing more. Nobody waits any longer when it
  /// returns.
  void close(Now now);

 private:
  control::Controller& controller_;
  const unsigned signer_count_;
  const Hooks hooks_;
  Committer committer_;
  std::unique_ptr<SignerPool> signers_;
  std::vector<control::ControllerEvent> events_;  // of the batch under way, or refused
  Millis next_try_ = 0;                           // mono; not 0: the store refuses
};

}  // namespace orrery::service
