#!/usr/bin/env python3
"""Every field of networks and members between ours and stock, both ways: run by hand, as root.

    tests/e2e/stock_fields.py /path/to/zerotier-one

A root of ours; a controller of ours with a stock member, and a stock controller with a member of ours. Each field is set at the
controller and looked for at the member, in what its node says and in what its host does. Prints a row per field for docs/interop.md.
"""
import os
import sys
import time

from harness import Failure, Stock, main, root_and_controller, run, wait_until

STOCK = sys.argv.pop(1) if len(sys.argv) > 1 else None
TAG = 7
ADDRESS_PAUSE = 4


class Pair:
    """A controller, its network, a member, and a second member as the other end."""

    def __init__(self, controller, member, other, network):
        self.controller, self.member, self.other, self.network = controller, member, other, network
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


if __name__ == '__main__':
    if STOCK is None or not os.access(STOCK, os.X_OK):
        print('usage: stock_fields.py /path/to/zerotier-one [CASE...]', file=sys.stderr)
        sys.exit(2)
    main('fields', [both(c) for c in (pools4, rules, tags, capabilities, put_out)] + [cut] +
         [both(c) for c in (name, kind, mtu, broadcast, revision, limit, pools6, derived, static, no_auto, routes, dns, bridge)], needs=('curl', 'ping'), setup=Scene)
