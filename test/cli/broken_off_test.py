"""What commands say of a server that ends in between: what may have come of it, and what next."""

import http.server
import json
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, run  # noqa: E402

CLOSE = "close"     # takes the request, and closes the connection without an answer
LATE = {"attempt": 1, "counted": False, "repeated": False, "detail": "kept as evidence"}
LOST = {"type": "urn:trued:problem:lease-lost", "title": "The lease is lost", "status": 409,
        "detail": "another attempt has begun"}
LEASE = {"id": "op_01m7ybxy9ye0raexd74ghz6059", "attempt": 1, "lease_ms": 60_000, "payload": {},
         "identity": "0" * 32, "traceparent": ""}


class Scripted:
    """Answers one request after the other as planned, (status, body) or CLOSE, and then refuses
    connections. What was asked stands in `asked`."""

    def __init__(self, *plan):
        self.asked = []
        self.plan = list(plan)
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                scripted.asked.append((self.path, json.loads(body or b"null")))
                step = scripted.plan.pop(0)
                if not scripted.plan:
                    # Before the answer: whoever has it finds nobody any more.
                    scripted.server.socket.close()
                if step == CLOSE:
                    return
                status, answer = step
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, *unused):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while self.plan:
            self.server.handle_request()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.plan.clear()
        self.server.server_close()


def page(cursor):
    entry = {"id": "op_x", "target": "docs", "key": "k", "cause": "deadline"}
    left = {**entry, "code": "poison", "detail": "it ended the same"}
    return 200, {"dry_run": False, "redriven": [entry, entry], "left": [left], "cursor": cursor}


class BrokenOff(unittest.TestCase):
    def redrive(self, *plan, options=("--all",)):
        with Scripted(*plan) as server:
            done = run("dead-letters", "redrive", *options, "--server", server.url)
            return done, server.asked

    def test_T8_a_redrive_that_breaks_off_says_how_far_it_came_and_how_to_go_on(self):
        problem = {"title": "Overloaded", "status": 503, "detail": "come again"}
        for broken in ([CLOSE], [], [(503, problem)], [(502, "no server there")]):
            with self.subTest(broken=broken):
                done, asked = self.redrive(page("7"), *broken)
                self.assertEqual(done.returncode, 75, done.stderr)
                self.assertIn("2 redriven, 1 left so far; go on with --cursor 7", done.stderr)
                self.assertNotIn("Nothing was accepted", done.stderr)
                self.assertEqual([body.get("cursor") for _, body in asked],
                                 [None, "7"][:1 + len(broken)])
        done, _ = self.redrive(page("7"), options=("--all", "--json"))
        error = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((done.returncode, error["exit_code"]), (75, 75))
        self.assertIn("--cursor 7", error["error"])

    def test_T8_a_redrive_that_was_never_answered_has_no_key_to_repeat(self):
        done, _ = self.redrive(CLOSE)
        self.assertEqual(done.returncode, 75)
        self.assertIn("run it again", done.stderr)
        self.assertNotIn("key", done.stderr)

    def test_T8_what_was_named_and_is_left_is_no_success(self):
        done, _ = self.redrive(page(None), options=("op_x", "op_y", "op_z"))
        self.assertEqual(done.returncode, 65, done.stderr)
        done, _ = self.redrive(page(None))
        self.assertEqual(done.returncode, 0, "of a query, what must be left is left")

    def test_T10_only_what_has_a_key_is_repeated_under_it(self):
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "trued.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write('[target.psp]\nkind = "http"\nbase_url = "https://psp.example"\n'
                           '[operation.ping]\n'
                           'effect = { target = "psp", method = "POST", path = "/" }\n')
            plan = {"changes": True, "definitions": [{"name": "ping", "from": 0, "to": 1,
                                                      "change": "added", "differences": []}]}
            changed = "nothing; run it again"
            for steps, arguments, text in (
                    ([CLOSE], ["worklist"], changed), ([CLOSE], ["dead-letters"], changed),
                    ([CLOSE], ["op", "ls"], changed), ([CLOSE], ["op", "events", "op_x"], changed),
                    ([CLOSE], ["op", "show", "op_x"], changed),
                    ([CLOSE], ["definitions"], changed),
                    ([CLOSE], ["op", "retry", "op_x"], "trued op show op_x"),
                    ([CLOSE], ["apply", path, "--yes"], changed),
                    ([(200, plan), CLOSE], ["apply", path, "--yes"], "may have applied it"),
                    ([CLOSE], ["write", "docs", "--text", "a=1", "--key", "k"],
                     "with the same key")):
                with self.subTest(arguments=arguments), Scripted(*steps) as server:
                    done = run(*arguments, "--server", server.url)
                    self.assertEqual(done.returncode, 75, done.stderr)
                    self.assertIn(text, done.stderr)
                    self.assertEqual("same key" in done.stderr, "write" in arguments)


class WorkOnce(unittest.TestCase):
    def test_T9_once_succeeds_only_with_what_counted(self):
        for status, answer, command, code in (
                (200, {"counted": True, "detail": "it counts"}, "true", 0),
                (200, {"counted": True, "detail": "it counts"}, "false", 75),
                (200, LATE, "true", 75), (409, LOST, "true", 65),
                (403, {"title": "No", "detail": "out of scope"}, "true", 77)):
            with self.subTest(status=status, answer=answer, command=command):
                with Scripted((200, {"leases": [LEASE]}), (200, {}), (status, answer)) as server:
                    done = run("work", "mailers", "--once", "--server", server.url, "--", command)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertEqual([path.rsplit("/", 1)[-1] for path, _ in server.asked],
                                 ["leases", "heartbeat", "complete"])
                if answer.get("counted") is not True:
                    self.assertIn(answer["detail"], done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
