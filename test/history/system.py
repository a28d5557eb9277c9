"""The system that a history is recorded of: the real server over one state directory."""

import os
import signal
import subprocess
import threading
import time

from trued_server import Scratch, Server


class GitReader:
    """Reads the head of a bare repository; one `git cat-file` for each thread that asks."""

    def __init__(self, repository):
        self.repository = repository
        self.mine = threading.local()
        self.lock = threading.Lock()
        self.all = []

    def read(self, path):
        if not hasattr(self.mine, "process"):
            self.mine.process = subprocess.Popen(
                ["git", "-C", self.repository, "cat-file", "--batch"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE)
            with self.lock:
                self.all.append(self.mine.process)
        process = self.mine.process
        process.stdin.write(f"main:{path}\n".encode())
        process.stdin.flush()
        words = process.stdout.readline().split()
        if words[-1] == b"missing":
            return ""
        content = process.stdout.read(int(words[-1]) + 1)[:-1]
        return content.decode()

    def close(self):
        for process in self.all:
            process.stdin.close()
            process.stdout.close()
            process.wait()


class Trued:
    """A server that may be killed and stopped; it comes back at the same address."""

    host = "127.0.0.1"

    def __init__(self, target="file"):
        self.kind = target
        self.server = self.git = None
        self.lives = 0

    def __enter__(self):
        self.scratch = Scratch().__enter__()
        try:
            self.state = self.scratch.sub("state")
            if self.kind == "git":
                self.place = self.scratch.bare_repository()
                self.git = GitReader(self.place)
            else:
                self.place = self.scratch.sub("site")
            self.port = 0
            self.restart()
            self.port = self.server.port
            self.host_header = f"{self.host}:{self.port}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self.server:
            self.server.kill()
        if self.git:
            self.git.close()
        self.scratch.__exit__()

    def restart(self):
        """At the same port, which somebody's outgoing connection may have for a moment."""
        end = time.monotonic() + 10
        while True:
            try:
                self.server = Server(self.state, [f"site={self.kind}:{self.place}"],
                                     port=self.port)
                break
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.lives += 1

    def kill(self):
        self.server.kill()

    def pause(self):
        self.server.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.server.process.send_signal(signal.SIGCONT)

    def read(self, key):
        """What consumers of the target find at a key's artifact."""
        if self.git:
            return self.git.read(f"{key}.txt")
        try:
            with open(os.path.join(self.place, f"{key}.txt"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""
