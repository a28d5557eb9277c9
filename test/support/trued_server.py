"""A real `trued serve` for tests: started on a free port, always stopped, by process id."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

BINARY = os.environ.get("TRUED_BINARY", "")


def sanitized():
    """True when the binary runs under a sanitizer: tests then do less of everything."""
    with open(BINARY, "rb") as file:
        return b"__asan_init" in file.read() if os.path.getsize(BINARY) < 1 << 30 else False


class Scratch:
    """A directory that goes with the test."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="trued-test-")
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)

    def sub(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def bare_repository(self, name="content.git"):
        path = os.path.join(self.path, name)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
        return path


class Server:
    """One life of a server over a state directory."""

    def __init__(self, state, targets=(), options=(), wrapper=(), environment=None, port=0):
        command = [*wrapper, BINARY, "serve", "--json", "--listen", f"127.0.0.1:{port}",
                   "--state-dir", state]
        for target in targets:
            command += ["--target", target]
        self.process = subprocess.Popen(
            command + list(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})}, start_new_session=bool(wrapper))
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            self.process.kill()
            raise RuntimeError("no server: " + line + self.process.stderr.read())
        self.hello = json.loads(line)
        if "address" not in self.hello:
            self.process.wait()
            raise RuntimeError("no server: " + line)
        host, port = self.hello["address"].rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.url = "http://" + self.hello["address"]
        self._wait_until_it_acts()
        self.errors = []
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()

    def _wait_until_it_acts(self):
        """On a ledger that it could share it listens before that."""
        said = self.hello
        while "recovered" not in said:
            line = self.process.stdout.readline()
            if not line.startswith("{"):
                self.process.kill()
                raise RuntimeError("it does not act: " + line + self.process.stderr.read())
            said = json.loads(line)

    def _drain(self):
        self.errors.extend(self.process.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.kill()

    def connect(self, timeout=90):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, connection=None):
        """Status, headers and body (parsed where it is JSON)."""
        own = connection is None
        connection = connection or self.connect()
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read()
        if own:
            connection.close()
        kind = response.getheader("Content-Type", "")
        value = json.loads(text) if "json" in kind and "ndjson" not in kind and text else text
        return response.status, dict(response.getheaders()), value

    def write(self, target, key, artifacts, wait=30, connection=None, **more):
        """Submits a write; `artifacts` maps path to text (or None for absent)."""
        listed = [{"path": path, "absent": True} if text is None
                  else {"path": path, "content": text} for path, text in artifacts.items()]
        body = {"type": "write", "key": key, "input": {"target": target, "artifacts": listed}}
        body["input"].update(more)
        return self.request("POST", "/v1/operations", body, {"Prefer": f"wait={wait}"},
                            connection)

    def _signal_all(self, number):
        """To the server and, if there is one, its wrapper: they share a process group then."""
        if os.getpgid(self.process.pid) == self.process.pid:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self):
        if self.process.poll() is None:
            self._signal_all(signal.SIGKILL)
        self.process.wait()
        self.drain.join()
        self.process.stdout.close()
        self.process.stderr.close()


def until(condition, what, within=30):
    """Asks again until `condition` is true of what happens in other processes; what it said then.
    Fails after `within` seconds, with `what` it waited for: a text, or a function that makes it."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    if callable(what):
        what = what()
    raise AssertionError(f"not within {within} s: {what}")


def run(*arguments, **options):
    """Runs the binary; returns the finished process with its texts."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120,
                          **options)


def audit(state):
    """The audit's JSON report of a state directory's ledger."""
    done = run("audit", "--json", "--state-dir", state)
    return json.loads(done.stdout)
