"""Checks of the built libraries: what they need, export and cost, and that an installation serves a
program.

Usage: library.py CHECK --build DIR --cc CC --cxx CXX     (CHECK is the name of a function below
that starts with check_)
"""

import argparse
import os
import re
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

MALLOC_FAMILY = set(
    """malloc free calloc realloc reallocarray posix_memalign aligned_alloc memalign valloc pvalloc
    malloc_usable_size malloc_trim mallinfo mallinfo2 mallopt malloc_info malloc_stats free_sized
    free_aligned_sized""".split()
)
SIZE, ALIGN, NOTHROW = "unsigned long", "std::align_val_t", "std::nothrow_t const&"
OPERATORS = {
    f"operator {verb}({', '.join(arguments)})"
    for verbs, signatures in (
        (("new", "new[]"), ((SIZE,), (SIZE, NOTHROW), (SIZE, ALIGN), (SIZE, ALIGN, NOTHROW))),
        (
            ("delete", "delete[]"),
            (
                ("void*",),
                ("void*", SIZE),
                ("void*", NOTHROW),
                ("void*", ALIGN),
                ("void*", SIZE, ALIGN),
                ("void*", ALIGN, NOTHROW),
            ),
        ),
    )
    for verb in verbs
    for arguments in signatures
}
TLS_BYTES_MAX = 16
RSS_KIB_MAX = 512
RUNS = 31


class Wrong(Exception):
    pass


def expect(holds, text):
    if not holds:
        raise Wrong(text)


def run(*command, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    expect(
        result.returncode == 0,
        (
            f"`{' '.join(map(str, command))}` ended with status "
            f"{result.returncode}\n{result.stdout}{result.stderr}"
        ),
    )
    return result.stdout


def compare(what, found, wanted):
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    expect(
        not missing and not extra,
        f"{what}: missing {missing or 'nothing'}, extra {extra or 'nothing'}",
    )


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def map_names():
    text = without_comments((ROOT / "src/api/exports.map").read_text())
    body = re.search(r"global:(.*)local:", text, re.DOTALL)[1]
    return {name.strip() for name in body.split(";") if name.strip()}


def header_names():
    text = "".join(
        without_comments((ROOT / "include/hakmem" / name).read_text())
        for name in ("hakmem.h", "hakmem_learn.h", "hakmem_profile.h")
    )
    return set(re.findall(r"^[\w\s*]*?\b(hak_\w+)\s*\(", text, re.MULTILINE))


def dynamic_entries(library):
    return re.findall(r"\((\w+)\)\s+(.*)", run("readelf", "-dW", library))


def check_needed(given):
    needed = {
        re.search(r"\[(.*)\]", value)[1]
        for tag, value in dynamic_entries(given.library)
        if tag == "NEEDED"
    }
    expect("libc.so.6" in needed, f"NEEDED is {sorted(needed)}")
    extra = {name for name in needed if name != "libc.so.6" and not name.startswith("ld-linux")}
    expect(not extra, f"the library needs {sorted(extra)}")
    for line in run("nm", "-D", "--undefined-only", given.library).splitlines():
        kind, name = line.split()
        expect(
            kind in "wv" or "@GLIBC_" in name, f"{name} is undefined, and neither weak nor libc's"
        )


def check_loading(given):
    entries = dynamic_entries(given.library)
    flags = " ".join(value for tag, value in entries if tag in ("FLAGS", "FLAGS_1"))
    expect("NODELETE" in flags, f"no NODELETE among the flags: {flags}")
    expect("NOW" in flags, f"lazy binding: {flags}")
    expect(
        any(tag == "SONAME" and "[libhakmem.so.0]" in value for tag, value in entries),
        "SONAME is not libhakmem.so.0",
    )
    expect(not any(tag == "TEXTREL" for tag, _ in entries), "text relocations")
    segments = run("readelf", "-lW", given.library)
    expect("GNU_RELRO" in segments, "no read-only segment after relocation")
    stack = re.search(r"GNU_STACK(?:\s+0x[0-9a-f]+){5}\s+(\w+)", segments)
    expect(stack and "E" not in stack[1], "the stack would be executable")
    # libc itself compiles pthread_atfork into every library, with a call of the first name; the
    # others are what a compiler calls where an exception of a new-handler is caught, whatever it
    # was told about calls.
    allowed = {
        "__register_atfork",
        "_Unwind_Resume",
        "_ZSt9terminatev",
        "__cxa_begin_catch",
        "__cxa_end_catch",
    }
    calls = (
        set(re.findall(r"JUMP_SLOT\s+\w+\s+(\w+)", run("readelf", "-rW", given.library))) - allowed
    )
    expect(not calls, f"calls through a PLT: {sorted(calls)}")


def check_exports(given):
    found = {
        line.split()[2].split("@")[0]
        for line in run("nm", "-D", "--defined-only", given.library).splitlines()
    }
    compare("dynamic names against src/api/exports.map", found, map_names())
    names = set(run("c++filt", *sorted(found)).splitlines())
    expect(len(header_names()) >= 15, "the public header was not understood")
    compare(
        "dynamic names against the public headers, the malloc family and the operators",
        names,
        header_names() | MALLOC_FAMILY | OPERATORS,
    )


def check_tls(given):
    segments = run("readelf", "-lW", given.library)
    match = re.search(r"^\s*TLS\s+0x\w+\s+0x\w+\s+0x\w+\s+0x\w+\s+0x(\w+)", segments, re.MULTILINE)
    expect(match, "no TLS segment: the heap of a thread has to be found somewhere")
    expect(
        int(match[1], 16) <= TLS_BYTES_MAX,
        f"{int(match[1], 16)} bytes of static TLS, at most {TLS_BYTES_MAX}",
    )


def check_one_object(given):
    members = run("ar", "t", given.archive).split()
    expect(len(members) == 1, f"libhakmem.a has the members {members}")
    defined = {
        line.split()[2]
        for line in run("nm", "--defined-only", "--extern-only", given.archive).splitlines()
        if len(line.split()) == 3 and line.split()[1] in "TW"
    }
    missing = map_names() - defined
    expect(not missing, f"the object does not define {sorted(missing)}")


def check_rss(given):
    """Resident memory of an empty process, and of one that allocates once, under preload against
    without; runs interleaved."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "empty")
        run(given.cc, "-O2", HERE / "empty.c", "-o", program)
        for arguments in ([], ["one"]):
            plain, preloaded = [], []
            for _ in range(RUNS):
                plain.append(int(run(program, *arguments, env={})))
                preloaded.append(
                    int(run(program, *arguments, env={"LD_PRELOAD": str(given.library)}))
                )
            cost = statistics.median(preloaded) - statistics.median(plain)
            what = "one allocation" if arguments else "an empty process"
            print(
                f"{what}: {statistics.median(plain)} KiB plain, {statistics.median(preloaded)} "
                f"KiB preloaded, {cost} KiB more"
            )
            expect(
                statistics.median(preloaded) != statistics.median(plain),
                "the library was not loaded",
            )
            expect(cost <= RSS_KIB_MAX, f"{what} costs {cost} KiB more, at most {RSS_KIB_MAX}")


def served(program, **environment):
    output = run(program, env=environment)
    expect(output == "served by hakmem\n", f"{program} printed {output!r}")


def check_small_limits(given):
    """Little address space: what runs with libc's malloc runs with this one, and says the same."""
    commands = (
        ["ls", "/usr"],
        ["sh", "-c", "echo said"],
        ["sh", "-c", "ls /usr | cat"],
        ["sh", "-c", "x=$(ls -l / | wc -l); test $x -gt 3 && echo $x"],
    )
    for kib in (6000, 7000, 8000, 10000, 14000, 20000, 40000, 100000):

        def limit(bound=kib * 1024):
            resource.setrlimit(resource.RLIMIT_AS, (bound, bound))

        for command in commands:
            plain = subprocess.run(
                command,
                env={"PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                preexec_fn=limit,
                check=False,
            )
            if plain.returncode != 0:
                print(f"{command} does not run in {kib} KiB with libc's malloc")
                continue
            ours = subprocess.run(
                command,
                env={"PATH": "/usr/bin:/bin", "LD_PRELOAD": str(given.library)},
                capture_output=True,
                text=True,
                preexec_fn=limit,
                check=False,
            )
            expect(
                (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, ""),
                (
                    f"{command} in {kib} KiB of address space ended with {ours.returncode}, wrote "
                    f"{ours.stderr!r}\n"
                    f"reproduce: ulimit -v {kib}; LD_PRELOAD={given.library} {shlex.join(command)}"
                ),
            )


def version():
    text = (ROOT / "include/hakmem/hakmem.h").read_text()
    return ".".join(
        re.search(rf"#define HAKMEM_VERSION_{part} (\d+)", text)[1]
        for part in ("MAJOR", "MINOR", "PATCH")
    )


def define():
    return f'-DHAKMEM_EXPECTED_VERSION="{version()}"'


def check_static(given):
    """Programs with no shared library at all: the archive must win over libc's own malloc, and over
    libstdc++'s operators."""
    include = f"-I{ROOT / 'include'}"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program")
        run(
            given.cc,
            "-O2",
            "-static",
            include,
            define(),
            HERE / "served.c",
            given.archive,
            "-o",
            program,
        )
        served(program)
        # The second program has no other reason to hold the function that throws bad_alloc, so that
        # it has to ask for it.
        for extra in ([], ["-DHAKMEM_PLAIN_NEW_ONLY", "-Wl,--undefined=_ZSt17__throw_bad_allocv"]):
            run(
                given.cxx,
                "-std=c++20",
                "-O2",
                "-static",
                include,
                *extra,
                HERE / "served.cpp",
                given.archive,
                "-o",
                program,
            )
            served(program)


def check_preload(given):
    """A program that is not linked to hakmem is served when the library is preloaded; its hak_*
    names are weak, so that it links."""
    with tempfile.TemporaryDirectory() as folder:
        program, weak = Path(folder, "program"), Path(folder, "weak.h")
        weak.write_text("".join(f"#pragma weak {name}\n" for name in sorted(header_names())))
        run(
            given.cc,
            "-O2",
            f"-I{ROOT / 'include'}",
            "-include",
            weak,
            define(),
            HERE / "served.c",
            "-o",
            program,
        )
        expect("libhakmem" not in run("readelf", "-dW", program), "the program needs libhakmem.so")
        served(program, LD_PRELOAD=str(given.library))


def check_install(given):
    """Installs, moves the installation, and builds consumers through the CMake package and through
    pkg-config."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder, "moved")
        run("cmake", "--install", given.build, "--prefix", Path(folder, "prefix"))
        Path(folder, "prefix").rename(prefix)
        headers = {
            path.relative_to(prefix / "include").as_posix()
            for path in (prefix / "include").rglob("*")
            if path.is_file()
        }
        compare(
            "installed headers",
            headers,
            {
                "hakmem/hakmem.h",
                "hakmem/hakmem.hpp",
                "hakmem/hakmem_learn.h",
                "hakmem/hakmem_profile.h",
            },
        )

        consumer = Path(folder, "consumer")
        run(
            "cmake",
            "-S",
            HERE / "consumer",
            "-B",
            consumer,
            "-G",
            "Ninja",
            f"-DCMAKE_C_COMPILER={given.cc}",
            f"-DCMAKE_CXX_COMPILER={given.cxx}",
            f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-Dsources={HERE}",
            f"-Dwanted_version={version()}",
        )
        run("cmake", "--build", consumer)
        for name in ("c_hakmem", "c_static", "cpp_hakmem", "cpp_static"):
            served(consumer / name)
            linked = "libhakmem" in run("readelf", "-dW", consumer / name)
            expect(
                linked == name.endswith("hakmem"),
                f"{name} {'needs' if linked else 'does not need'} libhakmem.so",
            )

        found = next(prefix.rglob("hakmem.pc"))
        environment = dict(os.environ, PKG_CONFIG_PATH=str(found.parent))
        expect(
            run("pkg-config", "--modversion", "hakmem", env=environment).strip() == version(),
            "the version of hakmem.pc",
        )
        flags = run("pkg-config", "--cflags", "--libs", "hakmem", env=environment).split()
        library = run("pkg-config", "--variable=libdir", "hakmem", env=environment).strip()
        for compiler, source in ((given.cc, "served.c"), (given.cxx, "served.cpp")):
            program = Path(folder, "program")
            run(
                compiler,
                *(["-std=c++20"] if source.endswith("cpp") else []),
                define(),
                HERE / source,
                *flags,
                "-o",
                program,
            )
            served(program, LD_LIBRARY_PATH=library)


def main():
    checks = {
        name[6:]: function for name, function in globals().items() if name.startswith("check_")
    }
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=sorted(checks))
    for name in ("--build", "--cc", "--cxx"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    given.library = Path(given.build, "libhakmem.so").resolve()
    given.archive = Path(given.build, "libhakmem.a").resolve()
    try:
        checks[given.check](given)
    except Wrong as wrong:
        print(f"{given.check}: {wrong}", file=sys.stderr)
        return 1
    print(f"{given.check}: as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
