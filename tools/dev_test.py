#!/usr/bin/env python3
"""Runs ./dev with stand-ins for the package manager: what it installs, and when it does not."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69

# Prints the packages of $INSTALLED that were asked for, as dpkg-query does.
DPKG_QUERY = """#!/usr/bin/env bash
status=0
shift 2
for name in "$@"; do
  found=
  for package in $INSTALLED; do
    case $package in
      $name) printf '%s installed\\n' "$package"; found=1 ;;
    esac
  done
  [ -n "$found" ] || status=1
done
exit "$status"
"""
# Writes down how it was called; fails on `install` if $APT_REFUSES is set.
APT_GET = """#!/usr/bin/env bash
printf 'apt-get %s\\n' "$*" >>"$CALLS"
case " $* " in *" install "*) exit "${APT_REFUSES:-0}" ;; esac
"""
SUDO = """#!/usr/bin/env bash
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""
NOTED = """#!/usr/bin/env bash
printf '%s %s\\n' "$(basename "$0")" "$*" >>"$CALLS"
"""


class Dev(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.bin = Path(self.folder.name) / "bin"
        self.bin.mkdir()
        self.calls = Path(self.folder.name) / "calls"
        self.calls.write_text("")
        self.stand_in("dpkg-query", DPKG_QUERY)
        self.stand_in("apt-get", APT_GET)
        self.stand_in("sudo", SUDO)
        self.stand_in("clang-format-19", NOTED)

    def tearDown(self) -> None:
        self.folder.cleanup()

    def stand_in(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def dev(self, *arguments: str, installed: str = "", **environment: str
            ) -> subprocess.CompletedProcess[str]:
        full = os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", "INSTALLED": installed,
                             "CALLS": str(self.calls)} | environment
        return subprocess.run([str(ROOT / "dev"), *arguments], env=full, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60)

    def called(self, program: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(program)]

    def test_unknown_commands_and_arguments_are_usage_errors(self) -> None:
        for arguments in ((), ("nonsense",), ("build", "nonsense"), ("build", "dev", "dev"),
                          ("test", "--nonsense"), ("fmt", "--nonsense")):
            done = self.dev(*arguments)
            self.assertEqual(done.returncode, EXIT_USAGE, arguments)
            self.assertEqual(done.stdout, "", arguments)
            self.assertNotEqual(done.stderr, "", arguments)
        self.assertEqual(self.called("apt-get"), [])

    def test_help_names_every_command(self) -> None:
        for flag in ("--help", "-h", "help"):
            done = self.dev(flag)
            self.assertEqual(done.returncode, 0)
            for command in ("demo", "build", "test", "run", "fmt", "lint", "bench"):
                self.assertIn(f"\n  {command} ", done.stdout)
        self.assertEqual(self.dev("test", "--help").returncode, 0)

    def test_help_works_with_the_standard_input_closed(self) -> None:
        done = subprocess.run(["bash", "-c", 'exec "$0" help <&-', str(ROOT / "dev")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_nothing_is_installed_when_nothing_is_missing(self) -> None:
        done = self.dev("fmt", installed="git clang-format-19")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.called("apt-get"), [])
        self.assertNotEqual(self.called("clang-format-19"), [])

    def test_only_what_is_missing_is_installed_after_one_update(self) -> None:
        done = self.dev("fmt", installed="git")
        self.assertEqual(done.returncode, 0, done.stderr)
        update, install = self.called("apt-get")
        self.assertTrue(update.endswith(" update"), update)
        self.assertTrue(install.endswith(" clang-format-19"), install)
        for option in ("--no-install-recommends", "--no-remove", "-y"):
            self.assertIn(option, install)

    def test_a_half_installed_package_counts_as_missing(self) -> None:
        self.stand_in("dpkg-query", "#!/bin/sh\necho git installed\n"
                      "echo clang-format-19 half-configured\n")
        self.assertEqual(self.dev("fmt").returncode, 0)
        self.assertTrue(self.called("apt-get")[-1].endswith(" clang-format-19"))

    def test_another_boost_in_the_way_is_named_and_left_alone(self) -> None:
        done = self.dev("build", installed="git libboost1.74-dev libboost-dev", APT_REFUSES="100")
        self.assertEqual(done.returncode, EXIT_UNAVAILABLE)
        self.assertIn("libboost1.81-dev cannot be installed beside", done.stderr)
        self.assertIn("libboost1.74-dev", done.stderr)
        self.assertEqual([call for call in self.called("apt-get") if " remove" in call], [])

    def test_a_refused_installation_names_the_packages(self) -> None:
        done = self.dev("fmt", installed="git", APT_REFUSES="100")
        self.assertEqual(done.returncode, EXIT_UNAVAILABLE)
        self.assertIn("could not install: clang-format-19", done.stderr)

    def test_a_cluster_that_is_not_there_is_said_to_be_not_there(self) -> None:
        for command in ("status", "failover", "audit", "stop"):
            done = self.dev("cluster", command, TRUED_CLUSTER=str(self.bin))
            self.assertEqual(done.returncode, EXIT_UNAVAILABLE, done.stderr)
            self.assertIn("./dev cluster starts one", done.stderr)
        for arguments in (("kill",), ("status", "a"), ("stop", "nonsense", "b")):
            self.assertEqual(self.dev("cluster", *arguments).returncode, EXIT_USAGE, arguments)
        # Asking installs and builds nothing.
        self.assertEqual(self.called("apt-get"), [])

    def test_ci_runs_dev_test(self) -> None:
        self.assertIn("exec ./dev test", (ROOT / ".ci" / "run").read_text())


if __name__ == "__main__":
    unittest.main()
