// Events come in turns. A turn takes those that cannot know of each other: of different groups of
// lines (Internet::group_of), and nearer to each other than any datagram takes from one group to
// another. Their nodes compute at the same time, in as many threads as the scene has; then
// everything else happens in the order of the events, in one thread. So the transcript is the same,
// byte for byte, however many threads there are; with one, every event has a turn of its own.
//
// What must hold for that:
//   1  A node computes from its own group alone: compute() reads and writes nothing of other
//      groups, but for the memory of agreements, which says the same whoever comes first.
//   2  Of a group there is one event in a turn. Its later ones wait, and come when their time is
//      there between the others of the turn, as do events that the turn itself makes.
//   3  Those are of groups whose event of the turn is over, since others are not reached before its
//      end (Internet::least_crossing).
//   4  Actions of the scene touch whatever they like, so a turn ends before the first of them. In
//      scenes with hands, with hosts that have several lines or that move, no two events share one.
#include <algorithm>

#include "sim/scene.h"

namespace orrery::sim {

namespace {

constexpr std::size_t kMostHeld = 64;  // later events of the groups in a turn

}  // namespace

AttachmentId Scene::group_of(const Event& event) const {
  const auto of_host = [&](HostId id) {
    const std::vector<Host::Socket>& sockets = hosts_[id].sockets;
    return sockets.empty() ? kNobody : internet_.group_of(sockets.front().line);
  };
  switch (event.kind) {
    case Event::Kind::kArrival:
      return internet_.group_of_flight(event.subject);
    case Event::Kind::kTimer:
      return of_host(event.subject);
    case Event::Kind::kProof:
      return of_host(proofs_.at(event.subject).host);
    case Event::Kind::kAction:
      break;
  }
  return kNobody;
}

std::size_t Scene::member_of(AttachmentId group) const {
  // Numbers of groups have gaps that are regular.
  return (group * 0x9e3779b1U >> 16) % armorers_.size();
}

void Scene::take_turn(Micros end) {
  const AttachmentId first = crew_ == nullptr || alone_ ? kNobody : group_of(queue_.next());
  if (first == kNobody) return dispatch(queue_.pop());
  gather(first, end);
  const auto compute_own = [this](unsigned member) {
    for (std::size_t i = 0; i < turn_steps_; ++i) {
      if (member_of(steps_[i].group) == member) compute(steps_[i]);
    }
  };
  if (turn_steps_ == 1) {
    compute(steps_[0]);
  } else {
    crew_->run(compute_own);
  }
  for (std::size_t i = 0; i < turn_steps_; ++i) {
    while (!queue_.empty() && EventQueue::sooner(queue_.next(), steps_[i].event))
      dispatch(queue_.pop());
    conclude(steps_[i]);
  }
}

void Scene::gather(AttachmentId group, Micros end) {
  ++turn_;
  turn_steps_ = 0;
  const Micros before = std::min(end + 1, queue_.next_at() + internet_.least_crossing());
  do {
    if (group >= turn_of_.size()) turn_of_.resize(group + 1);
    const Event event = queue_.pop();
    if (std::exchange(turn_of_[group], turn_) == turn_) {
      held_.push_back(event);
    } else {
      prepare(event, steps_[turn_steps_]);
      steps_[turn_steps_++].group = group;
    }
    if (queue_.empty() || queue_.next_at() >= before) break;
    group = group_of(queue_.next());
  } while (group != kNobody && turn_steps_ < steps_.size() && held_.size() < kMostHeld);
  for (const Event& event : held_) queue_.put_back(event);
  held_.clear();
}

void Scene::dispatch(const Event& event) {
  prepare(event, alone_step_);
  compute(alone_step_);
  conclude(alone_step_);
}

void Scene::prepare(const Event& event, Step& step) {
  step.event = event;
  step.at = std::max(now_, event.at);
  step.host = kNobody;
  if (event.kind == Event::Kind::kArrival) step.arrival = {internet_.take(event.subject)};
  if (event.kind == Event::Kind::kProof) step.proof = proofs_.take(event.subject);
}

void Scene::compute(Step& step) {
  const auto runs = [&](HostId id) {
    step.host = id;
    return Now{now_of(id, step.at)};
  };
  switch (step.event.kind) {
    case Event::Kind::kArrival: {
      internet_.arrive(step.at, step.arrival);
      if (!step.arrival.at_host()) return;
      const Flight& flight = step.arrival.flight;
      const HostId id = internet_.owner_of(flight.at);
      const Host& h = hosts_[id];
      const auto socket =
          std::find_if(h.sockets.begin(), h.sockets.end(), [&](const Host::Socket& s) {
            return s.line == flight.at && s.local.address.port == flight.to.port;
          });
      if (!h.on() || socket == h.sockets.end()) return;
      h.node->on_datagram(runs(id), {socket->local.socket, flight.from}, flight.payload,
                          step.effects);
      break;
    }
    case Event::Kind::kTimer: {
      const HostId id = step.event.subject;
      const Host& h = hosts_[id];
      if (h.timer_at != step.event.at || !h.on()) return;
      const Now at = runs(id);
      step.ticks = h.node->next_deadline() <= at.mono;
      if (step.ticks) h.node->tick(at, step.effects);
      break;
    }
    case Event::Kind::kProof: {
      const Host& h = hosts_[step.proof.host];
      if (!h.on() || h.run != step.proof.run) return;
      const wire::Identity& identity = step.proof.identity;
      const bool holds = work_holds(identity) ||
                         std::find(granted_.begin(), granted_.end(), identity) != granted_.end();
      h.node->on_identity_validated(runs(step.proof.host), identity, holds, step.effects);
      break;
    }
    case Event::Kind::kAction:
      return;
  }
  const control::Node& node = *hosts_[step.host].node;
  step.after = {node.next_deadline(), node.table_sizes()};
}

void Scene::conclude(Step& step) {
  now_ = step.at;
  ++events_;
  std::swap(effects_, step.effects);
  switch (step.event.kind) {
    case Event::Kind::kArrival:
      return arrived(step);
    case Event::Kind::kTimer:
      return ticked(step);
    case Event::Kind::kProof:
      if (step.host == kNobody) return;
      --hosts_[step.host].proofs;
      return settle(step.host, {}, &step.after);
    case Event::Kind::kAction:
      return actions_.take(step.event.subject)();
  }
}

void Scene::arrived(Step& step) {
  Flight& flight = step.arrival.flight;
  if (!step.arrival.at_host()) return internet_.conclude(step.arrival);
  Host& h = hosts_[internet_.owner_of(flight.at)];
  internet_.end(flight, step.host != kNobody || h.hand ? Fate::kDelivered : Fate::kOff);
  if (h.hand) return h.hand(flight);
  if (step.host == kNobody) return;
  ++h.datagrams_in;
  h.bytes_in += flight.payload.size();
  if (options_.watched) watch_.heard(step.host, flight);
  settle(step.host, {&flight}, &step.after);
}

void Scene::ticked(Step& step) {
  Host& h = hosts_[step.event.subject];
  if (h.timer_at != step.event.at) return;
  h.timer_at = 0;
  if (step.host == kNobody) return;
  if (!step.ticks) return arm(step.host, step.after.deadline);
  if (options_.watched) {
    try {
      watch_.ticked(step.host, now_of(step.host).mono, step.after.deadline);
    } catch (const Breach& breach) {
      throw Breach(h.name + ": " + breach.what());
    }
  }
  settle(step.host, {}, &step.after);
}

}  // namespace orrery::sim
