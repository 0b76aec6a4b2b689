#include "control/controller/controller.h"

#include <algorithm>
#include <limits>

#include "control/controller/issue.h"
#include "control/controller/lenient.h"
#include "control/controller/records.h"
#include "wire/dictionary.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/ok.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::size_t kMetadataMost = 1023;  // bytes that stock reads of a request's meta-data
constexpr std::size_t kTokenMost = 511;      // bytes of "token:" and the token
constexpr std::size_t kRefusedMost = 4096;   // twice the burst of strangers_
constexpr std::string_view kTokenPrefix = "token:";

bool has_rules_engine(Bytes metadata) {
  return wire::dictionary_u64(metadata, "revr", 0) != 0;
}

/// The token that a request presents, if the network takes it at this time.
std::optional<std::string> accepted_token(const NetworkView& view, Bytes metadata, Millis wall) {
  std::string presented = wire::dictionary_text(metadata, "a").value_or("").substr(0, kTokenMost);
  if (!presented.starts_with(kTokenPrefix) || presented.size() == kTokenPrefix.size())
    return std::nullopt;
  presented.erase(0, kTokenPrefix.size());
  const auto it = view.tokens.find(presented);
  if (it == view.tokens.end()) return std::nullopt;
  const bool valid = it->second == 0 || it->second > static_cast<std::uint64_t>(wall);
  return valid ? std::optional(presented) : std::nullopt;
}

/// Whether `identity` is the one that the member's record names, or the record names none yet.
bool may_be(const RegisteredMember& member, const wire::Identity& identity) {
  if (member.identity) return member.identity == identity;  // found to be so earlier
  if (member.view.identity.empty()) return true;
  const auto parsed = wire::parse_identity(member.view.identity);
  return parsed && parsed->identity == identity;
}

constexpr std::array kVersionKeys = {std::pair{"vMajor", "majv"}, std::pair{"vMinor", "minv"},
                                     std::pair{"vRev", "revv"}, std::pair{"vProto", "pv"}};

/// As MemberView has it.
std::array<std::int64_t, 4> version_of(Bytes metadata) {
  std::array<std::int64_t, 4> version;
  for (std::size_t i = 0; i < version.size(); ++i)
    version[i] =
        static_cast<std::int64_t>(wire::dictionary_u64(metadata, kVersionKeys[i].second, 0));
  return version;
}

bool must_sign_on(const NetworkView& net, const MemberView& member, Millis wall) {
  return net.sso && !member.sso_exempt && member.authentication_expiry <= wall;
}

}  // namespace

Controller::Controller(Transport& transport) : transport_(transport) {}

void Controller::on_config_request(Now now, const Incoming& in, Effects& out) {
  ++requests_;
  if (suspended_) return counters_.add(ControllerCount::kSuspended);
  const auto request = wire::decode_network_config_request(in.payload);
  if (!request) return counters_.add(ControllerCount::kMalformed);
  if (request->network.controller() != transport_.self().address()) {
    return counters_.add(ControllerCount::kNotOurs);
  }
  const wire::Identity* known = transport_.identity_of(in.source);
  if (known == nullptr) return counters_.add(ControllerCount::kUnknownSender);
  const wire::Identity identity = *known;
  const wire::NetworkId id = request->network;
  const Bytes metadata = request->metadata.first(std::min(request->metadata.size(), kMetadataMost));
  const RegisteredMember* member = registry_.find(id, in.source);
  if (member != nullptr && may_be(*member, identity)) {
    if (member->online(now.mono, kRequestInterval)) return counters_.add(ControllerCount::kTooSoon);
  } else if (!admit_stranger(now, {id, in.source}, metadata)) {
    return counters_.add(ControllerCount::kStrangers);
  }
  if (outstanding_ + outbox_.size() >= kJobsMost) return counters_.add(ControllerCount::kBehind);
  auto draft = decide(now, id, identity, metadata);
  if (RegisteredMember* asked = registry_.find(id, in.source); asked != nullptr)
    asked->last_packet = in.packet_id;
  if (!draft) {
    counters_.add(ControllerCount::kRefused);
    send_error(now, in.source, in.packet_id, id, draft.error(), out);
  } else {
    dispatch(now, std::move(*draft), in.packet_id, out);
  }
}

ControllerRole::LocalAnswer Controller::on_local_request(Now now, wire::NetworkId network,
                                                         Bytes metadata, Effects& out) {
  const wire::Identity& self = transport_.self().identity();
  if (network.controller() != self.address) return {wire::ErrorCode::kObjectNotFound, {}};
  const auto draft = decide(now, network, self, metadata);
  if (!draft) return {draft.error(), {}};
  ByteVector dictionary = wire::encode_network_config(issue(transport_.self(), *draft));
  if (!local_ || durable_ == written()) return {wire::ErrorCode::kNone, std::move(dictionary)};
  say(now,
      {written(), network, self.address, wire::Verb::kNetworkConfig, std::move(dictionary), {}},
      out);
  return {};
}

bool Controller::admit_stranger(Now now, MemberKey key, Bytes metadata) {
  const auto it = refused_.find(key);
  if (it != refused_.end() && now.mono - it->second <= kRequestInterval) return false;
  const NetworkEntry* net = registry_.find(key.first);
  const bool welcome =
      net != nullptr && registry_.find(key.first, key.second) == nullptr &&
      (!net->view->is_private || accepted_token(*net->view, metadata, now.wall).has_value());
  if (welcome) return newcomers_.take(now.mono);  // the record that it gets is its next gate
  if (!strangers_.take(now.mono)) return false;
  if (refused_.size() >= kRefusedMost) {
    std::erase_if(refused_,
                  [&](const auto& entry) { return now.mono - entry.second > kRequestInterval; });
    if (refused_.size() >= kRefusedMost) return false;
  }
  refused_[key] = now.mono;
  return true;
}

void Controller::admit(json& record, const NetworkView& view, Bytes metadata, Millis wall) {
  if (lenient_bool(record["authorized"], false)) return;
  const auto authorize = [&](const char* type, json credential) {
    record["authorized"] = true;
    record["lastAuthorizedTime"] = wall;
    record["lastAuthorizedCredentialType"] = type;
    record["lastAuthorizedCredential"] = std::move(credential);
  };
  if (!view.is_private) {
    authorize("public", nullptr);
  } else if (const auto token = accepted_token(view, metadata, wall)) {
    authorize("token", *token);
  }
}

std::expected<ConfigDraft, wire::ErrorCode> Controller::decide(Now now, wire::NetworkId id,
                                                               const wire::Identity& identity,
                                                               Bytes metadata) {
  const NetworkEntry* net = registry_.find(id);
  if (net == nullptr) return std::unexpected(wire::ErrorCode::kObjectNotFound);
  const RegisteredMember* member = registry_.find(id, identity.address);
  if (member != nullptr && !may_be(*member, identity))
    return std::unexpected(wire::ErrorCode::kNetworkAccessDenied);
  std::optional<json> record;  // what changes; mostly nothing
  const bool as_before = member != nullptr && member->stored && member->view.authorized &&
                         !member->view.identity.empty() &&
                         !must_sign_on(*net->view, member->view, now.wall) &&
                         member->view.version == version_of(metadata) &&
                         is_complete(member->view, *net->view, has_rules_engine(metadata));
  if (!as_before) {
    const bool stored = member != nullptr && member->stored;
    record = member == nullptr ? json::object() : member->record;
    if (member == nullptr || member->view.identity.empty())
      (*record)["identity"] = wire::to_string(identity);
    fill_member(*record, id, identity.address, now.wall);
    admit(*record, *net->view, metadata, now.wall);
    const MemberView view = view_member(*record);
    const bool signs_on = must_sign_on(*net->view, view, now.wall);
    const bool first = member == nullptr;
    const bool admitted = view.authorized && (first || !member->view.authorized);
    if (admitted || first) {
      const char* type = admitted ? "member.authorized" : "member.candidate";
      events_.add(now.wall, {0, 0, type, EventLog::kMember, id, identity.address, nullptr},
                  registry_);
    }
    if (!view.authorized || signs_on) {
      registry_.put_member(id, identity.address, std::move(*record), view.authorized || stored);
      registry_.touch(id, identity.address, now.mono);
      return std::unexpected(signs_on ? wire::ErrorCode::kNetworkAuthenticationRequired
                                      : wire::ErrorCode::kNetworkAccessDenied);
    }
  }
  ConfigDraft draft = configure(now, id, std::move(record), identity, metadata);
  RegisteredMember* configured = registry_.find(id, identity.address);
  configured->identity = identity;
  configured->metadata.clear();
  configured->metadata.insert(configured->metadata.end(), metadata.begin(), metadata.end());
  registry_.touch(id, identity.address, now.mono);
  return draft;
}

ConfigDraft Controller::configure(Now now, wire::NetworkId id, std::optional<json> record,
                                  const wire::Identity& identity, Bytes metadata) {
  const NetworkEntry* net = registry_.find(id);
  const bool rules_engine = has_rules_engine(metadata);
  if (record) {
    const bool first_contact = registry_.find(id, identity.address) == nullptr;
    for (const auto& [field, key] : kVersionKeys)
      (*record)[field] = wire::dictionary_u64(metadata, key, 0);
    const bool was_bridge = net->bridges.contains(identity.address);
    complete_member(*record, *net, identity.address, first_contact, rules_engine,
                    [this] { return transport_.random_u64(); });
    registry_.put_member(id, identity.address, std::move(*record), true);
    if (net->bridges.contains(identity.address) != was_bridge) push_all(id);
  }
  ConfigDraft draft{id,
                    identity,
                    net->view,
                    {net->bridges.begin(), net->bridges.end()},
                    registry_.find(id, identity.address)->view,
                    rules_engine,
                    stamp(now)};
  draft.member.identity.clear();  // not needed any more, and the longest of it
  return draft;
}

void Controller::dispatch(Now now, ConfigDraft draft, std::optional<std::uint64_t> in_reply_to,
                          Effects& out) {
  const RegisteredMember* member = registry_.find(draft.network, draft.identity.address);
  ConfigJob job{std::move(draft), member->epoch, written(), 0, in_reply_to};
  while (job.update == 0) job.update = transport_.random_u64();
  ++outstanding_;
  if (deferred_) {
    jobs_.push_back(std::move(job));
  } else {
    on_signed(now, {sign(transport_.self(), job)}, out);
  }
}

void Controller::on_committed(Now now, std::uint64_t mark, Effects& out) {
  if (mark <= durable_) return;
  durable_ = mark;
  suspended_ = false;
  outbox_.release(mark, [&](const Outbox::Packet& packet) { send(now, packet, out); });
}

void Controller::on_refused(std::vector<StoreWrite> writes) {
  registry_.put_back(std::move(writes));
  outbox_.forget();
  suspended_ = true;
}

void Controller::say(Now now, Outbox::Packet packet, Effects& out) {
  if (packet.mark > durable_) {
    outbox_.add(std::move(packet));
  } else {
    send(now, packet, out);
  }
}

void Controller::send(Now now, const Outbox::Packet& packet, Effects& out) {
  if (packet.to != transport_.self().address()) {
    transport_.send(now, packet.to, packet.verb, packet.payload, packet.options, out);
  } else if (local_) {
    local_(now, packet.network, packet.verb, packet.payload, out);
  }
}

void Controller::on_signed(Now now, const std::vector<SignedConfig>& configs, Effects& out) {
  for (const SignedConfig& config : configs) {
    --outstanding_;
    RegisteredMember* member = registry_.find(config.network, config.member);
    if (suspended_) {
      counters_.add(ControllerCount::kSuspended);
    } else if (member == nullptr || member->epoch != config.epoch || !member->view.authorized) {
      counters_.add(ControllerCount::kOvertaken);
    } else {
      member->last_config = now.mono;
      send_config(now, config, out);
    }
  }
}

void Controller::send_config(Now now, const SignedConfig& config, Effects& out) {
  const SendOptions options{.compress = true};
  for (const ByteVector& chunk : config.chunks) {
    Outbox::Packet packet{config.mark,
                          config.network,
                          config.member,
                          config.in_reply_to ? wire::Verb::kOk : wire::Verb::kNetworkConfig,
                          config.in_reply_to ? ByteVector(chunk.size() + 9) : chunk,
                          options};
    if (config.in_reply_to) {
      Writer w(packet.payload);
      wire::encode_ok(w, {static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest),
                          *config.in_reply_to, chunk});
    }
    say(now, std::move(packet), out);
  }
}

void Controller::send_error(Now now, wire::Address to, std::uint64_t in_reply_to,
                            wire::NetworkId id, wire::ErrorCode code, Effects& out) {
  std::array<std::uint8_t, 8> network;
  store_be64(network.data(), id.value);
  ByteVector payload(18);
  Writer w(payload);
  wire::encode_error(w, {static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest), in_reply_to,
                         static_cast<std::uint8_t>(code), network});
  say(now, {written(), id, to, wire::Verb::kError, std::move(payload), {}}, out);
}

bool Controller::recently_configured(Now now, wire::NetworkId network, wire::Address member) const {
  const NetworkEntry* net = registry_.find(network);
  if (net == nullptr) return false;
  const auto it = net->members.find(member);
  return it != net->members.end() && it->second.view.authorized && it->second.last_config != 0 &&
         now.mono - it->second.last_config <= kMulticastAuthorized;
}

std::vector<wire::Address> Controller::owners_of(wire::NetworkId network,
                                                 wire::MulticastGroup group) const {
  const NetworkEntry* net = registry_.find(network);
  if (net == nullptr) return {};
  std::vector<wire::Address> owners;
  if (group.mac.is_broadcast() && group.adi != 0) {
    const wire::Endpoint ip = wire::Endpoint::v4(group.adi, 0);
    if (net->view->prefix_of(ip)) owners = net->addresses.owners(ip);
  } else if ((group.mac.value >> 24) == 0x3333ff && group.adi == 0) {
    owners =
        net->addresses.owners_of_suffix(static_cast<std::uint32_t>(group.mac.value & 0xffffff));
  }
  std::erase_if(owners, [&](wire::Address owner) {
    const RegisteredMember& member = net->members.at(owner);
    return !member.view.authorized || member.mark > durable_;
  });
  return owners;
}

void Controller::tick(Now now, Effects& out) {
  if (began_ == 0) began_ = now.mono;
  drain_pushes(now, out);
  send_revocations(now, out);
  if (stalled() || now.mono < next_clearing_ || !registry_.any_departed()) return;
  (void)registry_.clear_departed(kClearedPerTurn);
  next_clearing_ = now.mono + kPushInterval;
}

Millis Controller::next_deadline() const {
  if (began_ == 0) return 0;
  if (stalled()) return std::numeric_limits<Millis>::max();
  constexpr Millis kNever = std::numeric_limits<Millis>::max();
  return std::min({pushes_.empty() && sweeps_.empty() ? kNever : next_push_,
                   revocations_.next_deadline(),
                   registry_.any_departed() ? next_clearing_ : kNever});
}

void Controller::queue_push(Now now, MemberKey key, const RegisteredMember& member) {
  if (wants_push(now, member) && push_queued_.insert(key).second) pushes_.push_back(key);
}

void Controller::drain_pushes(Now now, Effects& out) {
  if (stalled() || now.mono < next_push_ || (pushes_.empty() && sweeps_.empty())) return;
  std::size_t left = kPushesPerTurn, looks = kLooksPerTurn;
  const auto room = [&] { return left > 0 && outstanding_ < kPushJobsMost; };
  for (; room() && !pushes_.empty(); --left) {
    const MemberKey key = pushes_.front();
    pushes_.pop_front();
    push_queued_.erase(key);
    push(now, key, out);
  }
  while (room() && looks > 0 && !sweeps_.empty()) {
    const auto [id, sweep] = *sweeps_.begin();
    const NetworkEntry* net = registry_.find(id);
    auto it =
        net == nullptr ? decltype(net->members.begin()){} : net->members.lower_bound(sweep.next);
    while (net != nullptr && it != net->members.end() && room() && looks > 0 &&
           !(sweep.second && it->first >= *sweep.end)) {
      --looks;
      const wire::Address address = it->first;
      const bool wanted = wants_push(now, it->second);
      ++it;
      if (!wanted) continue;
      --left;
      push(now, {id, address}, out);
    }
    Sweep& state = sweeps_[id];
    const bool ended =
        net == nullptr || it == net->members.end() || (sweep.second && it->first >= *sweep.end);
    if (!ended) {
      state.next = it->first;
    } else if (net == nullptr || state.second || !state.end) {
      sweeps_.erase(id);
    } else {
      state = {{}, state.end, true};
    }
  }
  next_push_ = now.mono + kPushInterval;
}

void Controller::push(Now now, MemberKey key, Effects& out) {
  const auto [id, address] = key;
  const RegisteredMember* member = registry_.find(id, address);
  if (member == nullptr || !member->view.authorized || !member->identity ||
      id.controller() != transport_.self().address()) {
    return;
  }
  const wire::Identity identity = member->identity;
  const ByteVector metadata = member->metadata;
  const bool complete =
      is_complete(member->view, *registry_.find(id)->view, has_rules_engine(metadata));
  ConfigDraft draft = configure(now, id, complete ? std::nullopt : std::optional(member->record),
                                identity, metadata);
  if (address != transport_.self().address()) {
    dispatch(now, std::move(draft), std::nullopt, out);
  } else {
    registry_.find(id, address)->last_config = now.mono;
    ByteVector dictionary = wire::encode_network_config(issue(transport_.self(), draft));
    say(now, {written(), id, address, wire::Verb::kNetworkConfig, std::move(dictionary), {}}, out);
  }
}

/// Those who may still hold a certificate.
class Controller::OnlineMembers final : public Audience {
 public:
  /// `begins`: members have not had the time to ask us since we began.
  OnlineMembers(const Registry& registry, Now now, bool begins)
      : registry_(registry), now_(now.mono), begins_(begins) {}

  [[nodiscard]] wire::Address next(wire::NetworkId network, wire::Address& cursor,
                                   std::size_t& looks) const override {
    const auto* members = members_of(network);
    if (members == nullptr) return {};
    for (auto it = members->upper_bound(cursor); it != members->end() && looks > 0; ++it) {
      --looks;
      cursor = it->first;
      if (it->second.online(now_, kOnline) || (presumed(it->second) && it->second.view.authorized))
        return cursor;
    }
    return {};
  }

  [[nodiscard]] bool has(wire::NetworkId network, wire::Address member) const override {
    const auto* members = members_of(network);
    if (members == nullptr) return false;
    const auto it = members->find(member);
    return it != members->end() && (it->second.online(now_, kOnline) || presumed(it->second));
  }

  [[nodiscard]] std::size_t size(wire::NetworkId network) const override {
    const auto* members = members_of(network);
    return members == nullptr ? 0 : members->size();
  }

 private:
  [[nodiscard]] bool presumed(const RegisteredMember& member) const {
    return begins_ && member.last_request == 0;
  }

  [[nodiscard]] const std::map<wire::Address, RegisteredMember>* members_of(
      wire::NetworkId network) const {
    const NetworkEntry* net = registry_.find(network);
    return net == nullptr ? registry_.departed(network) : &net->members;
  }

  const Registry& registry_;
  const Millis now_;
  const bool begins_;
};

void Controller::revoke(Now now, wire::NetworkId id, const std::vector<wire::Address>& targets) {
  const OnlineMembers online(registry_, now, begins(now));
  if (targets.empty() || id.controller() != transport_.self().address()) return;
  const Millis threshold = stamp(now);
  last_stamp_ = threshold + 1;  // a certificate of the same millisecond would be void, too
  const std::size_t count = std::min(targets.size(), Revocations::kMost);
  for (std::size_t i = 0; i < count; ++i) {
    revocations_.add(
        revoke_membership(transport_.self(), id, targets[i],
                          static_cast<std::uint32_t>(transport_.random_u64()), threshold),
        online.has(id, targets[i]));
  }
}

void Controller::expel(Now now, wire::NetworkId id, wire::Address address,
                       const RegisteredMember& member, Effects& out) {
  revoke(now, id, {address});
  const bool ours = id.controller() == transport_.self().address();
  if (ours && address != transport_.self().address() && member.online(now.mono, kOnline))
    send_error(now, address, member.last_packet, id, wire::ErrorCode::kNetworkAccessDenied, out);
}

void Controller::send_revocations(Now now, Effects& out, std::size_t most) {
  if (stalled()) return;
  revocations_.send_due(
      now.mono, OnlineMembers(registry_, now, begins(now)),
      [&](wire::NetworkId id, wire::Address address, Bytes payload) {
        ByteVector copy(payload.begin(), payload.end());
        say(now, {written(), id, address, wire::Verb::kNetworkCredentials, std::move(copy), {}},
            out);
      },
      most);
}

Millis Controller::stamp(Now now) {
  last_stamp_ = std::max(last_stamp_, now.wall);
  return last_stamp_;
}

}  // namespace orrery::control
