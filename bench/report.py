"""From samples to tables and verdicts; what bench/compare prints and writes."""

import statistics

import paired

PEERS = ("glibc", "mimalloc", "jemalloc", "tcmalloc")
REFERENCE = "mimalloc"
PAIRS_NEEDED = 20

GEOMEAN_LIMIT = 1.00
LARSON_LIMIT = 1.05
WORKLOAD_LIMIT = 1.30
MEMORY_LIMIT = 1.20
LARSON = ("larson-1", "larson-2", "larson-4")


class Report:
    """samples[workload][allocator] is a list of runs (the workload's JSON), one a round."""

    def __init__(self, samples, allocators, subject, resamples, seed, clock="wall"):
        self.samples = {w: runs for w, runs in samples.items() if runs[allocators[0]]}
        self.allocators, self.subject = allocators, subject
        self.clock, self.field = clock, {"wall": "seconds", "cpu": "cpu_seconds"}[clock]
        self.resamples, self.seed = resamples, seed
        self.peers = [a for a in allocators if a in PEERS and a != subject]
        self.others = [a for a in allocators if a != subject]
        self.has_subject = subject in allocators
        self.analyse()

    def seconds(self, workload, allocator):
        return [run[self.field] for run in self.samples[workload][allocator]]

    def ns_per_op(self, workload, allocator):
        return statistics.median(
            run[self.field] * 1e9 / run["ops"] for run in self.samples[workload][allocator]
        )

    def own_kib(self, workload):
        """The program's own memory: the least that any allocator showed before the work began."""
        return min(
            statistics.median(run["baseline_kib"] for run in self.samples[workload][a])
            for a in self.allocators
        )

    def net_kib(self, workload, allocator):
        own = self.own_kib(workload)
        return [max(1.0, run["peak_kib"] - own) for run in self.samples[workload][allocator]]

    def analyse(self):
        self.cost, self.best, self.best_name, self.memory, self.geomean = {}, {}, {}, {}, {}
        if not self.has_subject:
            return
        for w in self.samples:
            mine = self.seconds(w, self.subject)
            self.cost[w] = {
                a: paired.median_ratio(mine, self.seconds(w, a), self.resamples, self.seed)
                for a in self.others
            }
            if not self.peers:
                continue
            self.best[w] = paired.worst_median_ratio(
                mine, [self.seconds(w, a) for a in self.peers], self.resamples, self.seed
            )
            self.best_name[w] = max(self.peers, key=lambda a: self.cost[w][a].value)
            per_round = zip(*(self.net_kib(w, a) for a in self.peers))
            middle = [statistics.median(values) for values in per_round]
            self.memory[w] = paired.median_ratio(
                self.net_kib(w, self.subject), middle, self.resamples, self.seed
            )
        for a in self.others:
            pairs = [(self.seconds(w, self.subject), self.seconds(w, a)) for w in self.samples]
            if pairs:
                self.geomean[a] = paired.geometric_mean_ratio(pairs, self.resamples, self.seed)

    def pairs(self, workload):
        return len(self.samples[workload][self.allocators[0]])

    def judge(self, estimate, limit, workload=None):
        pairs = self.pairs(workload) if workload else min(self.pairs(w) for w in self.samples)
        return paired.verdict(estimate, limit, pairs, PAIRS_NEEDED)

    def verdicts(self):
        """(bound, verdict, evidence) for each bound that the chosen workloads and allocators can
        speak about."""
        lines = []
        if not self.has_subject or not self.samples:
            return lines
        if REFERENCE in self.geomean:
            g = self.geomean[REFERENCE]
            lines.append(
                (
                    f"geometric mean of cost <= {GEOMEAN_LIMIT:.2f} of {REFERENCE}'s",
                    self.judge(g, GEOMEAN_LIMIT),
                    f"{bounds(g)} over {len(self.samples)} workloads",
                )
            )
        if not self.peers:
            return lines
        for w in LARSON:
            if w in self.best:
                lines.append(
                    (
                        f"{w} <= {LARSON_LIMIT:.2f} of the best peer's",
                        self.judge(self.best[w], LARSON_LIMIT, w),
                        f"{bounds(self.best[w])} of {self.best_name[w]}",
                    )
                )
        lines.append(
            self.each("no workload above", WORKLOAD_LIMIT, "of the best peer's", self.best)
        )
        lines.append(
            self.each(
                "peak RSS of each workload <=", MEMORY_LIMIT, "of the median peer's", self.memory
            )
        )
        return lines

    def each(self, before, limit, after, estimates):
        single = {w: self.judge(e, limit, w) for w, e in estimates.items()}
        verdict = paired.together(single.values())
        shown = [w for w, v in single.items() if v == paired.MISSES] or [
            w for w in sorted(estimates, key=lambda w: -estimates[w].high) if single[w] == verdict
        ][:3]
        evidence = ", ".join(f"{w} {bounds(estimates[w])}" for w in shown)
        return (f"{before} {limit:.2f} {after}", verdict, evidence)

    def text(self):
        if not self.samples:
            return "Nothing was measured.\n"
        out = [f"Cost: median ns per operation, {self.clock} clock"]
        out += table(
            ["workload", *self.allocators],
            [[w, *(f"{self.ns_per_op(w, a):.2f}" for a in self.allocators)] for w in self.samples],
        )
        if self.has_subject:
            rows = [[w, *(bounds(self.cost[w][a]) for a in self.others)] for w in self.samples]
            rows.append(["geometric mean", *(bounds(self.geomean[a]) for a in self.others)])
            out += ["", f"Cost of {self.subject} / other: median of the paired ratio [95 % bounds]"]
            out += table(["workload", *self.others], rows)
        rows = []
        for w in self.samples:
            net = [f"{statistics.median(self.net_kib(w, a)) / 1024:.1f}" for a in self.allocators]
            rows.append([w, *net, *([bounds(self.memory[w])] if w in self.memory else [])])
        out += ["", "Memory: median peak RSS in MiB, net of the program's own"]
        out += table(
            [
                "workload",
                *self.allocators,
                *([f"{self.subject} / median peer"] if self.memory else []),
            ],
            rows,
        )
        verdicts = self.verdicts()
        if verdicts:
            fewest = min(self.pairs(w) for w in self.samples)
            note = (
                ""
                if fewest >= PAIRS_NEEDED
                else f" ({fewest} pairs; a verdict needs {PAIRS_NEEDED})"
            )
            out += ["", f"Bounds{note}"]
            out += [f"  {verdict:<9}  {bound}: {evidence}" for bound, verdict, evidence in verdicts]
        return "\n".join(out) + "\n"

    def as_dict(self):
        return {
            "workloads": {
                w: {
                    "pairs": self.pairs(w),
                    "own_kib": self.own_kib(w),
                    "median_ns_per_op": {a: self.ns_per_op(w, a) for a in self.allocators},
                    "median_net_peak_kib": {
                        a: statistics.median(self.net_kib(w, a)) for a in self.allocators
                    },
                    "cost_ratio": {a: e.as_dict() for a, e in self.cost.get(w, {}).items()},
                    "cost_ratio_to_best_peer": self.best[w].as_dict() if w in self.best else None,
                    "best_peer": self.best_name.get(w),
                    "memory_ratio_to_median_peer": (
                        self.memory[w].as_dict() if w in self.memory else None
                    ),
                }
                for w in self.samples
            },
            "geometric_mean_of_cost": {a: e.as_dict() for a, e in self.geomean.items()},
            "verdicts": [{"bound": b, "verdict": v, "evidence": e} for b, v, e in self.verdicts()],
            "samples": self.samples,
        }


def bounds(estimate):
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def table(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return lines
