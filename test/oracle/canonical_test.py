"""The canonical form (RFC 8785) against another implementation, npm's `canonicalize`.

Random documents, spelled in many ways, go through the real server: their digests come back as keys
that follow from the input, and their bytes arrive at a counterpart as the body of an effect.
"""

import hashlib
import http.server
import json
import os
import random
import struct
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from trued_server import Scratch, Server, sanitized  # noqa: E402

MODULE = os.path.join(HERE, "..", "..", "tools", "npm", "node_modules", "canonicalize")

CONFIG = """
open_max = 100000
[target.nobody]
kind = "worker"
[target.sink]
kind = "http"
base_url = "{url}"
allow_private = true

[operation.digest]
identity = ["doc"]
effect = {{ target = "nobody", what = "nothing" }}
[operation.send]
identity = ["n"]
effect = {{ target = "sink", method = "PUT", path = "/${{input.n}}", json = "${{input.doc}}" }}
"""

# Where notations change, halves are rounded, and ranges end.
NUMBERS = [
    "0", "-0", "0.0", "-0.0", "0e5", "-0E-5", "1", "-1", "1.0", "10", "1e0", "1E1", "1e+2",
    "100e-2",
    "0.1", "0.2", "0.30000000000000004", "1e20", "1e21", "1e22", "123456789012345680000",
    "999999999999999900000", "999999999999999999999", "1000000000000000000000", "1e-6", "1e-7",
    "0.000001", "0.0000001", "9.999999e-7", "1.5e-10", "5e-324", "4.9e-324",
    "2.4703282292062328e-324",
    "2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201e-308",
    "1.7976931348623157e308", "1.7976931348623158e308", "9007199254740991", "9007199254740992",
    "-9007199254740991", "-9007199254740992", "4503599627370496.5", "4503599627370497.5",
    "0.5", "1.5",
    "333333333.33333329", "1E30", "4.50", "2e-3", "0.000000000000000000000000001",
    "1424953923781206.2", "9.5e-7", "3.141592653589793238462643383279", "1e-400", "-1e-400",
    "8.41e21", "2.0e-3", "9.0608011534336e15", "4.708356024711512e18", "9.409340012568248e18",
]
PIECES = ["", "a", "A", "1", "10", "9", "\u20ac", "\r", "\ufb33", "\U0001f600", "\x80",
          "\u00f6", "\x7f",
          "</script>", '"', "\\", "/", "\b\f\n\r\t", "\0", "\x0f", "\x1f", "\u2028",
          "\u2029", "\ud7ff",
          "\ue000", "\uffff", "\ufffd", "\U00010000", "\U0010ffff", "e\u0301",
          "\u00e9", "__proto__",
          "constructor", "toString", "length", " ", "  ", "\u200b", "\ufeff", "\uff21"]


def exact(number):
    """Whole numbers beyond 2^53 are refused, however they are spelled: JSON does not carry them
    exactly. With an exponent in the canonical form (from 1e21) nobody takes it for a whole one."""
    whole = number.lstrip("-").isdigit()
    return abs(float(number)) <= 2**53 or (abs(float(number)) >= 1e21 and not whole)


class Documents:
    """Random JSON texts: the same value is spelled differently each time."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def number(self):
        while True:
            number = self.any_number()
            if exact(number):
                return number

    def any_number(self):
        kind = self.chance.random()
        if kind < 0.4:
            return self.chance.choice(NUMBERS)
        if kind < 0.6:
            return str(self.chance.randint(-2**53, 2**53))
        while True:
            value = struct.unpack("<d", self.chance.randbytes(8))[0]
            if value == value and abs(value) != float("inf"):
                return self.chance.choice([repr, lambda x: f"{x:.17g}", lambda x: f"{x:.25e}",
                                           lambda x: f"{x:.17E}"])(value)

    def text(self):
        words = [self.chance.choice(PIECES) for _ in range(self.chance.randint(0, 4))]
        return "".join(words)

    def quoted(self, text):
        spelled = self.chance.random()
        if spelled < 0.4:
            return json.dumps(text, ensure_ascii=False)
        if spelled < 0.8:
            return json.dumps(text)
        units = struct.unpack(f"<{len(text.encode('utf-16-le')) // 2}H", text.encode("utf-16-le"))
        return '"' + "".join(f"\\u{unit:04X}" for unit in units) + '"'

    def blank(self):
        return self.chance.choice(["", "", "", " ", "\t", "  "])

    def value(self, depth=0):
        kind = self.chance.random() * (1 if depth < 6 else 0.6)
        if kind < 0.3:
            return self.number()
        if kind < 0.5:
            return self.quoted(self.text())
        if kind < 0.6:
            return self.chance.choice(["true", "false", "null", "[]", "{}"])
        count = self.chance.randint(0, 6)
        if kind < 0.75:
            items = [self.blank() + self.value(depth + 1) + self.blank() for _ in range(count)]
            return "[" + ",".join(items) + "]"
        names = list({self.text() for _ in range(count)})
        self.chance.shuffle(names)
        members = [self.blank() + self.quoted(name) + self.blank() + ":" + self.value(depth + 1)
                   for name in names]
        return "{" + ",".join(members) + self.blank() + "}"

    def all(self, count):
        return [*filter(exact, NUMBERS), *(self.value() for _ in range(count))]


class Sink(http.server.BaseHTTPRequestHandler):
    bodies = {}

    def do_PUT(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies[int(self.path[1:])] = body
        self.send_response(204)
        self.end_headers()

    def log_message(self, *unused):
        pass


def other(documents):
    """What the other implementation says."""
    done = subprocess.run(["node", os.path.join(HERE, "canonicalize.mjs")], capture_output=True,
                          input="".join(each + "\n" for each in documents).encode(), check=True)
    return done.stdout.decode().split("\n")[:-1]


class Canonical(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir(MODULE):
            if sanitized():
                raise unittest.SkipTest("the npm tools come with the tests of the release build")
            raise AssertionError("no canonicalize: npm ci --prefix tools/npm")
        scratch = Scratch().__enter__()
        cls.addClassCleanup(scratch.__exit__)
        sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        sink.daemon_threads = True
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        cls.addClassCleanup(sink.server_close)
        cls.addClassCleanup(sink.shutdown)
        config = os.path.join(scratch.path, "trued.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(url=f"http://127.0.0.1:{sink.server_port}"))
        cls.server = Server(scratch.sub("state"), options=["--config", config])
        cls.addClassCleanup(cls.server.kill)

    def batch(self, lines, wait=0):
        text = "".join(line + "\n" for line in lines).encode()
        status, _, said = self.server.request(
            "POST", "/v1/operations/batch", text,
            {"Content-Type": "application/x-ndjson", "Prefer": f"wait={wait}"})
        self.assertEqual(status, 200, said)
        return [json.loads(line) for line in said.splitlines()]

    def test_T2_digests_of_the_canonical_form_agree(self):
        documents = Documents(8785).all(6000)
        expected = other([f'{{"doc":{each}}}' for each in documents])
        answers = self.batch([f'{{"type":"digest","input":{{"doc":{each}}}}}'
                              for each in documents])
        compared = 0
        for document, canonical, answer in zip(documents, expected, answers, strict=True):
            if document.strip() == "null":
                continue  # an identity is never null
            self.assertIn(answer["status"], (200, 202), f"{document[:300]}: {answer}")
            digest = hashlib.sha256(canonical.encode()).hexdigest()
            self.assertEqual(answer["receipt"]["key"], "sha256:" + digest,
                             f"\n{document[:500]}\nis {canonical[:500]} elsewhere")
            compared += 1
        self.assertGreater(compared, 5900)

    def test_T2_bytes_of_the_canonical_form_agree(self):
        documents = Documents(1985).all(150)
        expected = other(documents)
        answers = self.batch([f'{{"type":"send","input":{{"n":{n},"doc":{each}}}}}'
                              for n, each in enumerate(documents)], 60)
        self.assertEqual({answer["status"] for answer in answers}, {201}, answers[:1])
        for n, document in enumerate(documents):
            self.assertEqual(Sink.bodies.get(n, b"").decode(), expected[n], document)

    def test_T2_what_has_no_canonical_form_is_refused(self):
        for document in (*(each for each in NUMBERS if not exact(each)), "1e309", "-1e400",
                         '"\\ud800"', '"\\udc00\\ud800"', '{"a":1,"a":2}',
                         '{"a":1,"\\u0061":2}', "01", "+1", ".5", "1.", "NaN", "Infinity", "0x10",
                         '"\t"', "'a'", "[1,]", "undefined"):
            answer = self.batch([f'{{"type":"digest","input":{{"doc":{document}}}}}'])[0]
            self.assertEqual(answer["status"], 400, f"{document}: {answer}")


if __name__ == "__main__":
    unittest.main(verbosity=1)
