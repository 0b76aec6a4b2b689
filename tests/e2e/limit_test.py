#!/usr/bin/env python3
"""Limits on members (`[[limit]]`): what a node takes from one and gives to one, by frames and by multicast, and a limit that the
controller sets by a tag.

  wan (a switch)   root 10.9.0.1   one 10.9.0.2 (has the limits)   two 10.9.0.3
"""
import subprocess
import time

from harness import check, check_ledger, complaints, equal, main, member, run, two_members, wait_until

RATE = 1000  # datagrams a second that are sent
SECONDS = 3
FRAME = 1000  # bytes of an Ethernet frame with one of them
KBIT = 800   # the limit: a hundred frames a second, and twelve at once
TAG = 7

# Counts datagrams of this size for so many seconds; or sends so many of them, evenly.
TRAFFIC = '''
import socket, sys, time
mode, to, size, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
if mode == 'count':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(('', 7000))
    s.settimeout(0.2)
    print('ready', flush=True)
    end, got = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            got += len(s.recv(2000)) == size
        except socket.timeout:
            pass
    print(got)
else:
    begin = time.monotonic()
    for i in range(count):
        wait = begin + seconds * i / count - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        s.sendto(bytes(size), (to, 7000))
'''


class Scene:
    def __init__(self, world):
        self.world = world
        self.root, self.network, self.one, self.two = two_members(world, name='limit', tags=[{'id': TAG, 'default': None}])
        wait_until(self.ping, 30, 'the first ping')

    def ping(self):
        return run('ip', 'netns', 'exec', self.one.space, 'ping', '-c', '1', '-W', '1', self.two.ip(self.network),
                   check_code=False).returncode == 0

    def limit(self, **values):
        """`one` again, with one table."""
        self.one.stop()
        with open(self.one.file('orrery.toml'), 'w') as f:
            if values:
                f.write('[[limit]]\nnetwork = "%s"\n%s' % (self.network, ''.join('%s = %d\n' % v for v in values.items())))
        self.one.start()
        wait_until(lambda: self.one.has_configuration(self.network), 30, 'a configuration')
        wait_until(self.ping, 30, 'a ping')
        time.sleep(1)  # the buckets are full

    def dropped(self):
        """By the limit: frames that workers carry, and those of control."""
        drops = self.one.get('/orrery/drops')
        return drops['worker']['member_rate'] + drops['networks']['member_rate']

    def passed(self, sender, receiver, to=None):
        """(arrived, dropped by the limit) of a flood."""
        before = self.dropped()
        size = str(FRAME - 42)
        counter = self.world.spawn(['ip', 'netns', 'exec', receiver.space, 'python3', '-c', TRAFFIC, 'count', '-', size, '0',
                                    str(SECONDS + 2)], stdout=subprocess.PIPE, text=True)
        equal(counter.stdout.readline().strip(), 'ready', 'the counter')
        run('ip', 'netns', 'exec', sender.space, 'python3', '-c', TRAFFIC, 'send', to or receiver.ip(self.network), size,
            RATE * SECONDS, SECONDS)
        arrived = int(counter.communicate(timeout=SECONDS + 10)[0])
        return arrived, self.dropped() - before

    def holds(self, what, arrived, dropped):
        sent = RATE * SECONDS
        allowed = KBIT * 1000 // 8 // FRAME * SECONDS
        check(0.8 * allowed <= arrived <= 1.35 * allowed + 30, what, '%d of %d frames arrived, %d allowed' % (arrived, sent, allowed))
        # The kernel's own few frames keep to the limit, too.
        check(0 <= arrived + dropped - sent <= 20, '%s: what is missing was counted' % what, '%d arrived, %d dropped' % (arrived, dropped))
        for daemon in (self.one, self.two):
            check_ledger(daemon)
        return '%d of %d arrived' % (arrived, sent)


def unlimited(s):
    """without a limit everything arrives"""
    for sender, receiver in ((s.one, s.two), (s.two, s.one)):
        arrived, dropped = s.passed(sender, receiver)
        check(arrived >= 0.98 * RATE * SECONDS, 'frames from %s' % sender.name, arrived)
        equal(dropped, 0, 'frames that were limited')


def to_member(s):
    """what goes to members is limited, and counted"""
    s.limit(to_kbit=KBIT)
    note = s.holds('frames to a member', *s.passed(s.one, s.two))
    refused = next(m for m in s.one.get('/orrery/traffic/' + s.network)['members'] if m['address'] == s.two.address)
    check(refused['txRefused'] > 0, 'refused frames by member', refused)
    arrived, dropped = s.passed(s.two, s.one)
    check(arrived >= 0.98 * RATE * SECONDS and dropped <= 20, 'frames of the other way', '%d, %d' % (arrived, dropped))
    return note


def multicast(s):
    """so is multicast to them"""
    return s.holds('broadcasts', *s.passed(s.one, s.two, to='10.8.0.255'))


def from_member(s):
    """what is taken from members is limited, and counted"""
    s.limit(from_kbit=KBIT)
    note = s.holds('frames from a member', *s.passed(s.two, s.one))
    arrived, dropped = s.passed(s.one, s.two)
    check(arrived >= 0.98 * RATE * SECONDS and dropped <= 20, 'frames of the other way', '%d, %d' % (arrived, dropped))
    return note


def by_tag(s):
    """a tag that the controller gives to a member is its limit"""
    s.limit(tag=TAG)
    arrived, dropped = s.passed(s.one, s.two)
    check(arrived >= 0.98 * RATE * SECONDS and dropped == 0, 'frames to a member without the tag', '%d, %d' % (arrived, dropped))
    s.root.post('/controller/network/%s/member/%s' % (s.network, s.two.address), {'tags': [[TAG, KBIT]]})
    wait_until(lambda: s.passed(s.one, s.two)[1] > 0, 60, 'the tag at the member')
    return s.holds('frames to a member with the tag', *s.passed(s.one, s.two))


def quiet_end(s):
    """all end with exit code 0, and their logs tell of no failure"""
    for d in (s.root, s.one, s.two):
        equal(d.stop()[0], 0, 'exit code of %s' % d.name)
        equal(complaints(d.log())[:3], [], 'log of %s' % d.name)


if __name__ == '__main__':
    main('limit', [unlimited, to_member, multicast, from_member, by_tag, quiet_end], needs=('ping', 'python3'), setup=Scene)
