#!/usr/bin/env python3
"""ztncui, a web page for stock controllers, as it comes, in front of our controller. Run by hand, as root:

    tests/web/ztncui.py DIR        DIR: the folder "src" of https://github.com/key-networks/ztncui, with its npm packages installed

Starts a root with a controller, a node, and ztncui in a network namespace of their own, and uses ztncui by the forms and links that
its pages have. What it shows, what our controller says and what the node got must agree. Without the programs it exits with 77.
"""
import http.cookiejar
import os
import re
import shutil
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'e2e'))
from harness import World, check, controller_and_node, equal, require, skip, wait_until  # noqa: E402

PORT = 3000
BASE = 'http://127.0.0.1:%d' % PORT


class Page:
    """One browser: follows redirects and keeps cookies."""

    def __init__(self):
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, path, form=None):
        data = None if form is None else urllib.parse.urlencode(form).encode()
        with self.opener.open(BASE + path, data, timeout=10) as answer:
            text = answer.read().decode()
            self.at = urllib.parse.urlparse(answer.url).path
        # Its pages show errors of the controller as "Error …".
        check(not re.search(r'>\s*Error', text), '%s: ztncui shows an error' % path, text[-600:])
        return text

    def send(self, path, form):
        """What its pages send in the background, and ztncui never answers."""
        try:
            self.opener.open(BASE + path, urllib.parse.urlencode(form).encode(), timeout=1)
        except TimeoutError:
            pass


def log_in(page):
    page.open('/login', {'username': 'admin', 'password': 'password'})
    equal(page.at, '/users/admin/password', 'the first log-in asks for a new password')
    page.open(page.at, {'username': 'admin', 'password1': 'a-good-password', 'password2': 'a-good-password', 'pass_set': 'check'})
    page.open('/controller')


def create(page, root):
    page.open('/controller/network/create', {'name': 'office'})
    network = page.at.rsplit('/', 1)[1]
    equal(root.get('/controller/network/' + network)['name'], 'office', 'the network has its name')
    check(network in page.open('/controller/networks'), 'it is listed')
    return network


def configure(page, root, network):
    at = '/controller/network/' + network
    page.open(at + '/easy', {'networkCIDR': '10.11.12.0/24', 'poolStart': '10.11.12.10', 'poolEnd': '10.11.12.20'})
    page.open(at + '/ipAssignmentPools', {'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'})
    page.open(at + '/ipAssignmentPools/10.11.12.10/10.11.12.20/delete')
    page.open(at + '/routes', {'target': '10.99.0.0/16', 'via': '10.11.12.1'})
    page.open(at + '/routes', {'target': '10.98.0.0/16', 'via': ''})
    page.open(at + '/routes/10.98.0.0/16/delete')
    page.open(at + '/dns', {'domain': 'office.example', 'servers': '10.11.12.53\n10.11.12.54'})
    page.open(at + '/v6AssignMode', {'6plane': 'false', 'rfc4193': 'true', 'zt': 'false'})
    page.open(at + '/private', {'private': 'true'})
    page.open(at + '/name', {'name': 'branch'})
    record = root.get(at)
    equal(record['name'], 'branch', 'name')
    equal(record['private'], True, 'private')
    equal(record['ipAssignmentPools'], [{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}], 'pools')
    equal(sorted((r['target'], r['via']) for r in record['routes']), [('10.11.12.0/24', None), ('10.99.0.0/16', '10.11.12.1')], 'routes')
    equal(record['dns'], {'domain': 'office.example', 'servers': ['10.11.12.53', '10.11.12.54']}, 'dns')
    equal((record['v4AssignMode'], record['v6AssignMode']), ({'zt': True}, {'6plane': False, 'rfc4193': True, 'zt': False}), 'modes')
    for view in ('easy', 'routes', 'ipAssignmentPools', 'v4AssignMode', 'v6AssignMode', 'dns', 'private', 'rules'):
        page.open(at + '/' + view)


def members(page, root, node, network):
    at = '/controller/network/' + network
    node.join(network)
    wait_until(lambda: node.address in page.open(at), 20, 'the node that asked is listed')
    state = lambda: node.network(network)['status']  # noqa: E731
    wait_until(lambda: state() == 'ACCESS_DENIED', 20, 'it is not let in')
    page.open(at + '/member/' + node.address)
    page.send(at + '/members', {'id': node.address, 'auth': 'true'})
    wait_until(lambda: state() == 'OK', 20, 'it is let in')
    wait_until(lambda: any(a.startswith('10.11.12.3') for a in node.network(network)['assignedAddresses']), 20, 'it has an address of the pool')
    check(any(a.startswith('fd') for a in node.network(network)['assignedAddresses']), 'and one by RFC 4193')
    equal(node.network(network)['dns']['domain'], 'office.example', 'its node knows the domain')
    page.open(at + '/member/%s/ipAssignments' % node.address, {'ipAddress': '10.11.12.77'})
    wait_until(lambda: '10.11.12.77/24' in node.network(network)['assignedAddresses'], 20, 'it has the address that was assigned')
    page.open(at + '/member/%s/ipAssignments/0/delete' % node.address)
    wait_until(lambda: [a for a in node.network(network)['assignedAddresses'] if '.' in a] == ['10.11.12.77/24'], 20, 'and that alone')
    text = page.open(at)
    check('10.11.12.77' in text and 'checked' in text, 'the page of the network shows member and address')
    page.send(at + '/members', {'id': node.address, 'activeBridge': 'true'})
    wait_until(lambda: node.network(network)['bridge'], 20, 'it is a bridge')
    page.send(at + '/members', {'id': node.address, 'auth': 'false'})
    wait_until(lambda: state() == 'ACCESS_DENIED', 20, 'it is put out')
    page.open(at + '/member/%s/delete' % node.address)
    page.open(at + '/member/%s/delete' % node.address, {})
    node.api('DELETE', '/network/' + network)


def delete(page, root, network):
    page.open('/controller/network/%s/delete' % network)
    page.open('/controller/network/%s/delete' % network, {})
    check(network not in root.get('/controller/network'), 'the network is gone')


def main():
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], 'bin', 'www')):
        skip('needs the folder "src" of ztncui')
    require('node')
    world = World('ztncui')
    root, node = controller_and_node(world)
    copy = os.path.join(world.work, 'ztncui')  # it keeps its users beside its program
    shutil.copytree(sys.argv[1], copy, symlinks=True)
    shutil.copy(os.path.join(copy, 'etc', 'default.passwd'), os.path.join(copy, 'etc', 'passwd'))
    environment = dict(os.environ, ZT_TOKEN=root.token(), ZT_ADDR='127.0.0.1:9993', HTTP_PORT=str(PORT))
    with open(os.path.join(world.work, 'ztncui.log'), 'w') as log:
        world.spawn(['node', 'bin/www'], cwd=copy, env=environment, stdout=log, stderr=log)
    page = Page()
    wait_until(lambda: page.open('/'), 20, 'ztncui answers')
    log_in(page)
    print('logged in')
    network = create(page, root)
    print('created')
    configure(page, root, network)
    print('configured')
    members(page, root, node, network)
    print('members let in, given addresses, put out')
    delete(page, root, network)
    print('deleted')
    world.clean()


if __name__ == '__main__':
    main()
