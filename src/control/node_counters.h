// Drops and rejections of control, by reason, once; and the ledger of packets.
//
// Every packet that comes in (a datagram, or what a worker hands over) ends in exactly one way: a
// reason of the class kEnds, or as handled. So packets = handled + the sum of those reasons, when
// none of them counts twice. Reasons of the class kNote say what happened on the way. A packet that
// waits ended as `parked`, `unknown_sender` or `waiting`; when it is run again it is not counted a
// second time as a packet.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

// X(enumerator, label, class)
#define ORRERY_FOR_EACH_NODE_COUNTER(X)                   \
  X(kShort, "short", kEnds)                               \
  X(kBeacon, "beacon", kEnds)                             \
  X(kLong, "long", kEnds)                                 \
  X(kAddress, "address", kEnds)                           \
  X(kHops, "hops", kEnds)                                 \
  X(kRelayed, "relayed", kEnds)                           \
  X(kRelayRefused, "relay_refused", kEnds)                \
  X(kNoRoute, "no_route", kEnds)                          \
  X(kRelayTurned, "relay_turned", kNote)                  \
  X(kFragment, "fragment", kEnds)                         \
  X(kParked, "parked", kEnds)                             \
  X(kCipher, "cipher", kEnds)                             \
  X(kTrustedPath, "trusted_path", kEnds)                  \
  X(kMac, "mac", kEnds)                                   \
  X(kReplay, "replay", kEnds)                             \
  X(kCompression, "lz4", kEnds)                           \
  X(kMalformed, "malformed", kEnds)                       \
  X(kHelloMalformed, "hello_malformed", kEnds)            \
  X(kHelloVersion, "hello_version", kEnds)                \
  X(kHelloRate, "hello_rate", kEnds)                      \
  X(kHelloStale, "hello_stale", kEnds)                    \
  X(kHelloExtended, "hello_extended", kNote)              \
  X(kIdentityCollision, "identity_collision", kEnds)      \
  X(kIdentityInvalid, "identity_invalid", kEnds)          \
  X(kProofAsked, "proofs_asked", kNote)                   \
  X(kProofRefused, "proof_refused", kNote)                \
  X(kPinMismatch, "pin_mismatch", kNote)                  \
  X(kTableFull, "table_full", kNote)                      \
  X(kCacheRefused, "cache_refused", kNote)                \
  X(kUnsolicited, "unsolicited", kEnds)                   \
  X(kWhoisRefused, "whois_refused", kEnds)                \
  X(kWhoisRate, "whois_rate", kEnds)                      \
  X(kLookupRate, "lookup_rate", kNote)                    \
  X(kWhoisUnconfirmed, "whois_unconfirmed", kNote)        \
  X(kWhoisDisputed, "whois_disputed", kNote)              \
  X(kAlarm, "alarms", kNote)                              \
  X(kEchoRate, "echo_rate", kEnds)                        \
  X(kRendezvousRefused, "rendezvous", kEnds)              \
  X(kPushRefused, "push_refused", kEnds)                  \
  X(kProbeRefused, "probe_refused", kNote)                \
  X(kAmplification, "amplification", kNote)               \
  X(kWorldRefused, "world_refused", kNote)                \
  X(kUnknownSender, "unknown_sender", kEnds)              \
  X(kCacheRate, "cache_rate", kEnds)                      \
  X(kWaiting, "waiting", kEnds)                           \
  X(kWaitingRate, "waiting_rate", kEnds)                  \
  X(kSendExpired, "send_expired", kNote)                  \
  X(kReceiveExpired, "receive_expired", kNote)            \
  X(kTooBig, "too_big", kNote)                            \
  X(kOverlayRefused, "overlay_in_overlay", kNote)         \
  X(kPathProbes, "path_probes", kNote)                    \
  X(kPathProbesLost, "path_probes_lost", kNote)           \
  X(kPathFailed, "path_failed", kNote)                    \
  X(kPathBack, "path_back", kNote)                        \
  X(kPredictionProbes, "port_prediction_probes", kNote)   \
  X(kPredictionRefused, "port_prediction_refused", kNote) \
  X(kSizeProbes, "size_probes", kNote)                    \
  X(kSizeAcked, "size_probes_answered", kNote)            \
  X(kSizeLost, "size_probes_lost", kNote)                 \
  X(kSizeFell, "size_fell", kNote)                        \
  X(kNoId, "no_packet_id", kNote)                         \
  X(kNotHandled, "not_handled", kEnds)                    \
  X(kIgnored, "ignored", kEnds)

namespace orrery::control {

enum class Count : std::uint8_t {
#define ORRERY_NODE_COUNTER_ENUM(name, label, class) name,
  ORRERY_FOR_EACH_NODE_COUNTER(ORRERY_NODE_COUNTER_ENUM)
#undef ORRERY_NODE_COUNTER_ENUM
      kEnd
};

class NodeCounters {
 public:
  void add(Count reason, std::uint64_t times = 1) {
    values_[static_cast<std::size_t>(reason)] += times;
    if (kClasses[static_cast<std::size_t>(reason)] == kEnds) open_ = false;
  }

  /// A packet comes in; what is counted until end() is said of it.
  void begin() {
    ++packets_;
    open_ = true;
  }

  /// It is through: handled, if nothing ended it before.
  void end() {
    if (open_) ++handled_;
    open_ = false;
  }

  /// Whether nothing has ended the packet in hand yet.
  [[nodiscard]] bool open() const { return open_; }

  /// What waits is run again in the middle of another packet: not said of that one.
  bool suspend() { return std::exchange(open_, false); }

  void resume(bool open) { open_ = open; }

  [[nodiscard]] std::uint64_t get(Count reason) const {
    return values_[static_cast<std::size_t>(reason)];
  }

  [[nodiscard]] std::uint64_t packets() const { return packets_; }

  [[nodiscard]] std::uint64_t handled() const { return handled_; }

 private:
  enum Class : std::uint8_t { kEnds, kNote };

  static constexpr Class kClasses[] = {
#define ORRERY_NODE_COUNTER_CLASS(name, label, class) class,
      ORRERY_FOR_EACH_NODE_COUNTER(ORRERY_NODE_COUNTER_CLASS)
#undef ORRERY_NODE_COUNTER_CLASS
  };

  std::array<std::uint64_t, static_cast<std::size_t>(Count::kEnd)> values_{};
  std::uint64_t packets_ = 0;
  std::uint64_t handled_ = 0;
  bool open_ = false;
};

}  // namespace orrery::control
