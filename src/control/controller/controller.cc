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
bool may_be(const MemberView& member, const wire::Identity& identity) {
  if (member.identity.empty()) return true;
  const auto parsed = wire::parse_identity(member.identity);
  return parsed && parsed->identity == identity;
}

}  // namespace

Controller::Controller(Transport& transport) : transport_(transport) {}

void Controller::on_config_request(Now now, const Incoming& in, Effects& out) {
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
  const MemberEntry* member = registry_.find(id, in.source);
  if (member != nullptr && may_be(member->view, identity)) {
    if (member->online(now.mono, kRequestInterval)) return counters_.add(ControllerCount::kTooSoon);
  } else if (!admit_stranger(now, {id, in.source})) {
    return counters_.add(ControllerCount::kStrangers);
  }
  const Decision decision =
      decide(now, id, identity,
             request->metadata.first(std::min(request->metadata.size(), kMetadataMost)));
  if (decision.error != wire::ErrorCode::kNone) {
    counters_.add(ControllerCount::kRefused);
    send_error(now, in, id, decision.error, out);
  } else {
    send_config(now, id, in.source, in.packet_id, decision.dictionary, out);
  }
}

ControllerRole::LocalAnswer Controller::on_local_request(Now now, wire::NetworkId network,
                                                         Bytes metadata, Effects&) {
  const wire::Identity& self = transport_.self().identity();
  if (network.controller() != self.address) return {wire::ErrorCode::kObjectNotFound, {}};
  Decision decision = decide(now, network, self, metadata);
  return {decision.error, std::move(decision.dictionary)};
}

bool Controller::admit_stranger(Now now, MemberKey key) {
  const auto it = refused_.find(key);
  if (it != refused_.end() && now.mono - it->second <= kRequestInterval) return false;
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

Controller::Decision Controller::decide(Now now, wire::NetworkId id, const wire::Identity& identity,
                                        Bytes metadata) {
  const NetworkEntry* net = registry_.find(id);
  if (net == nullptr) return {wire::ErrorCode::kObjectNotFound, {}};
  const MemberEntry* member = registry_.find(id, identity.address);
  json record = member == nullptr ? json::object() : member->record;
  const bool first_contact = member == nullptr;
  const bool stored = member != nullptr && member->stored;
  if (member != nullptr && !may_be(member->view, identity)) {
    return {wire::ErrorCode::kNetworkAccessDenied, {}};
  }
  if (first_contact || member->view.identity.empty())
    record["identity"] = wire::to_string(identity);
  fill_member(record, id, identity.address, now.wall);
  admit(record, net->view, metadata, now.wall);

  const MemberView view = view_member(record);
  const bool must_sign_on =
      net->view.sso && !view.sso_exempt && view.authentication_expiry <= now.wall;
  if (!view.authorized || must_sign_on) {
    registry_.put_member(id, identity.address, std::move(record), view.authorized || stored);
    registry_.touch(id, identity.address, now.mono);
    return {must_sign_on ? wire::ErrorCode::kNetworkAuthenticationRequired
                         : wire::ErrorCode::kNetworkAccessDenied,
            {}};
  }
  for (const auto& [field, key] :
       {std::pair{"vMajor", "majv"}, {"vMinor", "minv"}, {"vRev", "revv"}, {"vProto", "pv"}}) {
    record[field] = wire::dictionary_u64(metadata, key, 0);
  }
  Decision decision{wire::ErrorCode::kNone,
                    configure(now, id, std::move(record), identity, metadata, first_contact)};
  MemberEntry* configured = registry_.find(id, identity.address);
  configured->identity = identity;
  configured->metadata.assign(metadata.begin(), metadata.end());
  registry_.touch(id, identity.address, now.mono);
  return decision;
}

ByteVector Controller::configure(Now now, wire::NetworkId id, json record,
                                 const wire::Identity& identity, Bytes metadata,
                                 bool first_contact) {
  const NetworkEntry* net = registry_.find(id);
  const bool rules_engine = has_rules_engine(metadata);
  const bool was_bridge = net->bridges.contains(identity.address);
  complete_member(record, *net, identity.address, first_contact, rules_engine,
                  [this] { return transport_.random_u64(); });
  registry_.put_member(id, identity.address, std::move(record), true);
  if (net->bridges.contains(identity.address) != was_bridge) push_all(now, id);
  MemberEntry* member = registry_.find(id, identity.address);
  member->last_config = now.mono;
  return wire::encode_network_config(
      issue(transport_.self(), id, *net, identity, member->view, rules_engine, stamp(now)));
}

void Controller::send_config(Now now, wire::NetworkId id, wire::Address to,
                             std::optional<std::uint64_t> in_reply_to, Bytes dictionary,
                             Effects& out) {
  std::uint64_t update = 0;
  while (update == 0) update = transport_.random_u64();
  const SendOptions options{.compress = true};
  for (const ByteVector& chunk : sign_chunks(transport_.self(), id, dictionary, update)) {
    if (!in_reply_to) {
      transport_.send(now, to, wire::Verb::kNetworkConfig, chunk, options, out);
      continue;
    }
    ByteVector payload(chunk.size() + 9);
    Writer w(payload);
    wire::encode_ok(
        w, {static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest), *in_reply_to, chunk});
    transport_.send(now, to, wire::Verb::kOk, payload, options, out);
  }
}

void Controller::send_error(Now now, const Incoming& in, wire::NetworkId id, wire::ErrorCode code,
                            Effects& out) {
  std::array<std::uint8_t, 8> network;
  store_be64(network.data(), id.value);
  std::array<std::uint8_t, 18> payload;
  Writer w(payload);
  wire::encode_error(w, {static_cast<std::uint8_t>(wire::Verb::kNetworkConfigRequest), in.packet_id,
                         static_cast<std::uint8_t>(code), network});
  transport_.send(now, in.source, wire::Verb::kError, payload, {}, out);
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
    if (net->view.prefix_of(ip)) owners = net->addresses.owners(ip);
  } else if ((group.mac.value >> 24) == 0x3333ff && group.adi == 0) {
    owners =
        net->addresses.owners_of_suffix(static_cast<std::uint32_t>(group.mac.value & 0xffffff));
  }
  std::erase_if(owners,
                [&](wire::Address owner) { return !net->members.at(owner).view.authorized; });
  return owners;
}

void Controller::tick(Now now, Effects& out) {
  drain_pushes(now, out);
  send_revocations(now, out);
}

Millis Controller::next_deadline() const {
  if (suspended_) return std::numeric_limits<Millis>::max();
  return std::min(pushes_.empty() ? std::numeric_limits<Millis>::max() : next_push_,
                  revocations_.next_deadline());
}

void Controller::push_all(Now now, wire::NetworkId id) {
  for (const auto& [address, member] : registry_.find(id)->members)
    queue_push(now, {id, address}, member);
}

void Controller::queue_push(Now now, MemberKey key, const MemberEntry& member) {
  if (!member.view.authorized || !member.identity || !member.online(now.mono, kOnline)) return;
  if (push_queued_.insert(key).second) pushes_.push_back(key);
}

void Controller::drain_pushes(Now now, Effects& out) {
  if (suspended_ || pushes_.empty() || now.mono < next_push_) return;
  for (std::size_t i = 0; i < kPushesPerTurn && !pushes_.empty(); ++i) {
    const MemberKey key = pushes_.front();
    pushes_.pop_front();
    push_queued_.erase(key);
    push(now, key, out);
  }
  next_push_ = now.mono + kPushInterval;
}

void Controller::push(Now now, MemberKey key, Effects& out) {
  const auto [id, address] = key;
  const MemberEntry* member = registry_.find(id, address);
  if (member == nullptr || !member->view.authorized || !member->identity ||
      id.controller() != transport_.self().address()) {
    return;
  }
  const wire::Identity identity = member->identity;
  const ByteVector metadata = member->metadata;
  const ByteVector dictionary = configure(now, id, member->record, identity, metadata, false);
  if (address != transport_.self().address()) {
    send_config(now, id, address, std::nullopt, dictionary, out);
  } else if (local_) {
    local_(now, id, wire::Verb::kNetworkConfig, dictionary, out);
  }
}

void Controller::revoke(Now now, wire::NetworkId id, const std::vector<wire::Address>& targets,
                        Effects& out) {
  if (targets.empty() || id.controller() != transport_.self().address()) return;
  const Millis threshold = stamp(now);
  last_stamp_ = threshold + 1;  // a certificate of the same millisecond would be void, too
  const std::size_t count = std::min(targets.size(), Revocations::kMost);
  for (std::size_t i = 0; i < count; ++i) {
    revocations_.add(revoke_membership(transport_.self(), id, targets[i],
                                       static_cast<std::uint32_t>(transport_.random_u64()),
                                       threshold));
  }
  send_revocations(now, out);
}

std::vector<wire::Address> Controller::online_members(Now now, wire::NetworkId id) const {
  std::vector<wire::Address> online;
  const NetworkEntry* net = registry_.find(id);
  if (net == nullptr) return online;
  for (const auto& [address, member] : net->members) {
    if (member.online(now.mono, kOnline)) online.push_back(address);
  }
  return online;
}

void Controller::send_revocations(Now now, Effects& out) {
  revocations_.send_due(
      now.mono, [&](wire::NetworkId id) { return online_members(now, id); },
      [&](wire::NetworkId id, wire::Address address, Bytes payload) {
        if (address != transport_.self().address()) {
          transport_.send(now, address, wire::Verb::kNetworkCredentials, payload, {}, out);
        } else if (local_) {
          local_(now, id, wire::Verb::kNetworkCredentials, payload, out);
        }
      });
}

Millis Controller::stamp(Now now) {
  last_stamp_ = std::max(last_stamp_, now.wall);
  return last_stamp_;
}

}  // namespace orrery::control
