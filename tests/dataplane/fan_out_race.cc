// The hand-over of units alone, under ThreadSanitizer: one owner and three takers, nothing but
// FanOut between them. Every unit comes back in order with what its taker wrote; a data race ends
// the program.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "dataplane/fan_out.h"

namespace {

struct Unit {
  std::uint64_t question = 0;  // plain fields: the marks alone order the accesses
  std::uint64_t answer = 0;
};

using Units = orrery::dataplane::FanOut<Unit, 8>;

constexpr std::uint64_t kUnits = 30'000;
constexpr unsigned kTakers = 3;

std::uint64_t answer_to(std::uint64_t question) {
  return question * 0x9e3779b97f4a7c15ull + 1;
}

void work(Units& units, Unit& unit) {
  (void)units;
  unit.answer = answer_to(unit.question);
  Units::finish(unit);
}

}  // namespace

int main() {
  static Units units;
  std::atomic<bool> stop{false};
  std::vector<std::thread> takers;
  for (unsigned t = 0; t < kTakers; ++t) {
    takers.emplace_back([&, state = t + 1u]() mutable {
      while (!stop.load(std::memory_order_relaxed)) {
        Unit* unit = units.has_work() ? units.take() : nullptr;
        state = state * 1664525 + 1013904223;
        if (state >> 28 == 0) std::this_thread::yield();  // also between taking and finishing
        if (unit != nullptr) work(units, *unit);
      }
    });
  }
  std::uint64_t laid_out = 0, released = 0, by_owner = 0;
  while (released < kUnits) {
    while (laid_out < kUnits && units.has_room()) {
      units.next().question = laid_out++;
      units.lay_out();
    }
    std::this_thread::yield();  // the takers' turn
    if (units.waiting() > 2) {
      if (Unit* unit = units.take()) {
        work(units, *unit);
        ++by_owner;
      }
    }
    while (const Unit* unit = units.finished()) {
      if (unit->question != released || unit->answer != answer_to(released)) {
        std::fprintf(stderr, "unit %llu came back as %llu\n",
                     static_cast<unsigned long long>(released),
                     static_cast<unsigned long long>(unit->question));
        std::abort();
      }
      ++released;
      units.release();
    }
    if (laid_out == kUnits) {
      if (Unit* unit = units.take()) work(units, *unit);
    }
  }
  stop.store(true);
  for (std::thread& t : takers) t.join();
  if (!units.idle() || units.waiting() != 0 || units.has_work()) return 1;
  std::printf("%llu units in order, %llu of them done by their owner\n",
              static_cast<unsigned long long>(released), static_cast<unsigned long long>(by_owner));
  return 0;
}
