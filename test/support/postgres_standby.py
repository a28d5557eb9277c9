"""A real standby of a PostgresServer: it follows, serves reads, stands still when it is told to."""

import os
import pwd
import subprocess
import tempfile
import time

from postgres_server import PostgresServer, _binaries


class Standby(PostgresServer):
    """Follows `primary` from its first moment on."""

    def __init__(self, primary, *settings):  # pylint: disable=super-init-not-called
        self.root = tempfile.mkdtemp(prefix="trued-pg-")
        self.process = None
        self.prefix = list(primary.prefix)
        if os.getuid() == 0:
            os.chown(self.root, pwd.getpwnam("postgres").pw_uid, -1)
        self.data = os.path.join(self.root, "data")
        try:
            subprocess.run([*self.prefix, os.path.join(_binaries(), "pg_basebackup"), "-h",
                            "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-D", self.data,
                            "-R", "-X", "stream", "-c", "fast", "--no-sync"],
                           check=True, capture_output=True)
            self._begin(settings)
        except BaseException:
            self.stop()
            raise

    def pause(self):
        """From now on it shows nothing newer, until resume()."""
        self.sql("SELECT pg_wal_replay_pause()")
        deadline = time.monotonic() + 30
        while self.sql("SELECT pg_get_wal_replay_pause_state()") != "paused":
            if time.monotonic() > deadline:
                raise RuntimeError("it does not stand still")
            time.sleep(0.01)

    def resume(self):
        self.sql("SELECT pg_wal_replay_resume()")
