"""One PostgreSQL server of a cluster, as a primary or as a standby of another.

Its settings stand outside its data directory: pg_rewind copies whatever lies in there from another
server, and would bring that one's settings along.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

from processes import ClusterError, dies_with_us, end, kill_tree, until

PATIENCE_S = 60
SETTINGS = """
wal_level = replica
hot_standby = on
max_connections = 100
max_wal_senders = 10
shared_buffers = 32MB
min_wal_size = 8MB
max_wal_size = 256MB
# pg_rewind needs to know every page that was touched, and a standby that was away what it missed.
wal_log_hints = on
wal_keep_size = 256MB
wal_retrieve_retry_interval = 200ms
fsync = on
synchronous_commit = on
full_page_writes = on
unix_socket_directories = ''
timezone = 'UTC'
log_timezone = 'UTC'
"""


def binaries() -> str:
    """Where the programs of PostgreSQL 15 lie."""
    found = sorted(glob.glob("/usr/lib/postgresql/15/bin/initdb"))
    if found:
        return os.path.dirname(found[-1])
    # Not Debian: what is on the path.
    program = shutil.which("initdb")
    if program is None:
        raise ClusterError("no PostgreSQL server here; install postgresql-15")
    return os.path.dirname(os.path.realpath(program))


def program(name: str) -> str:
    return os.path.join(binaries(), name)


class Place:
    """The directory that the servers of one cluster share, and who owns it. PostgreSQL refuses to
    run as root; then it runs as `postgres`, whom the package has made."""

    def __init__(self, root: str, addresses: list[str], networks: list[str]):
        self.root = root
        self.addresses = addresses
        self.prefix: list[str] = []
        self.owner = os.getuid()
        if os.getuid() == 0:
            self.owner = pwd.getpwnam("postgres").pw_uid
            self.prefix = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        os.makedirs(root, mode=0o700, exist_ok=True)
        os.chown(root, self.owner, -1)
        if subprocess.run(self.as_owner("test", "-w", root), check=False).returncode != 0:
            raise ClusterError(f"the user postgres cannot reach {root}: choose a directory below "
                               "/tmp or /var, or open those above it (chmod o+x)")
        self.passfile = os.path.join(root, "pass")
        self.hba = os.path.join(root, "hba.conf")
        rules = "".join(f"host {what} all {network} scram-sha-256\n"
                        for network in ["127.0.0.1/32", *networks]
                        for what in ("all", "replication"))
        self.write(self.hba, rules)

    def as_owner(self, *command: str) -> list[str]:
        return [*dies_with_us("QUIT"), *self.prefix, *command]

    def write(self, path: str, text: str) -> None:
        with open(path + ".new", "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        os.chown(path + ".new", self.owner, -1)
        os.replace(path + ".new", path)

    def set_password(self, password: str) -> None:
        self.write(self.passfile, f"*:*:*:*:{password}\n")

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """As the owner, with the password at hand."""
        return subprocess.run(self.as_owner(*command), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=300, cwd=self.root,
                              env={**os.environ, "PGPASSFILE": self.passfile, "LC_ALL": "C"})


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Postgres:
    """`name` is what it is called in synchronous_standby_names of the others."""

    def __init__(self, place: Place, name: str, port: int):
        self.place = place
        self.name = name
        self.port = port
        self.data = os.path.join(place.root, name)
        self.conf = os.path.join(place.root, name + ".conf")
        self.log = os.path.join(place.root, name + ".log")
        self.process: subprocess.Popen | None = None
        self.waits_for: list[str] = []  # the others; a commit waits for one of them
        self.follows: Postgres | None = None

    # ---- making ------------------------------------------------------------------------------

    @property
    def made(self) -> bool:
        return os.path.exists(os.path.join(self.data, "PG_VERSION"))

    @property
    def marked_standby(self) -> bool:
        return os.path.exists(os.path.join(self.data, "standby.signal"))

    def initialise(self) -> None:
        """An empty database cluster, whose superuser has the password of the place."""
        with open(self.place.passfile, encoding="utf-8") as file:
            password = file.read().strip().rsplit(":", 1)[1]
        file_of_it = os.path.join(self.place.root, "superuser")
        self.place.write(file_of_it, password + "\n")
        self._must(self.place.run(
            program("initdb"), "-D", self.data, "-N", "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", file_of_it, "-E", "UTF8", "--no-locale", "--wal-segsize=1"))
        os.unlink(file_of_it)

    def copy_of(self, other: Postgres) -> None:
        """A fresh copy of a server that runs, to be its standby."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._must(self.place.run(
            program("pg_basebackup"), "-D", self.data, "-d", other.target(), "-c", "fast",
            "-X", "stream", "--no-sync"))
        self.follows = other
        self._mark_standby()

    def rewind_to(self, other: Postgres) -> bool:
        """Takes back what this server, which is down, has and `other` has not. False if it cannot
        be done: then a fresh copy is needed."""
        self.write_settings()
        done = self.place.run(program("pg_rewind"), "--target-pgdata", self.data,
                              "--source-server", other.target(), "--config-file", self.conf,
                              "--no-sync")
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            return False
        self.follows = other
        self._mark_standby()
        return True

    def _mark_standby(self) -> None:
        self.place.write(os.path.join(self.data, "standby.signal"), "")

    def write_settings(self) -> None:
        """What it waits for as a primary stands there also while it is a standby: once promoted,
        not one commit is accepted that is on its disk alone."""
        names = ", ".join(self.waits_for)
        lines = [SETTINGS, f"cluster_name = '{self.name}'", f"port = {self.port}",
                 f"data_directory = '{self.data}'", f"hba_file = '{self.place.hba}'",
                 f"ident_file = '{os.devnull}'",
                 f"listen_addresses = '{', '.join(self.place.addresses)}'",
                 f"synchronous_standby_names = '{f'ANY 1 ({names})' if names else ''}'"]
        if self.follows is not None:
            lines.append(f"primary_conninfo = '{self.follows.target()}'")
        self.place.write(self.conf, "\n".join(lines) + "\n")

    def target(self) -> str:
        """For the tools of PostgreSQL."""
        return (f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres sslmode=disable "
                f"passfile={self.place.passfile} connect_timeout=10")

    # ---- running -----------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Returns when it answers. To be called in a thread that lives as long as the server."""
        deadline = time.monotonic() + PATIENCE_S
        self.write_settings()
        self._launch()
        # Who answers at that port may be another program's server.
        while self.ask("SHOW data_directory") != self.data:
            if time.monotonic() > deadline:
                raise ClusterError(f"PostgreSQL {self.name} does not answer within {PATIENCE_S} s; "
                                   f"the end of {self.log}: {self._last_words()}")
            # What a crash left may still hold its memory: then it does not start yet.
            if not self.runs:
                time.sleep(0.2)
                self._launch()
            time.sleep(0.02)

    def _launch(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.place.as_owner(program("postgres"), "-c", f"config_file={self.conf}"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.place.root,
                start_new_session=True)

    def _last_words(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " | ".join(log.read().splitlines()[-3:])

    def reload(self) -> None:
        self.write_settings()
        send_hangup(self.process)

    def kill(self) -> None:
        """All of its processes at once by SIGKILL, as if its machine went away."""
        if self.process is not None:
            kill_tree(self.process)

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """SIGQUIT: at once, and recovers at the next start. SIGINT: in an orderly way."""
        end(self.process, how, patience=30)

    # ---- asking ------------------------------------------------------------------------------

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Runs it as the superuser; what psql prints."""
        done = self._psql(sql, database)
        if done.returncode != 0:
            raise ClusterError(f"{self.name}: {done.stderr.strip()}")
        return done.stdout.strip()

    def ask(self, sql: str) -> str:
        """As sql(), and "" if there is no answer."""
        done = self._psql(sql, "postgres")
        return done.stdout.strip() if done.returncode == 0 else ""

    def _psql(self, sql: str, database: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [program("psql"), "-XqtA", "-v", "ON_ERROR_STOP=1", "-d",
             f"host=127.0.0.1 port={self.port} user=postgres dbname={database} sslmode=disable "
             "connect_timeout=10", "-c", sql],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "PGPASSFILE": self.place.passfile, "LC_ALL": "C"})

    def received(self) -> int:
        """Up to where a standby has the log on its disk, once nothing comes in any more."""
        until(lambda: self.ask("SELECT count(*) FROM pg_stat_wal_receiver "
                               "WHERE status = 'streaming'") == "0",
              f"{self.name} still receives from a primary that should be down")
        return int(self.sql("SELECT pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), "
                            "pg_last_wal_replay_lsn()), '0/0')"))

    def promote(self) -> None:
        self.follows = None
        if self.sql("SELECT pg_promote(true, 60)") != "t":
            raise ClusterError(f"{self.name} was not promoted within 60 s: see {self.log}")
        # pg_rewind looks at the control file; the new timeline stands there after a checkpoint.
        self.sql("CHECKPOINT")

    def standbys(self) -> list[dict[str, str]]:
        """Those that stream from it, with how they count and how far behind they are."""
        rows = self.ask("SELECT application_name, state, sync_state, "
                        "pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn) "
                        "FROM pg_stat_replication ORDER BY 1")
        keys = ("name", "state", "sync", "behind")
        return [dict(zip(keys, row.split("|"))) for row in rows.splitlines()]

    @staticmethod
    def _must(done: subprocess.CompletedProcess) -> None:
        if done.returncode != 0:
            raise ClusterError(f"{done.args}: {done.stderr.strip() or done.stdout.strip()}")


def send_hangup(process: subprocess.Popen | None) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGHUP)
