"""Disks that lose power, lie, and fill up."""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
import threading
import time

import card
from faulty_io import Faulty, NoCompiler
from load import Load
from trued_server import Scratch, Server, audit, sanitized

# EXT4_IOC_SHUTDOWN: the file system forgets what it has not written yet, as without power.
SHUT_DOWN = 0x8004587d
WITHOUT_FLUSH = 2


def need_root():
    if os.geteuid() != 0:
        raise card.Skip("mounting needs root")


def tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise card.Skip(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


class Disk:
    """An ext4 file system in a file, mounted on a loop device of its own; gone at the end."""

    def __init__(self, scratch, megabytes=256):
        self.path = scratch.sub("disk")
        image = os.path.join(scratch.path, "disk.img")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        tool("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", image)
        self.device = tool("losetup", "--find", "--show", image)
        self.mounted = False

    def __enter__(self):
        try:
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=False)
        subprocess.run(["losetup", "--detach", self.device], check=False)

    def mount(self):
        tool("mount", "-t", "ext4", self.device, self.path)
        self.mounted = True

    def cut(self):
        place = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(place, SHUT_DOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(place)

    def power_on(self):
        end = time.monotonic() + 20
        while subprocess.run(["umount", self.path], capture_output=True, check=False).returncode:
            assert time.monotonic() < end, "the disk is still in use"
            time.sleep(0.05)
        self.mounted = False
        self.mount()

    def sub(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        os.sync()
        return path


def cut_under_load(disk, server, load, chance):
    """Power goes at a random moment. What was said until then counts, and nothing later: a sync
    that is under way while ext4 is shut down may return 0 and have written nothing (seen with a
    bare pwrite and fdatasync too), which a machine without power tells nobody."""
    said = []

    def strike():
        time.sleep(chance.uniform(0.05, 0.6))
        with load.lock:
            said.extend((dict(load.acknowledged), dict(load.confirmed)))
        disk.cut()
        time.sleep(chance.uniform(0, 0.05))
        server.kill()
    load.during(server, strike, wait=chance.choice([0, 10]))
    load.acknowledged, load.confirmed = said
    disk.power_on()


@card.row("R4", "acknowledged operations lost, or confirmed content gone, in power cuts", "0")
def power_cuts(run):
    """Fails if after a power cut (everything that was not synced is gone, in ledger and target)
    something acknowledged is not in the ledger, something confirmed does not stand in the target,
    or the audit finds anything."""
    need_root()
    chance, loads = random.Random(run.seed), []
    cuts = run.size(3, 30)
    with Scratch() as scratch, Disk(scratch) as disk:
        state, site = disk.sub("state"), disk.sub("site")
        for number in range(cuts):
            loads.append(Load(f"cut{number}"))
            with Server(state, ["site=file:" + site]) as server:
                cut_under_load(disk, server, loads[-1], chance)
            with Server(state, ["site=file:" + site]) as server:
                loads[-1].settle(server)
                loads[-1].check(server, state, site)
        with Server(state, ["site=file:" + site]) as server:
            for load in loads:
                load.check(server, state, site)
    total = sum(len(load.acknowledged) for load in loads)
    assert total > cuts, "there was no load"
    return card.Figure(f"0 of {total:,}", True,
                       f"{cuts} cuts of an ext4 file system, audit clean; " + lying(run, chance))


def lying(run, chance):
    """The same with a disk that says it has synced and has not. Nobody can promise anything then;
    what remains must be a ledger that the audit refuses, or a true beginning of the real one."""
    if sanitized():
        return "no lying disk: nothing can be preloaded before a sanitizer"
    lost, found = 0, 0
    times = run.size(1, 10)
    for _ in range(times):
        with Scratch() as scratch, Disk(scratch) as disk:
            state, site, load = disk.sub("state"), disk.sub("site"), Load()
            try:
                faulty = Faulty(scratch.path, [state])
            except NoCompiler as why:
                return f"no lying disk: {why}"
            with Server(state, ["site=file:" + site], environment=faulty.environment) as server:
                faulty.call(1, "SKIP", True)
                cut_under_load(disk, server, load, chance)
            faulty.close()
            damaged, missing = after_a_lie(state, site, load)
            found += damaged
            lost += missing > 0
    return (f"syncs that lie (not survived): {lost} of {times} cuts lost something; "
            f"{found} of them found by the audit or at the start, the others left a true beginning")


def after_a_lie(state, site, load):
    """Whether the damage was found, and how much of what was acknowledged is missing."""
    if not audit(state).get("clean"):
        return True, 1
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(Server(state, ["site=file:" + site]))
        except RuntimeError:
            return True, 1
        connection = server.connect()
        missing = 0
        for key, ident in load.acknowledged.items():
            page = server.request("GET", f"/v1/operations?key={key}", None, None, connection)[2]
            found = [each["id"] for each in page["operations"]]
            assert found in ([], [ident]), f"{key} is another operation: {found} for {ident}"
            missing += not found
        return False, missing


# ---- R18 -----------------------------------------------------------------------------------------

@contextlib.contextmanager
def small_disk(scratch, megabytes=64):
    path = scratch.sub("small")
    tool("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", path)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=False)


def fill(mount, leave):
    """A file that takes all but about `leave` bytes of the file system, where others write too."""
    path = os.path.join(mount, "ballast")
    piece, size = 1 << 18, 0
    with open(path, "wb") as file, contextlib.suppress(OSError):
        while True:
            space = os.statvfs(mount)
            if space.f_bavail * space.f_bsize < leave + piece:
                break
            os.posix_fallocate(file.fileno(), size, piece)
            size += piece
    return path


class Readers:
    """Reads all the while; what was not answered 200 is kept."""

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.served, self.failed = 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._read)

    def _read(self):
        connection = self.server.connect()
        while not self.stop.wait(0.005):
            for path in ("/v1/status", self.path):
                status = self.server.request("GET", path, None, None, connection)[0]
                self.served += status == 200
                if status != 200:
                    self.failed.append(f"{path}: {status}")
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()


def fill_and_free(mount, server, load, chance):
    """The disk fills up under load, stays full for a moment, and is freed."""
    load.refused.clear()
    ballast = fill(mount, chance.randrange(1 << 18, 1 << 20))
    end = time.monotonic() + 30
    while load.refused.get(503, 0) < 50:
        assert time.monotonic() < end, f"the disk never filled up; refused {load.refused}"
        time.sleep(0.02)
    os.unlink(ballast)
    begin = time.monotonic()
    while load.write_one(server) >= 500:
        assert time.monotonic() < begin + 30, "it did not recover by itself"
        time.sleep(0.05)
    return time.monotonic() - begin


@card.row("R18", "disk full, then freed: acknowledged operations lost; manual steps; reads "
          "meanwhile", "0; 0; every one served")
def full_disk(run):
    """Fails if anything acknowledged is lost, if a write was refused with anything but 503, if any
    read was not served while the disk was full, or if the server does not take writes by itself
    within 30 s once there is space again."""
    need_root()
    chance, load = random.Random(run.seed), Load()
    rounds, slowest, refused = run.size(3, 20), 0, 0
    with Scratch() as scratch, small_disk(scratch) as mount:
        state, site = os.path.join(mount, "state"), scratch.sub("site")
        with Server(state, ["site=file:" + site]) as server:
            load.write_one(server)
            first = "/v1/operations/" + next(iter(load.acknowledged.values()))
            with Readers(server, first) as readers:
                for _ in range(rounds):
                    took = load.during(
                        server, lambda: fill_and_free(mount, server, load, chance), wait=2)
                    slowest = max(slowest, took)
                    assert set(load.refused) <= {503}, f"refused with {load.refused}"
                    refused += load.refused.get(503, 0)
            load.settle(server)
            load.check(server, state, site)
            lives = server.process.poll() is None
    return card.Figure(f"0 of {len(load.acknowledged):,}; 0; {len(readers.failed)} of "
                       f"{readers.served:,} reads failed", lives and not readers.failed,
                       f"{rounds} times full, {refused:,} refusals, writes again after at most "
                       f"{slowest:.1f} s" + "".join(readers.failed[:1]))
