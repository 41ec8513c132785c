#!/usr/bin/env python3
"""faults.py [all] [WORD]... - makes calls of each command fail, one after the other: allocations, the creation of threads, opening,
reading, writing and moving files. Each once, and from then on; without `all` every ninth of them. WORD: of the
commands whose name below has it.

Of each run is expected: no signal and no hang; the exit code of that kind, or 0 where the command did without, with the same results
and no more blocks of memory left; on an error one line on stderr; and no temporary file.
tests/support/faults.c, loaded before the program, makes them fail. $BUILD: the build folder.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

from good import tokenizer_json

BUILD = os.path.abspath(os.environ.get('BUILD', 'build'))
GOLDEN = os.path.abspath('tests/golden')
# Exit codes by kind. What is interrupted, or gives less than asked, is taken up again: nothing is to be seen of it.
CODES = {'memory': (0, 6), 'thread': (0, 6), 'open': (0, 3, 4, 5, 6), 'read': (0, 3, 4, 5), 'short': (0,), 'again': (0,), 'write': (0, 5),
         'file': (0, 3, 4, 5, 6), 'truncate': (0, 3, 4, 5)}
TIMES = ('tokens --trace', 'tokens --sandbox', 'bench')  # their files differ from run to run
# A text that is cut while it is read ends there, and nobody can tell.
TEXTS = ('complete -f', 'score', 'encode', 'decode')
ONCE = ('short', 'again')  # from then on nothing would ever be read

COMMANDS = {
    'tokens': ['tokens', '-j', '1', '-m', 'm.bin', '--total', '4', '1', '2'],
    'tokens -j 3': ['tokens', '-j', '3', '--cpus', '3', '-m', 'm.bin', '--total', '4', '1', '2'],
    'tokens --trace': ['tokens', '-j', '1', '-m', 'm.bin', '--total', '4', '--trace', 'new', '1', '2'],
    'tokens, ids of a pipe': ['tokens', '-j', '1', '-m', 'm.bin', '--total', '4', '-'],
    'tokens of a folder': ['tokens', '-j', '1', '-m', 'hf', '--total', '3', '1'],
    'tokens of GGUF': ['tokens', '-j', '1', '-m', 'm.gguf', '--total', '3', '1'],
    'tokens of a packed file': ['tokens', '-j', '1', '-m', 'm.dagpt', '--total', '3', '1'],
    'next': ['next', '-j', '1', '-m', 'm.bin', '1'],
    'complete': ['complete', '-j', '1', '--greedy', '-n', '3', '-m', 'demo', 'Once'],
    'complete -f': ['complete', '-j', '1', '--seed', '1', '-n', '3', '-f', 'text'],
    'complete -i': ['complete', '-i', '-j', '1', '--seed', '1', '-n', '2'],
    'complete --stop': ['complete', '-j', '1', '--top-k', '5', '--seed', '1', '-n', '9', '--stop', 'xyz', '--repeat-penalty', '1.1', 'One day'],
    'complete --samples': ['complete', '-j', '1', '--samples', '3', '--seed', '1', '-n', '2', 'Once'],
    'complete --prompts': ['complete', '-j', '1', '--prompts', '-', '--greedy', '-n', '2'],
    'score': ['score', '-j', '1', '-f', 'text'],
    'encode': ['encode', '-f', 'text'],
    'encode --vocab': ['encode', '--vocab', 'vocab.bpe', 'Once upon a time'],
    'encode, tokenizer.json': ['encode', '--vocab', 'tokenizer.json', 'Once upon a time'],
    'encode -m gguf': ['encode', '-m', 'm.gguf', 'Once'],
    'decode': ['decode', '-f', 'ids'],
    'info': ['info', '-m', 'm.bin'],
    'info of a folder': ['info', '-m', 'hf'],
    'info --verify': ['info', '-m', 'm.dagpt', '--verify'],
    'convert': ['convert', 'hf', 'new.dagpt'],
    'convert to llm.c': ['convert', 'hf', 'new.bin'],
    'convert to GGUF': ['convert', 'hf', 'new.gguf'],
    'convert to a folder': ['convert', 'm.gguf', 'new'],
    'graph': ['graph', '-m', 'm.bin'],
    'graph -o': ['graph', '-m', 'm.bin', '--tiles', '-o', 'new'],
    'graph --check': ['graph', '-m', 'm.bin', '--check'],
    'graph --trace': ['graph', '--trace', 't'],
    'trace': ['trace', 't'],
    'trace of a pipe': ['trace', '-'],
    'trace a b': ['trace', 't', 't'],
    'trace --what-if': ['trace', '--what-if', '1,2', 't'],
    'trace --html': ['trace', '--html', 'new', 't'],
    'bench': ['bench', '--quick', '-j', '1', '-m', 'm.bin', 'decode', '--svg', 'new'],
    'make-model': ['make-model', '--layers', '1', '--heads', '1', '--channels', '16', '--vocab', '40', '--positions', '8', '-o', 'new'],
    'tokens --sandbox': ['tokens', '--sandbox', '-j', '1', '-m', 'm.bin', '--total', '3', '--trace', 'new', '1'],
}
INPUT = {'tokens, ids of a pipe': b'1 2\n', 'complete -i': b'Once\n\n', 'complete --prompts': b'Once\nOne day\n'}


LINES = {'tokens --trace': 3, 'tokens --sandbox': 3, 'tokens -j 3': 2, 'complete --samples': 3, 'complete --prompts': 2}  # of the recording, of fewer workers, of each text; else one


def plain(out):
    """Without the seed of chance that --prompts names."""
    return re.sub(rb'seed \d+', b'', out)


def dagpt(folder, *args):
    subprocess.run([BUILD + '/dagpt'] + list(args), cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepare(folder):
    for name, path in {'m.bin': 'tiny.bin', 'm.gguf': 'gguf/small-bf16.gguf'}.items():
        shutil.copy(os.path.join(GOLDEN, path), os.path.join(folder, name))
    shutil.copytree(os.path.join(GOLDEN, 'hf-bare'), os.path.join(folder, 'hf'))
    with open(GOLDEN + '/vocab.bpe', 'rb') as f:  # a shorter one: loading it is not what is tested
        lines = f.read().split(b'\n')[:300]
    for name, text in {'text': b'Once upon a time', 'ids': b'1 2 3\n', 'vocab.bpe': b'\n'.join(lines) + b'\n', 'tokenizer.json': tokenizer_json()}.items():
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(text)
    dagpt(folder, 'convert', 'm.bin', 'm.dagpt')
    dagpt(folder, 'tokens', '-m', 'm.bin', '-j', '2', '--total', '4', '--trace', 't', '1', '2')


def contents(path):
    """Of a file, or of a folder's files."""
    if os.path.isdir(path):
        return {name: contents(os.path.join(path, name)) for name in os.listdir(path)}
    with open(path, 'rb') as f:
        return f.read()


class Run:
    """What a command left behind: code, out, err; calls of the kind; blocks of memory that are not freed; made: the files that
    it was to make, by name; left: names of others."""

    def __init__(self, master, command, kind, at):
        folder = tempfile.mkdtemp(prefix='dagpt-faults-')
        try:
            self.run(master, folder, command, dict(FAULT='%s:%s' % (kind, at)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, master, folder, command, fault):
        work, log = os.path.join(folder, 'work'), os.path.join(folder, 'log')
        shutil.copytree(master, work)
        before = set(os.listdir(work))
        env = dict(os.environ, LC_ALL='C', LD_PRELOAD=BUILD + '/faults.so', FAULT_LOG=log, **fault)
        env.pop('DAGPT_MODEL', None)
        given = contents(work + '/t') if command == 'trace of a pipe' else INPUT.get(command, b'')
        try:
            args = COMMANDS[command]
            program = [BUILD + '/make-model'] + args[1:] if args[0] == 'make-model' else [BUILD + '/dagpt'] + args
            p = subprocess.run(program, cwd=work, env=env, input=given, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=120)
            self.code, self.out, self.err = p.returncode, p.stdout, p.stderr
        except subprocess.TimeoutExpired:
            self.code, self.out, self.err = 'none: it hangs', b'', b''
        # A run that took long measures the machine's limits, and makes threads for it.
        self.calls, blocks, threads = map(int, contents(log).split()) if os.path.exists(log) else (0, 0, 0)
        self.blocks = blocks - threads
        new = set(os.listdir(work)) - before
        self.made = {name: contents(os.path.join(work, name)) for name in new if '.part' not in name}
        self.left = sorted(name for name in new if '.part' in name)


def faults(command, kind, got, good):
    found = []
    if got.code not in CODES[kind]:
        found.append('exit code: got %s, expected %s' % (got.code, ' or '.join(map(str, CODES[kind]))))
    lines = got.err.decode('utf-8').splitlines()
    if got.code != 0 and not (1 <= len(lines) <= LINES.get(command, 1) and all(l.startswith(('dagpt: ', 'make-model: ')) for l in lines)):
        found.append('stderr: expected one line')
    cut = kind == 'truncate' and command in TEXTS
    if got.code == 0 and plain(got.out) != plain(good.out) and not cut and command != 'bench':
        found.append('exit code 0, but other results')
    if got.code == 0 and (got.made != good.made and command not in TIMES or got.made.keys() != good.made.keys()):
        found.append('exit code 0, but other files')
    if got.code == 0 and got.blocks > good.blocks:
        found.append('memory: got %d blocks that are not freed, expected %d' % (got.blocks, good.blocks))
    if got.left:
        found.append('files: %s' % ' '.join(got.left[:3]))
    return found


def main(words):
    every = 'all' in words
    words = [w for w in words if w != 'all']
    step = 1 if every else 9
    master = tempfile.mkdtemp(prefix='dagpt-faults-')
    points, failed = 0, 0
    try:
        prepare(master)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for command in (c for c in COMMANDS if not words or any(w in c for w in words)):
                for kind in CODES:
                    good = Run(master, command, kind, '0')
                    if good.code != 0:
                        print('faults: dagpt %s: fails by itself: %s' % (command, good.err))
                        failed += 1
                        break
                    at = [str(i) + more for i in range(1, good.calls + 1) for more in (('',) if kind in ONCE else ('', '+'))]
                    at = at[(sum(map(ord, command + kind)) % step):: step]
                    for where, got in zip(at, pool.map(lambda a: Run(master, command, kind, a), at)):
                        points += 1
                        found = faults(command, kind, got, good)
                        if found:
                            failed += 1
                            print('faults: dagpt %s: %s:%s: %s' % (command, kind, where, '; '.join(found)))
                            print('    stderr: %s' % got.err[:200].decode('utf-8', 'backslashreplace').rstrip('\n'))
    finally:
        shutil.rmtree(master, ignore_errors=True)
    print('faults: %d faults, %d not survived' % (points, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
