"""trued exec: what is known of a command, whatever becomes of it, and what a person can do."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exec_support import BINARY, ExecCase, Scratch, await_file, gone, run  # noqa: E402


class ExecTest(ExecCase):
    def test_T1_a_shell_that_says_127_may_have_done_its_part(self):
        for code in ("126", "127"):
            done = self.trued("shell" + code, "--", "sh", "-c",
                              f"printf x >> {self.mark}; exit {code}")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("exit status " + code, done.stderr)
        self.assertEqual(self.marks(), 2)

    def test_what_cannot_be_executed_fails_at_once_and_is_named(self):
        done = self.trued("none", "--attempts", "3", "--", "no-such-command-anywhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot run 'no-such-command-anywhere': No such file", done.stderr)

    def test_a_failed_run_is_run_again_by_the_command_that_is_printed(self):
        script = os.path.join(self.scratch.path, "script")
        failed = self.trued("again", "--", script)
        self.assertEqual(failed.returncode, 1)
        printed = failed.stderr.strip().splitlines()[-1].split()
        self.assertEqual(printed, ["trued", "exec", "--state-dir", self.state, "--key", "again",
                                   "--retry"])
        with open(script, "w", encoding="utf8") as file:
            file.write(f"#!/bin/sh\nprintf x >> {self.mark}\n")
        os.chmod(script, 0o755)
        done = run(*printed[1:], "--who", "ann", "--why", "mended")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.marks(), 1)
        self.assertEqual(run(*printed[1:]).returncode, 65)

    def test_T10_a_person_decides_what_nobody_could_know(self):
        for verdict, state in (("it_happened", "acknowledged"), ("it_did_not", "failed")):
            unknown = self.trued(verdict, "--", "sh", "-c", "exit 9")
            self.assertEqual(unknown.returncode, 3)
            self.assertIn(f"--key {verdict} --resolve {verdict}", unknown.stderr)
            done = self.trued(verdict, "--resolve", verdict, "--who", "ann", "--why", "saw it",
                              "--json")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(json.loads(done.stdout)["state"], state)
            shown = json.loads(self.trued(verdict, "--show", "--json").stdout)
            self.assertEqual(shown["state"], state)
            acted = [e for e in shown["events"] if e["event"] == "person_acted"]
            self.assertEqual((acted[0]["who"], acted[0]["why"]), ("ann", "saw it"))
        text = self.trued("it_happened", "--show").stdout
        self.assertIn("command: sh -c 'exit 9'", text)

    def test_T1_what_nobody_could_know_runs_again_when_a_person_asks(self):
        with Scratch() as scratch:
            state, count = scratch.sub("state"), os.path.join(scratch.path, "count")
            key = ["exec", "--state-dir", state, "--key", "c"]
            first = run(*key, "--", "sh", "-c", f"echo run >> {count}; exit 3")
            self.assertEqual(first.returncode, 3, first.stderr)
            again = run(*key, "--retry")
            with open(count, encoding="utf8") as file:
                self.assertEqual(file.read().count("run"), 2, again.stderr)
            self.assertEqual(again.returncode, 3, again.stderr)
            self.assertEqual(run(*key, "--resolve", "it_did_not").returncode, 0)
            run(*key, "--retry")
            with open(count, encoding="utf8") as file:
                self.assertEqual(file.read().count("run"), 3)

    def test_looking_creates_nothing_and_says_what_is_not_there(self):
        nowhere = os.path.join(self.scratch.path, "nowhere")
        done = run("exec", "--state-dir", nowhere, "--key", "k", "--show")
        self.assertEqual(done.returncode, 65)
        self.assertFalse(os.path.exists(nowhere))
        self.trued("k", "--", "true")
        for action in (["--show"], ["--retry"], ["--resolve", "it_happened"]):
            self.assertEqual(self.trued("other", *action).returncode, 65)

    def test_what_does_not_fit_together_is_a_usage_error(self):
        for arguments in (["--timeout", "0s", "--", "true"], [], ["--retry", "--", "true"],
                          ["--retry", "--show"], ["--who", "ann", "--", "true"],
                          ["--resolve", "perhaps"], ["--lock-timeout", "soon", "--", "true"],
                          ["--retry", "--timeout", "1h"], ["--show", "--attempts", "2"],
                          ["true"], ["true", "--", "true"]):
            self.assertEqual(self.trued("k", *arguments).returncode, 64, arguments)
        self.assertEqual(self.trued("", "--", "true").returncode, 64)
        # None of them has used the key up.
        self.assertEqual(self.trued("k", "--", "true").returncode, 0)

    def test_with_json_stdout_holds_the_object_alone(self):
        done = self.trued("j", "--json", "--", "sh", "-c", "echo out; echo err >&2")
        self.assertEqual(json.loads(done.stdout)["state"], "acknowledged")
        self.assertEqual(sorted(done.stderr.split()), ["err", "out"])
        self.assertEqual(self.trued("t", "--", "echo", "out").stdout, "out\n")

    def test_killed_and_timed_out_commands_are_said_to_be(self):
        killed = self.trued("kill", "--verify", "exit 1", "--", "sh", "-c", "kill -9 $$")
        self.assertIn("ended by signal 9 (Killed)", killed.stderr)
        self.assertIn("verify command says that it does not hold", killed.stderr)
        late = self.trued("late", "--timeout", "200ms", "--", "sleep", "60")
        self.assertIn("still running when its time was over", late.stderr)
        self.assertIn("ended by signal 9", self.trued("kill", "--show").stdout)

    def test_T1_signals_reach_the_command_and_the_answer_says_so(self):
        # Whoever runs this in the background has it ignore SIGINT, and so would its children.
        self.addCleanup(signal.signal, signal.SIGINT,
                        signal.signal(signal.SIGINT, signal.default_int_handler))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            pids = os.path.join(self.scratch.path, f"pids{number}")
            # The shell and what it started are one group; either would hold our pipes open.
            process = self.start(f"s{number}", "--attempts", "5", "--", "sh", "-c",
                                 f"echo $$ > {pids}; sleep 300; true")
            pid = await_file(pids).strip()
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            self.assertIn(process.returncode, (3, 75), output + errors)
            self.assertTrue(gone(pid), "still running after a signal")
            self.assertEqual(json.loads(output)["attempts"], 1)

    def test_T1_a_command_does_not_outlive_trued(self):
        pids = os.path.join(self.scratch.path, "pids")
        process = self.start("orphan", "--", "sh", "-c", f"echo $$ > {pids}; exec sleep 300")
        pid = await_file(pids).strip()
        process.kill()
        process.wait(30)
        self.assertTrue(gone(pid))

    def test_who_waits_for_the_ledger_says_for_whom(self):
        process = self.start("holder", "--", "sh", "-c",
                             f"echo up > {self.mark}; exec sleep 300")
        await_file(self.mark)
        begin = time.monotonic()
        done = self.trued("waiter", "--lock-timeout", "300ms", "--", "true")
        self.assertLess(time.monotonic() - begin, 9)
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"process {process.pid}", done.stderr)
        self.assertIn("--lock-timeout", done.stderr)
        # Looking needs no turn.
        self.assertEqual(json.loads(self.trued("holder", "--show", "--json").stdout)["state"],
                         "attempting")
        waiter = self.start("waiter", "--lock-timeout", "1h", "--", "true")
        with self.assertRaises(subprocess.TimeoutExpired):
            waiter.wait(0.5)
        waiter.send_signal(signal.SIGINT)
        self.assertEqual(waiter.wait(30), 69)
        process.terminate()
        process.communicate(timeout=60)

    def test_the_terminal_is_the_commands_while_it_runs(self):
        child, terminal = pty.fork()
        if child == 0:
            os.execv(BINARY, [BINARY, "exec", "--state-dir", self.state, "--key", "tty",
                              "--verify", f"test -s {self.mark}", "--", "sh", "-c",
                              f"read line; echo \"$line\" > {self.mark}"])
        try:
            os.write(terminal, b"typed\n")
            self.assertEqual(await_file(self.mark).strip(), "typed")
            self.assertEqual(self.drained(child, terminal), 0)
        finally:
            os.close(terminal)

    def test_an_interrupt_key_ends_the_command_in_front(self):
        pids = os.path.join(self.scratch.path, "pids")
        child, terminal = pty.fork()
        if child == 0:
            os.execv(BINARY, [BINARY, "exec", "--state-dir", self.state, "--key", "key",
                              "--attempts", "5", "--", "sh", "-c",
                              f"echo $$ > {pids}; exec sleep 300"])
        try:
            pid = await_file(pids).strip()
            os.write(terminal, b"\x03")
            self.assertTrue(gone(pid))
            self.assertIn(self.drained(child, terminal), (3, 75))
            shown = json.loads(self.trued("key", "--show", "--json").stdout)
            self.assertEqual(shown["attempts"], 1)
        finally:
            os.close(terminal)

    def drained(self, child, terminal):
        """Reads what a child says at its terminal to the end; its exit status."""
        try:
            while os.read(terminal, 4096):
                pass
        except OSError:
            pass  # the other end is closed
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    unittest.main(verbosity=1)
