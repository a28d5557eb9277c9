"""A mail gateway that counts what it sends, and the workers that use it."""

import http.server
import json
import os
import select
import signal
import subprocess
import sys
import threading

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
PYTHON = [sys.executable, os.path.join(EXAMPLES, "worker.py")]

CONFIG = """
[target.mailers]
kind = "worker"
lease = "{lease}"
{deduplicates}
retry = {{ attempts_max = 5, first = "20ms", factor = 2, cap = "100ms" }}

[target.gateway]
kind = "http"
base_url = "{gateway}"
allow_private = true

[operation.send-mail]
identity = ["to"]
effect = {{ target = "mailers", to = "${{input.to}}", template = "${{input.template}}" }}
settle = {{ within = "200ms", reads_max = 3, first = "10ms", cap = "50ms" }}
unreadable = {{ within = "200ms", reads_max = 3, first = "10ms", cap = "50ms" }}

[operation.send-mail.input]
required = ["to", "template"]
properties = {{ to = {{ type = "string" }}, template = {{ type = "string" }} }}
{after}
"""

READ_BACK = """
[[operation.send-mail.artifact]]
name = "mail"
read = { target = "gateway", path = "/mails/${operation.identity}" }
expect = { json = { to = "${input.to}", text = "Hello" } }
"""


class Gateway:
    """Keeps mails by Idempotency-Key; `deduplicates`: sends one key once. What stands in `hold` is
    held at that place until release(): "template" (nothing done yet) or "answer" (it was sent)."""

    def __init__(self, deduplicates=False):
        self.deduplicates = deduplicates
        self.sent = []  # (key, to), one for each execution
        self.mails = {}
        self.hold = set()
        self.refuse = []  # statuses for the next posts
        self.moved = threading.Condition()
        self.waiting = 0
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body, kind="application/json"):
                data = body.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # whoever asked was killed

            def do_GET(self):
                if self.path.startswith("/templates/"):
                    gateway.wait_at("template")
                    return self.answer(200, "Hello", "text/plain")
                with gateway.moved:
                    mail = gateway.mails.get(self.path.rsplit("/", 1)[-1])
                self.answer(404 if mail is None else 200, json.dumps(mail))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers["Idempotency-Key"]
                with gateway.moved:
                    if gateway.refuse:
                        return self.answer(gateway.refuse.pop(0), "{}")
                    if not (gateway.deduplicates and key in gateway.mails):
                        gateway.sent.append((key, body["to"]))
                        gateway.mails[key] = body
                gateway.wait_at("answer")
                self.answer(200, json.dumps({"message": key}))

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_at(self, place):
        with self.moved:
            if place not in self.hold:
                return
            self.waiting += 1
            self.moved.notify_all()
            self.moved.wait_for(lambda: place not in self.hold)
            self.waiting -= 1

    def until_somebody_waits(self):
        with self.moved:
            assert self.moved.wait_for(lambda: self.waiting > 0, 30), "nobody came"

    def release(self):
        with self.moved:
            self.hold.clear()
            self.moved.notify_all()

    def executions(self, to):
        with self.moved:
            return sum(1 for _, sent in self.sent if sent == to)

    def close(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()


class WorkerProcess:
    """One worker program; what it says of each lease is read line by line."""

    def __init__(self, command, server, gateway, name):
        self.name = name
        self.process = subprocess.Popen(
            [*command, "--server", server, "--target", "mailers", "--gateway", gateway,
             "--name", name], bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def said(self, timeout=30):
        """What it says of the next lease."""
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        assert ready, self.name + " says nothing"
        line = self.process.stdout.readline()
        assert line, self.name + " ended: " + self.process.stderr.read().decode()
        return json.loads(line)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
