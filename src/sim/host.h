// One host of a scene: its lines, its clocks, its disk, and the node that runs on it, with joined
// networks and a controller where it has them. A host without a node is the hand of the scene
// itself: it gets datagrams as they come and sends what it likes.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "control/node.h"
#include "sim/internet.h"

namespace orrery::control {
class Networks;
class Controller;
}  // namespace orrery::control

namespace orrery::sim {

/// Where a host's line ends.
struct Place {
  RealmId realm = kInternet;
  wire::Endpoint at;  // address and UDP port
  LinkProfile up, down;
  Firewall firewall = Firewall::kOpen;
};

/// What outlives the process.
struct Disk {
  ByteVector planet;
  std::map<std::uint64_t, ByteVector> moons;
  std::map<wire::Address, ByteVector> peers;
  std::map<wire::NetworkId, ByteVector> networks;
  std::map<wire::Address, std::array<std::uint8_t, 48>> pins;
  std::uint64_t nonce = 0;
  bool accepted = false;
  std::map<std::pair<wire::NetworkId, wire::Address>, std::string> records;  // of the controller
};

/// Table sizes for scenes: a tenth of a gateway's, and 1 KB where it has a megabyte.
[[nodiscard]] control::Limits small_limits();

struct HostOptions {
  control::Limits limits = small_limits();
  bool networks = true;  // the role of a member
  bool controller = false;
  bool keep_disk = true;  // false: a restart forgets everything but the identity and the planet
  bool low_bandwidth = false;
  bool port_prediction = false;
  Millis wall_offset = 0;  // how wrong its clock is
  std::vector<control::PhysicalNetwork> physical{};
  std::vector<std::pair<wire::Address, wire::Endpoint>> hints{};
};

struct Host {
  struct Socket {
    control::LocalEndpoint local;
    AttachmentId line = kNobody;
  };

  /// What the scene's own hand does with a datagram. The flight is valid during the call.
  using Hand = std::function<void(const Flight&)>;

  Host(std::string called, crypto::SecretIdentity who, HostOptions how, Random chance);
  ~Host();

  [[nodiscard]] wire::Address address() const { return identity.address(); }

  [[nodiscard]] bool on() const { return node != nullptr; }

  std::string name;
  crypto::SecretIdentity identity;
  HostOptions options;
  Random random;
  std::vector<Socket> sockets;
  fib::LocalSocket next_socket = 1;
  Disk disk;
  std::size_t given_pins = 0;  // of the running node, at its start
  std::vector<wire::NetworkId> joined;
  Hand hand;

  std::unique_ptr<control::Controller> controller;
  std::unique_ptr<control::Networks> networks;
  std::unique_ptr<control::Node> node;
  std::uint32_t run = 0;     // how often it was powered on: what comes for an earlier run is lost
  Micros timer_at = 0;       // of the event that will call tick(); 0: none
  std::uint32_t proofs = 0;  // under way

  Millis mono_offset = 0;
  Millis wall_offset = 0;
  bool disk_full = false;  // neither marks of packet ids nor a controller's records can be saved

  // Since the scene began.
  std::uint64_t datagrams_in = 0, datagrams_out = 0, bytes_in = 0, bytes_out = 0;
  std::vector<control::Notice> notices;
  bool collided = false;
};

}  // namespace orrery::sim
