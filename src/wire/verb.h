// The verbs of the protocol, once.
// Source: docs/protocol/03-verbs.md.
#pragma once

#include <cstdint>

// X(enumerator, code, metric label)
#define ORRERY_FOR_EACH_VERB(X)                            \
  X(kNop, 0x00, "nop")                                     \
  X(kHello, 0x01, "hello")                                 \
  X(kError, 0x02, "error")                                 \
  X(kOk, 0x03, "ok")                                       \
  X(kWhois, 0x04, "whois")                                 \
  X(kRendezvous, 0x05, "rendezvous")                       \
  X(kFrame, 0x06, "frame")                                 \
  X(kExtFrame, 0x07, "ext_frame")                          \
  X(kEcho, 0x08, "echo")                                   \
  X(kMulticastLike, 0x09, "multicast_like")                \
  X(kNetworkCredentials, 0x0a, "network_credentials")      \
  X(kNetworkConfigRequest, 0x0b, "network_config_request") \
  X(kNetworkConfig, 0x0c, "network_config")                \
  X(kMulticastGather, 0x0d, "multicast_gather")            \
  X(kMulticastFrame, 0x0e, "multicast_frame")              \
  X(kPushDirectPaths, 0x10, "push_direct_paths")           \
  X(kAck, 0x12, "ack")                                     \
  X(kQosMeasurement, 0x13, "qos")                          \
  X(kUserMessage, 0x14, "user_message")                    \
  X(kRemoteTrace, 0x15, "remote_trace")                    \
  X(kPathNegotiationRequest, 0x16, "path_negotiation_request")

namespace orrery::wire {

enum class Verb : std::uint8_t {
#define ORRERY_VERB_ENUM(name, code, label) name = code,
  ORRERY_FOR_EACH_VERB(ORRERY_VERB_ENUM)
#undef ORRERY_VERB_ENUM
};

/// Metric label of a verb; "unknown" for codes outside the list.
constexpr const char* verb_label(std::uint8_t code) {
  switch (code) {
#define ORRERY_VERB_CASE(name, code_, label) \
  case code_:                                \
    return label;
    ORRERY_FOR_EACH_VERB(ORRERY_VERB_CASE)
#undef ORRERY_VERB_CASE
    default:
      return "unknown";
  }
}

/// Whether it carries an Ethernet frame from one member to another: what workers finish.
constexpr bool is_frame(Verb verb) {
  return verb == Verb::kFrame || verb == Verb::kExtFrame;
}

/// Error codes of ERROR packets. Source: docs/protocol/03-verbs.md, 0x02.
enum class ErrorCode : std::uint8_t {
  kNone = 0x00,
  kInvalidRequest = 0x01,
  kBadProtocolVersion = 0x02,
  kObjectNotFound = 0x03,
  kIdentityCollision = 0x04,
  kUnsupportedOperation = 0x05,
  kNeedMembershipCertificate = 0x06,
  kNetworkAccessDenied = 0x07,
  kUnwantedMulticast = 0x08,
  kNetworkAuthenticationRequired = 0x09,
};

}  // namespace orrery::wire
