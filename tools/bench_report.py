#!/usr/bin/env python3
"""Gathers the JSON files of tools/bench into one page: tools/bench_report.py OUT.html FILE.json...

Writes OUT.html, which needs nothing but itself (plots are inline SVG), and OUT.json with all the rows. Rows that tell the bytes of a
packet become lines over the bytes, one plot for each name and unit; the others become bars.
"""
import html
import json
import math
import os
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 340, 70, 250, 16, 44
COLORS = ('#1b6ca8', '#c8553d', '#3d8c40', '#8a5aab', '#b8860b', '#2f8f8f', '#a83264', '#555555')


def load(paths):
    runs = []
    for path in paths:
        try:
            with open(path, encoding='utf-8') as f:
                run = json.load(f)
        except (OSError, ValueError) as e:
            raise SystemExit('bench_report: %s: %s' % (path, e))
        if not isinstance(run, dict) or not isinstance(run.get('rows'), list) or 'bench' not in run:
            raise SystemExit('bench_report: %s: not a file of tools/bench (no "bench" and "rows")' % path)
        runs.append(run)
    return runs


def number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def text(x):
    return html.escape('' if x is None else ('%g' % x if isinstance(x, float) else str(x)))


def ticks(top, count=5):
    """Round numbers from 0 to about `top`."""
    if top <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(top / count))
    step *= next(m for m in (1, 2, 5, 10) if step * m * count >= top)
    return [step * i for i in range(int(math.ceil(top / step)) + 1)]


def axis(top):
    out = []
    for t in ticks(top):
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - t / ticks(top)[-1])
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="grid"/><text x="%d" y="%.1f" class="y">%g</text>' %
                   (LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, t))
    return out


def legend(names):
    return ['<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>' %
            (WIDTH - RIGHT + 14, TOP + 16 * i, COLORS[i % len(COLORS)], WIDTH - RIGHT + 30, TOP + 9 + 16 * i, text(n))
            for i, n in enumerate(names)]


def svg(parts, label):
    return '<svg viewBox="0 0 %d %d" role="img" aria-label="%s">%s</svg>' % (WIDTH, HEIGHT, text(label), ''.join(parts))


def lines(series, label, of='bytes', scale=math.log2, marks=None):
    """series: {name: [(x, value)]}, x on the axis `of`; `marks`: where the axis is marked, else at every x, and points are shown."""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = max(v for points in series.values() for _, v in points)
    full = ticks(top)[-1]
    low, high = scale(xs[0]), scale(xs[-1])

    def at(x, v):
        return (LEFT + (WIDTH - LEFT - RIGHT) * ((scale(x) - low) / (high - low) if high > low else 0.5),
                TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / full))
    parts = axis(top)
    for x in marks or xs:
        parts.append('<text x="%.1f" y="%d" class="x">%d</text>' % (at(x, 0)[0], HEIGHT - BOTTOM + 18, x))
    parts.append('<text x="%d" y="%d" class="x">%s</text>' % ((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 6, text(of)))
    for i, points in enumerate(series.values()):
        color = COLORS[i % len(COLORS)]
        path = ' '.join('%.1f,%.1f' % at(x, v) for x, v in sorted(points))
        parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>' %
                     (path, color, ' stroke-dasharray="5 3"' if i >= len(COLORS) else ''))
        for x, v in points if marks is None else ():
            parts.append('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%d %s: %g</title></circle>' % (*at(x, v), color, x, text(of), v))
    return svg(parts + legend(series), label)


def bars(groups, label):
    """groups: {group: {name: value}}"""
    names = list(dict.fromkeys(n for g in groups.values() for n in g))
    top = max(v for g in groups.values() for v in g.values())
    full = ticks(top)[-1]
    parts = axis(top)
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    for i, (group, values) in enumerate(groups.items()):
        wide = room * 0.8 / len(names)
        for name, v in values.items():
            k = names.index(name)
            tall = (HEIGHT - TOP - BOTTOM) * v / full
            parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %g</title></rect>' %
                         (LEFT + room * (i + 0.1) + wide * k, HEIGHT - BOTTOM - tall, wide, tall, COLORS[k % len(COLORS)],
                          text(group), text(name), v))
        parts.append('<text x="%.1f" y="%d" class="x">%s</text>' % (LEFT + room * (i + 0.5), HEIGHT - BOTTOM + 18, text(group)))
    return svg(parts + legend(names), label)


def rest(params, *without):
    return ', '.join('%s %s' % (k, v) for k, v in params.items() if k not in without)


def plots(rows):
    """(title, SVG) of one benchmark."""
    kinds = {}
    for r in rows:
        if number(r.get('value')):
            kinds.setdefault((r['name'] if number(r.get('params', {}).get('bytes')) else '', r.get('unit', '')), []).append(r)
    for (name, unit), some in kinds.items():
        if name:
            series = {}
            for r in some:
                if number(r['params'].get('bytes')) and r['params']['bytes'] > 0:
                    series.setdefault(rest(r['params'], 'bytes', 'window', 'seconds') or name, []).append((r['params']['bytes'], r['value']))
            if any(len(p) > 1 for p in series.values()):
                yield '%s (%s)' % (name, unit), lines(series, name)
        elif len(some) > 1:
            groups = {}
            for r in some:
                groups.setdefault(r['name'], {})[rest(r.get('params', {}), 'seconds', 'mtu', 'bytes') or 'value'] = r['value']
            if max(v for g in groups.values() for v in g.values()) > 0:
                yield unit, bars(groups, unit)


def table(rows):
    out = ['<table><tr><th>name</th><th>of</th><th>value</th><th>unit</th><th>baseline</th><th>ratio</th><th>more</th></tr>']
    for r in rows:
        out.append('<tr><td>%s</td><td>%s</td><td class="n">%s</td><td>%s</td><td class="n">%s</td><td class="n">%s</td><td>%s</td></tr>' %
                   (text(r.get('name')), text(rest(r.get('params', {}))), text(r.get('value')), text(r.get('unit')), text(r.get('baseline')),
                    text(r.get('ratio')), text(rest(r.get('counters', {})))))
    return ''.join(out) + '</table>'


STYLE = '''body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em;color:#222;background:#fff}
svg{width:100%;height:auto;font-size:11px}.grid{stroke:#ddd}.y{text-anchor:end}.x{text-anchor:middle}
table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px 2px 0;text-align:left;border-bottom:1px solid #eee}.n{text-align:right}
code{background:#f3f3f3;padding:1px 4px}'''


def page(runs):
    out = ['<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
           '<title>Orrery: benchmarks</title><style>%s</style><h1>Orrery: benchmarks</h1>' % STYLE]
    for run in runs:
        out.append('<h2>%s</h2><p><code>%s</code><br>%s; %s; %s</p>' %
                   tuple(text(run.get(k)) for k in ('bench', 'command', 'cpu', 'isa', 'date')))
        for title, drawing in plots(run['rows']):
            out.append('<h3>%s</h3>%s' % (text(title), drawing))
        out.append('<details><summary>%d rows</summary>%s</details>' % (len(run['rows']), table(run['rows'])))
    return '\n'.join(out) + '\n</html>\n'


def main():
    if len(sys.argv) < 3 or not sys.argv[1].endswith('.html'):
        print(__doc__.split('\n', maxsplit=1)[0], file=sys.stderr)
        return 2
    runs = load(sys.argv[2:])
    with open(sys.argv[1], 'w', encoding='utf-8') as f:
        f.write(page(runs))
    where = os.path.splitext(sys.argv[1])[0] + '.json'
    with open(where, 'w', encoding='utf-8') as f:
        json.dump({'runs': runs}, f, indent=1)
        f.write('\n')
    print('%s and %s written' % (sys.argv[1], where))
    return 0


if __name__ == '__main__':
    sys.exit(main())
