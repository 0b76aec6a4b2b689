// Drops and refusals of the joined networks, by reason, once. Every packet of a network verb that
// ends without having its effect is counted under exactly one of these; frames that the frame path
// refuses are counted by fib::Refusal, once for each direction. kOwnersTold is none of that:
// gathers of an address that were answered with the owner, since our own controller assigned it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fib/forward.h"

// X(enumerator, label)
#define ORRERY_FOR_EACH_NETWORK_COUNTER(X)                 \
  X(kMalformedFrame, "malformed_frame")                    \
  X(kMalformedExtFrame, "malformed_ext_frame")             \
  X(kMalformedMulticastFrame, "malformed_multicast_frame") \
  X(kMalformedLike, "malformed_like")                      \
  X(kMalformedGather, "malformed_gather")                  \
  X(kMalformedCredentials, "malformed_credentials")        \
  X(kMalformedConfig, "malformed_config")                  \
  X(kMalformedAnswer, "malformed_answer")                  \
  X(kMalformedError, "malformed_error")                    \
  X(kUnsolicited, "unsolicited_answer")                    \
  X(kUnknownNetwork, "unknown_network")                    \
  X(kNotConfigured, "not_configured")                      \
  X(kGate, "gate")                                         \
  X(kCredentialsRate, "credentials_rate")                  \
  X(kVerificationRate, "verification_rate")                \
  X(kCredentialSignature, "credential_signature")          \
  X(kCredentialStale, "credential_stale")                  \
  X(kCredentialRevoked, "credential_revoked")              \
  X(kCredentialNotHeld, "credential_not_held")             \
  X(kCredentialSubject, "credential_subject")              \
  X(kSignerUnknown, "signer_unknown")                      \
  X(kConfigSignature, "config_signature")                  \
  X(kConfigSender, "config_sender")                        \
  X(kConfigImplausible, "config_implausible")              \
  X(kConfigRepeated, "config_repeated")                    \
  X(kConfigRefused, "config_refused")                      \
  X(kConfigStale, "config_stale")                          \
  X(kLikeRefused, "like_refused")                          \
  X(kGroupsFull, "groups_full")                            \
  X(kGroupsDisplaced, "groups_displaced")                  \
  X(kGatherRefused, "gather_refused")                      \
  X(kOwnersTold, "owners_told")                            \
  X(kMulticastQueueFull, "multicast_queue_full")           \
  X(kBridgedGroupsFull, "bridged_groups_full")             \
  X(kMembersDisplaced, "members_displaced")                \
  X(kPushRate, "push_rate")                                \
  X(kRevoked, "revoked")                                   \
  X(kMemberRate, "member_rate")                            \
  X(kStationsMoved, "stations_moved")                      \
  X(kStationsHeld, "stations_held")                        \
  X(kStationsRefused, "stations_refused")

namespace orrery::control {

enum class NetworkCount : std::uint8_t {
#define ORRERY_NETWORK_COUNTER_ENUM(name, label) name,
  ORRERY_FOR_EACH_NETWORK_COUNTER(ORRERY_NETWORK_COUNTER_ENUM)
#undef ORRERY_NETWORK_COUNTER_ENUM
      kEnd
};

enum class Way : std::uint8_t { kIn, kOut };

/// Frames that control has carried itself, beside those of the workers. Bytes are those of Ethernet
/// frames.
struct FrameCount {
  std::uint64_t packets = 0, bytes = 0;
  std::uint64_t refused = 0;  // by rules, MACs, the limit

  void carry(std::size_t frame_bytes) {
    ++packets;
    bytes += frame_bytes;
  }
};

struct FrameCounts {
  FrameCount in, out;

  [[nodiscard]] FrameCount& of(Way way) { return way == Way::kIn ? in : out; }
};

class NetworkCounters {
 public:
  void add(NetworkCount reason) { ++values_[static_cast<std::size_t>(reason)]; }

  /// A frame that was not sent or not delivered; kNone is not counted.
  void add(Way way, fib::Refusal refusal) {
    if (refusal != fib::Refusal::kNone) ++frames(way)[static_cast<std::size_t>(refusal)];
  }

  [[nodiscard]] std::uint64_t get(NetworkCount reason) const {
    return values_[static_cast<std::size_t>(reason)];
  }

  [[nodiscard]] std::uint64_t get(Way way, fib::Refusal refusal) const {
    return (way == Way::kIn ? in_ : out_)[static_cast<std::size_t>(refusal)];
  }

  /// Label and count of everything: "frame_in_" and "frame_out_" before the labels of refusals.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> all() const;

 private:
  static constexpr std::size_t kRefusals = 0
#define ORRERY_NETWORK_COUNTER_ONE(name, label, text) +1
      ORRERY_FOR_EACH_REFUSAL(ORRERY_NETWORK_COUNTER_ONE)
#undef ORRERY_NETWORK_COUNTER_ONE
      ;
  using Frames = std::array<std::uint64_t, kRefusals>;

  Frames& frames(Way way) { return way == Way::kIn ? in_ : out_; }

  std::array<std::uint64_t, static_cast<std::size_t>(NetworkCount::kEnd)> values_{};
  Frames in_{};
  Frames out_{};
};

}  // namespace orrery::control
