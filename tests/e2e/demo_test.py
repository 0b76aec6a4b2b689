#!/usr/bin/env python3
"""tools/demo: its report is whole, and it leaves nothing behind, also when it is interrupted."""
import glob
import os
import re
import signal
import subprocess
import time

from harness import DAEMON, SOURCE, check, equal, main, run, skip, wait_until

BUILD = os.path.dirname(DAEMON)


def demo(s, seconds):
    """Starts the demo in a process group of its own, as a terminal does: Ctrl-C goes to the whole group."""
    return s.spawn([os.path.join(SOURCE, 'tools', 'demo'), '--no-setup', '--build', BUILD, '--seconds', str(seconds)],
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=interruptible())


def interruptible():
    return dict(os.environ, LC_ALL='C')


def left_behind():
    """What a demo makes, as far as it is still there."""
    left = ['namespace ' + line.split()[0] for line in run('ip', 'netns', 'list').stdout.splitlines() if line.startswith('orr-')]
    left += glob.glob('/tmp/orrery-demo.*')
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            command = open('/proc/%s/cmdline' % entry, 'rb').read().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            continue
        if '/tmp/orrery-demo.' in command or '/tools/demo' in command:
            left.append('process %s: %s' % (entry, command[:100]))
    return left


def setup(world):
    if left_behind():
        skip('a demo runs on this machine: %s' % left_behind()[0])
    return world


def report(s):
    """it ends in a report with every row, exit code 0"""
    process = demo(s, 1)
    text, _ = process.communicate(timeout=240)
    equal(process.returncode, 0, 'exit code; it said: %s' % text[-1500:])
    check('== report' in text, 'the report')
    body = text.split('== report', 1)[1]
    for name in ('root', 'gw-a', 'gw-b', 'lone'):
        check(re.search(r'^%s [0-9a-f]{10} [\d.]+ ONLINE$' % name, body, re.M), 'the row of %s' % name, body)
    rows = re.findall(r'^    sees ([0-9a-f]{10}) \((\w+)\) (.+), (AES-GMAC-SIV|SALSA20/12-POLY1305)$', body, re.M)
    check(len(rows) >= 8, 'rows of peers with path and cipher', rows)
    check(any('10.60.0.' in r[2] for r in rows), 'paths', rows)
    check(re.search(r'^networks: .* OK ', body, re.M), 'the network of the lone member', body)
    check(re.search(r'^gateways carry no address in the network: \[\] \[\]$', body, re.M), 'gateways carry no address', body)
    figures = []
    for between in ('LAN host a - LAN host b', 'LAN host a - lone member', 'lone member - LAN host b'):
        row = re.search(r'^%s +([\d.]+) +(\d+) +(\d+)$' % re.escape(between), body, re.M)
        check(row, 'the row "%s"' % between, body)
        check(all(float(x) > 0 for x in row.groups()), 'figures of "%s"' % between, row.groups())
        figures.append('%s/%s' % row.groups()[1:])
    for name in ('gw-a', 'lone'):
        check(re.search(r'^%s worker: \{.*\} drops: \{.*\}$' % name, body, re.M), 'the counters of %s' % name, body)
    equal(left_behind(), [], 'left behind')
    return 'Mbit/s ' + ', '.join(figures)


def interrupted(s):
    """Ctrl-C at any moment: exit code 130 and nothing left"""
    for wait_for, more in (('namespaces:', 0.1), ('starting root', 0.2), ('starting root', 3), ('== report', 0.5)):
        process = demo(s, 20)
        for line in process.stdout:
            if line.startswith(wait_for):
                break
        else:
            check(False, 'the line "%s"' % wait_for)
        time.sleep(more)
        os.killpg(process.pid, signal.SIGINT)
        begin = time.monotonic()
        process.stdout.read()
        equal(process.wait(30), 130, 'exit code after a SIGINT %.1f s after "%s"' % (more, wait_for))
        took = time.monotonic() - begin
        check(took < 15, 'cleaning up took %.0f s' % took)
        wait_until(lambda: not left_behind(), 3, 'nothing is left after "%s": %s' % (wait_for, left_behind()))


def failed(s):
    """a demo that fails says why, exits 1 and leaves nothing"""
    broken = os.path.join(s.work, 'broken')
    os.makedirs(broken)
    os.symlink(os.path.join(BUILD, 'orrery'), os.path.join(broken, 'orrery'))
    with open(os.path.join(broken, 'orreryd'), 'w') as f:
        f.write('#!/bin/sh\necho this daemon does not start >&2\nexit 1\n')
    os.chmod(os.path.join(broken, 'orreryd'), 0o755)
    done = run(os.path.join(SOURCE, 'tools', 'demo'), '--no-setup', '--build', broken, check_code=False, seconds=120)
    equal(done.returncode, 1, 'exit code')
    check('did not happen' in done.stderr and 'this daemon does not start' in done.stderr, 'it says why', done.stderr[-500:])
    equal(left_behind(), [], 'left behind')


if __name__ == '__main__':
    main('demo', [report, interrupted, failed], needs=('iperf3', 'jq', 'ethtool', 'ping', 'bash'), setup=setup)
