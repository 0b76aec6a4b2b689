// Files of the home directory with any content: the first byte picks the file. Reading gives values
// or errors; what is read as pins or settings survives being saved and read again; a node starts
// with any peer, planet or moon file.
#include "control/network.h"
#include "control/node.h"
#include "fuzz/service/scratch_directory.h"
#include "fuzz/wire/verb_fuzz.h"
#include "service/home.h"

namespace {

using namespace orrery;
using fuzz::check;

// Identities A and B of docs/protocol/01-identity.md section 9.
constexpr const char* kOwn =
    "74139a3ce3:0:"
    "d58cf3df97ce820744ae96c090d753808d8bb2baf7eb27569fe4c12c6338362d8bb04e1c1b83dddf311f5bcddf7c50"
    "ede3c0802f47ec796e2a131cf41298d9f3:"
    "10111213141516171f191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b"
    "3c3d3e3f404142434445464748494a4b4c4d4e4f";
constexpr wire::Address kPeer{0x171ed924fb};
constexpr wire::NetworkId kNetwork{0x74139a3ce3000001};

control::NodeOptions options() {
  const auto own = wire::parse_identity(kOwn);
  check(own.has_value());
  control::NodeOptions o{.identity = {own->identity, own->private_key}};
  o.limits = {.peers = 16,
              .paths = 32,
              .reassembly = 16,
              .reassembly_bytes = 1u << 16,
              .waiting = 16,
              .outgoing = 16,
              .requests = 64,
              .seen = 64};
  o.entropy = [](MutableBytes out) {
    static std::uint8_t next = 0;
    for (std::uint8_t& byte : out) byte = ++next;
  };
  return o;
}

void start(control::NodeOptions o) {
  control::Node node(std::move(o));
  control::Effects out;
  const Now now{10'000, 1'700'000'000'000};
  node.on_local_endpoints(now, {{1, wire::Endpoint::v4(0x0a000001, 9993)}}, out);
  const std::uint8_t payload[] = {1, 2, 3};
  node.send(now, kPeer, wire::Verb::kEcho, payload, {}, out);
  node.tick({20'000, 1'700'000'010'000}, out);
  node.save_all({20'000, 1'700'000'010'000}, out);
  for (const control::Datagram& d : out.datagrams) check(d.payload.size() <= wire::kMaxUdpPayload);
}

void read_pins(service::Home home) {
  const auto pins = home.pins();
  if (!pins) return;
  const control::SaveState one{control::StateKind::kPin, kPeer.value, ByteVector(48, 1), false};
  check(home.save_pins({&one, 1}).has_value());
  const auto again = home.pins();
  check(again && again->size() == pins->size() + (pins->contains(kPeer) ? 0 : 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchDirectory directory;
  crypto::init();
  if (size == 0) return 0;
  const Bytes content(data + 1, size - 1);
  service::Home home = service::Home::peek(directory.path());
  switch (data[0] % 6) {
    case 0:
      directory.put("pins.json", content);
      read_pins(std::move(home));
      break;
    case 1:
      directory.put("networks.d/" + wire::to_string(kNetwork) + ".local.conf", content);
      (void)home.network_settings(kNetwork);
      break;
    case 2:
      directory.put("identity.secret", content);
      (void)home.identity();  // never a new one: the file is there
      break;
    case 3: {
      control::NodeOptions o = options();
      o.cached_peers = {{kPeer, ByteVector(content.begin(), content.end())}};
      start(std::move(o));
      break;
    }
    case 4: {
      control::NodeOptions o = options();
      o.planet.assign(content.begin(), content.end());
      o.moons.emplace_back(content.begin(), content.end());
      start(std::move(o));
      break;
    }
    default:
      directory.put("authtoken.secret", content.empty() ? Bytes(data, 1) : content);
      const auto token = home.auth_token();
      check(!token || !token->empty());
      break;
  }
  return 0;
}
