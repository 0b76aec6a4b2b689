// Small verbs: USER_MESSAGE [8] type, data; REMOTE_TRACE NUL-terminated dictionaries;
// QOS_MEASUREMENT records of 10 bytes; PATH_NEGOTIATION_REQUEST [2] utility. Source:
// docs/protocol/03-verbs.md 0x13 to 0x16.
#pragma once

#include <optional>

#include "base/cursor.h"

namespace orrery::wire {

struct UserMessage {
  std::uint64_t type = 0;
  Bytes data;
};

[[nodiscard]] inline std::optional<UserMessage> decode_user_message(Bytes payload) {
  Reader r(payload);
  UserMessage m{r.u64(), {}};
  if (!r.ok()) return std::nullopt;
  m.data = r.rest();
  return m;
}

/// Calls `each(Bytes)` for every terminated dictionary of 1 to 10000 bytes; an unterminated tail is
/// ignored.
template <typename Each>
void for_each_trace(Bytes payload, Each each) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    if (payload[i] != 0) continue;
    const std::size_t size = i - begin;
    if (size >= 1 && size <= 10000) each(payload.subspan(begin, size));
    begin = i + 1;
  }
}

/// Utility of a path, -32768..32767; nothing unless exactly two bytes.
[[nodiscard]] inline std::optional<std::int16_t> decode_path_negotiation(Bytes payload) {
  if (payload.size() != 2) return std::nullopt;
  return static_cast<std::int16_t>(load_be16(payload.data()));
}

/// Calls `each(packet_id, holding_ms)` for every record; false unless the length is a multiple of
/// 10 up to 1400. Both numbers are little-endian, the order of the hosts that send them.
template <typename Each>
[[nodiscard]] bool for_each_qos_record(Bytes payload, Each each) {
  if (payload.empty() || payload.size() > 1400 || payload.size() % 10 != 0) return false;
  for (std::size_t i = 0; i < payload.size(); i += 10) {
    std::uint64_t id;
    std::uint16_t holding;
    std::memcpy(&id, payload.data() + i, 8);
    std::memcpy(&holding, payload.data() + i + 8, 2);
    each(__builtin_bswap64(id), holding);
  }
  return true;
}

}  // namespace orrery::wire
