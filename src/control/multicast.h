// Who is in which multicast group: what members announced, and what gathers brought. One table
// serves the joined networks, a root and a controller.
//
// On a root anybody may announce anything, so the table has a fixed size (64 MiB at most, see the
// assertion in the .cc; it grows up to that as it fills) and nobody can keep others out: a peer
// stands in 1,024 groups at most, its newest announcements push out its oldest. When a network or
// the whole table is full, eight memberships are looked at in turn and the one whose peer has the
// most gives way, so quiet peers stay. Memberships live for ten minutes after they were last heard
// of. Every operation but remove_network() and members() takes constant time.
//
// Weak spot: many identities that stay quiet each are many peers. The caller keeps identities that
// are not proven away when the table is crowded().
// Source: docs/protocol/10-multicast-arp-ndp.md sections 2, 4, 5; security 2.20, 2.22 as summarised
// in docs/architecture.md.
#pragma once

#include <deque>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/mac.h"

namespace orrery::control {

namespace multicast_detail {

/// Place of a record in its table; 0: none.
using Place = std::uint32_t;

struct Links {
  Place before = 0;
  Place after = 0;
};

struct List {
  Place first = 0;
  Place last = 0;
};

/// Records in numbered places, found by their key through chains of a hash under a key of its own.
/// A Record has `Key`, `key`, `chain` and is freed by erase(); places are reused.
template <typename Record>
class Table {
 public:
  explicit Table(SipKey sip) : sip_(sip), records_(1), heads_(kFirstHeads) {}

  [[nodiscard]] Place find(const typename Record::Key& key) const {
    Place at = heads_[head_of(key)];
    while (at != 0 && !(records_[at].key == key)) at = records_[at].chain;
    return at;
  }

  /// REQUIRES: find(key) == 0.
  Place insert(const typename Record::Key& key);
  void erase(Place place);

  [[nodiscard]] Record& operator[](Place place) { return records_[place]; }

  [[nodiscard]] const Record& operator[](Place place) const { return records_[place]; }

  [[nodiscard]] std::size_t size() const { return size_; }

  /// Places from 1 that have ever been in use.
  [[nodiscard]] std::size_t places() const { return records_.size() - 1; }

 private:
  static constexpr std::size_t kFirstHeads = 256;

  [[nodiscard]] std::size_t head_of(const typename Record::Key& key) const {
    std::uint8_t bytes[Record::Key::kSize];
    key.store(bytes);
    return siphash(sip_, bytes) & (heads_.size() - 1);
  }

  void grow();

  SipKey sip_;
  std::deque<Record> records_;
  std::vector<Place> heads_;  // a power of two of them, at least as many as records
  Place free_ = 0;            // through chain
  std::size_t size_ = 0;
};

struct Number {
  static constexpr std::size_t kSize = 8;
  std::uint64_t value = 0;

  void store(std::uint8_t* to) const { store_be64(to, value); }

  friend bool operator==(Number, Number) = default;
};

struct PeerRecord {
  using Key = Number;  // address
  Key key;
  List entries;  // oldest first
  std::uint32_t count = 0;
  Place chain = 0;
};

struct NetworkRecord {
  using Key = Number;
  Key key;
  List entries;
  std::uint32_t count = 0;
  Place hand = 0;  // where the last search for somebody noisy ended
  Place chain = 0;
};

struct GroupRecord {
  struct Key {
    static constexpr std::size_t kSize = 20;
    std::uint64_t network = 0;
    std::uint64_t mac = 0;
    std::uint32_t adi = 0;

    void store(std::uint8_t* to) const {
      store_be64(to, network);
      store_be64(to + 8, mac);
      store_be32(to + 16, adi);
    }

    friend bool operator==(const Key&, const Key&) = default;
  };

  Key key;
  List entries;
  Place chain = 0;
};

/// One member of one group.
struct Entry {
  struct Key {
    static constexpr std::size_t kSize = 8;
    Place group = 0;
    Place peer = 0;

    void store(std::uint8_t* to) const {
      store_be32(to, group);
      store_be32(to + 4, peer);
    }

    friend bool operator==(const Key&, const Key&) = default;
  };

  Key key;
  Millis heard = 0;  // mono
  Place network = 0;
  Place chain = 0;
  Links by_age;  // all entries, longest silent first
  Links of_peer;
  Links of_network;
  Links of_group;
};

}  // namespace multicast_detail

class MulticastTable {
 public:
  static constexpr Millis kLifetime = 600'000;
  static constexpr std::size_t kPerPeer = 1'024;      // groups of one peer, all networks
  static constexpr std::size_t kPerNetwork = 65'536;  // memberships of one network
  static constexpr std::size_t kTotal = 262'144;
  static constexpr std::size_t kMemory = std::size_t{64} << 20;  // bytes, when full

  enum class Added : std::uint8_t {
    kKnown,
    kNew,
    kNewInPlace,  // new, and another one gave way
    kRefused,     // the network is full, and nobody in it is noisier
  };

  explicit MulticastTable(SipKey key);

  Added add(Millis now, wire::NetworkId network, wire::MulticastGroup group, wire::Address member);
  void remove(wire::NetworkId network, wire::MulticastGroup group, wire::Address member);
  void remove_network(wire::NetworkId network);
  /// Ascending by address; only those alive.
  [[nodiscard]] std::vector<wire::Address> members(Millis now, wire::NetworkId network,
                                                   wire::MulticastGroup group) const;
  /// Forgets those whose time is over; as much work as there are.
  void expire(Millis now);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  /// More than half full: room for those only who are who they say.
  [[nodiscard]] bool crowded() const { return size() > kTotal / 2; }

 private:
  using Place = multicast_detail::Place;

  void refresh(Millis now, Place entry);
  void drop(Place entry);
  /// Of eight entries of the network the one whose peer has the most.
  [[nodiscard]] Place noisiest_in(Place network);
  /// The same of all; the oldest of that peer.
  [[nodiscard]] Place noisiest();
  [[nodiscard]] std::uint32_t count_of(Place entry) const;

  multicast_detail::Table<multicast_detail::Entry> entries_;
  multicast_detail::Table<multicast_detail::GroupRecord> groups_;
  multicast_detail::Table<multicast_detail::PeerRecord> peers_;
  multicast_detail::Table<multicast_detail::NetworkRecord> networks_;
  multicast_detail::List by_age_;
  Place hand_ = 0;
};

}  // namespace orrery::control
