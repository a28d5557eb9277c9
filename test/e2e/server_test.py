"""The server's contract, over real HTTP, on a real repository and a real directory."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server, audit, run  # noqa: E402


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Scratch().__enter__()
        cls.repository = cls.scratch.bare_repository()
        cls.site = cls.scratch.sub("site")
        cls.state = cls.scratch.sub("state")
        cls.targets = ["docs=git:" + cls.repository, "site=file:" + cls.site]
        cls.server = Server(cls.state, cls.targets)

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.scratch.__exit__()

    def events_of_ledger(self):
        return self.server.request("GET", "/v1/status")[2]["ledger"]["events"]

    def test_V1_V8_a_write_is_read_back_and_confirmed(self):
        status, headers, receipt = self.server.write(
            "docs", "v1", {"guide/start.md": "# Start\n"}, message="Say where to start")
        self.assertEqual(status, 201)
        self.assertEqual(headers["Location"], "/v1/operations/" + receipt["id"])
        self.assertEqual(headers["Idempotent-Replayed"], "false")
        self.assertEqual((receipt["status"], receipt["state"]), ("confirmed", "confirmed"))
        self.assertEqual(receipt["decision"], "new")
        self.assertTrue(receipt["changed"])
        self.assertEqual(receipt["artifacts"][0]["verdict"], "match")
        shown = subprocess.run(["git", "-C", self.repository, "show", "main:guide/start.md"],
                               capture_output=True, check=True)
        self.assertEqual(shown.stdout, b"# Start\n")
        log = subprocess.run(["git", "-C", self.repository, "log", "-1", "--format=%B", "main",
                              "--", "guide/start.md"], capture_output=True, text=True, check=True)
        self.assertIn("Trued-Operation: " + receipt["id"], log.stdout)

    def test_V4_a_write_that_did_no_work_says_so(self):
        self.server.write("site", "v4a", {"same.txt": "x"})
        status, _, receipt = self.server.write("site", "v4b", {"same.txt": "x"})
        self.assertEqual(status, 201)
        self.assertEqual((receipt["state"], receipt["changed"]), ("unchanged", False))

    def test_V10_leaving_verification_out_is_visible_and_never_confirmed(self):
        _, _, receipt = self.server.write("site", "v10", {"unread.txt": "x"}, verify=False)
        self.assertEqual((receipt["status"], receipt["state"]), ("unverified", "acknowledged"))
        self.assertFalse(receipt["verified"])

    def test_text_binary_removal_and_many_artifacts_in_one_operation(self):
        binary = base64.b64encode(bytes(range(256))).decode()
        body = {"type": "write", "key": "many", "input": {"target": "docs", "artifacts": [
            {"path": f"many/{i}.txt", "content": str(i)} for i in range(40)
        ] + [{"path": "many/binary", "content": binary, "encoding": "base64"}]}}
        status, _, receipt = self.server.request("POST", "/v1/operations", body,
                                                 {"Prefer": "wait=30"})
        self.assertEqual((status, receipt["status"]), (201, "confirmed"))
        status, _, receipt = self.server.write("docs", "gone", {"many/3.txt": None})
        self.assertEqual((status, receipt["state"]), (201, "confirmed"))
        listed = subprocess.run(["git", "-C", self.repository, "ls-tree", "-r", "--name-only",
                                 "main"], capture_output=True, text=True, check=True).stdout
        self.assertIn("many/binary", listed)
        self.assertNotIn("many/3.txt", listed)

    def test_T2_fifty_concurrent_submits_of_one_key_are_one_operation(self):
        answers = []

        def submit():
            answers.append(self.server.write("docs", "fifty", {"fifty.md": "once"}))

        threads = [threading.Thread(target=submit) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        decisions = [answer[2]["decision"] for answer in answers]
        self.assertEqual(decisions.count("new"), 1)
        self.assertEqual(len({answer[2]["id"] for answer in answers}), 1)
        self.assertTrue(all(answer[0] in (200, 201, 202) for answer in answers))
        log = subprocess.run(["git", "-C", self.repository, "log", "--format=%h", "main", "--",
                              "fifty.md"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(len(log.split()), 1)

    def test_T2_T4_another_payload_is_a_conflict_that_names_the_fields(self):
        _, _, first = self.server.write("site", "conflict", {"c.txt": "one"})
        status, headers, problem = self.server.write("site", "conflict", {"c.txt": "two"})
        self.assertEqual(status, 409)
        self.assertEqual(headers["Content-Type"], "application/problem+json")
        self.assertEqual(problem["type"], "urn:trued:problem:idempotency-conflict")
        self.assertEqual(problem["differing"], ["/input/artifacts/0/content"])
        self.assertEqual(problem["receipt"]["id"], first["id"])
        with open(os.path.join(self.site, "c.txt"), encoding="utf8") as file:
            self.assertEqual(file.read(), "one")

    def test_T3_a_repeat_is_answered_from_the_ledger_after_a_restart_too(self):
        with Scratch() as own:
            state, site = own.sub("state"), own.sub("site")
            with Server(state, ["site=file:" + site]) as server:
                _, _, first = server.write("site", "again", {"a.txt": "1"})
                self.assertEqual(server.terminate(), 0)
            with Server(state, ["site=file:" + site]) as server:
                status, headers, second = server.write("site", "again", {"a.txt": "1"})
                self.assertEqual((status, headers["Idempotent-Replayed"]), (200, "true"))
                self.assertEqual(second["id"], first["id"])
                self.assertEqual(second["updated_at"], first["updated_at"])
                self.assertEqual(server.write("site", "again", {"a.txt": "2"})[0], 409)
            self.assertTrue(audit(state)["clean"])

    def test_T10_T11_the_events_of_an_operation_are_all_there(self):
        _, _, receipt = self.server.write("docs", "events", {"events.md": "e"})
        _, _, log = self.server.request("GET", receipt["links"]["events"])
        names = [event["event"] for event in log["events"]]
        self.assertEqual(names[:2], ["accepted", "attempt_started"])
        self.assertEqual(names[-1], "settled")
        self.assertIn("read_back", names)
        sequences = [event["sequence"] for event in log["events"]]
        self.assertEqual(sequences, sorted(set(sequences)))

    def test_a_stale_base_is_refused(self):
        _, _, first = self.server.write("docs", "base1", {"base.md": "1"})
        self.server.write("docs", "base2", {"base.md": "2"})
        status, _, third = self.server.write("docs", "base3", {"base.md": "3"},
                                             base=first["version"])
        self.assertEqual(status, 412)
        self.assertEqual(third["receipt"]["status"], "failed")
        self.assertIn("stale-state", third["receipt"]["reason"])

    def test_bad_input_gets_its_problem_and_the_ledger_is_unchanged(self):
        before = self.events_of_ledger()
        good = {"type": "write", "key": "k", "input": {
            "target": "site", "artifacts": [{"path": "x", "content": "y"}]}}

        def with_input(**change):
            return {**good, "input": {**good["input"], **change}}

        cases = [
            (400, "malformed", "{", None),
            (400, "malformed", "[]", None),
            (400, "malformed", '{"type":"write","type":"write"}', None),
            (400, "malformed", "[" * 100_000, None),
            (400, "malformed", b'{"type":"\xff"}', None),
            (400, "malformed", json.dumps({**good, "state": "confirmed"}), None),
            (400, "malformed", json.dumps({**good, "attempts": 1}), None),
            (400, "malformed", json.dumps({**good, "key": "a b"}), None),
            (400, "malformed", json.dumps({**good, "key": "k" * 256}), None),
            (400, "malformed", json.dumps(good), {"Idempotency-Key": '"other"'}),
            (400, "malformed", json.dumps({**good, "deadline": "tomorrow"}), None),
            (400, "malformed", json.dumps({**good, "priority": "urgent"}), None),
            (400, "idempotency-key-required",
             json.dumps({k: v for k, v in good.items() if k != "key"}), None),
            (404, "no-such-type", json.dumps({**good, "type": "charge"}), None),
            (404, "no-such-target", json.dumps(with_input(target="nowhere")), None),
            (415, "unsupported-media-type", json.dumps(good), {"Content-Type": "text/plain"}),
            (422, "input-invalid", json.dumps(with_input(artifacts=[])), None),
            (422, "input-invalid", json.dumps(with_input(more=1)), None),
            (422, "input-invalid", json.dumps(with_input(artifacts=[{"path": "../x",
                                                                     "content": ""}])), None),
            (422, "input-invalid", json.dumps(with_input(artifacts=[{"path": "/x",
                                                                     "content": ""}])), None),
            (422, "input-invalid", json.dumps(with_input(artifacts=[{"path": "x"}])), None),
            (422, "input-invalid", json.dumps(with_input(artifacts=[
                {"path": "x", "content": "!", "encoding": "base64"}])), None),
            (422, "input-invalid", json.dumps(with_input(artifacts=[
                {"path": "x", "content": "1"}, {"path": "x", "content": "2"}])), None),
            (422, "input-invalid", json.dumps(with_input(verify="no")), None),
        ]
        for status, name, body, headers in cases:
            with self.subTest(name=name, body=str(body)[:60]):
                sent = {"Content-Type": "application/json", **(headers or {})}
                found, kind, problem = self.server.request("POST", "/v1/operations", body, sent)
                self.assertEqual(found, status)
                self.assertEqual(kind["Content-Type"], "application/problem+json")
                self.assertEqual(problem["type"], "urn:trued:problem:" + name)
                self.assertEqual(problem["status"], status)
                self.assertTrue(problem["detail"])
        self.assertEqual(self.events_of_ledger(), before)

    def test_hosts_and_origins_that_do_not_fit_are_refused(self):
        for header, value, status, name in [
                ("Host", "evil.example", 421, "host-not-allowed"),
                ("Host", "127.0.0.1:1", 421, "host-not-allowed"),
                ("Origin", "http://evil.example", 403, "origin-not-allowed"),
                ("Origin", "null", 403, "origin-not-allowed")]:
            found, _, problem = self.server.request("GET", "/v1/operations", None,
                                                    {header: value})
            self.assertEqual((found, problem["type"]), (status, "urn:trued:problem:" + name))

    def test_paths_methods_and_sizes(self):
        self.assertEqual(self.server.request("GET", "/v2")[0], 404)
        status, headers, _ = self.server.request("DELETE", "/v1/operations")
        self.assertEqual(status, 405)
        self.assertLessEqual({"GET", "POST"}, set(headers["Allow"].split(", ")))
        self.assertEqual(self.server.request("GET", "/v1/operations/op_nonsense")[0], 404)
        self.assertEqual(self.server.request("GET", "/v1/operations?colour=red")[0], 400)
        self.assertEqual(self.server.request("GET", "/v1/operations?limit=0")[0], 400)
        big = b" " * (17 * 1024 * 1024)
        connection = self.server.connect()
        connection.putrequest("POST", "/v1/operations")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(big)))
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 413)
        connection.close()

    def test_a_batch_answers_each_line_in_order(self):
        lines = [json.dumps({"type": "write", "key": f"b{i}", "input": {
            "target": "site", "artifacts": [{"path": f"batch/{i}", "content": str(i)}]}})
            for i in range(200)]
        lines[7] = "{nonsense"
        lines[9] = lines[8]
        status, headers, body = self.server.request(
            "POST", "/v1/operations/batch", "\n".join(lines),
            {"Content-Type": "application/x-ndjson", "Prefer": "wait=30"})
        self.assertEqual((status, headers["Content-Type"]), (200, "application/x-ndjson"))
        answers = [json.loads(line) for line in body.splitlines()]
        self.assertEqual([answer["index"] for answer in answers], list(range(200)))
        self.assertEqual(answers[7]["status"], 400)
        self.assertEqual(answers[9]["receipt"]["id"], answers[8]["receipt"]["id"])
        good = [a for a in answers if a["index"] not in (7, 9)]
        self.assertTrue(all(a["receipt"]["status"] == "confirmed" for a in good))

    def test_lists_are_paged_newest_first_and_filtered(self):
        for i in range(5):
            self.server.write("site", f"page{i}", {f"page/{i}": "x"}, wait=5)
        keys, cursor = [], ""
        while True:
            _, _, page = self.server.request(
                "GET", "/v1/operations?limit=2&target=site" + cursor)
            keys += [operation["key"] for operation in page["operations"]]
            if page["cursor"] is None:
                break
            cursor = "&cursor=" + page["cursor"]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual([k for k in keys if k.startswith("page")],
                         [f"page{i}" for i in reversed(range(5))])
        _, _, page = self.server.request("GET", "/v1/operations?key=page3&status=confirmed")
        self.assertEqual([o["key"] for o in page["operations"]], ["page3"])

    def test_persons_decide_only_what_waits_for_them(self):
        _, _, receipt = self.server.write("site", "decided", {"d": "1"})
        path = "/v1/operations/" + receipt["id"]
        for action, body, name in [
                ("cancel", {}, "not-cancelable"), ("retry", {}, "not-retryable"),
                ("resolve", {"verdict": "it_happened"}, "not-resolvable")]:
            status, _, problem = self.server.request("POST", f"{path}/{action}", body)
            self.assertEqual((status, problem["type"]), (409, "urn:trued:problem:" + name))
        self.assertEqual(self.server.request("POST", path + "/resolve", {})[0], 422)

    def test_T10_a_future_operation_waits_and_can_be_withdrawn(self):
        body = {"type": "write", "key": "later", "not_before": "2999-01-01T00:00:00Z", "input": {
            "target": "site", "artifacts": [{"path": "later", "content": "x"}]}}
        status, _, receipt = self.server.request("POST", "/v1/operations", body)
        self.assertEqual((status, receipt["status"]), (202, "pending"))
        self.assertEqual(receipt["next"]["action"], "wait")
        status, _, canceled = self.server.request(
            "POST", f"/v1/operations/{receipt['id']}/cancel", {"who": "ada", "why": "changed"})
        self.assertEqual((status, canceled["state"]), (200, "canceled"))
        self.assertFalse(os.path.exists(os.path.join(self.site, "later")))

    def test_stopping_is_bounded_though_a_target_hangs(self):
        with Scratch() as scratch, socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/${{artifact.path}}"
            config = os.path.join(scratch.path, "trued.toml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"""
                    drain_grace = "300ms"
                    [target.site]
                    kind = "file"
                    directory = "{scratch.sub('site')}"
                    serving = {{ kind = "http", url = "{url}" }}
                    """)
            with Server(scratch.sub("state"), [], ["--config", config]) as server:
                status, _, receipt = server.write("site", "k", {"a.md": "x"}, wait=1)
                self.assertEqual((status, receipt["status"]), (202, "pending"))
                begin = time.monotonic()
                self.assertEqual(server.terminate(), 0)
                self.assertLess(time.monotonic() - begin, 8)

    def test_T1_stopping_in_the_middle_of_a_batch_answers_or_closes_and_loses_nothing(self):
        with Scratch() as scratch:
            state = scratch.sub("state")
            lines = "\n".join(json.dumps({"type": "write", "key": f"k{i}", "input": {
                "target": "docs", "artifacts": [{"path": f"p{i}", "content": "x" * 100}]}})
                for i in range(5000))
            answered = []
            with Server(state, ["docs=memory:"]) as server:
                def send():
                    try:
                        status, _, body = server.request(
                            "POST", "/v1/operations/batch", lines,
                            {"Content-Type": "application/x-ndjson"})
                        answered.append((status, body))
                    except (OSError, http.client.HTTPException):
                        pass
                thread = threading.Thread(target=send)
                thread.start()
                time.sleep(0.15)
                self.assertEqual(server.terminate(), 0, server.errors)
                thread.join()
            taken = [json.loads(line) for _, body in answered for line in body.splitlines()]
            accepted = {line["receipt"]["key"] for line in taken if line["status"] < 300}
            with Server(state, ["docs=memory:"]) as server:
                for key in sorted(accepted)[::500]:
                    _, _, page = server.request("GET", f"/v1/operations?key={key}")
                    self.assertEqual(len(page["operations"]), 1, key)
            self.assertIsNone(audit(state).get("first"))

    def test_health_readiness_metrics_and_description(self):
        self.assertEqual(self.server.request("GET", "/healthz")[0], 200)
        self.assertEqual(self.server.request("GET", "/readyz")[2]["ready"], True)
        text = self.server.request("GET", "/metrics")[2].decode()
        self.assertIn('trued_submissions_total{decision="new"}', text)
        for line in text.splitlines():
            self.assertTrue(line.startswith("#") or line.startswith("trued_"), line)
        described = self.server.request("GET", "/openapi.yaml")[2].decode()
        self.assertTrue(described.startswith("openapi: 3.1"))

    def test_backup_beside_the_server_opens_and_audits_clean(self):
        copy = os.path.join(self.scratch.path, "copy.db")
        done = run("backup", copy, "--state-dir", self.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("audit", "--ledger", copy).returncode, 0)
        self.assertEqual(run("backup", copy, "--state-dir", self.state).returncode, 65)


if __name__ == "__main__":
    unittest.main(verbosity=1)
