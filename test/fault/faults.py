"""Faults on the real binary, with a table of what held: ./dev fault [NAME…] [--quick]

Each case says what is broken, and fails unless nothing acknowledged was lost, nothing was falsely
confirmed, errors were clear, memory stayed bounded, and the server recovered without a person.
Cases that need privileges (mounting, tracing) are skipped where those are missing, and say so.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from load import Load  # noqa: E402
from trued_server import BINARY, Scratch, Server, run  # noqa: E402


class Skip(Exception):
    """The machine cannot do this; why."""


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


class Place:
    """A state directory, a target directory, and servers over them."""

    def __init__(self, scratch, state=None):
        self.state = state or scratch.sub("state")
        self.site = scratch.sub("site")

    def server(self, wrapper=(), environment=None):
        return Server(self.state, ["site=file:" + self.site], wrapper=wrapper,
                      environment=environment)


def traced(inject, syscalls):
    """A wrapper that makes system calls fail on purpose."""
    probe = subprocess.run(["strace", "-qq", "-o", os.devnull, "-e", "trace=none", "true"],
                           capture_output=True, check=False)
    if probe.returncode != 0:
        raise Skip("strace cannot trace here")
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={syscalls}",
            "-e", f"inject={syscalls}:{inject}"]


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


# ---- storage -------------------------------------------------------------------------------------

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


def full_disk():
    """a file system of 6 MiB fills up, and is enlarged later"""
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    with Scratch() as scratch:
        mount = scratch.sub("small")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount],
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise Skip("cannot mount a tmpfs")
        try:
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
        finally:
            subprocess.run(["umount", "-l", mount], check=False)


# ---- the process ---------------------------------------------------------------------------------

def stopped_and_continued():
    """SIGSTOP for 2 s under load, three times"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            def pause():
                for _ in range(3):
                    time.sleep(0.3)
                    server.process.send_signal(signal.SIGSTOP)
                    time.sleep(2)
                    server.process.send_signal(signal.SIGCONT)
                time.sleep(0.3)
            load.during(server, pause)
            return load.check(server, place.state, place.site)


def clock_jumps():
    """the wall clock goes back two days and forward ten under load"""
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    if not os.path.exists(library):
        raise Skip("libfaketime is not installed")
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        stamp = os.path.join(scratch.path, "faketime")

        def set_clock(offset):
            with open(stamp + ".new", "w", encoding="ascii") as file:
                file.write(offset + "\n")
            os.replace(stamp + ".new", stamp)

        set_clock("+0")
        environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": stamp,
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with place.server(environment=environment) as server:
            def jump():
                for offset in ("-2d", "+10d", "+0"):
                    time.sleep(0.7)
                    set_clock(offset)
                time.sleep(0.7)
            load.during(server, jump)
            _, _, page = server.request("GET", "/v1/operations?status=pending")
            assert not page["operations"], "something still waits after the clock went back"
            return load.check(server, place.state, place.site)


def out_of_descriptors():
    """60 file descriptors, 300 connections"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server(["prlimit", "--nofile=60:60"]) as server:
            load.write_one(server)
            crowd = []
            for _ in range(300):
                try:
                    crowd.append(socket.create_connection((server.host, server.port), timeout=1))
                except OSError:
                    break
            time.sleep(0.5)
            for one in crowd:
                one.close()
            end = time.monotonic() + 15
            while True:
                try:
                    if load.write_one(server) < 300:
                        break
                except OSError:
                    pass
                assert time.monotonic() < end, "it serves nobody after the crowd has gone"
            return f"{len(crowd)} connections; " + load.check(server, place.state, place.site)


# ---- clients -------------------------------------------------------------------------------------

def crowd_of(server, count, first):
    sockets = []
    for _ in range(count):
        one = socket.create_connection((server.host, server.port), timeout=5)
        one.sendall(first)
        sockets.append(one)
    return sockets


def beside(server, load, times=20):
    """The slowest of some writes, in milliseconds."""
    slowest = 0
    for _ in range(times):
        begin = time.monotonic()
        assert load.write_one(server) in (200, 201)
        slowest = max(slowest, time.monotonic() - begin)
    return int(slowest * 1000)


def slow_clients():
    """500 clients that send a byte a second"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            sockets = crowd_of(server, 500, b"P")
            stop = threading.Event()

            def drip():
                while not stop.wait(0.5):
                    for one in sockets:
                        try:
                            one.sendall(b"O")
                        except OSError:
                            pass
            thread = threading.Thread(target=drip)
            thread.start()
            slowest = beside(server, load)
            stop.set()
            thread.join()
            memory = resident_mib(server.process.pid)
            assert memory < 300, f"{memory} MiB"
            return f"others wait at most {slowest} ms, {memory} MiB"


def idle_connections():
    """10,000 connections that say nothing"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        want = 12_000 if hard == resource.RLIM_INFINITY else min(hard, 12_000)
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
        with place.server() as server:
            sockets = crowd_of(server, min(10_000, want - 500), b"")
            slowest = beside(server, load)
            memory = resident_mib(server.process.pid)
            count = len(sockets)
            for one in sockets:
                one.close()
            assert memory < 400, f"{memory} MiB"
            return f"{count} connections, {memory} MiB, others wait at most {slowest} ms"


def bodies_without_end():
    """bodies that never end, chunked and by a length that lies"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            head = (f"POST /v1/operations HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
                    "Content-Type: application/json\r\n")
            answers = []
            for kind in ("Transfer-Encoding: chunked\r\n\r\n",
                         f"Content-Length: {10 << 30}\r\n\r\n"):
                one = socket.create_connection((server.host, server.port), timeout=10)
                one.sendall((head + kind).encode())
                piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
                try:
                    for _ in range(2_000):
                        one.sendall(piece)
                except OSError:
                    pass
                try:
                    answers.append(one.recv(100).split(b"\r\n")[0].decode())
                except OSError:
                    answers.append("closed")
                one.close()
            memory = resident_mib(server.process.pid)
            assert memory < 300, f"{memory} MiB"
            assert all("413" in answer or answer in ("", "closed") for answer in answers), answers
            beside(server, load, 3)
            return f"answered {answers}, {memory} MiB"


def hostile_requests():
    """deep JSON, broken UTF-8, duplicate members, huge keys, header floods, garbage"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            def post(body):
                return server.request("POST", "/v1/operations", body,
                                      {"Content-Type": "application/json"})[0]
            good = ('"type":"write","input":{"target":"site",'
                    '"artifacts":[{"path":"a","content":"x"}]}')
            cases = {
                "deep": "[" * 100_000, "deep object": '{"a":' * 50_000,
                "utf-8": b'{"key":"\xff\xfe",' + good.encode() + b"}",
                "surrogate": '{"key":"\\ud800",' + good + "}",
                "twice": '{"key":"a","key":"b",' + good + "}",
                "huge key": '{"key":"' + "k" * 100_000 + '",' + good + "}",
                "number": '{"key":1e999,' + good + "}", "empty": "", "nul": "\0" * 100,
            }
            for name, body in cases.items():
                status = post(body)
                assert 400 <= status < 500, f"{name}: {status}"
            for raw, expected in ((b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"431"),
                                  (b"\x16\x03\x01" + os.urandom(300), b"400"),
                                  (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"4")):
                one = socket.create_connection((server.host, server.port), timeout=10)
                try:
                    one.sendall(raw)
                    said = one.recv(100)
                except OSError:
                    said = b""
                one.close()
                assert said == b"" or expected in said.split(b"\r\n")[0], said
            status, _, body = server.request("GET", "/v1/status")
            assert body["ledger"]["events"] == 0, "the ledger was changed"
            return f"{len(cases) + 3} kinds refused, the ledger unchanged; " + \
                f"others wait at most {beside(server, load, 3)} ms"


def hostile_configuration():
    """400 broken configurations"""
    good = """listen = "127.0.0.1:7117"
[target.site]
kind = "file"
directory = "/tmp"
settle = { within = "2s", reads_max = 3 }
[token.a]
secret = "${env:TRUED_FAULT_TOKEN}"
"""
    import random
    chance = random.Random(7)
    environment = {**os.environ, "TRUED_FAULT_TOKEN": "0123456789abcdef"}
    codes = {}
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        for round_number in range(400):
            text = bytearray(good.encode())
            for _ in range(chance.randint(1, 6) if round_number else 0):
                at = chance.randrange(len(text))
                text[at:at + chance.randint(0, 4)] = chance.choice(
                    [b"", b"\xff", b"[[", b'"', b"\0", b"9" * 30, b"=", b"{" * 50])
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
            done = run("check", file.name, env=environment)
            assert done.returncode in (0, 78), f"{done.returncode}: {bytes(text)!r}\n{done.stderr}"
            codes[done.returncode] = codes.get(done.returncode, 0) + 1
    assert 0 in codes, "the configuration is broken before anything was changed"
    return f"exit codes {codes}, no crash"


QUICK = [hostile_requests, hostile_configuration, bodies_without_end, out_of_descriptors]
ALL = [sync_fails_once, sync_fails_often, writes_find_no_space, killed_in_a_sync, slow_disk,
       full_disk, stopped_and_continued, clock_jumps, out_of_descriptors, slow_clients,
       idle_connections, bodies_without_end, hostile_requests, hostile_configuration]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="cases; all if none is named")
    parser.add_argument("--quick", action="store_true", help="without privileges, in seconds")
    options = parser.parse_args()
    cases = [case for case in (QUICK if options.quick else ALL)
             if not options.names or case.__name__ in options.names]
    unknown = set(options.names) - {case.__name__ for case in cases}
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(case.__name__ for case in ALL)}")
    failed = 0
    for case in cases:
        begin = time.monotonic()
        try:
            result, said = "held", case()
        except Skip as why:
            result, said = "skipped", str(why)
        except Exception as fault:  # whatever went wrong, the table goes on
            result, said = "FAILED", f"{type(fault).__name__}: {fault}"
            failed += 1
        print(f"{result:<8} {time.monotonic() - begin:5.1f} s  {case.__doc__}: {said}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} faults: nothing broke")
    return 1 if failed else 0


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY names no binary")
    sys.exit(main())
