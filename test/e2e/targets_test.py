"""What a target is and who else writes to it, with the server as it ships."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stale_serving  # noqa: E402
from trued_server import Scratch, Server, run  # noqa: E402

CONFIG = """
[target.docs]
kind = "git"
repository = "{repository}"
retry = {{ attempts_max = 1, first = "10ms", factor = 2, cap = "20ms" }}

[target.docs.serving]
kind = "http"
url = "http://127.0.0.1:{port}/${{artifact.path}}"
settle = {{ within = "100ms", reads_max = 2 }}
"""


def git(directory, *arguments):
    identity = ["-c", "user.name=outside", "-c", "user.email=o@example.org"]
    return subprocess.run(["git", "-C", directory, *identity, *arguments], check=True,
                          capture_output=True, text=True).stdout


class TargetsTest(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.serving = stale_serving.serve(self.addCleanup)

    def server(self, repository):
        config = os.path.join(self.scratch.path, "trued.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(repository=repository, port=self.serving))
        server = Server(self.scratch.sub("state"), options=["--config", config])
        self.addCleanup(server.kill)
        return server

    def settled(self, server, path):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            receipt = server.request("GET", path)[2]
            if receipt["status"] != "pending":
                return receipt
            time.sleep(0.05)
        self.fail("not settled: " + str(receipt))

    def outside_push(self, repository, content):
        clone = os.path.join(self.scratch.path, "clone")
        subprocess.run(["git", "clone", "-q", repository, clone], check=True)
        with open(os.path.join(clone, "p"), "w", encoding="utf-8") as file:
            file.write(content)
        git(clone, "add", "p")
        git(clone, "commit", "-qm", "outside")
        git(clone, "push", "-q", "origin", "HEAD")

    def retry_over_outside(self, seeded):
        repository = self.scratch.bare_repository()
        if seeded:
            tree = git(repository, "write-tree").strip()
            commit = git(repository, "commit-tree", "-m", "seed", tree).strip()
            git(repository, "update-ref", "refs/heads/main", commit)
        server = self.server(repository)
        receipt = server.write("docs", "k", {"p": "OLD"})[2]
        self.assertEqual(receipt["status"], "needs_action", receipt)
        self.outside_push(repository, "OUTSIDE")
        path = "/v1/operations/" + receipt["id"]
        self.assertEqual(server.request("POST", path + "/retry", {"who": "test"})[0], 200)
        receipt = self.settled(server, path)
        self.assertEqual(git(repository, "show", "main:p"), "OUTSIDE")
        self.assertEqual(receipt["status"], "superseded", receipt)

    def test_V6_a_retry_never_overwrites_who_came_after_the_first_commit_of_all(self):
        self.retry_over_outside(seeded=False)

    def test_V6_a_retry_never_overwrites_who_came_after(self):
        self.retry_over_outside(seeded=True)

    def test_V6_a_checked_out_branch_is_refused_at_start(self):
        tree = self.scratch.sub("tree")
        subprocess.run(["git", "init", "-q", "-b", "main", tree], check=True)
        done = run("serve", "--listen", "127.0.0.1:0", "--state-dir", self.scratch.sub("state"),
                   "--target", "docs=git:" + tree)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("receive.denyCurrentBranch", done.stderr)

    def test_V6_what_cannot_exist_together_is_refused_before_it_is_accepted(self):
        server = self.server(self.scratch.bare_repository())
        status, _, problem = server.write("docs", "k", {"x/y": "1", "z": "2", "x": "3"})
        self.assertEqual((status, problem["type"]), (422, "urn:trued:problem:input-invalid"))
        self.assertEqual(problem["pointer"], "/input/artifacts/2/path")
        self.assertIn("'x' cannot be a file and hold 'x/y'", problem["detail"])


if __name__ == "__main__":
    unittest.main()
