"""Traces: cut, foreign, with numbers out of range, edges that lead back, and text that a page or terminal might run."""
import copy
import json
import os
import subprocess

from good import GOLDEN

BUILD = os.path.abspath(os.environ.get('BUILD', 'build'))
VALUES = [-1, -2**31, 2**31, 2**32, 2**64, 1e300, 1.5, '1', None, [], {}, True]


def recorded():
    p = subprocess.run([BUILD + '/dagpt', 'tokens', '-m', GOLDEN + '/tiny.bin', '--total', '4', '-j', '2', '--cpus', '2', '--trace', '/dev/stderr', '1', '2'],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return p.stderr


def cases(Case):
    text = recorded()
    good = json.loads(text)
    n = [0]
    commands = [['trace', 't'], ['graph', '--trace', 't'], ['trace', '--html', 'page', 't'], ['trace', '--json', 't'], ['trace', '--what-if', '1,2', 't'], ['trace', 't', 't']]

    def bad(label, data, pattern='.*(expected|got|step|tile|edge|join|plan|no )', args=None, code=3, **more):
        n[0] += 1
        return Case(label, args or commands[n[0] % len(commands)], code, r't: ' + pattern, {'t': data}, **dict({'mib': 64}, **more))

    def changed(edit):
        t = copy.deepcopy(good)
        edit(t)
        return json.dumps(t).encode()

    def at(path, value):
        def edit(t):
            for key in path[:-1]:
                t = t[key]
            if value is ...:
                del t[path[-1]]
            else:
                t[path[-1]] = value
        return edit

    tiles = [i for i, e in enumerate(good['traceEvents']) if e.get('cat') == 'tile']
    waits = [i for i, e in enumerate(good['traceEvents']) if e.get('cat') == 'wait']
    fields = {'version': ['dagpt', 'version'], 'workers': ['dagpt', 'workers'], 'awake': ['dagpt', 'awake'], 'rows of a plan': ['dagpt', 'plans', 0, 'rows'],
              'joins': ['dagpt', 'plans', 0, 'joins'], 'op of a tile': ['dagpt', 'plans', 0, 'tiles', 3, 0], 'r0': ['dagpt', 'plans', 0, 'tiles', 3, 1],
              'a node': ['dagpt', 'plans', 0, 'next', 0, 0], 'plan of a step': ['dagpt', 'steps', 0, 'plan'], 'start': ['dagpt', 'steps', 0, 'start'],
              'end': ['dagpt', 'steps', 0, 'end'], 'ts': ['traceEvents', tiles[3], 'ts'], 'dur': ['traceEvents', tiles[3], 'dur'], 'tid': ['traceEvents', tiles[3], 'tid'],
              'step': ['traceEvents', tiles[3], 'args', 'step'], 'tile': ['traceEvents', tiles[3], 'args', 'tile'], 'ready': ['traceEvents', tiles[3], 'args', 'ready'],
              'last': ['traceEvents', tiles[3], 'args', 'last'], 'layers': ['dagpt', 'model', 'layers'], 'vocab': ['dagpt', 'model', 'vocab']}
    for name, path in fields.items():
        for value in VALUES:
            if (name, value) in (('last', None), ('ts', 1.5), ('dur', 1.5), ('start', 1.5), ('end', 1.5), ('ready', 1.5)):
                continue
            yield bad('%s = %s' % (name, ascii(value)), changed(at(path, value)))
    for name, path in {'plans': ['dagpt', 'plans'], 'tiles': ['dagpt', 'plans', 0, 'tiles'], 'next': ['dagpt', 'plans', 0, 'next'], 'ops': ['dagpt', 'plans', 0, 'ops'],
                       'joins': ['dagpt', 'plans', 0, 'joins'], 'steps': ['dagpt', 'steps'], 'dagpt': ['dagpt'], 'events': ['traceEvents'], 'version': ['dagpt', 'version'],
                       'workers': ['dagpt', 'workers'], 'awake': ['dagpt', 'awake'], 'a tile event': ['traceEvents', tiles[0]]}.items():
        yield bad('without ' + name, changed(at(path, ...)))
    for name, path in {'plans': ['dagpt', 'plans'], 'tiles': ['dagpt', 'plans', 0, 'tiles'], 'next': ['dagpt', 'plans', 0, 'next'], 'steps': ['dagpt', 'steps'], 'events': ['traceEvents']}.items():
        for value in ([], {}, 1, 'x', None, [1], [[]], [{}]):
            if name == 'events' and value == [{}] or (name == 'steps' and value in ([],)):
                continue
            yield bad('%s are %s' % (name, ascii(value)), changed(at(path, value)))
    for label, path, value in (('zero workers', ['dagpt', 'workers'], 0), ('zero awake', ['dagpt', 'awake'], 0), ('more awake than workers', ['dagpt', 'awake'], 3),
                               ('257 workers', ['dagpt', 'workers'], 257), ('a tile of five numbers', ['dagpt', 'plans', 0, 'tiles', 0], [0, 0, 1, 0, 1]),
                               ('a tile of seven', ['dagpt', 'plans', 0, 'tiles', 0], [0, 0, 1, 0, 1, 0, 0]), ('an empty box', ['dagpt', 'plans', 0, 'tiles', 0], [0, 1, 1, 0, 1, 0]),
                               ('an edge back', ['dagpt', 'plans', 0, 'next', 5], [0]), ('an edge to itself', ['dagpt', 'plans', 0, 'next', 5], [5]),
                               ('a step that ends before it starts', ['dagpt', 'steps', 0, 'end'], 0), ('limits twice', ['dagpt', 'machine', 'limits'], [{'workers': 1, 'read_gbps': 1, 'fma_gflops': 1}] * 2),
                               ('a limit of 0', ['dagpt', 'machine', 'limits'], [{'workers': 1, 'read_gbps': 0, 'fma_gflops': 1}]), ('a limit of 1e10', ['dagpt', 'machine', 'limits'], [{'workers': 1, 'read_gbps': 1e10, 'fma_gflops': 1}]),
                               ('17 limits', ['dagpt', 'machine', 'limits'], [{'workers': i + 1, 'read_gbps': 1, 'fma_gflops': 1} for i in range(17)]),
                               ('version 3', ['dagpt', 'version'], 3), ('a wait of another kind', ['traceEvents', waits[0], 'name'], 'frob') if waits else ('version 0', ['dagpt', 'version'], 0)):
        yield bad(label, changed(at(path, value)))
    yield bad('a tile twice', changed(lambda t: t['traceEvents'].append(t['traceEvents'][tiles[0]])))
    yield bad('slices that overlap', changed(lambda t: t['traceEvents'][tiles[1]].update(dur=1e9)))
    for size in list(range(0, 40, 7)) + [len(text) // 4, len(text) // 2, len(text) - 2, len(text) - 3]:
        yield bad('%d bytes' % size, text[:size], '.*')
    for label, data in {'GGUF': b'GGUF' + b'\0' * 50, 'PNG': b'\x89PNG\r\n\x1a\n', 'HTML': b'<html>', 'an array': b'[]', 'an object': b'{}', 'another trace': b'{"traceEvents":[]}', 'text': b'hello',
                        'zeros': b'\0' * 99, 'a bad gzip': b'\x1f\x8b\x08\0\0\0\0\0', 'UTF-16': text[:500].decode().encode('utf-16'), 'deep': b'{"dagpt":' + b'[' * 60000}.items():
        yield bad('is ' + label, data, '.*')
    yield bad('no steps', changed(at(['dagpt', 'steps'], [])), '.*', args=['graph', '--trace', 't'])
    many = b'{"dagpt":{"version":2,"workers":1,"awake":1,"plans":[{"rows":1,"joins":4000000,"ops":[],"tiles":[],"next":[]}],"steps":[]},"traceEvents":[]}'
    yield bad('four million joins', many)
    names = changed(lambda t: [t['dagpt']['plans'][0]['ops'].append({'name': 'o%d' % i, 'type': 'x'}) for i in range(80000)])
    yield Case('80,000 op names', ['trace', 't', 't'], 0, None, {'t': names}, out='.*', mib=256)
    yield Case('a million events', ['trace', 't'], 0, None, {'t': changed(lambda t: t['traceEvents'].extend([{'ph': 'M'}] * 1000000))}, out='.*', mib=512)
    evil = '</script><img src=x onerror=alert(1)>\x1b[31m\u202e\u009b'
    for path in (['dagpt', 'model', 'name'], ['dagpt', 'command'], ['dagpt', 'plans', 0, 'ops', 0, 'name'], ['dagpt', 'machine', 'isa'], ['dagpt', 'sched']):
        value = evil[:12] if path[-1] in ('name', 'isa', 'sched') and path[1] != 'model' else evil
        yield Case('markup in %s' % path[-1] + str(len(path)), ['trace', '--html', '-', 't'], 0, None, {'t': changed(at(path, value))}, out=r'(?!.*<img src=x).*', mib=64)
        yield Case('escapes in %s' % path[-1] + str(len(path)), ['trace', 't'], 0, None, {'t': changed(at(path, value))}, out=r'[^\x00-\x08\x0b-\x1f\x7f-\x9f]*', mib=64)
