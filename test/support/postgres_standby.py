"""A standby of a PostgresServer, made by pg_basebackup, always stopped."""

import os
import pwd
import subprocess
import tempfile

import postgres_server
from postgres_server import PostgresServer


class PostgresStandby(PostgresServer):
    """Streams from `primary` under `name`, which synchronous_standby_names may name."""

    def __init__(self, primary, name, *settings):  # pylint: disable=super-init-not-called
        self.root = tempfile.mkdtemp(prefix="trued-pg-")
        self.process = None
        self.prefix = list(primary.prefix)
        if os.getuid() == 0:
            os.chown(self.root, pwd.getpwnam("postgres").pw_uid, -1)
        self.data = os.path.join(self.root, "data")
        binaries = postgres_server._binaries()  # pylint: disable=protected-access
        try:
            # -R: it says itself from whom to stream. What it is called is its cluster_name.
            subprocess.run([*self.prefix, os.path.join(binaries, "pg_basebackup"), "-D", self.data,
                            "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-R",
                            "-X", "stream", "--checkpoint=fast", "--no-sync"],
                           check=True, capture_output=True)
            self._begin((f"cluster_name={name}", *settings))
        except BaseException:
            self.stop()
            raise
