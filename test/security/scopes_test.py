"""S1, S3, S5, S9, S16: whose something is, who may do what, and that no route is forgotten."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from probes import OPENAPI, ROUTES, SOURCE, Caller, House, body_of, filled, sample  # noqa: E402

# The right that each route takes (docs/http.md). `server`: `read`, of a token for every scope;
# `apply` is for every scope as well.
RIGHTS = {
    "submit": "submit", "batch": "submit", "list": "read", "get": "read", "events": "read",
    "resolve": "resolve", "retry": "resolve", "cancel": "resolve", "compensate": "resolve",
    "deadLetters": "read", "redrive": "resolve", "worklist": "read", "apply": "apply",
    "definitions": "server", "versions": "server", "lease": "work", "heartbeat": "work",
    "complete": "work", "status": "server", "nodes": "server",
    "nodeHistory": "server", "healthz": "open", "readyz": "open",
    "metrics": "server", "openapi": "open", "index": "open",
}
ACTIONS = ["submit", "read", "resolve", "apply", "work"]

CONFIG = """
[target.site]
kind = "file"
directory = "@/site"

[target.mailers]
kind = "worker"
retry = { attempts_max = 1 }

[operation.mail]
identity = ["to"]
effect = { target = "mailers", to = "${input.to}" }
input = { required = ["to"], properties = { to = { type = "string" } } }

[operation.page]
identity = ["slug"]
scope = "${input.tenant}"
effect = { target = "site" }
artifact = [{ path = "page-${input.slug}", content = "page ${input.slug}" }]
[operation.page.input]
required = ["slug", "tenant"]
properties = { slug = { type = "string" }, tenant = { type = "string" } }
[operation.page.compensate]
operation = "write"
input = { target = "site", artifacts = [{ path = "page-${input.slug}", absent = true }] }

[operation.after]
effect = { target = "mailers", to = "nobody" }
requires = [{ id = "${input.id}", status = ["confirmed", "failed", "needs_action"] }]
input = { required = ["id"], properties = { id = { type = "string" } } }
"""


def token_table(name, scopes=None, actions=None):
    text = f'[token.{name}]\nsecret = "${{env:TRUED_TEST_{name}}}"\n'
    if scopes:
        text += f"scopes = {json.dumps(scopes)}\n"
    if actions:
        text += f"actions = {json.dumps(actions)}\n"
    return text


def secret(name):
    return "secret-of-token-" + name


class Tenants(unittest.TestCase):
    """A house with a token `umbrella` and a token `acme`, each with every right that has a scope,
    and what umbrella has there in every state that is easily had."""

    @classmethod
    def setUpClass(cls):
        scoped = ["submit", "read", "resolve", "work"]
        tokens = "".join(token_table(name, [name], scoped) for name in ("acme", "umbrella"))
        tokens += "".join(token_table("only_" + each, None, [each]) for each in ACTIONS)
        tokens += token_table("reader_of_one", ["acme"], ["read"])
        tokens += token_table("all")
        names = re.findall(r"TRUED_TEST_(\w+)", tokens)
        cls.house = House(tokens + CONFIG, {"TRUED_TEST_" + name: secret(name) for name in names})
        cls.addClassCleanup(cls.house.close)
        cls.acme = Caller(cls.house.server, secret("acme"))
        cls.umbrella = Caller(cls.house.server, secret("umbrella"))
        cls.all = Caller(cls.house.server, secret("all"))
        cls.plant()

    @classmethod
    def plant(cls):
        """Operations of umbrella; each text of theirs holds the word `canary`."""
        theirs = {"scope": "umbrella", "actor": "canary-actor"}
        write = {"target": "site", "artifacts": [{"path": "canary-path", "content": "canary-c"}]}
        made = {"confirmed": cls.umbrella.submit("write", "shared-key", write, **theirs)}
        os.mkdir(os.path.join(cls.house.site, "canary-taken"))
        taken = {"target": "site", "artifacts": [{"path": "canary-taken", "content": "c"}]}
        made["failed"] = cls.umbrella.submit("write", "canary-failed", taken, **theirs)
        made["held"] = cls.umbrella.submit(
            "write", "canary-held", write, 0, not_before="2099-01-01T00:00:00Z", **theirs)
        made["page"] = cls.umbrella.submit(
            "page", None, {"slug": "canary-slug", "tenant": "umbrella"}, **theirs)
        for name in ("leased", "dead", "person"):
            made[name] = cls.umbrella.submit("mail", None, {"to": "canary-" + name}, 0, **theirs)
        leases = cls.umbrella.value("POST", "/v1/leases", {"worker": "canary-worker", "max": 3})
        assert len(leases["leases"]) == 3, leases
        said = {"dead": {"outcome": "rejected", "retryable": True, "reason": "canary-reason"},
                "person": {"outcome": "unknown", "reason": "canary-reason"}}
        for name, what in said.items():
            path = f"/v1/leases/{made[name]['id']}/complete"
            cls.umbrella.value("POST", path, {"worker": "canary-worker", "attempt": 1, **what})
        cls.theirs = {name: receipt["id"] for name, receipt in made.items()}
        states = {}
        for name, identity in cls.theirs.items():
            states[name] = cls.umbrella.value("GET", f"/v1/operations/{identity}?wait=20"
                                              if name in said else f"/v1/operations/{identity}")
        cls.states = {name: receipt["state"] for name, receipt in states.items()}

    def everything_of_umbrella(self):
        return [self.umbrella.value("GET", f"/v1/operations/{identity}/events")
                for identity in self.theirs.values()]

    def assert_no_leak(self, text, where):
        self.assertNotIn("canary", text, where)
        self.assertNotIn("umbrella", text, where)
        for identity in self.theirs.values():
            self.assertNotIn(identity, text.replace(where, ""), where)

    def test_S1_the_house_holds_every_kind_of_state(self):
        self.assertEqual(self.states, {
            "confirmed": "confirmed", "failed": "failed", "held": "accepted", "page": "confirmed",
            "leased": "attempting", "dead": "failed", "person": "needs_action"})

    def test_S1_every_route_with_an_id_is_404_for_ids_of_others(self):
        before = self.everything_of_umbrella()
        probed = 0
        for route in ROUTES:
            if "{" not in route.path or RIGHTS[route.name] == "server":
                continue  # of no tenant: see S5
            for name, identity in self.theirs.items():
                for spelled in (identity, identity.upper(), identity + "%20"):
                    path = filled(route.path, spelled)
                    status, text, _ = self.acme.probe(route, path)
                    self.assertEqual(status, 404, f"{route.method} {path} ({name}): {text}")
                    self.assertNotIn("canary", text)
                    self.assertNotIn("umbrella", text)
                    probed += 1
        self.assertGreaterEqual(probed, 8 * 7 * 3)
        self.assertEqual(before, self.everything_of_umbrella(), "an operation of umbrella changed")

    def test_S1_an_unknown_id_and_one_of_others_look_the_same(self):
        known, unknown = self.theirs["confirmed"], "op_00000000000000000000000000"
        for route in ROUTES:
            if "{" in route.path and RIGHTS[route.name] != "server":
                answers = [self.acme.probe(route, filled(route.path, each))
                           for each in (known, unknown)]
                shapes = [(status, text.replace(known, "ID").replace(unknown, "ID"))
                          for status, text, _ in answers]
                self.assertEqual(shapes[0], shapes[1], route)

    def test_S1_lists_hold_nothing_of_others(self):
        for route in ROUTES:
            if route.method != "GET" or "{" in route.path or RIGHTS[route.name] != "read":
                continue
            for query in ("", "?limit=1000", "?type=mail", "?target=mailers"):
                status, text, _ = self.acme.ask("GET", route.path + query)
                self.assertEqual(status, 200, text)
                self.assert_no_leak(text, route.path)
            status, text, _ = self.acme.ask("GET", route.path + "?scope=umbrella")
            self.assertEqual(status, 403, text)
            page = self.umbrella.value("GET", route.path + "?limit=1")
            if page.get("cursor"):
                status, text, _ = self.acme.ask("GET", f"{route.path}?cursor={page['cursor']}")
                self.assert_no_leak(text, route.path)
        for query in ("key=canary-held", "key=canary-failed"):
            page = self.acme.value("GET", "/v1/operations?" + query)
            self.assertEqual(page["operations"], [])

    def test_S1_ids_in_bodies_are_looked_at_too(self):
        before = self.everything_of_umbrella()
        ids = list(self.theirs.values())
        done = self.acme.value("POST", "/v1/dead-letters/redrive",
                               {"ids": ids, "poison": True, "may_repeat": True})
        self.assertEqual(done["redriven"], [])
        self.assertEqual({each["code"] for each in done["left"]}, {"no-such-operation"})
        for scope in ("umbrella",):
            status, text, _ = self.acme.ask("POST", "/v1/dead-letters/redrive",
                                            {"filter": {"scope": scope}})
            self.assertEqual(status, 403, text)
        everything = self.acme.value("POST", "/v1/dead-letters/redrive",
                                     {"filter": {}, "poison": True, "may_repeat": True})
        self.assertEqual(everything["redriven"], [])
        leases = self.acme.value("POST", "/v1/leases", {"worker": "w", "max": 100})
        self.assertEqual(leases["leases"], [])
        self.assertEqual(before, self.everything_of_umbrella())

    def test_S1_a_precondition_does_not_tell_of_operations_of_others(self):
        for name in ("confirmed", "failed", "person"):
            mine = self.acme.submit("after", f"after-{name}", {"id": self.theirs[name]}, 0,
                                    scope="acme")
            self.acme.ask("POST", "/v1/leases", {"worker": "w", "wait": 1, "types": ["after"]})
            seen = self.acme.value("GET", f"/v1/operations/{mine['id']}?wait=20")
            self.assertEqual(seen["state"], "failed", seen)
            self.assertIn("no such operation", seen["reason"])

    def test_S1_nothing_is_submitted_for_others(self):
        write = {"target": "site", "artifacts": [{"path": "theirs", "content": "x"}]}
        for body in ({"type": "write", "key": "k", "scope": "umbrella", "input": write},
                     {"type": "page", "input": {"slug": "s", "tenant": "umbrella"}},
                     {"type": "mail", "scope": "umbrella", "input": {"to": "x"}},
                     {"type": "write", "key": "k", "input": write}):  # for `default`
            status, text, _ = self.acme.ask("POST", "/v1/operations", body)
            self.assertEqual(status, 403, text)
            line = {**body, "key": "b"} if body["type"] == "write" else body
            status, text, _ = self.acme.ask("POST", "/v1/operations/batch", json.dumps(line),
                                            {"Content-Type": "application/x-ndjson"})
            self.assertEqual((status, json.loads(text)["status"]), (200, 403), text)
        self.assertFalse(os.path.exists(os.path.join(self.house.site, "theirs")))

    # ---- S5: who may do what ---------------------------------------------------------------------

    def allowed(self, route, role):
        """Whether the role may: `role` is an action, `one` (reads one scope), `all` or nobody."""
        right = RIGHTS[route.name]
        if right == "open" or role == "all":
            return True
        if role == "one":
            return right == "read"
        return role == ("read" if right == "server" else right)

    def test_S5_every_route_for_every_role(self):
        roles = {each: secret("only_" + each) for each in ACTIONS}
        roles.update(all=secret("all"), one=secret("reader_of_one"), nobody=None,
                     wrong="a-token-that-nobody-has")
        self.assertEqual(set(RIGHTS), {route.name for route in ROUTES},
                         "a route is missing in the table of rights, or has gone")
        checked = 0
        for route in ROUTES:
            path = filled(route.path, "op_00000000000000000000000000")
            for role, token in roles.items():
                status, text, _ = Caller(self.house.server, token).probe(route, path)
                where = f"{role}: {route.method} {path}: {status} {text[:300]}"
                checked += 1
                if self.allowed(route, role):
                    self.assertNotIn(status, (401, 403, 429), where)
                elif token is None or role == "wrong":
                    self.assertIn(status, (401, 429), where)
                else:
                    self.assertEqual(status, 403, where)
        self.assertEqual(checked, len(ROUTES) * len(roles))

    def test_S5_who_may_read_decides_nothing(self):
        before = self.everything_of_umbrella()
        reader = Caller(self.house.server, secret("only_read"))
        for route in ROUTES:
            if route.method != "POST" or "{" not in route.path:
                continue
            for identity in self.theirs.values():
                status, text, _ = reader.probe(route, filled(route.path, identity))
                self.assertEqual(status, 403, text)
        self.assertEqual(before, self.everything_of_umbrella())

    # ---- S3: what only the server sets -----------------------------------------------------------

    def server_set(self):
        """The members of receipts that no submission has, and other names that are tried."""
        schemas = OPENAPI["components"]["schemas"]
        submission = set(schemas["Submission"]["properties"])
        receipt = set(schemas["Receipt"]["properties"]) - submission
        return sorted(receipt | {"tenant", "created_by", "role", "admin", "__proto__", "lease",
                                 "constructor", "trace", "definition_version", "rights"})

    def test_S3_no_body_sets_what_only_the_server_sets(self):
        before = self.everything_of_umbrella()
        tried = 0
        for route in ROUTES:
            if route.media is None:
                continue
            caller = self.all if RIGHTS[route.name] == "apply" else self.umbrella
            own = {"scope": "umbrella"} if RIGHTS[route.name] == "submit" else {}
            path = filled(route.path, self.theirs["held"])
            for name in set(self.server_set()) - sample_properties(route):
                for value in ("confirmed", 7, {"x": 1}):
                    status, text, _ = caller.probe(route, path, **own, **{name: value})
                    if route.name == "batch":
                        status = json.loads(text)["status"]
                    self.assertIn(status, (400, 422), f"{route.method} {path} {name}: {text[:200]}")
                    tried += 1
        self.assertGreater(tried, 500)
        self.assertEqual(before, self.everything_of_umbrella())
        page = self.umbrella.value("GET", "/v1/operations?key=probe")
        self.assertEqual(page["operations"], [], "something was accepted")

    def test_S3_no_input_sets_it_either(self):
        artifact = {"path": "s3", "content": "x"}
        for name in self.server_set():
            for given in ({"target": "site", "artifacts": [artifact], name: 1},
                          {"target": "site", "artifacts": [{**artifact, name: 1}]}):
                if name in ("target", "version"):
                    continue
                status, text, _ = self.umbrella.ask("POST", "/v1/operations", {
                    "type": "write", "key": "s3", "scope": "umbrella", "input": given})
                self.assertEqual(status, 422, f"{name}: {text}")
        # A worker says what came of it, and no more: not whose it is, not another attempt.
        path = f"/v1/leases/{self.theirs['leased']}/complete"
        status, text, _ = self.umbrella.ask("POST", path, {
            "worker": "canary-worker", "attempt": 9, "outcome": "acknowledged"})
        self.assertEqual(status, 409, text)

    def test_S3_the_actor_begins_with_the_name_of_the_token(self):
        write = {"target": "site", "artifacts": [{"path": "actor", "content": "x"}]}
        made = self.acme.submit("write", "actor", write, scope="acme", actor="umbrella")
        self.assertEqual(made["actor"], "acme/umbrella")

    # ---- S9: nothing that is not described -------------------------------------------------------

    def test_S9_what_is_not_described_is_404_or_405(self):
        described = {}
        for route in ROUTES:
            described.setdefault(route.path, set()).add(route.method)
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "DEBUG"]
        for path, there in described.items():
            for method in methods:
                if method in there:
                    continue
                status, text, _ = self.all.ask(method, filled(path, self.theirs["confirmed"]))
                self.assertEqual(status, 405, f"{method} {path}: {text}")
        for path in HIDDEN:
            for method in ("GET", "POST"):
                status, text, _ = self.all.ask(method, path, {} if method == "POST" else None)
                self.assertIn(status, (404, 405), f"{method} {path}: {text}")
        self.assertEqual(self.all.ask("GET", "/%00")[0], 400)

    def test_S9_every_described_route_is_there_and_served_as_described(self):
        for route in ROUTES:
            status, text, _ = self.all.probe(route, filled(route.path, "op_x"))
            self.assertNotEqual(status, 405, route)
            self.assertFalse(status == 404 and "no-such-resource" in text, route)
        _, served, _ = self.all.ask("GET", "/openapi.yaml")
        with open(os.path.join(SOURCE, "docs", "openapi.yaml"), encoding="utf-8") as file:
            self.assertEqual(served, file.read())

    # ---- S16: keys -------------------------------------------------------------------------------

    def test_S16_a_key_of_another_scope_is_another_operation(self):
        write = {"target": "site", "artifacts": [{"path": "s16", "content": "x"}]}
        made = self.acme.submit("write", "shared-key", write, scope="acme")
        self.assertEqual(made["decision"], "new")
        self.assertNotEqual(made["id"], self.theirs["confirmed"])
        again = self.acme.submit("write", "shared-key", write, scope="acme")
        self.assertEqual((again["decision"], again["id"]), ("duplicate", made["id"]))
        other = {"target": "site", "artifacts": [{"path": "s16", "content": "y"}]}
        status, text, _ = self.acme.ask("POST", "/v1/operations", {
            "type": "write", "key": "shared-key", "scope": "acme", "input": other})
        self.assertEqual(status, 409, text)
        self.assertNotIn("umbrella", text)

    def test_S16_keys_are_bounded(self):
        write = {"target": "site", "artifacts": [{"path": "s16", "content": "x"}]}
        for key in ("", " ", "k" * 256, "k" * 100_000, "a b", "ä", "a\nb", "a\0b", "\u202e", 7,
                    None, ["a"], {"a": 1}):
            status, text, _ = self.acme.ask("POST", "/v1/operations", {
                "type": "write", "key": key, "scope": "acme", "input": write})
            self.assertEqual(status, 400, f"{key!r}: {text}")
        for scope in ("", "a/b", "a b", "s" * 65, "ä", "a\0", "acme\n", 7):
            status, text, _ = self.all.ask("POST", "/v1/operations", {
                "type": "write", "key": "k", "scope": scope, "input": write})
            self.assertEqual(status, 400, f"{scope!r}: {text}")


HIDDEN = ["/debug", "/debug/pprof", "/admin", "/v1/admin", "/v1/debug", "/actuator/env", "/.env",
          "/.git/config", "/server-status", "/v1", "/v1/", "/v1/operations/", "/v2/operations",
          "/console", "/swagger.json", "/openapi.json", "/v1/operations/x/y", "/v1/tokens",
          "/v1/config", "/v1/ledger", "/v1/backup", "/v1/shutdown", "/healthz/..", "//healthz",
          "/v1/operations/../status", "/%2e%2e/etc/passwd", "/../../etc/passwd", "/metrics/x",
          "/v1/leases/x", "/v1/definitions/a/b", "/v1/operations%2f", "/index.html",
          "/v1/status;x=1", "/HEALTHZ", "/favicon.ico", "/trace", "/version", "/mcp", "/webhooks"]


def sample_properties(route):
    """The members that the body of a route may have."""
    text, _ = body_of(route)
    names = set(json.loads(text))
    schema = route.schema
    while "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][re.sub(".*/", "", schema["$ref"])]
    if "contentSchema" in schema:
        schema = OPENAPI["components"]["schemas"]["Submission"]
    return names | set(schema.get("properties", {}))


if __name__ == "__main__":
    unittest.main(verbosity=1)
