#!/usr/bin/env python3
"""Serves the git repositories below a directory over HTTP, by `git http-backend`.

    git_http_server.py ROOT [--user NAME --password SECRET | --token TOKEN]

Prints its port (127.0.0.1) on a line of its own, and ends when its standard input does, so that it
never outlives the test that started it. Anybody may push, unless credentials are given.

Faults, for tests: a request for /_fault/NAME/REPOSITORY/… goes wrong in one way.

    drop-before      a push is cut off before the backend sees it
    drop-after       a push is carried out, and the connection closed without an answer
    hang             a push is never answered
    hang-fetch       nothing is answered
    push-NNN         a push is answered with status NNN, and not carried out
    all-NNN          everything is answered with status NNN
    no-status        the report of a push says nothing about the branch

If ROOT/before-push is there, it is run once (and removed) before the branches are told to a pusher.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BACKEND = ["git", "http-backend"]


class Handler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1 with keep-alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and content are written apart
    root = "."
    authorization = ""

    def do_GET(self) -> None:  # noqa: N802
        self._handle(b"")

    def do_POST(self) -> None:  # noqa: N802
        self._handle(self._body())

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _handle(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        fault = ""
        if path.startswith("/_fault/"):
            _, _, fault, path = path.split("/", 3)
            path = "/" + path
        if self.authorization and self.headers.get("Authorization") != self.authorization:
            self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?\n")
            return
        if not self._goes_wrong(fault, path, query):
            self._serve(path, query, body, fault)

    def _goes_wrong(self, fault: str, path: str, query: str) -> bool:
        """True if the fault has dealt with the request."""
        pushes = path.endswith("/git-receive-pack")
        if fault == "hang-fetch" or (fault == "hang" and pushes):
            self.connection.recv(1)  # until the client has had enough
            self.close_connection = True
            return True
        if fault == "drop-before" and pushes:
            self.close_connection = True
            return True
        if fault.startswith("all-") or (fault.startswith("push-") and pushes):
            self._answer(int(fault.split("-")[1]), [], b"a scripted fault\n")
            return True
        script = os.path.join(self.root, "before-push")
        if query == "service=git-receive-pack" and os.path.exists(script):
            os.rename(script, script + ".running")
            subprocess.run([script + ".running"], check=False)
        return False

    def _serve(self, path: str, query: str, body: bytes, fault: str) -> None:
        variables = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": self.root,
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "pusher",
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(BACKEND, input=body, env=variables, capture_output=True, check=False)
        pushes = path.endswith("/git-receive-pack")
        if fault == "drop-after" and pushes:
            self.close_connection = True
            return
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status = 200
        headers = []
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        if fault == "no-status" and pushes:
            content = b"0000"
        self._answer(status, headers, content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--token", default="")
    arguments = parser.parse_args()
    Handler.root = os.path.abspath(arguments.root)
    if arguments.token:
        Handler.authorization = "Bearer " + arguments.token
    elif arguments.user:
        pair = f"{arguments.user}:{arguments.password}".encode()
        Handler.authorization = "Basic " + base64.b64encode(pair).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
