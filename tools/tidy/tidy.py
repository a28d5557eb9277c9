#!/usr/bin/env python3
"""The style of this repository, as a test.

usage: tidy.py [--root DIR] [--require] [--rule NAME]... [PATH...]

Reads what git tracks and what it would take, applies every rule and prints what they find, one
line each: `path:line: [rule] message`. Exits 1 if there is anything, 0 if not. PATHs limit what is
printed, not what is read. --require makes a requirement without a test a finding too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterator

import requirements
import rules_cpp
import rules_text
from tree import Finding, Tree, read_tree

FILE_RULES = (*rules_text.FILE_RULES, *rules_cpp.FILE_RULES)
TREE_RULES = (*rules_text.TREE_RULES, *rules_cpp.TREE_RULES)


def check(tree: Tree) -> Iterator[Finding]:
    """Applies every rule to every file, then the rules that need all of them."""
    for file in tree:
        for rule in FILE_RULES:
            yield from rule(file)
    for tree_rule in TREE_RULES:
        yield from tree_rule(tree)


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the style of the repository.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--require", action="store_true",
                        help="fail if a requirement has no test that names it")
    parser.add_argument("--rule", action="append", default=[], help="print only this rule")
    parser.add_argument("paths", nargs="*", help="print only what is in these files or folders")
    options = parser.parse_args()

    tree = read_tree(options.root)
    found = list(check(tree))
    if options.require:
        found += requirements.findings(tree)
    if options.rule:
        found = [finding for finding in found if finding.rule in options.rule]
    if options.paths:
        found = [finding for finding in found if finding.path.startswith(tuple(options.paths))]

    for finding in found:
        print(finding)
    missing = requirements.missing(tree)
    print(f"tidy: {len(tree.files)} files, {len(found)} findings; requirements without a test: "
          f"{', '.join(missing) or 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
