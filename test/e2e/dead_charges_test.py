"""Dead letters of payments: redriven once the service works, and never charged twice.

Executions are counted at the payment service (test/support/shop.py).
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import Scratch, Server, audit, run  # noqa: E402


class DeadChargesTest(unittest.TestCase):
    def start(self, deduplicates, **options):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.shop = shops.Shop(deduplicates)
        self.addCleanup(self.shop.__exit__)
        path = os.path.join(self.scratch.path, "trued.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(shops.config(self.shop, timeout="700ms",
                                    target="breaker = false\nbudget = false", **options))
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", path])
        self.addCleanup(self.server.kill)

    def charge(self, cart):
        return self.server.request("POST", "/v1/operations",
                                   {"type": "charge", "input": {"cart": cart, "amount": 5}},
                                   {"Prefer": "wait=30"})[2]

    def trued(self, *arguments, codes=(0, 75)):
        done = run(*arguments, "--server", self.server.url)
        self.assertIn(done.returncode, codes, done.stdout + done.stderr)
        return done.stdout

    def redrive(self, *arguments, code=0):
        answer = json.loads(self.trued("dead-letters", "redrive", "--json", *arguments,
                                       codes=[code]))
        return ([each["id"] for each in answer["redriven"]],
                [(each["id"], each["code"]) for each in answer["left"]])

    def settled(self, identity):
        return self.server.request("GET", f"/v1/operations/{identity}?wait=30")[2]

    def test_T2_T8_what_an_outage_lost_is_charged_once_under_its_identity(self):
        self.start(True)
        self.shop.always = "503"
        carts = ["c", "a", "b"]
        lost = [self.charge(cart) for cart in carts]
        self.assertEqual([each["cause"] for each in lost], ["attempts_exhausted"] * 3, lost)
        ids = [each["id"] for each in lost]
        self.assertEqual(self.shop.executions(), [])
        keys = list(dict.fromkeys(key for _, _, key in self.shop.posts()))
        self.assertEqual(len(keys), 3, "one identity for all attempts of one charge")
        posts = len(self.shop.posts())
        self.assertEqual(self.redrive("--type", "charge", "--dry-run"), (ids, []))
        self.assertEqual(len(self.shop.posts()), posts, "a rehearsal calls nobody")
        self.shop.always = None
        # The first answer is lost as well: the repeat after it is the same charge.
        self.shop.plan = ["drop_after"]
        self.assertEqual(self.redrive("--target", "psp"), (ids, []))
        for identity in ids:
            self.assertEqual(self.settled(identity)["status"], "confirmed")
        self.assertEqual(sorted(each[0] for each in self.shop.executions()), sorted(keys))
        self.assertEqual(self.charge("c")["decision"], "duplicate")
        self.assertEqual(len(self.shop.executions()), 3)
        self.server.terminate()
        self.assertIsNone(audit(self.state).get("first"))

    def test_T2_T8_what_may_have_been_charged_is_left_to_a_person(self):
        self.start(False, after="")
        self.shop.plan = ["drop_after", "drop_before"]
        charged, not_charged = self.charge("charged"), self.charge("not")
        for each in (charged, not_charged):
            self.assertEqual((each["status"], each["cause"]), ("needs_action", "unknown_outcome"))
        text = self.server.request("GET", "/metrics")[2].decode()
        self.assertIn("trued_operations_of_unknown_outcome 2", text)
        self.assertIn('trued_dead_letters{target="psp",cause="unknown_outcome"} 2', text)
        left = [(each["id"], "may-have-happened") for each in (charged, not_charged)]
        self.assertEqual(self.redrive("--all"), ([], left))
        self.assertEqual(self.redrive(charged["id"], not_charged["id"], code=65)[1], left)
        self.assertEqual(len(self.shop.posts()), 2, "nobody was called")
        # A person looks at the service's own books, and says so of each.
        work = json.loads(self.trued("worklist", "--json"))["worklist"]
        self.assertEqual([each["operation"]["id"] for each in work],
                         [charged["id"], not_charged["id"]])
        for each in work:
            self.assertEqual([one["outcome"] for one in each["attempts"]], ["unknown"])
            again = next(one for one in each["choices"] if one["choice"] == "retry")
            self.assertIn("it happens twice", again["effect"])
        self.trued("op", "resolve", charged["id"], "it_happened", "--who", "ada")
        self.trued("op", "retry", not_charged["id"], "--who", "ada")
        self.assertEqual(self.settled(not_charged["id"])["status"], "unverified")
        self.assertEqual(len(self.shop.executions()), 2)
        self.assertEqual(self.redrive("--all"), ([], []))
        self.assertEqual(json.loads(self.trued("worklist", "--json"))["worklist"], [])

    def test_T8_a_refusal_is_no_dead_letter(self):
        self.start(True)
        self.shop.plan = ["422"]
        refused = self.charge("refused")
        self.assertEqual((refused["status"], refused["cause"]), ("failed", "rejected"), refused)
        self.assertEqual(self.redrive("--all"), ([], []))
        self.assertEqual(self.redrive(refused["id"], code=65),
                         ([], [(refused["id"], "not-a-dead-letter")]))


if __name__ == "__main__":
    unittest.main()
