"""Rules for the C++ sources: what may be called and included, and where."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

from cpp import code_only, without_comments
from tree import File, Finding, Tree

# ---- banned calls --------------------------------------------------------------------------------


class Ban(NamedTuple):
    """A call that is not wanted, what to use for it, and why."""

    name: str
    pattern: str
    instead: str
    reason: str
    where: tuple[str, ...] = ("src/", "include/", "lab/", "examples/", "test/", "bench/")
    but_not: tuple[str, ...] = ()
    in_tests: bool = True


# No \b before a name would let "my_exit(" through as "exit("; members and other scopes are theirs.
_CALL = r"(?<![\w.:>]){}\s*\("
_STD_CALL = r"(?<![\w.>])(?<!\w::)(?:std::|::)?{}\s*\("


def _calls(names: str) -> str:
    return _STD_CALL.format(f"(?:{names})")


BANS = (
    Ban("assert", _CALL.format("assert"), "TRUED_ASSERT (base/assert.h)",
        "assert() is gone in release builds, where it is needed most",
        but_not=("src/base/assert",)),
    Ban("random", _calls("rand|srand|random|drand48") + r"|\brandom_device\b|\bmt19937",
        "Random (base/random.h)", "a run must be reproducible from its seed",
        but_not=("src/base/random",)),
    Ban("clock-now", r"\b(?:system|steady|high_resolution)_clock::now\b|"
        + _calls("time|gettimeofday|clock_gettime"),
        "Clock (base/clock.h), or the time that is handed in",
        "time that is not handed in cannot be simulated",
        where=("src/", "include/"),
        but_not=("src/base/clock", "src/engine/pump", "src/io/", "src/cli/"), in_tests=False),
    Ban("sleep",
        r"\bsleep_(?:for|until)\b|(?<!\w)::sleep\s*\(|(?<![\w.:>])sleep\s*\(\s*\d|"
        + _calls("usleep|nanosleep"),
        "a timer, a condition variable with a deadline, or a simulated clock",
        "a sleep is either too short on a busy machine or too long on an idle one"),
    Ban("getenv", _calls("getenv|secure_getenv|setenv|putenv"),
        "the configuration, passed down from main",
        "the environment is a global variable",
        where=("src/", "include/", "lab/"), but_not=("src/cli/", "src/config/"), in_tests=False),
    Ban("number-parsing", _calls("ato[ifl]|atoll|strto(?:l|ll|ul|ull|f|d|ld)|sto(?:i|l|ll|ul|ull"
                                 "|f|d|ld)|sscanf"),
        "std::from_chars", "they throw, skip blanks, obey the locale or hide overflow"),
    Ban("c-strings", _calls("sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|gets"),
        "std::string and fmt::format", "they write past the end or forget the terminator"),
    Ban("time-parts", _calls("localtime|gmtime|ctime|asctime|mktime"),
        "base/time.h", "they share a buffer between threads and obey the machine's zone"),
    Ban("strerror", _calls("strerror"), "std::generic_category().message(errno)",
        "strerror() shares a buffer between threads"),
    Ban("shell", _calls("system|popen"), "posix_spawn with an argument vector",
        "a shell would read what a user typed as a program"),
    Ban("temp-name", _calls("tmpnam|tempnam|mktemp"), "mkdtemp or mkstemp",
        "somebody else can take the name first"),
    Ban("exit", _calls("exit|quick_exit|abort|terminate"), "a Result, or TRUED_ASSERT",
        "a library does not end the program of its host",
        where=("src/", "include/", "lab/"),
        but_not=("src/base/assert", "src/cli/main.cpp"), in_tests=False),
    Ban("detach", r"\.detach\s*\(\s*\)", "a thread that is joined, or the blocking pool",
        "a detached thread outlives what it uses"),
    Ban("detached", r"\basio::detached\b", "a completion handler that reports the failure",
        "a coroutine that ends in an exception must not vanish"),
    Ban("regex", r"\bstd::w?s?regex\b", "a small parser by hand",
        "std::regex recurses on its input and overflows the stack"),
    Ban("cout", r"\bstd::(?:cout|cerr|clog)\b|" + _calls("printf|puts|putchar"),
        "a returned value, or the log", "what a library prints nobody asked for",
        where=("src/", "include/"), but_not=("src/cli/",), in_tests=False),
    Ban("endl", r"\bstd::endl\b", r"'\n'", "std::endl flushes"),
    Ban("using-namespace", r"\busing\s+namespace\s+std\s*;", "std:: where it is used",
        "it brings in names that nobody chose"),
    Ban("allocation", _calls("malloc|calloc|realloc"), "a container or std::make_unique",
        "nobody owns what it returns"),
)
_COMPILED = tuple((ban, re.compile(ban.pattern)) for ban in BANS)


def banned_call(file: File) -> Iterator[Finding]:
    """Calls for which there is something better here."""
    if not file.is_cpp:
        return
    lines = code_only(file.text).split("\n")
    for ban, pattern in _COMPILED:
        if not file.path.startswith(ban.where) or file.path.startswith(ban.but_not or ("\0",)):
            continue
        if file.is_test and not ban.in_tests:
            continue
        for number, line in enumerate(lines, 1):
            match = pattern.search(line)
            if match and not line.lstrip().startswith("#") and not file.waived(number, ban.name):
                yield Finding(file.path, number, ban.name,
                              f"`{match[0].strip()}`: use {ban.instead}, because {ban.reason}")


# ---- includes ------------------------------------------------------------------------------------

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


class Owner(NamedTuple):
    """A third-party library and the folders that may see its headers."""

    library: str
    headers: re.Pattern[str]
    folders: tuple[str, ...]


OWNERS = (
    Owner("Boost (Asio, Beast)", re.compile(r"^boost/"), ("src/io/",)),
    Owner("SQLite", re.compile(r"^sqlite3(ext)?\.h$"), ("src/ledger/sqlite/", "test/")),
    Owner("libgit2", re.compile(r"^git2(/|\.h$)"), ("src/target/git/", "test/")),
    Owner("libpq", re.compile(r"^libpq"), ("src/pg/",)),
    Owner("toml++", re.compile(r"^toml(\+\+|plusplus)?(/|\.h)"), ("src/config/",)),
    Owner("simdjson", re.compile(r"^simdjson"), ("src/json/",)),
    Owner("CLI11", re.compile(r"^CLI/"), ("src/cli/", "sim/main")),
    Owner("spdlog", re.compile(r"^spdlog/"), ("src/cli/",)),
    Owner("prometheus-cpp", re.compile(r"^prometheus/"), ("src/api/",)),
    Owner("OpenSSL", re.compile(r"^openssl/"), ("src/base/", "src/io/")),
    Owner("Google Benchmark", re.compile(r"^benchmark/"), ("bench/",)),
)
TEST_LIBRARIES = re.compile(r"^(gtest|gmock|rapidcheck)(/|\.h$)")

CORE_FORBIDDEN = {
    "random", "thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore",
    "latch", "barrier", "stop_token", "atomic", "fstream", "iostream", "filesystem", "cstdio",
    "stdio.h", "ctime", "time.h", "csignal", "unistd.h", "fcntl.h", "pthread.h", "poll.h",
    "base/clock.h",
}


def _includes(file: File) -> Iterator[tuple[int, str, str]]:
    # Comments are blanked first; the names of headers are strings and must stay.
    text = without_comments(file.text)
    for match in _INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def foreign_include(file: File) -> Iterator[Finding]:
    """Link edges cannot see system headers, so each library's headers have one home."""
    if not file.is_cpp:
        return
    for number, _, header in _includes(file):
        for owner in OWNERS:
            if owner.headers.match(header) and not file.path.startswith(owner.folders):
                yield Finding(file.path, number, "foreign-include",
                              f"{header}: {owner.library} is seen only by "
                              f"{', '.join(owner.folders)}")
        if TEST_LIBRARIES.match(header) and not file.is_test:
            yield Finding(file.path, number, "foreign-include",
                          f"{header}: only tests (*_test.cpp, *_conformance.*, test/) see it")


def core_include(file: File) -> Iterator[Finding]:
    """The core decides from what it is given: no clock, chance, thread or file."""
    if not file.is_cpp or not file.path.startswith("src/core/") or file.is_test:
        return
    for number, _, header in _includes(file):
        if header in CORE_FORBIDDEN or header.startswith("sys/"):
            yield Finding(file.path, number, "core-include", f"{header} has no place in the core")
    for number, line in enumerate(code_only(file.text).split("\n"), 1):
        if re.search(r"_clock::now\b", line):
            yield Finding(file.path, number, "core-include", "the core has no clock")


def public_include(file: File) -> Iterator[Finding]:
    """The public headers name the standard library and each other, and nothing else."""
    if not file.path.startswith("include/"):
        return
    for number, quote, header in _includes(file):
        standard = quote == "<" and re.fullmatch(r"[a-z_0-9]+", header)
        if not standard and not header.startswith("trued/"):
            yield Finding(file.path, number, "public-include",
                          f"{header}: public headers include the standard library and trued/ only")


def include_path(file: File) -> Iterator[Finding]:
    """Project headers are named from the root, so that one header has one name."""
    if not file.is_cpp:
        return
    for number, quote, header in _includes(file):
        if header.startswith(("./", "../")) or (quote == '"' and "/" not in header):
            yield Finding(file.path, number, "include-path",
                          f"{header}: name it from the root, as in \"base/result.h\"")


# ---- headers -------------------------------------------------------------------------------------


def header_form(file: File) -> Iterator[Finding]:
    """A header opens with a comment that says what it is for, and is guarded by a pragma."""
    if not file.is_header:
        return
    first = next((line for line in file.lines if line.strip()), "")
    if not first.startswith(("//", "/*")):
        yield Finding(file.path, 1, "header-form", "does not open with a comment")
    if not re.search(r"^#pragma once$", file.text, re.MULTILINE):
        yield Finding(file.path, 1, "header-form", "has no `#pragma once`")
    for number, line in enumerate(code_only(file.text).split("\n"), 1):
        if re.search(r"\busing\s+namespace\b", line):
            yield Finding(file.path, number, "header-form",
                          "`using namespace` in a header reaches everybody who includes it")


def dead_header(tree: Tree) -> Iterator[Finding]:
    """A header that nobody includes is not checked by anybody."""
    roots = ("src/", "include/", "")
    included = set()
    for file in tree:
        if not file.is_cpp:
            continue
        for _, _, header in _includes(file):
            candidates = [root + header for root in roots] + [f"{file.folder}/{header}"]
            included |= {name for name in candidates if name in tree.files and name != file.path}
    for file in tree:
        if file.is_header and file.path not in included:
            yield Finding(file.path, 0, "dead-header", "no source includes it")


FILE_RULES = (banned_call, foreign_include, core_include, public_include, include_path, header_form)
TREE_RULES = (dead_header,)
