"""From samples of the larson profiles to tables; what stress/larson and bench/analyze print."""

import statistics

import paired
from report import PEERS, bounds, table


class LarsonReport:
    """samples[profile][allocator] is a list with one run per complete round."""

    def __init__(self, samples, allocators, seed, subject="hakmem", resamples=2000):
        self.samples = {p: row for p, row in samples.items() if row[allocators[0]]}
        self.allocators, self.subject = allocators, subject
        self.best, self.best_name = {}, {}
        peers = [a for a in allocators if a in PEERS and a != subject]
        for p in self.samples:
            if subject in allocators and peers:
                # Time for each replacement, so that a ratio below 1 is a faster subject, as
                # everywhere else.
                mine, others = self.seconds(p, subject), {a: self.seconds(p, a) for a in peers}
                self.best[p] = paired.worst_median_ratio(
                    mine, list(others.values()), resamples, seed
                )
                self.best_name[p] = max(
                    others, key=lambda a: statistics.median(paired.ratios(mine, others[a]))
                )

    def seconds(self, profile, allocator):
        return [1 / run["replacements_per_second"] for run in self.samples[profile][allocator]]

    def median(self, profile, allocator, field):
        return statistics.median(run[field] for run in self.samples[profile][allocator])

    def text(self):
        if not self.samples:
            return "Nothing ran.\n"
        out = ["Million replacements per second; peak RSS in MiB (medians)"]
        header, rows = ["profile", *self.allocators], []
        for p in self.samples:
            rows.append(
                [
                    p,
                    *(
                        f"{self.median(p, a, 'replacements_per_second') / 1e6:.2f};"
                        f" {self.median(p, a, 'peak_kib') / 1024:.1f}"
                        for a in self.allocators
                    ),
                ]
            )
            if p in self.best:
                rows[-1].append(f"{bounds(self.best[p])} of {self.best_name[p]}")
        if self.best:
            header.append(f"time of {self.subject} / best peer's")
        return "\n".join(out + table(header, rows)) + "\n"

    def as_dict(self):
        return {
            "profiles": {
                p: {
                    "rounds": len(row[self.allocators[0]]),
                    "median_replacements_per_second": {
                        a: self.median(p, a, "replacements_per_second") for a in self.allocators
                    },
                    "median_peak_kib": {a: self.median(p, a, "peak_kib") for a in self.allocators},
                    "time_over_best_peer": self.best[p].as_dict() if p in self.best else None,
                    "best_peer": self.best_name.get(p),
                }
                for p, row in self.samples.items()
            },
            "samples": self.samples,
        }
