"""R19 and R22: what is acknowledged outlives the database server and the version that wrote it."""

import os
import re
import subprocess
import sys

from card import Figure, Skip, row

FAILOVER = "FailoverTest.test_C6_T1_T6_a_primary_that_dies_takes_nothing_with_it"
VERSIONS = ("VersionsTest."
            "test_T13_T1_programs_of_two_versions_share_a_ledger_while_they_are_replaced")


def said_by(run, script, test, rounds, pattern):
    """The figures in what a test of clusters says at its end; its failure is the row's."""
    done = subprocess.run(
        [sys.executable, os.path.join(run.source, "test", "cluster", script), test],
        env={**os.environ, "TRUED_BINARY": run.binary, "TRUED_SOURCE_DIR": run.source,
             "TRUED_CLUSTER_ROUNDS": str(rounds)},
        capture_output=True, text=True, timeout=120 + 60 * rounds, check=False)
    said = done.stdout + done.stderr
    found = re.search(pattern, said)
    if done.returncode != 0 or not found:
        raise AssertionError(said.strip()[-600:])
    return [int(each) for each in found.groups()]


@row("R19", "acknowledged operations lost when a primary dies and a standby is promoted", "0")
def lost_in_failovers(run):
    """Three servers with quorum commits, three nodes, clients at each; the primary dies again and
    again. Fails if an acknowledged operation is gone, a confirmed one is absent at its target, a
    client is told anything but a clear error, the audit finds a difference, or a receipt says
    `quorum` where the engine promises less (crowd.py holds every receipt to that)."""
    rounds = run.size(2, 20)
    _, acknowledged, confirmed, lost = said_by(
        run, "failover_test.py", FAILOVER, rounds,
        r"(\d+) rounds, (\d+) acknowledged, (\d+) confirmed, (\d+) lost")
    return Figure(f"{lost} of {acknowledged:,}", lost == 0 and confirmed > 0,
                  f"{confirmed:,} confirmed, {rounds} failovers")


@row("R22", "operations lost, or effects done twice, while nodes are replaced by an older version "
     "and back", "0, and both audit the ledger")
def replaced_under_load(run):
    """A database with standbys, three nodes, clients at each; node after node is ended or killed
    and started again as the other program. TRUED_PREVIOUS names the older one."""
    if not os.environ.get("TRUED_PREVIOUS"):
        raise Skip("TRUED_PREVIOUS names no program of the version before")
    rounds = run.size(6, 20)
    _, acknowledged, lost, effects, twice = said_by(
        run, "versions_test.py", VERSIONS, rounds,
        r"(\d+) swaps, (\d+) acknowledged, (\d+) lost, (\d+) effects, (\d+) twice")
    return Figure(f"{lost} of {acknowledged:,} lost, {twice} of {effects:,} twice",
                  lost == 0 and twice == 0 and effects > 0, f"{rounds} replaced")
