// FRAME and EXT_FRAME: what decodes is written back as it came, but for an attached certificate.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/frame.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  const auto frame = wire::decode_frame(payload);
  check(frame.has_value() == (size >= wire::kFrameHead));
  if (frame) {
    check(fuzz::same(fuzz::encoded([&](Writer& w) { wire::encode_frame(w, *frame); }), payload));
  }
  if (const auto ext = wire::decode_ext_frame(payload)) {
    check(fuzz::within(payload, ext->payload));
    check(ext->com.has_value() == ((ext->flags & wire::kExtFrameCom) != 0));
    if (ext->has_frame && !ext->com) {
      check(
          fuzz::same(fuzz::encoded([&](Writer& w) { wire::encode_ext_frame(w, *ext); }), payload));
    }
  }
  return 0;
}
