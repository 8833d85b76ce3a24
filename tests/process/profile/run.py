#!/usr/bin/env python3
"""The heap profile as a user has it: a program that is not linked to hakmem runs under it, and
pprof reads the file that is written at exit.

usage: run.py LIBRARY PROGRAM [CHECK...]      (PROGRAM is known.c, a CHECK check_known and the like)
"""
import fcntl
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
# Interval 4 KiB: two thousand samples a function; ten per cent is four and a half standard
# deviations or more.
WANTED = {
    "eight_mib_of_48": 8 * MIB,
    "eight_mib_of_1000": 8 * MIB,
    "sixteen_mib_of_100000": 16 * MIB,
}


class Wrong(Exception):
    pass


def expect(holds, text):
    if not holds:
        raise Wrong(text)


def start(library, options, program, *arguments, file_bytes=resource.RLIM_INFINITY):
    environment = dict(os.environ, LD_PRELOAD=library, HAKMEM_OPTIONS=options)
    return subprocess.Popen(
        [program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
    )


def run(library, options, program, *arguments, **limits):
    with start(library, options, program, *arguments, **limits) as process:
        stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def pprof(program, profile, kind):
    """Bytes by function, as google-pprof prints them."""
    done = subprocess.run(
        ["google-pprof", "--text", "--show_bytes", f"--{kind}", program, profile],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {
        match[2]: int(match[1])
        for match in re.finditer(
            r"^\s*(\d+)\s+\S+%\s+\S+%\s+\d+\s+\S+%\s+(\S+)", done.stdout, re.MULTILINE
        )
    }


def total(profile):
    """Allocated bytes, from the file's first line."""
    return int(
        re.match(r"heap profile: \d+: \d+ \[\d+: (\d+)\] @ heapprofile\n", profile.read_text())[1]
    )


def check_known(library, program, folder):
    path = folder / "known.prof"
    done = run(library, f"profile=4K:profile_path={path}", program)
    expect(
        (done.returncode, done.stderr) == (0, ""),
        f"known ended with {done.returncode}: {done.stderr}",
    )
    for kind, share in (("alloc_space", 1), ("inuse_space", 2)):
        found = pprof(program, str(path), kind)
        for name, wanted in WANTED.items():
            expect(
                abs(found.get(name, 0) * share - wanted) <= wanted / 10,
                f"{kind} of {name}: {found.get(name)}, not {wanted // share}",
            )


def check_fork(library, program, folder):
    path = folder / "fork.prof"
    done = run(library, f"profile=64K:profile_path={path}", program, "fork")
    expect(
        (done.returncode, done.stderr) == (0, ""),
        f"known fork ended with {done.returncode}: {done.stderr}",
    )
    files = sorted(file.name for file in folder.glob("fork.prof*"))
    expect(
        len(files) == 2 and re.fullmatch(r"fork\.prof\.\d+", files[1]),
        f"the files of parent and child: {files}",
    )
    expect(
        total(folder / files[1]) > 16 * MIB and total(path) < MIB,
        "the parent waits, and its child allocates",
    )


def check_programs(library, program, folder):
    done = run(
        library,
        f"profile=64K:profile_path={folder}/of.%p.%p.prof",
        "/bin/sh",
        "-c",
        f"{program}; {program} fork; true",
    )
    expect(
        (done.returncode, done.stderr) == (0, ""),
        f"a shell ended with {done.returncode}: {done.stderr}",
    )
    names = sorted(file.name for file in folder.glob("of*"))
    # The shell ends by _exit.
    expect(
        len(names) == 3 and all(re.fullmatch(r"of\.(\d+)\.\1\.prof", name) for name in names),
        f"two programs and a child of one: {names}",
    )


def check_errors(library, program, _):
    for path, why in (
        ("/dev/full", "No space left on device"),
        ("/nowhere/at/all", "No such file or directory"),
    ):
        done = run(library, f"profile=64K:profile_path={path}", program)
        expect(
            done.returncode == 0
            and done.stderr == f"hakmem: profile: cannot write {path}: {why}\n",
            f"{path}: {done.stderr!r}",
        )
    done = run(library, "profile_path=", program)
    expect(
        done.stderr.startswith("hakmem: HAKMEM_OPTIONS: a path has 1 to 255 characters"),
        f"an empty path: {done.stderr!r}",
    )
    done = run(library, "profile_path=/nowhere", program)
    expect(
        "profile_path is of no use without profile" in done.stderr, f"a path alone: {done.stderr!r}"
    )


def check_signals(library, program, folder):
    """A file that may not grow, and a pipe whose reader is gone: signals that would end the program
    are errors of the file."""
    path = folder / "long"
    done = run(library, f"profile=4K:profile_path={path}", program, file_bytes=1024)
    expect(
        (done.returncode, done.stderr)
        == (0, f"hakmem: profile: cannot write {path}: File too large\n"),
        f"status {done.returncode}, {done.stderr!r}",
    )
    path = folder / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(
        reader, bytes(fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ))
    )  # so that the program waits until the pipe breaks
    process = start(library, f"profile=4K:profile_path={path}", program)
    while process.poll() is None and not any(
        file.resolve() == path.resolve() for file in Path(f"/proc/{process.pid}/fd").iterdir()
    ):
        time.sleep(0.01)
    os.close(reader)
    told = process.communicate(timeout=60)[1]
    expect(
        (process.returncode, told) == (0, f"hakmem: profile: cannot write {path}: Broken pipe\n"),
        f"status {process.returncode}, {told!r}",
    )


def check_loss(library, program, folder):
    """A file whose numbers are too small is not written without a word."""
    for interval, is_told in (("1", True), ("4K", False)):
        done = run(library, f"profile={interval}:profile_path={folder}/loss", program)
        told = re.fullmatch(
            (
                r"hakmem: profile: (\d+) samples found no room, for which the numbers in \S+/loss"
                r" are too small; a longer interval loses none\n"
            ),
            done.stderr,
        )
        expect(
            done.returncode == 0 and bool(told) == is_told and (is_told or done.stderr == ""),
            f"profile={interval}: {done.stderr!r}",
        )
        expect(
            not told or int(told[1]) > 50_000,
            f"nearly all of a hundred thousand live blocks: {done.stderr!r}",
        )


def check_environment(library, *_):
    """What the unwinder loads must not run libc's constructor before its time: the shell reads
    environ."""
    done = run(library, "profile=1", "/bin/sh", "-c", 'echo "$HAKMEM_OPTIONS"; ls / | wc -l')
    expect(
        done.returncode == 0 and done.stderr == "" and done.stdout.startswith("profile=1\n"),
        f"a shell ended with {done.returncode}: {done.stdout}",
    )


def check_python(library, _, folder):
    """A program with threads, dlopen and destructors of its own."""
    path = folder / "python.prof"
    code = (
        "import threading, ctypes, json; t = [threading.Thread(target=lambda: json.dumps([str(i)"
        " for i in range(20000)])) for _ in range(4)]; [x.start() for x in t]; [x.join() for x in"
        " t]; print('done')"
    )
    done = run(library, f"profile=16K:profile_path={path}", sys.executable, "-c", code)
    expect(
        (done.returncode, done.stdout, done.stderr) == (0, "done\n", ""),
        f"python ended with {done.returncode}: {done.stdout} {done.stderr}",
    )
    expect(total(path) > MIB, "python's profile is empty")


def main():
    checks = (
        check_known,
        check_fork,
        check_programs,
        check_errors,
        check_signals,
        check_loss,
        check_environment,
        check_python,
    )
    wanted = sys.argv[3:] or [check.__name__ for check in checks]
    if len(sys.argv) < 3 or set(wanted) - {check.__name__ for check in checks}:
        print(__doc__, file=sys.stderr)
        return 2
    failures = 0
    for check in (check for check in checks if check.__name__ in wanted):
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(sys.argv[1], sys.argv[2], Path(folder))
            except Wrong as wrong:
                failures += 1
                print(
                    (
                        f"FAIL {check.__name__}: {wrong}\n  reproduce:"
                        f" {sys.argv[0]} {sys.argv[1]} {sys.argv[2]} {check.__name__}"
                    ),
                    file=sys.stderr,
                )
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
