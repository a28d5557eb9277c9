"""The commands as a person or a script uses them: output, exit codes, completion, exec, check."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, Scratch, Server, run  # noqa: E402


class WriteTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Scratch().__enter__()
        cls.site = cls.scratch.sub("site")
        cls.server = Server(cls.scratch.sub("state"), ["site=file:" + cls.site])

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.scratch.__exit__()

    def trued(self, *arguments):
        return run(*arguments, "--server", self.server.url)

    def test_V8_one_command_writes_and_says_what_was_read_back(self):
        done = self.trued("write", "site", "--text", "a.txt=hello", "--key", "w1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("confirmed"))
        self.assertIn("match", done.stdout)
        again = self.trued("write", "site", "--text", "a.txt=hello", "--key", "w1", "--json")
        self.assertEqual(json.loads(again.stdout)["decision"], "duplicate")

    def test_a_directory_a_binary_file_and_standard_input(self):
        tree = self.scratch.sub("tree/deep")
        with open(os.path.join(tree, "bytes"), "wb") as file:
            file.write(bytes(range(256)))
        done = self.trued("write", "site", "--dir", os.path.dirname(tree), "--key", "w2")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.site, "deep", "bytes"), "rb") as file:
            self.assertEqual(file.read(), bytes(range(256)))
        piped = subprocess.run(
            [BINARY, "write", "site", "in.txt=-", "--key", "w3", "--server", self.server.url],
            input="piped", capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(piped.returncode, 0, piped.stderr)

    def test_a_key_is_made_and_told_where_none_is_given(self):
        done = self.trued("write", "site", "--text", "k.txt=1")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--key", done.stderr)

    def test_exit_codes(self):
        self.trued("write", "site", "--text", "c.txt=1", "--key", "codes")
        cases = [(65, ["write", "site", "--text", "c.txt=2", "--key", "codes"]),
                 (65, ["write", "nowhere", "--text", "c=1", "--key", "x"]),
                 (64, ["write", "site", "--key", "x"]),
                 (64, ["write", "site", "no-equal-sign", "--key", "x"]),
                 (64, ["op", "ls", "--limit", "0"]),
                 (65, ["op", "show", "op_none"])]
        for code, arguments in cases:
            self.assertEqual(self.trued(*arguments).returncode, code, arguments)
        gone = run("write", "site", "--text", "x=1", "--key", "x", "--server",
                   "http://127.0.0.1:1")
        self.assertEqual(gone.returncode, 69)
        self.assertIn("Nothing was accepted", gone.stderr)

    def test_T10_operations_are_listed_shown_and_followed(self):
        self.trued("write", "site", "--text", "l.txt=1", "--key", "listed")
        line = self.trued("op", "ls", "--key", "listed").stdout
        identity = line.split()[1]
        self.assertEqual(self.trued("op", "show", identity).returncode, 0)
        self.assertIn("settled", self.trued("op", "events", identity).stdout)
        self.assertEqual(self.trued("op", "cancel", identity).returncode, 65)


class LocalTest(unittest.TestCase):
    def test_exec_runs_once_under_its_key_and_says_what_is_known(self):
        with Scratch() as scratch:
            state, mark = scratch.sub("state"), os.path.join(scratch.path, "mark")

            def trued_exec(key, *arguments):
                return run("exec", "--state-dir", state, "--json", "--key", key, *arguments)

            def count():
                with open(mark, encoding="utf8") as file:
                    return len(file.read())

            append = ["--", "sh", "-c", f"printf x >> {mark}"]
            done = trued_exec("e1", "--verify", f"test -s {mark}", *append)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(json.loads(done.stdout)["state"], "confirmed")
            again = json.loads(trued_exec("e1", "--verify", f"test -s {mark}", *append).stdout)
            self.assertEqual((again["decision"], count()), ("duplicate", 1))
            holds = json.loads(trued_exec("e2", "--verify", f"test -s {mark}", *append).stdout)
            self.assertEqual((holds["state"], count()), ("unchanged", 1))
            other = trued_exec("e1", "--verify", "true", "--", "false")
            self.assertEqual((other.returncode, count()), (65, 1))
            blind = json.loads(trued_exec("e3", "--", "true").stdout)
            self.assertEqual(blind["status"], "unverified")
            lied = trued_exec("e4", "--verify", "exit 1", "--", "true")
            self.assertEqual(lied.returncode, 3)
            torn = trued_exec("e5", "--", "sh", "-c", "exit 9")
            self.assertEqual(torn.returncode, 3)
            self.assertIn("exit status 9", json.loads(torn.stdout)["reason"])
            never = trued_exec("e6", "--", "no-such-command-anywhere")
            self.assertEqual(never.returncode, 1)
            late = trued_exec("e7", "--timeout", "200ms", "--", "sleep", "60")
            self.assertEqual(late.returncode, 3)

    def test_check_names_every_fault_with_its_place(self):
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "trued.toml")
            with open(path, "w", encoding="utf8") as file:
                file.write('listen = "nowhere"\n[target.docs]\nkind = "git"\n'
                           'repositry = "/x"\nretention = "1m"\n'
                           '[token.ci]\nsecret = "literal-secret-here"\n')
            done = run("check", path)
            self.assertEqual(done.returncode, 78)
            for expected in ["trued.toml:1:", "did you mean 'repository'", "retention",
                             "does not belong into the file"]:
                self.assertIn(expected, done.stdout)
            self.assertNotIn("literal-secret-here", done.stdout)

    def test_listening_elsewhere_needs_a_token(self):
        with Scratch() as scratch:
            done = run("serve", "--listen", "0.0.0.0:0", "--state-dir", scratch.sub("state"))
            self.assertEqual(done.returncode, 78)
            self.assertIn("token", done.stderr)

    def test_completion_scripts_are_well_formed(self):
        script = run("completion", "bash").stdout
        self.assertIn("complete -F _trued trued", script)
        self.assertIn('"op ls")', script)
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        for shell in ("zsh", "fish"):
            self.assertIn("trued", run("completion", shell).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
