// The rule evaluator: pure functions over one frame, one rule list, one network and one member.
//
// Nothing is allocated and nothing is kept; a list of 1024 entries costs at most 1024 matches over
// a frame. Behaviour is that of the reference node with its quirks, since both ends judge the same
// frame. Source: docs/protocol/09-rules-engine.md sections 3 to 8; tests/vectors/rule_eval.json.
#pragma once

#include <array>
#include <span>

#include "fib/records.h"

namespace orrery::fib {

/// A frame as rules see it: whole, or behind its VLAN tag where the network matches on tags. Views
/// are borrowed for the call.
struct RuleFrame {
  wire::Address source;
  wire::Address destination;  // zero: not decided yet
  wire::Mac mac_source;
  wire::Mac mac_destination;
  std::uint16_t ethertype = 0;
  std::uint16_t tag_control = 0;  // [3] priority, [1] drop eligible, [12] VLAN; 0: none is seen
  Bytes payload;                  // behind the Ethernet header
  std::size_t tag = 0;            // bytes of the frame's payload before `payload`
};

enum class ListResult : std::uint8_t { kNoMatch, kDrop, kRedirect, kAccept, kSuperAccept };

/// What one list says.
struct ListVerdict {
  ListResult result = ListResult::kNoMatch;
  wire::Address redirect_to;      // for kRedirect
  wire::Address copy_to;          // zero: no copy asked for
  std::uint32_t copy_length = 0;  // bytes of payload
  bool copy_watch = false;        // WATCH instead of TEE
  std::uint8_t bucket = 0;        // PRIORITY
};

/// What one entry did. Of matches: the result before NOT, which turns the plain ones around.
enum class RuleStep : std::uint8_t {
  kNotLooked,  // an AND of a set that does not match any more
  kNo,
  kYes,
  kDefiniteNo,   // whatever NOT says
  kDefiniteYes,  // whatever NOT says
  // Of actions.
  kNotTaken,  // their set does not match
  kDecides,   // the list ends here
  kCopies,    // TEE, WATCH: remembered
  kSpared,    // a DROP without effect, since a tag of the other side was guessed
  kWithout,   // without effect: its target has the frame anyway, or the action is unknown
};

/// Told of every entry that is looked at, for those who ask why.
class RuleObserver {
 public:
  /// A list begins; null: the network's, else this capability's.
  virtual void on_list(const CapabilityRules* capability) = 0;
  virtual void on_step(std::size_t index, RuleStep step) = 0;

 protected:
  ~RuleObserver() = default;
};

/// One evaluation: direction, our own network record, and what we hold of the other side (null:
/// nothing).
struct RuleContext {
  const Network* network = nullptr;
  const Member* remote = nullptr;
  bool inbound = false;
  std::uint32_t random = 0;  // for MATCH_RANDOM
  RuleObserver* observer = nullptr;
};

/// Bits 11 to 0 of the characteristics: flags of TCP. Source: section 5.
[[nodiscard]] std::uint64_t tcp_bits(const RuleFrame& frame);
/// What MATCH_CHARACTERISTICS sees. Source: section 5.
[[nodiscard]] std::uint64_t characteristics(const RuleContext& context, const RuleFrame& frame);

[[nodiscard]] ListVerdict evaluate(const RuleContext& context, const RuleFrame& frame,
                                   std::span<const wire::Rule> rules);

/// An EXT_FRAME to send because of a rule.
struct Emission {
  wire::Address to;
  std::uint8_t flags = 0;    // of EXT_FRAME
  std::uint32_t length = 0;  // bytes of payload
};

enum class Filter : std::uint8_t {
  kDrop = 0,
  kAccept = 1,
  kSuperAccept = 2,  // inbound only: deliver without the MAC checks
};

struct FilterVerdict {
  Filter filter = Filter::kDrop;
  std::uint8_t emissions = 0;
  std::uint8_t bucket = 0;
  std::array<Emission, 3> emit{};
};

/// Sender's side. `no_tee`: copies were made in an earlier pass.
[[nodiscard]] FilterVerdict filter_out(const Network& network, const Member* remote,
                                       const RuleFrame& frame, bool no_tee, std::uint32_t random,
                                       RuleObserver* observer = nullptr);
/// Receiver's side; `member` is the sender's record.
[[nodiscard]] FilterVerdict filter_in(const Network& network, const Member& member,
                                      const RuleFrame& frame, std::uint32_t random,
                                      RuleObserver* observer = nullptr);

}  // namespace orrery::fib
