"""S13: secrets are planted in every place that takes one, everything is used, and none comes out.

Looked for in the ledger, backups, logs, receipts, events, lists, metrics and in what every command
prints, also in the forms that secrets take on their way (Basic credentials, percent-encoding). What
is kept on purpose is no secret here: what is submitted, and the documents that targets answer with.
"""

import base64
import json
import os
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import ROUTES, Caller, House, filled, text_of_files  # noqa: E402
from sinks_test import Sink, ok  # noqa: E402
from trued_server import BINARY  # noqa: E402

SECRETS = {name: f"canary+{name}/9f3~7Q" for name in (
    "TOKEN", "WRONG", "HEADER", "API_KEY", "PROXY", "GIT", "GIT_TOKEN", "DB", "DB_URL", "ENV",
    "SERVING", "COOKIE", "CLI_URL", "QUERY", "FILE", "LOCATION", "AUTH_ANSWER")}

CONFIG = """
allow_exec = true
[token.operator]
secret = "${env:C_TOKEN}"
[token.worker]
secret = "${file:@/token-file}"
actions = ["work"]

[target.site]
kind = "file"
directory = "@/site"
[target.site.serving]
kind = "http"
url = "SINK/serving/${artifact.path}"
headers = { X-Reader-Token = "${env:C_SERVING}" }
settle = { within = "100ms", reads_max = 1 }

[target.psp]
kind = "http"
base_url = "SINK"
allow_private = true
headers = { Authorization = "Bearer ${env:C_HEADER}", X-Api-Key = "${env:C_API_KEY}" }
retry = { attempts_max = 2, first = "10ms", cap = "10ms" }
timeouts = { total = "2s" }

[target.proxied]
kind = "http"
base_url = "http://psp.example"
proxy = "${env:C_PROXY_GONE}"
retry = { attempts_max = 1 }
timeouts = { total = "1s" }
deadline = "2s"

[target.proxy_refuses]
kind = "http"
base_url = "http://psp.example"
proxy = "${env:C_PROXY_URL}"
retry = { attempts_max = 1 }
timeouts = { total = "1s" }
deadline = "2s"

[target.book]
kind = "git"
repository = "SINK/book.git"
branch = "main"
username = "user"
password = "${env:C_GIT}"
retry = { attempts_max = 1 }
deadline = "3s"
[target.shelf]
kind = "git"
repository = "SINK/bookshelf.git"
branch = "main"
bearer_token = "${env:C_GIT_TOKEN}"
retry = { attempts_max = 1 }
deadline = "3s"

[target.db]
kind = "postgres"
url = "postgresql://app@127.0.0.1:GONE/app"
password = "${env:C_DB}"
retry = { attempts_max = 1 }
deadline = "2s"
[target.db_url]
kind = "postgres"
url = "${env:C_DB_URL}"
retry = { attempts_max = 1 }
deadline = "2s"

[target.shell]
kind = "exec"
commands = ["print-it"]
path = ["@/bin", "/usr/bin", "/bin"]
directory = "@/work"
env = { API_TOKEN = "${env:C_ENV}" }
retry = { attempts_max = 1 }

[target.mailers]
kind = "worker"

[operation.pay]
effect = { target = "psp", method = "POST", path = "/pay/${input.how}" }
input = { required = ["how"], properties = { how = { type = "string" } } }
settle = { within = "100ms", reads_max = 1 }
unreadable = { within = "100ms", reads_max = 1 }
[[operation.pay.artifact]]
name = "payment"
read = { path = "/read/${input.how}" }
expect = { json = { done = true } }

[operation.via_proxy]
effect = { target = "proxied", method = "POST", path = "/x" }
[operation.via_refusing]
effect = { target = "proxy_refuses", method = "POST", path = "/x" }
[operation.query]
effect = { target = "db", sql = "SELECT 1" }
[operation.query_url]
effect = { target = "db_url", sql = "SELECT 1" }
[operation.print]
effect = { target = "shell", argv = ["print-it", "${input.code}"] }
input = { required = ["code"], properties = { code = { type = "string" } } }
[operation.mail]
effect = { target = "mailers", to = "x" }
"""

PRINT = """#!/bin/sh
echo "{\\"token\\": \\"$API_TOKEN\\"}"
echo "failed with token $API_TOKEN" >&2
exit "$1"
"""


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def forms(secret):
    """How a secret may look on its way."""
    yield secret
    for text in (secret, f"user:{secret}", f"app:{secret}"):
        yield base64.b64encode(text.encode()).decode().rstrip("=")
    yield urllib.parse.quote(secret, safe="")
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield secret.encode().hex()


class Echo:
    """A counterpart that repeats everything it was sent: in the body, its reason, headers."""

    def __init__(self):
        self.seen = b""

    def __call__(self, head, send):
        self.seen += head
        line = head.split(b"\r\n")[0]
        sent = {name.lower(): value for name, _, value in
                (each.decode("latin-1").partition(": ") for each in head.split(b"\r\n")[1:])}
        first = sent.get("authorization", sent.get("proxy-authorization", ""))
        echoed = json.dumps({"credentials": first, "you_sent": sent,
                             "done": b"/read/lie" not in line}).encode()
        cookie = SECRETS["COOKIE"].encode()
        more = (b"Set-Cookie: session=%s\r\nWWW-Authenticate: Basic realm=\"%s\"\r\n" %
                (cookie, SECRETS["AUTH_ANSWER"].encode()))
        for word, status in ((b"/fail", b"500 No"), (b"/refuse", b"403 No"), (b"/later", b"429 No"),
                             (b"/moved", b"307 Moved"), (b"/book", b"401 No"),
                             (b"http://psp", b"407 Proxy"), (b"/break", b"")):
            if word in line:
                if not status:
                    send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + echoed)
                    return
                secret = urllib.parse.quote(SECRETS["LOCATION"], safe="").encode()
                place = b"Location: http://user:%s@127.0.0.1/?sig=%s\r\n" % (secret, secret)
                more += place if status[:1] == b"3" else b""
                reason = status + b" " + sent.get("authorization", "").encode()
                send(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n" %
                     (reason, more, len(echoed)) + echoed)
                return
        if b"/text" in line:
            echoed = b"not JSON: " + head
        send(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n" %
             (more, len(echoed)) + echoed)


class Canaries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.echo = Echo()
        cls.sink = Sink(cls.echo)
        cls.addClassCleanup(cls.sink.close)
        closed = free_port()
        cls.environment = {"C_" + name: value for name, value in SECRETS.items()}
        quoted = urllib.parse.quote(SECRETS["DB_URL"], safe="")
        cls.environment["C_DB_URL"] = f"postgresql://app:{quoted}@127.0.0.1:{closed}/app"
        quoted = urllib.parse.quote(SECRETS["PROXY"], safe="")
        cls.environment["C_PROXY_URL"] = f"http://user:{quoted}@127.0.0.1:{cls.sink.port}"
        # The server's own environment is nobody's business either.
        cls.environment["C_UNUSED"] = SECRETS["CLI_URL"]
        cls.shown = []
        config = CONFIG.replace("SINK", cls.sink.url).replace(":GONE", f":{closed}")
        cls.environment["C_PROXY_GONE"] = f"http://user:{quoted}@127.0.0.1:{closed}"
        cls.house = cls.make_house(config)
        cls.addClassCleanup(cls.house.close)
        cls.use_everything()
        cls.everything_as_commands()
        cls.house.server.terminate()
        cls.house.server.drain.join()
        cls.shown.append(("log", "".join(cls.house.server.errors)))
        cls.command("audit", "--state-dir", cls.house.state)
        cls.command("backup", os.path.join(cls.house.folder, "backup.db"), "--state-dir",
                    cls.house.state)

    @classmethod
    def make_house(cls, config):
        class Prepared(House):
            def start(self):
                for name in ("work", "bin", "operator"):
                    self.scratch.sub(name)
                path = os.path.join(self.folder, "bin", "print-it")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(PRINT)
                os.chmod(path, 0o755)
                with open(os.path.join(self.folder, "token-file"), "w", encoding="utf-8") as file:
                    file.write(SECRETS["FILE"])
                super().start()
        return Prepared(config, cls.environment)

    @classmethod
    def say(cls, what, caller, method, path, body=None, headers=None):
        status, text, got = caller.ask(method, path, body, headers)
        cls.shown.append((f"{what} {method} {path}", f"{status} {got}\n{text}"))
        return text

    @classmethod
    def use_everything(cls):
        one = Caller(cls.house.server, SECRETS["TOKEN"])
        worker = Caller(cls.house.server, SECRETS["FILE"])
        nobody = Caller(cls.house.server, SECRETS["WRONG"])
        submissions = [("pay", {"how": how}) for how in (
            "ok", "text", "fail", "refuse", "later", "moved", "break", "lie")]
        submissions += [("via_proxy", {}), ("via_refusing", {}), ("query", {}), ("query_url", {}),
                        ("print", {"code": "0"}), ("print", {"code": "1"}), ("mail", {})]
        submissions += [("write", {"target": name, "artifacts": [{"path": "a", "content": "x"}]})
                        for name in ("site", "book", "shelf")]
        lines = "".join(json.dumps({"type": kind, "key": f"k{i}", "input": given}) + "\n"
                        for i, (kind, given) in enumerate(submissions))
        cls.say("batch", one, "POST", "/v1/operations/batch", lines, {
            "Content-Type": "application/x-ndjson", "Prefer": "wait=3"})
        cls.say("lease", worker, "POST", "/v1/leases", {"worker": "w"})
        page = cls.say("list", one, "GET", "/v1/operations?limit=100")
        cls.receipts = json.loads(page)["operations"]
        for receipt in cls.receipts:
            for end in ("/retry", "/compensate"):
                cls.say("person", one, "POST", f"/v1/operations/{receipt['id']}{end}",
                        {"who": "ada"})
            cls.say("events", one, "GET", f"/v1/operations/{receipt['id']}/events")
        cls.say("redrive", one, "POST", "/v1/dead-letters/redrive", {"filter": {}})
        for receipt in cls.receipts:
            cls.say("again", one, "GET", f"/v1/operations/{receipt['id']}?wait=1")
            cls.say("events", one, "GET", f"/v1/operations/{receipt['id']}/events")
        for route in ROUTES:
            if route.method == "GET" and "{" not in route.path and route.path != "/openapi.yaml":
                cls.say("route", one, "GET", route.path)
                cls.say("wrong", nobody, "GET", route.path)
                cls.say("worker", worker, "GET", route.path)
        cls.say("versions", one, "GET", "/v1/definitions/pay")
        for header in ("Authorization", "Cookie", "X-Api-Key", "Idempotency-Key"):
            cls.say("header", one, "POST", "/v1/operations", "{", {
                header: "Bearer " + SECRETS["WRONG"]})
        # In a query a token is refused; it is said by the name of the parameter alone.
        status, text, _ = one.ask("GET", "/v1/operations?access_token=" + urllib.parse.quote(
            SECRETS["QUERY"]))
        cls.shown.append(("query", f"{status} {text}"))

    @classmethod
    def command(cls, *arguments, **environment):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **cls.environment, **environment}, check=False)
        cls.shown.append((" ".join(arguments)[:80], done.stdout + done.stderr))
        return done

    @classmethod
    def everything_as_commands(cls):
        path = os.path.join(cls.house.folder, "token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(SECRETS["TOKEN"])
        server = ["--server", cls.house.server.url]
        identity = cls.receipts[0]["id"]
        for json_too in ([], ["--json"]):
            for command in (["op", "ls"], ["op", "show", identity], ["op", "events", identity],
                            ["dead-letters"], ["worklist"], ["definitions"], ["definitions", "pay"],
                            ["op", "retry", identity],
                            ["submit", "print", "--key", "cli", "--input", '{"code":"3"}'],
                            ["apply", cls.house.config, "--dry-run"]):
                if json_too:
                    cls.command(*command, *json_too, *server, TRUED_TOKEN=SECRETS["TOKEN"])
                else:
                    cls.command(*command, *json_too, *server, "--token-file", path)
                cls.command(*command, *json_too, *server, TRUED_TOKEN=SECRETS["WRONG"])
            cls.command("op", "ls", *json_too, "--server",
                        cls.house.server.url.replace("//", f"//user:{SECRETS['CLI_URL']}@"),
                        TRUED_TOKEN=SECRETS["TOKEN"])
            cls.command("check", cls.house.config, *json_too)
            cls.command("check", cls.house.config, "--connect", *json_too)
            cls.command("target", "install", "db", "--config", cls.house.config, *json_too)
            cls.command("target", "install", "db_url", "--config", cls.house.config, *json_too)
        os.remove(path)

    def test_S13_the_secrets_were_really_used(self):
        seen = self.echo.seen.decode("latin-1")
        for name in ("HEADER", "API_KEY", "SERVING", "GIT_TOKEN"):
            self.assertIn(SECRETS[name], seen, name)
        for name in ("PROXY", "GIT"):
            self.assertIn(base64.b64encode(f"user:{SECRETS[name]}".encode()).decode(), seen, name)
        everything = "".join(text for _, text in self.shown)
        self.assertIn("***", everything, "nothing was hidden, so nothing was echoed")
        states = {(each["type"], each["status"]) for each in self.receipts}
        self.assertIn(("print", "unverified"), states)
        self.assertIn(("pay", "confirmed"), states)
        self.assertGreaterEqual(len(self.receipts), 18)

    def test_S13_no_secret_comes_out(self):
        found = []
        for name, secret in SECRETS.items():
            for form in forms(secret):
                found += [f"{name} in {where}: …{text[max(0, text.find(form) - 100):][:120]}"
                          for where, text in self.shown if form in text]
                for path, data in text_of_files(self.house.folder):
                    if form.encode() in data and not path.endswith("/token-file"):
                        found.append(f"{name} in {os.path.basename(path)}")
        self.assertFalse(found, "\n".join(sorted(set(found))))


if __name__ == "__main__":
    unittest.main(verbosity=1)
