#!/usr/bin/env python3
"""A controller and its members as programs: what is put out hears it at once, events, webhooks, tokens, records as files."""
import http.server
import json
import os
import shutil
import subprocess
import threading
import time

from harness import CLI, CLONE_NEWNET, LIBC, UnixConnection, check, equal, main, member, root_and_controller, run, wait_until


class Scene:
    def __init__(self, world):
        self.world = world
        lan = world.switch('lan')
        spaces = {}
        for number, name in enumerate(['root', 'one', 'two'], 1):
            spaces[name] = world.space(name)
            world.plug(spaces[name], 'wan0', lan, '10.7.0.%d/24' % number)
        self.root, self.planet = root_and_controller(world, '10.7.0.1', space=spaces['root'])
        self.root.start()
        self.network = self.root.address + '000001'
        self.root.post('/controller/network/' + self.network, {
            'name': 'e2e', 'private': True, 'v4AssignMode': {'zt': True}, 'routes': [{'target': '10.8.0.0/24'}],
            'ipAssignmentPools': [{'ipRangeStart': '10.8.0.10', 'ipRangeEnd': '10.8.0.99'}]})
        self.one = member(world, self.root, self.network, 'one', spaces['one'], self.planet)
        self.two = member(world, self.root, self.network, 'two', spaces['two'], self.planet)

    def cli(self, *arguments, check_code=True):
        return run('ip', 'netns', 'exec', self.root.space, CLI, '-D', self.root.home, 'controller', *arguments, check_code=check_code)


def v1(s, method, path, body=None, headers=None):
    connection = UnixConnection(s.root.file('orrery.sock'), 10)
    fields = {'X-ZT1-Auth': s.root.token()}
    fields.update(headers or {})
    connection.request(method, '/api/v1' + path, None if body is None else json.dumps(body), fields)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if text else None, dict(answer.getheaders())


def put_out(s):
    """a member that is put out hears it within a second, and so do the others; authorised again it is back at once"""
    path = '/networks/%s/members/%s' % (s.network, s.one.address)
    begin = time.monotonic()
    equal(v1(s, 'PATCH', path, {'authorized': False})[0], 200, 'PATCH')
    wait_until(lambda: s.one.network(s.network)['status'] == 'ACCESS_DENIED', 1, 'the member says that it is out', 0.02)
    told = time.monotonic() - begin
    begin = time.monotonic()
    equal(v1(s, 'PATCH', path, {'authorized': True})[0], 200, 'PATCH')
    wait_until(lambda: s.one.network(s.network)['status'] == 'OK', 2, 'the member is in again', 0.02)
    return 'out after %.2f s, in after %.2f s' % (told, time.monotonic() - begin)


def etags(s):
    """ETags travel by HTTP: 304, 412, and a location of what is made"""
    path = '/networks/' + s.network
    status, body, headers = v1(s, 'GET', path)
    equal((status, body['name']), (200, 'e2e'), 'GET')
    equal(v1(s, 'GET', path, headers={'If-None-Match': headers['ETag']})[0], 304, 'GET of what has not changed')
    equal(v1(s, 'PATCH', path, {'name': 'e2e'}, headers={'If-Match': '"1-1"'})[0], 412, 'PATCH of another revision')
    equal(v1(s, 'PATCH', path, {'name': 7})[1]['error']['path'], '$.name', 'place of a wrong type')
    status, body, headers = v1(s, 'POST', '/networks', {'name': 'x'})
    equal((status, headers['Location']), (201, '/api/v1/networks/' + body['id']), 'POST')
    equal(v1(s, 'DELETE', '/networks/' + body['id'])[0], 204, 'DELETE')


def tokens(s):
    """a token made by the command line reads its network and no more"""
    made = json.loads(s.cli('token', 'create', 'reader', '--network', s.network).stdout)
    other = json.loads(s.cli('network', 'new').stdout)['id']
    def as_reader(*arguments):
        return run('ip', 'netns', 'exec', s.root.space, CLI, '-D', s.root.home, '-T', made['token'], 'controller', *arguments, check_code=False)
    equal([n['id'] for n in json.loads(as_reader('networks', '--long').stdout)], [s.network], 'networks')
    equal(len(json.loads(as_reader('members', s.network, '--authorized', 'true').stdout)), 2, 'members')
    denied = as_reader('token', 'create', 'mine')
    equal(denied.returncode, 1, 'exit code')
    check('admin' in denied.stderr, 'says what it takes', denied.stderr)
    equal(as_reader('addresses', other).returncode, 1, 'exit code for another network')
    equal(as_reader('network', s.network).returncode, 1, 'exit code of a stock path')
    s.cli('token', 'delete', made['id'])
    check('401' in as_reader('status').stderr, 'taken back')


def events(s):
    """events come over the stream and to a webhook while they happen"""
    received = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.headers['X-Orrery-Event'], json.loads(self.rfile.read(int(self.headers['Content-Length'])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    # The receiver is a process of the root's namespace: run in it by a thread that has moved there.
    ready = threading.Event()
    port = []

    def serve():
        with open('/run/netns/' + s.root.space) as space:
            LIBC.setns(space.fileno(), CLONE_NEWNET)
        server = http.server.HTTPServer(('127.0.0.1', 0), Hook)
        port.append(server.server_address[1])
        ready.set()
        server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    ready.wait(5)
    hook = json.loads(s.cli('webhook', 'create', 'test', 'http://127.0.0.1:%d/' % port[0], '--type', 'member.changed').stdout)
    listener = s.world.spawn(['ip', 'netns', 'exec', s.root.space, CLI, '-D', s.root.home, '-j', 'controller', 'events', '--network', s.network],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    s.cli('member', s.network, s.two.address, '--set', '{"name":"two"}')
    line = json.loads(listener.stdout.readline())
    equal((line['type'], line['member'], line['changes']['name']['to']), ('member.changed', s.two.address, 'two'), 'event')
    wait_until(lambda: received, 5, 'the webhook is called')
    equal((received[0][0], received[0][1]['id']), ('member.changed', line['id']), 'delivery')
    wait_until(lambda: json.loads(s.cli('webhooks').stdout)['data'][0]['delivered'] == 1, 5, 'counted')
    listener.terminate()
    s.cli('webhook', 'delete', hook['id'])
    actors = {(e['actor'], e['type']) for e in json.loads(s.cli('audit', '--count', '5').stdout)}
    check(('local', 'webhook.deleted') in actors, 'audit log', actors)


def bulk(s):
    """a thousand and more members at once"""
    path = os.path.join(s.world.work, 'bulk.json')
    with open(path, 'w') as f:
        json.dump([{'member': '%010x' % (0x3300000000 + i), 'set': {'authorized': True}} for i in range(1100)], f)
    done = json.loads(s.cli('bulk', s.network, path).stdout)
    equal(len(done), 1100, 'results')
    equal(v1(s, 'GET', '/networks/' + s.network)[1]['members']['authorized'], 1102, 'authorised members')


def files(s):
    """export and import: another controller has the same records"""
    out = os.path.join(s.world.work, 'export')
    s.cli('export', out)
    equal(s.cli('export', out, check_code=False).returncode, 1, 'exit code when it is there')
    home = os.path.join(s.world.work, 'copy')
    os.makedirs(home, mode=0o700)
    for name in ('identity.secret', 'identity.public'):
        shutil.copy(s.root.file(name), home)
    run(CLI, '-D', home, 'controller', 'import', out)
    equal(run(CLI, '-D', home, 'controller', 'import', out, check_code=False).returncode, 1, 'exit code when it is not empty')
    run(CLI, '-D', home, 'controller', 'import', '--replace', out)
    copy = s.world.daemon('copy', space=s.two.space, port=9995, home=home, config='[controller]\nenabled = true\n')
    copy.start()
    for path in ('/controller/network', '/unstable/controller/network/%s/member' % s.network):
        ours, theirs = s.root.get(path), copy.get(path)
        equal(theirs, ours, path)
    running = run(CLI, '-D', s.root.home, 'controller', 'import', '--replace', out, check_code=False)
    equal(running.returncode, 1, 'exit code while the daemon runs')
    check('another process' in running.stderr, 'says why', running.stderr)
    equal(copy.stop()[0], 0, 'exit code')


if __name__ == '__main__':
    main('controller', [put_out, etags, tokens, events, bulk, files], setup=Scene)
