#!/usr/bin/env python3
"""Every field of networks and members between ours and stock, both ways: run by hand, as root.

    tests/e2e/stock_fields.py /path/to/zerotier-one

A root of ours; a controller of ours with a stock member, and a stock controller with a member of ours. Each field is set at the
controller and looked for at the member, in what its node says and in what its host does. Prints a row per field for docs/interop.md.
"""
import os
import subprocess
import sys
import time

from harness import SERVER, Failure, Stock, broadcasts, check, equal, main, root_and_controller, run, wait_until

STOCK = sys.argv.pop(1) if len(sys.argv) > 1 else None
TAG = 7
ADDRESS_PAUSE = 4
COUNT = 10  # broadcasts of a round
ACCEPT = [{'type': 'ACTION_ACCEPT'}]
# Bit 60: the sender's certificate of ownership names the source. Source: docs/protocol/09-rules-engine.md section 5.
ONLY_OWNERS = [{'type': 'MATCH_CHARACTERISTICS', 'mask': '1000000000000000', 'not': True}, {'type': 'MATCH_ETHERTYPE', 'etherType': 0x0800},
               {'type': 'ACTION_DROP'}] + ACCEPT


class Pair:
    """A controller, its network, a member, and a second member as the other end."""

    def __init__(self, controller, member, other, network):
        self.controller, self.member, self.other, self.network = controller, member, other, network
        self.controller_is_ours = not isinstance(controller, Stock)
        self.path = '/controller/network/' + network
        self.set({'name': 'fields', 'private': True, 'v4AssignMode': {'zt': True}, 'v6AssignMode': {'zt': False, 'rfc4193': False, '6plane': False},
                  'routes': [{'target': '10.8.0.0/24'}, {'target': 'fd12:3456::/64'}],
                  'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}, {'ipRangeStart': 'fd12:3456::1', 'ipRangeEnd': 'fd12:3456::ffff:ffff:ffff:ffff'}]})
        for node in (member, other):
            node.join(network)
            self.set_member(node, {'authorized': True})
        self.until(lambda n: n['status'] == 'OK', 'configured', 20)
        wait_until(lambda: (other.network(network) or {}).get('status') == 'OK', 20, 'the other member is configured')

    def set(self, body):
        return self.controller.post(self.path, body)

    def set_member(self, node, body):
        return self.controller.post('%s/member/%s' % (self.path, node.address), body)

    def until(self, holds, what, seconds=75):
        """Stock controllers push at once, too; a minute is what a lost push costs."""
        return wait_until(lambda: holds(self.member.network(self.network)), seconds, what, 0.2)

    def inside(self, node, *command):
        return run('ip', 'netns', 'exec', node.space, *command, check_code=False, seconds=30)

    def address(self, node, text='10.8.0.'):
        return next(a.split('/')[0] for a in node.network(self.network)['assignedAddresses'] if a.startswith(text))

    def pings(self, count=1, wait=2):
        return self.inside(self.other, 'ping', '-c', str(count), '-W', str(wait), '-i', '0.3', self.address(self.member)).returncode == 0

    def ping_state(self, wanted, seconds=20):
        wait_until(lambda: self.pings(1, 1) == wanted, seconds, 'ping %s' % ('passes' if wanted else 'ends'), 0.2)


class Scene:
    def __init__(self, world):
        lan = world.switch('lan')
        spaces = []
        for number in range(1, 7):
            spaces.append(world.space('s%d' % number))
            world.plug(spaces[-1], 'wan0', lan, '10.7.0.%d/24' % number)
        self.root, planet = root_and_controller(world, '10.7.0.1', space=spaces[0])
        self.root.start()
        stock_member, stock_other = (
            Stock(world, STOCK, name, space, planet) for name, space in (('stock1', spaces[1]), ('stock2', spaces[2])))
        controller = Stock(world, STOCK, 'stockctl', spaces[3], planet)
        ours, ours_other = world.daemon('ours1', space=spaces[4], planet=planet), world.daemon('ours2', space=spaces[5], planet=planet)
        for d in (ours, ours_other):
            d.start()
            d_join = d.post
            d.join = lambda network, post=d_join: post('/network/' + network, {'allowDNS': True, 'allowGlobal': True})
        for node in (stock_member, stock_other, controller, ours, ours_other):
            wait_until(node.online, 60, 'online')
        self.pairs = {'stock under ours': Pair(self.root, stock_member, stock_other, self.root.address + '000001'),
                      'ours under stock': Pair(controller, ours, ours_other, controller.address + '000001')}
        self.stocks, self.ours = [stock_member, stock_other], [ours, ours_other]
        self.underlay = {node.address: '10.7.0.%d' % number for number, node in
                         enumerate((self.root, stock_member, stock_other, controller, ours, ours_other), 1)}

    def network(self, number, nodes=(), **settings):
        """One more of our controller's, with these members."""
        network = '%s%06x' % (self.root.address, number)
        self.root.post('/controller/network/' + network, dict({'private': True}, **settings))
        for node in nodes:
            node.join(network)
            self.root.post('/controller/network/%s/member/%s' % (network, node.address), {'authorized': True})
        for node in nodes:
            wait_until(lambda: (node.network(network) or {}).get('status') == 'OK', 20, 'configured')
        return network

    def patch(self, network, nodes, **fields):
        """By /api/v1; returns when these members know of it."""
        status, body = self.root.api('PATCH', '/api/v1/networks/' + network, fields)
        equal(status, 200, 'PATCH of %s: %s' % (fields, body))
        for node in nodes:
            wait_until(lambda: node.network(network)['netconfRevision'] == body['revision'], 75, 'a member knows of %s' % list(fields))

    def inside(self, node, *command):
        return run('ip', 'netns', 'exec', node.space, *command, check_code=False, seconds=30)

    def pings(self, node, to, *arguments, count=1):
        return self.inside(node, 'ping', '-n', '-c', str(count), '-i', '0.3', '-W', '1', *arguments, to).returncode == 0

    def kind(self, node):
        return 'stock' if node in self.stocks else 'ours'


def both(check):
    def run_both(s):
        said = []
        for name, pair in s.pairs.items():
            try:
                begin = time.monotonic()
                check(pair)
                said.append('%s %.1f s' % (name, time.monotonic() - begin))
            except Failure as failure:
                raise Failure('%s: %s' % (name, failure))
        return ', '.join(said)
    run_both.__doc__, run_both.__name__ = check.__doc__, check.__name__
    return run_both


def name(p):
    """network.name"""
    p.set({'name': 'renamed'})
    p.until(lambda n: n['name'] == 'renamed', 'name')


def kind(p):
    """network.private"""
    p.until(lambda n: n['type'] == 'PRIVATE', 'private')
    p.set({'private': False})
    p.until(lambda n: n['type'] == 'PUBLIC', 'public')
    p.set({'private': True})
    p.until(lambda n: n['type'] == 'PRIVATE', 'private')


def mtu(p):
    """network.mtu"""
    p.set({'mtu': 1400})
    p.until(lambda n: n['mtu'] == 1400, 'mtu')
    device = p.member.network(p.network)['portDeviceName']
    wait_until(lambda: p.inside(p.member, 'cat', '/sys/class/net/%s/mtu' % device).stdout.strip() == '1400', 20, 'MTU of the interface')
    p.set({'mtu': 2800})
    p.until(lambda n: n['mtu'] == 2800, 'mtu')


def broadcast(p):
    """network.enableBroadcast"""
    p.set({'enableBroadcast': False})
    p.until(lambda n: n['broadcastEnabled'] is False, 'off')
    p.set({'enableBroadcast': True})
    p.until(lambda n: n['broadcastEnabled'] is True, 'on')


def revision(p):
    """network.revision"""
    wanted = p.controller.get(p.path)['revision']
    p.until(lambda n: n['netconfRevision'] == wanted, 'revision')


def pools4(p):
    """network.v4AssignMode, ipAssignmentPools (IPv4)"""
    p.until(lambda n: any(a.startswith('10.8.0.') and a.endswith('/24') for a in n['assignedAddresses']), 'address')
    p.ping_state(True)


def pools6(p):
    """network.v6AssignMode.zt, ipAssignmentPools (IPv6)"""
    p.set({'v6AssignMode': {'zt': True, 'rfc4193': False, '6plane': False}})
    p.until(lambda n: any(a.startswith('fd12:3456:') and a.endswith('/64') for a in n['assignedAddresses']), 'address')


def derived(p):
    """network.v6AssignMode.rfc4193, .6plane"""
    p.set({'v6AssignMode': {'zt': False, 'rfc4193': True, '6plane': True}})
    p.until(lambda n: any(a.startswith('fd') and a.endswith('/88') for a in n['assignedAddresses']) and
            any(a.startswith('fc') and a.endswith('/40') for a in n['assignedAddresses']), 'addresses')


def on_interface(p):
    device = p.member.network(p.network)['portDeviceName']
    return p.inside(p.member, 'ip', '-o', 'addr', 'show', 'dev', device).stdout


def static(p):
    """member.ipAssignments"""
    before = p.controller.get('%s/member/%s' % (p.path, p.member.address))['ipAssignments']
    old = p.address(p.member) + '/24'

    def moved(there, gone):
        shown = on_interface(p)
        return there + ' ' in shown and gone + ' ' not in shown

    # The interface of a stock node whose addresses change twice within a second or so is left with wrong ones, whatever its node says.
    time.sleep(ADDRESS_PAUSE)
    p.set_member(p.member, {'ipAssignments': ['10.8.0.200'] + [a for a in before if ':' in a]})
    p.until(lambda n: '10.8.0.200/24' in n['assignedAddresses'], 'address')
    wait_until(lambda: moved('10.8.0.200/24', old), 20, 'address of the interface')
    time.sleep(ADDRESS_PAUSE)
    p.set_member(p.member, {'ipAssignments': before})
    p.until(lambda n: '10.8.0.200/24' not in n['assignedAddresses'], 'address back')
    wait_until(lambda: moved(old, '10.8.0.200/24'), 20, 'address of the interface, back')


def no_auto(p):
    """member.noAutoAssignIps"""
    before = p.controller.get('%s/member/%s' % (p.path, p.member.address))['ipAssignments']
    time.sleep(ADDRESS_PAUSE)
    p.set_member(p.member, {'noAutoAssignIps': True, 'ipAssignments': []})
    p.until(lambda n: n['assignedAddresses'] == [], 'no address')
    wait_until(lambda: 'inet 10.8.0.' not in on_interface(p), 20, 'no address of the interface')
    time.sleep(ADDRESS_PAUSE)
    p.set_member(p.member, {'noAutoAssignIps': False, 'ipAssignments': before})
    p.until(lambda n: n['assignedAddresses'] != [], 'addresses')
    wait_until(lambda: 'inet 10.8.0.' in on_interface(p), 20, 'addresses of the interface')


def routes(p):
    """network.routes"""
    gateway = p.address(p.other)
    p.set({'routes': [{'target': '10.8.0.0/24'}, {'target': 'fd12:3456::/64'}, {'target': '10.99.0.0/16', 'via': gateway}]})
    p.until(lambda n: any(r['target'] == '10.99.0.0/16' and r['via'] == gateway for r in n['routes']), 'route')
    wait_until(lambda: '10.99.0.0/16 via %s' % gateway in p.inside(p.member, 'ip', 'route').stdout, 20, 'route of the host')


def dns(p):
    """network.dns"""
    p.set({'dns': {'domain': 'x.example', 'servers': ['10.8.0.53']}})
    p.until(lambda n: n['dns']['domain'] == 'x.example' and n['dns']['servers'] == ['10.8.0.53'], 'dns')


def bridge(p):
    """member.activeBridge"""
    p.set_member(p.member, {'activeBridge': True})
    p.until(lambda n: n['bridge'] is True, 'bridge')
    p.set_member(p.member, {'activeBridge': False})
    p.until(lambda n: n['bridge'] is False, 'no bridge')


def rules(p):
    """network.rules"""
    p.ping_state(True)
    p.set({'rules': [{'type': 'MATCH_ETHERTYPE', 'etherType': 0x0806}, {'type': 'ACTION_ACCEPT'}, {'type': 'ACTION_DROP'}]})
    p.ping_state(False)
    p.set({'rules': [{'type': 'ACTION_ACCEPT'}]})
    p.ping_state(True)


def tags(p):
    """network.tags, member.tags"""
    p.set({'tags': [{'id': TAG, 'default': 1}],
           'rules': [{'type': 'MATCH_ETHERTYPE', 'etherType': 0x0806}, {'type': 'ACTION_ACCEPT'},
                     {'type': 'MATCH_TAGS_EQUAL', 'id': TAG, 'value': 1}, {'type': 'ACTION_ACCEPT'}, {'type': 'ACTION_DROP'}]})
    p.ping_state(True, 90)
    p.set_member(p.member, {'tags': [[TAG, 2]]})
    p.ping_state(False, 90)
    p.set_member(p.member, {'tags': [[TAG, 1]]})
    p.ping_state(True, 90)


def capabilities(p):
    """network.capabilities, member.capabilities"""
    p.set({'capabilities': [{'id': 5, 'default': False, 'rules': [{'type': 'ACTION_ACCEPT'}]}],
           'rules': [{'type': 'MATCH_ETHERTYPE', 'etherType': 0x0806}, {'type': 'ACTION_ACCEPT'}, {'type': 'ACTION_BREAK'}]})
    p.ping_state(False, 90)
    for node in (p.member, p.other):
        p.set_member(node, {'capabilities': [5]})
    p.ping_state(True, 90)
    p.set({'rules': [{'type': 'ACTION_ACCEPT'}]})


def limit(p):
    """network.multicastLimit"""
    p.set({'multicastLimit': 3})
    wanted = p.controller.get(p.path)['revision']
    p.until(lambda n: n['netconfRevision'] == wanted, 'revision')


def put_out(p):
    """member.authorized"""
    p.ping_state(True)
    begin = time.monotonic()
    p.set_member(p.member, {'authorized': False})
    wait_until(lambda: not p.pings(1, 1), 15, 'its packets end', 0.05)
    p.cut = time.monotonic() - begin
    wait_until(lambda: p.member.network(p.network)['status'] == 'ACCESS_DENIED', 75, 'it says so')
    p.told = time.monotonic() - begin
    p.set_member(p.member, {'authorized': True})
    p.until(lambda n: n['status'] == 'OK', 'in again')
    p.ping_state(True, 90)


def cut(s):
    """how fast a deauthorised member is cut off"""
    return ', '.join('%s: no answer after %.1f s (1 s of it the ping itself), says so after %.1f s' % (n, p.cut, p.told) for n, p in s.pairs.items())


def ownership(p):
    """certificates of ownership: a rule lets nobody speak for an address that he was not given"""
    claimed, to = '10.8.0.222', p.address(p.member)
    device = p.other.device(p.network)

    def heard(*arguments):
        return p.inside(p.other, 'ping', '-c', '1', '-W', '1', *arguments, to).returncode == 0
    p.inside(p.other, 'ip', 'addr', 'add', claimed + '/24', 'dev', device)
    try:
        wait_until(lambda: heard('-I', claimed), 30, 'ping in its name')
        p.set({'rules': ONLY_OWNERS})
        wait_until(lambda: not heard('-I', claimed), 75, 'it is not heard')
        check(heard() and heard(), 'ping in its own name')
    finally:
        p.set({'rules': ACCEPT})
        p.inside(p.other, 'ip', 'addr', 'del', claimed + '/24', 'dev', device)


def resolution(p):
    """an address that was given and never announced: our controller tells who has it, a stock one does not"""
    given, nobody = '10.8.0.201', '10.8.0.202'
    path = '%s/member/%s' % (p.path, p.other.address)
    before = p.controller.get(path)['ipAssignments']
    device = p.other.device(p.network)
    p.other.post('/network/' + p.network, {'allowManaged': False})
    wait_until(lambda: '10.8.0.' not in p.inside(p.other, 'ip', 'addr', 'show', 'dev', device).stdout, 20, 'no address at the interface')
    # Addresses of the loopback interface are answered for, and no node announces them.
    for ip in (given, nobody):
        p.inside(p.other, 'ip', 'addr', 'add', ip + '/32', 'dev', 'lo')
    p.inside(p.other, 'ip', 'route', 'add', '10.8.0.0/24', 'dev', device)
    try:
        p.set_member(p.other, {'ipAssignments': before + [given]})
        wait_until(lambda: given + '/24' in p.other.network(p.network)['assignedAddresses'], 75, 'the address is given')

        def found(ip):
            return p.inside(p.member, 'ping', '-n', '-c', '4', '-W', '1', ip).returncode == 0
        equal((found(given), found(nobody)), (p.controller_is_ours, False), 'whether the given address and another one are found')
    finally:
        p.set_member(p.other, {'ipAssignments': before})
        p.inside(p.other, 'ip', 'route', 'del', '10.8.0.0/24', 'dev', device)
        for ip in (given, nobody):
            p.inside(p.other, 'ip', 'addr', 'del', ip + '/32', 'dev', 'lo')
        time.sleep(ADDRESS_PAUSE)
        p.other.post('/network/' + p.network, {'allowManaged': True})
    p.ping_state(True, 60)


def anchors(s):
    """network.anchors: members keep contact with one, without traffic"""
    began = time.monotonic()
    for number, (node, other) in enumerate(((s.stocks[0], s.ours[0]), (s.ours[1], s.stocks[1])), 0x10):
        # Without multicast they have no reason to meet.
        network = s.network(number, (node, other), multicastLimit=0)
        time.sleep(6)
        equal(node.peer(other), None, 'what a member knows of the other before')
        s.patch(network, (node, other), anchors=[other.address])
        for one, two in ((node, other), (other, node)):
            # A stock node has further ports, and a root may know it by any of them.
            wait_until(lambda: (one.direct_path(two) or '').split('/')[0] == s.underlay[two.address], 90, '%s reaches %s' % (s.kind(one), s.kind(two)))
    return 'stock to ours and ours to stock, %.0f s' % (time.monotonic() - began)


def replicators(s):
    """network.replicators: multicast goes to one of them, once, and from there to the others"""
    nodes = s.stocks + s.ours
    network = s.network(0x20, nodes, v4AssignMode={'zt': True}, routes=[{'target': '10.6.0.0/24'}],
                        ipAssignmentPools=[{'ipRangeStart': '10.6.0.10', 'ipRangeEnd': '10.6.0.99'}])
    to = '10.6.0.255'

    def round_of(sender, rest):
        before = sender.packets('multicast_frame')
        heard = broadcasts(s.root.world, sender, rest, COUNT, to=to)
        return heard, sender.packets('multicast_frame') - before

    for sender in nodes:  # a stock node announces its groups once a minute: before that nobody sends to it
        rest = [n for n in nodes if n is not sender]
        wait_until(lambda: broadcasts(s.root.world, sender, rest, 5, 0.3, to) == [5] * 3, 90, 'broadcasts of all to all')
        heard, sent = round_of(sender, rest)
        equal(heard, [COUNT] * 3, 'broadcasts of %s that are heard' % s.kind(sender))
        check(sent >= 3 * COUNT, 'packets that %s sends for them' % s.kind(sender), sent)
    said = []
    for sender, replicator in ((s.stocks[0], s.ours[0]), (s.stocks[0], s.stocks[1]), (s.ours[1], s.stocks[1]), (s.ours[1], s.ours[0])):
        what = '%s by %s' % (s.kind(sender), s.kind(replicator))
        s.patch(network, nodes, replicators=[replicator.address])
        wait_until(lambda: sender.direct_path(replicator) and replicator.direct_path(sender), 60, what + ': they reach each other')
        rest = [n for n in nodes if n is not sender]
        heard, sent = round_of(sender, rest)
        equal(heard, [COUNT] * 3, what + ': broadcasts that are heard')
        check(COUNT <= sent < 2 * COUNT, what + ': packets that the sender sends for them', sent)
        s.inside(replicator, 'nft', 'add table inet e2e; add chain inet e2e in { type filter hook input priority 0; }; '
                                    'add rule inet e2e in ip saddr %s udp dport 9993 drop' % s.underlay[sender.address])
        try:
            equal(broadcasts(s.root.world, sender, rest, COUNT, 0.5, to), [0] * 3, what + ': broadcasts that are heard while it gets none')
        finally:
            s.inside(replicator, 'nft', 'delete', 'table', 'inet', 'e2e')
        said.append('%s: %d packets' % (what, sent))
    return ', '.join(said)


def traces(s):
    """network.remoteTraceTarget, .remoteTraceLevel: a stock member sends its traces there"""
    p = s.pairs['stock under ours']

    def grown():
        before = s.root.packets('remote_trace', 'rx')
        end = time.monotonic() + 12  # a stock node looks at who traces every 7.5 s
        while time.monotonic() < end:
            p.pings(1, 1)
        return s.root.packets('remote_trace', 'rx') - before
    p.set({'rules': [{'type': 'MATCH_ETHERTYPE', 'etherType': 0x0800}, {'type': 'ACTION_DROP'}] + ACCEPT})
    p.ping_state(False)
    equal(grown(), 0, 'traces that nobody asked for')
    p.set({'remoteTraceTarget': s.root.address, 'remoteTraceLevel': 30})
    grown()
    traced = grown()
    check(traced > 0, 'traces that our controller is sent', traced)
    p.set({'remoteTraceTarget': None, 'remoteTraceLevel': 0})
    grown()
    equal(grown(), 0, 'traces afterwards')
    p.set({'rules': ACCEPT})
    p.ping_state(True)
    return '%d traces in 12 s' % traced


def candidates(s):
    """a stock member that is not let in is listed; who is put away is out, and a network that is deleted is gone"""
    network = s.network(0x30, ())
    node, other = s.stocks

    def status(n):
        return n.network(network)['status']

    def listed(authorized):
        page = s.root.get('/api/v1/networks/%s/members?authorized=%s' % (network, authorized))
        return {m['id'] for m in page['data']}
    for n in (node, other):
        n.join(network)
    wait_until(lambda: status(node) == status(other) == 'ACCESS_DENIED', 20, 'both are refused')
    equal((listed('false'), listed('true')), ({node.address, other.address}, set()), 'members that are not authorised, and that are')
    for n in (node, other):
        s.root.admit(network, n)
    wait_until(lambda: status(node) == status(other) == 'OK', 20, 'both are let in')
    equal(s.root.api('DELETE', '/api/v1/networks/%s/members/%s' % (network, node.address))[0], 204, 'DELETE of a member')
    begin = time.monotonic()
    wait_until(lambda: status(node) == 'ACCESS_DENIED', 5, 'who is put away says so')
    took = time.monotonic() - begin
    equal(status(other), 'OK', 'the other')
    wait_until(lambda: listed('false') == {node.address}, 75, 'it asks again, and is listed again')
    equal(s.root.api('DELETE', '/api/v1/networks/' + network)[0], 204, 'DELETE of the network')
    wait_until(lambda: status(node) == status(other) == 'NOT_FOUND', 75, 'there is no such network')
    for n in (node, other):
        n.api('DELETE', '/network/' + network)
    return 'who is put away says so after %.1f s' % took


def sso(s):
    """network.ssoEnabled, member.ssoExempt: a stock member says that it has to sign on, and need not"""
    network = s.network(0x40, (), private=False)
    node = s.stocks[0]
    s.patch(network, (), ssoEnabled=True)
    node.join(network)
    wait_until(lambda: node.network(network)['status'] == 'AUTHENTICATION_REQUIRED', 20, 'it says so')
    equal(s.root.api('PATCH', '/api/v1/networks/%s/members/%s' % (network, node.address), {'ssoExempt': True})[0], 200, 'PATCH')
    wait_until(lambda: node.network(network)['status'] == 'OK', 75, 'it is let in')
    node.api('DELETE', '/network/' + network)


def adhoc(s):
    """networks without a controller, stock and ours in one: addresses, ports, IPv4"""
    node, other = s.stocks[0], s.ours[0]
    ports, octet = 'ff01bb01bb000000', 'ff0a000000000001'

    def address(n, network, start):
        return next(a.split('/')[0] for a in n.network(network)['assignedAddresses'] if a.startswith(start))
    for network in (ports, octet):
        for n in (node, other):
            n.join(network)
        for n in (node, other):
            wait_until(lambda: (n.network(network) or {}).get('status') == 'OK', 20, 'configured')
        equal(node.network(network)['name'], other.network(network)['name'], 'names')
    for one, two in ((node, other), (other, node)):
        what = '%s to %s' % (s.kind(one), s.kind(two))
        wait_until(lambda: s.pings(one, address(two, ports, 'fc')), 30, what + ': ping over 6PLANE')
        server = s.root.world.spawn(['ip', 'netns', 'exec', two.space, 'python3', '-c', SERVER, '443', '444'], stdout=subprocess.PIPE, text=True)
        equal(server.stdout.readline().strip(), 'ready', 'the server')
        try:
            def connects(port):
                call = 'import socket; socket.create_connection(("%s", %d), 2)' % (address(two, ports, 'fc'), port)
                return s.inside(one, 'python3', '-c', call).returncode == 0
            equal((connects(443), connects(444)), (True, False), what + ': a port of the network, and another one')
        finally:
            server.kill()
        wait_until(lambda: s.pings(one, address(two, octet, '10.')), 75, what + ': ping over IPv4')
    for network in (ports, octet):
        for n in (node, other):
            n.api('DELETE', '/network/' + network)


if __name__ == '__main__':
    if STOCK is None or not os.access(STOCK, os.X_OK):
        print('usage: stock_fields.py /path/to/zerotier-one [CASE...]', file=sys.stderr)
        sys.exit(2)
    main('fields', [both(c) for c in (pools4, rules, tags, capabilities, put_out)] + [cut] +
         [both(c) for c in (name, kind, mtu, broadcast, revision, limit, pools6, derived, static, no_auto, routes, dns, bridge, ownership,
                            resolution)] + [anchors, traces, candidates, sso, adhoc, replicators], needs=('curl', 'ping', 'nft', 'python3'),
         setup=Scene)
