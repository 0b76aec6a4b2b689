// The peer store of a root that knows --peers others, for tools/bench root: writes
// DIR/peers.sqlite. They share one key and differ by address, so they are no real nodes; the daemon
// cannot tell, since it takes what stands in its own store as proven.
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "crypto/kdf.h"
#include "service/peer_store.h"

int main(int argc, char** argv) {
  using namespace orrery;
  crypto::init();
  std::string directory;
  std::uint64_t peers = 1'000'000;
  CLI::App app("Writes the peer store of a large root.");
  app.add_option("DIR", directory)->required();
  app.add_option("--peers", peers)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  bool damaged = false;
  auto store = service::PeerStore::open(directory + "/" + service::PeerStore::kFileName, damaged);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().text.c_str());
    return 1;
  }
  wire::PrivateKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 7 + 1);
  wire::Identity identity{wire::Address{}, crypto::public_key_of(key)};
  constexpr std::uint64_t kAtOnce = 50'000;
  for (std::uint64_t begin = 0; begin < peers; begin += kAtOnce) {
    std::vector<control::SaveState> states;
    for (std::uint64_t i = begin; i < std::min(begin + kAtOnce, peers); ++i) {
      identity.address = wire::Address{0x0100000000 + i * 7};
      ByteVector record(128);
      Writer w(record);
      w.u8(2);  // as in docs/protocol/04-paths-and-roots.md section 18
      wire::write_identity(w, identity);
      for (const unsigned version : {12u, 1u, 14u, 1u}) w.u16(static_cast<std::uint16_t>(version));
      w.u16(1);
      wire::write_endpoint(
          w, wire::Endpoint::v4(0x50000000 + static_cast<std::uint32_t>(i * 256), 9993));
      record.resize(w.size());
      states.push_back({control::StateKind::kPeer, identity.address.value, record, false});
      const auto hash = crypto::fingerprint(identity);
      states.push_back({control::StateKind::kPin, identity.address.value,
                        ByteVector(hash.begin(), hash.end()), false});
    }
    if (auto saved = store->save(states, ::time(nullptr)); !saved) {
      std::fprintf(stderr, "%s\n", saved.error().text.c_str());
      return 1;
    }
  }
}
