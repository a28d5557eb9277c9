"""docs/tutorial-payments.md: every command is run, and prints what is shown there."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ports import TRIES, free_port, in_use  # noqa: E402
from trued_server import BINARY, Scratch  # noqa: E402

SOURCE = os.environ.get("TRUED_SOURCE_DIR") or os.path.join(os.path.dirname(__file__), "..", "..")
DONE = "the command has ended"
PATIENCE_S = 30


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """(command, the lines it prints), in order."""
    found = []
    for block in blocks(text, "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def fits(expected, seen):
    """Whether the lines are as shown; `…` is anything within a line, and alone any lines."""
    if not expected:
        return not seen
    if expected[0] == "…":
        return any(fits(expected[1:], seen[i:]) for i in range(len(seen) + 1))
    if not seen:
        return False
    pattern = ".*".join(re.escape(part) for part in expected[0].split("…"))
    return re.fullmatch(pattern, seen[0]) is not None and fits(expected[1:], seen[1:])


class Shell:
    """One bash for all commands, as whoever follows the tutorial has one."""

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=directory, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.ready = selectors.DefaultSelector()
        self.ready.register(self.process.stdout, selectors.EVENT_READ)
        self.rest = b""
        self.send("set -m")

    def send(self, text):
        self.process.stdin.write((text + "\n").encode())
        self.process.stdin.flush()

    def run(self, command, expected):
        """What it prints. Of one in the background, what it prints until that is as expected."""
        # The exit status is there for the next command, as `$?`.
        self.send(f"{command}\n_code=$?; echo '{DONE}'; (exit $_code)")
        background = command.endswith("&")
        deadline = time.monotonic() + PATIENCE_S
        lines, ended = [], False
        while not (ended and (not background or fits(expected, lines))):
            left = deadline - time.monotonic()
            if left <= 0 or not self.ready.select(left):
                break
            self.rest += self.process.stdout.read() or b""
            *whole, self.rest = self.rest.split(b"\n")
            for line in map(bytes.decode, whole):
                ended = ended or line == DONE
                # What the shell itself says of a job that was killed is not the command's.
                if line != DONE and not re.search(r"\bKilled\b|\bTerminated\b", line):
                    lines.append(line)
        return lines

    def end(self):
        """The shell and the groups of its jobs, by their ids."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as file:
            jobs = [int(each) for each in file.read().split()]
        for pid in jobs:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.ready.close()


class Tutorial(unittest.TestCase):
    def test_V10_every_command_prints_what_is_shown(self):
        with open(os.path.join(SOURCE, "docs", "tutorial-payments.md"), encoding="utf-8") as file:
            text = file.read()
        for left in reversed(range(TRIES)):
            different = self.follow(text, str(free_port()), str(free_port()))
            # What another test was faster to take is no fault of the tutorial.
            if left == 0 or not in_use(different):
                break
        self.assertEqual(different, "")

    def follow(self, text, ours, shop):
        """What the first command that prints something else than is shown prints; "" if none."""
        text = text.replace("7117", ours).replace("8042", shop)
        with Scratch() as scratch:
            os.symlink(os.path.join(SOURCE, "examples"), os.path.join(scratch.path, "examples"))
            programs = scratch.sub("bin")
            os.symlink(BINARY, os.path.join(programs, "trued"))
            settings, = blocks(text, "toml")
            with open(os.path.join(scratch.path, "trued.toml"), "w", encoding="utf-8") as file:
                file.write(settings)
            shell = Shell(scratch.path, {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1",
                                         "PATH": programs + ":" + os.environ["PATH"],
                                         "TRUED_SERVER": f"http://127.0.0.1:{ours}"})
            try:
                count = 0
                for command, expected in commands(text):
                    seen = shell.run(command, expected)
                    if not fits(expected, seen):
                        with open(os.path.join(scratch.path, "trued.log"), "a+",
                                  encoding="utf-8") as file:
                            file.seek(0)
                            log = file.read()
                        return "\n".join([f"$ {command}", *seen, "--- shown:", *expected,
                                          "--- trued.log:", log])
                    count += 1
                self.assertGreater(count, 15)
                return ""
            finally:
                shell.end()


if __name__ == "__main__":
    unittest.main(verbosity=1)
