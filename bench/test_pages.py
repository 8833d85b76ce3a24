#!/usr/bin/env python3
"""The scenarios write what they say, and the physical limit the same: one byte in every page of each block, counted by callgrind."""

import json
import os
import re
import subprocess
import sys
import unittest

PROGRAM = os.environ.get("BENCH_ALLOCATORS")


class Pages(unittest.TestCase):
    def writes(self, scenario, half, scale):
        """Data writes per operation, from two runs of which one does twice as much. What differs otherwise, the sorting of the times, vanishes in 8000."""
        counts = []
        for scale in (str(scale), str(2 * scale)):
            done = subprocess.run(["valgrind", "--tool=callgrind", "--cache-sim=yes", "--callgrind-out-file=/dev/null", PROGRAM, scenario, "--only", half,
                                   "--scale", scale], capture_output=True, text=True, check=True)
            counts.append((json.loads(done.stdout)["ops"], int(re.search(r"Collected : \d+ \d+ (\d+)", done.stderr)[1])))
        (ops, few), (more_ops, more) = counts
        return (more - few) / (more_ops - ops)

    def test_every_page_is_written(self):
        for scenario, pages, scale in (("json", 16, 0.05), ("mir", 64, 0.2), ("vm", 512, 1)):
            limit, whole = self.writes(scenario, "limit", scale), self.writes(scenario, "allocate", scale)
            # Three more make the order of the sizes: one enters a size, two swap it.
            self.assertAlmostEqual(limit, pages + 3, delta=0.5, msg=f"{scenario}: writes of the limit in an operation")
            # malloc and free write something, too.
            self.assertGreaterEqual(whole, limit, f"{scenario}: writes in an operation")
            self.assertLess(whole, limit + 100, f"{scenario}: writes in an operation")


if __name__ == "__main__":
    if PROGRAM is None:
        sys.exit("BENCH_ALLOCATORS must name the program bench_allocators")
    unittest.main()
