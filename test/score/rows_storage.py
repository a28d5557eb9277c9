"""Storage that fails: kill -9, every storage call in turn, power cuts, a full disk."""

import concurrent.futures
import random
import time

import card
import sweep
from faulty_io import NoCompiler
from load import Load
from trued_server import Scratch, Server, sanitized

# ---- R1 ----------------------------------------------------------------------------------------


@card.row("R1", "acknowledged operations lost under kill -9 at random points under load", "0")
def kills(run):
    """Fails if an operation that anybody was told of is not in the ledger after the next start, if
    content called confirmed is not in the target, or if the audit finds anything."""
    chance, load = random.Random(run.seed), Load()
    rounds = run.size(15, 200)
    with Scratch() as scratch:
        state, site = scratch.sub("state"), scratch.sub("site")
        for life in range(rounds):
            with Server(state, ["site=file:" + site]) as server:
                def strike(server=server):
                    time.sleep(chance.uniform(0.02, 0.4))
                    server.kill()
                load.during(server, strike, wait=chance.choice([0, 10]))
            if life % 50 == 49:
                run.say(f"{life + 1} kills, {len(load.acknowledged)} acknowledged")
        with Server(state, ["site=file:" + site]) as server:
            load.settle(server)
            load.check(server, state, site)
    assert len(load.acknowledged) > rounds, "there was no load"
    return card.Figure(f"0 of {len(load.acknowledged):,}", True,
                       f"{rounds} kills, {len(load.confirmed):,} confirmed, audit clean")


# ---- R2, R3 ------------------------------------------------------------------------------------

TAKE_SPACE = {"pwrite", "write", "ftruncate", "mkdir", "fsync", "fdatasync"}
_swept = {}


def ways(call):
    """The ways in which a call can fail: how, and whether every later one does too."""
    yield "KILL", False
    if call in ("pwrite", "write"):
        yield "TORN", False
    yield "EIO", False
    yield "EIO", True
    if call in TAKE_SPACE | {"open", "rename"}:
        yield "ENOSPC", False
    if call in TAKE_SPACE:
        yield "ENOSPC", True


def points_of(story, run):
    """(story, number, how, ever) of every fault; the smoke run takes every seventh call, in one of
    its ways in turn."""
    calls = story.calls()
    chosen = []
    for number, call in enumerate(calls, 1):
        each = [(story, number, how, ever) for how, ever in ways(call)]
        if run.full:
            chosen += each
        elif (number + run.seed) % 7 == 0:
            chosen.append(each[(number // 7 + run.seed) % len(each)])
    return len(calls), chosen


def fail_one(point):
    """The outcome; lived again if it ended before the call was reached: threads do not always
    gather the same work into one commit."""
    story, number, how, ever = point
    for _ in range(4):
        outcome = story.fail(number, how, ever)
        if outcome.hit:
            break
    return point, outcome


def sweep_all(run):
    """Every chosen fault, once for R2 and R3."""
    if (run.full, run.seed) in _swept:
        return _swept[run.full, run.seed]
    if sanitized():
        raise card.Skip("nothing can be preloaded before a sanitizer")
    with Scratch() as scratch:
        try:
            stories = [sweep.Story(name, scratch.path) for name in ("fresh", "killed")]
            counted = [points_of(story, run) for story in stories]
        except NoCompiler as why:
            raise card.Skip(str(why)) from why
        points = [point for _, chosen in counted for point in chosen]
        done = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for result in pool.map(fail_one, points):
                done.append(result)
                if len(done) % 500 == 0:
                    run.say(f"{len(done)} of {len(points)} faults")
    _swept[run.full, run.seed] = (sum(count for count, _ in counted), done)
    return _swept[run.full, run.seed]


def first(done, kind):
    """The first offence of a kind, with what lives it again."""
    for (story, number, how, ever), outcome in done:
        for what in getattr(outcome, kind):
            return f"; sweep.py {story.name} {number} {how}{' ever' if ever else ''}: {what}"
    return ""


@card.row("R2", "acknowledged operations lost, or a ledger corrupt, with a fault at every storage "
          "call of a scripted run (killed, torn, EIO, ENOSPC; once and for ever)",
          "0 lost, 0 corrupt, every point reached")
def every_call(run):
    """Fails if after any of the faults something acknowledged is gone, something confirmed is not
    so, the audit finds anything, the next life does not begin or cannot write, or the server
    hung, died of a signal or said that something acknowledged is not there; or if a fault never
    happened."""
    calls, done = sweep_all(run)
    lost = sum(bool(outcome.lost) for _, outcome in done)
    corrupt = sum(bool(outcome.corrupt) for _, outcome in done)
    for _, outcome in done:
        if outcome.signal:
            outcome.broken.append(f"it died of signal {outcome.signal}: {outcome.words}")
    broken = sum(bool(outcome.broken) for _, outcome in done)
    missed = sum(not outcome.hit for _, outcome in done)
    told = sum(len(outcome.told.acknowledged) for _, outcome in done)
    return card.Figure(
        f"{lost} lost, {corrupt} corrupt", not (lost or corrupt or broken or missed),
        f"{len(done) - missed} of {len(done)} faults happened, at {calls} calls of two lives; "
        f"{told:,} acknowledged in them; {broken} hung, crashed or answered wrongly"
        + first(done, "lost") + first(done, "corrupt") + first(done, "broken"))


@card.row("R3", "refused as not accepted, and in the ledger all the same (faults of R2)", "0")
def refused_but_durable(run):
    """Fails if a client was told that nothing was accepted (ledger-unavailable, draining,
    overloaded) and the next life knows its operation. Answers that leave it open do not count."""
    _, done = sweep_all(run)
    refused = sum(len(outcome.told.refused) for _, outcome in done)
    unknown = sum(len(outcome.told.unknown) for _, outcome in done)
    lied = sum(len(outcome.lied) for _, outcome in done)
    return card.Figure(f"{lied} of {refused:,}", lied == 0 and refused > 0,
                       f"{len(done)} faults; {unknown} answers left open or lost"
                       + first(done, "lied"))
