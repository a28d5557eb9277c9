"""Load over HTTP: whole operations, acceptance, repeats, batches. Prints medians beside the peers'.

Usage: http_bench.py [--seconds S] [--rounds N]; TRUED_BINARY names the binary, wrk makes the load.
The target is in-process and trivial, as the peers' handlers are; the ledger is SQLite with fsync.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "support"))
from trued_server import Scratch, Server  # noqa: E402

PEERS = {  # figures of other systems on another machine of this size: ratios need one machine
    ("whole", 1): "Restate call with a step 107/s, 8.5 ms; Express+PostgreSQL 593/s, 1.5 ms",
    ("whole", 64): "Restate call with a step 944/s (tuned), p99 160 ms; Express 1,586/s, 65 ms",
    ("accept", 64): "Restate send 2,030/s (tuned)",
    ("repeat", 64): "Restate repeat 3,191/s, p99 39 ms; Express 2,006/s",
}


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(server, mode, connections, seconds, stamp):
    """Requests a second, p50 and p99 in milliseconds, refused requests."""
    threads = 1 if connections == 1 else 2
    out = subprocess.run(
        ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--latency",
         "-s", os.path.join(HERE, "write.lua"), server.url, "--", mode, stamp],
        check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p50 = milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M).group(1))
    p99 = milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, p50, p99, int(refused.group(1)) if refused else 0


def batch(server, stamp, lines=5000):
    """Operations a second through one NDJSON batch after another."""
    body = "\n".join(json.dumps({"type": "write", "key": f"{stamp}-{i}", "input": {
        "target": "bench", "artifacts": [{"path": f"b/{i}", "content": "x" * 200}]}})
        for i in range(lines))
    begin = time.perf_counter()
    status, _, answer = server.request("POST", "/v1/operations/batch", body,
                                       {"Content-Type": "application/x-ndjson"})
    seconds = time.perf_counter() - begin
    assert status == 200 and answer.count(b"\n") == lines
    return lines / seconds


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with Scratch() as scratch:
        for mode, connections in [("whole", 1), ("whole", 64), ("accept", 1), ("accept", 64),
                                  ("repeat", 64)]:
            runs = []
            for number in range(options.rounds):
                with Server(scratch.sub(f"{mode}{connections}-{number}"),
                            ["bench=memory:"]) as server:
                    runs.append(wrk(server, mode, connections, options.seconds, f"s{number}"))
                    resident = resident_mib(server.process.pid)
            rate, p50, p99 = (statistics.median(run[i] for run in runs) for i in range(3))
            refused = sum(run[3] for run in runs)
            print(f"{mode:<7} c={connections:<3} {rate:>9,.0f}/s   p50 {p50:7.2f} ms   "
                  f"p99 {p99:7.2f} ms   refused {refused}   {resident:.0f} MiB   "
                  f"{PEERS.get((mode, connections), '')}", flush=True)
        with Server(scratch.sub("batch"), ["bench=memory:"]) as server:
            rates = [batch(server, f"b{number}") for number in range(options.rounds + 2)]
        print(f"batch         {statistics.median(rates):>9,.0f}/s   "
              "BullMQ add (pipelined) 16,900/s")


if __name__ == "__main__":
    main()
