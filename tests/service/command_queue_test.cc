// Commands for the control thread: they run once, and one that throws harms its caller only.
#include "service/command_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace orrery::service {
namespace {

/// A thread that drains a queue as the control thread does.
class Control {
 public:
  ~Control() { stop(); }

  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  CommandQueue queue;

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_{[this] {
    control::Effects effects;
    while (!stop_) {
      queue.drain([&](const CommandQueue::Command& command) { command({}, effects); });
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    queue.close();
  }};
};

TEST(CommandQueue, RunsAndAnswers) {
  Control control;
  int ran = 0, woken = 0;
  EXPECT_TRUE(control.queue.invoke([&](Now, control::Effects&) { ++ran; }, [&] { ++woken; }));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(woken, 1);
}

TEST(CommandQueue, AnExceptionGoesToTheCallerAndTheNextCommandRuns) {
  Control control;
  const auto wake = [] {};
  EXPECT_THROW((void)control.queue.invoke(
                   [](Now, control::Effects&) { throw std::runtime_error("no"); }, wake),
               std::runtime_error);
  EXPECT_TRUE(control.queue.invoke([](Now, control::Effects&) {}, wake));
}

TEST(CommandQueue, ClosedAnswersFalse) {
  Control control;
  control.stop();
  EXPECT_FALSE(control.queue.invoke([](Now, control::Effects&) { FAIL(); }, [] {}));
}

TEST(CommandQueue, ThoseWhoWaitAreToldWhenItCloses) {
  CommandQueue queue;
  bool answer = true;
  std::thread caller([&] { answer = queue.invoke([](Now, control::Effects&) { FAIL(); }, [] {}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  queue.close();
  caller.join();
  EXPECT_FALSE(answer);
}

}  // namespace
}  // namespace orrery::service
