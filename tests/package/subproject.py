"""Checks of hakmem inside another project, and of the preset that builds the library alone.

Usage: subproject.py CHECK --build DIR --object FILE --cc CC --cxx CXX
(CHECK is the name of a function below that starts with check_)

What is checked is the work of CMake. So that it takes seconds, the compiler's launcher is this file
too: where api/library.cpp is to be compiled it notes the command, and takes the object that the
build in DIR has made. ci/library_alone compiles it for real.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from library import HERE, ROOT, Wrong, compare, define, expect, run, served, version

LIBRARIES = {"libhakmem.a", "libhakmem.so", "libhakmem.so.0", f"libhakmem.so.{version()}"}
PROGRAMS = ("c_hakmem", "c_static")


def launch(log, built, command):
    """Compiles as `command` says, or takes what is built; `log` gets the command as a line."""
    if not any(word.endswith("/api/library.cpp") for word in command):
        return subprocess.call(command)
    with open(log, "a", encoding="utf-8") as file:
        file.write(" ".join(command) + "\n")
    output = command[command.index("-o") + 1]
    shutil.copyfile(built, output)
    if "-MF" in command:
        Path(command[command.index("-MF") + 1]).write_text(f"{output}:\n", encoding="utf-8")
    return 0


class Tree:
    """A build tree in `folder`, of this project or of one that holds it."""

    def __init__(self, given, folder, *, generator="Ninja"):
        self.given = given
        self.folder = Path(folder)
        self.log = Path(f"{folder}.log")
        self.log.touch()
        self.options = [] if generator is None else ["-G", generator]
        launcher = [sys.executable, "-B", __file__, "launch", self.log, given.object]
        self.options += [
            f"-DCMAKE_CXX_COMPILER_LAUNCHER={';'.join(map(str, launcher))}",
            f"-DCMAKE_CXX_COMPILER={given.cxx}",
        ]

    def configure_parent(self, *settings, how="add_subdirectory", link="hakmem;static"):
        know_compilers(self.given, self.folder)
        words = {"hakmem": ROOT, "how": how, "link": link, "sources": HERE, "version": version()}
        words["CMAKE_C_COMPILER"] = self.given.cc
        run(
            *("cmake", "-S", HERE / "parent", "-B", self.folder, *self.options),
            *(f"-D{name}={value}" for name, value in words.items()),
            *settings,
        )

    def build(self, *options):
        run("cmake", "--build", self.folder, *options)

    def command(self):
        """How api/library.cpp was compiled, as words."""
        commands = self.log.read_text(encoding="utf-8").splitlines()
        expect(len(commands) == 1, f"api/library.cpp is compiled {len(commands)} times")
        return commands[0].split()

    def libraries(self):
        found = self.folder.rglob("libhakmem*")
        return [path for path in found if ".a" in path.name or ".so" in path.name]


def know_compilers(given, build):
    """Takes what CMake knows of the compilers from the build that is tested: it saves a second."""
    for path in Path(given.build, "CMakeFiles").glob("[0-9]*/CMake*.cmake"):
        into = build / "CMakeFiles" / path.parent.name
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into)
    cache = Path(given.build, "CMakeCache.txt").read_text(encoding="utf-8")
    kept = ("CMAKE_CACHE_M", "CMAKE_CACHE_P", "CMAKE_PLATFORM_INFO_", "CMAKE_EXECUTABLE_FORMAT")
    lines = [line for line in cache.splitlines(keepends=True) if line.startswith(kept)]
    (build / "CMakeCache.txt").write_text("".join(lines), encoding="utf-8")


def folder():
    return tempfile.TemporaryDirectory(prefix="hakmem-subproject-")


def flags(words):
    return {word for word in words if re.match("-[DOfgmsW]", word)}


def tested_flags(given):
    """The flags of the same object in the build that is tested."""
    for line in run("ninja", "-C", given.build, "-t", "commands", "hakmem_object").splitlines():
        if "/api/library.cpp" in line and " -c " in line:
            return flags(line.split())
    raise Wrong(f"no command makes {given.object}")


def check_alone(given):
    """The preset `library` makes two libraries, with the flags of what is tested; it needs no C."""
    with folder() as top:
        tree = Tree(given, Path(top, "build"), generator=None)
        run("cmake", "--preset", "library", "-B", tree.folder, *tree.options, cwd=ROOT)
        tree.build()
        compare("what is built", {path.name for path in tree.libraries()}, LIBRARIES)
        compare("flags", flags(tree.command()), tested_flags(given) - {"-Werror"})
        cache = (tree.folder / "CMakeCache.txt").read_text(encoding="utf-8")
        expect("CMAKE_C_COMPILER:" not in cache, "it asks for a C compiler")
        expect(not list(tree.folder.rglob("CTestTestfile.cmake")), "it has tests")


def check_parent(given):
    """One compilation, only what is linked, nothing installed, and the parent is as it was."""
    for how in ("add_subdirectory", "FetchContent"):
        with folder() as top:
            print(f"{how}:", flush=True)
            tree = Tree(given, Path(top, "build"))
            tree.configure_parent(how=how, link="hakmem")
            tree.build()
            expect("-O2" in tree.command(), "without a build type the library is not optimised")
            names = {path.name for path in tree.libraries()}
            compare("what is built", names, LIBRARIES - {"libhakmem.a"})
            here = [path.name for path in tree.libraries() if path.parent == tree.folder]
            expect(not here, f"{here} lie in the parent's folder")
            served(tree.folder / "c_hakmem")
            expect_untouched(tree)
            run("cmake", "--install", tree.folder, "--prefix", Path(top, "prefix"))
            installed = [path for path in Path(top, "prefix").rglob("*") if path.is_file()]
            expect(not installed, f"installed: {installed}")


def expect_untouched(tree):
    """The parent's settings are what they were; names of hakmem and FetchContent may be new."""
    changed = (tree.folder / "changed.txt").read_text(encoding="utf-8").splitlines()
    new = re.compile("variable (_|hakmem_|FETCHCONTENT_)", re.IGNORECASE)
    foreign = sorted(line for line in changed if line and not new.match(line))
    expect(not foreign, f"changed for the parent: {foreign}")
    expect(not (tree.folder / "compile_commands.json").exists(), "compile_commands.json is written")
    expect(not list(tree.folder.rglob("CTestTestfile.cmake")), "there are tests")


def check_installed(given):
    """An installation through a parent is whole, whatever the generator and the build type."""
    for generator, settings, config in (
        ("Unix Makefiles", [], []),
        ("Ninja", ["-DCMAKE_BUILD_TYPE=Debug"], []),
        ("Ninja Multi-Config", [], ["--config", "Release"]),
    ):
        with folder() as top:
            print(f"{generator} {settings or config}:", flush=True)
            tree = Tree(given, Path(top, "build"), generator=generator)
            tree.configure_parent("-DHAKMEM_INSTALL=ON", *settings, link="")
            tree.build(*config)
            run("cmake", "--install", tree.folder, "--prefix", Path(top, "prefix"), *config)
            consume(given, Path(top), Path(top, "prefix").rename(Path(top, "moved")))


def check_places(given):
    """CMAKE_INSTALL_LIBDIR (absolute), CMAKE_INSTALL_INCLUDEDIR and DESTDIR are respected."""
    with folder() as top:
        prefix, elsewhere, stage = Path(top, "prefix"), Path(top, "elsewhere"), Path(top, "stage")
        tree = Tree(given, Path(top, "build"))
        places = {"PREFIX": prefix, "LIBDIR": elsewhere / "lib", "INCLUDEDIR": "include/own"}
        settings = [f"-DCMAKE_INSTALL_{name}={place}" for name, place in places.items()]
        tree.configure_parent("-DHAKMEM_INSTALL=ON", *settings, link="")
        tree.build()
        run("cmake", "--install", tree.folder, env=dict(os.environ, DESTDIR=str(stage)))
        for place in (prefix, elsewhere):
            expect(not place.exists(), f"{place} exists in spite of DESTDIR")
            Path(f"{stage}{place}").rename(place)
        for path in (elsewhere / "lib/libhakmem.so", prefix / "include/own/hakmem/hakmem.h"):
            expect(path.exists(), f"{path} is missing")
        consume(given, Path(top), elsewhere)


def consume(given, top, prefix):
    """Programs that find the installation through CMake and through pkg-config."""
    consumer = top / "consumer"
    know_compilers(given, consumer)
    words = {"CMAKE_PREFIX_PATH": prefix, "sources": HERE, "wanted_version": version()}
    words.update(CMAKE_C_COMPILER=given.cc, CMAKE_CXX_COMPILER=given.cxx)
    run(
        *("cmake", "-S", HERE / "consumer", "-B", consumer, "-G", "Ninja"),
        *(f"-D{name}={value}" for name, value in words.items()),
    )
    run("cmake", "--build", consumer, "--target", *PROGRAMS)
    for name in PROGRAMS:
        served(consumer / name)
    package = next(prefix.rglob("hakmem.pc")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(package))
    words = run("pkg-config", "--cflags", "--libs", "hakmem", env=environment).split()
    libraries = run("pkg-config", "--variable=libdir", "hakmem", env=environment).strip()
    run(given.cc, define(), HERE / "served.c", *words, "-o", top / "program")
    served(top / "program", LD_LIBRARY_PATH=libraries)


def main():
    if sys.argv[1:2] == ["launch"]:
        return launch(sys.argv[2], sys.argv[3], sys.argv[4:])
    checks = {name[6:]: value for name, value in globals().items() if name.startswith("check_")}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("check", choices=sorted(checks))
    for name in ("--build", "--object", "--cc", "--cxx"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    try:
        checks[given.check](given)
    except Wrong as wrong:
        print(f"{given.check}: {wrong}", file=sys.stderr)
        return 1
    print(f"{given.check}: as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
