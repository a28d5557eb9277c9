"""A payment service for tests: a real HTTP server that counts what it executes, and breaks on cue.

POST /v1/charges executes one charge; with `deduplicates` it honours Idempotency-Key as such
services do. GET /v1/charges?key=K and GET /v1/charges/ID read. What each POST meets is said in
advance, one word each:

    ok              executes, answers 201
    drop_before     closes the connection without executing
    drop_after      executes, then closes the connection without an answer
    half_answer     executes, then closes in the middle of the answer
    hang            executes, and never answers
    hang_before     never executes, never answers
    NNN             answers that status without executing (Retry-After: 0 for 429 and 503)
    NNN_after       executes, then answers that status
"""

import http.client
import json
import random
import socket
import threading
import urllib.parse

KEPT_ALIVE = "HTTP/1.1"


class Shop:
    """Serves until closed; `executed` holds every execution in order."""

    def __init__(self, deduplicates=True, port=0, host="127.0.0.1"):
        self.deduplicates = deduplicates
        self.executed = []          # (identity or None, body, id)
        self.by_key = {}            # identity -> the ids of its executions
        self.by_id = {}             # id -> the execution
        self.paths = set()          # of everything executed
        self.calls = []             # (method, path, identity)
        self.used = []              # of each POST: whether it came on a connection used before
        self.plan = []              # what the next POSTs meet; empty: ok
        self.always = None          # what every POST meets
        self.down = False
        self.lock = threading.Lock()
        self.host = host
        self.listener = socket.create_server((host, port), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.open = set()
        self.closing = threading.Event()
        self.thread = None
        self._start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.closing.set()
        self.stop_listening()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _start(self):
        self.thread = threading.Thread(target=self._accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def stop_listening(self):
        """Connections are refused from now on; those that are open go on."""
        if self.thread is None:
            return
        # Wakes the accept, which a close alone does not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.listener.close()
        self.thread = None

    def listen(self):
        """At the same port again."""
        self.listener = socket.create_server((self.host, self.port), backlog=256)
        self._start()

    # ---- what tests ask ---------------------------------------------------------------------

    def executions(self, key=None):
        with self.lock:
            return [each for each in self.executed if key is None or each[0] == key]

    def posts(self):
        with self.lock:
            return [each for each in self.calls if each[0] == "POST"]

    # ---- the server ---------------------------------------------------------------------------

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self.lock:
            if self.down or self.closing.is_set():
                connection.close()
                return
            self.open.add(connection)
        try:
            stream = connection.makefile("rwb")
            used = False
            while self._one(connection, stream, used):
                used = True
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def _one(self, connection, stream, used):
        """Answers one request; False when the connection is over."""
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers.get("Content-Length") or 0))
        key = (headers.get("Idempotency-Key") or "").strip('"') or None
        with self.lock:
            self.calls.append((line[0], line[1], key))
        if line[0] != "POST":
            return self._send(stream, *self._read(line[1]))
        with self.lock:
            self.used.append(used)
            fault = self.plan.pop(0) if self.plan else self.always or "ok"
        return self._post(connection, stream, line[1], key, json.loads(body or b"{}"), fault)

    def _post(self, connection, stream, path, key, body, fault):
        if fault == "random":
            fault = random.choice(["ok", "ok", "drop_before", "drop_after", "half_answer", "503",
                                   "500_after", "429"])
        if fault == "drop_before":
            return False
        if fault == "hang_before":
            self.closing.wait(60)
            return False
        if fault.isdigit():
            return self._send(stream, int(fault), {"error": "not now"}, fault in ("429", "503"))
        status, answer = self._execute(path, key, body)
        if fault == "drop_after":
            return False
        if fault == "hang":
            self.closing.wait(60)
            return False
        if fault == "half_answer":
            text = json.dumps(answer).encode()
            stream.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n" % (status, len(text)) + text[:5])
            stream.flush()
            return False
        if fault.endswith("_after"):
            return self._send(stream, int(fault.split("_")[0]), {"error": "who knows"})
        return self._send(stream, status, answer)

    def _execute(self, path, key, body):
        with self.lock:
            if self.deduplicates and key and key in self.by_key:
                return 200, self._charge(self.by_key[key][0])
            ident = f"ch_{len(self.executed) + 1}"
            self.executed.append((key, {"path": path, **body}, ident))
            self.by_id[ident] = self.executed[-1]
            self.by_key.setdefault(key, []).append(ident)
            self.paths.add(path)
            return 201, self._charge(ident)

    def _charge(self, ident):
        return {"id": ident, "amount": self.by_id[ident][1].get("amount"), "status": "succeeded",
                "refunded": f"/v1/charges/{ident}/refund" in self.paths}

    def _read(self, target):
        path, _, query = target.partition("?")
        asked = urllib.parse.parse_qs(query)
        with self.lock:
            if "key" in asked:
                found = self.by_key.get(asked["key"][0], [])
            else:
                ident = path[len("/v1/charges/"):] if path.startswith("/v1/charges/") else ""
                found = [ident] if ident in self.by_id else []
            if not found:
                return 404, {"error": "no_such_charge"}
            # How often it was executed, for whoever wants to know.
            return 200, {**self._charge(found[0]), "times": len(found)}

    def _send(self, stream, status, answer, again=False):
        text = json.dumps(answer).encode()
        more = b"Retry-After: 0\r\n" if again else b""
        stream.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s"
                     b"Content-Length: %d\r\n\r\n" % (status, more, len(text)) + text)
        stream.flush()
        return True


CONFIG = """
[target.psp]
kind = "http"
base_url = "{url}"
allow_private = true
{dedup}
{target}

[operation.charge]
identity = ["cart"]
timeout = "{timeout}"
deadline = "60s"
retry = {{ attempts_max = 5, first = "20ms", factor = 2, cap = "200ms" }}
settle = {{ within = "500ms", reads_max = 3, first = "20ms", cap = "100ms" }}
{charge}

[operation.charge.effect]
target = "psp"
method = "POST"
path = "/v1/charges"
json = {{ amount = "${{input.amount}}" }}

[operation.charge.input]
type = "object"
required = ["cart", "amount"]
additionalProperties = false
[operation.charge.input.properties]
cart = {{ type = "string", minLength = 1 }}
amount = {{ type = "integer", minimum = 1 }}

{after}
"""

READ_BACK = """
[[operation.charge.artifact]]
name = "charge for ${input.cart}"
read = { path = "/v1/charges?key=${operation.identity}" }
expect = { json = { amount = "${input.amount}", status = "succeeded" } }
"""

PROBE = """
[operation.charge.probe]
read = { path = "/v1/charges?key=${operation.identity}" }
happened = { json = { amount = "${input.amount}" } }
did_not = { absent = true }
"""

COMPENSATE = """
[operation.charge.compensate]
operation = "refund"
input = { charge = "${result.id}" }

[operation.refund]
identity = ["charge"]
effect = { target = "psp", method = "POST", path = "/v1/charges/${input.charge}/refund" }
[operation.refund.input]
required = ["charge"]
properties = { charge = { type = "string" } }
[[operation.refund.artifact]]
name = "refund of ${input.charge}"
read = { path = "/v1/charges/${input.charge}" }
expect = { json = { refunded = true } }
"""


def config(shop, timeout="2s", target="", charge="", after=READ_BACK, url=None):
    """A configuration with the operation `charge` at `shop`."""
    dedup = 'deduplicates = true\nremembers = "24h"' if shop.deduplicates else ""
    return CONFIG.format(url=url or shop.url, dedup=dedup, timeout=timeout, target=target,
                         charge=charge, after=after)
