// A controller under test with a transport that records, and members that ask it.
#pragma once

#include <stdexcept>
#include <tuple>

#include "control/controller/controller.h"
#include "fib/credential_check.h"
#include "support/fake_transport.h"
#include "support/vectors.h"
#include "wire/dictionary.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"
#include "wire/verbs/network_credentials.h"
#include "wire/verbs/ok.h"

namespace orrery::test {

/// The number-th identity of identity.json, with its private key.
inline crypto::SecretIdentity vector_identity(std::size_t number) {
  static const nlohmann::json valid = load_vectors("identity.json")["valid"];
  const auto parsed = wire::parse_identity(valid.at(number)["secret_text"].get<std::string>());
  if (!parsed || !parsed->has_private) throw std::runtime_error("identity.json: no such secret");
  return {parsed->identity, parsed->private_key};
}

/// An identity that is only a name: enough for whoever is issued something.
inline wire::Identity made_up_identity(std::uint64_t address) {
  wire::Identity identity;
  identity.address = wire::Address{address};
  for (std::size_t i = 0; i < identity.public_key.size(); ++i) {
    identity.public_key[i] = static_cast<std::uint8_t>(address >> (i % 5 * 8) ^ i);
  }
  return identity;
}

class ControllerLab {
 public:
  ControllerLab() : transport(vector_identity(0)), controller(transport) {}

  [[nodiscard]] wire::Address self() const { return transport.self().address(); }

  [[nodiscard]] wire::NetworkId network(std::uint32_t number) const {
    return wire::NetworkId{(self().value << 24) | number};
  }

  void advance(Millis ms) {
    now.mono += ms;
    now.wall += ms;
  }

  /// One HTTP call whose writes are committed to `disk`.
  nlohmann::json call(const std::string& method, const std::string& path,
                      const nlohmann::json& body, int status = 200) {
    const control::HttpAnswer answer =
        controller.handle(now, method, path, body.is_null() ? "" : body.dump(), out);
    commit();
    if (answer.status != status) {
      throw std::runtime_error(method + " " + path + ": " + std::to_string(answer.status) + " " +
                               answer.body);
    }
    return answer.body.empty() ? nlohmann::json() : nlohmann::json::parse(answer.body);
  }

  nlohmann::json set_network(wire::NetworkId id, const nlohmann::json& body) {
    return call("POST", "/controller/network/" + wire::to_string(id), body);
  }

  static std::string member_path(wire::NetworkId id, wire::Address member) {
    return "/controller/network/" + wire::to_string(id) + "/member/" + wire::to_string(member);
  }

  nlohmann::json set_member(wire::NetworkId id, wire::Address member, const nlohmann::json& body) {
    return call("POST", member_path(id, member), body);
  }

  nlohmann::json member(wire::NetworkId id, wire::Address address) {
    return call("GET", member_path(id, address), nullptr);
  }

  static ByteVector metadata(std::string_view token = {}, bool rules_engine = true) {
    wire::DictionaryWriter d;
    d.u64("v", 7);
    d.u64("pv", 12);
    d.u64("majv", 1);
    d.u64("minv", 14);
    d.u64("revv", 1);
    if (rules_engine) d.u64("revr", 1);
    if (!token.empty()) d.text("a", token);
    return d.encoded();
  }

  struct Answer {
    std::size_t packets = 0;
    wire::ErrorCode error = wire::ErrorCode::kNone;
    std::optional<wire::NetworkConfig> config;
  };

  /// `who` asks; what came back to it, with every chunk's signature checked.
  Answer request(wire::NetworkId id, const wire::Identity& who,
                 const ByteVector& meta = metadata()) {
    transport.known[who.address] = who;
    ByteVector payload(meta.size() + 64);
    Writer w(payload);
    wire::encode_network_config_request(w, {id, meta, 0, 0});
    control::Incoming in;
    in.source = who.address;
    in.packet_id = ++last_packet_id;
    in.verb = wire::Verb::kNetworkConfigRequest;
    in.payload = w.written();
    const std::size_t sent_before = transport.sent.size();
    controller.on_config_request(now, in, out);
    commit();
    return collect(sent_before, who.address, in.packet_id);
  }

  /// What `to` was sent since `from`: an error, an answer to `packet_id`, or (0) a push, to which
  /// an error of any request belongs, too.
  Answer collect(std::size_t from, wire::Address to, std::uint64_t packet_id) {
    Answer answer;
    ByteVector dictionary;
    for (std::size_t i = from; i < transport.sent.size(); ++i) {
      const FakeTransport::Sent& sent = transport.sent[i];
      if (sent.to != to) continue;
      Bytes body = sent.payload;
      if (sent.verb == wire::Verb::kError) {
        const auto error = wire::decode_error(body);
        if (!error || (packet_id != 0 && error->in_re_id != packet_id))
          throw std::runtime_error("error packet");
        answer.error = static_cast<wire::ErrorCode>(error->code);
        ++answer.packets;
        continue;
      }
      if (packet_id != 0) {
        if (sent.verb != wire::Verb::kOk) continue;
        const auto ok = wire::decode_ok(body);
        if (!ok || ok->in_re_id != packet_id || ok->in_re_verb != 0x0b)
          throw std::runtime_error("ok packet");
        body = ok->rest;
      } else if (sent.verb != wire::Verb::kNetworkConfig) {
        continue;
      }
      const auto chunk = wire::decode_config_chunk(body);
      if (!chunk || !chunk->has_signature || chunk->update_id == 0 ||
          chunk->offset != dictionary.size() ||
          !crypto::verify(transport.self().identity().public_key, chunk->signed_region,
                          chunk->signature)) {
        throw std::runtime_error("chunk");
      }
      dictionary.insert(dictionary.end(), chunk->data.begin(), chunk->data.end());
      ++answer.packets;
      if (dictionary.size() == chunk->total) {
        answer.config = wire::decode_network_config(dictionary);
        if (!answer.config) throw std::runtime_error("configuration does not decode");
        dictionary.clear();
      }
    }
    return answer;
  }

  [[nodiscard]] fib::IdentityLookup lookup() const {
    return [this](wire::Address a) { return a == self() ? &transport.self().identity() : nullptr; };
  }

  /// What the driver does after every input.
  void commit() {
    for (const control::StoreWrite& w : controller.take_writes()) {
      const auto key = std::tuple(w.kind, w.id, w.network, w.member);
      if (w.json.empty()) {
        all_on_disk.erase(key);
      } else {
        all_on_disk[key] = w;
      }
      if (w.kind != control::RecordKind::kRecord) continue;
      if (w.json.empty()) {
        disk.erase({w.network, w.member});
      } else {
        disk[{w.network, w.member}] = w.json;
      }
    }
    controller.on_committed(now, controller.written(), out);
  }

  FakeTransport transport;
  control::Controller controller;
  control::Effects out;
  Now now{1'000'000, 1'700'000'000'000};
  std::uint64_t last_packet_id = 0x1000;
  std::map<std::pair<wire::NetworkId, wire::Address>, std::string> disk;  // networks and members
  std::map<std::tuple<control::RecordKind, std::uint64_t, wire::NetworkId, wire::Address>,
           control::StoreWrite>
      all_on_disk;
};

}  // namespace orrery::test
