// LZ4 block compression of payloads behind two functions.
// Source: docs/protocol/02-packet.md section 9; tests/vectors/compression.json.
#pragma once

#include "wire/header.h"

namespace orrery::wire {

/// Payloads shorter than this are never worth compressing, bytes.
inline constexpr std::size_t kCompressMin = 65;

/// Decompresses into `out`; returns the size, or 0 for an error, an empty result or one that does
/// not fit.
[[nodiscard]] std::size_t inflate(Bytes compressed, MutableBytes out);
/// Compresses into `out`; returns the size, or 0 if `plain` is shorter than 65 bytes or would not
/// become shorter. REQUIRES: out.size() >= plain.size().
[[nodiscard]] std::size_t deflate(Bytes plain, MutableBytes out);

}  // namespace orrery::wire
