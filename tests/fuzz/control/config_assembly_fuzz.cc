// Configuration chunks in any order, overlap and interleaving, against a model: a map from update
// to its bytes and those that have come.
//
// Invariants: a dictionary comes out exactly when the model's is whole, with the model's bytes.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "control/config_assembly.h"

namespace {

using namespace orrery;

struct Update {
  std::size_t total = 0;
  ByteVector bytes;
  std::set<std::size_t> have;
  Millis touched = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, std::min<std::size_t>(size, 2'048)));
  control::ConfigAssembly assembly;
  std::map<std::uint64_t, Update> model;
  std::uint64_t serial = 0;
  Millis now = 1;
  while (r.remaining() != 0) {
    now += 1 + (r.u8() == 0 ? control::ConfigAssembly::kLifetime : 0);
    wire::ConfigChunk chunk;
    chunk.update_id = r.u8() & 7;
    chunk.total = r.u8();
    chunk.offset = r.u8();
    if (chunk.offset == 255) chunk.offset = 0xffffffff;
    const ByteVector bytes(r.u8() & 63, static_cast<std::uint8_t>(++serial));
    ByteVector signature(96);
    store_be64(signature.data(), serial);
    chunk.data = bytes;
    chunk.signature = signature;
    chunk.has_signature = true;
    const bool sane = chunk.update_id != 0 && !bytes.empty() &&
                      std::uint64_t{chunk.offset} + bytes.size() <= chunk.total;
    if (sane != control::ConfigAssembly::plausible(chunk)) std::abort();
    if (!sane) continue;
    if (assembly.seen(chunk)) std::abort();
    const auto complete = assembly.add(now, chunk, true);

    std::erase_if(model, [&](const auto& u) {
      return now - u.second.touched > control::ConfigAssembly::kLifetime;
    });
    if (!model.contains(chunk.update_id) && model.size() == control::ConfigAssembly::kSlots) {
      model.erase(std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) {
        return a.second.touched < b.second.touched;
      }));
    }
    Update& update = model[chunk.update_id];
    if (update.total == 0) {
      update.total = chunk.total;
      update.bytes.resize(chunk.total);
    }
    if (update.total != chunk.total) {
      if (complete) std::abort();
      continue;
    }
    update.touched = now;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      update.bytes[chunk.offset + i] = bytes[i];
      update.have.insert(chunk.offset + i);
    }
    const bool whole = update.have.size() == update.total;
    if (whole != complete.has_value()) std::abort();
    if (!whole) continue;
    if (complete->dictionary != update.bytes) std::abort();
    model.erase(chunk.update_id);
  }
  return 0;
}
