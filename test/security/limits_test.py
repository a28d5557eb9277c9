"""S4, S6, S16: what one client can make the server spend, and how fast many are tried again."""

import json
import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import ROUTES, Caller, House, body_of, exchange, filled, resident_mib  # noqa: E402

CONFIG = """
body_bytes_max = 4194304
open_max = 500
[target.site]
kind = "file"
directory = "@/site"

[target.mailers]
kind = "worker"
retry = { attempts_max = 1 }
poison_after = 100

[operation.mail]
identity = ["to"]
effect = { target = "mailers", to = "${input.to}" }
input = { required = ["to"], properties = { to = { type = "string" } } }

[operation.pattern]
effect = { target = "mailers", text = "${input.text}" }
[operation.pattern.input]
required = ["text"]
[operation.pattern.input.properties.text]
type = "string"
pattern = '^(a+)+$'
[operation.pattern.input.properties.more]
type = "array"
items = { type = "string", pattern = '^(([a-z])+.)+[A-Z]([a-z])+$' }

[target.brief]
kind = "file"
directory = "@/brief"
effect_timeout = "300ms"
deadline = "300ms"
retention = "2s"
settle = { within = "10ms", reads_max = 1 }
unreadable = { within = "10ms", reads_max = 1 }
retry = { attempts_max = 1 }
"""

MEMORY_MAX_MIB = 350


class Limits(unittest.TestCase):
    def setUp(self):
        class Prepared(House):
            def start(self):
                self.scratch.sub("brief")
                super().start()
        self.house = Prepared(CONFIG)
        self.addCleanup(self.house.close)
        self.server = self.house.server
        self.caller = Caller(self.server)

    def assert_well(self):
        self.assertLess(resident_mib(self.server), MEMORY_MAX_MIB)
        write = {"target": "site", "artifacts": [{"path": "well", "content": "x"}]}
        self.assertEqual(self.caller.submit("write", "well", write)["status"], "confirmed")

    def test_S4_bodies_are_bounded_in_every_route(self):
        bodies = ["[" * 100_000, '{"a":' * 100_000, '{"a":[' * 50_000, '"' + "\\" * 99_999,
                  '"' + "\\u0000" * 10_000 + '"', "9" * 100_000, "1e" + "9" * 1000, "-" * 1000,
                  "{" + ",".join(f'"{i}":0' for i in range(20_000)) + "}", "\ufeff{}",
                  "[" + "[]," * 100_000 + "[]]", '{"a":1,"a":2}', " " * 100_000, "\0" * 1000]
        for route in ROUTES:
            if route.media is None:
                continue
            path = filled(route.path, "op_00000000000000000000000000")
            for body in bodies:
                status, text, _ = self.caller.ask(route.method, path, body,
                                                  {"Content-Type": route.media})
                refused = status in (400, 404, 413, 422)
                if route.name == "batch" and status == 200:
                    refused = all(json.loads(line)["status"] in (400, 413, 422)
                                  for line in text.splitlines())
                optional = route.name in ("retry", "cancel", "compensate") and not body.strip()
                self.assertTrue(refused or optional, f"{path} {body[:20]!r}: {status} {text[:200]}")
                self.assertLess(len(text), 20_000 if route.name != "batch" else 100_000)
            # Said to be too large: refused before any of it came.
            head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nContent-Type: "
                    f"{route.media}\r\nContent-Length: {65 << 20}\r\n\r\n")
            said, ended = exchange(self.server, head.encode(), 15, close=True)
            self.assertTrue(ended)
            self.assertTrue(said.startswith(b"HTTP/1.1 413"), f"{path}: {said[:200]}")
        status, text, _ = self.caller.ask("POST", "/v1/operations/batch", "{}\n" * 10_001,
                                          {"Content-Type": "application/x-ndjson"})
        self.assertEqual(status, 413, text)
        self.assert_well()

    def test_S4_heads_are_bounded(self):
        host = f"Host: 127.0.0.1:{self.server.port}\r\n"
        for name, head in {
                "many": "GET / HTTP/1.1\r\n" + host + "X: y\r\n" * 20_000 + "\r\n",
                "long": "GET / HTTP/1.1\r\n" + host + "X: " + "y" * 100_000 + "\r\n\r\n",
                "long name": "GET / HTTP/1.1\r\n" + host + "X" * 100_000 + ": y\r\n\r\n",
                "target": "GET /" + "a" * 100_000 + " HTTP/1.1\r\n" + host + "\r\n",
                "query": "GET /v1/operations?" + "a=b&" * 5_000 + " HTTP/1.1\r\n" + host + "\r\n",
                "method": "G" * 100_000 + " / HTTP/1.1\r\n" + host + "\r\n"}.items():
            said, ended = exchange(self.server, head.encode(), 15)
            self.assertTrue(ended, name)
            self.assertRegex(said[:12], rb"^(HTTP/1.1 4..)?$", name)
        # What follows a body, or stands beside the size of a piece of it, has no end either.
        head = ("POST /v1/operations HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")
        before = resident_mib(self.server)
        for name, piece in {"0\r\n": "X: y\r\n" * 10_000, "1;": "x" * 60_000}.items():
            said, ended = exchange(self.server, (head + name + piece * 500).encode(), 15)
            self.assertTrue(ended, name)
            self.assertRegex(said[:12], rb"^(HTTP/1.1 431)?$", name)
        self.assertLess(resident_mib(self.server) - before, 20)
        status, _, _ = self.caller.ask("GET", "/v1/operations?" + "&".join(
            f"key={i}" for i in range(500)))
        self.assertEqual(status, 400)
        self.assert_well()

    def test_S4_patterns_take_linear_time(self):
        for text in ("a" * 50_000 + "!", "a" * 50_000 + "\n", "a" * 50_000 + "b" * 50_000):
            status, said, _ = self.caller.ask("POST", "/v1/operations", {
                "type": "pattern", "key": "p", "input": {"text": text, "more": ["a" * 50_000]}})
            self.assertEqual(status, 422, said[:300])
            self.assertLess(len(said), 20_000)
        status, said, _ = self.caller.ask("POST", "/v1/operations", {
            "type": "pattern", "key": "p", "input": {"text": "a" * 50_000}})
        self.assertEqual(status, 202, said[:300])
        # A definition cannot bring a machine of its own either.
        for pattern in ("(a{1000}){1000}", "((a{100}){100}){100}", "(?=a)", "(a)\\1", "[",
                        "a" * 200_000):
            status, said, _ = self.caller.ask("POST", "/v1/definitions", {"definitions": {"evil": {
                "effect": {"target": "mailers"},
                "input": {"properties": {"x": {"type": "string", "pattern": pattern}}}}}})
            self.assertEqual(status, 422, f"{pattern[:30]}: {said[:300]}")
        self.assert_well()

    def test_S4_slow_and_many_clients_do_not_starve_others(self):
        crowd = []
        for i in range(300):
            one = socket.create_connection((self.server.host, self.server.port), timeout=10)
            one.sendall(b"POST /v1/operations HTTP/1.1\r\nContent-Length: 4000000\r\n"
                        if i % 2 else b"P")
            crowd.append(one)
        waiting = []
        for i in range(100):  # more waits than any pool has threads
            thread = threading.Thread(target=self.caller.ask, args=(
                "POST", "/v1/leases", {"worker": f"w{i}", "wait": 2}))
            thread.start()
            waiting.append(thread)
        for _ in range(20):
            self.assert_well()
        for thread in waiting:
            thread.join()
        for one in crowd:
            one.close()

    def test_S4_what_is_open_is_bounded(self):
        lines = "".join(json.dumps({"type": "mail", "input": {"to": f"m{i}"}}) + "\n"
                        for i in range(600))
        _, said, _ = self.caller.ask("POST", "/v1/operations/batch", lines,
                                     {"Content-Type": "application/x-ndjson"})
        statuses = [json.loads(line)["status"] for line in said.splitlines()]
        self.assertEqual((statuses.count(202), statuses.count(429)), (500, 100))
        status, text, headers = self.caller.ask("POST", "/v1/operations", {
            "type": "mail", "input": {"to": "one more"}})
        self.assertEqual(status, 429, text)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        for path, body in (("/v1/leases", {"worker": "w", "max": 10_000}),
                           ("/v1/leases", {"worker": "w", "wait": 10_000}),
                           ("/v1/leases", {"worker": "w" * 10_000}),
                           ("/v1/dead-letters/redrive", {"filter": {}, "limit": 1_000_000}),
                           ("/v1/dead-letters/redrive", {"ids": ["x"] * 100_000}),
                           ("/v1/dead-letters/redrive", {"filter": {}, "rate": 1e9})):
            status, text, _ = self.caller.ask("POST", path, body)
            self.assertEqual(status, 400, f"{body!s:.80}: {text[:200]}")
        for route in ROUTES:
            if any(each["name"] == "limit" for each in route.parameters):
                self.assertEqual(self.caller.ask("GET", route.path + "?limit=1000000000")[0], 400)

    # ---- S6: many at once ------------------------------------------------------------------------

    def lose(self, count):
        """Dead letters: leased, and refused by the worker."""
        lines = "".join(json.dumps({"type": "mail", "input": {"to": f"d{i}"}}) + "\n"
                        for i in range(count))
        self.caller.ask("POST", "/v1/operations/batch", lines,
                        {"Content-Type": "application/x-ndjson"})
        return self.finish(count, {"outcome": "rejected", "retryable": True, "reason": "down"})

    def finish(self, count, said):
        """Leases until `count` were had; completes each. How often each was handed out."""
        handed = {}
        while sum(handed.values()) < count:
            ask = {"worker": "w", "max": 100, "wait": 20}
            leases = self.caller.value("POST", "/v1/leases", ask)
            self.assertTrue(leases["leases"], "no more work came")
            for lease in leases["leases"]:
                handed[lease["id"]] = handed.get(lease["id"], 0) + 1
                self.caller.value("POST", f"/v1/leases/{lease['id']}/complete", {
                    "worker": "w", "attempt": lease["attempt"], **said})
        return handed

    def test_S6_a_redrive_keeps_its_cap_and_its_rate_and_repeats_nothing(self):
        self.lose(60)
        redrive = "/v1/dead-letters/redrive"
        looked = self.caller.value("POST", redrive, {"filter": {}, "dry_run": True, "limit": 50})
        self.assertEqual(len(looked["redriven"]), 50)
        none = self.caller.value("POST", "/v1/leases", {"worker": "w"})
        self.assertEqual(none["leases"], [], "a rehearsal set something going")
        begin = time.monotonic()
        done = self.caller.value("POST", redrive, {"filter": {}, "limit": 40, "rate": 20})
        took = time.monotonic() - begin
        self.assertEqual(len(done["redriven"]), 40)
        # 40 at 20 a second: less than 1.9 s would be faster than was asked for, on any machine.
        self.assertGreaterEqual(took, 1.9)
        # The same ones again, by query and by name, are under way and not set going twice.
        again = self.caller.value("POST", redrive, {
            "ids": [each["id"] for each in done["redriven"]]})
        self.assertEqual(again["redriven"], [])
        handed = self.finish(40, {"outcome": "acknowledged"})
        self.assertEqual(set(handed.values()), {1})
        none = self.caller.value("POST", "/v1/leases", {"worker": "w"})
        self.assertEqual(none["leases"], [], "more was set going than was asked for")
        rest = self.caller.value("GET", "/v1/dead-letters?limit=1000")
        self.assertEqual(len(rest["dead_letters"]) + len(rest["poison"]), 20)

    def test_S16_retention_bounds_what_is_kept(self):
        big = "x" * 20_000
        for i in range(50):
            write = {"target": "brief", "artifacts": [{"path": f"{i}", "content": big}]}
            self.assertIn(self.caller.submit("write", f"b{i}", write)["status"],
                          ("confirmed", "failed", "needs_action"))
        end = time.monotonic() + 60
        while self.caller.value("GET", "/v1/operations?target=brief")["operations"]:
            self.assertLess(time.monotonic(), end, "nothing is ever retired")
            threading.Event().wait(0.2)
        ledger = self.caller.value("GET", "/v1/status")["ledger"]
        self.assertEqual(ledger["tombstones"], 50)
        write = {"target": "brief", "artifacts": [{"path": "0", "content": big}]}
        status, text, _ = self.caller.ask("POST", "/v1/operations", {
            "type": "write", "key": "b0", "input": write})
        self.assertEqual(status, 409, text)
        self.assertIn("late-duplicate", text)


if __name__ == "__main__":
    unittest.main(verbosity=1)
