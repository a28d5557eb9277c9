"""R27 to R29, R31, R32: what fuzzers, assertions, planted bugs and the simulator come to."""

import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import time

from card import Figure, Skip, row


def ran(command, timeout, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                          **options)


def fuzzers(run):
    found = sorted(glob.glob(os.path.join(run.source, "fuzz", "fuzz_*.cpp")))
    return [os.path.basename(each)[len("fuzz_"):-len(".cpp")] for each in found]


def reached(run):
    """What the kept corpora reach, in lines: (all of it, the parsers that miss the target)."""
    done = ran([os.path.join(run.source, "dev"), "fuzz", "--coverage", "--json"], 3_600)
    said = re.search(r'^\{"lines".*\}$', done.stdout, re.M)
    if not said:
        raise AssertionError("no coverage: " + (done.stdout + done.stderr).strip()[-300:])
    figures = json.loads(said.group())
    short = [f"{parser}: {share} % of lines" for parser, share in figures["groups"].items()
             if share < figures["target"]]
    return figures, short


@row("R27", "findings of the fuzzers; lines of each parser that their corpora reach",
     "0; at least 90 %")
def fuzz(run):
    """The smoke card replays every corpus with mutations of it; the full one gives libFuzzer ten
    minutes for each parser, and counts the lines that the corpora reach by themselves in what reads
    bytes from outside (fuzz/coverage.py lists it). Fails at a crash, a failed assertion, or a hang
    in any of them, and, in full, if a parser has more than a tenth of its lines unreached."""
    executions, findings = 0, []
    for name in fuzzers(run):
        if run.full:
            done = ran([os.path.join(run.source, "dev"), "fuzz", name, "--minutes", "10"], 1_800)
            counted = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout + done.stderr)
            executions += int(counted.group(1)) if counted else 0
        else:
            program = os.path.join(os.path.dirname(run.binary), "fuzz_" + name)
            if not os.path.exists(program):
                raise Skip(f"{os.path.basename(program)} is not built")
            corpus = os.path.join(run.source, "fuzz", "corpus", name)
            done = ran([program, corpus, "20000"], 300)
            executions += 20_000
        if done.returncode != 0:
            findings.append(f"{name}: {(done.stdout + done.stderr).strip()[-200:]}")
    found = f"{len(findings)} in {executions:,} executions of {len(fuzzers(run))} fuzzers"
    if not run.full:
        return Figure(found, not findings, "; ".join(findings) or "lines are counted by --full")
    figures, short = reached(run)
    least = min(figures["groups"].values())
    return Figure(f"{found}; {least} % of lines or more", not findings and not short,
                  "; ".join(findings + short) or
                  f"{figures['share']} % of {figures['lines']:,} lines in all")


COMMENT = re.compile(r"//.*")
CHECK = re.compile(r"(?<!define )\b(TRUED_ASSERT|static_assert)\(|\.at\(")
ASSERTION = re.compile(r"(?<!define )\bTRUED_ASSERT\(")


def shipped_sources(run):
    """The text of each source that ships, without comments."""
    for folder, _, names in os.walk(os.path.join(run.source, "src")):
        for name in sorted(names):
            tests = "test" in name or "conformance" in name or "faulty" in name
            if not tests and name.endswith((".cpp", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    yield "\n".join(COMMENT.sub("", line).strip() for line in file)


def conditions_in(text):
    """What is asserted, spelled as the preprocessor hands it on: the program holds it to say which
    assertion failed."""
    for begun in ASSERTION.finditer(text):
        depth, quote, at = 1, "", begun.end()
        while depth > 0:
            c = text[at]
            if quote:
                at += c == "\\"
                quote = "" if c == quote else quote
            elif c == '"' or (c == "'" and not text[at - 1].isalnum()):
                quote = c
            depth += 0 if quote else (c == "(") - (c == ")")
            at += 1
        yield " ".join(text[begun.end():at - 1].split())


@row("R28", "assertions that stay on in release, per 1,000 lines",
     "at least 20, in the program")
def assertions(run):
    """Counts what is written down as a check, in what ships: assertions, at run time or when it is
    compiled, and accesses by at(), which are checked in every build. Not counted: what the standard
    library checks besides in our builds (_GLIBCXX_ASSERTIONS), nor that a Result or a JSON value is
    of the kind it is used as. Fails, too, if the program does not hold nine in ten of the
    conditions: an assertion that is switched off leaves none behind; some are of parts that are not
    in it, or are proved by the compiler."""
    with open(run.binary, "rb") as file:
        program = file.read()
    lines, checks, conditions = 0, 0, []
    for text in shipped_sources(run):
        lines += sum(bool(line) for line in text.split("\n"))
        checks += len(CHECK.findall(text))
        conditions += conditions_in(text)
    held = sum(each.encode() in program for each in conditions)
    density = checks * 1_000 / lines
    return Figure(f"{density:.1f}", density >= 20 and held >= len(conditions) * 0.9,
                  f"{checks:,} in {lines:,} lines; {held} of {len(conditions)} conditions asserted "
                  "at run time are in the program")


@row("R29", "planted bugs that the simulator finds", "all")
def planted(run):
    """Fails if any of the bugs that tools/mutate plants is not found by the seeds it is given."""
    if not run.full:
        raise Skip("takes half an hour: ./dev scorecard --full R29, or ./dev mutate")
    done = ran([sys.executable, os.path.join(run.source, "tools", "mutate", "mutate.py")], 7_200)
    said = re.search(r"(\d+) of (\d+) planted bugs were found", done.stdout)
    if not said:
        raise AssertionError((done.stdout + done.stderr).strip()[-300:])
    missed = [line.strip() for line in done.stdout.splitlines() if "NOT FOUND" in line]
    return Figure(f"{said.group(1)} of {said.group(2)}", not missed, "; ".join(missed))


def simulated(run, first, seeds, once):
    """Operations that were accepted, and the calls of clients that led to them; or what broke."""
    command = [run.simulator, "--first", str(first), "--seeds", str(seeds)]
    done = ran(command + (["--once"] if once else []), 3_600)
    held = re.search(r"held .*?: (\d+) operations of (\d+) calls", done.stdout)
    if done.returncode != 0 or not held:
        raise AssertionError((done.stdout + done.stderr).strip()[:300])
    return int(held.group(1)), int(held.group(2))


@row("R31", "seeds whose two runs have one digest", "all")
def deterministic(run):
    """Fails at the first seed of which two runs differ, or of which one breaks a rule."""
    seeds = run.size(100, 1_000)
    operations, _ = simulated(run, run.seed, seeds, once=False)
    return Figure(f"{seeds} of {seeds}", True, f"{operations:,} operations")


@row("R32", "operations of clients simulated in ten minutes on every core",
     "at least 10,000,000, of at least 1,000 seeds")
def pace(run):
    """The smoke card measures for twenty seconds and says what that makes in ten minutes. What a
    client calls for counts, as in R7: most of it is repeats, of which a world is full. Fails if it
    is too slow, or if a world breaks a rule."""
    span = run.size(20, 600)
    chunk, first = 200, 1_000_000 * run.seed
    cores = os.cpu_count() or 1
    begin = time.monotonic()

    def one_core(number):
        accepted, calls, seeds = 0, 0, 0
        while time.monotonic() - begin < span:
            more = simulated(run, first + number * 100_000 + seeds, chunk, once=True)
            accepted, calls, seeds = accepted + more[0], calls + more[1], seeds + chunk
        return accepted, calls, seeds

    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        results = list(pool.map(one_core, range(cores)))
    took = time.monotonic() - begin
    accepted, calls, seeds = (sum(column) * 600 / took for column in zip(*results))
    return Figure(f"{calls:,.0f} of {seeds:,.0f} seeds", calls >= 10_000_000 and seeds >= 1_000,
                  f"{accepted:,.0f} of them accepted anew; measured for {took:.0f} s on {cores} "
                  "cores")
