"""S19: how the program that ships was built, read from the program itself."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import BINARY, run, sanitized  # noqa: E402


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, BINARY], check=True, capture_output=True,
                          text=True).stdout


class Hardening(unittest.TestCase):
    """PIE and immediate binding hold for every build; the rest for those that are optimised: a
    sanitizer watches in its own way, and fortification needs an optimiser."""

    def setUp(self):
        self.symbols = readelf("--dyn-syms")
        # Debug builds have no fortified functions at all; they do not ship.
        self.ships = "__memcpy_chk" in self.symbols or self.optimised()

    @staticmethod
    def optimised():
        cache = os.path.join(os.path.dirname(BINARY), "..", "CMakeCache.txt")
        try:
            with open(cache, encoding="utf-8") as file:
                return any(line.startswith("CMAKE_BUILD_TYPE:") and "Rel" in line for line in file)
        except OSError:
            return not sanitized()

    def test_S19_its_place_in_memory_is_drawn_by_chance(self):
        self.assertIn("DYN", readelf("-h"))
        self.assertIn("PIE", readelf("-d"))

    def test_S19_no_memory_is_written_and_executed(self):
        segments = [line.split() for line in readelf("-l").splitlines()]
        stack = [line for line in segments if line and line[0] == "GNU_STACK"]
        self.assertEqual(len(stack), 1)
        self.assertEqual(stack[0][6], "RW")
        for line in segments:
            if line and line[0] == "LOAD":
                self.assertFalse("W" in line[6:-1] and "E" in line[6:-1], line)

    def test_S19_what_is_linked_is_bound_at_start_and_then_read_only(self):
        if not self.ships:
            self.skipTest("only the optimised build ships")
        dynamic = readelf("-d")
        self.assertRegex(dynamic, r"BIND_NOW|Flags:.*NOW")
        self.assertIn("GNU_RELRO", readelf("-l"))
        self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH|TEXTREL)\)")

    def test_S19_stacks_and_copies_are_guarded(self):
        if not self.ships:
            self.skipTest("only the optimised build ships")
        for guard in ("__stack_chk_fail", "__memcpy_chk", "__vsnprintf_chk"):
            self.assertIn(guard, self.symbols)

    def test_S19_standard_containers_are_checked(self):
        if not self.ships:
            self.skipTest("only the optimised build ships")
        self.assertIn("__glibcxx_assert_fail", self.symbols)

    def test_S19_there_is_no_debugging_door(self):
        for word in ("--debug-routes", "--no-auth", "--insecure", "--allow-all"):
            self.assertEqual(run("serve", word).returncode, 64, word)


if __name__ == "__main__":
    unittest.main(verbosity=1)
