"""The files that the rules look at, and what a rule says about them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple

CPP_SUFFIXES = (".cpp", ".h")
SKIPPED_FOLDERS = {".git", ".cache", "build", "node_modules", "__pycache__"}

# A waiver stands on the offending line or on a comment line above it, and says why:
#   // tidy: allow exit because the child must not run the parent's destructors
WAIVER = re.compile(r"tidy: allow (?P<rule>[\w-]+) because (?P<reason>.{10,})")


class Finding(NamedTuple):
    """One thing that a rule found. line is 1-based; 0 means the file as a whole."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: [{self.rule}] {self.message}"


@dataclass
class File:
    """One file: its path from the root with forward slashes, its bytes, its executable bit."""

    path: str
    data: bytes
    executable: bool = False

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        return self.path.rsplit("/", 1)[0] if "/" in self.path else ""

    @cached_property
    def is_binary(self) -> bool:
        return b"\0" in self.data[:8192]

    @cached_property
    def text(self) -> str:
        return "" if self.is_binary else self.data.decode("utf-8", errors="replace")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def is_cpp(self) -> bool:
        return self.path.endswith(CPP_SUFFIXES)

    @property
    def is_header(self) -> bool:
        return self.path.endswith(".h")

    @property
    def is_test(self) -> bool:
        """True for what never ships: unit tests beside the code, and the folders of tests."""
        stem = self.name.rsplit(".", 1)[0]
        return self.path.startswith(("test/", "bench/")) or stem.endswith(
            ("_test", "_conformance", "test_support"))

    @property
    def is_source(self) -> bool:
        """A program text, in any of the languages used here."""
        if self.name in ("CMakeLists.txt", "dev") or self.path == ".ci/run":
            return True
        return self.path.endswith((*CPP_SUFFIXES, ".cmake", ".py", ".sh", ".ts", ".tsx"))

    def waived(self, line: int, rule: str) -> bool:
        """True if a waiver for this rule stands on the line or on the comments just above it."""
        at = line - 1
        while 0 <= at < len(self.lines):
            match = WAIVER.search(self.lines[at])
            if match and match["rule"] == rule:
                return True
            at -= 1
            if at < 0 or not self.lines[at].lstrip().startswith(("//", "#")):
                return False
        return False


@dataclass
class Tree:
    """All files of the repository, by path."""

    files: dict[str, File] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[File]) -> "Tree":
        return cls({file.path: file for file in files})

    def __iter__(self) -> Iterator[File]:
        return iter(sorted(self.files.values(), key=lambda file: file.path))

    def has(self, path: str) -> bool:
        """True if path names a file, or a folder that holds one."""
        if path in self.files or path in ("", "."):
            return True
        prefix = path.rstrip("/") + "/"
        return any(name.startswith(prefix) for name in self.files)


def read_tree(root: Path) -> Tree:
    """Reads what git tracks and what it would take; without git, everything but build folders."""
    files = []
    for path in _list_paths(root):
        full = root / path
        if full.is_symlink() or not full.is_file():
            continue
        files.append(File(path, full.read_bytes(), os.access(full, os.X_OK)))
    return Tree.of(files)


def _list_paths(root: Path) -> list[str]:
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "--cached",
               "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return _walk_paths(root)
    return sorted({name.decode() for name in listed.split(b"\0") if name})


def _walk_paths(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names]
    return sorted(found)
