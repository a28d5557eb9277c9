"""Ledgers of older and newer programs in the hands of the real commands."""

import os
import sqlite3
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from trued_server import BINARY, Scratch, Server, audit  # noqa: E402

TESTDATA = os.path.join(HERE, "..", "..", "src", "ledger", "sqlite", "testdata")
CURRENT = 4


def restore(state, version):
    """A state directory as the program of that schema left it."""
    path = os.path.join(state, "ledger.db")
    with open(os.path.join(TESTDATA, f"schema_v{version}.sql"), encoding="utf-8") as file:
        database = sqlite3.connect(path)
        database.executescript(file.read())
        database.close()
    return path


def version_of(path):
    database = sqlite3.connect(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    return version


def trued(state, command, *arguments):
    done = subprocess.run([BINARY, command, "--state-dir", state, *arguments],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class UpgradeTest(unittest.TestCase):
    def test_T11_an_older_ledger_is_audited_and_copied_before_anything_changes_it(self):
        for version in range(1, CURRENT):
            with self.subTest(version), Scratch() as scratch:
                state = scratch.sub("state")
                ledger = restore(state, version)
                code, said = trued(state, "audit")
                self.assertEqual(code, 0, said)
                self.assertIn(f"schema version {version}, audited as it is", said)
                copy = os.path.join(scratch.path, "copy.db")
                code, said = trued(state, "backup", copy)
                self.assertEqual(code, 0, said)
                self.assertEqual((version_of(ledger), version_of(copy)), (version, version))

    def test_T11_the_server_saves_an_older_ledger_brings_it_forward_and_says_so(self):
        for version in range(1, CURRENT):
            with self.subTest(version), Scratch() as scratch:
                state, site = scratch.sub("state"), scratch.sub("site")
                ledger = restore(state, version)
                with Server(state, ["site=file:" + site]) as server:
                    status, _, receipt = server.write("site", "new", {"new.txt": "new"})
                    self.assertEqual((status, receipt["status"]), (201, "confirmed"))
                    self.assertTrue(audit(state)["clean"])
                    server.terminate()
                    server.drain.join()
                log = "".join(server.errors)
                saved = f"{ledger}.v{version}-backup"
                self.assertIn("copied to " + saved, log)
                self.assertIn(f"brought forward from schema version {version} to {CURRENT}", log)
                self.assertEqual((version_of(ledger), version_of(saved)), (CURRENT, version))
                code, said = trued(state, "audit", "--ledger", "sqlite:" + saved)
                self.assertEqual(code, 0, said)

    def test_a_newer_ledger_is_refused_by_every_command(self):
        with Scratch() as scratch:
            state = scratch.sub("state")
            ledger = restore(state, 2)
            database = sqlite3.connect(ledger)
            database.execute("PRAGMA user_version=99")
            database.close()
            copy = os.path.join(scratch.path, "copy.db")
            for command in (["audit"], ["backup", copy], ["serve", "--listen", "127.0.0.1:0"]):
                code, said = trued(state, *command)
                self.assertNotEqual(code, 0, command)
                self.assertIn(f"schema version 99; this program knows up to {CURRENT}", said,
                              command)
                self.assertIn("use the newer program", said, command)
            self.assertFalse(os.path.exists(copy))


if __name__ == "__main__":
    unittest.main(verbosity=1)
