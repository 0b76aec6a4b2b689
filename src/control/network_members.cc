// Members of joined networks: their credentials coming in, ours going out, the gate, and the
// records that workers use. Source: docs/protocol/08-credentials.md sections 8 to 11.
#include <algorithm>

#include "control/network_state.h"
#include "crypto/kdf.h"
#include "wire/verbs/network_credentials.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

namespace {

wire::Address subject_of(const wire::CertificateOfMembership& com) {
  return com.issued_to();
}

wire::Address subject_of(const wire::Capability& capability) {
  return capability.issued_to();
}

wire::Address subject_of(const wire::Revocation& revocation) {
  return revocation.target;
}

template <typename Credential>
wire::Address subject_of(const Credential& credential) {
  return credential.issued_to;
}

wire::NetworkId network_of(const wire::CertificateOfMembership& com) {
  return com.network();
}

template <typename Credential>
wire::NetworkId network_of(const Credential& credential) {
  return credential.network;
}

/// What asks for the certificate of whoever sent this packet.
std::array<std::uint8_t, 18> need_certificate(wire::NetworkId id, wire::Verb verb,
                                              std::uint64_t packet) {
  std::array<std::uint8_t, 18> error;
  Writer w(error);
  std::array<std::uint8_t, 8> network;
  store_be64(network.data(), id.value);
  wire::encode_error(
      w, {static_cast<std::uint8_t>(verb), packet,
          static_cast<std::uint8_t>(wire::ErrorCode::kNeedMembershipCertificate), network});
  return error;
}

}  // namespace

fib::IdentityLookup Networks::State::lookup() const {
  return [this](wire::Address address) -> const wire::Identity* {
    if (address == self()) return &transport.self().identity();
    return transport.identity_of(address);
  };
}

void Networks::State::touch(Joined& net, MemberEntry& entry) {
  net.by_use.splice(net.by_use.end(), net.by_use, entry.place);
}

MemberEntry& Networks::State::member(Now now, Joined& net, wire::Address address, Effects& out) {
  const auto known = net.members.find(address);
  if (known != net.members.end()) {
    touch(net, known->second);
    return known->second;
  }
  if (net.members.size() >= kMaxMembers) {
    counters.add(NetworkCount::kMembersDisplaced);
    out.updates.push_back(fib::RemoveMember{net.id, net.by_use.front()});
    net.members.erase(net.by_use.front());
    net.by_use.pop_front();
  }
  MemberEntry& entry = net.members[address];
  entry.place = net.by_use.insert(net.by_use.end(), address);
  refresh_member(now, net, address, entry, out);
  return entry;
}

void Networks::State::refresh_member(Now now, Joined& net, wire::Address address,
                                     MemberEntry& entry, Effects& out) {
  if (!net.config) return;
  entry.allowed = net.config->is_public;
  if (!entry.allowed && net.config->com) {
    if (const wire::Identity* identity = transport.identity_of(address)) {
      entry.allowed = entry.membership.allowed(*net.config->com, crypto::fingerprint(*identity));
    }
  }
  fib::Member record;
  record.network = net.id;
  record.address = address;
  record.allowed = entry.allowed;
  record.active_bridge = std::binary_search(net.record.active_bridges.begin(),
                                            net.record.active_bridges.end(), address);
  record.revoked = !net.config->is_public && entry.membership.revoked();
  record.credentials_pushed = !push_due(now, net, entry);
  record.tags = entry.membership.usable_tags(*net.config);
  record.capabilities = entry.membership.usable_capabilities(*net.config);
  record.ownership = entry.membership.usable_ownership(*net.config);
  if (const auto rules = rate_rules.find(net.id); rules != rate_rules.end())
    apply_rates(rules->second, record);
  if (entry.published && *entry.published == record) return;
  entry.published = record;
  out.updates.push_back(std::move(record));
}

bool Networks::State::passes(Now now, Joined& net, wire::Address address, Effects& out) {
  if (!net.config || address == self()) return false;
  const auto it = net.members.find(address);
  if (it == net.members.end() && !net.config->is_public) return false;
  MemberEntry& entry = it == net.members.end() ? member(now, net, address, out) : it->second;
  touch(net, entry);
  if (!entry.allowed) refresh_member(now, net, address, entry, out);
  if (!entry.allowed) return false;
  if (entry.last_announce == 0 || now.mono - entry.last_announce >= kAnnounce) {
    entry.last_announce = now.mono;
    announce(now, net, address, all_groups(net), out);
  }
  return true;
}

bool Networks::State::gate(Now now, Joined& net, const Incoming& in, Effects& out) {
  if (passes(now, net, in.source, out)) return true;
  counters.add(NetworkCount::kGate);
  if (may_demand(now, in.source)) {
    transport.reply(now, in, wire::Verb::kError, need_certificate(net.id, in.verb, in.packet_id),
                    out);
  }
  return false;
}

bool Networks::State::may_demand(Now now, wire::Address from) {
  // One error a second for a member; strangers have no record, so theirs is kept with the peer.
  PeerRates& rate = rates(now, from);
  if (rate.last_error != 0 && now.mono - rate.last_error < kErrorInterval) return false;
  rate.last_error = now.mono;
  return true;
}

bool Networks::State::push_due(Now now, const Joined& net, const MemberEntry& entry) const {
  return entry.last_push == 0 || entry.pushed_generation != net.generation ||
         now.mono - entry.last_push > kPushAgain;
}

void Networks::State::push_credentials(Now now, Joined& net, wire::Address to, bool on_error,
                                       Effects& out) {
  if (!net.config || to == self()) return;
  if (on_error && !net.members.contains(to)) return push_to_stranger(now, net, to, out);
  MemberEntry& entry = member(now, net, to, out);
  if (!on_error && entry.published && entry.published->revoked) {
    // He may be in again, with a certificate that he has had no reason to show us.
    if (may_demand(now, to)) {
      transport.send(now, to, wire::Verb::kError, need_certificate(net.id, wire::Verb::kFrame, 0),
                     {}, out);
    }
    return;
  }
  if (!push_due(now, net, entry) && !on_error) return;
  // One that comes too early would be lost, and count as pushed.
  if (!may_push(now, to)) return;
  entry.last_push = now.mono;
  entry.pushed_generation = net.generation;
  send_credentials(now, net, to, out);
  refresh_member(now, net, to, entry, out);
}

bool Networks::State::may_push(Now now, wire::Address to) {
  PeerRates& rate = rates(now, to);
  if (rate.last_push != 0 && now.mono - rate.last_push < kPushApart) return false;
  rate.last_push = now.mono;
  return true;
}

void Networks::State::push_to_stranger(Now now, Joined& net, wire::Address to, Effects& out) {
  // The receiver of a copied frame is no member that we know, and has to know us all the same.
  if (!may_push(now, to)) return counters.add(NetworkCount::kPushRate);
  send_credentials(now, net, to, out);
}

void Networks::State::send_credentials(Now now, const Joined& net, wire::Address to, Effects& out) {
  for (const ByteVector& payload : pack_credentials(*net.config)) {
    transport.send(now, to, wire::Verb::kNetworkCredentials, payload, {.compress = true}, out);
  }
}

template <typename Credential>
AddResult Networks::State::add_credential(Now now, Joined& net, wire::Address subject,
                                          const Credential& credential, Effects& out) {
  const auto known = net.members.find(subject);
  if (known != net.members.end()) {
    const AddResult result = known->second.membership.add(credential, lookup());
    if (result == AddResult::kNew) refresh_member(now, net, subject, known->second, out);
    return result;
  }
  // A record only for what has been verified: forged ones leave nothing behind.
  Membership fresh;
  const AddResult result = fresh.add(credential, lookup());
  if (result == AddResult::kNew) {
    MemberEntry& entry = member(now, net, subject, out);
    entry.membership = std::move(fresh);
    refresh_member(now, net, subject, entry, out);
  }
  return result;
}

void Networks::State::count(AddResult result) {
  switch (result) {
    case AddResult::kNew:
    case AddResult::kRedundant:
      return;
    case AddResult::kNeedsSigner:
      return counters.add(NetworkCount::kSignerUnknown);
    case AddResult::kStale:
      return counters.add(NetworkCount::kCredentialStale);
    case AddResult::kRevoked:
      return counters.add(NetworkCount::kCredentialRevoked);
    case AddResult::kInvalid:
      return counters.add(NetworkCount::kCredentialSignature);
    case AddResult::kNotHeld:
      return counters.add(NetworkCount::kCredentialNotHeld);
  }
}

AddResult Networks::State::on_own_revocation(Joined& net, const wire::Revocation& revocation) {
  const bool membership =
      revocation.type == static_cast<std::uint8_t>(wire::CredentialType::kMembership);
  if (!membership || !net.config || !net.config->com) return AddResult::kNotHeld;
  if (revocation.threshold < net.config->com->timestamp()) return AddResult::kRedundant;
  switch (fib::check(revocation, lookup())) {
    case fib::CredentialCheck::kInvalid:
      return AddResult::kInvalid;
    case fib::CredentialCheck::kSignerUnknown:
      return AddResult::kNeedsSigner;
    case fib::CredentialCheck::kValid:
      break;
  }
  // As when the controller refuses us: the last good configuration stays in force, and is asked for
  // again in time.
  net.failure = NetworkState::kAccessDenied;
  return AddResult::kNew;
}

void Networks::State::accept_inline(Now now, Joined& net, const Incoming& in,
                                    const wire::CertificateOfMembership& com, Effects& out) {
  if (!com || com.network() != net.id || !com.issued_to()) {
    return counters.add(NetworkCount::kCredentialSubject);
  }
  PeerRates& rate = rates(now, in.source);
  if (!rate.may_verify(now.mono)) return counters.add(NetworkCount::kVerificationRate);
  rate.verification_failed(now.mono);  // each inline certificate costs a token, good or bad
  count(add_credential(now, net, com.issued_to(), com, out));
}

Handled Networks::State::on_credentials(Now now, const Incoming& in, Effects& out) {
  constexpr Millis kInterval = 1'000;
  PeerRates& rate = rates(now, in.source);
  if (rate.last_credentials != 0 && now.mono - rate.last_credentials < kInterval) {
    return refuse(NetworkCount::kCredentialsRate, Handled::kIgnored);
  }
  rate.last_credentials = now.mono;
  bool accepted = false;
  bool waits = false;
  const bool whole = wire::for_each_credential(in.payload, [&](const auto& credential) {
    using Credential = std::decay_t<decltype(credential)>;
    Joined* net = find(network_of(credential));
    const wire::Address subject = subject_of(credential);
    if (net == nullptr) return counters.add(NetworkCount::kUnknownNetwork);
    constexpr bool revokes = std::is_same_v<Credential, wire::Revocation>;
    if (!subject || (subject == self() && !revokes))
      return counters.add(NetworkCount::kCredentialSubject);
    if (!rate.may_verify(now.mono)) return counters.add(NetworkCount::kVerificationRate);
    AddResult result = AddResult::kNotHeld;
    if constexpr (revokes) {
      result = subject == self() ? on_own_revocation(*net, credential)
                                 : add_credential(now, *net, subject, credential, out);
    } else {
      result = add_credential(now, *net, subject, credential, out);
    }
    count(result);
    switch (result) {
      case AddResult::kNew:
        accepted = true;
        if constexpr (std::is_same_v<Credential, wire::Revocation>) {
          if ((credential.flags & wire::Revocation::kFastPropagation) == 0 || subject == self())
            break;
          const ByteVector packet = pack_revocation(credential);
          for (const auto& [address, entry] : net->members) {
            if (address == in.source || address == credential.signed_by) continue;
            transport.send(now, address, wire::Verb::kNetworkCredentials, packet,
                           {.compress = true}, out);
          }
        }
        break;
      case AddResult::kRedundant:
        accepted = true;
        break;
      case AddResult::kStale:
      case AddResult::kRevoked:
      case AddResult::kInvalid:
      case AddResult::kNotHeld:
        rate.verification_failed(now.mono);
        break;
      case AddResult::kNeedsSigner:
        waits = true;
        transport.request_identity(now, net->id.controller(), out);
        break;
    }
  });
  if (!whole) {
    counters.add(NetworkCount::kMalformedCredentials);
    rate.verification_failed(now.mono);
  }
  if (waits) {
    rate.last_credentials = 0;  // or the second run would meet our own limit
    return Handled::kNotYet;
  }
  return accepted ? Handled::kDoneTrusted : Handled::kDone;
}

}  // namespace orrery::control
