"""`trued work`: the shell worker, with the server as it ships."""

import json
import os
import signal
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, Scratch, Server, run, until  # noqa: E402

CONFIG = """
[target.mailers]
kind = "worker"
lease = "1s"
retry = { attempts_max = 1 }

[operation.send-mail]
identity = ["to"]
effect = { target = "mailers", to = "${input.to}" }
input = { required = ["to"], properties = { to = { type = "string" } } }
"""


class Work(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.addCleanup(self.scratch.__exit__)
        config = os.path.join(self.scratch.path, "trued.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        self.server = Server(self.scratch.sub("state"), options=["--config", config])
        self.addCleanup(self.server.kill)

    def script(self, text):
        path = os.path.join(self.scratch.path, "command.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return path

    def file(self, name):
        return os.path.join(self.scratch.path, name)

    def submit(self, to):
        return self.server.request("POST", "/v1/operations",
                                   {"type": "send-mail", "input": {"to": to}})[2]["id"]

    def state(self, operation):
        return self.server.request("GET", "/v1/operations/" + operation)[2]

    def arguments(self, *more):
        return ["work", "mailers", "--json", "--server", self.server.url, "--name", "sh", *more]

    def once(self, command):
        done = run(*self.arguments("--once", "--", command))
        return done.returncode, json.loads(done.stdout)

    def test_T9_the_exit_code_says_what_came_of_it(self):
        for code, outcome, exit_code, state in [
                (0, "acknowledged", 0, "acknowledged"), (75, "rejected", 75, "failed"),
                (1, "unknown", 75, "needs_action")]:
            with self.subTest(code=code):
                operation = self.submit(f"exit-{code}")
                got, line = self.once(self.script(f"echo why >&2; exit {code}"))
                self.assertEqual((got, line["said"]["outcome"]), (exit_code, outcome), line)
                self.assertEqual(line["id"], operation)
                self.assertTrue(line["answer"]["counted"])
                self.assertEqual(self.state(operation)["state"], state)
                if code:
                    self.assertIn("why", line["said"]["reason"])

    def test_T9_it_gets_the_payload_and_who_it_is_for(self):
        operation = self.submit("ada")
        got, line = self.once(self.script(
            f'cat > {self.file("in")}; echo "{{\\"a\\":\\"$TRUED_ATTEMPT\\",'
            '\\"i\\":\\"$TRUED_IDENTITY\\",\\"o\\":\\"$TRUED_OPERATION_ID\\",'
            '\\"t\\":\\"$TRACEPARENT\\",\\"token\\":\\"$TRUED_TOKEN\\"}"'))
        self.assertEqual(got, 0, line)
        with open(self.file("in"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"to": "ada"})
        result = line["said"]["result"]
        self.assertEqual((result["a"], result["o"], result["token"]), ("1", operation, ""))
        self.assertRegex(result["i"], "^[0-9a-f]{32}$")
        self.assertEqual(result["t"].split("-")[1], result["i"])
        self.assertEqual(self.state(operation)["result"], result)

    def begin(self, command, *more):
        process = subprocess.Popen([BINARY, *self.arguments(*more, "--", command)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_T9_heartbeats_go_on_while_the_command_runs_and_a_stop_lets_it_finish(self):
        os.mkfifo(self.file("gate"))
        operation = self.submit("ada")
        process = self.begin(self.script(f'touch {self.file("begun")}; cat {self.file("gate")}'))
        until(lambda: os.path.exists(self.file("begun")), "the command runs")
        path = f"/v1/operations/{operation}/events"
        until(lambda: sum(1 for event in self.server.request("GET", path)[2]["events"]
                          if event.get("due_for") == "report") > 3, "heartbeats")
        process.send_signal(signal.SIGTERM)
        with open(self.file("gate"), "w", encoding="utf-8") as gate:
            gate.write("done")
        line = json.loads(process.stdout.readline())
        self.assertEqual(line["said"], {"attempt": 1, "outcome": "acknowledged",
                                        "result": {"stdout": "done"}})
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(self.state(operation)["state"], "acknowledged")

    def test_T9_a_command_whose_lease_is_lost_is_ended(self):
        os.mkfifo(self.file("gate"))
        operation = self.submit("ada")
        process = self.begin(self.script(f'echo $$ > {self.file("pid")}; cat {self.file("gate")}'))
        until(lambda: os.path.exists(self.file("pid")) and os.path.getsize(self.file("pid")),
              "the command runs")
        process.send_signal(signal.SIGSTOP)
        until(lambda: self.state(operation)["state"] == "needs_action", "the lease ran out")
        process.send_signal(signal.SIGCONT)
        line = json.loads(process.stdout.readline())
        self.assertEqual(line["said"]["outcome"], "unknown")
        self.assertIn("the lease was lost", line["said"]["reason"])
        with open(self.file("pid"), encoding="utf-8") as file:
            self.assertFalse(os.path.exists(f"/proc/{file.read().strip()}"))
        # It goes on with the next.
        other = self.submit("grace")
        until(lambda: self.state(other)["attempts"] == 1, "it asks again")

    def test_T9_once_fails_where_the_command_ended_well_and_the_lease_was_lost(self):
        operation = self.submit("ada")
        command = self.script("trap 'exit 0' TERM\n"
                              f'sleep 1000 & echo $$ > {self.file("pid")}; wait')
        process = self.begin(command, "--once")
        until(lambda: os.path.exists(self.file("pid")) and os.path.getsize(self.file("pid")),
              "the command runs")
        process.send_signal(signal.SIGSTOP)
        until(lambda: self.state(operation)["state"] == "needs_action", "the lease ran out")
        process.send_signal(signal.SIGCONT)
        line = json.loads(process.stdout.readline())
        self.assertEqual(line["said"]["outcome"], "acknowledged", line)
        self.assertFalse(line["answer"]["counted"])
        self.assertEqual(process.wait(30), 75)
        self.assertIn("did not count", process.stderr.read())
        self.assertEqual(self.state(operation)["state"], "needs_action")

    def test_T9_a_second_signal_ends_the_command_and_says_so(self):
        os.mkfifo(self.file("gate"))
        operation = self.submit("ada")
        process = self.begin(self.script(f'touch {self.file("begun")}; cat {self.file("gate")}'))
        until(lambda: os.path.exists(self.file("begun")), "the command runs")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        line = json.loads(process.stdout.readline())
        self.assertEqual(line["said"]["outcome"], "unknown")
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(self.state(operation)["state"], "needs_action")

    def test_T10_what_is_wrong_is_said(self):
        done = run("work", "mailers", "--server", self.server.url)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--", done.stderr)
        done = run("work", "nobody", "--server", self.server.url, "--", "true")
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("there is no target 'nobody'", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
