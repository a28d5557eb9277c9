"""Just enough of C++ to find code, strings and function bodies. No preprocessing, no types."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*(?:\\\n[^\n]*)*)
    | (?P<block>/\*.*?(?:\*/|\Z))
    | (?P<raw>\b(?:u8|u|U|L)?R"(?P<delimiter>[^\s()\\]{0,16})\(.*?\)(?P=delimiter)")
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<char>(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+')
    """,
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE | re.DOTALL)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def without_comments(text: str) -> str:
    """The code with comments blanked; line and column of everything else stay the same."""

    def replace(match: re.Match[str]) -> str:
        return _blank(match[0]) if match["line"] or match["block"] else match[0]

    return _TOKEN.sub(replace, text)


def code_only(text: str) -> str:
    """The code with comments and the inside of literals blanked; positions stay the same."""

    def replace(match: re.Match[str]) -> str:
        token = match[0]
        if match["line"] or match["block"]:
            return _blank(token)
        quote = token[-1]
        return quote + _blank(token[1:-1]) + quote

    return _TOKEN.sub(replace, text)


class Function(NamedTuple):
    """A function body, from the line of its opening brace to that of its closing one."""

    header: str
    first: int
    last: int

    @property
    def lines(self) -> int:
        return self.last - self.first + 1


_CONTAINER = re.compile(r"^(?:(?:export|inline|static|typedef|extern)\s+|\[\[.*?\]\]\s*)*"
                        r"(?:namespace|class|struct|union|enum)\b")
_EXTERN_C = re.compile(r'^extern\s*"[^"]*"$')
_SPECIFIERS = {"const", "noexcept", "override", "final", "try", "mutable", "volatile"}
_INITIALIZER_LIST = re.compile(r"\)[^)=]*?[^:]:(?!:)")


def functions(text: str) -> Iterator[Function]:
    """Finds the outermost function bodies; what is nested in one counts as part of it."""
    code = _DIRECTIVE.sub(lambda match: _blank(match[0]), code_only(text))
    header_start = at = 0
    parentheses = 0
    while at < len(code):
        char = code[at]
        if char == "(":
            parentheses += 1
        elif char == ")":
            parentheses = max(0, parentheses - 1)
        elif char == ";" and parentheses == 0:
            header_start = at + 1
        elif char == "}":
            header_start = at + 1
        elif char == "{":
            kind = _kind(code[header_start:at], parentheses)
            if kind == "container":
                header_start = at + 1
            else:
                end = _closing_brace(code, at)
                if kind == "function":
                    yield Function(" ".join(code[header_start:at].split()),
                                   _line_of(code, at), _line_of(code, end))
                    header_start = end + 1
                at = end
        at += 1


def _kind(header: str, parentheses: int) -> str:
    """What an opening brace after this text opens: a container, a function or a value."""
    words = _strip_template(" ".join(header.split()))
    # Access labels belong to no declaration: "public: void f()".
    words = re.sub(r"^(?:public|private|protected)\s*:\s*", "", words)
    words = _strip_template(words)
    if parentheses:
        return "value"
    if _CONTAINER.match(words) or _EXTERN_C.match(words):
        return "container"
    if ")" not in words:
        return "value"
    if _is_member_initializer(words):
        return "value"
    return "function"


def _is_member_initializer(words: str) -> bool:
    """True for the brace of `Name(int x) : member_` + `{x}`, which is no body."""
    if not _INITIALIZER_LIST.search(words):
        return False
    last = re.search(r"([A-Za-z_]\w*|>)\s*$", words)
    return bool(last) and last[1] not in _SPECIFIERS


def _strip_template(words: str) -> str:
    """Drops leading `template <...>` clauses, whatever is nested in them."""
    while words.startswith("template"):
        depth = 0
        for index, char in enumerate(words):
            if char == "<":
                depth += 1
            elif char == ">" and words[index - 1] != "-":
                depth -= 1
                if depth == 0:
                    words = words[index + 1:].lstrip()
                    break
        else:
            return words
    return words


def _closing_brace(code: str, opening: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
