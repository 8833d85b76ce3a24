"""From samples of bench_seed to the seed page's forecasts beside what is found; what
bench/before_after and bench/analyze print."""

import statistics

import paired
from report import bounds, table

BEFORE, AFTER = "SeedBefore", "P0-2"
LIMIT, ROUNDS_NEEDED = 0.55, 15
# The page's own: 126,479 -> 96,000 -> 70,000 cycles of hak_alloc.
FORECASTS = [
    ("P0-1 / SeedBefore", "P0-1", "SeedBefore", 96_000 / 126_479),
    ("P0-2 / P0-1", "P0-2", "P0-1", 70_000 / 96_000),
    ("P0-2 / SeedBefore", "P0-2", "SeedBefore", 70_000 / 126_479),
    ("shipped / P0-2", "shipped", "P0-2", None),
]


class BeforeAfterReport:
    """samples: list of {"policy", "size", "threads", "cycles": [one value per round]};
    instructions[size][policy], if they were counted."""

    def __init__(self, samples, instructions, resamples, seed):
        self.instructions = instructions
        self.samples = samples
        cycles = {(s["size"], s["threads"], s["policy"]): s["cycles"] for s in samples}
        self.policies = list(dict.fromkeys(s["policy"] for s in samples))
        self.cases = list(dict.fromkeys((s["size"], s["threads"]) for s in samples))
        self.median = {key: statistics.median(values) for key, values in cycles.items()}
        self.ratio = {
            (case, name): paired.median_ratio(
                cycles[*case, after], cycles[*case, before], resamples, seed
            )
            for case in self.cases
            for name, after, before, _ in FORECASTS
        }
        self.rounds = min(len(values) for values in cycles.values())

    def change(self, ratio):
        return f"{100 * (ratio - 1):+.0f} %"

    def counted(self, size, after, before):
        row = self.instructions.get(size)
        return self.change(row[after] / row[before]) if row else "-"

    def verdicts(self):
        return [
            (
                (
                    f"{size}, {threads} thread{'s' if threads > 1 else ''}: {AFTER} <= {LIMIT} of"
                    f" {BEFORE}"
                ),
                paired.verdict(e, LIMIT, self.rounds, ROUNDS_NEEDED),
                bounds(e),
            )
            for size, threads in self.cases
            for e in [self.ratio[(size, threads), f"{AFTER} / {BEFORE}"]]
        ]

    def text(self):
        out = [
            "Cycles of the time-stamp counter per hak_alloc_at (json: with its free); median of"
            f" {self.rounds} rounds"
        ]
        out += table(
            ["size, threads", *self.policies],
            [
                [
                    f"{size}, {threads}",
                    *(f"{self.median[size, threads, p]:.1f}" for p in self.policies),
                ]
                for size, threads in self.cases
            ],
        )
        if self.instructions:
            out += ["", "Instructions of hak_alloc_at alone, steady state (callgrind, 1 thread)"]
            out += table(
                ["size", *self.policies],
                [
                    [size, *(f"{row[p]:.1f}" for p in self.policies)]
                    for size, row in self.instructions.items()
                ],
            )
        out += ["", "The page's forecasts beside what is found: cycles [95 % bounds], instructions"]
        rows = []
        for name, after, before, forecast in FORECASTS:
            for size, threads in self.cases:
                e = self.ratio[(size, threads), name]
                rows.append(
                    [
                        name,
                        f"{size}, {threads}",
                        self.change(forecast) if forecast else "-",
                        f"{self.change(e.value)} [{self.change(e.low)}, {self.change(e.high)}]",
                        self.counted(size, after, before),
                    ]
                )
        out += table(["change", "size, threads", "forecast", "cycles", "instructions"], rows)
        out += [
            "",
            "Bounds"
            + (
                ""
                if self.rounds >= ROUNDS_NEEDED
                else f" ({self.rounds} rounds; a verdict needs {ROUNDS_NEEDED})"
            ),
        ]
        out += [
            f"  {verdict:<9}  {bound}: {evidence}" for bound, verdict, evidence in self.verdicts()
        ]
        out += self.why()
        return "\n".join(out) + "\n"

    def why(self):
        """Where a bound is missed: which part of the cost the change could not have touched."""
        missed = [
            case
            for case, (_, verdict, _) in zip(self.cases, self.verdicts())
            if verdict == paired.MISSES
        ]
        lines = []
        for size, threads in missed:
            before, after, bare = (
                self.median[size, threads, p] for p in (BEFORE, AFTER, "shipped")
            )
            lines.append(
                f"  {size}, {threads}: of {before:.1f} cycles the allocation itself takes"
                f" {bare:.1f}, {100 * bare / before:.0f} %: with nothing left of the layer the"
                f" ratio would be {bare / before:.2f}. {AFTER} removes"
                f" {min(100.0, 100 * (before - after) / max(before - bare, 1e-9)):.0f} % of what"
                " the layer cost."
            )
        return ["", "Why the forecast was wrong there", *lines] if lines else []

    def as_dict(self):
        return {
            "cases": [
                {
                    "size": size,
                    "threads": threads,
                    "median_cycles": {p: self.median[size, threads, p] for p in self.policies},
                    "ratios": {
                        name: self.ratio[(size, threads), name].as_dict() for name, *_ in FORECASTS
                    },
                }
                for size, threads in self.cases
            ],
            "forecasts": {name: forecast for name, _, _, forecast in FORECASTS},
            "verdicts": [{"bound": b, "verdict": v, "evidence": e} for b, v, e in self.verdicts()],
            "instructions": self.instructions,
            "samples": self.samples,
        }
