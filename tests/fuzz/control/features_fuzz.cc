// The records by which two of ours recognise each other.
//
// Invariants: bits are found exactly where a walk by hand finds them, whatever record stands in
// front; what we write is found again.
#include "control/features.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;

namespace {

/// Bits of the first record of ours, unless a record in front of it runs over the end.
std::optional<std::uint32_t> model(Bytes records) {
  std::size_t at = 0;
  while (records.size() - at >= 4) {
    const std::size_t length = load_be16(records.data() + at + 2);
    if (records.size() - at - 4 < length) return std::nullopt;
    if (load_be16(records.data() + at) == control::kFeatureRecord && length >= 4)
      return load_be32(records.data() + at + 4);
    at += 4 + length;
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes records(data, size);
  check(control::read_features(records) == model(records));

  ByteVector with_ours =
      fuzz::encoded([](Writer& w) { control::write_features(w, control::kOwnFeatures); });
  check(with_ours.size() == control::kFeatureRecordSize);
  with_ours.insert(with_ours.end(), records.begin(), records.end());
  check(control::read_features(with_ours) == control::kOwnFeatures);
  return 0;
}
