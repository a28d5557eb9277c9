#!/usr/bin/env python3
"""Plants impure code and expects every piece of it to be found, and pure code to pass."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import purity

CXX = os.environ.get("TRUED_CXX", "clang++-19")
NM = os.environ.get("TRUED_NM", "llvm-nm-19")

IMPURE = r"""
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>
auto wall() { return std::chrono::system_clock::now(); }
auto ticks() { return std::chrono::steady_clock::now(); }
auto chance() { return std::random_device{}(); }
auto old_chance() { return rand(); }
auto variable() { return getenv("HOME"); }
auto descriptor() { return open("/dev/null", O_RDONLY); }
auto peer() { return socket(AF_INET, SOCK_STREAM, 0); }
auto stream() { return std::ifstream("/dev/null").good(); }
auto handle() { return fopen("/dev/null", "r"); }
auto other() { return std::filesystem::exists("/dev/null"); }
auto seconds() { return time(nullptr); }
void work() { std::thread([] {}).join(); }
void lock(pthread_mutex_t* mutex) { pthread_mutex_lock(mutex); }
void talk() { std::cout << "x"; printf("%d", rand()); }
auto shell() { return system("true"); }
"""
EXPECTED = {
    "std::chrono::_V2::system_clock::now()": "a clock",
    "std::chrono::_V2::steady_clock::now()": "a clock",
    "time": "a clock",
    "rand": "chance",
    "getenv": "the environment",
    "open": "files",
    "fopen": "files",
    "socket": "the network",
    "pthread_mutex_lock": "threads",
    "std::cout": "input and output",
    "printf": "input and output",
    "system": "other programs",
}
EXPECTED_PREFIXES = {
    "std::random_device": "chance",
    "std::thread": "threads",
    "std::basic_ifstream": "files",
    "std::filesystem": "files",
}

PURE = r"""
#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>
struct Open { std::string time; std::chrono::milliseconds at; };
std::map<std::string, std::shared_ptr<Open>> opened;
std::string close_all(const std::function<std::string(const Open&)>& select) {
  std::vector<std::string> names;
  for (const auto& [name, open] : opened) names.push_back(name + select(*open));
  std::sort(names.begin(), names.end());
  if (names.empty()) throw std::out_of_range("nothing is open");
  return names.front() + std::to_string(names.size());
}
"""


class Purity(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def compile(self, name: str, source: str) -> str:
        unit = Path(self.folder.name) / f"{name}.cpp"
        unit.write_text(source)
        result = unit.with_suffix(".o")
        subprocess.run([CXX, "-std=c++23", "-O1", "-c", str(unit), "-o", str(result)], check=True)
        return str(result)

    def test_every_planted_impurity_is_found(self) -> None:
        found = {i.symbol: i.kind for i in purity.impurities(NM, self.compile("impure", IMPURE))}
        for symbol, kind in EXPECTED.items():
            self.assertEqual(found.get(symbol), kind, symbol)
        for prefix, kind in EXPECTED_PREFIXES.items():
            kinds = {k for symbol, k in found.items() if symbol.startswith(prefix)}
            self.assertEqual(kinds, {kind}, prefix)

    def test_pure_code_passes(self) -> None:
        self.assertEqual(purity.impurities(NM, self.compile("pure", PURE)), [])

    def test_names_that_only_look_alike_pass(self) -> None:
        for symbol in ("trued::open(int)", "trued::core::time(long)", "memcpy", "strtime",
                       "operator new(unsigned long)", "std::__throw_length_error(char const*)"):
            self.assertEqual(purity.kind_of(symbol), "", symbol)

    def test_fortified_and_large_file_variants_are_found(self) -> None:
        for symbol in ("open64", "__open_2", "__printf_chk", "fopen64", "__read_chk"):
            self.assertNotEqual(purity.kind_of(symbol), "", symbol)


if __name__ == "__main__":
    unittest.main()
