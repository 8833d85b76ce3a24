"""ci/quick --kills: which share of the catalogue's mutants in src/heap and src/mem would turn
ci/quick red, with its own build, tests and arguments."""

import json
import queue
import time
from concurrent.futures import ThreadPoolExecutor

import children
from engine import campaign, catalogue, killers, switch, workcopy
from engine.catalogue import Trouble
from progress import Progress

from . import plan as planning
from . import tree
from .quick import PRESET, core_seconds
from .work import NinjaFile, Work

WHERE = ("src/heap/", "src/mem/")
WANTED = 60  # percent
BUILD_SECONDS, BUILD_GUESS = 3000, 300  # of all tests, and what it is expected to take


def copy_of(root, folder, jobs, say):
    """A copy of the tree with ci/quick's build, which says how far it is."""
    copy = workcopy.Copy(
        root, folder / "tree", PRESET, ("-DHAKMEM_WERROR=OFF",), jobs, BUILD_SECONDS
    )
    progress = Progress({"building": BUILD_GUESS}, say=say)
    progress.begin("building")

    def line(text):
        progress.see(text)
        progress.tell("building")

    copy.on_line = line
    return copy


class Kills:
    def __init__(self, root, jobs):
        self.root, self.jobs = root, jobs
        self.folder = root / "build" / PRESET / "kills"
        self.work = Work(root, root / "build" / PRESET, jobs)
        self.table = planning.load(root)
        # The others do not run for a change there.
        self.rows = {n: row for n, row in self.table.tests.items() if n not in self.table.areas}
        self.campaign = campaign.Campaign(root, self.rows, jobs)
        self.campaign.say = self.work.say
        self.copy = copy_of(root, self.folder, jobs, self.work.say)
        self.killed, self.alive, self.clean = {}, [], {}

    def mutants(self):
        folder = self.root / "ci" / "mutants"
        every = catalogue.load(
            sorted((folder / "catalogue").glob("*.toml")), killers.load(folder / "killers.toml")
        )
        return [m for m in every if any(edit.path.startswith(WHERE) for edit in m.edits)]

    def plan(self, planner, mutant):
        """The tests that ci/quick runs for it, its own killer first, then the quick ones."""
        its = set()
        for path, places in self.campaign.tree.places(mutant).items():
            source = self.campaign.tree.source(path)
            for place in places:
                region = source.function(place.first, place.last)
                is_known = region and not region.is_constant
                its.add((path, region.name if is_known else tree.REST))
        names = [*self.table.tests, *self.table.scripts, ""]
        tests = set(planner.plan({name: its for name in names}).tests) & set(self.rows)
        return sorted(tests, key=lambda n: (n != mutant.test, self.clean[n].cores))

    def judge(self, tests, number):
        """The test that kills a mutant, or None."""
        for name in tests:
            row, clean = self.rows[name], self.clean[name]
            result = self.copy.test(row, campaign.deadline(row, clean), number)
            if result.status != 0 and result.reported:
                return name
        return None

    def work_off(self, left, total):
        while True:
            try:
                number, mutant, tests = left.get_nowait()
            except queue.Empty:
                return
            name = self.judge(tests, number)
            if name:
                self.killed[mutant.name] = name
            else:
                self.alive.append(mutant)
            done = len(self.killed) + len(self.alive)
            self.work.progress.finish(mutant.name)
            self.work.progress.tell(f"{done} of {total} mutants, {len(self.killed)} killed")

    def run(self):
        mutants = self.mutants()
        switched = [m for m in mutants if switch.is_switchable(self.campaign.tree, m)]
        # The others would need a build each, and are counted as not killed.
        self.alive = [m for m in mutants if m not in switched]
        campaign.prepare(self.copy)
        self.copy.configure(())
        targets = sorted({target for row in self.rows.values() for target in row.targets})
        numbered = dict(enumerate(switched, 1))
        self.work.say(f"building {len(targets)} targets with {len(numbered)} mutants: minutes")
        self.alive += self.campaign.build_switched(self.copy, numbered, targets)
        self.work.say("running the tests with no mutant selected")
        self.work.expect(self.rows)
        for name, row in self.rows.items():
            self.work.progress.tell(name)
            self.clean[name] = self.copy.test(row, 4 * row.seconds)
            if self.clean[name].status != 0:
                raise Trouble(f"{name} fails without a mutant:\n{self.clean[name].output[-2000:]}")
            self.work.progress.finish(name)
        build = self.copy.build_folder
        planner = planning.Planner(
            self.root,
            self.table,
            planning.reach_map(self.root),
            planning.registered(build),
            NinjaFile(build, self.copy.folder).sources_of,
            tree.snapshot(self.root),
        )
        left = queue.Queue()
        for number, mutant in numbered.items():
            left.put((number, mutant, self.plan(planner, mutant)))
        self.work.expect([m.name for m in numbered.values()])
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self.work_off, left, len(mutants)) for _ in range(self.jobs)]
            while any(not future.done() for future in futures):
                time.sleep(children.LOOK)
            for future in futures:
                future.result()
        self.copy.restore()
        return self.report(len(mutants))

    def report(self, total):
        by = {}
        for name in self.killed.values():
            by[name] = by.get(name, 0) + 1
        for name, count in sorted(by.items(), key=lambda pair: -pair[1]):
            print(f"{count:4d} by {name}")
        for mutant in sorted(self.alive, key=lambda m: m.name):
            print(f"not killed: {mutant.name} (ci/mutants: by {mutant.killer})")
        percent = 100 * len(self.killed) / total
        (self.folder / "kills.json").write_text(json.dumps(self.killed, indent=0, sort_keys=True))
        print(
            f"ci/quick: its tests kill {len(self.killed)} of {total} mutants in src/heap and"
            f" src/mem, {percent:.0f} % ({WANTED} are wanted), {core_seconds():.0f} core-seconds"
        )
        return 0 if percent >= WANTED else 1


def main(root, jobs):
    """The engine's builds wait where no signal is looked for, so they have a thread."""
    kills = Kills(root, jobs)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(kills.run)
        while not future.done():
            kills.work.look()
            time.sleep(children.LOOK)
        return future.result()
