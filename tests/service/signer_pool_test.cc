// Threads that sign configurations: all of them, in order, also under way when the pool ends.
#include "service/signer_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <semaphore>

#include "control/controller/lab.h"

namespace orrery::service {
namespace {

std::vector<control::ConfigJob> jobs(std::uint64_t first, std::size_t count, std::size_t rules) {
  auto view = std::make_shared<control::NetworkView>();
  view->rules.resize(rules);
  std::vector<control::ConfigJob> all;
  for (std::size_t i = 0; i < count; ++i) {
    control::ConfigJob job;
    job.draft.network = wire::NetworkId{(test::vector_identity(0).address().value << 24) | 1};
    job.draft.identity = test::made_up_identity(0x1100000000 + first + i);
    // Of very different length, so that the threads overtake each other.
    job.draft.view = i % 5 == 0 ? view : std::make_shared<control::NetworkView>();
    job.draft.rules_engine = true;
    job.update = first + i;
    job.in_reply_to = first + i;
    all.push_back(std::move(job));
  }
  return all;
}

TEST(SignerPool, GivesEverythingBackInOrderAndSigned) {
  const crypto::SecretIdentity controller = test::vector_identity(0);
  std::counting_semaphore<> more(0);
  SignerPool pool(controller, 4, [&] { more.release(); });
  std::uint64_t submitted = 1, taken = 1;
  for (const std::size_t count : {1, 100, 7, 300}) {
    pool.submit(jobs(submitted, count, 1'000));
    submitted += count;
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (taken < submitted) {
    ASSERT_TRUE(more.try_acquire_until(end)) << "nobody says that there is something to take";
    for (;;) {
      const auto ready = pool.take(64);
      ASSERT_LE(ready.size(), 64u);
      for (const control::SignedConfig& config : ready) {
        ASSERT_EQ(config.in_reply_to, taken) << "in order";
        EXPECT_EQ(config.member, wire::Address{0x1100000000 + taken});
        const auto chunk = wire::decode_config_chunk(config.chunks.at(0));
        ASSERT_TRUE(chunk && chunk->has_signature);
        EXPECT_TRUE(crypto::verify(controller.identity().public_key, chunk->signed_region,
                                   chunk->signature));
        ++taken;
      }
      if (ready.size() < 64) break;
    }
  }
  EXPECT_TRUE(pool.take(64).empty());
}

TEST(SignerPool, EndsWithWorkLeft) {
  const crypto::SecretIdentity controller = test::vector_identity(0);
  SignerPool pool(controller, 2, [] {});
  pool.submit(jobs(1, 5'000, 1'000));
}

}  // namespace
}  // namespace orrery::service
