"""A defined operation at a PostgreSQL target: exactly once, provable by the marker row."""

import json
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from pg_proxy import Proxy  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from trued_server import Scratch, Server, audit, run  # noqa: E402

CONFIG = """
[target.db]
kind = "postgres"
url = "{url}"
pool_max = 4
budget = false
breaker = {{ open = "50ms", open_max = "200ms" }}

[operation.order]
identity = ["name"]
timeout = "{timeout}"
deadline = "60s"
retry = {{ attempts_max = 100, first = "20ms", factor = 2, cap = "200ms" }}
settle = {{ within = "{settle}", reads_max = 100, first = "20ms", cap = "100ms" }}
unreadable = {{ within = "30s", reads_max = 1000, first = "20ms", cap = "100ms" }}
[operation.order.effect]
target = "db"
sql = "INSERT INTO execution (name) VALUES ($1) RETURNING id"
params = ["${{input.name}}"]
[operation.order.input]
required = ["name"]
properties = {{ name = {{ type = "string" }} }}
[[operation.order.artifact]]
name = "order ${{input.name}}"
expect = {{ json = {{ times = 1 }} }}
[operation.order.artifact.read]
target = "db"
sql = "SELECT count(*) AS times FROM execution WHERE name = $1"
params = ["${{input.name}}"]
single = true

[operation.pledge]
identity = ["name"]
deadline = "60s"
[operation.pledge.effect]
target = "db"
sql = "INSERT INTO pledge (name, owner) VALUES ($1, $2)"
params = ["${{input.name}}", "${{input.owner}}"]
[operation.pledge.input]
required = ["name", "owner"]
properties = {{ name = {{ type = "string" }}, owner = {{ type = "string" }} }}
[[operation.pledge.artifact]]
name = "pledge ${{input.name}}"
expect = {{ json = {{ owner = "${{input.owner}}" }} }}
[operation.pledge.artifact.read]
target = "db"
sql = "SELECT owner FROM pledge WHERE name = $1"
params = ["${{input.name}}"]
single = true
"""

TABLES = """
SET ROLE app;
CREATE TABLE execution (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE owner (name text PRIMARY KEY);
CREATE TABLE pledge (name text PRIMARY KEY,
                     owner text REFERENCES owner DEFERRABLE INITIALLY DEFERRED);
INSERT INTO owner VALUES ('ada');
"""


class Bench:
    """A server of ours at a database, through a wire that can be cut."""

    def __init__(self, database, timeout="2s", settle="300ms"):
        self.database = database
        self.scratch = Scratch().__enter__()
        self.proxy = Proxy(database.port)
        self.config = os.path.join(self.scratch.path, "trued.toml")
        url = database.url.replace(f":{database.port}/", f":{self.proxy.port}/")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(url=url, timeout=timeout, settle=settle))
        done = run("target", "install", "db", "--config", self.config)
        assert done.returncode == 0, done.stderr
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", self.config])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.proxy.__exit__()
        self.scratch.__exit__()

    def restart(self):
        self.server.kill()
        self.server = Server(self.state, options=["--config", self.config])

    def submit(self, name, wait=40, kind="order", **more):
        return self.server.request("POST", "/v1/operations",
                                   {"type": kind, "input": {"name": name, **more}},
                                   {"Prefer": f"wait={wait}"})[2]

    def settled(self, receipt):
        return self.server.request("GET", f"/v1/operations/{receipt['id']}?wait=60")[2]

    def events(self, receipt, kind):
        listed = self.server.request("GET", f"/v1/operations/{receipt['id']}/events")[2]["events"]
        return [each for each in listed if each["event"] == kind]

    def executions(self, name):
        return int(self.database.sql(f"SELECT count(*) FROM execution WHERE name = '{name}'"))

    def markers(self):
        """Operations of which the database says that they happened."""
        return int(self.database.sql("SELECT count(*) FROM trued_marker WHERE attempt IS NOT NULL"))


class PostgresOperations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.database = PostgresServer("max_connections=40", "max_wal_senders=2")
        cls.addClassCleanup(cls.database.stop)
        cls.database.sql(TABLES)

    def setUp(self):
        self.database.sql("TRUNCATE execution, pledge")
        self.database.sql("DROP TABLE IF EXISTS trued_marker")

    def assert_clean(self, bench):
        self.assertEqual(bench.server.terminate(), 0)
        self.assertIsNone(audit(bench.state).get("first"))

    def test_T2_confirmed_by_a_query_and_executed_once(self):
        with Bench(self.database) as bench:
            receipt = bench.submit("one")
            self.assertEqual((receipt["status"], receipt["attempts"]), ("confirmed", 1), receipt)
            self.assertTrue(receipt["result"]["row"]["id"])
            again = bench.submit("one")
            self.assertEqual((again["decision"], bench.executions("one")), ("duplicate", 1))
            self.assertEqual(bench.markers(), 1)

    def test_T2_a_lost_ledger_does_not_charge_again(self):
        with Bench(self.database) as bench:
            # Another server, another ledger, the same identity: the marker is found.
            self.assertEqual(bench.submit("kept")["changed"], True)
        with Bench(self.database) as bench:
            receipt = bench.submit("kept")
            self.assertEqual(receipt["status"], "confirmed", receipt)
            self.assertEqual(bench.executions("kept"), 1)

    def test_T1_what_fails_at_commit_has_failed(self):
        with Bench(self.database) as bench:
            self.assertEqual(bench.submit("p", kind="pledge", owner="ada")["status"], "confirmed")
            # Every statement says OK; the deferred constraint fails at COMMIT.
            receipt = bench.submit("q", kind="pledge", owner="nobody")
            self.assertEqual((receipt["state"], receipt["attempts"]), ("failed", 1), receipt)
            self.assertIn("23503", receipt["reason"])
            self.assertIn("pledge_owner_fkey", receipt["reason"])
            self.assertNotIn("nobody", receipt["reason"], "a parameter is nobody's business")
            self.assertEqual(self.database.sql("SELECT count(*) FROM pledge"), "1")
            self.assertEqual(bench.markers(), 1)

    def test_T2_cut_around_commit_the_marker_tells(self):
        with Bench(self.database, timeout="700ms") as bench:
            for how in ("drop_before", "drop_after", "hang_after", "hold"):
                with self.subTest(how=how):
                    bench.proxy.cut(how)
                    receipt = bench.submit(how)
                    self.assertEqual(receipt["status"], "confirmed", receipt)
                    ended = bench.events(receipt, "effect_ended")
                    self.assertEqual(ended[0]["outcome"], "unknown", ended)
                    # What was still on its way comes too late.
                    bench.proxy.release()
                    self.assertEqual(bench.executions(how), 1)
            self.assertEqual(bench.proxy.cuts, 4)
            self.assertEqual(bench.markers(), 4)
            self.assert_clean(bench)

    def test_T2_backends_ended_under_load_lose_and_repeat_nothing(self):
        # Long enough for a probe to be answered in the end: none is while backends are ended.
        with Bench(self.database, settle="20s") as bench:
            def terminate():
                for _ in range(40):
                    self.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                      "WHERE usename = 'app'")

            ending = threading.Thread(target=terminate)
            ending.start()
            # How many meet it is a matter of chance.
            receipts = [bench.submit(f"t{i}", wait=0) for i in range(40)]
            ending.join()
            done = [bench.settled(each) for each in receipts]
            self.assertEqual([each for each in done if each["state"] != "confirmed"], [])
            for i in range(40):
                self.assertEqual(bench.executions(f"t{i}"), 1)
            self.assertEqual(bench.markers(), 40)
            self.assert_clean(bench)

    def test_V5_the_database_killed_under_load_and_we_too(self):
        with Bench(self.database, settle="3s") as bench:
            receipts = []
            for round_ in range(2):
                names = [f"k{round_}-{i}" for i in range(20)]
                # From when on is a matter of chance; that it is in the middle is not.
                receipts += [bench.submit(name, wait=0) for name in names]
                self.database.crash()
                receipts.append(bench.submit(f"k{round_}-down", wait=0))
                if round_ == 1:
                    bench.restart()
                self.database.start()
            done = [bench.settled(each) for each in receipts]
            self.assertEqual([each for each in done if each["state"] != "confirmed"], [])
            self.assertEqual(self.database.sql(
                "SELECT count(*), count(DISTINCT name) FROM execution"), "42|42")
            self.assertEqual(bench.markers(), 42)
            self.assert_clean(bench)

    def test_V1_a_commit_that_was_not_replicated_is_not_confirmed(self):
        with Bench(self.database) as bench:
            self.alter("SET synchronous_standby_names = 'nobody'", "nobody")
            try:
                receipt = bench.submit("alone", wait=0)
                read_back = ended = ()
                # Every wait for the standby is cancelled, as an impatient administrator would;
                # that of what is read back, too.
                for _ in range(2000):
                    self.database.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                                      "WHERE wait_event = 'SyncRep'")
                    now = bench.server.request("GET", f"/v1/operations/{receipt['id']}")[2]
                    self.assertEqual(now["status"], "pending", now)
                    ended = bench.events(receipt, "effect_ended")
                    read_back = bench.events(receipt, "read_back")
                    if len(read_back) >= 2:
                        break
                self.assertGreaterEqual(len(read_back), 2, now)
                self.assertEqual({each["outcome"] for each in ended}, {"unknown"}, ended)
                self.assertIn("replication", ended[0]["reason"])
                self.assertEqual(bench.executions("alone"), 1, "it stands there, on one server")
            finally:
                self.alter("RESET synchronous_standby_names", "")
            # The standby was given up by whoever may: now it is durable as far as it can be.
            done = bench.settled(receipt)
            self.assertEqual(done["status"], "confirmed", json.dumps(done))
            self.assertEqual((bench.executions("alone"), bench.markers()), (1, 1))

    def alter(self, what, then):
        self.database.sql("ALTER SYSTEM " + what)
        self.database.sql("SELECT pg_reload_conf()")
        while self.database.sql("SELECT current_setting('synchronous_standby_names')") != then:
            pass


if __name__ == "__main__":
    unittest.main(verbosity=1)
