#include "service/home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "control/node.h"
#include "control/worlds.h"
#include "crypto/identity_work.h"
#include "service/pin_text.h"
#include "wire/dictionary.h"
#include "wire/identity.h"

namespace orrery::service {
namespace {

Error io_error(const std::string& what, const std::string& path) {
  const int code = errno;
  return Error{code == ENOSPC                    ? Errc::kFull
               : code == EACCES || code == EPERM ? Errc::kPermission
                                                 : Errc::kIo,
               what + " " + path + ": " + std::strerror(code)};
}

/// Closes on every way out.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}

  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }

  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

Result<void> sync_directory(const std::string& directory) {
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return std::unexpected(io_error("cannot sync directory", directory));
  return {};
}

constexpr const char* kLastGood = ".last_good";

std::string hex16(std::uint64_t v) {
  return wire::to_string(wire::NetworkId{v});
}

std::string hex10(std::uint64_t v) {
  return wire::to_string(wire::Address{v});
}

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<Home> Home::open(const std::string& directory) {
  std::error_code error;
  for (const char* sub : {"", "/networks.d", "/peers.d", "/moons.d"}) {
    const std::string path = directory + sub;
    std::filesystem::create_directories(path, error);
    if (error)
      return failure(Errc::kIo, "cannot create directory " + path + ": " + error.message());
    if (::chmod(path.c_str(), 0700) != 0)
      return std::unexpected(io_error("cannot protect directory", path));
  }
  Home home(directory);
  for (const char* secret : {"identity.secret", "authtoken.secret"}) {
    struct stat info{};
    const std::string path = home.path(secret);
    if (::lstat(path.c_str(), &info) != 0) continue;
    if (!S_ISREG(info.st_mode)) return failure(Errc::kInvalid, path + " is not a regular file");
    if ((info.st_mode & 077) != 0 && ::chmod(path.c_str(), 0600) != 0) {
      return std::unexpected(io_error("cannot protect", path));
    }
  }
  return home;
}

Home Home::peek(const std::string& directory) {
  return Home(directory);
}

Home::Home(Home&& other) noexcept
    : directory_(std::move(other.directory_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      pins_(std::move(other.pins_)),
      peer_store_(std::move(other.peer_store_)) {}

Home& Home::operator=(Home&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(pins_, other.pins_);
  std::swap(peer_store_, other.peer_store_);
  return *this;
}

Home::~Home() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<void> Home::lock() {
  const std::string file = path("orrery.lock");
  lock_fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_fd_ < 0) return std::unexpected(io_error("cannot open", file));
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t n = ::pread(lock_fd_, holder, sizeof holder - 1, 0);
    return failure(Errc::kExists,
                   "home directory " + directory_ + " is in use by process " +
                       (n > 0 ? std::string(trimmed({holder, static_cast<std::size_t>(n)})) : "?"));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_fd_, 0) != 0 ||
      ::pwrite(lock_fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return std::unexpected(io_error("cannot write", file));
  }
  return {};
}

Result<std::optional<ByteVector>> Home::read(const std::string& name) const {
  const std::string file = path(name);
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) {
    if (errno == ENOENT) return std::optional<ByteVector>{};
    return std::unexpected(io_error("cannot read", file));
  }
  constexpr std::size_t kMaxFile =
      64u << 20;  // no state file comes near; a device or FIFO would never end
  ByteVector content;
  std::array<std::uint8_t, 65536> chunk;
  for (;;) {
    const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(io_error("cannot read", file));
    if (n == 0) return std::optional<ByteVector>{std::move(content)};
    content.insert(content.end(), chunk.begin(), chunk.begin() + n);
    if (content.size() > kMaxFile) return failure(Errc::kInvalid, file + " is larger than 64 MiB");
  }
}

Result<void> Home::write(const std::string& name, Bytes content) const {
  const std::string file = path(name);
  const std::string temporary = file + ".new";
  {
    ::unlink(temporary.c_str());
    const Fd fd(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return std::unexpected(io_error("cannot create", temporary));
    std::size_t done = 0;
    while (done < content.size()) {
      const ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        const Error error = io_error("cannot write", temporary);
        ::unlink(temporary.c_str());
        return std::unexpected(error);
      }
      done += static_cast<std::size_t>(n);
    }
    if (::fsync(fd.get()) != 0) {
      const Error error = io_error("cannot sync", temporary);
      ::unlink(temporary.c_str());
      return std::unexpected(error);
    }
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) {
    const Error error = io_error("cannot replace", file);
    ::unlink(temporary.c_str());
    return std::unexpected(error);
  }
  return sync_directory(std::filesystem::path(file).parent_path().string());
}

Result<void> Home::overwrite(const std::string& name, Bytes content) const {
  const std::string file = path(name);
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0 || info.st_size != static_cast<off_t>(content.size())) {
    return write(name, content);
  }
  ssize_t n = 0;
  do {
    n = ::pwrite(fd.get(), content.data(), content.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(content.size()) || ::fdatasync(fd.get()) != 0)
    return std::unexpected(io_error("cannot write", file));
  return {};
}

Result<void> Home::append(const std::string& name, Bytes content) const {
  const std::string file = path(name);
  const Fd fd(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return std::unexpected(io_error("cannot open", file));
  // One write: of two processes neither cuts the other's lines, and a full disk takes all or some
  // of it, which the next line shows.
  ssize_t n = 0;
  do {
    n = ::write(fd.get(), content.data(), content.size());
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(content.size()) || ::fdatasync(fd.get()) != 0)
    return std::unexpected(io_error("cannot write", file));
  return {};
}

Result<void> Home::remove(const std::string& name) const {
  const std::string file = path(name);
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    return std::unexpected(io_error("cannot remove", file));
  return sync_directory(std::filesystem::path(file).parent_path().string());
}

std::vector<std::string> Home::list(const std::string& subdirectory,
                                    const std::string& suffix) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path(subdirectory), error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(suffix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<crypto::SecretIdentity> Home::identity() const {
  auto file = read("identity.secret");
  if (!file) return std::unexpected(file.error());
  if (!*file) {
    crypto::SecretIdentity made = crypto::generate_identity();
    std::string text = wire::to_string(made.identity(), made.private_key());
    auto saved = write("identity.secret", bytes_of(text));
    burn({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (!saved) return std::unexpected(saved.error());
    if (auto r = write("identity.public", bytes_of(wire::to_string(made.identity()))); !r) {
      return std::unexpected(r.error());
    }
    return made;
  }
  auto parsed = wire::parse_identity(trimmed(text_of(**file)));
  burn(**file);
  if (!parsed || !parsed->has_private) {
    return failure(
        Errc::kInvalid,
        path("identity.secret") +
            " holds no secret identity; restore it from a copy, or move it away to get a "
            "new address");
  }
  crypto::SecretIdentity identity(parsed->identity, parsed->private_key);
  const bool matches = crypto::public_key_of(parsed->private_key) == parsed->identity.public_key;
  burn(parsed->private_key);
  if (!matches || !crypto::validate(identity.identity())) {
    return failure(Errc::kInvalid, path("identity.secret") +
                                       " is damaged: its address and keys do not belong together");
  }
  const std::string text = wire::to_string(identity.identity());
  auto existing = read("identity.public");
  if (!existing || !*existing || trimmed(text_of(**existing)) != text) {
    if (auto r = write("identity.public", bytes_of(text)); !r) return std::unexpected(r.error());
  }
  return identity;
}

bool Home::identity_accepted(const wire::Identity& self) const {
  const auto marker = read("identity.accepted");
  return marker && *marker && **marker == control::accepted_marker(self);
}

Result<std::optional<Home::SavedWorld>> Home::world(const std::string& name) const {
  using wire::World;
  const World::Type type = name == "planet" ? World::Type::kPlanet : World::Type::kMoon;
  const auto parse = [&](const std::optional<ByteVector>& bytes) -> std::optional<World> {
    if (!bytes) return std::nullopt;
    Reader reader(*bytes);
    auto world = wire::read_world(reader);
    return world && world->type == type ? world : std::nullopt;
  };
  auto file = read(name);
  if (!file) return std::unexpected(file.error());
  if (!*file) return std::optional<SavedWorld>{};
  const std::string copy_name = name + kLastGood;
  const auto copy = read(copy_name);
  const std::optional<World> now = parse(*file);
  const std::optional<World> before = copy ? parse(*copy) : std::nullopt;
  const bool lost_signature = now && before && now->id == before->id &&
                              now->timestamp <= before->timestamp &&
                              control::signs_itself(*before) && !control::signs_itself(*now);
  if (before && (!now || lost_signature)) return SavedWorld{**copy, true};
  // A copy that cannot be kept is no reason to do without the world.
  if (now && (!copy || *copy != *file)) (void)write(copy_name, **file);
  return SavedWorld{std::move(**file), false};
}

Result<std::string> Home::token_in(const std::string& name) const {
  auto file = read(name);
  if (!file) return std::unexpected(file.error());
  if (*file) {
    const std::string token(trimmed(text_of(**file)));
    if (!token.empty()) return token;
  }
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string token;
  while (token.size() < 24) {
    std::uint8_t byte = 0;
    if (::getrandom(&byte, 1, 0) != 1)
      return failure(Errc::kIo, "the system gives no random bytes");
    if (byte < kLetters.size() * 7)
      token.push_back(kLetters[byte % kLetters.size()]);  // 252 of 256: no bias
  }
  if (auto r = write(name, bytes_of(token)); !r) return std::unexpected(r.error());
  return token;
}

Result<bool> Home::open_peer_store() {
  bool damaged = false;
  auto opened = PeerStore::open(path(PeerStore::kFileName), damaged);
  if (!opened) return std::unexpected(opened.error());
  peer_store_ = std::make_unique<PeerStore>(std::move(*opened));
  return damaged;
}

Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> Home::pins() const {
  auto pins = pins_of_file();
  if (!pins || peer_store_ == nullptr) return pins;
  auto stored = peer_store_->pins();
  if (!stored) return stored;
  pins->merge(*stored);
  return pins;
}

Result<std::map<wire::Address, std::array<std::uint8_t, 48>>> Home::pins_of_file() const {
  auto file = read("pins.json");
  if (!file) return std::unexpected(file.error());
  if (!*file) return Pins{};
  auto read_pins = parse_pins(text_of(**file));
  if (!read_pins) return failure(Errc::kInvalid, path("pins.json") + ": " + read_pins.error().text);
  return read_pins;
}

Result<void> Home::save_pins(std::span<const control::SaveState> states) {
  if (pins_.empty()) {
    auto loaded = pins_of_file();
    if (!loaded) return std::unexpected(loaded.error());
    pins_ = std::move(*loaded);
  }
  for (const control::SaveState& state : states) {
    if (state.remove) {
      pins_.erase(wire::Address{state.id});
    } else if (state.bytes.size() == 48) {
      std::copy(state.bytes.begin(), state.bytes.end(), pins_[wire::Address{state.id}].begin());
    } else {
      return failure(Errc::kInvalid, "a pin is a hash of 48 bytes");
    }
  }
  return write("pins.json", bytes_of(pins_text(pins_)));
}

std::vector<std::pair<wire::Address, ByteVector>> Home::cached_peers(std::int64_t now,
                                                                     std::size_t most) const {
  // Source: docs/protocol/12-local-service.md section 2.
  constexpr std::int64_t kMostAge = 30 * 24 * 3600;  // seconds

  struct Candidate {
    std::int64_t written;
    wire::Address address;
    std::string name;
  };

  std::vector<Candidate> candidates;
  for (const std::string& file : list("peers.d", ".peer")) {
    const std::string name = "peers.d/" + file;
    const auto address = wire::parse_address(std::string_view(file).substr(0, file.size() - 5));
    struct stat info{};
    if (!address || ::lstat(path(name).c_str(), &info) != 0) continue;
    if (now - info.st_mtim.tv_sec > kMostAge) {
      ::unlink(path(name).c_str());  // a cache: if it stays, the next start tries again
      continue;
    }
    candidates.push_back({info.st_mtim.tv_sec, *address, name});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.written > b.written; });
  if (candidates.size() > most) candidates.resize(most);
  std::vector<std::pair<wire::Address, ByteVector>> peers;
  if (peer_store_ != nullptr) {
    // A store that cannot be read costs proofs, not the start.
    if (auto stored = peer_store_->peers(now - kMostAge, most)) peers = std::move(*stored);
  }
  // Files beside it are of the time before it: whoever takes the first record of an address is
  // right.
  for (const Candidate& c : candidates) {
    auto content = read(c.name);
    if (content && *content) peers.emplace_back(c.address, std::move(**content));
  }
  return peers;
}

control::NetworkSettings Home::network_settings(wire::NetworkId id) const {
  control::NetworkSettings settings;
  const auto file = read("networks.d/" + wire::to_string(id) + ".local.conf");
  if (!file || !*file) return settings;
  const Bytes content = **file;
  settings.allow_global = wire::dictionary_bool(content, "allowGlobal", false);
  settings.allow_default = wire::dictionary_bool(content, "allowDefault", false);
  settings.allow_dns = wire::dictionary_bool(content, "allowDNS", false);
  const auto managed = wire::dictionary_text(content, "allowManaged");
  if (managed && managed->size() > 5) {
    std::string_view rest = *managed;
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      if (const auto network = wire::parse_endpoint(rest.substr(0, comma))) {
        settings.allow_managed_within.push_back(*network);
      }
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
  } else {
    settings.allow_managed = wire::dictionary_bool(content, "allowManaged", true);
  }
  return settings;
}

std::set<control::StateKind> Home::shared_kinds() const {
  using control::StateKind;
  std::set<StateKind> kinds = {StateKind::kPin, StateKind::kPinByHand, StateKind::kIdentityLog};
  if (peer_store_ != nullptr) kinds.insert(StateKind::kPeer);
  return kinds;
}

Result<void> Home::save(std::span<const control::SaveState> states) {
  using control::StateKind;
  switch (states.front().kind) {
    case StateKind::kPin:
    case StateKind::kPeer:
      if (peer_store_ != nullptr) return peer_store_->save(states, ::time(nullptr));
      return states.front().kind == StateKind::kPin ? save_pins(states) : save(states.front());
    case StateKind::kPinByHand:
      return save_pins(states);
    case StateKind::kIdentityLog: {
      ByteVector lines;
      for (const control::SaveState& state : states)
        lines.insert(lines.end(), state.bytes.begin(), state.bytes.end());
      return append("identity.log", lines);
    }
    default:
      return save(states.front());
  }
}

Result<void> Home::save(const control::SaveState& state) {
  using control::StateKind;
  std::string name;
  switch (state.kind) {
    case StateKind::kIdentity: {
      const auto parsed = wire::parse_identity(text_of(state.bytes));
      if (!parsed)
        return failure(Errc::kInvalid, "refusing to save an identity that does not parse");
      if (auto r = write("identity.secret", state.bytes); !r) return r;
      return write("identity.public", bytes_of(wire::to_string(parsed->identity)));
    }
    case StateKind::kPin:
    case StateKind::kPinByHand:
    case StateKind::kIdentityLog:
      return save(std::span(&state, 1));
    case StateKind::kPlanet:
      name = "planet";
      break;
    case StateKind::kMoon:
      name = "moons.d/" + hex16(state.id) + ".moon";
      break;
    case StateKind::kPeer:
      if (peer_store_ != nullptr) return save(std::span(&state, 1));
      name = "peers.d/" + hex10(state.id) + ".peer";
      break;
    case StateKind::kNetwork:
      name = "networks.d/" + hex16(state.id) + ".conf";
      break;
    case StateKind::kNetworkLocal:
      name = "networks.d/" + hex16(state.id) + ".local.conf";
      break;
    case StateKind::kNonce:
      return overwrite("nonce.state", state.bytes);
    case StateKind::kAccepted:
      name = "identity.accepted";
      break;
  }
  if (state.kind == StateKind::kPlanet || state.kind == StateKind::kMoon) {
    // The copy comes last: while it is written, the file is whole.
    auto done = state.remove ? remove(name) : write(name, state.bytes);
    if (!done) return done;
    name += kLastGood;
  }
  return state.remove ? remove(name) : write(name, state.bytes);
}

Result<void> Home::set_identity_aside() const {
  const std::string from = path("identity.secret");
  std::string to = path("identity.secret.saved_after_collision");
  struct stat info{};
  for (int number = 2; ::lstat(to.c_str(), &info) == 0; ++number)
    to = path("identity.secret.saved_after_collision." + std::to_string(number));
  if (::rename(from.c_str(), to.c_str()) != 0)
    return std::unexpected(io_error("cannot rename", from));
  ::unlink(path("identity.public").c_str());
  return sync_directory(directory_);
}

}  // namespace orrery::service
