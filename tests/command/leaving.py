"""leaving.py - how dagpt ends, by signals and by readers that go: leaving.py PROGRAM TINY MERGES SLOW DIR. SLOW is a model of
the merges' vocabulary whose prompts take seconds. Nothing here depends on how fast the machine is, but for signals at random
moments, which must end well whenever they come: $MOMENTS of them, or 50. A line for each failure; exit status 1 when there is one."""
import contextlib
import fcntl
import glob
import json
import os
import random
import signal
import subprocess
import sys
import time

program, tiny, merges, slow, folder = sys.argv[1:6]
patience = 120  # seconds until something hangs
signal.alarm(600 + int(os.environ.get("MOMENTS", "50")))  # all of it
failed = passed = 0
trace = folder + "/t.json"
INT, TERM = signal.SIGINT, signal.SIGTERM


def check(label, ok, *more):
    global failed, passed
    if ok:
        passed += 1
    else:
        failed += 1
        print("cli_leaving:", label, *more)


def start(*arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL):
    def defaults():  # a caller may have had them ignored
        for number in (INT, TERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen([program, *arguments], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, preexec_fn=defaults)


def ended(label, child, code, said=""):
    """It ends with that code and, on stderr, these words alone. Returns what it printed."""
    out, err = child.communicate(timeout=patience)
    check(label, child.returncode == code, "got", child.returncode, "expected", code, err)
    check(label + ": stderr", said in err.decode() and (said or not err), err)
    return out


def left(label, steps=None):
    """What is left: a whole trace, and nothing beside it."""
    try:
        with open(trace) as file:
            found = len(json.load(file)["dagpt"]["steps"])
        check(label + ": steps in the trace", steps is None or found == steps, found)
        os.unlink(trace)
    except (OSError, ValueError) as error:
        check(label + ": a whole trace", False, error)
    check(label + ": nothing beside it", not glob.glob(folder + "/*.part*"))


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def asleep(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] in "SZ"


def until(what):
    """Waits until it is so, or is no more likely to be."""
    for _ in range(patience * 20):
        if what():
            return
        time.sleep(0.05)


def until_asleep(child):
    """Until the child waits for something for good: it was asleep ten times in a row."""
    seen = 0
    for _ in range(patience * 20):
        seen = seen + 1 if asleep(child.pid) else 0
        if seen == 10:
            return
        time.sleep(0.05)


none_recorded = "no step was recorded"

# ---- a step that takes seconds: none of its ids, none of its text is printed ----

ids = [str(i % 1000) for i in range(1000)]
long_text = folder + "/long"
with open(long_text, "w") as file:
    file.write("So on. The quick brown fox jumps over the lazy dog, and" + " so on, and" * 240)
alone = ["-m", slow, "--isa", "scalar"]
for number, sched in ((INT, "dataflow"), (TERM, "barrier"), (INT, "serial")):
    child = start("tokens", *alone, "--sched", sched, "--total", "1010", "--trace", trace, *ids)
    time.sleep(0.5)
    child.send_signal(number)
    label = f"tokens, {sched}, {number.name} in a long step"
    check(label + ": no id", ended(label, child, 128 + number, none_recorded) == b"")
    left(label, 0)
for number, command in ((TERM, ["complete", "-f", long_text, "--vocab", merges]), (INT, ["tokens", "--total", "1010", *ids]),
                        (INT, ["score", "-f", long_text, "--vocab", merges]), (TERM, ["next", *ids])):
    child = start(command[0], *alone, *command[1:])
    time.sleep(0.5)
    child.send_signal(number)
    label = f"{command[0]}, {number.name} in a long step"
    check(label + ": no text", ended(label, child, 128 + number) in (b"", b"\n"))

# SIGINT while a prompt is read ends that text alone; SIGTERM ends them all.
with open(long_text) as file:
    line = file.read() + "\n"
child = start("complete", "-i", *alone, "--vocab", merges, "-n", "1", "--ignore-eos", "--json", "--trace", trace, stdin=subprocess.PIPE)
child.stdin.write(line.encode())
child.stdin.flush()
time.sleep(1)
child.send_signal(INT)
child.stdin.write(b"hi\n")
out = ended("complete -i, SIGINT while a prompt is read", child, 0)
finishes = [json.loads(line)["finish"] for line in out.splitlines() if b'"finish"' in line]
check("complete -i, SIGINT while a prompt is read", finishes == ["interrupted", "length"], finishes)
left("complete -i, SIGINT while a prompt is read", 1)

# ---- nothing waits for ever ----

for number in (INT, TERM):
    for arguments in (["complete"], ["encode"], ["score"], ["decode"], ["complete", "-i"], ["complete", "-i", "--trace", trace]):
        child = start(*arguments, stdin=subprocess.PIPE)
        until_asleep(child)
        child.send_signal(number)
        ended(f"{arguments}, {number.name} while it waits for input", child, 128 + number, none_recorded if trace in arguments else "")
    for arguments in (["complete", "-n", "40", "One day"], ["tokens", "-m", tiny, "1", "2"]):
        for more in ([], ["--trace", trace]):
            reader, writer = full_pipe()
            child = start(*arguments, *more, stdout=writer)
            os.close(writer)
            until_asleep(child)
            child.send_signal(number)
            label = f"{arguments + more}, {number.name} while a pipe is full"
            ended(label, child, 128 + number)
            os.close(reader)
            if more:
                left(label)
    fifo = folder + "/fifo"
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
    child = start("complete", "One day", "--trace", fifo)
    until_asleep(child)
    child.send_signal(number)
    ended(f"{number.name} while a pipe has no reader", child, 128 + number)

# ---- readers that go ----

child = start("complete", "-n", "100", "--ignore-eos", "One day", "--trace", trace)
child.stdout.read(5)
child.stdout.close()
check("a reader that goes: 141", child.wait(patience) == 141, child.returncode)
check("a reader that goes: not a word", child.stderr.read() == b"")
left("a reader that goes")
child = subprocess.Popen(["sh", "-c", 'trap "" PIPE; exec "$@"', "sh", program, "complete", "-n", "100", "--ignore-eos", "One day",
                          "--trace", trace], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
child.stdout.close()
check("a reader that goes, SIGPIPE ignored: 5", child.wait(patience) == 5, child.returncode)
check("a reader that goes, SIGPIPE ignored: why", b"Broken pipe" in child.stderr.read())
left("a reader that goes, SIGPIPE ignored")

# A pipe that does not block its writer gets all of it.
whole = subprocess.run([program, "graph", "--tiles", "-m", tiny], stdout=subprocess.PIPE, check=True).stdout
reader, writer = os.pipe()
fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
os.set_blocking(writer, False)
child = start("graph", "--tiles", "-m", tiny, stdout=writer)
os.close(writer)
time.sleep(0.3)
got = b""
while piece := os.read(reader, 65536):
    got += piece
ended("a non-blocking pipe", child, 0)
check("a non-blocking pipe: all of it", got == whole and len(whole) > 16384, len(got), len(whole))

# Standard input that does not block who reads it is waited for.
for arguments, more in ((["complete", "-n", "0", "--echo"], b""), (["complete", "-i", "-n", "0", "--echo"], b""),
                        (["decode", "-"], b""), (["tokens", "-m", tiny, "-"], b"x"), (["trace", "-"], b"x")):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    child = start(*arguments, stdin=reader)
    until_asleep(child)
    os.write(writer, b"1" + more)
    until_asleep(child)
    os.write(writer, b"1\n")
    os.close(writer)
    codes = {"tokens": 4, "trace": 3}
    out, err = child.communicate(timeout=patience)
    check(f"{arguments}, input that does not block", child.returncode == codes.get(arguments[0], 0), child.returncode, err)
    os.close(reader)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(number) for number in file.read().split()]


def its_process(pid):
    """The child that runs dagpt tokens: before its execve() it is a copy, and bench waits for it in vfork()."""
    for child in children(pid):
        with contextlib.suppress(OSError), open(f"/proc/{child}/cmdline") as file:
            if "tokens" in file.read().split("\0"):
                return child
    return None


# A signal that bench alone gets ends its child, too, which would never end by itself.
child = start("bench", "lab", "-m", tiny, "--trace", trace)
until(lambda: child.poll() is not None or its_process(child.pid))
with contextlib.suppress(ProcessLookupError, TypeError):
    os.kill(its_process(child.pid), signal.SIGSTOP)
child.send_signal(TERM)
ended("bench, SIGTERM", child, 143)
left("bench, SIGTERM")

# ---- at any moment ----

text = ["complete", "-n", "200", "--ignore-eos", "--temp", "0", "One day"]
expected = subprocess.run([program, *text], stdout=subprocess.PIPE, check=True).stdout
moments = random.Random(1)
noted = 0
for i in range(int(os.environ.get("MOMENTS", "50"))):
    number = moments.choice((INT, TERM))
    child = start(*text, "--trace", trace)
    time.sleep(moments.random() * 0.25)
    child.send_signal(number)
    twice = i % 4 == 3
    if twice:
        time.sleep(moments.random() * 0.02)
        child.send_signal(number)
    out, err = child.communicate(timeout=patience)
    label = f"moment {i}, {number.name}{' twice' if twice else ''}"
    noted += child.returncode == 128 + number
    check(label, child.returncode in (0, -number, 128 + number), child.returncode, err)  # -number: main() had not begun
    check(label + ": the text so far", expected.startswith(out.rstrip(b"\n")), out)
    check(label + ": stderr", not err or none_recorded in err.decode(), err)
    if os.path.exists(trace) and not twice:
        left(label)
    check(label + ": nothing beside it", not glob.glob(folder + "/*.part*"))
check("some signals came in time", noted > 0, noted)

for command in (["graph", "--tiles", "-o", folder + "/graph"], ["trace", folder + "/run.json", "--html", folder + "/page"]):
    subprocess.run([program, "tokens", "-m", tiny, "1", "2", "--trace", folder + "/run.json"], stdout=subprocess.DEVNULL, check=True)
    subprocess.run([program, *command], check=True)
    with open(command[-1], "rb") as file:
        whole = file.read()
    for i in range(15):
        child = start(*command)
        time.sleep(moments.random() * 0.02)
        child.send_signal(INT)
        child.wait(patience)
        check(f"{command[0]}, moment {i}", child.returncode in (0, -INT, 130), child.returncode)
        with open(command[-1], "rb") as file:
            check(f"{command[0]}, moment {i}: whole", file.read() == whole)
        check(f"{command[0]}, moment {i}: nothing beside it", not glob.glob(folder + "/*.part*"))

print(f"cli_leaving: {passed} passed, {failed} failed")
sys.exit(failed > 0)
