"""Faults of the disk below ledger and target."""

import contextlib
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "score"))
import sweep  # noqa: E402
from faulty_io import NoCompiler  # noqa: E402
from load import Load  # noqa: E402
from place import Place, Skip, traced  # noqa: E402
from trued_server import Scratch, run, sanitized  # noqa: E402


def storage_fault(inject, syscalls):
    """Faults at the storage border while writers write; then a clean life checks everything."""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server(traced(inject, syscalls)) as server:
            load.during(server, lambda: time.sleep(3))
            server.kill()
        with place.server() as server:
            deadline = time.monotonic() + 20
            while load.write_one(server) >= 500 and time.monotonic() < deadline:
                time.sleep(0.2)
            said = load.check(server, place.state, place.site)
        return said + f", refused {sum(load.refused.values())}"


def sync_fails_once():
    """fdatasync: EIO at the 15th call of a thread"""
    return storage_fault("error=EIO:when=15", "fdatasync")


def sync_fails_often():
    """fdatasync: EIO at every 7th call after the 30th"""
    return storage_fault("error=EIO:when=30+7", "fdatasync")


def writes_find_no_space():
    """pwrite64: ENOSPC at every 40th call"""
    return storage_fault("error=ENOSPC:when=40+40", "pwrite64")


def killed_in_a_sync():
    """fdatasync: SIGKILL instead of the 12th"""
    return storage_fault("signal=SIGKILL:when=12", "fdatasync")


def slow_disk():
    """fdatasync: 50 ms each"""
    return storage_fault("delay_enter=50000", "fdatasync")


@contextlib.contextmanager
def small_file_system(scratch, size):
    """A tmpfs that goes with the case."""
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    mount = scratch.sub("small")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount],
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise Skip("cannot mount a tmpfs")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=False)


def full_disk():
    """a file system of 6 MiB fills up, and is enlarged later"""
    with Scratch() as scratch, small_file_system(scratch, "6m") as mount:
        place, load = Place(scratch, os.path.join(mount, "state")), Load()
        with place.server() as server:
            def fill():
                end = time.monotonic() + 40
                while not load.refused and time.monotonic() < end:
                    time.sleep(0.05)
            load.during(server, fill)
            assert load.refused, "the disk never filled up"
            assert set(load.refused) == {503}, f"refused with {load.refused}"
            status, _, _ = server.request("GET", "/v1/status")
            assert status == 200, "reads are served while the disk is full"
            subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
            end = time.monotonic() + 15
            while load.write_one(server) >= 500:
                assert time.monotonic() < end, "it did not recover by itself"
                time.sleep(0.2)
            return load.check(server, place.state, place.site)


def read_only_disk():
    """a disk that cannot be written: a start says so, and is no harm"""
    with Scratch() as scratch, small_file_system(scratch, "64m") as mount:
        place, load = Place(scratch, os.path.join(mount, "state")), Load()
        with place.server() as server:
            for _ in range(10):
                load.write_one(server)
            server.kill()
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        try:
            place.server().kill()
            raise AssertionError("it began on a disk that it cannot write")
        except RuntimeError as refusal:
            said = str(refusal)
            assert "read-only" in said.lower() or "readonly" in said.lower(), said
        # An audit writes nothing of its own, so either it can or it says why it cannot.
        report = run("audit", "--json", "--state-dir", place.state)
        assert report.returncode in (0, 78) and "Traceback" not in report.stderr, report
        subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
        with place.server() as server:
            return load.check(server, place.state, place.site)


def disk_turns_read_only():
    """every write fails with EROFS under load, as after an error of the disk; then no more"""
    if sanitized():
        raise Skip("nothing can be preloaded before a sanitizer")
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        try:
            faulty = sweep.Faulty(scratch.path, [place.state])
        except NoCompiler as why:
            raise Skip(str(why)) from why
        with place.server(environment=faulty.environment) as server:
            def turn():
                time.sleep(0.5)
                faulty.call(1, "EROFS", True)
                end = time.monotonic() + 30
                while load.refused.get(503, 0) < 20:
                    assert time.monotonic() < end, f"it was not noticed; refused {load.refused}"
                    time.sleep(0.02)
                status, _, _ = server.request("GET", "/v1/operations?status=confirmed")
                assert status == 200, "reads are served while nothing can be written"
                assert server.request("GET", "/readyz")[0] == 503, "it says that it is ready"
            load.during(server, turn, wait=2)
            assert set(load.refused) == {503}, f"refused with {load.refused}"
            faulty.mend()
            end = time.monotonic() + 30
            while load.write_one(server) >= 500:
                assert time.monotonic() < end, "it did not recover by itself"
                time.sleep(0.05)
            load.settle(server)
            return load.check(server, place.state, place.site)


def short_writes():
    """pwrite64 drops 8 bytes and says that it wrote them, at every tenth call"""
    if sanitized():
        raise Skip("nothing can be preloaded before a sanitizer")
    harmless, found = 0, 0
    with Scratch() as scratch:
        try:
            story = sweep.Story("fresh", scratch.path)
            calls = story.calls()
        except NoCompiler as why:
            raise Skip(str(why)) from why
        for number, call in enumerate(calls, 1):
            if call != "pwrite" or number % 10:
                continue
            outcome = story.fail(number, "SHORT", False)
            assert not outcome.broken, f"call {number}: {outcome.broken}"
            assert outcome.corrupt or not outcome.lost, f"call {number}, unseen: {outcome.lost}"
            found += bool(outcome.corrupt)
            harmless += not outcome.corrupt
    assert found, "no write that was cut mattered"
    return f"{harmless} did no harm, {found} found by the audit or at the start, 0 unseen"
