#!/usr/bin/env python3
"""graph_svg.py LIST - renders dumps with graphviz and compares what comes out with their JSON.

A line of LIST is a path without its ending and a number of seconds: PATH.dot, PATH.json, PATH.mermaid are the same
dump, PATH.name says of what. The picture's nodes, edges and clusters must be exactly those of the JSON, each with its
tooltip; nodes of ops and edges between them must show what they are; graphviz must have nothing to say, and take at
most so many seconds of CPU time. The Mermaid text must have the same nodes and edges. Prints what is wrong.
"""
import collections
import json
import re
import resource
import subprocess
import sys
import xml.etree.ElementTree as ET

SVG = '{http://www.w3.org/2000/svg}'
XLINK = '{http://www.w3.org/1999/xlink}'
wrong = 0
name = ''


def expect(ok, text):
    global wrong
    if not ok:
        wrong += 1
        if wrong <= 5:
            print('    %s: %s' % (name, text))


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # not the clock's: the machine may be busy
    return used.ru_utime + used.ru_stime


def render(path, limit):
    before = cpu_seconds()
    dot = subprocess.run(['dot', '-Tsvg', path], capture_output=True, timeout=600)
    took = cpu_seconds() - before
    expect(dot.returncode == 0 and not dot.stderr, 'dot says: %r' % dot.stderr[:200])
    expect(took <= limit, 'dot took %.1f s, expected at most %g' % (took, limit))
    return ET.fromstring(dot.stdout)


def same(what, got, wanted):
    got, wanted = collections.Counter(got), collections.Counter(wanted)
    for name in sorted((got - wanted).keys() | (wanted - got).keys()):
        expect(False, '%s %r: %d drawn, %d in the JSON' % (what, name, got[name], wanted[name]))


def words(group):
    return ' '.join(t.text for t in group.iter(SVG + 'text') if t.text)


def tooltip(group):
    return next((a.get(XLINK + 'title') or '' for a in group.iter(SVG + 'a')), '')


def check_node(group, node):
    shown, tip = words(group), tooltip(group)
    expect(group.get('id') == node['id'], 'node %s: its id is %s' % (node['id'], group.get('id')))
    expect(node['id'] in tip, 'node %s: tooltip %r' % (node['id'], tip))
    if node['kind'] in ('op', 'tile'):
        expect('%d FLOP, %d bytes' % (node['flops'], node['bytes']) in tip, 'node %s: no cost' % node['id'])
    if node['kind'] == 'op':
        for text in ('%d × %d' % (node['rows'], node['cols']), 'FLOP', 'B', node['type']):
            expect(text in shown, 'node %s: shows %r, not %r' % (node['id'], shown, text))
    if node['kind'] == 'tile':
        expect('rows %d:%d columns %d:%d' % tuple(node['box']) in tip, 'node %s: no box' % node['id'])
    measured = node.get('measured')
    if measured:
        share = 100 * measured['share']  # rounded in the JSON: either side of a tie will do
        expect(any('%.1f %%' % (share + d) in shown for d in (-1e-3, 1e-3)), 'node %s: no share in %r' % (node['id'], shown))
        expect(re.search(r'[FB](LOP)?/s a worker', shown) or not measured['ns'], 'node %s: no rate' % node['id'])
        expect('worker' in shown and ' '.join(map(str, measured['workers'])) in shown,
               'node %s: no workers in %r' % (node['id'], shown))
        bold = any(p.get('stroke-width') == '3' for p in group.iter(SVG + 'path'))
        expect(bold == (measured['path_ns'] > 0), 'node %s: bold: %s' % (node['id'], bold))


def check_edge(group, edge, level):
    tip = tooltip(group)
    name = edge['tensor'] or 'the end of the step'
    expect(name in tip, 'edge %s: tooltip %r' % (edge, tip))
    if level == 'ops':
        shown = words(group)
        r0, r1, c0, c1 = edge['box']
        expect(re.sub(r'^h\d+\.', '', name) in shown and '%d × %d' % (r1 - r0, c1 - c0) in shown,
               'edge %s: shows %r' % (edge, shown))


def check_mermaid(path, graph):
    def plain(text):
        return re.sub(r'_([0-9a-f]{2})', lambda m: chr(int(m.group(1), 16)), text[2:])

    nodes, edges = [], []
    for line in open(path, encoding='utf-8'):
        edge = re.fullmatch(r'\s*(n_\w+) (?:-->|==>|-\.->)(?:\|"[^"]*"\|)? (n_\w+)\n', line)
        node = re.fullmatch(r'\s*(n_\w+)(?:\(|\[|\(\()"[^"]+"(?:\)|\]|\)\))\n', line)
        if edge:
            edges.append((plain(edge.group(1)), plain(edge.group(2))))
        elif node:
            nodes.append(plain(node.group(1)))
        else:
            expect(re.fullmatch(r'%%.*\n|flowchart TB\n|\s*subgraph c_\w+\["[^"]+"\]\n|\s*end\n|  style n_\w+ .*\n', line),
                   'mermaid: %r' % line)
    same('mermaid node', nodes, (n['id'] for n in graph['nodes']))
    same('mermaid edge', edges, ((e['from'], e['to']) for e in graph['edges']))


def check(path, limit):
    graph = json.load(open(path + '.json', encoding='utf-8'))
    nodes = {n['id']: n for n in graph['nodes']}
    edges = {e['from'] + '->' + e['to']: e for e in graph['edges']}
    groups = collections.defaultdict(list)

    for group in render(path + '.dot', limit).iter(SVG + 'g'):
        if group.get('class') in ('node', 'edge', 'cluster'):
            groups[group.get('class')].append((group.find(SVG + 'title').text, group))
    same('node', (t for t, _ in groups['node']), (n['id'] for n in graph['nodes']))
    same('edge', (t for t, _ in groups['edge']), (e['from'] + '->' + e['to'] for e in graph['edges']))
    same('cluster', (t for t, _ in groups['cluster']), ('cluster_' + c['id'] for c in graph['clusters']))
    for title, group in groups['node']:
        if title in nodes:
            check_node(group, nodes[title])
    for title, group in groups['edge']:
        if title in edges:
            check_edge(group, edges[title], graph['level'])
    expect('record' not in open(path + '.dot', encoding='utf-8').read(), 'a record shape')
    check_mermaid(path + '.mermaid', graph)


def main():
    global name
    for line in open(sys.argv[1]):
        path, limit = line.split()
        name = open(path + '.name', encoding='latin-1').read().strip()
        try:
            check(path, float(limit))
        except (ET.ParseError, ValueError, KeyError) as error:
            expect(False, repr(error))
    return wrong > 0


sys.exit(main())
