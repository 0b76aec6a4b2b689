"""What the end-to-end tests share: namespaces, daemons, the local API, checks.

A test is a list of cases (functions that take the world). Each prints one line; the exit code is 0 when all hold, 1 when one
failed, 77 when the machine cannot run them. Whatever a test makes (processes, namespaces, mounts, files) carries its process id in
the name and goes away at its end, also after a failure or a signal.

Programs come from ORRERY_DAEMON and ORRERY_CLI, by default those of build/; where ORRERY_STOCK names a zerotier-one, tests with
such a node run, too.
"""
import atexit
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SOURCE = os.environ.get('ORRERY_SOURCE') or os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
DAEMON = os.environ.get('ORRERY_DAEMON') or os.path.join(SOURCE, 'build', 'orreryd')
CLI = os.environ.get('ORRERY_CLI') or os.path.join(SOURCE, 'build', 'orrery')
STOCK = os.environ.get('ORRERY_STOCK')
SKIP = 77
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Failure(Exception):
    """A check that did not hold; its text says which."""


def skip(reason):
    print('skipped: ' + reason, flush=True)
    sys.exit(SKIP)


def require(*programs):
    """Skips the test when this machine cannot run it."""
    if os.geteuid() != 0:
        skip('needs root: network namespaces and TAP devices')
    if not os.path.exists('/dev/net/tun'):
        skip('needs /dev/net/tun (modprobe tun)')
    for program in ('ip',) + programs:
        if shutil.which(program) is None:
            skip('needs the program "%s" (tools/setup installs it)' % program)
    for program in (DAEMON, CLI):
        if not os.access(program, os.X_OK):
            print('there is no program %s: build it first (tools/build)' % program)
            sys.exit(1)


def check(condition, text, detail=None):
    if not condition:
        raise Failure(text if detail is None else '%s: %s' % (text, detail))


def equal(found, expected, text):
    check(found == expected, text, 'found %r, expected %r' % (found, expected))


def wait_until(probe, seconds, text, interval=0.1):
    """The first true value of probe(); a failure that says `text` when it does not come in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = probe()
        except (OSError, http.client.HTTPException):
            value = None
        if value:
            return value
        if time.monotonic() > end:
            raise Failure('%s: not within %g s' % (text, seconds))
        time.sleep(interval)


def run(*command, check_code=True, seconds=60, **options):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                          **options)
    if check_code and done.returncode != 0:
        raise Failure('%s: exit code %d: %s' % (' '.join(str(c) for c in command), done.returncode,
                                                (done.stderr or done.stdout).strip()))
    return done


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class World:
    """Owner of everything a test makes."""

    def __init__(self, name):
        self.name = name
        self.prefix = 'oe%d' % os.getpid()
        self.work = tempfile.mkdtemp(prefix='orrery-%s-%d.' % (name, os.getpid()), dir='/tmp')
        os.chmod(self.work, 0o700)
        self.spaces, self.processes, self.mounts, self.daemons = [], [], [], []
        atexit.register(self.clean)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda n, _: sys.exit(128 + n))

    def clean(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        for space in self.spaces:
            pids = run('ip', 'netns', 'pids', space, check_code=False).stdout.split()
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
            run('ip', 'netns', 'del', space, check_code=False)
        for mount in reversed(self.mounts):
            run('umount', '-l', mount, check_code=False)
        shutil.rmtree(self.work, ignore_errors=True)
        self.spaces, self.processes, self.mounts = [], [], []

    # --- namespaces
    def private_network(self, address='10.9.0.1/24'):
        """Moves this process (and its children) into a network namespace without a name, with one interface pair."""
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET)')
        run('ip', 'link', 'set', 'lo', 'up')
        run('ip', 'link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'wan1')
        run('ip', 'addr', 'add', address, 'dev', 'wan0')
        run('ip', 'link', 'set', 'wan0', 'up')
        run('ip', 'link', 'set', 'wan1', 'up')

    def space(self, name):
        full = '%s-%s' % (self.prefix, name)
        run('ip', 'netns', 'add', full)
        self.spaces.append(full)
        run('ip', '-n', full, 'link', 'set', 'lo', 'up')
        return full

    def switch(self, name):
        """A namespace that holds nothing but a bridge named `wan`."""
        full = self.space(name)
        run('ip', '-n', full, 'link', 'add', 'wan', 'type', 'bridge')
        run('ip', '-n', full, 'link', 'set', 'wan', 'up')
        return full

    def plug(self, space, device, switch, address):
        """Connects `device` of a namespace, with this address (None: a DPDK port's, without any), to the bridge of a switch."""
        port = ('p-%s-%s' % (space.split('-', 1)[1], device))[:15]
        run('ip', 'link', 'add', device, 'netns', space, 'type', 'veth', 'peer', 'name', port, 'netns', switch)
        run('ip', '-n', switch, 'link', 'set', port, 'master', 'wan', 'up')
        if address is not None:
            run('ip', '-n', space, 'addr', 'add', address, 'dev', device)
        else:
            # Or it hands over partial checksums and oversized segments.
            run('ip', 'netns', 'exec', switch, 'ethtool', '-K', port, 'tx', 'off')
        run('ip', '-n', space, 'link', 'set', device, 'up')

    def tmpfs(self, path, size):
        os.makedirs(path, exist_ok=True)
        run('mount', '-t', 'tmpfs', '-o', 'size=%s,mode=0700' % size, 'orrery-e2e', path)
        self.mounts.append(path)

    # --- processes
    def spawn(self, command, **options):
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def identity(self, home):
        os.makedirs(home, exist_ok=True)
        run(CLI, 'identity', 'generate', os.path.join(home, 'identity.secret'), os.path.join(home, 'identity.public'))
        return open(os.path.join(home, 'identity.public')).read()[:10]

    def planet(self, root_home, endpoint):
        """A planet whose only root is the identity of this home."""
        path = os.path.join(self.work, 'planet')
        run(CLI, 'planet', 'create', path, '%s=%s' % (os.path.join(root_home, 'identity.public'), endpoint))
        return path

    def daemon(self, name, **options):
        made = Daemon(self, name, **options)
        self.daemons.append(made)
        return made


class Node:
    """What a daemon and a stock node say in the same words. REQUIRES: get(), metrics()."""

    def peer(self, node):
        address = node if isinstance(node, str) else node.address
        return next((p for p in self.get('/peer') or [] if p['address'] == address), None)

    def direct_path(self, node):
        """Endpoint over which this node reaches that one without a root, or None."""
        peer = self.peer(node)
        for path in (peer or {}).get('paths', []):
            if path['active'] and not path['expired'] and path['preferred']:
                return path['address']
        return None

    def device(self, network):
        return self.network(network)['portDeviceName']

    def packets(self, verb, direction='tx'):
        """How many packets of this verb have gone out, or come in (`rx`)."""
        start = 'zt_packet{'
        for line in self.metrics().splitlines():
            if line.startswith(start) and 'direction="%s"' % direction in line and 'packet_type="%s"' % verb in line:
                return int(float(line.split()[-1]))
        raise Failure('metrics of %s: no packets of verb %s' % (self.address, verb))


class Daemon(Node):
    """One orreryd with its home directory; started and stopped as often as a test likes."""

    def __init__(self, world, name, space=None, port=9993, config='', planet=None, home=None, identity=True):
        self.world, self.name, self.space, self.port = world, name, space, port
        self.home = home or os.path.join(world.work, name)
        self.log_path = os.path.join(world.work, name + '.log')
        self.process = None
        self.connection, self.used = None, 0.0
        os.makedirs(self.home, exist_ok=True)
        self.address = None
        if identity and not os.path.exists(self.file('identity.secret')):
            self.address = world.identity(self.home)
        if planet is not None:
            shutil.copy(planet, self.file('planet'))
        if config:
            with open(self.file('orrery.toml'), 'w') as f:
                f.write(config)

    def file(self, name):
        return os.path.join(self.home, name)

    def command(self, *arguments):
        prefix = ['ip', 'netns', 'exec', self.space] if self.space else []
        return prefix + [DAEMON, '--home', self.home, '--port', str(self.port)] + list(arguments)

    def launch(self, *arguments, **options):
        """Starts the program and does not wait for it."""
        self.close()
        with open(self.log_path, 'ab') as log:
            self.process = self.world.spawn(self.command(*arguments), stdout=log, stderr=log, **options)

    def start(self, *arguments, seconds=20, **options):
        self.launch(*arguments, **options)
        self.ready(seconds)

    def ready(self, seconds=20):
        def probe():
            if self.process.poll() is not None:
                raise Failure('%s exited with code %d: %s' % (self.name, self.process.returncode, self.log_tail()))
            return self.api('GET', '/status')[0] == 200
        wait_until(probe, seconds, '%s answers its API' % self.name, 0.02)
        self.address = self.status()['address']

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def stop(self, number=signal.SIGTERM, seconds=15):
        """(exit code, seconds it took)"""
        self.close()
        begin = time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure('%s did not stop within %g s' % (self.name, seconds))
        return code, time.monotonic() - begin

    def kill(self):
        """kill -9"""
        self.close()
        self.process.kill()
        self.process.wait(15)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        try:
            return open(self.log_path, errors='replace').read()
        except FileNotFoundError:
            return ''

    def log_tail(self, lines=4):
        return ' | '.join(self.log().splitlines()[-lines:])

    # --- the API, over the Unix socket: no namespace has to be entered
    def token(self):
        return open(self.file('authtoken.secret')).read().strip()

    def api(self, method, path, body=None, timeout=10):
        """(status, decoded body or text)"""
        now = time.monotonic()
        if self.connection is not None and now - self.used > 5:
            self.close()  # the server closes what is silent for ten seconds
        self.used = now
        if self.connection is None:
            self.connection = UnixConnection(self.file('orrery.sock'), timeout)
        content = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, content, {'X-ZT1-Auth': self.token()})
            answer = self.connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def get(self, path):
        status, value = self.api('GET', path)
        equal(status, 200, '%s: GET %s' % (self.name, path))
        return value

    def post(self, path, body):
        status, value = self.api('POST', path, body)
        check(status == 200, '%s: POST %s' % (self.name, path), '%s %s' % (status, value))
        return value

    def delete(self, path):
        status, value = self.api('DELETE', path)
        equal(status, 200, '%s: DELETE %s' % (self.name, path))
        return value

    def cli(self, *arguments, check_code=True):
        prefix = ['ip', 'netns', 'exec', self.space] if self.space else []
        return run(*prefix, CLI, '-D', self.home, *arguments, check_code=check_code)

    def status(self):
        return self.get('/status')

    def online(self):
        return self.status()['online']

    def networks(self):
        return {n['id']: n for n in self.get('/network')}

    def network(self, network):
        return self.networks().get(network)

    def has_configuration(self, network):
        found = self.network(network)
        return found is not None and found['status'] == 'OK'

    def join(self, network):
        return self.post('/network/' + network, {})

    def admit(self, network, daemon, authorized=True):
        """Asked of a controller."""
        return self.post('/controller/network/%s/member/%s' % (network, daemon.address), {'authorized': authorized})

    def ip(self, network, version=4):
        for text in self.network(network)['assignedAddresses']:
            if (':' in text) == (version == 6):
                return text.split('/')[0]
        return None

    def resident_kib(self, key='VmRSS'):
        for line in open('/proc/%d/status' % self.daemon_pid()):
            if line.startswith(key + ':'):
                return int(line.split()[1])
        return 0

    def metrics(self):
        return self.get('/metrics')

    def workers(self):
        """Counters of all workers, summed up."""
        rows = self.get('/orrery/workers')
        return {key: sum(row[key] for row in rows) for key, value in rows[0].items() if isinstance(value, int)}

    def daemon_pid(self):
        return int(open(self.file('zerotier-one.pid')).read())


class Stock(Node):
    """A zerotier-one (`program`) with the calls of a daemon that tests need of it."""

    def __init__(self, world, program, name, space, planet, port=9993, local_conf=None):
        self.world, self.space, self.home, self.port = world, space, os.path.join(world.work, name), port
        os.makedirs(self.home)
        self.address = world.identity(self.home)
        with open(planet, 'rb') as source, open(os.path.join(self.home, 'planet'), 'wb') as target:
            target.write(source.read())
        if local_conf is not None:
            with open(os.path.join(self.home, 'local.conf'), 'w') as target:
                json.dump(local_conf, target)
        log = open(os.path.join(world.work, name + '.log'), 'ab')
        self.process = world.spawn(['ip', 'netns', 'exec', space, program, '-U', '-p%d' % port, self.home], stdout=log, stderr=log)
        wait_until(lambda: self.api('GET', '/status') is not None, 20, '%s answers its API' % name)

    def api(self, method, path, body=None):
        try:
            token = open(os.path.join(self.home, 'authtoken.secret')).read().strip()
        except OSError:
            return None
        done = run('ip', 'netns', 'exec', self.space, 'curl', '-s', '-X', method, '-H', 'X-ZT1-Auth: ' + token, '-d', '' if body is None else json.dumps(body),
                   'http://127.0.0.1:%d%s' % (self.port, path), check_code=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def get(self, path):
        return self.api('GET', path)

    def post(self, path, body):
        value = self.api('POST', path, body)
        if value is None:
            raise Failure('POST %s at stock' % path)
        return value

    def network(self, network):
        return next((n for n in self.get('/network') or [] if n['id'] == network), None)

    def join(self, network):
        self.post('/network/' + network, {'allowDNS': True, 'allowGlobal': True})

    def online(self):
        return self.get('/status')['online']

    def ip(self, network):
        return self.network(network)['assignedAddresses'][0].split('/')[0]

    def metrics(self):
        """Of the moment: it writes them every five seconds."""
        path = os.path.join(self.home, 'metrics.prom')
        began = time.time()
        wait_until(lambda: os.stat(path).st_mtime > began, 20, 'the next metrics', 0.2)
        time.sleep(0.2)  # it writes them in place
        return open(path).read()


def root_and_controller(world, address, space=None, port=9993):
    """(a daemon that is root and controller at this address, the planet that names it)"""
    root = world.daemon('root', space=space, port=port, config='[controller]\nenabled = true\n')
    planet = world.planet(root.home, '%s/%d' % (address, port))
    shutil.copy(planet, root.file('planet'))
    return root, planet


def controller_and_node(world):
    """A root with a controller and a node, both in a network namespace that this process has moved into: what web pages are tried with."""
    world.private_network('10.7.0.1/24')
    root, planet = root_and_controller(world, '10.7.0.1')
    root.start()
    node = world.daemon('node', port=9995, planet=planet)
    node.start()
    wait_until(node.online, 30, 'node is online')
    return root, node


def some_members(world, names, **settings):
    """(root and controller, its network 10.8.0.0/24, its members), each in a space of its own on one switch: 10.9.0.1, 10.9.0.2 and so on."""
    switch = world.switch('wan')
    spaces = {}
    for number, name in enumerate(['root'] + list(names), 1):
        spaces[name] = world.space(name)
        world.plug(spaces[name], 'wan0', switch, '10.9.0.%d/24' % number)
    root, planet = root_and_controller(world, '10.9.0.1', space=spaces['root'])
    root.start()
    network = root.address + '000001'
    root.post('/controller/network/' + network, dict({
        'private': True, 'v4AssignMode': {'zt': True},
        'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}], 'routes': [{'target': '10.8.0.0/24'}]}, **settings))
    return root, network, [member(world, root, network, name, spaces[name], planet) for name in names]


def two_members(world, **settings):
    root, network, members = some_members(world, ('one', 'two'), **settings)
    return [root, network] + members


def member(world, controller, network, name, space, planet):
    """A daemon that has joined the controller's network, was admitted, and has its configuration."""
    made = world.daemon(name, space=space, planet=planet)
    made.start()
    wait_until(made.online, 30, '%s is online' % name)
    made.join(network)
    controller.admit(network, made)
    wait_until(lambda: made.has_configuration(network), 30, '%s has its configuration' % name)
    return made


# Listens on ports over IPv6.
SERVER = '''
import socket, sys, time
made = []
for port in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('::', int(port)))
    s.listen()
    made.append(s)
print('ready', flush=True)
time.sleep(60)
'''

# Hears datagrams of this text for so many seconds and says how many, or sends so many of them.
BROADCASTS = '''
import socket, sys, time
mode, to, text, count, seconds = sys.argv[1], sys.argv[2], sys.argv[3].encode(), int(sys.argv[4]), float(sys.argv[5])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
if mode == 'hear':
    s.bind(('', 7001))
    s.settimeout(0.1)
    print('ready', flush=True)
    end, got = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            got += s.recv(2000) == text
        except socket.timeout:
            pass
    print(got)
else:
    for _ in range(count):
        s.sendto(text, (to, 7001))
        time.sleep(seconds / count)
'''


def broadcasts(world, sender, receivers, count=10, seconds=1.0, to='10.8.0.255'):
    """How many of so many broadcasts each receiver hears."""
    text = str(time.monotonic_ns())
    ears = [world.spawn(['ip', 'netns', 'exec', r.space, 'python3', '-c', BROADCASTS, 'hear', to, text, '0', str(seconds + 1.5)],
                        stdout=subprocess.PIPE, text=True) for r in receivers]
    for ear in ears:
        equal(ear.stdout.readline().strip(), 'ready', 'an ear')
    run('ip', 'netns', 'exec', sender.space, 'python3', '-c', BROADCASTS, 'say', to, text, count, seconds)
    return [int(ear.communicate(timeout=20)[0]) for ear in ears]


def ledger(daemon):
    """(in, out) of all workers, as the ledger counts them."""
    w = daemon.workers()
    drops = daemon.get('/orrery/drops')['worker']
    inside = (w['datagramsIn'] + w['framesIn'] + w['injected'] + w.get('handedFrames', 0) + w['answers'] + w['copies'] + w['regained'] +
              w['borrowed'] + w['taken'])
    outside = (w['merged'] + w['delivered'] + w['sent'] + w['punted'] + w['parked'] + w['held'] + w['lent'] +
               w['repaid'] + w['passed'] + sum(drops.values()))
    return inside, outside, {k: v for k, v in w.items() if v}, {k: v for k, v in drops.items() if v}


def check_ledger(daemon, seconds=10):
    """The ledger adds up. Counters are read while the worker goes on, so a moment of rest is waited for."""
    end = time.monotonic() + seconds
    while True:
        inside, outside, counters, drops = ledger(daemon)
        if inside == outside:
            return
        if time.monotonic() > end:
            raise Failure('%s: the ledger does not add up: %d came in, %d accounted for (%+d); %s drops %s' %
                          (daemon.name, inside, outside, outside - inside, counters, drops))
        time.sleep(0.3)


def complaints(log, allowed=()):
    """Lines of a daemon's log that tell of damage or failure."""
    pattern = re.compile(r'\b(error|critical|alarm|damaged|corrupt|does not parse|abort|assert|terminate|sanitizer)', re.I)
    return [line for line in log.splitlines() if pattern.search(line) and not any(re.search(a, line) for a in allowed)]


def threads(*targets):
    made = [threading.Thread(target=t, daemon=True) for t in targets]
    for thread in made:
        thread.start()
    return made


def main(name, cases, needs=(), setup=None, on_request=()):
    """Runs the cases one after another, or those named as arguments; long ones only `on_request`. A failed one does not stop the others."""
    require(*needs)
    chosen = sys.argv[1:]
    world = World(name)
    failures = 0
    try:
        state = setup(world) if setup else world
    except Failure as failure:
        print('FAILED  setting up: %s' % failure, flush=True)
        show_logs(world)
        sys.exit(1)
    for case in list(cases) + [c for c in on_request if c.__name__ in chosen]:
        text = (case.__doc__ or case.__name__).strip().splitlines()[0]
        if chosen and case.__name__ not in chosen:
            continue
        begin = time.monotonic()
        try:
            note = case(state)
            print('ok      %s (%.1f s)%s' % (text, time.monotonic() - begin, ': ' + note if note else ''), flush=True)
        except Exception as error:  # noqa: any failure of one case is reported and the next one runs
            failures += 1
            print('FAILED  %s (%.1f s)\n        | %s' % (text, time.monotonic() - begin, error), flush=True)
            if not isinstance(error, Failure):
                traceback.print_exc(file=sys.stdout)
    if failures:
        show_logs(world)
    print('%d of %d failed' % (failures, len(chosen or cases)), flush=True)
    world.clean()
    sys.exit(1 if failures else 0)


def show_logs(world):
    for daemon in world.daemons:
        tail = daemon.log().splitlines()[-6:]
        if tail:
            print('--- log of %s\n%s' % (daemon.name, '\n'.join(tail)), flush=True)
