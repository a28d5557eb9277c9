#!/usr/bin/env python3
"""Every rule, with an example that breaks it and one that does not."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

import requirements
import rules_cpp
import tidy
from cpp import code_only, functions
from tree import File, Tree, read_tree

HEADER = "// x.h: an example.\n#pragma once\n"
# Written in pieces, so that the rule does not find its own example.
LEFT = "TO" "DO"


class Rules(unittest.TestCase):
    """Runs all rules over small trees made in memory."""

    def found(self, rule: str, files: dict[str, str | bytes], executable: tuple[str, ...] = ()
              ) -> list[str]:
        """The places where the rule found something, as "path:line"."""
        tree = Tree.of(
            File(path, data.encode() if isinstance(data, str) else data, path in executable)
            for path, data in files.items())
        return [f"{f.path}:{f.line}" for f in tidy.check(tree) if f.rule == rule]

    def breaks(self, rule: str, path: str, text: str, line: int) -> None:
        self.assertEqual(self.found(rule, {path: text}), [f"{path}:{line}"], text)

    def holds(self, rule: str, path: str, text: str) -> None:
        self.assertEqual(self.found(rule, {path: text}), [], text)

    # ---- every file ------------------------------------------------------------------------------

    def test_long_line(self) -> None:
        self.breaks("long-line", "src/a/a.cpp", "\n// " + "x" * 98 + "\n", 2)
        self.holds("long-line", "src/a/a.cpp", "// " + "x" * 97 + "\n")
        self.breaks("long-line", "dev", "# " + "x" * 99 + "\n", 1)
        self.holds("long-line", "README.md", "x" * 300 + "\n")

    def test_long_line_counts_characters_and_not_bytes(self) -> None:
        self.holds("long-line", "src/a/a.cpp", "// " + "►" * 97 + "\n")

    def test_long_file(self) -> None:
        self.breaks("long-file", "src/a/a.cpp", "int x;\n" * 601, 0)
        self.holds("long-file", "src/a/a.cpp", "int x;\n" * 600)

    def test_long_function(self) -> None:
        body = "  f();\n" * 69
        self.breaks("long-function", "src/a/a.cpp", "void g() {\n" + body + "}\n", 1)
        self.holds("long-function", "src/a/a.cpp", "void g() {\n" + body[7:] + "}\n")
        self.breaks("long-function", "tools/a.py", "def g():\n" + "    f()\n" * 70, 1)

    def test_leftover(self) -> None:
        self.breaks("leftover", "src/a/a.cpp", f"// {LEFT}: later\n", 1)
        self.holds("leftover", "src/a/a.cpp", 'auto t = "trued-XXXXXX";\n')

    def test_whitespace(self) -> None:
        self.breaks("whitespace", "a.md", "x \n", 1)
        self.breaks("whitespace", "a.md", "x\r\n", 1)
        self.breaks("whitespace", "a.md", "x", 1)
        self.breaks("whitespace", "a.md", "x\n\n", 3)
        self.breaks("whitespace", "src/a/a.cpp", "\tint x;\n", 1)
        self.holds("whitespace", "test/api/testdata/a.txt", "x \r\n\n")
        self.holds("whitespace", "fuzz/corpus/request/a", "x \r\n\n")

    def test_permissions(self) -> None:
        script = {"tools/a.sh": "#!/bin/sh\n"}
        self.assertEqual(self.found("permissions", script), ["tools/a.sh:0"])
        self.assertEqual(self.found("permissions", script, ("tools/a.sh",)), [])
        self.assertEqual(self.found("permissions", {"a.md": "x\n"}, ("a.md",)), ["a.md:0"])

    def test_big_binary(self) -> None:
        self.assertEqual(self.found("big-binary", {"a.png": b"\0" * 204801}), ["a.png:0"])
        self.assertEqual(self.found("big-binary", {"a.png": b"\0" * 204800}), [])

    # ---- documents -------------------------------------------------------------------------------

    def test_one_title(self) -> None:
        self.breaks("one-title", "a.md", "# One\n\n# Two\n", 3)
        self.breaks("one-title", "a.md", "## Only a section\n", 0)
        self.holds("one-title", "a.md", "# One\n\n```sh\n# a comment\n```\n")

    def test_broken_link(self) -> None:
        files = {"docs/a.md": "# A\n\n[b](b.md) [up](../README.md) [c](c.md)\n",
                 "docs/b.md": "# B\n", "README.md": "# R\n\n[docs](docs/) [web](https://x.org)\n"}
        self.assertEqual(self.found("broken-link", files), ["docs/a.md:3"])

    def test_broken_link_to_a_heading(self) -> None:
        files = {"a.md": "# A\n\n## The `five` lies, told\n\n[x](#the-five-lies-told)\n",
                 "b.md": "# B\n\n[x](a.md#the-six-lies)\n"}
        self.assertEqual(self.found("broken-link", files), ["b.md:3"])

    def test_links_in_code_are_not_links(self) -> None:
        self.holds("broken-link", "a.md", "# A\n\n`[x](y)`\n\n```\n[x](y)\n```\n")

    # ---- calls -----------------------------------------------------------------------------------

    BANNED = {
        "assert": "assert(x);", "random": "int x = rand();", "sleep": "sleep_for(1s);",
        "clock-now": "auto t = std::chrono::system_clock::now();",
        "getenv": 'auto* h = std::getenv("HOME");', "number-parsing": "int x = std::stoi(s);",
        "c-strings": "sprintf(b, s);", "time-parts": "auto* t = gmtime(&x);",
        "strerror": "auto* s = strerror(errno);", "shell": "system(s);",
        "temp-name": "auto* n = tmpnam(b);", "exit": "std::exit(1);", "detach": "thread.detach();",
        "detached": "co_spawn(x, f(), asio::detached);", "regex": "std::regex r;",
        "cout": "std::cout << 1;", "endl": "out << std::endl;",
        "using-namespace": "using namespace std;", "allocation": "auto* p = malloc(1);",
    }

    def test_every_banned_call_has_an_example_here(self) -> None:
        self.assertEqual(set(self.BANNED), {ban.name for ban in rules_cpp.BANS})

    def test_banned_call(self) -> None:
        for rule, line in self.BANNED.items():
            with self.subTest(rule):
                self.breaks(rule, "src/engine/a.cpp", f"void f() {{\n  {line}\n}}\n", 2)
                self.holds(rule, "src/engine/a.cpp", f"// {line}\n")
                self.holds(rule, "src/engine/a.cpp", f'auto s = R"({line})";\n')

    def test_calls_that_only_look_banned(self) -> None:
        for line in ("my_assert(x);", "clock.time();", "static_assert(true);", "queue.exit();",
                     "operation.abort();", "Time::system(x);", "on_exit();", "_exit(1);",
                     "sleep(lock, due);"):
            for rule in self.BANNED:
                self.holds(rule, "src/engine/a.cpp", line + "\n")

    def test_a_ban_ends_where_its_owner_begins(self) -> None:
        self.holds("clock-now", "src/base/clock.cpp", self.BANNED["clock-now"] + "\n")
        self.holds("exit", "src/base/assert.cpp", "std::abort();\n")
        self.holds("getenv", "src/engine/a_test.cpp", 'auto* h = getenv("X");\n')

    def test_waiver(self) -> None:
        why = "// tidy: allow exit because the child must not run destructors\n"
        self.holds("exit", "src/engine/a.cpp", why + "exit(1);\n")
        self.holds("exit", "src/engine/a.cpp", "exit(1);  " + why)
        self.breaks("exit", "src/engine/a.cpp", why + "f();\nexit(1);\n", 3)
        self.breaks("exit", "src/engine/a.cpp", "exit(1);  // tidy: allow exit because so\n", 1)
        self.breaks("exit", "src/engine/a.cpp", why.replace("exit", "cout") + "exit(1);\n", 2)

    # ---- includes and headers --------------------------------------------------------------------

    def test_foreign_include(self) -> None:
        for header, home in (("<boost/asio.hpp>", "io"), ("<sqlite3.h>", "ledger/sqlite"),
                             ("<git2.h>", "target/git"), ("<toml++/toml.h>", "config"),
                             ("<simdjson.h>", "json"), ("<CLI/CLI.hpp>", "cli")):
            with self.subTest(header):
                text = f"#include {header}\n"
                self.breaks("foreign-include", "src/engine/a.cpp", text, 1)
                self.holds("foreign-include", f"src/{home}/a.cpp", text)
                self.holds("foreign-include", "src/engine/a.cpp", "// " + text)

    def test_test_library_in_shipped_code(self) -> None:
        self.breaks("foreign-include", "src/engine/a.cpp", "#include <gtest/gtest.h>\n", 1)
        self.holds("foreign-include", "src/engine/a_test.cpp", "#include <gtest/gtest.h>\n")

    def test_core_include(self) -> None:
        for header in ("<random>", "<thread>", "<mutex>", "<fstream>", '"base/clock.h"'):
            self.breaks("core-include", "src/core/a.cpp", f"#include {header}\n", 1)
            self.holds("core-include", "src/engine/a.cpp", f"#include {header}\n")
        self.holds("core-include", "src/core/a.cpp", "#include <chrono>\n")
        self.breaks("core-include", "src/core/a.cpp", "auto t = steady_clock::now();\n", 1)

    def test_public_include(self) -> None:
        self.breaks("public-include", "include/trued/a.h", HEADER + "#include <fmt/core.h>\n", 3)
        self.breaks("public-include", "include/trued/a.h", HEADER + '#include "base/x.h"\n', 3)
        self.holds("public-include", "include/trued/a.h",
                   HEADER + '#include <string>\n#include "trued/b.h"\n')

    def test_include_path(self) -> None:
        self.breaks("include-path", "src/a/a.cpp", '#include "a.h"\n', 1)
        self.breaks("include-path", "src/a/a.cpp", '#include "../b/b.h"\n', 1)
        self.holds("include-path", "src/a/a.cpp", '#include "a/a.h"\n#include <git2.h>\n')

    def test_header_form(self) -> None:
        self.breaks("header-form", "src/a/a.h", "#pragma once\n", 1)
        self.breaks("header-form", "src/a/a.h", "// a.h: an example.\n", 1)
        self.breaks("header-form", "src/a/a.h", HEADER + "using namespace x;\n", 3)
        self.holds("header-form", "src/a/a.h", HEADER)

    def test_dead_header(self) -> None:
        files = {"src/a/a.h": HEADER, "src/a/b.h": HEADER, "src/a/a.cpp": '#include "a/a.h"\n'}
        self.assertEqual(self.found("dead-header", files), ["src/a/b.h:0"])


class Functions(unittest.TestCase):
    """The brace counter, on the shapes that C++ has."""

    def sizes(self, text: str) -> list[tuple[int, int]]:
        return [(f.first, f.last) for f in functions(text)]

    def test_functions_inside_containers(self) -> None:
        text = ('namespace a::b {\nclass C final : public D<int> {\n public:\n  int f() const {\n'
                '    return 1;\n  }\n};\nenum class E { a, b };\n}  // namespace a::b\n')
        self.assertEqual(self.sizes(text), [(4, 6)])

    def test_constructors_with_brace_initializers(self) -> None:
        text = "A::A(int x) : B{x}, c_{x}, d_(x) {\n  f();\n}\nA::~A() noexcept {\n}\n"
        self.assertEqual(self.sizes(text), [(1, 3), (4, 5)])

    def test_values_are_not_functions(self) -> None:
        text = "constexpr std::array kAll{\n  1,\n  2};\nstruct P p = {\n  1};\nint x{3};\n"
        self.assertEqual(self.sizes(text), [])

    def test_lambdas_belong_to_their_function(self) -> None:
        text = "void f() {\n  auto g = [&](int x) {\n    return x;\n  };\n}\nvoid h() {}\n"
        self.assertEqual(self.sizes(text), [(1, 5), (6, 6)])

    def test_templates_trailing_types_and_default_arguments(self) -> None:
        text = ("template <class T, class U = std::vector<T>>\n"
                "auto f(T t = {}) -> U {\n  return {};\n}\n"
                "template <>\nstruct hash<X> {\n  size_t operator()(X x) const noexcept {\n"
                "    return 0;\n  }\n};\n")
        self.assertEqual(self.sizes(text), [(2, 4), (7, 9)])

    def test_literals_comments_and_macros_do_not_count(self) -> None:
        text = ('#define BEGIN() {\\\n  {\nvoid f() {\n  g("}", \'}\', R"x(}}})x");  // }\n'
                "  int million = 1'000'000;\n}\nTEST(A, b) {\n}\n")
        self.assertEqual(self.sizes(text), [(3, 6), (7, 8)])

    def test_positions_survive_blanking(self) -> None:
        text = 'a /* x\n y */ b "c\\"d" // e\nf\n'
        self.assertEqual(len(code_only(text)), len(text))
        self.assertEqual(code_only(text).count("\n"), text.count("\n"))


class Requirements(unittest.TestCase):
    def test_ids_are_read_from_names_of_tests(self) -> None:
        tree = Tree.of([
            File("src/core/a_test.cpp", b"TEST(Core, V3_and_T1_hold) {}\nTEST_F(V10, x) {}\n"
                 b"// TEST(Core, V5_is_not_tested)\n"),
            File("test/cli/b_test.py", b"class V8(T):\n    def test_T11_chain(self): pass\n"),
            File("src/core/c.cpp", b"TEST(Core, V6_not_a_test_file) {}\n")])
        missing = requirements.missing(tree)
        for named in ("V3", "T1", "V10", "V8", "T11"):
            self.assertNotIn(named, missing)
        for unnamed in ("V1", "V5", "V6"):
            self.assertIn(unnamed, missing)
        self.assertEqual(len(list(requirements.findings(tree))), len(missing))


class Reading(unittest.TestCase):
    def test_untracked_files_count_and_ignored_ones_do_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            subprocess.run(["git", "init", "--quiet", folder], check=True)
            (root / ".gitignore").write_text("build/\n")
            (root / "build").mkdir()
            (root / "build" / "x.cpp").write_text("")
            (root / "a.cpp").write_text("")
            self.assertEqual(set(read_tree(root).files), {".gitignore", "a.cpp"})

    def test_without_git_the_folder_is_walked(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in ("src", "build", "node_modules"):
                (root / name).mkdir()
                (root / name / "a.cpp").write_text("")
            self.assertEqual(set(read_tree(root).files), {"src/a.cpp"})


if __name__ == "__main__":
    unittest.main()
