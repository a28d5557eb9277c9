"""Commands as effects, through the real server: off until allowed, judged by what they leave."""

import json
import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server, audit, run, until  # noqa: E402

# What it does depends on the file `plan`; every execution is a line in `executions`.
CHARGE = """#!/bin/sh
read -r plan < plan
case $plan in
  refuse) echo 'no such account' >&2; exit 3 ;;
  later) echo fine > plan; exit 75 ;;
  die_before) echo fine > plan; kill -9 $$ ;;
  hang) echo $$ > pid; sleep 1000 & echo $! > below; wait ;;
esac
echo "$TRUED_IDENTITY" >> executions
cat > "charge-$1"
test "$plan" = die_after && kill -9 $$
printf '{"id": "ch-%s", "attempt": %s}' "$1" "$TRUED_ATTEMPT"
"""
LOOK = """#!/bin/sh
test -e "charge-$1" || exit 4
cat "charge-$1"
"""
CONFIG = """
drain_grace = "200ms"
[target.bank]
kind = "exec"
commands = ["charge", "look"]
path = ["@/bin", "/usr/bin", "/bin"]
directory = "@/work"
exit = { rejected = [3] }
settle = { within = "100ms", reads_max = 2, first = "10ms", cap = "50ms" }
retry = { attempts_max = 5, first = "10ms", factor = 2, cap = "100ms" }

[operation.charge]
identity = ["cart"]
[operation.charge.effect]
target = "bank"
argv = ["charge", "${input.cart}"]
stdin = { json = { amount = "${input.amount}" } }
[operation.charge.input]
required = ["cart", "amount"]
properties = { cart = { type = "string" }, amount = { type = "integer" } }
[[operation.charge.artifact]]
name = "charge of ${input.cart}"
read = { argv = ["look", "${input.cart}"] }
expect = { json = { amount = "${input.amount}" } }
[operation.charge.probe]
read = { argv = ["look", "${input.cart}"] }
happened = { json = { amount = "${input.amount}" } }
did_not = { absent = true }
"""


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class ExecTarget(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        self.work = self.scratch.sub("work")
        self.state = self.scratch.sub("state")
        programs = self.scratch.sub("bin")
        for name, text in (("charge", CHARGE), ("look", LOOK)):
            path = os.path.join(programs, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)
        self.config = os.path.join(self.scratch.path, "trued.toml")
        self.configure("")
        self.plan("fine")

    def configure(self, top):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(top + CONFIG.replace("@", self.scratch.path))

    def plan(self, word):
        with open(os.path.join(self.work, "plan"), "w", encoding="utf-8") as file:
            file.write(word + "\n")

    def text(self, name):
        try:
            with open(os.path.join(self.work, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def executions(self):
        return len(self.text("executions").splitlines())

    def serve(self):
        server = Server(self.state, options=["--config", self.config, "--allow-exec"])
        self.addCleanup(server.kill)
        return server

    def charge(self, server, cart, amount=5, wait=30):
        return server.request("POST", "/v1/operations",
                              {"type": "charge", "input": {"cart": cart, "amount": amount}},
                              {"Prefer": f"wait={wait}"})

    def test_V10_commands_are_off_until_the_server_allows_them(self):
        refused = run("check", self.config)
        self.assertEqual(refused.returncode, 78)
        self.assertIn("target.bank.kind: \"exec\" runs commands on this machine, which is off",
                      refused.stdout)
        served = run("serve", "--config", self.config, "--state-dir", self.state,
                     "--listen", "127.0.0.1:0")
        self.assertEqual(served.returncode, 78)
        self.assertIn("--allow-exec", served.stderr)
        allowed = run("check", self.config, "--allow-exec", "--connect", "--json")
        self.assertEqual(allowed.returncode, 0, allowed.stdout + allowed.stderr)
        self.assertEqual(json.loads(allowed.stdout)["targets"][0]["kind"], "exec")
        self.configure("allow_exec = true\n")
        self.assertEqual(run("check", self.config).returncode, 0)
        on_the_line = run("serve", "--target", "x=exec:/bin/sh", "--allow-exec")
        self.assertEqual(on_the_line.returncode, 64)
        self.assertIn("is written into a --config file", on_the_line.stderr)

    def test_V10_the_examples_of_the_reference_are_sound(self):
        page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs",
                            "exec-target.md")
        with open(page, encoding="utf-8") as file:
            blocks = re.findall(r"```toml\n(.*?)```", file.read(), re.S)
        self.assertEqual(len(blocks), 2)
        path = os.path.join(self.scratch.path, "examples.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(blocks))
        checked = run("check", path, env={**os.environ, "API_TOKEN": "token-of-16-bytes"})
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_V10_no_definition_runs_what_the_target_does_not_name(self):
        with open(self.config, "a", encoding="utf-8") as file:
            file.write('[operation.other]\nidentity = ["cart"]\n'
                       'effect = { target = "bank", argv = ["sh", "-c", "exit 0"] }\n')
        refused = run("check", self.config, "--allow-exec")
        self.assertEqual(refused.returncode, 78)
        self.assertIn("'sh' is not among the commands of the target", refused.stdout)

    def test_G1_a_command_is_confirmed_by_what_it_left(self):
        server = self.serve()
        status, _, receipt = self.charge(server, "a")
        self.assertEqual((status, receipt["state"]), (201, "confirmed"), receipt)
        self.assertEqual(json.loads(self.text("charge-a")), {"amount": 5})
        status, _, again = self.charge(server, "a")
        self.assertEqual((status, again["id"]), (200, receipt["id"]))
        self.assertEqual(self.executions(), 1)
        self.plan("refuse")
        _, _, refused = self.charge(server, "b")
        self.assertEqual(refused["state"], "failed", refused)
        self.assertIn("'charge' ended with exit code 3: no such account", refused["reason"])
        status, _, option = self.charge(server, "--help")
        self.assertEqual(status, 422, option)
        self.assertEqual(self.executions(), 1)

    def test_T2_whatever_breaks_it_is_executed_once(self):
        server = self.serve()
        for number, plan in enumerate(("later", "die_before", "die_after"), 1):
            with self.subTest(plan=plan):
                self.plan(plan)
                _, _, receipt = self.charge(server, plan)
                self.assertEqual(receipt["state"], "confirmed", receipt)
                self.assertEqual(self.executions(), number)
        self.assertEqual(server.terminate(), 0)
        self.assertIsNone(audit(self.state).get("first"))

    def test_T2_a_server_that_is_killed_takes_its_command_along_and_asks_afterwards(self):
        server = self.serve()
        self.plan("hang")
        _, _, receipt = self.charge(server, "k", wait=0)
        until(lambda: self.text("below").endswith("\n"), "the command runs")
        pid, below = int(self.text("pid")), int(self.text("below"))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        until(lambda: not lives(pid), "the command ended")
        # What the command started itself is not reached by that.
        os.kill(below, signal.SIGKILL)
        self.plan("fine")
        again = self.serve()
        _, _, now = again.request("GET", f"/v1/operations/{receipt['id']}?wait=30")
        self.assertEqual(now["state"], "confirmed", now)
        self.assertEqual(self.executions(), 1)

    def test_T1_a_server_that_stops_ends_commands_with_all_they_started(self):
        server = self.serve()
        self.plan("hang")
        self.charge(server, "s", wait=0)
        until(lambda: self.text("below").endswith("\n"), "the command runs")
        pid, below = int(self.text("pid")), int(self.text("below"))
        self.assertEqual(server.terminate(), 0)
        until(lambda: not lives(pid) and not lives(below), "both ended")


if __name__ == "__main__":
    unittest.main()
