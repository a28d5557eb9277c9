"""The scorecard: how far Trued can be trusted, in figures. ./dev scorecard [ROW…] [--full] [--json]

A row is one measure with a figure and the target it is held to; any other figure fails the card.
The smoke card takes a few minutes, --full as long as the figures need to mean something. A row that
this machine cannot measure (no privileges, a program missing) is said to be skipped, and is no
success.
"""

import argparse
import dataclasses
import importlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for place in (HERE, os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "fault")):
    sys.path.insert(0, place)

# In the order in which they are printed: by number.
MODULES = ["rows_storage", "rows_disks", "rows_damage", "rows_truth", "rows_history",
           "rows_speed", "rows_code", "rows_security", "rows_cluster"]

# What is measured once the capability is there.
LATER = {
    "R10": "sagas", "R11": "two-phase commit", "R12": "outbox and inbox", "R13": "invariants",
    "R14": "reconciliation", "R15": "replay",
}


class Skip(Exception):
    """This machine cannot measure the row; why."""


@dataclasses.dataclass
class Figure:
    """What a row came to."""
    value: str          # the figure itself: "0 of 12,345"
    holds: bool         # whether that is within the target
    detail: str = ""    # what was done to get it


@dataclasses.dataclass
class Run:
    """What a row may know about this run of the card."""
    full: bool
    seed: int
    binary: str         # trued
    simulator: str      # trued_sim
    source: str         # the project's folder

    def size(self, smoke, full):
        return full if self.full else smoke

    @staticmethod
    def say(text):
        """Progress, for whoever waits."""
        print(f"     … {text}", file=sys.stderr, flush=True)


@dataclasses.dataclass
class Row:
    id: str
    measure: str
    target: str
    measured_by: object


ROWS = {}


def row(row_id, measure, target):
    """Declares a row; the function takes a Run and returns a Figure, or raises Skip."""
    def declare(function):
        assert row_id not in ROWS, row_id
        ROWS[row_id] = Row(row_id, measure, target, function)
        return function
    return declare


def load_rows():
    for module in MODULES:
        if os.path.exists(os.path.join(HERE, module + ".py")):
            importlib.import_module(module)


def measure(one, run):
    begin = time.monotonic()
    said = {"row": one.id, "measure": one.measure, "target": one.target}
    try:
        figure = one.measured_by(run)
        said.update(result="held" if figure.holds else "FAILED", figure=figure.value,
                    detail=figure.detail)
    except Skip as why:
        said.update(result="skipped", figure="", detail=str(why))
    except Exception as fault:  # whatever went wrong, the card goes on
        said.update(result="FAILED", figure="no figure", detail=f"{type(fault).__name__}: {fault}")
    said["seconds"] = round(time.monotonic() - begin, 1)
    return said


def show(said, as_json):
    if as_json:
        print(json.dumps(said), flush=True)
        return
    print(f"{said['row']:<4} {said['result']:<8} {said['seconds']:6.1f} s  {said['measure']}: "
          f"{said['figure'] or '–'} (target: {said['target']}){'; ' if said['detail'] else ''}"
          f"{said['detail']}", flush=True)


def number_of(row_id):
    return int(row_id[1:])


def main():
    parser = argparse.ArgumentParser(prog="./dev scorecard", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="only these, by number: R1 R7")
    parser.add_argument("--full", action="store_true", help="as many as make the figures count")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn at random")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--list", action="store_true", help="the rows, and nothing else")
    options = parser.parse_args()
    sys.modules["card"] = sys.modules[__name__]  # the rows declare themselves here
    load_rows()
    names = sorted(ROWS, key=number_of)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        why = [f"{name} (comes with {LATER[name]})" if name in LATER else name for name in unknown]
        parser.error(f"no row {', '.join(why)}; there are {' '.join(names)}")
    if options.list:
        for name in names:
            print(f"{name:<4} {ROWS[name].measure} (target: {ROWS[name].target})")
        return 0
    binary = os.environ["TRUED_BINARY"]
    run = Run(full=options.full, seed=options.seed, binary=binary,
              simulator=os.path.join(os.path.dirname(binary), "trued_sim"),
              source=os.path.abspath(os.path.join(HERE, "..", "..")))
    results = []
    for name in names:
        if options.rows and name not in options.rows:
            continue
        said = measure(ROWS[name], run)
        show(said, options.json)
        results.append(said["result"])
    if not options.json:
        print(f"{results.count('held')} held, {results.count('FAILED')} failed, "
              f"{results.count('skipped')} could not be measured here")
        if not options.rows:
            print("with what is still to come: " +
                  ", ".join(f"{name} ({what})" for name, what in LATER.items()))
    return 1 if "FAILED" in results else 0


if __name__ == "__main__":
    if not os.environ.get("TRUED_BINARY"):
        sys.exit("TRUED_BINARY names no binary; use ./dev scorecard")
    sys.exit(main())
