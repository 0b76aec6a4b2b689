#!/usr/bin/env python3
"""A host whose UDP is dropped reaches others through a TCP relay, and goes back to UDP when that works again.

  root 5.5.5.1 (root and controller), relay 5.5.5.9 (a node that offers the relay), two 5.5.5.3; one 5.5.5.2 has no UDP

All on one switch. With ORRERY_STOCK a zerotier-one takes the place of one, too.
"""
import time

from harness import STOCK, Stock, check, check_ledger, complaints, equal, main, member, root_and_controller, run, wait_until

RELAY = '5.5.5.9/443'


class Scene:
    def __init__(self, world):
        self.world = world
        switch = world.switch('switch')
        self.spaces = {}
        for name, host in (('root', 1), ('one', 2), ('two', 3), ('stock', 4), ('relay', 9)):
            self.spaces[name] = world.space(name)
            world.plug(self.spaces[name], 'wan0', switch, '5.5.5.%d/24' % host)
        self.root, self.planet = root_and_controller(world, '5.5.5.1', space=self.spaces['root'])
        self.root.start()
        self.relay = world.daemon('relay', space=self.spaces['relay'], planet=self.planet,
                                  config='[tcp_relay]\nlisten = ["0.0.0.0/443"]\n')
        self.relay.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'tcp', 'private': True, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        self.two = member(world, self.root, self.network, 'two', self.spaces['two'], self.planet)
        self.one = None

    def block(self, space):
        """Nothing of ZeroTier passes by UDP."""
        run('ip', 'netns', 'exec', self.spaces[space], 'nft', '''
            table inet cut {
              chain in { type filter hook input priority 0; iifname "wan0" meta l4proto udp drop; }
              chain out { type filter hook output priority 0; oifname "wan0" meta l4proto udp drop; }
            }''')

    def heal(self, space):
        run('ip', 'netns', 'exec', self.spaces[space], 'nft', 'delete table inet cut')

    def ping(self, space, target, seconds=20):
        wait_until(lambda: run('ip', 'netns', 'exec', self.spaces[space], 'ping', '-c', '1', '-W', '1', target,
                               check_code=False).returncode == 0, seconds, 'a ping from %s to %s' % (space, target))

    def counts(self):
        return self.relay.get('/orrery/drops')['tcp_relay']


def forced(s):
    """a node that is told to use the relay alone binds no UDP, is online, and reaches a member both ways"""
    s.block('one')
    s.one = s.world.daemon('one', space=s.spaces['one'], planet=s.planet, config='[tcp_fallback]\nrelay = "%s"\nforce = true\n' % RELAY)
    s.one.start()
    begin = time.monotonic()
    wait_until(s.one.online, 30, 'one is online')
    took = time.monotonic() - begin
    status = s.one.status()
    check(status['tcpFallbackActive'] and status['config']['settings']['forceTcpRelay'], 'the status says so', status)
    equal(status['config']['settings']['listeningOn'], [], 'addresses bound')
    check('TUNNELED' in s.one.cli('info').stdout, 'info', s.one.cli('info').stdout)
    check('a TCP relay carries the traffic' in s.one.cli('peers').stdout, 'the note of peers', s.one.cli('peers').stdout)
    s.one.join(s.network)
    s.root.admit(s.network, s.one)
    wait_until(lambda: s.one.has_configuration(s.network), 30, 'one has its configuration')
    s.ping('one', s.two.ip(s.network))
    s.ping('two', s.one.ip(s.network))
    run('ip', 'netns', 'exec', s.spaces['one'], 'ping', '-c', '20', '-i', '0.05', '-s', '2600', '-W', '2', s.two.ip(s.network))
    peers = s.one.get('/peer')
    check(all(p['tunneled'] for p in peers), 'peers are tunneled', peers)
    wait_until(lambda: s.one.direct_path(s.two) == '5.5.5.3/9993', 30, 'the other member is reached by the relay, not by the root')
    check(any(p['name'] == 'tcp relay' and p['txPackets'] > 0 for p in s.one.get('/orrery/ports')), 'counters of the port')
    counts = s.counts()
    equal(counts['connections'], 1, 'connections')
    check(counts['from_nodes'] > 20 and counts['to_nodes'] > 20, 'what it carried', counts)
    code, _ = s.one.stop()
    equal(code, 0, 'exit code')
    wait_until(lambda: s.counts()['connections'] == 0, 10, 'the connection is gone')
    s.heal('one')
    return 'online after %.1f s' % took


def fallback(s):
    """a node that loses UDP takes the relay after a minute, and goes back when UDP works again"""
    with open(s.one.file('orrery.toml'), 'w') as f:
        f.write('[tcp_fallback]\nrelay = "%s"\n' % RELAY)
    s.one.start()
    wait_until(s.one.online, 30, 'one is online')
    s.ping('one', s.two.ip(s.network), 30)
    check(not s.one.status()['tcpFallbackActive'], 'UDP works')
    s.block('one')
    begin = time.monotonic()
    wait_until(lambda: s.one.status()['tcpFallbackActive'], 90, 'the relay is taken', 0.5)
    taken = time.monotonic() - begin
    s.ping('one', s.two.ip(s.network), 30)
    reached = time.monotonic() - begin
    check(taken > 45, 'not before UDP had its chance', taken)
    s.heal('one')
    begin = time.monotonic()
    flow = s.world.spawn(['ip', 'netns', 'exec', s.spaces['one'], 'ping', '-q', '-i', '0.2', s.two.ip(s.network)])
    wait_until(lambda: not s.one.status()['tcpFallbackActive'], 60, 'UDP again', 0.5)
    back = time.monotonic() - begin
    s.ping('one', s.two.ip(s.network), 20)

    def by_udp():
        paths = [p for p in s.one.peer(s.two)['paths'] if p['preferred']]
        return paths and not paths[0]['tunneled'] and paths[0]['address'] == '5.5.5.3/9993'
    wait_until(by_udp, 40, 'directly, by UDP')
    flow.terminate()
    flow.wait(10)
    wait_until(lambda: s.counts()['connections'] == 0, 20, 'the connection is gone')
    return 'taken after %.0f s, pings after %.0f s, UDP again %.0f s after it could' % (taken, reached, back)


def refuses(s):
    """the relay is of no use for anything else: what is private, its own host, what is no packet, who does not begin as a node"""
    script = '''
import socket, struct, sys
def record(b): return b'\\x17\\x03\\x03' + struct.pack('>H', len(b)) + b
def to(ip, port, data): return record(b'\\x04' + socket.inet_aton(ip) + struct.pack('>H', port) + data)
s = socket.create_connection(('5.5.5.9', 443))
s.sendall(record(b'\\x01\\x0e\\x00\\x01'))
for ip, port in (('10.8.0.1', 9993), ('127.0.0.1', 53), ('192.168.0.1', 80), ('169.254.169.254', 80), ('224.0.0.1', 5353), ('5.5.5.9', 53)):
    s.sendall(to(ip, port, b'x' * 40))
s.sendall(to('5.5.5.3', 9993, b'x' * 4))
s.sendall(to('5.5.5.3', 9993, b'x' * 40))
b = socket.create_connection(('5.5.5.9', 443))
b.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
sys.exit(0 if b.recv(10) == b'' else 1)
'''
    before = s.counts()
    run('ip', 'netns', 'exec', s.spaces['stock'], 'python3', '-c', script)
    wait_until(lambda: s.counts()['from_nodes'] == before['from_nodes'] + 1, 5, 'the sound one')
    grown = {k: v - before[k] for k, v in s.counts().items() if v != before[k] and k not in ('connections', 'from_nodes_bytes')}
    equal(grown, {'accepted': 2, 'from_nodes': 1, 'destination_refused': 6, 'not_zerotier': 1, 'malformed': 1}, 'counters')
    text = s.relay.cli('drops').stdout
    check('destination_refused' in text, 'orrery drops', text)


def stock(s):
    """zerotier-one without UDP is served by the relay: online, and a member reaches it"""
    s.block('stock')
    node = Stock(s.world, STOCK, 'stock', s.spaces['stock'], s.planet,
                 local_conf={'settings': {'forceTcpRelay': True, 'allowTcpFallbackRelay': True, 'tcpFallbackRelay': RELAY, 'portMappingEnabled': False}})
    begin = time.monotonic()
    wait_until(lambda: node.get('/status')['tcpFallbackActive'], 120, 'stock uses the relay', 1)
    wait_until(node.online, 60, 'stock is online', 0.5)
    took = time.monotonic() - begin
    node.join(s.network)
    s.root.admit(s.network, node)
    wait_until(lambda: (node.network(s.network) or {}).get('status') == 'OK', 60, 'stock has its configuration', 0.5)
    s.ping('two', node.ip(s.network), 40)
    s.ping('stock', s.two.ip(s.network), 40)
    return 'online after %.1f s' % took


def quiet(s):
    """ledgers add up, nobody complains"""
    daemons = [s.root, s.relay, s.two] + ([s.one] if s.one is not None and s.one.running() else [])
    for daemon in daemons:
        check_ledger(daemon)
        found = complaints(daemon.log())
        check(not found, daemon.name + ' complains', found)


if __name__ == '__main__':
    main('tcp_relay', [forced, fallback, refuses, *([stock] if STOCK else []), quiet], needs=('nft', 'ping', 'python3', 'curl'), setup=Scene)
