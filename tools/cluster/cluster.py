"""A PostgreSQL primary, two standbys of which every commit waits for one, and Trued nodes.

    with Cluster(binary) as cluster:
        cluster.start()
        dead = cluster.kill_primary()
        cluster.promote()
        cluster.rejoin(dead)
        cluster.acting().kill()

Everything lies in one directory, and every process ends with this one, whatever ends it. All of
PostgreSQL is to be started and promoted in one thread, which lives as long as the cluster.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from typing import Any, Callable

from node import Node, file_of
from postgres import Place, Postgres
from processes import ClusterError, lasting_port, until
from wires import Loopback, Namespaces, Proxies

KEPT = "cluster.json"
DATABASE = "app"


class Cluster:
    """`config` goes into the trued.toml of every node: settings, targets, operations. The nodes
    listen at ports of the machine's choice, or from `first_port` on."""

    def __init__(self, binary: str, directory: str | None = None, *, keep: bool = False,
                 nodes: tuple[str, ...] = ("a", "b", "c"), network: Loopback | None = None,
                 config: str = "", lease: str = "2s", first_port: int = 0,
                 tell: Callable[[Node, str, dict], None] | None = None):
        self.binary = binary
        self.keep = keep
        self.network = network or Loopback()
        self.config = config
        self.lease = lease
        self.first_port = first_port
        self.schema = "trued"
        self.tell = tell
        self.directory = directory or tempfile.mkdtemp(prefix="trued-cluster-")
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o711)  # PostgreSQL may be another user, and passes through
        self.names = nodes
        self.servers: list[Postgres] = []
        self.nodes: list[Node] = []
        self.primary: Postgres = None  # type: ignore[assignment]  # from start() on

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    # ---- beginning and end -------------------------------------------------------------------

    def start(self, nodes: bool = True) -> Cluster:
        """Returns when everything runs, the first node acts and the others stand by."""
        kept = self._kept()
        ports: set[int] = set()
        numbers = kept.get("ports") or [lasting_port(ports) for _ in range(3 + len(self.names))]
        if self.first_port:
            numbers[3:] = [self.first_port + i for i in range(len(self.names))]
        place = Place(self.path("postgres"), self.network.addresses, self.network.networks)
        self.servers = [Postgres(place, f"pg{i + 1}", numbers[i]) for i in range(3)]
        if kept:
            self._go_on(kept)
        else:
            self._create(place)
        self.ports = numbers
        self._keep()
        self._make_nodes(numbers[3:])
        if nodes:
            self.start_nodes()
        return self

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    def _kept(self) -> dict[str, Any]:
        """What an earlier cluster in this directory left, if it was kept."""
        try:
            with open(self.path(KEPT), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def _keep(self) -> None:
        file_of(self.path(KEPT), json.dumps({"ports": self.ports, "primary": self.primary.name}))

    def _create(self, place: Place) -> None:
        password = secrets.token_hex(16)
        place.set_password(password)
        # libpq takes the password from here for us, whoever PostgreSQL runs as.
        file_of(self.path("pgpass"), f"*:*:*:*:{password}\n")
        file_of(self.path("password"), password)
        first, *others = self.servers
        self.primary = first
        first.initialise()
        # Nobody is waited for before somebody is there.
        first.start()
        # Who may not look at replication cannot tell what a commit is worth.
        first.sql(f"CREATE ROLE app LOGIN PASSWORD '{password}' IN ROLE pg_monitor")
        first.sql(f"CREATE DATABASE {DATABASE} OWNER app")
        for each in others:
            each.copy_of(first)
            each.start()
        self._wait_for_each_other()

    def _go_on(self, kept: dict[str, Any]) -> None:
        self.primary = next(each for each in self.servers if each.name == kept["primary"])
        for each in self.servers:
            each.waits_for = [other.name for other in self.servers if other is not each]
            each.follows = None if each is self.primary else self.primary
        for each in [self.primary, *self.standbys]:
            each.start()
        self.wait_replicated()

    def _wait_for_each_other(self) -> None:
        for each in self.servers:
            each.waits_for = [other.name for other in self.servers if other is not each]
            each.reload()
        self.wait_replicated()

    def _make_nodes(self, ports: list[int]) -> None:
        token = ""
        if self.network.networks:  # beyond loopback nobody is let in without
            token = secrets.token_hex(16)
            file_of(self.path("token"), token)
        database = [each.port for each in self.servers]
        for index, name in enumerate(self.names):
            self.network.add_node(index, database)
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)
            address = self.network.listen_at(index, ports[index])
            config = file_of(self.path(f"{name}.toml"), self._toml(index, name, address, token))
            command = [*self.network.prefix(index), self.binary, "serve", "--json", "--config",
                       config]
            self.nodes.append(Node(name, index, command, address, self.path(f"{name}.log"),
                                   token, self.tell))

    def _toml(self, index: int, name: str, address: str, token: str) -> str:
        hosts = self.network.database_hosts(index, [each.port for each in self.servers])
        out = [f'listen = "{address}"', f'state_dir = "{self.path(name)}"', self.config,
               "[ledger]", f'url = "{self._url(hosts)}"',
               f'password = "${{file:{self.path("password")}}}"',
               f'schema = "{self.schema}"', f'lease = "{self.lease}"',
               "[node]", f'name = "{name}"', f'advertise = "http://{address}"']
        if token:
            out += ["[token.cluster]", f'secret = "${{file:{self.path("token")}}}"']
        return "\n".join(out) + "\n"

    def start_nodes(self) -> None:
        first, *others = self.nodes
        first.start()
        first.wait_for("acting")
        for each in others:
            each.start()
        for each in others:
            each.wait_for("standby", "acting")

    def stop(self) -> None:
        """Ends what runs, and takes the directory away unless it is to be kept."""
        # Who acts goes last, so that nobody takes over from it for a moment.
        acting = self.acting()
        for each in sorted(self.nodes, key=lambda node: node is acting):
            each.stop()
        # The primary first: it hands what it has to the standbys before it ends.
        orderly = signal.SIGINT if self.keep else signal.SIGQUIT
        for each in sorted(self.servers, key=lambda server: server is not self.primary):
            each.stop(orderly)
        self.network.close()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    # ---- PostgreSQL --------------------------------------------------------------------------

    @staticmethod
    def _url(hosts: str) -> str:
        return (f"postgresql://app@{hosts}/{DATABASE}"
                "?target_session_attrs=read-write&sslmode=disable")

    @property
    def url(self) -> str:
        """Leads to whichever server is the primary; the password is in PGPASSFILE."""
        return self._url(",".join(f"127.0.0.1:{each.port}" for each in self.servers))

    @property
    def environment(self) -> dict[str, str]:
        return {"PGPASSFILE": self.path("pgpass")}

    @property
    def standbys(self) -> list[Postgres]:
        return [each for each in self.servers if each is not self.primary]

    def kill_primary(self, how: str = "kill") -> Postgres:
        """`kill`: all of its processes by SIGKILL. `immediate`: an immediate shutdown."""
        dead = self.primary
        if how == "kill":
            dead.kill()
        else:
            dead.stop(signal.SIGQUIT)
        return dead

    def promote(self, standby: Postgres | None = None) -> Postgres:
        """Makes a standby the primary, by itself the one that has received most: a commit that was
        acknowledged is on one of them, and nobody knows on which."""
        if self.primary.runs:
            raise ClusterError(f"the primary {self.primary.name} runs; end it first, or there are "
                               "two")
        down = [each.name for each in self.standbys if not each.runs]
        if down:
            raise ClusterError(f"{', '.join(down)} is down as well, and may have commits that the "
                               "others have not; start it first")
        received = {each.name: each.received() for each in self.standbys}
        best = max(self.standbys, key=lambda each: received[each.name])
        chosen = standby or best
        if received[chosen.name] < received[best.name]:
            raise ClusterError(f"{chosen.name} is behind {best.name}; promoting it would lose what "
                               "was acknowledged")
        chosen.promote()
        old, self.primary = self.primary, chosen
        self._keep()
        for each in self.standbys:
            if each is not old:
                each.follows = chosen
                each.reload()
        return chosen

    def rejoin(self, server: Postgres, by: str = "rewind") -> str:
        """Brings one that is down back as a standby; "rewind" or "copy", whichever it was."""
        server.stop()
        if by == "rewind" and not server.rewind_to(self.primary):
            by = "copy"
        if by == "copy":
            server.copy_of(self.primary)
        server.start()
        self.wait_replicated()
        return by

    def failover(self, how: str = "kill", by: str = "rewind") -> Postgres:
        """The primary dies, a standby takes its place, and the old primary comes back as a
        standby; the new primary."""
        dead = self.kill_primary(how)
        new = self.promote()
        self.rejoin(dead, by)
        return new

    def wait_replicated(self) -> None:
        """Until all standbys stream, and count for the quorum."""
        def all_of_them() -> bool:
            found = self.primary.standbys()
            return len(found) == len(self.servers) - 1 and all(
                each["state"] == "streaming" and each["sync"] == "quorum" for each in found)
        until(all_of_them, lambda: f"all standbys stream from {self.primary.name}: "
              f"{self.primary.standbys()}")

    # ---- nodes -------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        for each in self.nodes:
            if each.name == name:
                return each
        raise ClusterError(f"there is no node {name}; there are {', '.join(self.names)}")

    def acting(self) -> Node | None:
        """Who says so; of several, of which all but one are wrong, who said so last."""
        found = [each for each in self.nodes if each.state == "acting"]
        return max(found, key=lambda each: each.acts_since, default=None)

    def cut(self, node: Node) -> None:
        """From its database, and from nothing else."""
        self.network.cut(node.index)
        node.is_cut = True
        node.moves += 1

    def join(self, node: Node) -> None:
        self.network.join(node.index)
        node.is_cut = False
        node.moves += 1

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the binary, with the password of the ledger at hand."""
        return subprocess.run([self.binary, *arguments], capture_output=True, text=True,
                              check=False, timeout=300, stdin=subprocess.DEVNULL,
                              env={**os.environ, **self.environment})

    def audit(self) -> dict[str, Any]:
        done = self.run("audit", "--json", "--ledger", self.url, "--schema", self.schema)
        if not done.stdout:
            raise ClusterError(f"no audit: {done.stderr}")
        return json.loads(done.stdout)

    # ---- how things stand --------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        streams = {each["name"]: each for each in self.primary.standbys()}
        servers = []
        for each in self.servers:
            told: dict[str, Any] = {
                "name": each.name, "address": f"127.0.0.1:{each.port}",
                "role": "primary" if each is self.primary else "standby",
                "pid": each.process.pid if each.runs and each.process else None}
            if each is not self.primary:
                stream = streams.get(each.name, {})
                told["replication"] = stream.get("state", "none")
                told["sync"] = stream.get("sync", "none")
                told["behind_bytes"] = int(stream["behind"]) if stream.get("behind") else None
            servers.append(told)
        acting = self.acting()
        nodes = [{"name": each.name, "url": each.url, "pid": each.pid,
                  "state": self._state_of(each, acting), "lives": each.lives}
                 for each in self.nodes]
        return {"directory": self.directory, "ledger": self.url, "schema": self.schema,
                "pgpass": self.path("pgpass"), "network": self.network.name,
                "servers": servers, "nodes": nodes}

    @staticmethod
    def _state_of(node: Node, acting: Node | None) -> str:
        if node.pid is None:
            return "down"
        if node.is_paused:
            return "paused"
        if node.state == "acting" and node is not acting:
            return "overtaken"
        return node.state


def best_network() -> Loopback:
    """One in which nodes can be cut off: namespaces where the machine lets us, else proxies, or
    these also where TRUED_CLUSTER_NETWORK=proxies."""
    if os.environ.get("TRUED_CLUSTER_NETWORK") == "proxies" or not Namespaces.allowed():
        return Proxies()
    return Namespaces()
