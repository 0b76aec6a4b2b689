#include "control/alarms.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"

namespace orrery::control {

bool Alarms::raise(AlarmKind kind, wire::Address about, wire::Address by, Now now) {
  ++raised_;
  auto it = std::find_if(alarms_.begin(), alarms_.end(), [&](const Alarm& alarm) {
    return alarm.kind == kind && alarm.about == about && alarm.by == by;
  });
  if (it != alarms_.end()) {
    it->last = now.wall;
    ++it->count;
    Millis& told = told_[static_cast<std::size_t>(it - alarms_.begin())];
    if (now.mono - told < kTellAgain) return false;
    told = now.mono;
    return true;
  }
  const Alarm fresh{kind, about, by, now.wall, now.wall, 1};
  const bool common = kind == AlarmKind::kOtherKey;
  std::size_t of_class = 0, oldest = alarms_.size();
  for (std::size_t i = 0; i < alarms_.size(); ++i) {
    if ((alarms_[i].kind == AlarmKind::kOtherKey) != common) continue;
    ++of_class;
    if (oldest == alarms_.size() || alarms_[i].last < alarms_[oldest].last) oldest = i;
  }
  if (of_class < kMost) {
    alarms_.push_back(fresh);
    told_.push_back(now.mono);
  } else {
    alarms_[oldest] = fresh;
    told_[oldest] = now.mono;
  }
  return true;
}

namespace {

/// "2023-11-14T22:13:20Z". REQUIRES: wall is not before 1970.
std::string utc(Millis wall) {
  constexpr std::int64_t kDay = 86'400;  // seconds
  const std::int64_t seconds = wall / 1'000;
  // Years of 400 and of 1 begin in March, so that a leap day is the last one.
  const std::int64_t days = seconds / kDay + 719'468;  // since 0000-03-01
  const std::int64_t era = days / 146'097, in_era = days % 146'097;
  const std::int64_t year_in_era =
      (in_era - in_era / 1'460 + in_era / 36'524 - in_era / 146'096) / 365;
  const std::int64_t in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
  const std::int64_t month = (5 * in_year + 2) / 153;  // 0: March
  const std::int64_t day = in_year - (153 * month + 2) / 5 + 1;
  const std::int64_t calendar_month = month < 10 ? month + 3 : month - 9;
  const std::int64_t year = era * 400 + year_in_era + (calendar_month <= 2 ? 1 : 0);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", static_cast<int>(year),
                static_cast<int>(calendar_month), static_cast<int>(day),
                static_cast<int>(seconds % kDay / 3'600), static_cast<int>(seconds % 3'600 / 60),
                static_cast<int>(seconds % 60));
  return text;
}

}  // namespace

std::string key_event_line(Millis wall, wire::Address address, KeyEvent event,
                           const std::array<std::uint8_t, 48>& fingerprint, wire::Address by) {
  static constexpr const char* kEvents[] = {"seen", "pinned", "unpinned", "refused", "given-up"};
  const bool known = std::any_of(fingerprint.begin(), fingerprint.end(),
                                 [](std::uint8_t byte) { return byte != 0; });
  return utc(wall) + ' ' + wire::to_string(address) + ' ' +
         kEvents[static_cast<std::size_t>(event)] + ' ' + (known ? to_hex(fingerprint) : "-") +
         ' ' + (by ? wire::to_string(by) : "-") + '\n';
}

}  // namespace orrery::control
