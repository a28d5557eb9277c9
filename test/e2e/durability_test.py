"""What the engine really guarantees: read while it runs, told everywhere, and held to a floor."""

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
minimum_durability = "{floor}"

[target.site]
kind = "file"
directory = "{site}"

[operation.page]
identity = ["slug"]
[operation.page.effect]
target = "site"
[operation.page.input]
required = ["slug"]
properties = {{ slug = {{ type = "string" }} }}
[[operation.page.artifact]]
path = "${{input.slug}}.txt"
content = "a page"
"""


class Bench:
    """One server of ours on a ledger in `database`."""

    number = 0

    def __init__(self, database, floor):
        Bench.number += 1
        self.scratch = Scratch().__enter__()
        self.written = 0
        config = os.path.join(self.scratch.path, "trued.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(url=database.url, schema=f"trued_{Bench.number}",
                                     floor=floor, site=self.scratch.sub("site")))
        self.server = Server(self.scratch.sub("state"), options=["--config", config])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.scratch.__exit__()

    def ledger(self):
        status, _, answer = self.server.request("GET", "/v1/status")
        return answer["ledger"] if status == 200 else {}

    def level(self):
        return self.ledger().get("durability")

    def reaches(self, level):
        until(lambda: self.level() == level, lambda: f"{level}: {self.ledger()}")

    def write(self):
        """A write that nobody has asked for before; status, headers and body."""
        self.written += 1
        return self.server.write("site", f"k{self.written}", {f"{self.written}.txt": "x"})

    def metrics(self):
        return self.server.request("GET", "/metrics")[2].decode()

    def log(self):
        return "".join(self.server.errors)

    def logs(self, text):
        until(lambda: text in self.log(), lambda: f"{text!r} in {self.log()}")


class DurabilityTest(unittest.TestCase):
    def set(self, database, name, value):
        """ALTER SYSTEM; returns when new sessions see it."""
        database.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        database.sql("SELECT pg_reload_conf()")
        until(lambda: database.sql(f"SHOW {name}") == value, f"{name} = {value}")

    def assert_refused(self, bench, because):
        status, headers, problem = bench.write()
        self.assertEqual(status, 503, problem)
        self.assertEqual(problem["type"], "urn:trued:problem:durability-below-floor", problem)
        self.assertGreater(int(headers["Retry-After"]), 0)
        self.assertIn(because, problem["detail"])
        self.assertIn("nothing was accepted", problem["detail"])
        key = f"k{bench.written}"
        _, _, page = bench.server.request("GET", f"/v1/operations?key={key}")
        self.assertEqual(page["operations"], [])

    def assert_written(self, bench, level):
        status, _, receipt = bench.write()
        self.assertEqual((status, receipt.get("status")), (201, "confirmed"), receipt)
        self.assertEqual(receipt["durability"], level)
        return receipt

    def test_C6_T6_a_quorum_is_told_held_to_and_missed_while_it_runs(self):
        with PostgresServer("fsync=on") as primary, \
                Standby(primary, "cluster_name=s1") as first, \
                Standby(primary, "cluster_name=s2") as second:
            primary.sql("GRANT pg_monitor TO app")
            self.set(primary, "synchronous_standby_names", "ANY 1 (s1, s2)")
            until(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = "
                                      "'streaming' AND sync_state = 'quorum'") == "2", "standbys")
            with Bench(primary, "quorum") as bench:
                bench.reaches("quorum")
                receipt = self.assert_written(bench, "quorum")
                self.shown(bench)
                self.fallen(bench, primary, receipt)
                self.without_standbys(bench, primary, first, second)

    def shown(self, bench):
        ledger = bench.ledger()
        self.assertEqual(ledger["minimum_durability"], "quorum")
        self.assertTrue(ledger["takes_writes"])
        self.assertFalse(ledger["commits_wait"])
        self.assertIsNotNone(ledger["durability_seen_at"])
        self.assertIn("1 standby of the 2 named", ledger["durability_because"])
        self.assertEqual([(each["name"], each["state"], each["sync"])
                          for each in ledger["standbys"]],
                         [("s1", "streaming", "quorum"), ("s2", "streaming", "quorum")])
        self.assertTrue(any("fsync" in each for each in ledger["not_seen"]), ledger["not_seen"])
        metrics = bench.metrics()
        for sample in ('durability="quorum"} 1', 'trued_ledger_durability{level="quorum"} 1',
                       'trued_ledger_durability{level="none"} 0',
                       'trued_ledger_standbys{state="streaming",sync="quorum"} 2',
                       "trued_ledger_below_minimum_durability 0"):
            self.assertIn(sample, metrics)
        seen = ledger["durability_seen_at"]
        until(lambda: bench.ledger()["durability_seen_at"] > seen, "asked again")

    def fallen(self, bench, primary, receipt):
        for name, less, level, because, whole in (
                ("synchronous_commit", "off", "none", "synchronous_commit is off", "on"),
                ("synchronous_standby_names", "", "fsync", "no standby", "ANY 1 (s1, s2)")):
            with self.subTest(name=name):
                self.set(primary, name, less)
                bench.reaches(level)
                bench.logs(f"fell from quorum to {level}")
                self.assert_refused(bench, because)
                status, _, ready = bench.server.request("GET", "/readyz")
                self.assertEqual(status, 503)
                self.assertIn(because, ready["reasons"][0])
                # What only reads goes on, and says how it is now.
                status, _, found = bench.server.request("GET", f"/v1/operations/{receipt['id']}")
                self.assertEqual((status, found["durability"]), (200, level))
                self.assertEqual(bench.server.request("GET", "/healthz")[0], 200)
                self.assertFalse(bench.ledger()["takes_writes"])
                self.assertIn("trued_ledger_below_minimum_durability 1", bench.metrics())
                self.assertIn(f'trued_ledger_durability{{level="{level}"}} 1', bench.metrics())
                self.set(primary, name, whole)
                bench.reaches("quorum")
                self.assert_written(bench, "quorum")
                self.assertEqual(bench.server.request("GET", "/readyz")[0], 200)
                bench.logs(f"rose from {level} to quorum")
                self.assertIn("writes are taken again", bench.log())

    def without_standbys(self, bench, primary, first, second):
        second.crash()
        until(lambda: len(bench.ledger()["standbys"]) == 1, "one standby")
        ledger = bench.ledger()
        self.assertEqual(ledger["durability"], "quorum", "what comes back is on two of three")
        self.assertIn("not streaming: s2", ledger["durability_because"])
        self.assertFalse(ledger["commits_wait"])
        bench.logs("not streaming: s2")
        self.assert_written(bench, "quorum")
        first.crash()
        until(lambda: bench.ledger()["commits_wait"], "commits wait")
        ledger = bench.ledger()
        self.assertEqual((ledger["durability"], ledger["standbys"]), ("quorum", []))
        self.assertIn("so commits wait", ledger["durability_because"])
        self.assertIn("trued_ledger_commits_wait_for_standbys 1", bench.metrics())
        first.start()
        until(lambda: not bench.ledger()["commits_wait"], "commits are through")
        self.assert_written(bench, "quorum")

    def test_C6_what_a_role_may_not_see_is_said_and_not_guessed(self):
        with PostgresServer("fsync=on") as primary, Standby(primary, "cluster_name=s1"):
            self.set(primary, "synchronous_standby_names", "ANY 1 (s1)")
            with Bench(primary, "quorum") as bench:
                bench.reaches("quorum")
                ledger = bench.ledger()
                self.assertIsNone(ledger["standbys"])
                self.assertTrue(any("pg_monitor" in each for each in ledger["not_seen"]))
                self.assertNotIn("trued_ledger_standbys", bench.metrics())
                self.assert_written(bench, "quorum")
                primary.sql("GRANT pg_monitor TO app")
                until(lambda: bench.ledger()["standbys"], "seen from now on")

    def test_T6_below_the_floor_at_its_start_it_reads_and_takes_writes_later(self):
        with PostgresServer("fsync=on") as database:
            self.set(database, "synchronous_commit", "off")
            with Bench(database, "fsync") as bench:
                bench.logs("writes are refused")
                status, _, ready = bench.server.request("GET", "/readyz")
                self.assertEqual(status, 503)
                self.assertIn("'fsync'", ready["reasons"][0])
                self.assert_refused(bench, "synchronous_commit is off")
                _, _, defined = bench.server.request("GET", "/v1/definitions")
                self.assertEqual(defined["definitions"], [], "to apply them is a write")
                self.set(database, "synchronous_commit", "on")
                bench.reaches("fsync")
                self.assert_written(bench, "fsync")
                bench.logs("the operation 'page' is at version 1")
                status, _, receipt = bench.server.request(
                    "POST", "/v1/operations", {"type": "page", "input": {"slug": "a"}},
                    {"Prefer": "wait=30"})
                self.assertEqual((status, receipt.get("status")), (201, "confirmed"), receipt)

    def test_T6_what_nobody_confirms_is_unknown_and_passes_no_floor(self):
        with PostgresServer("fsync=on") as database, Bench(database, "fsync") as bench:
            self.assert_written(bench, "fsync")
            database.crash()
            bench.reaches("unknown")
            ledger = bench.ledger()
            self.assertFalse(ledger["takes_writes"])
            self.assertFalse(ledger["readable"])
            self.assertIsNone(ledger["standbys"])
            self.assertIn("last confirmed", ledger["durability_because"])
            self.assertIn('trued_ledger_durability{level="unknown"} 1', bench.metrics())
            self.assertEqual(bench.write()[0], 503)
            bench.logs("fell from fsync to unknown")
            database.start()
            bench.reaches("fsync")
            self.assert_written(bench, "fsync")

    def test_C6_a_file_is_on_its_disk_and_can_be_held_to_that_alone(self):
        with Scratch() as scratch:
            config = os.path.join(scratch.path, "trued.toml")

            def floor(word):
                with open(config, "w", encoding="utf-8") as file:
                    file.write(f'[ledger]\nminimum_durability = "{word}"\n')
            floor("fsync")
            with Server(scratch.sub("state"), [f"site=file:{scratch.sub('site')}"],
                        ["--config", config]) as server:
                ledger = server.request("GET", "/v1/status")[2]["ledger"]
                self.assertEqual(ledger["durability"], "fsync")
                self.assertEqual(ledger["minimum_durability"], "fsync")
                self.assertEqual(ledger["standbys"], [])
                status, _, receipt = server.write("site", "k", {"a.txt": "x"})
                self.assertEqual((status, receipt["durability"]), (201, "fsync"))
            for word in ("standby", "quorum"):
                floor(word)
                for command in (["check", config],
                                ["serve", "--config", config, "--state-dir", scratch.path]):
                    done = run(*command)
                    self.assertEqual(done.returncode, 78, done.stderr)
                    said = done.stdout + done.stderr
                    self.assertIn("can never be met by a ledger in a file", said)
                    self.assertIn(f"{config}:2", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
