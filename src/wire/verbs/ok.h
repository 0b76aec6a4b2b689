// The prefix of every OK, and ERROR as a whole.
//
// OK:    [1] in-re verb, [8] in-re packet id, per verb
// ERROR: [1] in-re verb, [8] in-re packet id, [1] code, per code
// Source: docs/protocol/03-verbs.md 0x02, 0x03.
#pragma once

#include <optional>

#include "wire/header.h"

namespace orrery::wire {

struct Ok {
  std::uint8_t in_re_verb = 0;
  std::uint64_t in_re_id = 0;
  Bytes rest;  // per verb; view into the payload
};

[[nodiscard]] inline std::optional<Ok> decode_ok(Bytes payload) {
  Reader r(payload);
  Ok ok{r.u8(), r.u64(), {}};
  if (!r.ok()) return std::nullopt;
  ok.rest = r.rest();
  return ok;
}

inline void encode_ok(Writer& w, const Ok& ok) {
  w.u8(ok.in_re_verb);
  w.u64(ok.in_re_id);
  w.bytes(ok.rest);
}

struct ErrorPacket {
  std::uint8_t in_re_verb = 0;
  std::uint64_t in_re_id = 0;
  std::uint8_t code = 0;  // ErrorCode, or a number that is not known
  Bytes rest;             // per code; view into the payload
};

[[nodiscard]] inline std::optional<ErrorPacket> decode_error(Bytes payload) {
  Reader r(payload);
  ErrorPacket e{r.u8(), r.u64(), r.u8(), {}};
  if (!r.ok()) return std::nullopt;
  e.rest = r.rest();
  return e;
}

inline void encode_error(Writer& w, const ErrorPacket& e) {
  w.u8(e.in_re_verb);
  w.u64(e.in_re_id);
  w.u8(e.code);
  w.bytes(e.rest);
}

/// What follows the code where a network is concerned: [8] network id, then optionally [2] length
/// and a dictionary.
struct NetworkError {
  NetworkId network;
  Bytes dictionary;  // empty when absent
};

[[nodiscard]] inline std::optional<NetworkError> decode_network_error(Bytes rest) {
  Reader r(rest);
  NetworkError e{NetworkId{r.u64()}, {}};
  if (!r.ok()) return std::nullopt;
  if (r.remaining() >= 3) {
    e.dictionary = r.bytes(r.u16());
    if (!r.ok()) return std::nullopt;
  }
  return e;
}

}  // namespace orrery::wire
