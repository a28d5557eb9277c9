"""The primary of the ledger dies under load and a standby takes its place: nothing is lost.

All rounds:  TRUED_CLUSTER_ROUNDS=20 TRUED_BINARY=… python3 test/cluster/failover_test.py
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crowd import (BINARY, FILES, Crowd, a_cluster, call_of, effects,  # noqa: E402
                   missing_files, rounds, sanitized, write_of, wrong_effects)
import shop as shops  # noqa: E402
from processes import ClusterError  # noqa: E402
from trued_server import Scratch  # noqa: E402

HOWS = ("kill", "immediate")
ENOUGH = 10 if sanitized() else 30


class FailoverTest(unittest.TestCase):
    def test_C6_T1_T6_a_primary_that_dies_takes_nothing_with_it(self):
        with Scratch() as scratch, shops.Shop() as shop:
            config = FILES.format(directory=scratch.path) + shops.config(
                shop, timeout="10s", target="breaker = false\nbudget = false")
            with a_cluster(config) as cluster:
                cluster.start()
                with Crowd(cluster, [write_of("w"), call_of("charge")]) as crowd:
                    for each in range(rounds(2)):
                        self.one_round(cluster, crowd, each)
                crowd.settle()
                receipts = crowd.receipts()
                self.assertEqual(missing_files(crowd, scratch.path, "w", receipts), [])
                self.assertEqual(wrong_effects(receipts, "charge", effects(shop)), [])
                self.assertEqual(crowd.wrong, [])
                report = cluster.audit()
                self.assertTrue(report["clean"], report)
                print(f"{rounds(2)} rounds, {len(crowd.acknowledged)} acknowledged, "
                      f"{len(crowd.confirmed)} confirmed, 0 lost; answers {dict(crowd.answers)}",
                      file=sys.stderr)

    def one_round(self, cluster, crowd, number):
        crowd.wait_for(ENOUGH)
        dead = cluster.kill_primary(HOWS[number % len(HOWS)])
        new = cluster.promote()
        self.assertIsNot(new, dead)
        # With one standby of two, which is enough.
        crowd.wait_for(ENOUGH)
        how = cluster.rejoin(dead, ("rewind", "copy")[number % 5 == 4])
        print(f"round {number + 1}: {dead.name} died, {new.name} is the primary, {dead.name} is a "
              f"standby by {how}; {len(crowd.confirmed)} confirmed", file=sys.stderr)

    def test_C6_a_standby_that_has_less_is_not_promoted(self):
        """The tool's own promise, on which the other test stands."""
        with a_cluster("") as cluster:
            cluster.start(nodes=False)
            with self.assertRaisesRegex(ClusterError, "runs; end it first"):
                cluster.promote()
            behind, ahead = cluster.standbys
            behind.stop()
            cluster.primary.sql("CREATE TABLE t (n int)", "app")
            cluster.primary.sql("INSERT INTO t SELECT generate_series(1, 1000)", "app")
            dead = cluster.kill_primary()
            with self.assertRaisesRegex(ClusterError, "is down as well"):
                cluster.promote(ahead)
            behind.start()
            with self.assertRaisesRegex(ClusterError, "is behind"):
                cluster.promote(behind)
            self.assertIs(cluster.promote(), ahead)
            self.assertEqual(ahead.sql("SELECT count(*) FROM t", "app"), "1000")
            cluster.rejoin(dead)


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
