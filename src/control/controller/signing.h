// A configuration between its decision and its delivery.
//
// All that it will say is settled when a ConfigJob is made; what is left is the work: building it,
// signing its credentials, encoding and signing its chunks. A job refers to nothing that changes,
// so any thread may do it while the controller goes on. What came of it is sent by
// Controller::on_signed, which finds out by the epoch whether the member still is who was meant.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/time.h"
#include "control/controller/network_view.h"
#include "crypto/curve.h"
#include "wire/network_config.h"

namespace orrery::control {

/// What a configuration is made of.
struct ConfigDraft {
  wire::NetworkId network;
  wire::Identity identity;                  // the member's
  std::shared_ptr<const NetworkView> view;  // never null
  std::vector<wire::Address> bridges;       // NetworkEntry::bridges, ascending
  MemberView member;
  bool rules_engine = false;  // of the member
  Millis stamp = 0;           // wall
};

struct ConfigJob {
  ConfigDraft draft;
  std::uint64_t epoch = 0;                   // RegisteredMember::epoch when it was decided
  std::uint64_t mark = 0;                    // Registry::written() then
  std::uint64_t update = 0;                  // not 0
  std::optional<std::uint64_t> in_reply_to;  // packet id of a request; nothing: a push
};

struct SignedConfig {
  wire::NetworkId network;
  wire::Address member;
  std::uint64_t epoch = 0;
  std::uint64_t mark = 0;
  Millis stamp = 0;
  std::optional<std::uint64_t> in_reply_to;
  std::vector<ByteVector> chunks;  // bodies as in NETWORK_CONFIG
};

/// Thread-safe. `controller` is the identity that the network's id starts with.
[[nodiscard]] SignedConfig sign(const crypto::SecretIdentity& controller, const ConfigJob& job);

}  // namespace orrery::control
