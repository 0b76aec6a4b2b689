#include "crypto/peer_keys.h"

#include <cstdio>
#include <cstdlib>

#include "crypto/aes_gmac_siv.h"
#include "crypto/kdf.h"

namespace orrery::crypto {

Manager make_manager(Isa isa) {
  Manager manager(alloc_mb_mgr(0));
  if (!manager) {
    std::fputs("ipsec-mb: no memory for a manager\n", stderr);
    std::abort();
  }
  switch (isa) {
    case Isa::kRef:
      init_mb_mgr_sse(manager.get());
      break;
    case Isa::kAvx2:
      init_mb_mgr_avx2(manager.get());
      break;
    case Isa::kAvx512:
      init_mb_mgr_avx512(manager.get());
      break;
  }
  return manager;
}

PeerKeys::PeerKeys(const SharedSecret& secret) : secret_(secret) {}

PeerKeys::PeerKeys(PeerKeys&& other) noexcept
    : secret_(other.secret_), aes_(std::move(other.aes_)) {
  burn(other.secret_);
}

PeerKeys& PeerKeys::operator=(PeerKeys&& other) noexcept {
  std::swap(secret_, other.secret_);
  std::swap(aes_, other.aes_);
  return *this;
}

PeerKeys::~PeerKeys() {
  burn(secret_);
  if (aes_) burn({reinterpret_cast<std::uint8_t*>(aes_.get()), sizeof(AesKeys)});
}

void PeerKeys::expand(Isa level) {
  if (aes_) return;
  // One manager per thread that expands keys; building one costs more than a schedule.
  thread_local std::array<Manager, 3> managers;
  Manager& manager = managers[static_cast<std::size_t>(level)];
  if (!manager) manager = make_manager(level);
  auto keys = std::make_unique<AesKeys>();
  Sha384 k0 = kbkdf_hmac_sha384(secret_, '0', 0, 0);
  Sha384 k1 = kbkdf_hmac_sha384(secret_, '1', 0, 0);
  siv_kernel(level).expand(manager.get(), k0.data(), k1.data(), *keys);
  burn(k0);
  burn(k1);
  aes_ = std::move(keys);
}

}  // namespace orrery::crypto
