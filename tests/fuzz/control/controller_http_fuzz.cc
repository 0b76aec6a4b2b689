// A controller under a stream of operations, separated by NUL bytes: HTTP calls with any path and
// body, requests of members with any meta-data or payload, the clock.
//
//   "POST /controller/network/...\n<body>"   an HTTP call
//   "PATCH /api/v1/...?<query>\n<body>"       the same of /api/v1, with the daemon's own token
//   "r<n><meta-data>"                        member n asks for network 1
//   "p<n><payload>"                          member n sends this as a request
//   "t<n>"                                   2^n ms pass
//
// Invariants: answers are JSON or empty, a refused body changes nothing, what is to be stored loads
// into another controller as the same records, every configuration decodes.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "control/controller/api_v1.h"
#include "control/controller/controller.h"
#include "support/fake_transport.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"

namespace {

using namespace orrery;
using nlohmann::json;

// Identity A of docs/protocol/01-identity.md section 9.
constexpr const char* kSecret =
    "74139a3ce3:0:"
    "d58cf3df97ce820744ae96c090d753808d8bb2baf7eb27569fe4c12c6338362d8bb04e1c1b83dddf311f5bcddf7c50"
    "ede3c0802f47ec796e2a131cf41298d9f3:"
    "10111213141516171f191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b"
    "3c3d3e3f404142434445464748494a4b4c4d4e4f";

crypto::SecretIdentity own_identity() {
  const auto parsed = wire::parse_identity(kSecret);
  if (!parsed) std::abort();
  return {parsed->identity, parsed->private_key};
}

void require(bool holds) {
  if (!holds) std::abort();
}

struct Stage {
  Stage() : transport(own_identity()), controller(transport), api(controller) {}

  void http_v1(std::string_view method, std::string_view target, std::string_view body) {
    control::ApiCall call;
    call.method = method;
    call.path = target.substr(0, target.find('?'));
    call.body = body;
    call.local = true;
    std::string_view rest = target.substr(std::min(target.find('?'), target.size()));
    while (!rest.empty()) {
      rest.remove_prefix(1);
      const std::string_view one = rest.substr(0, rest.find('&'));
      call.query[std::string(one.substr(0, one.find('=')))] =
          one.substr(std::min(one.find('=') + 1, one.size()));
      rest.remove_prefix(one.size());
    }
    const control::ApiAnswer answer = api.handle(now, call, out);
    require(answer.body.empty() || json::accept(answer.body));
    const std::size_t written = commit();
    require(answer.status < 300 || written == 0);
    if (answer.status >= 400) {
      const control::JsonSchema& schema = api.schema();
      require(!schema.check(schema.named("Error"), json::parse(answer.body)));
    }
  }

  void http(std::string_view operation) {
    const std::size_t space = operation.find(' ');
    const std::size_t line = operation.find('\n');
    if (space == std::string_view::npos || line == std::string_view::npos || line < space) return;
    const std::string_view target = operation.substr(space + 1, line - space - 1);
    if (target.starts_with("/api/v1")) {
      http_v1(operation.substr(0, space), target, operation.substr(line + 1));
      return;
    }
    const auto answer =
        controller.handle(now, operation.substr(0, space), target, operation.substr(line + 1), out);
    require(answer.body.empty() || json::accept(answer.body));
    const std::size_t written = commit();
    require(answer.status == 200 || written == 0);
  }

  void request(std::uint8_t member, Bytes payload) {
    wire::Identity who;
    who.address = wire::Address{0x1100000000ULL + member % 8u};
    who.public_key[0] = member;
    transport.known[who.address] = who;
    control::Incoming in;
    in.source = who.address;
    in.packet_id = 77;
    in.payload = payload;
    controller.on_config_request(now, in, out);
    commit();
  }

  void ask(std::uint8_t member, std::string_view metadata) {
    ByteVector payload(metadata.size() + 32);
    Writer w(payload);
    wire::encode_network_config_request(
        w, {wire::NetworkId{(transport.self().address().value << 24) | 1},
            bytes_of(metadata.substr(0, 1'500)), 0, 0});
    request(member, w.written());
  }

  std::size_t commit() {
    const auto writes = controller.take_writes();
    for (const auto& write : writes) {
      if (write.kind != control::RecordKind::kRecord) continue;
      if (write.json.empty()) {
        disk.erase({write.network, write.member});
      } else {
        disk[{write.network, write.member}] = write.json;
      }
    }
    controller.on_committed(now, controller.written(), out);
    for (const auto& sent : transport.sent) {
      if (sent.verb != wire::Verb::kNetworkConfig) continue;
      const auto chunk = wire::decode_config_chunk(sent.payload);
      require(chunk &&
              (chunk->data.size() < chunk->total || wire::decode_network_config(chunk->data)));
    }
    transport.sent.clear();
    return writes.size();
  }

  /// A controller started from the disk has the records that this one has stored.
  void restart() {
    control::Controller again(transport);
    for (const auto& [key, text] : disk) require(again.load({key.first, key.second, text}));
    for (const auto& [id, net] : controller.registry().networks()) {
      const auto* loaded = again.registry().find(id);
      require(loaded != nullptr && loaded->record == net.record && loaded->bridges == net.bridges &&
              loaded->authorized == net.authorized);
      for (const auto& [address, member] : net.members) {
        const auto it = loaded->members.find(address);
        require(member.stored == (it != loaded->members.end()));
        require(!member.stored || it->second.record == member.record);
      }
    }
  }

  test::FakeTransport transport;
  control::Controller controller;
  control::ApiV1 api;
  control::Effects out;
  Now now{1'000'000, 1'700'000'000'000};
  std::map<std::pair<wire::NetworkId, wire::Address>, std::string> disk;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Stage stage;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view operation = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::uint8_t number = operation.size() > 1 ? static_cast<std::uint8_t>(operation[1]) : 0;
    const std::string_view tail = operation.substr(std::min<std::size_t>(2, operation.size()));
    if (operation.starts_with('r')) {
      stage.ask(number, tail);
    } else if (operation.starts_with('p')) {
      stage.request(number, bytes_of(tail));
    } else if (operation.starts_with('t')) {
      const Millis passed = Millis{1} << (number % 24);
      stage.now.mono += passed;
      stage.now.wall += passed;
      stage.controller.tick(stage.now, stage.out);
      stage.commit();
    } else {
      stage.http(operation);
    }
  }
  stage.restart();
  return 0;
}
