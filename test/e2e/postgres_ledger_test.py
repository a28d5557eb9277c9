"""Servers on one ledger in PostgreSQL: one acts, the others stand by, and nothing is lost."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from load import Load  # noqa: E402
from nodes import LEASE, Bench  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from trued_server import run  # noqa: E402

FILES = """
[target.site]
kind = "file"
directory = "{site}"
"""
PROBE = """
[operation.charge.probe]
read = { path = "/v1/charges?key=${operation.identity}" }
happened = { json = { amount = "${input.amount}" } }
did_not = { absent = true }
"""


def files(bench):
    return FILES.format(site=bench.site)


class PostgresLedgerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The page cache survives what these tests do; a power failure is for other tests.
        cls.database = PostgresServer("max_connections=60")

    @classmethod
    def tearDownClass(cls):
        cls.database.stop()

    def wait_until(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def test_T1_T6_killed_and_started_again_it_has_lost_nothing(self):
        with Bench(self.database, files) as bench:
            load = Load()
            node = bench.node().acts()
            for _ in range(3):
                acknowledged = len(load.acknowledged)
                load.during(node, lambda: self.wait_until(
                    lambda: len(load.acknowledged) >= acknowledged + 30, "writes"))
                node.kill()
                node = bench.node().acts()
            self.assertGreater(len(load.confirmed), 0)
            bench.check(load, node)
            self.assertEqual(node.terminate(), 0)
            # Given back: the next need not wait.
            begin = time.monotonic()
            node = bench.node().acts()
            self.assertLess(time.monotonic() - begin, LEASE)

    def test_T1_a_second_server_stands_by_and_takes_over_what_is_open(self):
        with Bench(self.database, files) as bench:
            load = Load()
            first = bench.node().acts()
            second = bench.node()
            event = second.stands_by()
            self.assertEqual(event["holder"], first.hello["node"])
            self.assertNotIn("password", json.dumps(event))
            load.during(first, lambda: self.wait_until(
                lambda: len(load.confirmed) >= 20, "writes"))
            self.assertTrue(second.said.empty(), "it stands by as long as the other lives")
            # Left open: what takes long, and what nobody had looked at yet.
            threads = [threading.Thread(target=self.write_quietly, args=(load, first))
                       for _ in range(8)]
            for thread in threads:
                thread.start()
            first.process.kill()
            begin = time.monotonic()
            second.acts()
            self.assertLess(time.monotonic() - begin, 5 * LEASE)
            for thread in threads:
                thread.join()
            self.assertIn(load.write_one(second, wait=30), (200, 201))
            self.wait_until(lambda: self.open_operations(second) == 0, "open operations end")
            bench.check(load, second)

    @staticmethod
    def write_quietly(load, server):
        try:
            load.write_one(server, wait=5)
        except (OSError, http.client.HTTPException):
            pass

    @staticmethod
    def open_operations(server):
        return server.request("GET", "/v1/status")[2]["ledger"]["open"]

    def test_T1_a_server_that_slept_carries_out_nothing_and_stands_aside(self):
        with shops.Shop(deduplicates=False) as shop:
            def config(_):
                # Two targets and fewer threads than they may take: effects that were handed out
                # wait for a thread when it falls asleep. Nothing is read before them, so nothing
                # but the lease holds them back.
                one = shops.config(shop, timeout="30s", after=PROBE,
                                   target="breaker = false\nbudget = false")
                other = one.replace("psp", "bank").replace("operation.charge", "operation.order")
                return "runner_threads = 3\n" + one + other
            with Bench(self.database, config) as bench:
                first = bench.node().acts()
                second = bench.node()
                second.stands_by()
                shop.always = "hang_before"
                ids = [self.charge(first, kind, number)["id"]
                       for number in range(6) for kind in ("charge", "order")]
                self.wait_until(lambda: len(shop.posts()) >= 3, "effects under way")
                first.process.send_signal(signal.SIGSTOP)
                asleep = len(shop.posts())
                second.acts()
                shop.always = "ok"
                for each in ids:
                    _, _, found = second.request("GET", f"/v1/operations/{each}?wait=60")
                    self.assertIn(found["state"], ("confirmed", "acknowledged"), found)
                carried_out = len(shop.executions())
                self.assertEqual(carried_out, len(ids))
                self.assertGreater(len(shop.posts()), asleep)
                # What it had under way ends as it wakes; what waited behind that has its turn, and
                # time enough by its own deadline.
                with shop.lock:
                    for connection in shop.open:
                        connection.shutdown(socket.SHUT_RDWR)
                first.process.send_signal(signal.SIGCONT)
                self.assertEqual(first.process.wait(60), 75)
                first.drain.join()
                self.assertIn("another node took over", "".join(first.errors) +
                              json.dumps([first.said.get() for _ in range(first.said.qsize())]))
                self.assertEqual(len(shop.executions()), carried_out)
                self.assertTrue(bench.audit()["clean"])

    @staticmethod
    def charge(server, kind, number):
        _, _, receipt = server.request(
            "POST", "/v1/operations",
            {"type": kind, "input": {"cart": f"cart-{number}", "amount": 5}},
            {"Prefer": "wait=0"})
        return receipt

    def test_T6_a_database_that_is_killed_under_load_takes_nothing_with_it(self):
        with Bench(self.database, files) as bench:
            load = Load()
            node = bench.node().acts()

            def rounds():
                for _ in range(4):
                    confirmed = len(load.confirmed)
                    self.wait_until(lambda: len(load.confirmed) >= confirmed + 10, "writes")
                    self.database.crash()
                    self.database.start()
                confirmed = len(load.confirmed)
                self.wait_until(lambda: len(load.confirmed) > confirmed, "writes again")

            load.during(node, rounds)
            self.assertIsNone(node.process.poll(), "".join(node.errors))
            bench.check(load, node)

    def test_S_T13_over_tls_it_speaks_to_nobody_whom_it_does_not_know(self):
        with PostgresServer("max_connections=60") as database:
            place = os.path.join(database.data, "server")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                            "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", place + ".key", "-out", place + ".crt"],
                           check=True, capture_output=True)
            os.chmod(place + ".key", 0o600)
            if os.getuid() == 0:
                shutil.chown(place + ".key", "postgres")
                shutil.chown(place + ".crt", "postgres")
            database.sql("ALTER SYSTEM SET ssl = on")
            database.sql("SELECT pg_reload_conf()")
            with Bench(database, files) as bench:
                authority = os.path.join(bench.scratch.path, "root.crt")
                shutil.copyfile(place + ".crt", authority)
                hosts = f"127.0.0.1:1,127.0.0.1:{database.port}"  # nobody listens at the first
                url = (f"postgresql://app@{hosts}/app?target_session_attrs=read-write"
                       f"&sslmode=verify-full&sslrootcert={authority}")
                with open(bench.config, encoding="utf-8") as file:
                    text = file.read()
                with open(bench.config, "w", encoding="utf-8") as file:
                    file.write(text.replace(database.url, url))
                node = bench.node().acts()
                self.assertIn(Load().write_one(node, wait=30), (200, 201))
                self.assertEqual(database.sql(
                    "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                    "WHERE a.usename = 'app'"), "t")
                stranger = url.replace(authority, "/etc/ssl/certs/ca-certificates.crt")
                done = run("serve", "--listen", "127.0.0.1:0", "--ledger", stranger)
                self.assertEqual(done.returncode, 69, done.stderr)
                self.assertIn("certificate", done.stderr)

    def test_T1_standing_by_ends_with_a_signal(self):
        with Bench(self.database, files) as bench:
            bench.node().acts()
            second = bench.node()
            second.stands_by()
            self.assertEqual(second.terminate(), 0)

    def test_T13_a_server_out_of_reach_is_said_to_be_that(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"postgresql://app@127.0.0.1:{probe.getsockname()[1]}/app"
            serve = ["serve", "--listen", "127.0.0.1:0", "--ledger", url]
            for command in (["audit", "--ledger", url], serve):
                with self.subTest(command=command[0]):
                    done = run(*command)
                    self.assertEqual(done.returncode, 69, done.stderr)
                    self.assertIn("cannot connect", done.stderr)

    def test_T13_what_needs_a_file_says_what_to_use_instead(self):
        url = self.database.url
        for command, words in (
                (["backup", "--ledger", url, "/tmp/never"], "pg_basebackup"),
                (["exec", "--ledger", url, "--key", "k", "--", "true"], "sqlite:"),
                (["audit", "--ledger", url, "--schema", "empty"], "there is no ledger"),
                (["serve", "--ledger", "postgresql://u:secret-word@127.0.0.1/app"], "password")):
            with self.subTest(command=command[0]):
                done = run(*command)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
                self.assertNotIn("secret-word", done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
