"""Runs of one program under several allocators: which library is an allocator's, what a run's
environment is, who served it; how a command ends.

Shared by the commands of bench/ (compare, allocators) and by stress/larson. See bench/README.md.
"""

import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# name -> (candidate paths, Debian package). glibc needs no library.
DEBIAN = {
    "mimalloc": (
        [
            "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0",
            "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2",
        ],
        "libmimalloc2.0",
    ),
    "jemalloc": (["/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"], "libjemalloc2"),
    "tcmalloc": (
        [
            "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
            "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4",
        ],
        "libtcmalloc-minimal4",
    ),
}
# Variables that change an allocator's behaviour; HAKMEM_OPTIONS stays, so that options can be
# compared.
SCRUBBED = re.compile(
    r"^(LD_PRELOAD|LD_AUDIT|GLIBC_TUNABLES|MALLOC_.*|MIMALLOC_.*|TCMALLOC_.*|HEAP.*|"
    r"HAKMEM_(?!OPTIONS$).*)$"
)
PROOF = (
    "checksum",
    "malloc",
    "free",
    "realloc",
    "mapped",
)  # what every workload prints beside its figures
# hakmem's line about options that it does not understand: a run with them would measure something
# else.
REFUSED_OPTION = re.compile(r"^hakmem: HAKMEM_.*", re.MULTILINE)


class Usage(Exception):
    pass


class Failure(Exception):
    pass


class Interrupted(KeyboardInterrupt):
    """By the signal that is its argument."""


def find_libraries(options):
    """name -> library path, or None for glibc; in the order of the table's columns."""
    given = {}
    for text in options.lib:
        name, equals, path = text.partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z0-9_.-]+", name) and path) or name == "glibc":
            raise Usage(
                f"--lib {text}: NAME=PATH is needed, with a NAME of letters, digits and _.- that is"
                " not glibc"
            )
        if not os.access(path, os.R_OK):
            raise Usage(f"--lib {text}: no such library")
        given[name] = Path(path).resolve()
    names = [name for name in options.allocators.split(",") if name]
    names += [name for name in given if name not in names]
    if len(set(names)) != len(names) or not names:
        raise Usage(f"--allocators {options.allocators}: each name once, at least one")
    libraries = {}
    for name in names:
        if name == "glibc":
            libraries[name] = None
        elif name in given:
            libraries[name] = given[name]
        elif name in options.settings and "hakmem" in given:
            libraries[name] = given["hakmem"]
        elif name == "hakmem" or name in options.settings:
            path = ROOT / "build/release/libhakmem.so"
            if not path.exists():
                raise Failure(
                    f"{path} is missing: cmake --preset release && ninja -C build/release hakmem"
                )
            libraries[name] = path.resolve()
        elif name in DEBIAN:
            candidates, package = DEBIAN[name]
            found = [path for path in candidates if os.path.exists(path)]
            if not found:
                raise Failure(
                    f"{candidates[0]} is missing: install Debian's package {package} (apt-get"
                    f" install {package})"
                )
            libraries[name] = Path(found[0]).resolve()
        else:
            raise Usage(
                f"--allocators: {name} is not known; name its library with --lib {name}=PATH"
            )
        if re.search(r"[ :]", str(libraries[name])):
            raise Failure(
                f"{libraries[name]}: LD_PRELOAD cannot name it, for spaces and colons separate"
                f" there; copy it, and say --lib {name}=COPY"
            )
    return libraries


class Runner:
    def __init__(self, options, libraries):
        self.options, self.libraries = options, libraries
        self.rng = random.Random(options.seed)
        self.processors = sorted(os.sched_getaffinity(0))
        self.base_environment = {k: v for k, v in os.environ.items() if not SCRUBBED.match(k)}
        self.checksums = {}

    def environment(self, allocator):
        environment = dict(self.base_environment)
        if self.libraries[allocator] is not None:
            environment["LD_PRELOAD"] = str(self.libraries[allocator])
        if allocator in self.options.settings:
            environment["HAKMEM_OPTIONS"] = self.options.settings[allocator]
        # The size of the environment shifts the stack; drawn anew for each run, it is noise and not
        # a bias.
        environment["BENCH_PADDING"] = "x" * self.rng.randrange(4096)
        return environment

    def run(self, workload, allocator, scale, processors):
        environment = self.environment(allocator)
        command = [
            str(self.options.programs),
            workload,
            "--scale",
            str(scale),
            *self.options.arguments,
        ]
        again = "".join(
            f"{name}={environment[name]} "
            for name in ("LD_PRELOAD", "HAKMEM_OPTIONS")
            if name in environment
        ) + " ".join(command)
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self.options.timeout * max(1.0, scale),
                stdin=subprocess.DEVNULL,
                check=False,
                preexec_fn=lambda: os.sched_setaffinity(0, processors),
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"{workload} under {allocator} does not end; again: {again}") from None
        if done.returncode == -signal.SIGINT:
            raise KeyboardInterrupt
        if done.returncode != 0:
            raise Failure(
                f"{workload} under {allocator} ended with {done.returncode}: {done.stderr.strip()};"
                f" again: {again}"
            )
        if wrong := REFUSED_OPTION.search(done.stderr):
            raise Failure(f"{workload} under {allocator}: {wrong[0]}; again: {again}")
        try:
            result = json.loads(done.stdout)
            missing = [field for field in (*PROOF, *self.options.fields) if field not in result]
        except (ValueError, TypeError):
            raise Failure(f"{workload} under {allocator} printed no JSON; again: {again}") from None
        if missing:
            raise Failure(
                f"{workload} under {allocator} printed other than {self.options.target} does, no"
                f" {missing[0]}; again: {again}"
            )
        self.prove(allocator, result, again, done.stderr.strip())
        checksum = self.checksums.setdefault((workload, scale), (result["checksum"], allocator))
        if checksum[0] != result["checksum"]:
            raise Failure(
                f"{workload}: checksum {result['checksum']} under {allocator}, "
                f"{checksum[0]} under {checksum[1]}; again: {again}"
            )
        return result

    def prove(self, allocator, result, again, stderr):
        """The workload asked the dynamic linker which object serves malloc, free and realloc."""
        library = self.libraries[allocator]
        for symbol in ("malloc", "free", "realloc"):
            served = os.path.realpath(result[symbol])
            right = (
                os.path.basename(served).startswith("libc.so") and not result["mapped"]
                if library is None
                else served == str(library)
            )
            if not right:
                raise Failure(
                    f"{symbol} was served by {served}, not by {allocator} ({library or 'libc'});"
                    f" {stderr}; again: {again}"
                )

    def affinity(self, threads):
        """One processor, drawn per round, for one thread; all of them otherwise."""
        return {self.rng.choice(self.processors)} if threads == 1 else set(self.processors)


def list_workloads(options):
    """name -> number of threads, of those that the options choose."""
    if not os.access(options.programs, os.X_OK):
        raise Failure(
            f"{options.programs} is missing: cmake --preset release && ninja -C build/release"
            f" {options.target}"
        )
    try:
        listed = subprocess.run(
            [options.programs, "--list"], capture_output=True, text=True, check=True
        ).stdout
        workloads = {
            name: int(threads) for name, threads in (line.split() for line in listed.splitlines())
        }
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Failure(
            f"{options.programs} --list does not say what it runs, as {options.target} does:"
            f" {error}"
        ) from None
    chosen = {name: threads for name, threads in workloads.items() if options.pattern.search(name)}
    if not chosen:
        raise Usage(f"{options.pattern.pattern}: matches none of {', '.join(workloads)}")
    return chosen


def measure(options, workloads, libraries, samples):
    """Fills samples[workload][allocator]; a workload's round is kept only when every allocator has
    run it."""
    runner = Runner(options, libraries)
    for (
        allocator
    ) in libraries:  # warms the page cache and shows at once when a library does not serve
        runner.run(next(iter(workloads)), allocator, 0.001, set(runner.processors))
    total = options.pairs * len(workloads)
    done, started = 0, time.monotonic()
    for round_number in range(1, options.pairs + 1):
        for workload in runner.rng.sample(sorted(workloads), len(workloads)):
            processors = runner.affinity(workloads[workload])
            order = runner.rng.sample(sorted(libraries), len(libraries))
            results = {a: runner.run(workload, a, options.scale, processors) for a in order}
            for allocator, result in results.items():
                samples[workload][allocator].append(result)
            done += 1
        elapsed = time.monotonic() - started
        print(
            (
                f"{options.command}: round {round_number} of {options.pairs}, {elapsed:.0f} s,"
                f" about {elapsed / done * (total - done):.0f} s left"
            ),
            file=sys.stderr,
            flush=True,
        )


def describe(options, libraries):
    def version(path):
        owner = subprocess.run(
            ["dpkg-query", "-S", str(path)], capture_output=True, text=True, check=False
        ).stdout
        if ":" not in owner:
            return None
        package = owner.split(":")[0]
        return (
            subprocess.run(
                ["dpkg-query", "-W", "-f", "${Package} ${Version}", package],
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            or None
        )

    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    return {
        "machine": {
            "cpu": cpu,
            "processors": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
        },
        "options": {
            **{
                name: value
                for name, value in vars(options).items()
                if isinstance(value, (int, float, str, list, dict))
            },
            "HAKMEM_OPTIONS": os.environ.get("HAKMEM_OPTIONS"),
        },
        "allocators": {
            name: {
                "library": str(path) if path else None,
                "package": version(path) if path else None,
            }
            for name, path in libraries.items()
        },
    }


def check_output(path):
    """A result that cannot be written shall be known before an hour of measuring. Precondition:
    path is not None."""
    try:
        target = path.resolve()
        if not target.parent.is_dir():
            raise Usage(f"--json {path}: the folder does not exist")
        if target.is_dir() or target.exists() and not os.access(target, os.W_OK):
            raise Usage(f"--json {path}: it cannot be written")
        if target.is_file() or not target.exists():
            os.unlink(beside(target))
    except (OSError, RuntimeError) as error:  # RuntimeError: a symbolic link that leads to itself
        raise Usage(
            f"--json {path}: it cannot be written: {getattr(error, 'strerror', error)}"
        ) from None


def beside(target):
    """The name of a new file in the same folder."""
    file, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
    )
    os.close(file)
    return name


def replace(path, write):
    """write(name) makes all of a file or nothing: what stands at `path` stays until the new one is
    complete."""
    target = path.resolve()
    new = beside(target)
    try:
        write(new)
        os.chmod(new, target.stat().st_mode & 0o777 if target.exists() else 0o644)
        os.replace(new, target)
    except BaseException:
        os.unlink(new)
        raise


def write_json(path, content):
    text = json.dumps(content, indent=1) + "\n"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text)  # a device or a pipe cannot be replaced
        else:
            replace(path, lambda name: Path(name).write_text(text))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None


def interrupt(number, _):
    raise Interrupted(number)


def attempt(name, work, interrupted="interrupted"):
    """Runs work(), which gives an exit status or None for 0; what ended it otherwise is said on
    stderr, and is the status."""
    # A background job may have inherited an ignored SIGINT; an interrupt must always end a command
    # with what it has. The default of SIGTERM would leave the program that is measured without
    # anyone who ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        return work() or 0
    except Usage as error:
        print(f"{name}: {error}\n{name} --help lists the options.", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"{name}: {interrupted}", file=sys.stderr)
        return 128 + (error.args[0] if error.args else signal.SIGINT)


def measure_and_tell(name, options, libraries, samples, work, report, strict=False):
    """Exit status of work(), which fills `samples`, and of telling what it measured; report() is of
    what is complete, even after an interrupt."""
    status = attempt(name, work, "interrupted; this is what has been measured")
    result = report()
    if not finish(result.text()):
        status = status or 1
    if options.json is not None and any(runs for row in samples.values() for runs in row.values()):
        status = (
            attempt(
                name,
                lambda: write_json(
                    options.json,
                    {"tool": options.command, **describe(options, libraries), **result.as_dict()},
                ),
            )
            or status
        )
    if status == 0 and strict:
        verdicts = [verdict for _, verdict, _ in result.verdicts()]
        if not verdicts:
            print(f"{name}: --strict: there is no bound for what was measured", file=sys.stderr)
        status = 0 if verdicts and all(verdict == "holds" for verdict in verdicts) else 1
    return status


def check_subject(options, libraries):
    if options.subject not in libraries and (options.strict or options.subject != "hakmem"):
        raise Usage(
            f"--subject {options.subject}: it is none of the allocators, {', '.join(libraries)}"
        )


def finish(text):
    """Prints the result; False, and a line on stderr, if it does not all get out."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
        return True
    except OSError as error:
        # What the interpreter would flush once more at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"standard output: {error.strerror}", file=sys.stderr)
        return False
