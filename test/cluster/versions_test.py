"""Nodes are replaced under load by those of another version and back: upgrade and downgrade.

    TRUED_PREVIOUS=…/older/trued TRUED_CLUSTER_ROUNDS=20 TRUED_BINARY=… python3 …/versions_test.py

TRUED_PREVIOUS names the program of the version before; without it both are the same program, and
what is tested is that all nodes can be replaced, one after another.
"""

import collections
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crowd import (BINARY, Cluster, Crowd, call_of, effects, rounds, sanitized,  # noqa: E402
                   seed, until, wrong_effects)
import shop as shops  # noqa: E402
from nodes_test import config_of  # noqa: E402

PREVIOUS = os.environ.get("TRUED_PREVIOUS") or BINARY
ENOUGH = 5 if sanitized() else 15


def becomes(node, binary):
    """Of that program from its next start on."""
    node.command = [binary if word in (BINARY, PREVIOUS) else word for word in node.command]


class VersionsTest(unittest.TestCase):
    def test_T13_T1_programs_of_two_versions_share_a_ledger_while_they_are_replaced(self):
        chance = random.Random(seed())
        told = collections.Counter()
        with shops.Shop() as shop, shops.Shop(deduplicates=False) as bank, \
                Cluster(PREVIOUS, config=config_of(shop, bank), lease="2s") as cluster:
            cluster.start()
            with Crowd(cluster, [call_of("charge"), call_of("order")]) as crowd:
                crowd.wait_for(ENOUGH)
                for number in range(rounds(4)):
                    # In turn to the newer and back; all three are of one version now and then.
                    newer = number // 3 % 2 == 0
                    node = cluster.nodes[number % 3]
                    self.replace(node, BINARY if newer else PREVIOUS, chance, told)
                    crowd.wait_for(ENOUGH)
                    told["newer acts" if cluster_acts(cluster) == BINARY else "older acts"] += 1
            crowd.settle()
            receipts = crowd.receipts()
            self.assertEqual(wrong_effects(receipts, "charge", effects(shop)), [])
            self.assertEqual(wrong_effects(receipts, "order", effects(bank)), [])
            self.assertEqual(crowd.wrong, [])
            for binary in {BINARY, PREVIOUS}:
                cluster.binary = binary
                report = cluster.audit()
                self.assertTrue(report["clean"], (binary, report))
            asks = sum(receipt["status"] == "needs_action" for receipt in receipts.values())
            times = effects(shop) + effects(bank)
            print(f"{rounds(4)} swaps, {len(crowd.acknowledged)} acknowledged, 0 lost, "
                  f"{sum(times.values())} effects, 0 twice, {asks} for a person; {dict(told)}, "
                  f"answers {dict(crowd.answers)}", file=sys.stderr)

    def replace(self, node, binary, chance, told):
        """As in an upgrade, or, every third time, as a machine does that dies during one."""
        how = "killed" if chance.random() < 0.33 else "ended"
        told[how] += 1
        node.kill() if how == "killed" else node.stop()
        becomes(node, binary)
        node.start()
        node.wait_for("standby", "acting")


def cluster_acts(cluster):
    node = until(cluster.acting, "a node acts")
    return next(word for word in node.command if word in (BINARY, PREVIOUS))


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
