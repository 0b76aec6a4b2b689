#!/usr/bin/env python3
"""A root, a moon and two leaves, as daemons: what is known survives a restart without a second proof, moons come from files and seeds,
pins travel, alarms and the log of keys tell.

  wan (a switch)   root 10.9.0.1   moon 10.9.0.2   one 10.9.0.3   two 10.9.0.4
"""
import json
import os
import shutil
import sqlite3

from harness import CLI, check, complaints, equal, main, run, wait_until

ROOT, MOON, ONE, TWO = '10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4'


class Scene:
    def __init__(self, world):
        self.world = world
        wan = world.switch('wan')
        self.spaces = {}
        for name, address in (('root', ROOT), ('moon', MOON), ('one', ONE), ('two', TWO)):
            self.spaces[name] = world.space(name)
            world.plug(self.spaces[name], 'wan0', wan, address + '/24')
        self.root = world.daemon('root', space=self.spaces['root'])
        self.planet = world.planet(self.root.home, ROOT + '/9993')
        shutil.copy(self.planet, self.root.file('planet'))
        self.root.start()
        self.moon = self.node('moon')
        self.one = self.node('one')
        self.two = self.node('two')
        self.everybody = [self.root, self.moon, self.one, self.two]
        for d in self.everybody:
            wait_until(d.online, 20, '%s is online' % d.name)
        self.make_moon()

    def node(self, name):
        made = self.world.daemon(name, space=self.spaces[name], planet=self.planet)
        made.start()
        return made

    def make_moon(self):
        text = run(CLI, 'moon', 'init', self.moon.file('identity.public')).stdout
        moon = json.loads(text)
        moon['roots'][0]['stableEndpoints'] = [MOON + '/9993']
        self.moon_id = moon['id'].rjust(16, '0')
        path = os.path.join(self.world.work, 'moon.json')
        with open(path, 'w') as f:
            json.dump(moon, f)
        run(CLI, 'moon', 'create', path, cwd=self.world.work)
        self.moon_file = os.path.join(self.world.work, self.moon_id + '.moon')

    def counts(self, d):
        return d.get('/orrery/drops')['control']

    def moon_state(self, d):
        return {m['id']: m['waiting'] for m in d.get('/moon')}


def restart(s):
    """A root that starts again knows whom it knew, and proves nobody a second time."""
    # What is known is kept once a second, records of peers with the housekeeping or at the end.
    equal(s.root.stop()[0], 0, 'the root ends')
    store = sqlite3.connect(s.root.file('peers.sqlite'))
    kept = {'%010x' % a for a, in store.execute('SELECT address FROM peer')}
    pinned = {'%010x' % a for a, in store.execute('SELECT address FROM pin')}
    store.close()
    leaves = {s.moon.address, s.one.address, s.two.address}
    check(leaves <= kept, 'peers in the store', kept)
    check(leaves <= pinned, 'pins in the store', pinned)
    check(not os.path.exists(s.root.file('peers.d/%s.peer' % s.one.address)), 'no files beside the store')
    s.root.start()
    for d in (s.moon, s.one, s.two):
        d.post('/orrery/roots/check', {})
        wait_until(lambda: s.root.peer(d) and s.root.direct_path(d), 20, 'the root has a path to %s' % d.name)
    equal(s.counts(s.root)['proofs_asked'], 0, 'proofs of work after the restart')


def moon_of_file(s):
    """A moon's root follows its own file as soon as it is told to, and is then a root."""
    shutil.copy(s.moon_file, s.moon.file('moons.d/%s.moon' % s.moon_id))
    s.moon.cli('orbit', s.moon_id, s.root.address)
    equal(s.moon_state(s.moon), {s.moon_id: False}, 'the moon at its root')
    check(s.moon.get('/orrery/roots')[0]['address'] == s.root.address, 'the planet is still there')


def moon_of_seed(s):
    """A leaf gets the moon from its seed, whose key it was given; with another key it does not."""
    hash_of = lambda d: run(CLI, 'identity', 'fingerprint', d.file('identity.public')).stdout.strip()
    s.one.cli('orbit', s.moon_id[6:], '%s:%s' % (s.moon.address, hash_of(s.moon)))
    s.two.cli('orbit', s.moon_id, '%s:%s' % (s.moon.address, hash_of(s.root)))
    wait_until(lambda: s.moon_state(s.one) == {s.moon_id: False}, 60, 'the moon comes to one')
    equal(s.moon_state(s.two), {s.moon_id: True}, 'the moon does not come to two')
    wait_until(lambda: os.path.exists(s.one.file('moons.d/%s.moon' % s.moon_id)), 5, 'its file')
    told = json.loads(s.one.cli('-j', 'moon', 'check', s.moon_id).stdout)
    check(told['answers'] and told['roots'][0]['reachable'], 'the check says that it answers', told)
    # two pinned another key for the moon's root, so it refuses whoever comes with the real one
    alarms = wait_until(lambda: s.two.get('/orrery/trust')['alarms'], 60, 'an alarm at two')
    equal(alarms[0]['about'], s.moon.address, 'whom it is about')
    s.two.delete('/orrery/pins/' + s.moon.address)
    wait_until(lambda: s.moon_state(s.two) == {s.moon_id: False}, 90, 'without that pin the moon comes to two')
    log = open(s.two.file('identity.log')).read()
    for event in ('pinned', 'refused', 'unpinned'):
        check(' %s %s ' % (s.moon.address, event) in log, 'the log of keys tells of "%s"' % event, log)


def moon_gone(s):
    """The check of a moon whose root is gone says so."""
    s.moon.stop()
    done = s.one.cli('moon', 'check', s.moon_id, '--seconds', '1', check_code=False)
    equal(done.returncode, 1, 'exit code of the check')
    check('no answer within 1 s' in done.stdout, 'its words', done.stdout)
    s.moon.start()
    wait_until(lambda: s.one.cli('moon', 'check', s.moon_id, check_code=False).returncode == 0, 30, 'it answers again')


def pins_travel(s):
    """What one node has pinned another one can be made to believe."""
    file = os.path.join(s.world.work, 'pins.json')
    s.one.cli('pins', 'export', file)
    pins = json.load(open(file))
    check(s.root.address in pins, 'the root is pinned at one', list(pins))
    s.two.cli('pins', 'import', file)
    check(set(pins.items()) <= set(s.two.get('/orrery/pins').items()), 'all of them at two')
    stored = json.load(open(s.two.file('pins.json')))
    check(set(pins.items()) <= set(stored.items()), 'on disk when the command is done')
    s.two.cli('identity', 'pin', '1122334455', 'ab' * 48)
    equal(s.two.get('/orrery/pins')['1122334455'], 'ab' * 48, 'one by hand')
    s.two.cli('identity', 'unpin', '1122334455')
    check('1122334455' not in json.load(open(s.two.file('pins.json'))), 'and gone again')
    equal(s.two.cli('identity', 'unpin', '1122334455', check_code=False).returncode, 1, 'nothing to unpin')


def logs(s):
    """No daemon complains but of what it was made to."""
    for d in s.everybody:
        told = complaints(d.log(), allowed=('alarm: refused another key', 'is not signed by its own key', 'is now the revision of'))
        check(not told, d.name, told)


main('roots', [restart, moon_of_file, moon_of_seed, moon_gone, pins_travel, logs], setup=Scene)
