"""Ports for programs that cannot be told to take a free one and say which."""

import os
import re
import socket

TRIES = 5


def free_port():
    """One that was free a moment ago. Tests run beside each other: another program may take it
    first, so whoever starts one there tries again with another if it says in_use()."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def in_use(said):
    """Whether that is what a program said of its port."""
    return re.search(r"\baddress (already )?in use\b", said, re.IGNORECASE) is not None


def listens(pid, port):
    """Whether it is this process that listens at 127.0.0.1:PORT, and not one that was faster."""
    local = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == "0A"}
    try:
        opened = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for each in opened:
        try:
            if os.readlink(f"/proc/{pid}/fd/{each}") in sockets:
                return True
        except OSError:
            pass  # closed meanwhile
    return False
