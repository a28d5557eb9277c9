"""Workers in any language carry effects out: leases, heartbeats, fencing, and what gets lost.

The counterpart is a mail gateway that counts what it sends; the workers are the examples.
"""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from mailing import CONFIG, PYTHON, READ_BACK, Gateway, WorkerProcess  # noqa: E402
from trued_server import Scratch, Server, audit, until  # noqa: E402


class Mailing(unittest.TestCase):
    COMMAND = PYTHON

    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.number = 0

    def begin(self, lease="30s", deduplicates=False, after=READ_BACK, environment=None):
        self.gateway = Gateway(deduplicates)
        self.addCleanup(self.gateway.close)
        self.config = os.path.join(self.scratch.path, "trued.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(
                lease=lease, gateway=self.gateway.url, after=after,
                deduplicates="deduplicates = true" if deduplicates else ""))
        self.state = self.scratch.sub("state")
        self.start(environment=environment)

    def start(self, port=0, environment=None):
        self.server = Server(self.state, options=["--config", self.config], port=port,
                             environment=environment)
        self.addCleanup(self.server.kill)

    def worker(self, name="w1"):
        worker = WorkerProcess(self.COMMAND, self.server.url, self.gateway.url, name)
        self.addCleanup(worker.kill)
        return worker

    def submit(self, to, wait=0):
        return self.server.request(
            "POST", "/v1/operations",
            {"type": "send-mail", "input": {"to": to, "template": "hello"}},
            {"Prefer": f"wait={wait}"})[2]

    def receipt(self, receipt):
        return self.server.request("GET", "/v1/operations/" + receipt["id"])[2]

    def settled(self, receipt):
        return until(lambda: (lambda now: now["status"] != "pending" and now)(
            self.receipt(receipt)), "settled")

    def outcomes(self, receipt):
        events = self.server.request("GET", f"/v1/operations/{receipt['id']}/events")[2]["events"]
        return [event["outcome"] for event in events if event["event"] == "effect_ended"]

    def leases(self):
        targets = self.server.request("GET", "/v1/status")[2]["targets"]
        return next(target for target in targets if target["name"] == "mailers")["leases"]


class Workers(Mailing):
    def kill_one_and_start_another(self, place):
        """A worker is killed at `place` (see Gateway); the operation, and the worker after it."""
        self.gateway.hold.add(place)
        worker = self.worker()
        waiting = self.submit("ada")
        self.gateway.until_somebody_waits()
        worker.kill()
        self.gateway.release()
        return waiting, self.worker("w2")

    def test_T9_a_worker_sends_it_and_the_read_back_confirms_it(self):
        self.begin()
        waiting = self.submit("ada")
        self.assertEqual(waiting["state"], "accepted")
        self.assertIn("waits for a worker of 'mailers'", waiting["reason"])
        self.assertEqual(self.leases()["queued"], 1, "what an answer said is in the figures")
        worker = self.worker()
        said = worker.said()
        self.assertEqual(said["outcome"], "acknowledged")
        self.assertTrue(said["answer"]["counted"])
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "confirmed", receipt)
        self.assertEqual(receipt["result"]["message"], self.gateway.sent[0][0])
        self.assertEqual(self.gateway.executions("ada"), 1)
        # The next one finds it waiting.
        receipt = self.submit("grace", wait=30)
        self.assertEqual(receipt["state"], "confirmed", receipt)
        seen = self.leases()["workers"]
        self.assertEqual([each["name"] for each in seen], ["w1"])

    def test_T9_killed_between_effect_and_completion_it_is_read_back_and_not_sent_again(self):
        self.begin(lease="1s")
        waiting, other = self.kill_one_and_start_another("answer")
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "confirmed", receipt)
        self.assertEqual(self.outcomes(receipt), ["unknown"])
        self.assertEqual(self.gateway.executions("ada"), 1)
        self.assertEqual(receipt["attempts"], 1)
        self.assertEqual(self.leases()["lost_since_start"], 1)
        other.kill()
        self.assertEqual(self.server.terminate(), 0)
        self.assertIsNone(audit(self.state).get("first"))

    def test_T9_killed_before_the_effect_a_person_is_asked_where_a_repeat_is_not_safe(self):
        self.begin(lease="1s")
        waiting, other = self.kill_one_and_start_another("template")
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "needs_action", receipt)
        self.assertEqual(self.gateway.executions("ada"), 0)
        # Who looked says so, and the next worker gets it.
        self.server.request("POST", f"/v1/operations/{receipt['id']}/retry", {"who": "ada"})
        self.assertEqual(other.said()["attempt"], 2)
        self.assertEqual(self.settled(waiting)["state"], "confirmed")
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_killed_before_the_effect_another_does_it_where_a_repeat_is_safe(self):
        self.begin(lease="1s", deduplicates=True)
        waiting, other = self.kill_one_and_start_another("template")
        self.assertEqual(other.said()["attempt"], 2)
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "confirmed", receipt)
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_paused_past_its_lease_it_does_not_send_what_another_may_have_sent(self):
        self.begin(lease="1s", deduplicates=True)
        self.gateway.hold.add("template")
        paused = self.worker()
        waiting = self.submit("ada")
        self.gateway.until_somebody_waits()
        paused.signal(signal.SIGSTOP)
        other = self.worker("w2")
        self.gateway.release()
        self.assertEqual(other.said()["attempt"], 2)
        self.assertEqual(self.settled(waiting)["state"], "confirmed")
        paused.signal(signal.SIGCONT)
        late = paused.said()
        self.assertEqual((late["attempt"], late["outcome"]), (1, "rejected"))
        self.assertFalse(late["answer"]["counted"])
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_what_a_paused_worker_says_late_is_kept_as_evidence(self):
        self.begin(lease="1s", after="")  # nothing to read, nothing to ask: a person's
        self.gateway.hold.add("answer")
        worker = self.worker()
        waiting = self.submit("ada")
        self.gateway.until_somebody_waits()
        worker.signal(signal.SIGSTOP)
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "needs_action", receipt)
        self.assertIn("'w1'", receipt["reason"])
        self.gateway.release()
        worker.signal(signal.SIGCONT)
        late = worker.said()
        self.assertEqual(late["outcome"], "acknowledged")
        self.assertFalse(late["answer"]["counted"])
        self.assertIn("evidence", late["answer"]["detail"])
        events = self.server.request("GET", f"/v1/operations/{receipt['id']}/events")[2]["events"]
        self.assertEqual(events[-1]["event"], "late_evidence")
        self.assertEqual(events[-1]["outcome"], "acknowledged")
        self.assertEqual(self.receipt(receipt)["state"], "needs_action")
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_heartbeats_keep_a_lease_far_beyond_its_time(self):
        self.begin(lease="1s")
        self.gateway.hold.add("answer")
        worker = self.worker()
        waiting = self.submit("ada")
        self.gateway.until_somebody_waits()
        path = f"/v1/operations/{waiting['id']}/events"

        def beats():
            events = self.server.request("GET", path)[2]["events"]
            return sum(1 for event in events if event.get("due_for") == "report")

        until(lambda: beats() >= 6, "six leases' worth of heartbeats")
        self.assertEqual(self.receipt(waiting)["state"], "attempting")
        self.gateway.release()
        self.assertTrue(worker.said()["answer"]["counted"])
        self.assertEqual(self.settled(waiting)["state"], "confirmed")
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_the_server_is_killed_while_a_worker_is_at_work_and_the_lease_lives(self):
        self.begin()
        self.gateway.hold.add("answer")
        worker = self.worker()
        waiting = self.submit("ada")
        self.gateway.until_somebody_waits()
        port = self.server.port
        self.server.kill()
        self.start(port)
        self.assertEqual(self.receipt(waiting)["state"], "attempting")
        self.assertEqual(self.leases()["leased"], 1)
        self.gateway.release()
        said = worker.said()
        self.assertTrue(said["answer"]["counted"], said)
        receipt = self.settled(waiting)
        self.assertEqual(receipt["state"], "confirmed")
        self.assertEqual(receipt["attempts"], 1)
        self.assertEqual(self.gateway.executions("ada"), 1)

    def test_T9_workers_race_and_each_mail_is_sent_once(self):
        self.begin()
        workers = [self.worker(f"w{i}") for i in range(3)]
        # One that starts late would find nothing to do.
        until(lambda: self.leases()["asking"] == len(workers), "all of them ask")
        receipts = [self.submit(f"user-{i}") for i in range(30)]
        for i, waiting in enumerate(receipts):
            self.assertEqual(self.settled(waiting)["state"], "confirmed")
            self.assertEqual(self.gateway.executions(f"user-{i}"), 1)
        self.assertEqual(len({each["name"] for each in self.leases()["workers"]}), len(workers))

    def test_T9_come_again_and_never_are_told_apart(self):
        self.begin()
        self.gateway.refuse = [503, 429]
        worker = self.worker()
        self.assertEqual(self.submit("ada", wait=30)["state"], "confirmed")
        self.assertEqual([worker.said()["outcome"] for _ in range(3)],
                         ["rejected", "rejected", "acknowledged"])
        self.gateway.refuse = [422]
        receipt = self.submit("grace", wait=30)
        self.assertEqual(receipt["state"], "failed", receipt)
        self.assertIn("the gateway says 422", receipt["reason"])
        self.assertEqual(self.gateway.executions("grace"), 0)

    def test_T9_a_poll_whose_worker_was_killed_takes_no_work_with_it(self):
        self.begin()
        gone = self.worker()
        until(lambda: self.leases()["asking"] == 1, "it asks")
        gone.kill()
        until(lambda: self.leases()["asking"] == 0, "the server knows that it is gone")
        waiting = self.submit("ada")
        self.assertEqual(self.receipt(waiting)["attempts"], 0)
        self.worker("w2")
        self.assertEqual(self.settled(waiting)["attempts"], 1)


class Leases(Mailing):
    """The resource itself."""

    def ask(self, **body):
        return self.server.request("POST", "/v1/leases", {"worker": "w1", **body})

    def test_T9_saying_it_twice_is_answered_the_same(self):
        self.begin(after="")
        waiting = self.submit("ada")
        status, _, answer = self.ask(wait=10)
        lease = answer["leases"][0]
        self.assertEqual(status, 200)
        self.assertEqual((lease["id"], lease["attempt"]), (waiting["id"], 1))
        self.assertEqual(lease["payload"], {"to": "ada", "template": "hello"})
        self.assertEqual(lease["input"], {"to": "ada", "template": "hello"})
        self.assertRegex(lease["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
        path = f"/v1/leases/{lease['id']}/complete"
        said = {"attempt": 1, "outcome": "acknowledged", "result": {"n": 1}}
        first = self.server.request("POST", path, said)
        again = self.server.request("POST", path, said)
        self.assertEqual((first[0], first[2]["counted"], first[2]["repeated"]),
                         (200, True, False))
        self.assertEqual((again[0], again[2]["counted"], again[2]["repeated"]), (200, True, True))
        other = self.server.request("POST", path, {"attempt": 1, "outcome": "rejected"})
        self.assertEqual((other[0], other[2]["counted"]), (200, False))
        self.assertEqual(self.receipt(waiting)["state"], "acknowledged")
        lost = self.server.request("POST", f"/v1/leases/{lease['id']}/heartbeat",
                                   {"attempt": 1, "worker": "w1"})
        self.assertEqual((lost[0], lost[2]["type"]), (409, "urn:trued:problem:lease-lost"))

    def test_T9_what_is_wrong_with_a_request_is_said(self):
        self.begin()
        for body, status, pointer in [
                ({"worker": "a b"}, 400, "/worker"),
                ({"targets": ["nobody"]}, 404, "/targets/0"),
                ({"targets": ["gateway"]}, 422, "/targets/0"),
                ({"max": 0}, 400, "/max"), ({"wait": 61}, 400, "/wait"),
                ({"target": "mailers"}, 400, "/target"), ({"types": []}, 400, "/types")]:
            with self.subTest(body=body):
                got, _, problem = self.ask(**body)
                self.assertEqual((got, problem["pointer"]), (status, pointer), problem)
        waiting = self.submit("ada")
        path = f"/v1/leases/{waiting['id']}/complete"
        for body, status, pointer in [
                ({"outcome": "acknowledged"}, 400, "/attempt"),
                ({"attempt": 1, "outcome": "done"}, 400, "/outcome"),
                ({"attempt": 1, "outcome": "unknown", "retryable": True}, 400, "/retryable"),
                ({"attempt": 1, "outcome": "rejected", "result": 1}, 400, "/result"),
                ({"attempt": 1, "outcome": "acknowledged"}, 409, None)]:
            with self.subTest(body=body):
                got, _, problem = self.server.request("POST", path, body)
                self.assertEqual((got, problem.get("pointer")), (status, pointer), problem)
        self.assertEqual(self.receipt(waiting)["attempts"], 0)

    def test_T9_a_token_works_for_its_tenants_and_only_with_that_right(self):
        secrets = {"MAILER": "m" * 20, "CLERK": "c" * 20}
        self.begin(environment=secrets, after="""
[token.mailer]
secret = "${env:MAILER}"
actions = ["work"]
scopes = ["tenant-a"]

[token.clerk]
secret = "${env:CLERK}"
actions = ["submit", "read"]
""")
        mailer = {"Authorization": "Bearer " + secrets["MAILER"]}
        clerk = {"Authorization": "Bearer " + secrets["CLERK"]}
        ids = {}
        for scope in ("tenant-b", "tenant-a"):
            body = {"type": "send-mail", "scope": scope,
                    "input": {"to": scope, "template": "hello"}}
            ids[scope] = self.server.request("POST", "/v1/operations", body, clerk)[2]["id"]
        ask = {"worker": "w1", "max": 10, "wait": 5}
        self.assertEqual(self.server.request("POST", "/v1/leases", ask, clerk)[0], 403)
        leases = self.server.request("POST", "/v1/leases", ask, mailer)[2]["leases"]
        self.assertEqual([lease["id"] for lease in leases], [ids["tenant-a"]])
        said = {"attempt": 1, "outcome": "acknowledged"}
        other = self.server.request("POST", f"/v1/leases/{ids['tenant-b']}/complete", said, mailer)
        self.assertEqual(other[0], 404)
        own = self.server.request("POST", f"/v1/leases/{ids['tenant-a']}/complete", said, mailer)
        self.assertEqual((own[0], own[2]["counted"]), (200, True))
        events = self.server.request("GET", f"/v1/operations/{ids['tenant-a']}/events",
                                     headers=clerk)[2]["events"]
        self.assertIn("leased by worker 'mailer/w1'", [event.get("reason") for event in events])


if __name__ == "__main__":
    unittest.main(verbosity=1)
