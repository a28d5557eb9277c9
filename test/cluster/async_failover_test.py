"""That failover_test.py can fail: with asynchronous standbys the same count finds what is lost."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crowd import BINARY, FILES, Crowd, a_cluster, write_of  # noqa: E402
from trued_server import Scratch  # noqa: E402

SOME = 20


class AsyncFailoverTest(unittest.TestCase):
    def test_C6_what_no_standby_had_is_found_missing(self):
        with Scratch() as scratch, a_cluster(FILES.format(directory=scratch.path)) as cluster:
            cluster.start()
            for server in cluster.servers:
                server.waits_for = []
                server.reload()
            with Crowd(cluster, [write_of("w")]) as crowd:
                crowd.wait_for(SOME)
                self.hold_replication(cluster.primary)
                crowd.wait_for(SOME)
                cluster.kill_primary()
                cluster.promote()
                crowd.wait_for(SOME)
            crowd.settle()
            crowd.receipts()
            lost = [each for each in crowd.wrong if "no-such-operation" in each]
            self.assertGreater(len(lost), SOME // 2, crowd.wrong)
            # What is there is nevertheless whole.
            self.assertTrue(cluster.audit()["clean"])

    @staticmethod
    def hold_replication(primary):
        """As a network that gets slow. They are killed with the rest of the primary."""
        for each in primary.sql("SELECT pid FROM pg_stat_replication").split():
            os.kill(int(each), signal.SIGSTOP)


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY says which binary")
    unittest.main(verbosity=2)
