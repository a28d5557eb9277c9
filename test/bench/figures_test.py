"""What the benchmarks make of what they measured; nothing here is timed."""

import contextlib
import io
import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "test", "support")]
import postgres_bench  # noqa: E402
from generator import figures  # noqa: E402

WRK = """Running 2s test @ http://127.0.0.1:1
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    12.00ms    3.00ms  80.00ms   50.00%
    Req/Sec     2.50k   250.00     3.00k    99.00%
  Latency Distribution
     50%  950.00us
     75%    1.20ms
     90%    2.00ms
     99%    1.19s
  10000 requests in 2.00s, 1.00MB read
  Non-2xx or 3xx responses: 3
Requests/sec:   5000.50
Transfer/sec:    500.00KB
"""


def run(rate, **more):
    return {"per_second": rate, "p50_ms": 1.0, "p99_ms": 2.0, "refused": 0, "operations": 100,
            "commits": 200, "wal_bytes": 250_000, **more}


class Figures(unittest.TestCase):
    def test_percentiles_and_not_deviations_are_read_and_refusals_counted(self):
        rate, p50, p99, refused = figures(WRK)
        self.assertEqual((rate, round(p50, 3), round(p99, 3), refused), (5000.5, 0.95, 1190.0, 3))
        self.assertEqual(figures(WRK.replace("  Non-2xx or 3xx responses: 3\n", ""))[3], 0)

    def test_a_ratio_is_of_one_round_and_not_of_a_quiet_with_a_noisy_one(self):
        rows = postgres_bench.medians({
            ("Trued, 1 node", "whole", 64): [run(2000), run(500), run(5000)],
            ("DBOS, 1 process", "whole", 64): [run(100), run(25), run(1000)],
            ("DBOS, 3 processes", "whole", 64): [run(100), run(100), run(100)]})
        trued = rows[0]
        self.assertEqual((trued["per_second"], trued["times_dbos"]), (2000, 20.0))
        self.assertEqual(trued["times_dbos_3"], 20.0)
        self.assertEqual((trued["commits_per_operation"], trued["wal_bytes_per_operation"]),
                         (2.0, 2500.0))
        self.assertIsNone(rows[1]["times_dbos"])

    def test_the_target_is_said_to_be_met_or_missed(self):
        def verdict(rate, connections=64, **more):
            runs = {("Trued, 3 nodes", "whole", connections): [run(rate, **more)],
                    ("DBOS, 1 process", "whole", connections): [run(100)]}
            return postgres_bench.verdicts({
                "rows": postgres_bench.medians(runs),
                "two_commits_times_dbos": postgres_bench.of_floor([750], runs)})
        self.assertEqual(len(verdict(1000)), 1)
        self.assertIn("met", verdict(1000)[0])
        self.assertIn("missed", verdict(990)[0])
        self.assertIn("7 requests were refused", verdict(9000, refused=7)[0])
        # With one connection it is said what could be reached at all.
        self.assertIn("c=1: 5.0 times DBOS (two bare commits and nothing else: 7.5 times)",
                      verdict(500, 1)[0])

    def test_what_was_left_out_or_has_no_peer_leaves_no_figure_behind(self):
        rows = postgres_bench.medians({
            ("Trued, 1 node", "repeat", 64): [run(100, operations=0)],
            ("Trued, 1 node", "batch", 1): [run(100, p50_ms=None, p99_ms=None)]})
        self.assertIsNone(rows[0]["times_dbos"])
        self.assertIsNone(rows[0]["commits_per_operation"])
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            postgres_bench.table("a title", rows)
        self.assertIn("| – / – |", said.getvalue())
        self.assertEqual(len(said.getvalue().strip().splitlines()), 2 + 2 + len(rows))


if __name__ == "__main__":
    unittest.main()
