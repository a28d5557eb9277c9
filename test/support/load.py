"""Writers that remember what they were told, and a check of it against ledger, target and audit."""

import http.client
import os
import threading
import time

from trued_server import audit


class Load:
    """Unique writes to a file target named `site`; what was acknowledged and confirmed is kept."""

    def __init__(self, prefix="k"):
        self.lock = threading.Lock()
        self.prefix = prefix
        self.number = 0
        self.acknowledged = {}  # key -> operation id
        self.confirmed = {}     # key -> (path, content)
        self.refused = {}       # status -> times

    def next(self):
        with self.lock:
            self.number += 1
            return f"{self.prefix}-{self.number}"

    def write_one(self, server, connection=None, wait=10):
        key = self.next()
        path, content = f"{key}.txt", f"content of {key}"
        status, _, body = server.write("site", key, {path: content}, wait, connection)
        with self.lock:
            if status in (200, 201, 202):
                self.acknowledged[key] = body["id"]
                if body["status"] == "confirmed":
                    self.confirmed[key] = (path, content)
            else:
                self.refused[status] = self.refused.get(status, 0) + 1
        return status

    def hammer(self, server, stop, wait=10):
        """Writes until told to stop; a lost connection is taken up again."""
        connection = server.connect(timeout=60)
        while not stop.is_set():
            try:
                self.write_one(server, connection, wait)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = server.connect(timeout=60)
                stop.wait(0.05)
        connection.close()

    def during(self, server, action, writers=4, wait=10):
        """Writers beside `action`; returns what it returned."""
        stop = threading.Event()
        threads = [threading.Thread(target=self.hammer, args=(server, stop, wait))
                   for _ in range(writers)]
        for thread in threads:
            thread.start()
        try:
            return action()
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def settle(self, server, patience=60):
        """Waits until nothing is pending: what a killed life began is read back first."""
        end = time.monotonic() + patience
        while server.request("GET", "/v1/operations?status=pending")[2]["operations"]:
            assert time.monotonic() < end, f"something is still pending after {patience} s"
            time.sleep(0.1)

    def check(self, server, state, site):
        """What was acknowledged is there, what was confirmed stands there, the audit holds."""
        connection = server.connect()
        for key, identity in self.acknowledged.items():
            _, _, page = server.request("GET", f"/v1/operations?key={key}", None, None, connection)
            found = [operation["id"] for operation in page["operations"]]
            assert found == [identity], f"{key} was acknowledged as {identity}; found {found}"
        for key, (path, content) in self.confirmed.items():
            with open(os.path.join(site, path), encoding="utf-8") as file:
                assert file.read() == content, f"{key} was confirmed, and its content is another"
        report = audit(state)
        assert not report.get("first"), f"the audit found {report['first']}"
        return f"{len(self.acknowledged)} acknowledged, {len(self.confirmed)} confirmed, 0 lost"
