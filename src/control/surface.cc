#include "control/surface.h"

#include <algorithm>

namespace orrery::control {

namespace {

constexpr Millis kResetInterval = 60'000;  // a root that lies cannot keep resetting paths

}  // namespace

std::optional<Surface::Reset> Surface::observe(Millis now, wire::Address reporter,
                                               const fib::PathKey& via,
                                               const wire::Endpoint& reported, bool from_root) {
  const wire::IpScope scope = wire::scope_of(reported);
  if (scope == wire::IpScope::kNone || scope == wire::IpScope::kLoopback ||
      scope == wire::IpScope::kMulticast || scope != wire::scope_of(via.remote)) {
    return std::nullopt;
  }
  const auto known = std::find_if(reports_.begin(), reports_.end(), [&](const Report& r) {
    return r.reporter == reporter && r.via == via && wire::scope_of(r.reported) == scope;
  });
  if (known == reports_.end()) {
    if (reports_.size() >= kMaxReports) {
      reports_.erase(
          std::min_element(reports_.begin(), reports_.end(),
                           [](const Report& a, const Report& b) { return a.at < b.at; }));
    }
    reports_.push_back({reporter, via, reported, now, from_root});
    return std::nullopt;
  }
  const bool moved = from_root && now - known->at < kLifetime && !known->reported.same_ip(reported);
  known->reported = reported;
  known->at = now;
  known->from_root = from_root;
  if (!moved || (last_reset_ != 0 && now - last_reset_ < kResetInterval)) return std::nullopt;
  last_reset_ = now;
  std::erase_if(reports_, [&](const Report& r) {
    return wire::scope_of(r.reported) == scope && r.via.remote != via.remote;
  });
  return Reset{reported.family, scope};
}

void Surface::expire(Millis now) {
  std::erase_if(reports_, [&](const Report& r) { return now - r.at >= kLifetime; });
}

void Surface::forget_others(const std::set<fib::LocalSocket>& present) {
  std::erase_if(reports_, [&](const Report& r) { return !present.contains(r.via.socket); });
}

std::vector<wire::Endpoint> Surface::endpoints() const {
  std::vector<wire::Endpoint> found;
  for (const Report& r : reports_) {
    const bool root_speaks =
        !r.from_root && std::any_of(reports_.begin(), reports_.end(), [&](const Report& other) {
          return other.from_root && other.via.socket == r.via.socket &&
                 other.reported.family == r.reported.family &&
                 wire::scope_of(other.reported) == wire::scope_of(r.reported);
        });
    if (!root_speaks && std::find(found.begin(), found.end(), r.reported) == found.end())
      found.push_back(r.reported);
  }
  return found;
}

}  // namespace orrery::control
