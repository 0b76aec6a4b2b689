// Who a root knows, on disk: records of peers, and the keys that first use has bound to their
// addresses, in one SQLite file (peers.sqlite). Other nodes keep both in files (peers.d,
// pins.json), each with two syncs of the disk, which a root with a million peers cannot afford.
//
// What is there was proven before it was written: after a restart nobody's work is checked again.
// Records are a cache and may lag behind; kill -9 loses no commit that returned, a loss of power
// the last ones at most. A damaged file is moved aside (peers.sqlite.damaged) and begun anew: peers
// are met and proven again. Not thread-safe: load first, then hand the object to the saver.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "control/effects.h"
#include "service/sqlite_file.h"

namespace orrery::service {

class PeerStore {
 public:
  static constexpr int kSchemaVersion = 1;
  static constexpr const char* kFileName = "peers.sqlite";

  /// Opens or creates the file. `damaged`: there was one that could not be read; it is kept beside.
  static Result<PeerStore> open(const std::string& file, bool& damaged);

  /// Records written since `oldest` (seconds of the wall clock), the newest `most` of them; older
  /// ones are removed.
  Result<std::vector<std::pair<wire::Address, ByteVector>>> peers(std::int64_t oldest,
                                                                  std::size_t most);
  Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> pins();

  /// States of the kinds kPeer and kPin, all or nothing. `now`: seconds of the wall clock.
  Result<void> save(std::span<const control::SaveState> states, std::int64_t now);

 private:
  explicit PeerStore(SqliteFile file) : file_(std::move(file)) {}

  Result<void> write_all(std::span<const control::SaveState> states, std::int64_t now);

  SqliteFile file_;
};

}  // namespace orrery::service
