#include "service/controller_driver.h"

#include <iterator>
#include <limits>
#include <utility>

namespace orrery::service {

ControllerDriver::ControllerDriver(control::Controller& controller, RecordStore& store,
                                   const crypto::SecretIdentity& identity, unsigned signers,
                                   Hooks hooks)
    : controller_(controller),
      signer_count_(signers),
      hooks_(std::move(hooks)),
      committer_(store, hooks_.wake) {
  if (signers == 0) return;
  controller_.defer_signatures();
  signers_ = std::make_unique<SignerPool>(identity, signers, hooks_.wake);
}

void ControllerDriver::settle(Millis mono) {
  if (signers_) signers_->submit(controller_.take_jobs());
  if (!committer_.idle() || mono < next_try_) return;
  auto writes = controller_.take_writes();
  auto events = controller_.events().take();
  events_.insert(events_.end(), std::make_move_iterator(events.begin()),
                 std::make_move_iterator(events.end()));
  if (!writes.empty()) {
    committer_.submit(std::move(writes), controller_.written());
  } else if (!events_.empty()) {
    hooks_.tell(std::exchange(events_, {}));
  }
}

bool ControllerDriver::take_in(Now now, control::Effects& out) {
  if (auto outcome = committer_.take()) {
    if (outcome->result) {
      controller_.on_committed(now, outcome->mark, out);
      hooks_.tell(std::exchange(events_, {}));
      if (std::exchange(next_try_, 0) != 0) hooks_.resumed();
    } else {
      controller_.on_refused(std::move(outcome->writes));
      if (std::exchange(next_try_, now.mono + kRetry) == 0) hooks_.refused(outcome->result.error());
    }
  }
  if (!signers_) return false;
  const auto ready = signers_->take(kSignedPerTurn);
  if (!ready.empty()) controller_.on_signed(now, ready, out);
  return ready.size() == kSignedPerTurn;
}

void ControllerDriver::close(Now now) {
  control::Effects nobody;  // listens any more
  for (int batch = 0; batch < 2; ++batch) {
    committer_.finish();
    (void)take_in(now, nobody);
    next_try_ = 0;
    settle(now.mono);
  }
  committer_.finish();
  (void)take_in(now, nobody);
  next_try_ = std::numeric_limits<Millis>::max();
  committer_.close();
}

}  // namespace orrery::service
