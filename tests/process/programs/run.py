#!/usr/bin/env python3
"""Real programs, run once under the system's malloc and once with the library preloaded; what they
print and produce must be equal.

usage: run.py LIBRARY SOURCE_DIRECTORY [CASE...]

Each run under the library proves that the library served it: by the line `hakmem: served ...` at
exit where the case leaves stderr to it, and where a program closes stderr or checks it, by the
dynamic loader's own record of which library `malloc` was bound to. A program that is not installed
fails its case: ci/bootstrap installs all of them.
"""
import glob
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

SERVED = re.compile(rb"^hakmem: served [1-9][^\n]*\n", re.MULTILINE)


class Failure(Exception):
    """What went wrong, in a sentence."""


class Side:
    """One of the two runs of a case: its environment, its folder, and its proof."""

    def __init__(self, library, folder, source):
        self.library = library  # None under the system's malloc
        self.folder = folder
        self.source = source
        self.served = 0
        self.base = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": folder,
            "LC_ALL": "C",
            "TZ": "UTC",
            "TMPDIR": folder,
        }

    def environment(self, more=None, record=False):
        environment = {**self.base, **(more or {})}
        if self.library:
            environment["LD_PRELOAD"] = self.library
            if record:
                environment["LD_DEBUG"] = "bindings"
                environment["LD_DEBUG_OUTPUT"] = os.path.join(self.folder, "bindings")
            else:
                environment["HAKMEM_OPTIONS"] = "verbose=1"
        return environment

    def run(self, command, stdin=b"", more=None, record=False, timeout=60):
        """Runs a program to its end and returns its stdout; counts the allocator's own lines and
        takes them out of stderr."""
        shown = shlex.join(command)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                cwd=self.folder,
                env=self.environment(more, record),
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{shown[:200]} did not end within {timeout} s") from error
        lines = SERVED.findall(done.stderr)
        self.served += len(lines)
        rest = SERVED.sub(b"", done.stderr)
        if b"hakmem:" in rest or done.returncode != 0:
            raise Failure(f"{shown[:200]} ended with {done.returncode}, wrote {rest[-600:]!r}")
        if self.library and not record and not lines:
            raise Failure(f"{shown[:200]} printed no line that hakmem served it")
        return done.stdout

    def check_recorded(self, programs):
        """The loader's record must show for each program that its malloc is the library's."""
        if not self.library:
            return
        bound = set()
        for path in glob.glob(os.path.join(self.folder, "bindings.*")):
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    match = re.search(
                        (
                            r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol"
                            r" `(malloc|calloc|realloc|_Znwm)'"
                        ),
                        line,
                    )
                    if match and match[2] == self.library:
                        bound.add(os.path.basename(match[1]))
                        self.served += 1
            os.unlink(path)
        missing = set(programs) - bound
        if missing:
            raise Failure(
                f"the loader bound malloc of {', '.join(sorted(missing))} to another library"
            )


def words(count, seed):
    """Deterministic text: lines of pseudo-random words."""
    state = seed
    lines = []
    for _ in range(count):
        line = []
        for _ in range(8):
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            line.append(format(state >> 40, "x"))
        lines.append(" ".join(line))
    return "\n".join(lines) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def python(side):
    """Debian's libpython3.11-testsuite; PYTHONMALLOC=malloc, or Python would keep small objects to
    itself. Some modules check the stderr of their children, so the loader's record is the proof."""
    modules = (
        "list dict json struct zlib re bytes thread array sort collections mmap gc memoryview"
        " threadedtempfile"
    ).split()
    out = side.run(
        ["/usr/bin/python3.11", "-m", "test", "-v", *("test_" + m for m in modules)],
        more={"PYTHONMALLOC": "malloc"},
        record=True,
        timeout=120,
    )
    side.check_recorded(["python3.11"])
    # The tests run in the order of their names; the lines between them hold times and addresses.
    results = re.findall(rb"^(\w+ \([\w.]+\)).* \.\.\. (ok|skipped|FAIL|ERROR)", out, re.MULTILINE)
    if len(results) < 1000:
        raise Failure(f"only {len(results)} results")
    return sorted(b" ".join(result) for result in results)


def git(side):
    """A generated repository: commits, branches, a merge, gc, fsck, log, blame."""
    more = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }

    def call(*arguments, date=0):
        stamp = f"{1700000000 + date} +0000"
        return side.run(
            ["git", *arguments],
            more={**more, "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp},
        )

    call("init", "-q", "-b", "main")
    for n in range(40):
        for k in range(5):
            write(f"{side.folder}/d{(n + k) % 7}/file{(n * k) % 11}", words(60 + n, n * 5 + k))
        call("add", "d0", *(f"d{i}" for i in range(1, 7) if os.path.isdir(f"{side.folder}/d{i}")))
        call("commit", "-q", "-m", f"change {n}", date=n * 60)
    call("checkout", "-q", "-b", "side", "HEAD~5")
    write(f"{side.folder}/side", words(500, 999))
    call("add", "side")
    call("commit", "-q", "-m", "side", date=9000)
    call("checkout", "-q", "main")
    call("merge", "-q", "-m", "merge", "side", date=9060)
    call("gc", "-q", "--aggressive", "--prune=now")
    call("fsck", "--full", "--strict")
    return [
        call("rev-parse", "HEAD"),
        call("log", "--stat", "-p", "--format=raw"),
        call("blame", "d3/file0"),
        call("count-objects", "-v").split(b"size")[0],
        call("grep", "-c", "ab", "HEAD~3"),
        call("cat-file", "--batch-check", "--batch-all-objects"),
    ]


def sqlite(side):
    script = b"""
pragma journal_mode=wal;
create table t(id integer primary key, a integer, b text, c blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into t
    select i, (i * 7919) % 10007, 'row ' || i || ' ' || hex(i * i), zeroblob(i % 300) from n;
create index by_a on t(a);
create index by_b on t(b);
select count(*), sum(a), max(b), sum(length(c)) from t;
select a, count(*), group_concat(id) from t group by a having count(*) > 6 order by a limit 50;
select x.id, y.id from t x join t y on x.a = y.a and x.id < y.id
  where x.id % 1000 = 3 order by 1, 2 limit 200;
update t set b = upper(b) || b where id % 3 = 0;
delete from t where id % 5 = 0;
vacuum;
pragma integrity_check;
select count(*), sum(length(b)) from t;
create virtual table f using fts5(b);
insert into f select b from t where id < 20000;
select count(*) from f where f match 'row';
"""
    out = side.run(["sqlite3", "database"], stdin=script)
    dump = side.run(["sqlite3", "database", ".dump"])
    if b"ok" not in out:
        raise Failure(f"the integrity check did not say ok: {out[-200:]!r}")
    return [out, hashlib.sha256(dump).hexdigest()]


def perl(side):
    script = r"""
my (%count, @lines);
while (<STDIN>) { chomp; push @lines, $_; $count{$_}++ for split / /; }
my @words = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print join(",", map { "$_=$count{$_}" } @words[0..99]), "\n";
my $text = join "\n", @lines;
(my $swapped = $text) =~ s/([0-9a-f]+) ([0-9a-f]+)/$2 $1/g;
print length($swapped), " ", unpack("%32C*", $swapped), "\n";
my @tree; for my $i (0..20000) {
  push @{$tree[$i % 97]}, { id => $i, name => "n" x ($i % 50), list => [1..$i % 7] };
}
my $sum = 0; for my $t (@tree) { $sum += $_->{id} * @{$_->{list}} + length $_->{name} for @$t; }
print "$sum\n"; print join("", reverse split //, substr($text, 0, 200)), "\n";
my $s = ""; $s .= chr(65 + $_ % 26) x ($_ % 100) for 1..8000;
print length($s), " ", ($s =~ tr/A//), "\n";
"""
    return side.run(["perl", "-e", script], stdin=words(8000, 7).encode())


def compiler(side):
    """Both compilers compile the library's own translation unit, preprocessed once for all runs."""
    digests = []
    for name, options in (
        ("clang++-19", ["-O1", "-g", "-fdebug-compilation-dir=/"]),
        ("g++", ["-O1", "-frandom-seed=1"]),
    ):
        unit = os.path.join(os.path.dirname(side.folder), f"{name}.ii")
        if not os.path.exists(unit):
            subprocess.run(
                [
                    name,
                    "-std=c++20",
                    "-O2",
                    "-E",
                    f"-I{side.source}/src",
                    f"-I{side.source}/include",
                    "-o",
                    unit,
                    f"{side.source}/src/api/library.cpp",
                ],
                check=True,
                timeout=60,
            )
        side.run([name, "-std=c++20", "-fPIC", "-w", *options, "-c", unit, "-o", "unit.o"])
        with open(f"{side.folder}/unit.o", "rb") as file:
            digests.append(hashlib.sha256(file.read()).hexdigest())
    return digests


def redis(side):
    """Debian's redis-server is linked with jemalloc, which still reports itself; its counters show
    that it hands out next to nothing."""
    socket = f"{side.folder}/s"
    with open(f"{side.folder}/errors", "wb") as errors:
        server = subprocess.Popen(
            [
                "redis-server",
                "--port",
                "0",
                "--unixsocket",
                socket,
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            cwd=side.folder,
            env=side.environment(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:

        def cli(*arguments, stdin=b""):
            return subprocess.run(
                ["redis-cli", "-s", socket, *arguments],
                input=stdin,
                env=side.base,
                capture_output=True,
                timeout=60,
                check=True,
            ).stdout

        end = time.monotonic() + 20
        while not os.path.exists(socket):
            if time.monotonic() > end or server.poll() is not None:
                raise Failure("redis-server did not start")
            time.sleep(0.02)
        commands = []
        for n in range(3000):
            commands += [
                f"set k{n} {'v' * (n % 700)}",
                f"append k{n // 2} tail",
                f"lpush l{n % 40} {n}",
                f"hset h{n % 60} f{n} {n * n}",
                f"zadd z{n % 20} {n % 97} m{n}",
                f"sadd s{n % 30} {n}",
            ]
            if n % 4 == 0:
                commands += [
                    f"del k{n // 3}",
                    f"lrange l{n % 40} 0 10",
                    f"zrange z{n % 20} 0 5",
                    f"strlen k{n}",
                ]
        commands += [
            "dbsize",
            "lrange l3 0 -1",
            "zrange z7 0 -1 withscores",
            "get k2999",
            "hlen h5",
            "scard s9",
        ]
        answers = cli(stdin="\n".join(commands).encode() + b"\n")
        subprocess.run(
            [
                "redis-benchmark",
                "-s",
                socket,
                "-q",
                "-n",
                "8000",
                "-c",
                "20",
                "-r",
                "5000",
                "-t",
                "set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset",
            ],
            env=side.base,
            capture_output=True,
            timeout=60,
            check=True,
        )
        if side.library:
            info = dict(
                line.split(b":", 1) for line in cli("info", "memory").split(b"\r\n") if b":" in line
            )
            if int(info[b"allocator_allocated"]) * 4 > int(info[b"used_memory"]):
                raise Failure(
                    f"jemalloc holds {info[b'allocator_allocated']!r} of"
                    f" {info[b'used_memory']!r} bytes in use"
                )
            with open(f"/proc/{server.pid}/maps", encoding="utf-8") as maps:
                if side.library not in maps.read():
                    raise Failure("the library is not mapped into redis-server")
        subprocess.run(
            ["redis-cli", "-s", socket, "shutdown", "nosave"],
            env=side.base,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if server.wait(timeout=30) != 0:
            raise Failure(f"redis-server ended with {server.returncode}")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    with open(f"{side.folder}/errors", "rb") as file:
        text = file.read()
    side.served += len(SERVED.findall(text))
    if side.library and not side.served:
        raise Failure(f"redis-server printed no line that hakmem served it: {text[-300:]!r}")
    if SERVED.sub(b"", text):
        raise Failure(f"redis-server wrote {text[-300:]!r}")
    return answers


def shell_tools(side):
    """Tools that close stderr before the library writes to it: the loader's record is the proof."""
    for n in range(200):
        write(f"{side.folder}/tree/{n % 13}/{n}", words(n * 3, n))
        os.utime(f"{side.folder}/tree/{n % 13}/{n}", (1700000000, 1700000000))
    write(f"{side.folder}/lines", words(60000, 5))
    script = r"""
set -euo pipefail
ls -R tree
sort -k3,3 -k1,1r lines | sha256sum
sort --parallel=2 -S 1M lines | sha256sum
grep -cE '(ab|cd).*[0-9]{4}f' lines
grep -rlE 'a(b|c)+d' tree | sort
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -cf tree.tar tree
xz -T2 --block-size=1MiB -3 -k tree.tar
xz -dc tree.tar.xz | cmp - tree.tar
xz -dc tree.tar.xz | tar -tf - | sort | sha256sum
sha256sum < tree.tar.xz
i=0; text=; while [ $i -lt 3000 ]; do text+="$i "; list[$i]=${text: -20}; i=$((i + 1)); done
echo "${#text} ${#list[@]} ${list[2000]}"
awk '{ n[$1 % 1000] += length($0) } END { for (k in n) s += n[k]; print s, length(n) }' lines
sed -E 's/([0-9a-f]+) ([0-9a-f]+)/\2 \1/' lines | sha256sum
"""
    out = side.run(["bash", "-c", script], record=True)
    side.check_recorded(["bash", "ls", "sort", "grep", "tar", "xz", "awk", "sed"])
    return out


CASES = {
    "python": python,
    "git": git,
    "sqlite": sqlite,
    "perl": perl,
    "compiler": compiler,
    "redis": redis,
    "shell_tools": shell_tools,
}


def run_case(name, library, source):
    """Returns the failure of a case, or a line about its success."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hakmem-") as folder:
        results = []
        sides = []
        # Both folders have names of the same length, because some programs store their paths.
        for label, served_by in (("libc", None), ("hakm", library)):
            os.mkdir(f"{folder}/{label}")
            side = Side(served_by, f"{folder}/{label}", source)
            try:
                results.append(CASES[name](side))
            except (Failure, OSError, subprocess.SubprocessError) as error:
                return (
                    False,
                    f"{name}, under {'hakmem' if served_by else 'the system malloc'}: {error}",
                )
            sides.append(side)
        if results[0] != results[1]:
            return (
                False,
                f"{name}: the results differ: {str(results[0])[:300]} and {str(results[1])[:300]}",
            )
        return (
            True,
            (
                f"{name}: equal results; {sides[1].served} proofs that hakmem served;"
                f" {time.monotonic() - start:.1f} s"
            ),
        )


def main():
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(CASES):
        print(__doc__, f"cases: {' '.join(CASES)}", file=sys.stderr)
        return 2
    library, source = os.path.realpath(sys.argv[1]), os.path.abspath(sys.argv[2])
    names = sys.argv[3:] or list(CASES)
    good = True
    for name in names:
        fine, text = run_case(name, library, source)
        good &= fine
        if fine:
            print(text, flush=True)
        else:
            print(
                f"FAIL {text}\n  reproduce: {sys.argv[0]} {library} {source} {name}",
                file=sys.stderr,
                flush=True,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
