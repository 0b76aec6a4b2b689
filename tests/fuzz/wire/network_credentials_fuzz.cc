// NETWORK_CREDENTIALS: all that was visited, written back in order, is visited again.
#include <vector>

#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/network_credentials.h"

using namespace orrery;
using fuzz::check;

namespace {

/// Credentials of one packet, by kind.
struct Collected {
  std::vector<wire::CertificateOfMembership> coms;
  std::vector<wire::Capability> capabilities;
  std::vector<wire::Tag> tags;
  std::vector<wire::Revocation> revocations;
  std::vector<wire::CertificateOfOwnership> ownerships;
  friend bool operator==(const Collected&, const Collected&) = default;

  void operator()(const wire::CertificateOfMembership& c) { coms.push_back(c); }

  void operator()(const wire::Capability& c) { capabilities.push_back(c); }

  void operator()(const wire::Tag& c) { tags.push_back(c); }

  void operator()(const wire::Revocation& c) { revocations.push_back(c); }

  void operator()(const wire::CertificateOfOwnership& c) { ownerships.push_back(c); }
};

template <typename T>
void write_list(Writer& w, const std::vector<T>& list, void (*write)(Writer&, const T&)) {
  w.u16(static_cast<std::uint16_t>(list.size()));
  for (const T& item : list) write(w, item);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2 * wire::kMaxPacket) return 0;
  Collected seen;
  (void)wire::for_each_credential(Bytes(data, size), seen);
  // A credential may be written longer than it was read (an unsigned one, extra room).
  ByteVector room(8 * size + wire::kMaxPacket);
  Writer w(room);
  for (const auto& com : seen.coms) wire::write_com(w, com);
  w.u8(0);
  write_list(w, seen.capabilities, wire::write_capability);
  write_list(w, seen.tags, wire::write_tag);
  write_list(w, seen.revocations, wire::write_revocation);
  write_list(w, seen.ownerships, wire::write_ownership);
  check(w.ok());
  Collected again;
  check(wire::for_each_credential(w.written(), again));
  check(again == seen);
  return 0;
}
