"""The server's answers are held to docs/openapi.yaml, and its routes are the ones described."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server  # noqa: E402

SOURCE = os.environ.get("TRUED_SOURCE_DIR", os.path.join(os.path.dirname(__file__), "..", ".."))
REDOCLY = os.path.join(SOURCE, "tools", "npm", "node_modules", ".bin", "redocly")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def load_description():
    """openapi.yaml as JSON, by the tool that lints it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "openapi.json")
        subprocess.run([REDOCLY, "bundle", os.path.join(SOURCE, "docs", "openapi.yaml"),
                        "--ext", "json", "-o", path], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL, env={**os.environ, "REDOCLY_TELEMETRY": "off"})
        with open(path, encoding="utf8") as file:
            return json.load(file)


class Schema:
    """The part of JSON Schema 2020-12 that the description uses."""

    def __init__(self, description):
        self.description = description

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.description
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            schema = node
        return schema

    @staticmethod
    def is_type(value, name):
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if name == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, TYPES[name])

    def faults(self, value, schema, at="$"):
        """What does not fit, as sentences."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            tried = [list(self.faults(value, one, at)) for one in schema["anyOf"]]
            if all(tried):
                yield f"{at}: fits none of anyOf: {tried[0][:1]}"
            return
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(self.is_type(value, kind) for kind in kinds):
            yield f"{at}: {value!r} is not {kinds}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {value!r} is not one of {schema['enum']}"
        if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"],
                                                                            value):
            yield f"{at}: {value!r} does not match {schema['pattern']}"
        if isinstance(value, dict):
            for name in schema.get("required", []):
                if name not in value:
                    yield f"{at}: {name} is missing"
            known = schema.get("properties", {})
            for name, member in value.items():
                if name in known:
                    yield from self.faults(member, known[name], f"{at}.{name}")
                elif known and schema.get("additionalProperties", True) is not True:
                    yield f"{at}: {name} is not described"
                elif known and schema.get("required") and at == "$":
                    yield f"{at}: {name} is answered and not described"
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self.faults(item, schema["items"], f"{at}[{index}]")


class OpenApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.description = load_description()
        cls.schema = Schema(cls.description)
        cls.scratch = Scratch().__enter__()
        cls.server = Server(cls.scratch.sub("state"), ["docs=git:" + cls.scratch.bare_repository(),
                                                       "site=file:" + cls.scratch.sub("site")])

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.scratch.__exit__()

    def hold(self, method, pattern, answer):
        """Checks one answer against the description of its route and status."""
        status, headers, body = answer
        operation = self.description["paths"][pattern][method.lower()]
        self.assertIn(str(status), operation["responses"], (method, pattern))
        response = self.schema.resolve(operation["responses"][str(status)])
        kind = headers["Content-Type"].split(";")[0]
        self.assertIn(kind, response["content"], (method, pattern, status))
        if "json" in kind and "ndjson" not in kind:
            faults = list(self.schema.faults(body, response["content"][kind]["schema"]))
            self.assertEqual(faults, [], (method, pattern, status))
        return answer

    def test_every_answer_fits_its_description(self):
        request, write = self.server.request, self.server.write
        collection, one = "/v1/operations", "/v1/operations/{id}"
        done = self.hold("POST", collection, write("docs", "o1", {"a.md": "a"}))[2]
        self.hold("POST", collection, write("docs", "o1", {"a.md": "a"}))
        self.hold("POST", collection, write("docs", "o1", {"a.md": "b"}))
        self.hold("POST", collection, write("site", "o2", {"a.md": "a"}, wait=0))
        self.hold("POST", collection, write("site", "o3", {"a.md": "a"}))
        self.hold("POST", collection, write("site", "o4", {"a.md": "z"}, verify=False))
        self.hold("POST", collection, write("nowhere", "o5", {"a.md": "a"}))
        self.hold("POST", collection, write("site", "o6", {"../a": "a"}))
        self.hold("POST", collection, request("POST", collection, "{", {
            "Content-Type": "application/json"}))
        self.hold("POST", collection, request("POST", collection, "x", {
            "Content-Type": "text/plain"}))
        self.hold("POST", collection, request("POST", collection, {}, {"Host": "evil"}))
        self.hold("POST", collection, request("POST", collection, {}, {"Origin": "http://evil"}))
        self.hold("GET", collection, request("GET", collection + "?limit=2"))
        self.hold("GET", collection, request("GET", collection + "?limit=0"))
        path = collection + "/" + done["id"]
        self.hold("GET", one, request("GET", path))
        self.hold("GET", one, request("GET", path + "?wait=1"))
        self.hold("GET", one, request("GET", collection + "/op_none"))
        self.hold("GET", one + "/events", request("GET", path + "/events"))
        self.hold("GET", one + "/events", request("GET", collection + "/op_none/events"))
        for action, body in [("resolve", {"verdict": "it_happened"}), ("retry", {}),
                             ("cancel", {})]:
            self.hold("POST", f"{one}/{action}", request("POST", f"{path}/{action}", body))
        self.hold("POST", one + "/resolve", request("POST", path + "/resolve", {}))
        self.hold("POST", collection + "/batch", request("POST", collection + "/batch", "{}\n", {
            "Content-Type": "application/x-ndjson"}))
        self.hold("POST", collection + "/batch", request("POST", collection + "/batch", "", {
            "Content-Type": "application/x-ndjson"}))
        for route in ["/v1/status", "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/"]:
            self.hold("GET", route, request("GET", route))

    def test_the_routes_are_the_ones_described(self):
        listed = self.server.request("GET", "/")[2].decode()
        routes = {tuple(line.split()) for line in listed.splitlines()
                  if line.startswith(("GET ", "POST "))}
        described = {(method.upper(), pattern)
                     for pattern, methods in self.description["paths"].items()
                     for method in methods if method in ("get", "post", "put", "delete")}
        self.assertEqual(routes, described)


if __name__ == "__main__":
    unittest.main(verbosity=1)
