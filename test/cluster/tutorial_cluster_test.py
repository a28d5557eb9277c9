"""docs/tutorial-cluster.md: every command is run, and prints what is shown there."""

import os
import socket
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "e2e"),
                os.path.join(HERE, "..", "..", "tools", "cluster")]
import tutorial_test as tutorial  # noqa: E402
from ports import TRIES, in_use  # noqa: E402
from processes import lasting_port  # noqa: E402
from trued_server import BINARY, Scratch  # noqa: E402

NODES = 3


def three_in_a_row():
    """The first of three ports that are free now."""
    while True:
        first = lasting_port(set())
        try:
            for i in range(1, NODES):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", first + i))
            return first
        except OSError:
            pass


class ClusterTutorial(unittest.TestCase):
    def test_T1_T2_C6_every_command_prints_what_is_shown(self):
        tutorial.PATIENCE_S = 120  # six programs are started
        path = os.path.join(tutorial.SOURCE, "docs", "tutorial-cluster.md")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for left in reversed(range(TRIES)):
            different = self.follow(text, three_in_a_row())
            # What another test was faster to take is no fault of the tutorial.
            if left == 0 or not in_use(different):
                break
        if different:
            self.fail(different)

    def follow(self, text, first):
        """What the first command that prints something else than is shown prints; "" if none."""
        for i in range(NODES):
            text = text.replace(str(7117 + i), str(first + i))
        with Scratch() as scratch:
            os.chmod(scratch.path, 0o711)  # PostgreSQL is another user where we are root
            programs = scratch.sub("bin")
            os.symlink(BINARY, os.path.join(programs, "trued"))
            dev = os.path.join(scratch.path, "dev")
            with open(dev, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\nexec "{os.path.abspath(tutorial.SOURCE)}/dev" "$@"\n')
            os.chmod(dev, 0o755)
            shell = tutorial.Shell(scratch.path, {
                **os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TRUED_BINARY": BINARY,
                "TRUED_CLUSTER": os.path.join(scratch.path, "cluster"),
                "PATH": programs + ":" + os.environ["PATH"]})
            try:
                count = 0
                for command, expected in tutorial.commands(text):
                    seen = shell.run(command, expected)
                    if not tutorial.fits(expected, seen):
                        with open(os.path.join(scratch.path, "cluster.log"), "a+",
                                  encoding="utf-8") as file:
                            file.seek(0)
                            log = file.read()
                        return "\n".join([f"$ {command}", *seen, "--- shown:", *expected,
                                          "--- cluster.log:", log])
                    count += 1
                self.assertGreater(count, 12)
                return ""
            finally:
                # Whoever was killed takes all of the cluster along.
                shell.end()


if __name__ == "__main__":
    unittest.main(verbosity=1)
