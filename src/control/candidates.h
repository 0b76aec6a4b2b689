// What became of the addresses that somebody named for a peer: the last few, for who asks why a
// path is not there. Judged addresses that became paths are the paths' own story.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "wire/endpoint.h"

namespace orrery::control {

/// Who named an address.
enum class CandidateSource : std::uint8_t {
  kHeard,       // the peer's packets come from there
  kPush,        // the peer's own list
  kRendezvous,  // a root
  kCache,       // our disk
  kHint,        // an operator
};

/// What was made of it.
enum class CandidateVerdict : std::uint8_t {
  kProbed,     // asked; it becomes a path when it answers
  kUnusable,   // of a class that is no path: loopback, link-local, multicast, tunnel brokers
  kOverlay,    // leads into a network of ours: an overlay inside the overlay
  kNotOfRoot,  // the world lists other addresses for this root
  kForbidden,  // an operator's word
  kRate,       // too many at once
  kForgotten,  // withdrawn by the peer
};

struct Candidate {
  wire::Endpoint endpoint;
  CandidateSource source = CandidateSource::kHeard;
  CandidateVerdict verdict = CandidateVerdict::kProbed;
  Millis at = 0;  // mono
};

class Candidates {
 public:
  static constexpr std::size_t kMost = 16;  // for each peer; the oldest gives way

  void note(const Candidate& candidate) {
    for (Candidate& known : items_) {
      if (known.endpoint != candidate.endpoint || known.source != candidate.source) continue;
      known = candidate;
      return;
    }
    if (items_.size() >= kMost) items_.erase(items_.begin());
    items_.push_back(candidate);
  }

  [[nodiscard]] const std::vector<Candidate>& items() const { return items_; }

 private:
  std::vector<Candidate> items_;  // in the order in which they were first named
};

}  // namespace orrery::control
