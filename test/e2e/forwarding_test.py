"""Any node answers any request: one that stands by hands on what it is asked, waits included."""

import http.client
import json
import os
import signal
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from nodes import LEASE, Bench  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from postgres_standby import Standby  # noqa: E402
from trued_server import run  # noqa: E402

SITE = """
[target.site]
kind = "file"
directory = "{site}"
[target.desk]
kind = "worker"
"""
TOKEN = "0123456789abcdef-right"


def site(bench):
    return SITE.format(site=bench.site)


def with_token(bench):
    path = bench.scratch.sub("secrets") + "/token"
    with open(path, "w", encoding="utf-8") as file:
        file.write(TOKEN)
    return site(bench) + f'[token.ada]\nsecret = "${{file:{path}}}"\n'


def write(node, key, content="what was meant", wait=30, headers=None):
    return node.request(
        "POST", "/v1/operations",
        {"type": "write", "key": key, "input": {"target": "site", "artifacts": [
            {"path": key + ".txt", "content": content}]}},
        {"Prefer": f"wait={wait}", **(headers or {})})


class ForwardingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.database = PostgresServer("max_connections=60")

    @classmethod
    def tearDownClass(cls):
        cls.database.stop()

    @staticmethod
    def two(bench):
        first = bench.node().acts()
        second = bench.node()
        second.stands_by()
        return first, second

    def test_T1_a_node_that_stands_by_answers_as_the_one_that_acts(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            status, headers, receipt = write(second, "a")
            self.assertEqual((status, receipt["status"]), (201, "confirmed"), receipt)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            place = f"/v1/operations/{receipt['id']}"
            for node in (first, second):
                self.assertEqual(node.request("GET", place)[2], first.request("GET", place)[2])
            again, headers, repeated = write(second, "a")
            self.assertEqual((again, repeated["id"]), (200, receipt["id"]))
            self.assertEqual(headers["Idempotent-Replayed"], "true")
            self.assertEqual(write(second, "a", "another")[0], 409)
            self.assertEqual(second.request("GET", "/v1/operations/op_nonsense")[0],
                             first.request("GET", "/v1/operations/op_nonsense")[0])
            self.assertEqual(second.request("GET", "/v1/status")[2]["role"], "acting")
            self.assertEqual(second.request("GET", "/v1/operations?limit=0")[0], 400)
            self.assertEqual(second.request("HEAD", place)[0], 200)
            self.assertTrue(bench.audit()["clean"])

    def test_T1_a_batch_and_a_long_list_go_through_a_node_that_stands_by(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            lines = "".join(
                json.dumps({"type": "write", "key": f"b{i}", "input": {
                    "target": "site", "artifacts": [{"path": f"b{i}.txt", "content": "x" * 500}]}})
                + "\n" for i in range(1_500))
            connection = http.client.HTTPConnection(second.host, second.port, timeout=120)
            connection.request("POST", "/v1/operations/batch", lines,
                               {"Content-Type": "application/x-ndjson", "Prefer": "wait=60"})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answers = [json.loads(line) for line in answer.read().splitlines()]
            connection.close()
            self.assertEqual(len(answers), 1_500)
            page = "/v1/operations?limit=1000"
            one, other = first.request("GET", page)[2], second.request("GET", page)[2]
            self.assertEqual(len(one["operations"]), 1_000)
            self.assertEqual(one, other)

    def test_T1_everybody_tells_who_is_there(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            names = {first.hello["node"]: "acting", second.hello["node"]: "standby"}
            for node in (first, second):
                self.assertEqual(node.request("GET", "/healthz")[0], 200)
                ready, _, said = node.request("GET", "/readyz")
                self.assertEqual((ready, said["role"]), (200, names[node.hello["node"]]))
                bench.wait(lambda n=node: {r["name"]: r["role"] for r in
                                           n.request("GET", "/v1/nodes")[2]["nodes"]} == names)
                rows = node.request("GET", "/v1/nodes")[2]["nodes"]
                self.assertEqual([r["name"] for r in rows if r["is_this"]], [node.hello["node"]])
                self.assertTrue(all(r["alive"] for r in rows))
                holder = next(r for r in rows if r["role"] == "acting")
                self.assertEqual((holder["epoch"], holder["holds"]["open"]), (1, 0))
                metrics = node.request("GET", "/metrics")[2].decode()
                acting = 1 if node is first else 0
                self.assertIn(f"trued_acting {acting}", metrics)
            shown = run("nodes", "--server", second.url)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn(f"{first.hello['node']}  acting, epoch 1", shown.stdout)
            listed = json.loads(run("nodes", "--json", "--server", first.url).stdout)
            self.assertEqual(len(listed["nodes"]), 2)
            # One that ends in order is gone; one that is killed is told for a while.
            second.terminate()
            bench.wait(lambda: len(first.request("GET", "/v1/nodes")[2]["nodes"]) == 1)
            third = bench.node()
            third.stands_by()
            bench.wait(lambda: len(first.request("GET", "/v1/nodes")[2]["nodes"]) == 2)
            third.kill()
            bench.wait(lambda: [r["alive"] for r in first.request("GET", "/v1/nodes")[2]["nodes"]
                                if r["name"] == third.hello["node"]] == [False])

    def test_T1_what_is_sent_while_nobody_acts_waits_for_who_takes_over(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            _, _, before = write(first, "before")
            first.kill()
            status, _, receipt = write(second, "held")
            self.assertEqual((status, receipt["status"]), (201, "confirmed"))
            second.acts()
            third = bench.node()
            third.stands_by()
            for node in (second, third):
                self.check_history(node, first, second, before, receipt)
            self.assertTrue(bench.audit()["clean"])

    def check_history(self, asked, first, second, *receipts):
        """Both nodes are named, and each event lies in the stretch of the one that wrote it."""
        page = asked.request("GET", "/v1/nodes/history")[2]
        names = [first.hello["node"], second.hello["node"]]
        stretches = page["history"]
        self.assertEqual([each["node"] for each in stretches], names[::-1], stretches)
        self.assertEqual([each["epoch"] for each in stretches], [2, 1])
        self.assertEqual([each["current"] for each in stretches], [True, False])
        for name, receipt in zip(names, receipts):
            events = asked.request("GET", f"/v1/operations/{receipt['id']}/events")[2]["events"]
            written = {each["node"] for event in events for each in stretches
                       if each["first_batch"] <= event["batch"] <= each["last_batch"]}
            self.assertEqual(written, {name})
        newest = asked.request("GET", "/v1/nodes/history?limit=1")[2]
        self.assertEqual([each["epoch"] for each in newest["history"]], [2])
        older = json.loads(run("nodes", "--history", "--json", "--limit", "1", "--cursor",
                               newest["cursor"], "--server", asked.url).stdout)
        self.assertEqual((older["history"], older["cursor"]), (stretches[1:], None))
        shown = run("nodes", "--history", "--server", asked.url)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(f"epoch 1  {names[0]}  batches 1 to ", shown.stdout)
        self.assertIn(f"epoch 2  {names[1]}  batches ", shown.stdout)
        self.assertIn("(the newest)", shown.stdout)

    def test_T1_T2_a_submission_under_way_when_the_acting_node_freezes_happens_once(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            third = bench.node()
            third.stands_by()
            first.process.send_signal(signal.SIGSTOP)
            said = []
            senders = [threading.Thread(target=lambda i=i, n=n: said.append(write(n, f"f{i}")))
                       for i in range(5) for n in (second, third)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            self.assertEqual(len(said), 10)
            self.assertEqual({status for status, _, _ in said}, {200, 201})
            self.assertEqual(len({receipt["id"] for _, _, receipt in said}), 5)
            self.assertEqual({receipt["status"] for _, _, receipt in said}, {"confirmed"})
            first.process.send_signal(signal.SIGCONT)
            self.assertEqual(first.process.wait(60), 75)
            self.assertTrue(bench.audit()["clean"])

    def test_V2_what_must_not_be_repeated_is_told_as_unknown(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            _, _, receipt = write(first, "decided")
            first.process.send_signal(signal.SIGSTOP)
            status, _, problem = second.request(
                "POST", f"/v1/operations/{receipt['id']}/retry", {}, {})
            self.assertEqual((status, problem["type"]), (503, "urn:trued:problem:outcome-unknown"))
            self.assertIn("Read what it was about", problem["detail"])
            second.acts()

    def test_S_a_node_that_stands_by_lets_nobody_in_whom_the_other_would_not(self):
        with Bench(self.database, with_token) as bench:
            _, second = self.two(bench)
            right = {"Authorization": f"Bearer {TOKEN}"}
            self.assertEqual(write(second, "t")[0], 401)
            self.assertEqual(write(second, "t", headers={"Authorization": "Bearer wrong"})[0], 401)
            self.assertEqual(write(second, "t", headers=right)[2]["actor"], "ada")
            self.assertEqual(write(second, "t", headers={**right, "Host": "evil.example"})[0], 421)
            self.assertEqual(
                write(second, "t", headers={**right, "Origin": "http://evil.example"})[0], 403)
            status, _, problem = write(second, "t", headers={**right, "Trued-Forwarded": "me"})
            self.assertEqual((status, problem["type"]), (503, "urn:trued:problem:not-acting"))

    def test_T5_a_worker_at_a_node_that_stands_by_is_handed_work(self):
        with Bench(self.database, site) as bench:
            first, second = self.two(bench)
            answers = []
            poll = threading.Thread(target=lambda: answers.append(second.request(
                "POST", "/v1/leases", {"worker": "w", "targets": ["desk"], "wait": 30}, {})))
            poll.start()
            first.request("POST", "/v1/operations", {
                "type": "write", "key": "job", "input": {"target": "desk", "artifacts": [
                    {"path": "p", "content": "c"}]}}, {"Prefer": "wait=0"})
            poll.join(60)
            self.assertEqual(answers[0][0], 200, answers)
            self.assertGreater(LEASE, 0)

    def test_C1_reads_that_need_not_be_the_newest_need_no_acting_node(self):
        with PostgresServer("max_connections=60") as primary, Standby(primary) as replica:
            def replicated(bench):
                return f'[ledger.replica.near]\nurl = "{replica.url}"\n' + site(bench)
            with Bench(primary, replicated) as bench:
                first, second = self.two(bench)
                _, headers, receipt = write(second, "r")
                place, session = f"/v1/operations/{receipt['id']}", headers["Trued-Session"]
                weak = {"Trued-Consistency": "session", "Trued-Session": session}
                bench.wait(lambda: second.request("GET", place, headers=weak)[0] == 200)
                bench.wait(lambda: 'source="near"' in second.request(
                    "GET", place, headers=weak)[1]["Trued-Consistency-Served"])
                first.process.send_signal(signal.SIGSTOP)
                status, headers, found = second.request("GET", place, headers=weak)
                self.assertEqual((status, found["status"]), (200, "confirmed"))
                self.assertIn('source="near"', headers["Trued-Consistency-Served"])
                # What it has asked the primary itself, and not what nobody knows.
                self.assertEqual(found["durability"], receipt["durability"])
                self.assertIn(found["durability"], ("none", "fsync"))
                self.assertIn(f'durability="{found["durability"]}"',
                              second.request("GET", "/metrics")[2].decode())
                status, headers, page = second.request(
                    "GET", "/v1/operations?key=r", headers={"Trued-Consistency": "eventual"})
                self.assertEqual([each["id"] for each in page["operations"]], [receipt["id"]])
                self.assertEqual(second.request(
                    "GET", place, headers={"Trued-Consistency": "weird"})[0], 400)
                # A strong read waits for whoever acts next.
                status, headers, _ = second.request("GET", place)
                self.assertEqual(status, 200)
                self.assertIn('source="primary"', headers["Trued-Consistency-Served"])

    def test_T13_an_address_that_nobody_could_use_is_refused(self):
        for text, words in (('advertise = "https://a:1"', "expected http://HOST:PORT"),
                            ('advertise = "http://a"', "expected http://HOST:PORT"),
                            ('name = "a b"', "printable"), ('nmae = "x"', "did you mean 'name'")):
            bench = Bench(self.database, lambda _, t=text: "[node]\n" + t)
            with self.subTest(text=text), bench as b:
                done = run("check", b.config)
                self.assertEqual(done.returncode, 78, done.stdout)
                self.assertIn(words, done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
