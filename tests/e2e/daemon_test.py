#!/usr/bin/env python3
"""The daemon as a citizen of the host: start, stop, exit codes, files and who may talk to its API."""
import http.client
import json
import os
import signal
import socket
import stat
import statistics
import subprocess
import time

from harness import (CLI, DAEMON, Failure, check, complaints, equal, main, root_and_controller, run, wait_until)

HOST = '10.9.0.1'


class Scene:
    def __init__(self, world):
        self.world = world
        world.private_network(HOST + '/24')
        self.root, self.planet = root_and_controller(world, HOST)
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'e2e', 'private': False, 'v4AssignMode': {'zt': True},
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}],
            'routes': [{'target': '10.8.0.0/24'}]})
        self.member = world.daemon('member', planet=self.planet, port=9994)
        self.member.start()
        wait_until(self.member.online, 20, 'the member is online')
        self.member.join(self.network)
        wait_until(lambda: self.member.has_configuration(self.network), 20, 'the member has its configuration')
        self.scratch = 0

    def home(self, **files):
        """A new home directory with these files; the daemon in it is never started by this."""
        self.scratch += 1
        made = self.world.daemon('scratch%d' % self.scratch, port=9900 + self.scratch, identity=False)
        for name, content in files.items():
            with open(made.file(name.replace('__', '.')), 'wb') as f:
                f.write(content if isinstance(content, bytes) else content.encode())
        return made


def taps():
    return [line.split(':')[1].strip() for line in run('ip', '-o', 'link').stdout.splitlines()
            if line.split(':')[1].strip().startswith('zt')]


def refused(daemon, code, words, *arguments, lines=1, program=None):
    """Runs orreryd to its end: exit code, number of lines on standard error, and words that stand in them."""
    done = run(*(program or daemon.command(*arguments)), check_code=False, seconds=20)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    text = done.stderr.strip()
    check(done.returncode == code, 'exit code %d' % done.returncode, 'expected %d; it said: %s' % (code, text))
    missing = [w for w in words if w not in text]
    check(not missing, 'the message does not name %s' % missing, text)
    check(lines is None or len(said) == lines, '%d lines instead of %s' % (len(said), lines), text)


def second_daemon(s):
    """a second daemon on the same home is refused and names the first"""
    before = open(s.root.file('zerotier-one.pid')).read()
    refused(s.root, 1, [s.root.home, before.strip()])
    equal(open(s.root.file('zerotier-one.pid')).read(), before, 'zerotier-one.pid of the first one')
    check(s.root.online(), 'the first daemon goes on')


def clean_stop(s):
    """SIGTERM and SIGINT: exit 0 within 1.5 s, state saved, no TAP, no pid file"""
    took = []
    for turn, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
        check(taps(), 'there is a TAP while the daemon runs')
        code, seconds = s.member.stop(number)
        took.append(seconds)
        equal(code, 0, 'exit code after signal %d' % number)
        equal(taps(), [], 'TAPs left behind')
        for name in ('zerotier-one.pid', 'orrery.sock'):
            check(not os.path.exists(s.member.file(name)), '%s is gone' % name)
        for name, least in (('identity.secret', 200), ('identity.public', 100), ('nonce.state', 8),
                            ('networks.d/%s.conf' % s.network, 100), ('peers.d/%s.peer' % s.root.address, 50)):
            path = s.member.file(name)
            check(os.path.exists(path) and os.path.getsize(path) >= least, '%s is saved' % name)
        for directory in ('', 'networks.d', 'peers.d', 'moons.d'):
            left = [f for f in os.listdir(s.member.file(directory)) if f.endswith('.new')]
            equal(left, [], 'temporary files in /%s' % directory)
        s.member.start()
        check(s.member.network(s.network), 'the network is still joined')
        check(s.member.peer(s.root), 'the root is still known')
        wait_until(lambda: s.member.has_configuration(s.network) and taps(), 20, 'the network works again')
    check(statistics.median(took) <= 1.5, 'stopping took too long', ', '.join('%.2f s' % t for t in took))
    return 'it took ' + ', '.join('%.2f s' % t for t in took)


def stop_while_starting(s):
    """SIGTERM at any moment of the start: the daemon ends, the home stays sound"""
    d = s.world.daemon('early', planet=s.planet, port=9995)
    for turn in range(12):
        d.launch()
        time.sleep(turn * 0.04)
        code, seconds = d.stop()
        # Before signals are taken care of the default action ends the process.
        check(code in (0, -signal.SIGTERM), 'exit code %d after %d ms' % (code, turn * 40), d.log_tail())
        check(seconds < 5, 'it took %.1f s' % seconds)
    d.start()
    equal(d.stop()[0], 0, 'exit code of a whole run')
    equal(complaints(d.log()), [], 'the log tells of no failure')


BAD_FILES = [
    # what, orrery.toml, words of the message
    ('unknown key', '[node]\nprot = 9993\n', ['orrery.toml:2', 'node.prot', '"port"']),
    ('unknown table', '[controler]\nenabled = true\n', ['orrery.toml:1', 'controler', '"controller"']),
    ('wrong type', '[node]\nport = "9993"\n', ['orrery.toml:2', 'node.port', 'expected']),
    ('number out of range', '[node]\nport = 70000\n', ['orrery.toml:2', 'node.port', '65535']),
    ('text instead of a flag', '[controller]\nenabled = "yes"\n', ['orrery.toml:2', 'controller.enabled', 'expected']),
    ('number instead of a table', 'node = 4\n', ['orrery.toml:1', 'node', 'expected', 'table']),
    ('unknown choice', '[workers]\nidle = "sleep"\n', ['orrery.toml:2', 'workers.idle', 'adaptive', 'poll']),
    ('bad network id', '[node]\nnetworks = ["123"]\n', ['orrery.toml:2', 'node.networks', '16 hexadecimal digits']),
    ('bad address', '[underlay]\nbind = ["10.0.0.300"]\n', ['orrery.toml:2', 'underlay.bind', 'expected']),
    ('bridge without a network', '[[bridge]]\ndevice = "net_null0"\n', ['orrery.toml:1', 'bridge', 'network']),
    ('VLAN out of range', '[[bridge]]\ndevice = "d"\nnetwork = "8056c2e21c000001"\nvlan = 5000\n',
     ['orrery.toml:4', 'bridge.vlan', '4094']),
    ('store of an unknown kind', '[controller]\nstore = "mysql://x"\n', ['orrery.toml', 'controller.store', 'sqlite:']),
    ('bad TOML', '[node\nport = 9993\n', ['orrery.toml:1']),
    ('bad TOML value', '[node]\nport = nine\n', ['orrery.toml:2']),
    ('the same key twice', '[node]\nport = 1\nport = 2\n', ['orrery.toml:3', 'port']),
    ('not UTF-8', b'[node]\n# \xff\xfe\n', ['orrery.toml:2']),
]


def bad_configuration(s):
    """bad configuration: exit code 2 and one line that names file, key and expectation"""
    wrong = []
    for what, content, words in BAD_FILES:
        try:
            home = s.home(orrery__toml=content)
            refused(home, 2, words)
            check(not os.path.exists(home.file('identity.secret')), 'no identity is made')
        except Failure as failure:
            wrong.append('%s: %s' % (what, failure))
    home = s.home(local__conf='{"settings": ')
    try:
        refused(home, 2, ['local.conf'])
    except Failure as failure:
        wrong.append('malformed local.conf: %s' % failure)
    try:
        refused(s.home(), 2, ['/nowhere/orrery.toml'], '--config', '/nowhere/orrery.toml')
    except Failure as failure:
        wrong.append('missing --config: %s' % failure)
    check(not wrong, '%d of %d' % (len(wrong), len(BAD_FILES) + 2), '\n        | '.join(wrong))


def bad_arguments(s):
    """bad arguments: exit code 2 and one line that names them"""
    home = s.home()
    wrong = []
    for arguments, words in ((['--hoem', '/tmp'], ['--hoem']), (['--port', '0'], ['port', '0', '65535']),
                             (['--port', '70000'], ['port', '70000']), (['--port', 'http'], ['port', 'http']),
                             (['--port', '-1'], ['port', '-1']), (['--port'], ['port']), (['extra'], ['extra'])):
        try:
            refused(home, 2, words, program=[DAEMON, '--home', home.home] + arguments)
        except Failure as failure:
            wrong.append('%s: %s' % (' '.join(arguments), failure))
    check(not wrong, '%d of 7' % len(wrong), '\n        | '.join(wrong))


def unknown_local_conf_keys(s):
    """unknown keys of local.conf are logged, never errors"""
    home = s.home(local__conf='{"settings": {"primaryPort": 9991, "noSuchKey": 1}, "nowhere": {}}')
    home.start()
    check('noSuchKey' in home.log() and 'nowhere' in home.log(), 'the log names them', home.log_tail())
    equal(home.stop()[0], 0, 'exit code')


def damaged_identity(s):
    """a damaged or empty identity.secret: exit code 1, the file as it was, no new identity"""
    good = open(s.member.file('identity.secret')).read().strip()
    digit = '0' if good[40] != '0' else '1'
    for what, content in (('empty', ''), ('blank', '\n'), ('garbage', 'hello'), ('cut', good[:150]), ('public only', good[:141]),
                          ('one digit of the key', good[:40] + digit + good[41:]),
                          ('one digit of the address', ('0' if good[0] != '0' else '1') + good[1:]),
                          ('one digit of the secret', good[:-1] + ('0' if good[-1] != '0' else '1')),
                          ('binary', bytes(range(256)))):
        home = s.home(identity__secret=content)
        before = open(home.file('identity.secret'), 'rb').read()
        try:
            refused(home, 1, ['identity.secret'])
        except Failure as failure:
            raise Failure('%s: %s' % (what, failure))
        equal(open(home.file('identity.secret'), 'rb').read(), before, what + ': identity.secret')
        check(not os.path.exists(home.file('identity.public')), what + ': no identity.public is made')


def no_daemon(s):
    """orrery without a daemon: exit code 3; unknown input: 2"""
    home = s.home()
    done = run(CLI, '-D', home.home, 'info', check_code=False)
    equal(done.returncode, 3, 'exit code in an empty home')
    check(home.home in done.stderr, 'the message names the home', done.stderr)
    for name, content in (('zerotier-one.port', '9899'), ('authtoken.secret', 'x' * 24)):
        with open(home.file(name), 'w') as f:
            f.write(content)
    done = run(CLI, '-D', home.home, 'info', check_code=False)
    equal(done.returncode, 3, 'exit code with a stale port file')
    check('9899' in done.stderr, 'the message names the port', done.stderr)
    for arguments in (['inof'], ['join', 'xyz'], ['set', s.network, 'allowAll=1'], ['--nothing', 'info'], []):
        done = run(CLI, '-D', s.member.home, *arguments, check_code=False)
        equal(done.returncode, 2, 'exit code of orrery %s' % ' '.join(arguments))
    equal(run(CLI, '-D', s.member.home, 'info', check_code=False).returncode, 0, 'exit code with a daemon')
    equal(run(CLI, '-D', s.member.home, 'leave', '0' * 15 + '1', check_code=False).returncode in (0, 1), True,
          'leaving what is not joined')


def file_modes(s):
    """under umask 000 every file is 0600, every directory 0700"""
    d = s.world.daemon('open', planet=s.planet, port=9996, identity=False, config='[controller]\nenabled = true\n')
    os.chmod(d.home, 0o777)
    d.start(preexec_fn=lambda: os.umask(0))
    d.post('/controller/network/%s000001' % d.address, {'name': 'modes'})
    wait_until(d.online, 20, 'it is online')
    d.join(s.network)
    wait_until(lambda: d.has_configuration(s.network), 20, 'it has its configuration')
    wait_until(lambda: os.path.exists(d.file('nonce.state')), 5, 'nonce.state is written')

    def wrong_modes():
        wrong = []
        for base, directories, files in os.walk(d.home):
            for name in directories + files + ['.']:
                path = os.path.normpath(os.path.join(base, name))
                mode = os.lstat(path).st_mode
                if os.path.basename(path) in ('planet', 'orrery.toml'):
                    continue  # the operator's own files
                bits = stat.S_IMODE(mode)
                expected = 0o700 if stat.S_ISDIR(mode) else 0o660 if stat.S_ISSOCK(mode) else 0o600
                if bits != expected:
                    wrong.append('%s %o, expected %o' % (path[len(d.home):], bits, expected))
        return wrong
    equal(wrong_modes(), [], 'while it runs')
    equal(d.stop()[0], 0, 'exit code')
    equal(wrong_modes(), [], 'after it ended')


def files_before_answers(s):
    """port, pid and token files stand before the API accepts its first connection"""
    for turn in range(3):
        d = s.world.daemon('order%d' % turn, port=9960 + turn, identity=False)
        d.launch()
        end = time.monotonic() + 20
        while True:
            probe = socket.socket()
            try:
                probe.connect(('127.0.0.1', d.port))
                break
            except OSError:
                check(time.monotonic() < end and d.running(), 'the API listens', d.log_tail())
            finally:
                probe.close()
        for name, content in (('zerotier-one.port', str(d.port)), ('zerotier-one.pid', str(d.process.pid)),
                              ('authtoken.secret', None), ('identity.secret', None), ('identity.public', None)):
            check(os.path.exists(d.file(name)), name + ' exists')
            text = open(d.file(name)).read().strip()
            check(text == content if content else len(text) >= 24, name + ' is complete', text)
        d.ready()
        equal(d.stop()[0], 0, 'exit code')


def request(host, port, path, headers):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.sock = socket.socket(family, socket.SOCK_STREAM)
    connection.sock.settimeout(5)
    connection.sock.connect((host, port))
    connection.putrequest('GET', path, skip_host='Host' in headers)
    for key, value in headers.items():
        connection.putheader(key, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def api_access(s):
    """the API: token in the header only, loopback only, no foreign Host or Origin"""
    token = s.root.token()
    port = s.root.port
    for host in ('127.0.0.1', '::1'):
        for what, path, headers, expected in (
                ('the token', '/status', {'X-ZT1-Auth': token}, (200,)),
                ('the token as bearer', '/status', {'Authorization': 'Bearer ' + token}, (200,)),
                ('no token', '/status', {}, (401,)),
                ('an empty token', '/status', {'X-ZT1-Auth': ''}, (401,)),
                ('a wrong token', '/status', {'X-ZT1-Auth': 'a' * 24}, (401,)),
                ('a part of the token', '/status', {'X-ZT1-Auth': token[:-1]}, (401,)),
                ('more than the token', '/status', {'X-ZT1-Auth': token + 'a'}, (401,)),
                ('the token in the URL', '/status?auth=' + token, {}, (401,)),
                ('the token in URL and header', '/status?auth=' + token, {'X-ZT1-Auth': token}, (401,)),
                ('no token, controller', '/controller/network', {}, (401,)),
                ('no token, unknown path', '/nothing', {}, (401, 404)),
                ('a foreign Host', '/status', {'X-ZT1-Auth': token, 'Host': 'evil.example'}, (401, 403)),
                ('a foreign Host with our port', '/status', {'X-ZT1-Auth': token, 'Host': 'evil.example:%d' % port}, (401, 403)),
                ('Host localhost', '/status', {'X-ZT1-Auth': token, 'Host': 'localhost:%d' % port}, (200,)),
                ('a foreign Origin', '/status', {'X-ZT1-Auth': token, 'Origin': 'http://evil.example'}, (401, 403))):
            status, body = request(host, port, path, headers)
            check(status in expected, '%s on %s' % (what, host), 'status %d, expected %s' % (status, expected))
            check(status == 200 or token.encode() not in body and s.root.address.encode() not in body,
                  '%s on %s: the refusal tells nothing' % (what, host), body)
    for path in ('/status', '/network/' + s.network):
        status, body = request('127.0.0.1', port, path + '?jsonp=callback', {'X-ZT1-Auth': token})
        check(not body.startswith(b'callback'), 'no JSONP')
    try:
        socket.create_connection((HOST, port), 2).close()
        raise Failure('the API listens on ' + HOST)
    except OSError:
        pass
    for turn in range(300):  # wrong tokens lock nobody out
        request('127.0.0.1', port, '/status', {'X-ZT1-Auth': '%024d' % turn})
    equal(request('127.0.0.1', port, '/status', {'X-ZT1-Auth': token})[0], 200, 'after 300 wrong tokens')


def port_in_use(s):
    """a port that somebody else has: exit code 1 and a message that names it, no files of a running daemon left"""
    taken = socket.socket()
    taken.bind(('127.0.0.1', 9990))
    taken.listen()
    home = s.home()
    try:
        refused(home, 1, ['9990'], program=[DAEMON, '--home', home.home, '--port', '9990'], lines=None)
    finally:
        taken.close()
    check(not os.path.exists(home.file('zerotier-one.pid')), 'no pid file is left')


def telemetry_of(daemon, *commands):
    """Answers of DPDK's telemetry socket, or None where there is none. [bytes of greeting, then one JSON for each command]"""
    path = '/var/run/dpdk/orrery%d' % daemon.process.pid
    names = [n for n in (os.listdir(path) if os.path.isdir(path) else []) if n.startswith('dpdk_telemetry')]
    if not names:
        return None
    where = os.path.join(path, names[0])
    equal(os.stat(where).st_mode & 0o077, 0, 'nobody but the owner talks to %s' % where)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        client.connect(where)
        client.settimeout(10)
        client.recv(16384)
        answers = []
        for command in commands:
            client.send(command.encode())
            answers.append(json.loads(client.recv(65536))[command])
        return answers
    finally:
        client.close()


def telemetry(s):
    """DPDK's telemetry socket: none by default; with dpdk.telemetry it tells what workers count, to root alone"""
    check(telemetry_of(s.member) is None, 'no socket unless it is asked for')
    told = s.world.daemon('told', port=9995, config='[dpdk]\ntelemetry = true\n', planet=s.planet)
    told.start()
    try:
        wait_until(told.online, 20, 'a daemon with telemetry is online')
        workers, drops, stages, latency = telemetry_of(told, '/orrery/workers', '/orrery/drops', '/orrery/stages', '/orrery/latency')
        check(workers['worker0']['turns'] > 0 and workers['worker0']['datagramsIn'] > 0, 'counts of the worker', workers)
        equal(set(drops['worker0']), set(told.get('/orrery/drops')['worker']), 'reasons of drops')
        check(stages['worker0']['classify_packets'] > 0, 'packets of the first stage', stages)
        check(sum(latency['worker0'].values()) > 0, 'times of vectors', latency)
        one = told.get('/orrery/workers')[0]
        check(one['stages']['classify']['vectors'] > 0 and one['latency'][0]['vectors'] > 0, 'the API tells the same', one)
    finally:
        equal(told.stop()[0], 0, 'exit code')


if __name__ == '__main__':
    main('daemon', [second_daemon, clean_stop, stop_while_starting, bad_configuration, bad_arguments, unknown_local_conf_keys,
                    damaged_identity, no_daemon, file_modes, files_before_answers, api_access, port_in_use, telemetry],
         setup=Scene)
