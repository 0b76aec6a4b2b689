#!/usr/bin/env python3
"""Two controllers of one identity on PostgreSQL: one answers, the other takes over within five seconds.

Starts a server of its own, as the user postgres, from Debian's packages (tools/setup installs them)."""
import os
import shutil
import time

from harness import Failure, check, equal, main, root_and_controller, run, wait_until
from postgres_server import PostgresServer

STORE_TEST = os.environ.get('ORRERY_POSTGRES_TEST')


class Scene:
    def __init__(self, world):
        self.world = world
        self.server = PostgresServer(world, 'orrery', 'unit')
        lan = world.switch('lan')
        self.spaces = {}
        for number, name in enumerate(['root', 'one', 'two', 'node'], 1):
            self.spaces[name] = world.space(name)
            world.plug(self.spaces[name], 'wan0', lan, '10.7.0.%d/24' % number)
        self.root, self.planet = root_and_controller(world, '10.7.0.1', space=self.spaces['root'])
        self.root.start()
        config = '[controller]\nenabled = true\nstore = "%s"\n' % self.server.uri('orrery')
        self.one = world.daemon('one', space=self.spaces['one'], planet=self.planet, config=config)
        self.two = world.daemon('two', space=self.spaces['two'], planet=self.planet, config=config, identity=False)
        for name in ('identity.secret', 'identity.public'):
            shutil.copy(self.one.file(name), self.two.file(name))
        self.node = world.daemon('node', space=self.spaces['node'], planet=self.planet)
        self.node.start()
        wait_until(self.node.online, 30, 'node is online')

    def leader_and_other(self):
        return (self.one, self.two) if self.leads(self.one) else (self.two, self.one)

    def leads(self, d):
        try:
            return d.running() and d.api('GET', '/api/v1/status')[0] == 200
        except OSError:
            return False

    def stands_by(self, d):
        status, body = d.api('GET', '/health')
        return status == 200 and body.get('standby') is True


def store(s):
    """the store by itself: records, revisions, notifications, the lead, a connection that ends"""
    if not STORE_TEST:
        raise Failure('ORRERY_POSTGRES_TEST names no program')
    done = run(STORE_TEST, env=dict(os.environ, ORRERY_POSTGRES=s.server.uri('unit')), check_code=False, seconds=120)
    check(done.returncode == 0, 'postgres_store_test', done.stdout[-2000:] + done.stderr[-500:])


def one_answers(s):
    """the first one answers, the second one stands by and says so"""
    s.one.start()
    s.address = s.one.address
    s.network = s.address + '000001'
    s.two.launch()
    wait_until(lambda: s.stands_by(s.two), 20, 'two stands by')
    equal(s.two.api('GET', '/api/v1/status')[0], 503, 'two refuses calls')
    s.one.post('/controller/network/' + s.network, {
        'name': 'shared', 'private': True, 'v4AssignMode': {'zt': True}, 'routes': [{'target': '10.8.0.0/24'}],
        'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}]})
    wait_until(s.one.online, 30, 'one is online')
    s.node.join(s.network)
    s.one.admit(s.network, s.node)
    wait_until(lambda: s.node.has_configuration(s.network), 30, 'node has its configuration')
    s.ip = s.node.ip(s.network)


def other_takes_over(s):
    """kill -9 of the one that answers: the other one serves members within five seconds, with everything acknowledged"""
    old, new = s.leader_and_other()
    acknowledged = 0
    for i in range(200):
        old.post('/controller/network/%s/member/11223344%02x' % (s.network, i), {'name': 'm%d' % i})
        acknowledged += 1
    old.kill()
    begin = time.monotonic()
    wait_until(lambda: s.leads(new), 5, 'the other one answers its API', 0.05)
    members = new.get('/controller/network/%s/member' % s.network)
    equal(sum(1 for m in members if m.startswith('11223344')), acknowledged, 'acknowledged members')
    # A node that has never spoken to it: by the root.
    fresh = s.world.daemon('fresh%d' % len(s.world.daemons), space=s.spaces['node'], port=9994 + len(s.world.daemons), planet=s.planet)
    second = s.address + '%06x' % (2 + len(s.world.daemons))
    new.post('/controller/network/' + second, {'private': False})
    served = time.monotonic() - begin
    fresh.start()
    wait_until(fresh.online, 30, 'a fresh node is online')
    joined = time.monotonic()
    fresh.join(second)
    wait_until(lambda: fresh.has_configuration(second), 15, 'a fresh node gets its configuration')
    took = time.monotonic() - joined
    fresh.stop()
    equal(new.get('/controller/network/%s/member/%s' % (s.network, s.node.address))['ipAssignments'], [s.ip], 'address of the node')
    return 'API after %.1f s, a fresh member configured %.1f s after it asked' % (served, took)


def back_again(s):
    """the killed one comes back, stands by, and takes over when the other one ends cleanly"""
    leader = s.one if s.leads(s.one) else s.two
    other = s.two if leader is s.one else s.one
    other.launch()
    wait_until(lambda: s.stands_by(other), 20, 'it stands by')
    leader.post('/controller/network/' + s.network, {'name': 'renamed'})
    code, _ = leader.stop()
    equal(code, 0, 'exit code')
    wait_until(lambda: s.leads(other), 5, 'it answers', 0.05)
    equal(other.get('/controller/network/' + s.network)['name'], 'renamed', 'what was written while it stood by')


def server_goes(s):
    """the server ends: nobody answers; it comes back: one does, with everything"""
    leader, other = s.leader_and_other()
    if not other.running():
        other.launch()
        wait_until(lambda: s.stands_by(other), 20, 'it stands by')
    s.server.stop()
    wait_until(lambda: not s.leads(leader) and not s.leads(other), 10, 'nobody answers')
    s.server.start()
    wait_until(lambda: s.leads(leader) or s.leads(other), 20, 'one answers again')
    check(s.leads(leader) != s.leads(other), 'only one')
    leader, other = s.leader_and_other()
    equal(leader.get('/controller/network/' + s.network)['name'], 'renamed', 'the network is there')
    for d in (leader, other):
        code, _ = d.stop()
        equal(code, 0, 'exit code of %s' % d.name)


if __name__ == '__main__':
    main('postgres', [store, one_answers, other_takes_over, back_again, server_goes], needs=('setpriv',), setup=Scene)
