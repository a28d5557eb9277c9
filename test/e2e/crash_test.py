"""kill -9 at random points under load: nothing acknowledged is lost, nothing confirmed is absent.

TRUED_CRASH_ROUNDS sets the number of rounds (15; 100 for the full run).
"""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server, audit  # noqa: E402

ROUNDS = int(os.environ.get("TRUED_CRASH_ROUNDS", "15"))
WRITERS = 6
SEED = 20261121


class Load:
    """Writers that note what they were told; a lost connection is repeated in the next life."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = {}   # key -> (operation id, target, path, content)
        self.confirmed = {}      # key -> (target, path, content)
        self.asked = {}          # key -> (target, path, content)
        self.number = 0

    def next(self, target):
        with self.lock:
            self.number += 1
            key = f"key-{self.number}"
            self.asked[key] = (target, f"{target}/{self.number}.txt", f"content {self.number}")
            return key

    def note(self, key, receipt):
        with self.lock:
            self.acknowledged[key] = receipt["id"]
            if receipt["status"] == "confirmed":
                self.confirmed[key] = self.asked[key]

    def submit(self, server, connection, key, wait):
        target, path, content = self.asked[key]
        status, _, receipt = server.write(target, key, {path: content}, wait=wait,
                                          connection=connection)
        if status in (200, 201, 202):
            self.note(key, receipt)
        return status, receipt


def hammer(load, server, seed):
    """Writes until the server is gone."""
    chance = random.Random(seed)
    connection = server.connect(timeout=30)
    try:
        while True:
            key = load.next(chance.choice(["docs", "site"]))
            load.submit(server, connection, key, wait=chance.choice([0, 0, 10]))
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


class CrashTest(unittest.TestCase):
    def test_T1_T6_V1_kill_at_random_points_loses_nothing(self):
        chance = random.Random(SEED)
        with Scratch() as scratch:
            repository, site = scratch.bare_repository(), scratch.sub("site")
            state = scratch.sub("state")
            targets = ["docs=git:" + repository, "site=file:" + site]
            load = Load()
            for life in range(ROUNDS):
                with Server(state, targets) as server:
                    threads = [threading.Thread(target=hammer,
                                                args=(load, server, SEED + 100 * life + w))
                               for w in range(WRITERS)]
                    for thread in threads:
                        thread.start()
                    time.sleep(chance.uniform(0.02, 0.4))
                    server.kill()
                    for thread in threads:
                        thread.join()
            self.finish(load, state, targets, repository, site)

    def finish(self, load, state, targets, repository, site):
        with Server(state, targets) as server:
            connection = server.connect()
            for key in list(load.asked):
                status, receipt = load.submit(server, connection, key, wait=60)
                self.assertIn(status, (200, 201, 202), (key, receipt))
                if receipt["status"] == "needs_action":
                    # Killed in every attempt it had: a person has it tried again.
                    path = "/v1/operations/" + receipt["id"]
                    server.request("POST", path + "/retry", {"who": "test"})
                    receipt = server.request("GET", path + "?wait=60")[2]
                if receipt["status"] != "confirmed":
                    log = server.request("GET", receipt["links"]["events"])[2]
                    self.fail(f"{key}: {json.dumps(receipt)} {json.dumps(log)}")
            for key, identity in load.acknowledged.items():
                _, _, receipt = server.request("GET", "/v1/operations/" + identity, None, None,
                                               connection)
                self.assertEqual(receipt["key"], key)
            self.assertEqual(server.terminate(), 0)
        self.assertGreater(len(load.acknowledged), ROUNDS)
        for key, (target, path, content) in load.confirmed.items():
            self.assertEqual(self.read(target, path, repository, site), content, key)
        report = audit(state)
        self.assertTrue(report["clean"], report)

    def read(self, target, path, repository, site):
        if target == "site":
            with open(os.path.join(site, path), encoding="utf8") as file:
                return file.read()
        return subprocess.run(["git", "-C", repository, "show", "main:" + path], check=True,
                              capture_output=True, text=True).stdout

    def test_T2_one_key_is_one_effect_over_many_lives(self):
        with Scratch() as scratch:
            repository, state = scratch.bare_repository(), scratch.sub("state")
            targets = ["docs=git:" + repository]
            for life in range(6):
                with Server(state, targets) as server:
                    killer = threading.Timer(0.005 * life, server.kill)
                    killer.start()
                    try:
                        server.write("docs", "one", {"one.md": "once"}, wait=5)
                    except (OSError, http.client.HTTPException, json.JSONDecodeError):
                        pass
                    killer.join()
            with Server(state, targets) as server:
                status, _, receipt = server.write("docs", "one", {"one.md": "once"})
                self.assertEqual(receipt["status"], "confirmed", receipt)
                self.assertIn(status, (200, 201))
            log = subprocess.run(["git", "-C", repository, "log", "--format=%h", "main"],
                                 capture_output=True, text=True, check=True).stdout
            self.assertEqual(len(log.split()), 1)


if __name__ == "__main__":
    unittest.main(verbosity=1)
