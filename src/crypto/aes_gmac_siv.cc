#include "crypto/aes_gmac_siv.h"

namespace orrery::crypto {

const SivKernel& siv_kernel(Isa isa) {
  switch (isa) {
    case Isa::kRef:
      return kSivRef;
    case Isa::kAvx2:
      return has_vaes() ? kSivVaes256 : kSivAesni;
    case Isa::kAvx512:
      return kSivVaes512;
  }
  return kSivRef;
}

}  // namespace orrery::crypto
