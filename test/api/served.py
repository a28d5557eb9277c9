"""The server whose answers are held to docs/openapi.yaml."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Callable

from contract import Client, Contract

SOURCE = Path(os.environ.get("TRUED_SOURCE_DIR", Path(__file__).resolve().parents[2]))
CONTRACT = Contract(SOURCE / "docs" / "openapi.yaml")
STOP_WITHIN_S = 20


class Server:
    """One `trued serve`, with a folder of its own."""

    def __init__(self, *arguments: str, prepare: Callable[[Path], None] = lambda _: None,
                 **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="trued-openapi-"))
        (self.folder / "docs").mkdir()
        prepare(self.folder)
        binary = os.environ.get("TRUED_BINARY", "")
        if not binary:
            raise AssertionError("TRUED_BINARY is not set: build the target `trued`")
        command = [binary, "serve", "--json", "--listen", "127.0.0.1:0",
                   "--state-dir", str(self.folder / "state"),
                   *(each.replace("FOLDER", str(self.folder)) for each in arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"the server did not start: {command}")
        self.address = str(json.loads(line)["address"])

    def client(self) -> Client:
        return Client(CONTRACT, self.address)

    def stop(self) -> int:
        """Ends the process, whatever happens, and removes its folder."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.process.returncode
