#!/usr/bin/env python3
"""orrery capture: one ping at four points of two daemons, what filters let through, who may and for how long.

  wan (a switch)   root 10.9.0.1 (root and controller)   one 10.9.0.2   two 10.9.0.3
"""
import os
import select
import signal
import struct
import subprocess
import time

from harness import CLI, Failure, check, check_ledger, complaints, equal, main, root_and_controller, run, wait_until

ALLOWED = '[capture]\nenabled = true\n'
POINTS = ['outer', 'decrypted', 'rules', 'host']
LINKS = {'outer': 147, 'decrypted': 148, 'rules': 1, 'host': 1}
INBOUND, OUTBOUND = 1, 2
HEADER = 28  # of a ZeroTier packet


class Packet:
    def __init__(self, point, nanoseconds, data, size, options):
        self.point, self.nanoseconds, self.data, self.size = point, nanoseconds, data, size
        self.direction = struct.unpack('<I', options[2])[0] & 3
        self.story = struct.unpack('<Q', options[5])[0]
        self.words = dict(word.split('=', 1) for word in options[1].decode().split())

    def __repr__(self):
        return '%s %s' % (self.point, self.words)


class Capture:
    """A pcapng file, by the draft's sections 4.1 to 4.6: interfaces, packets, and what the last statistics say was lost. One that
    is not `whole` may be cut anywhere: it is being written."""

    def __init__(self, data, whole=True):
        self.links, self.packets, self.lost, self.statistics_at = {}, [], {}, 0
        at = 0
        while at < len(data):
            if not whole and (at + 8 > len(data) or at + struct.unpack_from('<I', data, at + 4)[0] > len(data)):
                break
            kind, size = struct.unpack_from('<II', data, at)
            check(size >= 12 and size % 4 == 0 and at + size <= len(data), 'a whole block at %d' % at, size)
            equal(struct.unpack_from('<I', data, at + size - 4)[0], size, 'the size at the end of a block')
            self.block(kind, data[at + 8:at + size - 4])
            at += size
        if whole:
            equal(self.links, LINKS, 'interfaces')

    def block(self, kind, body):
        if kind == 0x0a0d0d0a:
            equal(struct.unpack_from('<IHHq', body), (0x1a2b3c4d, 1, 0, -1), 'section header')
        elif kind == 1:
            options = self.options(body[8:])
            equal(options[9], b'\x09', 'nanoseconds')
            self.links[options[2].decode()] = struct.unpack_from('<H', body)[0]
        elif kind == 6:
            interface, high, low, captured, size = struct.unpack_from('<IIIII', body)
            padded = (captured + 3) // 4 * 4
            self.packets.append(Packet(POINTS[interface], high << 32 | low, body[20:20 + captured], size, self.options(body[20 + padded:])))
        elif kind == 5:
            interface, high, low = struct.unpack_from('<III', body)
            self.lost[POINTS[interface]] = struct.unpack('<Q', self.options(body[12:])[5])[0]
            self.statistics_at = high << 32 | low
        else:
            check(False, 'a known type of block', kind)

    @staticmethod
    def options(data):
        found, at = {}, 0
        while at < len(data):
            code, size = struct.unpack_from('<HH', data, at)
            if code == 0:
                break
            found[code] = data[at + 4:at + 4 + size]
            at += 4 + (size + 3) // 4 * 4
        return found

    def story(self, number):
        return [p for p in self.packets if p.story == number]


class Scene:
    def __init__(self, world):
        self.world = world
        wan = world.switch('wan')
        spaces = {}
        for name, address in (('root', '10.9.0.1'), ('one', '10.9.0.2'), ('two', '10.9.0.3')):
            spaces[name] = world.space(name)
            world.plug(spaces[name], 'wan0', wan, address + '/24')
        self.root, planet = root_and_controller(world, '10.9.0.1', space=spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'capture', 'private': True, 'enableBroadcast': True, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        members = []
        for name in ('one', 'two'):
            made = world.daemon(name, space=spaces[name], planet=planet, config=ALLOWED)
            made.start()
            wait_until(made.online, 30, '%s is online' % name)
            made.join(self.network)
            self.root.admit(self.network, made)
            members.append(made)
        self.one, self.two = members
        for d in members:
            wait_until(lambda: d.has_configuration(self.network), 30, '%s has its configuration' % d.name)
        self.files = 0
        wait_until(lambda: self.ping(), 30, 'the first ping')
        # From here on workers carry it, over a direct path.
        wait_until(lambda: self.one.direct_path(self.two) and self.two.direct_path(self.one), 60, 'a direct path')
        wait_until(self.by_worker, 20, 'pings are the workers\'')

    def by_worker(self):
        before = self.one.workers()['punted'], self.two.workers()['punted']
        return self.ping(5) and max(self.one.workers()['punted'] - before[0], self.two.workers()['punted'] - before[1]) < 5

    def ping(self, count=1, size=56):
        return run('ip', 'netns', 'exec', self.one.space, 'ping', '-c', count, '-i', '0.2', '-W', '1', '-s', size, self.two.ip(self.network),
                   check_code=False).returncode == 0

    def start(self, daemon, *options):
        """A capture that has begun: (process, file)."""
        self.files += 1
        path = os.path.join(self.world.work, 'capture%d.pcapng' % self.files)
        process = self.world.spawn([*self.prefix(daemon), CLI, '-D', daemon.home, 'capture', '-o', path, *options], stderr=subprocess.PIPE,
                                   text=True)

        def began():
            check(process.poll() is None, 'the capture runs', process.stderr.read() if process.poll() is not None else '')
            return os.path.exists(path) and os.path.getsize(path) > 0
        wait_until(began, 10, 'the capture begins', 0.02)
        return process, path

    @staticmethod
    def prefix(daemon):
        return ['ip', 'netns', 'exec', daemon.space] if daemon.space else []

    def finish(self, process, path, number=signal.SIGINT):
        if number is not None:
            # Statistics come behind all packets that were seen before.
            begin = time.time_ns()
            wait_until(lambda: Capture(open(path, 'rb').read(), whole=False).statistics_at > begin, 10, 'statistics', 0.05)
            process.send_signal(number)
        equal(process.wait(20), 0, 'exit code of the capture')
        return Capture(open(path, 'rb').read())


def echo_of(packets, kind):
    """The ICMP echo messages (8: request, 0: reply) among Ethernet frames: [(packet, ICMP bytes)]"""
    return [(p, p.data[34:]) for p in packets if p.data[12:14] == b'\x08\x00' and p.data[23] == 1 and p.data[34] == kind]


def four_points(s):
    """one ping at four points of both ends, each once, under one story, the right way round, with its bytes"""
    started = [s.start(d) for d in (s.one, s.two)]
    check(s.ping(), 'a ping')
    one, two = (s.finish(*x) for x in started)
    moments = []
    # The request leaves one, and comes to two.
    request, icmp = echo_of([p for p in one.packets if p.point == 'host' and p.direction == OUTBOUND], 8)[0]
    leaving = one.story(request.story)
    equal([p.point for p in leaving], ['host', 'rules', 'decrypted', 'outer'], 'points of the request at one')
    arrived = [p for p, data in echo_of([p for p in two.packets if p.point == 'host'], 8) if data == icmp]
    equal(len(arrived), 1, 'the request at two')
    coming = two.story(arrived[0].story)
    equal([p.point for p in coming], POINTS, 'points of the request at two')
    for story, way in ((leaving, OUTBOUND), (coming, INBOUND)):
        equal([p.direction for p in story], [way] * 4, 'direction')
        by = {p.point: p for p in story}
        equal(by['rules'].data, request.data, 'the frame behind the rules')
        equal(by['host'].data, request.data, 'the frame at the host')
        check(by['decrypted'].data.endswith(icmp), 'the packet in clear carries it', by['decrypted'].data.hex())
        check(icmp[8:] not in by['outer'].data, 'the datagram does not show it')
        equal(len(by['outer'].data), len(by['decrypted'].data), 'sizes of datagram and packet')
        equal(by['decrypted'].words['network'], s.network, 'its network')
        equal(by['decrypted'].words['verb'].lower(), 'frame', 'its verb')
        equal(by['outer'].words['source'], s.one.address, 'its source')
        equal(by['outer'].words['destination'], s.two.address, 'its destination')
        moments += [p.nanoseconds for p in sorted(story, key=lambda p: p.nanoseconds)]
        check(all('drop' not in p.words and 'to' not in p.words for p in story), 'nobody dropped it', story)
    equal(coming[0].data, leaving[-1].data, 'the datagram on the wire')
    equal(coming[0].words['id'], leaving[-1].words['id'], 'the id on the wire')
    equal(moments, sorted(moments), 'nanoseconds, from the one host to the other')
    check(abs(moments[0] / 1e9 - time.time()) < 60, 'time of day', moments[0])
    equal(sum(one.lost.values()) + sum(two.lost.values()), 0, 'lost')
    reply = echo_of([p for p in two.packets if p.point == 'host' and p.direction == OUTBOUND], 0)
    check(reply, 'the reply at two')
    return 'from host to host %.0f us' % ((moments[-1] - moments[0]) / 1000)


def pieces(s):
    """a packet of several datagrams: each datagram once, the rest as of any other"""
    started = [s.start(d, '--peer', other.address) for d, other in ((s.one, s.two), (s.two, s.one))]
    check(s.ping(1, 2600), 'a large ping')
    for capture, way in zip((s.finish(*x) for x in started), (OUTBOUND, INBOUND)):
        frame = next(p for p, _ in echo_of([p for p in capture.packets if p.point == 'host' and p.direction == way], 8))
        points = [p.point for p in capture.story(frame.story)]
        equal(sorted(points), sorted(['host', 'rules', 'decrypted', 'outer', 'outer']), 'points')


def choices(s):
    """--network, --peer, --point, --snap, --one-in, --count and --seconds do what they say"""
    process, path = s.start(s.one, '--network', s.network, '--snap', '64')
    check(s.ping(3), 'pings')
    capture = s.finish(process, path)
    check(len(echo_of([p for p in capture.packets if p.point == 'host'], 8)) >= 3, 'frames of the network', capture.packets)
    check(any(p.point == 'outer' for p in capture.packets), 'with their datagrams')
    check(all(p.words.get('network', s.network) == s.network for p in capture.packets), 'of no other network')
    check(max(len(p.data) for p in capture.packets) == 64 < max(p.size for p in capture.packets), 'not more than 64 bytes each')
    process, path = s.start(s.one, '--network', 'ffffffffffffffff', '--peer', s.two.address, '--seconds', '2')
    check(s.ping(3), 'pings')
    equal(s.finish(process, path, None).packets, [], 'packets of another network')
    process, path = s.start(s.one, '--point', 'rules', '--point', 'host', '--count', '4')
    check(s.ping(3), 'pings')
    capture = s.finish(process, path, None)
    equal(len(capture.packets), 4, 'packets')
    equal({p.point for p in capture.packets}, {'rules', 'host'}, 'points')
    process, path = s.start(s.one, '--one-in', '1000000000')
    check(s.ping(3), 'pings')
    equal(s.finish(process, path, signal.SIGTERM).packets, [], 'packets, of which one in a billion is taken')


def dropped(s):
    """what the rules refuse says so, under the story of its frame"""
    closed = [{'type': 'MATCH_IP_PROTOCOL', 'ipProtocol': 1}, {'type': 'ACTION_DROP'}]
    accept = [{'type': 'ACTION_ACCEPT'}]
    s.root.post('/controller/network/' + s.network, {'rules': closed + accept})
    try:
        wait_until(lambda: not s.ping(), 20, 'no ping passes')
        process, path = s.start(s.one, '--point', 'host')
        s.ping(3)
        capture = s.finish(process, path)
        ends = [p for p in capture.packets if p.words.get('drop') == 'rules']
        check(ends, 'drops by the rules', capture.packets)
        for end in ends:
            story = capture.story(end.story)
            equal([p.point for p in story], ['host', 'host'], 'where it was')
            equal(end.data, story[0].data, 'its bytes')
    finally:
        s.root.post('/controller/network/' + s.network, {'rules': accept})
        wait_until(lambda: s.ping(), 20, 'a ping passes again')


def one_at_a_time(s):
    """one capture at a time; it ends with its client, also when that is killed, and with the daemon"""
    process, path = s.start(s.one)
    refused = s.one.cli('capture', '-o', path + '.2', check_code=False)
    equal((refused.returncode, os.path.exists(path + '.2')), (1, False), 'exit code of a second one, and its file')
    check('another capture is running' in refused.stderr, 'why', refused.stderr)
    process.kill()
    process.wait()
    check(s.ping(), 'a ping')
    wait_until(lambda: s.one.cli('capture', '-o', path, '--seconds', '1', check_code=False).returncode == 0, 10, 'the next one can begin')
    wait_until(lambda: s.one.log().count('the capture ends') == s.one.log().count('a capture begins'), 10, 'the log tells of all ends')


def allowed(s):
    """refused unless the configuration allows it, without the token, and for arguments that make no sense"""
    refused = s.root.cli('capture', '-o', os.path.join(s.world.work, 'no.pcapng'), check_code=False)
    equal(refused.returncode, 1, 'exit code where captures are not allowed')
    check('[capture]' in refused.stderr, 'what would allow it', refused.stderr)
    wrong = s.one.cli('-T', 'wrong', 'capture', '-o', os.path.join(s.world.work, 'no.pcapng'), check_code=False)
    equal(wrong.returncode, 1, 'exit code with a wrong token')
    equal(os.path.exists(os.path.join(s.world.work, 'no.pcapng')), False, 'a file is left')
    for arguments in (['--point', 'inner'], ['--snap', '10'], ['--peer', 'x'], ['--count', '0']):
        equal(s.one.cli('capture', *arguments, check_code=False).returncode, 2, 'exit code with %s' % arguments)
    equal(s.one.api('POST', '/orrery/capture', {'snap': 1})[0], 400, 'status of a request that makes no sense')


def no_secrets(s):
    """no capture shows a secret key or the token"""
    process, path = s.start(s.one)
    check(s.ping(3), 'pings')
    s.one.cli('leave', s.network)
    s.one.join(s.network)
    wait_until(lambda: s.one.has_configuration(s.network) and s.ping(), 30, 'it is a member again')
    s.finish(process, path)
    data = open(path, 'rb').read()
    secret = open(s.one.file('identity.secret')).read().strip().split(':')[3]
    for text in (secret.encode(), bytes.fromhex(secret), bytes.fromhex(secret)[:32], bytes.fromhex(secret)[32:], s.one.token().encode()):
        equal(data.find(text), -1, 'place of a secret')


def wireshark(s):
    """tshark reads a capture while it is made"""
    capture = s.world.spawn([*s.prefix(s.one), CLI, '-D', s.one.home, 'capture', '--point', 'host', '--point', 'outer', '--network', s.network],
                            stdout=subprocess.PIPE)
    shark = subprocess.Popen(['tshark', '-l', '-n', '-r', '-', '-Y', 'icmp', '-T', 'fields', '-e', 'frame.interface_name', '-e', 'icmp.type',
                              '-e', 'frame.packet_id', '-e', 'frame.comment'], stdin=capture.stdout, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, bufsize=1)
    s.world.processes.append(shark)
    capture.stdout.close()
    lines = []
    begin = time.monotonic()
    while len(lines) < 6 and time.monotonic() < begin + 20:
        check(s.ping(), 'a ping')
        while select.select([shark.stdout], [], [], 0.5)[0]:
            lines.append(shark.stdout.readline())
    check(len(lines) >= 6, 'what it prints while the capture goes on', lines)
    capture.send_signal(signal.SIGINT)
    rest, errors = shark.communicate(timeout=60)
    equal(shark.returncode, 0, 'exit code of tshark: ' + errors)
    equal(capture.wait(10), 0, 'exit code of the capture')
    for line in lines + rest.splitlines():
        interface, kind, story, comment = line.rstrip('\n').split('\t')
        equal((interface, kind in ('8', '0')), ('host', True), 'interface and type of a ping')
        check('story=%016x ' % int(story) in comment, 'story and comment', line)


def pdump(s):
    """dpdk-pdump sees a DPDK port where dpdk.pdump allows it; a daemon that cannot share its memory says so"""
    space = s.world.space('pdump')
    run('ip', '-n', space, 'link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'far0')
    for device in ('wan0', 'far0'):
        run('ip', '-n', space, 'link', 'set', device, 'up')
    huge = os.path.join(s.world.work, 'huge')
    os.makedirs(huge)
    run('mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'orrery-e2e', huge)
    s.world.mounts.append(huge)
    shared = s.world.daemon('shared', space=space, config='[dpdk]\npdump = true\n[underlay]\nsockets = false\n[[underlay.port]]\n'
                            'device = "net_af_packet0,iface=wan0"\nmirror = "orr-pdump"\naddresses = ["10.99.0.1/24"]\n')
    shared.launch('--', '--huge-dir', huge)
    try:
        shared.ready()
    except Failure:
        equal(shared.process.wait(20), 1, 'exit code')
        check('huge pages' in shared.log(), 'what is missing', shared.log())
        return 'there are no huge pages to try it with'
    seen = os.path.join(s.world.work, 'pdump.pcap')
    with open(os.path.join(s.world.work, 'pdump.log'), 'wb') as log:
        dump = s.world.spawn([*s.prefix(shared), 'dpdk-pdump', '--file-prefix', 'orrery%d' % shared.process.pid, '--huge-dir', huge, '--no-pci',
                              '--lcores', '9@(0-%d)' % (os.cpu_count() - 1), '--', '--pdump',
                              'device_id=net_af_packet0,queue=*,tx-dev=%s' % seen], stdout=log, stderr=log)

    def sees():
        check(dump.poll() is None, 'dpdk-pdump runs', open(log.name).read())
        # The mirror asks who has an address there.
        run('ip', 'netns', 'exec', space, 'ping', '-c', '1', '-W', '1', '10.99.0.9', check_code=False)
        return os.path.exists(seen) and b'\x08\x06\x00\x01' in open(seen, 'rb').read()
    wait_until(sees, 20, 'ARP in what dpdk-pdump has written')
    dump.send_signal(signal.SIGINT)
    equal(dump.wait(20), 0, 'exit code of dpdk-pdump')
    equal(shared.stop()[0], 0, 'exit code')


def quiet_end(s):
    """the ledgers add up, all end with exit code 0 though one is captured, and their logs tell of no failure"""
    for daemon in (s.root, s.one, s.two):
        check_ledger(daemon)
    process, path = s.start(s.two)
    for daemon in (s.two, s.one, s.root):
        code, seconds = daemon.stop()
        equal(code, 0, 'exit code of ' + daemon.name)
        check(seconds < 1.5, '%s stops within 1.5 s' % daemon.name, seconds)
        equal(complaints(daemon.log())[:3], [], 'log of ' + daemon.name)
    s.finish(process, path, None)


if __name__ == '__main__':
    main('capture', [four_points, pieces, choices, dropped, one_at_a_time, allowed, no_secrets, wireshark, pdump, quiet_end], needs=('ping', 'tshark', 'dpdk-pdump'), setup=Scene)
