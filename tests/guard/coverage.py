#!/usr/bin/env python3
"""coverage.py FOLDER [report] - runs the unit suites, the tests of the command, the tables of bad inputs and calls that fail, on
programs that count (FOLDER: their build folder), and prints which part of src/ they reached, by room and file. `report`: without running.

A line is missed when it was never run, or a branch of it was never taken: FOLDER/missed.txt has them. It fails under 95 % of the lines
or 90 % of the branches.
"""
import collections
import json
import os
import subprocess
import sys

LINES, BRANCHES = 95.0, 90.0
# Not these: what they do under make, in a sandbox that lets no counts be written, and for a browser.
LEFT_OUT = ('cli_build', 'cli_sandbox', 'cli_page', 'cli_get_gpt2', 'cli_readme')


def run(folder, *command):
    # Counting makes programs larger and slower, as sanitizers do: suites shorten what only grows with time.
    env = dict(os.environ, BUILD=folder, SAN='coverage', DAGPT_SAN='coverage')
    if command[0].endswith('faults.sh'):
        del env['SAN']
    p = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    last = p.stdout.decode('utf-8', 'replace').rstrip().rsplit('\n', 1)[-1]
    print('coverage: %s: %s' % (os.path.basename(command[-1]), last), flush=True)
    return p.returncode


def run_all(folder):
    """The exit codes count, but of calls that fail: gcov's own calls at the end of a program are among them."""
    suites = [os.path.join(at, f) for at, _, files in os.walk(folder + '/tests/unit') for f in files if f.startswith('check_') and '.' not in f]
    scripts = [os.path.join('tests/command', f) for f in os.listdir('tests/command') if f.startswith('cli') and f.endswith('.sh') and f[:-3] not in LEFT_OUT]
    failed = [c for c in sorted(suites) if run(folder, c)]
    failed += [c for c in sorted(scripts) + ['tests/hostile/hostile.sh'] if run(folder, 'sh', c)]
    run(folder, 'sh', 'tests/hostile/faults.sh')
    return failed


class Line:
    """Of all objects that have it. A kernel is a template, and a line of it stands in its function once for each set of
    numbers: `folded`, a branch is taken where it is in one of them."""

    def __init__(self, folded):
        self.count, self.branches, self.folded = 0, {}, folded

    def add(self, line):
        self.count += line['count']
        taken = [b['count'] for b in line['branches']]
        if self.folded and len(taken) > 2:
            taken = [sum(taken[::2]), sum(taken[1::2])]
        key = (line.get('function_name'), len(taken))
        self.branches[key] = [a + b for a, b in zip(self.branches.get(key, [0] * len(taken)), taken)]

    def taken(self):
        return [n for counts in self.branches.values() for n in counts]


def count(folder):
    """{path: {number: Line}}, of all objects that src/'s code is in."""
    notes = [os.path.join(at, f) for at, _, files in os.walk(folder) for f in files if f.endswith('.gcno')]
    found = {}
    for note in notes:
        out = subprocess.run(['gcov', '--json-format', '--stdout', '--branch-probabilities', note], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=True).stdout
        for document in out.splitlines():
            for file in json.loads(document)['files']:
                path = os.path.relpath(file['file'])
                if path.startswith('src/'):
                    lines = found.setdefault(path, {})
                    for line in file['lines']:
                        lines.setdefault(line['line_number'], Line(path.startswith('src/ops/kernels/'))).add(line)
    return found


def text_of(path):
    with open(path) as f:
        return [line.strip() for line in f]


def percent(part, whole):
    return 100 * part / whole if whole else 100


class Sum:
    def __init__(self):
        self.lines = self.run = self.branches = self.taken = 0

    def add(self, line):
        taken = line.taken()
        self.lines += 1
        self.run += line.count > 0
        self.branches += len(taken)
        self.taken += sum(n > 0 for n in taken)

    def row(self, name):
        return '| %s | %d | %.1f | %d | %.1f |' % (name, self.lines, percent(self.run, self.lines), self.branches, percent(self.taken, self.branches))


def report(found):
    files, rooms, total = {}, collections.defaultdict(Sum), Sum()
    missed = {}
    for path in sorted(found):
        text, files[path] = text_of(path), Sum()
        for number, line in sorted(found[path].items()):
            for s in (files[path], rooms[os.path.dirname(path)], total):
                s.add(line)
            if line.count == 0 or 0 in line.taken():
                missed.setdefault((path, text[number - 1]), []).append((number, line))
    print('| what | lines | run, % | branches | taken, % |\n|---|---|---|---|---|')
    for name, s in [*files.items(), *sorted(rooms.items()), ('src/', total)]:
        print(s.row(name))
    return missed, total


def said(path, text, places):
    return ['%s:%d: %s: %s' % (path, number, 'never run' if line.count == 0 else 'branches %s' % line.taken(), text) for number, line in places]


def main(folder, words):
    failed = [] if words else run_all(folder)
    missed, total = report(count(folder))
    with open(folder + '/missed.txt', 'w') as f:
        f.writelines(line + '\n' for (path, text), places in sorted(missed.items()) for line in said(path, text, places))
    lines, branches = percent(total.run, total.lines), percent(total.taken, total.branches)
    print('coverage: %.1f %% of lines, %.1f %% of branches; %s has those that are missed' % (lines, branches, folder + '/missed.txt'))
    if failed:
        print('coverage: failed: %s' % ' '.join(failed))
    return bool(failed or lines < LINES or branches < BRANCHES)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
