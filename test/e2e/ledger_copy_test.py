"""`trued ledger copy`: a ledger moves from a file to PostgreSQL and back, killed on the way."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import shop as shops  # noqa: E402
from postgres_server import PostgresServer, _binaries  # noqa: E402
from trued_server import BINARY, Scratch, Server, run, until  # noqa: E402

TESTDATA = os.path.join(HERE, "..", "..", "src", "ledger", "sqlite", "testdata")
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
LEDGER = """
[ledger]
url = "{url}"
schema = "{schema}"
lease = "2s"
"""
TABLES = ("record", "batch", "operation", "intent", "tombstone")


class Node(Server):
    """A server on a shared ledger, from when it acts; `recovered` is what it took up."""

    def __init__(self, config, state):  # pylint: disable=super-init-not-called
        self.process = subprocess.Popen(
            [BINARY, "serve", "--json", "--listen", "127.0.0.1:0", "--state-dir", state,
             "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.errors = []
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()
        said = {}
        while "address" not in said or "recovered" not in said:
            line = self.process.stdout.readline()
            if not line:
                self.kill()
                raise RuntimeError(f"no server: {said} {''.join(self.errors)}")
            said.update(json.loads(line))
        self.recovered = said["recovered"]
        self.host, port = said["address"].rsplit(":", 1)
        self.port = int(port)
        self.url = "http://" + said["address"]


class Lock:
    """Nobody writes to a table as long as it is held, who reads it goes on."""

    def __init__(self, database, statement):
        self.process = subprocess.Popen(
            [os.path.join(_binaries(), "psql"), "-XqtA", "-h", "127.0.0.1", "-p",
             str(database.port), "-U", "postgres", "-d", "app"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"BEGIN; {statement}; SELECT 'held';\n")
        self.process.stdin.flush()
        while "held" not in self.process.stdout.readline():
            if self.process.poll() is not None:
                raise RuntimeError("no lock: " + statement)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.communicate("ROLLBACK;\n")


class LedgerCopyTest(unittest.TestCase):
    number = 0

    @classmethod
    def setUpClass(cls):
        cls.database = PostgresServer("max_connections=60")

    @classmethod
    def tearDownClass(cls):
        cls.database.stop()

    def setUp(self):
        LedgerCopyTest.number += 1
        self.schema = f"moved_{self.number}"
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.state, self.site = self.scratch.sub("state"), self.scratch.sub("site")
        self.ledger = os.path.join(self.state, "ledger.db")
        self.config = self.write_config("source.toml", FILES.format(site=self.site))

    def write_config(self, name, text):
        path = os.path.join(self.scratch.path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def shared(self, more):
        return self.write_config("moved.toml", more + LEDGER.format(
            url=self.database.url, schema=self.schema))

    def command(self, source=None, destination=None, *more):
        return ["ledger", "copy", "--json", "--from", source or "sqlite:" + self.ledger,
                "--to", destination or self.database.url, "--schema", self.schema, *more]

    def copy(self, *arguments):
        """Exit code and answer."""
        done = run(*self.command(*arguments))
        return done.returncode, json.loads(done.stdout or done.stderr)

    def copied(self, *arguments):
        code, said = self.copy(*arguments)
        self.assertEqual((code, said.get("copied")), (0, True), said)
        return said

    def audit(self, ledger=None):
        where = ["--ledger", ledger] if ledger else [
            "--ledger", self.database.url, "--schema", self.schema]
        done = run("audit", "--json", *where)
        report = json.loads(done.stdout)
        self.assertTrue(report.get("clean"), report)
        return report

    def assert_same(self, one, other):
        for name in ("head", "batches", "events", "operations", "intents", "tombstones"):
            self.assertEqual(one[name], other[name], name)

    def restore(self, version):
        """As the program of that schema left it; retired operations are in it."""
        with open(os.path.join(TESTDATA, f"schema_v{version}.sql"), encoding="utf-8") as file:
            self.change(file.read())

    def change(self, sql, path=None):
        database = sqlite3.connect(path or self.ledger)
        database.executescript(sql)
        database.close()

    def fill(self, writes=20):
        self.restore(2)
        with Server(self.state, options=["--config", self.config]) as server:
            connection = server.connect()
            for number in range(writes):
                status, _, _ = server.write("site", f"k{number}", {f"{number}.txt": str(number)},
                                            connection=connection)
                self.assertEqual(status, 201)
            connection.close()
            self.assertEqual(server.terminate(), 0)

    def refusals(self, words, codes=(65, 78)):
        """Nobody audits or serves it, and everybody says why."""
        url = self.database.url
        audit = run("audit", "--json", "--ledger", url, "--schema", self.schema)
        serve = run("serve", "--listen", "127.0.0.1:0", "--state-dir", self.scratch.sub("other"),
                    "--config", self.shared(FILES.format(site=self.site)))
        for done, code in ((audit, codes[0]), (serve, codes[1])):
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertIn(words, done.stdout + done.stderr)

    def test_T3_T6_a_moved_ledger_goes_on_with_what_was_open_and_knows_what_was_done(self):
        with shops.Shop(deduplicates=False) as shop:
            config = shops.config(shop, timeout="30s", after=PROBE,
                                  target="breaker = false\nbudget = false")
            config += FILES.format(site=self.site)
            self.restore(2)
            source = self.write_config("shop.toml", config)
            with Server(self.state, options=["--config", source]) as server:
                _, _, done = server.write("site", "done", {"a.txt": "a"})
                _, _, later = server.request(
                    "POST", "/v1/operations",
                    {"type": "write", "key": "later", "not_before": "2099-01-01T00:00:00Z",
                     "deadline": "2099-01-02T00:00:00Z",
                     "input": {"target": "site", "artifacts": [{"path": "b", "content": "b"}]}},
                    {"Prefer": "wait=0"})
                _, _, canceled = server.write("site", "canceled", {"c.txt": "c"}, wait=0)
                server.request("POST", f"/v1/operations/{canceled['id']}/cancel", {})
                shop.always = "hang_before"
                charges = [self.charge(server, number)["id"] for number in range(4)]
                until(lambda: shop.posts(), "effects are under way")
                server.kill()   # what it had under way nobody knows
            shop.always = "ok"
            said = self.copied()
            self.assert_same(said, self.audit("sqlite:" + self.ledger))
            self.assert_same(said, self.audit())
            self.assertEqual((said["rows_found"], said["was_finished"]), (0, False))
            self.assertGreater(said["tombstones"], 0)
            self.assertNotIn("secret", json.dumps(said))
            with Node(self.shared(config), self.scratch.sub("moved")) as node:
                self.assertGreaterEqual(node.recovered, 1 + len(charges))
                status, _, repeated = node.write("site", "done", {"a.txt": "a"})
                self.assertEqual((status, repeated["id"]), (200, done["id"]))
                self.assertEqual(node.write("site", "done", {"a.txt": "other"})[0], 409)
                for each in charges:
                    _, _, found = node.request("GET", f"/v1/operations/{each}?wait=60")
                    self.assertIn(found["state"], ("confirmed", "acknowledged"), found)
                self.assertEqual(len(shop.executions()), len(charges))
                _, _, found = node.request("POST", f"/v1/operations/{later['id']}/cancel", {})
                self.assertEqual(found["state"], "canceled", found)
                self.assertEqual(node.write("site", "new", {"n.txt": "n"})[0], 201)
                self.assertEqual(node.terminate(), 0)
            self.assertGreater(self.audit()["batches"], said["batches"])

    @staticmethod
    def charge(server, number):
        return server.request("POST", "/v1/operations",
                              {"type": "charge", "input": {"cart": f"cart-{number}", "amount": 5}},
                              {"Prefer": "wait=0"})[2]

    def kill_while(self, statement):
        """Begins a copy, and kills it where it waits for what `statement` locks."""
        with Lock(self.database, statement):
            copying = subprocess.Popen([BINARY, *self.command()], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            try:
                until(lambda: self.database.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                    "'trued ledger copy' AND wait_event_type = 'Lock'") != "0" or
                    copying.poll() is not None, "the copy waits")
                self.assertIsNone(copying.poll(), "it ended, and should wait")
            finally:
                copying.send_signal(signal.SIGKILL)
                copying.communicate()

    def test_T3_killed_wherever_it_is_the_same_command_goes_on(self):
        self.fill(writes=600)
        self.kill_while(f"SELECT pg_advisory_xact_lock(1416786276, hashtext('{self.schema}'))")
        self.assertEqual(self.database.sql(f"SELECT to_regclass('{self.schema}.head')"), "")
        self.begin_and_kill()
        written = []
        for table in (*TABLES, "head"):
            self.refusals("is an unfinished copy of sqlite:" + self.ledger)
            self.kill_while(f"LOCK TABLE {self.schema}.{table} IN SHARE MODE")
            written.append(sum(self.rows().values()))
        self.refusals("is an unfinished copy of sqlite:" + self.ledger)
        self.assertEqual(written, sorted(written), "nothing that was copied is discarded")
        said = self.copied()
        self.assertGreater(said["rows_found"], said["rows_written"])
        self.assertEqual(said["rows_found"] + said["rows_written"],
                         sum(self.source_rows().values()))
        self.assert_same(said, self.audit("sqlite:" + self.ledger))
        self.assert_same(said, self.audit())
        again = self.copied()
        self.assertEqual((again["was_finished"], again["rows_written"]), (True, 0))

    def rows(self):
        return {table: int(self.database.sql(f"SELECT count(*) FROM {self.schema}.{table}"))
                for table in TABLES}

    def source_rows(self):
        database = sqlite3.connect(self.ledger)
        rows = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in TABLES}
        database.close()
        return rows

    def test_T3_killed_at_any_moment_the_copy_is_whole_in_the_end(self):
        self.fill(writes=400)
        killed = 0
        for patience in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
            copying = subprocess.Popen([BINARY, *self.command()], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            # Nothing is waited for: any moment will do.
            try:
                copying.wait(patience)
            except subprocess.TimeoutExpired:
                killed += 1
            copying.kill()
            copying.communicate()
        self.assertGreater(killed, 0)
        self.assert_same(self.copied(), self.audit())

    def test_T3_a_ledger_in_use_is_not_copied(self):
        with Server(self.state, options=["--config", self.config]) as server:
            code, said = self.copy()
            self.assertEqual(code, 69, said)
            self.assertIn(f"in use by process {server.process.pid}", said["error"])
            self.assertIn("stop it first", said["error"])
            self.assertEqual(server.terminate(), 0)
        self.copied()
        with Node(self.shared(FILES.format(site=self.site)), self.scratch.sub("moved")) as node:
            back = "sqlite:" + os.path.join(self.scratch.path, "back.db")
            code, said = self.copy(self.database.url, back)
            self.assertEqual(code, 69, said)
            self.assertIn("acts on it", said["error"])
            self.assertEqual(node.write("site", "k", {"a": "1"})[0], 201)
            self.assertEqual(node.terminate(), 0)
        said = self.copied(self.database.url, back)
        self.assert_same(said, self.audit())
        self.assert_same(said, self.audit(back))
        with Server(self.scratch.sub("third"), options=[
                "--config", self.config, "--ledger", back]) as server:
            self.assertEqual(server.write("site", "k", {"a": "1"})[0], 200)
            self.assertEqual(server.terminate(), 0)

    def test_T11_a_changed_byte_is_found_and_the_copy_is_not_served(self):
        self.fill()
        with open(self.ledger, "rb") as file:
            whole = file.read()
        at = whole.index(b'"content":"17"') + len('"content":"1')
        for byte, found in ((at, "intent at"), (whole.index(b"k17", len(whole) // 4), " at ")):
            with self.subTest(byte):
                with open(self.ledger, "wb") as file:
                    file.write(whole[:byte] + b"9" + whole[byte + 1:])
                code, said = self.copy()
                self.assertEqual(code, 1, said)
                self.assertIn("is not what its log says (", said["error"])
                self.assertIn(found, said["error"])
                self.assertEqual(self.database.sql(
                    f"SELECT count(*) FROM pg_namespace WHERE nspname = '{self.schema}'"), "0")
        with open(self.ledger, "wb") as file:
            file.write(whole)
        # In what was copied already, too.
        self.copied()
        self.database.sql(f"UPDATE {self.schema}.intent SET body = body || ' '::bytea")
        code, said = self.copy()
        self.assertEqual(code, 1, said)
        self.assertIn("its body is another", said["error"])

    def test_T11_a_source_that_changes_under_an_unfinished_copy_makes_no_ledger(self):
        self.fill(writes=60)
        self.begin_and_kill()
        self.change("DELETE FROM intent WHERE no=(SELECT max(no) FROM intent)")
        code, said = self.copy()
        self.assertEqual(code, 1, said)
        self.assertIn("stays unfinished", said["error"])
        self.refusals("is an unfinished copy")

    def begin_and_kill(self):
        """Leaves a copy that has its tables, and its first page at most."""
        self.database.sql(f"CREATE SCHEMA {self.schema} AUTHORIZATION app")
        self.database.sql(
            "CREATE OR REPLACE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;"
            "CREATE OR REPLACE FUNCTION on_table() RETURNS event_trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN IF to_regclass('{self.schema}.copying') IS NOT NULL THEN EXECUTE "
            f"'CREATE TRIGGER hold_up AFTER INSERT ON {self.schema}.record "
            "EXECUTE FUNCTION hold_up()'; END IF; END $$;"
            "CREATE EVENT TRIGGER on_table ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
            "EXECUTE FUNCTION on_table()")
        try:
            self.kill_while("SELECT pg_advisory_xact_lock(77)")
        finally:
            self.database.sql("DROP EVENT TRIGGER on_table; DROP FUNCTION on_table;"
                              "DROP FUNCTION hold_up CASCADE")

    def test_T13_what_cannot_be_is_refused_in_words(self):
        self.fill(writes=1)
        missing = os.path.join(self.scratch.path, "missing.db")
        other = os.path.join(self.scratch.path, "other.db")
        url = self.database.url
        for arguments, code, words in (
                (("sqlite:" + missing,), 65, "there is no ledger at " + missing),
                (("sqlite:" + self.ledger, "sqlite:" + other), 64, "trued backup"),
                ((url,), 65, "there is no ledger"),
                (("mysql://h/d",), 64, "--from"),
                (("sqlite:" + self.ledger, "postgresql://u:secret-word@127.0.0.1/app"), 64,
                 "password"),
                (("sqlite:" + self.ledger, "postgresql://app@127.0.0.1:1/app"), 69,
                 "cannot connect")):
            with self.subTest(arguments):
                found, said = self.copy(*arguments)
                self.assertEqual(found, code, said)
                self.assertIn(words, said["error"])
                self.assertNotIn("secret-word", json.dumps(said))
        self.assertFalse(os.path.exists(missing + ".lock"))
        self.assertEqual(run("ledger").returncode, 64)

    def test_T3_a_ledger_of_another_version_is_refused_with_the_next_step(self):
        self.restore(2)
        code, said = self.copy()
        self.assertEqual(code, 78, said)
        self.assertIn("start the server on it once", said["error"])
        self.change("PRAGMA user_version=99")
        code, said = self.copy()
        self.assertEqual(code, 78, said)
        self.assertIn("schema version 99; this program knows up to", said["error"])

    def test_T3_a_destination_with_something_in_it_is_left_alone(self):
        self.fill(writes=1)
        self.copied()
        state, site = self.scratch.sub("another"), self.scratch.sub("elsewhere")
        with Server(state, ["site=file:" + site]) as server:
            server.write("site", "k", {"a": "1"})
            server.terminate()
        code, said = self.copy("sqlite:" + os.path.join(state, "ledger.db"))
        self.assertEqual(code, 65, said)
        self.assertIn("holds a ledger already", said["error"])
        self.assertIn(f'DROP SCHEMA "{self.schema}" CASCADE', said["error"])
        self.assertTrue(self.audit()["clean"])

    def test_T6_a_server_that_goes_away_in_the_middle_is_said_and_the_copy_goes_on(self):
        self.fill(writes=60)
        self.begin_and_kill()
        with Lock(self.database, f"LOCK TABLE {self.schema}.record IN SHARE MODE"):
            copying = subprocess.Popen([BINARY, *self.command()], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            until(lambda: self.database.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                "application_name = 'trued ledger copy' AND wait_event_type = 'Lock'") != "0",
                "the copy waits")
            said, _ = copying.communicate(timeout=60)
        self.assertEqual(copying.returncode, 75, said)
        self.assertIn("the same command goes on where it was", json.loads(said)["error"])
        self.assert_same(self.copied(), self.audit())


if __name__ == "__main__":
    unittest.main(verbosity=2)
