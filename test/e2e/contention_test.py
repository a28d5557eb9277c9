"""Many writers and an outside committer on the same paths: every write is in the history, nothing
is written twice over another's work, and every operation ends in a state that git proves."""

import os
import subprocess
import sys
import threading
import unittest
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server, audit  # noqa: E402

WRITERS = 64
PATHS = 8
OUTSIDE = 40


def git(repository, *arguments, **options):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, text=True,
                          capture_output=True, **options).stdout


class Outsider(threading.Thread):
    """Commits to the same paths by plain git, past Trued: clone, commit, push, again on a race."""

    def __init__(self, repository, work):
        super().__init__()
        self.repository, self.work, self.pushed = repository, work, []

    def run(self):
        git(self.work, "clone", "-q", self.repository, "clone")
        clone = os.path.join(self.work, "clone")
        git(clone, "config", "user.name", "Outsider")
        git(clone, "config", "user.email", "outsider@localhost")
        for number in range(OUTSIDE):
            path, content = f"shared/{number % PATHS}.txt", f"outside {number}"
            while True:
                git(clone, "fetch", "-q", "origin")
                git(clone, "checkout", "-q", "-B", "main", "origin/main")
                os.makedirs(os.path.join(clone, "shared"), exist_ok=True)
                with open(os.path.join(clone, path), "w", encoding="utf8") as file:
                    file.write(content)
                git(clone, "add", "-A")
                git(clone, "commit", "-q", "-m", f"outside {number}")
                pushed = subprocess.run(["git", "-C", clone, "push", "-q", "origin", "main"],
                                        capture_output=True, check=False)
                if pushed.returncode == 0:
                    self.pushed.append((path, content))
                    break


class ContentionTest(unittest.TestCase):
    def test_V6_every_write_is_in_the_history_and_nobody_is_overwritten_twice(self):
        with Scratch() as scratch:
            repository, state = scratch.bare_repository(), scratch.sub("state")
            receipts, lock = {}, threading.Lock()
            with Server(state, ["docs=git:" + repository]) as server:
                server.write("docs", "root", {"README.md": "root"})
                outsider = Outsider(repository, scratch.sub("outside"))

                def write(number):
                    connection = server.connect()
                    for turn in range(2):
                        key, path = f"w{number}-{turn}", f"shared/{(number + turn) % PATHS}.txt"
                        _, _, receipt = server.write("docs", key, {path: f"ours {key}"}, wait=60,
                                                     connection=connection)
                        with lock:
                            receipts[key] = (path, receipt)
                    connection.close()

                threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
                outsider.start()
                for thread in threads:
                    thread.start()
                for thread in [*threads, outsider]:
                    thread.join()
            self.check(repository, receipts, outsider, audit(state))

    def check(self, repository, receipts, outsider, report):
        self.assertTrue(report["clean"], report)
        self.assertEqual(len(outsider.pushed), OUTSIDE)
        trailers = Counter(git(repository, "log", "main",
                               "--format=%(trailers:key=Trued-Operation,valueonly)").split())
        self.assertEqual(max(trailers.values()), 1, "an operation committed twice")
        states = Counter(receipt["state"] for _, receipt in receipts.values())
        self.assertLessEqual(set(states), {"confirmed", "unchanged", "superseded", "failed"},
                             (states, [r for _, r in receipts.values()
                                       if r["state"] == "needs_action"][:1]))
        for key, (path, receipt) in receipts.items():
            landed = receipt["state"] in ("confirmed", "superseded")
            self.assertEqual(trailers[receipt["id"]], 1 if landed else 0, (key, receipt["state"]))
        log = git(repository, "log", "--format=%s", "main").splitlines()
        self.assertEqual(sum(line.startswith("outside ") for line in log), OUTSIDE)
        # Ping-pong would show as one content standing at a path in two separate periods.
        for path in {path for path, _ in receipts.values()}:
            versions = []
            for commit in git(repository, "log", "--format=%H", "main", "--", path).split():
                versions.append(git(repository, "show", f"{commit}:{path}"))
            self.assertEqual(len(versions), len(set(versions)), path)


if __name__ == "__main__":
    unittest.main(verbosity=1)
