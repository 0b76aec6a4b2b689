#!/usr/bin/env python3
"""Paths that die and heal under traffic: two members and a root on one switch; what the two send each other directly is cut.

  one 10.9.0.2, two 10.9.0.3, root 10.9.0.1
"""
import json
import time

from harness import check, check_ledger, complaints, equal, main, run, two_members, wait_until


class Scene:
    def __init__(self, world):
        self.world = world
        self.root, self.network, self.one, self.two = two_members(world, name='paths')
        run('ip', 'netns', 'exec', self.two.space, 'nft', 'add table inet cut; add chain inet cut c '
            '{ type filter hook input priority 0; }')
        self.ping(10)
        wait_until(lambda: self.routes() == ('direct', 'direct'), 20, 'direct paths')

    def ping(self, seconds):
        wait_until(lambda: run('ip', 'netns', 'exec', self.one.space, 'ping', '-c', '1', '-W', '1', self.two.ip(self.network),
                               check_code=False).returncode == 0, seconds, 'a ping')

    def route(self, a, b):
        return a.get('/orrery/why/' + b.address)

    def routes(self):
        """Of one to two, and back."""
        return self.route(self.one, self.two)['route'], self.route(self.two, self.one)['route']

    def cut(self):
        run('ip', 'netns', 'exec', self.two.space, 'nft', 'add rule inet cut c ip saddr 10.9.0.2 udp dport 9993 drop')

    def heal(self):
        run('ip', 'netns', 'exec', self.two.space, 'nft', 'flush chain inet cut c')


def relayed_and_back(s):
    """a path that dies one way under traffic is left by both ends, the root relays, and it is taken again when it heals"""
    flow = s.world.spawn(['ip', 'netns', 'exec', s.one.space, 'ping', '-q', '-i', '0.05', s.two.ip(s.network)])
    s.cut()
    wait_until(lambda: s.routes() == ('relayed', 'relayed'), 30, 'the root relays')
    s.ping(10)
    why = s.route(s.one, s.two)
    equal(why['relay'], s.root.address, 'the relay')
    equal([p['state'] for p in why['paths']], ['failed'], 'states of paths')
    s.heal()
    wait_until(lambda: s.routes() == ('direct', 'direct'), 30, 'direct paths again')
    s.ping(10)
    flow.terminate()
    flow.wait(10)
    control = s.one.get('/orrery/drops')['control']
    check(control['path_failed'] >= 1 and control['path_back'] >= 1 and control['path_probes'] > 0, 'counters', control)


def looking(s):
    """orrery why and orrery ping tell the way that packets take"""
    text = s.one.cli('why', s.two.address).stdout
    check(text.startswith('%s: packets go directly\n' % s.two.address) and '* 10.9.0.3/9993 works' in text, 'why', text)
    answer = json.loads(s.one.cli('-j', 'ping', s.two.address, '-c', '3', '-i', '300').stdout)
    answered = [a for a in answer if a is not None]  # one may fall together with a probe of the path
    check(len(answer) == 3 and len(answered) >= 2 and all(a['latency'] >= 0 and not a['relayed'] for a in answered), 'ping', answer)
    nobody = s.one.cli('ping', '1122334455', '-c', '1', check_code=False)
    equal(nobody.returncode, 1, 'exit code of a ping to nobody')


def quiet(s):
    """when frames have stopped nothing is asked any more, ledgers add up, nobody complains"""
    wait_until(lambda: not s.route(s.one, s.two)['inUse'] and not s.route(s.two, s.one)['inUse'], 30, 'nothing is in use')
    probes = s.one.get('/orrery/drops')['control']['path_probes']
    time.sleep(3)
    equal(s.one.get('/orrery/drops')['control']['path_probes'], probes, 'probes')
    for daemon in (s.root, s.one, s.two):
        check_ledger(daemon)
        found = complaints(daemon.log())
        check(not found, daemon.name + ' complains', found)


if __name__ == '__main__':
    main('paths', (relayed_and_back, looking, quiet), needs=('nft', 'ping'), setup=Scene)
