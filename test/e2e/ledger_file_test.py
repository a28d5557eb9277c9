"""What `--ledger` may name: the same file by other names, and files that hold no ledger."""

import json
import os
import shutil
import sqlite3
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from trued_server import Scratch, Server, run  # noqa: E402


def serve(scratch, ledger):
    """A server that is expected not to start: its exit code and what it said."""
    done = run("serve", "--state-dir", scratch.sub("other"), "--listen", "127.0.0.1:0",
               "--ledger", "sqlite:" + ledger)
    return done.returncode, done.stdout + done.stderr


def audit(ledger):
    done = run("audit", "--json", "--ledger", "sqlite:" + ledger)
    return done.returncode, json.loads(done.stdout or done.stderr)


class LedgerFileTest(unittest.TestCase):
    def test_T3_a_second_server_is_refused_whatever_it_calls_the_ledger(self):
        with Scratch() as scratch:
            state, place = scratch.sub("state"), scratch.sub("place")
            ledger = os.path.join(place, "l.db")
            link = os.path.join(scratch.path, "link.db")
            os.symlink(ledger, link)
            with Server(state, ["m=memory"], ["--ledger", "sqlite:" + ledger]) as server:
                self.assertEqual(server.write("m", "k", {"a": "1"})[0], 201)
                for name in (ledger, link, os.path.join(place, "..", "place", "l.db")):
                    code, said = serve(scratch, name)
                    self.assertEqual(code, 69, said)
                    self.assertIn(f"in use by process {server.process.pid}", said)
                code, report = audit(link)
                self.assertEqual((code, report["operations"]), (0, 1))
                copy = os.path.join(scratch.path, "copy.db")
                self.assertEqual(run("backup", copy, "--ledger", "sqlite:" + link).returncode, 0)
                self.assertEqual(audit(copy)[1]["operations"], 1)

    def test_T3_a_ledger_with_hard_links_is_refused_and_its_server_goes_on(self):
        with Scratch() as scratch:
            state, place = scratch.sub("state"), scratch.sub("place")
            ledger, other = os.path.join(place, "l.db"), os.path.join(place, "l3.db")
            with Server(state, ["m=memory"], ["--ledger", "sqlite:" + ledger]) as server:
                os.link(ledger, other)
                code, said = serve(scratch, other)
                self.assertEqual(code, 69, said)
                self.assertIn("2 names (hard links)", said)
                code, report = audit(other)
                self.assertEqual(code, 65)
                self.assertIn("2 names (hard links)", report["error"])
                self.assertEqual(server.write("m", "k", {"a": "1"})[0], 201)
                self.assertEqual(server.request("GET", "/v1/operations")[0], 200)
                os.unlink(other)
                self.assertEqual(audit(ledger)[0], 0)

    def test_T11_no_ledger_is_refused_input_and_a_damaged_one_is_a_difference(self):
        with Scratch() as scratch:
            state = scratch.sub("state")
            with Server(state, ["m=memory"]) as server:
                server.write("m", "k", {"a": "1"})
                server.terminate()
            whole = os.path.join(state, "ledger.db")

            def file(name, content=b""):
                path = os.path.join(scratch.path, name)
                with open(path, "wb") as out:
                    out.write(content)
                return path

            stranger = os.path.join(scratch.path, "stranger.db")
            database = sqlite3.connect(stranger)
            database.execute("CREATE TABLE other(a)")
            database.close()
            copy = os.path.join(scratch.path, "copy.db")
            for path in (os.path.join(scratch.path, "missing.db"), scratch.sub("directory"),
                         file("empty.db"), file("garbage.db", b"garbage\n"), stranger):
                for command in (["audit"], ["backup", copy]):
                    done = run(*command, "--json", "--ledger", "sqlite:" + path)
                    error = json.loads(done.stdout or done.stderr)
                    self.assertEqual((done.returncode, error["exit_code"]), (65, 65), error)
                    self.assertIn(path, error["error"])
                    self.assertRegex(error["error"], "holds no ledger|there is no ledger")
            self.assertFalse(os.path.exists(copy))
            cut = os.path.join(scratch.path, "cut.db")
            shutil.copy(whole, cut)
            os.truncate(cut, os.path.getsize(whole) // 2)
            code, report = audit(cut)
            self.assertEqual((code, report["clean"], report["first"]["what"]), (1, False, "file"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
