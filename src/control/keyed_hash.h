// Hashes of the tables in control whose keys a stranger can choose: SipHash under a key of the
// process, so that nobody can aim at one bucket. Source: security 2.20 as summarised in
// docs/architecture.md.
#pragma once

#include "base/siphash.h"
#include "fib/path_key.h"
#include "wire/address.h"

namespace orrery::control {

struct KeyedHash {
  SipKey key;

  std::size_t operator()(std::uint64_t number) const noexcept {
    std::uint8_t bytes[8];
    store_be64(bytes, number);
    return siphash(key, bytes);
  }

  std::size_t operator()(wire::Address address) const noexcept { return (*this)(address.value); }

  std::size_t operator()(const wire::Endpoint& endpoint) const noexcept {
    std::uint8_t bytes[19];
    bytes[0] = endpoint.family;
    std::memcpy(bytes + 1, endpoint.ip.data(), 16);
    store_be16(bytes + 17, endpoint.port);
    return siphash(key, bytes);
  }

  std::size_t operator()(const fib::PathKey& path) const noexcept {
    return (*this)(path.remote) ^ (*this)(std::uint64_t{path.socket});
  }
};

}  // namespace orrery::control
