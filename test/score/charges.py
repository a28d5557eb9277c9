"""Charges at a payment service that breaks by plan: what several rows are measured on."""

import json
import os
import random
import threading

import shop as shops
from trued_server import Scratch, Server, audit

# What a POST may meet after which nobody but the service knows whether it was executed.
NO_ANSWER = ("drop_before", "drop_after", "half_answer", "500_after", "hang")
EXECUTED_WITHOUT_ANSWER = ("drop_after", "half_answer", "500_after", "hang")

UNHINDERED = "budget = false\nbreaker = false"


class FatedShop(shops.Shop):
    """What a POST meets follows from what it asks for: fate(amount, how often it came before)."""

    def __init__(self, fate, deduplicates):
        self.fate = fate
        self.met = {}       # amount -> what its POSTs met, in order
        super().__init__(deduplicates)

    def _post(self, connection, stream, path, key, body, fault):
        with self.lock:
            before = self.met.setdefault(body["amount"], [])
            fault = self.fate(body["amount"], len(before))
            before.append(fault)
        return super()._post(connection, stream, path, key, body, fault)

    def calls_of(self, amount):
        with self.lock:
            return list(self.met.get(amount, ()))


def drawn(seed, amount, before):
    """A source of chance for one call: the same whenever it comes."""
    return random.Random(f"{seed} {amount} {before}")


class Charges:
    """A server with the operation `charge` at a shop; amounts 1 to `count` are one charge each."""

    def __init__(self, shop, count, gates=UNHINDERED, timeout="700ms", **options):
        self.shop, self.count = shop, count
        self.scratch = Scratch().__enter__()
        self.path = os.path.join(self.scratch.path, "trued.toml")
        text = shops.config(shop, timeout=timeout, target=gates, **options)
        with open(self.path, "w", encoding="utf-8") as file:
            # Bounds that no row comes near to: what ends there would be another question.
            file.write(text.replace("attempts_max = 5", "attempts_max = 100")
                       .replace('deadline = "60s"', 'deadline = "15m"'))
        self.state = self.scratch.sub("state")
        self.ids = {}       # amount -> operation id, as answered
        self.others = []    # ids that were answered beside those
        self.lock = threading.Lock()
        self.server = Server(self.state, options=["--config", self.path])
        self.kills = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.shop.__exit__()
        self.scratch.__exit__()

    def kill(self):
        """kill -9, and up again."""
        self.server.kill()
        self.server = Server(self.state, options=["--config", self.path])
        self.kills += 1

    def submit(self, amounts):
        """One batch; raises OSError where the server is gone in the middle of it."""
        lines = [json.dumps({"type": "charge", "input": {"cart": f"c{each}", "amount": each}})
                 for each in amounts]
        _, _, text = self.server.request("POST", "/v1/operations/batch", "\n".join(lines),
                                         {"Content-Type": "application/x-ndjson"})
        for line in text.splitlines():
            answer = json.loads(line)
            with self.lock:
                amount, ident = amounts[answer["index"]], answer["receipt"]["id"]
                if self.ids.setdefault(amount, ident) != ident:
                    self.others.append(ident)

    def everything(self):
        return list(range(1, self.count + 1))

    def settled(self):
        """Every receipt by its amount, once all have come to rest."""
        self.submit(self.everything())
        connection = self.server.connect()
        receipts = {}
        for amount in self.everything():
            receipts[amount] = self.server.request(
                "GET", f"/v1/operations/{self.ids[amount]}?wait=60", connection=connection)[2]
        connection.close()
        return receipts

    def events(self, amount, connection):
        return self.server.request("GET", f"/v1/operations/{self.ids[amount]}/events",
                                   connection=connection)[2]["events"]

    def executed(self):
        """How often each amount was executed, by the shop's own records."""
        times = dict.fromkeys(self.everything(), 0)
        for _, body, _ in self.shop.executions():
            times[body["amount"]] += 1
        return times

    def audited(self):
        """Ends the server; what the audit of its ledger says."""
        self.server.terminate()
        return audit(self.state)
