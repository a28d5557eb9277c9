"""Clients at every node of a cluster, who ask again until they are answered, and what they know."""

import collections
import http.client
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"),
                os.path.join(HERE, "..", "..", "tools", "cluster")]
from cluster import Cluster, Loopback, best_network  # noqa: E402,F401
from processes import until  # noqa: E402
from trued_server import BINARY, sanitized  # noqa: E402

CLIENT_PATIENCE_S = 15
NOT_NOW = (429, 502, 503, 504)
FILES = """
[target.site]
kind = "file"
directory = "{directory}"
breaker = false
budget = false
"""


def rounds(few):
    """How many: TRUED_CLUSTER_ROUNDS, or few."""
    return int(os.environ.get("TRUED_CLUSTER_ROUNDS") or few)


def seed():
    """TRUED_CLUSTER_SEED, or a new one; printed, so that a failure can be repeated."""
    value = int(os.environ.get("TRUED_CLUSTER_SEED") or random.randrange(1 << 32))
    print(f"TRUED_CLUSTER_SEED={value}", file=sys.stderr)
    return value


def a_cluster(config, network=None):
    return Cluster(BINARY, config=config, network=network, lease="2s")


class Crowd:
    """`kinds`: functions that make the body of a submission of a number. What a node answers is
    held to what it may say; what is wrong with it stands in `wrong`."""

    def __init__(self, cluster, kinds, clients_a_node=2, wait=5):
        self.cluster = cluster
        self.kinds = kinds
        self.wait = wait
        self.lock = threading.Lock()
        self.number = 0
        self.asked = {}         # number -> body
        self.acknowledged = {}  # number -> id
        self.confirmed = set()  # numbers
        self.answers = collections.Counter()
        self.wrong = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(node,), daemon=True)
                        for node in cluster.nodes for _ in range(clients_a_node)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, more, within=60):
        """Until so many more are confirmed."""
        goal = len(self.confirmed) + more
        until(lambda: len(self.confirmed) >= goal,
              lambda: f"{goal} confirmed; it is {len(self.confirmed)}, and the answers were "
              f"{dict(self.answers)}; nodes: {[(n.name, n.state) for n in self.cluster.nodes]}",
              within)

    # ---- a client ------------------------------------------------------------------------------

    def _client(self, node):
        connections = {}
        try:
            self._until_stopped(node, self.cluster.nodes, connections)
        finally:
            for connection, _ in connections.values():
                connection.close()

    def _until_stopped(self, node, nodes, connections):
        while not self.stopping.is_set():
            with self.lock:
                number = self.number = self.number + 1
                body = self.asked[number] = self.kinds[number % len(self.kinds)](number)
            at = node.index
            # Whoever is not answered does not know what became of it, and asks again elsewhere.
            while not self._ask(nodes[at], number, body, connections):
                at = (at + 1) % len(nodes)
                if self.stopping.wait(0.05):
                    return

    def _ask(self, node, number, body, connections):
        """Whether it was answered for good."""
        moves, listened = node.moves, node.listening
        begin = time.monotonic()
        connection, since = connections.get(node.name, (None, None))
        if connection is not None and since != node.lives:  # to a process that has gone
            connections.pop(node.name)[0].close()
            connection = None
        if connection is None:
            connection = node.connect(CLIENT_PATIENCE_S)
            connections[node.name] = (connection, node.lives)
        try:
            status, headers, answer = node.request(
                "POST", "/v1/operations", body, {"Prefer": f"wait={self.wait}"}, connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connections.pop(node.name)[0].close()
            self._unheard(node, moves, listened, begin, error)
            return False
        with self.lock:
            self.answers[status] += 1
            return self._judge(node, number, status, headers, answer)

    def _judge(self, node, number, status, headers, answer):
        if status in (200, 201, 202):
            known = self.acknowledged.setdefault(number, answer["id"])
            if known != answer["id"]:
                self.wrong.append(f"{number} was {known}, and is {answer['id']} at {node.name}")
            if answer["durability"] != "quorum":
                self.wrong.append(f"{number}: durability {answer['durability']} at {node.name}")
            if answer["status"] == "confirmed":
                self.confirmed.add(number)
            return True
        kind = headers.get("Content-Type", "")
        clear = (status in NOT_NOW and kind.startswith("application/problem+json") and
                 answer["type"].startswith("urn:trued:problem:") and answer["detail"])
        if not clear:
            self.wrong.append(f"{number}: {status} {kind} {answer} at {node.name}")
        return False

    def _unheard(self, node, moves, listened, begin, error):
        """No answer is as it should be only where the node was ended, stopped or cut off."""
        # That it ended may be seen here before it is seen there.
        end = time.monotonic() + 5
        while True:
            excused = (node.moves != moves or not listened or not node.listening or
                       node.is_paused or node.is_cut)
            if excused or time.monotonic() > end:
                break
            time.sleep(0.05)
        with self.lock:
            self.answers[type(error).__name__] += 1
            if not excused:
                self.wrong.append(f"{error!r} after {time.monotonic() - begin:.1f} s at "
                                  f"{node.name}, which ran all the time")

    # ---- afterwards ----------------------------------------------------------------------------

    def settle(self, within=90):
        """Until nothing is pending."""
        def nothing_pending():
            node = self.cluster.acting()
            if node is None or not node.listening:
                return False
            try:
                status, _, page = node.request("GET", "/v1/operations?status=pending")
            except (OSError, http.client.HTTPException):
                return False
            return status == 200 and not page["operations"]
        until(nothing_pending, "nothing is pending any more", within)

    def receipts(self):
        """number -> the receipt as it is now, asked for at every node that listens in turn; what
        was acknowledged and is not there, or is another operation, stands in `wrong`."""
        nodes = [node for node in self.cluster.nodes if node.listening]
        connections = [node.connect() for node in nodes]
        found = {}
        for turn, (number, known) in enumerate(sorted(self.acknowledged.items())):
            at = turn % len(nodes)
            status, _, answer = nodes[at].request("GET", f"/v1/operations/{known}", None, None,
                                                  connections[at])
            if status != 200 or answer["id"] != known:
                self.wrong.append(f"{number} was acknowledged as {known}: {status} {answer}")
                continue
            found[number] = answer
        for connection in connections:
            connection.close()
        for number in self.confirmed:
            if found.get(number, {}).get("status") != "confirmed":
                self.wrong.append(f"{number} was confirmed, and is {found.get(number)}")
        return found


def write_of(prefix):
    """Bodies of writes to the target `site`."""
    def body(number):
        return {"type": "write", "key": f"{prefix}-{number}", "input": {
            "target": "site", "artifacts": [{"path": f"{prefix}-{number}.txt",
                                             "content": f"content of {number}"}]}}
    return body


def missing_files(crowd, directory, prefix, receipts):
    """Of the writes that are confirmed, those that do not stand at their target."""
    missing = []
    for number, receipt in receipts.items():
        if receipt["type"] != "write" or receipt["status"] != "confirmed":
            continue
        try:
            with open(os.path.join(directory, f"{prefix}-{number}.txt"), encoding="utf-8") as file:
                right = file.read() == f"content of {number}"
        except FileNotFoundError:
            right = False
        if not right:
            missing.append(number)
    return missing


def call_of(kind):
    """Bodies of calls of a shop; the amount says which one it is."""
    def body(number):
        return {"type": kind, "input": {"cart": f"cart-{number}", "amount": number}}
    return body


def effects(shop):
    """number -> how often the shop has carried it out."""
    return collections.Counter(each[1]["amount"] for each in shop.executions())


def wrong_effects(receipts, kind, done):
    """What is not as the receipts of that type say: `done` counts the effects of each number. What
    is confirmed was carried out once, what failed was not, and what a person has to look at, or
    whose client gave up before it was told, was not carried out twice."""
    wrong = []
    for number, receipt in receipts.items():
        if receipt["type"] != kind:
            continue
        times = done.get(number, 0)
        right = {"confirmed": times == 1, "failed": times == 0, "needs_action": times <= 1}
        if not right.get(receipt["status"], False):
            wrong.append((number, times, receipt["status"], receipt["state"], receipt["reason"]))
    return wrong + [(number, times) for number, times in done.items() if times > 1]
