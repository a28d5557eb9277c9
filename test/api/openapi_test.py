#!/usr/bin/env python3
"""Holds the real server's answers to docs/openapi.yaml: every route, every status but a few.

TRUED_BINARY names the binary. Every answer that a Client receives is judged by the description;
the last test says which described answers nobody saw.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import leases  # noqa: E402
import stale_serving  # noqa: E402
from contract import Client  # noqa: E402
from served import CONTRACT, SOURCE, Server  # noqa: E402

TOKEN = "a-token-for-the-tests"
ACME_TOKEN = "a-token-of-one-tenant"

# Described, but not to be had from a healthy server in a short test; the unit tests have them.
NOT_SEEN_HERE = {503}
# An application that does not end within half a minute.
NOT_SEEN_THERE = {("/v1/definitions", "post", 202)}

CONFIG = """
body_bytes_max = 65536
open_max = 2
allowed_hosts = ["trued.example"]

[token.tester]
secret = "${env:TRUED_TEST_TOKEN}"

[token.acme]
secret = "${env:TRUED_ACME_TOKEN}"
scopes = ["acme"]
actions = ["submit", "read"]

[target.docs]
kind = "file"
directory = "DIRECTORY/docs"

[target.site]
kind = "file"
directory = "DIRECTORY/site"
[target.site.serving]
kind = "http"
url = "http://127.0.0.1:PORT/${artifact.path}"
settle = { within = "100ms", reads_max = 2 }
[target.site.retry]
attempts_max = 1
"""


def bare_repository(folder: Path) -> None:
    """A git target at FOLDER/book."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main",
                    str(folder / "book")], check=True)


def write(path: str, content: str, target: str = "docs", **more: Any) -> dict[str, Any]:
    """A submission."""
    artifacts = [{"path": path, "content": content}]
    return {"type": "write", "input": {"target": target, "artifacts": artifacts}, **more}


class A_Documents(unittest.TestCase):  # noqa: N801 (unittest runs classes by name)
    """The description by itself."""

    def test_T10_every_example_fits_its_schema(self) -> None:
        count = 0
        for where, schema, value in CONTRACT.examples():
            self.assertEqual(CONTRACT.complaints(schema, value), [], where)
            count += 1
        self.assertGreater(count, 10)

    def test_T10_the_problems_are_those_of_the_docs(self) -> None:
        text = (SOURCE / "docs" / "problems.md").read_text(encoding="utf-8")
        names = re.findall(r"^### `([a-z-]+)`", text, re.MULTILINE)
        described = CONTRACT.document["components"]["schemas"]["ProblemType"]["enum"]
        self.assertEqual(described, [f"urn:trued:problem:{name}" for name in names])

    def test_T10_the_requests_of_the_docs_are_those_described(self) -> None:
        text = (SOURCE / "docs" / "http.md").read_text(encoding="utf-8")
        table = text[text.index("| request |"):text.index("## Answers to a submission")]
        told = []
        for row in table.splitlines()[2:]:
            method = path = ""
            # `POST /a/{id}/b`, `…/c`: of the same method, and with another last part.
            for span in re.findall(r"`([^`]+)`", row.split("|")[1] if row else ""):
                method, _, given = span.rpartition(" ") if " " in span else (method, "", span)
                given = given.split("?")[0]
                path = path.rpartition("/")[0] + given[1:] if given.startswith("…") else given
                told.append(f"{method} {path}")
        described = [f"{method.upper()} {path}"
                     for path, item in CONTRACT.document["paths"].items()
                     for method in item if method in ("get", "post", "put", "delete", "patch")]
        self.assertEqual(sorted(told), sorted(described))

    def test_T10_what_is_wrong_is_noticed(self) -> None:
        receipt = CONTRACT.document["components"]["examples"]["Confirmed"]["value"]
        schema = {"$ref": "#/components/schemas/Receipt"}
        self.assertEqual(CONTRACT.complaints(schema, receipt), [])
        self.assertNotEqual(CONTRACT.complaints(schema, {**receipt, "status": "ok"}), [])
        self.assertNotEqual(CONTRACT.complaints(schema, {**receipt, "extra": 1}), [])
        self.assertNotEqual(CONTRACT.complaints(schema, {**receipt, "created_at": "today"}), [])


class B_Open(unittest.TestCase):  # noqa: N801
    """A server on loopback, without tokens."""

    server: Server
    client: Client

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server("--target", "docs=file:FOLDER/docs", "--target", "book=git:FOLDER/book",
                            prepare=bare_repository)
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def test_T2_T4_submissions(self) -> None:
        key = {"Idempotency_Key": "one"}
        made = self.client.post("/v1/operations", write("a.md", "A"), Prefer="wait=20", **key)
        self.assertEqual((made.status, made.value["status"]), (201, "confirmed"))
        again = self.client.post("/v1/operations", write("a.md", "A"), **key)
        self.assertEqual((again.status, again.value["decision"]), (200, "duplicate"))
        other = self.client.post("/v1/operations", write("a.md", "B"), **key)
        self.assertEqual((other.status, other.problem), (409, "idempotency-conflict"))
        self.assertEqual(other.value["differing"], ["/input/artifacts/0/content"])
        held = self.client.post("/v1/operations",
                                write("h.md", "H", key="held", not_before="2099-01-01T00:00:00Z"))
        self.assertEqual((held.status, held.value["state"]), (202, "accepted"))
        twice = self.client.post("/v1/operations",
                                 write("h.md", "H", key="held", not_before="2099-01-01T00:00:00Z"))
        self.assertEqual((twice.status, twice.value["decision"]), (202, "in_flight"))
        unread = write("u.md", "U", key="unread")
        unread["input"]["verify"] = False
        answer = self.client.post("/v1/operations", unread, Prefer="wait=20")
        self.assertEqual(answer.value["status"], "unverified")

    def test_T1_refusals(self) -> None:
        for status, problem, body in (
                (400, "malformed", "{"),
                (400, "malformed", write("a", "A", state="confirmed", key="bad")),
                (400, "idempotency-key-required", write("a", "A")),
                (404, "no-such-target", write("a", "A", "nowhere", key="bad")),
                (404, "no-such-type", {"type": "publish", "input": {}, "key": "bad"}),
                (422, "input-invalid", write("../a", "A", key="bad")),
                (422, "input-invalid", write("a", "A", key="bad", actor="eve\x1b[2J")),
                (422, "input-invalid", write("a", "A", key="bad",
                                             deadline="2020-01-01T00:00:00Z"))):
            answer = self.client.post("/v1/operations", body)
            self.assertEqual((answer.status, answer.problem), (status, problem), body)
        based = write("a", "A", key="bad")
        based["input"]["base"] = "1"
        answer = self.client.post("/v1/operations", based)
        self.assertEqual((answer.status, answer.value["pointer"]), (422, "/input/base"))
        answer = self.client.post("/v1/operations", "x", Content_Type="text/plain")
        self.assertEqual(answer.status, 415)
        large = "x" * (17 << 20)
        self.assertEqual(self.client.post("/v1/operations", large).status, 413)
        self.assertEqual(self.client.get("/v1/operations?key=bad").value["operations"], [])

    def test_V6_a_stale_base(self) -> None:
        first = self.client.post("/v1/operations", write("s.md", "1", "book", key="based-1"),
                                 Prefer="wait=20")
        self.assertEqual(first.value["status"], "confirmed", first.value)
        second = write("s.md", "2", "book", key="based-2")
        second["input"]["base"] = base = first.value["version"]
        moved = self.client.post("/v1/operations", second, Prefer="wait=20")
        self.assertEqual(moved.value["status"], "confirmed", moved.value)
        third = write("s.md", "3", "book", key="based-3")
        third["input"]["base"] = base
        stale = self.client.post("/v1/operations", third, Prefer="wait=20")
        self.assertEqual((stale.status, stale.problem), (412, "stale-state"))
        self.assertEqual((stale.value["expected"], stale.value["seen"]),
                         (base, moved.value["version"]))
        again = self.client.post("/v1/operations", third)
        self.assertEqual((again.status, again.value["next"]["action"]), (200, "none"))
        self.assertIn("new key", again.value["next"]["detail"])

    def test_T10_reading(self) -> None:
        made = self.client.post("/v1/operations", write("r.md", "R", key="read"), Prefer="wait=20")
        path = f"/v1/operations/{made.value['id']}"
        self.assertEqual(self.client.get(path).value["status"], "confirmed")
        self.assertEqual(self.client.get(path + "?wait=1").status, 200)
        self.assertEqual(self.client.get(path, Prefer="wait=1").status, 200)
        self.assertEqual(self.client.get(path + "?wait=x").status, 400)
        events = self.client.get(path + "/events").value["events"]
        self.assertEqual([events[0]["event"], events[-1]["event"]], ["accepted", "settled"])
        self.assertEqual(self.client.get(path + "/events?x=1").status, 400)
        page = self.client.get("/v1/operations?limit=1&status=confirmed").value
        self.assertEqual(len(page["operations"]), 1)
        self.assertEqual(self.client.get("/v1/operations?colour=red").status, 400)
        none = "/v1/operations/op_00000000000000000000000000"
        self.assertEqual(self.client.get(none).status, 404)
        self.assertEqual(self.client.get(none + "/events").status, 404)
        self.assertEqual(self.client.call("HEAD", path).status, 200)

    def test_C1_levels_of_reads(self) -> None:
        made = self.client.post("/v1/operations", write("l.md", "L", key="level"),
                                Prefer="wait=20")
        path = f"/v1/operations/{made.value['id']}"
        session = made.headers["trued-session"]
        foreign = "s1-" + "0f" * 16 + "-1"
        for route in ("/v1/operations", path, path + "/events"):
            for level in ("strong", "session", "monotonic", "eventual;max-staleness-ms=5"):
                got = self.client.get(route, Trued_Consistency=level, Trued_Session=session)
                self.assertEqual(got.status, 200)
                self.assertIn('source="file"', got.headers["trued-consistency-served"])
                other = self.client.get(route, Trued_Consistency=level, Trued_Session=foreign)
                self.assertEqual((other.status, other.problem),
                                 (409, "session-of-another-ledger"))
            got = self.client.get(route, Trued_Consistency="session")
            self.assertEqual((got.status, got.problem), (400, "session-token-required"))
        self.assertEqual(self.client.get("/v1/status", Trued_Consistency="strong").status, 400)

    def test_T10_people(self) -> None:
        # A folder stands where the file should be: refused for good.
        (self.server.folder / "docs" / "taken").mkdir()
        failed = self.client.post("/v1/operations", write("taken", "T", key="taken"),
                                  Prefer="wait=20")
        self.assertEqual(failed.value["status"], "failed", failed.value)
        path = f"/v1/operations/{failed.value['id']}"
        self.assertEqual(self.client.post(path + "/cancel", {}).problem, "not-cancelable")
        verdict = {"verdict": "it_happened"}
        self.assertEqual(self.client.post(path + "/resolve", verdict).problem, "not-resolvable")
        (self.server.folder / "docs" / "taken").rmdir()
        self.assertEqual(self.client.post(path + "/retry", {"why": "mended"}).status, 200)
        self.assertEqual(self.client.get(path + "?wait=20").value["status"], "confirmed")
        self.assertEqual(self.client.post(path + "/retry").problem, "not-retryable")
        held = write("c.md", "C", key="withdrawn", not_before="2099-01-01T00:00:00Z")
        made = self.client.post("/v1/operations", held)
        path = f"/v1/operations/{made.value['id']}"
        self.assertEqual(self.client.post(path + "/cancel").value["status"], "canceled")
        self.assertTrue(self.client.get(path + "/events").value["events"])
        self.assertEqual(self.client.post(path + "/compensate").problem, "not-compensable")
        for verb, body in (("resolve", {"verdict": "perhaps"}), ("retry", "["), ("cancel", "["),
                           ("compensate", "[")):
            answer = self.client.post(f"{path}/{verb}", body)
            self.assertIn(answer.status, (400, 422))
            answer = self.client.post(f"{path}/{verb}", "x", Content_Type="text/plain")
            self.assertEqual(answer.status, 415)
            nobody = f"/v1/operations/nobody/{verb}"
            self.assertEqual(self.client.post(nobody, verdict if verb == "resolve" else {}).status,
                             404)
        self.assertEqual(self.client.post(path + "/resolve", "[").status, 400)
        for verb in ("retry", "cancel", "compensate"):
            answer = self.client.post(f"{path}/{verb}", {"who": "eve\x1b[2J"})
            self.assertEqual((answer.status, answer.value["pointer"]), (422, "/who"))

    def test_T8_dead_letters(self) -> None:
        # What a pusher leaves behind that died while it moved the branch.
        lock = self.server.folder / "book" / "refs" / "heads" / "main.lock"
        lock.touch()
        lost = self.client.post("/v1/operations", write("lost.md", "L", "book", key="lost"),
                                Prefer="wait=30")
        self.assertEqual(lost.value["cause"], "attempts_exhausted", lost.value)
        lock.unlink()
        page = self.client.get("/v1/dead-letters?target=book&limit=10").value
        self.assertEqual([each["operation"]["key"] for each in page["dead_letters"]], ["lost"])
        self.assertEqual(self.client.get("/v1/dead-letters?poison=true").value["poison"], [])
        self.assertEqual(self.client.get("/v1/worklist?overdue=true").value["worklist"], [])
        for path in ("/v1/dead-letters?cause=rejected", "/v1/worklist?cursor=x"):
            self.assertEqual(self.client.get(path).status, 400, path)
        place = "/v1/dead-letters/redrive"
        rehearsed = self.client.post(place, {"filter": {"target": "book"}, "dry_run": True})
        self.assertEqual([each["id"] for each in rehearsed.value["redriven"]], [lost.value["id"]])
        done = self.client.post(place, {"ids": [lost.value["id"], "nobody"], "who": "ada"})
        self.assertEqual([each["id"] for each in done.value["redriven"]], [lost.value["id"]])
        self.assertEqual([each["code"] for each in done.value["left"]], ["no-such-operation"])
        settled = self.client.get(f"/v1/operations/{lost.value['id']}?wait=30")
        self.assertEqual(settled.value["status"], "confirmed", settled.value)
        self.assertEqual(self.client.post(place, {}).status, 400)
        self.assertEqual(self.client.post(place, "{}", Content_Type="text/plain").status, 415)
        self.assertEqual(self.client.post(place, {"filter": {}, "who": "eve\x1b[2J"}).status, 422)

    def test_T1_batches(self) -> None:
        lines = [json.dumps(write(f"b/{i}.md", "B", key=f"batch-{i}")) for i in range(50)]
        lines[7] = "not json"
        answer = self.client.post("/v1/operations/batch", "\n".join(lines), Prefer="wait=20",
                                  Content_Type="application/x-ndjson")
        answers = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([each["index"] for each in answers], list(range(50)))
        self.assertEqual([each["status"] for each in answers],
                         [400 if i == 7 else 201 for i in range(50)])
        batch = {"Content_Type": "application/x-ndjson"}
        self.assertEqual(self.client.post("/v1/operations/batch", "\n", **batch).status, 400)
        self.assertEqual(self.client.post("/v1/operations/batch", "1\n" * 10_001, **batch).status,
                         413)
        self.assertEqual(self.client.post("/v1/operations/batch", "{}").status, 415)

    def test_T13_definitions(self) -> None:
        page = {"identity": ["slug"], "effect": {"target": "docs"},
                "artifact": [{"path": "page-${input.slug}.md", "content": "one"}],
                "compensate": {"operation": "write", "input": {"target": "docs", "artifacts": [
                    {"path": "page-${input.slug}.md", "absent": True}]}}}
        given = {"definitions": {"page": page}}
        look = self.client.post("/v1/definitions", {**given, "dry_run": True})
        self.assertEqual((look.status, look.value["changes"]), (200, True))
        made = self.client.post("/v1/definitions", {**given, "expected": {"page": 0}})
        self.assertEqual((made.status, made.value["confirmed"]), (200, True), made.value)
        self.assertEqual(self.client.post("/v1/definitions", given).value["changes"], False)
        late = self.client.post("/v1/definitions", {**given, "expected": {"page": 0}})
        self.assertEqual((late.status, late.problem), (409, "definitions-changed"))
        answer = self.client.post("/v1/operations", {"type": "page", "input": {"slug": "a"}},
                                  Prefer="wait=20")
        self.assertEqual((answer.status, answer.value["definition"]), (201, "page@1"))
        path = f"/v1/operations/{answer.value['id']}"
        self.assertEqual(self.client.post(path + "/compensate").value["state"], "compensating")
        undone = self.client.get(path + "?wait=20").value
        self.assertEqual((undone["status"], undone["state"]), ("undone", "compensated"), undone)
        self.assertFalse((self.server.folder / "docs" / "page-a.md").exists())
        self.client.get(path + "/events")
        answer = self.client.post("/v1/operations", {"type": "page", "input": {}})
        self.assertEqual((answer.status, answer.problem), (422, "input-invalid"))
        bad = {"definitions": {"page": {"effect": {"target": "dosc"}, "retires": 1}}}
        answer = self.client.post("/v1/definitions", bad)
        self.assertEqual((answer.status, answer.problem), (422, "definition-invalid"))
        self.assertTrue(answer.value["errors"])
        listed = self.client.get("/v1/definitions").value["definitions"]
        self.assertEqual([(each["name"], each["version"]) for each in listed], [("page", 1)])
        pruned = self.client.post("/v1/definitions", {"definitions": {}, "prune": True})
        self.assertEqual(pruned.value["definitions"][0]["change"], "retired")
        versions = self.client.get("/v1/definitions/page").value["versions"]
        self.assertEqual([each["definition"] is None for each in versions], [False, True])
        self.assertEqual(self.client.get("/v1/definitions/paeg").problem, "no-such-type")
        self.assertEqual(self.client.post("/v1/definitions", {"definitions": []}).status, 400)
        self.assertEqual(self.client.post("/v1/definitions", " " * (17 << 20)).status, 413)
        answer = self.client.post("/v1/definitions", "x", Content_Type="text/plain")
        self.assertEqual(answer.status, 415)
        for path in ("/v1/definitions", "/v1/definitions/page"):
            self.assertEqual(self.client.get(path + "?what=1").status, 400)

    def test_T10_the_server_about_itself(self) -> None:
        for path in ("/", "/healthz", "/readyz", "/metrics", "/v1/status", "/v1/nodes",
                     "/v1/nodes/history"):
            self.assertEqual(self.client.get(path).status, 200, path)
            self.assertEqual(self.client.get(path + "?what=1").status, 400, path)
        for query in ("limit=0", "limit=1001", "cursor=0", "cursor=x"):
            self.assertEqual(self.client.get("/v1/nodes/history?" + query).status, 400, query)
        history = self.client.get("/v1/nodes/history?limit=1&cursor=7").value
        self.assertEqual((history["history"], history["cursor"]), ([], None))
        self.assertIn("this ledger is a file", history["note"])
        served = self.client.get("/openapi.yaml")
        self.assertEqual(served.body, (SOURCE / "docs" / "openapi.yaml").read_bytes())
        self.assertEqual(self.client.get("/openapi.yaml?x").status, 400)
        self.assertEqual(self.client.get("/nothing").problem, "no-such-resource")
        self.assertEqual(self.client.call("DELETE", "/v1/status").problem, "method-not-allowed")

    def test_S8_every_route_refuses_foreign_hosts_and_origins(self) -> None:
        for path, item in CONTRACT.document["paths"].items():
            for method in item:
                if method == "parameters":
                    continue
                place = path.replace("{id}", "op_00000000000000000000000000")
                answer = self.client.call(method.upper(), place, Host="evil.example")
                self.assertEqual(answer.problem, "host-not-allowed", place)
                answer = self.client.call(method.upper(), place, Origin="http://evil.example")
                self.assertEqual(answer.problem, "origin-not-allowed", place)


class C_Guarded(unittest.TestCase):  # noqa: N801
    """A server with a token, small bounds, and a serving level that lies."""

    server: Server
    client: Client

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(tempfile.mkdtemp(prefix="trued-openapi-"))
        cls.addClassCleanup(shutil.rmtree, folder, True)
        (folder / "site").mkdir()
        (folder / "docs").mkdir()
        config = CONFIG.replace("DIRECTORY", str(folder))
        config = config.replace("PORT", str(stale_serving.serve(cls.addClassCleanup)))
        (folder / "trued.toml").write_text(config, encoding="utf-8")
        cls.server = Server("--config", str(folder / "trued.toml"), TRUED_TEST_TOKEN=TOKEN,
                            TRUED_ACME_TOKEN=ACME_TOKEN)
        cls.addClassCleanup(cls.server.stop)
        cls.client = cls.server.client()
        cls.client.token = TOKEN

    def test_a_S2_every_route_but_the_open_ones_asks_for_the_token(self) -> None:
        stranger = self.server.client()
        for path, item in CONTRACT.document["paths"].items():
            for method, operation in item.items():
                if method == "parameters":
                    continue
                place = path.replace("{id}", "op_00000000000000000000000000")
                answer = stranger.call(method.upper(), place)
                wanted = 200 if operation.get("security") == [{}] else 401
                self.assertEqual(answer.status, wanted, place)

    def test_b_V2_T10_a_lie_of_the_serving_level_waits_for_a_person(self) -> None:
        made = self.client.post("/v1/operations", write("p.md", "P", "site", key="lie"),
                                Prefer="wait=30")
        self.assertEqual(made.value["status"], "needs_action", made.value)
        self.assertTrue(made.value["tells"])
        path = f"/v1/operations/{made.value['id']}"
        self.assertTrue(self.client.get(path + "/events").value["events"])
        self.assertEqual(self.client.get("/v1/status").value["ledger"]["needs_action"], 1)
        work = self.client.get("/v1/worklist").value["worklist"]
        self.assertEqual([each["operation"]["id"] for each in work], [made.value["id"]])
        self.assertEqual(len(work[0]["choices"]), 3)
        done = self.client.post(path + "/resolve", {"verdict": "it_happened", "who": "ada"})
        self.assertEqual(done.value["status"], "unverified")
        answer = self.client.post(path + "/resolve", {"verdict": "maybe"})
        self.assertEqual((answer.status, answer.problem), (422, "input-invalid"))

    def test_b_S2_a_token_is_held_to_its_tenants_and_actions(self) -> None:
        made = self.client.post("/v1/operations", write("o.md", "O", key="others"),
                                Prefer="wait=30")
        acme = self.server.client()
        acme.token = ACME_TOKEN
        mine = acme.post("/v1/operations", write("m.md", "M", key="mine", scope="acme"),
                         Prefer="wait=30")
        self.assertEqual((mine.status, mine.value["actor"]), (201, "acme"))
        answer = acme.post("/v1/operations", write("m.md", "M", key="mine"))
        self.assertEqual((answer.status, answer.problem), (403, "out-of-scope"))
        listed = acme.get("/v1/operations").value["operations"]
        self.assertEqual([each["key"] for each in listed], ["mine"])
        for below in ("", "/events", "?wait=20"):
            self.assertEqual(acme.get(f"/v1/operations/{mine.value['id']}{below}").status, 200)
            hidden = acme.get(f"/v1/operations/{made.value['id']}{below}")
            self.assertEqual((hidden.status, hidden.problem), (404, "no-such-operation"))
        for path in ("/v1/status", "/metrics", "/v1/operations?scope=default",
                     "/v1/dead-letters?scope=default", "/v1/worklist?scope=default",
                     "/v1/definitions", "/v1/definitions/page"):
            self.assertEqual(acme.get(path).problem, "out-of-scope", path)
        self.assertEqual(acme.get("/v1/dead-letters").value["dead_letters"], [])
        answer = acme.post("/v1/dead-letters/redrive", {"filter": {}})
        self.assertEqual((answer.status, answer.problem), (403, "out-of-scope"))
        answer = acme.post("/v1/definitions", {"definitions": {}})
        self.assertEqual((answer.status, answer.problem), (403, "out-of-scope"))
        for verb in ("resolve", "retry", "cancel", "compensate"):
            answer = acme.post(f"/v1/operations/{mine.value['id']}/{verb}", {})
            self.assertEqual((answer.status, answer.problem), (403, "out-of-scope"))
        lines = "\n".join(json.dumps(write("l.md", "L", key="line", scope=scope))
                          for scope in ("acme", "zeta"))
        answer = acme.post("/v1/operations/batch", lines, Prefer="wait=20",
                           Content_Type="application/x-ndjson")
        self.assertEqual([json.loads(line)["status"] for line in answer.body.splitlines()],
                         [201, 403])

    def test_c_T10_bounds(self) -> None:
        for path in ("/v1/operations", "/v1/operations/x/retry", "/v1/operations/x/cancel",
                     "/v1/operations/x/compensate",
                     "/v1/operations/x/resolve", "/v1/dead-letters/redrive"):
            self.assertEqual(self.client.post(path, " " * 65_537).problem, "too-large")
        for i in range(2):
            held = write(f"{i}", "O", key=f"open-{i}", not_before="2099-01-01T00:00:00Z")
            self.assertEqual(self.client.post("/v1/operations", held).status, 202)
        answer = self.client.post("/v1/operations", write("2", "O", key="open-2"))
        self.assertEqual((answer.status, answer.problem), (429, "overloaded"))
        named = self.client.get("/v1/status", Host="trued.example")
        self.assertEqual(named.status, 200)

    def test_d_S2_guessing_is_slowed_down(self) -> None:
        guesser = self.server.client()
        statuses = []
        for i in range(100):
            guesser.token = f"guess-{i}"
            statuses.append(guesser.get("/v1/status").status)
        self.assertEqual(set(statuses), {401, 429})
        for path, item in CONTRACT.document["paths"].items():
            for method, operation in item.items():
                if method == "parameters" or operation.get("security") == [{}]:
                    continue
                place = path.replace("{id}", "op_00000000000000000000000000")
                answer = guesser.call(method.upper(), place)
                self.assertEqual(answer.problem, "too-many-wrong-tokens", place)


class C_Origins(unittest.TestCase):  # noqa: N801
    """A page of an allowed origin."""

    def test_S8_it_may_ask_ahead_and_read_the_answers(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="trued-openapi-"))
        self.addCleanup(shutil.rmtree, folder, True)
        origin = "https://console.example"
        (folder / "trued.toml").write_text(
            f'allowed_origins = ["{origin}"]\n[target.docs]\nkind = "file"\n'
            f'directory = "{folder}"\n', encoding="utf-8")
        server = Server("--config", str(folder / "trued.toml"))
        self.addCleanup(server.stop)
        connection = http.client.HTTPConnection(server.address, timeout=60)
        self.addCleanup(connection.close)
        connection.request("OPTIONS", "/v1/operations", headers={
            "Origin": origin, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.read()), (204, b""))
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
        self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
        # The same connection goes on: an answer without content has no length.
        body = json.dumps(write("o.md", "O", key="page"))
        connection.request("POST", "/v1/operations", body,
                           {"Origin": origin, "Content-Type": "application/json"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, bool(answer.read())), (202, True))
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
        self.assertIn("Location", answer.headers["Access-Control-Expose-Headers"])


class C_Workers(unittest.TestCase):  # noqa: N801
    """Work that waits for whoever asks for it."""

    def test_T9_leases_as_they_are_described(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="trued-openapi-"))
        self.addCleanup(shutil.rmtree, folder, True)
        config = folder / "trued.toml"
        config.write_text(leases.CONFIG.replace("DIRECTORY", str(folder)), encoding="utf-8")
        server = Server("--config", str(config))
        self.addCleanup(server.stop)
        leases.check(self, server.client())


class D_Coverage(unittest.TestCase):  # noqa: N801
    """What of the description nobody has seen."""

    def test_T10_every_described_answer_was_seen(self) -> None:
        unseen = []
        for path, item in CONTRACT.document["paths"].items():
            for method, operation in item.items():
                if method == "parameters":
                    continue
                for status in map(int, operation["responses"]):
                    seen = CONTRACT.seen | NOT_SEEN_THERE
                    if status not in NOT_SEEN_HERE and (path, method, status) not in seen:
                        unseen.append(f"{method.upper()} {path} {status}")
        self.assertEqual(unseen, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
