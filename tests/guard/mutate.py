#!/usr/bin/env python3
"""mutate.py [--number N] [--seed S] [--from K] [WORD]... - puts small faults into src/ops, src/model and src/text, one at a time, by the rules
below, and runs the unit suites of that room until one fails. WORD: only files whose path has it.

Of all faults that the rules give, those N (260) are tried whose hash with S (1) is smallest: another edition of the sources
changes few of them. What does not compile, or compiles to the same code, is none. A fault lives when every suite passes;
tests/guard/mutate.txt has those that may, with the reason. It fails where another lives, or less than 95 % are found.

$BUILD has the library and the suites' objects; CC: the compiler. One at a time. --from K: without the first K - 1."""
import argparse
import glob
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

CC = os.environ.get('CC', 'gcc')
BUILD = os.path.abspath(os.environ.get('BUILD', 'build'))
FLAGS = '-std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Isrc/runtime/sync -O1 -w -ffp-contract=off'.split()
AVX2, AVX512 = ['-mavx2', '-mfma'], ['-mavx512f', '-mavx512vl', '-mavx512bw', '-mavx512dq', '-mfma']
ISA = {'avx2.c': AVX2, 'avx512.c': AVX512, 'avx_vnni.c': AVX2 + ['-mavxvnni'], 'avx512_vnni.c': AVX512 + ['-mavx512vnni'],
       'amx.c': AVX512 + ['-mamx-tile', '-mamx-int8']}
AIM = 95
SECONDS = 20  # of processor time of a suite: what takes more hangs
PATIENCE = 600  # seconds, also of one that waits

# Those that end soon come first, but for a suite of the file's own name; model's see ops and text, too.
WHOLE = ['model/check_golden', 'model/check_spec']
ROOMS = {'src/ops/': ['ops/check_cache', 'ops/check_source', *WHOLE, 'model/check_precision', 'ops/check_ops', 'ops/check_kernels', 'ops/check_amx',
                      'model/check_gpt2', 'model/check_packed'],
         'src/text/': ['text/check_stream', 'text/check_vocabularies', 'text/check_written', 'text/check_sampler', 'text/check_tokenizer',
                       'text/check_split', 'model/check_packed', 'model/check_gguf'],
         'src/model/': ['model/check_engine', 'model/check_llmc', 'model/check_gguf', 'model/check_huggingface', 'model/check_packed', 'model/check_writer',
                        *WHOLE, 'model/check_gpt2', 'model/check_batch', 'model/check_misuse', 'model/check_tell', 'model/check_precision',
                        'model/check_ranks', 'model/check_closing', 'model/check_sequence', 'model/check_bits']}
LINKED = {'model/check_closing': ['-Wl,--wrap=' + f for f in ('malloc', 'calloc', 'realloc', 'close')],
          'model/check_sequence': ['-Wl,--wrap=posix_memalign'], 'text/check_split': ['-lpcre2-8'],
          'ops/check_amx': [BUILD + '/tests/support/amx_emulated.o']}

# ---- the rules ----

SWAPS = [('<=', '<'), ('>=', '>'), ('<', '<='), ('>', '>='), ('==', '!='), ('!=', '=='), ('&&', '||'), ('||', '&&'), ('+', '-'), ('-', '+'),
         ('*', '+'), ('/', '*'), ('%', '/'), ('+=', '-='), ('-=', '+=')]
OPERATOR = re.compile(r'(?<= )(<=|>=|==|!=|&&|\|\||\+=|-=|[<>+*/%-])(?= )')
NUMBER = re.compile(r'(?<![\w.#"])(\d+)(?:u|ull)?(?![\w.])')
CONDITION = re.compile(r'^(\s*(?:} else )?(?:if|while) \()(.*)(\)(?: \{)?)$')
STATEMENT = re.compile(r'^\s+(?!return|goto|case|default|static|const|struct|enum|size_t|u?int|float|double|char|bool|void)[\w*(][^=;]*(?:\(|=|\+\+|--).*;$')
CALL = re.compile(r'(\b[a-z]\w*)\(([\w.>-]+), ([\w.>-]+)\)')


def code_of(text):
    """The text with comments and strings blanked, character for character."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'', lambda m: re.sub(r'[^\n]', '~', m.group()), text, flags=re.S)


def put(line, begin, end, new):
    return line[:begin] + new + line[end:]


def of_line(line, code):
    """What the rules make of a line, whose code is without comments and strings."""
    for m in OPERATOR.finditer(code):
        yield put(line, m.start(), m.end(), dict(SWAPS)[m.group()])
    for m in NUMBER.finditer(code):
        yield put(line, m.start(1), m.end(1), str(int(m.group(1)) + 1))
        if int(m.group(1)) > 0:
            yield put(line, m.start(1), m.end(1), str(int(m.group(1)) - 1))
    for m in CONDITION.finditer(code):
        yield put(line, m.start(2), m.end(2), '!(%s)' % line[m.start(2):m.end(2)])
    for m in CALL.finditer(code):
        yield put(line, m.start(2), m.end(3), '%s, %s' % (m.group(3), m.group(2)))
    # What frees is left out: the suites do not count what is left, tests/hostile/faults.sh does.
    if code.count('(') == code.count(')') and STATEMENT.match(code) and not re.search(r'\b\w*(free|close|unmap)\(', code):
        yield re.match(r'\s*', line).group() + ';'


class Mutant:
    def __init__(self, path, number, old, new, seed):
        self.path, self.number, self.old, self.new = path, number, old, new
        self.order = hashlib.sha256(repr((seed, path, old, new)).encode()).digest()
        self.name = '%s: %s => %s' % (path, old.strip(), new.strip())


def of_file(path, seed):
    with open(path) as f:
        text = f.read()
    in_function = False
    for number, (line, code) in enumerate(zip(text.split('\n'), code_of(text).split('\n')), 1):
        if code.startswith('{'):
            in_function = True
        elif code.startswith('}'):
            in_function = False
        elif in_function and not re.match(r'\s*(#|assert|static_assert|enum\b|static const\b)', code):
            for new in of_line(line, code):
                yield Mutant(path, number, line, new, seed)


# ---- trying one ----

def limited():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, **more):
    """Does it succeed? One that hangs does not."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limited, timeout=PATIENCE, **more).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Bench:
    """A copy of src/ for mutants, a copy of the library without its notes for debuggers, and the suites' objects."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree('src', folder + '/src')
        self.library = folder + '/libdagpt.a'
        subprocess.run(['objcopy', '-g', BUILD + '/libdagpt.a', self.library], check=True)
        self.main = [BUILD + '/tests/support/support.o', BUILD + '/tests/support/suite.o']
        libraries = subprocess.run(['pkg-config', '--libs', 'check'], stdout=subprocess.PIPE).stdout.decode().split()
        self.libraries = [*(libraries or ['-lcheck', '-lsubunit', '-lrt']), '-lpthread', '-lm']
        self.plain = {}

    def compile(self, path, to):
        more = ISA.get(os.path.basename(path), [])
        return run([CC, *FLAGS, *more, '-c', '-o', to, path], cwd=self.folder)

    def object_of(self, path):
        """Of the file as it is."""
        if path not in self.plain:
            at = '%s/%s.o' % (self.folder, path.replace('/', '_'))
            if not self.compile(path, at):
                raise SystemExit('mutate: %s does not compile' % path)
            self.plain[path] = open(at, 'rb').read()
        return self.plain[path]

    def make(self, mutant):
        """The object, or None: it does not compile, or is the same."""
        plain, at = self.object_of(mutant.path), os.path.join(self.folder, mutant.path)
        with open(at) as f:
            text = f.read()
        lines = text.split('\n')
        lines[mutant.number - 1] = mutant.new
        with open(at, 'w') as f:
            f.write('\n'.join(lines))
        made = self.folder + '/mutant.o'
        ok = self.compile(mutant.path, made)
        with open(at, 'w') as f:
            f.write(text)
        return made if ok and open(made, 'rb').read() != plain else None

    def passes(self, suite, objects):
        program = self.folder + '/suite'
        subprocess.run([CC, '-o', program, BUILD + '/tests/unit/%s.o' % suite, *self.main, *objects, *LINKED.get(suite, []), self.library,
                        *self.libraries], check=True, stderr=subprocess.DEVNULL)
        return run([program], env=dict(os.environ, BUILD=BUILD, CK_FORK='no', DAGPT_SAN='mutants', CK_DEFAULT_TIMEOUT='0'))

    def killer(self, mutant, made):
        """The suite that fails, or None."""
        suites = next(s for room, s in ROOMS.items() if mutant.path.startswith(room))
        noun = re.split(r'[_.]', os.path.basename(mutant.path))[0]
        return next((s for s in sorted(suites, key=lambda s: noun not in s) if not self.passes(s, [made])), None)


def allowed():
    with open('tests/guard/mutate.txt') as f:
        return {line.rstrip('\n') for line in f if line.strip() and not line.startswith('#')}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--number', type=int, default=260)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--from', type=int, default=1, dest='begin')
    parser.add_argument('words', nargs='*')
    given = parser.parse_args()
    paths = [p for room in ROOMS for p in glob.glob(room + '**/*.c', recursive=True) if not re.search(r'neon|_emul', p) and
             (not given.words or any(w in p for w in given.words))]
    mutants = sorted((m for p in paths for m in of_file(p, given.seed)), key=lambda m: m.order)
    killed, lives, unexplained, may = 0, 0, 0, allowed()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        for tried, mutant in enumerate(mutants[given.begin - 1:given.number], given.begin):
            made = bench.make(mutant)
            if not made:
                continue
            killer = bench.killer(mutant, made)
            if killer:
                killed += 1
                print('%d: %s:%d: found by %s' % (tried, mutant.path, mutant.number, killer), flush=True)
                continue
            lives += 1
            unexplained += mutant.name not in may
            print('%d: %s:%d: LIVES%s\n    %s' % (tried, mutant.path, mutant.number, ', as it may' if mutant.name in may else '', mutant.name),
                  flush=True)
    share = 100 * killed / max(1, killed + lives)
    print('mutate: %d faults of %d that the rules give, %d found (%.1f %%), %d live, %d of them without a reason' %
          (killed + lives, len(mutants), killed, share, lives, unexplained))
    return unexplained > 0 or share < AIM


if __name__ == '__main__':
    sys.exit(main())
