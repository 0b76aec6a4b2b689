#!/usr/bin/env python3
"""The controller's page in headless Chromium, with real daemons behind it. Run by hand, as root: it needs Playwright and a Chromium.

    apt-get install chromium nodejs npm; npm install --prefix DIR playwright-core
    PLAYWRIGHT=DIR/node_modules/playwright-core tests/web/page_test.py

Starts a root with a controller and a node in a network namespace of their own; page.mjs then uses the page and says what holds.
Without the programs it exits with 77.
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'e2e'))
from harness import World, controller_and_node, require, skip  # noqa: E402

PLAYWRIGHT = os.environ.get('PLAYWRIGHT')
CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium')
if not PLAYWRIGHT or not CHROMIUM:
    skip('needs PLAYWRIGHT (the folder of playwright-core) and a Chromium')
require('node')
world = World('page')
root, node = controller_and_node(world)
environment = dict(os.environ, URL='http://127.0.0.1:9993', TOKEN=root.token(), CONTROLLER=root.address, NODE_URL='http://127.0.0.1:9995',
                   NODE_TOKEN=node.token(), NODE=node.address, PLAYWRIGHT=os.path.abspath(PLAYWRIGHT), CHROMIUM=CHROMIUM)
done = subprocess.run(['node', os.path.join(os.path.dirname(os.path.realpath(__file__)), 'page.mjs')], env=environment, timeout=180)
world.clean()
sys.exit(done.returncode)
