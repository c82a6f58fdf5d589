"""What a process asks the operating system, in the order in which it asks, and faults in place of the answers."""

import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from gateway import PATIENCE

CALLS = "recvfrom,recvmsg,read,readv,sendto,sendmsg,write,writev,pwrite64,pwritev,fsync,fdatasync"

# `PID call(FD<WHAT>, "DATA"...` on one line, or cut in two where another thread's line came between.
BEGUN = re.compile(
    r"(?P<thread>\d+) +(?P<call>\w+)\(\d+<(?P<of>.*?)>(?=[,) ])(?:, \[?(?:\{iov_base=)?\"(?P<data>[^\"]*)\")?"
)
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>(?:\"(?P<data>[^\"]*)\")?")


@dataclass
class Call:
    """A system call: on which file or socket, with the first of its data and the offset of a write, and between which
    lines of the trace it lasts."""

    name: str
    of: str
    data: str
    offset: str
    begins: int
    ends: int | None


def tracing(file):
    """The command that runs a program and traces all its threads into `file`; skips where that is not permitted."""
    need_strace()
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, timeout=PATIENCE)
    if probe.returncode:
        pytest.skip(f"no process may be traced here: {probe.stderr.strip()}")
    return ["strace", "-f", "-yy", "-s", "32", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", str(file)]


def traced_child(process):
    """The process id of the program that a running strace has started."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
        [pid] = children.read().split()
    return int(pid)


def calls(text):
    """The calls of a trace. A thread is held at the begin and at the end of each call until its line is written:
    what stands before in the trace came before."""
    found, open_calls = [], {}
    for number, line in enumerate(text.splitlines()):
        if resumed := RESUMED.match(line):
            call = open_calls.pop(resumed["thread"], None)
            if call and call.name == resumed["call"]:
                call.ends, call.data = number, call.data or resumed["data"] or ""
        elif begun := BEGUN.match(line):
            offset = re.search(r", (\d+)(?:\) += \d+| <unfinished \.\.\.>)$", line)
            call = Call(begun["call"], begun["of"], begun["data"] or "", offset[1] if offset else "", number, None)
            found.append(call)
            if line.endswith("<unfinished ...>"):
                open_calls[begun["thread"]] = call
            else:
                call.ends = number
    return found


@contextmanager
def failing(pid, calls, error, file=None):
    """Lets these calls (of any file, or of one) of a running process fail with `error` until the block ends."""
    need_strace()
    only = ["-P", str(file)] if file else []
    command = ["strace", "-f", "-o", "/dev/null", *only, "-e", f"inject={calls}:error={error}", "-p", str(pid)]
    strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = strace.stderr.readline()
    try:
        if "attached" not in said:
            pytest.skip(f"no running process may be traced here: {said.strip()}")
        yield
    finally:
        strace.terminate()
        strace.communicate(timeout=PATIENCE)


def need_strace():
    assert shutil.which("strace"), "no strace: tests/run installs it"
