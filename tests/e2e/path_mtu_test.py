#!/usr/bin/env python3
"""What paths carry is found out: two members and a root, a router between them whose links lose what is too large, silently.

  one 10.9.1.2 - 10.9.1.1 router 10.9.2.1 - 10.9.2.2 two            and 10.9.3.1 - 10.9.3.2 root

All links have an MTU of 9000 at the daemons' end; at the router's end it is that of the case. ICMP errors of the router do not get
through, nor do IP fragments.
"""
import json
import re
import shutil
import subprocess

from harness import check, check_ledger, complaints, equal, main, member, require, root_and_controller, run, wait_until

ROOT, ONE, TWO = '10.9.3.2', '10.9.1.2', '10.9.2.2'
OUTER = 28  # bytes of IPv4 and UDP header
WHOLE = 2800 + 10 + 28 + OUTER  # a frame of the network's MTU in one FRAME, in one IP packet


class Scene:
    def __init__(self, world):
        self.world = world
        self.router = world.space('router')
        self.spaces = {}
        for name, subnet in (('one', 1), ('two', 2), ('root', 3)):
            self.spaces[name] = self.link(name, subnet)
        run('ip', 'netns', 'exec', self.router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
        self.rules(self.router, 'output', 0, 'icmp type destination-unreachable')
        self.root, planet = root_and_controller(world, ROOT, space=self.spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'path mtu', 'private': True, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        self.one, self.two = (self.member(name, planet) for name in ('one', 'two'))
        self.everything = [self.root, self.one, self.two]
        wait_until(lambda: self.ping(), 30, 'the first ping')
        for a, b in ((self.one, self.two), (self.two, self.one)):
            wait_until(lambda: a.direct_path(b), 30, 'a direct path')

    def link(self, name, subnet):
        space = self.world.space(name)
        port = 'to-' + name
        run('ip', 'link', 'add', 'wan0', 'netns', space, 'mtu', '9000', 'type', 'veth', 'peer', 'name', port, 'netns', self.router,
            'mtu', '9000')
        run('ip', '-n', self.router, 'addr', 'add', '10.9.%d.1/24' % subnet, 'dev', port)
        run('ip', '-n', self.router, 'link', 'set', port, 'up')
        # tcpdump is to see every datagram by itself.
        run('ip', 'netns', 'exec', self.router, 'ethtool', '-K', port, 'gso', 'off', 'tso', 'off', 'tx-udp-segmentation', 'off')
        run('ip', '-n', space, 'addr', 'add', '10.9.%d.2/24' % subnet, 'dev', 'wan0')
        run('ip', '-n', space, 'link', 'set', 'wan0', 'up')
        run('ip', '-n', space, 'route', 'add', 'default', 'via', '10.9.%d.1' % subnet)
        self.rules(space, 'prerouting', -450, 'ip frag-off & 0x3fff != 0')  # before the kernel joins them
        return space

    def rules(self, space, hook, priority, what):
        run('ip', 'netns', 'exec', space, 'nft', 'add table inet e2e; add chain inet e2e c { type filter hook %s priority %d; }; '
            'add rule inet e2e c %s drop' % (hook, priority, what))

    def member(self, name, planet):
        return member(self.world, self.root, self.network, name, self.spaces[name], planet)

    def carries(self, mtu):
        """From now on the router passes no more, and tells nobody."""
        for port in ('to-one', 'to-two'):
            run('ip', '-n', self.router, 'link', 'set', port, 'mtu', str(mtu))

    def links(self, mtu):
        for name in ('one', 'two'):
            run('ip', '-n', self.spaces[name], 'link', 'set', 'wan0', 'mtu', str(mtu))

    def restart(self, forget):
        """Both daemons; with `forget` they do not know what the path carried before."""
        for d in (self.one, self.two):
            d.stop()
            if forget:
                shutil.rmtree(d.file('peers.d'))
            d.start()
        wait_until(lambda: self.ping() and self.one.direct_path(self.two) and self.two.direct_path(self.one), 60, 'a direct path again')

    def ping(self, *arguments, count=1):
        return run('ip', 'netns', 'exec', self.one.space, 'ping', '-c', str(count), '-i', '0.2', '-W', '1', *arguments,
                   self.two.ip(self.network), check_code=False).returncode == 0

    def path(self, a, b):
        """(datagram size, how it is known) of the path in use."""
        for path in a.peer(b)['paths']:
            if path['preferred']:
                return path['mtu'], path['mtuState']
        return 0, ''

    def settle(self, mtu, seconds):
        """Both ends use datagrams of this link's size; large pings flow meanwhile."""
        def settled():
            self.ping('-s', '2000')
            return all(self.path(a, b) == (mtu - OUTER, 'probed') for a, b in ((self.one, self.two), (self.two, self.one)))
        wait_until(settled, seconds, 'datagrams of %d bytes both ways' % (mtu - OUTER))

    def traffic(self, mtu):
        """Large pings and TCP pass, in datagrams as large as the path carries and no larger."""
        wait_until(lambda: self.ping('-s', '2000', count=3), 10, 'pings of 2000 bytes')
        device = 'to-two'
        dump = self.world.spawn(['ip', 'netns', 'exec', self.router, 'timeout', '60', 'tcpdump', '-n', '-l', '-v', '-c', '400', '-i', device,
                                 'udp and src %s' % ONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while 'listening on' not in dump.stderr.readline():
            check(dump.poll() is None, 'tcpdump listens')
        server = self.world.spawn(['ip', 'netns', 'exec', self.two.space, 'iperf3', '-s', '-1'], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        wait_until(lambda: ':5201' in run('ip', 'netns', 'exec', self.two.space, 'ss', '-ltn').stdout, 10, 'iperf3 listens')
        done = run('ip', 'netns', 'exec', self.one.space, 'iperf3', '-c', self.two.ip(self.network), '-t', '2', '-J', seconds=30)
        speed = json.loads(done.stdout)['end']['sum_received']['bits_per_second'] / 1e6
        check(speed > 1, 'TCP', '%.1f Mbit/s' % speed)
        server.wait(10)
        lengths = [int(n) for n in re.findall(r'\blength (\d+)\)', dump.communicate(timeout=60)[0])]
        largest = max(lengths)
        equal(largest, min(mtu, WHOLE), 'the largest IP packet')
        return '%.0f Mbit/s, IP packets up to %d bytes' % (speed, largest)


def jumbo(s):
    """links of 9000 bytes: datagrams grow to them"""
    s.settle(9000, 20)
    return s.traffic(9000)


def black_hole(s):
    """the router takes 1400 bytes from now on, silently: both ends notice within ten seconds"""
    s.carries(1400)
    s.settle(1400, 12)
    return s.traffic(1400)


def smaller(s):
    """then 1280, then 600, which is less than any step but 576"""
    s.carries(1280)
    s.settle(1280, 12)
    text = s.traffic(1280)
    s.carries(600)
    s.settle(576, 12)
    return text + '; ' + s.traffic(576)


def narrow_link(s):
    """a restart behind a link of 1280 bytes: datagrams of the default would not pass, and are never sent"""
    s.carries(1280)
    s.links(1280)
    s.restart(forget=True)
    equal(s.path(s.one, s.two)[0], 1280 - OUTER, 'the size to begin with')
    s.settle(1280, 12)
    return s.traffic(1280)


def recalled(s):
    """a restart that remembers: what the path carried is used at once"""
    s.links(9000)
    s.restart(forget=False)
    equal(s.path(s.one, s.two)[0], 1280 - OUTER, 'the size to begin with')
    s.settle(1280, 15)
    return s.traffic(1280)


def middle_from_the_start(s):
    """links of 9000 bytes again, the middle takes 1300: found from the default downwards"""
    s.carries(1300)
    s.links(9000)
    s.restart(forget=True)
    s.settle(1280, 15)
    return s.traffic(1280)


def idle(s):
    """no traffic of full size, no probes"""
    def sent():
        return s.one.get('/orrery/drops')['control']['size_probes']
    wait_until(lambda: s.path(s.one, s.two)[1] == 'probed', 10, 'the search is over')
    # Half a minute after the last packet of full size the searches end.
    wait_until(lambda: (lambda before: s.ping('-i', '0.3', count=25) and sent() == before)(sent()), 60, 'probes end', 0)
    return '%d probes so far' % sent()


def quiet_end(s):
    """ledgers add up, logs are clean"""
    for d in s.everything:
        check_ledger(d)
        control = d.get('/orrery/drops')['control']
        open_probes = control['size_probes'] - control['size_probes_answered'] - control['size_probes_lost']
        equal(open_probes, 0, '%s: probes that are neither answered nor lost' % d.name)
        equal(d.stop()[0], 0, 'exit code of %s' % d.name)
        equal(complaints(d.log()), [], 'complaints of %s' % d.name)


if __name__ == '__main__':
    main('path_mtu', [jumbo, black_hole, smaller, narrow_link, recalled, middle_from_the_start, idle, quiet_end],
         needs=('ping', 'nft', 'tcpdump', 'iperf3', 'sysctl', 'ss', 'ethtool'), setup=Scene)
