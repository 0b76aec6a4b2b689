// A network controller: decides who is a member, issues signed configurations, pushes changes,
// serves its part of the local HTTP API. Sans I/O: records to keep come out of take_writes(),
// packets go to the Transport.
//
// Duty of the driver: after every input (packet, tick, HTTP call, local request) take_writes() and
// commit them durably, in this order, here or on a thread of its own, then on_committed(); or
// on_refused() when that failed, and again a while later. What a record has as its consequence, a
// packet or what the own node is told as a member, waits inside until the record is durable; so
// must answers to HTTP calls: they are true when as many writes as written() said behind the call
// are. So no address, authorisation or revocation that anybody has seen can be lost. What was
// refused is forgotten, members ask again; memory is then ahead of the disk, and until a commit
// succeeds the controller reads, but neither writes, answers nor pushes.
//
// Signatures are made where the driver likes: after defer_signatures() configurations come out of
// take_jobs(), any thread signs them (signing.h), and on_signed() sends what came of it, in the
// order in which the jobs came out, so that nobody gets an older configuration behind a newer one.
// Without it they are signed at once.
//
// What goes to many is spread over turns: pushes in turns of kPushesPerTurn, single members before
// those of a whole network, and while few signatures are outstanding; revocations so that all who
// are online are told within a second up to 40,000 of them (revocations.h).
//
// Weak spots: duplicates of an address are excluded within this process only (several controllers
// of one identity need a store with that constraint). Stamps of certificates never go back while
// the process lives, even if the wall clock does. Source: docs/protocol/11-controller.md;
// docs/protocol/07-network-config.md sections 5, 8.
#pragma once

#include <deque>
#include <expected>
#include <functional>
#include <set>
#include <utility>

#include "control/controller/controller_counters.h"
#include "control/controller/events.h"
#include "control/controller/http.h"
#include "control/controller/outbox.h"
#include "control/controller/registry.h"
#include "control/controller/revocations.h"
#include "control/controller/signing.h"
#include "control/roles.h"
#include "control/token_bucket.h"

namespace orrery::control {

class Controller final : public ControllerRole {
 public:
  /// A member's requests closer than this are not answered.
  static constexpr Millis kRequestInterval = 1'000;
  /// A member is pushed to for so long after its request.
  static constexpr Millis kOnline = 120'000;
  /// Within this members ask again, at the latest: those of whom we know nothing since we began may
  /// be there until then.
  static constexpr Millis kFirstRound = 75'000;
  /// A member may gather for so long after a configuration.
  static constexpr Millis kMulticastAuthorized = 180'000;
  /// About 10 ms of signatures, and what lies between two turns: half of a core at most.
  static constexpr std::size_t kPushesPerTurn = 64;
  static constexpr Millis kPushInterval = 20;
  /// Members of a network that a turn looks at in search of those who are online: 0.5 ms.
  static constexpr std::size_t kLooksPerTurn = 4'096;
  /// Signatures under way beyond which requests are not answered: ten seconds and more of one
  /// core's, whose members would have asked again; and beyond which pushes wait, so that who asks
  /// does not: 20 ms.
  static constexpr std::size_t kJobsMost = 32'768;
  static constexpr std::size_t kPushJobsMost = 256;
  /// Packets that wait for their records, beyond which nothing is sent that nobody asks for: a
  /// tenth of a second of revocations.
  static constexpr std::size_t kWaitingMost = 4'096;

  /// `transport` must outlive this.
  explicit Controller(Transport& transport);

  /// A record from the store, before anything else happens. False: not a record; the text was
  /// ignored.
  bool load(const StoreWrite& record) { return registry_.load(record) || events_.load(record); }

  /// What must be durable before the effects of the last inputs leave the process.
  [[nodiscard]] std::vector<StoreWrite> take_writes() { return registry_.take_writes(); }

  /// How many writes there have been, and how many of them are durable.
  [[nodiscard]] std::uint64_t written() const { return registry_.written(); }

  [[nodiscard]] std::uint64_t durable() const { return durable_; }

  /// The first `mark` writes are durable: what has waited for them goes out.
  void on_committed(Now now, std::uint64_t mark, Effects& out);

  /// These writes could not be committed; they come first in the next take_writes().
  void on_refused(std::vector<StoreWrite> writes);

  /// From now on configurations are signed by somebody else.
  void defer_signatures() { deferred_ = true; }

  /// What is to be signed.
  [[nodiscard]] std::vector<ConfigJob> take_jobs() { return std::exchange(jobs_, {}); }

  /// Sends what has been signed since, as soon as its records are durable. Of members that have
  /// lost their authorisation in the meantime, or while the store takes no writes, nothing is sent.
  void on_signed(Now now, const std::vector<SignedConfig>& configs, Effects& out);

  /// Jobs that have been decided and not come back.
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

  /// While the store takes no writes, or they are not ours to make: requests of members are not
  /// answered, changes over HTTP are refused with 503. The node goes on. Ends by itself when more
  /// becomes durable.
  void suspend(bool on) { suspended_ = on; }

  [[nodiscard]] bool suspended() const { return suspended_; }

  /// Members in one piece of a list, by their ids or whole: 1 or 2 ms.
  static constexpr std::size_t kIdsPerTurn = 4'096;
  static constexpr std::size_t kRecordsPerTurn = 256;

  /// Members of a network that has been deleted stay so long, to be told; then they are cleared
  /// away, so many a turn: 0.5 ms.
  static constexpr Millis kDeparting = 5'000;
  static constexpr std::size_t kClearedPerTurn = 256;

  /// One call of the paths under /controller and /unstable/controller; `path` without query. Access
  /// has been checked. The answer is one when nothing is left of it (go_on()).
  HttpAnswer handle(Now now, std::string_view method, std::string_view path, std::string_view body,
                    Effects& out);

  /// The next piece of an answer, whose body follows those of the pieces before. Who is a member
  /// all the while is told of once, as of some moment in between.
  HttpAnswer go_on(MemberList list);

  // Changes, with all that follows from them. `actor` is named in the events. Records are complete
  // (records.h); a change that changes nothing has no consequences.
  void put_network(Now now, wire::NetworkId id, nlohmann::json record, const std::string& actor);
  /// REQUIRES: the network exists.
  void put_member(Now now, wire::NetworkId id, wire::Address address, nlohmann::json record,
                  const std::string& actor, Effects& out);
  /// REQUIRES: it exists.
  void remove_network(Now now, wire::NetworkId id, const std::string& actor);
  void remove_member(Now now, wire::NetworkId id, wire::Address address, const std::string& actor,
                     Effects& out);
  /// The first part of what changes ask to be sent; the rest comes in turns.
  void follow_up(Now now, Effects& out);
  /// An id of ours that no network has; nothing: none was found.
  [[nodiscard]] std::optional<wire::NetworkId> free_network_id();

  /// The member has been looked at: it outlives a restart.
  void keep(wire::NetworkId id, wire::Address address) { registry_.keep(id, address); }

  /// Where others keep their records, beside networks and members.
  [[nodiscard]] Registry& records() { return registry_; }

  [[nodiscard]] EventLog& events() { return events_; }

  [[nodiscard]] Transport& transport() { return transport_; }

  /// What goes to our own node as a member: verb kNetworkConfig with a dictionary,
  /// kNetworkCredentials with a payload.
  using LocalDelivery = std::function<void(Now, wire::NetworkId, wire::Verb, Bytes, Effects&)>;

  void set_local_delivery(LocalDelivery delivery) { local_ = std::move(delivery); }

  [[nodiscard]] const Registry& registry() const { return registry_; }

  [[nodiscard]] const ControllerCounters& counters() const { return counters_; }

  /// Requests for configurations that came, whatever became of them.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

  [[nodiscard]] const EventLog& events() const { return events_; }

  void on_config_request(Now now, const Incoming& in, Effects& out) override;
  LocalAnswer on_local_request(Now now, wire::NetworkId network, Bytes metadata,
                               Effects& out) override;
  [[nodiscard]] bool recently_configured(Now now, wire::NetworkId network,
                                         wire::Address member) const override;
  [[nodiscard]] std::vector<wire::Address> owners_of(wire::NetworkId network,
                                                     wire::MulticastGroup group) const override;
  void tick(Now now, Effects& out) override;
  [[nodiscard]] Millis next_deadline() const override;

 private:
  using MemberKey = std::pair<wire::NetworkId, wire::Address>;
  class OnlineMembers;

  // controller.cc: requests
  /// Section 2.2 for a request of the member itself: what it is to be given, or why not.
  std::expected<ConfigDraft, wire::ErrorCode> decide(Now now, wire::NetworkId id,
                                                     const wire::Identity& identity,
                                                     Bytes metadata);
  /// Authorises `record` if the network or a token in the request does.
  static void admit(nlohmann::json& record, const NetworkView& view, Bytes metadata, Millis wall);
  /// Section 3 up to the signatures; completes and stores the record, if one is given. REQUIRES:
  /// the member is authorised.
  ConfigDraft configure(Now now, wire::NetworkId id, std::optional<nlohmann::json> record,
                        const wire::Identity& identity, Bytes metadata);
  /// Sends it when its records are durable; to our own node, too.
  void say(Now now, Outbox::Packet packet, Effects& out);
  void send(Now now, const Outbox::Packet& packet, Effects& out);

  /// Nothing more may be sent for the time being but what is asked for.
  [[nodiscard]] bool stalled() const { return suspended_ || outbox_.size() >= kWaitingMost; }

  /// Has it signed, here or elsewhere.
  void dispatch(Now now, ConfigDraft draft, std::optional<std::uint64_t> in_reply_to, Effects& out);
  void send_config(Now now, const SignedConfig& config, Effects& out);
  void send_error(Now now, wire::Address to, std::uint64_t in_reply_to, wire::NetworkId id,
                  wire::ErrorCode code, Effects& out);
  /// Whether a request without a matching member record may cost us anything.
  [[nodiscard]] bool admit_stranger(Now now, MemberKey key, Bytes metadata);

  /// To everybody in the network who is online, in time.
  void push_all(wire::NetworkId id) { sweeps_[id].restart(); }

  void queue_push(Now now, MemberKey key, const RegisteredMember& member);

  [[nodiscard]] static bool wants_push(Now now, const RegisteredMember& member) {
    return member.view.authorized && member.identity && member.online(now.mono, kOnline);
  }

  [[nodiscard]] bool begins(Now now) const {
    return began_ == 0 || now.mono - began_ < kFirstRound;
  }

  void drain_pushes(Now now, Effects& out);
  void push(Now now, MemberKey key, Effects& out);
  void revoke(Now now, wire::NetworkId id, const std::vector<wire::Address>& targets);
  /// Revokes, and tells the member itself before anybody else.
  void expel(Now now, wire::NetworkId id, wire::Address address, const RegisteredMember& member,
             Effects& out);
  void send_revocations(Now now, Effects& out, std::size_t most = Revocations::kMostPerTurn);
  [[nodiscard]] Millis stamp(Now now);

  // controller_api.cc: HTTP
  HttpAnswer route(Now now, std::string_view method, const ApiPath& path, std::string_view body,
                   Effects& out);
  HttpAnswer create_network(Now now, std::string_view body);
  HttpAnswer write_network(Now now, wire::NetworkId id, std::string_view body);
  HttpAnswer delete_network(Now now, wire::NetworkId id);
  HttpAnswer list_members(wire::NetworkId id, bool unstable);
  HttpAnswer read_member(wire::NetworkId id, wire::Address address);
  HttpAnswer write_member(Now now, wire::NetworkId id, wire::Address address, std::string_view body,
                          Effects& out);
  HttpAnswer delete_member(Now now, wire::NetworkId id, wire::Address address, Effects& out);
  [[nodiscard]] HttpAnswer list_networks(bool unstable) const;

  Transport& transport_;
  Registry registry_;
  EventLog events_;
  ControllerCounters counters_;
  std::uint64_t requests_ = 0;
  LocalDelivery local_;
  TokenBucket strangers_{2'000, 500};  // requests without a member record, all together
  /// The same of networks that admit whoever asks, or asks with a token: those cost a record, too,
  /// but come in storms by right.
  TokenBucket newcomers_{16'384, 5'000};
  std::map<MemberKey, Millis>
      refused_;                   // their last requests, mono; at most those of about a second
  std::deque<MemberKey> pushes_;  // to be configured anew, each once
  std::set<MemberKey> push_queued_;

  /// The way of a push through all members of a network, round and round until everybody has been
  /// looked at since the last change.
  struct Sweep {
    wire::Address next;                // who is looked at next
    std::optional<wire::Address> end;  // before whom it ends in the second round; none: no second
    bool second = false;

    /// Everybody again, from here on.
    void restart() {
      end = next ? std::optional(next) : std::nullopt;
      second = false;
    }
  };

  std::map<wire::NetworkId, Sweep> sweeps_;
  bool deferred_ = false;
  std::vector<ConfigJob> jobs_;
  std::size_t outstanding_ = 0;
  Outbox outbox_;
  std::uint64_t durable_ = 0;  // of the registry's writes
  Revocations revocations_;
  bool suspended_ = false;
  Millis began_ = 0;          // mono; first tick
  Millis next_push_ = 0;      // mono
  Millis next_clearing_ = 0;  // mono
  Millis last_stamp_ = 0;     // wall, of the last certificate or revocation
};

}  // namespace orrery::control
