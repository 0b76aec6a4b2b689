"""What the trials of web pages for stock controllers share: the programs, a browser, and what a node must say that has joined.

A trial is a list of steps, functions of the scene, which use the page one after another. After each of them, what the page shows, what
our controller says and what the node got must agree. The first failure ends the trial with exit code 1; without the programs it is 77.
"""
import http.cookiejar
import json
import os
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'e2e'))
from harness import Failure, World, controller_and_node, require, skip, wait_until  # noqa: E402


class Browser:
    """Keeps cookies and follows redirects; `at` is the path where it ended."""

    def __init__(self, base):
        self.base, self.headers, self.at = base, {}, None
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, path, data=None, method=None, timeout=10):
        request = urllib.request.Request(self.base + path, data, self.headers, method=method)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                self.at = urllib.parse.urlparse(answer.url).path
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failure('%s %s: %d %s' % (request.get_method(), path, error.code, error.read().decode()[:600])) from None

    def submit(self, path, form, timeout=10):
        return self.open(path, urllib.parse.urlencode(form).encode(), timeout=timeout)

    def ask(self, method, path, body=None):
        """JSON there and back."""
        self.headers['Content-Type'] = 'application/json'
        text = self.open(path, None if body is None else json.dumps(body).encode(), method)
        return json.loads(text) if text else None


class Scene:
    """A root with a controller, a node, and a copy of the page's folder to work in: such pages keep users beside their program."""

    def __init__(self, name, folder):
        self.world = World(name)
        self.root, self.node = controller_and_node(self.world)
        self.folder = os.path.join(self.world.work, 'page')
        shutil.copytree(folder, self.folder, symlinks=True)
        self.log = open(os.path.join(self.world.work, 'page.log'), 'w')
        self.browser = self.network = None

    def serve(self, program, environment, within=()):
        self.world.spawn([*within, 'node', program], cwd=self.folder, env=dict(os.environ, **environment), stdout=self.log, stderr=self.log)

    def open_when_ready(self, path):
        wait_until(lambda: self.browser.open(path), 30, 'the page answers')

    def record(self):
        return self.root.get('/controller/network/' + self.network)

    def member(self):
        return self.root.get('/controller/network/%s/member/%s' % (self.network, self.node.address))

    # --- the node
    def wait_for_state(self, state):
        wait_until(lambda: self.node.network(self.network)['status'] == state, 20, 'the node is in the state ' + state)

    def addresses(self):
        """With prefix lengths."""
        return self.node.network(self.network)['assignedAddresses']

    def wait_for_address(self, start):
        wait_until(lambda: any(a.startswith(start) for a in self.addresses()), 20, 'it has an address ' + start)

    def wait_for_only(self, address):
        wait_until(lambda: [a for a in self.addresses() if '.' in a] == [address], 20, 'it has the IPv4 address %s alone' % address)

    def wait_for_bridge(self):
        wait_until(lambda: self.node.network(self.network)['bridge'], 20, 'it is a bridge')

    def leave(self):
        self.node.delete('/network/' + self.network)


def main(name, program, steps, folder='.'):
    """The argument is a folder with `folder` in it, where the program is."""
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], folder, program)):
        skip('needs ' + name)
    require('node')
    scene = Scene('page', os.path.join(sys.argv[1], folder))
    failed = False
    for step in steps:
        try:
            step(scene)
        except Failure as failure:
            print('FAILED  %s\n        | %s\n--- log of the page\n%s' % (step.__doc__, failure, open(scene.log.name).read()[-3000:]))
            failed = True
            break
        print('ok      ' + step.__doc__, flush=True)
    scene.world.clean()
    sys.exit(1 if failed else 0)
