#!/usr/bin/env python3
"""The scenarios write what they say, and the physical limit the same: one byte in every page of
each block, counted by callgrind."""

import json
import os
import re
import subprocess
import sys
import unittest

PROGRAM = os.environ.get("BENCH_ALLOCATORS")


class Pages(unittest.TestCase):
    def writes(self, scenario, half):
        """Data writes per operation, from two runs of which one does twice as much."""
        counts = []
        for scale in ("1", "2"):
            done = subprocess.run(
                [
                    "valgrind",
                    "--tool=callgrind",
                    "--cache-sim=yes",
                    "--callgrind-out-file=/dev/null",
                    PROGRAM,
                    scenario,
                    "--only",
                    half,
                    "--scale",
                    scale,
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            counts.append(
                (
                    json.loads(done.stdout)["ops"],
                    int(re.search(r"Collected : \d+ \d+ (\d+)", done.stderr)[1]),
                )
            )
        (ops, few), (more_ops, more) = counts
        return (more - few) / (more_ops - ops)

    def test_every_page_is_written(self):
        for scenario, pages in (("json", 16), ("mir", 64)):
            limit, whole = self.writes(scenario, "limit"), self.writes(scenario, "allocate")
            self.assertAlmostEqual(
                limit, pages, delta=0.5, msg=f"{scenario}: writes of the limit in an operation"
            )
            # malloc and free write something, too.
            self.assertGreaterEqual(whole, limit, f"{scenario}: writes in an operation")
            self.assertLess(whole, limit + 100, f"{scenario}: writes in an operation")


if __name__ == "__main__":
    if PROGRAM is None:
        sys.exit("BENCH_ALLOCATORS must name the program bench_allocators")
    unittest.main()
