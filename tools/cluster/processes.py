"""Programs of a cluster: ports that stay theirs, a user who may run PostgreSQL, waiting, ending."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from typing import Callable, TypeVar

Value = TypeVar("Value")


class ClusterError(RuntimeError):
    """Says what went wrong and what to do about it."""


def until(condition: Callable[[], Value], what: str | Callable[[], str],
          within: float = 60) -> Value:
    """Asks again until it is true; what it said then."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise ClusterError(f"not within {within:g} s: {text}")
        time.sleep(0.02)


def lasting_port(taken: set[int]) -> int:
    """A free port below those that the system gives to connections: a program that ends and comes
    back finds it free again. It is added to `taken`."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    low, high = (15_000, first) if first > 20_000 else (10_000, 60_000)
    for _ in range(1_000):
        port = random.randrange(low, high)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise ClusterError(f"no free port between {low} and {high} on 127.0.0.1; end other programs")


def dies_with_us(how: str) -> list[str]:
    """What to put before a command so that it gets the signal when the thread that started it ends,
    whatever ended it. PostgreSQL calls that an immediate shutdown (QUIT)."""
    return ["setpriv", f"--pdeathsig={how}"]


def send(process: subprocess.Popen | None, number: int) -> None:
    """To a process that may have ended by itself."""
    if process is not None and process.poll() is None:
        process.send_signal(number)


def end(process: subprocess.Popen | None, number: int, patience: float = 10) -> None:
    """Ends it by the signal, and by SIGKILL if that is not enough. Also one that is stopped."""
    if process is None:
        return
    send(process, number)
    send(process, signal.SIGCONT)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def kill_tree(process: subprocess.Popen) -> None:
    """It and its children at once by SIGKILL, as a machine that goes away ends them."""
    pid = process.pid
    send(process, signal.SIGSTOP)  # no new ones while we look
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(each) for each in file.read().split()]
    except OSError:
        children = []
    for each in [pid, *children]:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
