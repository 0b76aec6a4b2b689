// Revocations on their way to the members of our networks.
//
// A receiver takes one packet of credentials a second from a peer and drops the others, so all that
// waits goes out in rounds: each member gets one packet with what is new for it, in all its
// networks, and each revocation goes out in kRounds rounds, since a datagram may be lost or meet
// another packet of ours. A round begins at once when none is due, with the members that are
// expelled; the others follow in turns of kTurn, so that many do not hold up what else there is to
// do: all within 0.8 s as long as kMostPerTurn allows, which is 40,000 who are online. What is
// added while a round is under way joins it for those who have not been told yet, and has its own
// rounds after that. What is left when the process ends is not sent again: the certificate of the
// member then runs out. Source: docs/protocol/08-credentials.md sections 9, 11.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/time.h"
#include "wire/credential.h"

namespace orrery::control {

/// Who is to be told: those who are online in a network, or were its members when it went.
class Audience {
 public:
  virtual ~Audience() = default;
  /// The next one behind `cursor`, which moves to whoever was looked at last; zero when there is
  /// none, or when `looks`, which are counted down, are used up.
  [[nodiscard]] virtual wire::Address next(wire::NetworkId network, wire::Address& cursor,
                                           std::size_t& looks) const = 0;
  [[nodiscard]] virtual bool has(wire::NetworkId network, wire::Address member) const = 0;
  /// Members, online or not.
  [[nodiscard]] virtual std::size_t size(wire::NetworkId network) const = 0;
};

class Revocations {
 public:
  /// A receiver's second, and what two datagrams may drift apart on their way.
  static constexpr Millis kInterval = 1'250;
  static constexpr unsigned kRounds = 3;
  /// 60 of 152 bytes fill a packet.
  static constexpr std::size_t kPerPacket = 60;
  /// Of one network; when a network goes, members beyond these find out by asking.
  static constexpr std::size_t kMost = 240;
  static constexpr Millis kTurn = 20;
  /// A round is spread over so many turns: 0.8 s.
  static constexpr std::size_t kTurns = 40;
  static constexpr std::size_t kLeastPerTurn = 64;
  /// About 5 ms of sending.
  static constexpr std::size_t kMostPerTurn = 1'000;
  /// Members looked at in a turn: 0.5 ms.
  static constexpr std::size_t kLooksPerTurn = 8'192;

  /// Takes the place of an earlier one of the same member. `listens`: that member is online and is
  /// told itself, before all others, also when it is no member any more.
  void add(const wire::Revocation& revocation, bool listens);

  /// The network is that of the payload's first revocation.
  using Send = std::function<void(wire::NetworkId, wire::Address, Bytes payload)>;

  /// One turn of a round, if its time has come, to `most` members at most.
  void send_due(Millis now, const Audience& audience, const Send& send,
                std::size_t most = kMostPerTurn);

  [[nodiscard]] Millis next_deadline() const;

 private:
  struct Waiting {
    wire::Revocation revocation;
    bool listens = false;
    unsigned sent = 0;
  };

  struct Batch {
    wire::NetworkId network;
    std::vector<wire::Revocation> revocations;
    std::vector<wire::Address> expelled;  // those targets that listen
  };

  void begin_round(Millis now, const Audience& audience);
  /// What is taken along in this round: those sent least, in order of arrival.
  static void take(std::vector<Waiting>& waiting, Batch& batch);
  /// Told earlier in this round: as a member of an earlier network, or because it is expelled.
  [[nodiscard]] bool told(const Audience& audience, std::size_t batch, wire::Address member) const;
  /// One packet for this member of round_[first], with what the later networks have for it.
  void tell(const Audience& audience, std::size_t first, wire::Address member, const Send& send);

  std::map<wire::NetworkId, std::vector<Waiting>> networks_;  // each in order of arrival
  // The round that is under way, if round_ is not empty.
  std::vector<Batch> round_;
  std::vector<std::pair<std::size_t, wire::Address>> first_;  // expelled: batch and member
  std::size_t at_ = 0;                                        // batch
  wire::Address cursor_;
  std::size_t per_turn_ = 0;
  std::vector<std::size_t> payload_of_;  // batches in payload_: most members get the same
  ByteVector payload_;
  Millis next_round_ = 0, next_turn_ = 0;  // mono
};

}  // namespace orrery::control
