// How nodes find each other, and again after what happens to paths.
#include "sim/scenes.h"

namespace orrery::test {
namespace {

using sim::HostId;
using sim::NatId;
using sim::Place;

ORRERY_SCENE(open_hosts_meet, "two hosts with public addresses talk directly within a second") {
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet());
  const HostId bob = village.member("bob", s.on_internet());
  village.settle();
  s.talk(alice, bob, village.net, 100);
  s.must(1'000, "direct", [&] { return s.direct(alice, bob); });
  s.must_stay(60'000, "direct", [&] { return s.direct(alice, bob); });
}

ORRERY_SCENE(cones_meet,
             "two hosts behind port-restricted NATs talk directly within five seconds") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  village.settle();
  village.meet(alice, bob, 5'000);
  s.must_stay(600'000, "direct", [&] { return s.direct(alice, bob); }, 1'000);
}

ORRERY_SCENE(one_lan_without_hairpin,
             "two hosts of one LAN find each other there, though their NAT turns nothing back") {
  Village village(s);
  const NatId nat = s.add_nat(sim::kSymmetricRandom);
  const HostId alice = village.member("alice", s.behind(nat));
  const HostId bob = village.member("bob", s.behind(nat));
  village.settle();
  village.meet(alice, bob, 2'000);
  s.must_stay(60'000, "direct", [&] { return s.direct(alice, bob); });
}

ORRERY_SCENE(
    neighbours_at_a_carrier,
    "two homes of one carrier meet although it turns nothing back: it does not know them") {
  Village village(s);
  sim::NatBehaviour turning = sim::kPortRestricted;
  turning.hairpin = true;
  const NatId carrier = s.add_nat(turning);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted, carrier)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted, carrier)));
  village.settle();
  village.meet(alice, bob, 5'000);
}

ORRERY_SCENE(root_that_forgot,
             "a root comes back and knows nobody any more: a node that asks it all the time where "
             "others are hears of them within a minute") {
  const HostId root = s.add_root("root", s.on_internet(), {.keep_disk = false});
  const HostId controller = s.add("controller", s.on_internet(), {.controller = true});
  const HostId alice = s.add("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  s.start();
  const wire::NetworkId net = s.add_network(controller);
  s.join(alice, net);
  s.must(10'000, "configured", [&] { return s.configured(alice, net); });
  const HostId bob = s.add("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  s.join(bob, net);
  s.talk(alice, bob, net, 250);
  s.run_for(5'000);
  s.power_off(root);
  s.run_for(1'000);
  s.power_on(root);
  s.run_for(1'000);
  s.power_on(bob);
  s.must(60'000, "connected", [&] { return s.connected(alice, bob); });
}

ORRERY_SCENE(ports_that_are_swapped,
             "two hosts behind a NAT get each other's port: frames that the root relays to them "
             "reach them again within a minute") {
  Village village(s);
  const NatId home = s.add_nat(sim::kPortRestricted);
  const HostId alice = village.member("alice", s.behind(home));
  const HostId bob = village.member("bob", s.behind(home));
  // Nobody meets this one, so all goes through the root.
  const HostId carol = village.member("carol", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle();
  s.talk(alice, carol, village.net, 500);
  s.talk(bob, carol, village.net, 700);
  const auto all = [&] { return s.connected(alice, carol) && s.connected(bob, carol); };
  s.must(10'000, "connected", all);
  for (int swap = 0; swap < 4; ++swap) {
    s.run_for(20'000 + 50 * swap);
    s.internet().nat(home).forget();
    s.run_for(2'000);
    s.must(60'000, "connected again", all);
  }
}

ORRERY_SCENE(endpoint_with_a_new_owner,
             "a host moves, and another one gets the endpoint where it was: what the root relays "
             "to the first does not go to the second, but for half a minute") {
  Village village(s);
  const NatId home = s.add_nat(sim::kPortRestricted);
  const HostId bob = village.member("bob", s.behind(home));
  const HostId carol = village.member("carol", s.on_internet());
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle();
  s.talk(alice, bob, village.net, 500);
  s.talk(alice, carol, village.net, 500);
  s.must(10'000, "connected", [&] { return s.connected(alice, bob); });
  // Away for so long that nothing is asked any more where he was; and where he is then is worse.
  s.move(bob, s.behind(s.add_nat(sim::kPortRestricted)));
  s.set_side(bob, 1);
  s.internet().cut(0, 1, true);
  s.internet().cut(1, 0, true);
  for (const sim::Host::Socket& socket : s.host(bob).sockets) {
    sim::LinkProfile up = s.internet().up(socket.line), down = s.internet().down(socket.line);
    up.delay = down.delay = 40'000;
    s.internet().set_line(socket.line, up, down);
  }
  s.run_for(25'000);
  s.internet().cut(0, 1, false);
  s.internet().cut(1, 0, false);
  s.must(20'000, "connected again", [&] { return s.connected(alice, bob); });
  s.internet().nat(home).forget();
  s.move(carol, s.behind(home));
  s.run_for(30'000);
  s.must_stay(60'000, "connected", [&] { return s.connected(alice, bob); }, 1'000);
}

ORRERY_SCENE(symmetric_pair_is_relayed, "two hosts behind symmetric NATs go on by the root") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kSymmetricRandom)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle();
  s.talk(alice, bob, village.net, 250);
  s.must(2'000, "connected", [&] { return s.connected(alice, bob); });
  s.must_stay(120'000, "connected", [&] { return s.connected(alice, bob); });
}

ORRERY_SCENE(silence_outlives_no_mapping,
             "after ten minutes without a frame the first ones get through all the same") {
  Village village(s);
  sim::NatBehaviour impatient = sim::kPortRestricted;
  impatient.lifetime = 30'000'000;
  const HostId alice = village.member("alice", s.behind(s.add_nat(impatient)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(impatient)));
  village.settle();
  village.meet(alice, bob, 5'000);
  s.hush();
  s.run_for(600'000);
  s.talk(alice, bob, village.net, 250);
  s.must(20'000, "connected", [&] { return s.connected(alice, bob); });
  s.must(40'000, "direct", [&] { return s.direct(alice, bob); });
}

ORRERY_SCENE(new_lease,
             "a NAT's outside address changes in the middle of a talk: direct again before the old "
             "path's time is over") {
  Village village(s);
  const NatId home = s.add_nat(sim::kPortRestricted);
  const HostId alice = village.member("alice", s.behind(home));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kRestrictedCone)));
  village.settle();
  village.meet(alice, bob, 5'000);
  for (int i = 0; i < 3; ++i) {
    s.run_for(20'000);
    s.readdress(home);
    s.must(60'000, "direct again", [&] { return s.direct(alice, bob, 1'000); }, 100);
  }
}

ORRERY_SCENE(
    new_lease_while_relayed,
    "two are relayed, and the outside address of one changes: frames get through both ways "
    "again within six seconds") {
  Village village(s);
  const NatId home = s.add_nat(sim::kSymmetricRandom);
  const HostId alice = village.member("alice", s.behind(home));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle();
  s.talk(alice, bob, village.net, 250);
  s.must(5'000, "connected", [&] { return s.connected(alice, bob, 500); }, 100);
  for (int i = 0; i < 3; ++i) {
    s.must_stay(20'000, "connected", [&] { return s.connected(alice, bob); });
    s.readdress(home);
    s.run_for(1'000);  // what was heard before is old then
    s.must(5'000, "connected again", [&] { return s.connected(alice, bob, 500); }, 100);
  }
}

ORRERY_SCENE(roaming, "a laptop goes from home to the office and is talked to there") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.on_internet());
  village.settle();
  village.meet(alice, bob, 5'000);
  s.move(alice, s.behind(s.add_nat(sim::kSymmetricRandom)));
  s.must(30'000, "direct from the office", [&] { return s.direct(alice, bob, 500); });
}

ORRERY_SCENE(lossy_lines,
             "a tenth of all datagrams lost, doubled and overtaken: they meet, and stay") {
  Village village(s);
  const auto bad = [](Place place) {
    place.up.loss = place.down.loss = 50'000;
    place.up.duplicate = place.down.duplicate = 100'000;
    place.up.reorder = 100'000;
    place.up.jitter = 30'000;
    return place;
  };
  const HostId alice = village.member("alice", bad(s.behind(s.add_nat(sim::kPortRestricted))));
  const HostId bob = village.member("bob", bad(s.behind(s.add_nat(sim::kPortRestricted))));
  village.settle(60'000);
  s.talk(alice, bob, village.net, 100, 1'000);
  s.must(60'000, "direct", [&] { return s.direct(alice, bob); });
  s.must_stay(120'000, "connected", [&] { return s.connected(alice, bob); });
}

ORRERY_SCENE(narrow_line,
             "frames of several fragments over a line of 2 Mbit/s with small packets") {
  Village village(s);
  Place narrow = s.on_internet();
  narrow.up.bits_per_second = narrow.down.bits_per_second = 2'000'000;
  narrow.up.mtu = narrow.down.mtu = 1'300;
  const HostId alice = village.member("alice", narrow);
  const HostId bob = village.member("bob", s.on_internet());
  village.settle();
  s.talk(alice, bob, village.net, 100, 2'800);
  s.must(5'000, "direct", [&] { return s.direct(alice, bob); });
  s.must_stay(60'000, "direct", [&] { return s.direct(alice, bob); });
}

ORRERY_SCENE(clocks_jump, "wrong clocks and clocks that jump stop nobody") {
  Village village(s);
  const HostId alice = village.member("alice", s.on_internet(), {.wall_offset = -3 * 86'400'000LL});
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)),
                                    {.wall_offset = 400 * 86'400'000LL});
  village.settle();
  village.meet(alice, bob, 5'000);
  for (const Millis jump : {86'400'000LL, -10 * 86'400'000LL, 3'600'000LL, -60'000LL}) {
    s.jump(alice, jump);
    s.jump(bob, -jump);
    s.must_stay(90'000, "connected", [&] { return s.connected(alice, bob); });
  }
}

ORRERY_SCENE(restart_of_a_member, "who was killed and starts again is talked to at once") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  village.settle();
  village.meet(alice, bob, 5'000);
  s.run_for(60'000);
  s.power_off(alice);
  s.run_for(5'000);
  s.power_on(alice);
  s.must(5'000, "connected", [&] { return s.connected(alice, bob, 1'000); });
  s.must(10'000, "direct", [&] { return s.direct(alice, bob, 1'000); });
}

ORRERY_SCENE(root_is_gone, "whoever is connected directly stays so for an hour without any root") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kPortRestricted)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kPortRestricted)));
  village.settle();
  s.talk(alice, bob, village.net, 500);
  s.must(5'000, "direct", [&] { return s.direct(alice, bob); });
  s.power_off(village.root);
  s.must_stay(3'600'000, "direct", [&] { return s.direct(alice, bob); }, 5'000);
  s.power_on(village.root);
  const HostId carol = village.member("carol", s.on_internet());
  village.settle(10'000);
  s.talk(alice, carol, village.net, 500);
  s.must(10'000, "a newcomer is connected", [&] { return s.connected(alice, carol); });
}

ORRERY_SCENE(root_starts_again,
             "a root is killed and starts a second later, before anybody misses it: it relays as "
             "before within five seconds, though it has heard nothing yet but ECHO") {
  Village village(s);
  const HostId alice = village.member("alice", s.behind(s.add_nat(sim::kSymmetricRandom)));
  const HostId bob = village.member("bob", s.behind(s.add_nat(sim::kSymmetricRandom)));
  village.settle();
  s.talk(alice, bob, village.net, 250);
  s.must(5'000, "connected", [&] { return s.connected(alice, bob, 500); }, 100);
  s.run_for(90'000);  // by then the root has them on its disk
  s.power_off(village.root);
  s.run_for(1'000);
  s.power_on(village.root);
  s.must(5'000, "connected again", [&] { return s.connected(alice, bob, 500); }, 100);
}

ORRERY_SCENE(half_is_cut_off,
             "two halves of a network that were apart for a minute come together") {
  Village village(s);
  std::vector<HostId> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(
        village.member("node " + std::to_string(i), s.behind(s.add_nat(sim::kPortRestricted))));
  }
  village.settle();
  for (std::size_t i = 0; i < all.size(); ++i)
    s.talk(all[i], all[(i + 1) % all.size()], village.net, 500);
  const auto everybody = [&] {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!s.connected(all[i], all[(i + 1) % all.size()], 1'500)) return false;
    }
    return true;
  };
  s.must(10'000, "everybody is connected", everybody, 100);
  for (std::size_t i = 0; i < all.size() / 2; ++i) s.set_side(all[i], 1);
  s.internet().cut(0, 1);
  s.internet().cut(1, 0);
  s.run_for(60'000);
  s.internet().cut(0, 1, false);
  s.internet().cut(1, 0, false);
  s.must(60'000, "everybody is connected again", everybody, 100);
}

}  // namespace
}  // namespace orrery::test
