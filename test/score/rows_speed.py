"""R23, R24, R25: how soon it is back, how soon it answers, and what it does when asked too much.

These figures belong to the machine and to what else runs there; the bounds are far from those that
an idle machine needs.
"""

import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "history"))
from card import Figure, row  # noqa: E402
from charges import UNHINDERED, Charges, FatedShop  # noqa: E402
from place import resident_mib  # noqa: E402
from line import Line, Wire  # noqa: E402
from trued_server import Scratch, Server, until  # noqa: E402


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def submission(target, key, content="x" * 200):
    return {"type": "write", "key": key, "input": {
        "target": target, "artifacts": [{"path": f"{key}.txt", "content": content}]}}


JSON = "Content-Type: application/json\r\n"


# ---- R23 -----------------------------------------------------------------------------------------

def fill(server, first, count):
    """A batch, read to its end."""
    body = "\n".join(json.dumps(submission("m", f"k{number}"))
                     for number in range(first, first + count))
    status, _, answer = server.request("POST", "/v1/operations/batch", body,
                                       {"Content-Type": "application/x-ndjson"})
    assert status == 200 and answer.count(b"\n") == count, "the batch was not accepted"


@row("R23", "from kill -9 to ready again, with many operations stored", "p95 under 2 s")
def recovery_time(run):
    """Batches up to the number, then killed while more come in, again and again. Fails if the
    start grows with what is stored beyond the bound, or if it does not become ready at all."""
    stored, kills = run.size((20_000, 5), (1_000_000, 20))
    took = []
    with Scratch() as scratch:
        state = scratch.sub("state")
        server = Server(state, ["m=memory:"])
        try:
            for first in range(0, stored, 5_000):
                fill(server, first, 5_000)
                if (first + 5_000) % 100_000 == 0:
                    run.say(f"{first + 5_000:,} stored")
            for number in range(kills):
                body = "\n".join(json.dumps(submission("m", f"more{number}-{each}"))
                                 for each in range(500))
                under_way = server.connect()
                under_way.request("POST", "/v1/operations/batch", body,
                                  {"Content-Type": "application/x-ndjson"})
                under_way.getresponse().readline()
                server.kill()
                under_way.close()
                begin = time.monotonic()
                server = Server(state, ["m=memory:"])
                until(lambda: server.request("GET", "/readyz")[0] == 200, "ready", 60)
                took.append(time.monotonic() - begin)
            count = server.request("GET", "/v1/status")[2]["ledger"]["operations"]
        finally:
            server.kill()
    p95 = quantile(took, 0.95)
    return Figure(f"p95 {p95:.2f} s", p95 < 2 and count >= stored,
                  f"{kills} kills with {count:,} operations stored, longest {max(took):.2f} s")


# ---- R24 -----------------------------------------------------------------------------------------

def submit_all(port, server, count, clients, prefix, timeout):
    """Seconds each submission took until it was answered; the same key again where it was not."""
    took, lock = [], threading.Lock()

    def client(number):
        wire, mine = Wire(port, f"{server.host}:{server.port}", timeout), []
        for each in range(number, count, clients):
            body = json.dumps(submission("m", f"{prefix}{each}")).encode()
            begin, status = time.monotonic(), 0
            while status not in (200, 201, 202):
                try:
                    status, _ = wire.ask("POST", "/v1/operations", body, JSON)
                except OSError:
                    wire.close()
            mine.append(time.monotonic() - begin)
        wire.close()
        with lock:
            took.extend(mine)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


@row("R24", "time until a submission is durable and answered; the longest with 2 % of the calls "
     "broken", "p99 up to 20 ms; up to 1 s")
def submit_latency(run):
    """4 clients, SQLite with fsync. Fails if a commit, the queue before it, or a repeat under the
    same key takes longer than its bound. Of three rounds the quietest counts: what else runs on
    this machine is not what is measured."""
    count, rounds = run.size(2_000, 20_000), 3
    with Scratch() as scratch, Server(scratch.sub("state"), ["m=memory:"]) as server:
        submit_all(server.port, server, 100, 4, "warm", 5)
        plain = min((submit_all(server.port, server, count // rounds, 4, f"k{number}-", 5)
                     for number in range(rounds)), key=lambda took: quantile(took, 0.99))
        with Line(server.host, server.port, run.seed) as line:
            line.rates = {"drop": 0.01, "reset": 0.01}
            broken = submit_all(line.port, server, count, 4, "f", 0.4)
            faults = sum(line.counts.values())
        stored = server.request("GET", "/v1/status")[2]["ledger"]["operations"]
    p50, p99 = (1000 * quantile(plain, share) for share in (0.5, 0.99))
    return Figure(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; {max(broken):.2f} s",
                  p99 <= 20 and max(broken) <= 1 and
                  stored == 100 + count + count // rounds * rounds,
                  f"{count:,} submissions each, {faults} calls broken, 4 clients")


# ---- R25 -----------------------------------------------------------------------------------------

CAPACITY = 200      # operations a second, by the target's own limit
OVERLOAD = """
listen = "127.0.0.1:0"
open_max = 400
[target.site]
kind = "file"
directory = "{site}"
limits = {{ per_second = {capacity}, burst = 20 }}
"""


class Flood:
    """Clients that submit at a rate of their own, whatever they are answered."""

    CLIENTS = 8

    def __init__(self, server, rate, seconds):
        self.server, self.rate, self.seconds = server, rate, seconds
        self.accepted, self.answers = {}, {}
        self.lock = threading.Lock()

    def client(self, number):
        wire = Wire(self.server.port, f"{self.server.host}:{self.server.port}", 30)
        begin, each = time.monotonic(), 0
        while time.monotonic() - begin < self.seconds:
            key = f"c{number}-{each}"
            status, text = wire.ask("POST", "/v1/operations",
                                    json.dumps(submission("site", key, key)).encode(), JSON)
            with self.lock:
                self.answers[status] = self.answers.get(status, 0) + 1
                if status in (200, 201, 202):
                    self.accepted[key] = json.loads(text)["id"]
            each += 1
            time.sleep(max(0, begin + each * self.CLIENTS / self.rate - time.monotonic()))
        wire.close()

    def run(self, watch):
        threads = [threading.Thread(target=self.client, args=(number,))
                   for number in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            watch()
            time.sleep(0.1)
        for thread in threads:
            thread.join()


def flooded(run):
    """Five times what a target takes: what was accepted and lost, the goodput as a share of what it
    takes, the most memory in MiB, what was answered how often, how much was offered a second."""
    seconds = run.size(6, 60)
    with Scratch() as scratch:
        path, site = os.path.join(scratch.path, "trued.toml"), scratch.sub("site")
        with open(path, "w", encoding="utf-8") as file:
            file.write(OVERLOAD.format(site=site, capacity=CAPACITY))
        with Server(scratch.sub("state"), options=["--config", path]) as server:
            seen = []       # (when, confirmed so far, MiB)

            def status():
                return server.request("GET", "/v1/status")[2]

            def watch():
                now = status()
                seen.append((time.monotonic(), now["settled_since_start"]["confirmed"],
                             resident_mib(server.process.pid)))

            flood = Flood(server, 5 * CAPACITY, seconds)
            flood.run(watch)
            until(lambda: sum(status()["open"].values()) == 0, "the backlog is done", 60)
            lost = 0
            connection = server.connect()
            for key, ident in flood.accepted.items():
                receipt = server.request("GET", f"/v1/operations/{ident}",
                                         connection=connection)[2]
                with open(os.path.join(site, f"{key}.txt"), encoding="utf-8") as file:
                    lost += receipt["state"] != "confirmed" or file.read() != key
            connection.close()
    # Without the first second, in which the burst is used up.
    steady = [each for each in seen if each[0] >= seen[0][0] + 1]
    goodput = (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])
    return (lost, goodput / CAPACITY, max(each[2] for each in seen), flood.answers,
            sum(flood.answers.values()) / seconds)


class SlowShop(FatedShop):
    """Takes its time for a charge, which is well within what an attempt is given."""

    def __init__(self):
        super().__init__(lambda *unused: "ok", deduplicates=True)

    def _post(self, *arguments):
        time.sleep(0.02)
        return super()._post(*arguments)


def drained(count, gates, seconds):
    """Charges a second, of a number that is submitted at once; what is done within a bound."""
    with Charges(SlowShop(), count, gates=gates) as charges:
        begin = time.monotonic()
        charges.submit(charges.everything())
        while len(charges.shop.executed) < count and time.monotonic() < begin + seconds:
            time.sleep(0.02)
        return len(charges.shop.executed) / (time.monotonic() - begin)


@row("R25", "asked more than a target takes: acknowledged and lost; goodput as a share of what it "
     "takes; memory", "0; at least 80 %, each; under 512 MiB")
def overload(run):
    """A target that takes 200 a second is offered 1,000, with a backlog of at most 400: goodput.
    Then a target that takes its time is given, at once, ten times what it can do while one attempt
    may last, with the gates that targets have and without any: goodput against a small number.
    Fails if what was accepted is not carried out, if others than 202 and 429 are answered, if work
    for those who are refused or have to wait takes the capacity of the others, or if memory grows
    with the demand."""
    lost, share, memory, answers, offered = flooded(run)
    few, many = 120, run.size(1_500, 6_000)
    shares = [share]
    for gates in ("", UNHINDERED):
        alone = drained(few, gates, 30)
        shares.append(drained(many, gates, 2 * many / alone) / alone)
    return Figure(f"{lost} of {sum(answers.values()) - answers.get(429, 0):,}; "
                  f"{', '.join(f'{100 * each:.0f} %' for each in shares)}; {memory} MiB",
                  lost == 0 and min(shares) >= 0.8 and memory < 512 and
                  set(answers) == {202, 429} and offered > 3 * CAPACITY,
                  f"{offered:.0f} a second offered to 200 a second, {answers.get(429, 0):,} times "
                  f"429; {many:,} at once with breaker and budget, and without")
