// What all targets of tests/fuzz/wire/*_fuzz.cc for verbs share.
#pragma once

#include <cstdlib>

#include "wire/header.h"

namespace orrery::fuzz {

inline void check(bool holds) {
  if (!holds) std::abort();
}

/// What `encode` writes, in a buffer as large as any packet.
template <typename Encode>
ByteVector encoded(Encode encode) {
  ByteVector room(wire::kMaxPacket * 2);
  Writer w(room);
  encode(w);
  check(w.ok());
  room.resize(w.size());
  return room;
}

/// Whether the two hold the same bytes.
inline bool same(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// Whether `payload` starts with `bytes`: what decoded without loss is written back as it came.
inline bool starts_with(Bytes payload, Bytes bytes) {
  return payload.size() >= bytes.size() && same(payload.first(bytes.size()), bytes);
}

/// Whether the view lies inside of the payload.
inline bool within(Bytes payload, Bytes view) {
  return view.empty() || (view.data() >= payload.data() &&
                          view.data() + view.size() <= payload.data() + payload.size());
}

}  // namespace orrery::fuzz
