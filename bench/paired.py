"""Statistics of paired runs: medians, bootstrap bounds, and the verdict on a bound. Python's
standard library only.

Runs are paired by round: within one round every program runs once under every allocator, so a
disturbance of the machine that lasts longer than a round divides out of the ratio. All bounds are
percentile bootstrap bounds over rounds with a fixed seed: the same samples always give the same
bounds.
"""

import math
import random
import statistics

LOW, HIGH = 0.025, 0.975  # a two-sided 95 % interval

HOLDS, MISSES, UNDECIDED = "holds", "misses", "undecided"


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(math.log(v) for v in values) / len(values))


def percentile(ordered, share):
    """Linear interpolation between the two nearest order statistics of a sorted, non-empty list."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def ratios(subject, peer):
    """Element by element; both lists have one value per round."""
    if len(subject) != len(peer):
        raise ValueError("paired samples differ in length")
    return [s / p for s, p in zip(subject, peer)]


class Estimate:
    """A point value with the bounds of its 95 % interval."""

    def __init__(self, value, low, high):
        self.value, self.low, self.high = value, low, high

    def as_dict(self):
        return {"value": self.value, "low": self.low, "high": self.high}

    def __repr__(self):
        return f"Estimate({self.value:.4f}, {self.low:.4f}, {self.high:.4f})"


def bootstrap(statistic, sizes, resamples, seed):
    """Estimate of a statistic.

    `sizes` lists the number of rounds of each independent group (workload). `statistic` takes one
    list of round numbers per group and returns a number.
    """
    rng = random.Random(seed)
    point = statistic([list(range(n)) for n in sizes])
    drawn = sorted(statistic([rng.choices(range(n), k=n) for n in sizes]) for _ in range(resamples))
    return Estimate(point, percentile(drawn, LOW), percentile(drawn, HIGH))


def median_ratio(subject, peer, resamples, seed):
    """Median over rounds of subject/peer."""
    paired = ratios(subject, peer)
    return bootstrap(
        lambda rounds: statistics.median(paired[r] for r in rounds[0]),
        [len(paired)],
        resamples,
        seed,
    )


def worst_median_ratio(subject, peers, resamples, seed):
    """The ratio to the best peer: the largest of the median ratios to each of the peers.

    The largest is taken anew in every resample, so that not knowing which peer is best widens the
    bounds.
    """
    paired = [ratios(subject, peer) for peer in peers]
    return bootstrap(
        lambda rounds: max(statistics.median(p[r] for r in rounds[0]) for p in paired),
        [len(subject)],
        resamples,
        seed,
    )


def geometric_mean_ratio(pairs, resamples, seed):
    """Geometric mean over workloads of the median ratio; `pairs` lists (subject, peer) samples, one
    per workload."""
    paired = [ratios(subject, peer) for subject, peer in pairs]
    return bootstrap(
        lambda rounds: geometric_mean(
            statistics.median(p[r] for r in rows) for p, rows in zip(paired, rounds)
        ),
        [len(p) for p in paired],
        resamples,
        seed,
    )


def verdict(estimate, limit, pairs, pairs_needed):
    """Whether `ratio <= limit` is shown: the whole interval lies on one side, from enough pairs."""
    if pairs < pairs_needed:
        return UNDECIDED
    if estimate.high <= limit:
        return HOLDS
    if estimate.low > limit:
        return MISSES
    return UNDECIDED


def together(verdicts):
    """The verdict on a bound that must hold for each of several."""
    verdicts = list(verdicts)
    if MISSES in verdicts:
        return MISSES
    if UNDECIDED in verdicts or not verdicts:
        return UNDECIDED
    return HOLDS
