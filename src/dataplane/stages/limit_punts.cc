#include "crypto/siphash_batch.h"
#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

PuntClass class_of(const PacketVector& v, unsigned i) {
  switch (meta_of(v.mbuf[i]).message) {
    case Message::kDatagram:
    case Message::kReassembled:
      return v.peer[i] == nullptr ? PuntClass::kStranger : PuntClass::kKnown;
    case Message::kAuthenticated:
      return PuntClass::kAuthenticated;
    default:
      return PuntClass::kFrame;
  }
}

}  // namespace

void limit_punts(WorkerContext& w, PacketVector& v) noexcept {
  crypto::SipBatch names;
  alignas(64) std::array<std::uint64_t, kVectorMax> prefix, sender;
  std::array<std::uint8_t, kVectorMax> lane;
  std::array<PuntClass, kVectorMax> what;
  unsigned n = 0;
  bool known = false;
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.next[i] != Next::kPunt) continue;
    const PuntClass c = class_of(v, i);
    if (c == PuntClass::kFrame) {
      if (const Drop drop = w.punts.take(c, w.now_ms); drop != Drop::kNone) v.drop_lane(i, drop);
    } else if (!w.punts.open(c, w.now_ms)) {
      v.drop_lane(i, PuntLimits::drop_of(c));  // a flood costs no more than this
    } else {
      names.word[0][n] = prefix_word(meta_of(v.mbuf[i]).remote);
      names.word[1][n] = v.peer[i] == nullptr ? 0 : v.peer[i]->peer.address.value;
      known |= c != PuntClass::kStranger;
      what[n] = c;
      lane[n++] = static_cast<std::uint8_t>(i);
    }
  }
  if (n == 0) return;
  crypto::siphash_batch(w.punts.key(), names, 1, n, prefix.data());
  if (known) crypto::siphash_batch(w.punts.key(), names, 2, n, sender.data());
  for (unsigned k = 0; k < n; ++k) {
    const Drop drop = w.punts.take(what[k], prefix[k], known ? sender[k] : 0, w.now_ms);
    if (drop != Drop::kNone) v.drop_lane(lane[k], drop);
  }
}

}  // namespace orrery::dataplane
