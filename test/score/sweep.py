"""One scripted life of a server, and the same life with one storage call gone wrong.

`Story.calls()` counts the storage calls of the life (the ledger's files and the target's), and
`Story.fail(n, …)` lives it again with the nth call broken; then a life without faults says what
became of everything anybody was told.
"""

import http.client
import os
import shutil
import time

from faulty_io import Faulty
from trued_server import Scratch, Server, audit

# What a server says of a request that it did not take. Whoever hears `outcome-unknown` or
# `internal`, or nothing, was told nothing.
REFUSALS = {"ledger-unavailable", "draining", "overloaded", "durability-below-floor"}
WAIT = 2       # seconds for which the client asks for the end of it
PATIENCE = 20  # seconds for one answer: a server that takes longer hangs


class Told:
    """What the client of one life was told."""

    def __init__(self):
        self.acknowledged = {}  # key -> operation id
        self.confirmed = {}     # key -> {path: content}
        self.refused = set()    # keys that were told: nothing was accepted
        self.unknown = set()
        self.wrong = []         # answers that can never be right

    def note(self, key, artifacts, status, body):
        if status in (200, 201, 202):
            self.acknowledged[key] = body["id"]
            if body["status"] == "confirmed":
                self.confirmed[key] = artifacts
        elif str(body.get("type", "")).rsplit(":", 1)[-1] in REFUSALS:
            self.refused.add(key)
        elif status < 500:
            self.wrong.append(f"{key}: {status} {body}")
        else:
            self.unknown.add(key)


class Outcome:
    """What one broken life came to."""

    def __init__(self):
        self.hit = False       # the fault happened
        self.refusal = ""      # why it did not begin
        self.signal = 0        # what it died of, but for SIGKILL
        self.words = ""        # its last ones
        self.lost = []         # acknowledged or confirmed, and not so
        self.corrupt = []      # what the audit found, or why the next life did not begin
        self.lied = []         # refused, and in the ledger all the same
        self.broken = []       # hangs, crashes, answers that can never be right
        self.told = Told()

    def bad(self):
        return self.lost + self.corrupt + self.broken + ([self.words] if self.signal else [])


def script(server, told):
    """Writes of every kind one after another, each under a key of its own; True to its end."""
    connection = server.connect(timeout=PATIENCE)
    steps = [("one", {"one.txt": "1"}), ("two", {"deep/two.txt": "2", "deep/three.txt": "3"}),
             ("big", {"big.txt": "x" * 20_000}), ("again", {"one.txt": "1, again"}),
             ("gone", {"deep/two.txt": None}), ("last", {"last.txt": "the end"})]
    for key, artifacts in steps:
        begin = time.monotonic()
        try:
            status, _, body = server.write("site", key, artifacts, WAIT, connection)
            told.note(key, artifacts, status, body)
            for known, ident in told.acknowledged.items():
                status = server.request("GET", "/v1/operations/" + ident, None, None,
                                        connection)[0]
                if status == 404:
                    told.wrong.append(f"{known}: acknowledged, and said not to be there")
        except TimeoutError:
            told.wrong.append(f"{key}: no answer within {PATIENCE} s")
            return False
        except (OSError, http.client.HTTPException):
            told.unknown.add(key)
            if server.process.poll() is not None or time.monotonic() - begin > PATIENCE:
                return False
            connection = server.connect(timeout=PATIENCE)
            if not answers(server):
                return False
    return True


def answers(server):
    """False when it is gone; a killed process may take a moment to be seen as such."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if server.process.poll() is not None:
            return False
        try:
            server.request("GET", "/healthz")
            return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
    return True


class Story:
    """A life over a ledger that is new, or one that a killed server left behind."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.allocations = 0
        self.before = None  # state and site as the life finds them
        if name == "killed":
            before = os.path.join(folder, "before")
            place = self.place("template")
            with Server(place[0], ["site=file:" + place[1]]) as server:
                for number in range(8):
                    server.write("site", f"before-{number}", {f"before-{number}.txt": "b"}, 5)
                server.kill()
            os.rename(os.path.dirname(place[0]), before)
            self.before = before

    def place(self, name):
        path = os.path.join(self.folder, f"{self.name}-{name}")
        if self.before:
            shutil.copytree(self.before, path)
        else:
            os.makedirs(os.path.join(path, "site"))
        return os.path.join(path, "state"), os.path.join(path, "site")

    def live(self, faulty, state, site, outcome, killed=False):
        """The life itself, from start to a clean stop, as far as it comes."""
        try:
            server = Server(state, ["site=file:" + site], environment=faulty.environment)
        except RuntimeError as refusal:
            # It may end with a word about it.
            outcome.refusal = str(refusal)
            if not killed and "error" not in outcome.refusal:
                outcome.signal = -1
                outcome.words = outcome.refusal
            return
        with server:
            if script(server, outcome.told):
                try:
                    server.terminate()
                except Exception:  # whoever does not stop hangs
                    outcome.broken.append("it did not stop within 30 s of SIGTERM")
            died = server.process.poll()
            if died is not None and died < 0 and died != -9:
                outcome.signal = -died
                outcome.words = "".join(server.errors)[-300:]

    def calls(self):
        """The storage calls that the life makes, by name; `allocations` is set beside."""
        state, site = self.place("count")
        log = os.path.join(self.folder, self.name + ".calls")
        faulty = Faulty(self.folder, [state, site], log)
        outcome = Outcome()
        self.live(faulty, state, site, outcome)
        assert len(outcome.told.confirmed) == 6, (outcome.refusal, vars(outcome.told))
        self.allocations = faulty.get("allocations")
        faulty.close()
        with open(log, encoding="utf-8") as file:
            return [line.split()[1] for line in file]

    def fail(self, number, how, ever):
        """The life with the call `number` broken (or, "MEMORY", with that allocation refused), and
        the judgement of a life after it."""
        outcome = Outcome()
        state, site = self.place(f"{number}-{how}-{ever}")
        faulty = Faulty(self.folder, [state, site])
        if how == "MEMORY":
            faulty.allocation(number, ever)
        else:
            faulty.call(number, how, ever)
        try:
            self.live(faulty, state, site, outcome, how in ("KILL", "TORN"))
            outcome.hit = faulty.get("hit") + faulty.get("allocation_hit") > 0
            outcome.broken += outcome.told.wrong
            self.judge(state, site, outcome)
        finally:
            faulty.close()
            shutil.rmtree(os.path.dirname(state))
        return outcome

    def judge(self, state, site, outcome):
        told = outcome.told
        try:
            with Server(state, ["site=file:" + site]) as server:
                ready = server.write("site", "after", {"after.txt": "a"}, 30)
                if ready[2].get("status") != "confirmed":
                    outcome.corrupt.append(f"the next life cannot write: {ready}")
                self.compare(server, told, outcome)
                server.terminate()
        except RuntimeError as refusal:
            outcome.corrupt.append(f"the next life did not begin: {refusal}")
        report = audit(state)
        if report.get("first") or not report.get("clean"):
            outcome.corrupt.append(f"the audit found {report}")
        for key, artifacts in told.confirmed.items():
            if key == "one" and "again" not in told.refused:
                continue  # written over since, or it may be
            if key == "two" and "gone" not in told.refused:
                artifacts = {"deep/three.txt": artifacts["deep/three.txt"]}
            for path, content in artifacts.items():
                if content_of(site, path) != content:
                    outcome.lost.append(f"{key} was confirmed, and {path} is not so")

    def compare(self, server, told, outcome):
        connection = server.connect()

        def found(key):
            page = server.request("GET", f"/v1/operations?key={key}", None, None, connection)[2]
            return [each["id"] for each in page["operations"]]
        for key, ident in told.acknowledged.items():
            if found(key) != [ident]:
                outcome.lost.append(f"{key} was acknowledged as {ident}; found {found(key)}")
        outcome.lied += [key for key in told.refused if found(key)]
        if self.before:
            for number in range(8):
                if len(found(f"before-{number}")) != 1:
                    outcome.lost.append(f"before-{number} is gone")


def content_of(site, path):
    try:
        with open(os.path.join(site, path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


if __name__ == "__main__":  # one point again, for whoever looks for the reason: STORY N HOW [ever]
    import sys
    with Scratch() as scratch:
        story = Story(sys.argv[1], scratch.path)
        print(*enumerate(story.calls(), 1), sep="\n")
        result = story.fail(int(sys.argv[2]), sys.argv[3], len(sys.argv) > 4)
        print(vars(result), vars(result.told))
