"""Undoing: by the operation that a definition declares, once, and told as it is."""

import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import Scratch, Server, audit  # noqa: E402


SEATS = """
[operation.reserve]
effect = { target = "psp", method = "POST", path = "/v1/charges" }
input = { required = ["seat"], properties = { seat = { type = "string" } } }
compensate = { operation = "release", input = { seat = "${input.seat}" } }
[operation.release]
identity = ["seat"]
effect = { target = "psp", method = "POST", path = "/v1/charges" }
input = { required = ["seat"], properties = { seat = { type = "string" } } }
"""

SWITCHES = "".join(f"""
[operation.{kind}]
identity = ["flag"]
effect = {{ target = "psp", method = "POST", path = "/v1/charges" }}
input = {{ required = ["flag"], properties = {{ flag = {{ type = "string" }} }} }}
compensate = {{ operation = "{other}", input = {{ flag = "${{input.flag}}" }} }}
""" for kind, other in (("enable", "disable"), ("disable", "enable")))


class Undo(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.shop = shops.Shop(deduplicates=True)
        self.addCleanup(self.shop.__exit__)
        self.path = os.path.join(self.scratch.path, "trued.toml")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(shops.config(self.shop, after=shops.READ_BACK + shops.COMPENSATE))
        self.state = self.scratch.sub("state")
        self.start()

    def start(self):
        self.server = Server(self.state, options=["--config", self.path])
        self.addCleanup(self.server.kill)

    def charge(self, cart="c1"):
        _, _, receipt = self.server.request(
            "POST", "/v1/operations", {"type": "charge", "input": {"cart": cart, "amount": 5}},
            {"Prefer": "wait=30"})
        self.assertEqual(receipt["state"], "confirmed", receipt)
        return receipt["id"]

    def compensate(self, operation):
        return self.server.request("POST", f"/v1/operations/{operation}/compensate",
                                   {"who": "ada", "why": "sent back"})

    def settled(self, operation):
        for _ in range(30):
            _, _, receipt = self.server.request("GET", f"/v1/operations/{operation}?wait=10")
            if receipt["status"] != "pending":
                return receipt
        self.fail(receipt)

    def refunds(self):
        return [each for each in self.shop.executions() if each[1]["path"].endswith("/refund")]

    def test_V7_what_is_undone_says_by_what(self):
        operation = self.charge()
        status, _, receipt = self.compensate(operation)
        self.assertEqual((status, receipt["state"]), (200, "compensating"), receipt)
        receipt = self.settled(operation)
        self.assertEqual((receipt["state"], receipt["status"]), ("compensated", "undone"), receipt)
        self.assertIsNone(receipt["superseded_by"])
        _, _, by = self.server.request("GET", f"/v1/operations/{receipt['compensated_by']}")
        self.assertEqual((by["type"], by["state"]), ("refund", "confirmed"), by)
        self.assertEqual(len(self.refunds()), 1)
        status, _, problem = self.compensate(operation)
        self.assertEqual((status, problem["type"]), (409, "urn:trued:problem:not-compensable"))
        self.assertEqual(self.server.terminate(), 0)
        self.assertIsNone(audit(self.state).get("first"))

    def test_T2_ten_who_ask_at_once_undo_it_once(self):
        operation = self.charge()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.compensate(operation)[0]))
                   for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answers), [200] + [409] * 9)
        self.assertEqual(self.settled(operation)["state"], "compensated")
        self.assertEqual(len(self.refunds()), 1)

    def test_V10_an_older_operation_of_that_key_has_undone_something_else(self):
        self.server.kill()
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(SEATS)
        self.start()

        def reserve(key):
            _, _, receipt = self.server.request(
                "POST", "/v1/operations", {"type": "reserve", "key": key, "input": {"seat": "1a"}},
                {"Prefer": "wait=30"})
            self.assertEqual(receipt["state"], "acknowledged", receipt)
            return receipt["id"]

        first = reserve("a")
        self.compensate(first)
        self.assertEqual(self.settled(first)["state"], "compensated")
        second = reserve("b")
        posts = len(self.shop.posts())
        self.compensate(second)
        receipt = self.settled(second)
        self.assertEqual((receipt["state"], receipt["cause"]), ("needs_action", "not_undone"))
        self.assertIn("has undone something else", receipt["reason"])
        self.assertEqual(len(self.shop.posts()), posts)
        # It waits for a person, and trying it again would do it twice.
        _, _, page = self.server.request("GET", "/v1/worklist")
        waiting = page["operations"] if "operations" in page else page["worklist"]
        self.assertEqual([each["operation"]["id"] for each in waiting], [second])
        self.assertNotIn("retry", [each["choice"] for each in waiting[0]["choices"]])
        status, _, problem = self.server.request("POST", f"/v1/operations/{second}/retry", {})
        self.assertEqual((status, problem["type"]), (409, "urn:trued:problem:not-retryable"))

    def test_V7_two_that_undo_each_other_do_not_wait_for_ever(self):
        self.server.kill()
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(SWITCHES)
        self.start()
        made = []
        for kind in ("enable", "disable"):
            _, _, receipt = self.server.request(
                "POST", "/v1/operations", {"type": kind, "input": {"flag": "f"}},
                {"Prefer": "wait=30"})
            made.append(receipt["id"])
        threads = [threading.Thread(target=self.compensate, args=(each,)) for each in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in made:
            self.assertIn(self.settled(each)["status"], ("undone", "needs_action"))

    def test_T1_a_crash_in_the_middle_of_undoing_forgets_nothing(self):
        operation = self.charge()
        self.shop.always = "503"
        self.compensate(operation)
        self.server.kill()
        self.shop.always = None
        self.start()
        receipt = self.settled(operation)
        self.assertEqual(receipt["state"], "compensated", receipt)
        self.assertEqual(len(self.refunds()), 1)

    def test_V10_an_undoing_that_fails_is_a_persons_question(self):
        operation = self.charge()
        self.shop.plan = ["422"]
        self.compensate(operation)
        receipt = self.settled(operation)
        self.assertEqual(receipt["state"], "needs_action", receipt)
        _, _, page = self.server.request("GET", "/v1/operations?type=refund")
        refund = page["operations"][0]
        self.assertIn(refund["id"], receipt["reason"])
        self.assertEqual(refund["state"], "failed")
        status, _, _ = self.server.request("POST", f"/v1/operations/{refund['id']}/retry", {})
        self.assertEqual(status, 200)
        self.assertEqual(self.settled(refund["id"])["state"], "confirmed")
        self.assertEqual(self.compensate(operation)[0], 200)
        self.assertEqual(self.settled(operation)["state"], "compensated")
        self.assertEqual(len(self.refunds()), 1)

    def test_V7_what_cannot_be_undone_is_said_at_once(self):
        self.shop.plan = ["422"]
        _, _, failed = self.server.request(
            "POST", "/v1/operations", {"type": "charge", "input": {"cart": "no", "amount": 5}},
            {"Prefer": "wait=30"})
        self.assertEqual(failed["state"], "failed", failed)
        status, _, problem = self.compensate(failed["id"])
        self.assertEqual(status, 409)
        self.assertIn("only what happened", problem["detail"])
        charge = self.charge("c2")
        self.compensate(charge)
        self.settled(charge)
        _, _, page = self.server.request("GET", "/v1/operations?type=refund")
        status, _, problem = self.compensate(page["operations"][0]["id"])
        self.assertEqual(status, 409)
        self.assertIn("declares no compensation", problem["detail"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
