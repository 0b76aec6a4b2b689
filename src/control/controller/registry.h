// The controller's records: networks and members as JSON objects with the reference's fields, what
// is derived from them, and what is only in memory.
//
// Every change of a record becomes a StoreWrite that the driver commits before anything that
// follows from it leaves the process. A candidate, a member made by the request of a node that
// nobody has authorised, is kept in memory only until it is authorised or looked at; there are at
// most kMaxCandidates of them per network, and the one that asked longest ago makes room, on disk
// too. A candidate is told by its record: unauthorised, with an identity, at its first revision.
//
// A network that is removed loses its own record at once and its members a few at a time, since
// there may be a hundred thousand: on disk members without their network are members of nothing.
// One of the same id is not made before all of them are gone.
// Source: docs/protocol/11-controller.md sections 4, 6.2; security 2.27 as summarised in
// docs/architecture.md.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "control/controller/network_view.h"
#include "wire/identity.h"
#include "wire/mac.h"

namespace orrery::control {

/// Kinds of records in the store. The numbers are in its file.
enum class RecordKind : std::uint8_t {
  kRecord = 0,  // a network or a member
  kToken = 1,   // access.h
  kWebhook = 2,
  kAudit = 3,  // an entry of the audit log, events.h
};

/// One record to keep, or to remove when `json` is empty. member 0: the network's own record.
struct StoreWrite {
  wire::NetworkId network;
  wire::Address member;
  std::string json;
  RecordKind kind = RecordKind::kRecord;
  std::uint64_t id = 0;  // in place of network and member for all other kinds
};

struct RegisteredMember {
  nlohmann::json record;  // changed through Registry::put_member only
  MemberView view;
  bool stored = false;      // on disk, or about to be
  std::uint64_t epoch = 0;  // another one since the member was made, or lost its authorisation
  std::uint64_t mark = 0;   // Registry::written() with the last write of it; 0: none in this run

  // In memory only; mono, 0: not in this run.
  Millis last_request = 0;
  Millis last_config = 0;         // a configuration was sent
  std::uint64_t last_packet = 0;  // id of the last request; 0: none in this run
  wire::Identity identity;        // of the last authorised request; none: not pushed to
  ByteVector metadata;            // of the same

  [[nodiscard]] bool online(Millis now, Millis within) const {
    return last_request != 0 && now - last_request <= within;
  }
};

/// What a network's addresses belong to. Assignments count whether their member is authorised or
/// not.
class AddressBook {
 public:
  void add(wire::Address member, wire::NetworkId network, const MemberView& view);
  void remove(wire::Address member, wire::NetworkId network, const MemberView& view);

  [[nodiscard]] bool taken(const wire::Endpoint& ip) const { return owners_.contains(ip); }

  /// Members that the IP (port 0) is assigned to.
  [[nodiscard]] std::vector<wire::Address> owners(const wire::Endpoint& ip) const;
  /// Up to `most` addresses (port 0) behind `after`, ascending.
  [[nodiscard]] std::vector<wire::Endpoint> page(const wire::Endpoint& after,
                                                 std::size_t most) const;

  [[nodiscard]] std::size_t size() const { return owners_.size(); }

  /// Members with an assigned or link-local IPv6 address that ends in these 24 bits.
  [[nodiscard]] std::vector<wire::Address> owners_of_suffix(std::uint32_t low24) const;

 private:
  std::set<std::pair<wire::Endpoint, wire::Address>> pairs_;
  std::map<wire::Endpoint, std::size_t> owners_;  // IP -> number of pairs
  std::set<std::pair<std::uint32_t, wire::Address>> link_local_;
  std::set<std::pair<std::uint32_t, std::pair<wire::Address, wire::Endpoint>>> suffixes_;
};

struct NetworkEntry {
  nlohmann::json record;  // changed through Registry::put_network only
  /// Replaced, never changed: who signs elsewhere keeps the one that he was given.
  std::shared_ptr<const NetworkView> view = std::make_shared<NetworkView>();
  std::map<wire::Address, RegisteredMember> members;
  AddressBook addresses;
  std::set<wire::Address> bridges;  // active bridges and replicators that are authorised
  std::size_t authorized = 0;
  std::set<std::pair<Millis, wire::Address>> candidates;  // by last request
};

class Registry {
 public:
  static constexpr std::size_t kMaxCandidates = 1024;  // per network: about 1 MB

  /// A record from the store, at start, in any order. False for what is no JSON object.
  bool load(const StoreWrite& record);

  /// Null when there is no such network. Valid until the network is removed.
  [[nodiscard]] NetworkEntry* find(wire::NetworkId id);
  [[nodiscard]] const NetworkEntry* find(wire::NetworkId id) const;
  [[nodiscard]] RegisteredMember* find(wire::NetworkId id, wire::Address address);

  [[nodiscard]] const std::map<wire::NetworkId, NetworkEntry>& networks() const {
    return networks_;
  }

  /// Stores the record if it differs in anything but the revision, which then grows. True if it
  /// did.
  bool put_network(wire::NetworkId id, nlohmann::json record);
  /// The same for a member, which is made if there is none. `keep`: on disk, too, even if nothing
  /// changed. REQUIRES: the network exists.
  bool put_member(wire::NetworkId id, wire::Address address, nlohmann::json record, bool keep);
  /// The member asked; candidates beyond the limit are forgotten in this order, this one last.
  void touch(wire::NetworkId id, wire::Address address, Millis mono);
  /// Somebody looked: the member outlives a restart from now on.
  void keep(wire::NetworkId id, wire::Address address);
  /// Its own record at once; its members are nobody's from now on, and go by and by.
  void remove_network(wire::NetworkId id);
  /// Members of a network that is gone, as far as they are still there.
  [[nodiscard]] const std::map<wire::Address, RegisteredMember>* departed(wire::NetworkId id) const;
  /// Removes up to `most` members of networks that are gone; those, too, whose network was gone
  /// when the process began. False: there are none.
  bool clear_departed(std::size_t most);

  [[nodiscard]] bool any_departed() const { return !departed_.empty() || may_have_orphans_; }

  void remove_member(wire::NetworkId id, wire::Address address);

  [[nodiscard]] std::vector<StoreWrite> take_writes() { return std::exchange(writes_, {}); }

  /// How many writes there have been in this run: a mark that grows with each.
  [[nodiscard]] std::uint64_t written() const { return written_; }

  /// One more; a record of another kind is somebody else's.
  void write(StoreWrite record) {
    writes_.push_back(std::move(record));
    ++written_;
  }

  /// Before what has been queued since; of several writes of one record the last one is kept, so
  /// that a full disk does not fill the memory, too.
  void put_back(std::vector<StoreWrite> writes);

 private:
  static void index(wire::NetworkId id, NetworkEntry& net, wire::Address address,
                    const RegisteredMember& member);
  static void unindex(wire::NetworkId id, NetworkEntry& net, wire::Address address,
                      const RegisteredMember& member);
  [[nodiscard]] static bool is_bridge(const NetworkEntry& net, wire::Address address,
                                      const MemberView& member);
  /// Replicators are bridges, too.
  static void set_view(NetworkEntry& net, std::shared_ptr<const NetworkView> view);
  void write_member(wire::NetworkId id, wire::Address address, RegisteredMember& member);
  /// Up to `most` of the network's, from the front; false: that was all.
  bool clear_members(wire::NetworkId id, NetworkEntry& net, std::size_t most);

  std::map<wire::NetworkId, NetworkEntry> networks_, departed_;
  bool may_have_orphans_ = false;  // members were loaded, and their network was not
  std::vector<StoreWrite> writes_;
  std::uint64_t written_ = 0;
  std::uint64_t epochs_ = 0;
};

}  // namespace orrery::control
