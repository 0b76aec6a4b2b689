// All that control can ask of the world. Inputs append to an Effects; the driver carries them out
// in order and clears it. Nothing here is a promise: a datagram may be lost, a save may fail and is
// asked again.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "crypto/curve.h"
#include "fib/path_key.h"
#include "fib/update.h"
#include "wire/identity.h"

namespace orrery::control {

/// One UDP datagram, complete. socket 0 in `via`: from every local socket.
struct Datagram {
  fib::PathKey via;
  ByteVector payload;
  std::uint8_t ttl = 0;  // 0: the system's default; 2 for NAT-opening junk
  bool whole = false;    // never fragmented by IP: who cannot pass it on drops it
};

/// An Ethernet frame for the host's side of a network (TAP and LAN ports).
struct DeliverFrame {
  wire::NetworkId network;
  wire::Mac destination;
  wire::Mac source;
  std::uint16_t ethertype = 0;
  ByteVector payload;
  std::optional<unsigned> port{};  // only this local port of the network's switch
};

/// A LAN port of a bridged network passes nothing from now on, or everything again.
struct BlockPort {
  wire::NetworkId network;
  unsigned port = 0;
  bool blocked = false;
  std::string reason;  // why, or why it was
};

/// Kinds of state on disk; the driver knows the file of each (docs/protocol/12-local-service.md
/// section 2).
enum class StateKind : std::uint8_t {
  kIdentity,      // identity.public + identity.secret; bytes: text with private key
  kPlanet,        // planet
  kMoon,          // moons.d/<16 hex of id>.moon
  kPeer,          // peers.d/<10 hex of id>.peer, of a root peers.sqlite
  kNetwork,       // networks.d/<16 hex of id>.conf
  kNetworkLocal,  // networks.d/<16 hex of id>.local.conf
  kPin,           // pins.json, of a root peers.sqlite: what first use has bound; id: address,
                  // bytes: 48-byte fingerprint
  kPinByHand,     // pins.json: the same by the operator's word
  kIdentityLog,   // identity.log: bytes: a line to append; id: its number
  kNonce,         // nonce.state; bytes: u64 high-water mark
  kAccepted,      // identity.accepted; bytes: accepted_marker() of the identity a root has accepted
};

/// Replace the file (durable, atomic), or remove it when `remove`.
struct SaveState {
  StateKind kind;
  std::uint64_t id = 0;
  ByteVector bytes;
  bool remove = false;
};

/// Prove an identity's work off the packet path; answer with Node::on_identity_validated, or with
/// Node::on_validation_refused when there is no room for it.
struct ValidateIdentity {
  wire::Identity identity;
};

/// The host interface of a network changed: create, reconfigure, or remove it. Addresses and routes
/// are already filtered by the local permissions.
struct ConfigurePort {
  struct Route {
    wire::Endpoint target;  // prefix length in the port field
    wire::Endpoint via;     // nil: on-link
    std::uint16_t metric = 0;
    friend bool operator==(const Route&, const Route&) = default;
  };

  wire::NetworkId network;
  bool remove = false;
  wire::Mac mac;
  std::uint16_t mtu = 2800;
  std::vector<wire::Endpoint> addresses;  // prefix length in the port field
  std::vector<Route> routes;
};

/// Something an operator wants to read. Bounded by rate limits of the sender.
struct Notice {
  enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kAlarm };
  Level level = Level::kInfo;
  std::string text;
};

/// Our identity collided before any root had accepted it: keep its file aside, make a new one,
/// start again.
struct IdentityCollided {};

struct Effects {
  std::vector<Datagram> datagrams;
  std::vector<DeliverFrame> frames;
  std::vector<fib::Update> updates;
  std::vector<SaveState> saves;
  std::vector<ValidateIdentity> validations;
  std::vector<ConfigurePort> ports;
  std::vector<BlockPort> blocks;
  std::vector<Notice> notices;
  bool identity_collided = false;

  void clear() { *this = {}; }

  [[nodiscard]] bool empty() const {
    return datagrams.empty() && frames.empty() && updates.empty() && saves.empty() &&
           validations.empty() && ports.empty() && blocks.empty() && notices.empty() &&
           !identity_collided;
  }
};

}  // namespace orrery::control
