#!/usr/bin/env python3
"""Malformed datagrams against a running daemon over a real socket: it stays up, counts what it drops, and does not grow.

Strangers' garbage is followed by packets with a valid MAC of a node that the daemon knows (armored here, by hand), so that every
verb's parser is reached with every truncation.
"""
import hashlib
import os
import random
import re
import socket
import struct
import time

from harness import CLI, Failure, check, complaints, equal, ledger, main, root_and_controller, run, wait_until

HOST = '10.9.0.1'
SEED = int(os.environ.get('ORRERY_SEED', str(random.randrange(1 << 32))))
VERBS = range(32)
# Packets of senders that nobody knows are counted when they come; these tell of the room in which they wait for an identity.
WAITS = ['receive_expired', 'send_expired', 'table_full', 'lookup_rate']
# Of every packet that reached control, and of those that no reason ended: not reasons.
TOTALS = ('packets', 'handled')


# --- enough of the protocol to speak for a node (docs/protocol/02-packet.md section 5, 01-identity.md section 4)
def x25519(secret, public):
    p = 2 ** 255 - 19
    k = int.from_bytes(secret, 'little') & ((1 << 255) - 8) & ~(1 << 255) | (1 << 254)
    u = int.from_bytes(public, 'little') & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = (k >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        e = aa - bb
        x3, z3 = pow(da + cb, 2, p), u * pow(da - cb, 2, p) % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, 'little')


def salsa12_block(key, nonce, counter):
    k = struct.unpack('<8I', key)
    start = [0x61707865, *k[:4], 0x3320646e, *struct.unpack('<2I', nonce), counter & 0xffffffff, counter >> 32, 0x79622d32, *k[4:],
             0x6b206574]
    x = list(start)

    def quarter(a, b, c, d):
        for to, one, two, by in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            v = (x[one] + x[two]) & 0xffffffff
            x[to] ^= ((v << by) | (v >> (32 - by))) & 0xffffffff
    for _ in range(6):
        quarter(0, 4, 8, 12), quarter(5, 9, 13, 1), quarter(10, 14, 2, 6), quarter(15, 3, 7, 11)
        quarter(0, 1, 2, 3), quarter(5, 6, 7, 4), quarter(10, 11, 8, 9), quarter(15, 12, 13, 14)
    return struct.pack('<16I', *((a + b) & 0xffffffff for a, b in zip(x, start)))


def poly1305(key, data):
    r = int.from_bytes(key[:16], 'little') & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i:i + 16] + b'\x01', 'little')) * r % (2 ** 130 - 5)
    return ((total + int.from_bytes(key[16:32], 'little')) & ((1 << 128) - 1)).to_bytes(16, 'little')


def armor(secret, packet, cipher):
    """Ciphers 0 and 1 of a whole packet."""
    p = bytearray(packet)
    p[18] = (p[18] & 0x47) | (cipher << 3) | (0x80 if cipher == 1 else 0)
    key = bytearray(secret[:32])
    for i in range(18):
        key[i] ^= p[i]
    key[18] ^= p[18] & 0xf8
    key[19] ^= len(p) & 0xff
    key[20] ^= len(p) >> 8
    key, nonce = bytes(key), bytes(p[:8])
    if cipher == 1:
        stream = b''.join(salsa12_block(key, nonce, 1 + i) for i in range((len(p) - 27 + 63) // 64))
        p[27:] = bytes(a ^ b for a, b in zip(p[27:], stream))
    p[19:27] = poly1305(salsa12_block(key, nonce, 0)[:32], bytes(p[27:]))[:8]
    return bytes(p)


class Stranger:
    """A node that exists only here."""

    def __init__(self, s, name):
        home = os.path.join(s.world.work, name)
        os.makedirs(home)
        run(CLI, 'identity', 'generate', home + '/identity.secret', home + '/identity.public')
        address, _, public, private = open(home + '/identity.secret').read().strip().split(':')
        self.address = bytes.fromhex(address)
        self.public = bytes.fromhex(public)
        self.secret = hashlib.sha512(x25519(bytes.fromhex(private)[:32], s.key)).digest()[:48]
        self.next = random.Random(name + str(SEED)).getrandbits(63)

    def packet(self, s, verb, payload, cipher=1, destination=None):
        self.next += 8
        head = struct.pack('>Q', self.next) + (destination or s.self) + self.address + bytes(9) + bytes([verb])
        return armor(self.secret, head + payload, cipher)

    def hello(self, s):
        return self.packet(s, 1, self.hello_payload(), 0)

    def hello_payload(self):
        now = int(time.time() * 1000)
        return struct.pack('>BBBHQ', 12, 1, 14, 1, now) + self.address + b'\0' + self.public + b'\0' + b'\x00' + bytes(16)


class Scene:
    def __init__(self, world):
        print('seed %d' % SEED, flush=True)
        self.world = world
        self.random = random.Random(SEED)
        world.private_network(HOST + '/24')
        self.daemon, _ = root_and_controller(world, HOST)
        self.daemon.start()
        self.self = bytes.fromhex(self.daemon.address)
        text = open(self.daemon.file('identity.public')).read().strip()
        self.key = bytes.fromhex(text.split(':')[2])[:32]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 7777))
        self.sent = 0
        self.base = self.counters()
        self.daemon.post('/controller/network/%s000001' % self.daemon.address, {'name': 'here', 'private': True})
        # Everything is warm (tables touched, pools in use) before memory is measured.
        self.send([self.random.randbytes(60) for _ in range(2000)])
        self.resident = self.daemon.resident_kib()

    def counters(self):
        drops = self.daemon.get('/orrery/drops')
        found = {('worker', k): v for k, v in drops['worker'].items()}
        found.update({('control', k): v for k, v in drops['control'].items() if k not in TOTALS})
        # What no buffer can hold ends at the port.
        found[('port', 'rxDropped')] = sum(p['rxDropped'] for p in self.daemon.get('/orrery/ports'))
        return found

    def taken(self):
        return (self.daemon.workers()['datagramsIn']
                + sum(p['rxDropped'] for p in self.daemon.get('/orrery/ports')))

    def sweep(self):
        """Pieces of packets that wait for others are given up two seconds later, some with every turn of a worker that brought
        datagrams: brings such turns. Returns the number of datagrams, each counted as short."""
        time.sleep(2.2)
        for _ in range(120):
            self.send([b'sweep'])
        return 120

    def send(self, datagrams):
        """Sends in small bursts and waits until the daemon has taken each, so that no socket buffer overflows uncounted."""
        start = self.taken()
        for i in range(0, len(datagrams), 100):
            for datagram in datagrams[i:i + 100]:
                self.socket.sendto(datagram, (HOST, self.daemon.port))
            expected = start + min(i + 100, len(datagrams))
            wait_until(lambda: self.taken() >= expected, 5,
                       'the daemon takes %d datagrams' % (i + 100), 0.005)
        self.sent += len(datagrams)

    def account(self, datagrams, least=None, allow=(), waits=False):
        """Sends strangers' datagrams; every one of them must end in exactly one counter.

        `allow` are counters of work that the datagrams cause later (a wait that expires) and that count beside the first one.
        With `waits` some look like pieces of packets and are counted when these are given up.
        """
        before = self.counters()
        self.send(datagrams)
        if waits:
            before[('worker', 'short')] += self.sweep()
        time.sleep(0.2)

        def grown():
            now = self.counters()
            return {k: now[k] - before[k] for k in now if now[k] != before[k]}
        later = {('control', a) for a in allow} | {('worker', a) for a in allow}
        try:
            wait_until(lambda: sum(v for k, v in grown().items() if k not in later) == len(datagrams), 5, 'accounting')
        except Failure:
            g = grown()
            raise Failure('%d datagrams, %d counted: %s' % (len(datagrams), sum(v for k, v in g.items() if k not in later),
                                                            {'%s.%s' % k: v for k, v in g.items()}))
        g = grown()
        for name in least or ():
            check(any(k[1] == name for k in g), 'none was counted as "%s"' % name, {'%s.%s' % k: v for k, v in g.items()})
        self.alive()
        return ', '.join('%s.%s %d' % (k[0], k[1], v) for k, v in sorted(g.items()))

    def alive(self):
        check(self.daemon.running(), 'the daemon is up', self.daemon.log_tail())
        begin = time.monotonic()
        self.daemon.status()
        check(time.monotonic() - begin < 2, 'the API answers in time')


def head(s, source, verb, flags=0x88, destination=None, number=None, mac=None):
    number = s.random.randbytes(8) if number is None else number
    return number + (destination or s.self) + source + bytes([flags]) + (mac or s.random.randbytes(8)) + bytes([verb])


def strange(s):
    """An address that nobody has and that is not reserved."""
    return bytes([s.random.randrange(1, 0xff)]) + s.random.randbytes(4)


def beacons_and_runts(s):
    """datagrams of 0 to 27 bytes, beacon sizes among them"""
    sizes = list(range(1, 28)) * 30
    return s.account([s.random.randbytes(n) for n in sizes] + [b'\xff' * n for n in range(1, 28)] + [bytes(n) for n in range(1, 28)],
                     least=['short', 'beacon'], waits=True)


def unknown_senders(s):
    """every verb from senders that nobody knows, every cipher number, every length up to 200"""
    packets = []
    for verb in VERBS:
        for cipher in range(8):
            if verb == 1 and cipher == 0:
                continue  # HELLOs have their own case
            for length in (0, 1, 7, 40):
                packets.append(head(s, strange(s), verb, (cipher << 3) | (0x80 if cipher == 1 else 0)) + s.random.randbytes(length))
    packets += [head(s, strange(s), 6) + s.random.randbytes(n) for n in range(200)]
    return s.account(packets, least=['unknown_sender', 'cipher'], allow=WAITS)


def hellos(s):
    """HELLOs cut at every byte, with identities that do not fit and MACs that do not verify"""
    whole = Stranger(s, 'hello')
    packet = whole.hello(s)
    packets = [packet[:n] for n in range(28, len(packet))]
    for at in range(28, len(packet)):
        changed = bytearray(packet)
        changed[at] ^= 1 << s.random.randrange(8)
        packets.append(bytes(changed))
    for at in range(19, 27):
        changed = bytearray(packet)
        changed[at] ^= 0x40
        packets.append(bytes(changed))
    for version in (0, 1, 3, 255):
        packets.append(packet[:28] + bytes([version]) + packet[29:])
    reserved = bytearray(packet)
    reserved[13] = 0
    reserved[14:18] = bytes(4)
    packets.append(bytes(reserved))
    packets += [head(s, strange(s), 1, 0) + s.random.randbytes(n) for n in range(0, 300)]
    note = s.account(packets, allow=WAITS)
    check(s.daemon.peer(whole.address.hex()) is None, 'a forged HELLO makes no peer')
    return note


def fragments(s):
    """fragments with bad counts, of packets that never come whole, twice, too large"""
    def fragment(number, total, no, size=20, destination=None, hops=0):
        return number + (destination or s.self) + bytes([0xff, (total << 4) | no, hops]) + s.random.randbytes(size)
    packets = []
    for total in range(16):
        for no in range(16):
            packets.append(fragment(s.random.randbytes(8), total, no))
    for size in (0, 1, 1400, 1432, 8000, 10008):
        packets.append(fragment(s.random.randbytes(8), 3, 1, size))
    for _ in range(100):  # the same piece twice; two totals of one packet
        number = s.random.randbytes(8)
        packets += [fragment(number, 4, 1), fragment(number, 4, 1), fragment(number, 5, 2), fragment(number, 4, 9)]
    for _ in range(60):  # heads without fragments, fragments without heads
        packets.append(head(s, strange(s), 6, 0xc8) + s.random.randbytes(100))
        packets.append(fragment(s.random.randbytes(8), 2, 1, 900))
    for _ in range(40):  # more fragments than any table holds, of one packet larger than any packet
        number = s.random.randbytes(8)
        packets += [head(s, strange(s), 6, 0xc8, number=number) + s.random.randbytes(1400)]
        packets += [fragment(number, 15, no, 1400) for no in range(1, 15)]
    for _ in range(60):  # whole, but from somebody unknown
        number = s.random.randbytes(8)
        packets += [head(s, strange(s), 6, 0xc8, number=number) + s.random.randbytes(1300), fragment(number, 2, 1, 500)]
    # A packet that came whole counts once for all its pieces.
    before = s.counters()
    merged = s.daemon.workers()['merged']
    s.send(packets)
    before[('worker', 'short')] += s.sweep()

    def counted():
        now = s.counters()
        joined = s.daemon.workers()['merged'] - merged
        return joined + sum(now[k] - before[k] for k in now if k[1] not in WAITS)
    equal(counted(), len(packets), 'fragments counted')
    s.alive()


def not_for_us(s):
    """packets and fragments for others, for reserved addresses, with every hop count"""
    packets = []
    for hops in range(8):
        for _ in range(20):
            packets.append(head(s, strange(s), 6, 0x88 | hops, strange(s)) + s.random.randbytes(50))
            packets.append(s.random.randbytes(8) + strange(s) + bytes([0xff, 0x21, hops]) + s.random.randbytes(50))
    for reserved in (bytes(5), b'\xff' * 5, b'\xff' + s.random.randbytes(4)):
        packets += [head(s, strange(s), 6, 0x88, reserved) + bytes(30), head(s, s.self, 6) + bytes(30)]
        if reserved[0] != 0xff:
            packets.append(head(s, reserved, 6) + bytes(30))
    return s.account(packets, least=['no_route', 'address'], allow=WAITS)


def garbage(s):
    """4,000 random datagrams of every size, 2,000 that begin like packets for us, 16,384-byte ones among them"""
    packets = [s.random.randbytes(min(s.random.randrange(1, 16000), 1 + int(s.random.expovariate(1 / 300)))) for _ in range(4000)]
    # What looks like a fragment waits; each of them is counted in the end.
    for _ in range(2000):
        source = strange(s)
        packets.append(head(s, source, s.random.randrange(256), s.random.randrange(256) & ~0x40)
                       + s.random.randbytes(int(s.random.expovariate(1 / 200))))
    packets += [head(s, strange(s), 6) + bytes(n) for n in (9996, 9997, 10024, 12000, 16356)]
    return s.account(packets, allow=WAITS, waits=True)


def wrong_macs_of_known(s):
    """packets in the name of a known node with wrong MACs: each is counted as such"""
    s.known = Stranger(s, 'known')
    s.socket.sendto(s.known.hello(s), (HOST, s.daemon.port))
    s.sent += 1
    wait_until(lambda: s.daemon.peer(s.known.address.hex()) is not None, 10, 'a valid HELLO makes a peer')
    time.sleep(1)  # the identity's proof of work
    packets = []
    for verb in VERBS:
        for cipher in (0, 1, 3):
            if verb == 1 and cipher == 0:
                continue
            for length in (0, 3, 16, 100, 1400):
                packets.append(head(s, s.known.address, verb, (cipher << 3) | (0x80 if cipher == 1 else 0)) + s.random.randbytes(length))
    for length in range(0, 300):  # a true packet, one bit off
        wrong = bytearray(s.known.packet(s, 8, s.random.randbytes(length)))
        bit = s.random.randrange(27 * 8 if length == 0 else len(wrong) * 8)
        while bit // 8 == 18 or 8 <= bit // 8 < 18:  # flags and addresses make it another kind of packet
            bit = s.random.randrange(len(wrong) * 8)
        wrong[bit // 8] ^= 1 << (bit % 8)
        packets.append(bytes(wrong))
    return s.account(packets, least=['mac', 'cipher'], allow=WAITS)


def true_macs(s):
    """every verb with a valid MAC: random payloads, every truncation, both ciphers"""
    packets = []
    identity = s.known.address + b'\0' + s.known.public + b'\0'
    network = bytes.fromhex(s.daemon.address + '000001')
    bodies = {
        1: s.known.hello_payload(),
        2: bytes([1]) + bytes(8) + bytes([1]) + struct.pack('>q', 2),                       # ERROR
        3: bytes([1]) + bytes(8) + bytes(8) + bytes([12, 1, 14, 0, 1]),                      # OK
        4: s.known.address * 3,                                                             # WHOIS
        5: b'\0' + s.known.address + struct.pack('>HB', 9993, 4) + bytes([10, 9, 0, 77]),    # RENDEZVOUS
        6: network + b'\x08\x00' + bytes(40),                                               # FRAME
        7: network + b'\x01' + bytes(12) + b'\x08\x00' + bytes(40),                          # EXT_FRAME with a certificate
        8: bytes(30),                                                                       # ECHO
        9: (network + bytes(6) + bytes(4)) * 3,                                             # MULTICAST_LIKE
        10: b'\x01' + bytes(20) + bytes(16),                                                # NETWORK_CREDENTIALS
        11: network + struct.pack('>H', 8) + b'v=6\npv=1' + bytes(16),                       # NETWORK_CONFIG_REQUEST
        12: network + struct.pack('>H', 4) + b'a=b\n' + b'\0' + bytes(8) + bytes(8) + b'\x01' + struct.pack('>H', 96) + bytes(96),
        13: network + b'\0' + bytes(6) + bytes(4) + struct.pack('>I', 10),                   # MULTICAST_GATHER
        14: network + b'\x07' + bytes(6) + bytes(40),                                       # MULTICAST_FRAME
        16: struct.pack('>H', 2) + (b'\0' + struct.pack('>HBB', 0, 4, 6) + bytes([10, 9, 0, 88]) + struct.pack('>H', 1)) * 2,
    }
    for verb in VERBS:
        body = bodies.get(verb, identity)
        for n in range(len(body) + 1):
            packets.append(s.known.packet(s, verb, body[:n]))
        for _ in range(20):
            packets.append(s.known.packet(s, verb, s.random.randbytes(s.random.randrange(1, 120))))
        for _ in range(6):  # said to be compressed
            packets.append(s.known.packet(s, verb | 0x80, s.random.randbytes(s.random.randrange(0, 80))))
        for flags in (0x20, 0x40, 0x60):  # bits that mean nothing
            packets.append(s.known.packet(s, verb | flags, body))
        for _ in range(4):
            packets.append(s.known.packet(s, verb, s.random.randbytes(s.random.randrange(1, 60)), 0))
    for n in (1000, 1372, 5000, 9000, 9996):
        packets.append(s.known.packet(s, 16, s.random.randbytes(n)))
    s.random.shuffle(packets)
    before = s.counters()
    s.send(packets)
    time.sleep(1)
    s.alive()
    now = s.counters()
    g = {k: now[k] - before[k] for k in now if now[k] != before[k]}
    refused = sum(g.get((plane, name), 0) for plane in ('control', 'worker')
                  for name in ('malformed', 'hello_malformed', 'cipher', 'unsolicited', 'push_refused', 'rendezvous', 'not_handled'))
    check(refused > 400, 'what verbs refuse is counted', g)
    check(g.get(('control', 'mac'), 0) + g.get(('worker', 'mac'), 0) == 0, 'these MACs are right', g)
    return '%d packets, %s' % (len(packets), ', '.join('%s.%s %d' % (k[0], k[1], v) for k, v in sorted(g.items())))


def replays(s):
    """the same packets again: each is counted as a replay, or answered as the protocol allows"""
    packets = [s.known.packet(s, verb, s.random.randbytes(20)) for verb in VERBS if verb not in (1, 2, 3, 8) for _ in range(10)]
    s.send(packets)
    time.sleep(0.3)
    before = s.counters()
    s.send(packets)
    time.sleep(0.5)
    now = s.counters()
    again = sum(now.get(k, 0) - before.get(k, 0) for k in (('control', 'replay'), ('worker', 'replay')))
    check(again == len(packets), 'replays counted', '%d of %d' % (again, len(packets)))


def afterwards(s):
    """10,000 datagrams and more: the daemon serves, has not grown, and its log is short"""
    # Reassembly and waiting rooms empty themselves.
    time.sleep(3)
    check(s.sent >= 10000, 'datagrams sent', s.sent)
    # Packet buffers that nobody had used before count once; what is sent again must find everything there.
    grown = s.daemon.resident_kib() - s.resident
    check(grown < 10 * 1024, 'resident memory grew by %d KiB' % grown)
    before = s.daemon.resident_kib()
    garbage(s)
    again = s.daemon.resident_kib() - before
    check(again < 1024, 'resident memory grew by %d KiB when the garbage came again' % again)
    lines = s.daemon.log().splitlines()
    check(len(lines) < 100, 'lines in the log', len(lines))
    equal(complaints(s.daemon.log(), allowed=[r'alarm']), [], 'complaints')
    fresh = Stranger(s, 'fresh')
    s.socket.settimeout(0.2)
    for _ in range(50):
        s.socket.sendto(fresh.hello(s), (HOST, s.daemon.port))
        try:
            if s.socket.recv(2048)[8:13] == fresh.address:
                break
        except TimeoutError:
            pass
    else:
        raise Failure('an honest stranger is not answered')
    inside, outside, counters, drops = ledger(s.daemon)
    equal(outside, inside, 'the ledger (%s, drops %s)' % (counters, drops))
    equal(s.daemon.stop()[0], 0, 'exit code')
    return '%d datagrams, %+d KiB, then %+d KiB, %d lines' % (s.sent, grown, again, len(lines))


if __name__ == '__main__':
    main('malformed', [beacons_and_runts, unknown_senders, hellos, fragments, not_for_us, garbage, wrong_macs_of_known, true_macs,
                       replays, afterwards], setup=Scene)
