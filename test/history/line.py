"""A line between clients and a server that fails on purpose, and the client's end of it.

It reads whole HTTP messages (those with a Content-Length, as all here are), so that it can do to
each request what it drew for it:

    drop        passes the request on and loses the answer: closes, or says nothing for ever
    reset       resets the client's connection: before passing on, after, or within the answer
    delay       holds the request, or the answer, for a while
    duplicate   sends the bytes of the request a second time, at once or late, on another connection
"""

import random
import re
import socket
import struct
import threading
import time

FAULTS = ("drop", "reset", "delay", "duplicate")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def read_message(connection, rest=b""):
    """One HTTP message and what was read beyond it; None where the connection ended."""
    data = rest
    while (end := data.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(65_536)
        if not piece:
            return None, b""
        data += piece
    found = LENGTH.search(data, 0, end + 2)
    total = end + 4 + (int(found.group(1)) if found else 0)
    while len(data) < total:
        piece = connection.recv(65_536)
        if not piece:
            return None, b""
        data += piece
    return data[:total], data[total:]


def reset(connection):
    """So that the other side sees a reset instead of an end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    connection.close()


class Line:
    """Serves until closed. `rates` says how probable each fault is for a request, now."""

    def __init__(self, host, port, seed=0):
        self.upstream = (host, port)
        self.rates = {}
        self.counts = {name: 0 for name in FAULTS}
        self.chance = random.Random(f"line {seed}")
        self.lock = threading.Lock()
        self.twice = set()      # the client's ports whose present request was sent twice
        self.open = set()
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join()

    def was_doubled(self, port):
        """Whether the request that this port had under way may still come a second time."""
        with self.lock:
            return port in self.twice

    # ---- the inside --------------------------------------------------------------------------

    def _accept(self):
        while True:
            try:
                connection, (_, port) = self.listener.accept()
            except OSError:
                return
            self._go(self._serve, connection, port)

    def _go(self, what, *arguments):
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        with self.lock:
            self.threads = [each for each in self.threads if each.is_alive()]
            self.threads.append(thread)
        thread.start()

    def _draw(self):
        with self.lock:
            drawn = {name for name in FAULTS if self.chance.random() < self.rates.get(name, 0)}
            for name in drawn:
                self.counts[name] += 1
            return drawn, self.chance.random()

    def _connect(self):
        """To the server; it may just be coming up again."""
        end = time.monotonic() + 0.5
        while True:
            try:
                connection = socket.create_connection(self.upstream, timeout=10)
                # A port that nobody listens at may be given to this very socket.
                if connection.getsockname() != connection.getpeername():
                    break
                connection.close()
            except OSError:
                if time.monotonic() > end or self.closing.wait(0.01):
                    raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open.add(connection)
        return connection

    def _close(self, connection):
        if connection is not None:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def _again(self, request, late):
        """The second copy; nobody waits for its answer."""
        self.closing.wait(late)
        server = None
        try:
            server = self._connect()
            server.sendall(request)
            read_message(server)
        except OSError:
            pass
        finally:
            self._close(server)

    def _serve(self, client, port):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open.add(client)
        server, rest = None, b""
        try:
            while not self.closing.is_set():
                request, rest = read_message(client, rest)
                if request is None:
                    return
                server = server or self._connect()
                if not self._pass_on(client, port, server, request):
                    return
        except OSError:
            pass
        finally:
            self._close(server)
            self._close(client)
            with self.lock:
                self.twice.discard(port)

    def _pass_on(self, client, port, server, request):
        """One request and its answer; False when the connection is over."""
        faults, dice = self._draw()
        with self.lock:
            (self.twice.add if "duplicate" in faults else self.twice.discard)(port)
        if "delay" in faults and dice < 0.5:
            self.closing.wait(0.01 + dice / 2)
        if "reset" in faults and dice < 0.33:
            reset(client)
            return False
        if "duplicate" in faults:
            self._go(self._again, request, 0 if dice < 0.5 else dice / 2)
        server.sendall(request)
        answer, _ = read_message(server)
        if answer is None:
            return False
        if "delay" in faults and dice >= 0.5:
            self.closing.wait(dice / 4)
        if "drop" in faults:
            if dice < 0.2:
                read_message(client)  # until the client gives up
            return False
        if "reset" in faults:
            if dice > 0.66:
                client.sendall(answer[:len(answer) // 2])
            reset(client)
            return False
        client.sendall(answer)
        return True


class NothingSent(Exception):
    """There was nobody to send it to."""


class Wire:
    """A client's end: a request after another, on a connection that is made anew if it broke."""

    def __init__(self, port, host, timeout):
        self.port, self.host, self.timeout = port, host, timeout
        self.connection = None
        self.local = 0

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def ask(self, method, path, body=b"", headers=""):
        """Status and body; raises OSError where nobody knows, NothingSent where it is sure."""
        if self.connection is None:
            try:
                self.connection = socket.create_connection(("127.0.0.1", self.port), self.timeout)
            except OSError as why:
                raise NothingSent(str(why)) from why
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local = self.connection.getsockname()[1]
        head = (f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
                f"Content-Length: {len(body)}\r\n\r\n")
        try:
            self.connection.sendall(head.encode() + body)
            answer, _ = read_message(self.connection)
            if answer is None:
                raise ConnectionError("the connection ended without an answer")
        except OSError:
            self.close()
            raise
        return int(answer[9:12]), answer[answer.index(b"\r\n\r\n") + 4:]
