"""R19: a database that fails over takes nothing with it that was acknowledged."""

import os
import re
import subprocess
import sys

from card import Figure, row

TEST = "FailoverTest.test_C6_T1_T6_a_primary_that_dies_takes_nothing_with_it"


@row("R19", "acknowledged operations lost when a primary dies and a standby is promoted", "0")
def lost_in_failovers(run):
    """Three servers with quorum commits, three nodes, clients at each; the primary dies again and
    again. Fails if an acknowledged operation is gone, a confirmed one is absent at its target, a
    client is told anything but a clear error, the audit finds a difference, or a receipt says
    `quorum` where the engine promises less (crowd.py holds every receipt to that)."""
    rounds = run.size(2, 20)
    test = os.path.join(run.source, "test", "cluster", "failover_test.py")
    done = subprocess.run(
        [sys.executable, test, TEST],
        env={**os.environ, "TRUED_BINARY": run.binary, "TRUED_SOURCE_DIR": run.source,
             "TRUED_CLUSTER_ROUNDS": str(rounds)},
        capture_output=True, text=True, timeout=120 + 60 * rounds, check=False)
    said = done.stdout + done.stderr
    found = re.search(r"(\d+) rounds, (\d+) acknowledged, (\d+) confirmed, (\d+) lost", said)
    if done.returncode != 0 or not found:
        raise AssertionError(said.strip()[-600:])
    _, acknowledged, confirmed, lost = (int(each) for each in found.groups())
    return Figure(f"{lost} of {acknowledged:,}", lost == 0 and confirmed > 0,
                  f"{confirmed:,} confirmed, {rounds} failovers")
