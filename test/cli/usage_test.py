"""Wrong words, wrong configurations and wrong places: what is refused, how, and with which code."""

import http.server
import json
import os
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, Scratch, Server, run  # noqa: E402


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers with what would steer a terminal."""

    def do_GET(self):  # noqa: N802
        text = json.dumps({"id": "op_x", "state": "failed", "status": "failed", "key": "\x1b[31m",
                           "target": "t\x1b]0;x\x07", "reason": "r\x1b[2J", "artifacts": []})
        body = text.encode() if "json" in self.path else b"<html>\x1b[31m"
        self.send_response(200 if "json" in self.path else 502)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


class ServerOptionTest(unittest.TestCase):
    def test_the_option_wins_over_the_environment(self):
        with Scratch() as scratch, Server(scratch.sub("state"), ["m=memory"]) as server:
            here = {**os.environ, "TRUED_SERVER": server.url}
            nowhere = {**os.environ, "TRUED_SERVER": "http://127.0.0.1:1"}
            for command in (["op", "ls"], ["write", "m", "--text", "a=1", "--key", "k"]):
                self.assertEqual(run(*command, env=here).returncode, 0)
                self.assertEqual(run(*command, env=nowhere).returncode, 69)
                given = run(*command, "--server", server.url, env=nowhere)
                self.assertEqual(given.returncode, 0, given.stderr)

    def test_the_token_file_wins_over_the_environment(self):
        with Scratch() as scratch:
            secret, token = "sixteen-bytes-or-more", os.path.join(scratch.path, "token")
            config = os.path.join(scratch.path, "trued.toml")
            for path, text in ((token, secret + "\n"), (config, '[token.ci]\n'
                               f'secret = "${{file:{token}}}"\n[target.m]\nkind = "memory"\n')):
                with open(path, "w", encoding="utf8") as file:
                    file.write(text)
            with Server(scratch.sub("state"), options=["--config", config]) as server:
                wrong = {**os.environ, "TRUED_TOKEN": "another-token-entirely"}
                self.assertEqual(run("op", "ls", "--server", server.url, env=wrong).returncode, 77)
                done = run("op", "ls", "--server", server.url, "--token-file", token, env=wrong)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_T2_a_key_that_was_given_is_never_replaced(self):
        with Scratch() as scratch, Server(scratch.sub("state"), ["m=memory"]) as server:
            for key in ("", "with space", "k" * 256, "tab\t"):
                done = run("write", "m", "--text", "a=1", "--key", key, "--server", server.url)
                self.assertEqual(done.returncode, 64, done.stdout)
                self.assertIn("1 to 255 visible characters", done.stderr)
            self.assertEqual(run("op", "ls", "--server", server.url).stdout, "")

    def test_a_retry_that_is_under_way_is_pending(self):
        with Scratch() as scratch:
            site = scratch.sub("site")
            config = os.path.join(scratch.path, "trued.toml")
            with open(config, "w", encoding="utf8") as file:
                file.write(f'[target.s]\nkind = "file"\ndirectory = "{site}"\n'
                           'retry = { attempts_max = 1 }\n')
            with Server(scratch.sub("state"), options=["--config", config]) as server:
                # A directory stands where the file should go.
                os.makedirs(os.path.join(site, "a", "b"))
                done = run("write", "s", "--text", "a=1", "--key", "k", "--server", server.url,
                           "--json")
                self.assertIn(done.returncode, (1, 3), done.stdout)
                identity = json.loads(done.stdout)["id"]
                again = run("op", "retry", identity, "--server", server.url, "--json")
                pending = json.loads(again.stdout)["status"] == "pending"
                self.assertEqual(again.returncode, 75 if pending else 0)
                self.assertTrue(pending)

    def test_words_that_no_list_knows_are_usage(self):
        for name, value in (("--status", "bogus"), ("--state", "bogus")):
            done = run("op", "ls", name, value, "--server", "http://127.0.0.1:1")
            self.assertEqual(done.returncode, 64)
            self.assertIn("known: ", done.stderr)
            self.assertIn("needs_action", done.stderr)

    def test_what_a_server_says_does_not_steer_the_terminal(self):
        hostile = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
        thread = threading.Thread(target=hostile.serve_forever, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{hostile.server_port}"
            for identity in ("json", "html"):
                done = run("op", "show", identity, "--server", url)
                self.assertNotIn("\x1b", done.stdout + done.stderr)
                self.assertIn("\\u001b", done.stdout + done.stderr)
            broken = run("op", "show", "html", "--server", url, "--json")
            self.assertIn("502", json.loads(broken.stdout)["error"])
        finally:
            hostile.shutdown()
            hostile.server_close()
            thread.join()


class UsageTest(unittest.TestCase):
    def test_an_unknown_command_is_named_with_the_known_ones(self):
        for words, named, known in ((["bogus"], "'trued bogus'", "serve"),
                                    (["op", "frob"], "'trued op frob'", "resolve"),
                                    (["serv"], "did you mean 'trued serve'", "audit"),
                                    (["op"], "'trued op' needs a command", "retry"),
                                    (["--bogus"], "no option '--bogus'", "serve")):
            done = run(*words)
            self.assertEqual(done.returncode, 64)
            self.assertIn(named, done.stderr)
            self.assertIn(known, done.stderr)

    def test_usage_errors_heed_json(self):
        for words in (["bogus", "--json"], ["write", "--json"], ["op", "ls", "--json", "--nope"],
                      ["op", "ls", "--json", "--limit", "0"], ["exec", "--json"]):
            done = run(*words)
            answer = json.loads(done.stdout)
            self.assertEqual((done.returncode, answer["exit_code"]), (64, 64))
            self.assertNotEqual(answer["error"], "")

    def test_targets_on_the_command_line_are_what_they_say(self):
        with Scratch() as scratch:
            state, site = scratch.sub("state"), scratch.sub("site")
            for targets in ([f"s=file:{site}", f"s=file:{state}"], [f"s=file:{site},branch=x"],
                            [f"s=git:{site},brnch=x"]):
                options = [word for target in targets for word in ("--target", target)]
                done = run("serve", "--state-dir", state, "--listen", "127.0.0.1:0", *options)
                self.assertEqual(done.returncode, 64, done.stderr)

    def test_start_errors_name_what_is_wrong(self):
        with Scratch() as scratch:
            state = scratch.sub("state")
            no_ledger = os.path.join(scratch.path, "notes.txt")
            with open(no_ledger, "w", encoding="utf8") as file:
                file.write("these are notes and no ledger, and long enough to be looked at\n" * 99)
            for options, code, text in (
                    (["--ledger", "sqlite:" + no_ledger], 78, no_ledger),
                    (["--listen", "127.0.0.1:99999"], 64, "port 99999 is out of range"),
                    (["--target", "s=foo:/x"], 78, "no kind 'foo'"),
                    (["--target", "s=git:ssh://h/x"], 78, "ssh://"),
                    (["--target", "s=memory,serving=ftp://x/${artifact.path}"], 78, "serving.url"),
            ):
                done = run("serve", "--state-dir", state, *options)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count(text), 1, done.stderr)
            for command in (["serve"], ["serve", "--json"]):
                with Server(state, ["m=memory"]) as server:
                    done = run(*command, "--state-dir", state, "--listen", "127.0.0.1:0")
                    self.assertEqual(done.returncode, 69)
                    self.assertIn(f"process {server.process.pid}", done.stdout + done.stderr)

    def test_commands_that_read_create_nothing(self):
        with Scratch() as scratch:
            nowhere = os.path.join(scratch.path, "nosuch")
            copy = os.path.join(scratch.path, "copy.db")
            for command in (["audit"], ["backup", copy]):
                done = run(*command, "--state-dir", nowhere)
                self.assertEqual(done.returncode, 65)
                self.assertIn(nowhere, done.stderr)
            self.assertEqual(os.listdir(scratch.path), [])
            state = scratch.sub("state")
            run("exec", "--state-dir", state, "--key", "k", "--", "true")
            done = run("audit", "--state-dir", state)
            option = done.stderr.split()[-1]
            self.assertEqual(option, f"sqlite:{state}/exec.db")
            self.assertEqual(run("audit", "--ledger", option).returncode, 0)

    def test_output_that_could_not_be_written_is_no_success(self):
        with Scratch() as scratch, open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(
                [BINARY, "exec", "--state-dir", scratch.sub("s"), "--key", "k", "--json", "--",
                 "true"],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertIn("could not be written", done.stderr)

    def test_the_lab_says_whose_fault_an_input_is(self):
        self.assertEqual(run("lab", "--input", "/nonexistent").returncode, 64)
        with Scratch() as scratch:
            self.assertEqual(run("lab", "--input", scratch.path).returncode, 65)


class CheckTest(unittest.TestCase):
    def check(self, text, *options):
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "trued.toml")
            with open(path, "w", encoding="utf8") as file:
                file.write(text.replace("@", scratch.path))
            done = run("check", path, *options)
            self.assertEqual(os.listdir(scratch.path), ["trued.toml"])
            return done

    def test_faults_are_one_object_with_their_places(self):
        done = self.check('listen = "0.0.0.0:1"\n[target.d]\nkind = "git"\n'
                          'repository = "/r"\nbranch = "a..b"\n', "--json")
        self.assertEqual(done.returncode, 78)
        answer = json.loads(done.stdout)
        self.assertFalse(answer["ok"])
        self.assertEqual([(f["line"], f["column"]) for f in answer["faults"]], [(1, 10), (5, 10)])
        self.assertTrue(all(f["file"].endswith("trued.toml") for f in answer["faults"]))
        self.assertIn("a..b", answer["faults"][1]["message"])

    def test_a_target_that_cannot_be_opened_is_a_fault_like_others(self):
        done = self.check('state_dir = "@"\n[target.m]\nkind = "memory"\n'
                          '[target.d]\nkind = "file"\ndirectory = "@/nowhere"\n',
                          "--json", "--connect")
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 78)
        self.assertEqual([f["line"] for f in answer["faults"]], [4])
        self.assertIn("nowhere", answer["faults"][0]["message"])

    def test_success_lists_what_was_checked(self):
        text = ('state_dir = "@"\n[target.d]\nkind = "git"\nrepository = "https://h/r.git"\n'
                'branch = "main"\n')
        answer = json.loads(self.check(text, "--json").stdout)
        self.assertTrue(answer["ok"])
        self.assertEqual(answer["listen"], "127.0.0.1:7117")
        self.assertTrue(answer["ledger"].endswith("/ledger.db"))
        self.assertEqual(answer["targets"], [{"name": "d", "kind": "git", "branch": "main",
                                              "location": "https://h/r.git"}])
        plain = self.check(text).stdout
        for expected in ("fine", "127.0.0.1:7117", "https://h/r.git", "ledger.db"):
            self.assertIn(expected, plain)

    def test_check_creates_nothing_where_the_server_keeps_its_state(self):
        remote = ('[target.r]\nkind = "git"\nrepository = "http://127.0.0.1:1/r.git"\n'
                  'branch = "main"\n[target.m]\nkind = "memory"\n')
        done = self.check('state_dir = "@/state"\n' + remote, "--connect")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with Scratch() as scratch:
            path = os.path.join(scratch.path, "trued.toml")
            with open(path, "w", encoding="utf8") as file:
                file.write(remote)
            home, temporary = os.path.join(scratch.path, "home"), scratch.sub("tmp")
            done = run("check", path, "--connect",
                       env={**os.environ, "XDG_STATE_HOME": home, "TMPDIR": temporary})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(sorted(os.listdir(scratch.path)), ["tmp", "trued.toml"])
            self.assertEqual(os.listdir(temporary), [])

    def test_T11_a_directory_that_holds_the_state_is_no_target(self):
        with Scratch() as scratch:
            path, state = os.path.join(scratch.path, "trued.toml"), scratch.sub("www/state")
            with open(path, "w", encoding="utf8") as file:
                file.write(f'[target.s]\nkind = "file"\ndirectory = "{scratch.path}/www"\n')
            home = {**os.environ, "XDG_STATE_HOME": os.path.join(scratch.path, "www")}
            for command in (["check", path], ["serve", "--config", path],
                            ["serve", "--config", path, "--state-dir", state]):
                done = run(*command, env=home)
                self.assertEqual(done.returncode, 78, command)
                self.assertIn("holds the state directory", done.stdout + done.stderr)
            away = {**home, "XDG_STATE_HOME": os.path.join(scratch.path, "else")}
            self.assertEqual(run("check", path, env=away).returncode, 0)

    def test_check_and_serve_refuse_the_same(self):
        git = '[target.d]\nkind = "git"\nrepository = "/r"\n'
        texts = ['listen = "0.0.0.0:1"\n', git + 'branch = "a b"\n',
                 '[target.d]\nkind = "git"\nrepository = "ssh://h/r"\n',
                 git + '[target.d.serving]\nurl = "ftp://h/${artifact.path}"\n',
                 git + '[target.d.serving]\nurl = "https://h/"\n', git + 'username = "u"\n',
                 git + 'retry = { first = "1m", cap = "1s" }\n',
                 git + '[target.e]\nkind = "git"\nrepository = "/x/../r"\n',
                 '[target.a]\nkind = "file"\ndirectory = "/w"\n'
                 '[target.b]\nkind = "file"\ndirectory = "/x/../w/y"\n',
                 git + '[target.f]\nkind = "file"\ndirectory = "/r/objects"\n']
        for text in texts:
            checked = self.check(text)
            self.assertEqual(checked.returncode, 78, text)
            with Scratch() as scratch:
                path = os.path.join(scratch.path, "trued.toml")
                with open(path, "w", encoding="utf8") as file:
                    file.write(text)
                served = run("serve", "--config", path, "--state-dir", scratch.sub("state"))
                self.assertEqual(served.returncode, 78, text)
                message = checked.stdout.split(": ", 2)[2].strip()
                self.assertIn(message, served.stderr)

    def test_a_directory_is_said_to_be_one(self):
        with Scratch() as scratch:
            done = run("check", scratch.path)
            self.assertEqual(done.returncode, 78)
            self.assertIn("is a directory", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
