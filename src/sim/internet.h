// What lies between hosts: realms of addresses, the lines into them, boxes between them.
//
// A realm is a set of IP addresses that reach each other directly: the Internet, a LAN, the inside
// of a carrier. An attachment is one address in a realm, of a host or of the outside of a NAT. A
// LAN's way out is its NAT, whose outside may lie behind another NAT. A datagram leaves by the line
// of its attachment, is translated on its way out, crosses the realm where its destination is
// known, and comes in by the other line, again through NATs: what these let in is decided when it
// arrives.
//
// The cost of a datagram does not depend on how many hosts there are. Realm 0 is the Internet.
// Weak spots: a line's state in both directions is decided when it is handed over (link.h); LANs
// have no limits of their own; IPv6 has no NAT, so its hosts are in realm 0, behind a firewall if
// need be.
#pragma once

#include <deque>
#include <functional>
#include <unordered_set>
#include <vector>

#include "base/siphash.h"
#include "sim/link.h"
#include "sim/nat.h"

namespace orrery::sim {

using HostId = std::uint32_t;
using RealmId = std::uint32_t;
using AttachmentId = std::uint32_t;
using NatId = std::uint32_t;

inline constexpr std::uint32_t kNobody = UINT32_MAX;
inline constexpr RealmId kInternet = 0;
/// Routers between two lines of the Internet: what is meant to die on the way does.
inline constexpr std::uint8_t kHopsAcross = 5;

/// Which datagrams a host's line lets in.
enum class Firewall : std::uint8_t {
  kOpen,
  kStateful,  // from endpoints that the same local endpoint wrote to within 120 s
  kNoUdp,     // none, and none out
};

/// How a datagram fared. Every one ends in exactly one of those behind kSent.
enum class Fate : std::uint8_t {
  kSent,
  kDelivered,
  kLost,       // by chance
  kQueueFull,  // of a line
  kCut,        // between sides that the scene has cut off
  kNoRoute,    // nobody has the address
  kExpired,    // its hop limit was for less
  kTooBig,     // not to be fragmented, and larger than a line carries
  kNoMapping,  // a NAT knows nobody behind that port, or does not let in who sent it
  kNoHairpin,  // a NAT does not turn back what is for itself
  kFirewall,   //
  kOff,        // the host is not running, or left that address
  kEnd
};

[[nodiscard]] const char* fate_label(Fate fate);

/// A datagram under way.
struct Flight {
  wire::Endpoint from, to;  // as they are now: NATs change them
  ByteVector payload;
  HostId origin = kNobody;
  AttachmentId at = kNobody;  // where it arrives next
  std::uint64_t digest = 0;   // of the payload
  std::uint8_t ttl = 0;       // routers it may pass; 0: any number
  bool whole = false;         // never fragmented by IP
};

class Internet {
 public:
  Internet(EventQueue& queue, Random random);

  /// What is told of every datagram. May be empty.
  std::function<void(const Flight&, Fate, HostId at)> observe;

  // --- who is where
  /// A line for one address (its port is of no meaning) into a realm. REQUIRES: the address is free
  /// there.
  AttachmentId attach(HostId owner, RealmId realm, const wire::Endpoint& ip, const LinkProfile& up,
                      const LinkProfile& down);
  /// The address is given up; what is under way to it falls on the floor.
  void detach(AttachmentId attachment);
  /// A box with an address in `outer`, and the realm inside it.
  NatId add_nat(RealmId outer, const wire::Endpoint& outside, const NatBehaviour& behaviour,
                const LinkProfile& up, const LinkProfile& down);

  [[nodiscard]] RealmId inside_of(NatId nat) const { return nats_[nat].inner; }

  [[nodiscard]] Nat& nat(NatId nat) { return nats_[nat].box; }

  [[nodiscard]] AttachmentId outside_of(NatId nat) const { return nats_[nat].outside; }

  /// The box gets another outside address; mappings are gone.
  void readdress(NatId nat, const wire::Endpoint& outside);

  // --- how it is there
  void set_line(AttachmentId attachment, const LinkProfile& up, const LinkProfile& down);

  [[nodiscard]] const LinkProfile& up(AttachmentId a) const { return attachments_[a].up.profile(); }

  [[nodiscard]] const LinkProfile& down(AttachmentId a) const {
    return attachments_[a].down.profile();
  }

  void set_firewall(AttachmentId attachment, Firewall firewall);
  /// Which side of cuts a line is on: 0 to 63; everybody begins on side 0.
  void set_side(AttachmentId attachment, std::uint8_t side);
  /// Nothing passes from one side to the other from now on, or everything again. One direction.
  void cut(std::uint8_t from, std::uint8_t to, bool on = true);
  /// The same for two attachments. One direction.
  void cut_pair(AttachmentId from, AttachmentId to, bool on = true);

  // --- datagrams
  /// Leaves by this attachment. `flight.from`, `to`, `payload` and `origin` are set.
  void send(Micros now, AttachmentId by, Flight flight);

  /// The flight of an event of kind kArrival.
  Flight take(std::uint32_t flight) { return flights_.take(flight); }

  /// What comes of it. NATs pass on by themselves.
  struct Arrival {
    Flight flight{};
    Fate fate = Fate::kEnd;          // how it ends here; kEnd: it does not
    HostId where = kNobody;          // who is told to have ended it
    Micros again = -1, second = -1;  // it and a copy arrive there later; -1: not

    /// It is at a host, whose attachment is `flight.at`.
    [[nodiscard]] bool at_host() const { return fate == Fate::kEnd && again < 0; }
  };

  /// Finds out; in any thread, since it concerns nothing but the group of the attachment.
  void arrive(Micros now, Arrival& arrival);
  /// The rest of it: the end is told, what goes on is under way.
  void conclude(Arrival& arrival);

  /// Lines that lead out by the same one of realm 0 are of one group: see outermost().
  [[nodiscard]] AttachmentId group_of(AttachmentId a) const { return attachments_[a].group; }

  /// Of a flight that will arrive.
  [[nodiscard]] AttachmentId group_of_flight(std::uint32_t flight) const {
    return attachments_[flights_.at(flight).at].group;
  }

  /// A datagram from one group to another takes no less than this.
  [[nodiscard]] Micros least_crossing() const { return least_up_ + least_down_; }

  [[nodiscard]] HostId owner_of(AttachmentId a) const { return attachments_[a].owner; }

  /// The line in realm 0 that this one leads out by: itself, or that of the outermost NAT.
  [[nodiscard]] AttachmentId outermost(AttachmentId line) const;
  /// Who has this address in the Internet; kNobody: nobody, or a NAT.
  [[nodiscard]] HostId whose(const wire::Endpoint& ip) const;

  [[nodiscard]] std::size_t under_way() const { return flights_.in_use(); }

  [[nodiscard]] std::uint64_t count(Fate fate) const {
    return counts_[static_cast<std::size_t>(fate)];
  }

  /// The end of a datagram that arrived: said by whoever owns the host.
  void end(const Flight& flight, Fate fate) { tell(flight, fate, owner_of(flight.at)); }

 private:
  struct Attachment {
    HostId owner = kNobody;  // kNobody: the outside of `nat`
    NatId nat = kNobody;
    RealmId realm = 0;
    AttachmentId group = kNobody;
    wire::Endpoint ip;
    Link up, down;
    Firewall firewall = Firewall::kOpen;
    std::uint8_t side = 0;
    bool attached = true;
    FlatMap<Micros> conversations;  // of a stateful firewall, by port and remote endpoint
  };

  struct Box {
    Nat box;
    RealmId inner;
    AttachmentId outside;
  };

  /// Who has this address there; kNobody: nobody.
  [[nodiscard]] AttachmentId who(RealmId realm, const wire::Endpoint& ip) const {
    const AttachmentId* const known = who_.find(key_of(realm, ip.with_port(0)));
    return known == nullptr ? kNobody : *known;
  }

  void tell(const Flight& flight, Fate fate, HostId at);
  /// Passes the line `link`; not kEnd when it ends here. Adds what it takes to `delay`.
  static Fate pass(Micros now, Link& link, const Flight& flight, Micros& delay,
                   Link::Passage& passage);
  void note_line(const Attachment& a);
  void cross(Micros now, AttachmentId from, AttachmentId to, Flight flight, Micros delay);
  [[nodiscard]] bool is_cut(AttachmentId from, AttachmentId to) const;

  EventQueue& queue_;
  Random random_;
  FlatMap<AttachmentId> who_;    // by realm and address
  std::vector<NatId> gateways_;  // by realm; kNobody: none
  std::deque<Attachment> attachments_;
  std::deque<Box> nats_;
  Pool<Flight> flights_;
  Micros least_up_ = INT64_MAX / 4, least_down_ = INT64_MAX / 4;  // of lines of realm 0, ever
  std::array<std::uint64_t, 64> cuts_{};  // by side: bits of the sides it does not reach
  std::unordered_set<std::uint64_t> cut_pairs_;
  std::array<std::uint64_t, static_cast<std::size_t>(Fate::kEnd)> counts_{};
};

}  // namespace orrery::sim
