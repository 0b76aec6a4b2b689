#!/usr/bin/env python3
"""A home directory on a file system that is full: the daemon forwards and answers, says what it cannot save, and saves it when there
is room again, without a restart."""
import os
import re
import struct
import time

from harness import check, complaints, equal, main, root_and_controller, run, wait_until

ROOT, MEMBER, OTHER = '10.9.0.1', '10.9.0.2', '10.9.0.3'
POOL = {'v4AssignMode': {'zt': True}, 'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}],
        'routes': [{'target': '10.8.0.0/24'}]}


class Scene:
    def __init__(self, world):
        self.world = world
        wan = world.switch('wan')
        spaces = {}
        for name, address in (('root', ROOT), ('member', MEMBER), ('other', OTHER)):
            spaces[name] = world.space(name)
            world.plug(spaces[name], 'wan0', wan, address + '/24')
        # The member has 128 KiB, the controller 256 KiB (its database alone needs some).
        world.tmpfs(os.path.join(world.work, 'root'), '256k')
        world.tmpfs(os.path.join(world.work, 'member'), '128k')
        self.root, planet = root_and_controller(world, ROOT, space=spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, dict(POOL, name='disk', private=True))
        self.member = world.daemon('member', space=spaces['member'], planet=planet)
        self.other = world.daemon('other', space=spaces['other'], planet=planet)
        for d in (self.member, self.other):
            d.start()
            d.join(self.network)
            self.root.admit(self.network, d)
        for d in (self.member, self.other):
            wait_until(lambda: d.has_configuration(self.network), 30, '%s has its configuration' % d.name)
        wait_until(self.ping, 30, 'ping between the members')
        wait_until(lambda: os.path.exists(self.member.file('networks.d/%s.conf' % self.network)), 20, 'the member has saved its network')
        self.identity = open(self.member.file('identity.secret'), 'rb').read()

    def ping(self, count=1, loss=False):
        done = run('ip', 'netns', 'exec', self.member.space, 'ping', '-c', str(count), '-i', '0.1', '-W', '1',
                   self.other.ip(self.network), check_code=False)
        if loss:
            return re.search(r'([\d.]+)% packet loss', done.stdout).group(1)
        return done.returncode == 0


def fill(daemon):
    """Takes the last byte of the daemon's file system."""
    with open(daemon.file('filler'), 'ab', buffering=0) as f:
        for size in (65536, 4096, 512, 1):
            while True:
                try:
                    if f.write(b'\0' * size) != size:
                        break
                except OSError:
                    break


def empty(daemon):
    os.unlink(daemon.file('filler'))


def member_goes_on(s):
    """a member whose disk is full forwards without loss, answers, and says what it cannot save"""
    fill(s.member)
    before = len(s.member.log())
    status, _ = s.member.api('POST', '/network/1234567890abcdef', {})
    # Acknowledged means kept; what cannot be kept is an error, or waits for room (the log says so).
    check(status in (200, 500, 507), 'status of a join', status)
    s.refused = status != 200
    equal(s.ping(30, loss=True), '0', 'lost pings (%)')
    check(s.member.online(), 'it is online')
    said = wait_until(lambda: [line for line in s.member.log()[before:].splitlines() if 'No space left' in line], 20, 'the log tells')
    check(s.member.home in said[0], 'the message names the file', said[0])
    equal(s.ping(10, loss=True), '0', 'lost pings (%)')
    equal(open(s.member.file('identity.secret'), 'rb').read(), s.identity, 'identity.secret')


def log_stays_short(s):
    """the same error does not flood the log"""
    before = s.member.log().count('\n')
    time.sleep(10)
    lines = s.member.log().count('\n') - before
    check(lines <= 100, 'lines in ten seconds', lines)
    return '%d lines in 10 s' % lines


def member_saves_later(s):
    """when there is room again everything is saved, without a restart"""
    empty(s.member)
    path = s.member.file('networks.d/1234567890abcdef.conf')
    if s.refused:
        s.member.join('1234567890abcdef')
    wait_until(lambda: os.path.exists(path), 15, 'the network that was joined is on disk')
    code, _ = s.member.stop()
    equal(code, 0, 'exit code')
    equal([f for f in os.listdir(s.member.file('networks.d')) if f.endswith('.new')], [], 'temporary files')
    s.member.start()
    for network in (s.network, '1234567890abcdef'):
        check(s.member.network(network), '%s is joined after a restart' % network)
    wait_until(s.ping, 30, 'ping after the restart')


def stops_and_starts_full(s):
    """a full disk keeps the daemon neither from ending nor from starting with what it has"""
    fill(s.member)
    code, seconds = s.member.stop()
    equal(code, 0, 'exit code')
    check(seconds < 5, 'it took %.1f s' % seconds)
    equal(open(s.member.file('identity.secret'), 'rb').read(), s.identity, 'identity.secret')
    for name in ('networks.d/%s.conf' % s.network, 'nonce.state', 'authtoken.secret'):
        check(os.path.getsize(s.member.file(name)) > 0, '%s is whole' % name)
    s.member.launch()
    end = time.monotonic() + 10
    while time.monotonic() < end and s.member.running():
        try:
            if s.member.api('GET', '/status')[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    if s.member.running():
        equal(s.member.status()['address'], s.member.address, 'the address')
        s.member.stop()
        note = 'it starts'
    else:
        # It may refuse (it cannot write its port and pid files), with a clear word.
        equal(s.member.process.returncode, 1, 'exit code')
        check('No space left' in s.member.log_tail(2), 'the message', s.member.log_tail(2))
        note = 'it refuses: ' + s.member.log_tail(1)[-90:]
    equal(open(s.member.file('identity.secret'), 'rb').read(), s.identity, 'identity.secret')
    empty(s.member)
    s.member.start()
    equal(s.member.status()['address'] + ':0:', s.identity[:13].decode(), 'the address')
    wait_until(s.ping, 30, 'ping afterwards')
    return note


def packet_ids(s):
    """no packet id is used beyond the mark on disk: a daemon that cannot write the mark does not talk"""
    # Ids are time in units of 8 ns below four bits of lane; the mark is written ahead of them.
    s.member.stop()
    old = (time.time_ns() - 3600 * 10 ** 9) // 8
    with open(s.member.file('nonce.state'), 'r+b') as f:
        lane = struct.unpack('>Q', f.read(8))[0] >> 60
        f.seek(0)
        f.write(struct.pack('>Q', lane << 60 | old))
    fill(s.member)
    s.member.launch()
    talked = False
    end = time.monotonic() + 6
    while time.monotonic() < end and s.member.running() and not talked:
        try:
            talked = s.member.api('GET', '/status')[1]['online']
        except (OSError, ValueError, TypeError, KeyError):
            pass
        time.sleep(0.1)
    now = time.time_ns() // 8
    mark = struct.unpack('>Q', open(s.member.file('nonce.state'), 'rb').read())[0] & ((1 << 60) - 1)
    if s.member.running():
        s.member.stop()
    empty(s.member)
    # Who remembers the ids of before takes the member for a replay of itself, until the clock has passed them: minutes, since every start
    # skips up to two. What has started anew remembers none.
    for d in (s.root, s.other):
        equal(d.stop()[0], 0, 'exit code of %s' % d.name)
        d.start()
    s.member.start()
    wait_until(s.ping, 60, 'ping afterwards')
    check(not talked or mark >= now, 'it talks with ids beyond the mark', 'the mark is %d s old' % ((now - mark) * 8 / 1e9))


def controller_refuses(s):
    """a controller whose disk is full serves its members and refuses writes with an error, not with a lie"""
    fill(s.root)
    s.accepted = []
    base = '/controller/network/%s/member/' % s.network
    accepted, refused = s.accepted, 0
    for i in range(60):
        try:
            status, value = s.root.api('POST', base + '%010x' % (0x2200000000 + i), {'authorized': True, 'name': 'x' * 400})
        except OSError as error:
            check(s.root.running(), 'the controller is up', s.root.log_tail())
            raise error
        if status == 200:
            accepted.append('%010x' % (0x2200000000 + i))
        else:
            check(status in (500, 503, 507), 'status of a write', status)
            refused += 1
    check(refused > 0, 'writes are refused once nothing fits')
    check('No space left' in s.root.log() or 'full' in s.root.log(), 'the log tells', s.root.log_tail())
    check(s.root.log().count('\n') < 300, 'lines in the log', s.root.log().count('\n'))
    s.other.stop()
    s.other.start()
    wait_until(lambda: s.other.has_configuration(s.network), 20, 'a member is still served')
    wait_until(s.ping, 20, 'ping')
    return '%d accepted, %d refused' % (len(accepted), refused)


def controller_reads(s):
    """a controller whose disk is full answers what only reads"""
    for path in ('/status', '/network', '/peer', '/controller/network', '/controller/network/' + s.network,
                 '/controller/network/%s/member' % s.network, '/controller/network/%s/member/%s' % (s.network, s.member.address)):
        status, value = s.root.api('GET', path)
        check(status == 200, 'GET ' + path, '%s %s' % (status, value))


def controller_recovers(s):
    """with room again writes are kept, and every acknowledged one outlives kill -9"""
    empty(s.root)
    path = '/controller/network/%s/member/3300000001' % s.network

    def written():
        return s.root.api('POST', path, {'authorized': True})[0] == 200
    wait_until(written, 15, 'a write is accepted')
    s.root.kill()
    s.root.start()
    members = s.root.get('/controller/network/%s/member' % s.network)
    lost = [m for m in s.accepted + ['3300000001', s.member.address, s.other.address] if m not in members]
    equal(lost, [], 'acknowledged members lost')
    wait_until(s.ping, 30, 'ping')
    bad = complaints(s.root.log() + s.member.log(), allowed=['No space left', 'full', 'store'])
    equal(bad[:5], [], 'complaints')


if __name__ == '__main__':
    main('full_disk', [member_goes_on, log_stays_short, member_saves_later, stops_and_starts_full, packet_ids, controller_refuses,
                       controller_reads, controller_recovers], needs=('ping', 'mount'), setup=Scene)
