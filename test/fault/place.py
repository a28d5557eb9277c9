"""What the cases share: a place for a server, a crowd of clients, and a word for what cannot be."""

import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Server  # noqa: E402


class Skip(Exception):
    """The machine cannot do this; why."""


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


class Place:
    """A state directory, a target directory, and servers over them."""

    def __init__(self, scratch, state=None):
        self.state = state or scratch.sub("state")
        self.site = scratch.sub("site")

    def server(self, wrapper=(), environment=None):
        return Server(self.state, ["site=file:" + self.site], wrapper=wrapper,
                      environment=environment)


def traced(inject, syscalls):
    """A wrapper that makes system calls fail on purpose."""
    probe = subprocess.run(["strace", "-qq", "-o", os.devnull, "-e", "trace=none", "true"],
                           capture_output=True, check=False)
    if probe.returncode != 0:
        raise Skip("strace cannot trace here")
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={syscalls}",
            "-e", f"inject={syscalls}:{inject}"]


def crowd_of(server, count, first):
    sockets = []
    for _ in range(count):
        one = socket.create_connection((server.host, server.port), timeout=5)
        one.sendall(first)
        sockets.append(one)
    return sockets


def beside(server, load, times=20):
    """The slowest of some writes, in milliseconds."""
    slowest = 0
    for _ in range(times):
        begin = time.monotonic()
        assert load.write_one(server) in (200, 201)
        slowest = max(slowest, time.monotonic() - begin)
    return int(slowest * 1000)
