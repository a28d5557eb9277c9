"""Clients that are slow, silent, gone, greedy or hostile."""

import os
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from load import Load  # noqa: E402
from place import Place, Skip, beside, crowd_of, resident_mib  # noqa: E402
from trued_server import Scratch, run  # noqa: E402

TCP_REPAIR = 19  # of Linux: a socket closed in repair says nothing to the other side


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
                "twice, deep": '{"key":"a",' + good.replace('"path":"a"', '"path":"a","path":"b"')
                + "}",
                "twice, escaped": '{"key":"a","k\\u0065y":"b",' + good + "}",
                "huge name": '{"key":"a","' + "n" * 1_000_000 + '":1,' + good + "}",
                "many names": '{"key":"a",' + "".join(f'"n{i}":1,' for i in range(50_000))
                + good + "}",
                "number": '{"key":1e999,' + good + "}", "empty": "", "nul": "\0" * 100,
            }
            for name, body in cases.items():
                status = post(body)
                assert 400 <= status < 500, f"{name}: {status}"
            for raw, expected in ((b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"431"),
                                  (b"GET / HTTP/1.1\r\nX: " + b"y" * 10_000_000, b"431"),
                                  (b"GET / HTTP/1.1\r\n" + b"y" * 10_000_000, b"4"),
                                  (b"POST /v1/operations HTTP/1.1\r\nHost: h\r\nIdempotency-Key: \""
                                   + b"k" * 20_000 + b"\"\r\n\r\n", b"4"),
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
            return f"{len(cases) + 6} kinds refused, the ledger unchanged; " + \
                f"others wait at most {beside(server, load, 3)} ms"


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def vanish(one):
    """As if the machine behind it had lost its power: no FIN, no RST."""
    try:
        one.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError as why:
        raise Skip(f"a connection cannot be left half open here: {why}") from why
    one.close()


def half_open_connections():
    """300 clients that vanish without a word, in a header, in a body and waiting for an answer"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            load.write_one(server)
            before = descriptors(server)
            host = f"Host: {server.host}:{server.port}\r\n"
            head = "POST /v1/operations HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n"
            body = ('{"type":"write","key":"gone-%d","input":{"target":"site","artifacts":'
                    '[{"path":"gone","content":"x"}]}}')
            gone = crowd_of(server, 150, head.encode()) + \
                crowd_of(server, 100, (head + "Content-Length: 9\r\n\r\n{").encode())
            for number in range(50):
                text = body % number
                length = f"Prefer: wait=5\r\nContent-Length: {len(text)}\r\n\r\n"
                gone += crowd_of(server, 1, (head + length + text).encode())
            for one in gone:
                vanish(one)
            slowest = beside(server, load)
            most = descriptors(server)
            end = time.monotonic() + 90  # a body may take a minute, a header ten seconds
            while descriptors(server) > before + 2:
                assert time.monotonic() < end, f"{descriptors(server)} descriptors are still open"
                time.sleep(0.5)
            load.settle(server)
            # Whoever asked is gone; what was asked is not.
            for number in range(50):
                page = server.request("GET", f"/v1/operations?key=gone-{number}")[2]
                assert len(page["operations"]) == 1, f"gone-{number}: {page}"
            return f"{most - before} connections held, all let go; others wait at most " + \
                f"{slowest} ms; " + load.check(server, place.state, place.site)


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
