// How two of ours recognise each other: a record behind the moon list in HELLO's masked tail and
// behind the worlds in OK(HELLO). Stock ignores bytes left over in both places.
//
// [2] type 0x4f52, [2] length, [4] feature bits, anything later versions add
// Source: docs/architecture.md, "How ours knows ours".
#pragma once

#include <optional>

#include "base/cursor.h"

namespace orrery::control {

inline constexpr std::uint16_t kFeatureRecord = 0x4f52;
// Bits. 0x01 is kept for further ports.
/// Ids of cipher 3 are lanes and times (crypto/nonce.h): fib/replay_window.h applies.
inline constexpr std::uint32_t kFeatureTimedIds = 0x02;
/// Reads HELLO in extended armor (crypto/extended_armor.h), whatever protocol it announces.
inline constexpr std::uint32_t kFeatureExtendedArmor = 0x04;
/// Takes part in port prediction (control/port_prediction.h); where the operator wants it.
inline constexpr std::uint32_t kFeaturePortPrediction = 0x08;
/// Of every node.
inline constexpr std::uint32_t kOwnFeatures = kFeatureTimedIds | kFeatureExtendedArmor;
inline constexpr std::size_t kFeatureRecordSize = 8;

inline void write_features(Writer& writer, std::uint32_t features) {
  writer.u16(kFeatureRecord);
  writer.u16(4);
  writer.u32(features);
}

/// Feature bits of a peer that is one of ours; records of other types are skipped.
[[nodiscard]] inline std::optional<std::uint32_t> read_features(Bytes records) {
  Reader reader(records);
  while (reader.remaining() >= 4) {
    const std::uint16_t type = reader.u16();
    const Bytes value = reader.bytes(reader.u16());
    if (!reader.ok()) return std::nullopt;
    if (type == kFeatureRecord && value.size() >= 4) return load_be32(value.data());
  }
  return std::nullopt;
}

}  // namespace orrery::control
