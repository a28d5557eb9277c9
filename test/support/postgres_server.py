"""A real PostgreSQL for tests: in a directory of its own, on a free port, always stopped."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from ports import TRIES, free_port, in_use


def _binaries():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise RuntimeError("no PostgreSQL server here: install postgresql-15")
    return os.path.dirname(found[-1])


class PortTaken(RuntimeError):
    """Another program was faster."""


class PostgresServer:
    """Role `app` owns database `app`; role `postgres` may do everything. No passwords."""

    def __init__(self, *settings, wal_segment=1):
        """`wal_segment`: MiB; small for tests, which write little and start many of these."""
        self.root = tempfile.mkdtemp(prefix="trued-pg-")
        self.process = None
        # initdb refuses root. The server ends with whoever started it, whatever becomes of them.
        self.prefix = ["setpriv", "--pdeathsig=QUIT"]
        if os.getuid() == 0:
            os.chown(self.root, pwd.getpwnam("postgres").pw_uid, -1)
            self.prefix += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.data = os.path.join(self.root, "data")
        try:
            subprocess.run([*self.prefix, os.path.join(_binaries(), "initdb"), "-D",
                            self.data, "-N",
                            "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
                            f"--wal-segsize={wal_segment}"], check=True, capture_output=True)
            self._begin(settings)
            self._psql("postgres", "CREATE ROLE app LOGIN")
            self._psql("postgres", "CREATE DATABASE app OWNER app")
        except BaseException:
            self.stop()
            raise

    def _begin(self, settings):
        for left in reversed(range(TRIES)):
            self.port = free_port()
            self.command = [*self.prefix, os.path.join(_binaries(), "postgres"), "-D", self.data]
            for setting in ("listen_addresses=127.0.0.1", f"port={self.port}", "fsync=off",
                            "unix_socket_directories=", *settings):
                self.command += ["-c", setting]
            try:
                return self.start()
            except PortTaken:
                if left == 0:
                    raise

    def start(self):
        """Starts it, also again after crash(); returns when it answers."""
        deadline = time.monotonic() + 30
        self._launch()
        # Who answers at that port may be the server of another test.
        while self._psql("postgres", "SHOW data_directory").stdout.strip() != self.data:
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not start; see " + self.root)
            if self.process.poll() is not None and in_use(self._said()):
                raise PortTaken(f"port {self.port} is taken")
            # What a crash left may still hold its memory: then it does not start yet.
            if self.process.poll() is not None:
                self._launch()
            time.sleep(0.05)

    def _launch(self):
        with open(os.path.join(self.root, "log"), "ab") as log:
            self.begins = log.tell()
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def _said(self):
        """Since it was launched."""
        with open(os.path.join(self.root, "log"), "rb") as log:
            log.seek(self.begins)
            return log.read().decode(errors="replace")

    def crash(self):
        """As the machine's memory pressure would: all of its processes at once, by SIGKILL."""
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)    # no new ones while we look
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(each) for each in file.read().split()]
        for each in [pid, *children]:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def _psql(self, database, sql):
        return subprocess.run(
            [os.path.join(_binaries(), "psql"), "-XqtA", "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "postgres", "-d", database, "-c", sql],
            capture_output=True, text=True, check=False)

    def sql(self, sql):
        """Runs it as `postgres` in database `app`; what psql prints."""
        done = self._psql("app", sql)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    @property
    def url(self):
        return f"postgresql://app@127.0.0.1:{self.port}/app?sslmode=disable"

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
