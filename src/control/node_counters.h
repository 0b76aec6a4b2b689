// Drops and rejections of control, by reason, once.
#pragma once

#include <array>
#include <cstdint>

// X(enumerator, label)
#define ORRERY_FOR_EACH_NODE_COUNTER(X)       \
  X(kShort, "short")                          \
  X(kBeacon, "beacon")                        \
  X(kLong, "long")                            \
  X(kAddress, "address")                      \
  X(kHops, "hops")                            \
  X(kRelayed, "relayed")                      \
  X(kRelayRefused, "relay_refused")           \
  X(kNoRoute, "no_route")                     \
  X(kFragment, "fragment")                    \
  X(kCipher, "cipher")                        \
  X(kTrustedPath, "trusted_path")             \
  X(kMac, "mac")                              \
  X(kReplay, "replay")                        \
  X(kCompression, "lz4")                      \
  X(kMalformed, "malformed")                  \
  X(kHelloMalformed, "hello_malformed")       \
  X(kHelloVersion, "hello_version")           \
  X(kHelloRate, "hello_rate")                 \
  X(kHelloStale, "hello_stale")               \
  X(kIdentityCollision, "identity_collision") \
  X(kIdentityInvalid, "identity_invalid")     \
  X(kProofRefused, "proof_refused")           \
  X(kPinMismatch, "pin_mismatch")             \
  X(kTableFull, "table_full")                 \
  X(kUnsolicited, "unsolicited")              \
  X(kWhoisRefused, "whois_refused")           \
  X(kWhoisRate, "whois_rate")                 \
  X(kEchoRate, "echo_rate")                   \
  X(kRendezvousRefused, "rendezvous")         \
  X(kPushRefused, "push_refused")             \
  X(kProbeRefused, "probe_refused")           \
  X(kAmplification, "amplification")          \
  X(kWorldRefused, "world_refused")           \
  X(kUnknownSender, "unknown_sender")         \
  X(kSendExpired, "send_expired")             \
  X(kReceiveExpired, "receive_expired")       \
  X(kTooBig, "too_big")                       \
  X(kNotHandled, "not_handled")

namespace orrery::control {

enum class Count : std::uint8_t {
#define ORRERY_NODE_COUNTER_ENUM(name, label) name,
  ORRERY_FOR_EACH_NODE_COUNTER(ORRERY_NODE_COUNTER_ENUM)
#undef ORRERY_NODE_COUNTER_ENUM
      kEnd
};

class NodeCounters {
 public:
  void add(Count reason) { ++values_[static_cast<std::size_t>(reason)]; }

  [[nodiscard]] std::uint64_t get(Count reason) const {
    return values_[static_cast<std::size_t>(reason)];
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Count::kEnd)> values_{};
};

}  // namespace orrery::control
