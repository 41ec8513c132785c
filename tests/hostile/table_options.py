"""Options: out of range, conflicting, unknown; numbers that are none. Exit code 2, and the option is named."""
from good import golden

NUMBERS = ['', ' 1', '1 ', '+1', '0x10', '1e3', '1.5', '-1', 'a', '18446744073709551616', '99999999999999999999999999', '１', '1,5', 'nan', "1'000", '\x1b[31m']
REALS = ['', ' 1', '1 ', '+1', '0x1p3', 'inf', '-inf', 'nan', '1e999', '1,5', 'a', '1e', '--', '1.2.3', '\x1b[31m', '0x10', '1_0', 'infinity']


def cases(Case):
    def bad(args, pattern, code=2, files=None, label=None):
        return Case(label or 'dagpt ' + ascii(' '.join(args))[1:60], args, code, pattern, files or {}, mib=512)

    tiny = {'m.bin': golden('tiny.bin')}
    for option, command in (('-j', 'tokens'), ('--cpus', 'tokens'), ('--chunk', 'tokens'), ('-n', 'tokens'), ('-n', 'complete'),
                            ('--top-k', 'complete'), ('--seed', 'complete'), ('--samples', 'complete'), ('--window', 'complete'), ('--logprobs', 'complete'),
                            ('--rows', 'graph'), ('--past', 'graph'), ('--step', 'graph'), ('--top', 'next'), ('--stride', 'score'), ('--trace-events', 'tokens')):
        for word in NUMBERS:
            yield bad([command, option, word, '1'], '.*%s' % option.lstrip('-'), label='%s %s %s' % (command, option, ascii(word)))
    for option, command in (('--temp', 'complete'), ('--top-p', 'complete'), ('--min-p', 'complete'), ('--repeat-penalty', 'complete'), ('--coin', 'tokens'), ('--seconds', 'bench'),
                            ('--fail-above', 'trace')):
        for word in REALS:
            yield bad([command, option, word, '1'], '.*%s' % option.lstrip('-'), label='%s %s %s' % (command, option, ascii(word)))
    for args in (['-j', '0'], ['-j', '257'], ['--cpus', '0'], ['--temp', '-0.5'], ['--top-p', '1.1'], ['--min-p', '-1'], ['--min-p', '1.1'], ['--repeat-penalty', '0'],
                 ['--sched', 'fast'], ['--sched', ''], ['--sched', 'DATAFLOW'], ['--isa', 'sse'], ['--isa', 'neon'], ['--tile', '4'], ['--tile', 'x'], ['--tile', '4x'], ['--tile', '-1x4'],
                 ['--tile', '4x4x4'], ['--tile', '99999999999x1'], ['--trace-tokens', '5'], ['--trace-tokens', '5:4'], ['--trace-tokens', '-1:4'], ['--trace-tokens', 'a:b'],
                 ['--trace-edges', 'some'], ['--trace-events', '0'], ['--chunk', '0'], ['--samples', '0'], ['--stop', ''], ['--logprobs', '-1']):
        yield bad(['complete'] + args + ['x'], '.*%s' % args[0].lstrip('-'))
    for args in (['frob'], ['--frob'], ['complete', '--frob'], ['complete', '--temp'], ['complete', '-m'], ['tokens'], ['trace'], ['complete', '-Q'], ['complete', '--t'],
                 ['complete', '--help=1'], ['complete', '--greedy=yes'], ['decode', '--null=1'], ['info', 'x'], ['graph', 'x'], ['bench', 'frob'], ['complete', 'a', 'b'],
                 ['complete', '-f', 'x', 'y'], ['encode', 'a', 'b'], ['score', 'a', 'b'], ['trace', '--what-if', '', 'x'], ['trace', '--what-if', '0', 'x'], ['trace', '--what-if', '1,,2', 'x'],
                 ['trace', '--what-if', '1000000', 'x'], ['graph', '--layers', '2:1'], ['graph', '--layers', 'x'], ['graph', '--format', 'svg'], ['graph', '--show', 'frob'],
                 ['graph', '--color', 'red'], ['graph', '--rows', '0'], ['complete', '\x1b[31m', '\x1b[31m'], ['\x1b]0;x\x07'], ['complete', '--\u202e']):
        yield bad(args, '.*')
    yield bad(['complete', '-i', 'x'], '.*', label='-i and a prompt')
    yield bad(['tokens', '-m', 'm.bin', '--coin', '0.5', '--greedy', '1'], '.*', files=tiny, label='--coin and --greedy')
    yield bad(['complete', '--stop', 'a'] + ['--stop', 'a'] * 16 + ['x'], '.*stop', label='17 --stop')
    yield bad(['complete', '-m', 'demo', '--vocab', 'none', 'x'], 'none: ', code=4, label='--vocab of no file')
    yield bad(['tokens', '-m', '', '1'], '.*', code=3, label='-m of nothing')
