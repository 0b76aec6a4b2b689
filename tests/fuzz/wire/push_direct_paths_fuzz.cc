// PUSH_DIRECT_PATHS: every path that is seen is written to a record that reads as the same.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/push_direct_paths.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t paths = 0;
  (void)wire::for_each_direct_path(Bytes(data, size), [&](const wire::DirectPath& path) {
    check(static_cast<bool>(path.endpoint));
    ++paths;
    const ByteVector written = fuzz::encoded([&](Writer& w) {
      w.u16(1);
      wire::write_direct_path(w, path);
    });
    check(wire::for_each_direct_path(written, [&](const wire::DirectPath& again) {
      check(again.endpoint == path.endpoint && again.flags == path.flags);
    }));
  });
  check(paths * 11 <= size);
  return 0;
}
