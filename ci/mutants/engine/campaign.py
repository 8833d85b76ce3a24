"""Runs mutants in copies of the tree and judges them: first all of some tests that can be switched,
in one build, then the others."""

import hashlib
import json
import queue
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from suites import finish

from . import switch
from .catalogue import NotFound, Tree, Trouble
from .killers import killer_of
from .workcopy import Copy, listed, stop

CLEAN = (
    4  # times what a test may take on a mutant, it may take without one: the machine may be busy
)
LOT = 120  # mutants that one build holds
TAIL = 1500  # characters of output that are shown where something is wrong


@dataclass
class Row:
    mutant: str
    killer: str
    source: str
    verdict: str  # killed, or why not
    report: str
    build_seconds: float  # a switched build's are shared by all that it holds
    test_seconds: float
    test_cores: float  # seconds of processors
    is_switched: bool


class Campaign:
    def __init__(self, root, killers, jobs):
        self.root, self.killers, self.jobs = root.resolve(), killers, jobs
        self.folder = self.root / "build" / "mutants"
        self.begin, self.before = time.monotonic(), core_seconds()
        self.build_cores = 0.0  # core seconds of all builds
        self.lock = threading.Lock()
        self.rows, self.wrong = [], []
        self.total = 0
        self.tree = Tree(self.root)
        self.diary = None

    def say(self, text):
        with self.lock:
            print(f"[{time.monotonic() - self.begin:6.1f} s] {text}", flush=True)

    def run(self, mutants):
        self.total = len(mutants)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.diary = Diary(self.folder / "unfinished.jsonl", self.root)
        left = self.take_known(mutants)
        left = [mutant for mutant in left if self.applies(mutant)]
        if left:
            self.run_rest(left)
        status = self.report()
        self.diary.close()
        return status

    def take_known(self, mutants):
        """Takes what an interrupted run of the same tree found out; returns the others."""
        left = []
        for mutant in mutants:
            row = self.diary.known.get(key(mutant))
            if row:
                self.rows.append(Row(**row))
            else:
                left.append(mutant)
        if len(left) < len(mutants):
            self.say(f"{len(mutants) - len(left)} were killed by the run that was interrupted")
        return left

    def applies(self, mutant):
        try:
            self.tree.places(mutant)
            return True
        except NotFound as error:
            self.note(mutant, "does not apply", None, 0, False, str(error))
            return False

    def run_rest(self, mutants):
        first = Copy(self.root, self.folder / "tree0")
        prepare(first)
        work = queue.Queue()
        bundles = self.bundles(first, mutants)
        for bundle in sorted(bundles, key=lambda its: -sum(map(len, its.values()))):
            work.put(bundle)
        jobs = min(self.jobs, len(bundles))
        self.say(
            f"{len(mutants)} mutants, {len({m.killer for m in mutants})} tests, "
            f"{len(bundles)} builds, {jobs} jobs"
        )
        with ThreadPoolExecutor(jobs) as pool:
            try:
                copies = [
                    first,
                    *(Copy(self.root, self.folder / f"tree{i}") for i in range(1, jobs)),
                ]
                finish([pool.submit(self.work, work, copy) for copy in copies])
            except BaseException:
                stop()
                raise

    def bundles(self, copy, mutants):
        """Tests that share something compiled are built together: [{killer: mutants}]."""
        groups = {}
        for mutant in mutants:
            groups.setdefault(killer_of(self.killers, mutant.killer), []).append(mutant)
        bundles = []
        for killer, its in sorted(groups.items(), key=lambda pair: pair[0].options):
            copy.configure(killer.options)
            objects = copy.objects(killer)
            merged = [killer.options, objects, {killer: its}]
            for other in [b for b in bundles if b[0] == killer.options and b[1] & objects]:
                bundles.remove(other)
                merged[1] |= other[1]
                merged[2].update(other[2])
            bundles.append(merged)
        return [bundle[2] for bundle in bundles]

    def work(self, bundles, copy):
        try:
            prepare(copy)
            while True:
                try:
                    bundle = bundles.get_nowait()
                except queue.Empty:
                    return
                try:
                    self.run_bundle(copy, bundle)
                finally:
                    copy.restore()
        except Exception as error:  # a thread's end must not look like success
            with self.lock:
                self.wrong.append(
                    f"{copy.folder.name}: {error if isinstance(error, Trouble) else repr(error)}"
                )
        finally:
            with self.lock:
                self.build_cores += copy.build_cores

    def run_bundle(self, copy, bundle):
        copy.configure(next(iter(bundle)).options)
        both = {killer: ([], []) for killer in bundle}
        for killer, mutants in bundle.items():
            for mutant in mutants:
                switches = switch.is_switchable(self.tree, mutant)
                both[killer][0 if switches else 1].append(mutant)
        switched = [(killer, mutant) for killer, (its, _) in both.items() for mutant in its]
        refused, passed = [], {}
        for first in range(0, len(switched), LOT):
            lot = {}
            for killer, mutant in switched[first : first + LOT]:
                lot.setdefault(killer, []).append(mutant)
            refused += self.run_switched(copy, lot, passed)
        for killer, (_, alone) in both.items():
            its = alone + [mutant for mutant in refused if mutant.killer == killer.name]
            if its:
                self.run_alone(copy, killer, its, passed.get(killer))

    def run_switched(self, copy, bundle, passed):
        """Judges the mutants of some tests in one build; returns those that do not build there.
        `passed` gets the tests that pass there with no mutant selected."""
        mutants = {
            number: mutant
            for number, mutant in enumerate((m for its in bundle.values() for m in its), 1)
        }
        targets = sorted({target for killer in bundle for target in killer.targets})
        self.say(f"builds {' '.join(targets)} with {len(mutants)} mutants")
        begin, cores = time.monotonic(), copy.build_cores
        refused = self.build_switched(copy, mutants, targets)
        built = time.monotonic() - begin
        self.say(f"built in {built:.0f} s, {copy.build_cores - cores:.1f} core-seconds")
        numbers = {mutant: number for number, mutant in mutants.items()}
        for killer, its in bundle.items():
            its = [mutant for mutant in its if mutant in numbers]
            clean = copy.test(killer, CLEAN * killer.seconds)
            if clean.status != 0:
                self.fails_unchanged(killer, clean, its, "switched build with no mutant selected")
                continue
            passed[killer] = clean
            self.say(
                f"{killer.name}: passes with none of {len(mutants)} selected; "
                f"built in {built:.0f} s, "
                f"{ran(clean)}; {len(its)} mutants"
            )
            holds = copy.holds(killer)
            for mutant in its:
                if numbers[mutant] not in holds:
                    self.note(
                        mutant,
                        "not compiled in",
                        None,
                        built / len(mutants),
                        True,
                        f"no program of {killer.name} has {mutant.edits[0].name}",
                    )
                    continue
                result = copy.test(killer, deadline(killer, clean), numbers[mutant])
                verdict = verdict_of(mutant, result)
                if "r" not in result.told:
                    verdict = "not reached" if "s" in result.told else "not selected"
                self.note(mutant, verdict, result, built / len(mutants), True, result.output)
        return refused

    def build_switched(self, copy, mutants, targets):
        """Builds what can be; takes the others out of `mutants` and returns them."""
        refused = []
        while mutants:
            copy.restore()
            copy.write(switch.switched(self.tree, mutants.items()))
            output = copy.build(targets)
            if not output:
                break
            copy.write(switch.switched(self.tree, mutants.items(), named=True))
            blamed = switch.blamed(copy.build_all(targets)) & set(mutants)
            # Whom nobody blames is looked for by halves.
            for number in blamed or self.halve(copy, mutants, targets):
                refused.append(mutants.pop(number))
        if refused:
            self.say(
                "built alone, for they do not build switched: "
                + " ".join(mutant.name for mutant in refused)
            )
        return refused

    def halve(self, copy, mutants, targets):
        """One of the mutants without which the others may build."""
        numbers = list(mutants)
        while len(numbers) > 1:
            half = numbers[: len(numbers) // 2]
            copy.restore()
            copy.write(switch.switched(self.tree, [(number, mutants[number]) for number in half]))
            numbers = half if copy.build(targets) else numbers[len(half) :]
        return numbers

    def run_alone(self, copy, killer, mutants, clean):
        """`clean`: how the test passed in a switched build with no mutant selected. Without such a
        build it has to pass on the unchanged tree."""
        copy.restore()
        if clean is None:
            cores = copy.build_cores
            said = copy.build(killer.targets)
            clean = None if said else copy.test(killer, CLEAN * killer.seconds)
            if said or clean.status != 0:
                self.fails_unchanged(killer, clean, mutants, "unchanged tree", said)
                return
            cores = copy.build_cores - cores
            self.say(f"{killer.name}: passes unchanged; built in {cores:.0f} core-seconds")
        self.say(f"{killer.name}: {len(mutants)} mutants alone")
        for mutant in mutants:
            begin, cores = time.monotonic(), copy.build_cores
            result = None
            try:
                copy.write(self.tree.mutated(mutant))
                output = copy.build(killer.targets)
                verdict = "does not build"
                if not output:
                    result = copy.test(killer, deadline(killer, clean))
                    output, verdict = result.output, verdict_of(mutant, result)
            finally:
                copy.restore()
            self.say(f"built alone in {copy.build_cores - cores:.1f} core-seconds")
            self.note(
                mutant,
                verdict,
                result,
                time.monotonic() - begin - (result.seconds if result else 0),
                False,
                output,
            )

    def fails_unchanged(self, killer, clean, mutants, where, said=""):
        why = (
            "does not build"
            if said
            else "does not end"
            if clean.status is None
            else f"ends with status {clean.status}"
        )
        self.say(f"WRONG {killer.name} on the {where}: {why}\n{(said or clean.output)[-TAIL:]}")
        with self.lock:
            self.wrong.append(
                f"{killer.name} {why} on the {where}; {len(mutants)} mutants were not judged"
            )

    def note(self, mutant, verdict, result, built, is_switched, output):
        report, tested, cores = (
            (result.reported, result.seconds, result.cores) if result else ("", 0, 0)
        )
        row = Row(
            mutant.name,
            mutant.killer,
            mutant.source,
            verdict,
            report,
            round(built, 2),
            round(tested, 2),
            round(cores, 2),
            is_switched,
        )
        with self.lock:
            self.rows.append(row)
            done = len(self.rows)
            if verdict == "killed":
                self.diary.add(key(mutant), row)
        seconds = time.monotonic() - self.begin
        left = seconds / done * (self.total - done)
        self.say(
            f"{done}/{self.total} {100 * done // self.total} %, {left:.0f} s left: "
            f"{verdict} {mutant.name} by {mutant.killer}, "
            f"{row.build_seconds:.1f} + {tested:.1f} s: {report[:110]}"
        )
        if verdict != "killed":
            self.say(output[-TAIL:])

    def report(self):
        self.rows.sort(key=lambda row: row.mutant)
        seconds, cores = time.monotonic() - self.begin, core_seconds() - self.before
        print(f"\n{'mutant':<52s} {'killer':<22s} {'source':<12s} {'seconds':>7s}  verdict")
        for row in self.rows:
            print(
                f"{row.mutant:<52s} {row.killer:<22s} {row.source:<12s} {row.test_seconds:>7.1f}  "
                f"{row.verdict}"
            )
        for row in self.rows:
            if row.verdict != "killed":
                self.wrong.append(
                    f"{row.mutant}: {row.verdict}; again: ci/mutants/run --only '{row.mutant}'"
                )
        (self.folder / "matrix.json").write_text(
            json.dumps(
                {
                    "seconds": round(seconds, 1),
                    "core_seconds": round(cores, 1),
                    "wrong": self.wrong,
                    "mutants": [asdict(row) for row in self.rows],
                },
                indent=1,
            )
            + "\n"
        )
        for text in self.wrong:
            print(f"mutants: red: {text}")
        killed = sum(row.verdict == "killed" for row in self.rows)
        print(
            f"mutants: {killed} of {self.total} killed, "
            f"by {len({row.killer for row in self.rows})} tests, in {seconds:.0f} s, "
            f"{cores / max(1, self.total):.2f} core-seconds each; "
            f"{self.build_cores:.0f} of {cores:.0f} for builds"
        )
        return 1 if self.wrong or killed != self.total else 0


class Diary:
    """What this run found out so far, for the next one if this one is interrupted. It holds for one
    state of the tree."""

    def __init__(self, path, root):
        self.path = path
        digest = hashlib.sha256()
        for name in sorted(
            name for name in listed(root) if not name.startswith("ci/mutants/catalogue/")
        ):
            digest.update(f"{name}\0".encode())
            digest.update((root / name).read_bytes())
        state = digest.hexdigest()
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {}
        if lines and lines[0] == state:
            for line in lines[1:]:
                try:
                    its, row = json.loads(line)
                except ValueError:  # the run ended within a line
                    continue
                self.known[its] = row
        else:
            path.write_text(state + "\n")
        self.file = path.open("a")

    def add(self, its, row):
        self.file.write(json.dumps([its, asdict(row)]) + "\n")
        self.file.flush()

    def close(self):
        self.file.close()
        self.path.unlink()


def key(mutant):
    return repr(mutant)


def prepare(copy):
    copy.folder.mkdir(parents=True, exist_ok=True)
    copy.refresh()


def core_seconds():
    """What this process and all its children that have ended took."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(its.ru_utime + its.ru_stime for its in used)


def ran(clean):
    return f"ran {clean.seconds:.1f} s ({clean.cores:.1f} core-seconds)"


def deadline(killer, clean):
    """How long the test may take on a mutant: longer where it took long without one."""
    return max(killer.seconds, 2 * clean.seconds)


def verdict_of(mutant, result):
    if result.status == 0:
        return "survives"
    if result.status is None and not result.reported:
        return "killed" if mutant.ends else "does not end"
    if not result.reported:
        return "dies without a report"
    return "killed"
