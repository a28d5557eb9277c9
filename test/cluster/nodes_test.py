"""Nodes are killed, stopped and cut off from the ledger under load, in random order; what they have
carried out is counted at the counterparts.

All rounds:  TRUED_CLUSTER_ROUNDS=50 TRUED_BINARY=… python3 test/cluster/nodes_test.py
Nodes are cut off by network namespaces where the machine allows it (as root), else by proxies in
front of their databases; it says which.
"""

import collections
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crowd import (BINARY, Crowd, a_cluster, best_network, call_of, effects,  # noqa: E402
                   rounds, sanitized, seed, until, wrong_effects)
import shop as shops  # noqa: E402
from node import OVERTAKEN, UNAVAILABLE  # noqa: E402

KILLED = -9
ENOUGH = 5 if sanitized() else 15
EVERY_TARGET = "breaker = false\nbudget = false"


def config_of(shop, bank):
    """`charge` at a shop that deduplicates, `order` at one that does not."""
    orders = shops.config(bank, timeout="10s", target=EVERY_TARGET)
    orders = orders.replace("target.psp", "target.bank").replace('"psp"', '"bank"')
    return (shops.config(shop, timeout="10s", target=EVERY_TARGET) +
            orders.replace("operation.charge", "operation.order"))


class NodesTest(unittest.TestCase):
    def test_T1_T2_T6_nodes_that_die_stall_or_are_cut_off_do_nothing_twice(self):
        chance = random.Random(seed())
        network = best_network()
        print(f"cut off by {network.name}", file=sys.stderr)
        with shops.Shop(host=network.front) as shop, \
                shops.Shop(deduplicates=False, host=network.front) as bank, \
                a_cluster(config_of(shop, bank), network) as cluster:
            cluster.start()
            self.told = collections.Counter()
            with Crowd(cluster, [call_of("charge"), call_of("order")]) as crowd:
                crowd.wait_for(ENOUGH)
                for each in range(rounds(3)):
                    # Each of the three at least once, however few there are.
                    how = ("kill", "pause", "cut")[each] if each < 3 else None
                    self.one_round(cluster, crowd, each, chance, how)
            crowd.settle()
            receipts = crowd.receipts()
            self.assertEqual(wrong_effects(receipts, "charge", effects(shop)), [])
            self.assertEqual(wrong_effects(receipts, "order", effects(bank)), [])
            self.assertEqual(crowd.wrong, [])
            self.check_ends(cluster)
            report = cluster.audit()
            self.assertTrue(report["clean"], report)
            asks = sum(receipt["status"] == "needs_action" for receipt in receipts.values())
            print(f"{dict(self.told)}: {len(crowd.acknowledged)} acknowledged, 0 lost, "
                  f"{len(shop.executions()) + len(bank.executions())} effects, 0 twice, {asks} for "
                  f"a person; answers {dict(crowd.answers)}", file=sys.stderr)

    def one_round(self, cluster, crowd, number, chance, how):
        how = how or chance.choice(("kill", "pause", "cut", "hiccup"))
        acting = until(cluster.acting, "a node acts")
        others = [node for node in cluster.nodes if node is not acting]
        # Most of the time the one that acts: more can go wrong.
        victim = acting if number < 3 or chance.random() < 0.7 else chance.choice(others)
        lives = victim.lives
        self.told[how] += 1
        print(f"round {number + 1}: {how} {victim.name}, which "
              f"{'acts' if victim is acting else 'stands by'}", file=sys.stderr)
        # Somewhere in the middle of what it does.
        crowd.wait_for(chance.randrange(1, ENOUGH))
        if how == "kill":
            victim.kill()
        elif how == "cut":
            cluster.cut(victim)
        else:
            victim.pause()
        if how != "hiccup":
            # The others go on without it, if need be after its lease.
            crowd.wait_for(ENOUGH)
        if how == "kill":
            victim.start()
        elif how == "cut":
            cluster.join(victim)
        else:
            victim.resume()
        if victim is acting and how in ("pause", "cut"):
            # It finds out that it was overtaken, and is started again.
            until(lambda: victim.lives > lives, f"{victim.name} notices that it was overtaken")
        victim.wait_for("standby", "acting")
        crowd.wait_for(ENOUGH)

    def check_ends(self, cluster):
        """For no other reason than those that a supervisor knows, or that we are."""
        for node in cluster.nodes:
            self.assertLessEqual(set(node.ended), {OVERTAKEN, UNAVAILABLE, KILLED},
                                 f"{node.name}: {node.last_words()}")


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
