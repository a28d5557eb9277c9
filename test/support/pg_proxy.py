"""A wire between a client and PostgreSQL that a test can cut, at COMMIT or wherever it likes.

`cut(how, text)` says what happens to the next messages from a client that hold `text`:

    drop_before   not passed on, and both sides are closed
    drop_after    the server answers; the client hears nothing but the end
    hang_after    the server answers; the client hears nothing
    hold          kept until release()
"""

import socket
import threading


class Proxy:
    def __init__(self, to):
        self.to = to
        self.lock = threading.Lock()
        self.how, self.text, self.left = None, b"", 0
        self.cuts = 0
        self.held = []      # (server side, bytes)
        self.wires = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.listener.close()
        with self.lock:
            wires = set(self.wires)
        for wire in wires:
            self._close(*wire)

    def cut(self, how, text="; COMMIT", times=1):
        with self.lock:
            self.how, self.text, self.left = how, text.encode(), times

    def release(self):
        with self.lock:
            held, self.held = self.held, []
        for server, message in held:
            try:
                server.sendall(message)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            wire = (client, server)
            with self.lock:
                self.wires.add(wire)
            fate = {"deaf": False, "end": False}
            threading.Thread(target=self._up, args=(wire, fate), daemon=True).start()
            threading.Thread(target=self._down, args=(wire, fate), daemon=True).start()

    def _fate(self, message):
        with self.lock:
            if self.left == 0 or self.how is None or self.text not in message:
                return None
            self.left -= 1
            self.cuts += 1
            return self.how

    def _up(self, wire, fate):
        client, server = wire
        try:
            while message := client.recv(1 << 16):
                how = self._fate(message)
                if how == "drop_before":
                    break
                if how == "hold":
                    fate["deaf"] = True
                    with self.lock:
                        self.held.append((server, message))
                    continue
                fate["deaf"] = fate["deaf"] or how in ("drop_after", "hang_after")
                fate["end"] = how == "drop_after"
                server.sendall(message)
        except OSError:
            pass
        if not fate["deaf"]:
            self._close(*wire)

    def _down(self, wire, fate):
        client, server = wire
        try:
            while message := server.recv(1 << 16):
                if fate["end"]:
                    break
                if not fate["deaf"]:
                    client.sendall(message)
        except OSError:
            pass
        self._close(*wire)

    def _close(self, client, server):
        with self.lock:
            self.wires.discard((client, server))
        for side in (client, server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()
