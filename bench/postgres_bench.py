#!/usr/bin/env python3
"""Trued on the PostgreSQL ledger, one node and three, beside DBOS on the same server.

Usage: postgres_bench.py [--seconds S] [--rounds N] [--standby] [--only WORD] [--json]

TRUED_BINARY names the binary, wrk makes the load. Every run begins on an empty database after a
checkpoint; the systems take turns within a round, so that what else the machine does meets all of
them. See README.md beside this for what the rows are.
"""

import argparse
import json
import os
import shutil
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "support"))
from generator import batch, wrk  # noqa: E402
from postgres_systems import (Database, Dbos, NotThere, Trued,  # noqa: E402
                              dbos_version, sync_ms)
from trued_server import BINARY, Scratch  # noqa: E402

TARGET = 10     # times DBOS on the whole operation
WARM_SECONDS = 1
WHOLE = (("whole", 64), ("whole", 1))
TRUED_ROWS = (*WHOLE, ("accept", 64), ("accept", 1), ("repeat", 64), ("batch", 1))
DBOS_ROWS = (*WHOLE, ("repeat", 64))
MEANS = {"whole": ("accept, effect, read back, confirm", "workflow with one step"),
         "accept": ("accepted durably", ""),
         "repeat": ("the answer again", "the same id again"),
         "batch": ("NDJSON, 5,000 a request, accepted", "")}


def say(text):
    print(text, file=sys.stderr, flush=True)


def one_run(system, database, mode, connections, seconds, number):
    """Figures of one system on an empty database."""
    name = "bench_trued" if isinstance(system, Trued) else "bench_dbos"
    system.start(database.fresh(name))
    try:
        urls = system.urls(connections)
        log, before = database.written(), system.counted(database, name)
        if mode == "batch":
            rates = [batch(system.server(n), f"b{number}-{n}") for n in range(4)]
            rate, p50, p99, refused = statistics.median(rates[1:]), None, None, 0
        else:
            wrk(urls, mode, connections, WARM_SECONDS, f"w{number}")
            rate, p50, p99, refused = wrk(urls, mode, connections, seconds, f"s{number}")
    finally:
        system.stop()
    database.left(name)
    operations, commits = (new - old for new, old in zip(system.counted(database, name), before))
    return {"per_second": rate, "p50_ms": p50, "p99_ms": p99, "refused": refused,
            "operations": operations, "commits": commits, "wal_bytes": database.written() - log}


def measure(database, plan, options):
    """All rounds of all rows: (system, mode, connections) -> runs."""
    runs, away, disk, floor = {}, {}, [], []
    for number in range(options.rounds):
        disk.append(sync_ms())
        say(f"round {number + 1}  fdatasync p50 {disk[-1][0]} ms, p90 {disk[-1][1]} ms; "
            f"load {os.getloadavg()[0]:.1f}")
        for mode, connections in TRUED_ROWS:
            for system, rows in plan:
                if (mode, connections) not in rows or system.name in away:
                    continue
                try:
                    run = one_run(system, database, mode, connections, options.seconds, number)
                except NotThere as why:
                    away[system.name] = str(why)
                    say(f"{system.name}: left out: {why}")
                    continue
                runs.setdefault((system.name, mode, connections), []).append(run)
                say(f"round {number + 1}  {mode:<6} c={connections:<3} {system.name:<18} "
                    f"{run['per_second']:9,.0f}/s")
        if options.only in ("", "whole"):
            floor.append(round(database.two_commits(options.seconds), 1))
            say(f"round {number + 1}  two commits alone, c=1 {floor[-1]:22,.0f}/s")
    return runs, away, disk, floor


def medians(runs):
    """One row for each system, mode and concurrency."""
    rows = []
    for (system, mode, connections), found in runs.items():
        row = {"system": system, "mode": mode, "connections": connections,
               "rounds": [round(run["per_second"], 1) for run in found],
               "refused": sum(run["refused"] for run in found)}
        for name in ("per_second", "p50_ms", "p99_ms"):
            values = [run[name] for run in found if run[name] is not None]
            row[name] = round(statistics.median(values), 2) if values else None
        done = sum(run["operations"] for run in found)
        # A repeat makes no operation: what it costs is nobody's share.
        for name in ("commits", "wal_bytes"):
            total = sum(run[name] for run in found)
            row[f"{name}_per_operation"] = (
                round(total / done, 3) if done and mode != "repeat" else None)
        rows.append(row)
    for row in rows:
        place = (row["mode"], row["connections"])
        for name, peer in (("times_dbos", "DBOS, 1 process"),
                           ("times_dbos_3", "DBOS, 3 processes")):
            row[name] = ratio(row, runs.get((peer, *place)))
    return rows


def ratio(row, peer):
    """The median of each round's own ratio: what slows a round down slows both."""
    if peer is None or not row["system"].startswith("Trued"):
        return None
    return round(statistics.median(mine / other["per_second"]
                                   for mine, other in zip(row["rounds"], peer)), 1)


def of_floor(floor, runs):
    """What nobody can be better than with one client who commits twice."""
    peer = runs.get(("DBOS, 1 process", "whole", 1))
    if not floor or not peer:
        return None
    return round(statistics.median(mine / run["per_second"] for mine, run in zip(floor, peer)), 1)


def cell(value, form):
    return "–" if value is None else format(value, form)


def table(title, rows):
    print(f"\n{title}\n")
    print("| work | c | system | per second (rounds) | p50 / p99 ms | times DBOS, 1 / 3 processes "
          "| commits, WAL bytes an operation | refused |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for mode, connections in TRUED_ROWS:
        for row in rows:
            if (row["mode"], row["connections"]) != (mode, connections):
                continue
            work = MEANS[mode][row["system"].startswith("DBOS")]
            every = " ".join(f"{each:,.0f}" for each in row["rounds"])
            print(f"| {mode}: {work} | {connections} | {row['system']} | "
                  f"{row['per_second']:,.0f} ({every}) | "
                  f"{cell(row['p50_ms'], '.1f')} / {cell(row['p99_ms'], '.1f')} | "
                  f"{cell(row['times_dbos'], '.1f')} / {cell(row['times_dbos_3'], '.1f')} | "
                  f"{cell(row['commits_per_operation'], '.2f')}, "
                  f"{cell(row['wal_bytes_per_operation'], ',.0f')} | {row['refused']} |")


def verdicts(part):
    """The target, in words, for one node and three; and with one connection what it could be."""
    rows, said = part["rows"], []
    for row in rows:
        if row["mode"] == "whole" and row["times_dbos"] is not None and row["connections"] > 1:
            held = "met" if row["times_dbos"] >= TARGET else "missed"
            if row["refused"]:  # they count as requests, and cost less
                held = f"says nothing, {row['refused']} requests were refused"
            said.append(f"{row['system']}, whole operation, c={row['connections']}: "
                        f"{row['times_dbos']} times DBOS (target {TARGET}: {held})")
        elif row["mode"] == "whole" and row["times_dbos"] is not None:
            bound = cell(part["two_commits_times_dbos"], ".1f")
            said.append(f"{row['system']}, whole operation, c={row['connections']}: "
                        f"{row['times_dbos']} times DBOS (two bare commits and nothing else: "
                        f"{bound} times)")
    return said


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pool", type=int, default=20,
                        help="DBOS's connections a process; its own default is 10")
    parser.add_argument("--standby", action="store_true",
                        help="the same once more with a synchronous standby")
    parser.add_argument("--only", default="", help="only the rows of one mode: whole, accept, …")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def plan_of(options, scratch):
    """Which systems take part in which rows."""
    def wanted(rows):
        return [row for row in rows if options.only in ("", row[0])]
    whole = wanted([("whole", 64)])
    return [(Trued(1, scratch), wanted(TRUED_ROWS)), (Dbos(1, options.pool), wanted(DBOS_ROWS)),
            (Trued(3, scratch), wanted(TRUED_ROWS)), (Dbos(3, options.pool), whole)]


def main():
    options = arguments()
    if not BINARY:
        sys.exit("TRUED_BINARY has to name the binary (./dev bench postgres sets it)")
    for program in ("wrk", "node", "npm"):
        if shutil.which(program) is None:
            sys.exit(f"no {program} here: ./dev bench postgres installs what is missing")
    report = {"dbos": dbos_version(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0],
              "seconds": options.seconds, "rounds": options.rounds, "dbos_pool": options.pool,
              "target": TARGET, "parts": []}
    with Scratch() as scratch, Database() as database:
        for standby in (False, True) if options.standby else (False,):
            title = "on one server"
            if standby:
                database.add_standby()
                title = "with a synchronous standby"
            say(title)
            runs, away, disk, floor = measure(database, plan_of(options, scratch), options)
            report["parts"].append({"title": title, "settings": database.settings(),
                                    "fdatasync_ms": disk, "rows": medians(runs),
                                    "two_commits_per_second": floor,
                                    "two_commits_times_dbos": of_floor(floor, runs),
                                    "left_out": away})
    if options.json:
        return print(json.dumps(report, indent=1))
    print(f"{report['cores']} cores, load {report['load_before']:.1f} before it began; medians of "
          f"{options.rounds} runs of {options.seconds} s; DBOS {report['dbos']}, "
          f"{options.pool} connections a process")
    for part in report["parts"]:
        disk = ", ".join(f"{p50} / {p90}" for p50, p90 in part["fdatasync_ms"])
        table(f"PostgreSQL {part['settings']['server_version']}, {part['title']}; fdatasync "
              f"p50 / p90 before each round: {disk} ms", part["rows"])
        print()
        for line in verdicts(part):
            print(line)
        for name, why in part["left_out"].items():
            print(f"{name}: left out: {why}")
    return None


if __name__ == "__main__":
    main()
