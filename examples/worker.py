#!/usr/bin/env python3
"""A worker for Trued, with nothing but the standard library (docs/workers.md).

Run as a program, it sends mails through a gateway:

    examples/worker.py --server http://127.0.0.1:7117 --target mailers \\
        --gateway http://127.0.0.1:8025

`Worker` is the part to keep: give it a function that carries out one lease. What the function
returns is the result; it raises Rejected if it is certain that nothing happened. Whatever else
goes wrong is told as "unknown", because nobody can know how far it came.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request


class Rejected(Exception):
    """It did not happen, for certain. `retryable`: it may, some other time."""

    def __init__(self, reason, retryable=False, retry_after=0):
        super().__init__(reason)
        self.retryable = retryable
        self.retry_after = retry_after


class LeaseLost(Exception):
    """The attempt is not ours any more: somebody else may be at work on it."""


class Lease:
    """One attempt. Check `check()` right before whatever cannot be taken back."""

    def __init__(self, fields):
        self.fields = fields
        self.payload = fields["payload"]
        self.identity = fields["identity"]  # the same for every attempt: deduplicate by it
        self.attempt = fields["attempt"]    # only grows: refuse older ones where you can
        self.lost = threading.Event()
        self.heard = time.monotonic()  # when we last asked and were told that it is ours

    def check(self):
        # By our own clock: who was paused for so long finds out here, before being told.
        silent = time.monotonic() - self.heard
        if self.lost.is_set() or silent * 1000 >= self.fields["lease_ms"]:
            raise LeaseLost()


class Worker:
    def __init__(self, server, target, carry_out, name=None, token=None):
        self.server = server.rstrip("/")
        self.target = target
        self.carry_out = carry_out
        self.name = name or f"{socket.gethostname()}.{os.getpid()}"[:64]
        self.token = token
        self.stopping = threading.Event()

    def call(self, path, body, timeout):
        """Status and answer; raises OSError if there was none."""
        request = urllib.request.Request(
            self.server + path, json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def patiently(self, path, body, give_up):
        """Repeats the call until there is an answer that stands. Every call may be repeated."""
        pause = 0.1
        while not give_up():
            try:
                status, answer = self.call(path, body, timeout=10)
                if status < 500 and status != 429:
                    return status, answer
            except OSError:
                pass
            time.sleep(pause)
            pause = min(pause * 2, 5)
        return None, None

    def beat(self, lease, give_up):
        """One heartbeat; False once the lease is lost."""
        asked = time.monotonic()
        status, _ = self.patiently(f"/v1/leases/{lease.fields['id']}/heartbeat",
                                   {"worker": self.name, "attempt": lease.attempt}, give_up)
        if status == 200:
            lease.heard = asked
        elif status is not None:
            lease.lost.set()
        return status == 200

    def keep(self, lease, done):
        """Three heartbeats in the time of a lease, until it is done or lost."""
        while not done.wait(lease.fields["lease_ms"] / 3000):
            if not self.beat(lease, done.is_set):
                return

    def outcome_of(self, lease):
        try:
            lease.check()
            return {"outcome": "acknowledged", "result": self.carry_out(lease)}
        except Rejected as error:
            said = {"outcome": "rejected", "reason": str(error), "retryable": error.retryable}
            if error.retryable and error.retry_after:
                said["retry_after"] = error.retry_after
            return said
        except LeaseLost:
            return {"outcome": "rejected", "retryable": True,
                    "reason": "the lease was lost before anything was done"}
        except Exception as error:  # nobody can know how far it came
            return {"outcome": "unknown", "reason": f"{type(error).__name__}: {error}"[:1000]}

    def work(self, lease):
        done = threading.Event()
        # Who was paused while the answer was on its way learns here that it is too late.
        self.beat(lease, done.is_set)
        beats = threading.Thread(target=self.keep, args=(lease, done), daemon=True)
        beats.start()
        said = self.outcome_of(lease)
        done.set()
        # Worth saying however late: it counts, or it is kept as evidence.
        answer = self.patiently(f"/v1/leases/{lease.fields['id']}/complete",
                                {"attempt": lease.attempt, **said}, lambda: False)
        print(json.dumps({"id": lease.fields["id"], "attempt": lease.attempt, **said,
                          "answer": answer[1]}), flush=True)

    def run(self):
        pause = 0.1
        while not self.stopping.is_set():
            try:
                status, answer = self.call(
                    "/v1/leases", {"worker": self.name, "targets": [self.target], "wait": 20}, 40)
            except OSError as error:
                status, answer = 503, {"detail": str(error)}
            if status == 200:
                pause = 0.1
                for fields in answer["leases"]:
                    self.work(Lease(fields))
                continue
            print(f"{status}: {answer.get('detail')}", file=sys.stderr, flush=True)
            if status < 500 and status != 429:
                return 1  # asking again would be answered the same
            self.stopping.wait(pause)
            pause = min(pause * 2, 5)
        return 0


# ---- what this worker does ----------------------------------------------------------------------


def send_mail(gateway):
    def carry_out(lease):
        # Whatever can be looked up is looked up first: none of it may count as sent.
        with urllib.request.urlopen(f"{gateway}/templates/{lease.payload['template']}",
                                    timeout=60) as response:
            text = response.read().decode()
        lease.check()
        request = urllib.request.Request(
            gateway + "/mails", json.dumps({"to": lease.payload["to"], "text": text}).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": lease.identity}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (429, 503):
                    raise Rejected(f"the gateway says {error.code}", retryable=True) from error
                if error.code < 500:
                    raise Rejected(f"the gateway says {error.code}") from error
                raise

    return carry_out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.environ.get("TRUED_SERVER",
                                                           "http://127.0.0.1:7117"))
    parser.add_argument("--target", required=True)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--name")
    options = parser.parse_args()
    worker = Worker(options.server, options.target, send_mail(options.gateway), options.name,
                    os.environ.get("TRUED_TOKEN"))
    # The lease at hand is finished; a poll that waits is given up by its own time.
    signal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
