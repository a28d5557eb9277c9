"""What postgres_bench.py measures: Trued's nodes and DBOS's processes, each on a database of its
own on one PostgreSQL server, and that server, alone or with a synchronous standby."""

import hashlib
import json
import os
import pwd
import queue
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import postgres_server
from ports import free_port
from trued_server import BINARY, Server, until

HERE = os.path.dirname(os.path.abspath(__file__))
DBOS = os.path.join(HERE, "dbos")
# As installed but for the place of its log: what is durable is what is compared.
SETTINGS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_connections=200")
SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers",
         "max_wal_size", "wal_sync_method", "synchronous_standby_names")


def sync_ms(count=200):
    """How long the disk takes for 8 KiB at the moment: median and 90th percentile. What others do
    to the same disk is the greatest noise in all of these figures."""
    taken = []
    with tempfile.NamedTemporaryFile(prefix="trued-sync-") as file:
        number = file.fileno()
        os.pwrite(number, bytes(8192 * count), 0)
        os.fsync(number)
        for turn in range(count):
            os.pwrite(number, bytes([turn % 256]) * 8192, turn * 8192)
            begin = time.perf_counter()
            os.fdatasync(number)
            taken.append((time.perf_counter() - begin) * 1000)
    taken.sort()
    return round(statistics.median(taken), 2), round(taken[count * 9 // 10], 2)


class NotThere(Exception):
    """A system cannot be measured here; the message says why."""


class Database(postgres_server.PostgresServer):
    """Durable, with the segments of an installed one; a new database for each run."""

    def __init__(self):
        self.standby = None
        super().__init__(*SETTINGS, wal_segment=16)

    def fresh(self, name):
        """The URL of an empty database, with what others left unwritten on the disk."""
        self.alone(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.alone(f"CREATE DATABASE {name} OWNER app")
        self.alone("CHECKPOINT")
        return self.url.replace("/app?", f"/{name}?")

    def alone(self, sql, database="postgres"):
        done = self._psql(database, sql)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def left(self, name):
        """Waits until nobody is connected to a database any more: then all is counted."""
        until(lambda: self.alone("SELECT count(*) FROM pg_stat_activity "
                                 f"WHERE datname = '{name}'") == "0", "its clients to go")

    def written(self):
        """Bytes of its log so far."""
        return int(self.alone("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def two_commits(self, seconds):
        """How often a second two transactions of one row each are committed, one after another on
        one connection, with nothing in between: what an operation that makes its intention durable
        before its effect, and its outcome after it, cannot be faster than with one client."""
        name = "bench_floor"
        self.fresh(name)
        self.alone("CREATE TABLE one(no bigserial PRIMARY KEY, body text)", name)
        binaries = os.path.dirname(self.command[len(self.prefix)])
        insert = f"INSERT INTO one(body) VALUES ('{'x' * 300}');\n"
        with tempfile.NamedTemporaryFile("w", prefix="trued-floor-", suffix=".sql") as script:
            script.write(insert * 2)
            script.flush()
            os.chmod(script.name, 0o644)
            done = subprocess.run(
                [*self.prefix, os.path.join(binaries, "pgbench"), "-n", "-M", "prepared", "-T",
                 str(seconds), "-f", script.name, "-h", "127.0.0.1", "-p", str(self.port), "-U",
                 "postgres", name], capture_output=True, text=True, check=True)
        found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
        return float(found.group(1))

    def settings(self):
        return {name: self.alone(f"SHOW {name}") for name in SHOWN}

    def add_standby(self):
        """From now on every commit waits until it is on the standby's disk too."""
        self.standby = Standby(self)
        self.alone("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (one)'")
        self.alone("SELECT pg_reload_conf()")
        until(lambda: self.alone("SELECT count(*) FROM pg_stat_replication "
                                 "WHERE sync_state = 'quorum' AND state = 'streaming'") == "1",
              "a standby that streams", 60)

    def drop_standby(self):
        self.alone("ALTER SYSTEM RESET synchronous_standby_names")
        self.alone("SELECT pg_reload_conf()")
        until(lambda: self.alone("SHOW synchronous_standby_names") == "", "the setting", 60)
        self.standby.stop()
        self.standby = None

    def stop(self):
        if self.standby is not None:
            self.standby.stop()
        super().stop()


class Standby:
    def __init__(self, primary):
        binaries = os.path.dirname(primary.command[len(primary.prefix)])
        self.root = tempfile.mkdtemp(prefix="trued-pg-standby-")
        if os.getuid() == 0:
            os.chown(self.root, pwd.getpwnam("postgres").pw_uid, -1)
        data = os.path.join(self.root, "data")
        self.process = None
        try:
            subprocess.run(
                [*primary.prefix, os.path.join(binaries, "pg_basebackup"), "-D", data, "-R", "-X",
                 "stream", "-c", "fast", "-d",
                 f"host=127.0.0.1 port={primary.port} user=postgres application_name=one"],
                check=True, capture_output=True)
            command = [*primary.prefix, os.path.join(binaries, "postgres"), "-D", data]
            for setting in (*SETTINGS, "listen_addresses=127.0.0.1", f"port={free_port()}",
                            "unix_socket_directories="):
                command += ["-c", setting]
            with open(os.path.join(self.root, "log"), "ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


class Node(Server):
    """A node of a shared ledger; listens() says whether it does."""

    def __init__(self, state, url, name):  # pylint: disable=super-init-not-called
        self.process = subprocess.Popen(
            [BINARY, "serve", "--json", "--listen", "127.0.0.1:0", "--state-dir", state,
             "--target", "bench=memory:", "--ledger", url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.name = name
        self.url = None
        self.said = queue.Queue()
        self.errors = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put({"event": "end"})

    def until(self, *events):
        """Waits for one of the events; its name."""
        while True:
            event = self.said.get(timeout=60)
            if event["event"] == "end":
                raise RuntimeError(f"node {self.name} ended: {''.join(self.errors)}")
            if event["event"] == "listening":
                self.url = "http://" + event["address"]
                self.host, port = event["address"].rsplit(":", 1)
                self.port = int(port)
            if event["event"] in events:
                return event["event"]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.drain.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Trued:
    """Nodes on one ledger; the first acts."""

    def __init__(self, count, scratch):
        self.count = count
        self.name = f"Trued, {count} node{'s' if count > 1 else ''}"
        self.scratch = scratch
        self.starts = 0
        self.nodes = []

    def start(self, url):
        self.starts += 1
        try:
            for number in range(self.count):
                state = self.scratch.sub(f"{self.count}-{self.starts}-{number}")
                node = Node(state, url, "abc"[number])
                self.nodes.append(node)
                if number == 0:
                    node.until("listening")
                    until(lambda: self._takes(self.nodes[0]), "a node that acts", 60)
                elif node.until("standby") and not self._forwards(node):
                    raise NotThere("this binary does not listen while it stands by: nothing to "
                                   "spread over")
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def _forwards(node):
        """It listens before it says so, or never while it stands by."""
        return node.url is not None and until(lambda: Trued._takes(node), "a node that forwards")

    @staticmethod
    def _takes(node):
        status, _, _ = node.write("bench", f"warm-{node.name}", {f"warm/{node.name}": "x"})
        return status < 300

    def urls(self, connections):
        """With one connection: a node that stands by, if there is one, and so has to forward."""
        return [self.nodes[-1].url] if connections == 1 else [node.url for node in self.nodes]

    def server(self, number):
        return self.nodes[number % len(self.nodes)]

    @staticmethod
    def counted(database, name):
        """Operations and commits so far."""
        return [int(each) for each in database.alone(
            "SELECT operation, batch FROM trued.head", name).split("|")]

    def stop(self):
        for node in self.nodes:
            node.kill()
        self.nodes = []


class Dbos:
    """Processes on one system database."""

    def __init__(self, count, connections):
        self.count = count
        self.connections = connections
        self.name = f"DBOS, {count} process{'es' if count > 1 else ''}"
        self.processes = []
        self.addresses = []

    def start(self, url):
        try:
            for number in range(self.count):
                process = subprocess.Popen(
                    ["node", "--no-deprecation", os.path.join(DBOS, "server.mjs"), url,
                     f"executor-{number}", str(self.connections)],
                    stdout=subprocess.PIPE, text=True)
                self.processes.append(process)
                line = process.stdout.readline()
                if not line.startswith("{"):
                    raise RuntimeError("DBOS did not start")
                self.addresses.append("http://" + json.loads(line)["address"])
        except BaseException:
            self.stop()
            raise

    def urls(self, connections):
        return self.addresses[:1] if connections == 1 else list(self.addresses)

    @staticmethod
    def counted(database, name):
        """Workflows and commits so far; a connection may report some of its own when it ends."""
        return [int(database.alone("SELECT count(*) FROM dbos.workflow_status", name)),
                int(database.alone("SELECT xact_commit FROM pg_stat_database "
                                   f"WHERE datname = '{name}'"))]

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
        self.processes = []
        self.addresses = []


def dbos_version():
    """Installs it as its lock file says, unless that is done; its version."""
    lock = os.path.join(DBOS, "package-lock.json")
    stamp = os.path.join(DBOS, "node_modules", ".installed-lock")
    with open(lock, "rb") as file:
        text = file.read()
    digest = hashlib.sha256(text).hexdigest()
    installed = ""
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as file:
            installed = file.read()
    if installed != digest:
        subprocess.run(["npm", "ci", "--prefix", DBOS, "--no-audit", "--no-fund",
                        "--ignore-scripts", "--loglevel=error"], check=True, stdout=2)
        with open(stamp, "w", encoding="ascii") as file:
            file.write(digest)
    return json.loads(text)["packages"]["node_modules/@dbos-inc/dbos-sdk"]["version"]
