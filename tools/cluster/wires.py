"""How nodes reach their database and are reached, and how a node is cut off from its database.

    Loopback     all of it on 127.0.0.1; nothing can be cut
    Proxies      the same, with a proxy of ours between each node and each PostgreSQL server
    Namespaces   each node in a network of its own, with one cable to the databases and another to
                 everybody else; the first can be pulled. Linux, as root.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading

from processes import ClusterError, dies_with_us, end, until

CLONE_NEWNET = 0x40000000
NODE_PORT = 7117


class Loopback:
    """Everybody is everybody's neighbour."""

    name = "loopback"
    addresses = ["127.0.0.1"]  # where PostgreSQL listens
    networks: list[str] = []   # from where it takes connections besides
    front = "127.0.0.1"        # where what runs beside the cluster listens

    def add_node(self, index: int, ports: list[int]) -> None:
        """Before the node is started for the first time; `ports` are those of the databases."""

    def database_hosts(self, index: int, ports: list[int]) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def listen_at(self, index: int, port: int) -> str:
        return f"127.0.0.1:{port}"

    def prefix(self, index: int) -> list[str]:
        """What is put before the command of a node."""
        return []

    def cut(self, index: int) -> None:
        raise ClusterError("nothing can be cut here: choose another network for the cluster")

    def join(self, index: int) -> None:
        """Nothing was cut."""

    def close(self) -> None:
        """Nothing to take away."""


class Wire:
    """A proxy between one node and one server. What is cut is as on a pulled cable: nothing comes
    through, and nobody is told."""

    def __init__(self, to: int):
        self.to = to
        self.lock = threading.Lock()
        self.is_cut = False
        self.pairs: set[tuple[socket.socket, socket.socket]] = set()
        self.closed = False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def cut(self) -> None:
        with self.lock:
            self.is_cut = True

    def join(self) -> None:
        """What was lost meanwhile is not made up for: those connections break."""
        with self.lock:
            self.is_cut = False
            pairs = set(self.pairs)
        for pair in pairs:
            self._end(*pair)

    def close(self) -> None:
        self.closed = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.listener.close()
        self.join()

    def _accept(self) -> None:
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._open, args=(client,), daemon=True).start()

    def _open(self, client: socket.socket) -> None:
        server = socket.socket()
        pair = (client, server)
        with self.lock:
            silent = self.is_cut
            self.pairs.add(pair)
        if silent:
            return  # until join() ends it
        try:
            server.connect(("127.0.0.1", self.to))
        except OSError:
            self._end(*pair)
            return
        threading.Thread(target=self._carry, args=(client, server, pair), daemon=True).start()
        self._carry(server, client, pair)

    def _carry(self, source: socket.socket, sink: socket.socket,
               pair: tuple[socket.socket, socket.socket]) -> None:
        try:
            while message := source.recv(1 << 16):
                with self.lock:
                    if self.is_cut:
                        continue
                sink.sendall(message)
        except OSError:
            pass
        with self.lock:
            if self.is_cut:
                return  # nobody hears of an end either, until join()
        self._end(*pair)

    def _end(self, *pair: socket.socket) -> None:
        with self.lock:
            self.pairs.discard(pair)
        for side in pair:
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


class Proxies(Loopback):
    """For machines where a network of one's own is not allowed."""

    name = "proxies"

    def __init__(self) -> None:
        self.wires: dict[int, list[Wire]] = {}

    def add_node(self, index: int, ports: list[int]) -> None:
        self.wires[index] = [Wire(port) for port in ports]

    def database_hosts(self, index: int, ports: list[int]) -> str:
        return ",".join(f"127.0.0.1:{wire.port}" for wire in self.wires[index])

    def cut(self, index: int) -> None:
        for wire in self.wires[index]:
            wire.cut()

    def join(self, index: int) -> None:
        for wire in self.wires[index]:
            wire.join()

    def close(self) -> None:
        for wires in self.wires.values():
            for wire in wires:
                wire.close()


class Namespaces(Loopback):
    """Takes the calling thread, and those that it starts from then on, into a network of their own:
    no names or addresses of the machine are touched, and all of it goes with the last process."""

    name = "network namespaces"
    addresses = ["127.0.0.1", "10.77.2.1"]
    networks = ["10.77.2.0/24"]
    front = "10.77.1.1"

    def __init__(self) -> None:
        self.holders: list[subprocess.Popen] = []
        if not self.allowed():
            raise ClusterError("network namespaces need root and iproute2 on Linux")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise ClusterError(f"no network of our own: {os.strerror(ctypes.get_errno())}")
        self._ip("link set lo up")
        for name, address in (("front", self.front), ("store", self.addresses[1])):
            self._ip(f"link add name {name} type bridge")
            self._ip(f"addr add {address}/24 dev {name}")
            self._ip(f"link set {name} up")

    @staticmethod
    def allowed() -> bool:
        """Whether this machine lets us: tried out, because containers differ."""
        script = ("ip link set lo up && ip link add name front type bridge && "
                  "ip link add name v0 type veth peer name v1")
        try:
            return subprocess.run(["unshare", "--net", "sh", "-c", script], check=False,
                                  capture_output=True).returncode == 0
        except FileNotFoundError:
            return False

    def add_node(self, index: int, ports: list[int]) -> None:
        # Somebody must be in the network while the node is down.
        holder = subprocess.Popen([*dies_with_us("KILL"), "unshare", "--net", "sleep", "infinity"],
                                  stdin=subprocess.DEVNULL)
        self.holders.append(holder)
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != ours, "a network for a node")
        inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip"]
        self._ip("link set lo up", inside)
        for name, net in (("front", 1), ("store", 2)):
            self._ip(f"link add name {name}{index} type veth peer name {name} netns {holder.pid}")
            self._ip(f"link set {name}{index} master {name}")
            self._ip(f"link set {name}{index} up")
            self._ip(f"addr add 10.77.{net}.{11 + index}/24 dev {name}", inside)
            self._ip(f"link set {name} up", inside)

    @staticmethod
    def _ip(words: str, program: list[str] | None = None) -> None:
        done = subprocess.run([*(program or ["ip"]), *words.split()], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"ip {words}: {done.stderr.strip()}")

    def database_hosts(self, index: int, ports: list[int]) -> str:
        return ",".join(f"{self.addresses[1]}:{port}" for port in ports)

    def listen_at(self, index: int, port: int) -> str:
        return f"10.77.1.{11 + index}:{NODE_PORT}"

    def prefix(self, index: int) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holders[index].pid}/ns/net"]

    def cut(self, index: int) -> None:
        # At the far end: the node sees no route go, its packets just never arrive.
        self._ip(f"link set store{index} nomaster")

    def join(self, index: int) -> None:
        self._ip(f"link set store{index} master store")

    def close(self) -> None:
        for holder in self.holders:
            end(holder, 9)
