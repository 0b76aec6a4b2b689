// Memory of keys: zero when given out and when given back, locked, not in core dumps.
#include "crypto/locked_memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "crypto/armor.h"

namespace orrery::crypto {
namespace {

bool all_zero(const std::uint8_t* p, std::size_t n) {
  return std::all_of(p, p + n, [](std::uint8_t b) { return b == 0; });
}

TEST(LockedMemory, SlotsAreZeroAlignedAndApart) {
  std::vector<std::pair<std::uint8_t*, std::size_t>> slots;
  const std::size_t before = locked_memory().in_use;
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t size : {1U, 48U, 64U, 65U, 1000U, 4096U}) {
      for (int i = 0; i < 100; ++i) {
        auto* p = static_cast<std::uint8_t*>(locked_allocate(size));
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0U);
        ASSERT_TRUE(all_zero(p, size));
        std::fill_n(p, size, static_cast<std::uint8_t>(slots.size()));
        slots.emplace_back(p, size);
      }
    }
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const auto [p, size] = slots[i];
      ASSERT_TRUE(std::all_of(p, p + size,
                              [&](std::uint8_t b) { return b == static_cast<std::uint8_t>(i); }));
      locked_free(p, size);
    }
    slots.clear();
    EXPECT_EQ(locked_memory().in_use, before);
  }
}

/// security K2: nothing of a retired peer's keys is left. The pool never gives memory back to the
/// kernel, so what the slots held can be looked at.
TEST(LockedMemory, KeysOfARetiredPeerAreBurned) {
  SharedSecret secret;
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(0xa0 + i);
  const std::uint8_t* where = nullptr;
  const std::uint8_t* schedules = nullptr;
  std::vector<std::uint8_t> held;
  {
    PeerKeys keys(secret);
    keys.expand();
    where = keys.secret().bytes().data();
    schedules = reinterpret_cast<const std::uint8_t*>(&keys.aes());
    held.assign(schedules, schedules + 480);  // both schedules of K1
    EXPECT_TRUE(std::equal(secret.begin(), secret.end(), where));
    EXPECT_EQ(PeerKeys(keys.secret()).secret().bytes().data(), where);  // held once
    PeerKeys moved = std::move(keys);
    EXPECT_EQ(moved.secret().bytes().data(), where);
  }
  // The first word of a free slot links it to the next one.
  EXPECT_TRUE(all_zero(where + 8, secret.size() - 8));
  EXPECT_FALSE(std::equal(held.begin() + 8, held.end(), schedules + 8));
  EXPECT_TRUE(all_zero(schedules + 8, held.size() - 8));
}

/// VmFlags of the mapping that holds an address.
std::string flags_of(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  while (std::getline(smaps, line)) {
    std::uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2)
      inside = first <= at && at < last;
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

TEST(LockedMemory, IsLockedOutOfCoreDumpsAndWipedInAChild) {
  auto key = make_locked<SharedSecret>();
  key->fill(0x5a);
  const std::string flags = flags_of(key.get());
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;  // do not dump
  EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;  // wipe on fork
  const LockedMemory memory = locked_memory();
#ifndef __SANITIZE_ADDRESS__  // whose mlock does nothing and says that it did
  // Locked unless a limit of this environment forbids it, and then it is counted.
  EXPECT_EQ(flags.find(" lo ") != std::string::npos, memory.not_locked == 0) << flags;
#endif
  EXPECT_GE(memory.locked + memory.not_locked, memory.in_use);
  const pid_t child = fork();
  if (child == 0) _exit(all_zero(key->data(), key->size()) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace orrery::crypto
