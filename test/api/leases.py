"""Leases as openapi.yaml describes them: every answer that a worker may get."""

import unittest

from contract import Client

CONFIG = """
body_bytes_max = 65536

[target.mailers]
kind = "worker"

[target.docs]
kind = "file"
directory = "DIRECTORY"

[operation.send-mail]
identity = ["to"]
effect = { target = "mailers", to = "${input.to}" }
input = { required = ["to"], properties = { to = { type = "string" } } }
"""


def check(test: unittest.TestCase, client: Client) -> None:
    """`client` talks to a server with CONFIG."""
    body = {"type": "send-mail", "input": {"to": "ada"}}
    made = client.post("/v1/operations", body)
    place = f"/v1/leases/{made.value['id']}"
    for verb, said in [("heartbeat", {"worker": "w1", "attempt": 1}),
                       ("complete", {"attempt": 1, "outcome": "unknown"})]:
        test.assertEqual(client.post(f"{place}/{verb}", said).problem, "lease-lost")
        test.assertEqual(client.post(f"/v1/leases/op_x/{verb}", said).problem,
                         "no-such-operation")
        test.assertEqual(client.post(f"{place}/{verb}", {"attempt": 0}).problem, "malformed")
        test.assertEqual(client.post(f"{place}/{verb}", " " * 65_537).problem, "too-large")
        got = client.post(f"{place}/{verb}", said, Content_Type="text/plain")
        test.assertEqual(got.problem, "unsupported-media-type")
    ask = {"worker": "w1", "targets": ["mailers"], "wait": 10}
    test.assertEqual(client.post("/v1/leases", ask, Content_Type="text/plain").status, 415)
    for wrong, problem in [({"worker": ""}, "malformed"), ({"max": 101}, "malformed"),
                           ({"targets": ["none"]}, "no-such-target"),
                           ({"targets": ["docs"]}, "input-invalid")]:
        test.assertEqual(client.post("/v1/leases", {**ask, **wrong}).problem, problem)
    test.assertEqual(client.post("/v1/leases", " " * 65_537).problem, "too-large")
    lease = client.post("/v1/leases", ask).value["leases"][0]
    test.assertEqual((lease["id"], lease["payload"]), (made.value["id"], {"to": "ada"}))
    test.assertEqual(client.post(f"{place}/heartbeat", {"worker": "w1", "attempt": 1}).status,
                     200)
    status = client.get("/v1/status").value
    leases = [target["leases"] for target in status["targets"] if target["name"] == "mailers"]
    test.assertEqual(leases[0]["workers"][0]["leased"], 1)
    test.assertIn(b'trued_leases_held{target="mailers"} 1', client.get("/metrics").body)
    done = client.post(f"{place}/complete",
                       {"attempt": 1, "outcome": "acknowledged", "result": {"n": 1}})
    test.assertEqual((done.value["counted"], done.value["state"]), (True, "acknowledged"))
    test.assertEqual(client.post("/v1/leases", {"worker": "w1"}).value, {"leases": []})
