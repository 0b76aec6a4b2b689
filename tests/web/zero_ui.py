#!/usr/bin/env python3
"""zero-ui, another web page for stock controllers, as it comes, in front of our controller. Run by hand, as root:

    tests/web/zero_ui.py DIR       DIR: the folder "backend" of https://github.com/dec0dOS/zero-ui, with its npm packages installed

Asks its server what its pages ask it.
"""
import os

from stock_page import Browser, main
from harness import check, equal, wait_until


def log_in(s):
    """started, logged in"""
    s.serve('bin/www.js', {'ZU_CONTROLLER_ENDPOINT': 'http://127.0.0.1:9993/', 'ZU_CONTROLLER_TOKEN': s.root.token(),
                           'ZU_DEFAULT_USERNAME': 'admin', 'ZU_DEFAULT_PASSWORD': 'zero-ui', 'LISTEN_ADDRESS': '127.0.0.1'})
    page = s.browser = Browser('http://127.0.0.1:4000')
    s.open_when_ready('/auth/login')
    wait_until(lambda: 'admin' in open(os.path.join(s.folder, 'data', 'db.json')).read(), 20, 'its user is made, after it answers')
    equal(page.ask('GET', '/auth/login')['enabled'], True, 'it asks for a password')
    page.headers['Authorization'] = 'token ' + page.ask('POST', '/auth/login', {'username': 'admin', 'password': 'zero-ui'})['token']


def create(s):
    """a network created"""
    page = s.browser
    equal(page.ask('GET', '/controller/status')['address'], s.root.address, 'it shows the controller')
    s.network = page.ask('POST', '/api/network', {'config': {'name': 'office', 'private': True}})['id']
    equal(s.record()['name'], 'office', 'the network has its name')
    check(s.network in [n['id'] for n in page.ask('GET', '/api/network')], 'it is listed')


def configure(s):
    """the network configured"""
    page, at = s.browser, '/api/network/' + s.network
    shown = page.ask('POST', at, {'description': 'a branch', 'config': {
        'name': 'branch', 'mtu': 1400, 'multicastLimit': 16, 'enableBroadcast': True,
        'v4AssignMode': {'zt': True}, 'v6AssignMode': {'zt': False, '6plane': False, 'rfc4193': True},
        'ipAssignmentPools': [{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}],
        'routes': [{'target': '10.11.12.0/24'}, {'target': '10.99.0.0/16', 'via': '10.11.12.1'}],
        'dns': {'domain': 'office.example', 'servers': ['10.11.12.53']}}})
    record = s.record()
    equal(shown['description'], 'a branch', 'what zero-ui keeps itself')
    for key in ('name', 'mtu', 'multicastLimit', 'v4AssignMode', 'v6AssignMode', 'ipAssignmentPools', 'routes', 'dns', 'rules'):
        equal(shown['config'][key], record[key], key + ' as the controller has it')
    equal(len(record['rules']), 5, 'its rules')
    equal((record['mtu'], record['multicastLimit']), (1400, 16), 'numbers')
    # Its editor sends what its own compiler made of the source.
    page.ask('POST', at, {'rulesSource': 'accept;', 'tagsByName': {}, 'capabilitiesByName': {}, 'config': {
        'rules': [{'type': 'ACTION_ACCEPT'}], 'capabilities': [], 'tags': []}})
    equal([r['type'] for r in s.record()['rules']], ['ACTION_ACCEPT'], 'rules of the editor')


def members(s):
    """a member let in, given addresses, put out, removed"""
    page, node, at = s.browser, s.node, '/api/network/%s/member/' % s.network
    node.join(s.network)
    wait_until(lambda: [m for m in page.ask('GET', at) if m['nodeId'] == node.address], 20, 'the node that asked is listed')
    s.wait_for_state('ACCESS_DENIED')
    page.ask('POST', at + node.address, {'config': {'authorized': True}})
    s.wait_for_state('OK')
    s.wait_for_address('10.11.12.3')
    page.ask('POST', at + node.address, {'name': 'laptop', 'description': 'of the branch'})
    shown = page.ask('GET', at + node.address)
    equal((shown['name'], shown['online'], shown['clientVersion'], shown['physicalAddress']), ('laptop', 1, '1.14.1', '10.7.0.1'), 'it is online')
    page.ask('POST', at + node.address, {'config': {'ipAssignments': ['10.11.12.77'], 'activeBridge': True, 'noAutoAssignIps': True}})
    s.wait_for_only('10.11.12.77/24')
    s.wait_for_bridge()
    page.ask('POST', at + node.address, {'config': {'authorized': False}})
    s.wait_for_state('ACCESS_DENIED')
    page.ask('DELETE', at + node.address)
    s.leave()
    equal(page.ask('GET', at), [], 'it is not listed any more')


def delete(s):
    """the network deleted"""
    s.browser.ask('DELETE', '/api/network/' + s.network)
    check(s.network not in s.root.get('/controller/network'), 'the network is gone')


if __name__ == '__main__':
    main('the folder "backend" of zero-ui', 'bin/www.js', [log_in, create, configure, members, delete])
