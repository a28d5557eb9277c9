"""trued exec: what an invocation takes up after a crash, under which terms, and what it leaves."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exec_support import BINARY, ExecCase, await_file, gone, run  # noqa: E402

# Says who it is and where, counts itself, and hangs unless it is let go. $1: a prefix for files.
SCRIPT = ('pwd >> "$1.where"; printf x >> "$1.runs"; echo $$ > "$1.pid"; '
          'test -e "$1.go" || exec sleep 300')


class TakeoverTest(ExecCase):
    def command(self):
        return ["--", "sh", "-c", SCRIPT, "sh", self.mark]

    def text(self, name):
        path = f"{self.mark}.{name}"
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf8") as file:
            return file.read()

    def crash(self, key, *arguments, **options):
        """trued is killed while its command runs, and takes it along."""
        process = self.start(key, *arguments, *self.command(), **options)
        pid = await_file(f"{self.mark}.pid").strip()
        process.kill()
        process.wait(30)
        self.assertTrue(gone(pid))
        self.assertEqual(self.text("runs"), "x")

    def let_go(self):
        with open(self.mark + ".go", "w", encoding="utf8"):
            pass

    def shown(self, key):
        return json.loads(self.trued(key, "--show", "--json").stdout)

    def test_T1_another_key_leaves_what_is_open_alone(self):
        self.crash("a", "--attempts", "5", "--verify", f"printf r >> {self.mark}.reads; exit 1")
        before, reads = self.shown("a"), self.text("reads")
        self.assertEqual(before["state"], "attempting")
        self.let_go()
        self.assertEqual(self.trued("b", "--attempts", "3", "--", "true").returncode, 0)
        self.trued("c", "--", "false")
        self.trued("c", "--retry")
        self.trued("c", "--resolve", "it_did_not")
        self.assertEqual(self.shown("a"), before)
        self.assertEqual((self.text("runs"), self.text("reads")), ("x", reads))

    def test_V7_its_own_key_goes_on_under_the_terms_it_was_accepted_with(self):
        there, here = self.scratch.sub("there"), self.scratch.sub("here")
        check = f'test -e {self.mark}.go && test "$(pwd)" = {there}'
        self.crash("a", "--attempts", "3", "--timeout", "20s", "--verify", check, cwd=there)
        os.remove(self.mark + ".pid")
        # That running it again is harmless was said then, and need not be said again.
        process = self.start("a", "--verify", check, *self.command(), cwd=here)
        await_file(self.mark + ".pid")
        self.assertEqual(self.text("where").split(), [there, there])
        process.kill()
        process.wait(30)
        self.let_go()
        done = self.trued("a", "--verify", check, *self.command(), cwd=here)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"as it was accepted: --attempts 3 --timeout 20s, in {there}", done.stderr)
        shown = self.trued("a", "--show").stdout
        self.assertIn(f"with --attempts 3 --timeout 20s, in {there}", shown)
        audit = run("audit", "--ledger", "sqlite:" + os.path.join(self.state, "exec.db"))
        self.assertEqual(audit.returncode, 0, audit.stdout)

    def test_T1_what_was_not_said_to_be_repeatable_is_not_repeated_by_saying_so_later(self):
        self.crash("a", "--timeout", "20s")
        self.let_go()
        done = self.trued("a", "--attempts", "5", *self.command())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(self.text("runs"), "x")

    def test_V7_a_persons_retry_keeps_the_time_and_the_place_that_were_recorded(self):
        there = self.scratch.sub("there")
        late = self.trued("a", "--timeout", "300ms", "--", "sh", "-c",
                          f"pwd >> {self.mark}.where; exec sleep 60", cwd=there)
        self.assertEqual(late.returncode, 3)
        again = self.trued("a", "--retry")
        self.assertIn("still running when its time was over", again.stderr)
        self.assertEqual(self.text("where").split(), [there, there])

    def test_T2_terms_make_no_other_request_of_it(self):
        words = ["--", "sh", "-c", f"printf x >> {self.mark}.runs"]
        self.assertEqual(self.trued("a", *words).returncode, 0)
        done = self.trued("a", "--attempts", "4", "--timeout", "9s", *words,
                          cwd=self.scratch.sub("elsewhere"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("duplicate", done.stderr)
        self.assertEqual(self.trued("a", "--verify", "true", *words).returncode, 65)
        self.assertEqual(self.text("runs"), "x")

    def test_what_is_printed_works_from_anywhere(self):
        home, away = self.scratch.sub("ho me\n'1"), self.scratch.sub("away")
        ledger = ["--ledger", "sqlite:one.db"]
        for place in (["--state-dir", "state"], ledger):
            for key in ("a'b", "-x", "$(x)", "--show"):
                failed = run("exec", *place, "--json", "--key=" + key, "--", "./absent", cwd=home)
                self.assertEqual(failed.returncode, 1, failed.stderr)
                with open(os.path.join(home, "absent"), "w", encoding="utf8") as file:
                    file.write("#!/bin/sh\n")
                os.chmod(os.path.join(home, "absent"), 0o755)
                command = json.loads(failed.stdout)["commands"][-1]
                done = shell(command, away)
                os.remove(os.path.join(home, "absent"))
                self.assertEqual(done.returncode, 0, command + done.stderr)
        self.assertEqual(os.listdir(away), [])


def shell(command, directory):
    """What a person would type, in the shell that understands all of it."""
    path = os.path.dirname(BINARY) + ":" + os.environ["PATH"]
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120,
                          cwd=directory, env={**os.environ, "PATH": path})


if __name__ == "__main__":
    unittest.main(verbosity=1)
