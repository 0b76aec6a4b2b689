// A network controller: decides who is a member, issues signed configurations, pushes changes,
// serves its part of the local HTTP API. Sans I/O: records to keep come out of take_writes(),
// packets go to the Transport.
//
// Duty of the driver, in this order after every input (packet, tick, HTTP call, local request):
//   1. take_writes() and commit them durably;
//   2. if that failed: put_back() the writes, drop the datagrams of this input, answer an HTTP call
//      with 500 (memory is then ahead of the disk until a later commit succeeds), and suspend()
//      until one does: a suspended controller reads, but neither writes, answers nor pushes;
//   3. only then carry out the effects and answer the HTTP call.
// So no address, authorisation or revocation that anybody has seen can be lost. A call may leave
// writes and no effects.
//
// Weak spots: pushes to many members are spread over ticks (kPushesPerTurn each), so the last of n
// online members hears of a change after n / kPushesPerTurn turns; duplicates of an address are
// excluded within this process only (several controllers of one identity need a store with that
// constraint). Stamps of certificates never go back while the process lives, even if the wall clock
// does.
// Source: docs/protocol/11-controller.md; docs/protocol/07-network-config.md sections 5, 8.
#pragma once

#include <deque>
#include <functional>
#include <set>

#include "control/controller/controller_counters.h"
#include "control/controller/http.h"
#include "control/controller/registry.h"
#include "control/controller/revocations.h"
#include "control/roles.h"
#include "control/token_bucket.h"

namespace orrery::control {

class Controller final : public ControllerRole {
 public:
  /// A member's requests closer than this are not answered.
  static constexpr Millis kRequestInterval = 1'000;
  /// A member is pushed to for so long after its request.
  static constexpr Millis kOnline = 120'000;
  /// A member may gather for so long after a configuration.
  static constexpr Millis kMulticastAuthorized = 180'000;
  /// About 10 ms of signatures, and what lies between two turns: half of a core at most.
  static constexpr std::size_t kPushesPerTurn = 64;
  static constexpr Millis kPushInterval = 20;

  /// `transport` must outlive this.
  explicit Controller(Transport& transport);

  /// A record from the store, before anything else happens. False: not a record; the text was
  /// ignored.
  bool load(const StoreWrite& record) { return registry_.load(record); }

  /// What must be durable before the effects of the last inputs leave the process.
  [[nodiscard]] std::vector<StoreWrite> take_writes() { return registry_.take_writes(); }

  /// Writes that could not be committed; they come first in the next take_writes().
  void put_back(std::vector<StoreWrite> writes) { registry_.put_back(std::move(writes)); }

  /// While the store takes no writes: requests of members are not answered, changes over HTTP are
  /// refused with 503. The node goes on.
  void suspend(bool on) { suspended_ = on; }

  [[nodiscard]] bool suspended() const { return suspended_; }

  /// One call of the paths under /controller and /unstable/controller; `path` without query. Access
  /// has been checked.
  HttpAnswer handle(Now now, std::string_view method, std::string_view path, std::string_view body,
                    Effects& out);

  /// What goes to our own node as a member: verb kNetworkConfig with a dictionary,
  /// kNetworkCredentials with a payload.
  using LocalDelivery = std::function<void(Now, wire::NetworkId, wire::Verb, Bytes, Effects&)>;

  void set_local_delivery(LocalDelivery delivery) { local_ = std::move(delivery); }

  [[nodiscard]] const Registry& registry() const { return registry_; }

  [[nodiscard]] const ControllerCounters& counters() const { return counters_; }

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

  struct Decision {
    wire::ErrorCode error = wire::ErrorCode::kNone;
    ByteVector dictionary;  // empty on error
  };

  // controller.cc: requests
  /// Section 2.2 for a request of the member itself.
  Decision decide(Now now, wire::NetworkId id, const wire::Identity& identity, Bytes metadata);
  /// Authorises `record` if the network or a token in the request does.
  static void admit(nlohmann::json& record, const NetworkView& view, Bytes metadata, Millis wall);
  /// Section 3; completes and stores the record. REQUIRES: it is authorised.
  ByteVector configure(Now now, wire::NetworkId id, nlohmann::json record,
                       const wire::Identity& identity, Bytes metadata, bool first_contact);
  void send_config(Now now, wire::NetworkId id, wire::Address to,
                   std::optional<std::uint64_t> in_reply_to, Bytes dictionary, Effects& out);
  void send_error(Now now, const Incoming& in, wire::NetworkId id, wire::ErrorCode code,
                  Effects& out);
  /// Whether a request without a matching member record may cost us anything.
  [[nodiscard]] bool admit_stranger(Now now, MemberKey key);

  void push_all(Now now, wire::NetworkId id);
  void queue_push(Now now, MemberKey key, const MemberEntry& member);
  void drain_pushes(Now now, Effects& out);
  void push(Now now, MemberKey key, Effects& out);
  void revoke(Now now, wire::NetworkId id, const std::vector<wire::Address>& targets, Effects& out);
  void send_revocations(Now now, Effects& out);
  /// Those who may still hold a certificate.
  [[nodiscard]] std::vector<wire::Address> online_members(Now now, wire::NetworkId id) const;
  [[nodiscard]] Millis stamp(Now now);

  // controller_api.cc: HTTP
  HttpAnswer route(Now now, std::string_view method, const ApiPath& path, std::string_view body,
                   Effects& out);
  HttpAnswer create_network(Now now, std::string_view body);
  HttpAnswer write_network(Now now, wire::NetworkId id, std::string_view body, Effects& out);
  HttpAnswer delete_network(Now now, wire::NetworkId id, Effects& out);
  HttpAnswer list_members(wire::NetworkId id, bool unstable);
  HttpAnswer read_member(wire::NetworkId id, wire::Address address);
  HttpAnswer write_member(Now now, wire::NetworkId id, wire::Address address, std::string_view body,
                          Effects& out);
  HttpAnswer delete_member(Now now, wire::NetworkId id, wire::Address address, Effects& out);
  [[nodiscard]] HttpAnswer list_networks(bool unstable) const;

  Transport& transport_;
  Registry registry_;
  ControllerCounters counters_;
  LocalDelivery local_;
  TokenBucket strangers_{2'000, 500};  // requests without a member record, all together
  std::map<MemberKey, Millis>
      refused_;                   // their last requests, mono; at most those of about a second
  std::deque<MemberKey> pushes_;  // to be configured anew, each once
  std::set<MemberKey> push_queued_;
  Revocations revocations_;
  bool suspended_ = false;
  Millis next_push_ = 0;   // mono
  Millis last_stamp_ = 0;  // wall, of the last certificate or revocation
};

}  // namespace orrery::control
