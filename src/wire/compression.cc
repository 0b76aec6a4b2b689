#include "wire/compression.h"

#include <lz4.h>

namespace orrery::wire {

std::size_t inflate(Bytes compressed, MutableBytes out) {
  if (compressed.empty() || compressed.size() > kMaxPacket) return 0;
  const int n = LZ4_decompress_safe(
      reinterpret_cast<const char*>(compressed.data()), reinterpret_cast<char*>(out.data()),
      static_cast<int>(compressed.size()), static_cast<int>(out.size()));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::size_t deflate(Bytes plain, MutableBytes out) {
  if (plain.size() < kCompressMin) return 0;
  const int n = LZ4_compress_default(
      reinterpret_cast<const char*>(plain.data()), reinterpret_cast<char*>(out.data()),
      static_cast<int>(plain.size()), static_cast<int>(plain.size() - 1));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

}  // namespace orrery::wire
