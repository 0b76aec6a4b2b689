// The hand-over of records alone, under ThreadSanitizer: one producer, one consumer, nothing but
// the ring between them. Every record comes whole and in order; a data race ends the program.
#include "base/record_ring.h"

#include <cstdio>
#include <thread>

int main() {
  constexpr std::uint32_t kRecords = 100'000;
  static orrery::RecordRing ring(4096);
  const auto size_of = [](std::uint32_t i) { return 4 + i * 31 % 300; };
  std::thread producer([&] {
    for (std::uint32_t i = 0; i < kRecords;) {
      std::uint8_t* room = ring.reserve(size_of(i));
      if (room == nullptr) {
        std::this_thread::yield();
        continue;
      }
      std::memset(room, static_cast<int>(i & 0xff), size_of(i));
      std::memcpy(room, &i, sizeof i);
      ring.commit();
      ++i;
    }
  });
  bool whole = true;
  for (std::uint32_t i = 0; i < kRecords;) {
    const auto record = ring.front();
    if (!record) {
      std::this_thread::yield();
      continue;
    }
    std::uint32_t number = 0;
    std::memcpy(&number, record->data(), sizeof number);
    whole &= number == i && record->size() == size_of(i);
    for (const std::uint8_t byte : record->subspan(sizeof number)) whole &= byte == (i & 0xff);
    ring.pop();
    ++i;
  }
  producer.join();
  std::printf("%u records %s\n", kRecords, whole ? "whole and in order" : "damaged");
  return whole && !ring.front() ? 0 : 1;
}
