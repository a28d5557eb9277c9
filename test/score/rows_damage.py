"""Damage that nobody announces: changed bytes, a clock that jumps, memory that runs out."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import shutil
import sqlite3
import time

import card
import shop
import sweep
from faulty_io import Faulty, NoCompiler
from load import Load
from trued_server import Scratch, Server, audit, sanitized

# ---- R17 -----------------------------------------------------------------------------------------


def content_of(ledger):
    """Everything a ledger's file says, read without our code; nothing if it cannot be read."""
    connection = sqlite3.connect(ledger)
    connection.text_factory = bytes
    try:
        said = [connection.execute("PRAGMA user_version").fetchall(),
                connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master "
                                   "ORDER BY name").fetchall()]
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table' "
                                          "ORDER BY name").fetchall():
            # From the table's own tree, not by way of an index.
            rows = connection.execute(f'SELECT * FROM "{name.decode()}" NOT INDEXED').fetchall()
            said.append((name, rows))
        return said
    except sqlite3.Error:
        return None
    finally:
        connection.close()


class Kept:
    """A ledger at rest, and what it says."""

    def __init__(self, scratch, name, clean):
        self.folder = scratch.sub(name)
        state, site = os.path.join(self.folder, "state"), scratch.sub(name + "-site")
        load = Load(name)
        with Server(state, ["site=file:" + site]) as server:
            for _ in range(150):
                load.write_one(server)
            self.receipts = receipts_of(server, load)
            if clean:
                server.terminate()
            else:
                server.kill()
        self.load, self.state, self.site = load, state, site
        self.files = [file for file in ("ledger.db", "ledger.db-wal")
                      if os.path.exists(os.path.join(state, file))]
        whole = shutil.copytree(state, os.path.join(self.folder, "whole"))
        assert audit(whole)["clean"]
        self.content = content_of(os.path.join(whole, "ledger.db"))

    def damaged(self, file, chance):
        """A copy with one byte changed."""
        copy = os.path.join(self.folder, "damaged")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.state, copy)
        # What shared memory holds is made anew by whoever comes after a crash.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(copy, "ledger.db-shm"))
        with open(os.path.join(copy, file), "r+b") as opened:
            at = chance.randrange(os.fstat(opened.fileno()).st_size)
            opened.seek(at)
            was = opened.read(1)[0]
            opened.seek(at)
            opened.write(bytes([was ^ (1 << chance.randrange(8))]))
        return copy, at


def receipts_of(server, load):
    connection = server.connect()
    return {ident: server.request("GET", "/v1/operations/" + ident, None, None, connection)[2]
            for ident in load.acknowledged.values()}


def served_wrongly(server, kept):
    """What a server over a damaged ledger says of it without a word of doubt."""
    connection = server.connect(timeout=20)
    for ident, receipt in kept.receipts.items():
        status, _, body = server.request("GET", "/v1/operations/" + ident, None, None, connection)
        if status == 404 or (status == 200 and body != receipt):
            return f"{ident} is served as {status} {json.dumps(body)[:200]}"
    return ""


def served(state, kept):
    """The same for whoever starts a server over it; "" if it refuses or says nothing wrong."""
    try:
        with Server(state, ["site=file:" + kept.site]) as server:
            return served_wrongly(server, kept)
    except (RuntimeError, OSError, http.client.HTTPException):
        return ""


class Flips:
    """What became of changed bytes."""

    def __init__(self):
        self.found = 0      # by the audit
        self.unused = 0     # of no content: everything is said as before
        self.tail = 0       # ended the log of a killed server early; the audit cannot know
        self.missed = []    # anything else
        self.served = 0     # found by the audit, and served by a server that nobody audited

    def judge(self, kept, file, chance, serve):
        state, at = kept.damaged(file, chance)
        looked = os.path.join(kept.folder, "looked")
        shutil.rmtree(looked, ignore_errors=True)
        shutil.copytree(state, looked)  # whoever opens it may move its log
        if not audit(looked).get("clean"):
            self.found += 1
            self.served += bool(serve and served(state, kept))
            return
        content = content_of(os.path.join(looked, "ledger.db"))
        if content == kept.content and not served(state, kept):
            self.unused += 1
        elif file == "ledger.db-wal" and is_beginning(content, kept.content):
            self.tail += 1
        else:
            self.missed.append(f"byte {at} of {file}")


def is_beginning(content, whole):
    """True if the log's records are the first ones of the whole log."""
    if content is None:
        return False
    records = [dict(said[2:]).get(b"batch") for said in (content, whole)]
    return None not in records and records[0] == records[1][:len(records[0])]


@card.row("R17", "single-byte changes of a ledger's files not detected", "0 in the database")
def flips(run):
    """Fails if the audit calls a ledger clean in whose database a byte was changed, unless
    everything it says (every row of every table, read without our code, and every receipt) is as
    before: then the byte is of no content (a free page, unused space). In the write-ahead log of a
    killed server a changed byte looks like a write that the crash cut short: what follows is
    dropped, and the figure says how often."""
    chance, flips_in = random.Random(run.seed), {}
    count = run.size(60, 1000)
    with Scratch() as scratch:
        kept = [Kept(scratch, "stopped", True), Kept(scratch, "killed", False)]
        cases = [(one, file) for one in kept for file in one.files]
        for number in range(count):
            one, file = cases[number % len(cases)]
            name = f"{os.path.basename(one.folder)} {file}"
            flips_in.setdefault(name, Flips()).judge(one, file, chance, number % 5 == 0)
            if number % 200 == 199:
                run.say(f"{number + 1} bytes")
    missed = [each for flips in flips_in.values() for each in flips.missed]
    found, unused, tail, wrong = (sum(getattr(flips, word) for flips in flips_in.values())
                                  for word in ("found", "unused", "tail", "served"))
    logs = sum(file == "ledger.db-wal" for _, file in cases) * count // len(cases)
    return card.Figure(
        f"{len(missed)} of {count - logs:,} in the database; {tail} of {logs:,} in the log of a "
        "killed server", not missed and found > 0,
        f"{found} found by the audit, {unused} of no content; {wrong} of a fifth of those found "
        "would be served by a server that starts without an audit" +
        "".join(f"; missed {each}" for each in missed[:3]))


# ---- R21 -----------------------------------------------------------------------------------------

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class Clock:
    """The wall clock of one server, in the test's hand."""

    def __init__(self, folder):
        if not os.path.exists(FAKETIME):
            raise card.Skip("libfaketime is not installed")
        self.file = os.path.join(folder, "clock")
        self.set("+0")
        self.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.file,
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset):
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(offset + "\n")
        os.replace(self.file + ".new", self.file)


def charge(server, cart, wait=5, **more):
    body = {"type": "charge", "input": {"cart": cart, "amount": 5}, **more}
    return server.request("POST", "/v1/operations", body, {"Prefer": f"wait={wait}"})


def negative(said, path=""):
    """The members of a document that are durations and below zero."""
    if isinstance(said, dict):
        for name, value in said.items():
            yield from negative(value, f"{path}/{name}")
    elif isinstance(said, list):
        for value in said:
            yield from negative(value, path)
    elif isinstance(said, (int, float)) and said < 0:
        yield f"{path} = {said}"


def negative_metrics(server):
    text = server.request("GET", "/metrics")[2]
    text = text.decode() if isinstance(text, bytes) else text
    return [line for line in text.splitlines()
            if not line.startswith("#") and line.rsplit(" ", 1)[-1].startswith("-")]


class Jumps:
    """Charges at a service that executes every call, while the clock jumps."""

    def __init__(self):
        self.carts, self.twice, self.below = [], [], []
        self.anew = []  # repeats that were taken as new
        self.late = []  # repeats whose answer was past its retention, by the clock that jumped

    def phase(self, server, name, long):
        """New charges, and every earlier one asked for again; if it is `long`, not before
        retention has been looked after, which is every 10 s."""
        for number in range(5):
            self.carts.append(f"{name}-{number}")
            charge(server, self.carts[-1])
        if long:
            time.sleep(11)
        for cart in self.carts:
            _, _, body = charge(server, cart)
            if body.get("decision") == "new":
                self.anew.append(f"{cart} after {name}")
            elif "late-duplicate" in str(body.get("type")):
                self.late.append(cart)
        self.below += negative(server.request("GET", "/v1/status")[2])
        self.below += negative_metrics(server)


@card.row("R21", "clock jumps of -2 days, +10 days and five times the speed: keys forgotten early, "
          "effects executed twice, negative durations", "0; 0; 0")
def clock_jumps(run):
    """Fails if a repeat of a key is accepted as new after a jump, if any charge is executed twice
    at a service that executes everything it is sent, if an operation stays open, or if any figure
    of /v1/status or /metrics is below zero."""
    if sanitized():
        raise card.Skip("nothing can be preloaded before a sanitizer")
    jumps = Jumps()
    with Scratch() as scratch, shop.Shop(deduplicates=False) as service:
        clock = Clock(scratch.path)
        config = os.path.join(scratch.path, "trued.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(shop.config(service))
        with Server(scratch.sub("state"), options=["--config", config],
                    environment=clock.environment) as server:
            phases = ["+0", "-2d", "+10d", "+0 x5", "-2d", "+0"] * run.size(1, 4)
            for number, offset in enumerate(phases):
                clock.set(offset)
                jumps.phase(server, f"{offset} ({number})", offset == "+10d")
            Load().settle(server)
        report = audit(os.path.join(scratch.path, "state"))
        assert report["clean"], report
        identities = [identity for identity, _, _ in service.executions()]
        jumps.twice = [each for each in set(identities) if identities.count(each) > 1]
        executed = len(identities)
    holds = not (jumps.anew or jumps.twice or jumps.below) and executed == len(jumps.carts)
    return card.Figure(
        f"{len(jumps.anew)}; {len(jumps.twice)}; {len(jumps.below)}", holds,
        f"{len(phases)} jumps, {len(jumps.carts)} charges, {executed} executed; "
        f"{len(jumps.late)} repeats were answered as past retention and executed nothing"
        + "".join(f"; {each}" for each in (jumps.anew + jumps.twice + jumps.below)[:3]))


# ---- R26 -----------------------------------------------------------------------------------------

CRASHES = {4: "SIGILL", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}


def wordless(outcome):
    """A death that says nothing, or one that no word excuses. Out of memory a server may stop at
    once, if it says so (an assertion, bad_alloc)."""
    if outcome.signal in CRASHES:
        return CRASHES[outcome.signal]
    said = outcome.words.lower()
    if outcome.signal and not ("bad_alloc" in said or "assertion" in said or "memory" in said):
        return f"it ended without a word: {outcome.words!r}"
    return ""


def refuse_memory(run, story, chance):
    """(how, outcome) of lives in which one allocation, or every one from there on, is refused."""
    count = run.size(20, 750)
    step = story.allocations / count
    points = [(int(1 + step * (number + chance.random())), number % 2 == 0)
              for number in range(count)]

    def one(point):
        return point, story.fail(point[0], "MEMORY", point[1])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, points)


@card.row("R26", "acknowledged operations lost, or a ledger corrupt, when the Nth allocation is "
          "refused, once and for ever", "0 lost, 0 corrupt, no crash, no hang")
def no_memory(run):
    """Fails if after any refused allocation something acknowledged is gone, something confirmed is
    not so, the audit finds anything, the next life does not begin or cannot write; if the server
    hung, or died by anything but its own decision (an abort that says why)."""
    if sanitized():
        raise card.Skip("nothing can be preloaded before a sanitizer")
    chance, done, total = random.Random(run.seed), [], 0
    with Scratch() as scratch:
        try:
            for name in ("fresh", "killed"):
                story = sweep.Story(name, scratch.path)
                story.calls()
                total += story.allocations
                done += [(name, *each) for each in refuse_memory(run, story, chance)]
        except NoCompiler as why:
            raise card.Skip(str(why)) from why
    bad = [f"{name} {point[0]} MEMORY{' ever' if point[1] else ''}: {what}"
           for name, point, outcome in done
           for what in outcome.lost + outcome.corrupt + outcome.broken + outcome.lied
           + [wordless(outcome)] if what]
    lost = sum(bool(outcome.lost) for _, _, outcome in done)
    corrupt = sum(bool(outcome.corrupt) for _, _, outcome in done)
    stopped = sum(bool(outcome.signal) for _, _, outcome in done)
    refused = sum(bool(outcome.refusal) and not outcome.signal for _, _, outcome in done)
    missed = sum(not outcome.hit for _, _, outcome in done)
    return card.Figure(
        f"{lost} lost, {corrupt} corrupt", not bad,
        f"{len(done) - missed} refused of {total:,} allocations in two lives: {stopped} aborts "
        f"that said why, {refused} refusals to start, the others went on; {len(bad)} offences"
        + "".join(f"; sweep.py {each}" for each in bad[:3]))
