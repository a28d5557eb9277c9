#!/usr/bin/env python3
"""Proves from object code that a library cannot reach the outside world.

usage: purity.py [--nm LLVM_NM] ARCHIVE_OR_OBJECT...

Lists the symbols that the code needs from elsewhere and refuses those that read a clock, make
chance, start a thread, or touch files, sockets, processes and the environment. Includes can be
hidden in includes; a symbol cannot. Exits 1 and names each object and symbol if there are any.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from typing import Iterator, NamedTuple


class Impurity(NamedTuple):
    """One forbidden symbol, the object that needs it, and what it would let in."""

    where: str
    symbol: str
    kind: str


def _c(names: str) -> str:
    """A pattern for C functions, with the variants that headers make of them."""
    return rf"(?:__)?(?:{names})(?:64|_chk|_2|_r|@.*)?"


FORBIDDEN = {
    "a clock": (
        r"std::chrono::(?:_V2::)?\w+_clock::now\(\)",
        r"trued::SystemClock\b.*",
        _c("time|clock|gettimeofday|clock_gettime|timespec_get|localtime|gmtime|mktime|ftime"),
    ),
    "chance": (
        r"std::random_device\b.*",
        r"trued::SystemRandom\b.*",
        _c("s?rand|s?random|[dejlmn]rand48|getrandom|getentropy|arc4random\\w*"),
    ),
    "threads": (
        r"std::(?:thread|jthread|this_thread|condition_variable|__condvar|mutex)\b.*",
        _c(r"pthread_\w+|thrd_\w+|mtx_\w+|sem_\w+|sched_yield|(?:u|nano)?sleep|clock_nanosleep"),
    ),
    "files": (
        r"std::basic_(?:i|o)?(?:fstream|filebuf)\b.*",
        r"std::filesystem\b.*",
        _c("f?open(?:at)?|creat|f?close|p?readv?|p?writev?|fread|fwrite|fdopen|freopen|fsync"
           "|fdatasync|unlink(?:at)?|rename(?:at)?|mkdir(?:at)?|rmdir|mk[sd]?temp|f?l?stat|access"
           "|opendir|readdir|mmap|ftruncate|lseek"),
    ),
    "input and output": (
        r"std::(?:cin|cout|cerr|clog|wcout|wcerr)\b.*",
        r"std::ios_base::Init::.*",
        _c("v?f?printf|v?dprintf|f?puts|f?putc|putchar|fflush|v?f?scanf|fgets|getline|perror"
           "|syslog|ioctl"),
    ),
    "the network": (
        _c("socket|socketpair|connect|bind|listen|accept4?|send|sendto|sendmsg|recv|recvfrom"
           "|recvmsg|getaddrinfo|gethostbyname|p?poll|p?select|epoll_\\w+"),
    ),
    "the environment": (
        _c("secure_getenv|[gs]etenv|putenv|environ|getpid|gethostname|uname|getcwd|chdir"),
    ),
    "other programs": (
        _c("v?fork|exec[lv]p?e?|posix_spawnp?|system|popen|kill|raise|signal|sigaction|syscall"
           "|dlopen|dlsym"),
    ),
}
_COMPILED = {kind: re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
             for kind, patterns in FORBIDDEN.items()}


def kind_of(symbol: str) -> str:
    """What the symbol would let in; empty if it is harmless."""
    for kind, pattern in _COMPILED.items():
        if pattern.fullmatch(symbol):
            return kind
    return ""


def undefined_symbols(nm: str, path: str) -> Iterator[tuple[str, str]]:
    """Pairs of object and demangled symbol, for everything that an object takes from elsewhere."""
    command = [nm, "--demangle", "--undefined-only", "--print-file-name", path]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        match = re.match(r"(?P<where>.*?):\s+[UwWvV]\s+(?P<symbol>.+)$", line)
        if match:
            yield match["where"].rsplit("/", 1)[-1], match["symbol"]


def impurities(nm: str, path: str) -> list[Impurity]:
    """Every forbidden symbol that the archive or object needs."""
    defined_inside = _defined_symbols(nm, path)
    return [Impurity(where, symbol, kind) for where, symbol in undefined_symbols(nm, path)
            if symbol not in defined_inside and (kind := kind_of(symbol))]


def _defined_symbols(nm: str, path: str) -> set[str]:
    command = [nm, "--demangle", "--defined-only", "--format=posix", path]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {match[1] for line in listed.splitlines()
            if (match := re.match(r"(.+) [A-Za-z] [0-9a-f]+(?: [0-9a-f]+)?$", line))}


def main() -> int:
    parser = argparse.ArgumentParser(description="Finds clocks, chance and I/O in object code.")
    parser.add_argument("--nm", default="llvm-nm-19")
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()

    found: list[Impurity] = []
    symbols = 0
    for path in options.paths:
        symbols += sum(1 for _ in undefined_symbols(options.nm, path))
        found += impurities(options.nm, path)
    for impurity in found:
        print(f"{impurity.where}: lets in {impurity.kind}: {impurity.symbol}")
    print(f"purity: {symbols} symbols from elsewhere, {len(found)} of them forbidden")
    if symbols == 0:
        print("purity: no symbols at all; this is not the object code that was meant")
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
