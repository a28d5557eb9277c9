"""haproxy and nginx that send a request again on their own, between us and the payment service.

What they make of one request of ours is counted at the service; our word must agree with it.
"""

import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import shop as shops  # noqa: E402
from ports import TRIES, free_port, in_use, listens  # noqa: E402
from trued_server import Scratch, Server, audit, until  # noqa: E402

HAPROXY = """
defaults
 mode http
 timeout connect 1s
 timeout client 5s
 timeout server 2s
 retries 3
 retry-on conn-failure empty-response
 option redispatch 1
frontend front
 bind 127.0.0.1:{port}
 default_backend back
backend back
 server a 127.0.0.1:{shop}
 server b 127.0.0.1:{shop}
 server c 127.0.0.1:{shop}
"""

NGINX = """
daemon off;
master_process off;
pid nginx.pid;
events {{}}
http {{
 access_log off;
 client_body_temp_path b;
 proxy_temp_path p;
 fastcgi_temp_path f;
 uwsgi_temp_path u;
 scgi_temp_path s;
 upstream shop {{
  server 127.0.0.1:{shop} max_fails=0;
  server 127.0.0.1:{shop} max_fails=0;
  server 127.0.0.1:{shop} max_fails=0;
 }}
 server {{
  listen 127.0.0.1:{port};
  location / {{
   proxy_pass http://shop;
   proxy_http_version 1.1;
   proxy_read_timeout 2s;
   proxy_next_upstream error timeout http_503 non_idempotent;
  }}
 }}
}}
"""

# What was executed twice is not what was meant.
COUNTED = shops.READ_BACK.replace('status = "succeeded"', 'status = "succeeded", times = 1')


def program(name):
    """Where Debian puts them is in nobody's PATH but root's."""
    return shutil.which(name) or f"/usr/sbin/{name}"


class Intermediary:
    def __init__(self, kind, shop, directory):
        for _ in range(TRIES):
            said = self.start(kind, shop, directory)
            if said is None:
                return
            self.stop()
            if not in_use(said):
                break
        raise RuntimeError(f"{kind} does not start: {said}")

    def start(self, kind, shop, directory):
        """None, or what it said where it does not serve."""
        self.port = free_port()
        path = os.path.join(directory, kind + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write((HAPROXY if kind == "haproxy" else NGINX).format(port=self.port, shop=shop))
        log = os.path.join(directory, "log")
        command = {"haproxy": ["haproxy", "-db", "-f", path],
                   "nginx": ["nginx", "-p", directory, "-e", log, "-c", path]}[kind]
        # It ends with the test, whatever becomes of that.
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", program(command[0]), *command[1:]], stdout=out,
                stderr=out)
        deadline = time.monotonic() + 10
        while not listens(self.process.pid, self.port):
            with open(log, encoding="utf-8") as file:
                said = file.read()
            ended = self.process.poll() is not None
            if ended or in_use(said) or time.monotonic() > deadline:
                return said
            time.sleep(0.01)
        return None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, kind, deduplicates, timeout="5s", effect=""):
        self.scratch = Scratch().__enter__()
        self.shop = shops.Shop(deduplicates)
        self.between = Intermediary(kind, self.shop.port, self.scratch.sub(kind))
        path = os.path.join(self.scratch.path, "trued.toml")
        with open(path, "w", encoding="utf-8") as file:
            text = shops.config(self.shop, timeout=timeout, after=COUNTED, url=self.between.url,
                                target='budget = false\nbreaker = { open = "50ms", '
                                       'open_max = "100ms" }')
            text = text.replace('method = "POST"\n', 'method = "POST"\n' + effect)
            file.write(text.replace("attempts_max = 5", "attempts_max = 100"))
        self.state = self.scratch.sub("state")
        try:
            self.server = Server(self.state, options=["--config", path])
        except BaseException:
            self.between.stop()
            raise
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.between.stop()
        self.shop.__exit__()
        self.scratch.__exit__()

    def submit(self, wait=30):
        self.number += 1
        return self.server.request(
            "POST", "/v1/operations",
            {"type": "charge", "input": {"cart": f"cart-{self.number}", "amount": self.number}},
            {"Prefer": f"wait={wait}"})[2]

    def charge(self, *plan):
        """The receipt, how often it was called there, and how often it was executed."""
        before = len(self.shop.posts()), len(self.shop.executions())
        self.shop.plan = list(plan)
        receipt = self.submit()
        return (receipt, len(self.shop.posts()) - before[0],
                len(self.shop.executions()) - before[1])


class Intermediaries:
    """For each kind; see the classes below."""

    kind = ""

    def test_T2_sent_again_in_between_and_executed_once_by_the_key(self):
        with Bench(self.kind, deduplicates=True) as bench:
            for fault in ("drop_after", "drop_before"):
                receipt, calls, executed = bench.charge(fault, fault)
                self.assertEqual((receipt["status"], receipt["attempts"]), ("confirmed", 1))
                self.assertEqual((calls, executed), (3, 1), "sent three times for one of ours")

    def test_T2_where_the_proxy_gives_up_too_the_key_resolves_it(self):
        with Bench(self.kind, deduplicates=True) as bench:
            for fault in ("drop_after", "drop_before", "half_answer", "500_after"):
                receipt, _, executed = bench.charge(*[fault] * 6)
                self.assertEqual((receipt["status"], executed), ("confirmed", 1), (fault, receipt))
            self.assertEqual(bench.server.terminate(), 0)
            self.assertIsNone(audit(bench.state).get("first"))

    def test_V1_executed_twice_in_between_is_not_called_confirmed(self):
        with Bench(self.kind, deduplicates=False) as bench:
            receipt, calls, executed = bench.charge("drop_after")
            self.assertEqual((calls, executed), (2, 2), "what `deduplicates` is there for")
            self.assertEqual((receipt["status"], receipt["attempts"]), ("needs_action", 1))
            self.assertIn("/times: meant 1, found 2", receipt["reason"])

    def test_T2_where_nothing_deduplicates_we_call_once_whatever_the_proxy_does(self):
        with Bench(self.kind, deduplicates=False) as bench:
            receipt, calls, executed = bench.charge(*["drop_before"] * 6)
            self.assertEqual((receipt["status"], receipt["attempts"]), ("needs_action", 1), receipt)
            self.assertEqual(executed, 0)
            self.assertLessEqual(calls, 4, "what the proxy made of one request")
            # Executed, and the answer broken off: found by reading.
            receipt, calls, executed = bench.charge("half_answer")
            self.assertEqual((receipt["status"], calls, executed), ("confirmed", 1, 1), receipt)

    def test_T1_an_answer_that_the_proxy_makes_up_is_no_answer_of_the_service(self):
        with Bench(self.kind, deduplicates=False) as bench:
            bench.shop.stop_listening()
            receipt = bench.submit(wait=0)

            def ended_attempts():
                events = bench.server.request("GET", receipt["links"]["events"])[2]["events"]
                return [each for each in events if each["event"] == "effect_ended"]

            ended = until(ended_attempts, "an attempt ended")
            # 502 or 503 of the proxy's own: nobody can tell that from one that came after it.
            self.assertEqual(ended[0]["outcome"], "unknown", ended)
            bench.shop.listen()
            done = bench.server.request("GET", f"{receipt['links']['self']}?wait=30")[2]
            self.assertEqual((done["status"], len(bench.shop.executions())), ("needs_action", 0))

    def test_T2_at_random_through_the_proxy_each_is_executed_once(self):
        with Bench(self.kind, deduplicates=True) as bench:
            bench.shop.always = "random"
            receipts = [bench.submit(wait=0) for _ in range(100)]
            done = [bench.server.request("GET", f"{each['links']['self']}?wait=60")[2]
                    for each in receipts]
            # An answer of the service to the proxy's second try may be taken for the only one
            # (docs/config.md); it is found to have been executed all the same.
            self.assertEqual({each["status"] for each in done}, {"confirmed"})
            executed = [body["amount"] for _, body, _ in bench.shop.executions()]
            self.assertEqual(sorted(executed), list(range(1, 101)), "each once")
            self.assertEqual(bench.server.terminate(), 0)
            self.assertIsNone(audit(bench.state).get("first"))

    def test_T2_a_refusal_after_the_proxys_second_try_may_be_declared_unknown(self):
        # The first try was executed; what the service says to the second is no proof of anything.
        unknown = 'answers = { "429" = "unknown", "503" = "unknown" }\n'
        for more, outcome in ((unknown, "unknown"), ("", "rejected_retryable")):
            with Bench(self.kind, deduplicates=False, effect=more) as bench:
                receipt, calls, executed = bench.charge("drop_after", "429")
                self.assertEqual((calls, executed), (2, 1), receipt)
                events = bench.server.request("GET", receipt["links"]["events"])[2]["events"]
                ended = [each for each in events if each["event"] == "effect_ended"]
                self.assertEqual((ended[0]["outcome"], receipt["status"]), (outcome, "confirmed"))
                self.assertEqual(receipt["changed"], bool(more))


class Haproxy(Intermediaries, unittest.TestCase):
    kind = "haproxy"


class Nginx(Intermediaries, unittest.TestCase):
    kind = "nginx"


if __name__ == "__main__":
    unittest.main(verbosity=1)
