"""Which requirements have a test that names them."""

from __future__ import annotations

import re
from typing import Iterator

from cpp import code_only
from tree import File, Finding, Tree

# The requirements that this version promises. A test carries the id of what it proves in its name,
# as in TEST(Verification, V3_unreadable_is_never_rewritten).
REQUIRED = ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10",
            "T1", "T2", "T3", "T4", "T6", "T10", "T11")

_CPP_TEST = re.compile(r"\b(?:\w*TEST(?:_[FP])?|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\s*\("
                       r"\s*(\w+)\s*,\s*(\w+)")
_PYTHON_TEST = re.compile(r"^\s*(?:def\s+(test\w*)|class\s+(\w+))", re.MULTILINE)
_ID = re.compile(r"(?:^|_)([VTGIC]\d+)(?=_|$)")


def test_names(file: File) -> Iterator[str]:
    """The names of the tests in one file."""
    if file.is_cpp and file.is_test:
        for match in _CPP_TEST.finditer(code_only(file.text)):
            yield from match.groups()
    elif file.name.endswith("_test.py") and not file.path.startswith("tools/"):
        for match in _PYTHON_TEST.finditer(file.text):
            yield next(name for name in match.groups() if name)


def tests_by_requirement(tree: Tree) -> dict[str, int]:
    """How many test names carry each id."""
    counts: dict[str, int] = {}
    for file in tree:
        for name in test_names(file):
            for match in _ID.finditer(name):
                counts[match[1]] = counts.get(match[1], 0) + 1
    return counts


def missing(tree: Tree) -> list[str]:
    """The required ids that no test names, in the order of the list."""
    counts = tests_by_requirement(tree)
    return [requirement for requirement in REQUIRED if requirement not in counts]


def findings(tree: Tree) -> Iterator[Finding]:
    """As findings, for --require."""
    for requirement in missing(tree):
        yield Finding("test", 0, "requirement", f"no test names {requirement}")
