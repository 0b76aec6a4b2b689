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

void LockedDelete<AesKeys>::operator()(AesKeys* keys) const noexcept {
  locked_free(keys, sizeof(AesKeys));
}

void PeerKeys::expand(Isa level) {
  if (aes_) return;
  // One manager per thread that expands keys; building one costs more than a schedule.
  thread_local std::array<Manager, 3> managers;
  Manager& manager = managers[static_cast<std::size_t>(level)];
  if (!manager) manager = make_manager(level);
  auto keys = make_locked<AesKeys>();
  Sha384 k0 = kbkdf_hmac_sha384(secret_.bytes(), '0', 0, 0);
  Sha384 k1 = kbkdf_hmac_sha384(secret_.bytes(), '1', 0, 0);
  siv_kernel(level).expand(manager.get(), k0.data(), k1.data(), *keys);
  burn(k0);
  burn(k1);
  aes_ = std::move(keys);
}

}  // namespace orrery::crypto
