#include "sim/identities.h"

#include "crypto/kdf.h"

namespace orrery::sim {

namespace {

wire::Address address_of(const wire::PublicKey& key) {
  const crypto::Sha384 digest = crypto::sha384(key);
  wire::Address address{load_be64(digest.data()) >> 24};
  if (address.is_reserved()) address.value ^= 0x5a'0000'0001;
  return address;
}

/// For the moment that a look into a table takes.
class Hold {
 public:
  explicit Hold(std::atomic_flag& busy) : busy_(busy) {
    while (busy_.test_and_set(std::memory_order_acquire))
      busy_.wait(true, std::memory_order_relaxed);
  }

  ~Hold() {
    busy_.clear(std::memory_order_release);
    busy_.notify_one();
  }

  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  std::atomic_flag& busy_;
};

}  // namespace

crypto::SecretIdentity make_identity(Random& random) {
  wire::PrivateKey key;
  random.fill(key);
  wire::Identity identity;
  identity.public_key = crypto::public_key_of(key);
  identity.address = address_of(identity.public_key);
  return {identity, key};
}

crypto::SecretIdentity copy_of(const crypto::SecretIdentity& identity) {
  return {identity.identity(), identity.private_key()};
}

bool work_holds(const wire::Identity& identity) {
  return identity.address == address_of(identity.public_key);
}

bool Agreements::agree(const crypto::SecretIdentity& mine, const wire::PublicKey& theirs,
                       crypto::SharedSecret& out) {
  const std::uint64_t own = load_be64(mine.identity().public_key.data());
  const std::uint64_t other = load_be64(theirs.data());
  const Pair pair{std::min(own, other), std::max(own, other)};
  {
    const Hold hold(busy_);
    if (const auto known = known_.find(pair); known != known_.end()) {
      out = known->second;
      return true;
    }
  }
  if (!crypto::agree(mine.private_key(), theirs, out)) return false;
  const Hold hold(busy_);
  if (known_.size() >= limit_) known_.clear();
  known_.emplace(pair, out);
  return true;
}

}  // namespace orrery::sim
