// Revocations on their way to the members of our networks.
//
// A receiver takes one packet of credentials a second from a peer and drops the others, so all that
// waits goes out in rounds: each member gets one packet with what is new for it, in all its
// networks, and each revocation goes out in kRounds rounds, since a datagram may be lost or meet
// another packet of ours. The first round is at once. What is left when the process ends is not
// sent again: the certificate of the member then runs out. Source: docs/protocol/08-credentials.md
// sections 9, 11.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/time.h"
#include "wire/credential.h"

namespace orrery::control {

class Revocations {
 public:
  /// A receiver's second, and what two datagrams may drift apart on their way.
  static constexpr Millis kInterval = 1'250;
  static constexpr unsigned kRounds = 3;
  /// 60 of 152 bytes fill a packet.
  static constexpr std::size_t kPerPacket = 60;
  /// Of one network; when a network goes, members beyond these find out by asking.
  static constexpr std::size_t kMost = 240;

  /// Takes the place of an earlier one of the same member.
  void add(const wire::Revocation& revocation);
  /// The network is about to go: what is left of its revocations goes to these members.
  void close(wire::NetworkId network, std::vector<wire::Address> members);

  using Members = std::function<std::vector<wire::Address>(wire::NetworkId)>;
  /// The network is that of the payload's first revocation.
  using Send = std::function<void(wire::NetworkId, wire::Address, Bytes payload)>;

  /// One round, if its time has come. `members`: those of a network to whom it should go.
  void send_due(Millis now, const Members& members, const Send& send);

  [[nodiscard]] Millis next_deadline() const;

 private:
  struct Waiting {
    wire::Revocation revocation;
    unsigned sent = 0;
  };

  struct Network {
    std::vector<Waiting> waiting;             // in order of arrival
    std::vector<wire::Address> last_members;  // of a network that is gone
    bool closed = false;
  };

  /// What is taken along in this round: those sent least, in order of arrival.
  [[nodiscard]] static std::vector<wire::Revocation> take(Network& network);

  std::map<wire::NetworkId, Network> networks_;
  Millis next_ = 0;  // mono
};

}  // namespace orrery::control
