"""Plants bugs in a copy of the sources and has the simulator (or a test) find them.

Usage: mutate.py [--seeds N] [--only TEXT] [--check]

Prints a table: the bug, the seed that found it, and the rule it broke. Fails unless every planted
bug is found. The sources themselves are never touched.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from mutations import MUTATIONS

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def tracked_files():
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0")
            if name and not name.startswith(("test/", "bench/"))]


def copy_sources(copy):
    for name in tracked_files():
        place = os.path.join(copy, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, name), place)


def build(build_dir, program="trued_sim"):
    done = subprocess.run(["ninja", "-C", build_dir, os.path.basename(program)],
                          capture_output=True, text=True)
    return done.returncode == 0, done.stdout[-3000:]


def rotten():
    """The mutations whose text does not stand in its file exactly once, and how often it does."""
    found = []
    for name, path, old, *_ in MUTATIONS:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            count = file.read().count(old)
        if count != 1:
            found.append(f"{name}: the text to change stands in {path} {count} times")
    return found


def plant(copy, name, old, new):
    path = os.path.join(copy, name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))
    return text


def simulate(build_dir, seeds):
    """The seed that found it (or none) and what was said."""
    done = subprocess.run([os.path.join(build_dir, "bin", "trued_sim"), "--seeds", str(seeds),
                           "--once"], capture_output=True, text=True, timeout=900)
    if done.returncode == 0:
        return None, ""
    said = (done.stdout + done.stderr).strip()
    seed = re.search(r"^seed (\d+): (.*)$", said, re.M)
    return (seed.group(1), seed.group(2)) if seed else ("-", said.splitlines()[0] if said else "")


def run_tests(build_dir, program):
    """The test that found it (or none) and what was said."""
    done = subprocess.run([os.path.join(build_dir, program), "--gtest_brief=1"],
                          capture_output=True, text=True, timeout=900)
    failed = re.search(r"^\[  FAILED  \] (\S+)", done.stdout, re.M)
    if done.returncode == 0:
        return None, ""
    return "test", failed.group(1) if failed else done.stdout.strip()[:100]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5000)
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true", help="only whether each can be planted")
    options = parser.parse_args()
    wrong = rotten()
    if wrong:
        sys.exit("\n".join(wrong))
    if options.check:
        print(f"{len(MUTATIONS)} bugs can be planted")
        return 0
    missed = 0
    chosen = [m for m in MUTATIONS if options.only in m[0]]
    with tempfile.TemporaryDirectory(prefix="trued-mutate-") as scratch:
        copy, build_dir = os.path.join(scratch, "tree"), os.path.join(scratch, "build")
        copy_sources(copy)
        subprocess.run(["cmake", "-S", copy, "-B", build_dir, "-G", "Ninja",
                        "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1",
                        "-DTRUED_SANITIZE="],
                       check=True, capture_output=True)
        good, output = build(build_dir)
        if not good:
            sys.exit(output)
        seed, said = simulate(build_dir, options.seeds)
        if seed is not None:
            sys.exit(f"without a planted bug seed {seed} fails: {said}")
        print(f"without a bug: {options.seeds} seeds held", flush=True)
        for name, path, old, new, *program in chosen:
            text = plant(copy, path, old, new)
            begin = time.monotonic()
            good, output = build(build_dir, *program)
            if not good:
                sys.exit(f"{name}: it does not build\n{output}")
            if program:
                seed, said = run_tests(build_dir, program[0])
            else:
                seed, said = simulate(build_dir, options.seeds)
            with open(os.path.join(copy, path), "w", encoding="utf-8") as file:
                file.write(text)
            missed += seed is None
            found = "NOT FOUND" if seed is None else "a test" if program else f"seed {seed}"
            print(f"{found:>10}  {time.monotonic() - begin:4.0f} s  {name}: {said[:110]}",
                  flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted bugs were found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
