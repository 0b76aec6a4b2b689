// Records of a zerotier-one controller with any content, taken over from its directory and served
// from then on: loading, showing and issuing must hold for whatever the files say.
//
// Input: [2] length of the network's file, that file, the member's file.
#include "control/controller/controller.h"
#include "fuzz/service/scratch_directory.h"
#include "fuzz/wire/verb_fuzz.h"
#include "service/controller_import.h"
#include "support/fake_transport.h"
#include "wire/dictionary.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"

namespace {

using namespace orrery;
using fuzz::check;

// Identities A and B of docs/protocol/01-identity.md section 9.
constexpr const char* kController =
    "74139a3ce3:0:"
    "d58cf3df97ce820744ae96c090d753808d8bb2baf7eb27569fe4c12c6338362d8bb04e1c1b83dddf311f5bcddf7c50"
    "ede3c0802f47ec796e2a131cf41298d9f3:"
    "10111213141516171f191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b"
    "3c3d3e3f404142434445464748494a4b4c4d4e4f";
constexpr const char* kMember =
    "171ed924fb:0:"
    "8305daee95ec2583edc9f88c76d800957264fab44594051d9e312ac6af5ca91d4fd099ccd47d7893dfe9ec24414ecb"
    "0d9b5420232aad30d91c465be33cbe65c4";
constexpr wire::NetworkId kNetwork{0x74139a3ce3000001};

void ask(control::Controller& controller, const wire::Identity& member) {
  wire::DictionaryWriter metadata;
  metadata.u64("v", 7);
  metadata.u64("revr", 1);
  ByteVector payload(512);
  Writer w(payload);
  wire::encode_network_config_request(w, {kNetwork, metadata.encoded(), 0, 0});
  control::Incoming in;
  in.source = member.address;
  in.packet_id = 7;
  in.verb = wire::Verb::kNetworkConfigRequest;
  in.payload = w.written();
  control::Effects out;
  controller.on_config_request({1'000'000, 1'700'000'000'000}, in, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchDirectory directory;
  crypto::init();
  Reader r(Bytes(data, size));
  const Bytes network = r.bytes(std::min<std::size_t>(r.u16(), r.remaining()));
  directory.put("network/74139a3ce3000001.json", network);
  directory.put("network/74139a3ce3000001/member/171ed924fb.json", r.rest());
  const auto imported = service::import_controller_records(directory.path());
  check(imported.records.size() + imported.skipped.size() <= 2);

  const auto own = wire::parse_identity(kController);
  const auto member = wire::parse_identity(kMember);
  check(own && member);
  test::FakeTransport transport({own->identity, own->private_key});
  transport.known[member->identity.address] = member->identity;
  control::Controller controller(transport);
  for (const auto& record : imported.records) (void)controller.load(record);
  control::Effects out;
  const Now now{1'000'000, 1'700'000'000'000};
  for (const char* path :
       {"/controller/network", "/controller/network/74139a3ce3000001",
        "/controller/network/74139a3ce3000001/member",
        "/controller/network/74139a3ce3000001/member/171ed924fb", "/unstable/controller/network",
        "/unstable/controller/network/74139a3ce3000001/member"}) {
    const auto answer = controller.handle(now, "GET", path, "", out);
    check(answer.status == 404 || nlohmann::json::accept(answer.body));
  }
  ask(controller, member->identity);
  for (const auto& sent : transport.sent) check(sent.payload.size() <= wire::kMaxPacket);
  (void)controller.handle(now, "POST", "/controller/network/74139a3ce3000001", "{}", out);
  (void)controller.handle(now, "DELETE", "/controller/network/74139a3ce3000001", "", out);
  return 0;
}
