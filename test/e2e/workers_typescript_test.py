"""The worker in TypeScript does what the one in Python does, with the same tests."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import workers_test  # noqa: E402
from mailing import EXAMPLES  # noqa: E402

SOURCE = os.path.join(EXAMPLES, "typescript")
TSC = os.path.join(SOURCE, "node_modules", "typescript", "bin", "tsc")


class TypeScriptWorkers(workers_test.Workers):
    @classmethod
    def setUpClass(cls):
        assert os.path.exists(TSC), "no compiler: npm ci --prefix examples/typescript"
        cls.built = tempfile.TemporaryDirectory(prefix="trued-test-")
        cls.addClassCleanup(cls.built.cleanup)
        subprocess.run(["node", TSC, "-p", SOURCE, "--outDir", cls.built.name], check=True)
        with open(os.path.join(cls.built.name, "package.json"), "w", encoding="utf-8") as file:
            json.dump({"type": "module"}, file)
        cls.COMMAND = ["node", os.path.join(cls.built.name, "worker.js")]


def load_tests(loader, unused, pattern):
    del unused, pattern
    return loader.loadTestsFromTestCase(TypeScriptWorkers)


if __name__ == "__main__":
    unittest.main(verbosity=1)
