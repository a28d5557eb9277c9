"""Records what concurrent clients were told under faults, and judges it: ./dev history

Clients share few keys. In the workload `keyed` they submit one of few bodies under a key, submit
again when they do not know what became of it (the same body or another), and get the operation by
its key or id. In `register` they write versions of one artifact per key through Trued and read it
past Trued, from the target. Meanwhile the server is killed and stopped, and the line to it loses,
resets, delays and doubles. What everybody was told, and when, is one JSON line per operation
(docs/history.md); then the judge looks for an order that explains it all.

Exit code: 0 explained, 1 not (the first key for which there is no order is shown), 65 for a file
that is no history.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import judge  # noqa: E402
import line as lines  # noqa: E402
from judge import Operation  # noqa: E402
from system import Trued  # noqa: E402

PROCESS = ("kill", "stop")
FAULTS = PROCESS + lines.FAULTS
WORKLOADS = ("keyed", "register")
PATIENCE = 8        # how often a writer asks what became of its write
TIMEOUT = 1.5       # how long a client waits for one answer, in seconds
WINDOW = 0.4        # how long one mix of faults lasts


def digest(content):
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def body_of(receipt):
    """Which body an answer is about: by the digest of the content that was intended."""
    artifacts = receipt.get("artifacts") or []
    return artifacts[0]["intended"]["sha256"][:12] if artifacts else ""


class Plan:
    """What is asked for: how many operations, spread over the keys so that clients meet."""

    def __init__(self, options):
        self.seed = options.seed
        self.operations, self.keys = options.operations, options.keys
        self.workloads = options.workloads
        self.together = max(1, min(options.keys, options.clients // 2))
        self.begun = 0
        self.ids = {}           # key -> an operation id that somebody was told
        self.lines = []
        self.unexpected = []    # answers that nothing here should lead to
        self.lock = threading.Lock()

    def next_key(self, chance):
        """A key near to those of the others at this time; None at the end."""
        with self.lock:
            if self.begun >= self.operations:
                return None
            first = self.begun * self.keys // self.operations
            self.begun += 1
        number = (first + chance.randrange(self.together)) % self.keys
        return f"{self.workloads[number % len(self.workloads)]}-{number}"

    def add(self, one):
        with self.lock:
            self.lines.append(one)


class Client:
    """One client: an operation after another, each noted with what it was told."""

    def __init__(self, number, plan, system, line=None):
        self.number, self.plan, self.system = number, plan, system
        self.line = line
        self.chance = random.Random(f"client {plan.seed} {number}")
        self.wire = lines.Wire(line.port if line else system.port, system.host_header, TIMEOUT)
        self.written = 0
        self.again = None       # a key whose submission ended without an answer

    def run(self):
        while True:
            key, self.again = self.again, None
            if key is None or self.chance.random() < 0.3:
                key = self.plan.next_key(self.chance)
            if key is None:
                break
            if key.startswith("keyed"):
                self.submit(key) if self.chance.random() < 0.65 else self.get(key)
            else:
                self.write(key) if self.chance.random() < 0.5 else self.read(key)
        self.wire.close()

    def note(self, key, op, call, status="ok", given="", out="", saw=""):
        # Of what is unknown it is when the client gave up; it may take effect later.
        self.plan.add(Operation(self.number, key, op, given, out, status, call,
                                time.monotonic_ns(), saw))

    def ask(self, method, path, body=None, wait=0):
        """Status and answer; status 0 where nobody knows, and -1 where nothing was sent."""
        headers = f"Prefer: wait={wait}\r\n" if wait else ""
        data = b""
        if body is not None:
            data = json.dumps(body).encode()
            headers += "Content-Type: application/json\r\n"
        try:
            status, text = self.wire.ask(method, path, data, headers)
            answer = json.loads(text)
        except lines.NothingSent:
            return -1, {}
        except (OSError, ValueError):
            self.wire.close()
            time.sleep(self.chance.uniform(0, 0.05))  # a dead server is not asked all the time
            return 0, {}
        kind = answer.get("type", "").rsplit(":", 1)[-1]
        if status >= 500 and kind == "outcome-unknown":
            return 0, answer
        if status in (429, 503):
            # A copy of a request that was refused may come later, and be taken.
            return (0 if self.line and self.line.was_doubled(self.wire.local) else -1), answer
        if status not in (200, 201, 202) and kind not in ("idempotency-conflict",
                                                          "no-such-operation"):
            self.plan.unexpected.append(f"{method} {path}: {status} {text[:300]!r}")
            return 0, answer
        return status, answer

    def post(self, key, path, content, wait):
        return self.ask("POST", "/v1/operations", {
            "type": "write", "key": key, "input": {
                "target": "site", "artifacts": [{"path": path, "content": content}]}}, wait)

    # ---- one body wins a key ------------------------------------------------------------------

    def submit(self, key):
        content = f"{key} {self.chance.choice('aaab')}"
        given, call = digest(content), time.monotonic_ns()
        status, answer = self.post(key, f"{key}.txt", content, self.chance.choice([0, 0, 1]))
        if status == 409:
            receipt = answer["receipt"]
            self.note(key, "submit", call, "conflict", given, receipt["id"], body_of(receipt))
        elif status > 0:
            self.plan.ids[key] = answer["id"]
            self.note(key, "submit", call, "ok", given, answer["id"], body_of(answer))
        else:
            self.note(key, "submit", call, "fail" if status < 0 else "unknown", given)
            self.again = key

    def get(self, key):
        ident, call = self.plan.ids.get(key), time.monotonic_ns()
        if ident and self.chance.random() < 0.5:
            status, answer = self.ask("GET", "/v1/operations/" + ident)
            found = [answer] if status == 200 else []
        else:
            status, answer = self.ask("GET", "/v1/operations?key=" + key)
            found = answer.get("operations", [])
        if status > 0:
            # Two operations under one key are no answer that any order explains.
            self.note(key, "get", call, "ok", "", "+".join(each["id"] for each in found),
                      body_of(found[0]) if found else "")

    # ---- a register ---------------------------------------------------------------------------

    def write(self, key):
        self.written += 1
        value = f"{key} {self.number}.{self.written}"
        call, status, answer = time.monotonic_ns(), 0, {}
        name = value.replace(" ", ".")
        certain = True      # that nothing was accepted
        for _ in range(PATIENCE):
            if certain or self.chance.random() < 0.5:
                status, answer = self.post(name, f"{key}.txt", value, wait=1)
                certain = certain and status < 0
            else:
                status, page = self.ask("GET", f"/v1/operations?key={name}")
                answer = (page.get("operations") or [{}])[0]
            if answer.get("status") not in (None, "pending") and status > 0:
                break
        ended = {"confirmed": "ok", "superseded": "ok", "failed": "fail", "canceled": "fail"}
        self.note(key, "write", call, "fail" if certain else
                  ended.get(answer.get("status"), "unknown"), value)

    def read(self, key):
        call = time.monotonic_ns()
        value = self.system.read(key)
        self.note(key, "read", call, "ok", "", value)

    def last_look(self):
        """Every key once more, when all is quiet: what was acknowledged must still be there."""
        for number in range(self.plan.keys):
            key = f"{self.plan.workloads[number % len(self.plan.workloads)]}-{number}"
            (self.get if key.startswith("keyed") else self.read)(key)
        self.wire.close()


class Nemesis(threading.Thread):
    """Draws a mix of faults for each window of time: all in the first, none in a quarter."""

    def __init__(self, options, system, line):
        super().__init__()
        self.faults, self.system, self.line = options.faults, system, line
        self.chance = random.Random(f"nemesis {options.seed}")
        self.counts = {name: 0 for name in PROCESS}
        self.over = threading.Event()
        self.fault = None

    def run(self):
        try:
            self.window(list(self.faults))
            while not self.over.is_set():
                calm = self.chance.random() < 0.25
                self.window([name for name in self.faults
                             if not calm and self.chance.random() < 0.5])
        except Exception as fault:  # a server that does not come up again is a finding
            self.fault = fault
        self.line.rates = {}

    def window(self, drawn):
        self.line.rates = {name: self.chance.uniform(0.03, 0.3) for name in drawn}
        first = self.chance.uniform(0, WINDOW)
        self.over.wait(first)
        if "stop" in drawn:
            self.counts["stop"] += 1
            self.system.pause()
            # Now and then longer than clients wait.
            self.over.wait(self.chance.uniform(0.05, 0.3) if self.chance.random() < 0.8
                           else 1.2 * TIMEOUT)
            self.system.go_on()
        if "kill" in drawn:
            self.counts["kill"] += 1
            self.system.kill()
            self.over.wait(self.chance.uniform(0, 0.1))
            self.system.restart()
        self.over.wait(WINDOW - first)

    def end(self):
        self.over.set()
        self.join()
        if self.fault:
            raise self.fault


def record(options, system):
    """The history, in the order of the calls, and what was done to get it."""
    plan = Plan(options)
    with lines.Line(system.host, system.port, options.seed) as line:
        nemesis = Nemesis(options, system, line)
        clients = [Client(number, plan, system, line) for number in range(options.clients)]
        threads = [threading.Thread(target=client.run) for client in clients]
        begin = time.monotonic()
        nemesis.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        nemesis.end()
        counts = {name: {**nemesis.counts, **line.counts}[name] for name in options.faults}
    if "kill" in options.faults:
        system.kill()
        system.restart()
    Client(options.clients, plan, system).last_look()
    return sorted(plan.lines, key=lambda one: one.call), {
        "seed": options.seed, "clients": options.clients, "faults": counts,
        "recorded_in_seconds": round(time.monotonic() - begin, 1), "unexpected": plan.unexpected}


# ---- the command ---------------------------------------------------------------------------------

def names(allowed):
    def parse(text):
        chosen = [name for name in text.split(",") if name]
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(allowed)}")
        return [name for name in allowed if name in chosen]
    return parse


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def parser_of_options():
    parser = argparse.ArgumentParser(prog="./dev history", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=positive, default=12)
    parser.add_argument("--operations", type=positive, default=3000)
    parser.add_argument("--keys", type=positive, default=250)
    parser.add_argument("--seed", type=int, default=1,
                        help="of what clients and faults draw (not of how threads take turns)")
    parser.add_argument("--faults", type=names(FAULTS), default=list(FAULTS),
                        help="of " + ",".join(FAULTS) + "; all unless said, none with ''")
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS),
                        help="of " + ",".join(WORKLOADS))
    parser.add_argument("--target", choices=("file", "git"), default="file",
                        help="where the writes go")
    parser.add_argument("--out", metavar="FILE", help="keeps the history there")
    parser.add_argument("--judge", metavar="FILE", help="judges a recorded history, no more")
    parser.add_argument("--json", action="store_true", help="the verdict as one object")
    return parser


def save(history, path):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(one.line() + "\n" for one in history)


def tell(verdict, about, as_json):
    if as_json:
        print(json.dumps({**verdict.as_json(), **about}))
        return
    if about.get("faults"):
        print("faults: " + ", ".join(f"{count} {name}" for name, count in about["faults"].items()) +
              f"; recorded in {about['recorded_in_seconds']} s")
    print(verdict)
    for answer in about.get("unexpected", [])[:5]:
        print("an answer that nothing here should lead to: " + answer)
    if "kept_at" in about:
        print("the history: " + about["kept_at"])


def main():
    parser = parser_of_options()
    options = parser.parse_args()
    if not options.workloads:
        parser.error("no workload is left")
    if options.judge:
        try:
            history, about = judge.load(options.judge), {}
            verdict = judge.judge(history)
        except (OSError, judge.Malformed) as why:
            print(f"{options.judge}: {why}", file=sys.stderr)
            return 65
    else:
        if not os.environ.get("TRUED_BINARY"):
            parser.error("TRUED_BINARY names no binary; use ./dev history")
        with Trued(options.target) as system:
            history, about = record(options, system)
        verdict = judge.judge(history)
        if verdict.violations and not options.out:
            descriptor, options.out = tempfile.mkstemp(prefix="history-", suffix=".jsonl")
            os.close(descriptor)
        if options.out:
            save(history, options.out)
            about["kept_at"] = options.out
    tell(verdict, about, options.json)
    return 1 if verdict.violations or about.get("unexpected") else 0


if __name__ == "__main__":
    sys.exit(main())
