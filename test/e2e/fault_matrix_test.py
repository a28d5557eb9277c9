"""The word of Trued and the truth of the counterpart agree, however a call breaks (HTTP).

Each case: what the payment service does to the first call, what may be executed in all, and what
Trued may call it in the end. Executions are counted at the counterpart.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import Scratch, Server, audit  # noqa: E402

# What breaks, and whether it was executed by then.
BROKEN = {"drop_before": False, "drop_after": True, "half_answer": True, "hang": True,
          "hang_before": False, "500_after": True, "503_after": True}
REFUSED = ["400", "401", "403", "404", "422"]
# 409: at a service that deduplicates, our own key is under way there.
NOT_NOW = ["409", "425", "429", "503"]


class Case:
    """One server and one shop, for as many charges as wanted."""

    def __init__(self, deduplicates=True, **options):
        self.scratch = Scratch().__enter__()
        self.shop = shops.Shop(deduplicates)
        path = os.path.join(self.scratch.path, "trued.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(shops.config(self.shop, timeout="700ms", **options))
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", path])
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.shop.__exit__()
        self.scratch.__exit__()

    def charge(self, *plan, amount=5, wait=30):
        """The receipt of a new charge, and how often it was executed."""
        self.shop.plan = list(plan)
        self.number += 1
        cart = f"cart-{self.number}"
        before = len(self.shop.executions())
        _, _, receipt = self.server.request(
            "POST", "/v1/operations",
            {"type": "charge", "input": {"cart": cart, "amount": amount}},
            {"Prefer": f"wait={wait}"})
        return receipt, len(self.shop.executions()) - before


class FaultMatrix(unittest.TestCase):
    def assert_charge(self, got, states, executions, fault):
        receipt, executed = got
        self.assertIn(receipt.get("state"), states, (fault, receipt))
        self.assertEqual(executed, executions, (fault, receipt))

    def test_T2_a_deduplicating_counterpart_is_charged_once_whatever_breaks(self):
        with Case(deduplicates=True) as case:
            for fault in [*BROKEN, *NOT_NOW]:
                with self.subTest(fault=fault):
                    self.assert_charge(case.charge(fault), ["confirmed"], 1, fault)
            self.assertEqual(case.server.terminate(), 0)
            self.assertIsNone(audit(case.state).get("first"))

    def test_T1_a_used_connection_that_closes_under_a_post_leaves_it_unknown(self):
        # Where effects go over connections that are kept: the service closes one as the next POST
        # comes. A client that takes that for an idle connection and sends it again does it twice.
        kept = "fresh_connections = false"
        for deduplicates, fault, state, executions in (
                (True, "drop_before", "confirmed", 1), (True, "drop_after", "confirmed", 1),
                (False, "drop_before", "needs_action", 0), (False, "drop_after", "confirmed", 1)):
            with self.subTest(deduplicates=deduplicates, fault=fault), \
                    Case(deduplicates, target="" if deduplicates else kept) as case:
                self.assert_charge(case.charge("ok"), ["confirmed"], 1, "ok")
                posts = len(case.shop.posts())
                got = case.charge(fault)
                self.assert_charge(got, [state], executions, fault)
                self.assertTrue(case.shop.used[posts], "it came on a connection used before")
                events = case.server.request("GET", got[0]["links"]["events"])[2]["events"]
                ended = [each["outcome"] for each in events if each["event"] == "effect_ended"]
                self.assertEqual(ended[0], "unknown")
                self.assertEqual(len(case.shop.posts()) - posts, len(ended), "one POST for each")

    def test_T2_three_breaks_in_a_row_are_still_one_charge(self):
        with Case(deduplicates=True) as case:
            got = case.charge("drop_before", "drop_after", "503")
            self.assert_charge(got, ["confirmed"], 1, "three")

    def test_G1_a_refusal_is_a_known_failure_and_nothing_is_executed(self):
        with Case(deduplicates=True) as case:
            for fault in REFUSED:
                with self.subTest(fault=fault):
                    got = case.charge(fault)
                    self.assert_charge(got, ["failed"], 0, fault)
                    self.assertIn(fault, got[0]["reason"])

    def test_G1_409_where_nothing_deduplicates_is_a_refusal(self):
        with Case(deduplicates=False) as case:
            self.assert_charge(case.charge("409"), ["failed"], 0, "409")

    def test_T2_what_was_executed_is_found_by_reading_where_nothing_deduplicates(self):
        with Case(deduplicates=False) as case:
            for fault, executed in BROKEN.items():
                if executed:
                    with self.subTest(fault=fault):
                        self.assert_charge(case.charge(fault), ["confirmed"], 1, fault)

    def test_T2_an_unknown_outcome_is_not_repeated_where_nothing_deduplicates(self):
        with Case(deduplicates=False) as case:
            for fault in ("drop_before", "hang_before"):
                with self.subTest(fault=fault):
                    calls = len(case.shop.posts())
                    got = case.charge(fault)
                    self.assert_charge(got, ["needs_action"], 0, fault)
                    self.assertEqual(len(case.shop.posts()) - calls, 1, "called once only")

    def test_T2_a_probe_that_says_no_makes_the_repeat_safe(self):
        with Case(deduplicates=False, after=shops.READ_BACK + shops.PROBE) as case:
            for fault, executed in BROKEN.items():
                with self.subTest(fault=fault):
                    self.assert_charge(case.charge(fault), ["confirmed"], 1, fault)

    def test_V10_without_read_back_or_probe_a_person_is_asked(self):
        with Case(deduplicates=False, after="") as case:
            for fault in BROKEN:
                with self.subTest(fault=fault):
                    calls = len(case.shop.posts())
                    got = case.charge(fault)
                    self.assertEqual(got[0]["state"], "needs_action", got)
                    self.assertEqual(got[0]["status"], "needs_action")
                    self.assertEqual(len(case.shop.posts()) - calls, 1, "called once only")
            # Acknowledged is as much as can be said without a read-back: never confirmed.
            got = case.charge()
            self.assertEqual((got[0]["state"], got[0]["status"], got[1]),
                             ("acknowledged", "unverified", 1))

    def test_V3_an_answer_that_differs_is_not_written_over(self):
        with Case(deduplicates=True) as case:
            first, _ = case.charge(amount=5)
            self.assertEqual(first["state"], "confirmed")
            # The same key with another amount is a conflict, and never reaches the service.
            calls = len(case.shop.posts())
            status, _, problem = case.server.request(
                "POST", "/v1/operations",
                {"type": "charge", "input": {"cart": "cart-1", "amount": 6}})
            self.assertEqual(status, 409)
            self.assertEqual(problem["type"], "urn:trued:problem:idempotency-conflict")
            self.assertEqual(problem["differing"], ["/input/amount"])
            self.assertEqual(len(case.shop.posts()), calls)


if __name__ == "__main__":
    unittest.main(verbosity=1)
