"""What `trued write` takes, byte for byte, and what it refuses by name before anything is sent."""

import json
import os
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, Scratch, Server, run  # noqa: E402


class WriteCase(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch().__enter__()
        self.site = self.scratch.sub("site")
        self.server = Server(self.scratch.sub("state"), ["site=file:" + self.site])

    def tearDown(self):
        self.server.kill()
        self.scratch.__exit__()

    def trued(self, *arguments, **options):
        """Runs a command of bytes or texts against the server; stderr is ASCII or it fails."""
        done = subprocess.run([BINARY, *arguments, "--server", self.server.url], timeout=60,
                              capture_output=True, check=False, **options)
        done.stdout, done.stderr = done.stdout.decode("utf8"), done.stderr.decode("ascii")
        return done

    def path(self, *parts):
        return os.path.join(self.scratch.path, *parts)

    def put(self, name, content=b"x"):
        """Puts a file below the scratch directory; the name may be bytes."""
        path = os.path.join(os.fsencode(self.scratch.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def published(self):
        found = {}
        for here, _, names in os.walk(self.site):
            for name in names:
                path = os.path.join(here, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.site)] = file.read()
        return found

    def assert_nothing_sent(self):
        self.assertEqual(self.trued("op", "ls").stdout, "")
        self.assertEqual(self.published(), {})

    def assert_refused(self, code, words, *arguments):
        done = self.trued("write", "site", *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for word in [*words, "nothing was sent"]:
            self.assertIn(word, done.stderr)
        as_json = self.trued("write", "site", *arguments, "--json")
        answer = json.loads(as_json.stdout)
        self.assertEqual((as_json.returncode, answer["exit_code"]), (code, code))
        for word in words:
            self.assertIn(word, answer["error"])


class BytesTest(WriteCase):
    def test_V1_an_argument_that_is_not_utf_8_is_refused_and_never_repaired(self):
        self.put("x")
        file = os.fsencode(self.path("x"))
        one = ["--text", "a=1"]
        for words, arguments in (
                (["--remove $'caf\\351.md'"], ["--remove", b"caf\xe9.md"]),
                (["path $'p\\377'"], [b"p\xff=" + file]),
                (["--text $'t\\377'"], ["--text", b"t\xff=1"]),
                (["--message $'\\377'"], [*one, "--message", b"\xff"]),
                (["--key $'\\377'"], [*one, "--key", b"\xff"]),
                (["--base $'\\377'"], [*one, "--base", b"\xff"]),
                (["--scope $'\\355\\240\\200'"], [*one, "--scope", b"\xed\xa0\x80"]),
                (["--remove $'a\\377'", "--remove $'b\\377'", "--message $'m\\377'"],
                 ["--remove", b"a\xff", "--remove", b"b\xff", "--message", b"m\xff"])):
            self.assert_refused(64, words, *arguments)
        done = self.trued("write", b"site\xff", "--text", "a=1")
        self.assertEqual(done.returncode, 64)
        self.assertIn("the target $'site\\377' is not valid UTF-8", done.stderr)
        self.assert_nothing_sent()

    def test_V1_a_file_whose_name_is_not_utf_8_is_refused_with_all_that_are(self):
        for name in (b"d/a\xe9.md", b"d/sub/\xff.md", b"d/caf\xc3\xa9.md", b"d/dir\xe9/in.md"):
            self.put(name)
        words = ["a\\351.md'", "sub/\\377.md'", "dir\\351/in.md'"]
        self.assert_refused(65, words, "--dir", self.path("d"))
        self.assert_nothing_sent()

    def test_V1_content_and_the_names_of_local_files_may_be_any_bytes(self):
        self.put(b"l\xe9", b"\xff\xfe")
        self.put(b"d\xe9/caf\xc3\xa9.md", b"\xe9")
        there = os.fsencode(self.scratch.path)
        done = self.trued("write", "site", b"one=" + there + b"/l\xe9", "--text", b"two=\xff",
                          "--dir", there + b"/d\xe9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.published(),
                         {"one": b"\xff\xfe", "two": b"\xff", "caf\u00e9.md": b"\xe9"})

    def test_V1_looking_and_deciding_refuse_what_is_not_utf_8(self):
        for words, option in ((["op", "ls", "--key", b"\xff"], "--key $'\\377'"),
                              (["op", "ls", "--cursor", b"\xff"], "--cursor $'\\377'"),
                              (["op", "show", b"op_\xff"], "the id $'op_\\377'"),
                              (["op", "events", b"op_\xff"], "the id $'op_\\377'"),
                              (["op", "retry", "op_x", "--who", b"\xff"], "--who $'\\377'"),
                              (["op", "cancel", "op_x", "--why", b"\xff"], "--why $'\\377'")):
            done = self.trued(*words)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(option + " is not valid UTF-8; nothing was sent", done.stderr)


class DirectoryTest(WriteCase):
    def test_V1_a_link_to_a_file_is_published_under_its_own_name(self):
        self.put("pub/real.md", b"real")
        os.makedirs(self.path("pub/sub"))
        os.symlink("real.md", self.path("pub/latest.md"))
        os.symlink("../real.md", self.path("pub/sub/alias.md"))
        os.symlink("pub", self.path("link"))
        expected = {"real.md": b"real", "latest.md": b"real", "sub/alias.md": b"real"}
        for directory in ("pub", "pub/", "./pub", "pub/.", "link", "link/", "../" +
                          os.path.basename(self.scratch.path) + "/pub"):
            done = self.trued("write", "site", "--dir", directory, cwd=self.scratch.path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.published(), expected, directory)
        done = self.trued("write", "site", "--dir", ".", cwd=self.path("pub"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.published(), expected)

    def test_V1_what_cannot_be_published_is_refused_by_name(self):
        self.put("outside.txt", b"secret")
        self.put("pub/fine.md")
        self.put("pubs/near.txt", b"secret")
        os.makedirs(self.path("pub/sub"))
        for name, leads in (("o.txt", "../outside.txt"), ("near.txt", "../pubs/near.txt"),
                            ("abs.txt", self.path("outside.txt")), ("gone.txt", "nowhere"),
                            ("loop", "loop"), ("dir", "sub"), ("out", ".."), ("sub/up", "..")):
            os.symlink(leads, self.path("pub", name))
        os.mkfifo(self.path("pub/fifo"))
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind(self.path("pub/socket"))
        words = [f"{self.path('pub', name)} {why}" for name, why in (
            ("o.txt", "is a symbolic link to ../outside.txt, which is outside"),
            ("near.txt", "is a symbolic link to ../pubs/near.txt, which is outside"),
            ("abs.txt", "is a symbolic link to"), ("gone.txt", "is a symbolic link to nowhere"),
            ("loop", "is a symbolic link to loop, which leads nowhere"),
            ("dir", "is a symbolic link to sub, a directory"),
            ("out", "is a symbolic link to .., which is outside"),
            ("sub/up", "is a symbolic link to .., a directory"),
            ("fifo", "is no regular file"), ("socket", "is no regular file"))]
        self.assert_refused(65, words, "--dir", self.path("pub"))
        self.assert_nothing_sent()

    @unittest.skipIf(os.geteuid() == 0, "nothing is unreadable for root")
    def test_V1_what_cannot_be_read_is_refused_by_name(self):
        self.put("pub/closed/x")
        self.put("pub/file")
        os.chmod(self.path("pub/closed"), 0)
        os.chmod(self.path("pub/file"), 0)
        try:
            self.assert_refused(65, ["pub/closed: cannot read it: Permission denied",
                                     "pub/file: Permission denied"], "--dir", self.path("pub"))
        finally:
            os.chmod(self.path("pub/closed"), 0o700)
        self.assert_nothing_sent()

    def test_a_directory_that_is_none_or_holds_nothing_is_named(self):
        os.makedirs(self.path("empty"))
        self.put("file")
        for name, word in (("nosuch", "No such file"), ("file", "Not a directory"),
                           ("empty", "holds no file")):
            done = self.trued("write", "site", "--dir", self.path(name))
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(self.path(name), done.stderr)
            self.assertIn(word, done.stderr)


class FileTest(WriteCase):
    def test_a_file_that_cannot_be_read_is_named_with_the_reason(self):
        for argument, words in (("x=", ["'x=' names no file", "--text 'x='"]),
                                ("x=/no/such", ["cannot read /no/such: No such file"]),
                                ("x=" + self.site, ["cannot read " + self.site, "directory"])):
            done = self.trued("write", "site", argument)
            self.assertEqual(done.returncode, 64, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)

    def test_V1_standard_input_is_one_content_only(self):
        done = self.trued("write", "site", "a=-", "b=-", input=b"once")
        self.assertEqual(done.returncode, 64, done.stdout)
        self.assertIn("'b=-': standard input can be read only once", done.stderr)
        self.assert_nothing_sent()


class ArgumentTest(unittest.TestCase):
    def test_a_server_is_quoted_as_it_was_given(self):
        for url, why in (("foo", "is not an http:// or https:// URL"), ("http://", "names no host"),
                         ("http://h:0", "port"), ("http://h:x/", "port"), ("http://h?a", "query"),
                         ("http://[::1", "names no host"), ("http://h h", "no URL holds")):
            done = run("op", "ls", "--server", url)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn("--server", done.stderr)
            self.assertIn(url, done.stderr)
            self.assertIn(why, done.stderr)
            self.assertNotIn("/v1/", done.stderr)
        done = run("op", "ls", env={**os.environ, "TRUED_SERVER": "foo"})
        self.assertIn("TRUED_SERVER foo is not", done.stderr)
        done = run("op", "ls", "--server", "http://ada:secret@h")
        self.assertEqual(done.returncode, 64)
        self.assertIn("credentials", done.stderr)
        self.assertNotIn("secret", done.stderr)

    def test_numbers_are_what_they_look_like(self):
        for command, option in ((["lab"], "--seed"), (["lab"], "--writers"),
                                (["lab"], "--revisions"), (["op", "ls"], "--limit"),
                                (["exec", "--key", "k"], "--attempts")):
            for value in ("-1", "0x10", "010", "1.5", "", "+1", "99999999999999999999"):
                done = run(*command, option + "=" + value, "--json")
                self.assertEqual(done.returncode, 64, (command, option, value, done.stdout))
                self.assertIn(option, json.loads(done.stdout)["error"])
        for command, option in ((["write", "t", "--text", "a=1"], "--wait"),
                                (["op", "show", "op_x"], "--wait"),
                                (["exec", "--key", "k"], "--timeout"),
                                (["exec", "--key", "k"], "--lock-timeout")):
            after = ["--", "true"] if command[0] == "exec" else ["--server", "http://127.0.0.1:1"]
            done = run(*command, option + "=-5s", *after)
            self.assertEqual(done.returncode, 64, (command, done.stderr))
            self.assertIn(option + " '-5s' is not a duration", done.stderr)

    def test_a_decision_is_recorded_as_it_was_said_or_not_at_all(self):
        with Scratch() as scratch:
            done = run("exec", "--state-dir", scratch.sub("s"), "--key", "k", "--retry", "--who",
                       b"\xff")
            self.assertEqual(done.returncode, 64)
            self.assertIn("--who $'\\377' is not valid UTF-8", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
