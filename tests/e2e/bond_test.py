#!/usr/bin/env python3
"""Two links between two members: one carries and the other takes over, or both carry; and a stock peer that is bonded itself.

  one 10.9.0.2 and 10.10.0.2, two 10.9.0.3 and 10.10.0.3, root 10.9.0.1; a switch for each of the two networks

With ORRERY_STOCK a zerotier-one with a bond of its own takes the place of two in the last case.
"""
import re
import time

from harness import STOCK, Stock, check, check_ledger, complaints, equal, main, member, root_and_controller, run, wait_until

# One echo server and many clients of one port each, who number what they send.
FLOWS = '''
import socket, sys, threading, time
if sys.argv[1] == 'serve':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((sys.argv[2], 7000))
    while True:
        data, who = s.recvfrom(2000)
        s.sendto(data, who)
flows = []
for i in range(int(sys.argv[3])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((sys.argv[2], 7000))
    s.settimeout(0.5)
    flows.append(s)
disordered = answered = 0
last = [-1] * len(flows)
for number in range(100):
    for s in flows:
        s.send(b'%d' % number)
    for i, s in enumerate(flows):
        try:
            got = int(s.recv(100))
        except socket.timeout:
            continue
        answered += 1
        disordered += got < last[i]
        last[i] = got
print(answered, disordered)
'''


class Scene:
    def __init__(self, world):
        self.world = world
        switches = world.switch('near'), world.switch('far')
        self.spaces = {}
        for number, name in enumerate(('root', 'one', 'two', 'stock'), 1):
            self.spaces[name] = world.space(name)
            world.plug(self.spaces[name], 'wan0', switches[0], '10.9.0.%d/24' % number)
            if name != 'root':
                world.plug(self.spaces[name], 'wan1', switches[1], '10.10.0.%d/24' % number)
        self.root, self.planet = root_and_controller(world, '10.9.0.1', space=self.spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'bond', 'private': True, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        self.one, self.two = (member(world, self.root, self.network, name, self.spaces[name], self.planet) for name in ('one', 'two'))
        self.again({'policy': 'active-backup'})

    def again(self, bond):
        """Both members with this bond, and two paths to each other."""
        for daemon in (self.one, self.two):
            daemon.stop()
            with open(daemon.file('orrery.toml'), 'w') as f:
                f.write('[bond]\n' + ''.join('%s = "%s"\n' % item for item in bond.items()))
            daemon.start()
        for daemon, other in ((self.one, self.two), (self.two, self.one)):
            wait_until(lambda: daemon.has_configuration(self.network), 30, 'a configuration')
        self.ping('one', self.two.ip(self.network), 30)
        wait_until(lambda: self.interfaces(self.one, self.two) == {'wan0', 'wan1'} == self.interfaces(self.two, self.one), 60,
                   'a path over each link')

    def ping(self, space, target, seconds=20):
        wait_until(lambda: run('ip', 'netns', 'exec', self.spaces[space], 'ping', '-c', '1', '-W', '1', target,
                               check_code=False).returncode == 0, seconds, 'a ping from %s' % space)

    def interfaces(self, daemon, other):
        return {p['ifname'] for p in daemon.peer(other)['paths'] if not p['expired'] and p['state'] == 'works'}

    def carries(self, daemon, other):
        return {p['ifname'] for p in daemon.peer(other)['paths'] if p['bonded']}

    def cut(self, interface):
        """Nothing of ZeroTier passes over this link of one."""
        run('ip', 'netns', 'exec', self.spaces['one'], 'nft', '''
            table inet cut {
              chain in { type filter hook input priority 0; iifname "%s" udp dport 9993 drop; }
              chain out { type filter hook output priority 0; oifname "%s" udp dport 9993 drop; }
            }''' % (interface, interface))

    def heal(self):
        run('ip', 'netns', 'exec', self.spaces['one'], 'nft', 'delete table inet cut')

    def gap(self, target, action, seconds=12):
        """The longest time without an answer to pings, around this action."""
        flow = self.world.spawn(['ip', 'netns', 'exec', self.spaces['one'], 'ping', '-D', '-n', '-i', '0.05', '-w', str(seconds), target],
                                stdout=-1, text=True)
        time.sleep(3)
        action()
        out, _ = flow.communicate(timeout=seconds + 10)
        times = [float(t) for t in re.findall(r'^\[([0-9.]+)\].*bytes from', out, re.M)]
        check(len(times) > 40, 'answers', len(times))
        last = times[0] + seconds - 1  # the flow itself goes on for as long
        times.append(max(times[-1], last))
        return max(b - a for a, b in zip(times, times[1:]))


def backup(s):
    """active-backup: one link carries; when it is cut the other does within three seconds, and keeps on"""
    carrying = s.carries(s.one, s.two)
    equal(len(carrying), 1, 'links that carry')
    used = carrying.pop()
    gap = s.gap(s.two.ip(s.network), lambda: s.cut(used))
    check(gap <= 3.0, 'seconds without an answer', gap)
    other = s.carries(s.one, s.two)
    check(other and used not in other, 'the other link carries', other)
    shown = s.one.cli('bond', s.two.address, 'show').stdout
    check('active-backup, 1 of 2 links work' in shown, 'bond show', shown)
    s.heal()
    wait_until(lambda: 'active-backup, 2 of 2 links work' in s.one.cli('bond', s.two.address, 'show').stdout, 40, 'both links again', 1)
    equal(s.carries(s.one, s.two), other, 'the link that carries, once both work')
    check(s.two.address in s.one.cli('bond', 'list').stdout, 'bond list')
    return '%.1f s without an answer' % gap


def rotate(s):
    """an operator turns it to the other link, and pings go on"""
    before = s.carries(s.one, s.two)
    gap = s.gap(s.two.ip(s.network), lambda: s.one.cli('bond', s.two.address, 'rotate'), 8)
    check(s.carries(s.one, s.two) != before, 'another link carries')
    check(gap < 0.5, 'seconds without an answer', gap)
    equal(s.one.cli('bond', s.root.address, 'rotate', check_code=False).returncode, 1, 'exit code for a root')


def xor(s):
    """balance-xor: flows take both links, none overtakes itself, and all go on when one link is cut"""
    s.again({'policy': 'balance-xor'})
    target = s.two.ip(s.network)
    s.world.spawn(['ip', 'netns', 'exec', s.spaces['two'], 'python3', '-c', FLOWS, 'serve', target])
    wait_until(lambda: ':7000' in run('ip', 'netns', 'exec', s.spaces['two'], 'ss', '-lun').stdout, 10, 'the other end listens')

    def sent():
        return [int(run('ip', 'netns', 'exec', s.spaces['one'], 'cat', '/sys/class/net/%s/statistics/tx_packets' % i).stdout)
                for i in ('wan0', 'wan1')]

    def flows():
        done = run('ip', 'netns', 'exec', s.spaces['one'], 'python3', '-c', FLOWS, 'ask', target, '32', seconds=120)
        return tuple(int(n) for n in done.stdout.split())
    wait_until(lambda: flows()[0] > 0, 30, 'answers')
    wait_until(lambda: s.carries(s.one, s.two) == {'wan0', 'wan1'}, 20, 'both links carry')
    before = sent()
    answered, disordered = flows()
    grown = [b - a for a, b in zip(before, sent())]
    equal(disordered, 0, 'answers out of order')
    check(answered >= 3100, 'answers of 3200', answered)
    check(min(grown) > 300, 'packets over the two links', grown)
    gap = s.gap(target, lambda: s.cut('wan1'))
    check(gap <= 3.5, 'seconds without an answer', gap)
    equal(s.carries(s.one, s.two), {'wan0'}, 'the link that carries')
    s.heal()
    wait_until(lambda: (flows()[0] > 0) and s.carries(s.one, s.two) == {'wan0', 'wan1'}, 60, 'both links carry again', 1)
    return 'packets %s' % grown


def stock(s):
    """a stock peer with a bond of its own: pings go on over the other link"""
    s.again({'policy': 'active-backup'})
    node = Stock(s.world, STOCK, 'stock', s.spaces['stock'], s.planet,
                 local_conf={'settings': {'defaultBondingPolicy': 'active-backup', 'portMappingEnabled': False, 'allowTcpFallbackRelay': False}})
    wait_until(node.online, 60, 'stock is online', 0.5)
    node.join(s.network)
    s.root.admit(s.network, node)
    wait_until(lambda: (node.network(s.network) or {}).get('status') == 'OK', 60, 'stock has its configuration', 0.5)
    target = node.ip(s.network)
    s.ping('one', target, 40)
    flow = s.world.spawn(['ip', 'netns', 'exec', s.spaces['one'], 'ping', '-q', '-i', '0.1', target])
    wait_until(lambda: s.interfaces(s.one, node.address) == {'wan0', 'wan1'}, 90, 'a path over each link', 1)
    flow.terminate()
    used = s.carries(s.one, node.address).pop()
    gap = s.gap(target, lambda: s.cut(used), 40)
    s.heal()
    check(gap < 30, 'seconds without an answer', gap)
    check(used not in s.carries(s.one, node.address), 'ours has left the link')
    return '%.1f s without an answer' % gap


def quiet(s):
    """ledgers add up, nobody complains"""
    for daemon in (s.root, s.one, s.two):
        check_ledger(daemon)
        found = complaints(daemon.log())
        check(not found, daemon.name + ' complains', found)


if __name__ == '__main__':
    main('bond', [backup, rotate, xor, *([stock] if STOCK else []), quiet], needs=('nft', 'ping', 'ss', 'python3', 'curl'), setup=Scene)
