// The driver of a controller: nothing is seen before it is kept, nobody waits for a slow disk but
// those whose records it keeps, and a store that refuses is tried again.
#include "service/controller_driver.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <semaphore>

#include "control/controller/lab.h"

namespace orrery::service {
namespace {

using control::StoreWrite;

/// Commits when it is told how.
class ScriptedStore final : public RecordStore {
 public:
  Result<std::vector<StoreWrite>> load() override { return std::vector<StoreWrite>(); }

  Result<void> commit(const std::vector<StoreWrite>& writes) override {
    std::unique_lock lock(mutex_);
    batches_.push_back(writes.size());
    changed_.notify_all();
    changed_.wait(lock, [this] { return !verdicts_.empty(); });
    const bool kept = verdicts_.front();
    verdicts_.erase(verdicts_.begin());
    if (!kept) return failure(Errc::kFull, "no room");
    return {};
  }

  Result<void> on_quiet() override {
    const std::lock_guard lock(mutex_);
    ++quiet_;
    changed_.notify_all();
    return {};
  }

  /// The batch under way, or the next one, is kept or refused.
  void decide(bool kept) {
    const std::lock_guard lock(mutex_);
    verdicts_.push_back(kept);
    changed_.notify_all();
  }

  /// How many writes the number-th batch has; waits for it.
  std::size_t batch(std::size_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() > number; });
    return batches_[number];
  }

  void await_quiet() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return quiet_ != 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> verdicts_;
  std::vector<std::size_t> batches_;
  std::size_t quiet_ = 0;
};

class Driver : public ::testing::Test {
 protected:
  Driver() { known(member); }

  void known(const wire::Identity& who) { transport.known[who.address] = who; }

  void post(const std::string& path, const nlohmann::json& body, int status = 200) {
    EXPECT_EQ(controller.handle(now, "POST", path, body.dump(), out).status, status) << path;
    driver.settle(now.mono);
  }

  void set_network(std::uint32_t number, const nlohmann::json& body) {
    const wire::NetworkId id{(transport.self().address().value << 24) | number};
    post("/controller/network/" + wire::to_string(id), body);
  }

  void request(const wire::Identity& who) {
    const ByteVector meta = test::ControllerLab::metadata();
    ByteVector payload(meta.size() + 64);
    Writer w(payload);
    wire::encode_network_config_request(
        w, {wire::NetworkId{(transport.self().address().value << 24) | 1}, meta, 0, 0});
    control::Incoming in;
    in.source = who.address;
    in.packet_id = ++packet_id;
    in.verb = wire::Verb::kNetworkConfigRequest;
    in.payload = w.written();
    controller.on_config_request(now, in, out);
    driver.settle(now.mono);
  }

  /// As the loop does when it is woken, until `done`.
  template <typename Done>
  void turn_until(Done done) {
    while (!done()) {
      woken.acquire();
      while (driver.take_in(now, out)) {
      }
      driver.settle(now.mono);
    }
  }

  std::counting_semaphore<> woken{0};
  test::FakeTransport transport{test::vector_identity(0)};
  control::Controller controller{transport};
  ScriptedStore store;
  std::vector<std::string> told, complaints;
  int resumed = 0;
  wire::Identity member = test::made_up_identity(0x1122334455);
  control::Effects out;
  Now now{1'000'000, 1'700'000'000'000};
  std::uint64_t packet_id = 1;
  ControllerDriver driver{
      controller, store, transport.self(), 2,
      ControllerDriver::Hooks{[this] { woken.release(); },
                              [this](const std::vector<control::ControllerEvent>& events) {
                                for (const auto& e : events) told.push_back(e.type);
                              },
                              [this](const Error& error) { complaints.push_back(error.text); },
                              [this] { ++resumed; }}};
};

TEST_F(Driver, NothingIsSeenBeforeItIsKept) {
  set_network(1, {{"private", false}});
  auto answered =
      std::async(std::launch::async, [this, t = driver.ticket()] { return driver.wait(t); });
  EXPECT_EQ(store.batch(0), 2u) << "the network, and an entry of the audit log";
  // All that comes up meanwhile is one batch.
  set_network(2, {});
  request(member);
  request(test::made_up_identity(1));  // nobody we know
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(transport.sent.empty());
  store.decide(true);
  EXPECT_TRUE(answered.get());
  turn_until([&] { return !told.empty(); });
  EXPECT_EQ(told, std::vector<std::string>{"network.created"});
  EXPECT_TRUE(transport.sent.empty());
  EXPECT_EQ(store.batch(1), 3u);
  store.decide(true);
  turn_until([&] { return told.size() == 3 && !transport.sent.empty(); });
  EXPECT_EQ(told[1], "network.created");
  EXPECT_EQ(told[2], "member.authorized");
  ASSERT_EQ(transport.sent.size(), 1u);
  EXPECT_EQ(transport.sent[0].to, member.address);
  EXPECT_TRUE(complaints.empty());
}

TEST_F(Driver, WhatWasRefusedIsTriedAgain) {
  set_network(1, {{"private", false}});
  auto answered =
      std::async(std::launch::async, [this, t = driver.ticket()] { return driver.wait(t); });
  store.batch(0);
  set_network(2, {});
  auto second =
      std::async(std::launch::async, [this, t = driver.ticket()] { return driver.wait(t); });
  store.decide(false);
  EXPECT_FALSE(answered.get());
  EXPECT_FALSE(second.get()) << "what was to follow is not kept either";
  turn_until([&] { return !complaints.empty(); });
  EXPECT_EQ(complaints, std::vector<std::string>{"no room"});
  EXPECT_TRUE(controller.suspended());
  post("/controller/network/" + wire::to_string(transport.self().address()) + "000003",
       nlohmann::json::object(), 503);
  // Not before its time, and without a word when it fails again.
  now.mono += ControllerDriver::kRetry - 1;
  driver.settle(now.mono);
  now.mono += 1;
  driver.settle(now.mono);
  EXPECT_EQ(store.batch(1), 4u) << "all of both";
  store.decide(false);
  woken.acquire();
  (void)driver.take_in(now, out);
  EXPECT_EQ(complaints.size(), 1u);
  now.mono += ControllerDriver::kRetry;
  driver.settle(now.mono);
  store.decide(true);
  turn_until([&] { return resumed == 1; });
  EXPECT_FALSE(controller.suspended());
  EXPECT_EQ(told.size(), 2u);
  EXPECT_EQ(controller.durable(), controller.written());
  EXPECT_TRUE(driver.wait(driver.ticket()));
}

TEST_F(Driver, TheEndKeepsWhatThereIs) {
  set_network(1, {});
  store.batch(0);
  set_network(2, {});
  auto answered =
      std::async(std::launch::async, [this, t = driver.ticket()] { return driver.wait(t); });
  store.decide(true);
  store.decide(true);
  driver.close(now);
  EXPECT_EQ(store.batch(1), 2u);
  EXPECT_TRUE(answered.get());
  set_network(3, {});
  EXPECT_FALSE(driver.wait(driver.ticket())) << "nobody keeps it any more";
}

TEST_F(Driver, AnIdleStoreIsLookedAt) {
  set_network(1, {});
  store.decide(true);
  EXPECT_TRUE(driver.wait(driver.ticket()));
  store.await_quiet();
  EXPECT_TRUE(driver.confirmed_within(std::chrono::minutes(1)));
  EXPECT_FALSE(driver.confirmed_within(std::chrono::nanoseconds(-1)));
}

}  // namespace
}  // namespace orrery::service
