"""How much of the parsers the kept corpora of the fuzzers reach, in lines.

Usage: coverage.py BUILD [--missed] [--json]

BUILD is a tree of the preset "coverage" (./dev fuzz --coverage makes it). Each fuzzer runs over its
corpus and nothing else: what is counted is what every run of the tests goes through. Prints a
line for each file that takes apart what comes from outside, and the sum; --missed adds the numbers
of the lines that no input reaches. Fails below the target.
"""

import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)
TARGET = 90

# What reads bytes that somebody else made, with all that stands in the same files.
PARSERS = {
    "JSON and its canonical form": ["json/parse.cpp", "json/locate.cpp", "json/value.cpp",
                                    "json/canonical.cpp"],
    "HTTP requests": ["io/session.cpp", "io/http_types.cpp", "api/service.cpp", "api/auth.cpp",
                      "api/parameters.cpp", "api/wait.cpp", "api/consistency.cpp"],
    "what requests ask for": ["api/operations.cpp", "api/reads.cpp", "api/people.cpp",
                              "api/leases.cpp", "api/dead_letters.cpp", "api/redrive.cpp",
                              "api/worklist.cpp", "api/definitions.cpp"],
    "submissions, their key and their lines": ["api/submit.cpp", "api/batch.cpp",
                                               "engine/write_input.cpp",
                                               "engine/check_write.cpp"],
    "definitions, inputs and calls": ["define/parse_definition.cpp", "define/definition.cpp",
                                      "define/bounds.cpp", "define/fields.cpp",
                                      "define/schema.cpp", "define/schema_compile.cpp",
                                      "define/template.cpp", "define/expectation.cpp",
                                      "define/intend.cpp", "define/check.cpp", "json/pointer.cpp",
                                      "json/diff.cpp", "target/http/http_call.cpp",
                                      "target/postgres/call_shape.cpp", "pg/sql_text.cpp",
                                      "target/exec/exec_call.cpp"],
    "configuration": ["config/*.cpp", "config/table.h"],
    "what a ledger holds": ["ledger/packed.cpp", "ledger/packed.h", "ledger/packed_shapes.h",
                            "ledger/codec.cpp", "ledger/fields.h", "ledger/shapes.cpp",
                            "ledger/text_events.cpp", "ledger/text_rows.cpp"],
    "times, encodings and ids": ["base/time.cpp", "base/encoding.cpp", "base/uuid.cpp",
                                 "core/ids.cpp"],
}


def files_of(patterns):
    """Paths below src/, without tests."""
    found = []
    for pattern in patterns:
        matches = glob.glob(os.path.join(SOURCE, "src", pattern))
        if not matches:
            raise SystemExit(f"coverage.py: there is no src/{pattern} any more")
        found += sorted(name for name in matches if not name.endswith("_test.cpp"))
    return found


def fuzzers(build):
    names = sorted(os.path.basename(name)[len("fuzz_"):-len(".cpp")]
                   for name in glob.glob(os.path.join(HERE, "fuzz_*.cpp")))
    return {name: os.path.join(build, "bin", "fuzz_" + name) for name in names}


def run_corpora(programs, scratch):
    for name, program in programs.items():
        environment = dict(os.environ, LLVM_PROFILE_FILE=os.path.join(scratch, name + ".profraw"))
        subprocess.run([program, os.path.join(HERE, "corpus", name), "0"], env=environment,
                       check=True, timeout=300, stdout=subprocess.DEVNULL)
    merged = os.path.join(scratch, "merged.profdata")
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "-o", merged,
                    *glob.glob(os.path.join(scratch, "*.profraw"))], check=True)
    return merged


def lines_of(programs, profile, files):
    """For each file the lines that hold code, and whether any fuzzer reached them."""
    first, *others = programs.values()
    command = ["llvm-cov-19", "export", "-format=lcov", f"-instr-profile={profile}", first]
    for other in others:
        command += ["-object", other]
    said = subprocess.run(command + files, check=True, capture_output=True, text=True).stdout
    reached = collections.defaultdict(dict)
    name = ""
    for line in said.splitlines():
        if line.startswith("SF:"):
            name = os.path.realpath(line[3:])
        elif line.startswith("DA:"):
            number, times = line[3:].split(",")[:2]
            reached[name][int(number)] = reached[name].get(int(number), 0) + int(times)
    for each in files:
        if not reached[os.path.realpath(each)]:
            raise SystemExit(f"coverage.py: no fuzzer has {os.path.relpath(each, SOURCE)} in it")
    return reached


def spans(numbers):
    """[1, 2, 3, 7] as "1-3 7"."""
    texts, begin = [], None
    for number, following in zip(numbers, numbers[1:] + [None]):
        begin = number if begin is None else begin
        if following != number + 1:
            texts.append(str(begin) if begin == number else f"{begin}-{number}")
            begin = None
    return " ".join(texts)


def share(lines):
    return 100 * sum(times > 0 for times in lines) / max(len(lines), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--missed", action="store_true", help="the lines that no input reaches")
    parser.add_argument("--json", action="store_true", help="the sums, for machines")
    options = parser.parse_args()
    programs = fuzzers(options.build)
    with tempfile.TemporaryDirectory(prefix="trued-coverage-") as scratch:
        profile = run_corpora(programs, scratch)
        groups = {group: files_of(patterns) for group, patterns in PARSERS.items()}
        reached = lines_of(programs, profile, [name for names in groups.values() for name in names])
    everything, sums = [], {}
    for group, names in groups.items():
        lines = [times for name in names for times in reached[os.path.realpath(name)].values()]
        everything += lines
        sums[group] = round(share(lines), 1)
        if options.json:
            continue
        print(f"{share(lines):6.1f} %  of {len(lines):5}  {group}")
        for name in names:
            own = reached[os.path.realpath(name)]
            print(f"{share(list(own.values())):10.1f} %  {os.path.relpath(name, SOURCE)}")
            missed = sorted(number for number, times in own.items() if times == 0)
            if options.missed and missed:
                print(f"              {spans(missed)}")
    whole = share(everything)
    least = min(sums.values())
    if options.json:
        print(json.dumps({"lines": len(everything), "share": round(whole, 1),
                          "target": TARGET, "groups": sums}))
    else:
        print(f"{whole:6.1f} %  of {len(everything):5}  all of them (target: {TARGET} % of each)")
    return 0 if least >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
