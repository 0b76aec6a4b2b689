#!/usr/bin/env python3
"""ztncui, a web page for stock controllers, as it comes, in front of our controller. Run by hand, as root:

    tests/web/ztncui.py DIR        DIR: the folder "src" of https://github.com/key-networks/ztncui, with its npm packages installed

Uses it by the forms and links that its pages have.
"""
import os
import re
import shutil

from stock_page import Browser, main
from harness import check, equal, wait_until


class Page(Browser):
    def open(self, path, data=None, method=None, timeout=10):
        text = super().open(path, data, method, timeout)
        # Its pages show errors of the controller as "Error …".
        check(not re.search(r'>\s*Error', text), '%s: ztncui shows an error' % path, text[-600:])
        return text

    def send(self, path, form):
        """What its pages send in the background, and ztncui never answers."""
        try:
            self.submit(path, form, timeout=1)
        except TimeoutError:
            pass


def log_in(s):
    """started, logged in"""
    shutil.copy(os.path.join(s.folder, 'etc', 'default.passwd'), os.path.join(s.folder, 'etc', 'passwd'))
    s.serve('bin/www', {'ZT_TOKEN': s.root.token(), 'ZT_ADDR': '127.0.0.1:9993', 'HTTP_PORT': '3000'})
    page = s.browser = Page('http://127.0.0.1:3000')
    s.open_when_ready('/')
    page.submit('/login', {'username': 'admin', 'password': 'password'})
    equal(page.at, '/users/admin/password', 'the first log-in asks for a new password')
    page.submit(page.at, {'username': 'admin', 'password1': 'a-good-password', 'password2': 'a-good-password', 'pass_set': 'check'})
    page.open('/controller')


def create(s):
    """a network created"""
    page = s.browser
    page.submit('/controller/network/create', {'name': 'office'})
    s.network = page.at.rsplit('/', 1)[1]
    equal(s.record()['name'], 'office', 'the network has its name')
    check(s.network in page.open('/controller/networks'), 'it is listed')


def configure(s):
    """the network configured"""
    page, at = s.browser, '/controller/network/' + s.network
    page.submit(at + '/easy', {'networkCIDR': '10.11.12.0/24', 'poolStart': '10.11.12.10', 'poolEnd': '10.11.12.20'})
    page.submit(at + '/ipAssignmentPools', {'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'})
    page.open(at + '/ipAssignmentPools/10.11.12.10/10.11.12.20/delete')
    page.submit(at + '/routes', {'target': '10.99.0.0/16', 'via': '10.11.12.1'})
    page.submit(at + '/routes', {'target': '10.98.0.0/16', 'via': ''})
    page.open(at + '/routes/10.98.0.0/16/delete')
    page.submit(at + '/dns', {'domain': 'office.example', 'servers': '10.11.12.53\n10.11.12.54'})
    page.submit(at + '/v6AssignMode', {'6plane': 'false', 'rfc4193': 'true', 'zt': 'false'})
    page.submit(at + '/private', {'private': 'true'})
    page.submit(at + '/name', {'name': 'branch'})
    record = s.record()
    equal(record['name'], 'branch', 'name')
    equal(record['private'], True, 'private')
    equal(record['ipAssignmentPools'], [{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}], 'pools')
    equal(sorted((r['target'], r['via']) for r in record['routes']), [('10.11.12.0/24', None), ('10.99.0.0/16', '10.11.12.1')], 'routes')
    equal(record['dns'], {'domain': 'office.example', 'servers': ['10.11.12.53', '10.11.12.54']}, 'dns')
    equal((record['v4AssignMode'], record['v6AssignMode']), ({'zt': True}, {'6plane': False, 'rfc4193': True, 'zt': False}), 'modes')
    for view in ('easy', 'routes', 'ipAssignmentPools', 'v4AssignMode', 'v6AssignMode', 'dns', 'private', 'rules'):
        page.open(at + '/' + view)


def members(s):
    """a member let in, given addresses, put out, removed"""
    page, node, at = s.browser, s.node, '/controller/network/' + s.network
    node.join(s.network)
    wait_until(lambda: node.address in page.open(at), 20, 'the node that asked is listed')
    s.wait_for_state('ACCESS_DENIED')
    page.open(at + '/member/' + node.address)
    page.send(at + '/members', {'id': node.address, 'auth': 'true'})
    s.wait_for_state('OK')
    s.wait_for_address('10.11.12.3')
    s.wait_for_address('fd')
    equal(node.network(s.network)['dns']['domain'], 'office.example', 'its node knows the domain')
    page.submit(at + '/member/%s/ipAssignments' % node.address, {'ipAddress': '10.11.12.77'})
    s.wait_for_address('10.11.12.77/24')
    page.open(at + '/member/%s/ipAssignments/0/delete' % node.address)
    s.wait_for_only('10.11.12.77/24')
    text = page.open(at)
    check('10.11.12.77' in text and 'checked' in text, 'the page of the network shows member and address')
    page.send(at + '/members', {'id': node.address, 'activeBridge': 'true'})
    s.wait_for_bridge()
    page.send(at + '/members', {'id': node.address, 'auth': 'false'})
    s.wait_for_state('ACCESS_DENIED')
    page.open(at + '/member/%s/delete' % node.address)
    page.submit(at + '/member/%s/delete' % node.address, {})
    s.leave()


def delete(s):
    """the network deleted"""
    s.browser.open('/controller/network/%s/delete' % s.network)
    s.browser.submit('/controller/network/%s/delete' % s.network, {})
    check(s.network not in s.root.get('/controller/network'), 'the network is gone')


if __name__ == '__main__':
    main('the folder "src" of ztncui', 'bin/www', [log_in, create, configure, members, delete])
