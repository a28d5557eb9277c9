"""The card itself: what fails fails the card, and rows fail where what they measure is wrong."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

# Runs the card with rows of its own, in a process of its own.
PLANTED = """
import sys
sys.path.insert(0, {here!r})
import card
sys.modules["card"] = card

@card.row("R1", "a measure", "0")
def good(run):
    return card.Figure(str(run.size(1, 100)), True, f"seed {{run.seed}}")

@card.row("R2", "another", "0")
def bad(run):
    return card.Figure("3 of 7", False, "looked twice")

@card.row("R3", "a third", "0")
def cannot(run):
    raise card.Skip("no such program")

@card.row("R12", "a fourth", "0")
def breaks(run):
    raise KeyError("gone")

card.load_rows = lambda: None
sys.argv = ["card", *{words!r}]
sys.exit(card.main())
"""

# The configuration says that the service deduplicates, and it does not.
LYING = """
import sys
sys.path.insert(0, {here!r})
import card
sys.modules["card"] = card
card.load_rows()
import rows_truth

class Lied(rows_truth.Charges):
    def __init__(self, shop, *arguments, **options):
        shop.deduplicates = True
        super().__init__(shop, *arguments, **options)
        shop.deduplicates = False

rows_truth.Charges = Lied
sys.argv = ["card", "--json", *{words!r}]
card.load_rows = lambda: None
sys.exit(card.main())
"""

# Measures R28 in sources and a program of our own.
ASSERTING = """
import sys
sys.path.insert(0, {here!r})
import card
sys.modules["card"] = card
card.load_rows()
import rows_code
place, = {words!r}
run = card.Run(full=False, seed=1, binary=place + "/program", simulator="", source=place)
figure = rows_code.assertions(run)
print(figure.value, figure.holds, figure.detail, sep="|")
"""


def run(script, *words):
    done = subprocess.run([sys.executable, "-c", script.format(here=HERE, words=words)],
                          capture_output=True, text=True, timeout=250, check=False)
    return done.returncode, done.stdout, done.stderr


def card(*words):
    done = subprocess.run([sys.executable, os.path.join(HERE, "card.py"), *words],
                          capture_output=True, text=True, timeout=250, check=False)
    return done.returncode, done.stdout, done.stderr


class Machinery(unittest.TestCase):
    def test_one_row_that_fails_fails_the_card(self):
        code, out, err = run(PLANTED)
        self.assertEqual(code, 1, err)
        self.assertIn("1 held, 2 failed, 1 could not be measured here", out)
        lines = out.splitlines()
        self.assertEqual([line.split()[:2] for line in lines[:4]],
                         [["R1", "held"], ["R2", "FAILED"], ["R3", "skipped"], ["R12", "FAILED"]])
        self.assertIn("3 of 7 (target: 0); looked twice", lines[1])
        self.assertIn("KeyError: 'gone'", lines[3])

    def test_what_holds_and_what_is_skipped_does_not(self):
        for words in (["R1"], ["R3"], ["R1", "R3"]):
            self.assertEqual(run(PLANTED, *words)[0], 0, words)
        self.assertEqual(run(PLANTED, "R1", "R2")[0], 1)
        self.assertEqual(run(PLANTED, "R12")[0], 1)

    def test_rows_are_told_the_size_and_the_seed(self):
        self.assertIn("a measure: 1 (target: 0); seed 1", run(PLANTED, "R1")[1])
        self.assertIn("a measure: 100 (target: 0); seed 7",
                      run(PLANTED, "R1", "--full", "--seed", "7")[1])

    def test_for_machines_one_object_a_line(self):
        code, out, _ = run(PLANTED, "--json")
        said = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(code, 1)
        self.assertEqual([(each["row"], each["result"]) for each in said],
                         [("R1", "held"), ("R2", "FAILED"), ("R3", "skipped"), ("R12", "FAILED")])
        for each in said:
            self.assertEqual(set(each), {"row", "measure", "target", "result", "figure", "detail",
                                         "seconds"})

    def test_a_row_that_is_not_there_is_named(self):
        code, _, err = run(PLANTED, "R1", "R99")
        self.assertEqual(code, 2)
        self.assertIn("no row R99; there are R1 R2 R3 R12", err)
        self.assertIn("R10 (comes with sagas)", run(PLANTED, "R10")[2])

    def test_the_list_measures_nothing(self):
        code, out, _ = run(PLANTED, "--list")
        self.assertEqual((code, out.splitlines()[1]), (0, "R2   another (target: 0)"))

    def test_the_rows_of_the_card_are_there(self):
        code, out, err = card("--list")
        self.assertEqual(code, 0, err)
        names = [line.split()[0] for line in out.splitlines()]
        self.assertEqual(names, sorted(names, key=lambda name: int(name[1:])))
        self.assertLessEqual({"R5", "R6", "R7", "R8", "R9", "R16", "R20", "R23", "R24", "R25"},
                             set(names))


class Rows(unittest.TestCase):
    def test_T9_T2_the_quickest_rows_hold(self):
        code, out, err = card("R6", "R20", "--json")
        self.assertEqual(code, 0, out + err)
        self.assertEqual([json.loads(line)["result"] for line in out.splitlines()],
                         ["held", "held"])

    def test_T2_a_service_that_lies_about_deduplicating_fails_the_rows_that_count_effects(self):
        code, out, err = run(LYING, "R5", "R6")
        self.assertEqual(code, 1, out + err)
        for line in out.splitlines():
            said = json.loads(line)
            self.assertEqual(said["result"], "FAILED", said)
            self.assertFalse(said["figure"].startswith("0 of"), said)
            self.assertNotEqual(said["figure"], "no figure", said)

    def measured(self, source, program):
        with tempfile.TemporaryDirectory() as place:
            os.mkdir(os.path.join(place, "src"))
            for name, text in (("src/a.cpp", source), ("program", program)):
                with open(os.path.join(place, name), "w", encoding="utf-8") as file:
                    file.write(text)
            code, out, err = run(ASSERTING, place)
            self.assertEqual(code, 0, err)
            return out.strip().split("|")

    def test_an_assertion_counts_where_the_program_holds_it(self):
        source = """void f(int a) {
  // TRUED_ASSERT(of_a_comment());
  TRUED_ASSERT(a > 1'000 &&
               g(")") == '(');
}
"""
        held = "..a > 1'000 && g(\")\") == '('.."
        self.assertEqual(self.measured(source, held)[:2], ["250.0", "True"])
        figure, holds, detail = self.measured(source, "switched off")
        self.assertEqual((figure, holds), ("250.0", "False"))
        self.assertIn("0 of 1 conditions", detail)

    def test_few_assertions_fail_the_row(self):
        sparse = "TRUED_ASSERT(a);\n" + "f();\n" * 50
        self.assertEqual(self.measured(sparse, "..a..")[:2], ["19.6", "False"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
