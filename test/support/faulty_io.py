"""File calls and allocations of a server that fail on purpose: faulty_io.c, compiled and led."""

import atexit
import errno
import mmap
import os
import shutil
import struct
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulty_io.c")

# As in faulty_io.c.
HOWS = {"KILL": (1, 0), "TORN": (2, 0), "EIO": (3, errno.EIO), "ENOSPC": (3, errno.ENOSPC),
        "EROFS": (3, errno.EROFS), "SKIP": (4, 0), "SHORT": (5, 0)}
FIELDS = ["calls", "at", "how", "code", "ever", "hit",
          "allocations", "allocation_at", "allocation_ever", "allocation_hit"]

_library = []


class NoCompiler(Exception):
    """What is preloaded cannot be built here."""


def library():
    """The path of the compiled library; built once in a process, and removed with it."""
    if not _library:
        compiler = next((path for path in map(shutil.which, ("clang-19", "cc", "gcc", "clang"))
                         if path), None)
        if compiler is None:
            raise NoCompiler("no C compiler is installed")
        folder = tempfile.mkdtemp(prefix="trued-faulty-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "faulty_io.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-fno-builtin", "-Wall", "-o", path,
                        SOURCE], check=True)
        _library.append(path)
    return _library[0]


class Faulty:
    """What goes wrong in one server. `under`: the places whose calls count.

    call(n, how) arms the nth counted call from now on, allocation(n) the nth allocation; both may
    be said before the server starts (`environment` goes to it) or while it runs.
    """

    def __init__(self, folder, under=(), log=None):
        fd, self.path = tempfile.mkstemp(dir=folder, prefix="faulty-")
        os.ftruncate(fd, 4096)
        self.page = mmap.mmap(fd, 4096)
        os.close(fd)
        self.environment = {"LD_PRELOAD": library(), "FAULTY_CONTROL": self.path,
                            "FAULTY_UNDER": ":".join(under)}
        if log:
            self.environment["FAULTY_LOG"] = log

    def get(self, field):
        return struct.unpack_from("Q", self.page, 8 * FIELDS.index(field))[0]

    def put(self, field, value):
        struct.pack_into("Q", self.page, 8 * FIELDS.index(field), value)

    def call(self, number, how, ever=False):
        kind, code = HOWS[how]
        self.put("how", kind)
        self.put("code", code)
        self.put("ever", int(ever))
        self.put("at", self.get("calls") + number)

    def allocation(self, number, ever=False):
        self.put("allocation_ever", int(ever))
        self.put("allocation_at", self.get("allocations") + number)

    def mend(self):
        """From now on nothing goes wrong."""
        self.put("at", 0)
        self.put("allocation_at", 0)

    def close(self):
        self.page.close()
        os.unlink(self.path)
