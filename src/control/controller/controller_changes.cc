// What follows from a change of a record: pushes, revocations, events.
#include "control/controller/controller.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr int kIdTries = 100'000;

}  // namespace

void Controller::put_network(Now now, wire::NetworkId id, json record, const std::string& actor) {
  const NetworkEntry* before = registry_.find(id);
  json changes = changes_between(before == nullptr ? json() : before->record, record);
  const char* type = before == nullptr ? "network.created" : "network.changed";
  if (!registry_.put_network(id, std::move(record))) return;
  push_all(id);
  events_.add(now.wall, {0, 0, type, actor, id, {}, std::move(changes)}, registry_);
}

void Controller::put_member(Now now, wire::NetworkId id, wire::Address address, json record,
                            const std::string& actor, Effects& out) {
  const NetworkEntry* net = registry_.find(id);
  const RegisteredMember* before = registry_.find(id, address);
  const bool was_authorized = before != nullptr && before->view.authorized;
  const bool was_bridge = net->bridges.contains(address);
  const char* type = before == nullptr ? "member.created" : "member.changed";
  json changes = changes_between(before == nullptr ? json() : before->record, record);
  if (!registry_.put_member(id, address, std::move(record), true)) return;

  RegisteredMember& member = *registry_.find(id, address);
  if (net->bridges.contains(address) != was_bridge) {
    push_all(id);
  } else {
    queue_push(now, {id, address}, member);
  }
  if (was_authorized && !member.view.authorized) {
    member.last_config = 0;
    expel(now, id, address, member, out);
    type = "member.deauthorized";
  } else if (!was_authorized && member.view.authorized) {
    type = "member.authorized";
  }
  events_.add(now.wall, {0, 0, type, actor, id, address, std::move(changes)}, registry_);
}

void Controller::remove_network(Now now, wire::NetworkId id, const std::string& actor) {
  const NetworkEntry* net = registry_.find(id);
  std::vector<wire::Address> holders;  // of certificates
  for (auto it = net->members.begin();
       it != net->members.end() && holders.size() < Revocations::kMost; ++it) {
    if (it->second.view.authorized) holders.push_back(it->first);
  }
  revoke(now, id, holders);
  registry_.remove_network(id);
  next_clearing_ = std::max(next_clearing_, now.mono + kDeparting);
  events_.add(now.wall, {0, 0, "network.deleted", actor, id, {}, nullptr}, registry_);
}

void Controller::remove_member(Now now, wire::NetworkId id, wire::Address address,
                               const std::string& actor, Effects& out) {
  const RegisteredMember* member = registry_.find(id, address);
  const bool was_bridge = registry_.find(id)->bridges.contains(address);
  if (member->view.authorized) expel(now, id, address, *member, out);
  registry_.remove_member(id, address);
  if (was_bridge) push_all(id);
  events_.add(now.wall, {0, 0, "member.deleted", actor, id, address, nullptr}, registry_);
}

void Controller::follow_up(Now now, Effects& out) {
  drain_pushes(now, out);
  send_revocations(now, out, Revocations::kLeastPerTurn);
}

std::optional<wire::NetworkId> Controller::free_network_id() {
  for (int i = 0; i < kIdTries; ++i) {
    const std::uint64_t random = transport_.random_u64() & 0xffffff;
    const wire::NetworkId id{(transport_.self().address().value << 24) |
                             (random == 0 ? 1 : random)};
    if (registry_.find(id) == nullptr) return id;
  }
  return std::nullopt;
}

}  // namespace orrery::control
