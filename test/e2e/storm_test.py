"""A target that is down for a while, and one that breaks at random, under load.

No storm of retries, nothing lost, nobody needed, and every final state true by the counterpart's
own records.
"""

import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import Scratch, Server, audit, sanitized, until  # noqa: E402

MANY = 300 if sanitized() else 1000
LOAD = 200
FEW = 20


class Bench:
    def __init__(self, deduplicates=True, **options):
        self.scratch = Scratch().__enter__()
        self.shop = shops.Shop(deduplicates)
        path = os.path.join(self.scratch.path, "trued.toml")
        text = shops.config(self.shop, timeout="700ms", **options)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("attempts_max = 5", "attempts_max = 100"))
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", path])
        self.ids = {}       # amount -> operation

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.shop.__exit__()
        self.scratch.__exit__()

    def submit(self, count):
        """`count` charges at once; each has an amount of its own, by which it is known there."""
        first = len(self.ids) + 1
        amounts = range(first, first + count)
        lines = [json.dumps({"type": "charge", "input": {"cart": f"c{each}", "amount": each}})
                 for each in amounts]
        _, _, text = self.server.request("POST", "/v1/operations/batch", "\n".join(lines),
                                         {"Content-Type": "application/x-ndjson"})
        for line in text.splitlines():
            answer = json.loads(line)
            self.ids[amounts[answer["index"]]] = answer["receipt"]["id"]

    def gate(self):
        targets = self.server.request("GET", "/v1/status")[2]["targets"]
        return next(each for each in targets if each["name"] == "psp")["gate"]

    def settled(self):
        """Every receipt by its amount, once all have settled."""
        connection = self.server.connect()
        receipts = {}
        for amount, ident in self.ids.items():
            receipts[amount] = self.server.request(
                "GET", f"/v1/operations/{ident}?wait=60", connection=connection)[2]
        connection.close()
        return receipts

    def executed(self):
        """How often each amount was executed, by the shop's own records."""
        times = {}
        for _, body, _ in self.shop.executions():
            times[body["amount"]] = times.get(body["amount"], 0) + 1
        return times

    def until(self, holds):
        """What stands before the shop, once `holds` says so of it."""
        return until(lambda: (lambda gate: holds(gate) and gate)(self.gate()),
                     lambda: f"as wanted: {self.gate()}", within=60)


def waiting_for_budget(bench):
    listed = bench.server.request("GET", "/v1/operations?limit=200")[2]["operations"]
    return sum("retry budget of 'psp' is spent" in (each["reason"] or "") for each in listed)


class Down(unittest.TestCase):
    def assert_all_done(self, bench):
        receipts = bench.settled()
        self.assertEqual({each["state"] for each in receipts.values()}, {"confirmed"})
        self.assertEqual(bench.executed(), {amount: 1 for amount in receipts})
        # At rest, no call that the shop counted is unknown here.
        calls = bench.gate()["calls_since_start"]
        self.assertLessEqual(len(bench.shop.posts()), calls["first"] + calls["retry"])
        self.assertEqual(bench.server.terminate(), 0)
        report = audit(bench.state)
        self.assertIsNone(report.get("first"), report)

    def test_T5_the_budget_bounds_retries_and_nobody_is_needed_afterwards(self):
        # Without a breaker, so that only the budget stands between 200 operations and a storm.
        ratio, floor, window = 0.2, 40, 10
        gates = f"breaker = false\nbudget = {{ ratio = {ratio}, floor_per_second = {floor} }}"
        with Bench(target=gates) as bench:
            bench.shop.always = "503"
            began = time.monotonic()
            bench.submit(LOAD)
            # All of it is spent, and the rest waits for more.
            gate = bench.until(lambda gate: gate["held_since_start"]["budget"] >= LOAD and
                               gate["in_flight"] == 0)
            calls = gate["calls_since_start"]
            most = ratio * LOAD + floor * window
            self.assertEqual(calls["first"], LOAD)
            self.assertGreater(calls["retry"], most - 10, "the bound was reached, not missed")
            # On a machine so slow that the window has moved on meanwhile, more may have begun.
            elapsed = time.monotonic() - began
            self.assertLessEqual(calls["retry"], most + floor * elapsed)
            until(lambda: waiting_for_budget(bench) == LOAD, "all of them wait for the budget")
            bench.shop.always = None
            self.assert_all_done(bench)

    GATES = 'breaker = { consecutive = 5, open = "200ms", open_max = "400ms" }'

    def down_for_a_while(self, bench):
        """Some that find out that it is down, and all the others while the breaker is open."""
        bench.submit(FEW)
        bench.until(lambda gate: gate["breaker"]["opened_since_start"] >= 1 and
                    gate["in_flight"] == 0)
        bench.submit(LOAD - FEW)
        gate = bench.until(lambda gate: gate["breaker"]["opened_since_start"] >= 4 and
                           gate["breaker"]["state"] == "open")
        # Whoever began before it was known, and then two calls each time it was found out again.
        calls = gate["calls_since_start"]
        most = FEW + 5 + 2 * gate["breaker"]["opened_since_start"]
        self.assertLessEqual(calls["first"] + calls["retry"], most, gate)
        self.assertGreater(gate["held_since_start"]["breaker"], 0)

    def test_T6_the_breaker_leaves_a_target_alone_that_says_503(self):
        with Bench(target=self.GATES) as bench:
            bench.shop.always = "503"
            self.down_for_a_while(bench)
            bench.shop.always = None
            self.assert_all_done(bench)

    def test_T6_nothing_is_lost_where_nobody_listens_and_nothing_deduplicates(self):
        with Bench(deduplicates=False, target=self.GATES) as bench:
            bench.shop.stop_listening()
            self.down_for_a_while(bench)
            bench.shop.listen()
            self.assert_all_done(bench)
            self.assertEqual(len(bench.shop.posts()), LOAD, "called once each, in all")


class Random(unittest.TestCase):
    GATES = 'budget = false\nbreaker = { open = "20ms", open_max = "40ms" }'

    def storm(self, bench, count=MANY):
        bench.shop.always = "random"
        bench.submit(count)
        receipts = bench.settled()
        executed = bench.executed()
        found = {}
        for amount, receipt in receipts.items():
            times = executed.get(amount, 0)
            found[receipt["state"]] = found.get(receipt["state"], 0) + 1
            if receipt["status"] == "confirmed":
                self.assertEqual(times, 1, receipt)
            elif receipt["status"] == "failed":
                self.assertEqual(times, 0, receipt)
            else:
                self.assertEqual(receipt["status"], "needs_action", receipt)
                # A person is asked only where it is not known; it was not executed twice.
                self.assertLessEqual(times, 1, receipt)
                self.assertTrue(receipt["reason"])
        self.assertEqual(len(receipts), count)
        self.assertEqual(set(executed.values()), {1})
        self.assertEqual(bench.server.terminate(), 0)
        report = audit(bench.state)
        self.assertIsNone(report.get("first"), report)
        return found

    def test_T2_a_deduplicating_counterpart_ends_with_each_executed_once(self):
        with Bench(deduplicates=True, target=self.GATES) as bench:
            self.assertEqual(self.storm(bench), {"confirmed": MANY})

    def test_T2_a_probe_that_can_say_no_needs_no_person_either(self):
        with Bench(deduplicates=False, target=self.GATES,
                   after=shops.READ_BACK + shops.PROBE) as bench:
            self.assertEqual(self.storm(bench), {"confirmed": MANY})

    def test_T2_without_either_what_is_not_known_waits_for_a_person(self):
        with Bench(deduplicates=False, target=self.GATES) as bench:
            found = self.storm(bench, MANY // 5)
            self.assertGreater(found["confirmed"], MANY / 10)
            self.assertGreater(found["needs_action"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
