"""Recordings of the real server must be explained; those of servers that are wrong must not."""

import collections
import hashlib
import http.server
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import judge  # noqa: E402
import record  # noqa: E402
from line import Line, Wire  # noqa: E402
from system import Trued  # noqa: E402
from trued_server import audit, sanitized  # noqa: E402

OPERATIONS = 400 if sanitized() else 1200


class Toy:
    """As much of the API as a recording needs, in memory, with one thing wrong (or nothing).

    check_then_act   looks whether the key is there, and inserts, without anything to hold the two
                     together
    forgets          loses what it acknowledged when it is killed
    answers_first    says confirmed, and writes afterwards
    repeats          carries a repeat out again
    """

    host = "127.0.0.1"

    def __init__(self, wrong=None):
        self.wrong = wrong
        self.lock = threading.Lock()
        self.by_key, self.by_id, self.site = {}, {}, {}
        self.numbers = itertools.count(1)
        toy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self):
                self.answer(*toy.get(self.path))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(*toy.submit(json.loads(body)))

            def answer(self, status, body):
                data = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                    self.wfile.flush()
                except OSError:
                    self.close_connection = True

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer((self.host, 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *unused: None  # connections are reset on purpose
        self.port = self.server.server_port
        self.host_header = f"{self.host}:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()

    def get(self, path):
        path, _, query = path.partition("?")
        with self.lock:
            if query:
                found = self.by_key.get(urllib.parse.parse_qs(query)["key"][0])
                return 200, {"operations": [found] if found else []}
            found = self.by_id.get(path.rsplit("/", 1)[-1])
        return (200, found) if found else (404, {"type": "urn:toy:no-such-operation"})

    def submit(self, body):
        artifact = body["input"]["artifacts"][0]
        receipt = {"status": "confirmed", "artifacts": [
            {"intended": {"sha256": hashlib.sha256(artifact["content"].encode()).hexdigest()}}]}
        if self.wrong == "check_then_act":
            known = self.by_key.get(body["key"])
            time.sleep(0.001)
            return self.decide(body["key"], receipt, known, artifact)
        with self.lock:
            return self.decide(body["key"], receipt, self.by_key.get(body["key"]), artifact)

    def decide(self, key, receipt, known, artifact):
        if known is None:
            receipt["id"] = f"op_{next(self.numbers)}"
            self.by_key[key] = self.by_id[receipt["id"]] = receipt
        elif known["artifacts"] != receipt["artifacts"]:
            return 409, {"type": "urn:toy:idempotency-conflict", "receipt": known}
        if known is None or self.wrong == "repeats":
            if self.wrong == "answers_first":
                threading.Timer(0.02, self.site.update, [{artifact["path"]: artifact["content"]}]
                                ).start()
            else:
                self.site[artifact["path"]] = artifact["content"]
        return (200 if known else 201), known or receipt

    def read(self, key):
        return self.site.get(f"{key}.txt", "")

    def kill(self):
        if self.wrong == "forgets":
            with self.lock:
                self.by_key, self.by_id = {}, {}

    def restart(self):
        pass

    pause = go_on = restart


def options(*words):
    return record.parser_of_options().parse_args(["--operations", str(OPERATIONS), "--keys", "60",
                                                  *words])


class TheRealServer(unittest.TestCase):
    def recorded(self, *words, target="file"):
        chosen = options(*words)
        with Trued(target) as system:
            history, about = record.record(chosen, system)
            system.server.terminate()
            report = audit(system.state)
        self.assertEqual(about["unexpected"], [])
        self.assertTrue(report["clean"], report)
        verdict = judge.judge(history)
        self.assertFalse(verdict.violations, f"{words}: {verdict}")
        self.assertGreaterEqual(verdict.operations, chosen.operations * 0.9)
        self.assertGreater(verdict.statuses["ok"], chosen.operations / 2)
        return verdict, about

    def test_T1_T2_what_clients_are_told_under_every_fault_has_an_order(self):
        verdict, about = self.recorded("--seed", "6")
        self.assertEqual(verdict.keys, 60)
        self.assertGreater(verdict.statuses["conflict"], 0)
        self.assertGreater(sum(about["faults"].values()), 10, about)
        self.assertEqual(set(about["faults"]), set(record.FAULTS))

    def test_T2_killed_and_killed_again(self):
        _, about = self.recorded("--faults", "kill", "--seed", "3")
        self.assertGreater(about["faults"]["kill"], 0)
        self.assertEqual(set(about["faults"]), {"kill"})

    def test_V6_a_register_in_git(self):
        count = str(OPERATIONS // 3)
        self.recorded("--workloads", "register", "--faults", "drop,reset,duplicate", "--keys", "5",
                      "--operations", count, target="git")

    def test_without_faults_nothing_is_unknown(self):
        verdict, about = self.recorded("--faults", "")
        self.assertEqual((verdict.statuses["unknown"], verdict.statuses["fail"]), (0, 0))
        self.assertEqual(about["faults"], {})


class WrongServers(unittest.TestCase):
    def judged(self, wrong, *words):
        with Toy(wrong) as toy:
            history, about = record.record(options(*words), toy)
        self.assertEqual(about["unexpected"], [])
        return judge.judge(history)

    def test_one_that_does_it_right_is_explained(self):
        verdict = self.judged(None)
        self.assertFalse(verdict.violations, str(verdict))

    def test_checking_and_then_acting_lets_two_win(self):
        verdict = self.judged("check_then_act", "--workloads", "keyed", "--faults", "")
        self.assertTrue(verdict.violations)
        kinds = collections.Counter(each["why"].split(":")[0] for each in verdict.violations)
        self.assertTrue({"two operations answer to one key", "two bodies won one key"} & set(kinds),
                        kinds)

    def test_what_is_forgotten_in_a_crash_is_missed(self):
        verdict = self.judged("forgets", "--workloads", "keyed", "--faults", "kill")
        self.assertTrue(verdict.violations)

    def test_success_before_the_write_is_a_stale_read(self):
        verdict = self.judged("answers_first", "--workloads", "register", "--faults", "")
        self.assertTrue(verdict.violations)
        self.assertRegex(verdict.violations[0]["why"], "older value|nothing was read")

    def test_a_repeat_that_is_carried_out_again_brings_an_older_value_back(self):
        verdict = self.judged("repeats", "--workloads", "register", "--faults", "drop,duplicate",
                              "--keys", "4")
        self.assertTrue(verdict.violations)


class TheLine(unittest.TestCase):
    """Each fault is what it is called."""

    def through(self, fault, dice):
        with Toy() as toy, Line(toy.host, toy.port) as line:
            line._draw = lambda: ({fault}, dice)
            wire = Wire(line.port, toy.host_header, timeout=0.5)
            body = {"key": "k", "input": {"artifacts": [{"path": "p", "content": "c"}]}}
            try:
                answer = wire.ask("POST", "/v1/operations", json.dumps(body).encode())
            except OSError as why:
                answer = type(why)
            doubled = line.was_doubled(wire.local)
            wire.close()
        return answer, len(toy.by_key), doubled

    def test_each_does_what_it_says(self):
        self.assertEqual(self.through("none", 0)[0][0], 201)
        self.assertEqual(self.through("delay", 0.1)[0][0], 201)
        self.assertEqual(self.through("drop", 0.1)[:2], (TimeoutError, 1))
        self.assertEqual(self.through("drop", 0.5)[:2], (ConnectionError, 1))
        self.assertEqual(self.through("reset", 0.1)[:2], (ConnectionResetError, 0))
        self.assertEqual(self.through("reset", 0.5)[:2], (ConnectionResetError, 1))
        self.assertEqual(self.through("reset", 0.9)[1], 1)
        answer, _, doubled = self.through("duplicate", 0.1)
        self.assertTrue(doubled)
        self.assertIn(answer[0], (200, 201))

    def test_nobody_there_is_certain(self):
        with Toy() as toy:
            port = toy.port
        from line import NothingSent
        with self.assertRaises(NothingSent):
            Wire(port, "x", 1).ask("GET", "/")


class TheCommand(unittest.TestCase):
    def run_it(self, *words):
        return subprocess.run([sys.executable, os.path.join(HERE, "record.py"), *words],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_it_records_and_judges_and_judges_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "history.jsonl")
            done = self.run_it("--operations", "200", "--keys", "20", "--faults", "drop", "--out",
                               path, "--json")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            said = json.loads(done.stdout)
            self.assertTrue(said["legal"])
            with open(path, encoding="utf-8") as file:
                found = file.read().splitlines()
            self.assertEqual(len(found), said["operations"])
            self.assertLessEqual({"client", "key", "op", "in", "out", "status", "call", "ret"},
                                 set(json.loads(found[0])))
            again = self.run_it("--judge", path)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertIn("legal", again.stdout)

            with open(path, "a", encoding="utf-8") as file:
                one = next(json.loads(text) for text in found
                           if '"submit"' in text and '"ok"' in text)
                file.write(json.dumps({**one, "out": "op_other"}) + "\n")
            broken = self.run_it("--judge", path, "--json")
            self.assertEqual(broken.returncode, 1)
            self.assertEqual(json.loads(broken.stdout)["violations"][0]["key"], one["key"])
            self.assertIn("two operations answer to one key", self.run_it("--judge", path).stdout)

            with open(path, "a", encoding="utf-8") as file:
                file.write("no operation\n")
            refused = self.run_it("--judge", path)
            self.assertEqual(refused.returncode, 65)
            self.assertIn(f"line {len(found) + 2}: ", refused.stderr)

    def test_what_makes_no_sense_is_refused(self):
        for words in (["--faults", "fire"], ["--clients", "0"], ["--workloads", ""],
                      ["--target", "s3"]):
            self.assertEqual(self.run_it(*words).returncode, 2, words)


if __name__ == "__main__":
    unittest.main(verbosity=1)
