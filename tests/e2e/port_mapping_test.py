#!/usr/bin/env python3
"""Routers that let the node's port through on request: miniupnpd, by NAT-PMP and by UPnP.

  inside 192.168.7.2 - 192.168.7.1 router 5.5.5.1 - 5.5.5.2 outside      the root and a member are outside; the router does NAT

What comes from outside passes the router only where it was asked for.
"""
import os

from harness import check, equal, main, require, root_and_controller, run, skip, wait_until

MINIUPNPD = '/usr/sbin/miniupnpd'


class Scene:
    def __init__(self, world):
        self.world = world
        self.router, self.inside, self.outside = (world.space(name) for name in ('router', 'inside', 'outside'))
        for space, device, port, near, far in ((self.inside, 'wan0', 'lan', '192.168.7.2/24', '192.168.7.1/24'),
                                               (self.outside, 'wan0', 'wan', '5.5.5.2/24', '5.5.5.1/24')):
            run('ip', 'link', 'add', device, 'netns', space, 'type', 'veth', 'peer', 'name', port, 'netns', self.router)
            run('ip', '-n', space, 'addr', 'add', near, 'dev', device)
            run('ip', '-n', self.router, 'addr', 'add', far, 'dev', port)
            run('ip', '-n', space, 'link', 'set', device, 'up')
            run('ip', '-n', self.router, 'link', 'set', port, 'up')
        run('ip', '-n', self.outside, 'addr', 'add', '5.5.5.3/24', 'dev', 'wan0')
        run('ip', '-n', self.inside, 'route', 'add', 'default', 'via', '192.168.7.1')
        run('ip', 'netns', 'exec', self.router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
        run('ip', 'netns', 'exec', self.router, 'nft', '''
            table inet filter {
              chain miniupnpd { }
              chain prerouting_miniupnpd { }
              chain postrouting_miniupnpd { }
              chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan" accept; jump miniupnpd; }
            }
            table inet nat {
              chain prerouting_miniupnpd { }
              chain postrouting_miniupnpd { }
              chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
              chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "wan" masquerade random; }
            }''')
        self.root, self.planet = root_and_controller(world, '5.5.5.2', space=self.outside)
        self.root.start()
        self.server = None
        self.node = world.daemon('node', space=self.inside, planet=self.planet)

    def serve(self, **protocols):
        """miniupnpd with these protocols."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(10)
        path = os.path.join(self.world.work, 'miniupnpd.conf')
        with open(path, 'w') as f:
            f.write('''ext_ifname=wan
listening_ip=lan
ext_ip=5.5.5.1
enable_natpmp=%s
enable_upnp=%s
secure_mode=yes
uuid=00000000-0000-0000-0000-000000000001
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 192.168.7.0/24 1024-65535
''' % tuple('yes' if protocols.get(p) else 'no' for p in ('natpmp', 'upnp')))
        log = open(os.path.join(self.world.work, 'miniupnpd.log'), 'ab')
        self.server = self.world.spawn(['ip', 'netns', 'exec', self.router, MINIUPNPD, '-d', '-f', path, '-P',
                                        os.path.join(self.world.work, 'miniupnpd.pid')], stdout=log, stderr=log)

    def mapped(self):
        return self.node.status()['config']['settings']['mappedAddresses']

    def passes(self):
        """Does a datagram from an address that the node never wrote to arrive?"""
        before = self.node.get('/orrery/drops')['control']['short'] + self.node.get('/orrery/drops')['worker']['short']
        run('ip', 'netns', 'exec', self.outside, 'python3', '-c',
            'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("5.5.5.3", 0)); '
            's.sendto(b"x" * 9, ("5.5.5.1", 9993))')

        def arrived():
            drops = self.node.get('/orrery/drops')
            return drops['control']['short'] + drops['worker']['short'] > before
        try:
            wait_until(arrived, 2, 'a datagram from outside')
        except Exception:  # noqa: that it does not is an answer, too
            return False
        return True


def asked(s, name):
    s.node.start()
    wait_until(lambda: s.mapped() == ['5.5.5.1/9993'], 15, 'the mapping by %s' % name)
    check('through (%s)' % name in s.node.log(), 'the log tells', s.node.log_tail())
    check(s.passes(), 'strangers reach the node')
    code, took = s.node.stop()
    equal(code, 0, 'exit code')
    check(took < 1.5, 'a clean exit', '%.1f s' % took)
    rules = run('ip', 'netns', 'exec', s.router, 'nft', 'list', 'ruleset').stdout
    check('192.168.7.2' not in rules, 'the mapping is taken back', rules)


def nat_pmp(s):
    """NAT-PMP: the port is mapped, named, passes, and is given back"""
    s.serve(natpmp=True)
    asked(s, 'NAT-PMP')


def upnp(s):
    """UPnP: the same"""
    s.serve(upnp=True)
    asked(s, 'UPnP')


def off(s):
    """without port_mapping nothing is asked"""
    s.serve(natpmp=True, upnp=True)
    with open(s.node.file('orrery.toml'), 'w') as f:
        f.write('[underlay]\nport_mapping = false\n')
    s.node.start()
    wait_until(s.node.online, 20, 'the node is online')
    equal(s.mapped(), [], 'mappings')
    equal(s.node.status()['config']['settings']['portMappingEnabled'], False, 'as the API says')
    check(not s.passes(), 'strangers do not reach the node')
    s.node.stop()


if __name__ == '__main__':
    require('nft')
    if not os.access(MINIUPNPD, os.X_OK):
        skip('needs miniupnpd (tools/setup installs it)')
    main('port_mapping', (nat_pmp, upnp, off), setup=Scene)
