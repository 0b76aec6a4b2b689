#!/usr/bin/env python3
"""Two daemons with two workers each, pinned to two CPUs, with queues of TAP and sockets each, and one peer between them. A third has a
DPDK port of two queues for its underlay.

  wan (a switch)   root 10.9.0.1   one 10.9.0.2   two 10.9.0.3   three 10.9.0.4 (on the mirror of its port)
"""
import json
import os
import signal
import subprocess

from harness import check, check_ledger, complaints, equal, main, root_and_controller, run, skip, wait_until

ADDRESSES = {'root': '10.9.0.1', 'one': '10.9.0.2', 'two': '10.9.0.3'}


PORT = """
[underlay]
sockets = false
[[underlay.port]]
device = "net_af_packet0,iface=wan0,qpairs=2"
mirror = "orr-wan0"
addresses = ["10.9.0.4/24"]
"""

# A datagram from each of 64 source ports.
SENDERS = """
import socket, sys
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
for s in sockets:
    s.sendto(b'?' * 40, (sys.argv[1], int(sys.argv[2])))
"""


class Scene:
    def __init__(self, world):
        self.world = world
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            skip('two CPUs are needed')
        self.cpus = cpus[:2]
        wan = world.switch('wan')
        spaces = {name: world.space(name) for name in ADDRESSES}
        for name, address in ADDRESSES.items():
            world.plug(spaces[name], 'wan0', wan, address + '/24')
        self.root, planet = root_and_controller(world, ADDRESSES['root'], space=spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'e2e', 'private': True, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]})
        self.wan, self.planet = wan, planet
        self.one, self.two = self.members = [self.member(name, spaces[name]) for name in ('one', 'two')]

    def member(self, name, space, config=''):
        made = self.world.daemon(name, space=space, planet=self.planet, config='[workers]\nlcores = "%d,%d"\n' % tuple(self.cpus) + config)
        made.start()
        wait_until(made.online, 30, '%s is online' % name)
        made.join(self.network)
        self.root.admit(self.network, made)
        wait_until(lambda: made.has_configuration(self.network), 30, '%s has its configuration' % name)
        return made

    def inside(self, d, *command, **options):
        return run('ip', 'netns', 'exec', d.space, *command, **options)

    def iperf(self, a, b, *arguments):
        """What iperf3 tells of a stream from a to b."""
        server = self.world.spawn(['ip', 'netns', 'exec', b.space, 'iperf3', '-s', '-1', '-J'], stdout=subprocess.PIPE, text=True)
        listens = lambda: ':5201' in self.inside(b, 'ss', '-ltn').stdout
        wait_until(listens, 10, 'iperf3 listens')
        self.inside(a, 'iperf3', '-c', b.ip(self.network), '-t', '3', '-J', *arguments, seconds=60)
        return json.loads(server.communicate(timeout=30)[0])


def workers(s):
    """a row for each worker, pinned to its CPU"""
    for d in s.members:
        equal([row['worker'] for row in d.get('/orrery/workers')], [0, 1], 'workers of ' + d.name)
        equal([row['worker'] for row in json.loads(d.cli('-j', 'workers').stdout)], [0, 1], 'workers of %s, command line' % d.name)
        pinned = []
        for task in os.listdir('/proc/%d/task' % d.daemon_pid()):
            name = open('/proc/%d/task/%s/comm' % (d.daemon_pid(), task)).read().strip()
            if name.startswith(('lcore-worker', 'rte-worker')):
                pinned.append(sorted(os.sched_getaffinity(int(task))))
        equal(sorted(pinned), [[cpu] for cpu in s.cpus], 'CPUs of the workers of ' + d.name)


def pings(s):
    """ping both ways"""
    for a, b in ((s.one, s.two), (s.two, s.one)):
        to = b.ip(s.network)
        wait_until(lambda: s.inside(a, 'ping', '-c', '1', '-W', '1', to, check_code=False).returncode == 0, 30, 'ping from ' + a.name)
        s.inside(a, 'ping', '-c', '5', '-i', '0.2', '-W', '1', to)


def direct(s):
    """a direct path"""
    wait_until(lambda: s.one.direct_path(s.two) and s.two.direct_path(s.one), 60, 'a direct path')


def rows(d, count):
    return [row[count] for row in d.get('/orrery/workers')]


def shared(d, count, space, to, port):
    """Both workers get some of 64 flows out of a namespace."""
    before = rows(d, count)
    run('ip', 'netns', 'exec', space, 'python3', '-c', SENDERS, to, port)
    wait_until(lambda: all(n > b for n, b in zip(rows(d, count), before)), 10, '%s of both workers of %s' % (count, d.name))


def queues(s):
    """each worker gets its share of the host's flows and of the senders of datagrams"""
    shared(s.one, 'framesIn', s.one.space, s.two.ip(s.network), 7)
    shared(s.one, 'datagramsIn', s.root.space, ADDRESSES['one'], 9993)


def port(s):
    """each worker has a queue of a DPDK port and of its mirror; both send by their own"""
    space = s.world.space('three')
    s.world.plug(space, 'wan0', s.wan, None)
    three = s.member('three', space, PORT)
    equal([p['queues'] for p in three.get('/orrery/ports') if p['name'].startswith('net_af_packet')], [2], 'queues of the port')
    wait_until(lambda: s.inside(s.one, 'ping', '-c', '1', '-W', '1', three.ip(s.network), check_code=False).returncode == 0, 30, 'ping')
    shared(three, 'datagramsIn', s.root.space, '10.9.0.4', 9993)
    shared(three, 'framesIn', three.space, s.one.ip(s.network), 7)
    # The host itself, by the mirror: ARP and ICMP come in by whichever queue.
    s.inside(three, 'ping', '-c', '5', '-i', '0.2', '-W', '1', ADDRESSES['root'])
    for a, b in ((s.one, three), (three, s.one)):
        rate = s.iperf(a, b, '-P', '4')['end']['sum_received']['bits_per_second'] / 1e6
        check(rate > 20, 'Mbit/s from %s to %s' % (a.name, b.name), rate)
    check_ledger(three)
    equal(three.stop()[0], 0, 'exit code of three')
    equal(complaints(three.log())[:3], [], 'log of three')
    equal(s.inside(three, 'ip', 'link', 'show', 'orr-wan0', check_code=False).returncode != 0, True, 'the mirror is gone')


def reordered(d):
    """How often TCP of the host found that segments it sent had overtaken each other."""
    text = run('ip', 'netns', 'exec', d.space, 'cat', '/proc/net/netstat').stdout.splitlines()
    names, values = (line.split()[1:] for line in text if line.startswith('TcpExt:'))
    counts = dict(zip(names, map(int, values)))
    return counts['TCPTSReorder'] + counts['TCPSACKReorder']


def many(s):
    """eight TCP streams each way at once, none of them out of order; then four of UDP"""
    before = [reordered(d) for d in s.members]
    end = s.iperf(s.one, s.two, '-P', '8', '--bidir')['end']
    rate = (end['sum_received']['bits_per_second'] + end['sum_received_bidir_reverse']['bits_per_second']) / 1e6
    check(rate > 20, 'Mbit/s of all', rate)
    equal([reordered(d) for d in s.members], before, 'TCP segments that overtook others')
    streams = s.iperf(s.one, s.two, '-u', '-b', '50M', '-l', '1300', '-P', '4')['end']['streams']
    check(all(stream['udp']['packets'] > 1000 for stream in streams), 'datagrams of every stream arrived', streams)
    equal([stream['udp']['out_of_order'] for stream in streams], [0] * 4, 'datagrams out of order')
    return '%.0f Mbit/s' % rate


def tcp(s):
    """one TCP stream each way; the workers of a busy end help each other"""
    notes = []
    for a, b in ((s.one, s.two), (s.two, s.one)):
        rate = s.iperf(a, b)['end']['sum_received']['bits_per_second'] / 1e6
        check(rate > 20, 'Mbit/s from %s to %s' % (a.name, b.name), rate)
        notes.append('%.0f' % rate)
    for d in s.members:
        check(d.workers()['lent'] > 0, 'a worker of %s has helped the other' % d.name)
    return '%s Mbit/s' % ', '.join(notes)


def order(s):
    """a UDP stream arrives in order"""
    end = s.iperf(s.one, s.two, '-u', '-b', '400M', '-l', '1300')['end']
    udp = end['streams'][0]['udp']
    check(udp['packets'] > 1000, 'datagrams arrived', udp)
    equal(udp['out_of_order'], 0, 'datagrams out of order')
    return '%d datagrams' % udp['packets']


def networks(s):
    """a network more and one less while traffic flows: ports change while units are out"""
    busy = s.world.spawn(['ip', 'netns', 'exec', s.one.space, 'ping', '-f', '-q', '-c', '20000', '-s', '1200', s.two.ip(s.network)],
                         stdout=subprocess.PIPE, text=True)
    other = s.root.address + '000002'
    s.root.post('/controller/network/' + other, {'name': 'other', 'private': False})
    for _ in range(3):
        for d in s.members:
            d.join(other)
            wait_until(lambda: d.has_configuration(other), 30, 'the other network')
            d.cli('leave', other)
    busy.send_signal(signal.SIGINT)
    text = busy.communicate(timeout=30)[0]
    check(' 0% packet loss' in text or ' 0.' in text.split('packet loss')[0].rsplit(',', 1)[-1], 'a flood of pings is answered', text)


def ledgers(s):
    """the ledger of all workers adds up; what is lent is borrowed"""
    for d in s.members:
        check_ledger(d)
        w = d.workers()
        equal((w['lent'], w['regained'], w['passed'], w['held']), (w['borrowed'], w['repaid'], w['taken'], 0),
              'lent, regained, passed and held of ' + d.name)


def quiet_end(s):
    """all end with exit code 0, and their logs tell of no failure"""
    for d in [s.root] + s.members:
        equal(d.stop()[0], 0, 'exit code of ' + d.name)
        equal(complaints(d.log())[:3], [], 'log of ' + d.name)


if __name__ == '__main__':
    main('team', [workers, pings, direct, queues, port, tcp, many, order, networks, ledgers, quiet_end], needs=('ping', 'iperf3', 'ss'), setup=Scene)
