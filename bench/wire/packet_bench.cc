// Cost of the wire codecs that stand in the way of every packet.
#include <benchmark/benchmark.h>

#include "wire/compression.h"
#include "wire/fragment.h"
#include "wire/reassembler.h"
#include "wire/verbs/frame.h"

namespace orrery::wire {
namespace {

ByteVector some_packet(std::size_t size) {
  ByteVector packet(size);
  for (std::size_t i = 0; i < size; ++i) packet[i] = static_cast<std::uint8_t>(i * 7 + i / 64);
  packet[kSourceOffset] = 1;
  return packet;
}

void decode_header(benchmark::State& state) {
  const ByteVector packet = some_packet(128);
  for (auto _ : state) benchmark::DoNotOptimize(decode_packet_header(packet));
}

BENCHMARK(decode_header);

void decode_ext_frame_head(benchmark::State& state) {
  ByteVector packet = some_packet(1400);
  packet[8] = 0;  // no certificate
  for (auto _ : state) benchmark::DoNotOptimize(decode_ext_frame(packet));
}

BENCHMARK(decode_ext_frame_head);

/// One packet of two pieces, while `range` strangers' packets are parked.
void reassemble(benchmark::State& state) {
  Reassembler reassembler({}, {1, 2});
  ByteVector stray(200);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    encode_fragment_header(stray, {static_cast<std::uint64_t>(i), Address{1}, 3, 1, 0});
    (void)reassembler.add_fragment(1, static_cast<std::uint64_t>(i), stray);
  }
  const ByteVector packet = some_packet(2838);
  const FragmentPlan plan = plan_fragments(packet.size(), kDefaultUdpPayload);
  ByteVector tail(kFragmentHeaderSize + plan.data_size);
  tail.resize(write_fragment(tail, packet, plan, 1));
  const Bytes head = Bytes(packet).first(plan.head_size);
  for (auto _ : state) {
    benchmark::DoNotOptimize(reassembler.add_head(1, 1u << 20, head));
    benchmark::DoNotOptimize(reassembler.add_fragment(1, 1u << 20, tail));
  }
}

BENCHMARK(reassemble)->Arg(0)->Arg(4095);

/// A stray fragment into a full table: every one makes room for itself.
void reassemble_when_full(benchmark::State& state) {
  Reassembler reassembler({}, {1, 2});
  ByteVector stray(200);
  std::uint64_t id = 0;
  for (auto _ : state) {
    encode_fragment_header(stray, {++id, Address{1}, 3, 1, 0});
    benchmark::DoNotOptimize(reassembler.add_fragment(1, id, stray));
  }
}

BENCHMARK(reassemble_when_full);

void compress(benchmark::State& state) {
  const ByteVector plain = some_packet(static_cast<std::size_t>(state.range(0)));
  ByteVector out(plain.size());
  for (auto _ : state) benchmark::DoNotOptimize(deflate(plain, out));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(compress)->Arg(100)->Arg(1400)->Arg(2800);

}  // namespace
}  // namespace orrery::wire

BENCHMARK_MAIN();
