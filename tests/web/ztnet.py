#!/usr/bin/env python3
"""ztnet, a third web page for stock controllers, as it comes, in front of our controller. Run by hand, as root:

    tests/web/ztnet.py DIR         DIR: a clone of https://github.com/sinamics/ztnet that was built, by its own means or tests/web/build_ztnet

Starts a PostgreSQL for it, and asks its server what its pages ask, and what its own API for programs offers. Where PLAYWRIGHT names the
folder of playwright-core, and there is a Chromium, it uses the pages themselves, too.
"""
import glob
import json
import os
import shutil
import sys
import urllib.parse

from stock_page import Browser, main
from harness import check, equal, run, wait_until
from postgres_server import PostgresServer

PLAYWRIGHT = os.environ.get('PLAYWRIGHT')
CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium')
USER = {'email': 'admin@office.example', 'password': 'A-good-password-1'}
# ztnet finds token, identity and planet where a stock controller keeps them, and the program that makes planets where its own image has it.
STOCK_HOME = '''
mount -t tmpfs none /var/lib
mkdir /var/lib/zerotier-one
mount --bind "$0" /var/lib/zerotier-one
mount -t tmpfs none /usr/local/bin
cp ztnodeid/build/linux_amd64/ztmkworld /usr/local/bin
exec "$@"
'''
FLOW = """
drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;
tag department id 1000 enum 100 sales enum 200 engineering default sales;
cap superuser id 2000 accept; ;
drop not chr ipauth;
accept;
"""


class Page(Browser):
    """Its pages call procedures by name; arguments and results are JSON, each in an envelope."""

    def call(self, method, procedure, arguments, query=''):
        answer = self.ask(method, '/api/trpc/%s?batch=1%s' % (procedure, query), arguments)
        return answer[0]['result']['data']['json']

    def get(self, procedure, /, **arguments):
        envelope = json.dumps({'0': {'json': arguments or None}})
        return self.call('GET', procedure, None, '&input=' + urllib.parse.quote(envelope))

    def do(self, procedure, /, **arguments):
        return self.call('POST', procedure, {'0': {'json': arguments}})


def log_in(s):
    """started, the first user made and logged in"""
    shutil.copytree(os.path.join(sys.argv[1], '.next', 'static'), os.path.join(s.folder, '.next', 'static'))
    s.server = PostgresServer(s.world, 'ztnet')
    for file in sorted(glob.glob(os.path.join(s.folder, 'prisma', 'migrations', '*', 'migration.sql'))):
        run(os.path.join(s.server.bin, 'psql'), '-q', '-v', 'ON_ERROR_STOP=1', '-h', s.server.directory, '-U', 'postgres', '-f', file, 'ztnet')
    s.serve('server.js', {
        'NODE_ENV': 'production', 'NEXT_TELEMETRY_DISABLED': '1', 'HOSTNAME': '127.0.0.1', 'PORT': '3000',
        'NEXTAUTH_URL': 'http://127.0.0.1:3000', 'NEXTAUTH_SECRET': '0123456789abcdef' * 2,
        'DATABASE_URL': 'postgresql://postgres@localhost/ztnet?host=' + s.server.directory, 'ZT_ADDR': 'http://127.0.0.1:9993'},
            within=['unshare', '--mount', 'sh', '-ec', STOCK_HOME, s.root.home])
    page = s.browser = Page('http://127.0.0.1:3000')
    s.open_when_ready('/auth/login')
    page.do('auth.register', name='admin', ztnetInvitationCode='', **USER)
    page.headers['Origin'] = page.base
    page.ask('POST', '/api/auth/sign-in/email', USER)
    me = page.get('auth.me')
    equal((me['email'], me['role']), (USER['email'], 'ADMIN'), 'the first user is the administrator')
    s.user = me['id']


def status(s):
    """the page of the controller"""
    shown = s.browser.get('admin.getControllerStats')
    equal((shown['networkCount'], shown['totalMembers'], shown['assignedIPs']), (0, 0, []), 'counts')
    own = s.root.status()
    for key in ('address', 'online', 'tcpFallbackActive', 'version', 'publicIdentity'):
        equal(shown['controllerStatus'][key], own[key], key)


def create(s):
    """a network created"""
    page = s.browser
    made = page.do('network.createNetwork', central=False)
    s.network = made['nwid']
    record = s.record()
    for key in ('id', 'nwid', 'name', 'private', 'mtu', 'routes', 'ipAssignmentPools', 'v4AssignMode', 'creationTime', 'revision'):
        equal(made[key], record[key], key)
    equal((record['private'], record['v4AssignMode']), (True, {'zt': True}), 'a private network with addresses')
    check(record['name'] and record['routes'][0]['target'].endswith('/24'), 'with the name and the route that ztnet chose', record)
    equal([n['nwid'] for n in page.get('network.getUserNetworks', central=False)], [s.network], 'it is listed')
    equal(shown_network(s)['name'], record['name'], 'it is shown')


def shown_network(s):
    return s.browser.get('network.getNetworkById', nwid=s.network, central=False)['network']


def shown_routes(s):
    return [{'target': r['target'], 'via': r['via']} for r in shown_network(s)['routes']]


def configure(s):
    """the network configured"""
    page = s.browser

    def change(procedure, /, **parameters):
        page.do('network.' + procedure, nwid=s.network, central=False, updateParams=parameters)
        return s.record()

    equal(change('networkName', name='branch')['name'], 'branch', 'name')
    change('networkDescription', description='a branch')
    equal(change('privatePublicNetwork', private=False)['private'], False, 'public')
    equal(change('privatePublicNetwork', private=True)['private'], True, 'private')
    equal(change('enableIpv4AutoAssign', v4AssignMode={'zt': False})['v4AssignMode'], {'zt': False}, 'no addresses')
    record = change('easyIpAssignment', routes=[{'target': '10.11.12.0/24'}])
    equal((record['routes'], record['ipAssignmentPools'], record['v4AssignMode']),
          ([{'target': '10.11.12.0/24', 'via': None}], [{'ipRangeStart': '10.11.12.1', 'ipRangeEnd': '10.11.12.254'}], {'zt': True}), 'easy')
    # Adds the route that covers the pool, instead of one with the same start.
    record = change('advancedIpAssignment', ipAssignmentPools=[{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}])
    equal(record['ipAssignmentPools'], [{'ipRangeStart': '10.11.12.30', 'ipRangeEnd': '10.11.12.40'}], 'pools')
    equal(record['routes'], [{'target': '10.11.12.0/26', 'via': None}], 'the route of the pool')
    # Routes are sent as its form has them: all that are shown, one with another gateway than an address, one with none.
    routes = [{'target': '10.11.12.0/24', 'via': ''}, {'target': '10.98.0.0/16', 'via': 'lan'}, {'target': '10.99.0.0/16', 'via': '10.11.12.1'}]
    expected = [{'target': r['target'], 'via': r['via'] if '.' in r['via'] else None} for r in routes]
    equal(change('managedRoutes', routes=routes)['routes'], expected, 'routes')
    equal(shown_routes(s), expected, 'routes as shown')
    last = next(r for r in shown_network(s)['routes'] if r['target'] == '10.99.0.0/16')
    change('managedRoutes', routeId=last['id'], note='the laboratory')
    equal(s.record()['routes'], expected, 'a note changes no route')
    change('managedRoutes', routeId=last['id'], via='10.11.12.2')
    change('managedRoutes', routes=[r for r in shown_routes(s) if r['target'] != '10.98.0.0/16'])
    expected = [{'target': '10.11.12.0/24', 'via': None}, {'target': '10.99.0.0/16', 'via': '10.11.12.2'}]
    equal(sorted(s.record()['routes'], key=lambda r: r['target']), expected, 'a route removed, another gateway')
    equal(sorted(shown_routes(s), key=lambda r: r['target']), expected, 'as shown')
    page.do('network.ipv6', nwid=s.network, central=False, v6AssignMode={'rfc4193': True})
    page.do('network.ipv6', nwid=s.network, central=False, v6AssignMode={'6plane': True})
    equal(s.record()['v6AssignMode'], {'6plane': True, 'rfc4193': True, 'zt': False}, 'IPv6 modes')
    page.do('network.ipv6', nwid=s.network, central=False, v6AssignMode={'6plane': False})
    dns = {'domain': 'office.example', 'servers': ['10.11.12.53', '10.11.12.54']}
    equal(change('dns', dns=dns)['dns'], dns, 'DNS')
    equal(change('dns', clearDns=True)['dns'], {'domain': '', 'servers': []}, 'no DNS')
    change('dns', dns=dns)
    change('multiCast', multicastLimit=16)
    change('multiCast', enableBroadcast=False)
    record = change('mtu', mtu=1400)
    equal((record['multicastLimit'], record['enableBroadcast'], record['mtu']), (16, False, 1400), 'multicast and MTU')
    change('multiCast', enableBroadcast=True)
    shown = shown_network(s)
    for key in ('name', 'private', 'mtu', 'multicastLimit', 'enableBroadcast', 'v4AssignMode', 'v6AssignMode', 'ipAssignmentPools', 'dns', 'rules',
                'revision'):
        equal(shown[key], s.record()[key], key + ' as shown')
    equal(shown['description'], 'a branch', 'what ztnet keeps itself')


def rules(s):
    """rules, a tag and a capability"""
    s.browser.do('network.setFlowRule', nwid=s.network, central=False, updateParams={'flowRoute': FLOW})
    record = s.record()
    equal([r['type'] for r in record['rules']],
          ['MATCH_ETHERTYPE'] * 3 + ['ACTION_DROP', 'MATCH_CHARACTERISTICS', 'ACTION_DROP', 'ACTION_ACCEPT'], 'rules')
    equal(record['tags'], [{'id': 1000, 'default': 100}], 'tags')
    equal([(c['id'], [r['type'] for r in c['rules']]) for c in record['capabilities']], [(2000, ['ACTION_ACCEPT'])], 'capabilities')
    equal(s.browser.do('network.getFlowRule', nwid=s.network, central=False), FLOW, 'the source as shown')
    shown = shown_network(s)
    equal((shown['tagsByName']['department']['id'], shown['capabilitiesByName']), (1000, {'superuser': 2000}), 'what its pages choose from')


def shown_members(s):
    answer = s.browser.get('network.getNetworkMembers', nwid=s.network, central=False, page=0, pageSize=50, sortBy='id')
    return {m['id']: m for m in answer['members']}


def wait_for_shown(s, text, **expected):
    """Its list is that of its database, which follows the revisions of our members."""
    wait_until(lambda: all(shown_members(s).get(s.node.address, {}).get(k) == v for k, v in expected.items()), 20, text)


def update(s, **parameters):
    """Sends a change of the member as its pages do."""
    s.browser.do('networkMember.Update', nwid=s.network, memberId=s.node.address, central=False, updateParams=parameters)
    record = s.member()
    for key, value in parameters.items():
        equal(record[key], value, key)


def shown_member(s):
    return s.browser.get('networkMember.getMemberById', nwid=s.network, id=s.node.address, central=False)


def let_in(s):
    """a member seen, let in, named"""
    s.node.join(s.network)
    wait_until(lambda: s.node.address in shown_members(s), 20, 'the node that asked is listed')
    wait_for_shown(s, 'as one that is not let in', authorized=False, ipAssignments=[])
    s.wait_for_state('ACCESS_DENIED')
    update(s, authorized=True)
    s.wait_for_state('OK')
    s.wait_for_address('10.11.12.3')
    s.wait_for_address('fd')
    state = s.node.network(s.network)
    equal((state['dns']['domain'], state['mtu'], state['name']), ('office.example', 1400, 'branch'), 'the node has the settings')
    wait_for_shown(s, 'its address is shown', ipAssignments=s.member()['ipAssignments'], authorized=True)
    update(s, name='laptop')
    s.browser.do('networkMember.UpdateDatabaseOnly', nwid=s.network, id=s.node.address, central=False, updateParams={'description': 'of the branch'})
    wait_for_shown(s, 'name and path are shown', name='laptop', description='of the branch', physicalAddress='10.7.0.1/9995')
    shown = shown_members(s)[s.node.address]
    equal((shown['conStatus'], shown['peers']['version'], shown['peers']['role']), (2, '1.14.1', 'LEAF'), 'it is seen in its own LAN')
    wait_for_shown(s, 'it is online', online=True)


def change(s):
    """a member given addresses, a tag and a capability, made a bridge"""
    update(s, ipAssignments=s.member()['ipAssignments'] + ['10.11.12.77'])
    s.wait_for_address('10.11.12.77/24')
    update(s, ipAssignments=['10.11.12.77'], noAutoAssignIps=True)
    s.wait_for_only('10.11.12.77/24')
    update(s, activeBridge=True)
    s.wait_for_bridge()
    update(s, capabilities=[2000])
    s.browser.do('networkMember.Tags', nwid=s.network, memberId=s.node.address, central=False, updateParams={'tags': [[1000, 200]]})
    equal(s.member()['tags'], [[1000, 200]], 'tags')
    shown, record = shown_member(s), s.member()
    for key in ('id', 'address', 'nwid', 'authorized', 'activeBridge', 'noAutoAssignIps', 'ipAssignments', 'tags', 'capabilities', 'identity',
                'creationTime', 'revision', 'vMajor', 'vMinor', 'vRev', 'vProto', 'lastAuthorizedTime', 'lastDeauthorizedTime', 'name'):
        equal(shown[key], record[key], key + ' as shown')
    update(s, activeBridge=False)
    # Changes that were not made by ztnet are found by the member's revision.
    s.root.post('/controller/network/%s/member/%s' % (s.network, s.node.address), {'ipAssignments': ['10.11.12.78']})
    wait_for_shown(s, 'an address given elsewhere is shown', ipAssignments=['10.11.12.78'], noAutoAssignIps=True, activeBridge=False)


def put_out(s):
    """a member put out, stashed, brought back, removed"""
    page, node = s.browser, s.node
    update(s, authorized=False)
    s.wait_for_state('ACCESS_DENIED')
    wait_for_shown(s, 'it is shown as put out', authorized=False)
    update(s, authorized=True)
    s.wait_for_state('OK')
    page.do('networkMember.stash', nwid=s.network, id=node.address)
    s.wait_for_state('ACCESS_DENIED')
    record = s.member()
    equal((record['authorized'], record['ipAssignments'], record['tags'], record['capabilities']), (False, [], [], []), 'it has nothing left')
    equal(shown_members(s), {}, 'it is not listed')
    stashed = page.get('network.getNetworkById', nwid=s.network, central=False)['zombieMembers']
    equal([m['id'] for m in stashed], [node.address], 'it is among those put aside')
    page.do('networkMember.UpdateDatabaseOnly', nwid=s.network, id=node.address, central=False, updateParams={'deleted': False})
    wait_until(lambda: node.address in shown_members(s), 20, 'it is back')
    s.leave()
    page.do('networkMember.delete', nwid=s.network, id=node.address, central=False)
    equal(s.root.get('/controller/network/%s/member' % s.network), {}, 'the controller has it no more')
    equal(shown_members(s), {}, 'ztnet neither')
    # Known before it asks: let in by its number alone.
    page.do('networkMember.create', nwid=s.network, id=node.address, central=False)
    update(s, authorized=True, noAutoAssignIps=False)
    node.join(s.network)
    s.wait_for_state('OK')


def adopt(s):
    """a network that was made elsewhere"""
    other = s.root.address + '0000ff'
    s.root.post('/controller/network/' + other, {'name': 'elsewhere'})
    found = s.browser.get('admin.unlinkedNetwork', getDetails=True)
    equal([(n['network']['nwid'], n['network']['name'], n['members']) for n in found], [(other, 'elsewhere', [])], 'it is found')
    s.browser.do('admin.assignNetworkToUser', userId=s.user, nwid=other, nwname='elsewhere')
    equal(s.browser.get('network.getNetworkById', nwid=other, central=False)['network']['name'], 'elsewhere', 'it is shown')
    s.browser.do('network.deleteNetwork', nwid=other, central=False)


def programs(s):
    """its API for programs"""
    page = s.browser
    page.headers['x-ztnet-auth'] = page.do('auth.addApiToken', name='a program', daysToExpire='1', apiAuthorizationType=['PERSONAL'])['token']
    made = page.ask('POST', '/api/v1/network', {'name': 'by program'})['nwid']
    equal(s.root.get('/controller/network/' + made)['name'], 'by program', 'a network created')
    listed = {n['nwid']: n for n in page.ask('GET', '/api/v1/network')}
    equal((listed[made]['memberCount'], listed[s.network]['memberCount'], listed[s.network]['mtu']), (0, 1, 1400), 'both are listed')
    at = '/api/v1/network/%s/member' % s.network
    equal([(m['id'], m['authorized']) for m in page.ask('GET', at + '/')], [(s.node.address, True)], 'the member is listed')
    equal(page.ask('POST', at + '/' + s.node.address, {'name': 'desk', 'authorized': False})['name'], 'desk', 'the member changed')
    equal((s.member()['name'], s.member()['authorized']), ('desk', False), 'name and state')
    s.wait_for_state('ACCESS_DENIED')
    page.do('network.deleteNetwork', nwid=made, central=False)


def pages(s):
    """the pages themselves: a member let in, a network made public, another one created and deleted"""
    if not PLAYWRIGHT or not CHROMIUM:
        print('        left out: needs PLAYWRIGHT and a Chromium')
        return
    environment = dict(os.environ, URL=s.browser.base, EMAIL=USER['email'], PASSWORD=USER['password'], NETWORK=s.network, NODE=s.node.address,
                       PLAYWRIGHT=os.path.abspath(PLAYWRIGHT), CHROMIUM=CHROMIUM)
    run('node', os.path.join(os.path.dirname(os.path.realpath(__file__)), 'ztnet.mjs'), env=environment, seconds=180)
    s.wait_for_state('OK')
    equal((s.member()['authorized'], s.record()['private']), (True, False), 'let in, public')
    equal(s.root.get('/controller/network'), [s.network], 'the other network was deleted')


def delete(s):
    """the network deleted"""
    s.browser.do('networkMember.Update', nwid=s.network, memberId=s.node.address, central=False, updateParams={'authorized': True})
    s.wait_for_state('OK')
    s.browser.do('network.deleteNetwork', nwid=s.network, central=False)
    equal(s.root.get('/controller/network'), [], 'it is gone')
    equal(s.browser.get('network.getUserNetworks', central=False), [], 'from the page, too')
    wait_until(lambda: s.node.network(s.network)['status'] != 'OK', 20, 'the node is put out')


def planet(s):
    """a planet of one's own, made by ztnet from the controller's identity"""
    page = s.browser
    identity = page.get('admin.getIdentity')['identity']
    equal(identity, s.root.status()['publicIdentity'], 'the identity it offers')
    page.do('admin.makeWorld', plRecommend=True, rootNodes=[{'identity': identity, 'endpoints': ['10.7.0.1/9993'], 'comments': 'ours'}])
    equal([r['identity'] for r in page.get('admin.getPlanet')['rootNodes']], [identity], 'as shown')
    world, earlier = s.root.file('planet'), s.root.status()['planetWorldId']
    s.root.stop()
    s.root.start()
    check(s.root.status()['planetWorldId'] != earlier, 'the controller lives under it')
    other = s.world.daemon('other', port=9997, planet=world)
    other.start()
    wait_until(other.online, 30, 'a node with this planet is online')
    equal(other.status()['planetWorldId'], s.root.status()['planetWorldId'], 'under the same planet')
    s.network = page.do('network.createNetwork', central=False)['nwid']
    other.join(s.network)
    wait_until(lambda: other.address in shown_members(s), 20, 'it is listed')


if __name__ == '__main__':
    main('a built ztnet', 'server.js', [log_in, status, create, configure, rules, let_in, change, put_out, adopt, programs, pages, delete, planet],
         folder='.next/standalone')
