#include "control/controller/registry.h"

#include <tuple>

#include "control/controller/json_text.h"
#include "control/controller/lenient.h"

namespace orrery::control {
namespace {

using nlohmann::json;

/// Two objects with the same fields, whatever their revisions.
bool same_but_revision(const json& a, const json& b) {
  if (!a.is_object() || !b.is_object()) return false;
  auto x = a.begin(), y = b.begin();  // both sorted by key
  for (;;) {
    if (x != a.end() && x.key() == "revision") ++x;
    if (y != b.end() && y.key() == "revision") ++y;
    if (x == a.end() || y == b.end()) return x == a.end() && y == b.end();
    if (x.key() != y.key() || *x != *y) return false;
    ++x;
    ++y;
  }
}

std::uint64_t revision_of(const json& record) {
  const auto it = record.is_object() ? record.find("revision") : record.end();
  return it == record.end() ? 0 : lenient_u64(*it, 0);
}

std::uint32_t suffix_of(const wire::Endpoint& ip) {
  return load_be32(ip.ip.data() + 12) & 0xffffff;
}

/// The last three bytes of a member's link-local address: those of its MAC.
std::uint32_t link_local_suffix(wire::Address member, wire::NetworkId network) {
  return static_cast<std::uint32_t>(wire::mac_of(member, network).value & 0xffffff);
}

}  // namespace

void AddressBook::add(wire::Address member, wire::NetworkId network, const MemberView& view) {
  link_local_.insert({link_local_suffix(member, network), member});
  for (const wire::Endpoint& ip : view.ips) {
    if (pairs_.insert({ip, member}).second) ++owners_[ip];
    if (ip.family == 6) suffixes_.insert({suffix_of(ip), {member, ip}});
  }
}

void AddressBook::remove(wire::Address member, wire::NetworkId network, const MemberView& view) {
  link_local_.erase({link_local_suffix(member, network), member});
  for (const wire::Endpoint& ip : view.ips) {
    if (pairs_.erase({ip, member}) != 0) {
      const auto it = owners_.find(ip);
      if (--it->second == 0) owners_.erase(it);
    }
    if (ip.family == 6) suffixes_.erase({suffix_of(ip), {member, ip}});
  }
}

std::vector<wire::Address> AddressBook::owners(const wire::Endpoint& ip) const {
  std::vector<wire::Address> found;
  for (auto it = pairs_.lower_bound({ip, wire::Address{}}); it != pairs_.end() && it->first == ip;
       ++it) {
    found.push_back(it->second);
  }
  return found;
}

std::vector<wire::Endpoint> AddressBook::page(const wire::Endpoint& after, std::size_t most) const {
  std::vector<wire::Endpoint> found;
  for (auto it = owners_.upper_bound(after); it != owners_.end() && found.size() < most; ++it)
    found.push_back(it->first);
  return found;
}

std::vector<wire::Address> AddressBook::owners_of_suffix(std::uint32_t low24) const {
  std::set<wire::Address> found;
  for (auto it = suffixes_.lower_bound({low24, {}}); it != suffixes_.end() && it->first == low24;
       ++it) {
    found.insert(it->second.first);
  }
  for (auto it = link_local_.lower_bound({low24, {}});
       it != link_local_.end() && it->first == low24; ++it) {
    found.insert(it->second);
  }
  return {found.begin(), found.end()};
}

bool Registry::load(const StoreWrite& record) {
  auto parsed = parse_json(record.json);
  if (record.kind != RecordKind::kRecord || !parsed || !parsed->is_object() || !record.network)
    return false;
  json& value = *parsed;
  try {
    if (!record.member) {
      auto view = std::make_shared<const NetworkView>(view_network(value));
      NetworkEntry& net = networks_[record.network];
      net.record = std::move(value);
      set_view(net, std::move(view));
      return true;
    }
    MemberView view = view_member(value);
    NetworkEntry& net = networks_[record.network];
    may_have_orphans_ = may_have_orphans_ || !net.record.is_object();
    RegisteredMember& member = net.members[record.member];
    if (member.record.is_object()) unindex(record.network, net, record.member, member);
    member.view = std::move(view);
    member.epoch = ++epochs_;
    member.record = std::move(value);
    member.stored = true;
    index(record.network, net, record.member, member);
    return true;
  } catch (const json::exception&) {
    return false;  // a field of a type that no version writes
  }
}

NetworkEntry* Registry::find(wire::NetworkId id) {
  const auto it = networks_.find(id);
  return it == networks_.end() || !it->second.record.is_object() ? nullptr : &it->second;
}

const NetworkEntry* Registry::find(wire::NetworkId id) const {
  const auto it = networks_.find(id);
  return it == networks_.end() || !it->second.record.is_object() ? nullptr : &it->second;
}

RegisteredMember* Registry::find(wire::NetworkId id, wire::Address address) {
  NetworkEntry* net = find(id);
  if (net == nullptr) return nullptr;
  const auto it = net->members.find(address);
  return it == net->members.end() ? nullptr : &it->second;
}

bool Registry::put_network(wire::NetworkId id, json record) {
  if (const auto gone = departed_.find(id); gone != departed_.end()) {
    while (clear_members(id, gone->second, kMaxCandidates)) {
    }
    departed_.erase(gone);
  }
  NetworkEntry& net = networks_[id];
  while (!net.record.is_object() && clear_members(id, net, kMaxCandidates)) {
  }
  if (same_but_revision(net.record, record)) return false;
  record["revision"] = revision_of(net.record) + 1;
  auto view = std::make_shared<const NetworkView>(view_network(record));
  net.record = std::move(record);
  set_view(net, std::move(view));
  write({id, {}, json_text(net.record)});
  return true;
}

bool Registry::put_member(wire::NetworkId id, wire::Address address, json record, bool keep) {
  NetworkEntry& net = networks_.at(id);
  RegisteredMember& member = net.members[address];
  const bool changed = !same_but_revision(member.record, record);
  if (changed) {
    if (member.record.is_object()) unindex(id, net, address, member);
    record["revision"] = revision_of(member.record) + 1;
    const bool was_authorized = member.view.authorized;
    member.view = view_member(record);
    if (member.epoch == 0 || (was_authorized && !member.view.authorized)) member.epoch = ++epochs_;
    member.record = std::move(record);
    index(id, net, address, member);
  }
  const bool first = keep && !member.stored;
  member.stored = member.stored || keep;
  if (member.stored && (changed || first)) write_member(id, address, member);
  return changed;
}

void Registry::write_member(wire::NetworkId id, wire::Address address, RegisteredMember& member) {
  write({id, address, json_text(member.record)});
  member.mark = written_;
}

void Registry::touch(wire::NetworkId id, wire::Address address, Millis mono) {
  NetworkEntry& net = networks_.at(id);
  RegisteredMember& member = net.members.at(address);
  if (member.view.candidate) {
    net.candidates.erase({member.last_request, address});
    net.candidates.insert({mono, address});
  }
  member.last_request = mono;
  while (net.candidates.size() > kMaxCandidates) {
    const auto oldest = net.candidates.begin();
    remove_member(id, oldest->second == address ? std::next(oldest)->second : oldest->second);
  }
}

void Registry::keep(wire::NetworkId id, wire::Address address) {
  RegisteredMember* member = find(id, address);
  if (member == nullptr || member->stored) return;
  member->stored = true;
  write_member(id, address, *member);
}

void Registry::remove_network(wire::NetworkId id) {
  auto node = networks_.extract(id);
  if (!node) return;
  write({id, {}, {}});
  departed_.insert(std::move(node));
}

const std::map<wire::Address, RegisteredMember>* Registry::departed(wire::NetworkId id) const {
  const auto gone = departed_.find(id);
  return gone == departed_.end() ? nullptr : &gone->second.members;
}

bool Registry::clear_departed(std::size_t most) {
  if (std::exchange(may_have_orphans_, false)) {
    for (auto it = networks_.begin(); it != networks_.end();) {
      const auto next = std::next(it);
      if (!it->second.record.is_object()) departed_.insert(networks_.extract(it));
      it = next;
    }
  }
  if (departed_.empty()) return false;
  const auto first = departed_.begin();
  if (!clear_members(first->first, first->second, most)) departed_.erase(first);
  return true;
}

bool Registry::clear_members(wire::NetworkId id, NetworkEntry& net, std::size_t most) {
  for (; most > 0 && !net.members.empty(); --most) {
    const auto it = net.members.begin();
    unindex(id, net, it->first, it->second);
    if (it->second.stored) write({id, it->first, {}});
    net.members.erase(it);
  }
  return !net.members.empty();
}

void Registry::remove_member(wire::NetworkId id, wire::Address address) {
  NetworkEntry* net = find(id);
  const auto it = net == nullptr ? decltype(net->members)::iterator{} : net->members.find(address);
  if (net == nullptr || it == net->members.end()) return;
  unindex(id, *net, address, it->second);
  if (it->second.stored) write({id, address, {}});
  net->members.erase(it);
}

void Registry::put_back(std::vector<StoreWrite> writes) {
  writes.insert(writes.end(), std::make_move_iterator(writes_.begin()),
                std::make_move_iterator(writes_.end()));
  std::map<std::tuple<RecordKind, std::uint64_t, wire::NetworkId, wire::Address>, std::size_t> last;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const StoreWrite& w = writes[i];
    last[{w.kind, w.id, w.network, w.member}] = i;
  }
  writes_.clear();
  for (const auto& [key, i] : last) writes_.push_back(std::move(writes[i]));
}

bool Registry::is_bridge(const NetworkEntry& net, wire::Address address, const MemberView& member) {
  return member.authorized && (member.active_bridge || net.view->is_replicator(address));
}

void Registry::set_view(NetworkEntry& net, std::shared_ptr<const NetworkView> view) {
  const auto before = std::exchange(net.view, std::move(view));
  for (const NetworkView* some : {before.get(), net.view.get()}) {
    for (const auto& [address, role] : some->roles) {
      const auto it = net.members.find(address);
      if (it == net.members.end()) continue;
      if (is_bridge(net, address, it->second.view)) {
        net.bridges.insert(address);
      } else {
        net.bridges.erase(address);
      }
    }
  }
}

void Registry::index(wire::NetworkId id, NetworkEntry& net, wire::Address address,
                     const RegisteredMember& member) {
  net.addresses.add(address, id, member.view);
  if (member.view.authorized) ++net.authorized;
  if (is_bridge(net, address, member.view)) net.bridges.insert(address);
  if (member.view.candidate) net.candidates.insert({member.last_request, address});
}

void Registry::unindex(wire::NetworkId id, NetworkEntry& net, wire::Address address,
                       const RegisteredMember& member) {
  net.addresses.remove(address, id, member.view);
  if (member.view.authorized) --net.authorized;
  net.bridges.erase(address);
  net.candidates.erase({member.last_request, address});
}

}  // namespace orrery::control
