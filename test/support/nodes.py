"""Servers that share a ledger in PostgreSQL: nodes, and a bench of them. For tests."""

import json
import os
import queue
import signal
import subprocess
import threading
import time

from trued_server import BINARY, Scratch, Server, run

LEASE = 2.0
LEDGER = """
[ledger]
url = "{url}"
schema = "{schema}"
lease = "2s"
"""

class Node(Server):
    """A server that may stand by before it acts."""

    def __init__(self, config, state):  # pylint: disable=super-init-not-called
        self.process = subprocess.Popen(
            [BINARY, "serve", "--json", "--listen", "127.0.0.1:0", "--state-dir", state,
             "--config", config],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = queue.Queue()
        self.errors = []
        self.hello = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put({"event": "end"})

    def next_event(self, timeout=60):
        return self.said.get(timeout=timeout)

    def _expect(self, *kinds):
        event = self.next_event()
        if event.get("event") not in kinds:
            raise RuntimeError(f"expected {kinds}: {event} {''.join(self.errors)}")
        return event

    def listens(self):
        """Waits until it can be spoken to; itself."""
        if self.hello is None:
            self.hello = self._expect("listening")
            self.host, port = self.hello["address"].rsplit(":", 1)
            self.port = int(port)
            self.url = "http://" + self.hello["address"]
        return self

    def stands_by(self):
        """Waits until it says that another node acts; what it says."""
        self.listens()
        return self._expect("standby")

    def acts(self):
        """Waits until it acts; itself."""
        self.listens()
        while self._expect("standby", "acting")["event"] != "acting":
            pass
        return self

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.drain.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Bench:
    """One database, one configuration, as many nodes as wanted."""

    number = 0

    def __init__(self, database, more):
        Bench.number += 1
        self.database = database
        self.schema = f"trued_{Bench.number}"
        self.scratch = Scratch().__enter__()
        self.site = self.scratch.sub("site")
        self.config = os.path.join(self.scratch.path, "trued.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(more(self) + LEDGER.format(url=database.url, schema=self.schema))
        self.nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for node in self.nodes:
            node.kill()
        self.scratch.__exit__()

    @staticmethod
    def wait(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("it did not come to pass")
            time.sleep(0.02)

    def node(self):
        self.nodes.append(Node(self.config, self.scratch.sub(f"state-{len(self.nodes)}")))
        return self.nodes[-1]

    def audit(self):
        done = run("audit", "--json", "--ledger", self.database.url, "--schema", self.schema)
        return json.loads(done.stdout)

    def check(self, load, server):
        """What was acknowledged is there, what was confirmed stands there, the audit holds."""
        for key, identity in load.acknowledged.items():
            _, _, page = server.request("GET", f"/v1/operations?key={key}")
            found = [operation["id"] for operation in page["operations"]]
            assert found == [identity], f"{key} was acknowledged as {identity}; found {found}"
        for path, content in load.confirmed.values():
            with open(os.path.join(self.site, path), encoding="utf-8") as file:
                assert file.read() == content, f"{path} was confirmed, and has other content"
        report = self.audit()
        assert report["clean"], report
