"""Rules that hold for every text file, whatever its language, and for documents."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import Iterator
from urllib.parse import unquote

from cpp import functions
from tree import File, Finding, Tree

MAX_COLUMNS = 100
MAX_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_BINARY_BYTES = 200 * 1024

# Written in pieces, so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK")) + r")\b")


def long_line(file: File) -> Iterator[Finding]:
    """A line must fit in a side-by-side diff."""
    if not file.is_source:
        return
    for number, line in enumerate(file.lines, 1):
        if len(line) > MAX_COLUMNS:
            yield Finding(file.path, number, "long-line",
                          f"{len(line)} columns; at most {MAX_COLUMNS}")


def long_file(file: File) -> Iterator[Finding]:
    """A file too long to be read in one go holds more than one thing."""
    count = len(file.lines) - (file.lines[-1] == "")
    if file.is_source and count > MAX_LINES:
        yield Finding(file.path, 0, "long-file", f"{count} lines; at most {MAX_LINES}")


def long_function(file: File) -> Iterator[Finding]:
    """A function must be seen whole on one screen."""
    found: list[tuple[str, int, int]] = []
    if file.is_cpp:
        found = [(f.header, f.first, f.lines) for f in functions(file.text)]
    elif file.path.endswith(".py"):
        found = _python_functions(file.text)
    for header, line, count in found:
        if count > MAX_FUNCTION_LINES:
            yield Finding(file.path, line, "long-function",
                          f"{header[-60:]}: {count} lines; at most {MAX_FUNCTION_LINES}")


def _python_functions(text: str) -> list[tuple[str, int, int]]:
    try:
        module = ast.parse(text)
    except SyntaxError:
        return []
    return [(node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(module)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def leftover(file: File) -> Iterator[Finding]:
    """Unfinished work belongs in an issue, where somebody sees it."""
    if file.is_binary or file.path.startswith("docs/"):
        return
    for number, line in enumerate(file.lines, 1):
        match = LEFTOVERS.search(line)
        if match:
            yield Finding(file.path, number, "leftover", f"{match[1]}: finish it or open an issue")


def whitespace(file: File) -> Iterator[Finding]:
    """No trailing blanks, no carriage returns, one newline at the end, no tabs in C++."""
    # Data that a test takes byte for byte is as it is.
    as_it_is = "/testdata/" in f"/{file.path}" or file.path.startswith("fuzz/corpus/")
    if file.is_binary or not file.data or as_it_is:
        return
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield Finding(file.path, number, "whitespace", "trailing white space")
        if file.is_cpp and "\t" in line:
            yield Finding(file.path, number, "whitespace", "a tab")
    if not file.text.endswith("\n"):
        yield Finding(file.path, len(file.lines), "whitespace", "no newline at the end")
    elif file.text.endswith("\n\n"):
        yield Finding(file.path, len(file.lines), "whitespace", "blank lines at the end")


def permissions(file: File) -> Iterator[Finding]:
    """A file is executable if, and only if, it says what runs it."""
    script = file.data.startswith(b"#!")
    if script and not file.executable:
        yield Finding(file.path, 0, "permissions", "starts with #! but is not executable")
    if file.executable and not script:
        yield Finding(file.path, 0, "permissions", "is executable but does not start with #!")


def big_binary(file: File) -> Iterator[Finding]:
    """A large binary stays in every clone for ever."""
    if file.is_binary and len(file.data) > MAX_BINARY_BYTES:
        yield Finding(file.path, 0, "big-binary",
                      f"{len(file.data)} bytes; at most {MAX_BINARY_BYTES}")


# ---- documents -----------------------------------------------------------------------------------

_FENCE = re.compile(r"^\s*(```+|~~~+)")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def _prose(file: File) -> Iterator[tuple[int, str]]:
    """The lines of a document outside its code blocks, numbered."""
    fence = ""
    for number, line in enumerate(file.lines, 1):
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1][:3]
        elif match and match[1].startswith(fence):
            fence = ""
        elif not fence:
            yield number, line


def one_title(file: File) -> Iterator[Finding]:
    """A document has one title, so that it has one subject."""
    if not file.path.endswith(".md"):
        return
    titles = [number for number, line in _prose(file)
              if (match := _HEADING.match(line)) and len(match[1]) == 1]
    if len(titles) != 1:
        yield Finding(file.path, titles[1] if titles else 0, "one-title",
                      f"{len(titles)} lines of the form `# Title`; exactly one is wanted")


def _slugs(file: File) -> set[str]:
    """The anchors that a renderer makes of the headings."""
    seen: dict[str, int] = {}
    slugs = set()
    for _, line in _prose(file):
        match = _HEADING.match(line)
        if not match:
            continue
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[2]).lower()
        slug = re.sub(r"[^\w\- ]", "", plain.replace("`", "")).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        slugs.add(f"{slug}-{count}" if count else slug)
    return slugs


def broken_link(tree: Tree) -> Iterator[Finding]:
    """A relative link leads to a file that is there, and to a heading that is in it."""
    for file in tree:
        if not file.path.endswith(".md"):
            continue
        for number, line in _prose(file):
            for match in _LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                reason = _why_broken(tree, file, unquote(match[1]))
                if reason:
                    yield Finding(file.path, number, "broken-link", reason)


def _why_broken(tree: Tree, file: File, link: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
        return ""
    path, _, anchor = link.partition("#")
    target = file.path
    if path:
        target = posixpath.normpath(posixpath.join(file.folder, path))
    if target.startswith("..") or not tree.has(target):
        return f"{link}: there is no {target}"
    if anchor and target.endswith(".md") and anchor not in _slugs(tree.files[target]):
        return f"{link}: {target} has no heading #{anchor}"
    return ""


FILE_RULES = (long_line, long_file, long_function, leftover, whitespace, permissions, big_binary,
              one_title)
TREE_RULES = (broken_link,)
