"""From samples of bench_allocators to tables, points and verdicts; what bench/allocators and
bench/analyze print."""

import statistics

import paired
from report import bounds, table

PEERS = ("glibc", "mimalloc", "jemalloc", "tcmalloc")
PAIRS_NEEDED = 15
LIMIT_BOUNDS = {"vm": 1.05}  # of the physical limit
PEER_BOUNDS = {"json": 0.95, "mir": 1.00}  # of the best peer's


def kib_of(name):
    """1536 of "fixed-1536K"."""
    return int(name[len("fixed-") : -1]) << (10 if name.endswith("M") else 0)


class ScenarioReport:
    """samples[scenario][allocator] is a list of runs of bench_allocators, one a round."""

    def __init__(self, samples, allocators, subject, resamples, seed, counts=None, learning=None):
        self.samples = {s: runs for s, runs in samples.items() if runs[allocators[0]]}
        self.allocators, self.subject, self.resamples, self.seed = (
            allocators,
            subject,
            resamples,
            seed,
        )
        self.peers = [a for a in allocators if a in PEERS and a != subject]
        self.counts, self.learning = counts or {}, learning or {}
        self.to_limit, self.to_best, self.best_name = {}, {}, {}
        for s in self.samples:
            self.to_limit[s] = {a: self.against_limit(s, a) for a in allocators}
            if subject in allocators and self.peers:
                mine = self.values(s, subject, "ns_per_op")
                peers = {a: self.values(s, a, "ns_per_op") for a in self.peers}
                self.to_best[s] = paired.worst_median_ratio(
                    mine, list(peers.values()), resamples, seed
                )
                self.best_name[s] = max(
                    peers, key=lambda a: statistics.median(paired.ratios(mine, peers[a]))
                )

    def values(self, scenario, allocator, field):
        return [run[field] for run in self.samples[scenario][allocator]]

    def median(self, scenario, allocator, field):
        return statistics.median(self.values(scenario, allocator, field))

    def against_limit(self, scenario, allocator):
        """Cost over that of writing the same pages of a static buffer in the same process."""
        ratio = self.values(scenario, allocator, "ratio_to_limit")
        return paired.median_ratio(ratio, [1.0] * len(ratio), self.resamples, self.seed)

    def rounds(self):
        return min(len(runs[self.allocators[0]]) for runs in self.samples.values())

    def points(self):
        """allocator -> points: in each scenario as many as there are allocators for the least
        median cost, 1 for the greatest; equals share."""
        total = dict.fromkeys(self.allocators, 0.0)
        for s in self.samples:
            cost = {a: self.median(s, a, "ns_per_op") for a in self.allocators}
            for a in self.allocators:
                slower = sum(cost[b] > cost[a] for b in self.allocators)
                equal = sum(cost[b] == cost[a] for b in self.allocators)
                total[a] += slower + (equal + 1) / 2
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def verdicts(self):
        lines = []
        for s, limit in LIMIT_BOUNDS.items():
            if s in self.samples and self.subject in self.allocators:
                e = self.to_limit[s][self.subject]
                lines.append(
                    (f"{s} <= {limit:.2f} of the physical limit", self.judge(e, limit), bounds(e))
                )
        for s, limit in PEER_BOUNDS.items():
            if s in self.to_best:
                e = self.to_best[s]
                lines.append(
                    (
                        f"{s} <= {limit:.2f} of the best peer's",
                        self.judge(e, limit),
                        f"{bounds(e)} of {self.best_name[s]}",
                    )
                )
        return lines

    def judge(self, estimate, limit):
        return paired.verdict(estimate, limit, self.rounds(), PAIRS_NEEDED)

    def rows(self, show):
        return [[s, *(show(s, a) for a in self.allocators)] for s in self.samples]

    def text(self):
        if not self.samples:
            return "Nothing was measured.\n"
        if self.learning:
            out = [f"Cost: median ns per operation, {self.rounds()} rounds"]
            out += table(
                ["threshold", *self.samples],
                [
                    [a, *(f"{self.median(s, a, 'ns_per_op'):.0f}" for s in self.samples)]
                    for a in self.allocators
                ],
            )
            return "\n".join(out + self.learning_text()) + "\n"
        out = [
            f"Cost: median ns per operation, {self.rounds()} rounds; the limit is a static buffer's"
        ]
        out += table(
            ["scenario", *self.allocators, "limit"],
            [
                [*row, f"{self.limit_ns(row[0]):.0f}"]
                for row in self.rows(lambda s, a: f"{self.median(s, a, 'ns_per_op'):.0f}")
            ],
        )
        out += ["", "Cost / physical limit in the same process [95 % bounds]"]
        out += table(
            ["scenario", *self.allocators], self.rows(lambda s, a: bounds(self.to_limit[s][a]))
        )
        if self.to_best:
            out += ["", f"Cost of {self.subject} / best peer's [95 % bounds]"]
            out += table(
                ["scenario", "ratio", "best peer"],
                [[s, bounds(e), self.best_name[s]] for s, e in self.to_best.items()],
            )
        out += ["", "Page faults per operation; peak RSS in MiB"]
        out += table(
            ["scenario", *self.allocators],
            self.rows(
                lambda s, a: (
                    f"{self.median(s, a, 'faults_per_op'):.3f};"
                    f" {self.median(s, a, 'peak_kib') / 1024:.1f}"
                )
            ),
        )
        if self.counts:
            out += [
                "",
                (
                    "Instructions per operation beyond writing the pages; system calls per"
                    " operation; steady state"
                ),
            ]
            out += table(
                ["scenario", *next(iter(self.counts.values()))],
                [
                    [
                        s,
                        *(
                            f"{c['instructions']:.0f}; {max(0.0, c['system_calls']):.3f}"
                            for c in row.values()
                        ),
                    ]
                    for s, row in self.counts.items()
                ],
            )
        out += [
            "",
            f"Points: {len(self.allocators)} for the least cost of a scenario, 1 for the greatest",
        ]
        out.append("  " + ", ".join(f"{a} {p:g}" for a, p in self.points().items()))
        if verdicts := self.verdicts():
            note = (
                ""
                if self.rounds() >= PAIRS_NEEDED
                else f" ({self.rounds()} rounds; a verdict needs {PAIRS_NEEDED})"
            )
            out += [
                "",
                f"Bounds{note}",
                *(f"  {verdict:<9}  {bound}: {evidence}" for bound, verdict, evidence in verdicts),
            ]
        return "\n".join(out) + "\n"

    def limit_ns(self, scenario):
        return statistics.median(
            v for a in self.allocators for v in self.values(scenario, a, "limit_ns_per_op")
        )

    def learning_rows(self):
        """scenario -> the threshold that mode learning froze, and its cost over the best fixed
        threshold's: deterministic, and wall time."""
        rows, fixed = {}, {a: kib_of(a) for a in self.allocators if a.startswith("fixed-")}
        for s, learned in self.learning.items():
            mine = next((a for a, kib in fixed.items() if kib == learned["froze_kib"]), None)
            if s not in self.samples or mine is None:
                continue
            cost = {a: self.values(s, a, "ns_per_op") for a in fixed}
            best = max(fixed, key=lambda a: statistics.median(paired.ratios(cost[mine], cost[a])))
            wall = paired.worst_median_ratio(
                cost[mine], list(cost.values()), self.resamples, self.seed
            )
            rows[s] = {
                "froze": mine,
                "wall": wall.as_dict(),
                "best_by_wall": best,
                "ns_per_op": learned["ns_per_op"],
            }
            if "learned" in learned:
                rows[s]["deterministic"] = learned["learned"][1] / min(
                    score for _, score in learned["fixed"]
                )
        return rows

    def learning_text(self):
        rows = self.learning_rows()
        out = [
            "",
            (
                "Mode learning: what a process froze, and that threshold's wall time over the best"
                " fixed one's [95 % bounds]; ns of the process itself"
            ),
            "beside the deterministic cost over the best fixed one's (policy_scenarios)",
        ]
        return out + table(
            ["scenario", "froze", "wall time", "best by wall time", "ns", "deterministic"],
            [
                [
                    s,
                    r["froze"],
                    bounds(paired.Estimate(**r["wall"])),
                    r["best_by_wall"],
                    f"{r['ns_per_op']:.0f}",
                    f"{r['deterministic']:.3f}" if "deterministic" in r else "not run",
                ]
                for s, r in rows.items()
            ],
        )

    def as_dict(self):
        return {
            "scenarios": {
                s: {
                    "rounds": len(self.samples[s][self.allocators[0]]),
                    "limit_ns_per_op": self.limit_ns(s),
                    "median_ns_per_op": {
                        a: self.median(s, a, "ns_per_op") for a in self.allocators
                    },
                    "ratio_to_limit": {a: e.as_dict() for a, e in self.to_limit[s].items()},
                    "ratio_to_best_peer": self.to_best[s].as_dict() if s in self.to_best else None,
                    "best_peer": self.best_name.get(s),
                    "faults_per_op": {
                        a: self.median(s, a, "faults_per_op") for a in self.allocators
                    },
                    "peak_kib": {a: self.median(s, a, "peak_kib") for a in self.allocators},
                }
                for s in self.samples
            },
            "points": self.points() if self.samples else {},
            "learning_over_best_fixed": self.learning_rows(),
            "verdicts": (
                [{"bound": b, "verdict": v, "evidence": e} for b, v, e in self.verdicts()]
                if self.samples
                else []
            ),
            "counts": self.counts,
            "learning": self.learning,
            "samples": self.samples,
        }
