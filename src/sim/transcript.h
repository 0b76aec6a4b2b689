// What happened in a scene, in order: always as a hash, on demand as text and as a diagram.
//
// The hash covers every datagram that was sent, byte by byte, what became of it, and every event;
// so two runs with the same hash are the same run. Text is for people: packets are opened with the
// keys of the scene's identities, and each line says when, who, what. The diagram is Mermaid's
// (sequenceDiagram), for the first events of a scene: more than some hundreds nobody can read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/armor.h"
#include "sim/internet.h"

namespace orrery::sim {

class Transcript {
 public:
  enum class Detail : std::uint8_t { kHash, kText };

  /// Names of hosts, and their identities to open packets with; asked for as long as this lives.
  /// Null: not known.
  struct Cast {
    std::function<std::string(HostId)> name;
    std::function<HostId(const wire::Endpoint&)> whose;  // kNobody: of nobody
    std::function<const crypto::SecretIdentity*(wire::Address)> identity;
  };

  explicit Transcript(Cast cast);
  ~Transcript();

  void set_detail(Detail detail) { detail_ = detail; }

  void datagram(Micros now, const Flight& flight, Fate fate, HostId at);
  /// Anything else; `host` may be kNobody.
  void event(Micros now, HostId host, const std::string& what);

  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  [[nodiscard]] std::uint64_t events() const { return events_; }

  /// A line for each event. Empty unless detail is kText.
  [[nodiscard]] std::string text() const;
  /// The last `lines` of text().
  [[nodiscard]] std::string tail(std::size_t lines) const;
  /// A Mermaid document of the first `most` arrows and notes.
  [[nodiscard]] std::string diagram(std::size_t most = 300) const;

 private:
  struct Line {
    Micros at;
    HostId from, to;  // kNobody: an event of `from`
    Fate fate;
    std::string what;
  };

  /// "HELLO", "OK(WHOIS)", "fragment 1/3", "4 bytes".
  std::string describe(Bytes datagram);
  const crypto::PeerKeys* keys_between(wire::Address a, wire::Address b);
  [[nodiscard]] std::string line(const Line& line) const;

  Cast cast_;
  Detail detail_ = Detail::kHash;
  std::uint64_t hash_ = 0;
  std::uint64_t events_ = 0;
  std::vector<Line> lines_;
  std::map<std::pair<wire::Address, wire::Address>, std::unique_ptr<crypto::PeerKeys>> keys_;
  std::unique_ptr<crypto::Armorer> armorer_;
};

}  // namespace orrery::sim
