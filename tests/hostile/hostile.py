#!/usr/bin/env python3
"""hostile.py [WORD]... - runs the tables of bad inputs (table_*.py), or the cases whose label has one of the words.

A case is a bad file or argument, a command, the exit code and a pattern of the message. Of each is expected:
  - that exit code;
  - one line on stderr, `dagpt: MESSAGE`, which the pattern matches from its beginning, printable and valid UTF-8;
  - nothing on stdout, but what the case says;
  - little memory (`mib`: of the process, beside its code and files) and little processor time, whatever the
    file claims. Under a sanitizer memory is not limited.
$BUILD: the build folder; $SAN: the sanitizer, if any.
"""
import concurrent.futures
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('BUILD', 'build'))
TABLES = sorted(f[6:-3] for f in os.listdir(HERE) if f.startswith('table_') and f.endswith('.py'))
SECONDS = 20  # of processor time: what hangs, or grows faster than its file, takes more

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != 'DAGPT_MODEL'}
ENVIRONMENT['LC_ALL'] = 'C'


class Case:
    """label: says what is bad. files: {name: bytes}, or a function that makes them in a folder. args: after `dagpt`.
    code (or several), pattern: what is expected; pattern None: nothing on stderr. stdin: bytes, or None for /dev/null. out: a pattern of all
    of stdout. mib: memory."""

    def __init__(self, label, args, code, pattern, files=None, stdin=None, out='', mib=16, env=None):
        self.label, self.args, self.pattern = label, args, pattern
        self.codes = code if isinstance(code, tuple) else (code,)
        self.files, self.stdin, self.out, self.mib, self.env = files or {}, stdin, out, mib, env or {}


def make_files(case, folder):
    if callable(case.files):
        return case.files(folder)
    for name, content in case.files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content)
    return None


def is_printable(line):
    return not any(unicodedata.category(c) in ('Cc', 'Zl', 'Zp') for c in line)


def faults(case, code, out, err):
    """What is wrong with a run: a list."""
    found = []
    if code not in case.codes:
        found.append('exit code: got %d, expected %s' % (code, ' or '.join(map(str, case.codes))))
    try:
        text = err.decode('utf-8')
    except UnicodeDecodeError:
        return found + ['stderr: got bytes that are no UTF-8']
    if case.pattern is None:
        if err:
            found.append('stderr: got a message, expected none')
    elif not (text.endswith('\n') and text.count('\n') == 1 and is_printable(text[:-1])):
        found.append('stderr: expected one printable line')
    elif not text.startswith('dagpt: ') or not re.match(case.pattern, text[7:-1]):
        found.append('stderr: expected dagpt: %s' % case.pattern)
    if not re.fullmatch(case.out, out.decode('utf-8', 'replace'), re.DOTALL):
        found.append('stdout: got %r' % out[:80])
    return found


def run(case):
    limits = 'ulimit -c 0; ulimit -t %d; ' % SECONDS
    if not os.environ.get('SAN'):
        limits += 'ulimit -d %d; ' % (1024 * case.mib)
    folder = tempfile.mkdtemp(prefix='dagpt-hostile-')
    try:
        after = make_files(case, folder)
        args = [a if isinstance(a, bytes) else a.encode('utf-8', 'surrogateescape') for a in case.args]
        p = subprocess.run(['sh', '-c', limits + 'exec "$@"', 'sh', BUILD + '/dagpt'] + args, cwd=folder, timeout=300,
                           input=case.stdin, stdin=subprocess.DEVNULL if case.stdin is None else None,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(ENVIRONMENT, **case.env))
        found = faults(case, p.returncode, p.stdout, p.stderr)
        if after:
            after()
        return found, p.stderr
    except subprocess.TimeoutExpired:
        return ['not done after 300 s'], b''
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def all_cases(words):
    for name in TABLES:
        for case in importlib.import_module('table_' + name).cases(Case):
            case.label = name + ': ' + case.label
            if not words or any(w in case.label for w in words):
                yield case


def main(words):
    cases = list(all_cases(words))
    labels = [c.label for c in cases]
    failed = 0
    for label in set(l for l in labels if labels.count(l) > 1):
        print('hostile: two cases are called %s' % label)
        failed += 1
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for case, (found, err) in zip(cases, pool.map(run, cases)):
            if found:
                failed += 1
                print('hostile: %s: dagpt %s' % (case.label, ' '.join(map(str, case.args))[:200]))
                print('    ' + '\n    '.join(found))
                print('    stderr: %s' % err[:300].decode('utf-8', 'backslashreplace').rstrip('\n'))
    print('hostile: %d bad inputs, %d failed' % (len(cases), failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.path.insert(0, HERE)
    sys.exit(main(sys.argv[1:]))
