"""Preconditions: looked at before each attempt; what is stale says what was expected and seen."""

import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import Scratch, Server, audit, until  # noqa: E402

CONFIG = """
[target.psp]
kind = "http"
base_url = "{psp}"
allow_private = true
{psp_more}
breaker = {{ consecutive = 3 }}

[target.crm]
kind = "http"
base_url = "{crm}"
allow_private = true
breaker = false

[operation.reserve]
effect = {{ target = "crm", method = "POST", path = "/v1/charges", json = {{ amount = 1 }} }}
timeout = "700ms"
deadline = "60s"
retry = {{ attempts_max = 100, first = "20ms", factor = 2, cap = "1s" }}
settle = {{ within = "200ms", reads_max = 2, first = "20ms", cap = "100ms" }}
[operation.reserve.input]
required = ["cart"]
properties = {{ cart = {{ type = "string" }} }}
[[operation.reserve.artifact]]
name = "reservation for ${{input.cart}}"
read = {{ path = "/v1/charges?key=${{operation.identity}}" }}
expect = {{ json = {{ status = "succeeded" }} }}

[operation.charge]
identity = ["cart"]
effect = {{ target = "psp", method = "POST", path = "/v1/charges", json = {{ amount = 5 }} }}
timeout = "700ms"
deadline = "60s"
retry = {{ attempts_max = 100, first = "20ms", factor = 2, cap = "1s" }}
settle = {{ within = "200ms", reads_max = 2, first = "20ms", cap = "100ms" }}
requires = [{requires}]
{charge_more}
[operation.charge.input]
required = ["cart", "user"]
properties = {{ cart = {{ type = "string" }}, user = {{ type = "string" }} }}
{after}
"""

FACT = """
{ read = { target = "crm", method = "GET", path = "/users/${input.user}" },
  expect = { json = { active = true } } }
"""
OTHER = '{ operation = "reserve", key = "res-${input.cart}", status = "confirmed" }'
READ_BACK = """
[[operation.charge.artifact]]
name = "charge for ${input.cart}"
read = { path = "/v1/charges?key=${operation.identity}" }
expect = { json = { status = "succeeded" } }
"""


class Users(shops.Shop):
    """A shop that also tells of users: /users/NAME."""

    def __init__(self):
        super().__init__(True)
        self.users = {}
        self.asked = 0
        self.lies = []          # what the next questions are answered with instead

    def _read(self, target):
        if not target.startswith("/users/"):
            return super()._read(target)
        with self.lock:
            self.asked += 1
            if self.lies:
                return self.lies.pop(0)
            user = self.users.get(target.removeprefix("/users/"))
            return (200, user) if user is not None else (404, {"error": "nobody"})


class Bench:
    def __init__(self, requires=FACT, deduplicates=True, charge_more="", after=READ_BACK):
        self.scratch = Scratch().__enter__()
        self.psp, self.crm = shops.Shop(deduplicates), Users()
        path = os.path.join(self.scratch.path, "trued.toml")
        more = 'deduplicates = true\nremembers = "24h"' if deduplicates else ""
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(psp=self.psp.url, crm=self.crm.url, psp_more=more,
                                     after=after, charge_more=charge_more,
                                     requires=" ".join(requires.split())))
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", path])
        self.carts = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.psp.__exit__()
        self.crm.__exit__()
        self.scratch.__exit__()

    def submit(self, body, wait=20):
        return self.server.request("POST", "/v1/operations", body, {"Prefer": f"wait={wait}"})

    def charge(self, user="ada", wait=20, cart=None):
        if cart is None:
            self.carts += 1
            cart = f"cart-{self.carts}"
        return self.submit({"type": "charge", "input": {"cart": cart, "user": user}}, wait)

    def reserve(self, cart, wait=20):
        return self.submit({"type": "reserve", "key": f"res-{cart}", "input": {"cart": cart}}, wait)

    def settled(self, receipt):
        return self.server.request("GET", f"/v1/operations/{receipt['id']}?wait=30")[2]

    def until(self, receipt, holds):
        """The receipt once `holds` says so of it."""
        path = f"/v1/operations/{receipt['id']}"
        now = {}

        def held():
            now.update(self.server.request("GET", path)[2])
            return holds(now)

        until(held, lambda: f"as wanted: {now}")
        return now

    def breaker(self):
        targets = self.server.request("GET", "/v1/status")[2]["targets"]
        return next(each for each in targets if each["name"] == "psp")["gate"]["breaker"]


class Waiting:
    """Somebody who waits for the charge of cart a; made when it has been attempted twice."""

    def __init__(self, bench):
        self.answers = []
        self.thread = threading.Thread(
            target=lambda: self.answers.append(bench.charge(cart="a", wait=50)))
        self.thread.start()
        until(lambda: any(each["attempts"] > 1 for each in bench.server.request(
            "GET", "/v1/operations?type=charge")[2]["operations"]), "attempted twice")

    def answer(self):
        self.thread.join()
        return self.answers[0]


class Facts(unittest.TestCase):
    def test_G1_a_fact_that_holds_lets_the_effect_through(self):
        with Bench() as bench:
            bench.crm.users["ada"] = {"active": True}
            status, _, receipt = bench.charge()
            self.assertEqual((status, receipt["status"]), (201, "confirmed"), receipt)
            self.assertEqual((len(bench.psp.executions()), bench.crm.asked), (1, 1))

    def test_V6_a_stale_fact_is_412_with_expected_and_seen(self):
        with Bench() as bench:
            bench.crm.users["ada"] = {"active": False}
            status, _, problem = bench.charge()
            self.assertEqual((status, problem["type"]), (412, "urn:trued:problem:stale-state"))
            self.assertEqual(problem["expected"], '{"active":true}')
            self.assertEqual(problem["seen"], "/active: meant true, found false")
            self.assertNotIn("pointer", problem, "there is nothing to mend in the request")
            self.assertIn("requires/0 of 'charge@1'", problem["detail"])
            self.assertNotIn("'base'", problem["detail"])
            receipt = problem["receipt"]
            self.assertEqual((receipt["state"], receipt["attempts"]), ("failed", 1))
            self.assertEqual(receipt["reason"], "stale-state: requires/0: expected "
                             '{"active":true}, seen /active: meant true, found false')
            self.assertEqual(bench.psp.posts(), [], "nothing was sent")
            # A repeat gets the receipt, like every other; the next step is no new key.
            status, _, again = bench.charge(cart="cart-1")
            self.assertEqual((status, again["next"]["action"]), (200, "retry"))
            # Who did not wait finds the same in the receipt.
            status, _, receipt = bench.charge(wait=0)
            self.assertEqual(status, 202)
            self.assertEqual(bench.settled(receipt)["state"], "failed")
            self.assertIn("seen /active", bench.settled(receipt)["reason"])
            # Nobody there at all.
            problem = bench.charge(user="bob")[2]
            self.assertEqual(problem["seen"], "nothing there")

    def test_V6_once_it_holds_again_a_person_can_have_it_tried_again(self):
        with Bench() as bench:
            bench.crm.users["ada"] = {"active": False}
            receipt = bench.charge()[2]["receipt"]
            bench.crm.users["ada"] = {"active": True}
            status, _, retried = bench.server.request(
                "POST", f"/v1/operations/{receipt['id']}/retry", {"why": "it is active now"})
            self.assertEqual(status, 200, retried)
            self.assertEqual(bench.settled(receipt)["status"], "confirmed")
            self.assertEqual(len(bench.psp.executions()), 1)

    def test_V6_or_the_same_key_again_where_that_is_declared(self):
        with Bench(charge_more='on_failure = "reexecute"') as bench:
            bench.crm.users["ada"] = {"active": False}
            self.assertEqual(bench.charge(cart="c")[0], 412)
            bench.crm.users["ada"] = {"active": True}
            status, _, receipt = bench.charge(cart="c")
            self.assertEqual((status, receipt["status"]), (201, "confirmed"), receipt)
            self.assertEqual(len(bench.psp.executions()), 1)

    def test_V3_a_fact_that_cannot_be_read_is_asked_again_and_nothing_is_sent(self):
        with Bench() as bench:
            bench.crm.users["ada"] = {"active": True}
            bench.crm.lies = [(500, {})] * 6
            receipt = bench.charge()[2]
            self.assertEqual(receipt["status"], "confirmed", receipt)
            self.assertEqual(bench.crm.asked, 7)
            self.assertEqual(len(bench.psp.posts()), 1)
            # It is not the payment service that is out of order.
            self.assertEqual((bench.breaker()["state"], bench.breaker()["opened_since_start"]),
                             ("closed", 0))

    def test_G1_it_is_looked_at_again_before_each_attempt(self):
        with Bench() as bench:
            bench.crm.users["ada"] = {"active": True}
            bench.psp.always = "429"      # refused: nothing was executed
            charging = Waiting(bench)
            bench.crm.users["ada"] = {"active": False}
            status, _, problem = charging.answer()
            self.assertEqual((status, problem["type"]), (412, "urn:trued:problem:stale-state"))
            self.assertGreaterEqual(problem["receipt"]["attempts"], 2)
            self.assertEqual(len(bench.psp.executions()), 0)
            self.assertEqual(bench.crm.asked, problem["receipt"]["attempts"])

    def test_T2_stale_after_an_unknown_outcome_does_not_call_it_failed(self):
        # The first attempt may have been executed. That a fact has changed since (perhaps by it)
        # says nothing of that.
        for fault, executed in (("drop_after", 1), ("drop_before", 0)):
            with self.subTest(fault=fault), Bench(after="") as bench:
                bench.crm.users["ada"] = {"active": True}
                bench.crm.lies = [(200, {"active": True})]
                bench.crm.users["ada"] = {"active": False}
                bench.psp.plan = [fault]
                status, _, receipt = bench.charge()
                self.assertEqual((status, receipt["status"]), (201, "needs_action"), receipt)
                self.assertIn("stale-state: requires/0", receipt["reason"])
                self.assertIn("may have happened", receipt["reason"])
                self.assertEqual(len(bench.psp.executions()), executed)
                self.assertEqual(len(bench.psp.posts()), 1)

    def test_T2_stale_after_an_unknown_outcome_that_is_read_back_is_confirmed(self):
        with Bench() as bench:
            bench.crm.lies = [(200, {"active": True})]
            bench.crm.users["ada"] = {"active": False}
            bench.psp.plan = ["drop_after"]
            receipt = bench.charge()[2]
            self.assertEqual(receipt["status"], "confirmed", receipt)


class Operations(unittest.TestCase):
    def test_G1_another_operation_must_stand_as_required(self):
        with Bench(requires=OTHER) as bench:
            status, _, problem = bench.charge(cart="a")
            self.assertEqual((status, problem["expected"], problem["seen"]),
                             (412, "confirmed", "no such operation"))
            self.assertEqual(bench.reserve("b")[2]["status"], "confirmed")
            self.assertEqual(bench.charge(cart="b")[2]["status"], "confirmed")
            bench.crm.plan = ["422"]
            self.assertEqual(bench.reserve("c")[2]["status"], "failed")
            status, _, problem = bench.charge(cart="c")
            self.assertEqual((status, problem["seen"]), (412, "failed"))
            self.assertEqual(len(bench.psp.posts()), 1)

    def test_G1_one_that_is_pending_is_waited_for(self):
        with Bench(requires=OTHER) as bench:
            bench.crm.always = "503"
            pending = bench.reserve("a", wait=0)[2]
            waiting = [bench.charge(cart="a", wait=0)[2]]
            waits = "waits for requires/0: expected confirmed, seen pending"
            now = bench.until(waiting[0], lambda now: now["attempts"] >= 4 and
                              waits in (now["reason"] or ""))
            self.assertEqual((now["status"], now["state"]), ("pending", "accepted"))
            # As many as are enough to open a breaker that would count them.
            for cart in "bcde":
                bench.reserve(cart, wait=0)
                waiting.append(bench.charge(cart=cart, wait=0)[2])
            for receipt in waiting:
                bench.until(receipt, lambda now: now["attempts"] >= 2)
            self.assertEqual((bench.breaker()["state"], bench.breaker()["opened_since_start"]),
                             ("closed", 0))
            self.assertEqual(bench.psp.posts(), [])
            bench.crm.always = None
            for receipt in waiting:
                self.assertEqual(bench.settled(receipt)["status"], "confirmed")
            self.assertEqual(bench.settled(pending)["status"], "confirmed")
            self.assertEqual(len(bench.psp.executions()), 5)
            self.assertEqual(bench.server.terminate(), 0)
            self.assertIsNone(audit(bench.state).get("first"))

    def test_G1_one_that_is_waited_for_and_fails_is_stale(self):
        with Bench(requires=OTHER) as bench:
            bench.crm.always = "429"
            bench.reserve("a", wait=0)
            charging = Waiting(bench)
            bench.crm.always = "422"
            status, _, problem = charging.answer()
            self.assertEqual((status, problem["expected"], problem["seen"]),
                             (412, "confirmed", "failed"), problem)
            self.assertEqual(bench.psp.posts(), [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
