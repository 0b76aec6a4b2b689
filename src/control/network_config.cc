// Configurations of joined networks: asking for them, taking them in, putting them in force.
// Source: docs/protocol/07-network-config.md.
#include <algorithm>

#include "control/network_state.h"
#include "wire/dictionary.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

namespace {

/// Same keys, order and values as the reference. Source: tests/vectors/netconf_request.json.
ByteVector request_metadata() {
  wire::DictionaryWriter w(1024);
  w.u64("v", 7);
  w.u64("vend", 1);
  w.u64("pv", wire::kProtocolVersion);
  w.u64("majv", wire::kSoftwareMajor);
  w.u64("minv", wire::kSoftwareMinor);
  w.u64("revv", wire::kSoftwareRevision);
  w.u64("mr", wire::kMaxRules);
  w.u64("mc", wire::kMaxCapabilities);
  w.u64("mcr", wire::kMaxCapabilityRules);
  w.u64("mt", wire::kMaxTags);
  w.u64("f", 0);
  w.u64("revr", 1);
  w.text("o", "linux/x86_64");
  return w.encoded();
}

fib::Network network_record(const wire::NetworkConfig& config, wire::Address self, wire::Mac mac) {
  fib::Network record;
  record.id = config.network;
  record.self = self;
  record.mac = mac;
  record.mtu = config.mtu;
  record.multicast_limit =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(config.multicast_limit, 0xffffffff));
  record.broadcast = config.has_flag(wire::NetworkConfig::kBroadcast);
  record.ndp_emulation = config.has_flag(wire::NetworkConfig::kNdpEmulation);
  record.unknown_match_result = config.has_flag(wire::NetworkConfig::kUnknownMatch);
  record.compress = !config.has_flag(wire::NetworkConfig::kNoCompression);
  record.is_public = config.is_public;
  for (const wire::Specialist& specialist : config.specialists) {
    if (specialist.has(wire::Specialist::kActiveBridge)) {
      record.active_bridges.push_back(specialist.address());
    }
  }
  std::sort(record.active_bridges.begin(), record.active_bridges.end());
  record.active_bridge =
      std::binary_search(record.active_bridges.begin(), record.active_bridges.end(), self);
  record.rules = config.rules;
  for (const wire::Capability& capability : config.capabilities) {
    record.capabilities.push_back({capability.id, shared_rules(capability)});
  }
  for (const wire::Tag& tag : config.tags) record.tags.push_back({tag.id, tag.value});
  for (const auto& coo : config.ownerships) append_ownership(record.ownership, coo);
  record.static_ips = config.static_ips;
  return record;
}

NetworkState state_of(wire::ErrorCode code) {
  switch (code) {
    case wire::ErrorCode::kNetworkAccessDenied:
      return NetworkState::kAccessDenied;
    case wire::ErrorCode::kNetworkAuthenticationRequired:
      return NetworkState::kAuthenticationRequired;
    default:
      return NetworkState::kNotFound;
  }
}

}  // namespace

void Networks::State::request_config(Now now, Joined& net, Effects& out) {
  if (net.id.is_adhoc()) {
    if (adhoc_range_empty(net.id)) net.failure = NetworkState::kNotFound;
    if (auto config = adhoc_config(net.id, self(), now.wall)) {
      apply_config(now, net, std::move(*config), out);
    }
    return;
  }
  const ByteVector metadata = request_metadata();
  if (net.id.controller() == self()) {
    if (controller == nullptr) {
      net.failure = NetworkState::kNotFound;
      return;
    }
    const auto answer = controller->on_local_request(now, net.id, metadata, out);
    if (answer.error != wire::ErrorCode::kNone) {
      net.failure = state_of(answer.error);
    } else if (!answer.dictionary.empty()) {
      accept_config(now, net, answer.dictionary, true, out);
    }
    return;
  }
  ByteVector payload(metadata.size() + 32);
  Writer w(payload);
  wire::NetworkConfigRequest request{net.id, metadata, 0, 0};
  if (net.config) {
    request.have_revision = net.config->revision;
    request.have_timestamp = static_cast<std::uint64_t>(net.config->timestamp);
  }
  wire::encode_network_config_request(w, request);
  transport.send(now, net.id.controller(), wire::Verb::kNetworkConfigRequest, w.written(),
                 {.compress = true, .expect_reply = true, .context = net.id.value}, out);
}

Handled Networks::State::on_config(Now now, const Incoming& in, Bytes body, bool answer,
                                   std::uint64_t asked_for, Effects& out) {
  const auto chunk = wire::decode_config_chunk(body);
  if (!chunk) {
    return refuse(answer ? NetworkCount::kMalformedAnswer : NetworkCount::kMalformedConfig);
  }
  if (answer && chunk->network.value != asked_for) return refuse(NetworkCount::kUnsolicited);
  Joined* net = find(chunk->network);
  if (net == nullptr) return refuse(NetworkCount::kUnknownNetwork);
  if (net->id.is_adhoc()) return refuse(NetworkCount::kConfigSender);
  const wire::Address controller_address = net->id.controller();
  const bool fresh = answer && in.source == controller_address;
  if (!chunk->has_signature) {
    // The legacy form is as good as its sender's word.
    if (in.source != controller_address) return refuse(NetworkCount::kConfigSender);
    if (chunk->data.size() >= wire::kMaxConfigSize) {
      return refuse(NetworkCount::kConfigImplausible);
    }
    accept_config(now, *net, chunk->data, fresh, out);
    return Handled::kDone;
  }
  if (!ConfigAssembly::plausible(*chunk)) return refuse(NetworkCount::kConfigImplausible);
  if (net->assembly.seen(*chunk)) return refuse(NetworkCount::kConfigRepeated);
  const wire::Identity* signer = transport.identity_of(controller_address);
  if (signer == nullptr) {
    transport.request_identity(now, controller_address, out);
    return refuse(NetworkCount::kSignerUnknown, Handled::kNotYet);
  }
  PeerRates& rate = rates(now, in.source);
  if (!rate.may_verify(now.mono)) return refuse(NetworkCount::kVerificationRate);
  if (!crypto::verify(signer->public_key, chunk->signed_region, chunk->signature)) {
    rate.verification_failed(now.mono);
    return refuse(NetworkCount::kConfigSignature);
  }
  if ((chunk->flags & wire::ConfigChunk::kPropagate) != 0) {
    for (const auto& [address, entry] : net->members) {
      if (address == in.source || address == controller_address || address == self()) continue;
      transport.send(now, address, wire::Verb::kNetworkConfig, chunk->body, {.compress = true},
                     out);
    }
  }
  const auto complete = net->assembly.add(now.mono, *chunk, fresh);
  if (!complete || !accept_config(now, *net, complete->dictionary, complete->fresh, out)) {
    return Handled::kDone;
  }
  if (!answer) {
    std::array<std::uint8_t, 25> ok;
    Writer w(ok);
    w.u8(static_cast<std::uint8_t>(wire::Verb::kEcho));  // not 0x0c: section 6.3
    w.u64(in.packet_id);
    w.u64(net->id.value);
    w.u64(chunk->update_id);
    transport.reply(now, in, wire::Verb::kOk, w.written(), out);
  }
  return Handled::kDone;
}

bool Networks::State::accept_config(Now now, Joined& net, Bytes dictionary, bool fresh,
                                    Effects& out) {
  auto config = wire::decode_network_config(dictionary);
  if (!config || config->network != net.id || config->issued_to != self()) {
    counters.add(NetworkCount::kConfigRefused);
    return false;
  }
  if (net.config && !fresh && config->timestamp < net.config->timestamp) {
    counters.add(NetworkCount::kConfigStale);
    out.notices.push_back({Notice::Level::kWarning, "network " + wire::to_string(net.id) +
                                                        ": an older configuration was refused"});
    return false;
  }
  apply_config(now, net, std::move(*config), out);
  return true;
}

void Networks::State::apply_config(Now now, Joined& net, wire::NetworkConfig config, Effects& out) {
  net.failure = NetworkState::kOk;
  net.last_config = now.mono;
  if (net.config && *net.config == config) return;
  const bool broadcast_before = net.config && net.record.broadcast;
  net.config = std::move(config);
  fib::Network record = network_record(*net.config, self(), net.mac);
  record.match_tags = match_tags.contains(net.id);
  // Lists that did not change stay the same objects, so that records compare equal.
  for (fib::CapabilityRules& capability : record.capabilities) {
    for (const fib::CapabilityRules& old : net.record.capabilities) {
      if (old.id == capability.id && *old.rules == *capability.rules) capability.rules = old.rules;
    }
  }
  const bool changed = net.generation == 0 || !(record == net.record);
  net.record = std::move(record);
  ++net.generation;
  if (changed) out.updates.push_back(net.record);
  for (auto& [address, entry] : net.members) refresh_member(now, net, address, entry, out);
  refresh_groups(now, net, out);  // another limit, other bridges, replicators
  configure_port(net, out);
  if (!net.id.is_adhoc()) {
    out.saves.push_back(
        {StateKind::kNetwork, net.id.value, wire::encode_network_config(*net.config), false});
  }
  if (net.record.broadcast && !broadcast_before) {
    announce_new(now, net, {{wire::kBroadcastMac, 0}}, out);
  }
}

void Networks::State::configure_port(Joined& net, Effects& out) {
  ConfigurePort port =
      plan_port(net.id, net.mac, net.config ? &*net.config : nullptr, net.settings);
  const auto same = [&](const ConfigurePort& old) {
    return old.mtu == port.mtu && old.addresses == port.addresses && old.routes == port.routes;
  };
  if (net.port && same(*net.port)) return;
  net.port = port;
  out.ports.push_back(std::move(port));
}

Handled Networks::State::on_config_error(const Incoming& in, const Answered* answered, Bytes rest,
                                         wire::ErrorCode code) {
  const auto about = wire::decode_network_error(rest);
  if (!about) return refuse(NetworkCount::kMalformedError);
  if (answered == nullptr || answered->verb != wire::Verb::kNetworkConfigRequest ||
      answered->context != about->network.value || in.source != about->network.controller()) {
    return refuse(NetworkCount::kUnsolicited);
  }
  // The last good configuration stays in force: only the reported state changes.
  Joined* net = find(about->network);
  if (net == nullptr) return refuse(NetworkCount::kUnknownNetwork);
  net->failure = state_of(code);
  return Handled::kDone;
}

}  // namespace orrery::control
