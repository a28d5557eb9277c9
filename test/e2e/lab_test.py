"""The lab holds what it promises at any seed, and accuses nobody who told no lie."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import run  # noqa: E402

LIES = ["swallowed_race", "self_agreeing_noop", "empty_write", "partial_landing", "clever_dedup",
        "truncated", "stale_replica"]


def lab(*arguments):
    done = run("lab", "--json", *arguments)
    return done.returncode, json.loads(done.stdout)


class LabTest(unittest.TestCase):
    def check(self, code, report):
        self.assertEqual(code, 0, report["notes"])
        trued = report["trued"]
        self.assertEqual((trued["falsely_reported"], trued["wrong_at_end"]), (0, 0))
        self.assertEqual(report["lies"]["none"]["accused"], 0)
        self.assertEqual(trued["reported_done"], report["writes"])

    def test_V9_V2_every_lie_is_told_believed_caught_named_and_repaired(self):
        for seed in ("1", "2", "3"):
            code, report = lab("--seed", seed)
            with self.subTest(seed=seed):
                self.check(code, report)
                for lie in LIES:
                    score = report["lies"][lie]
                    self.assertGreater(score["writes"], 0, lie)
                    self.assertEqual(score["caught"], score["writes"], (lie, report["notes"]))
                    self.assertEqual(score["named"], score["writes"], (lie, report["notes"]))
                    self.assertEqual(score["repaired"], score["writes"], (lie, report["notes"]))
                    self.assertEqual(score["accused"], 0, (lie, report["notes"]))
                self.assertGreater(report["naive"]["falsely_reported"], 0)
                self.assertGreater(report["naive"]["wrong_at_end"], 0)

    def test_V9_a_run_without_lies_accuses_nobody(self):
        code, report = lab("--honest", "--seed", "4")
        self.check(code, report)
        self.assertEqual(report["naive"]["falsely_reported"], 0)
        self.assertEqual(sum(score["caught"] for score in report["lies"].values()), 0)

    def test_V9_one_writer_and_sixty_four(self):
        for writers in ("1", "64"):
            with self.subTest(writers=writers):
                self.check(*lab("--seed", "5", "--writers", writers, "--revisions", "2"))

    def test_V9_a_seed_tells_the_same_lies_again(self):
        told = [{name: score["writes"] for name, score in lab(
            "--seed", "6", "--revisions", "2")[1]["lies"].items()} for _ in range(2)]
        self.assertEqual(told[0], told[1])


if __name__ == "__main__":
    unittest.main(verbosity=1)
