#!/usr/bin/env python3
"""What a controller says of a network, and what comes of it at its members: anchors, replicators, who has an address, what a sender may
claim; who asks and is not let in, who is put away, and a network that goes. Networks without a controller, too.

  wan (a switch)   root 10.9.0.1 (and controller)   a 10.9.0.2   b 10.9.0.3   c 10.9.0.4   d 10.9.0.5
"""
import subprocess
import time

from harness import SERVER, broadcasts, check, check_ledger, complaints, equal, main, run, some_members, wait_until

SUBNET = '10.8.0.0/24'
COUNT = 10  # broadcasts of a round
# Bit 60: the sender's certificate of ownership names the source. Source: docs/protocol/09-rules-engine.md section 5.
ONLY_OWNERS = [{'type': 'MATCH_CHARACTERISTICS', 'mask': '1000000000000000', 'not': True}, {'type': 'MATCH_ETHERTYPE', 'etherType': 0x0800},
               {'type': 'ACTION_DROP'}, {'type': 'ACTION_ACCEPT'}]


class Scene:
    def __init__(self, world):
        self.world = world
        # Without multicast members meet nobody whom they need not.
        self.root, self.network, (self.a, self.b, self.c, self.d) = some_members(world, 'abcd', name='law', multicastLimit=0)
        self.path = '/api/v1/networks/' + self.network
        self.everything = [self.root, self.a, self.b, self.c, self.d]

    def patch(self, **fields):
        """Returns when all members have what they were told."""
        status, body = self.root.api('PATCH', self.path, fields)
        equal(status, 200, 'PATCH of %s: %s' % (fields, body))
        for d in self.everything[1:]:
            wait_until(lambda: d.network(self.network)['netconfRevision'] == body['revision'], 10, '%s knows of %s' % (d.name, list(fields)))

    def member_path(self, d):
        return '%s/members/%s' % (self.path, d.address)

    def inside(self, d, *command, **options):
        return run('ip', 'netns', 'exec', d.space, *command, check_code=False, **options)

    def pings(self, d, to, *arguments, count=1):
        return self.inside(d, 'ping', '-n', '-c', str(count), '-i', '0.2', '-W', '1', *arguments, to).returncode == 0

    def block(self, d, other):
        """Nothing of the other's comes in."""
        self.inside(d, 'nft', 'add table inet e2e; add chain inet e2e in { type filter hook input priority 0; }; '
                              'add rule inet e2e in ip saddr %s udp dport 9993 drop' % underlay(other))

    def unblock(self, d):
        self.inside(d, 'nft', 'delete', 'table', 'inet', 'e2e')


def underlay(d):
    return {'root': '10.9.0.1', 'a': '10.9.0.2', 'b': '10.9.0.3', 'c': '10.9.0.4', 'd': '10.9.0.5'}[d.name]


class Ear:
    """ARP requests for an address that are seen at a member's TAP."""

    def __init__(self, s, d, target):
        self.dump = s.world.spawn(['ip', 'netns', 'exec', d.space, 'tcpdump', '-l', '-n', '--immediate-mode', '-i', d.device(s.network),
                                   'arp and arp[6:2] = 1 and arp[24:4] = %d' % number_of(target)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while 'listening on' not in self.dump.stderr.readline():
            check(self.dump.poll() is None, 'tcpdump listens')

    def heard(self):
        self.dump.terminate()
        return self.dump.communicate(timeout=10)[0].count('who-has')


def number_of(ip):
    value = 0
    for part in ip.split('.'):
        value = value << 8 | int(part)
    return value


def anchor(s):
    """members keep contact with an anchor of the network, without traffic, and with nobody else"""
    for d in (s.a, s.b, s.c):
        equal(d.peer(s.d), None, 'what %s knows of d before' % d.name)
    s.patch(anchors=[s.d.address])
    begin = time.monotonic()
    for d in (s.a, s.b, s.c):
        wait_until(lambda: d.direct_path(s.d) == underlay(s.d) + '/9993', 30, '%s reaches d' % d.name)
        wait_until(lambda: s.d.direct_path(d), 30, 'd reaches %s' % d.name)
    took = time.monotonic() - begin
    equal((s.a.peer(s.b), s.b.peer(s.c), s.c.peer(s.a)), (None, None, None), 'what others know of each other')
    s.patch(anchors=[])
    return 'after %.1f s' % took


def meet(s):
    s.patch(multicastLimit=32)
    for d in (s.a, s.b, s.c, s.d):
        others = [o for o in (s.a, s.b, s.c, s.d) if o is not d]
        wait_until(lambda: broadcasts(s.world, d, others, 5, 0.3) == [5, 5, 5], 60, 'broadcasts of %s reach all' % d.name)
        for other in others:
            wait_until(lambda: s.pings(d, other.ip(s.network)) and d.direct_path(other), 30, '%s reaches %s' % (d.name, other.name))


def replicator(s):
    """multicast goes to the network's replicator, once, and from there to the others; without it, to each of them"""
    meet(s)

    def round_of(sender, receivers):
        before = sender.packets('multicast_frame')
        heard = broadcasts(s.world, sender, receivers, COUNT)
        return heard, sender.packets('multicast_frame') - before

    others = [s.b, s.c, s.d]
    heard, sent = round_of(s.a, others)
    equal(heard, [COUNT] * 3, 'broadcasts that b, c and d hear')
    check(sent >= 3 * COUNT, 'packets that a sends for them', sent)

    s.patch(replicators=[s.b.address])
    equal([d.network(s.network)['bridge'] for d in (s.b, s.c)], [True, False], 'bridges')
    for sender, rest in ((s.a, [s.c, s.d]), (s.c, [s.a, s.d])):
        heard, sent = round_of(sender, [s.b] + rest)
        equal(heard, [COUNT] * 3, 'broadcasts of %s that the others hear by the replicator' % sender.name)
        # The kernel has a few of its own.
        check(COUNT <= sent < 2 * COUNT, 'packets that %s sends for them' % sender.name, sent)
        check(s.pings(sender, rest[0].ip(s.network)), 'ping from %s' % sender.name)
    s.block(s.b, s.a)
    try:
        equal(broadcasts(s.world, s.a, others, COUNT, 0.5), [0, 0, 0], 'broadcasts that are heard while the replicator gets none')
        check(s.pings(s.a, s.c.ip(s.network)), 'ping meanwhile')
        # Its path fails, and senders go back to doing it themselves.
        wait_until(lambda: broadcasts(s.world, s.a, [s.c, s.d], 3, 0.3) == [3, 3], 30, 'broadcasts of a without the replicator')
    finally:
        s.unblock(s.b)
    wait_until(lambda: s.a.direct_path(s.b), 60, 'a reaches b again')

    # One that is no member any more is asked for nothing.
    equal(s.root.api('PATCH', s.member_path(s.b), {'authorized': False})[0], 200, 'PATCH')
    try:
        wait_until(lambda: broadcasts(s.world, s.a, [s.c, s.d], 3, 0.3) == [3, 3], 10,
                   'broadcasts of a while the replicator is put out')
        before = s.b.packets('multicast_frame')
        equal(broadcasts(s.world, s.a, [s.c, s.d], COUNT), [COUNT] * 2, 'broadcasts of a while the replicator is put out')
        equal(s.b.packets('multicast_frame') - before, 0, 'packets that the replicator sends meanwhile')
    finally:
        equal(s.root.api('PATCH', s.member_path(s.b), {'authorized': True})[0], 200, 'PATCH')
    wait_until(lambda: s.b.has_configuration(s.network), 30, 'b has its configuration again')
    s.patch(replicators=[])
    heard, sent = round_of(s.a, [s.c, s.d])
    equal(heard, [COUNT] * 2, 'broadcasts that c and d hear')
    check(sent >= 2 * COUNT, 'packets that a sends for them', sent)


def put_out(s):
    """who is put out hears nothing of the others any more; and is reached again, though it says nothing, once it is in again"""
    meet(s)
    there = s.c.ip(s.network)
    wait_until(lambda: s.pings(s.a, there), 20, 'ping before')
    equal(broadcasts(s.world, s.a, [s.b, s.c], COUNT), [COUNT] * 2, 'broadcasts of a before')
    equal(s.root.api('PATCH', s.member_path(s.c), {'authorized': False})[0], 200, 'PATCH')
    wait_until(lambda: s.c.network(s.network)['status'] == 'ACCESS_DENIED', 5, 'c says so')
    time.sleep(0.5)
    device, received = s.c.device(s.network), lambda: int(s.inside(s.c, 'cat', '/sys/class/net/%s/statistics/rx_packets' % device).stdout)
    before, dropped = received(), s.a.get('/orrery/drops')
    equal(broadcasts(s.world, s.a, [s.b, s.c], COUNT), [COUNT, 0], 'broadcasts of a while c is put out')
    check(not s.pings(s.a, there, count=5), 'no ping')
    equal(received() - before, 0, 'frames that come out of the interface of c')
    now = s.a.get('/orrery/drops')
    check(sum(now[k]['revoked'] - dropped[k]['revoked'] for k in ('worker', 'networks')) >= COUNT + 5, 'drops of a', now)
    equal(s.root.api('PATCH', s.member_path(s.c), {'authorized': True})[0], 200, 'PATCH')
    wait_until(lambda: s.pings(s.a, there), 20, 'ping after')
    equal(broadcasts(s.world, s.a, [s.b, s.c], COUNT), [COUNT] * 2, 'broadcasts of a after')


def owner(s):
    """the controller tells who has an address that it gave, announced or not: the request goes to the owner and to nobody else"""
    s.patch(multicastLimit=32)
    given, nobody, announced = '10.8.0.201', '10.8.0.202', '10.8.0.203'
    # An address of the loopback interface is answered for, and no node announces it.
    s.c.post('/network/' + s.network, {'allowManaged': False})
    own = s.c.ip(s.network)
    device = s.c.device(s.network)
    wait_until(lambda: own not in s.inside(s.c, 'ip', 'addr', 'show', 'dev', device).stdout, 10, 'the TAP has no address')
    for ip in (given, nobody):
        s.inside(s.c, 'ip', 'addr', 'add', ip + '/32', 'dev', 'lo')
    s.inside(s.c, 'ip', 'route', 'add', SUBNET, 'dev', device)
    try:
        equal(s.root.api('PATCH', s.member_path(s.c), {'ipAssignments': [own, given]})[0], 200, 'PATCH')
        wait_until(lambda: given + '/24' in s.c.network(s.network)['assignedAddresses'], 10, 'c has the address')
        ears = {(d.name, ip): Ear(s, d, ip) for d in (s.b, s.c, s.d) for ip in (given, nobody)}
        check(s.pings(s.a, given, count=3), 'ping of an address that the controller gave')
        check(not s.pings(s.a, nobody, count=3), 'an address that it did not give is found')
        heard = {key: ear.heard() for key, ear in ears.items()}
        check(heard.pop(('c', given)) > 0, 'the owner is asked')
        equal(sum(heard.values()), 0, 'requests that others hear: %s' % heard)
        # Who announces an address is asked for it.
        s.inside(s.d, 'ip', 'addr', 'add', announced + '/24', 'dev', s.d.device(s.network))
        ear = Ear(s, s.d, announced)
        wait_until(lambda: s.pings(s.a, announced), 30, 'ping of an address that d announces')
        check(ear.heard() > 0, 'd is asked')
        # What was answered is kept: no gather for the next request.
        asked = s.a.packets('multicast_gather')
        for _ in range(3):
            s.inside(s.a, 'ip', 'neigh', 'flush', 'dev', s.a.device(s.network))
            check(s.pings(s.a, given), 'ping again')
        check(s.a.packets('multicast_gather') - asked < 3, 'gathers for what is known', s.a.packets('multicast_gather') - asked)
    finally:
        s.inside(s.d, 'ip', 'addr', 'del', announced + '/24', 'dev', s.d.device(s.network))
        s.root.api('PATCH', s.member_path(s.c), {'ipAssignments': [own]})
        s.inside(s.c, 'ip', 'route', 'del', SUBNET, 'dev', device)
        for ip in (given, nobody):
            s.inside(s.c, 'ip', 'addr', 'del', ip + '/32', 'dev', 'lo')
        s.c.post('/network/' + s.network, {'allowManaged': True})
    wait_until(lambda: s.pings(s.a, own), 15, 'c has its address again')


def ownership(s):
    """who claims an address that the controller did not give is not heard where rules ask for its certificate"""
    s.patch(multicastLimit=32)
    claimed = '10.8.0.222'
    s.inside(s.b, 'ip', 'addr', 'add', claimed + '/24', 'dev', s.b.device(s.network))
    to = s.a.ip(s.network)
    try:
        wait_until(lambda: s.pings(s.b, to, '-I', claimed), 30, 'ping in its name')
        s.patch(rules=ONLY_OWNERS)
        wait_until(lambda: not s.pings(s.b, to, '-I', claimed), 10, 'it is not heard')
        check(s.pings(s.b, to, count=3), 'ping in its own name')
        equal(s.root.api('PATCH', s.member_path(s.b), {'ipAssignments': [s.b.ip(s.network), claimed]})[0], 200, 'PATCH')
        wait_until(lambda: s.pings(s.b, to, '-I', claimed), 10, 'it is heard when the controller gave it the address')
        equal(s.root.api('PATCH', s.member_path(s.b), {'ipAssignments': [s.b.ip(s.network)]})[0], 200, 'PATCH')
    finally:
        s.patch(rules=[{'type': 'ACTION_ACCEPT'}])
        s.inside(s.b, 'ip', 'addr', 'del', claimed + '/24', 'dev', s.b.device(s.network))


def candidates(s):
    """who asks and is not let in is listed; a member that is put away is out, and a network that is deleted is gone for all"""
    network = s.root.address + '000002'
    path = '/api/v1/networks/' + network
    s.root.post('/controller/network/' + network, {'name': 'other', 'private': True})

    def status(d):
        return d.network(network)['status']

    def listed(authorized):
        page = s.root.get('%s/members?authorized=%s' % (path, authorized))
        return {m['id']: m['live']['online'] for m in page['data']}

    for d in (s.a, s.b):
        d.join(network)
    wait_until(lambda: status(s.a) == status(s.b) == 'ACCESS_DENIED', 10, 'both are refused')
    equal(listed('false'), {s.a.address: True, s.b.address: True}, 'members that are not authorised')
    equal(set(s.root.get('/controller/network/%s/member' % network)), {s.a.address, s.b.address}, 'members by the stock path')
    equal(listed('true'), {}, 'members that are authorised')
    for d in (s.a, s.b):
        s.root.admit(network, d)
    wait_until(lambda: status(s.a) == status(s.b) == 'OK', 10, 'both are let in')
    equal(listed('false'), {}, 'members that are not authorised')

    equal(s.root.api('DELETE', '%s/members/%s' % (path, s.a.address))[0], 204, 'DELETE of a member')
    wait_until(lambda: status(s.a) == 'ACCESS_DENIED', 2, 'who is put away hears it', 0.02)
    equal(status(s.b), 'OK', 'the other')
    wait_until(lambda: listed('false') == {s.a.address: True}, 75, 'it asks again, and is listed again')
    equal(s.root.api('DELETE', path)[0], 204, 'DELETE of the network')
    equal(s.root.api('GET', path)[0], 404, 'GET of the network')
    begin = time.monotonic()
    wait_until(lambda: status(s.b) != 'OK', 2, 'its member hears it', 0.02)
    heard = time.monotonic() - begin
    wait_until(lambda: status(s.a) == status(s.b) == 'NOT_FOUND', 75, 'there is no such network')
    for d in (s.a, s.b):
        d.delete('/network/' + network)
    return 'heard after %.2f s' % heard


def sso(s):
    """a network with single sign-on says so to who has not signed on"""
    network = s.root.address + '000003'
    path = '/api/v1/networks/' + network
    s.root.post('/controller/network/' + network, {'name': 'sso', 'private': False})
    equal(s.root.api('PATCH', path, {'ssoEnabled': True})[0], 200, 'PATCH')
    s.a.join(network)
    wait_until(lambda: s.a.network(network)['status'] == 'AUTHENTICATION_REQUIRED', 10, 'it says so')
    equal(s.root.api('PATCH', '%s/members/%s' % (path, s.a.address), {'ssoExempt': True})[0], 200, 'PATCH')
    wait_until(lambda: s.a.network(network)['status'] == 'OK', 10, 'who need not is let in')
    s.a.delete('/network/' + network)


def adhoc(s):
    """networks without a controller: addresses from their id, and the ports that it names"""
    ports, octet = 'ff01bb01bb000000', 'ff0a000000000001'
    for network in (ports, octet):
        for d in (s.a, s.b):
            d.join(network)
            wait_until(lambda: d.has_configuration(network), 10, '%s is in %s' % (d.name, network))
    to = s.b.ip(ports, 6)
    wait_until(lambda: s.pings(s.a, to), 20, 'ping over 6PLANE')
    server = s.world.spawn(['ip', 'netns', 'exec', s.b.space, 'python3', '-c', SERVER, '443', '444'], stdout=subprocess.PIPE, text=True)
    equal(server.stdout.readline().strip(), 'ready', 'the server')
    try:
        def connects(port):
            return s.inside(s.a, 'python3', '-c', 'import socket; socket.create_connection(("%s", %d), 2)' % (to, port)).returncode == 0
        check(connects(443), 'a port of the network')
        check(not connects(444), 'another port')
    finally:
        server.kill()
    check(s.b.ip(octet).startswith('10.'), 'the address in a network of the other form', s.b.ip(octet))
    wait_until(lambda: s.pings(s.a, s.b.ip(octet)), 20, 'ping over IPv4')
    for network in (ports, octet):
        for d in (s.a, s.b):
            d.delete('/network/' + network)


def quiet_end(s):
    """the ledgers add up, all end with exit code 0, and their logs tell of no failure"""
    for d in s.everything:
        check_ledger(d)
    for d in s.everything:
        equal(d.stop()[0], 0, 'exit code of %s' % d.name)
        equal(complaints(d.log())[:3], [], 'log of %s' % d.name)


if __name__ == '__main__':
    main('law', [anchor, replicator, put_out, owner, ownership, candidates, sso, adhoc, quiet_end],
         needs=('ping', 'nft', 'tcpdump', 'python3'), setup=Scene)
