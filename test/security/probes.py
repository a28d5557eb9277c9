"""What the security tests share: routes out of docs/openapi.yaml, a house of tenants, raw sockets.

The routes, their methods, parameters and bodies come from the description, so a route that is added
is probed by every test that goes over all of them; what a test has to know besides (which right a
route takes) stands in a table of its own, and a route that is missing there fails the test.
"""

import collections
import json
import os
import re
import socket
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TRUED_SOURCE_DIR", os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from trued_server import Scratch, Server, sanitized  # noqa: E402

with open(os.path.join(SOURCE, "docs", "openapi.yaml"), encoding="utf-8") as described:
    OPENAPI = yaml.safe_load(described)

Route = collections.namedtuple("Route", "method path name parameters media schema")


def resolved(node):
    """The node, or what its $ref leads to."""
    while isinstance(node, dict) and "$ref" in node:
        found = OPENAPI
        for part in node["$ref"][2:].split("/"):
            found = found[part]
        node = found
    return node


def routes():
    """Every described method of every described path."""
    found = []
    for path, item in OPENAPI["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            body = resolved(operation.get("requestBody", {})).get("content", {})
            media = next(iter(body), None)
            parameters = [resolved(each) for each in
                          item.get("parameters", []) + operation.get("parameters", [])]
            found.append(Route(method.upper(), path, operation["operationId"], parameters, media,
                               body[media]["schema"] if media else None))
    return found


ROUTES = routes()


def sample(schema):
    """Something small that fits the schema."""
    schema = resolved(schema)
    for choices in ("oneOf", "anyOf"):
        if choices in schema and "properties" not in schema:
            return sample(schema[choices][0])
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object" if "properties" in schema else None)
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required") or schema.get("oneOf", [{}])[0].get("required", [])
        return {name: sample(schema.get("properties", {}).get(name, {})) for name in wanted}
    if kind == "array":
        return [sample(schema.get("items", {})) for _ in range(schema.get("minItems", 1))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"boolean": True, "string": "x" * schema.get("minLength", 1)}.get(kind, "x")


def body_of(route, **more):
    """A body for the route, with its media type; nothing where it takes none."""
    if route.media is None:
        return None, {}
    if route.name in ("submit", "batch"):
        body = {"type": "write", "key": "probe",
                "input": {"target": "site", "artifacts": [{"path": "probe", "content": "p"}]}}
    elif route.name == "apply":
        body = {"dry_run": True, "definitions": {}}
    else:
        body = sample(route.schema)
    body = {**body, **more}
    text = json.dumps(body) + ("\n" if route.media.endswith("ndjson") else "")
    return text, {"Content-Type": route.media}


class Caller:
    """One token at one server; remembers nothing."""

    def __init__(self, server, token=None):
        self.server, self.token = server, token

    def ask(self, method, path, body=None, headers=None):
        """Status and text of the answer."""
        connection = self.server.connect()
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = "Bearer " + self.token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8")
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace"), response.headers
        finally:
            connection.close()

    def value(self, method, path, body=None, headers=None):
        """The JSON answered; raises unless it was a success."""
        status, text, _ = self.ask(method, path, body, headers)
        assert 200 <= status < 300, f"{method} {path}: {status} {text}"
        return json.loads(text)

    def probe(self, route, path=None, **more):
        """The route with a body that fits it."""
        body, headers = body_of(route, **more)
        return self.ask(route.method, path or route.path, body, headers)

    def submit(self, kind, key, given, wait=20, **more):
        body = {"type": kind, "input": given, **({"key": key} if key else {}), **more}
        return self.value("POST", "/v1/operations", body, {"Prefer": f"wait={wait}"})


def filled(path, identity):
    return re.sub(r"\{\w+\}", identity, path)


def exchange(server, data, timeout=10, close=False):
    """Sends raw bytes; everything that came back until the other side closed or was silent."""
    with socket.create_connection((server.host, server.port), timeout=timeout) as one:
        try:
            one.sendall(data)
            if close:
                one.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        said = b""
        while True:
            try:
                piece = one.recv(65536)
            except ConnectionResetError:
                return said, True
            except OSError:
                return said, False
            if not piece:
                return said, True
            said += piece


# A sanitizer keeps shadows of memory and what was freed.
MEMORY_OF_ITS_OWN = 5 if sanitized() else 1


def resident_mib(server):
    """What the program itself holds, about."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return kib // 1024 // MEMORY_OF_ITS_OWN


def text_of_files(folder):
    """Every file below, by its path."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                yield os.path.join(place, name), file.read()


class House:
    """A server with a configuration text, in which @/ stands for a scratch folder."""

    def __init__(self, config, environment=None, options=()):
        self.scratch = Scratch().__enter__()
        self.folder = self.scratch.path
        self.state = self.scratch.sub("state")
        self.site = self.scratch.sub("site")
        self.config = os.path.join(self.folder, "trued.toml")
        self.environment = environment
        self.options = list(options)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config.replace("@/", self.folder + "/"))
        self.server = None
        try:
            self.start()
        except BaseException:
            self.scratch.__exit__()
            raise

    def start(self):
        self.server = Server(self.state, options=["--config", self.config, *self.options],
                             environment=self.environment)

    def close(self):
        if self.server is not None:
            self.server.kill()
        self.scratch.__exit__()
