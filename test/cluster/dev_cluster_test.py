"""./dev cluster: what it starts ends with it, whatever ends it, and what is kept goes on."""

import json
import os
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.environ.get("TRUED_SOURCE_DIR") or os.path.join(HERE, "..", ".."))
sys.path[:0] = [os.path.join(HERE, "..", "support")]
from trued_server import BINARY, Scratch, until  # noqa: E402

DEV = os.path.join(SOURCE, "dev")


class Running:
    """One that stays in the foreground."""

    def __init__(self, directory):
        self.directory = directory
        self.process = subprocess.Popen(
            [DEV, "cluster", "--json", "--keep", directory], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TRUED_BINARY": BINARY})
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ready(self):
        """Its status, when it is ready."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "ready":
                return self.events[-1]
        raise AssertionError(f"it ended: {self.events}")


def pids(status):
    return [each["pid"] for each in status["servers"] + status["nodes"]]


def alive(found):
    return [each for each in found if os.path.exists(f"/proc/{each}")]


class DevClusterTest(unittest.TestCase):
    def ask(self, directory, *words):
        done = subprocess.run([DEV, "cluster", "--json", "--keep", directory, *words],
                              capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def write(self, status, key):
        node, = (each for each in status["nodes"] if each["state"] == "acting")
        done = subprocess.run([BINARY, "write", "site", "--text", f"{key}.txt={key}", "--key", key,
                               "--server", node["url"], "--json"],
                              capture_output=True, text=True, check=False, timeout=60)
        return json.loads(done.stdout)

    def test_C6_it_takes_everything_along_and_goes_on_where_it_was(self):
        with Scratch() as scratch:
            os.chmod(scratch.path, 0o711)  # PostgreSQL is another user where we are root
            kept = os.path.join(scratch.path, "kept")
            with Running(kept) as first:
                status = first.ready()
                self.assertEqual([each["role"] for each in status["servers"]],
                                 ["primary", "standby", "standby"])
                self.assertEqual({each["sync"] for each in status["servers"][1:]}, {"quorum"})
                self.assertEqual(sorted(each["state"] for each in status["nodes"]),
                                 ["acting", "standby", "standby"])
                answer = self.write(status, "one")
                self.assertEqual((answer["status"], answer["durability"]), ("confirmed", "quorum"))
                moved = self.ask(kept, "failover")
                self.assertEqual(moved["old"], "pg1")
                another = subprocess.run([DEV, "cluster", "--keep", kept], capture_output=True,
                                         text=True, check=False, timeout=60,
                                         env={**os.environ, "TRUED_BINARY": BINARY})
                self.assertEqual(another.returncode, 69)
                self.assertIn("runs already", another.stderr)
                found = pids(self.ask(kept, "status"))
                self.assertEqual(len(alive(found)), 6)
                first.process.send_signal(signal.SIGKILL)
                until(lambda: not alive(found), lambda: f"they end: {alive(found)}")
            with Running(kept) as second:
                status = second.ready()
                primary, = (each["name"] for each in status["servers"] if each["role"] == "primary")
                self.assertEqual(primary, moved["new"])
                self.assertEqual(self.write(status, "one")["id"], answer["id"])
                self.assertTrue(self.ask(kept, "audit")["clean"])
                found = pids(status)
                self.ask(kept, "stop")
                self.assertEqual(second.process.wait(30), 0)
                self.assertEqual(alive(found), [])


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
