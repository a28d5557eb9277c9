"""R5, R6, R8, R9, R20: effects happen once, what is not known is not repeated, lies are found."""

import collections
import concurrent.futures
import datetime
import http.client
import json
import os
import signal
import subprocess
import threading

from card import Figure, row
from charges import EXECUTED_WITHOUT_ANSWER, NO_ANSWER, Charges, FatedShop, drawn
from mailing import CONFIG as MAILING
from mailing import PYTHON, READ_BACK, Gateway, WorkerProcess
from shop import PROBE
from shop import READ_BACK as CHARGE_READ_BACK
from trued_server import Scratch, Server, audit, until


# ---- R5 ------------------------------------------------------------------------------------------

WRITERS = 4


BATCH = 5


def hammer(charges, seed, number, stop):
    """Submits its share in small batches, each when the one before is done, much of it twice;
    after a lost connection once more. What a great backlog does is another row's (R25)."""
    chance = drawn(seed, "writer", number)
    mine = charges.everything()[number::WRITERS]
    begin = 0
    while begin < len(mine) and not stop.is_set():
        batch = mine[begin:begin + BATCH]
        batch += [each for each in batch if chance.random() < 0.3]
        if begin and chance.random() < 0.5:
            batch.append(chance.choice(mine[:begin]))
        chance.shuffle(batch)
        try:
            charges.submit(batch)
            for amount in mine[begin:begin + BATCH]:
                charges.server.request("GET", f"/v1/operations/{charges.ids[amount]}?wait=20")
            begin += BATCH
        except (OSError, ValueError, http.client.HTTPException):
            stop.wait(0.02)


def storm(charges, seed, kills):
    """Everything submitted by several writers, the server killed at even distances of progress."""
    stop = threading.Event()
    threads = [threading.Thread(target=hammer, args=(charges, seed, number, stop))
               for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        for kill in range(kills):
            reached = charges.count * (kill + 1) // (kills + 1)
            until(lambda: len(charges.shop.met) >= reached, f"{reached} charges at the shop", 120)
            charges.kill()
        for thread in threads:
            thread.join()
    finally:
        stop.set()


def once_each(run, count, kills, after, state):
    """Executed twice, not as they should be in the end, calls that were made."""
    def fate(amount, before):
        return drawn(run.seed, amount, before).choice(
            ["ok"] * 6 + ["drop_before", "drop_after", "half_answer", "500_after", "503", "429"])

    with Charges(FatedShop(fate, deduplicates=True), count, after=after) as charges:
        storm(charges, run.seed, kills)
        receipts, times = charges.settled(), charges.executed()
        wrong = sum(receipts[amount]["state"] != state or times[amount] == 0 for amount in times)
        clean = charges.audited()["clean"]
        return (sum(each > 1 for each in times.values()),
                wrong + len(charges.others) + (not clean),
                sum(len(charges.shop.calls_of(amount)) for amount in times))


@row("R5", "effects executed twice at a service that deduplicates", "0, all carried out")
def executed_twice(run):
    """Half of the charges are read back before anything is repeated, half are repeated blindly.
    Fails if an operation goes out under more than one identity (between attempts, lives of the
    server, or repeats of its submission), if one that was accepted is lost, or if one ends without
    a verdict."""
    count, kills = run.size(500, 5_000), run.size(2, 10)
    twice, wrong, calls = (a + b for a, b in zip(
        once_each(run, count, kills, CHARGE_READ_BACK, "confirmed"),
        once_each(run, count, kills, "", "acknowledged")))
    return Figure(f"{twice} of {2 * count:,}", twice == wrong == 0,
                  f"{calls:,} calls, half of them broken, {2 * kills} times kill -9; {wrong} not "
                  "carried out or wrong in the ledger")


# ---- R6 ------------------------------------------------------------------------------------------

@row("R6", "automatic repeats of what may have happened, at a service that does not deduplicate",
     "0, all parked")
def no_blind_repeats(run):
    """Fails if a charge is sent again after a call that may have executed it, if one whose answer
    was lost ends anywhere but with a person, or if many that were answered end there too."""
    count, kills = run.size(500, 5_000), run.size(2, 8)

    def fate(amount, before):
        chance = drawn(run.seed, amount, before)
        if chance.random() < 0.3:
            return chance.choice(NO_ANSWER[:-1] if amount % 10 else NO_ANSWER)
        return chance.choice(["ok", "ok", "ok", "429", "503"])

    shop = FatedShop(fate, deduplicates=False)
    with Charges(shop, count, after="") as charges:
        # Few at a time: what is under way when the server is killed is a person's as well.
        storm(charges, run.seed, kills)
        receipts, times = charges.settled(), charges.executed()
        repeats = not_parked = needless = unknown = 0
        for amount, receipt in receipts.items():
            # Refused for certain, as often as it likes; then one call, and no more.
            calls = [met for met in shop.calls_of(amount) if met not in ("429", "503")]
            repeats += len(calls) > 1 or times[amount] > 1
            answered = calls == ["ok"]
            unknown += not answered
            not_parked += not answered and receipt["state"] != "needs_action"
            needless += answered and receipt["state"] != "acknowledged"
        return Figure(f"{repeats} of {unknown:,} repeated, {not_parked} not parked",
                      repeats == not_parked == 0 and unknown > 0 and
                      needless <= kills * WRITERS * BATCH,
                      f"{count:,} operations; {charges.kills} times kill -9, which left {needless} "
                      "more to a person")


# ---- R8 ------------------------------------------------------------------------------------------

def moment(event):
    return datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00"))


def seconds_unknown(events):
    """From the first end without an answer to rest."""
    first = next(each for each in events
                 if each["event"] == "effect_ended" and each["outcome"] == "unknown")
    last = [each for each in events if each["event"] == "settled"][-1]
    return (moment(last) - moment(first)).total_seconds()


def resolved(run, count, after, state):
    """Lost answers, those resolved rightly, and how long each took."""
    def fate(amount, before):
        chance = drawn(run.seed, amount, before)
        return chance.choice(EXECUTED_WITHOUT_ANSWER) if chance.random() < 0.2 else "ok"

    shop = FatedShop(fate, deduplicates=False)
    with Charges(shop, count, after=after) as charges:
        receipts, times = charges.settled(), charges.executed()
        lost = [amount for amount in times if "ok" != shop.calls_of(amount)[0]]
        right = [amount for amount in lost
                 if receipts[amount]["state"] == state and times[amount] == 1]
        others = sum(receipts[amount]["state"] != state or times[amount] != 1
                     for amount in times if amount not in set(lost))
        connection = charges.server.connect()
        took = [seconds_unknown(charges.events(amount, connection)) for amount in right]
        connection.close()
        return len(lost), len(right), others, took


@row("R8", "unknown outcomes resolved to the truth", "100 %, all right, p99 under 10 s")
def unknowns_resolved(run):
    """Executed, then the answer lost, on a fifth of the calls: once with a read-back and once with
    a probe only. Fails if one of them stays unknown, goes to a person, or is executed again."""
    count = run.size(300, 3_000)
    lost, right, others, took = (a + b for a, b in zip(
        resolved(run, count, CHARGE_READ_BACK, "confirmed"),
        resolved(run, count, PROBE, "acknowledged")))
    p99 = sorted(took)[len(took) * 99 // 100] if took else float("inf")
    return Figure(f"{right:,} of {lost:,}, p99 {p99:.2f} s",
                  lost == right > 0 and others == 0 and p99 < 10,
                  f"{2 * count:,} charges, by read-back and by probe; {others} wrong beside them")


# ---- R9 ------------------------------------------------------------------------------------------

def lab(run, *arguments):
    done = subprocess.run([run.binary, "lab", "--json", *arguments], capture_output=True, text=True,
                          timeout=500, check=False)
    return json.loads(done.stdout)


@row("R9", "success lies found; false alarms in honest writes", "100 %; 0")
def lies_found(run):
    """The reference pipeline with its liars. Fails if a lie is reported as done, if one is not
    told, or if an honest write is called a lie."""
    lying, honest = run.size(2, 45), run.size(2, 14)
    jobs = [("--seed", str(run.seed + each), "--revisions", "4") for each in range(lying)]
    jobs += [("--honest", "--seed", str(run.seed + each), "--revisions", str(run.size(8, 50)))
             for each in range(honest)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda job: lab(run, *job), jobs))
    told, caught, alarms, honest_writes, false = collections.Counter(), 0, 0, 0, 0
    for report in reports:
        false += report["trued"]["falsely_reported"] + report["trued"]["wrong_at_end"]
        for lie, score in report["lies"].items():
            alarms += score["accused"]
            if lie == "none":
                honest_writes += score["writes"]
                continue
            told[lie] += score["writes"]
            caught += score["caught"]
    every = sum(told.values())
    return Figure(f"{caught:,} of {every:,} lies of {len(told)} kinds; {alarms} of "
                  f"{honest_writes:,}",
                  caught == every and min(told.values()) > 0 and alarms == 0 and false == 0,
                  ", ".join(f"{count} {lie}" for lie, count in told.items()))


# ---- R20 -----------------------------------------------------------------------------------------

class Zombies:
    """Workers that are stopped past their lease, at a gateway that sends whatever it is asked to.

    The configuration says that it deduplicates, so another worker gets the attempt; it does not, so
    that a second effect is seen and not swallowed."""

    AT_ONCE = 5

    def __init__(self):
        self.scratch = Scratch().__enter__()
        self.gateway = Gateway(deduplicates=False)
        path = os.path.join(self.scratch.path, "trued.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(MAILING.format(lease="1s", gateway=self.gateway.url, after=READ_BACK,
                                      deduplicates="deduplicates = true"))
        self.state = self.scratch.sub("state")
        self.server = Server(self.state, options=["--config", path])
        self.zombies = [self.worker(f"z{number}") for number in range(self.AT_ONCE)]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for each in self.zombies:
            each.kill()
        self.server.kill()
        self.gateway.close()
        self.scratch.__exit__()

    def worker(self, name):
        return WorkerProcess(PYTHON, self.server.url, self.gateway.url, name)

    def submit(self, to):
        body = {"type": "send-mail", "input": {"to": to, "template": "hello"}}
        return self.server.request("POST", "/v1/operations", body)[2]["id"]

    def all_wait(self):
        with self.gateway.moved:
            return self.gateway.moved.wait_for(lambda: self.gateway.waiting == self.AT_ONCE, 30)

    def round(self, number, place):
        """Stops every zombie at a place, has another do it, lets the zombies go on. What each of
        them was told, and the receipts."""
        self.gateway.hold.add(place)
        ids = [self.submit(f"r{number}-{each}") for each in range(self.AT_ONCE)]
        assert self.all_wait(), "not every worker got its lease"
        for each in self.zombies:
            each.signal(signal.SIGSTOP)
        self.gateway.release()
        helper = self.worker(f"h{number}")
        try:
            receipts = [until(lambda ident=ident: self.settled(ident), ident) for ident in ids]
        finally:
            helper.kill()
        for each in self.zombies:
            each.signal(signal.SIGCONT)
        return [each.said() for each in self.zombies], receipts

    def settled(self, ident):
        receipt = self.server.request("GET", f"/v1/operations/{ident}?wait=20")[2]
        return receipt if receipt["status"] != "pending" else None


@row("R20", "effects done twice by workers stopped past their lease", "0")
def zombie_workers(run):
    """SIGSTOP before the effect and after it, until somebody else has the attempt, then CONT.
    Fails if a zombie sends what another sent, if a late report moves anything, or if an operation
    is not confirmed in the end."""
    rounds = run.size(10, 200)
    with Zombies() as zombies:
        counted = unconfirmed = groups = 0
        for number in range(rounds // zombies.AT_ONCE):
            said, receipts = zombies.round(number, "template" if number % 2 == 0 else "answer")
            counted += sum(each["answer"]["counted"] for each in said)
            unconfirmed += sum(each["state"] != "confirmed" for each in receipts)
            groups += 1
            if groups % 10 == 0:
                run.say(f"{groups * zombies.AT_ONCE} of {rounds} rounds")
        sent = collections.Counter(to for _, to in zombies.gateway.sent)
        twice = sum(each > 1 for each in sent.values())
        zombies.server.terminate()
        clean = audit(zombies.state)["clean"]
    done = groups * Zombies.AT_ONCE
    return Figure(f"{twice} of {done}", twice == counted == unconfirmed == 0 and
                  len(sent) == done and clean,
                  f"{counted} late reports counted, {unconfirmed} not confirmed")
