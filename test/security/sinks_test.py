"""S7, S10: where calls may lead, and counterparts that answer with malice."""

import json
import os
import socket
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import Caller, House, resident_mib  # noqa: E402
from trued_server import BINARY, Scratch, run  # noqa: E402,F401

# Every spelling of an address that is not of the public Internet. PORT is the canary's.
INNER = [
    "127.0.0.1", "127.0.0.1.", "localhost", "localhost.", "LOCALHOST", "127.1", "127.0.1",
    "127.255.255.254", "0", "0.0.0.0", "2130706433", "017700000001", "0x7f000001", "0x7f.1",
    "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.0.0.01", "127.0.0.0x1", "[::]", "[::1]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::7f00:1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]",
    "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:169.254.169.254]",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "10.0.0.1", "172.16.0.1", "192.168.0.1",
    "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "user@127.0.0.1", "user:password@127.0.0.1", "public.example@127.0.0.1",
    "127.0.0.1%00.public.example", "127%2e0%2e0%2e1", "①②⑦.⓪.⓪.①", "127。0。0。1",
]

TARGET = """
[target.{name}]
kind = "http"
base_url = {url}
{more}
breaker = false
retry = {{ attempts_max = 1 }}
timeouts = {{ connect = "500ms", total = "{total}" }}

[operation.{name}]
identity = ["n"]
timeout = "{total}"
deadline = "{deadline}"
effect = {{ target = "{name}", method = "POST", path = "/hit", json = "${{input}}" }}
settle = {{ within = "100ms", reads_max = 1 }}
unreadable = {{ within = "100ms", reads_max = 1 }}
{after}
[operation.{name}.input]
required = ["n"]
properties = {{ n = {{ type = "string" }} }}
"""

READ = """
[[operation.{name}.artifact]]
name = "it"
read = {{ path = "/read" }}
expect = {{ json = {{ done = true }} }}
"""


def target(name, url, more="", total="2s", after="", deadline="1m"):
    return TARGET.format(name=name, url=json.dumps(url), more=more, total=total, deadline=deadline,
                         after=after.format(name=name))


class Sink:
    """Answers every connection on loopback with what `answer` says of the request's head; counts.

    `answer` takes the head and a function that sends, and returns when it is done."""

    def __init__(self, answer, host="127.0.0.1", port=0):
        self.answer = answer
        self.connections = []
        self.stopped = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.hits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.hits += 1
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one):
        with one:
            try:
                one.settimeout(20)
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = one.recv(65536)
                    if not piece:
                        return
                    head += piece
                self.answer(head, one.sendall)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def ok(head, send, body=b'{"done":true}'):
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
         b"Connection: close\r\n\r\n" % len(body) + body)


def canaries(test):
    """One on each loopback address of the machine, on one port."""
    first = Sink(ok)
    test.addCleanup(first.close)
    found = [first]
    for host in ("::1", "127.0.0.2"):
        try:
            found.append(Sink(ok, host, first.port))
        except OSError:
            continue  # no IPv6 here
        test.addCleanup(found[-1].close)
    return found


class InnerAddresses(unittest.TestCase):
    def test_S7_no_spelling_of_an_inner_address_is_called(self):
        watch = canaries(self)
        port = watch[0].port
        refused, accepted = [], {}
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "one.toml")
            for i, host in enumerate(INNER):
                text = target(f"t{i}", f"http://{host}:{port}", total="500ms", deadline="1s")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                code = run("check", path).returncode
                self.assertIn(code, (0, 78), host)
                if code:
                    refused.append(host)
                else:
                    accepted[f"t{i}"] = (host, text)
        self.assertTrue({"user@127.0.0.1", "user:password@127.0.0.1"} <= set(refused), refused)
        self.assertGreater(len(accepted), 35)
        house = House("".join(text for _, text in accepted.values()))
        self.addCleanup(house.close)
        caller = Caller(house.server)
        lines = "".join(json.dumps({"type": name, "input": {"n": "x"}}) + "\n" for name in accepted)
        _, said, _ = caller.ask("POST", "/v1/operations/batch", lines,
                                {"Content-Type": "application/x-ndjson", "Prefer": "wait=30"})
        receipts = [json.loads(line)["receipt"] for line in said.splitlines()]
        self.assertEqual(len(receipts), len(accepted))
        for receipt in receipts:
            host = accepted[receipt["type"]][0]
            self.assertEqual(receipt["status"], "failed", f"{host}: {receipt}")
        self.assertEqual([each.hits for each in watch], [0] * len(watch))

    def test_S7_no_redirection_leads_in(self):
        watch = canaries(self)
        port = watch[0].port

        def lead(head, send):
            # Whatever follows "/to/" in the path, or else the n-th place.
            host = head.split(b'"n":"')[1].split(b'"')[0].decode()
            send(f"HTTP/1.1 307 Moved\r\nLocation: http://{host}:{port}/\r\n"
                 "Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

        def lead_reads(head, send):
            if head.startswith(b"POST"):
                return ok(head, send)
            return send(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n"
                        b"Content-Length: 0\r\nConnection: close\r\n\r\n" % port)

        outer, reads = Sink(lead, "127.0.0.3"), Sink(lead_reads, "127.0.0.3")
        for each in (outer, reads):
            self.addCleanup(each.close)
        only = 'allow_private = ["127.0.0.3/32"]\nallow_redirects = '
        house = House(target("effects", outer.url, only + '"effects"') +
                      target("reads", reads.url, only + "true", after=READ) +
                      target("inside", outer.url,
                             'allow_private = true\nallow_redirects = "effects"'))
        self.addCleanup(house.close)
        caller = Caller(house.server)
        hosts = [each for each in INNER if each.isascii() and "%" not in each]
        for host in hosts:
            receipt = caller.submit("effects", None, {"n": host})
            self.assertEqual(receipt["status"], "failed", receipt)
        # Not even where inner addresses are allowed: another origin is another counterpart.
        self.assertEqual(caller.submit("inside", None, {"n": "127.0.0.1"})["status"], "failed")
        receipt = caller.submit("reads", None, {"n": "x"})
        self.assertNotEqual(receipt["status"], "confirmed", receipt)
        self.assertEqual([each.hits for each in watch], [0] * len(watch))
        self.assertGreaterEqual(outer.hits, len(hosts))

    def test_S7_an_input_does_not_say_where_a_call_goes(self):
        seen = []

        def note(head, send):
            seen.append(head.split(b"\r\n")[0].decode())
            ok(head, send)

        watch, sink = canaries(self), Sink(note, "127.0.0.3")
        self.addCleanup(sink.close)
        text = target("deep", sink.url + "/base", 'allow_private = ["127.0.0.3/32"]')
        house = House(text.replace('path = "/hit"', 'path = "/x/${input.n}"'))
        self.addCleanup(house.close)
        caller = Caller(house.server)
        evil = [f"http://127.0.0.1:{watch[0].port}/", f"//127.0.0.1:{watch[0].port}/",
                "../../admin",
                "..", ".", "%2e%2e/", "..%2f..", "@127.0.0.1", "\\..\\..", "a/../../b", "?a=b#c",
                "a b", "a\r\nX: y", "a\r\n\r\nGET /smuggled HTTP/1.1\r\n", "\u2028", "ä", "..;/",
                "a\0b", " ", "/", "//"]
        for n in evil:
            status, said, _ = caller.ask("POST", "/v1/operations", {
                "type": "deep", "input": {"n": n}}, {"Prefer": "wait=20"})
            self.assertIn(status, (201, 422), f"{n!r}: {said}")
        self.assertEqual([each.hits for each in watch], [0] * len(watch))
        for line in seen:
            self.assertRegex(line, r"^POST /base/x/[^/?# ]+ HTTP/1\.1$")
            self.assertNotRegex(line, r"/\.{1,2} ")


# ---- S10: what counterparts may answer -----------------------------------------------------------

def endless(head, send):
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        send(b"x" * 65536)


def endless_chunks(head, send):
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def endless_headers(head, send):
    send(b"HTTP/1.1 200 OK\r\n")
    while True:
        send(b"X-Flood: " + b"y" * 1000 + b"\r\n")


def endless_informational(head, send):
    while True:
        send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_trailer(head, send):
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    while True:
        send(b"X-Flood: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 2000)


def endless_extension(head, send):
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;")
    while True:
        send(b"x" * 65536)


def drip(head, send):
    send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    pause = threading.Event()
    while True:
        send(b"x")
        pause.wait(0.05)


def silent(head, send):
    threading.Event().wait(10)


def said(text, close=True):
    def answer(head, send):
        send(text)
        if not close:
            threading.Event().wait(10)
    return answer


def gzip_bomb(head, send):
    import zlib
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(256)) + packer.flush()
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
         b"Content-Length: %d\r\n\r\n" % len(body) + body)


def whole(body, more=b"Content-Type: application/json\r\n", status=b"200 OK"):
    return said(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, more, len(body)) + body)


# Answer -> what an effect so answered may be: a = acknowledged, u = unknown, f = failed.
HOSTILE = {
    "endless": (endless, "au"),
    "endless chunks": (endless_chunks, "au"),
    "endless headers": (endless_headers, "u"),
    "endless 100": (endless_informational, "u"),
    "an endless trailer": (endless_trailer, "au"),
    "an endless extension": (endless_extension, "au"),
    "a drip": (drip, "u"),
    "silence": (silent, "u"),
    "a gzip bomb": (gzip_bomb, "au"),
    "10 GB promised": (said(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\nx"), "au"),
    "2^64": (said(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nx"), "u"),
    "negative": (said(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"), "u"),
    "two lengths": (said(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
                    "u"),
    "both framings": (said(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), "u"),
    "too little": (said(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"done\":true}"), "u"),
    "nothing": (said(b""), "u"),
    "no HTTP": (said(b"\x16\x03\x01\x02\x00" + bytes(range(256)) * 4), "u"),
    "ssh": (said(b"SSH-2.0-OpenSSH_9.2\r\n"), "u"),
    "HTTP/0.9": (said(b"{\"done\":true}"), "u"),
    "HTTP/9.9": (said(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"), "u"),
    "status 0": (said(b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), "u"),
    "status 999": (said(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), "u"),
    "status 20": (said(b"HTTP/1.1 20 X\r\nContent-Length: 0\r\n\r\n"), "u"),
    "status 2000": (said(b"HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n"), "u"),
    "a huge reason": (said(b"HTTP/1.1 200 " + b"x" * 1000000 + b"\r\n\r\n"), "u"),
    "a huge header": (said(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000000 + b"\r\n\r\n"), "u"),
    "NUL in a header": (said(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"), "u"),
    "a bad chunk": (said(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "au"),
    "a chunk of 2^63": (said(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"7FFFFFFFFFFFFFFF\r\nx"), "au"),
    "bad gzip": (whole(b"not packed", b"Content-Encoding: gzip\r\n"), "au"),
    "unknown coding": (whole(b"x", b"Content-Encoding: br\r\n"), "au"),
    "an error in a 200": (whole(b'{"error":"it was not done"}'), "a"),
    "wrong type": (whole(b"<html>done</html>", b"Content-Type: text/html\r\n"), "a"),
    "no type": (whole(b"\xff\xfe\x00\xd8", b""), "a"),
    "deep": (whole(b"[" * 100000), "a"),
    "deep and closed": (whole(b'{"a":' * 50000 + b"1" + b"}" * 50000), "a"),
    "bad UTF-8": (whole(b'{"done":"\xff"}'), "a"),
    "twice the same name": (whole(b'{"done":true,"done":false}'), "a"),
    "a huge number": (whole(b'{"done":1e999999}'), "a"),
    "very many members": (whole(b"{" + b",".join(b'"%d":1' % i for i in range(30000)) + b"}"),
                          "a"),
    "control characters": (whole(b'{"error":"\\u001b[2J\\u0000\\r\\nX: y"}'), "a"),
    "retry in a century": (whole(b"", b"Retry-After: 99999999999999999999\r\n",
                                 b"429 Too Many Requests"), "fu"),
    "retry in the past": (whole(b"", b"Retry-After: -5\r\n", b"503 Unavailable"), "fu"),
    "switching": (said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "u"),
    "early hints only": (said(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), "u"),
    "to itself": (whole(b"", b"Location: /hit\r\n", b"307 Moved"), "f"),
    "to nowhere": (whole(b"", b"Location: http://[::1:bad/\r\n", b"307 Moved"), "f"),
}

STATES = {"a": {"acknowledged", "needs_action"}, "u": {"needs_action"}, "f": {"failed"}}


class Counterparts(unittest.TestCase):
    """Each answer for the effect, and each for the read-back after an effect that was fine."""

    @classmethod
    def setUpClass(cls):
        cls.names = {f"h{i}": name for i, name in enumerate(HOSTILE)}
        cls.sinks = []
        text = ""
        allowed = "allow_private = true\nresponse_bytes_max = 1048576\n"
        for ident, name in cls.names.items():
            answer = HOSTILE[name][0]
            effect = Sink(answer)
            read = Sink(lambda head, send, answer=answer:
                        ok(head, send, b"{}") if head.startswith(b"POST") else answer(head, send))
            cls.sinks += [effect, read]
            text += target(ident, effect.url, allowed, "1s")
            text += target("r" + ident, read.url, allowed, "1s", READ)
        cls.house = House(text)
        cls.addClassCleanup(cls.close)
        cls.server = cls.house.server
        cls.caller = Caller(cls.server)

    @classmethod
    def close(cls):
        cls.house.close()
        for sink in cls.sinks:
            sink.close()

    def all_of(self, prefix):
        lines = "".join(json.dumps({"type": prefix + ident, "input": {"n": "x"}}) + "\n"
                        for ident in self.names)
        _, text, _ = self.caller.ask("POST", "/v1/operations/batch", lines,
                                     {"Content-Type": "application/x-ndjson", "Prefer": "wait=60"})
        receipts = [json.loads(line)["receipt"] for line in text.splitlines()]
        self.assertEqual(len(receipts), len(HOSTILE))
        return {self.names[each["type"].removeprefix("r")]: each for each in receipts}

    def assert_well(self):
        self.assertLess(resident_mib(self.server), 400)
        self.assertEqual(self.caller.ask("GET", "/healthz")[0], 200)
        status, text, _ = self.caller.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertNotIn("\x1b", text)

    def test_S10_an_effect_is_what_its_answer_leaves_certain(self):
        for name, receipt in self.all_of("").items():
            allowed = set().union(*(STATES[each] for each in HOSTILE[name][1]))
            with self.subTest(name):
                self.assertIn(receipt["state"], allowed, receipt)
                self.assertLess(len(json.dumps(receipt)), 80_000)
        self.assert_well()

    def test_S10_what_is_read_back_confirms_nothing(self):
        for name, receipt in self.all_of("r").items():
            with self.subTest(name):
                self.assertEqual(receipt["state"], "needs_action", receipt)
                self.assertLess(len(json.dumps(receipt)), 80_000)
                self.assertNotIn("\x1b", json.dumps(receipt, ensure_ascii=False))
        self.assert_well()


if __name__ == "__main__":
    unittest.main(verbosity=1)
