"""R7, R16: what clients were told has an order, and the log rebuilds what the tables hold."""

import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "history"))
import judge  # noqa: E402
import record  # noqa: E402
from card import Figure, row  # noqa: E402
from system import Trued  # noqa: E402
from trued_server import run as run_trued  # noqa: E402


def options(run, operations, keys, *more):
    words = ["--operations", str(operations), "--keys", str(keys), "--seed", str(run.seed), *more]
    return record.parser_of_options().parse_args(words)


@row("R7", "answers that no order of one key's operations explains", "0, judged in under 5 s")
def explained_by_an_order(run):
    """12 clients, keyed submissions and a register, every fault of ./dev history. Fails if two
    bodies or operations win a key, if what was acknowledged is not found, if a refused write is
    seen, if an older value is read after a newer, or if the judge is slow."""
    operations, keys = run.size((3_000, 250), (24_000, 2_000))
    with Trued() as system:
        history, about = record.record(options(run, operations, keys), system)
    verdict = judge.judge(history)
    kept = ""
    if verdict.violations:
        with tempfile.NamedTemporaryFile(prefix="history-", suffix=".jsonl", delete=False) as file:
            kept = f"; the history: {file.name}; {judge.shown(verdict.violations[0])}"
        record.save(history, file.name)
    faults = ", ".join(f"{count} {name}" for name, count in about["faults"].items())
    return Figure(f"{len(verdict.violations)} of {verdict.keys:,} keys, judged in "
                  f"{verdict.seconds:.2f} s",
                  not verdict.violations and not about["unexpected"] and verdict.seconds < 5,
                  f"{verdict.operations:,} operations, {verdict.statuses['unknown']} unknown; "
                  f"{faults}{kept}{'; unexpected: ' if about['unexpected'] else ''}"
                  f"{about['unexpected'][0] if about['unexpected'] else ''}")


# ---- R16 -----------------------------------------------------------------------------------------

def other(chance, value):
    """A value of the same kind that is another."""
    if isinstance(value, bytes):
        at = chance.randrange(len(value))
        return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1:]
    return value + "'" if isinstance(value, str) else (value or 0) + chance.choice([-1, 1])


def plant(ledger, chance):
    """Changes one value of one row, past the log."""
    column = chance.choice(["state", "created_at", "expires_at", "last", "scope", "type", "key",
                            "target", "body"])
    with sqlite3.connect(ledger) as database:
        number, value = database.execute(
            f"SELECT no, {column} FROM operation WHERE expires_at IS NOT NULL "
            "ORDER BY no LIMIT 1 OFFSET abs(random()) % "
            "(SELECT count(*) FROM operation WHERE expires_at IS NOT NULL)").fetchone()
        database.execute(f"UPDATE operation SET {column} = ? WHERE no = ?",
                         (other(chance, value), number))
    database.close()
    return column


def audited(ledger):
    return run_trued("audit", "--json", "--ledger", "sqlite:" + ledger)


@row("R16", "ledger rows that differ from what the log rebuilds, after chaos",
     "0, all planted found")
def rebuilt_from_the_log(run):
    """Chaos with kill -9, then an audit, which folds every operation's events anew and compares.
    Fails if a row differs, or if one of the values changed behind the log's back goes unnoticed."""
    operations, keys, planted = run.size((2_000, 170, 12), (24_000, 2_000, 200))
    with Trued() as system:
        record.record(options(run, operations, keys, "--faults", "kill,stop,reset,duplicate"),
                      system)
        system.kill()
        ledger = os.path.join(system.state, "ledger.db")
        done = audited(ledger)
        report = json.loads(done.stdout)
        # Folded into the file, so that a copy of it is whole.
        sqlite3.connect(ledger).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
        chance, missed = random.Random(run.seed), []
        for number in range(planted):
            copy = os.path.join(system.scratch.path, f"copy{number}.db")
            shutil.copy(ledger, copy)
            column = plant(copy, chance)
            found = audited(copy)
            if found.returncode != 1 or json.loads(found.stdout).get("clean"):
                missed.append(column)
            os.unlink(copy)
    return Figure(f"{0 if report['clean'] else 'at least 1'} of {report['operations']:,}; "
                  f"{planted - len(missed)} of {planted} planted found",
                  report["clean"] and not missed,
                  f"{report['events']:,} events over {system.lives} lives"
                  f"{'; missed: ' + ', '.join(missed) if missed else ''}"
                  f"{'' if report['clean'] else '; ' + str(report.get('first'))}")
