// What an operator should know about who is who: alarms that stand until the node ends, and the
// lines of identity.log.
//
// An alarm is a kind, whom it is about and who caused it; the same again only counts. There is room
// for kMost of what anybody can cause (kOtherKey) and for as many of what only roots can: the one
// that was heard of longest ago gives way to another of its class. So whoever makes up addresses
// hides no root's lie, and memory does not grow by him. Source: security 2.1 to 2.4 as summarised
// in docs/architecture.md, "Trust".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "wire/address.h"

namespace orrery::control {

// X(enumerator, label): labels are what the API says.
#define ORRERY_FOR_EACH_ALARM(X)                                                                  \
  X(kOtherKey, "other_key")                       /* somebody holds another key for an address */ \
  X(kRootNamesOtherKey, "root_names_other_key")   /* a root gives another one than we know */     \
  X(kRootNamesUnproven, "root_names_unproven")    /* a root gives one without proof of work */    \
  X(kRootsDisagree, "roots_disagree")             /* strict: two roots give two keys */           \
  X(kWorldNamesOtherKey, "world_names_other_key") /* a planet or moon does */                     \
  X(kOurAddressTaken, "our_address_taken")        /* a root says our address is another's */

enum class AlarmKind : std::uint8_t {
#define ORRERY_ALARM_ENUM(name, label) name,
  ORRERY_FOR_EACH_ALARM(ORRERY_ALARM_ENUM)
#undef ORRERY_ALARM_ENUM
};

[[nodiscard]] inline const char* label_of(AlarmKind kind) {
  static constexpr const char* kLabels[] = {
#define ORRERY_ALARM_LABEL(name, label) label,
      ORRERY_FOR_EACH_ALARM(ORRERY_ALARM_LABEL)
#undef ORRERY_ALARM_LABEL
  };
  return kLabels[static_cast<std::size_t>(kind)];
}

struct Alarm {
  AlarmKind kind = AlarmKind::kOtherKey;
  wire::Address about;  // whose address it is
  wire::Address by;     // the root that said so; zero: who came with it is not known
  Millis first = 0;     // wall
  Millis last = 0;      // wall
  std::uint64_t count = 0;
};

class Alarms {
 public:
  static constexpr std::size_t kMost = 32;         // of each class
  static constexpr Millis kTellAgain = 3'600'000;  // of one that goes on

  /// True: worth a line now, since it is new or has gone on for an hour since the last line.
  bool raise(AlarmKind kind, wire::Address about, wire::Address by, Now now);

  /// In no order that matters.
  [[nodiscard]] const std::vector<Alarm>& all() const { return alarms_; }

  /// Raised since the start, also those that gave way.
  [[nodiscard]] std::uint64_t raised() const { return raised_; }

 private:
  std::vector<Alarm> alarms_;
  std::vector<Millis> told_;  // mono; beside each
  std::uint64_t raised_ = 0;
};

/// What happened to a key, as identity.log names it.
enum class KeyEvent : std::uint8_t { kSeen, kPinned, kUnpinned, kRefused, kGivenUp };

/// A line of identity.log: "TIME ADDRESS EVENT FINGERPRINT BY", "-" for what is not known.
[[nodiscard]] std::string key_event_line(Millis wall, wire::Address address, KeyEvent event,
                                         const std::array<std::uint8_t, 48>& fingerprint,
                                         wire::Address by);

}  // namespace orrery::control
