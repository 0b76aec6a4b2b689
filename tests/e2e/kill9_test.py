#!/usr/bin/env python3
"""kill -9 at random moments of a controller under API writes and of a node under churn: what was acknowledged stays.

Each round starts both, keeps them busy and kills each at a moment of its own, in some rounds while it still starts. The root, and
a peer that comes and goes, live on. ORRERY_KILL_ROUNDS (50) and ORRERY_KILL_SEED say how often and how.
"""
import json
import os
import random
import socket
import struct
import threading
import time

from harness import Failure, check, complaints, equal, main, wait_until

HOST = '10.9.0.1'
ROUNDS = int(os.environ.get('ORRERY_KILL_ROUNDS', '50'))
SEED = int(os.environ.get('ORRERY_KILL_SEED', str(random.randrange(1 << 32))))
NETWORKS = 6      # of the controller, whose members are written
MEMBERS = 8       # per network
STORMS, STORM = 4, 8  # times that the controller is killed while so many networks are joined by both nodes
UNKNOWN = ['%010x%06x' % (0x1234567800 + i, i) for i in range(4)]  # networks of controllers that do not exist


class Hellos(threading.Thread):
    """Packet ids of the HELLOs that a node sends, read off the wire: they stand there in clear."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.source = bytes.fromhex(address)
        self.last, self.seen, self.wrong = 0, 0, []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(('lo', 0))

    def run(self):
        while True:
            frame, origin = self.socket.recvfrom(2048)
            # Every packet of lo is seen twice: on its way out and in. Ethernet, IPv4 without options, UDP.
            if origin[2] != socket.PACKET_OUTGOING or frame[12:14] != b'\x08\x00' or frame[23] != 17 or len(frame) < 14 + 28 + 28:
                continue
            packet = frame[42:]
            if packet[13:18] != self.source or packet[18] & 0x38 != 0 or packet[27] & 0x1f != 1:
                continue
            number = struct.unpack('>Q', packet[:8])[0]
            self.seen += 1
            if number <= self.last:
                self.wrong.append('%016x after %016x' % (number, self.last))
            self.last = max(number, self.last)


# What the controller sets by itself when a write changes `authorized`.
DERIVED = ('lastAuthorizedCredentialType', 'lastAuthorizedCredential')


class Record:
    """What one object of the API must be: the content last acknowledged, or that of a write without an answer."""

    def __init__(self):
        self.acknowledged = None  # fields as the answer gave them; None: does not exist
        self.pending = []         # fields of writes that were not answered; None: a deletion

    def holds(self, found):
        """`found` (None: absent) is a state that may follow from what was done."""
        if found is None:
            return self.acknowledged is None or None in self.pending
        states = [self.acknowledged] if self.acknowledged is not None else []
        base = self.acknowledged or {}
        states += [{k: v for k, v in dict(base, **p).items() if k not in DERIVED} for p in self.pending if p is not None]
        return any(all(found.get(k) == v for k, v in state.items()) for state in states)


class Scene:
    def __init__(self, world):
        print('seed %d, %d rounds' % (SEED, ROUNDS), flush=True)
        self.world = world
        self.random = random.Random(SEED)
        world.private_network(HOST + '/24')
        self.root = world.daemon('root', port=9993)
        planet = world.planet(self.root.home, HOST + '/9993')
        with open(planet, 'rb') as f, open(self.root.file('planet'), 'wb') as t:
            t.write(f.read())
        self.controller = world.daemon('controller', port=9994, planet=planet, config='[controller]\nenabled = true\n')
        self.node = world.daemon('node', port=9995, planet=planet)
        self.peer = world.daemon('peer', port=9996, planet=planet)
        self.root.start()
        self.hellos = Hellos(self.node.address)
        self.hellos.start()
        self.records = {}     # path -> Record
        self.joined = {}      # network -> Record of its settings
        self.nonces = {}      # daemon -> mark last read
        self.acknowledged = {self.controller.name: 0, self.node.name: 0}
        self.broken = {self.controller.name: [], self.node.name: []}
        self.adopt = set()    # daemons whose state is taken as it is found: a failure was reported
        self.shared = self.controller.address + '00ffff'  # public: node and peer meet there


VOLATILE = ('clock', 'lastAuthorizedTime', 'lastDeauthorizedTime', 'creationTime', 'lastModified', 'revision', 'totalMemberCount',
            'authorizedMemberCount')


def content_of(value):
    return {k: v for k, v in value.items() if k not in VOLATILE} if isinstance(value, dict) else value


def settings_of(network):
    return {k: network[k] for k in ('allowManaged', 'allowGlobal', 'allowDefault', 'allowDNS')}


def write(s, daemon, records, path, body, method='POST'):
    """One write; what is acknowledged is remembered, what is not stays pending. False when the daemon is gone."""
    record = records.setdefault(path, Record())
    record.pending.append(None if method == 'DELETE' else {k: v for k, v in body.items()})
    try:
        status, value = daemon.api(method, path, body, timeout=5)
    except Exception:  # noqa: the daemon was killed under us
        return False
    if status == 503:
        return False  # it is stopping
    check(status == 200, '%s %s' % (method, path), '%s %s' % (status, value))
    record.pending.clear()
    record.acknowledged = None if method == 'DELETE' else content_of(value)
    s.acknowledged[daemon.name] += 1
    return True


def busy_controller(s, stop):
    """API writes until the daemon dies."""
    r = s.random
    base = '/controller/network/' + s.controller.address
    while not stop.is_set():
        number = r.randrange(NETWORKS)
        path = '%s%06x' % (base, number + 1)
        known = s.records.get(path)
        if known is None or known.acknowledged is None or r.random() < 0.15:
            ok = write(s, s.controller, s.records, path, {
                'name': 'n%d' % r.randrange(10 ** 6), 'private': r.random() < 0.5, 'mtu': r.randrange(1280, 2801),
                'multicastLimit': r.randrange(1, 999), 'enableBroadcast': r.random() < 0.5})
        elif r.random() < 0.02:
            # A network takes its members along.
            for member in [p for p in s.records if p.startswith(path + '/member/')]:
                s.records[member].pending.append(None)
            ok = write(s, s.controller, s.records, path, {}, 'DELETE')
            if ok:
                for member in [p for p in s.records if p.startswith(path + '/member/')]:
                    del s.records[member]
        else:
            member = '%s/member/%010x' % (path, 0x1100000000 + r.randrange(MEMBERS))
            if r.random() < 0.1 and s.records.get(member) and s.records[member].acknowledged:
                ok = write(s, s.controller, s.records, member, {}, 'DELETE')
            else:
                ok = write(s, s.controller, s.records, member, {
                    'authorized': r.random() < 0.7, 'name': 'm%d' % r.randrange(10 ** 6), 'activeBridge': r.random() < 0.3,
                    'noAutoAssignIps': r.random() < 0.5, 'ipAssignments': ['10.1.%d.%d' % (number, r.randrange(1, 255))]})
        if not ok:
            return


def busy_node(s, stop):
    """Joins, leaves and settings until the daemon dies."""
    r = s.random
    networks = UNKNOWN + ['%s%06x' % (s.controller.address, i + 1) for i in range(2)]
    while not stop.is_set():
        path = '/network/' + r.choice(networks)
        record = s.joined.get(path)
        there = record is not None and record.acknowledged is not None
        if there and r.random() < 0.3:
            ok = write(s, s.node, s.joined, path, {}, 'DELETE')
        else:
            body = {} if not there and r.random() < 0.5 else {
                'allowManaged': r.random() < 0.5, 'allowGlobal': r.random() < 0.5, 'allowDefault': r.random() < 0.5,
                'allowDNS': r.random() < 0.5}
            ok = write(s, s.node, s.joined, path, body)
            if ok:
                s.joined[path].acknowledged = settings_of(s.joined[path].acknowledged)
        if not ok:
            return


def verify_controller(s):
    if s.controller.name in s.adopt:
        s.adopt.remove(s.controller.name)
        s.records.clear()
        for network in s.controller.get('/controller/network'):
            path = '/controller/network/' + network
            for each in [path] + ['%s/member/%s' % (path, m) for m in s.controller.get(path + '/member')]:
                s.records.setdefault(each, Record()).acknowledged = content_of(s.controller.get(each))
        return
    known = set(s.controller.get('/controller/network'))
    for path in sorted(s.records, key=len):
        record = s.records[path]
        if '/member/' in path and path.split('/')[3] not in known:
            found = None
        else:
            status, value = s.controller.api('GET', path)
            check(status in (200, 404), 'GET %s' % path, status)
            found = content_of(value) if status == 200 else None
            if found is not None and '/member/' in path:
                listed = s.controller.get(path.rsplit('/', 1)[0])
                if path.rsplit('/', 1)[1] not in listed:
                    found = None
        if not record.holds(found):
            differing = {} if found is None or record.acknowledged is None else {
                k: (found.get(k), v) for k, v in record.acknowledged.items() if found.get(k) != v}
            raise Failure('%s: %s' % (path, 'an acknowledged record is lost' if found is None else
                                      'a deleted record is back' if record.acknowledged is None else
                                      '(found, acknowledged) %s' % differing))
        record.acknowledged = found
        record.pending.clear()
    for path in [p for p, record in s.records.items() if record.acknowledged is None]:
        del s.records[path]


def verify_node(s):
    found = s.node.networks()
    if s.node.name in s.adopt:
        s.adopt.remove(s.node.name)
        s.joined.clear()
        for network in found.values():
            s.joined.setdefault('/network/' + network['id'], Record()).acknowledged = settings_of(network)
        return
    for path, record in s.joined.items():
        network = found.get(path.split('/')[2])
        if not record.holds(network):
            raise Failure('%s: %s' % (path, 'an acknowledged join is lost' if network is None else
                                      'a network that was left is back' if record.acknowledged is None else
                                      'settings %s, acknowledged %s' % ({k: network[k] for k in record.acknowledged},
                                                                        record.acknowledged)))
        record.pending.clear()
        record.acknowledged = None if network is None else settings_of(network)


def check_files(s, daemon):
    """What lies on disk between two lives."""
    secret = open(daemon.file('identity.secret')).read()
    check(secret.startswith(daemon.address + ':0:') and len(secret.strip()) == 270, '%s: identity.secret' % daemon.name, secret[:12])
    if os.path.exists(daemon.file('nonce.state')):
        mark = open(daemon.file('nonce.state'), 'rb').read()
        equal(len(mark), 8, '%s: bytes of nonce.state' % daemon.name)
        mark = struct.unpack('>Q', mark)[0]
        check(mark >= s.nonces.get(daemon.name, 0), '%s: nonce.state went back' % daemon.name,
              '%016x after %016x' % (mark, s.nonces.get(daemon.name, 0)))
        s.nonces[daemon.name] = mark
    else:
        check(daemon.name not in s.nonces, '%s: nonce.state is gone' % daemon.name)
    if os.path.exists(daemon.file('pins.json')) and os.path.getsize(daemon.file('pins.json')):
        json.load(open(daemon.file('pins.json')))
    left = 0
    for base, _, files in os.walk(daemon.home):
        for name in files:
            path = os.path.join(base, name)
            if name.endswith('.new'):
                left += 1
            elif name.endswith('.peer'):
                check(os.path.getsize(path) > 70, '%s: %s is cut' % (daemon.name, name), os.path.getsize(path))
            elif name == 'orrery.sqlite':
                check(open(path, 'rb').read(16) in (b'SQLite format 3\0', b''), '%s: %s is a database' % (daemon.name, name))
    check(left <= 8, '%s: temporary files pile up' % daemon.name, left)


def round_of(s, number):
    """{name of a daemon: what failed}"""
    early = number % 6 == 5  # killed while it starts
    daemons = (s.controller, s.node)
    for d in daemons:
        d.launch()
    failures = {}
    if early:
        for d in daemons:
            time.sleep(s.random.random() * 0.4)
            d.kill()
            guarded(failures, d, check_files, s, d)
        return failures

    def live(daemon, address, verify, busy):
        daemon.ready()
        equal(daemon.address, address, 'the identity')
        verify(s)
        stop = threading.Event()
        worker = threading.Thread(target=guarded, args=(failures, daemon, busy, s, stop), daemon=True)
        worker.start()
        time.sleep(s.random.random() ** 2 * 0.6)
        daemon.process.kill()
        daemon.process.wait(15)
        stop.set()
        worker.join(20)
        daemon.close()
        check_files(s, daemon)
    lives = [threading.Thread(target=guarded, args=(failures, a[0], live) + a) for a in (
        (s.controller, s.controller.address, verify_controller, busy_controller),
        (s.node, s.node.address, verify_node, busy_node))]
    for t in lives:
        t.start()
    for t in lives:
        t.join()
    return failures


def guarded(failures, daemon, function, *arguments):
    """Runs a part of a round; the first failure of each daemon is kept."""
    try:
        function(*arguments)
    except Failure as failure:
        failures.setdefault(daemon.name, str(failure))
    except Exception as error:  # noqa: a connection that broke in an unexpected place is a finding, too
        failures.setdefault(daemon.name, '%r, %s' % (error, daemon.log_tail()))


def rounds(s):
    """a controller under API writes: no acknowledged write is lost, nothing on disk is damaged"""
    s.controller.start()
    s.node.start()
    s.peer.start()
    write(s, s.controller, s.records, '/controller/network/' + s.shared, {'name': 'shared', 'private': False})
    for d in (s.node, s.peer):
        d.join(s.shared)
    s.joined['/network/' + s.shared] = record = Record()
    record.acknowledged = {}
    wait_until(lambda: s.node.has_configuration(s.shared), 30, 'the node has its configuration')
    for d in (s.controller, s.node):
        d.kill()
        check_files(s, d)
    begin = time.monotonic()
    for number in range(ROUNDS):
        if number % 8 == 4:
            s.peer.stop() if s.peer.running() else s.peer.launch()
        broken = round_of(s, number)
        for name, text in broken.items():
            s.broken[name].append('round %d: %s' % (number, text))
        if broken:
            for d in (s.controller, s.node):
                if d.running():
                    d.kill()
            s.adopt.update(broken)  # the next rounds start from what there is
    s.round_seconds = (time.monotonic() - begin) / ROUNDS
    return verdict(s, s.controller)


def verdict(s, daemon):
    broken = s.broken[daemon.name]
    check(not broken, '%d of %d rounds' % (len(broken), ROUNDS), '\n        | '.join(broken[:5]))
    return '%d rounds, %d acknowledged writes, %.1f s a round' % (ROUNDS, s.acknowledged[daemon.name], s.round_seconds)


def node_of_the_rounds(s):
    """a node under joins, leaves and settings: no acknowledged one is lost, nothing on disk is damaged"""
    return verdict(s, s.node)


def addresses_of(daemon):
    """{network: addresses} of the networks whose configuration the daemon has."""
    return {k: sorted(n['assignedAddresses']) for k, n in daemon.networks().items() if n['status'] == 'OK' and n['assignedAddresses']}


def join_storm(s):
    """a controller in a join storm: whoever was let in stays a member with the same address, and nobody else gets it"""
    for d in (s.controller, s.node, s.peer):
        if not d.running():
            d.start()
    networks = ['%s01%04x' % (s.controller.address, 16 * i) for i in range(STORMS * STORM)]  # apart, as names of interfaces
    for i, network in enumerate(networks):
        s.controller.post('/controller/network/' + network, {
            'name': 'storm', 'private': False, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.30.%d.1' % i, 'ipRangeEnd': '10.30.%d.9' % i}], 'routes': [{'target': '10.30.%d.0/24' % i}]})
    members = (s.node, s.peer)
    given = {d.name: {} for d in members}  # what each was told
    in_time = 0
    for number in range(STORMS):
        joins = [(d, network) for network in networks[number * STORM:(number + 1) * STORM] for d in members]
        last = s.random.randrange(len(joins) // 2, len(joins))
        for i, (d, network) in enumerate(joins):
            d.join(network)
            if i == last:
                s.controller.kill()
        check_files(s, s.controller)
        for d in members:
            told = {k: v for k, v in addresses_of(d).items() if k in networks}
            in_time += len(told) - len(given[d.name])
            given[d.name].update(told)
        s.controller.start()
        for d in members:
            for network, told in given[d.name].items():
                member = s.controller.get('/controller/network/%s/member/%s' % (network, d.address))
                check(member['authorized'], '%s is a member of %s' % (d.name, network), member)
                equal(sorted(member['ipAssignments']), [a.split('/')[0] for a in told], 'addresses of %s in %s' % (d.name, network))
    for d in members:
        wait_until(lambda: all(k in addresses_of(d) for k in networks), 120, '%s is in all networks' % d.name)
        held = addresses_of(d)
        equal({k: held[k] for k in given[d.name]}, given[d.name], 'addresses that %s was told before' % d.name)
    for network in networks:
        taken = [a for d in members for a in addresses_of(d)[network]]
        equal(len(taken), len(set(taken)), 'addresses in %s' % network)
    for d in members:
        for network in networks:
            d.delete('/network/' + network)
    s.controller.kill()
    s.node.kill()
    return '%d networks, %d kills, %d of %d memberships were there when it died' % (len(networks), STORMS, in_time, 2 * len(networks))


def at_the_end(s):
    """after the last round both work as ever"""
    for d in (s.controller, s.node):
        d.start()
    if not s.peer.running():
        s.peer.start()
    s.node.join(s.shared)
    for d in (s.node, s.peer):
        wait_until(lambda: d.has_configuration(s.shared), 40, '%s has its configuration' % d.name)
    for d in (s.controller, s.node):
        equal(d.stop()[0], 0, 'exit code of the %s' % d.name)


def ids_and_logs(s):
    """packet ids on the wire only rise, logs tell of no damage"""
    check(s.hellos.seen > ROUNDS // 4, 'HELLOs of the node were seen', s.hellos.seen)
    equal(s.hellos.wrong[:5], [], 'packet ids that went back')
    for d in (s.controller, s.node, s.peer, s.root):
        equal(complaints(d.log())[:5], [], 'log of the %s' % d.name)
    return '%d HELLOs' % s.hellos.seen


if __name__ == '__main__':
    main('kill9', [rounds, node_of_the_rounds, join_storm, at_the_end, ids_and_logs], setup=Scene)
