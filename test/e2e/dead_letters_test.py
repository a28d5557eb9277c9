"""Dead letters and the worklist, with the server as it ships: nothing lost, nothing done twice."""

import json
import os
import re
import subprocess
import sys
import unittest

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stale_serving  # noqa: E402
from trued_server import Scratch, Server, audit, run  # noqa: E402

SOURCE = os.environ.get("TRUED_SOURCE_DIR",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

CONFIG = """
[target.docs]
kind = "git"
repository = "{repository}"
retry = {{ attempts_max = 2, first = "1ms", factor = 2, cap = "2ms" }}
breaker = false
limits = {{ concurrency = 1 }}
owner = "content team"
decide_within = "1ms"

[target.site]
kind = "file"
directory = "{site}"
retry = {{ attempts_max = 1 }}
settle = {{ within = "100ms", reads_max = 2 }}

[target.site.serving]
kind = "http"
url = "http://127.0.0.1:{port}/${{artifact.path}}"
settle = {{ within = "100ms", reads_max = 2 }}
"""


class DeadLettersTest(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.serving = stale_serving.serve(self.addCleanup)
        self.repository = self.scratch.bare_repository()
        self.config = os.path.join(self.scratch.path, "trued.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(repository=self.repository, site=self.scratch.sub("site"),
                                     port=self.serving))
        # What a pusher leaves behind that died while it moved the branch.
        self.lock = os.path.join(self.repository, "refs", "heads", "main.lock")
        self.server = self.start()
        first = self.server.write("docs", "first", {"first.md": "1"})[2]
        self.assertEqual(first["status"], "confirmed", first)

    def start(self):
        server = Server(self.scratch.sub("state"), options=["--config", self.config])
        self.addCleanup(server.kill)
        return server

    def break_target(self):
        with open(self.lock, "w", encoding="utf-8"):
            pass

    def mend_target(self):
        os.unlink(self.lock)

    def trued(self, *arguments):
        return run(*arguments, "--server", self.server.url)

    def redrive(self, *arguments):
        done = self.trued("dead-letters", "redrive", *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return ([each for answer in answers for each in answer["redriven"]],
                [each for answer in answers for each in answer["left"]])

    def letters(self, query=""):
        status, _, page = self.server.request("GET", "/v1/dead-letters" + query)
        self.assertEqual(status, 200, page)
        return page

    def settled(self, identity):
        return self.server.request("GET", f"/v1/operations/{identity}?wait=30")[2]

    def commits(self):
        """The paths of each commit, oldest first."""
        log = subprocess.run(["git", "-C", self.repository, "log", "--reverse", "--format=%x00",
                              "--name-only", "main"], check=True, capture_output=True,
                             text=True).stdout
        return [tuple(commit.split()) for commit in log.split("\0")[1:]]

    def lose(self, *keys):
        """Submits writes that end as dead letters; their ids."""
        ids = []
        for key in keys:
            receipt = self.server.write("docs", key, {key + ".md": key})[2]
            self.assertEqual((receipt["status"], receipt["cause"]),
                             ("failed", "attempts_exhausted"), receipt)
            ids.append(receipt["id"])
        return ids

    def test_T8_what_a_broken_target_lost_is_redriven_in_order_and_once(self):
        self.break_target()
        names = ["d", "b", "c", "a"]
        ids = self.lose(*names)
        page = self.letters("?target=docs&cause=attempts_exhausted")
        self.assertEqual([each["operation"]["id"] for each in page["dead_letters"]], ids)
        self.assertEqual(self.letters("?older_than=1h")["dead_letters"], [])
        # A rehearsal changes nothing.
        redriven, left = self.redrive("--target", "docs", "--dry-run")
        self.assertEqual([each["id"] for each in redriven], ids)
        self.assertEqual(left, [])
        self.assertEqual(self.settled(ids[0])["status"], "failed")
        self.mend_target()
        redriven, left = self.redrive("--target", "docs", "--who", "ada", "--why", "mended")
        self.assertEqual([each["id"] for each in redriven], ids)
        for identity, name in zip(ids, names):
            receipt = self.settled(identity)
            self.assertEqual((receipt["status"], receipt["key"]), ("confirmed", name), receipt)
        self.assertEqual(self.commits(), [("first.md",)] + [(name + ".md",) for name in names])
        # The identity is the one it had: a repeat meets what was redriven.
        again = self.server.write("docs", "d", {"d.md": "d"})[2]
        self.assertEqual((again["decision"], again["id"]), ("duplicate", ids[0]))
        self.assertEqual(self.letters()["dead_letters"], [])
        self.assertEqual(self.redrive("--all"), ([], []))
        log = self.server.request("GET", f"/v1/operations/{ids[0]}/events")[2]["events"]
        acted = [each for each in log if each["event"] == "person_acted"]
        self.assertEqual([(each["who"], each["why"]) for each in acted], [("ada", "mended")])

    def test_T6_T8_a_server_that_dies_after_the_answer_has_lost_nothing(self):
        self.break_target()
        names = [f"n{i}" for i in range(8)]
        ids = self.lose(*names)
        self.mend_target()
        redriven, _ = self.redrive("--all")
        self.server.kill()
        self.assertEqual([each["id"] for each in redriven], ids)
        self.server = self.start()
        for identity in ids:
            self.assertEqual(self.settled(identity)["status"], "confirmed")
        self.assertEqual(sorted(self.commits()),
                         sorted([("first.md",)] + [(name + ".md",) for name in names]))
        self.server.terminate()
        self.assertIsNone(audit(self.scratch.sub("state")).get("first"))

    def test_T8_poison_is_set_apart(self):
        self.break_target()
        poison, other = self.lose("poison", "other")
        for _ in range(2):
            redriven, _ = self.redrive(poison)
            self.assertEqual([each["id"] for each in redriven], [poison])
            self.assertEqual(self.settled(poison)["status"], "failed")
        page = self.letters()
        self.assertEqual([each["operation"]["id"] for each in page["poison"]], [poison])
        self.assertEqual(page["poison"][0]["endings"], 3)
        self.assertEqual([each["operation"]["id"] for each in page["dead_letters"]], [other])
        shown = self.trued("dead-letters").stdout
        self.assertLess(shown.index(other), shown.index(poison), "apart, at the end")
        self.assertIn("POISON", shown)
        self.mend_target()
        redriven, left = self.redrive("--all")
        self.assertEqual([each["id"] for each in redriven], [other])
        self.assertEqual([(each["id"], each["code"]) for each in left], [(poison, "poison")])
        self.assertEqual(self.settled(other)["status"], "confirmed")
        self.assertEqual(self.settled(poison)["status"], "failed")
        redriven, _ = self.redrive("--all", "--poison")
        self.assertEqual([each["id"] for each in redriven], [poison])
        self.assertEqual(self.settled(poison)["status"], "confirmed")
        self.assertEqual(self.commits(), [("first.md",), ("other.md",), ("poison.md",)])

    def test_T8_many_are_redriven_page_by_page_at_a_rate(self):
        self.break_target()
        ids = self.lose(*(f"m{i}" for i in range(12)))
        self.mend_target()
        done = self.trued("dead-letters", "redrive", "--all", "--limit", "5", "--rate", "100")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("5 redriven, 0 left", done.stderr)
        cursor = re.search(r"more: --cursor (\d+)", done.stderr).group(1)
        redriven, _ = self.redrive("--all", "--cursor", cursor, "--rate", "1000")
        self.assertEqual([each["id"] for each in redriven], ids[5:])
        for identity in ids:
            self.assertEqual(self.settled(identity)["status"], "confirmed")
        self.assertEqual(len(self.commits()), 13)

    def test_T8_the_worklist_says_what_to_do_and_it_can_be_done(self):
        lied = self.server.write("site", "page", {"p": "news"})[2]
        self.assertEqual((lied["status"], lied["cause"]), ("needs_action", "mismatch"), lied)
        shown = self.trued("worklist").stdout
        for part in (lied["id"], "mismatch since", "operators decides by", "attempt 1 at",
                     "acknowledged", f"trued op resolve {lied['id']} it_happened"):
            self.assertIn(part, shown)
        work = json.loads(self.trued("worklist", "--json").stdout)["worklist"]
        self.assertEqual([each["operation"]["id"] for each in work], [lied["id"]])
        self.assertEqual([choice["choice"] for choice in work[0]["choices"]],
                         ["it_happened", "it_did_not", "retry"])
        self.assertFalse(work[0]["overdue"])
        self.assertEqual(self.trued("worklist", "--overdue").stdout, "")
        request = work[0]["choices"][0]["request"]
        status, _, receipt = self.server.request(
            request["method"], request["path"], {**request["body"], "who": "ada", "why": "seen"})
        self.assertEqual((status, receipt["status"]), (200, "unverified"), receipt)
        self.assertEqual(self.trued("worklist").stdout, "")

    def test_the_command_line_asks_which(self):
        for code, arguments in (
                (64, ["dead-letters", "redrive"]),
                (64, ["dead-letters", "redrive", "op_x", "--target", "docs"]),
                (64, ["dead-letters", "redrive", "--all", "--rate", "0"]),
                (64, ["dead-letters", "--cause", "rejected"]),
                (64, ["dead-letters", "--older-than", "soon"]),
                (64, ["dead-letters", "lost"]),
                (65, ["dead-letters", "--cursor", "x"]),
                (0, ["dead-letters", "list"]),
                (0, ["dead-letters", "redrive", "--all"]),
                (65, ["dead-letters", "redrive", "op_nobody", "--dry-run"]),
                (65, ["dead-letters", "redrive", "op_nobody"])):
            done = self.trued(*arguments)
            self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        self.assertIn("no-such-operation", done.stdout)

    def test_T8_the_backlog_is_measured_and_every_alert_looks_at_what_there_is(self):
        self.break_target()
        self.lose("a", "b")
        text = self.server.request("GET", "/metrics")[2].decode()
        self.assertIn('trued_dead_letters{target="docs",cause="attempts_exhausted"} 2', text)
        self.assertIn('trued_worklist{target="docs",owner="content team"} 0', text)
        there = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
        labels = {name: set(re.findall(r"(\w+)=", found)) for name, found in
                  re.findall(r"^(\w+)\{([^}]*)\}", text, re.MULTILINE)}
        with open(os.path.join(SOURCE, "docs", "alerts.yaml"), encoding="utf-8") as file:
            groups = yaml.safe_load(file)["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertGreater(len(rules), 5)
        for rule in rules:
            named = set(re.findall(r"\btrued_\w+", rule["expr"]))
            self.assertTrue(named, rule)
            self.assertLessEqual(named, there, rule["alert"])
            for by in re.findall(r"by \(([^)]*)\)", rule["expr"]):
                wanted = set(by.replace(",", " ").split())
                for name in named:
                    self.assertLessEqual(wanted, labels.get(name, set()), rule["alert"])
            self.assertTrue(rule["annotations"]["summary"] and rule["annotations"]["action"])
        with open(os.path.join(SOURCE, "docs", "dead-letters.md"), encoding="utf-8") as file:
            self.assertLessEqual(set(re.findall(r"`(trued_\w+)`", file.read())), there)


if __name__ == "__main__":
    unittest.main()
