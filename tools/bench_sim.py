#!/usr/bin/env python3
"""Writes the figures of tools/bench sim into docs/scale.md: tools/bench_sim.py DOCUMENT FILE.json

Everything in DOCUMENT behind the line "## Figures" is written anew; the plots go beside it, into a directory of its name, as SVG.
"""
import json
import os
import sys

import bench_report

HEADING = '## Figures\n'
STYLE = ('<style>svg{background:#fff;font:11px system-ui,sans-serif}.grid{stroke:#ddd}.y{text-anchor:end}.x{text-anchor:middle}</style>')
ROLES = ('leaf', 'root', 'controller')


class Rows:
    def __init__(self, rows):
        self.rows = rows
        self.sizes = sorted({r['params']['nodes'] for r in rows})

    def one(self, name, nodes, **params):
        for r in self.rows:
            p = r['params']
            if r['name'] == name and p['nodes'] == nodes and all(p.get(k) == v for k, v in params.items()):
                return r
        raise SystemExit('bench_sim: no row "%s" of %d nodes %s' % (name, nodes, params or ''))

    def value(self, name, nodes, **params):
        return self.one(name, nodes, **params)['value']

    def counter(self, name, nodes, key, **params):
        return self.one(name, nodes, **params)['counters'][key]


def figure(x):
    return '{:,.0f}'.format(x) if x >= 100 else '%.3g' % x


def seconds(ms):
    return '%.1f' % (ms / 1000)


def spread(row):
    c = row['counters']
    return '%s / %s / %s' % (seconds(c['median']), seconds(row['value']), seconds(c['most']))


def table(head, rows):
    return '\n'.join(['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)] + ['| ' + ' | '.join(r) + ' |' for r in rows]) + '\n'


def tables(rows):
    by_size = ['nodes'] + ['{:,}'.format(n) for n in rows.sizes]

    def line(name, cell):
        return [name] + [cell(n) for n in rows.sizes]
    yield 'How a world comes up. Times are median / 99th percentile / longest, seconds of virtual time:\n'
    yield table(by_size, [
        line('a node starts, until it has its configuration', lambda n: spread(rows.one('from start to configuration, p99', n))),
        line('two neighbours are on, until both have heard the other', lambda n: spread(rows.one('from start to hearing a neighbour, p99', n))),
        line('the first start, until all pairs are connected', lambda n: seconds(rows.value('from the first start until all are connected', n))),
        line('pairs with a path of their own', lambda n: '%.1f %%' % rows.value('pairs with a path of their own', n)),
    ])
    events = list(dict.fromkeys(r['params']['event'] for r in rows.rows if 'event' in r['params']))
    yield 'What becomes of pairs when something happens; each says something within the first two seconds. Median / 99th percentile / longest, seconds:\n'
    yield table(by_size, [line(e, lambda n, e=e: spread(rows.one('recovery, p99', n, event=e))) for e in events])
    yield 'Pairs, and how many of them spoke when roots died and within the halves; where all roots die, of these those that had a path of their own: %s.\n' % '; '.join(
        '%s, %s, %s' % (figure(rows.counter('pairs with a path of their own', n, 'pairs')), figure(rows.counter('pairs with a path of their own', n, 'witnesses')),
                        figure(rows.counter('recovery, p99', n, 'pairs', event='all roots die'))) for n in rows.sizes)
    yield 'What a quiet node of each role receives and sends:\n'
    cells = []
    for role in ROLES:
        for name, unit in (('packets', 'packets/s'), ('bytes', 'bytes/s')):
            cells.append(line('%s: %s in / out' % (role, unit), lambda n, role=role, name=name: '%s / %s' % (
                figure(rows.counter(name, n, 'in', role=role)), figure(rows.counter(name, n, 'out', role=role)))))
    yield table(by_size, cells)
    yield 'Live memory that a node gives back when it is killed, and how many peers it knew:\n'
    cells = []
    for role in ROLES:
        cells.append(line('%s: KiB' % role, lambda n, role=role: figure(rows.value('memory', n, role=role) / 1024)))
        cells.append(line('%s: peers' % role, lambda n, role=role: figure(rows.counter('memory', n, 'peers', role=role))))
        cells.append(line('%s: bytes for each of them' % role, lambda n, role=role: figure(rows.counter('memory', n, 'per_peer', role=role))))
    cells.append(line('host and lines of the simulation, a node that is off: KiB',
                      lambda n: figure(rows.value('memory of the simulation, a node that is off', n) / 1024)))
    cells.append(line('all memory, for each node: KiB', lambda n: figure(rows.value('memory, all of a node', n) / 1024)))
    yield table(by_size, cells)
    yield 'What the run itself takes:\n'
    yield table(by_size, [
        line('virtual time (s)', lambda n: figure(rows.value('virtual time', n))),
        line('datagrams', lambda n: figure(rows.value('datagrams', n))),
        line('events', lambda n: figure(rows.value('events', n))),
        line('wall time (s)', lambda n: figure(rows.value('wall time', n))),
        line('processor time (s)', lambda n: figure(rows.value('processor time', n))),
        line('largest resident memory (MiB)', lambda n: figure(rows.value('largest resident memory', n))),
        line('transcript', lambda n: '`%s`' % rows.one('transcript', n)['params']['hash']),
    ])


def plots(rows):
    """(file, title, SVG)"""
    largest = rows.sizes[-1]
    series = {}
    for r in rows.rows:
        if r['name'] == 'recovery, p99' and r['params']['nodes'] == largest:
            curve = r['curve']
            series[r['params']['event']] = [(i, 100 * v) for i, v in enumerate(curve)]
    longest = max(len(p) for p in series.values())
    for points in series.values():
        points.extend((i, points[-1][1]) for i in range(len(points), longest))
    step = max(longest // 10, 1)
    title = 'Connected pairs of {:,} nodes, percent, over the seconds since the event'.format(largest)
    yield 'recovery.svg', title, bench_report.lines(series, title, 'seconds', float, range(0, longest, step))
    if len(rows.sizes) > 1:
        title = 'Memory of a node, KiB, over the number of nodes'
        series = {role: [(n, rows.value('memory', n, role=role) / 1024) for n in rows.sizes] for role in ('leaf', 'controller')}
        series['all memory, for each'] = [(n, rows.value('memory, all of a node', n) / 1024) for n in rows.sizes]
        yield 'memory.svg', title, bench_report.lines(series, title, 'nodes')
        title = 'Packets in and out of a leaf each second, over the number of nodes'
        series = {'packets': [(n, rows.value('packets', n, role='leaf')) for n in rows.sizes]}
        yield 'packets.svg', title, bench_report.lines(series, title, 'nodes')


def standalone(drawing):
    return drawing.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace('>', '>' + STYLE, 1) + '\n'


def main():
    if len(sys.argv) != 3:
        print(__doc__.split('\n', maxsplit=1)[0], file=sys.stderr)
        return 2
    document, source = sys.argv[1:]
    run = bench_report.load([source])[0]
    rows = Rows(run['rows'])
    with open(document, encoding='utf-8') as f:
        text = f.read()
    if HEADING not in text:
        raise SystemExit('bench_sim: %s has no line "%s"' % (document, HEADING.strip()))
    out = [text[:text.index(HEADING)] + HEADING,
           'Written by `%s` on %s: %s, %s cores, %s GiB.\n' % (run['command'], run['date'][:10], run['cpu'], run['cores'], run['memory_gib'])]
    out += tables(rows)
    directory = os.path.splitext(document)[0]
    os.makedirs(directory, exist_ok=True)
    drawings = []
    for name, title, drawing in plots(rows):
        with open(os.path.join(directory, name), 'w', encoding='utf-8') as f:
            f.write(standalone(drawing))
        drawings.append('%s:\n\n![%s](%s/%s)\n' % (title, title, os.path.basename(directory), name))
    with open(document, 'w', encoding='utf-8') as f:
        f.write('\n'.join(out + drawings))
    print('%s and %d plots written' % (document, len(drawings)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
