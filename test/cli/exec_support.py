"""What tests of trued exec share: a state directory of their own, and processes to watch."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, Scratch, run  # noqa: E402


def await_file(path, within=30):
    """Waits until a file is there and returns its text."""
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        if os.path.exists(path) and os.path.getsize(path) > 0:
            with open(path, encoding="utf8") as file:
                return file.read()
        time.sleep(0.02)
    raise AssertionError(path + " never came")


def gone(pid, within=30):
    """True once no process of that number runs any more (a zombie does not)."""
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf8") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


class ExecCase(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.state = self.scratch.sub("state")
        self.mark = os.path.join(self.scratch.path, "mark")

    def trued(self, key, *arguments, **options):
        return run("exec", "--state-dir", self.state, "--key", key, *arguments, **options)

    def start(self, key, *arguments, **options):
        process = subprocess.Popen(
            [BINARY, "exec", "--state-dir", self.state, "--json", "--key", key, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        return process

    def marks(self):
        with open(self.mark, encoding="utf8") as file:
            return len(file.read())
