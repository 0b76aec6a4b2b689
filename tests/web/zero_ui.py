#!/usr/bin/env python3
"""zero-ui, another web page for stock controllers, as it comes, in front of our controller. Run by hand, as root:

    tests/web/zero_ui.py DIR       DIR: the folder "backend" of https://github.com/dec0dOS/zero-ui, with its npm packages installed

Starts a root with a controller, a node, and zero-ui's server in a network namespace of their own, and asks it what its pages ask it.
What it shows, what our controller says and what the node got must agree. Without the programs it exits with 77.
"""
import json
import os
import shutil
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'e2e'))
from harness import World, check, controller_and_node, equal, require, skip, wait_until  # noqa: E402

BASE = 'http://127.0.0.1:4000'


class Page:
    """One browser that has logged in."""

    def __init__(self):
        self.token = None

    def ask(self, method, path, body=None):
        headers = {'Content-Type': 'application/json'}
        if self.token:
            headers['Authorization'] = 'token ' + self.token
        request = urllib.request.Request(BASE + path, None if body is None else json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def log_in(self):
        equal(self.ask('GET', '/auth/login')['enabled'], True, 'it asks for a password')
        self.token = self.ask('POST', '/auth/login', {'username': 'admin', 'password': 'zero-ui'})['token']


def create(page, root):
    equal(page.ask('GET', '/controller/status')['address'], root.address, 'it shows the controller')
    network = page.ask('POST', '/api/network', {'config': {'name': 'office', 'private': True}})['id']
    equal(root.get('/controller/network/' + network)['name'], 'office', 'the network has its name')
    check(network in [n['id'] for n in page.ask('GET', '/api/network')], 'it is listed')
    return network


def configure(page, root, network):
    shown = page.ask('POST', '/api/network/' + network, {'description': 'a branch', 'config': {
        'name': 'branch', 'mtu': 1400, 'multicastLimit': 16, 'enableBroadcast': True,
        'v4AssignMode': {'zt': True}, 'v6AssignMode': {'zt': False, '6plane': False, 'rfc4193': True},
        'ipAssignmentPools': [{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}],
        'routes': [{'target': '10.11.12.0/24'}, {'target': '10.99.0.0/16', 'via': '10.11.12.1'}],
        'dns': {'domain': 'office.example', 'servers': ['10.11.12.53']}}})
    record = root.get('/controller/network/' + network)
    equal(shown['description'], 'a branch', 'what zero-ui keeps itself')
    for key in ('name', 'mtu', 'multicastLimit', 'v4AssignMode', 'v6AssignMode', 'ipAssignmentPools', 'routes', 'dns', 'rules'):
        equal(shown['config'][key], record[key], key + ' as the controller has it')
    equal(len(record['rules']), 5, 'its rules')
    equal((record['mtu'], record['multicastLimit']), (1400, 16), 'numbers')
    # Its editor sends what its own compiler made of the source.
    page.ask('POST', '/api/network/' + network, {'rulesSource': 'accept;', 'tagsByName': {}, 'capabilitiesByName': {}, 'config': {
        'rules': [{'type': 'ACTION_ACCEPT'}], 'capabilities': [], 'tags': []}})
    equal([r['type'] for r in root.get('/controller/network/' + network)['rules']], ['ACTION_ACCEPT'], 'rules of the editor')


def members(page, root, node, network):
    at = '/api/network/%s/member/' % network
    node.join(network)
    wait_until(lambda: [m for m in page.ask('GET', at) if m['nodeId'] == node.address], 20, 'the node that asked is listed')
    state = lambda: node.network(network)['status']  # noqa: E731
    wait_until(lambda: state() == 'ACCESS_DENIED', 20, 'it is not let in')
    page.ask('POST', at + node.address, {'config': {'authorized': True}})
    wait_until(lambda: state() == 'OK', 20, 'it is let in')
    wait_until(lambda: any(a.startswith('10.11.12.3') for a in node.network(network)['assignedAddresses']), 20, 'it has an address of the pool')
    page.ask('POST', at + node.address, {'name': 'laptop', 'description': 'of the branch'})
    shown = page.ask('GET', at + node.address)
    equal((shown['name'], shown['online'], shown['clientVersion'], shown['physicalAddress']), ('laptop', 1, '1.14.1', '10.7.0.1'), 'it is online')
    page.ask('POST', at + node.address, {'config': {'ipAssignments': ['10.11.12.77'], 'activeBridge': True, 'noAutoAssignIps': True}})
    wait_until(lambda: [a for a in node.network(network)['assignedAddresses'] if '.' in a] == ['10.11.12.77/24'], 20, 'it has another address')
    wait_until(lambda: node.network(network)['bridge'], 20, 'it is a bridge')
    page.ask('POST', at + node.address, {'config': {'authorized': False}})
    wait_until(lambda: state() == 'ACCESS_DENIED', 20, 'it is put out')
    page.ask('DELETE', at + node.address)
    node.api('DELETE', '/network/' + network)
    equal(page.ask('GET', at), [], 'it is not listed any more')


def delete(page, root, network):
    page.ask('DELETE', '/api/network/' + network)
    check(network not in root.get('/controller/network'), 'the network is gone')


def main():
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], 'bin', 'www.js')):
        skip('needs the folder "backend" of zero-ui')
    require('node')
    world = World('zero-ui')
    root, node = controller_and_node(world)
    copy = os.path.join(world.work, 'zero-ui')  # it keeps its users beside its program
    shutil.copytree(sys.argv[1], copy, symlinks=True)
    environment = dict(os.environ, ZU_CONTROLLER_ENDPOINT='http://127.0.0.1:9993/', ZU_CONTROLLER_TOKEN=root.token(),
                       ZU_DEFAULT_USERNAME='admin', ZU_DEFAULT_PASSWORD='zero-ui', LISTEN_ADDRESS='127.0.0.1')
    with open(os.path.join(world.work, 'zero-ui.log'), 'w') as log:
        world.spawn(['node', 'bin/www.js'], cwd=copy, env=environment, stdout=log, stderr=log)
    page = Page()
    wait_until(lambda: page.ask('GET', '/auth/login'), 20, 'zero-ui answers')
    page.log_in()
    print('logged in')
    network = create(page, root)
    print('created')
    configure(page, root, network)
    print('configured')
    members(page, root, node, network)
    print('a member came and went')
    delete(page, root, network)
    print('deleted: all holds')
    world.clean()


if __name__ == '__main__':
    main()
