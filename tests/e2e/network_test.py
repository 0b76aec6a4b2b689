#!/usr/bin/env python3
"""A network of three daemons in namespaces of their own: a root that is also controller, and two members.

  wan (a switch)   root 10.9.0.1   one 10.9.0.2   two 10.9.0.3   nat 10.9.0.4 | 192.168.9.1 - inside 192.168.9.2
"""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

from harness import Failure, check, check_ledger, complaints, equal, main, member, root_and_controller, run, wait_until

ROOT, ONE, TWO, NAT, INSIDE = '10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4', '192.168.9.2'


class Scene:
    def __init__(self, world):
        self.world = world
        wan = world.switch('wan')
        self.spaces = {}
        for name, address in (('root', ROOT), ('one', ONE), ('two', TWO), ('nat', NAT)):
            self.spaces[name] = world.space(name)
            world.plug(self.spaces[name], 'wan0', wan, address + '/24')
        self.root, self.planet = root_and_controller(world, ROOT, space=self.spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'e2e', 'private': True, 'enableBroadcast': True, 'v4AssignMode': {'zt': True},
            'v6AssignMode': {'rfc4193': True, '6plane': True, 'zt': False},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        self.one = self.member('one')
        self.two = self.member('two')
        self.everything = [self.root, self.one, self.two]
        wait_until(lambda: self.ping(self.one, self.v4(self.two)), 30, 'the first ping')

    def member(self, name, space=None):
        return member(self.world, self.root, self.network, name, space or self.spaces[name], self.planet)

    # addresses
    def v4(self, d):
        return d.ip(self.network)

    def v6(self, d, kind):
        """RFC 4193 addresses begin with fd, those of 6PLANE with fc."""
        for text in d.network(self.network)['assignedAddresses']:
            if text.startswith(kind):
                return text.split('/')[0]
        raise Failure('%s has no address that begins with %s' % (d.name, kind))

    def device(self, d):
        return d.network(self.network)['portDeviceName']

    # traffic
    def inside(self, d, *command, **options):
        return run('ip', 'netns', 'exec', d.space, *command, **options)

    def ping(self, d, to, *arguments, count=1):
        return self.inside(d, 'ping', '-c', str(count), '-i', '0.2', '-W', '1', *arguments, to, check_code=False).returncode == 0

    def pings(self, text, *arguments, address=None, within=15):
        address = address or self.v4
        for a, b in ((self.one, self.two), (self.two, self.one)):
            wait_until(lambda: self.ping(a, address(b), *arguments), within, '%s: ping from %s to %s' % (text, a.name, b.name))
            check(self.ping(a, address(b), *arguments, count=3), '%s: three pings from %s to %s' % (text, a.name, b.name))

    def hears(self, receiver, what, send, seconds=12):
        """`what` (a tcpdump filter) is seen on the receiver's TAP while send() is repeated."""
        dump = self.world.spawn(['ip', 'netns', 'exec', receiver.space, 'timeout', str(seconds), 'tcpdump', '-l', '-n', '-c', '1', '-i',
                                 self.device(receiver)] + what.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while 'listening on' not in dump.stderr.readline():
            check(dump.poll() is None, 'tcpdump listens')
        while dump.poll() is None:
            send()
            time.sleep(0.3)
        equal(dump.returncode, 0, 'seen by %s: %s' % (receiver.name, what))

    def block(self, d, other):
        self.inside(d, 'nft', 'add table inet e2e; add chain inet e2e in { type filter hook input priority 0; }; '
                              'add rule inet e2e in ip saddr %s udp dport 9993 drop' % other)

    def unblock(self, d):
        self.inside(d, 'nft', 'delete', 'table', 'inet', 'e2e')


def ipv4(s):
    """ping both ways over IPv4"""
    s.pings('IPv4')


def rfc4193(s):
    """ping both ways over IPv6, RFC 4193 addresses"""
    s.pings('RFC 4193', address=lambda d: s.v6(d, 'fd'))


def sixplane(s):
    """ping both ways over IPv6, 6PLANE addresses"""
    s.pings('6PLANE', address=lambda d: s.v6(d, 'fc'))


def arp(s):
    """ARP from empty caches, both ways"""
    for a, b in ((s.one, s.two), (s.two, s.one)):
        s.inside(a, 'ip', 'neigh', 'flush', 'dev', s.device(a))
        wait_until(lambda: s.ping(a, s.v4(b)), 10, 'ping from %s' % a.name)
        known = s.inside(a, 'ip', 'neigh', 'show', s.v4(b), 'dev', s.device(a)).stdout
        mac = s.inside(b, 'cat', '/sys/class/net/%s/address' % s.device(b)).stdout.strip()
        check(mac in known, 'the neighbour of %s' % a.name, '%s, expected %s' % (known.strip(), mac))


def broadcast(s):
    """broadcast both ways"""
    for a, b in ((s.one, s.two), (s.two, s.one)):
        s.hears(b, 'icmp and src %s and dst 10.8.0.255' % s.v4(a),
                lambda: s.inside(a, 'ping', '-b', '-c', '1', '-W', '1', '10.8.0.255', check_code=False))


def multicast(s):
    """multicast both ways, IPv4 and IPv6"""
    for d in (s.one, s.two):
        # Every host has joined 224.0.0.1 and ff02::1.
        s.inside(d, 'ip', 'route', 'replace', '224.0.0.0/4', 'dev', s.device(d))
    for a, b in ((s.one, s.two), (s.two, s.one)):
        s.hears(b, 'udp and src %s and dst 224.0.0.1' % s.v4(a),
                lambda: s.inside(a, 'bash', '-c', 'echo hello >/dev/udp/224.0.0.1/5353', check_code=False))
        s.hears(b, 'icmp6 and dst ff02::1 and ip6[40]==128',
                lambda: s.inside(a, 'ping', '-6', '-c', '1', '-W', '1', 'ff02::1%' + s.device(a), check_code=False))


def large_frames(s):
    """frames of the whole MTU of 2800 bytes, not to be fragmented inside, both ways"""
    for d in (s.one, s.two):
        equal(s.inside(d, 'cat', '/sys/class/net/%s/mtu' % s.device(d)).stdout.strip(), '2800', 'MTU of %s' % d.name)
    s.pings('2800 bytes', '-s', '2772', '-M', 'do')
    s.pings('2800 bytes, IPv6', '-s', '2752', '-M', 'do', address=lambda d: s.v6(d, 'fd'))


def throughput(s, a, b, *arguments, seconds=3):
    """Mbit/s of one TCP stream."""
    server = s.world.spawn(['ip', 'netns', 'exec', b.space, 'iperf3', '-s', '-1'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: ':5201' in s.inside(b, 'ss', '-ltn').stdout, 10, 'iperf3 listens')
        done = s.inside(a, 'iperf3', '-c', s.v4(b), '-t', str(seconds), '-J', *arguments, seconds=30)
        return json.loads(done.stdout)['end']['sum_received']['bits_per_second'] / 1e6
    finally:
        server.kill()
        server.wait()


def tcp(s):
    """iperf3 over TCP both ways"""
    there, back = throughput(s, s.one, s.two), throughput(s, s.one, s.two, '-R')
    check(there > 1 and back > 1, 'throughput', '%.0f and %.0f Mbit/s' % (there, back))
    return '%.0f Mbit/s there, %.0f back' % (there, back)


def direct(s):
    """the members talk directly, not through the root"""
    wait_until(lambda: s.one.direct_path(s.two) == TWO + '/9993', 20, 'one reaches two directly')
    wait_until(lambda: s.two.direct_path(s.one) == ONE + '/9993', 20, 'two reaches one directly')
    relayed = s.root.get('/orrery/drops')['control']['relayed']
    check(s.ping(s.one, s.v4(s.two), count=20), 'ping')
    grown = s.root.get('/orrery/drops')['control']['relayed'] - relayed
    check(grown < 10, 'packets relayed by the root during 20 pings', grown)


def authorisation(s):
    """a deauthorised member is cut off within 15 s, and is back 15 s after it is authorised again"""
    begin = time.monotonic()
    s.root.admit(s.network, s.two, authorized=False)
    try:
        wait_until(lambda: not s.ping(s.one, s.target), 15, 'cut off')
        cut = time.monotonic() - begin
        check(not s.ping(s.one, s.target, count=3), 'it stays cut off')
    finally:
        begin = time.monotonic()
        s.root.admit(s.network, s.two)
    wait_until(lambda: s.two.has_configuration(s.network), 30, 'it has its configuration again')
    wait_until(lambda: s.ping(s.one, s.v4(s.two)), 15, 'ping again')  # the controller pushes what it grants
    equal(s.v4(s.two), s.target, 'the address of the member')
    return 'cut off after %.1f s, back after %.1f s' % (cut, time.monotonic() - begin)


def remember(s):
    """addresses before restarts"""
    s.target = s.v4(s.two)


def restart(s, daemon, how):
    begin = time.monotonic()
    if how == 'kill -9':
        daemon.kill()
    else:
        equal(daemon.stop()[0], 0, 'exit code of %s' % daemon.name)
    daemon.start()
    for a, b in ((s.one, s.two), (s.two, s.one)):
        wait_until(lambda: a.has_configuration(s.network) and s.ping(a, s.v4(b)), 30,
                   'ping from %s to %s after a restart (%s) of %s' % (a.name, b.name, how, daemon.name))
    return time.monotonic() - begin


def restarts(s):
    """a restart of member, other member, root and controller recovers, after SIGTERM and kill -9"""
    took = []
    for daemon in (s.one, s.two, s.root):
        for how in ('SIGTERM', 'kill -9'):
            took.append('%s %.1f s' % (daemon.name, restart(s, daemon, how)))
    equal(s.root.get('/controller/network/' + s.network)['name'], 'e2e', 'the network of the controller')
    wait_until(lambda: s.one.direct_path(s.two) and s.two.direct_path(s.one), 30, 'direct paths')
    return ', '.join(took)


def without_root(s):
    """members that know each other go on while the root and controller is away"""
    s.root.stop()
    try:
        for _ in range(5):
            check(s.ping(s.one, s.v4(s.two), count=3), 'ping without a root')
    finally:
        s.root.start()
    wait_until(lambda: s.one.online() and s.two.online(), 40, 'both are online again')


def relay(s):
    """with direct traffic dropped the root relays; a direct path comes back once it is possible"""
    s.block(s.one, TWO)
    s.block(s.two, ONE)
    try:
        for d in (s.one, s.two):  # without memory of a direct path
            d.stop()
            for name in os.listdir(d.file('peers.d')):
                os.unlink(d.file('peers.d/' + name))
            d.start()
        for a, b in ((s.one, s.two), (s.two, s.one)):
            wait_until(lambda: a.has_configuration(s.network) and s.ping(a, s.v4(b)), 40, 'ping from %s through the root' % a.name)
        check(s.one.direct_path(s.two) is None, 'there is no direct path', s.one.direct_path(s.two))
        relayed = s.root.get('/orrery/drops')['control']['relayed'] + s.root.workers().get('relayed', 0)
        check(s.ping(s.one, s.v4(s.two), count=10), 'ten pings through the root')
        grown = s.root.get('/orrery/drops')['control']['relayed'] + s.root.workers().get('relayed', 0) - relayed
        check(grown >= 20, 'packets relayed by the root', grown)
        check(s.ping(s.one, s.v4(s.two), '-s', '2772', '-M', 'do', count=3), 'frames of 2800 bytes through the root')
    finally:
        s.unblock(s.one)
        s.unblock(s.two)

    def both():
        s.ping(s.one, s.v4(s.two))
        return s.one.direct_path(s.two) and s.two.direct_path(s.one)
    begin = time.monotonic()
    wait_until(both, 90, 'a direct path is found once it is possible')
    return 'direct again after %.0f s' % (time.monotonic() - begin)


def path_dies(s):
    """a direct path that dies under traffic is left for the relay (up to five minutes: only on request)"""
    s.block(s.one, TWO)
    s.block(s.two, ONE)
    begin = time.monotonic()
    try:
        wait_until(lambda: s.ping(s.one, s.v4(s.two)), 300, 'ping through the root')
        took = time.monotonic() - begin
    finally:
        s.unblock(s.one)
        s.unblock(s.two)
    wait_until(lambda: s.ping(s.one, s.v4(s.two), count=3), 30, 'ping afterwards')
    return 'it took %.1f s' % took


def nat(s):
    """a member behind a NAT finds a direct path to one that is not"""
    gateway = s.spaces['nat']
    space = s.world.space('inside')
    run('ip', 'link', 'add', 'lan0', 'netns', gateway, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
    run('ip', '-n', gateway, 'addr', 'add', '192.168.9.1/24', 'dev', 'lan0')
    run('ip', '-n', gateway, 'link', 'set', 'lan0', 'up')
    run('ip', '-n', space, 'addr', 'add', INSIDE + '/24', 'dev', 'eth0')
    run('ip', '-n', space, 'link', 'set', 'eth0', 'up')
    run('ip', '-n', space, 'route', 'add', 'default', 'via', '192.168.9.1')
    run('ip', 'netns', 'exec', gateway, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
    # The port is changed, so that nothing works by luck, and nothing comes in that was not asked for.
    run('ip', 'netns', 'exec', gateway, 'nft',
        'add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; '
        'add rule ip nat out oifname "wan0" udp sport 9993 masquerade to :20000-20999; add rule ip nat out oifname "wan0" masquerade; '
        'add table ip wall; add chain ip wall through { type filter hook forward priority 0; policy drop; }; '
        'add rule ip wall through iifname "lan0" accept; add rule ip wall through ct state established,related accept')
    s.hidden = s.member('hidden', space=space)
    s.everything.append(s.hidden)
    for a, b in ((s.hidden, s.two), (s.two, s.hidden)):
        wait_until(lambda: s.ping(a, s.v4(b)), 30, 'ping from %s to %s' % (a.name, b.name))

    def found():
        s.ping(s.two, s.v4(s.hidden))
        there, back = s.two.direct_path(s.hidden), s.hidden.direct_path(s.two)
        return there and back and (there, back)
    there, back = wait_until(found, 60, 'a direct path through the NAT')
    check(re.fullmatch(re.escape(NAT) + r'/20\d\d\d', there), 'the path to the member behind the NAT', there)
    equal(back, TWO + '/9993', 'the path of the member behind the NAT')
    rate = throughput(s, s.hidden, s.two, seconds=2)
    check(rate > 1, 'iperf3 through the NAT', rate)
    return '%s, %.0f Mbit/s' % (there, rate)


def workers(s):
    """the ledger of every worker adds up"""
    for d in s.everything:
        check_ledger(d)


def quiet_end(s):
    """all end with exit code 0, leave no TAP, and their logs tell of no failure"""
    for d in s.everything:
        equal(d.stop()[0], 0, 'exit code of %s' % d.name)
        left = [x for x in run('ip', '-n', d.space, '-o', 'link').stdout.splitlines() if ': zt' in x]
        equal(left, [], 'TAPs of %s' % d.name)
        equal(complaints(d.log())[:3], [], 'log of %s' % d.name)


if __name__ == '__main__':
    main('network', [ipv4, rfc4193, sixplane, arp, broadcast, multicast, large_frames, tcp, direct, workers, remember, authorisation,
                     restarts, without_root, relay, nat, workers, quiet_end],
         on_request=[path_dies], needs=('ping', 'nft', 'tcpdump', 'iperf3', 'sysctl', 'ss', 'bash'), setup=Scene)
