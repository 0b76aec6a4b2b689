#!/usr/bin/env python3
"""Two gateways that bridge their LANs into one network: stations reach each other, also in VLANs, those that are known are not asked for
in the overlay, a loop made on purpose is cut, a flood of MACs leaves the others alone.

  wan (a switch)    root 10.9.0.1   a 10.9.0.2   b 10.9.0.3
  lan-a (a switch)  gateway a, host-a            lan-b (a switch)  gateway b, host-b; a cable between the two makes the loop
"""
import os
import select
import socket
import struct
import time

from harness import LIBC, CLONE_NEWNET, Failure, check, check_ledger, complaints, equal, main, root_and_controller, run, wait_until

ETHERTYPE = 0x88b6  # for local experiments
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, TP_STATUS_VLAN_VALID = 3, 263, 8, 23, 1 << 4
BROADCAST = b'\xff' * 6
MACS = {'host-a': bytes.fromhex('52540000000a'), 'host-b': bytes.fromhex('52540000000b')}
STATIC = '52:54:00:00:00:0a'
SWITCH_BLOCKED = 'is blocked: bridge'


class Inside:
    """The calling thread is in a network namespace."""

    def __init__(self, space):
        self.target = os.open('/var/run/netns/' + space, os.O_RDONLY)
        self.back = os.open('/proc/self/ns/net', os.O_RDONLY)

    def __enter__(self):
        check(LIBC.setns(self.target, CLONE_NEWNET) == 0, 'setns')

    def __exit__(self, *_):
        check(LIBC.setns(self.back, CLONE_NEWNET) == 0, 'setns back')
        os.close(self.target)
        os.close(self.back)


class Host:
    """A station on a LAN: sends frames with a number, and tells which it hears."""

    def __init__(self, space, mac):
        self.space, self.mac = space, mac
        with Inside(space):
            # Of all ethertypes: only so does the kernel tell of the tag of a VLAN that it has no interface for.
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self.socket.bind(('eth0', ETH_P_ALL))
        self.socket.setblocking(False)

    def send(self, number, to=BROADCAST, source=None, tag=None, payload=54):
        head = to + (source or self.mac) + (b'' if tag is None else struct.pack('>HH', 0x8100, tag))
        frame = head + struct.pack('>HQ', ETHERTYPE, number) + bytes(payload - 8)
        try:
            self.socket.send(frame)
        except BlockingIOError:
            pass

    def hear(self, seconds=0.0):
        """[(moment, number, tag or None)] of what comes within that time."""
        heard, end = [], time.monotonic() + seconds
        while True:
            ready = select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]
            now = time.monotonic()
            if ready:
                try:
                    while True:
                        frame, extra, _, _ = self.socket.recvmsg(2048, 64)
                        if struct.unpack_from('>H', frame, 12)[0] == ETHERTYPE:
                            heard.append((now, struct.unpack_from('>Q', frame, 14)[0], self.tag_in(extra)))
                except BlockingIOError:
                    pass
            if now >= end:
                return heard

    @staticmethod
    def tag_in(extra):
        """The kernel tells a tag beside the frame: struct tpacket_auxdata."""
        for level, kind, data in extra:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tag, _ = struct.unpack('IIIHHHH', data)
                return tag if status & TP_STATUS_VLAN_VALID else None
        return None


class Arp:
    """ARP as a station hears and says it."""

    def __init__(self, host):
        self.mac = host.mac
        with Inside(host.space):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
            self.socket.bind(('eth0', 0x0806))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def request(self, sender, target):
        self.socket.send(BROADCAST + self.mac + struct.pack('>HHHBBH6s4s6s4s', 0x0806, 1, 0x0800, 6, 4, 1, self.mac,
                                                            socket.inet_aton(sender), bytes(6), socket.inet_aton(target)))

    def hears(self, sender, target, seconds):
        """Whether such a request comes within that time."""
        end = time.monotonic() + seconds
        while True:
            if not select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            frame, where = self.socket.recvfrom(2048)
            asked = frame[20:22] == b'\0\1' and frame[28:32] == socket.inet_aton(sender) and frame[38:42] == socket.inet_aton(target)
            if where[2] != socket.PACKET_OUTGOING and asked:
                return True


class Scene:
    def __init__(self, world):
        self.world = world
        wan = world.switch('wan')
        spaces = {}
        for name, address in (('root', '10.9.0.1'), ('a', '10.9.0.2'), ('b', '10.9.0.3')):
            spaces[name] = world.space(name)
            world.plug(spaces[name], 'wan0', wan, address + '/24')
        self.root, planet = root_and_controller(world, '10.9.0.1', space=spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {'name': 'lans', 'private': True, 'mtu': 1500, 'enableBroadcast': True})
        self.lans, self.hosts, self.gateways = {}, {}, []
        for name in ('a', 'b'):
            self.lans[name] = world.switch('lan-' + name)
            self.lan_port(spaces[name], 'lan0', self.lans[name])
            space = world.space('host-' + name)
            self.lan_port(space, 'eth0', self.lans[name], MACS['host-' + name])
            self.hosts[name] = Host(space, MACS['host-' + name])
            static = 'static = ["%s"]\n' % STATIC if name == 'a' else ''
            # One has two workers, with a queue of the LAN each, where there are CPUs for them.
            cpus = sorted(os.sched_getaffinity(0))[:2] if name == 'b' else []
            workers, queues = ('[workers]\nlcores = "%d,%d"\n' % tuple(cpus), ',qpairs=2') if len(cpus) == 2 else ('', '')
            gateway = world.daemon(name, space=spaces[name], planet=planet, config='%s[[bridge]]\ndevice = "net_af_packet0,iface=lan0%s,'
                                   'blocksz=65536,framesz=2048,framecnt=512"\nnetwork = "%s"\narp_nd_suppression = true\n'
                                   'vlan_tags = "preserve"\nvlan_rules = true\n%s' % (
                                       workers, queues, self.network, static))
            gateway.start()
            wait_until(gateway.online, 30, name + ' is online')
            self.root.post('/controller/network/%s/member/%s' % (self.network, gateway.address),
                           {'authorized': True, 'activeBridge': True, 'noAutoAssignIps': True})
            self.gateways.append(gateway)
        self.a, self.b = self.gateways
        for gateway in self.gateways:
            wait_until(lambda: gateway.has_configuration(self.network), 30, gateway.name + ' has its configuration')
        self.number = 0
        wait_until(lambda: self.reaches('a', 'b') and self.reaches('b', 'a'), 30, 'broadcasts cross')

    def lan_port(self, space, device, switch, mac=None):
        port = ('p-%s-%s' % (space.split('-', 1)[1], device))[:15]
        run('ip', 'link', 'add', device, 'netns', space, 'type', 'veth', 'peer', 'name', port, 'netns', switch)
        if mac:
            run('ip', '-n', space, 'link', 'set', device, 'address', ':'.join('%02x' % x for x in mac))
        for where, link in ((space, device), (switch, port)):
            run('ip', 'netns', 'exec', where, 'sysctl', '-qw', 'net.ipv6.conf.%s.disable_ipv6=1' % link)
            run('ip', 'netns', 'exec', where, 'ethtool', '-K', link, 'tx', 'off')
        run('ip', '-n', switch, 'link', 'set', port, 'master', 'wan', 'up')
        run('ip', '-n', space, 'link', 'set', device, 'up')

    def reaches(self, one, other, to=BROADCAST, seconds=0.5):
        """How many copies of one frame arrive."""
        self.number += 1
        self.hosts[other].hear()
        self.hosts[one].send(self.number, to)
        return sum(1 for _, n, _ in self.hosts[other].hear(seconds) if n == self.number)

    def plug_cable(self):
        run('ip', 'link', 'add', 'cable', 'netns', self.lans['a'], 'type', 'veth', 'peer', 'name', 'cable', 'netns', self.lans['b'])
        for lan in self.lans.values():
            run('ip', '-n', lan, 'link', 'set', 'cable', 'master', 'wan', 'up')

    def pull_cable(self):
        run('ip', '-n', self.lans['a'], 'link', 'del', 'cable', check_code=False)

    def lan_state(self, gateway):
        return gateway.network(self.network)['lanPorts'][0]

    def port(self, gateway):
        return next(p for p in gateway.get('/orrery/ports') if 'bridge' in p)


def across(s):
    """frames cross once, by broadcast and to the station alone, both ways; the gateways have learned the stations"""
    for one, other in (('a', 'b'), ('b', 'a')):
        equal(s.reaches(one, other), 1, 'copies of a broadcast from %s' % one)
        wait_until(lambda: s.reaches(one, other, MACS['host-' + other]) == 1, 5, 'one copy of a unicast from %s' % one)
    # The switches of the LANs may speak, too.
    here, there = (s.port(g)['bridge']['stations'] for g in (s.a, s.b))
    check(here <= 1 and 1 <= there <= 2, 'stations of a (one is static) and b', (here, there))
    for gateway in s.gateways:
        equal(s.lan_state(gateway), {'port': 1, 'blocked': False, 'reason': '', 'bridges': []}, 'state of ' + gateway.name)


def vlan(s):
    """frames cross with their tags, of any VLAN and priority and of full size, and without where they have none"""
    for one, other in (('a', 'b'), ('b', 'a')):
        for tag, payload in ((100, 54), (0xa000 | 100, 1_500), (4_094, 1_500), (None, 1_500), (0x6000, 54)):
            for to in (BROADCAST, MACS['host-' + other]):
                s.number += 1
                s.hosts[other].hear()
                s.hosts[one].send(s.number, to, tag=tag, payload=payload)
                heard = [t for _, n, t in s.hosts[other].hear(0.3) if n == s.number]
                equal(heard, [tag], 'tags of a frame from %s with tag %s' % (one, tag))


def vlan_rules(s):
    """rules match on real tags: a VLAN and a priority are stopped, others and what has no tag pass"""
    path = '/controller/network/' + s.network
    accept = {'type': 'ACTION_ACCEPT'}

    def crosses(tag, one='a', other='b'):
        s.number += 1
        s.hosts[other].hear()
        s.hosts[one].send(s.number, MACS['host-' + other], tag=tag)
        return s.number in [n for _, n, _ in s.hosts[other].hear(0.3)]

    s.root.post(path, {'rules': [{'type': 'MATCH_VLAN_ID', 'vlanId': 100}, {'type': 'ACTION_DROP'},
                                 {'type': 'MATCH_VLAN_PCP', 'vlanPcp': 5}, {'type': 'ACTION_DROP'}, accept]})
    try:
        wait_until(lambda: not crosses(100) and not crosses(100, 'b', 'a'), 10, 'the rules are in force')
        for one, other in (('a', 'b'), ('b', 'a')):
            equal([crosses(tag, one, other) for tag in (100, 0x2000 | 100, 101, 0xa000 | 101, 0x6000 | 101, None)],
                  [False, False, True, False, True, True], 'frames from %s that cross' % one)
    finally:
        s.root.post(path, {'rules': [accept]})
    wait_until(lambda: crosses(100), 10, 'without the rules everything crosses')


def suppressed(s):
    """who is known is not asked for in the overlay, by ARP or neighbour discovery; probes and contradicted addresses go on"""
    a, b = s.hosts['a'], s.hosts['b']
    ips = {'a': ('10.7.0.1', 'fd77::1'), 'b': ('10.7.0.2', 'fd77::2')}

    def inside(host, *command, **more):
        return run('ip', 'netns', 'exec', host.space, *command, **more)

    def answered():
        return [g.get('/orrery/drops')['worker']['suppressed'] for g in s.gateways]

    for name, host in s.hosts.items():
        inside(host, 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0')
        inside(host, 'ip', 'addr', 'add', ips[name][0] + '/24', 'dev', 'eth0')
        inside(host, 'ip', 'addr', 'add', ips[name][1] + '/64', 'dev', 'eth0', 'nodad')
    try:
        # Whoever asked first was heard by all, and so was the answer: from then on both gateways know both.
        for ip in ips['b']:
            inside(a, 'ping', '-n', '-c', '1', '-w', '10', ip)
            inside(a, 'ip', 'neigh', 'flush', 'dev', 'eth0')
            before = answered()
            with Arp(b) as ear:
                inside(a, 'ping', '-n', '-c', '1', '-w', '10', ip)
                check(not ear.hears(ips['a'][0], ips['b'][0], 0.5), 'host-b is not asked')
            after = answered()
            check(after[0] > before[0], 'a answers for ' + ip, (before, after))
            equal(after[1], before[1], 'answers of b')
        with Arp(a) as mouth, Arp(b) as ear:
            mouth.request('0.0.0.0', ips['b'][0])
            check(ear.hears('0.0.0.0', ips['b'][0], 5), 'a probe reaches host-b')
            mouth.request(ips['b'][0], ips['b'][0])
            check(ear.hears(ips['b'][0], ips['b'][0], 5), 'so does an announcement')
            equal(s.port(s.a)['bridge']['addressesContested'], 1, 'contested addresses at a')
            mouth.request(ips['a'][0], ips['b'][0])
            check(ear.hears(ips['a'][0], ips['b'][0], 5), 'and whoever asks for the address then')
        for gateway in s.gateways:
            check_ledger(gateway)
    finally:
        for host in s.hosts.values():
            inside(host, 'ip', 'addr', 'flush', 'dev', 'eth0')
            inside(host, 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1')
    return 'answered by a and b: %s' % answered()


def loop(s):
    """a loop made on purpose is cut within two seconds, the higher address blocks, and no frame circulates"""
    low, high = sorted(s.gateways, key=lambda d: d.address)
    s.hosts['b'].hear()
    s.plug_cable()
    begin = time.monotonic()
    sent, heard, cut = {}, [], None
    while time.monotonic() < begin + 6:
        s.number += 1
        sent[s.number] = time.monotonic()
        s.hosts['a'].send(s.number)
        heard += s.hosts['b'].hear(0.02)
        if cut is None and s.port(high)['bridge']['blocked']:
            cut = time.monotonic()
    heard += s.hosts['b'].hear(1)
    try:
        check(cut is not None, 'the port of the higher address is blocked', s.lan_state(high))
        check(cut - begin < 2, 'cut after', '%.2f s' % (cut - begin))
        copies = {number: 0 for number in sent}
        for _, number, _ in heard:
            copies[number] = copies.get(number, 0) + 1
        while_it_lasted = max(copies[n] for n in sent if sent[n] < cut)
        # What was on its way when it was cut has to drain; after that each frame comes once, by the cable.
        late = [n for moment, n, _ in heard if moment > cut + 0.5 and sent.get(n, 0) < cut]
        equal(late[:5], [], 'frames that still go round')
        wrong = {n: copies[n] for n in sent if sent[n] > cut + 0.2 and copies[n] != 1}
        equal(dict(list(wrong.items())[:5]), {}, 'copies of frames sent afterwards, other than one')
        equal(s.port(low)['bridge']['blocked'], False, 'the port of the lower address is blocked')
        state = s.lan_state(high)
        equal(state['reason'], 'bridge %s of the network is on the same LAN' % low.address, 'the reason')
        equal(state['bridges'], [low.address], 'bridges on the LAN')
        check(SWITCH_BLOCKED in high.log(), 'the log says so')
        check(s.port(high)['txPackets'] > 0, 'it goes on probing')
    finally:
        s.cut = cut
    return 'cut after %.2f s; until then a frame came up to %d times' % (cut - begin, while_it_lasted)


def open_again(s):
    """without the cable both bridge again, within seconds"""
    begin = time.monotonic()
    s.pull_cable()
    wait_until(lambda: not any(s.port(g)['bridge']['blocked'] for g in s.gateways), 8, 'both are open')
    took = time.monotonic() - begin
    for one, other in (('a', 'b'), ('b', 'a')):
        wait_until(lambda: s.reaches(one, other) == 1, 10, 'one copy of a broadcast from %s' % one)
    return 'after %.1f s' % took


def flood(s):
    """100,000 MACs from a host of b: as many are learned as may be, the stations keep their places"""
    wait_until(lambda: s.reaches('a', 'b', MACS['host-b']) == 1, 10, 'host-b is known')
    time.sleep(1.2)
    check(s.reaches('b', 'a', MACS['host-a']), 'host-b is heard again')
    for i in range(100_000):
        s.hosts['b'].send(0, BROADCAST, bytes.fromhex('5256') + struct.pack('>I', i))
        if i % 2_000 == 0:
            time.sleep(0.02)
    bridge = s.port(s.b)['bridge']
    check(1_000 < bridge['stations'] <= 4_096, 'stations of b', bridge)
    equal(s.reaches('a', 'b', MACS['host-b']), 1, 'copies of a frame to host-b')
    equal(s.reaches('b', 'a', MACS['host-a']), 1, 'copies of a frame to host-a')
    remote = s.a.network(s.network)['remoteStations']
    check(remote <= 4_096, 'stations that a knows behind b', remote)
    storm = s.b.get('/orrery/drops')['worker']['broadcast_storm']
    check(storm > 0, 'broadcasts beyond the rate are dropped', storm)
    return '%d learned, %d refused, %d known to the other gateway, %d broadcasts dropped' % (
        bridge['stations'], bridge['stationsRefused'], remote, storm)


def spoofed(s):
    """a static station's address is not believed elsewhere"""
    before = s.a.get('/orrery/drops')['worker']['fixed_mac']
    for _ in range(5):
        s.hosts['b'].send(0, BROADCAST, MACS['host-a'])
    wait_until(lambda: s.a.get('/orrery/drops')['worker']['fixed_mac'] > before, 5, 'a drops frames that use it')

    def back():  # b has no word on whose it is: it believes who speaks, once a second
        s.reaches('a', 'b', seconds=0.1)
        return s.reaches('b', 'a', MACS['host-a']) == 1
    wait_until(back, 10, 'one copy of a frame to host-a, once it has spoken')


def quiet_end(s):
    """the ledgers add up, all end with exit code 0, and their logs tell of no failure"""
    for daemon in [s.root] + s.gateways:
        check_ledger(daemon)
    for daemon in [s.root] + s.gateways:
        equal(daemon.stop()[0], 0, 'exit code of %s' % daemon.name)
        equal(complaints(daemon.log(), ['is heard behind several bridges'])[:3], [], 'log of %s' % daemon.name)


if __name__ == '__main__':
    main('bridge', [across, vlan, vlan_rules, suppressed, loop, open_again, flood, spoofed, quiet_end], needs=('ethtool',), setup=Scene)
