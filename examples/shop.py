#!/usr/bin/env python3
"""A payment service to try things with: it charges, remembers keys, and breaks when it is told to.

    python3 shop.py --port 8042

    POST /v1/charges            {"cart": "42", "amount": 500}: takes the money. What was asked for
                                before under the same Idempotency-Key is answered again, not taken
    GET  /v1/charges            everything that was taken
    GET  /v1/charges?key=KEY    what was taken under that key, or 404
    POST /next                  "hang": the next charge is made, and its caller hears nothing
                                "drop": the next connection is closed, and nothing is made

Standard library only. It keeps nothing when it ends.
"""

import argparse
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Books:
    """What was taken, and what the next request meets."""

    def __init__(self):
        self.lock = threading.Lock()
        self.charges = []
        self.by_key = {}
        self.next = ""

    def meet(self):
        with self.lock:
            fault, self.next = self.next, ""
            return fault

    def charge(self, key, wanted):
        """The charge, and whether it is new."""
        with self.lock:
            if key and key in self.by_key:
                return self.by_key[key], False
            made = {"id": f"ch_{len(self.charges) + 1}", "cart": wanted.get("cart"),
                    "amount": wanted.get("amount"), "status": "succeeded"}
            self.charges.append(made)
            if key:
                self.by_key[key] = made
            return made, True


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    books = Books()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/next":
            self.books.next = body.decode()
            return self.answer(200, {"next": self.books.next})
        if self.path != "/v1/charges":
            return self.answer(404, {"error": "nothing here"})
        fault = self.books.meet()
        if fault == "drop":
            self.close_connection = True
            return None
        made, new = self.books.charge(self.headers.get("Idempotency-Key"), json.loads(body))
        if fault == "hang":
            threading.Event().wait(30)
            self.close_connection = True
            return None
        return self.answer(201 if new else 200, made)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        key = urllib.parse.parse_qs(query).get("key")
        if path != "/v1/charges":
            return self.answer(404, {"error": "nothing here"})
        if key is None:
            return self.answer(200, self.books.charges)
        made = self.books.by_key.get(key[0])
        return self.answer(200, made) if made else self.answer(404, {"error": "no such charge"})

    def answer(self, status, value):
        text = (json.dumps(value) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Says nothing: what it did is what it tells when it is asked."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8042)
    server = Server(("127.0.0.1", parser.parse_args().port), Shop)
    print(f"the shop is open at http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
