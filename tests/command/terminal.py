"""terminal.py - `dagpt complete -i` as a user at a terminal has it: terminal.py PROGRAM EDIT MODEL MERGES. EDIT is 1 when
the program was built with libedit; MODEL has many positions. A line for each failure; exit status 1 when there is
one."""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

program, edit, model, merges = sys.argv[1], sys.argv[2] == "1", sys.argv[3], sys.argv[4]
patience = 120  # seconds that a step may take on a busy machine
signal.alarm(900)  # all of it
failed = False


def check(label, ok, *more):
    global failed
    if not ok:
        failed = True
        print("cli_lines:", label, *more)


def expected(text, *options):
    """What `complete` prints of this prompt when nobody types."""
    return subprocess.run([program, "complete", *options, text], check=True, capture_output=True).stdout


class Terminal:
    def __init__(self, *options, locale="C"):
        self.master, slave = pty.openpty()
        self.slave = slave  # stays open, so that its settings can be looked at
        self.before = termios.tcgetattr(slave)

        def own_terminal():
            os.setsid()
            os.close(os.open(os.ttyname(slave), os.O_RDWR))  # becomes the controlling one
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        environment = dict(os.environ, TERM="dumb", LC_ALL=locale, HOME="/nonexistent")
        self.child = subprocess.Popen([program, "complete", "-i", *options], stdin=slave, stdout=subprocess.PIPE,
                                      stderr=slave, preexec_fn=own_terminal, env=environment, bufsize=0)
        self.out = b""
        seen = b""
        while b"dagpt> " not in seen:
            if not select.select([self.master], [], [], patience)[0]:
                raise SystemExit(f"cli_lines: no prompt; the terminal got {seen!r}")
            seen += os.read(self.master, 65536)
        check("without an editor it is said, else not", (b"built without libedit" in seen) != edit, seen)
        self.wait()

    def wait(self):
        """Until the program waits for keys. The editor takes them one by one while it reads a line, and at no other
        time; the plain reader leaves lines to the terminal, and they may be typed ahead."""
        end = time.monotonic() + patience
        while edit and termios.tcgetattr(self.slave)[3] & termios.ICANON:
            if time.monotonic() > end:
                raise SystemExit("cli_lines: the editor does not take over the terminal")
            time.sleep(0.01)

    def read_line(self):
        """A line of the program's output. What it shows on the terminal meanwhile is thrown away."""
        line = b""
        while not line.endswith(b"\n"):
            ready = select.select([self.master, self.child.stdout], [], [], patience)[0]
            if self.master in ready:
                os.read(self.master, 65536)
            if self.child.stdout in ready:
                byte = os.read(self.child.stdout.fileno(), 1)
                line += byte or b" (the end)\n"
            if not ready:
                raise SystemExit(f"cli_lines: no line of output after {self.out + line!r}")
        self.out += line
        return line

    def type(self, keys):
        os.write(self.master, keys)

    def line(self, keys):
        """Types a line; returns when it has been answered."""
        self.type(keys + b"\n")
        self.read_line()
        self.wait()

    def leave(self, keys=b"\x04"):
        """Ends the program; returns what it printed, and its status."""
        if keys:
            self.type(keys)
        out = self.out + self.child.communicate(timeout=patience)[0]
        after = termios.tcgetattr(self.slave)
        check(f"the terminal is left as it was, after {keys!r}", after == self.before)
        return out, self.child.returncode


greedy = ["--greedy", "-n", "4"]

# Lines; Ctrl-D at an empty one is the end.
t = Terminal(*greedy)
t.line(b"One day,")
t.line(b"Once")
out, status = t.leave()
check("two lines", out == expected("One day,", *greedy) + expected("Once", *greedy), out)
check("Ctrl-D: status", status == 0, status)

# Editing; the terminal itself can rub out, too.
t = Terminal(*greedy)
t.line(b"One dax\x7fy,")
out, status = t.leave()
check("a character rubbed out", out == expected("One day,", *greedy), out)

if edit:
    t = Terminal(*greedy)
    t.line(b"One day,")
    t.line(b"ce\x01On\x05 upon")  # to the start of the line, and to its end
    t.line(b"\x10\x10")  # Ctrl-P, as the arrow up: the line before the last
    t.line(b"\x1b[A")
    out, status = t.leave()
    one, once = expected("One day,", *greedy), expected("Once upon", *greedy)
    check("editing and history", out == one + once + one + one, out)

    # Characters of several bytes, in a locale that does not have them as well.
    for locale in "C", "C.UTF-8":
        t = Terminal(*greedy, locale=locale)
        t.line("Gr\u00fc\u00dfe \U0001F642x\x7f".encode())
        out, status = t.leave()
        check(f"UTF-8 in locale {locale}", out == expected("Gr\u00fc\u00dfe \U0001F642", *greedy), out)

# Ctrl-C at the prompt ends the program, also after a text, which Ctrl-C would only have ended.
for lines in [], [b"One day,"]:
    t = Terminal(*greedy)
    for line in lines:
        t.line(line)
    t.type(b"Onc")
    time.sleep(0.3)
    out, status = t.leave(b"\x03")
    check("Ctrl-C at the prompt", status == 130, status)
    check("Ctrl-C at the prompt: output", out == b"".join(expected(line, *greedy) for line in lines), out)

# A trace of what was said is written all the same; here the line is half typed.
with tempfile.TemporaryDirectory() as folder:
    for number in signal.SIGINT, signal.SIGTERM:
        trace = os.path.join(folder, "trace.json")
        t = Terminal("--trace", trace, *greedy)
        t.line(b"One day,")
        t.type(b"Onc")
        time.sleep(0.3)
        os.kill(t.child.pid, number)
        out, status = t.leave(b"")
        check(f"{number} at the prompt", status == 128 + number, status)
        check(f"{number} at the prompt: the trace", os.listdir(folder) == ["trace.json"], os.listdir(folder))
        with open(trace, encoding="utf-8") as file:
            check(f"{number} at the prompt: its steps", len(json.load(file)["dagpt"]["steps"]) >= 4)
        os.unlink(trace)

# Ctrl-C in a text ends the text; the next prompt is taken.
t = Terminal("-m", model, "--vocab", merges, "--ignore-eos", "-n", "200000", "--json", "--greedy")
t.type(b"x\n")
t.read_line()
t.type(b"\x03")
while b'"finish"' not in (line := t.read_line()):
    pass
check("Ctrl-C in a text", b'"finish": "interrupted"' in line, line)
t.wait()
t.type(b"y\n")
line = t.read_line()
check("a text after Ctrl-C", line.startswith(b'{"token": 1,'), line)
os.kill(t.child.pid, signal.SIGTERM)
out, status = t.leave(b"")
check("SIGTERM in a text", status == 143 and b'"finish": "interrupted"' in out.splitlines()[-1], status)

# A text ends by one Ctrl-D at the beginning of a line.
for command, keys, answer in [["encode"], b"Once\n\x04", None], [["decode"], b"79\n\x04", b"p"], \
        [["score"], b"Once\n\x04", None], [["complete", *greedy], b"One day,\n\x04", expected("One day,", *greedy)]:
    master, slave = pty.openpty()
    child = subprocess.Popen([program, *command], stdin=slave, stdout=subprocess.PIPE)
    os.close(slave)
    os.write(master, keys)
    try:
        out = child.communicate(timeout=patience)[0]
        check(f"{command[0]}: Ctrl-D", child.returncode == 0 and (not answer or out == answer), child.returncode, out)
    except subprocess.TimeoutExpired:
        child.kill()
        check(f"{command[0]}: one Ctrl-D is not enough", False)
    os.close(master)

def seen_of(*arguments, whole, command="complete"):
    """What a terminal gets of the program's stderr, and, when `whole` is, of its stdout, too."""
    master, slave = pty.openpty()
    child = subprocess.Popen([program, command, *arguments], stdin=subprocess.DEVNULL,
                             stdout=slave if whole else subprocess.PIPE, stderr=slave)
    os.close(slave)
    seen = b""
    while select.select([master], [], [], patience)[0]:
        try:
            seen += os.read(master, 65536)
        except OSError:  # the program has closed the terminal
            break
    child.communicate(timeout=patience)
    os.close(master)
    return seen


# A bar while a long prompt is read, which scalar kernels take a second for; gone when the text begins.
slow = ["-m", model, "--vocab", merges, "--isa", "scalar", "-j", "1", "-n", "1", "--greedy", "x" * 6000]
seen = seen_of(*slow, whole=False)
bars = seen.split(b"reading the prompt [")[1:]
shares = [float(bar.split(b"]")[1].split(b"%")[0]) for bar in bars]
check("progress: a bar that grows", len(shares) > 1 and shares == sorted(shares) and 0 <= shares[0] < shares[-1] <= 100, seen)
check("progress: the line is empty at the end", seen.endswith(b"\r\x1b[K"), seen[-40:])
seen = seen_of(*slow, "--echo", whole=True)
check("progress: no bar over a prompt that stands there", seen.startswith(b"x" * 6000) and b"[" not in seen, seen[:100], seen[-100:])

# Candidates stand below the piece of text that they are of.
seen = seen_of("--logprobs", "1", *greedy, "One day,", whole=True).replace(b"\r\n", b"\n")
pieces = seen.split(b"\n")
check("candidates on a terminal", len(pieces) == 10 and all(pieces[2 * i + 1].startswith(b"%d\t" % (i + 1)) for i in range(4)) and
      b"".join(pieces[0:8:2]) + b"\n" == expected("One day,", *greedy), seen)

# A text's commands for terminals are shown, and not obeyed: ESC, CR, BEL, DEL, U+009B, and a byte 0x9B.
text = b"a\x1b[2J\r\x07\x7f\xc2\x9b31m\tb\xc3\xa9\n\x9bc"
shown = "a\\u001b[2J\\u000d\\u0007\\u007f\\u009b31m\tb\u00e9\n\ufffdc".encode()
ids = subprocess.run([program, "encode"], input=text, check=True, capture_output=True).stdout.split()
raw = subprocess.run([program, "decode", *ids], check=True, capture_output=True).stdout
check("controls: as they are where there is no terminal", raw == text, raw)
for command, arguments, end in (("decode", ids, b""), ("complete", ["--echo", "-n", "0", text], b"\n"),
                                ("complete", ["--echo", "-n", "0", "--samples", "2", text], b"\n")):
    seen = seen_of(*arguments, whole=True, command=command).expandtabs(8).replace(b"\r\n", b"\n")
    wanted = (shown + end).expandtabs(8)
    check(f"controls on a terminal: {command} {arguments[:-1]}", wanted in seen and not set(seen) & set(b"\x1b\r\x07\x7f") and
          b"\xc2\x9b" not in seen, seen)

sys.exit(failed)
