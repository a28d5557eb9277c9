"""Three nodes race on the same keys, with the same and with other payloads.

All keys:  TRUED_CLUSTER_KEYS=10000 TRUED_BINARY=… python3 test/cluster/race_test.py
"""

import collections
import os
import random
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crowd import BINARY, a_cluster, effects, sanitized, seed  # noqa: E402
import shop as shops  # noqa: E402

KEYS = int(os.environ.get("TRUED_CLUSTER_KEYS") or (60 if sanitized() else 500))
LANES = 4  # races at a time
CHARGE = """
[operation.charge]
timeout = "10s"
[operation.charge.effect]
target = "psp"
method = "POST"
path = "/v1/charges"
json = { amount = "${input.amount}" }
[operation.charge.input]
required = ["amount"]
properties = { amount = { type = "integer" } }
[[operation.charge.artifact]]
name = "charge"
read = { path = "/v1/charges?key=${operation.identity}" }
expect = { json = { amount = "${input.amount}", status = "succeeded" } }
"""


def config_of(shop):
    return (f'[target.psp]\nkind = "http"\nbase_url = "{shop.url}"\nallow_private = true\n'
            'deduplicates = true\nremembers = "24h"\nbreaker = false\nbudget = false\n' + CHARGE)


class Lane:
    """Three clients, one at each node, who submit one key after another, each key all at once."""

    def __init__(self, nodes, races):
        self.nodes = nodes
        self.races = races          # (number, amounts, one for each node)
        self.answers = {}           # number -> [(status, body)], as the nodes
        self.broken = []
        self.barrier = threading.Barrier(len(nodes))
        self.threads = [threading.Thread(target=self._client, args=(at,))
                        for at in range(len(nodes))]

    def _client(self, at):
        connection = self.nodes[at].connect()
        try:
            for number, amounts in self.races:
                body = {"type": "charge", "key": f"race-{number}", "input": {"amount": amounts[at]}}
                self.barrier.wait(60)
                status, _, answer = self.nodes[at].request(
                    "POST", "/v1/operations", body, {"Prefer": "wait=20"}, connection)
                self.answers.setdefault(number, [None] * len(self.nodes))[at] = (status, answer)
        except Exception as error:  # pylint: disable=broad-except
            self.broken.append(repr(error))
            self.barrier.abort()
        finally:
            connection.close()


def amounts_of(number, chance):
    """What each of the three wants to charge: the same, or two of them or all something else. Which
    race it was of shows in every one of them."""
    first, second, third = (10 * number + 1 + i for i in range(3))
    wishes = chance.choice(([first] * 3, [first] * 3, [first, first, second],
                            [first, second, third]))
    chance.shuffle(wishes)
    return wishes


class RaceTest(unittest.TestCase):
    def test_T2_T4_a_key_is_one_operation_at_whichever_node_it_is_submitted(self):
        chance = random.Random(seed())
        with shops.Shop() as shop, a_cluster(config_of(shop)) as cluster:
            cluster.start()
            before = cluster.audit()["operations"]  # the definitions
            nodes = [node for node in cluster.nodes if node.listening]
            # Where a node that stands by does not listen, the three meet at the one that acts.
            nodes += [cluster.acting()] * (len(cluster.nodes) - len(nodes))
            races = [(number, amounts_of(number, chance)) for number in range(1, KEYS + 1)]
            lanes = [Lane(nodes, races[at::LANES]) for at in range(LANES)]
            for lane in lanes:
                for thread in lane.threads:
                    thread.start()
            for lane in lanes:
                for thread in lane.threads:
                    thread.join()
            self.assertEqual([each for lane in lanes for each in lane.broken], [])
            answers = {number: each for lane in lanes for number, each in lane.answers.items()}
            ids, charged, told = self.judge(dict(races), answers)
            # One operation for each key, and what won was charged, once, and nothing else.
            self.assertEqual(len(set(ids.values())), KEYS)
            self.assertEqual(effects(shop), collections.Counter(charged.values()))
            self.every_node_says_the_same(cluster, ids)
            report = cluster.audit()
            self.assertTrue(report["clean"], report)
            self.assertEqual(report["operations"] - before, KEYS)
            print(f"{KEYS} keys at {len({node.name for node in nodes})} nodes: {dict(told)}, "
                  f"{len(shop.executions())} effects", file=sys.stderr)

    def judge(self, races, answers):
        """The id of each key, what was charged for it, and how often what was answered."""
        ids, charged, told = {}, {}, collections.Counter()
        for number, wishes in races.items():
            with self.subTest(number=number, wishes=wishes, answers=answers[number]):
                won = [(wish, body) for wish, (status, body) in zip(wishes, answers[number])
                       if status in (200, 201)]
                lost = [(wish, status, body) for wish, (status, body)
                        in zip(wishes, answers[number]) if status not in (200, 201)]
                # One wish won, and everybody who had it was told of the same operation.
                self.assertEqual(len({wish for wish, _ in won}), 1)
                self.assertEqual(len({body["id"] for _, body in won}), 1)
                self.assertEqual({body["status"] for _, body in won}, {"confirmed"})
                decisions = collections.Counter(body["decision"] for _, body in won)
                self.assertEqual(decisions.pop("new"), 1)
                self.assertLessEqual(set(decisions), {"in_flight", "duplicate"})
                charged[number], ids[number] = won[0][0], won[0][1]["id"]
                for wish, status, body in lost:
                    # The others were told what differs from what.
                    self.assertNotEqual(wish, charged[number])
                    self.assertEqual(status, 409)
                    self.assertEqual(body["type"], "urn:trued:problem:idempotency-conflict")
                    self.assertEqual(body["differing"], ["/input/amount"])
                    self.assertEqual(body["receipt"]["id"], ids[number])
                told.update(body["decision"] for _, body in won)
                told["conflict"] += len(lost)
        return ids, charged, told

    def every_node_says_the_same(self, cluster, ids):
        """Also later, and whoever is asked."""
        for node in cluster.nodes:
            if not node.listening:
                continue
            connection = node.connect()
            for number in list(ids)[::max(1, KEYS // 300)]:
                _, _, page = node.request("GET", f"/v1/operations?key=race-{number}", None, None,
                                          connection)
                self.assertEqual([each["id"] for each in page["operations"]], [ids[number]],
                                 f"race-{number} at {node.name}")
            connection.close()


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
