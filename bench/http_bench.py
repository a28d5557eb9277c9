"""Load over HTTP: whole operations, acceptance, repeats, batches. Prints medians beside the peers'.

Usage: http_bench.py [--seconds S] [--rounds N]; TRUED_BINARY names the binary, wrk makes the load.
The target is in-process and trivial, as the peers' handlers are; the ledger is SQLite with fsync.
"""

import argparse
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "support"))
from generator import batch, resident_mib, wrk  # noqa: E402
from trued_server import Scratch, Server  # noqa: E402

PEERS = {  # figures of other systems on another machine of this size: ratios need one machine
    ("whole", 1): "Restate call with a step 107/s, 8.5 ms; Express+PostgreSQL 593/s, 1.5 ms",
    ("whole", 64): "Restate call with a step 944/s (tuned), p99 160 ms; Express 1,586/s, 65 ms",
    ("accept", 64): "Restate send 2,030/s (tuned)",
    ("repeat", 64): "Restate repeat 3,191/s, p99 39 ms; Express 2,006/s",
}


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
                    runs.append(wrk([server.url], mode, connections, options.seconds, f"s{number}"))
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
