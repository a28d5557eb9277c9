"""trued target install, and what trued check says of a database."""

import json
import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from postgres_server import PostgresServer  # noqa: E402
from trued_server import Scratch, run  # noqa: E402


class TargetInstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.database = PostgresServer()
        cls.scratch = Scratch().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.database.stop()
        cls.scratch.__exit__()

    def config(self, name, lines="", url=None):
        path = os.path.join(self.scratch.path, name + ".toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'state_dir = "{self.scratch.path}/state"\n'
                       f'[target.db]\nkind = "postgres"\nurl = "{url or self.database.url}"\n'
                       + lines)
        return path

    def test_V10_installed_once_and_said_so(self):
        config = self.config("once", 'marker_table = "ops.once"\n')
        before = run("check", config, "--connect")
        self.assertEqual(before.returncode, 78)
        self.assertIn("trued target install db", before.stdout)
        dry = run("target", "install", "db", "--config", config, "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn('CREATE TABLE "ops"."once"', dry.stdout)
        self.assertEqual(self.database.sql("SELECT to_regclass('ops.once') IS NULL"), "t")
        done = run("target", "install", "db", "--config", config, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertTrue(told["changed"])
        self.assertEqual(told["table"], "ops.once")
        self.assertEqual(len(told["steps"]), 4)
        again = json.loads(run("target", "install", "db", "--config", config, "--json").stdout)
        self.assertFalse(again["changed"])
        self.assertEqual(again["steps"], [])
        self.assertEqual(run("check", config, "--connect").returncode, 0)

    def test_V10_what_is_printed_as_sql_does_the_same(self):
        config = self.config("typed", 'marker_table = "typed"\n')
        dry = run("target", "install", "db", "--config", config, "--dry-run")
        self.database.sql("SET ROLE app; " + dry.stdout)
        self.assertEqual(run("check", config, "--connect").returncode, 0)

    def test_wrong_names_and_places(self):
        config = self.config("wrong", '[target.m]\nkind = "memory"\n')
        for name, code, text in (("dbb", 65, "did you mean 'db'?"), ("m", 65, "kind 'memory'")):
            done = run("target", "install", name, "--config", config)
            self.assertEqual(done.returncode, code, name)
            self.assertIn(text, done.stderr)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            away = self.config("away", 'password = "${env:DB_PW}"\n',
                               f"postgresql://app@127.0.0.1:{nobody.getsockname()[1]}/app")
            done = run("target", "install", "db", "--config", away,
                       env={**os.environ, "DB_PW": "s3cr3t-word"})
            self.assertEqual(done.returncode, 69, done.stderr)
            self.assertNotIn("s3cr3t", done.stderr)
        clear = self.config("clear", url="postgresql://app:s3cr3t@127.0.0.1/app")
        done = run("check", clear)
        self.assertEqual(done.returncode, 78)
        self.assertIn("a password does not belong into the file", done.stdout)
        self.assertNotIn("s3cr3t", done.stdout)
        spoken = run("serve", "--target", "db=postgres:postgresql://app:s3cr3t@h/app")
        self.assertEqual(spoken.returncode, 64)
        self.assertIn("--config", spoken.stderr)
        self.assertNotIn("s3cr3t", spoken.stderr)


if __name__ == "__main__":
    unittest.main()
