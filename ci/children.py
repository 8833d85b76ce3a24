"""Child processes that end with the command that started them.

A signal only leaves a note. Nothing is raised between the start of a child and the moment from
which somebody is bound to end it: whoever waits here, in any thread, looks at the note and raises
Interrupted. Every child gets a session of its own; ending it ends the session, all that descends
from it, and the sessions that these began. A command adopts what its children leave behind, so that
its end finds that as well.
"""

import ctypes
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from concurrent.futures import wait
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LOOK = 0.2  # seconds between two looks at the note
PATIENCE = 3.0  # seconds between the request to end and the end

noted = 0  # the number of the signal that came
started, lock = set(), threading.Lock()  # the children of start() that end() has not seen


class Interrupted(Exception):
    def __init__(self, number):
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


def note(number, _):
    """The signal handler."""
    global noted
    noted = number


def look():
    """Raises Interrupted if a signal came. To be called only where every child has its finally."""
    if noted:
        raise Interrupted(noted)


def command(main, *arguments, **options):
    """What main returns. SIGINT and SIGTERM interrupt it, and nothing that it started goes on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        return main(*arguments, **options)
    finally:
        end_descendants(os.getpid())


def start(arguments, **options):
    """A child in a session of its own. The next statement of the caller is the try whose finally
    calls end(): no signal comes between the two."""
    look()
    with lock:
        process = subprocess.Popen(list(map(str, arguments)), start_new_session=True, **options)
        started.add(process.pid)
    return process


def reap_adopted():
    """What was left behind and has ended since is gone for who looks for it, as with init."""
    with lock:
        try:
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in started:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)
        except ChildProcessError:
            return


def run(arguments, timeout=None, check=False, input=None, **options):
    """subprocess.run, but a signal ends it, and nothing that the child started outlives it."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    process = start(arguments, **options)
    try:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
            try:
                out, errors = process.communicate(input, timeout=left)
                break
            except subprocess.TimeoutExpired:
                input = None  # what was begun goes on
                reap_adopted()
                look()
                if deadline is not None and time.monotonic() >= deadline:
                    raise subprocess.TimeoutExpired(process.args, timeout) from None
    finally:
        end(process)
    look()
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, out, errors)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def stream(arguments, on_line, deadline=math.inf, on_wait=lambda: None, **options):
    """Exit status of a child, None if it was not done at the deadline. Each line of its output goes
    to on_line as it comes; on_wait is called while none comes."""
    both = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = start(arguments, **both, **options)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            pending = b""
            while (left := deadline - time.monotonic()) > 0:
                ready = selector.select(min(left, LOOK))
                look()
                if not ready:
                    reap_adopted()
                    on_wait()
                    continue
                data = os.read(process.stdout.fileno(), 65536)
                *lines, pending = (pending + (data or b"\n" * bool(pending))).split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
                if not data:
                    break
        while process.poll() is None:
            look()
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        look()
        return process.returncode
    finally:
        end(process)


def captured(arguments, timeout=None, check=False, **options):
    """run() with both outputs as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return run(arguments, timeout, check, **options)


def end(process):
    """Ends a child and all that it started, closes its pipes, and reaps it."""
    end_descendants(process.pid, process)
    process.wait()
    started.discard(process.pid)
    reap_adopted()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def end_descendants(root, process=None):
    """Ends what descends from a process of this number, and all sessions that these are in.

    With `process` the root ends, too; without, it is this process, which goes on.
    """
    own = os.getsid(0)
    sessions = {root} if process else set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        killed, empty = set(), 0
        while time.monotonic() < deadline:
            members = living(root, sessions, own, process is not None)
            for pid in members - killed:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            killed |= members
            if process:
                process.poll()
            # A process may be missed that begins while the list is read; not twice.
            empty = 0 if members else empty + 1
            if empty == 2:
                return
            if members:
                time.sleep(0.02)


def living(root, sessions, own, with_root):
    """The processes that descend from root or are in one of the sessions, to which theirs are
    added. The session of this process is never one of them."""
    parents, session_of = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            state, parent, _, session = stat[stat.rindex(")") + 2 :].split()[:4]
            if state != "Z":
                parents[int(entry)], session_of[int(entry)] = int(parent), int(session)
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    if not with_root:
        family.discard(root)
    family.discard(os.getpid())
    sessions |= {session_of[pid] for pid in family if pid in session_of} - {own}
    members = {pid for pid, session in session_of.items() if session in sessions}
    return members | family & parents.keys()


def finish(futures):
    """Waits until all are done, or a signal comes. The kernel may hand a signal to any thread,
    which does not wake the main one: hence the limit."""
    while wait(futures, timeout=LOOK).not_done:
        look()
