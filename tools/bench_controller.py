#!/usr/bin/env python3
"""Calls of the stock paths by HTTP, at a controller of ours and at a zerotier-one: tools/bench controller --peer PATH.

    bench_controller.py BUILD PEER [MEMBERS...]     100 and 10000 members

Both in a network namespace of their own, each asked over a connection a call, as both serve it; members are made by calls. A row a
line, as JSON: medians in ms of ours, with the peer's as the baseline. The peer answers before its record is on the disk, ours then.
"""
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'tests', 'e2e'))
import harness  # noqa: E402


class Controller:
    def __init__(self, world, name, command, port, home):
        self.port, self.home = port, home
        log = open(os.path.join(world.work, name + '.log'), 'wb')
        self.process = world.spawn(command, stdout=log, stderr=log)
        harness.wait_until(lambda: self.call('GET', '/status')['address'], 30, name + ' answers its API')
        self.network = '/controller/network/%s000001' % self.call('GET', '/status')['address']
        self.made = 0

    def call(self, method, path, body=None):
        with open(os.path.join(self.home, 'authtoken.secret')) as f:
            token = f.read().strip()
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body), {'X-ZT1-Auth': token})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit('bench_controller: %s %s: %d' % (method, path, answer.status))
        return json.loads(text)

    def member(self, number):
        return '%s/member/%010x' % (self.network, 0x1000000001 + number)

    def grow(self, members):
        begin = time.monotonic()
        count = members - self.made
        while self.made < members:
            self.call('POST', self.member(self.made), {'authorized': True})
            self.made += 1
        return (time.monotonic() - begin) * 1000 / count

    def median(self, times, call):
        took = []
        for i in range(times):
            begin = time.monotonic()
            call(i)
            took.append((time.monotonic() - begin) * 1000)
        return statistics.median(took)

    def rows(self, members):
        some = lambda i: i * 7919 % members  # noqa: E731
        yield 'authorise a new member', self.grow(members)
        yield 'read a member', self.median(100, lambda i: self.call('GET', self.member(some(i))))
        yield 'name a member', self.median(100, lambda i: self.call('POST', self.member(some(i)), {'name': 'n%d' % i}))
        yield 'name the network', self.median(30, lambda i: self.call('POST', self.network, {'name': 'n%d' % i}))
        yield 'list member ids', self.median(5, lambda _: self.call('GET', self.network + '/member'))


def main():
    build, peer = sys.argv[1:3]
    sizes = [int(n) for n in sys.argv[3:]] or [100, 10_000]
    world = harness.World('bench-controller')
    world.private_network()
    both = []
    for name, port in (('ours', 9993), ('peer', 9994)):
        home = os.path.join(world.work, name)
        os.makedirs(home)
        subprocess.run([os.path.join(build, 'orrery'), 'identity', 'generate', home + '/identity.secret', home + '/identity.public'], check=True,
                       stdout=subprocess.DEVNULL)
        if name == 'ours':
            with open(home + '/orrery.toml', 'w') as f:
                f.write('[controller]\nenabled = true\n')
            command = [os.path.join(build, 'orreryd'), '--home', home, '--port', str(port)]
        else:
            command = [peer, '-U', '-p%d' % port, home]
        both.append(Controller(world, name, command, port, home))
        both[-1].call('POST', both[-1].network, {'name': 'bench', 'private': True})
    for members in sizes:
        for (name, ours), (_, theirs) in zip(*(list(c.rows(members)) for c in both)):
            print(json.dumps({'name': 'HTTP: ' + name, 'params': {'members': members}, 'value': ours, 'unit': 'ms', 'baseline': theirs}), flush=True)
    world.clean()


if __name__ == '__main__':
    main()
