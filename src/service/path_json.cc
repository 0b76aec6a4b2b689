#include "service/path_json.h"

#include <algorithm>
#include <string>

#include "control/path.h"

namespace orrery::service {

using control::CandidateSource;
using control::CandidateVerdict;
using control::ChoiceReason;
using control::PathStatus;
using control::RouteStatus;
using nlohmann::json;

namespace {

Millis wall(Millis mono, Millis now_mono, Millis now_wall) {
  return mono == 0 ? Millis{0} : now_wall - (now_mono - mono);
}

const char* name_of(PathStatus::State state) {
  switch (state) {
    case PathStatus::State::kWorks:
      return "works";
    case PathStatus::State::kDoubtful:
      return "doubtful";
    case PathStatus::State::kFailed:
      return "failed";
    case PathStatus::State::kSilent:
      return "silent";
    case PathStatus::State::kUntested:
      return "untested";
    case PathStatus::State::kExpired:
      return "expired";
  }
  return "";
}

const char* name_of(RouteStatus::Kind kind) {
  switch (kind) {
    case RouteStatus::Kind::kNone:
      return "none";
    case RouteStatus::Kind::kDirect:
      return "direct";
    case RouteStatus::Kind::kRelayed:
      return "relayed";
    case RouteStatus::Kind::kLastResort:
      return "last_resort";
  }
  return "";
}

const char* name_of(CandidateSource source) {
  switch (source) {
    case CandidateSource::kHeard:
      return "heard";
    case CandidateSource::kPush:
      return "push";
    case CandidateSource::kRendezvous:
      return "rendezvous";
    case CandidateSource::kCache:
      return "cache";
    case CandidateSource::kHint:
      return "hint";
  }
  return "";
}

std::string words_of(ChoiceReason reason) {
  switch (reason) {
    case ChoiceReason::kBest:
      return "the best one when frames began to pass";
    case ChoiceReason::kAgain:
      return "no path worked before it answered";
    case ChoiceReason::kFailed:
      return "the path before it failed";
    case ChoiceReason::kDoubt:
      return "the path before it did not answer, this one did";
    case ChoiceReason::kPrimary:
      return "the operator prefers its interface";
    case ChoiceReason::kRotated:
      return "the operator wanted another one";
    case ChoiceReason::kNewPort:
      return "the same host answers from here, and no more from the port before";
    case ChoiceReason::kBetter:
      return "it was clearly better for a while";
  }
  return "";
}

std::string words_of(CandidateSource source) {
  switch (source) {
    case CandidateSource::kHeard:
      return "packets come from there";
    case CandidateSource::kPush:
      return "the peer named it";
    case CandidateSource::kRendezvous:
      return "a root named it";
    case CandidateSource::kCache:
      return "it was a path before the restart";
    case CandidateSource::kHint:
      return "the configuration names it";
  }
  return "";
}

/// Name and words.
std::pair<const char*, const char*> verdict_of(CandidateVerdict verdict) {
  switch (verdict) {
    case CandidateVerdict::kProbed:
      return {"no_answer", "asked, and no answer came"};
    case CandidateVerdict::kUnusable:
      return {"unusable", "refused: loopback, link-local, multicast or a tunnel broker's address"};
    case CandidateVerdict::kOverlay:
      return {"overlay", "refused: it leads into a joined network, an overlay inside the overlay"};
    case CandidateVerdict::kNotOfRoot:
      return {"not_of_root", "refused: planet and moons list other addresses for this root"};
    case CandidateVerdict::kForbidden:
      return {"forbidden", "refused: the configuration forbids this network"};
    case CandidateVerdict::kRate:
      return {"rate", "not asked: too many addresses at once"};
    case CandidateVerdict::kForgotten:
      return {"forgotten", "withdrawn by the peer"};
  }
  return {"", ""};
}

std::string seconds(Millis ms) {
  return std::to_string(ms / 1'000) + "." + std::to_string(ms % 1'000 / 100) + " s";
}

/// Why this path is not the one in use.
std::string refusal_of(const PathStatus& path, const RouteStatus& route, Millis now) {
  switch (path.state) {
    case PathStatus::State::kExpired:
      return "nothing authentic came over it for 243 s";
    case PathStatus::State::kUntested:
      return "our own address changed and it has not answered since";
    case PathStatus::State::kFailed:
      return std::string("it does not answer; used again when it answers for ") +
             seconds(path.trial_ms);
    case PathStatus::State::kSilent:
      return "nothing came over it for " + seconds(now - path.last_in);
    case PathStatus::State::kDoubtful:
      return std::to_string(path.unanswered) + " of its last probes found no answer";
    case PathStatus::State::kWorks:
      break;
  }
  const auto taken = std::find_if(route.peer.paths.begin(), route.peer.paths.end(),
                                  [](const PathStatus& other) { return other.preferred; });
  if (taken == route.peer.paths.end()) return "no path is taken";
  if (path.cost > taken->cost) return "it costs more than the one that is taken";
  return "it does not cost so much less that a change is worth it, or not for long enough";
}

}  // namespace

json to_json(const PathStatus& path, Millis now_mono, Millis now_wall) {
  static constexpr const char* kMtuStates[] = {"assumed", "searching", "probed"};
  return {{"address", wire::to_string(path.key.remote)},
          {"lastSend", wall(path.last_out, now_mono, now_wall)},
          {"lastReceive", wall(path.last_in, now_mono, now_wall)},
          {"trustedPathId", path.trusted_path_id},
          {"mtu", path.mtu},
          {"mtuState", kMtuStates[static_cast<std::size_t>(path.mtu_state)]},
          {"active", path.active},
          {"expired", path.expired},
          {"preferred", path.preferred},
          {"localSocket", path.key.socket},
          {"localPort", 0},
          {"state", name_of(path.state)},
          {"latency", path.latency_ms},
          {"jitter", path.jitter_ms},
          {"loss", path.loss_permille / 1'000.0},
          {"cost", path.cost},
          {"unanswered", path.unanswered},
          {"ifname", path.interface},
          {"tunneled", control::is_tunnel(path.key.socket)},
          {"lastAnswer", wall(path.last_answer, now_mono, now_wall)}};
}

json to_json(const RouteStatus& route, Millis now_mono, Millis now_wall) {
  json paths = json::array();
  for (const PathStatus& path : route.peer.paths) {
    json one = to_json(path, now_mono, now_wall);
    one["taken"] = path.preferred && route.kind == RouteStatus::Kind::kDirect;
    one["why"] = !path.preferred ? refusal_of(path, route, now_mono)
                 : route.reason  ? words_of(*route.reason)
                                 : std::string("the best one that works");
    paths.push_back(std::move(one));
  }
  json candidates = json::array();
  for (const control::Candidate& candidate : route.candidates) {
    const auto [verdict, words] = verdict_of(candidate.verdict);
    candidates.push_back({{"address", wire::to_string(candidate.endpoint)},
                          {"source", name_of(candidate.source)},
                          {"verdict", verdict},
                          {"last", wall(candidate.at, now_mono, now_wall)},
                          {"why", words_of(candidate.source) + "; " + words}});
  }
  std::string words;
  switch (route.kind) {
    case RouteStatus::Kind::kNone:
      words = "there is no way to it now: no path answers and no root is reached; packets wait";
      break;
    case RouteStatus::Kind::kDirect:
      words = "packets go directly";
      break;
    case RouteStatus::Kind::kRelayed:
      words = "packets go through root " + wire::to_string(route.relay) + ", since no path " +
              (route.peer.paths.empty() ? "is known" : "works");
      break;
    case RouteStatus::Kind::kLastResort:
      words = "packets go over a path that does not answer, since no root is reached either";
      break;
  }
  json relay = nullptr;
  if (route.kind == RouteStatus::Kind::kRelayed) relay = wire::to_string(route.relay);
  return {{"address", wire::to_string(route.peer.identity.address)},
          {"route", name_of(route.kind)},
          {"via", route.path ? json(wire::to_string(route.path.remote)) : json(nullptr)},
          {"relay", std::move(relay)},
          {"inUse", route.in_use},
          {"lastFrame", wall(route.last_frame, now_mono, now_wall)},
          {"chosenAt", wall(route.chosen_at, now_mono, now_wall)},
          {"why", std::move(words)},
          {"paths", std::move(paths)},
          {"candidates", std::move(candidates)}};
}

json to_json(const std::vector<control::PingStatus>& pings) {
  json all = json::array();
  for (const control::PingStatus& ping : pings) {
    all.push_back({{"sequence", ping.sequence},
                   {"latency", ping.answered == 0 ? Millis{-1} : ping.answered - ping.sent},
                   {"via", wire::to_string(ping.path.remote)},
                   {"relayed", ping.relayed}});
  }
  return all;
}

}  // namespace orrery::service
