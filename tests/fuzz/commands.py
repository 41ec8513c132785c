#!/usr/bin/env python3
"""commands.py SECONDS [SEED] - runs dagpt with command lines made by chance, of the options that --help has and of words that are
at the border of something, on small files, for so long. Whatever they say: it ends by itself, or soon after SIGINT, with an exit code that
the manual has, says why in printable lines, and leaves its input and no temporary file. $BUILD: the build folder.
Prints what is not so, and the seed of that line, which commands.py 0 SEED runs alone."""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata

BUILD = os.path.abspath(os.environ.get('BUILD', 'build'))
GOLDEN = os.path.abspath('tests/golden')
CODES = {0, 1, 2, 3, 4, 5, 6}
SECONDS = 10  # until SIGINT: many tokens take as long as they take
PATIENCE = 60
LEFT_OUT = {'bench'}  # it measures for seconds

INPUTS = {'m.bin': 'tiny.bin', 'm.gguf': 'gguf/small-bf16.gguf', 'hf': 'hf-bare', 'vocab.bpe': 'vocab.bpe'}
FILES = [*INPUTS, 'text', 'lines', 'ids', 't.json', 'empty', 'none', 'new', 'new.bin', 'new.gguf', 'new.dagpt', '.', '', '-', 'demo', 'm.bin/', '/dev/null', '/dev/zero', 'hf/config.json']
NUMBERS = ['0', '1', '2', '3', '7', '40', '256', '257', '4294967295', '4294967296', '9223372036854775807', '18446744073709551615', '18446744073709551616',
           '-1', '', ' 1', '1e3', '0x10', '1:2', '2:1', '0:0', '1,2', '4x4', '0x0', '1x99999999999']
REALS = ['0', '1', '0.5', '1.0', '-0', '1e-320', '1e308', '1e999', 'nan', 'inf', '.5', '5.', '']
WORDS = ['auto', 'f32', 'bf16', 'int8', 'dataflow', 'barrier', 'serial', 'scalar', 'avx2', 'avx512', 'neon', 'amx', 'last', 'all', 'llmc1', 'llmc3', 'llmc5', 'hf', 'gguf', 'packed', 'dot',
         'json', 'mermaid', 'text', 'Once upon a time', '<|endoftext|>', '\x1b[31m', '\u009b', '\u202e', '\\x80\\u0000', '\udcff\udc80', 'x' * 5000, '--', '--help', '--greedy=1']


def commands():
    """{name: [(option, what it calls its value, or '')]}, as --help has them."""
    def help_of(*words):
        return subprocess.run([BUILD + '/dagpt', *words, '--help'], stdout=subprocess.PIPE, check=True).stdout.decode()

    names = re.findall(r'^  ([a-z-]+) {2,}', help_of(), re.M)
    found = {n: re.findall(r'^  (?:-., |    )(--[a-z-]+)( [A-Z]\w*(?::\w+)?)? ', help_of(n), re.M) for n in names if n not in LEFT_OUT}
    return {n: [(option, value.strip()) for option, value in options if option != '--help'] for n, options in found.items()}


def prepare(folder):
    for name, source in INPUTS.items():
        (shutil.copytree if name == 'hf' else shutil.copy)(os.path.join(GOLDEN, source), os.path.join(folder, name))
    for name, data in {'text': b'Once upon a time\n', 'lines': b'Once\n{"prompt": "a"}\n\xff\n', 'ids': b'1 2 3\n4\n', 'empty': b''}.items():
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(data)
    subprocess.run([BUILD + '/dagpt', 'tokens', '-m', 'm.bin', '-j', '2', '--total', '4', '--trace', 't.json', '1', '2'], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# What an option's value mostly is, by its name in --help.
VALUES = {'N': NUMBERS[:8], 'K': NUMBERS[:8], 'X': REALS[:4], 'P': REALS[:4], 'FILE': FILES, 'MODEL': ['m.bin', 'm.gguf', 'hf', 'demo'], 'OUT': ['new.bin', 'new'],
          'A:B': ['0:1', '1:2', '0:9'], 'RxC': ['4x4', '1x64', '16x16'], 'STRING': WORDS}


def word(chance, kind=''):
    if kind and chance.random() < 0.9:
        return chance.choice(VALUES.get(kind, WORDS))
    return chance.choice(chance.choice((FILES, NUMBERS, REALS, WORDS)))


def line(chance, known):
    """A command line: mostly one that could be meant."""
    name = chance.choice(list(known))
    words = []
    for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 5, 9))):
        option, value = chance.choice(known[name])
        given = word(chance, value)
        words += [option + '=' + given] if value and chance.random() < 0.2 else [option, given] if value else [option]
    operands = {'tokens': NUMBERS[:6], 'next': NUMBERS[:6], 'decode': NUMBERS[:6], 'convert': FILES, 'trace': ['t.json'], 'info': [], 'graph': []}.get(name, WORDS)
    words += [chance.choice(operands) for _ in range(chance.choice((0, 1, 1, 1, 2))) if operands]
    if chance.random() < 0.1:
        words.insert(chance.randrange(len(words) + 1), word(chance))
    if chance.random() < 0.05:
        chance.shuffle(words)
    given = [name, *words] if chance.random() < 0.98 else words
    return [w.encode('utf-8', 'surrogateescape').replace(b'\0', b'') for w in given]


def is_printable(text):
    return not any(unicodedata.category(c) in ('Cc', 'Zl', 'Zp') for c in text if c not in '\n\t')


def faults(folder, words, given):
    """What is wrong with a run: a list."""
    env = dict(os.environ, LC_ALL='C')
    env.pop('DAGPT_MODEL', None)
    p = subprocess.Popen([(BUILD + '/dagpt').encode(), *words], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    found, codes = [], CODES
    try:
        _, err = p.communicate(given, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGINT)
        codes = CODES | {130}
        try:
            _, err = p.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            p.kill()
            _, err = p.communicate()
            found.append('it hangs')
    try:
        text = err.decode('utf-8')
    except UnicodeDecodeError:
        return found + ['stderr: no UTF-8']
    if p.returncode not in codes:
        found.append('exit code %d' % p.returncode)
    if not is_printable(text):
        found.append('stderr: not printable')
    if p.returncode not in (0, 1, 130) and not re.search('^dagpt: ', text, re.M):
        found.append('exit code %d without a reason' % p.returncode)
    if any('.part' in name for name in os.listdir(folder)):
        found.append('a temporary file is left')
    return found + (['stderr: %r' % text[:300]] if found else [])


def one(seed, known, inputs):
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as made:
        folder = shutil.copytree(inputs, made + '/work')
        words = line(chance, known)
        found = faults(folder, words, chance.choice((b'', b'Once\n', b'1 2\n', b'\xff\0\n')))
    if found:
        print('fuzz: commands: seed %d: dagpt %s\n    %s' % (seed, words, '\n    '.join(found)), flush=True)
    return not found


def main(seconds, seed=None):
    known, end = commands(), time.monotonic() + seconds
    runs, failed, first = 0, 0, seed or 1
    with tempfile.TemporaryDirectory() as inputs:
        prepare(inputs)
        while runs == 0 or time.monotonic() < end:
            failed += not one(first + runs, known, inputs)
            runs += 1
    print('fuzz: commands: %d executions, %d failed' % (runs, failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main(*map(int, sys.argv[1:])))
