"""Makes load over HTTP, for all benchmarks alike: wrk with write.lua, and NDJSON batches."""

import json
import os
import re
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(urls, mode, connections, seconds, stamp):
    """Requests a second, p50 and p99 in milliseconds, refused requests. With several URLs each has
    a thread of its own and as many connections as the others, so that the sum may be less."""
    threads = len(urls) if len(urls) > 1 else min(connections, 2)
    nodes = " ".join(url.removeprefix("http://") for url in urls) if len(urls) > 1 else ""
    out = subprocess.run(
        ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--latency",
         "-s", os.path.join(HERE, "write.lua"), urls[0], "--", mode, stamp],
        check=True, capture_output=True, text=True, env={**os.environ, "NODES": nodes}).stdout
    return figures(out)


def figures(out):
    """Of what wrk prints."""
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p50 = milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M).group(1))
    p99 = milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, p50, p99, int(refused.group(1)) if refused else 0


def batch(server, stamp, lines=5000):
    """Operations a second through one NDJSON batch."""
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
