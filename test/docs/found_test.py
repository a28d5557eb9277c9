"""docs/found.md names a test for every bug; here every one of them is looked for in the sources."""

import os
import re
import unittest

ROOT = os.environ.get("TRUED_SOURCE_DIR") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..")

DECLARED = re.compile(r"^(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP)\(\s*(\w+),\s*(\w+)", re.MULTILINE)
UNIT_TEST = re.compile(r"[A-Z]\w*\.\w+")
SCRIPT_TEST = re.compile(r"((?:test|tools)/\S+_test\.py): (\w+)")
KEPT_INPUT = re.compile(r"fuzz/corpus/\S+")
WITHOUT_ITS_OWN = ("seed alone", "no unit test", "no test of its own", "frame.mutations_fit")


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def unit_tests():
    found = set()
    for area in ("src", "sim", "test"):
        for folder, _, files in os.walk(os.path.join(ROOT, area)):
            for name in files:
                if name.endswith((".cpp", ".h")):
                    where = os.path.join(folder, name)
                    found.update(".".join(pair) for pair in DECLARED.findall(text(where)))
    return found


def script_has(path, name):
    if not os.path.isfile(os.path.join(ROOT, path)):
        return False
    return re.search(rf"^\s*def {re.escape(name)}\(", text(path), re.MULTILINE) is not None


def fixed_seeds():
    """Those that Simulation.T6_seeds_that_found_something replays."""
    test = text("sim/simulation_test.cpp").split("T6_seeds_that_found_something", 1)[1]
    listed = test.split("})", 1)[0]
    return {int(seed.replace("'", "")) for seed in re.findall(r"([\d']+)ULL", listed)}


def seeds_in(words):
    groups = re.findall(r"\bseeds? ((?:\d+(?:, | and )?)+)", words, re.IGNORECASE)
    return {int(seed) for group in groups for seed in re.findall(r"\d+", group)}


class FoundTest(unittest.TestCase):
    def setUp(self):
        self.page = text("docs/found.md")
        self.spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", self.page)]
        self.rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
                     for line in self.page.splitlines() if line.startswith("| ")]
        self.rows = [row for row in self.rows
                     if row[0] != "what was wrong" and not row[0].startswith("---")]

    def test_every_test_that_is_named_is_there(self):
        there = unit_tests()
        named = [span for span in self.spans if UNIT_TEST.fullmatch(span)]
        self.assertGreater(len(named), 50)
        self.assertEqual([name for name in named if name not in there], [])
        scripts = [match.groups() for match in map(SCRIPT_TEST.fullmatch, self.spans) if match]
        self.assertGreater(len(scripts), 10)
        self.assertEqual([pair for pair in scripts if not script_has(*pair)], [])
        inputs = [span for span in self.spans if KEPT_INPUT.fullmatch(span)]
        self.assertEqual([path for path in inputs
                          if not os.path.isfile(os.path.join(ROOT, path))], [])

    def test_every_bug_has_a_test_or_says_that_it_has_none(self):
        self.assertGreater(len(self.rows), 50)
        for row in self.rows:
            spans = re.findall(r"`([^`]+)`", row[-1])
            named = any(UNIT_TEST.fullmatch(span) or SCRIPT_TEST.fullmatch(span) for span in spans)
            self.assertTrue(named or any(words in row[-1] for words in WITHOUT_ITS_OWN), row)

    def test_every_seed_that_is_replayed_is_told_of_and_what_rests_on_a_seed_is_replayed(self):
        replayed = fixed_seeds()
        self.assertGreater(len(replayed), 5)
        self.assertEqual(replayed - seeds_in(self.page), set())
        for row in self.rows:
            if "seed alone" in row[-1]:
                seeds = seeds_in(row[1])
                self.assertTrue(seeds and seeds <= replayed, row)


if __name__ == "__main__":
    unittest.main()
