"""docs/openapi.yaml as a judge of what a server answers."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

try:
    import jsonschema
    import yaml
except ImportError as missing:
    raise SystemExit(f"{missing}; install python3-yaml and python3-jsonschema") from missing

PROBLEM = {"$ref": "#/components/schemas/Problem"}
BATCH_ANSWER = {"$ref": "#/components/schemas/BatchAnswer"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

formats = jsonschema.FormatChecker()


@formats.checks("date-time")
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or _TIME.fullmatch(value) is not None


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    value: Any = field(default=None)

    @property
    def problem(self) -> str:
        return str(self.value["type"]).removeprefix("urn:trued:problem:")


class Contract:
    """The description, and what it says of one answer."""

    def __init__(self, path: Path) -> None:
        self.document = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.seen: set[tuple[str, str, int]] = set()  # path, method, status

    def resolve(self, node: Any) -> Any:
        """The node itself, or what its $ref leads to."""
        while isinstance(node, dict) and "$ref" in node and node["$ref"].startswith("#/"):
            target = self.document
            for part in node["$ref"][2:].split("/"):
                target = target[part]
            node = target
        return node

    def complaints(self, schema: Any, value: Any) -> list[str]:
        """What of the value does not fit the schema; the references of both are the document's."""
        whole = {"components": self.document["components"], "allOf": [schema]}
        validator = jsonschema.Draft202012Validator(whole, format_checker=formats)
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
                for e in validator.iter_errors(value)]

    def path_of(self, path: str) -> str | None:
        """The described path that this one is an instance of; a literal one before an {id}."""
        paths = self.document["paths"]
        if path in paths:
            return path
        for pattern in paths:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
                return str(pattern)
        return None

    def judge(self, method: str, path: str, answer: Answer) -> list[str]:
        """What of the answer is not as described."""
        pattern = self.path_of(path.partition("?")[0])
        described = self.document["paths"].get(pattern, {})
        operation = described.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            # Nothing there, or not that method: a problem like every other.
            return self._judge_content({"application/problem+json": {"schema": PROBLEM}}, answer)
        response = self.resolve(operation["responses"].get(str(answer.status)))
        if response is None:
            return [f"{method} {pattern}: the status {answer.status} is not described"]
        self.seen.add((str(pattern), method.lower(), answer.status))
        found = list(self._judge_headers(response.get("headers", {}), answer))
        if method != "HEAD":
            found += self._judge_content(response.get("content", {}), answer)
        return [f"{method} {path} {answer.status}: {each}" for each in found]

    def _judge_headers(self, described: dict[str, Any], answer: Answer) -> Iterator[str]:
        for name, reference in described.items():
            value: Any = answer.headers.get(name.lower())
            schema = self.resolve(reference)["schema"]
            if value is None:
                if name != "Preference-Applied":
                    yield f"the header {name} is missing"
                continue
            if schema.get("type") == "integer":
                value = int(value)
            yield from (f"the header {name}: {each}" for each in self.complaints(schema, value))

    def _judge_content(self, described: dict[str, Any], answer: Answer) -> list[str]:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind not in described:
            return [f"the type {kind!r} is not described, only {list(described)}"]
        if kind == "application/x-ndjson":
            return [each for line in answer.body.splitlines()
                    for each in self.complaints(BATCH_ANSWER, json.loads(line))]
        value = answer.value if "json" in kind else answer.body.decode()
        return self.complaints(described[kind]["schema"], value)

    def examples(self) -> Iterator[tuple[str, Any, Any]]:
        """Every example of a body: where it stands, its schema, its value."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method == "parameters":
                    continue
                bodies = {**operation["responses"], "request": operation.get("requestBody", {})}
                for name, body in bodies.items():
                    for kind, media in self.resolve(body).get("content", {}).items():
                        for value in self._values(media):
                            yield f"{method} {path} {name} {kind}", media["schema"], value

    def _values(self, media: dict[str, Any]) -> Iterator[Any]:
        if "example" in media:
            yield media["example"]
        for example in media.get("examples", {}).values():
            yield self.resolve(example)["value"]


class Client:
    """Asks one server, and has every answer judged."""

    def __init__(self, contract: Contract, address: str) -> None:
        self.contract = contract
        self.address = address
        self.token = ""

    def call(self, method: str, path: str, body: bytes | str | dict[str, Any] | None = None,
             **headers: str) -> Answer:
        """One request; raises AssertionError if the answer is not as described."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body = json.dumps(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()},
                            response.read())
        finally:
            connection.close()
        if "json" in answer.headers.get("content-type", "") and answer.body:
            if "ndjson" not in answer.headers["content-type"]:
                answer.value = json.loads(answer.body)
        found = self.contract.judge(method, path, answer)
        assert not found, "\n".join([*found, answer.body[:2000].decode(errors="replace")])
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: bytes | str | dict[str, Any] | None = None,
             **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)
