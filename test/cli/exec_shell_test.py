"""trued exec as a shell sees it: inherited signals and descriptors, words, job control."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exec_support import BINARY, ExecCase, await_file, gone  # noqa: E402


def ignoring(*numbers):
    """For a process that is to begin with signals ignored."""
    def prepare():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return prepare


class ShellTest(ExecCase):
    def test_what_was_ignored_stays_ignored_in_trued_and_in_its_command(self):
        names = ("HUP", "INT", "QUIT")
        numbers = [getattr(signal, "SIG" + name) for name in names]
        # It says that it wants to be run again: who took the signals for its own would not.
        process = self.start("nohup", "--attempts", "3", "--", "sh", "-c",
                             f"test -e {self.mark} && exit 0; echo $$ > {self.mark}; " +
                             "; ".join(f"kill -{name} $$" for name in names) +
                             f"; while ! test -e {self.mark}.go; do sleep 0.05; done; exit 75",
                             preexec_fn=ignoring(*numbers))
        pid = int(await_file(self.mark))
        for number in numbers:
            process.send_signal(number)
            os.kill(pid, number)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        with open(self.mark + ".go", "w", encoding="utf8"):
            pass
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(json.loads(output)["attempts"], 2)

    def test_broken_pipes_and_children_are_the_commands_as_they_were_ours(self):
        report = ["--", "grep", "SigIgn", "/proc/self/status"]
        for ignored in ((), (signal.SIGPIPE,), (signal.SIGCHLD,), (signal.SIGPIPE, signal.SIGCHLD)):
            done = self.trued(f"k{len(ignored)}{sum(ignored)}", *report,
                              preexec_fn=ignoring(*ignored), restore_signals=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            mask = int(done.stdout.split()[1], 16)
            # Python ignores SIGPIPE itself, and says so to its children without restore_signals.
            for number in (signal.SIGPIPE, signal.SIGCHLD):
                expected = number in ignored or number == signal.SIGPIPE
                self.assertEqual(bool(mask >> (number - 1) & 1), expected, (ignored, number))
        plain = self.trued("plain", *report)
        self.assertEqual(int(plain.stdout.split()[1], 16) >> (signal.SIGPIPE - 1) & 1, 0)

    def test_T1_who_ignores_its_children_is_not_told_of_success(self):
        failed = self.trued("k", "--", "sh", "-c", "exit 9", preexec_fn=ignoring(signal.SIGCHLD))
        self.assertEqual(failed.returncode, 3, failed.stderr)
        self.assertIn("exit status 9", failed.stderr)

    def test_T1_closed_descriptors_cost_no_certainty(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            def close(which=closed):
                for number in which:
                    os.close(number)
            key = "k" + "".join(map(str, closed))
            absent = self.trued(key, "--", "no-such-command-anywhere", preexec_fn=close)
            self.assertEqual(absent.returncode, 1, absent.stderr)
            ran = self.trued(key + "ran", "--", "sh", "-c", "exit 0", preexec_fn=close)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        done = self.trued("json", "--json", "--", "true", preexec_fn=lambda: os.close(1))
        self.assertEqual(done.returncode, 74)
        self.assertEqual(json.loads(self.trued("json", "--show", "--json").stdout)["state"],
                         "acknowledged")

    def test_T2_words_reach_the_command_as_they_were_typed(self):
        words = [b"[a,b]", b"[]", b"{}", b"%%", b"", b"a b", b"--json", b"--", b"-x", b'"q"',
                 b"caf\xe9", b"na\xc3\xafve", b"a\nb"]
        done = subprocess.run([BINARY, "exec", "--state-dir", self.state, "--key", "[k,l]", "--",
                               "printf", r"%s\001", *words], capture_output=True, timeout=120,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split(b"\x01"), [*words, b""])
        shown = self.trued("[k,l]", "--show").stdout
        self.assertIn(r"""'[a,b]' '[]' '{}' %% '' 'a b' --json -- -x '"q"' $'caf\351'""", shown)

    def test_T1_a_slow_verify_command_takes_nothing_from_the_commands_time(self):
        done = self.trued("slow", "--timeout", "500ms", "--verify",
                          f"sleep 1.3; test -e {self.mark}", "--json", "--",
                          "sh", "-c", f"sleep 0.2; printf x >> {self.mark}")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(json.loads(done.stdout)["attempts"], 1)
        self.assertEqual(self.marks(), 1)
        late = self.trued("late", "--timeout", "100ms", "--verify", "sleep 1; exit 1", "--",
                          "sleep", "60")
        self.assertIn("the command: killed: it was still running", late.stderr)

    def test_much_output_and_what_stays_behind_hold_nothing_up(self):
        done = self.trued("much", "--", "sh", "-c",
                          "head -c 20000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero >&2")
        self.assertEqual((done.returncode, len(done.stdout)), (0, 20_000_000))
        begin = time.monotonic()
        left = self.trued("left", "--", "sh", "-c",
                          f"sleep 300 > {self.mark} 2>&1 & echo $!")
        self.assertEqual(left.returncode, 0, left.stderr)
        self.assertLess(time.monotonic() - begin, 60)
        pid = int(left.stdout)
        self.assertFalse(gone(pid, 0.2), "what the command left running is not ours to end")
        os.kill(pid, signal.SIGKILL)

    def test_V7_an_interrupted_command_is_not_waited_for_and_not_begun(self):
        process = self.start("k", "--attempts", "9", "--verify",
                             f"echo up > {self.mark}; sleep 1; exit 1",
                             "--", "sh", "-c", f"printf x > {self.mark}.ran")
        await_file(self.mark)
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        self.assertLess(time.monotonic() - begin, 4)
        self.assertEqual(json.loads(output)["state"], "accepted")
        self.assertFalse(os.path.exists(self.mark + ".ran"))

    def test_T2_of_several_at_once_under_one_key_one_runs(self):
        each = [self.start("k", "--lock-timeout", "1m", "--", "sh", "-c",
                           f"printf x >> {self.mark}; sleep 0.3") for _ in range(4)]
        said = [json.loads(process.communicate(timeout=60)[0]) for process in each]
        self.assertEqual([process.returncode for process in each], [0] * 4)
        self.assertEqual(sorted(one["decision"] for one in said), ["duplicate"] * 3 + ["new"])
        self.assertEqual(self.marks(), 1)


class TerminalTest(ExecCase):
    """In an interactive shell, which has job control."""

    def setUp(self):
        super().setUp()
        self.said = b""
        self.shell, self.terminal = pty.fork()
        if self.shell == 0:
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.addCleanup(self.end)
        self.trued_words = f"{BINARY} exec --state-dir {self.state}"

    def end(self):
        os.close(self.terminal)
        os.kill(self.shell, signal.SIGKILL)
        os.waitpid(self.shell, 0)

    def type(self, text):
        os.write(self.terminal, text)

    def await_said(self, text, within=30):
        give_up = time.monotonic() + within
        while text not in self.said:
            self.assertLess(time.monotonic(), give_up, self.said.decode(errors="replace"))
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.said += os.read(self.terminal, 65536)
        self.said = self.said.split(text, 1)[1]

    def stop_and_go_on(self, key, redirection):
        """Ctrl-Z stops the command with trued, and fg goes on with both."""
        pids = f"{self.mark}.{key}"
        self.type(f"{self.trued_words} --key {key} -- sh -c 'echo $$ > {pids}; "
                  f"while ! test -e {self.mark}.go; do sleep 0.05; done; echo e''nd' "
                  f"{redirection}\n".encode())
        pid = await_file(pids).strip()
        time.sleep(0.3)
        self.type(b"\x1a")
        self.await_said(b"Stopped")
        with open(f"/proc/{pid}/stat", encoding="utf8") as file:
            self.assertEqual(file.read().rsplit(")", 1)[1].split()[0], "T")
        with open(self.mark + ".go", "w", encoding="utf8"):
            pass
        self.type(b"fg\n")
        self.await_said(b"end")
        self.type(b"echo status=$?\n")
        self.await_said(b"status=0")
        os.remove(self.mark + ".go")

    def test_a_stop_key_stops_the_command_too(self):
        self.stop_and_go_on("stdin", "")
        self.stop_and_go_on("nostdin", "< /dev/null")

    def test_the_terminal_can_be_read_where_stdin_is_not_it(self):
        self.type(f"{self.trued_words} --key k -- sh -c 'echo up > {self.mark}; read line "
                  f"< /dev/tty; echo got $line' < /dev/null\n".encode())
        await_file(self.mark)
        self.type(b"typed\n")
        self.await_said(b"got typed")


if __name__ == "__main__":
    unittest.main(verbosity=1)
