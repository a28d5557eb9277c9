"""S12, S14, S18: SQL that comes as a value, paths that lead out, and a ledger that was changed."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import ROUTES, Caller, House, filled  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from trued_server import Scratch, Server, audit, run  # noqa: E402

# What has been a way into one database or another. {} is where a table's name goes.
SQL = [
    "'", "''", "'''", '"', "`", "\\", "\\'", "';", "'; DROP TABLE {} --", "'; DROP TABLE {}; --",
    "x'; DROP TABLE {}; SELECT '", "'); DROP TABLE {} --", "')); DROP TABLE {} --",
    "1; DROP TABLE {}", "1); DELETE FROM {}; --", "'; DELETE FROM {} WHERE '1'='1",
    "'; TRUNCATE {} --", "'; UPDATE {} SET name = 'owned' --", "' OR 1=1 --", "' OR '1'='1",
    "\" OR \"\"=\"", "' OR ''='", "') OR ('1'='1", "' OR 1=1 LIMIT 1 --", "admin' --", "admin'/*",
    "' UNION SELECT NULL --", "' UNION SELECT version() --", "' UNION ALL SELECT name FROM {} --",
    "'; SELECT pg_sleep(60) --", "' || pg_sleep(60) || '", "1 AND pg_sleep(60)",
    "'; COPY {} TO PROGRAM 'touch /tmp/owned' --", "'; COPY {} FROM PROGRAM 'id' --",
    "' || pg_read_file('/etc/passwd') || '", "'; SELECT lo_import('/etc/passwd') --",
    "'; CREATE TABLE owned (x int) --", "'; ALTER TABLE {} ADD owned int --",
    "'; CREATE ROLE owned SUPERUSER --", "'; GRANT ALL ON {} TO public --",
    "'; SET ROLE postgres --", "'; RESET ALL --", "'; COMMIT; DROP TABLE {} --",
    "'; ROLLBACK; DROP TABLE {} --", "'; BEGIN; DROP TABLE {}; COMMIT --",
    "'; LISTEN owned --", "'; NOTIFY owned --", "'; LOAD 'owned' --", "'; VACUUM --",
    "'; PREPARE x AS DROP TABLE {} --", "'; DO $$BEGIN DROP TABLE {}; END$$ --", "$$", "$1", "$2",
    "$1; DROP TABLE {}", "$tag$; DROP TABLE {}; $tag$", "%s", "%(name)s", "?", ":name", "@name",
    "${{input.name}}", "${{env:HOME}}", "#{{name}}", "E'\\x27'", "U&'\\0027'", "\\x27",
    "%27", "%2527",
    "\u2019; DROP TABLE {} --", "\uff07; DROP TABLE {} --", "\u02bc OR 1=1", "\u00bf'",
    "\ud7ff'", "/*", "*/", "/**/", "--", "-- -", "#", "'/**/OR/**/1=1", "' OR 1=1#", "\n",
    "\r\n; DROP",
    "\t", "\x1a", "\x08", "\x7f", "'\n; DROP TABLE {};\n--", "ATTACH DATABASE '/tmp/owned' AS x",
    "'; ATTACH DATABASE '/tmp/owned' AS x; --", "'; PRAGMA writable_schema=1 --",
    "' || load_extension('/tmp/owned') || '", "' || writefile('/tmp/owned', 'x') || '",
    "'; SELECT readfile('/etc/passwd') --", "randomblob(1000000000)",
    "WITH RECURSIVE x AS (SELECT 1)",
    "NULL", "null", "true", "0x27", "1e309", "NaN", "-1", "9223372036854775808", "{{}}", "[]",
    "'::regclass", "(SELECT 1)", "ROW(1,2)", "ARRAY[1]", "DEFAULT", "CURRENT_USER", "x" * 20000,
]

POSTGRES = """
[target.db]
kind = "postgres"
url = "{url}"

[operation.order]
[operation.order.effect]
target = "db"
sql = "INSERT INTO orders (name, note) VALUES ($1, $2)"
params = ["${{input.name}}", "${{operation.key}}"]
[operation.order.input]
required = ["name"]
properties = {{ name = {{ type = "string" }} }}
[[operation.order.artifact]]
name = "order"
expect = {{ json = {{ name = "${{input.name}}" }} }}
[operation.order.artifact.read]
target = "db"
sql = "SELECT name FROM orders WHERE name = $1 AND note = $2"
params = ["${{input.name}}", "${{operation.key}}"]
single = true
"""

SCHEMA = """
SELECT md5(string_agg(what, '|' ORDER BY what)) FROM (
  SELECT format('%s.%s %s %s', nspname, relname, relkind, relacl) AS what
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname NOT LIKE 'pg_t%'
  UNION ALL SELECT format('%s %s %s', attrelid::regclass, attname, atttypid) FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', rolname, rolsuper) FROM pg_roles
  UNION ALL SELECT format('%s %s', proname, prosrc) FROM pg_proc) AS everything
"""


class Databases(unittest.TestCase):
    def test_S12_values_are_never_sql_in_postgresql(self):
        database = PostgresServer("max_connections=20")
        self.addCleanup(database.stop)
        database.sql("SET ROLE app; CREATE TABLE orders (name text, note text);")
        house = House(POSTGRES.format(url=database.url))
        self.addCleanup(house.close)
        house.server.kill()
        done = run("target", "install", "db", "--config", house.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        house.start()
        before = database.sql(SCHEMA)
        names = [each.format("orders") if "{" in each else each for each in SQL]
        self.assertGreaterEqual(len(names), 100)
        orders = [{"type": "order", "key": f"k{i}", "input": {"name": name}}
                  for i, name in enumerate(names)]
        lines = "".join(json.dumps(each) + "\n" for each in orders)
        _, said, _ = Caller(house.server).ask(
            "POST", "/v1/operations/batch", lines,
            {"Content-Type": "application/x-ndjson", "Prefer": "wait=60"})
        for line, name in zip(said.splitlines(), names, strict=True):
            receipt = json.loads(line)["receipt"]
            self.assertEqual(receipt["status"], "confirmed", f"{name!r}: {receipt}")
        self.assertEqual(database.sql(SCHEMA), before, "the schema was changed")
        stored = json.loads(database.sql("SELECT json_agg(name ORDER BY substr(note, 2)::int) "
                                         "FROM orders"))
        self.assertEqual(stored, names)
        # What PostgreSQL cannot hold is refused; it does not become something else.
        for name in ("a\0b", "\0"):
            receipt = Caller(house.server).ask("POST", "/v1/operations", {
                "type": "order", "key": "nul", "input": {"name": name}}, {"Prefer": "wait=30"})
            self.assertTrue(receipt[0] == 422 or '"failed"' in receipt[1], receipt)
        self.assertEqual(database.sql("SELECT count(*) FROM orders"), str(len(names)))

    def test_S12_a_definition_cannot_splice_or_end_the_transaction(self):
        database = 'url = "postgresql://app@127.0.0.1:1/app"'
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "trued.toml")
            for sql in ("INSERT INTO t VALUES ('${input.name}')", "${input.name}",
                        "INSERT INTO ${input.name} VALUES ($1)", "SELECT 1; DROP TABLE t",
                        "COMMIT", "ROLLBACK", "SET ROLE postgres", "/* x */ COMMIT", "-- x\nCOMMIT",
                        "LISTEN x", "PREPARE TRANSACTION 'x'", ""):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f'[target.db]\nkind = "postgres"\n{database}\n[operation.o]\n'
                               f"effect = {{ target = \"db\", sql = {json.dumps(sql)} }}\n")
                done = run("check", path)
                self.assertEqual(done.returncode, 78, f"{sql}: {done.stdout}")

    def test_S12_parameters_of_ours_are_never_sql_in_the_ledger(self):
        house = House('[target.site]\nkind = "file"\ndirectory = "@/site"\n')
        self.addCleanup(house.close)
        caller = Caller(house.server)
        write = {"target": "site", "artifacts": [{"path": "a", "content": "x"}]}
        made = caller.submit("write", "k", write)
        payloads = [each.format("operations") for each in SQL
                    if "{{" not in each and len(each) < 100]
        asked = 0
        for route in ROUTES:
            if route.method != "GET":
                continue
            for parameter in route.parameters:
                for payload in payloads:
                    value = urllib.parse.quote(payload, safe="")
                    path, query = filled(route.path, made["id"]), ""
                    if parameter["in"] == "path":
                        path = filled(route.path, value)
                    elif parameter["in"] == "query":
                        query = f"?{parameter['name']}={value}"
                    else:
                        continue
                    status, text, _ = caller.ask("GET", path + query)
                    where = f"{path}{query}: {status} {text[:200]}"
                    self.assertIn(status, (200, 400, 404), where)
                    if status == 200 and parameter["name"] not in ("limit", "wait"):
                        self.assertNotIn(made["id"], text, where)
                    for leak in ("syntax", "sqlite", "SELECT ", "near \""):
                        self.assertNotIn(leak, text.replace(payload, ""), where)
                    asked += 1
        self.assertGreater(asked, 1000)
        # Keys, scopes, actors and what people say are values as well.
        for i, payload in enumerate(payloads):
            caller.ask("POST", "/v1/operations", {"type": "write", "key": payload, "input": write})
            caller.ask("POST", f"/v1/operations/{made['id']}/retry", {"who": payload})
            caller.ask("POST", "/v1/operations", {"type": "write", "key": f"a{i}", "input": write,
                                                  "actor": payload[:200]})
        house.server.terminate()
        report = audit(house.state)
        self.assertIsNone(report.get("first"), report)


# ---- S14 -----------------------------------------------------------------------------------------

NAMES = [
    "../out", "..", ".", "", "/", "/etc/passwd", "//etc/passwd", "a/../../out", "a/../b", "a/./b",
    "a//b", "a/", "./a", "..\\out", "a\\..\\..\\out", "C:\\out", "\\\\host\\out", "a\0b", "a\nb",
    "a\rb", "a\x1bb", "a\x7fb", "~/out/..", "a" * 4096, "/".join(["a"] * 700), ".git/hooks/x",
    ".git/config", ".GIT/config", ".git", ".Git/hooks/x", "a/.git/hooks/x", ".git./config",
    ".git /config", "git~1/config", ".g\u200cit/config", ".git::$INDEX_ALLOCATION/config",
    "..git/../../out", "a/..", "link/x", "link", "dangling", "chain/x", "up/out", "hard",
    "proc/self/root/etc/passwd" if os.path.isdir("/proc/self") else "..", "\u2025/out/..",
]
# Unusual, and yet names below the target: they stay what they are.
INSIDE = ["%2e%2e/out", "..%2fout", "..%c0%af", "...", "....//out"[:4] + "x", "--upload-pack=x",
          "-rf",
          "$(id)", "`id`", "a;id", "a b", "*", "~", "~root", "CON", "con.txt", "aux", "\u202ea",
          "ＡＢ", ".gitignore", ".gitmodules", "hooks/post-receive", "..a", "a..",
          "'", '"', "a" * 200]


class Paths(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.outside = self.scratch.sub("outside")
        with open(os.path.join(self.outside, "kept"), "w", encoding="utf-8") as file:
            file.write("kept")
        self.state = self.scratch.sub("state")

    def everything_outside(self):
        found = []
        for place, folders, names in os.walk(self.scratch.path):
            folders[:] = [each for each in folders if os.path.join(place, each) not in
                          (self.inside, self.state)]
            for name in sorted(folders + names):
                path = os.path.join(place, name)
                info = os.lstat(path)
                found.append((path, info.st_ino, info.st_size, info.st_mode, info.st_mtime_ns,
                              info.st_nlink) if not os.path.isdir(path) else (path, info.st_ino))
        with open(os.path.join(self.outside, "kept"), encoding="utf-8") as file:
            return found, file.read()

    def attack(self, server, names):
        caller = Caller(server)
        said = {}
        for i, name in enumerate(names):
            for artifact in ({"content": "owned"}, {"absent": True}):
                status, text, _ = caller.ask("POST", "/v1/operations", {
                    "type": "write", "key": f"{i}-{len(artifact)}-{list(artifact)[0]}", "input": {
                        "target": "t", "artifacts": [{"path": name, **artifact}]}},
                    {"Prefer": "wait=20"})
                value = json.loads(text)
                said.setdefault(name, []).append(value.get("status") if status == 201 else status)
        return said

    def test_S14_nothing_leaves_a_file_target(self):
        self.inside = site = self.scratch.sub("site")
        os.symlink(self.outside, os.path.join(site, "link"))
        os.symlink(os.path.join(self.outside, "new"), os.path.join(site, "dangling"))
        os.symlink("link", os.path.join(site, "chain"))
        os.symlink("..", os.path.join(site, "up"))
        os.symlink("/proc", os.path.join(site, "proc"))
        os.link(os.path.join(self.outside, "kept"), os.path.join(site, "hard"))
        before, text = self.everything_outside()
        with Server(self.state, ["t=file:" + site]) as server:
            said = self.attack(server, NAMES)
            for name, answers in said.items():
                if name in ("dangling", "link", "hard"):
                    continue  # names below the target: what stands there is replaced, see below
                self.assertNotEqual(answers[0], "confirmed", name)
            after, still = self.everything_outside()
            # Of the hard link's other name only the number of names may have changed.
            self.assertEqual([each[:5] for each in before], [each[:5] for each in after], said)
            self.assertEqual((text, still), ("kept", "kept"))
            said = self.attack(server, INSIDE)
            self.assertEqual([each[:5] for each in self.everything_outside()[0]],
                             [each[:5] for each in before], said)
            for name, answers in said.items():
                self.assertIn(answers[0], ("confirmed", 422), f"{name!r}: {answers}")

    def test_S14_nothing_leaves_a_git_target(self):
        self.inside = repository = self.scratch.bare_repository()
        work = self.scratch.sub("work")
        for link, to in (("link", self.outside), ("up", "..")):
            os.symlink(to, os.path.join(work, link))
        git = ["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@t"]
        for more in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "links"],
                     ["push", "-q", repository, "main"]):
            subprocess.run([*git, *more], check=True, capture_output=True)
        shutil.rmtree(work)
        before = self.everything_outside()
        hooks = self.files(repository)
        with Server(self.state, [f"t=git:{repository},branch=main"]) as server:
            said = self.attack(server, [each for each in NAMES if each not in
                                        ("hard", "dangling", "link")])
            for name, answers in said.items():
                if name.startswith(("proc", "chain")):
                    continue  # no links there: names like any other
                # Nothing is written there; that it is absent may be true.
                self.assertNotEqual(answers[0], "confirmed", name)
            said = self.attack(server, INSIDE)
        self.assertEqual(self.everything_outside(), before)
        self.assertEqual(self.files(repository), hooks, "hooks or configuration were changed")
        listed = subprocess.run(["git", "-C", repository, "ls-tree", "-rz", "--name-only", "main"],
                                check=True, capture_output=True).stdout.decode().split("\0")
        for name in listed:
            self.assertNotIn("..", name.split("/"))
            self.assertNotRegex(name.lower(), r"(^|/)\.git(/|$)")
        done = subprocess.run(["git", "-C", repository, "fsck", "--strict"], capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    @staticmethod
    def files(repository):
        found = {}
        for place, _, names in os.walk(repository):
            if "objects" in place or "logs" in place or "refs" in place:
                continue
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    found[os.path.join(place, name)] = file.read()
        return found


# ---- S18 -----------------------------------------------------------------------------------------

class Tampering(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.house = House('[target.site]\nkind = "file"\ndirectory = "@/site"\n')
        cls.addClassCleanup(cls.house.close)
        caller = Caller(cls.house.server)
        for i in range(30):
            write = {"target": "site", "artifacts": [{"path": f"{i}", "content": f"text {i}"}]}
            caller.submit("write", f"key-{i}", write, actor="ada")
        cls.house.server.terminate()
        cls.clean = os.path.join(cls.house.folder, "clean.db")
        done = run("backup", cls.clean, "--state-dir", cls.house.state)
        assert done.returncode == 0, done.stderr

    def judged(self, change):
        """Copies the ledger, changes the copy, and has it audited."""
        copy = os.path.join(self.house.folder, "copy.db")
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(copy + suffix):
                os.remove(copy + suffix)
        shutil.copy(self.clean, copy)
        what = change(copy)
        done = run("audit", "--json", "--ledger", "sqlite:" + copy)
        return what, done

    def test_S18_an_untouched_ledger_holds(self):
        _, done = self.judged(lambda copy: None)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_S18_every_changed_row_is_named(self):
        tables = {}
        with sqlite3.connect(self.clean) as base:
            for (name,) in base.execute("SELECT name FROM sqlite_schema WHERE type = 'table' "
                                        "AND name NOT LIKE 'sqlite_%'"):
                tables[name] = [row[1] for row in base.execute(f"PRAGMA table_info({name})")]
        chance = random.Random(18)
        changed = 0
        for table, columns in sorted(tables.items()):
            for column in columns:
                if column == "opened":
                    continue  # how often the file was opened: nothing rests on it
                what, done = self.judged(
                    lambda copy, t=table, c=column: self.alter(copy, t, c, chance))
                if what is None:
                    continue
                changed += 1
                with self.subTest(what):
                    self.assertNotEqual(done.returncode, 0, done.stdout)
        for table in sorted(tables):
            what, done = self.judged(lambda copy, t=table: self.drop(copy, t, chance))
            if what is not None:
                with self.subTest(what):
                    self.assertNotEqual(done.returncode, 0, done.stdout)
                changed += 1
        self.assertGreater(changed, 10)

    @staticmethod
    def alter(copy, table, column, chance):
        with sqlite3.connect(copy) as base:
            rows = base.execute(f"SELECT rowid, {column} FROM {table}").fetchall() \
                if "WITHOUT ROWID" not in base.execute(
                    "SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0] else []
            rows = [row for row in rows if row[1] is not None]
            if not rows:
                return None
            row, value = chance.choice(rows)
            if isinstance(value, int):
                other = value + 1
            elif isinstance(value, bytes):
                other = value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
            else:
                other = (str(value)[:-1] + "~") if value else "~"
            try:
                base.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (other, row))
            except sqlite3.Error:
                return None  # the ledger's own constraints are in the way
        return f"{table}.{column} of row {row}: {value!r} to {other!r}"[:200]

    @staticmethod
    def drop(copy, table, chance):
        with sqlite3.connect(copy) as base:
            try:
                rows = [row[0] for row in base.execute(f"SELECT rowid FROM {table}")]
                if not rows:
                    return None
                base.execute(f"DELETE FROM {table} WHERE rowid = ?", (chance.choice(rows),))
            except sqlite3.Error:
                return None
        return f"a row of {table} deleted"

    def test_S18_flipped_bytes_of_what_is_recorded_are_named(self):
        with open(self.clean, "rb") as file:
            data = file.read()
        chance = random.Random(7)
        # Where texts of ours stand: everything else on a page may be free space.
        places = [at for at in range(len(data) - 5) if data[at:at + 4] in (b"key-", b"text")]
        missed = []
        for at in chance.sample(places, 25):
            def flip(copy, at=at):
                with open(copy, "r+b") as file:
                    file.seek(at)
                    file.write(bytes([data[at] ^ 0x01]))
            _, done = self.judged(flip)
            if done.returncode == 0:
                missed.append(at)
        self.assertEqual(missed, [], "flipped, and the audit says that all is well")


if __name__ == "__main__":
    unittest.main(verbosity=1)
