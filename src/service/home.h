// The home directory: files of identity, planet, moons, networks, peers and the API token, in
// zerotier-one's layout.
//
// Every write is atomic and durable: temporary file created with mode 0600, write, fsync, rename,
// fsync of the directory. A reader sees the old content or the new one, whatever kills the process
// in between. Symbolic links are not followed. One daemon per home: lock() holds `orrery.lock` for
// the life of the object. Source: docs/protocol/12-local-service.md section 2.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/effects.h"
#include "control/network.h"
#include "crypto/curve.h"
#include "service/peer_store.h"

namespace orrery::service {

class Home {
 public:
  /// Creates the directory (0700) and its subdirectories when missing, and makes secrets 0600.
  static Result<Home> open(const std::string& directory);
  /// Opens an existing directory for reading only (the command line's way in).
  static Home peek(const std::string& directory);

  Home(Home&&) noexcept;
  Home& operator=(Home&&) noexcept;
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home();

  [[nodiscard]] const std::string& directory() const { return directory_; }

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

  /// Second daemons are refused; the error names the process that holds the lock.
  Result<void> lock();

  /// Nothing when the file does not exist; an error when it exists and cannot be read.
  [[nodiscard]] Result<std::optional<ByteVector>> read(const std::string& name) const;
  /// Replaces a file, durable and atomic.
  Result<void> write(const std::string& name, Bytes content) const;
  Result<void> remove(const std::string& name) const;
  /// Names in a subdirectory that end in `suffix`, sorted.
  [[nodiscard]] std::vector<std::string> list(const std::string& subdirectory,
                                              const std::string& suffix) const;

  /// The identity of identity.secret, fully validated. A missing file yields a new identity, saved
  /// before it is returned; an empty or damaged one is an error, never a new identity.
  Result<crypto::SecretIdentity> identity() const;
  /// Whether identity.accepted speaks of this very key.
  [[nodiscard]] bool identity_accepted(const wire::Identity& self) const;

  /// A planet or moon as it is to be used.
  struct SavedWorld {
    ByteVector bytes;
    bool damaged = false;  // the file cannot be used; these are the bytes of the last good one
  };

  /// `planet` or a file of moons.d. Of every good one a copy is kept beside it (.last_good), which
  /// stands in when the file is damaged: it does not parse, or has lost the signature that the copy
  /// of the same document has. Nothing when there is no file: then it is not wanted.
  [[nodiscard]] Result<std::optional<SavedWorld>> world(const std::string& name) const;

  /// Content of authtoken.secret; made on first use: 24 characters a-z 0-9.
  Result<std::string> auth_token() const { return token_in("authtoken.secret"); }

  /// The same of metricstoken.secret.
  Result<std::string> metrics_token() const { return token_in("metricstoken.secret"); }

  /// From now on peers and what first use pins stand in peers.sqlite. True: there was such a file,
  /// and it was damaged (peer_store.h).
  Result<bool> open_peer_store();

  [[nodiscard]] bool has_peer_store() const { return peer_store_ != nullptr; }

  /// Pins of pins.json, and those of the peer store; of two for one address, that of pins.json.
  Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> pins() const;
  /// Local permissions in networks.d/<id>.local.conf; defaults where there is none.
  [[nodiscard]] control::NetworkSettings network_settings(wire::NetworkId id) const;

  /// What the peer store and peers.d know, the newest `most` of each; what nobody has written for
  /// 30 days is removed. `now`: seconds of the wall clock.
  [[nodiscard]] std::vector<std::pair<wire::Address, ByteVector>> cached_peers(
      std::int64_t now, std::size_t most) const;

  /// Carries out one SaveState. kPin and kPinByHand merge into pins.json.
  Result<void> save(const control::SaveState& state);

  /// One state, or any number of one kind of shared_kinds().
  Result<void> save(std::span<const control::SaveState> states);

  /// Kinds whose states are written together.
  [[nodiscard]] std::set<control::StateKind> shared_kinds() const;

  /// Any number of pins with one write of pins.json.
  Result<void> save_pins(std::span<const control::SaveState> states);
  /// Sets the collided identity files aside (identity.secret.saved_after_collision, then with .2
  /// and so on: none is ever overwritten) so that a start makes a new one.
  Result<void> set_identity_aside() const;

 private:
  explicit Home(std::string directory) : directory_(std::move(directory)) {}

  Result<std::string> token_in(const std::string& name) const;

  /// Writes over a file of the same size in its place: takes no room on a full disk. Old or new
  /// after a crash only while the file fits a sector. Any other file is replaced as by write().
  Result<void> overwrite(const std::string& name, Bytes content) const;
  /// Adds to the end of a file, durable; nothing that stands in it is touched.
  Result<void> append(const std::string& name, Bytes content) const;
  [[nodiscard]] Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> pins_of_file() const;

  std::string directory_;
  int lock_fd_ = -1;
  std::map<wire::Address, std::array<std::uint8_t, 48>> pins_;  // of pins.json, once written
  std::unique_ptr<PeerStore> peer_store_;
};

}  // namespace orrery::service
