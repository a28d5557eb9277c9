"""Definitions on a running server: checked as a whole, shown, applied, and pinned by operations."""

import json
import os
import pty
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from trued_server import BINARY, Scratch, Server, audit, run, until  # noqa: E402

HEAD = """
[target.psp]
kind = "http"
base_url = "{url}"
allow_private = true
deduplicates = true
remembers = "24h"
breaker = false
"""

# `note` goes to the other side, so that the version can be told there.
CHARGE = """
[operation.charge]
identity = ["cart"]
timeout = "700ms"
deadline = "60s"
retry = {{ attempts_max = 100, first = "20ms", factor = 2, cap = "1s" }}
[operation.charge.effect]
target = "psp"
method = "POST"
path = "/v1/charges"
json = {{ amount = "${{input.amount}}", note = "{note}" }}
[operation.charge.input]
required = ["cart", "amount"]
properties = {{ cart = {{ type = "string" }}, amount = {{ type = "integer" }} }}
[[operation.charge.artifact]]
name = "charge for ${{input.cart}}"
read = {{ path = "/v1/charges?key=${{operation.identity}}" }}
expect = {{ json = {{ amount = "${{input.amount}}" }} }}
"""

PING = """
[operation.ping]
effect = { target = "psp", method = "POST", path = "/v1/pings", json = {} }
"""

TOKENS = """
[token.ops]
secret = "${env:OPS_TOKEN}"
[token.clerk]
secret = "${env:CLERK_TOKEN}"
actions = ["submit", "read", "resolve"]
[token.acme]
secret = "${env:ACME_TOKEN}"
scopes = ["acme"]
"""


class Bench:
    """A shop, a server, and files to apply."""

    def __init__(self, tokens=""):
        for name in ("ops", "clerk", "acme"):
            os.environ[name.upper() + "_TOKEN"] = name + "-token-0123456789"
        self.scratch = Scratch().__enter__()
        self.shop = shops.Shop(True)
        self.state = self.scratch.sub("state")
        self.tokens = tokens
        self.base = self.file("base.toml", charge=None)
        self.server = self.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.shop.__exit__()
        self.scratch.__exit__()

    def file(self, name, charge="one", more=""):
        path = os.path.join(self.scratch.path, name)
        text = self.tokens + HEAD.format(url=self.shop.url)
        text += CHARGE.format(note=charge) if charge else ""
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + more)
        return path

    def start(self, path=None):
        return Server(self.state, options=["--config", path or self.base])

    def trued(self, *arguments, token="", stdin=subprocess.DEVNULL):
        environment = {**os.environ, "TRUED_SERVER": self.server.url, "TRUED_TOKEN": token}
        return run(*arguments, env=environment, stdin=stdin)

    def apply(self, path, *options, token=""):
        done = self.trued("apply", path, "--json", *options, token=token)
        return done.returncode, json.loads(done.stdout or "{}")

    def submit(self, cart, wait=20, **more):
        body = {"type": "charge", "input": {"cart": cart, "amount": 5}, **more}
        return self.server.request("POST", "/v1/operations", body, {"Prefer": f"wait={wait}"})

    def settled(self, receipt):
        return self.server.request("GET", f"/v1/operations/{receipt['id']}?wait=30")[2]

    def notes(self, cart_count=None):
        """What the executions say of the version, in order."""
        return [body.get("note") for _, body, _ in self.shop.executions()][:cart_count]

    def current(self, name="charge"):
        listed = self.server.request("GET", "/v1/definitions")[2]["definitions"]
        return {each["name"]: each["version"] for each in listed}.get(name)


class Check(unittest.TestCase):
    def check(self, text):
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "t.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            talk = run("check", path)
            done = run("check", path, "--json")
            self.assertEqual(talk.returncode, done.returncode)
            report = json.loads(done.stdout)
            for fault in report.get("faults", []):
                place = f"{path}:{fault['line']}:{fault['column']}: {fault['message']}"
                self.assertIn(place, talk.stdout + talk.stderr)
            return done.returncode, report

    def test_T11_a_sound_file_is_sound(self):
        code, report = self.check(HEAD.format(url="https://psp.example") + CHARGE.format(note="1"))
        self.assertEqual((code, report["ok"]), (0, True), report)

    def test_T11_every_fault_at_its_place_and_what_it_resembles(self):
        text = HEAD.format(url="https://psp.example") + CHARGE.format(note="1")
        for right, wrong in (('target = "psp"', 'target = "spp"'),
                             ('amount = "${input.amount}"', 'amount = "${input.amuont}"'),
                             ('deadline = "60s"', 'deadlin = "60s"'),
                             ('factor = 2', 'factor = 200'),
                             ('required = ["cart", "amount"]', 'required = ["crat", "amount"]')):
            self.assertIn(right, text)
            text = text.replace(right, wrong, 1)
        code, report = self.check(text)
        self.assertEqual((code, report["ok"]), (78, False))
        lines = text.splitlines()
        found = {}
        for fault in report["faults"]:
            # The place is where the fault stands, not where the table begins.
            found[lines[fault["line"] - 1][fault["column"] - 1:][:24]] = fault["message"]
        told = json.dumps(found, indent=1)
        for what, resembles in (("deadlin", "did you mean 'deadline'"),
                                ("crat", "did you mean 'cart'")):
            self.assertTrue(any(what in message and resembles in message
                                for message in found.values()), told)
        self.assertTrue(any("retry.factor" in message for message in found.values()), told)
        for message in found.values():
            self.assertTrue(message.startswith("operation.charge"), message)

    def test_T11_faults_among_definitions_and_targets(self):
        text = HEAD.format(url="https://psp.example") + CHARGE.format(note="1")
        text = text.replace('target = "psp"', 'target = "spp"', 1)
        text += '[operation.charge.compensate]\noperation = "refnd"\ninput = {}\n' + \
            PING.replace("ping]", "refund]") + PING.replace("json =", "jso =")
        # What is unsound by itself does not hide what is wrong between others.
        for more in ("", PING.replace("ping", "pong").replace("effect", "efect")):
            code, report = self.check(text + more)
            self.assertEqual(code, 78, report)
            told = [fault["message"] for fault in report["faults"]]
            for what in ("'spp'; did you mean 'psp'?", "did you mean 'json'?",
                         "did you mean 'refund'?", "did you mean 'effect'?" if more else ""):
                self.assertTrue(any(what in message for message in told), (what, told))


class Apply(unittest.TestCase):
    def test_T13_the_difference_first_and_nothing_unless_agreed(self):
        with Bench() as bench:
            one = bench.file("one.toml")
            look = bench.trued("apply", one, "--dry-run")
            self.assertEqual((look.returncode, look.stdout), (0, "+ charge@1 (new)\n"))
            self.assertIsNone(bench.current())
            # Without a terminal nobody can agree.
            for options in ([], ["--json"]):
                done = bench.trued("apply", one, *options)
                self.assertEqual(done.returncode, 64, done.stdout)
                self.assertIn("--yes", done.stdout + done.stderr)
            self.assertIsNone(bench.current())
            done = bench.trued("apply", one, "--yes")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^\+ charge@1 \(new\)\ncharge@1 confirmed \(op_\w+\)\n$")
            self.assertEqual(bench.current(), 1)
            done = bench.trued("apply", one, "--yes")
            self.assertEqual((done.returncode, done.stdout), (0, "  charge@1 (same)\n"))
            self.assertIn("nothing to apply", done.stderr)
            two = bench.trued("apply", bench.file("two.toml", "two", PING), "--dry-run").stdout
            self.assertIn("~ charge@1 -> charge@2\n", two)
            self.assertIn("effect.json.note: \"one\" -> \"two\"", two)
            self.assertIn("+ ping@1 (new)\n", two)

    def test_T13_at_a_terminal_one_is_asked(self):
        with Bench() as bench:
            one = bench.file("one.toml")
            for answer, version in (("n", None), ("", None), ("y", 1)):
                ours, theirs = pty.openpty()
                environment = {**os.environ, "TRUED_SERVER": bench.server.url}
                process = subprocess.Popen([BINARY, "apply", one], stdin=theirs, text=True,
                                           env=environment, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
                os.close(theirs)
                os.write(ours, (answer + "\n").encode())
                _, talk = process.communicate(timeout=60)
                os.close(ours)
                self.assertIn("Apply? [y/N]", talk)
                self.assertEqual(process.returncode, 0 if version else 64, talk)
                self.assertEqual(bench.current(), version)

    def test_T11_what_is_unsound_here_is_shown_at_its_place_and_nothing_is_applied(self):
        with Bench() as bench:
            # The file is sound by itself; the server does not have that target.
            mail = ('\n[target.mail]\nkind = "http"\nbase_url = "https://mail.example"\n'
                    '[operation.mail]\neffect = { target = "mail", method = "POST", path = "/" }\n')
            path = bench.file("more.toml", "one", mail)
            self.assertEqual(run("check", path).returncode, 0)
            done = bench.trued("apply", path, "--yes")
            self.assertEqual(done.returncode, 65, done.stderr)
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            at = next(i for i, line in enumerate(lines, 1) if 'target = "mail"' in line)
            self.assertRegex(done.stderr, rf"more\.toml:{at}:\d+: operation\.mail\.effect\.target: "
                                          r"there is no target 'mail'; known here: psp")
            self.assertIn("Nothing was applied", done.stderr)
            self.assertIsNone(bench.current(), "not the sound one either")
            # One that is unsound by itself is not even sent.
            path = bench.file("bad.toml", "one", PING.replace("method", "methd"))
            done = bench.trued("apply", path, "--yes")
            self.assertEqual(done.returncode, 78)
            self.assertIn("nothing was sent", done.stderr)

    def test_T13_of_those_who_apply_at_once_one_does(self):
        with Bench() as bench:
            files = [bench.file(f"{i}.toml", f"note {i}") for i in range(6)]
            answers = [None] * len(files)

            def one(i):
                answers[i] = bench.apply(files[i], "--yes")

            threads = [threading.Thread(target=one, args=(i,)) for i in range(len(files))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            versions = bench.server.request("GET", "/v1/definitions/charge")[2]["versions"]
            done = [body for code, body in answers if code == 0]
            lost = [body for code, body in answers if code != 0]
            # Who looked after another had applied saw that, and applied over it knowingly.
            self.assertEqual(len(done), len(versions))
            numbers = sorted(body["definitions"][0]["to"] for body in done)
            self.assertEqual(numbers, list(range(1, len(done) + 1)))
            for body in lost:
                self.assertIn("definitions-changed", json.dumps(body))

    def test_T13_what_is_retired_begins_nothing_and_finishes_what_began(self):
        with Bench() as bench:
            bench.apply(bench.file("one.toml", "one", PING), "--yes")
            bench.shop.always = "503"
            waits = bench.submit("a", wait=0)[2]
            only_ping = bench.file("ping.toml", None, PING)
            code, body = bench.apply(only_ping, "--yes")
            self.assertEqual({each["name"]: each["change"] for each in body["definitions"]},
                             {"charge": "kept", "ping": "same"})
            code, body = bench.apply(only_ping, "--yes", "--prune")
            self.assertEqual((code, body["confirmed"]), (0, True))
            status, _, problem = bench.submit("b")
            self.assertEqual((status, problem["type"]), (404, "urn:trued:problem:no-such-type"))
            bench.shop.always = None
            self.assertEqual(bench.settled(waits)["status"], "confirmed")
            self.assertEqual(bench.notes(), ["one"])
            shown = bench.trued("definitions", "charge").stdout
            self.assertIn("charge@2 retired", shown)
            # A repeat is still known for what it is.
            self.assertEqual(bench.trued("definitions").stdout.count("charge"), 0)
            code, body = bench.apply(bench.file("back.toml", "back", PING), "--yes")
            self.assertEqual(bench.current(), 3)
            self.assertEqual(bench.submit("c")[2]["definition"], "charge@3")

    def test_S2_applying_takes_its_own_right(self):
        with Bench(tokens=TOKENS) as bench:
            one = bench.file("one.toml")
            for token in ("clerk-token-0123456789", "acme-token-0123456789"):
                code, body = bench.apply(one, "--yes", token=token)
                self.assertEqual(code, 77, body)
            code, _ = bench.apply(one, "--yes", token="ops-token-0123456789")
            self.assertEqual(code, 0)
            listed = json.loads(bench.trued("definitions", "--json",
                                            token="clerk-token-0123456789").stdout)
            self.assertEqual(listed["definitions"][0]["applied_by"], "ops")
            # Nobody gets round it by submitting the operation that applies.
            status, _, body = bench.server.request(
                "POST", "/v1/operations",
                {"type": "definition", "key": "charge@2", "scope": "trued",
                 "input": {"name": "charge", "definition": None}},
                {"Authorization": "Bearer clerk-token-0123456789"})
            self.assertEqual(status, 404, body)
            status, _, body = bench.server.request(
                "POST", "/v1/operations",
                {"type": "write", "key": "charge@2", "scope": "trued",
                 "input": {"target": "trued.definitions",
                           "artifacts": [{"path": "charge", "absent": True}]}},
                {"Authorization": "Bearer clerk-token-0123456789"})
            self.assertIn(status, (403, 404, 422), body)
            self.assertIsNotNone(bench.server.request(
                "GET", "/v1/definitions",
                headers={"Authorization": "Bearer ops-token-0123456789"})[2]["definitions"])


class Pinned(unittest.TestCase):
    def test_T13_what_waits_goes_on_with_the_version_it_began_with(self):
        with Bench() as bench:
            bench.apply(bench.file("one.toml", "one"), "--yes")
            later = bench.submit("later", wait=0, not_before="2099-01-01T00:00:00Z",
                                 deadline="2099-01-01T00:00:30Z")[2]
            bench.shop.always = "503"
            down = bench.submit("down", wait=0)[2]
            bench.apply(bench.file("two.toml", "two"), "--yes")
            self.assertEqual(bench.submit("new", wait=0)[2]["definition"], "charge@2")
            # After a restart as well, with a file that says neither.
            bench.server.kill()
            bench.server = bench.start()
            self.assertEqual(bench.current(), 2)
            for waiting in (later, down):
                now = bench.server.request("GET", f"/v1/operations/{waiting['id']}")[2]
                self.assertEqual((now["definition"], now["status"]), ("charge@1", "pending"))
            bench.shop.always = None
            self.assertEqual(bench.settled(down)["status"], "confirmed")
            self.assertEqual(bench.submit("new")[2]["status"], "confirmed")
            self.assertEqual(sorted(bench.notes()), ["one", "two"])
            self.assertEqual(bench.server.terminate(), 0)
            self.assertIsNone(audit(bench.state).get("first"))

    def test_T13_a_servers_own_file_is_applied_when_it_starts(self):
        with Bench() as bench:
            for note, version in (("one", 1), ("one", 1), ("two", 2)):
                bench.server.kill()
                bench.server = bench.start(bench.file("own.toml", note))
                self.assertEqual(bench.current(), version)
            bench.server.kill()
            bench.server = bench.start()
            self.assertEqual(bench.current(), 2, "nothing is retired at the start")

    def test_V5_a_crash_while_applying_leaves_one_version_or_the_other(self):
        with Bench() as bench:
            bench.apply(bench.file("0.toml", "note 0"), "--yes")
            pending = "/v1/operations?type=definition&scope=trued&status=pending"
            for i in range(1, 7):
                ping = PING.replace("{} }", f"{{ i = {i} }} }}")
                path = bench.file(f"{i}.toml", f"note {i}", ping)
                applied = bench.current()
                process = subprocess.Popen(
                    [BINARY, "apply", path, "--yes", "--json"], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, env={**os.environ, "TRUED_SERVER": bench.server.url})
                # Sooner or later within the request, as it happens.
                if i % 2 == 0:
                    self.until_known(bench, f"charge@{applied + 1}")
                bench.server.kill()
                process.communicate(timeout=60)
                # Started with the very file that was being applied, as whoever edits it would.
                bench.server = bench.start(path if i % 3 == 0 else None)
                # What the crash left is finished first: who looks before that and applies after it
                # is told that the definitions have changed.
                until(lambda: not bench.server.request("GET", pending)[2]["operations"],
                      "what was being applied has settled")
                before = bench.current()
                self.assertIn(before, (applied, applied + 1))
                code, body = bench.apply(path, "--yes")
                self.assertEqual(code, 0, body)
                self.assertEqual(bench.current(), applied + 1, "once, whoever did it")
                receipt = bench.submit(f"cart-{i}")[2]
                self.assertEqual(receipt["status"], "confirmed", receipt)
                self.assertEqual(bench.notes()[-1], f"note {i}")
                versions = bench.server.request("GET", "/v1/definitions/charge")[2]["versions"]
                self.assertEqual([each["version"] for each in versions],
                                 list(range(1, len(versions) + 1)))
                self.assertEqual(versions[-1]["definition"]["effect"]["json"]["note"], f"note {i}")
            stranded = "/v1/operations?type=definition&state=needs_action"
            self.assertEqual(bench.server.request("GET", stranded)[2]["operations"], [])
            self.assertEqual(bench.server.terminate(), 0)
            self.assertIsNone(audit(bench.state).get("first"))

    def test_T13_what_nobody_looked_at_is_not_retired(self):
        with Bench() as bench:
            bench.apply(bench.file("one.toml", "one", PING), "--yes")
            pruned = {"definitions": {}, "prune": True, "expected": {"charge": 1}}
            status, _, problem = bench.server.request("POST", "/v1/definitions", pruned)
            self.assertEqual((status, problem["type"]),
                             (409, "urn:trued:problem:definitions-changed"))
            self.assertIn("'ping'", problem["detail"])
            self.assertEqual(bench.current(), 1)

    def test_S2_nothing_that_is_defined_reaches_what_is_the_programs_own(self):
        with Bench() as bench:
            for tree in ({"effect": {"target": "trued.definitions"},
                          "artifact": [{"path": "charge", "content": "x"}]},
                         {"effect": {"target": "psp", "method": "POST", "path": "/p"},
                          "artifact": [{"name": "a", "expect": {"absent": True},
                                        "read": {"target": "trued.definitions",
                                                 "path": "charge"}}]}):
                status, _, problem = bench.server.request("POST", "/v1/definitions",
                                                          {"definitions": {"evil": tree}})
                self.assertEqual((status, problem["type"]),
                                 (422, "urn:trued:problem:definition-invalid"), problem)
                self.assertIn("there is no target 'trued.definitions'", problem["detail"])
            status, _, problem = bench.server.request(
                "POST", "/v1/operations", {"type": "definition", "key": "k", "input": {}})
            self.assertEqual(status, 404)

    def until_known(self, bench, key):
        path = f"/v1/operations?key={key}&scope=trued"
        until(lambda: bench.server.request("GET", path)[2]["operations"], key + " is known")


if __name__ == "__main__":
    unittest.main(verbosity=1)
