"""S2, S8, S11: tokens, web pages that reach for the server, and requests that hide another one."""

import http.client
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import ROUTES, Caller, House, body_of, exchange, filled, text_of_files  # noqa: E402
from trued_server import Scratch, audit, run  # noqa: E402

SITE = '[target.site]\nkind = "file"\ndirectory = "@/site"\n'
TOKEN = "a-secret-that-must-not-be-seen"
OTHER = "another-secret-for-nobody-else"
TOKENS = ('[token.first]\nsecret = "${env:TRUED_TEST_FIRST}"\n'
          '[token.second]\nsecret = "${file:@/second}"\n')


class Tokens(unittest.TestCase):
    def test_S2_nowhere_but_on_loopback_without_a_token(self):
        with Scratch() as scratch:
            state = scratch.sub("state")
            for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:0", "[2001:db8::1]:0",
                            "[::ffff:0.0.0.0]:0", "0:0"):
                done = run("serve", "--listen", address, "--state-dir", state)
                self.assertIn(done.returncode, (64, 78), f"{address}: {done.stdout}{done.stderr}")
            self.assertEqual(os.listdir(state), [], "something was made before it was refused")
            config = os.path.join(scratch.path, "trued.toml")
            for text in ('listen = "0.0.0.0:0"\n',
                         'listen = "0.0.0.0:0"\n[token.t]\nsecret = "${env:NOT_THERE}"\n',
                         'listen = "0.0.0.0:0"\n[token.t]\nsecret = "${env:TRUED_TEST_SHORT}"\n',
                         '[token.t]\nsecret = "written down in the file itself"\n'):
                with open(config, "w", encoding="utf-8") as file:
                    file.write(text)
                done = run("check", config, env={**os.environ, "TRUED_TEST_SHORT": "x" * 15})
                self.assertEqual(done.returncode, 78, text)

    def test_S2_tokens_are_asked_for_kept_nowhere_and_not_guessed(self):
        with Scratch() as secrets:
            self.wrong_ones(secrets.path)

    def wrong_ones(self, folder):
        with open(os.path.join(folder, "second"), "w", encoding="utf-8") as file:
            file.write(OTHER)
        house = House(TOKENS.replace("@/second", folder + "/second") + SITE,
                      {"TRUED_TEST_FIRST": TOKEN})
        self.addCleanup(house.close)
        right = Caller(house.server, TOKEN)
        write = {"target": "site", "artifacts": [{"path": "a", "content": "x"}]}
        self.assertEqual(right.submit("write", "a", write)["status"], "confirmed")
        self.assertEqual(Caller(house.server, OTHER).ask("GET", "/v1/status")[0], 200)
        near = [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), " " + TOKEN, TOKEN + " x",
                TOKEN + "\t" + "y",
                TOKEN[:-1] + "\xff", "", "null", "undefined", "*", "first", OTHER + TOKEN]
        for wrong in near:
            status, text, _ = Caller(house.server, wrong).ask("GET", "/v1/operations")
            self.assertIn(status, (401, 429), f"{wrong!r}: {text}")
        for header in ("Basic " + TOKEN, TOKEN, "Bearer", "Bearer  ", f"Bearer x, Bearer {TOKEN}",
                       f"Token {TOKEN}"):
            status, text, _ = Caller(house.server).ask("GET", "/v1/operations", None,
                                                       {"Authorization": header})
            self.assertIn(status, (401, 429), f"{header!r}: {text}")
        for path in (f"/v1/operations?token={TOKEN}", f"/v1/operations?access_token={TOKEN}"):
            self.assertIn(Caller(house.server).ask("GET", path)[0], (400, 401), path)
        counts = self.guess(house, 1000)
        self.assertEqual(set(counts), {401, 429}, counts)
        self.assertLessEqual(counts[401], 20, counts)
        self.assertEqual(right.ask("GET", "/v1/status")[0], 200, "a right token is never limited")
        # Nothing that anybody may read later holds a token.
        shown = right.ask("GET", "/metrics")[1] + right.ask("GET", "/v1/status")[1]
        house.server.terminate()
        house.server.drain.join()
        shown += "".join(house.server.errors) + json.dumps(audit(house.state))
        for secret in (TOKEN, OTHER):
            self.assertNotIn(secret, shown)
            for name, data in text_of_files(house.folder):
                self.assertNotIn(secret.encode(), data, name)

    @staticmethod
    def guess(house, times):
        connection = house.server.connect()
        counts = {}
        for i in range(times):
            connection.request("GET", "/v1/operations",
                               headers={"Authorization": f"Bearer guess-number-{i:08}"})
            response = connection.getresponse()
            response.read()
            counts[response.status] = counts.get(response.status, 0) + 1
        connection.close()
        return counts


class Pages(unittest.TestCase):
    """A server without tokens on loopback: only what a web page can do is in the way."""

    @classmethod
    def setUpClass(cls):
        cls.house = House(SITE)
        cls.addClassCleanup(cls.house.close)
        cls.server = cls.house.server
        cls.caller = Caller(cls.server)

    def on_every_route(self, headers, allowed, body=True):
        """Sends each route with these headers; the answers must be among `allowed`."""
        for route in ROUTES:
            text, own = body_of(route)
            path = filled(route.path, "op_00000000000000000000000000")
            status, said, got = self.caller.ask(route.method, path, text if body else None,
                                                {**own, **headers})
            self.assertIn(status, allowed, f"{route.method} {path} with {headers}: {said[:200]}")
            self.assertNotEqual(got.get("Access-Control-Allow-Origin"), "*", path)
            if "Origin" in headers:
                self.assertIsNone(got.get("Access-Control-Allow-Origin"), path)

    def tearDown(self):
        page = self.caller.value("GET", "/v1/operations?key=probe")
        self.assertEqual(page["operations"], [], "a foreign page had something done")

    def test_S8_foreign_hosts_are_refused_by_every_route(self):
        port = self.server.port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.nip.io:80", "localhost:1",
                     f"127.0.0.1:{port}.evil.example", f"localhost.:{port}", f"[::ffff:127.0.0.1]",
                     "", " ", f"127.1:{port}", f"evil.example@127.0.0.1:{port}", "0.0.0.0"):
            self.on_every_route({"Host": host}, (400, 403, 421))
        for lines in (f"Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n", "",
                      f"Host: evil.example\r\nX-Forwarded-Host: 127.0.0.1:{port}\r\n",
                      f"Host: evil.example\r\nForwarded: host=127.0.0.1:{port}\r\n"):
            said, _ = exchange(self.server, (
                f"GET /v1/status HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").encode())
            self.assertRegex(said[:13], rb"HTTP/1.1 (400|421)")
        raw = ("GET http://evil.example/v1/status HTTP/1.1\r\nConnection: close\r\n"
               f"Host: 127.0.0.1:{port}\r\n\r\n")
        self.assertRegex(exchange(self.server, raw.encode())[0][:13], rb"HTTP/1.1 421")

    def test_S8_foreign_origins_are_refused_by_every_route(self):
        port = self.server.port
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port}.evil.example",
                       f"http://evil.example:{port}", "http://localhost:1", "file://", "*",
                       f"ftp://127.0.0.1:{port}", f"http://127.0.0.1:{port}@evil.example"):
            self.on_every_route({"Origin": origin}, (403,))
        status, _, got = self.caller.ask("OPTIONS", "/v1/operations", None, {
            "Origin": "http://evil.example", "Access-Control-Request-Method": "POST"})
        self.assertIn(status, (403, 405))
        self.assertIsNone(got.get("Access-Control-Allow-Origin"))

    def test_S8_what_a_form_can_send_is_no_body(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                     "text/plain; application/json", "text/plain;charset=application/json",
                     "application/jsonp", "application/csp-report", "", "json"):
            for route in ROUTES:
                if route.media is None:
                    continue
                text, _ = body_of(route)
                path = filled(route.path, "op_00000000000000000000000000")
                status, said, _ = self.caller.ask(route.method, path, text, {"Content-Type": kind})
                self.assertEqual(status, 415, f"{route.method} {path} as {kind!r}: {said}")
        text, _ = body_of(ROUTES[0])
        for coding in ("gzip", "deflate", "br", "chunked"):
            status, said, _ = self.caller.ask("POST", "/v1/operations", text,
                                              {"Content-Encoding": coding})
            self.assertEqual(status, 415, said)
        # A GET changes nothing, whatever it asks for; methods are not overridden.
        for headers in ({"X-HTTP-Method-Override": "POST"}, {"X-Method-Override": "DELETE"}):
            self.assertEqual(self.caller.ask("GET", "/v1/operations", None, headers)[0], 200)

    def test_S8_answers_have_the_headers_of_safety(self):
        for route in ROUTES:
            _, _, got = self.caller.probe(route, filled(route.path, "op_x"), dry_run=True) \
                if route.name != "submit" else self.caller.ask("POST", route.path, {})
            self.assertEqual(got.get("X-Content-Type-Options"), "nosniff", route)
            self.assertIn("no-store", got.get("Cache-Control", ""), route)
            self.assertIsNone(got.get("Set-Cookie"), route)


class Smuggling(unittest.TestCase):
    """Bytes that two readers could split differently: one answer at most, then the end."""

    @classmethod
    def setUpClass(cls):
        cls.house = House(SITE)
        cls.addClassCleanup(cls.house.close)
        cls.server = cls.house.server

    def head(self, line="POST /v1/operations HTTP/1.1", *fields):
        host = f"Host: 127.0.0.1:{self.server.port}"
        return "\r\n".join([line, host, "Content-Type: application/json", *fields]) + "\r\n"

    def probes(self):
        hidden = self.head("GET /v1/status HTTP/1.1") + "\r\n"
        size = len(hidden)
        body = hidden
        chunked = f"0\r\n\r\n{hidden}"
        whole = f"Content-Length: {len(chunked)}"
        yield "length and chunked", self.head(
            "POST /v1/operations HTTP/1.1", whole, "Transfer-Encoding: chunked") + "\r\n" + chunked
        yield "chunked and length", self.head(
            "POST /v1/operations HTTP/1.1", "Transfer-Encoding: chunked", whole) + "\r\n" + chunked
        for coding in ("identity", "gzip, chunked", "chunked, chunked", "chunked, identity",
                       "xchunked", "chunked\x0b", "\"chunked\"", "chunked;q=1", "chunk", ",chunked",
                       "cow, chunked", "chunked, gzip"):
            yield f"coding {coding!r}", self.head(
                "POST /v1/operations HTTP/1.1", f"Transfer-Encoding: {coding}") + "\r\n" + chunked
        yield "two codings", self.head(
            "POST /v1/operations HTTP/1.1", "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity") + "\r\n" + chunked
        yield "chunked of 1.0", self.head(
            "POST /v1/operations HTTP/1.0", "Transfer-Encoding: chunked",
            "Connection: keep-alive") + "\r\n" + chunked
        for one, two in ((0, size), (size, 0), (size, size)):
            yield f"lengths {one} and {two}", self.head(
                "POST /v1/operations HTTP/1.1", f"Content-Length: {one}",
                f"Content-Length: {two}") + "\r\n" + body
        for length in (f"0, {size}", f"{size}, {size}", f"+{size}", "-1", "0x10", "1e1", "1 0", "",
                       "99999999999999999999999", f"{size};", "0b1", "²", "1_0", "\"5\""):
            yield f"length {length!r}", self.head(
                "POST /v1/operations HTTP/1.1", f"Content-Length: {length}") + "\r\n" + body
        for name in ("Content-Length ", " Content-Length", "Content-Length\t", "Content\0-Length",
                     "Content Length", "(Content-Length)", ""):
            yield f"name {name!r}", self.head(
                "POST /v1/operations HTTP/1.1", f"{name}: {size}") + "\r\n" + body
        for fold in (" ", "\t"):
            yield f"fold {fold!r}", self.head(
                "POST /v1/operations HTTP/1.1", f"X: a\r\n{fold}Content-Length: {size}") + \
                "\r\n" + body
            yield f"folded coding {fold!r}", self.head(
                "POST /v1/operations HTTP/1.1", f"Transfer-Encoding:\r\n{fold}chunked") + \
                "\r\n" + chunked
        good = self.head("POST /v1/operations HTTP/1.1", f"Content-Length: {size}")
        yield "bare line feeds", good.replace("\r\n", "\n") + "\n" + body
        yield "one bare line feed", good.replace("json\r\n", "json\n") + "\r\n" + body
        yield "bare carriage returns", good.replace("\r\n", "\r") + "\r" + body
        yield "a carriage return in a value", good.replace("json", "json\rX: y") + "\r\n" + body
        yield "a NUL in a value", good.replace("json", "json\0") + "\r\n" + body
        for sizes in ("5\n", "5;\n", "-1\r\n", "0x5\r\n", "+5\r\n", " 5\r\n", "5 5\r\n", "\r\n",
                      "FFFFFFFFFFFFFFFFF\r\n", "g\r\n"):
            yield f"chunk {sizes!r}", self.head(
                "POST /v1/operations HTTP/1.1", "Transfer-Encoding: chunked") + \
                f"\r\n{sizes}hello\r\n{chunked}"
        yield "a chunk longer than it says", self.head(
            "POST /v1/operations HTTP/1.1", "Transfer-Encoding: chunked") + \
            f"\r\n3\r\nhello\r\n{chunked}"
        for line in ("GET /v1/status\r\n", "GET  /v1/status HTTP/1.1", "GET /v1/status HTTP/2.0",
                     "GET /v1/status HTTP/1.1 x", " GET /v1/status HTTP/1.1", "G\0T / HTTP/1.1",
                     "GET /v1/\tstatus HTTP/1.1", "GET /a b HTTP/1.1", "GET /v1/status http/1.1",
                     "GET\t/v1/status\tHTTP/1.1", "GET /v1/status HTTP/1.1\r\r"):
            yield f"line {line!r}", self.head(line) + "\r\n" + hidden
        yield "a header that begins another", self.head(
            "GET /v1/%0d%0aX:%20y HTTP/1.1", "Connection: close") + "\r\n"

    def test_S11_what_hides_a_request_is_refused_and_the_connection_ends(self):
        before = self.events()
        count = 0
        for name, text in self.probes():
            said, ended = exchange(self.server, text.encode("utf-8"), 3)
            with self.subTest(name):
                self.assertTrue(ended, f"the connection goes on after {said[:300]!r}")
                self.assertLessEqual(said.count(b"HTTP/1.1 "), 1, said[:900])
                self.assertNotIn(b"HTTP/1.1 2", said)
                self.assertNotIn(b"\r\nX: y", said)
            count += 1
        self.assertGreater(count, 60)
        self.assertEqual(before, self.events(), "something was accepted")

    def events(self):
        return Caller(self.server).value("GET", "/v1/status")["ledger"]["events"]

    def test_S11_a_trailer_is_no_header(self):
        write = json.dumps({"type": "write", "input": {"target": "site", "artifacts": [
            {"path": "trailer", "content": "x"}]}})
        text = self.head("POST /v1/operations HTTP/1.1", "Transfer-Encoding: chunked",
                         "Connection: close")
        text += f"\r\n{len(write):x}\r\n{write}\r\n0\r\nIdempotency-Key: k\r\n\r\n"
        said, _ = exchange(self.server, text.encode())
        self.assertIn(b"idempotency-key-required", said)

    def test_S11_well_formed_ones_are_counted_right(self):
        hidden = (self.head("GET /healthz HTTP/1.1") + "\r\n")
        pair = hidden + self.head("GET /healthz HTTP/1.1", "Connection: close") + "\r\n"
        said, _ = exchange(self.server, pair.encode())
        self.assertEqual(said.count(b"HTTP/1.1 200"), 2)
        # A request within a body is a body.
        for framing, body in ((f"Content-Length: {len(hidden)}", hidden),
                              ("Transfer-Encoding: chunked",
                               f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n")):
            text = self.head("POST /v1/operations HTTP/1.1", framing, "Connection: close")
            said, _ = exchange(self.server, (text + "\r\n" + body).encode())
            self.assertEqual(said.count(b"HTTP/1.1 "), 1, said)
            self.assertTrue(said.startswith(b"HTTP/1.1 400"), said)

    def test_S11_internal_headers_of_a_client_mean_nothing(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        for name in ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Original-URL",
                     "X-Rewrite-URL", "X-Remote-User", "X-Trued-Actor", "X-Scope", "Via"):
            connection.request("GET", "/v1/status", headers={name: "/v1/shutdown, 8.8.8.8" * 20})
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 200, name)
        connection.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
