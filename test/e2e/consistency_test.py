"""Reads of operations from replicas: each level on real standbys whose lag the test decides."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from postgres_server import PostgresServer  # noqa: E402
from postgres_standby import Standby  # noqa: E402
from trued_server import Scratch, Server, run, until  # noqa: E402

CONFIG = """
[ledger]
url = "{url}"
schema = "{schema}"
lease = "2s"
replica_wait = "{patience}"
{replicas}
[target.site]
kind = "file"
directory = "{site}"
"""


def served(headers):
    """Trued-Consistency-Served, taken apart."""
    level, *parameters = headers["Trued-Consistency-Served"].split(";")
    return {"level": level, **{name: value.strip('"') for name, value in
                               (each.split("=") for each in parameters)}}


class Node:
    """A server on a schema of its own, with the replicas that are named."""

    number = 0

    def __init__(self, primary, replicas, patience="200ms"):
        Node.number += 1
        self.schema = f"trued_{Node.number}"
        self.scratch = Scratch().__enter__()
        self.config = os.path.join(self.scratch.path, "trued.toml")
        tables = "".join(f'[ledger.replica.{name}]\nurl = "{server.url}"\n'
                         for name, server in replicas.items())
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(url=primary.url, schema=self.schema, patience=patience,
                                     replicas=tables, site=self.scratch.sub("site")))
        self.replicas = replicas
        self.server = None
        self.start()

    def start(self):
        self.server = Server(self.scratch.sub("state"), options=["--config", self.config])
        until(lambda: self.server.request("GET", "/readyz")[0] == 200, "it acts")
        until(lambda: all(each["reachable"] for each in self.states().values()),
              lambda: f"replicas are read from: {self.states()}")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.scratch.__exit__()

    def write(self, key, text="text"):
        """The id, and the session that has seen it."""
        status, headers, receipt = self.server.write("site", key, {f"{key}.txt": text})
        assert status == 201, receipt
        return receipt["id"], headers["Trued-Session"]

    def get(self, path="", level=None, session=None):
        headers = {}
        if level:
            headers["Trued-Consistency"] = level
        if session:
            headers["Trued-Session"] = session
        return self.server.request("GET", "/v1/operations" + path, headers=headers)

    def states(self):
        status = self.server.request("GET", "/v1/status")[2]
        return {each["name"]: each for each in status["ledger"]["replicas"]}

    def caught_up(self, *names):
        until(lambda: all(self.states()[name]["behind"] == 0 for name in names),
              lambda: f"they have come as far as the primary: {self.states()}")


class ConsistencyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.standbys = []
        cls.primary = PostgresServer()
        try:
            cls.near = Standby(cls.primary)
            cls.standbys.append(cls.near)
            cls.far = Standby(cls.primary)
            cls.standbys.append(cls.far)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for each in [*cls.standbys, cls.primary]:
            each.stop()

    def setUp(self):
        for each in self.standbys:
            self.addCleanup(each.resume)

    def test_C1_a_session_reads_its_writes_although_the_replica_stands_still(self):
        with Node(self.primary, {"far": self.far}) as node:
            node.write("first")
            node.caught_up("far")
            self.far.pause()
            identity, session = node.write("second")
            for path in (f"/{identity}", f"/{identity}/events", "?key=second"):
                for level in ("session", "monotonic"):
                    status, headers, body = node.get(path, level, session)
                    self.assertEqual(status, 200, body)
                    self.assertEqual(served(headers)["source"], "primary")
                    self.assertNotEqual(body.get("operations"), [])
            # Stale, and it says so: of whom, how far behind, and for how long at most.
            until(lambda: (node.states()["far"]["behind"] or 0) >= 1, "it is seen to lag")
            status, headers, body = node.get(f"/{identity}", "eventual", session)
            self.assertEqual(status, 404, body)
            said = served(headers)
            self.assertEqual((said["level"], said["source"]), ("eventual", "far"))
            self.assertGreaterEqual(int(said["behind"]), 1)
            self.assertGreater(int(said["staleness-ms"]), 0)
            self.assertEqual(headers["Trued-Session"], session, "what was seen is not forgotten")
            self.assertEqual(node.get("?key=second", "eventual")[2]["operations"], [])
            # Within a bound it is not served at all.
            status, headers, _ = node.get(f"/{identity}", "eventual;max-staleness-ms=0")
            self.assertEqual((status, served(headers)["source"]), (200, "primary"))
            self.far.resume()
            until(lambda: served(node.get(f"/{identity}", "session", session)[1])["source"]
                  == "far", "the replica has come so far")

    def test_C1_a_replica_that_comes_in_time_is_waited_for(self):
        with Node(self.primary, {"far": self.far}, patience="10s") as node:
            for number in range(20):
                identity, session = node.write(f"k{number}")
                status, headers, body = node.get(f"/{identity}", "session", session)
                self.assertEqual(status, 200, body)
                self.assertEqual(body["status"], "confirmed")
                self.assertEqual(served(headers)["source"], "far")

    def test_C1_monotonic_never_goes_back_between_replicas_of_different_lag(self):
        with Node(self.primary, {"near": self.near, "far": self.far}) as node:
            node.write("k0")
            node.caught_up("near", "far")
            self.far.pause()
            for number in range(1, 4):
                node.write(f"k{number}")
            until(lambda: node.states()["near"]["behind"] == 0, "one of them follows")
            counts = {len(node.get("", "eventual")[2]["operations"]) for _ in range(10)}
            self.assertEqual(counts, {1, 4}, "without a session it goes back and forth")
            session, seen, sources = None, 0, set()
            for number in range(30):
                _, headers, body = node.get("", "monotonic", session)
                self.assertGreaterEqual(len(body["operations"]), seen)
                seen = len(body["operations"])
                session = headers["Trued-Session"]
                sources.add(served(headers)["source"])
                if number % 10 == 5:
                    node.write(f"more-{number}")
            self.assertGreaterEqual(seen, 4)
            self.assertTrue(sources & {"near", "far"}, "replicas bore some of it")

    def test_C1_strong_is_of_the_primary_whatever_becomes_of_the_replicas(self):
        with Standby(self.primary) as leaving:
            with Node(self.primary, {"leaving": leaving}) as node:
                identity, session = node.write("a")
                node.caught_up("leaving")
                leaving.pause()
                _, headers, body = node.get(f"/{identity}")
                self.assertEqual(served(headers)["source"], "primary")
                leaving.process.kill()
                leaving.process.wait()
                _, headers, _ = node.get(f"/{identity}", "strong", session)
                self.assertEqual(served(headers)["source"], "primary")
                for _ in range(5):
                    status, headers, body = node.get(f"/{identity}", "eventual")
                    self.assertEqual(status, 200, body)
                    self.assertEqual(served(headers)["source"], "primary")
                state = until(lambda: not node.states()["leaving"]["reachable"]
                              and node.states()["leaving"], "it is known to be away")
                self.assertIn("refused", state["problem"])
                self.assertIsNone(state["behind"])
                node.server.terminate()
                node.server.drain.join()
                # Of a ledger that is only just being made a replica knows nothing yet.
                said = [line for line in node.server.errors if "'leaving' is not read from" in line
                        and "does not exist" not in line]
                self.assertEqual(len(said), 1, said)

    def test_C1_a_token_survives_its_node_and_is_of_no_other_ledger(self):
        with Node(self.primary, {"near": self.near}) as node, Node(self.primary, {}) as other:
            identity, session = node.write("a")
            _, foreign = other.write("b")
            for level in ("strong", "session", "monotonic", "eventual"):
                status, _, problem = node.get(f"/{identity}", level, foreign)
                self.assertEqual(status, 409, problem)
                self.assertEqual(problem["type"], "urn:trued:problem:session-of-another-ledger")
            status, _, problem = node.get(f"/{identity}", "session", session + "0")
            self.assertEqual(status, 503, problem)
            self.assertEqual(problem["type"], "urn:trued:problem:session-ahead")
            for wrong, name in (({"level": "session"}, "session-token-required"),
                                ({"level": "weak"}, "malformed"),
                                ({"session": "x"}, "malformed")):
                status, _, problem = node.get(f"/{identity}", **wrong)
                self.assertEqual((status, problem["type"]), (400, "urn:trued:problem:" + name))
            node.server.terminate()
            node.server.kill()
            node.start()
            self.assertEqual(node.get(f"/{identity}", "session", session)[0], 200)

    def test_C1_the_command_line_carries_a_session(self):
        with Node(self.primary, {"far": self.far}) as node:
            at = ("--server", node.server.url)
            file = os.path.join(node.scratch.path, "a.txt")
            with open(file, "w", encoding="utf-8") as out:
                out.write("text")
            node.caught_up("far")
            self.far.pause()
            done = run("write", *at, "--json", "site", f"a.txt={file}", "--key", "k",
                       "--wait", "30s")
            receipt = json.loads(done.stdout)
            for verb in (("show", receipt["id"]), ("events", receipt["id"]), ("ls",)):
                done = run("op", *verb, *at, "--json", "--consistency", "session", "--session",
                           receipt["session"])
                self.assertEqual(done.returncode, 0, done.stderr)
                answer = json.loads(done.stdout)
                self.assertIn("session;source=\"primary\"", answer["served"])
                self.assertEqual(answer["session"], receipt["session"])
            done = run("op", "show", receipt["id"], *at, "--consistency", "eventual")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('served: eventual;source="far"', done.stderr)
            self.assertIn("session: s1-", done.stderr)
            done = run("op", "ls", *at, "--consistency", "session")
            self.assertEqual(done.returncode, 64)
            self.assertIn("--session TOKEN", done.stderr)
            done = run("op", "ls", *at, "--consistency", "weak")
            self.assertEqual(done.returncode, 64)
            self.assertIn("monotonic", done.stderr)

    def test_C1_a_file_serves_every_level_itself_and_says_so(self):
        with Scratch() as scratch:
            site = scratch.sub("site")
            with Server(scratch.sub("state"), targets=[f"site=file:{site}"]) as server:
                _, headers, receipt = server.write("site", "k", {"a.txt": "text"})
                session = headers["Trued-Session"]
                for level in ("strong", "session", "monotonic", "eventual"):
                    status, headers, body = server.request(
                        "GET", "/v1/operations/" + receipt["id"],
                        headers={"Trued-Consistency": level, "Trued-Session": session})
                    self.assertEqual(status, 200, body)
                    said = served(headers)
                    self.assertEqual((said["level"], said["source"]), (level, "file"))
                    self.assertEqual((said["behind"], said["staleness-ms"]), ("0", "0"))
                    self.assertEqual(headers["Trued-Session"], session)
                self.assertEqual(server.request("GET", "/v1/status")[2]["ledger"]["replicas"], [])


if __name__ == "__main__":
    unittest.main()
