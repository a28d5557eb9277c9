"""One Trued node of a cluster: its life, started again as a supervisor does, and its HTTP API."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from typing import Any, Callable

from processes import ClusterError, dies_with_us, end, send, until

# Ended on its own, and to be started again: overtaken by another node; no database to begin with.
OVERTAKEN = 75
UNAVAILABLE = 69
PAUSE_S = {OVERTAKEN: 0.1, UNAVAILABLE: 0.5}


class Node:
    """`tell(node, word, more)` hears what becomes of it, in threads of the node."""

    def __init__(self, name: str, index: int, command: list[str], address: str, log: str,
                 token: str = "", tell: Callable[[Node, str, dict], None] | None = None):
        self.name = name
        self.index = index
        self.command = command
        self.address = address
        self.url = "http://" + address
        self.log = log
        self.token = token
        self.tell = tell or (lambda *_: None)
        self.process: subprocess.Popen | None = None
        self.thread: threading.Thread | None = None
        self.events: list[dict[str, Any]] = []  # what it said, in all of its lives
        self.ended: list[int] = []              # exit statuses
        self.lives = 0
        self.moves = 0          # grows whenever it begins, ends, is stopped or goes on
        self.state = "down"     # starting, standby, acting
        self.acts_since = 0.0
        self.listening = False
        self.is_paused = False
        self.is_cut = False
        self._wanted = False

    # ---- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns at once; what it says shows in `state`."""
        if self._wanted:
            return
        self._wanted = True
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self) -> None:
        while self._wanted:
            code = self._one_life()
            if not self._wanted or code not in PAUSE_S:
                self._wanted = False
                return
            time.sleep(PAUSE_S[code])

    def _one_life(self) -> int:
        # Started here, because it ends with the thread that started it.
        with open(self.log, "ab") as log:
            process = subprocess.Popen([*dies_with_us("KILL"), *self.command], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=log, start_new_session=True)
        self.process = process
        self.lives += 1
        self._moved("starting")
        if not self._wanted:
            process.kill()
        for line in process.stdout or ():
            self._hear(line)
        code = process.wait()
        if process.stdout:
            process.stdout.close()
        self.ended.append(code)
        self.listening = self.is_paused = False
        self._moved("down", status=code)
        return code

    def _hear(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        self.events.append(event)
        kind = event.get("event")
        if kind == "listening":
            self.listening = True
            # A program that says how much it has taken up acts by then.
            if "recovered" in event:
                self._moved("acting", **event)
        elif kind == "standby":
            self._moved("standby", **event)
        elif kind == "acting":
            self._moved("acting", **event)

    def _moved(self, state: str, **more: Any) -> None:
        self.state = state
        self.moves += 1
        if state == "acting":
            self.acts_since = time.monotonic()
        self.tell(self, state, more)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def last_words(self) -> str:
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return " | ".join(log.read().splitlines()[-3:])
        except OSError:
            return ""

    # ---- what is done to it ------------------------------------------------------------------

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In an orderly way; it gives the ledger back."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        self._wanted = False
        end(self.process, number, patience=20)
        if self.thread is not None:
            self.thread.join()

    def pause(self) -> None:
        """It stops in the middle of whatever it does, and does not notice."""
        send(self.process, signal.SIGSTOP)
        self.is_paused = True
        self.moves += 1

    def resume(self) -> None:
        send(self.process, signal.SIGCONT)
        self.is_paused = False
        self.moves += 1

    # ---- asking ------------------------------------------------------------------------------

    def connect(self, timeout: float = 90) -> http.client.HTTPConnection:
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def request(self, method: str, path: str, body: Any = None,
                headers: dict[str, str] | None = None,
                connection: http.client.HTTPConnection | None = None
                ) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body (parsed where it is JSON)."""
        own = connection is None
        connection = connection or self.connect()
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", "Bearer " + self.token)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            if own:
                connection.close()
        kind = response.getheader("Content-Type", "")
        value = json.loads(text) if "json" in kind and "ndjson" not in kind and text else text
        return response.status, dict(response.getheaders()), value

    def wait_for(self, *states: str, within: float = 60) -> None:
        def there() -> bool:
            if not self._wanted and self.state == "down":
                raise ClusterError(f"node {self.name} ended with {self.ended[-1:]}; it said last: "
                                   f"{self.events[-1:]} {self.last_words()}")
            return self.state in states
        until(there,
              lambda: f"node {self.name} is {' or '.join(states)}; it is {self.state}, "
              f"and said last: {self.last_words()}", within)


def file_of(path: str, text: str) -> str:
    """Writes it for our eyes only; the path."""
    with open(path, "w", encoding="utf-8",
              opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    return path


__all__ = ["Node", "ClusterError", "OVERTAKEN", "UNAVAILABLE", "file_of"]
