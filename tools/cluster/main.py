#!/usr/bin/env python3
"""./dev cluster: a replicated PostgreSQL and three Trued nodes on this machine, to try things on.

    ./dev cluster               starts it and stays; Ctrl-C or `./dev cluster stop` ends all of it
    ./dev cluster status        who acts, who stands by, what is replicated, where
    ./dev cluster failover      ends the primary, promotes a standby, brings the old one back
    ./dev cluster kill NODE     ends a node at once; `start NODE` starts it again
    ./dev cluster pause NODE    stops it in the middle; `resume NODE` lets it go on
    ./dev cluster audit         recomputes the ledger, row by row
    ./dev cluster stop
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import Any

from cluster import KEPT, Cluster
from node import Node
from processes import ClusterError, until

EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
STATES = {"acting": "acts", "standby": "stands by"}


class Stopped(Exception):
    """Somebody wants it to end."""


def default_directory() -> str:
    return os.environ.get("TRUED_CLUSTER") or os.path.join(tempfile.gettempdir(),
                                                           f"trued-cluster-{os.getuid()}")


# ---- what is shown ---------------------------------------------------------------------------


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
    return "\n".join(("  " + line).rstrip() for line in lines)


def shown(status: dict[str, Any]) -> str:
    servers = []
    for each in status["servers"]:
        more = "down" if each["pid"] is None else ""
        if each["role"] == "standby" and not more:
            more = f"{each['replication']}, {each['sync']}"
            if each["behind_bytes"] is not None:
                more += f", {each['behind_bytes']} bytes behind"
        servers.append([each["name"], each["role"], each["address"], more])
    nodes = [[each["name"], STATES.get(each["state"], each["state"]), each["url"],
              f"pid {each['pid']}" if each["pid"] else ""] for each in status["nodes"]]
    return "\n".join(["PostgreSQL (a commit waits for one of the two standbys)", table(servers),
                      "Trued (one node acts on the ledger)", table(nodes)])


def advice(cluster: Cluster) -> str:
    return "\n".join([
        "Submit something, at any node, and have everything checked:",
        f"  {cluster.binary} write site --text hello.txt=Hello --server {cluster.nodes[-1].url}",
        "  ./dev cluster audit",
        f"Everything is in {cluster.directory}.",
        "Break something: ./dev cluster failover, kill NODE, pause NODE",
        "Ctrl-C or ./dev cluster stop ends all of it."])


class Voice:
    """Says what happens; lines of several threads do not mix."""

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.lock = threading.Lock()

    def say(self, text: str, **event: Any) -> None:
        with self.lock:
            print(json.dumps(event) if self.as_json else text, flush=True)

    def of_node(self, node: Node, state: str, more: dict[str, Any]) -> None:
        text = STATES.get(state, state)
        known = {key: more[key] for key in ("epoch", "holder", "status") if key in more}
        if state == "down":
            text = f"ended with status {more['status']}"
        elif "epoch" in known:
            text += f", epoch {known['epoch']}"
        self.say(f"node {node.name} {text}", event="node", node=node.name, state=state, **known)


# ---- the one that stays ----------------------------------------------------------------------


class Foreground:
    """Holds the cluster, and does what other calls of this program ask for."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.directory = os.path.abspath(options.keep or default_directory())
        self.voice = Voice(options.json)
        self.lock = -1

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        self._prepare()
        cluster = Cluster(self.options.binary, self.directory, keep=bool(self.options.keep),
                          config=self._config(), tell=self.voice.of_node,
                          first_port=self.options.port)
        try:
            with cluster:
                os.makedirs(cluster.path("site"), exist_ok=True)
                cluster.start()
                self._serve(cluster)
        except Stopped:
            pass
        finally:
            # What is under way is ended; another Ctrl-C does not leave half of it behind.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        kept = f"; {self.directory} is kept" if self.options.keep else ""
        self.voice.say("stopped" + kept, event="stopped", directory=self.directory,
                       kept=bool(self.options.keep))
        return 0

    def _config(self) -> str:
        more = ""
        if self.options.config:
            with open(self.options.config, encoding="utf-8") as file:
                more = file.read()
        site = os.path.join(self.directory, "site")
        return f'{more}\n[target.site]\nkind = "file"\ndirectory = "{site}"\n'

    def _prepare(self) -> None:
        """The directory is ours, nobody else's cluster is in it, and it holds nothing else."""
        os.makedirs(self.directory, mode=0o711, exist_ok=True)
        found = os.lstat(self.directory)
        if found.st_uid != os.getuid() or os.path.islink(self.directory):
            raise ClusterError(f"{self.directory} is somebody else's; give another with --keep DIR")
        names = set(os.listdir(self.directory))
        if names and "lock" not in names:
            raise ClusterError(f"{self.directory} holds something else; give an empty directory")
        self.lock = os.open(os.path.join(self.directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(f"a cluster runs already in {self.directory}; ./dev cluster stop "
                               "ends it, --keep DIR starts another beside it") from None
        # One that could not clean up, or was never complete.
        if not self.options.keep or KEPT not in names:
            for name in names - {"lock"}:
                path = os.path.join(self.directory, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, str(os.getpid()).encode(), 0)

    def _serve(self, cluster: Cluster) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.unlink("control", dir_fd=folder)
            except FileNotFoundError:
                pass
            # By its folder: the path of a socket may not be long.
            listener.bind(f"/proc/self/fd/{folder}/control")
            os.close(folder)
            listener.listen()
            status = cluster.status()
            self.voice.say(shown(status) + "\n" + advice(cluster), event="ready", **status)
            while True:
                client, _ = listener.accept()
                with client:
                    self._answer(cluster, client)

    def _answer(self, cluster: Cluster, client: socket.socket) -> None:
        try:
            client.settimeout(10)
            asked = json.loads(client.makefile().readline() or "{}")
            try:
                answer = self._do(cluster, asked.get("do", ""), asked.get("name", ""))
            except ClusterError as error:
                answer = {"error": str(error)}
            client.sendall((json.dumps(answer) + "\n").encode())
        except (OSError, ValueError):
            pass  # whoever asked has gone

    @staticmethod
    def _do(cluster: Cluster, what: str, name: str) -> dict[str, Any]:
        if what == "failover":
            old = cluster.primary.name
            cluster.failover()
            return {"old": old, "new": cluster.primary.name}
        if what in ("kill", "start", "pause", "resume"):
            node = cluster.node(name)
            getattr(node, what)()
            if what == "start":
                node.wait_for("standby", "acting")
            return {"node": name, "done": what}
        if what == "audit":
            return cluster.audit()
        return cluster.status()


def _stop(*_: Any) -> None:
    raise Stopped


# ---- the others ------------------------------------------------------------------------------


def ask(directory: str, what: str, name: str = "") -> dict[str, Any]:
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise _none(directory) from None
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(f"/proc/self/fd/{folder}/control")
        except OSError:
            raise _none(directory) from None
        finally:
            os.close(folder)
        client.sendall((json.dumps({"do": what, "name": name}) + "\n").encode())
        line = client.makefile().readline()
    if not line:
        raise ClusterError(f"the cluster in {directory} has ended meanwhile")
    answer = json.loads(line)
    if "error" in answer:
        raise ClusterError(answer["error"])
    return answer


def _none(directory: str) -> ClusterError:
    return ClusterError(f"no cluster is ready in {directory}; ./dev cluster starts one")


def is_ready(directory: str) -> bool:
    try:
        return bool(ask(directory, "status"))
    except ClusterError:
        return False


def stop(directory: str) -> None:
    """Returns when all of it has ended."""
    try:
        lock = os.open(os.path.join(directory, "lock"), os.O_RDWR)
    except OSError:
        raise _none(directory) from None
    try:
        # Who holds the lock is who wrote the number into it, and lives.
        if _free(lock):
            raise _none(directory)
        os.kill(int(os.pread(lock, 32, 0)), signal.SIGTERM)
        end = time.monotonic() + 120
        while not _free(lock):
            if time.monotonic() > end:
                raise ClusterError(f"the cluster in {directory} does not end within 120 s")
            time.sleep(0.05)
    finally:
        os.close(lock)


def _free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def follow_up(options: argparse.Namespace) -> int:
    """Everything but starting: asks the one that stays."""
    directory = os.path.abspath(options.keep or default_directory())
    if options.command == "stop":
        stop(directory)
        print(json.dumps({"stopped": directory}) if options.json else "stopped")
        return 0
    if options.wait:
        until(lambda: is_ready(directory), f"a cluster is ready in {directory}", 180)
    answer = ask(directory, options.command, options.node or "")
    if options.json:
        print(json.dumps(answer))
    elif options.command == "status":
        print(shown(answer))
    elif options.command == "audit":
        print(f"clean: {answer['operations']} operation(s), {answer['batches']} batch(es)"
              if answer["clean"] else f"a difference: {json.dumps(answer)}")
        return 0 if answer["clean"] else 1
    elif options.command == "failover":
        print(f"{answer['old']} was killed, {answer['new']} is the primary, and {answer['old']} "
              "follows it")
    else:
        done = {"kill": "was killed", "start": "was started", "pause": "is paused",
                "resume": "goes on"}
        print(f"node {answer['node']} {done[answer['done']]}")
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="start",
                        choices=["start", "status", "failover", "kill", "pause", "resume", "audit",
                                 "stop"])
    parser.add_argument("node", nargs="?", help="a, b or c")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--wait", action="store_true", help="of status: until a cluster is ready")
    parser.add_argument("--keep", metavar="DIR",
                        help="everything there, and left there at the end; what is there already "
                        "goes on. Give it to the other commands as well")
    parser.add_argument("--config", metavar="FILE",
                        help="goes into trued.toml of every node: targets, operations")
    parser.add_argument("--port", type=int, default=0,
                        help="of the first node, the others listen at the next ones; free ones")
    parser.add_argument("--binary", default=os.environ.get("TRUED_BINARY", "trued"),
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    needs = options.command in ("kill", "pause", "resume")
    if needs and not options.node:
        parser.error(f"{options.command} needs the name of a node")
    if options.node and not needs and options.command != "start":
        parser.error(f"{options.command} takes no node")
    return options


def main() -> int:
    """What ./dev cluster runs."""
    try:
        options = parsed()
    except SystemExit as done:
        return EXIT_USAGE if done.code else 0
    try:
        if options.command == "start" and not options.node:
            return Foreground(options).run()
        return follow_up(options)
    except (ClusterError, OSError) as error:
        print(f"dev cluster: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
